//! Agents' logs into the ledger: what is new in them, priced, each request once.
//!
//! Files that are as they were when they were read last are not opened. The others are read on all cores, from where
//! reading ended, if what stands before is still the same; what they tell is taken in a few thousand requests at a time,
//! each with the places up to where its files are read then. Whenever an import ends, the next one goes on there.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    log_prices::LogPricer,
    log_reading::{DueFile, Parcel, read_all},
};
use crate::{
    agent_logs::{AGENTS, Agent, LogFault, LogFile, LogKind, LogReader, LogReading, LoggedRequest},
    app::App,
    domain::{Billing, RequestOutcome, Tags, TokenCounts, Tokens, UsageRecord, UsageSource, Usd},
    error::Result,
    providers,
    storage::{
        files::Folder,
        ledger::{EntryRole, Imported, LogBatch, LogCounter, LogEntry, LogPosition},
        lock::{self, Lock, LockError},
    },
};

/// How many requests are taken in at once.
const BATCH: usize = 10_000;
/// The file that keeps two imports apart.
const LOCK: &str = "log-import.lock";

/// What is imported.
#[derive(Debug, Clone)]
pub struct LogImport {
    pub agents: Vec<&'static Agent>,
    /// Only say what would become of it.
    pub is_dry: bool,
    /// How long another import is waited for.
    pub patience: Duration,
}

/// What came of an agent's logs.
#[derive(Debug)]
pub struct AgentImport {
    pub agent: &'static Agent,
    /// The files that are there, and those of them that were read.
    pub files: usize,
    pub read: usize,
    pub imported: Imported,
    /// Lines and entries that should hold a request, and could not be read.
    pub unreadable: u64,
    pub faults: Vec<(PathBuf, LogFault)>,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImportProgress {
    pub files: usize,
    pub of_files: usize,
    pub requests: u64,
}

/// Imports what is new in the logs of `wanted`; nothing where another import holds the lock for the whole time waited.
pub fn import(
    app: &App,
    wanted: &LogImport,
    progress: &mut dyn FnMut(ImportProgress),
) -> Result<Option<Vec<AgentImport>>> {
    let Some(_turn) = turn(app, wanted)? else {
        return Ok(None);
    };
    let machine = app.settings().machine()?;
    let ledger = app.ledger();
    if !wanted.is_dry {
        ledger.compare_with_logs()?;
    }
    let positions = ledger.log_positions()?;
    let mut reports = Vec::with_capacity(wanted.agents.len());
    let mut due = Vec::new();
    let mut readers: Vec<Box<dyn LogReader>> = Vec::new();
    let mut owners = Owners::default();
    for agent in &wanted.agents {
        let files = (agent.find)(&machine);
        let mut report = AgentImport {
            agent,
            files: files.len(),
            read: 0,
            imported: Imported::default(),
            unreadable: 0,
            faults: Vec::new(),
        };
        let changed: Vec<&LogFile> = files
            .iter()
            .filter(|file| !is_unchanged(file, positions.get(file.path.as_os_str())))
            .collect();
        if !changed.is_empty() {
            let reader = (agent.reader)(&files);
            let new: BTreeSet<&Path> = changed
                .iter()
                .map(|file| file.path.as_path())
                .filter(|path| !positions.contains_key(path.as_os_str()))
                .collect();
            let following: BTreeSet<PathBuf> = reader.follows_from(&new).into_iter().collect();
            for file in &files {
                if changed.iter().any(|it| std::ptr::eq(*it, file)) || following.contains(&file.path) {
                    due.push(DueFile {
                        file: file.clone(),
                        agent: readers.len(),
                        known: positions.get(file.path.as_os_str()).copied(),
                    });
                    report.read += 1;
                }
            }
            owners.add(&files);
            readers.push(reader);
            reports.push(report);
        } else if !files.is_empty() {
            // Keeps its place beside the readers: it has none.
            readers.push((agent.reader)(&[]));
            reports.push(report);
        }
    }
    if due.is_empty() {
        return Ok(Some(reports));
    }
    let mut intake = LogIntake::new(app, wanted.is_dry, owners, reports)?;
    read_all(&due, &readers, |parcels| {
        let mut state = ImportProgress {
            of_files: due.len(),
            ..ImportProgress::default()
        };
        for parcel in parcels {
            match parcel {
                Parcel::Requests(file, requests) => {
                    state.requests += requests.len() as u64;
                    intake.take(&due[file], requests);
                }
                Parcel::Done(file, outcome) => {
                    state.files += 1;
                    intake.done(&due[file], outcome);
                }
            }
            intake.flush_if_full()?;
            progress(state);
        }
        Ok(())
    })?;
    intake.flush()?;
    Ok(Some(intake.reports))
}

/// Imports what is new in all logs, if the configuration enables that and no other process is importing.
///
/// What goes wrong holds nothing up: it is logged, and tried again next time.
pub fn refresh(app: &App) {
    if !app.settings().current().agent_logs.auto_import {
        return;
    }
    let wanted = LogImport {
        agents: AGENTS.iter().collect(),
        is_dry: false,
        patience: Duration::ZERO,
    };
    match import(app, &wanted, &mut |_| {}) {
        Ok(reports) => {
            for (path, fault) in reports.iter().flatten().flat_map(|report| &report.faults) {
                tracing::warn!(path = %path.display(), %fault, "a log is not imported");
            }
        }
        Err(why) => tracing::warn!(error = why.code().as_str(), "logs were not imported"),
    }
}

/// The right to import; a dry run needs no lock.
struct ImportTurn {
    _lock: Option<Lock>,
}

/// The right to import, unless another process is importing.
fn turn(app: &App, wanted: &LogImport) -> Result<Option<ImportTurn>> {
    if wanted.is_dry {
        return Ok(Some(ImportTurn { _lock: None }));
    }
    let folder = Folder::create(app.settings().paths().data_folder())?;
    match lock::acquire(&folder, LOCK, wanted.patience) {
        Ok(lock) => Ok(Some(ImportTurn { _lock: Some(lock) })),
        Err(LockError::Busy { .. }) => Ok(None),
        Err(LockError::File(why)) => Err(why.into()),
    }
}

fn is_unchanged(file: &LogFile, known: Option<&LogPosition>) -> bool {
    known.is_some_and(|known| {
        (known.device, known.inode, known.size, known.modified)
            == (file.mark.device, file.mark.inode, file.mark.size, file.mark.modified)
    })
}

/// Which transcript owns what several have: the one that was made first.
#[derive(Default)]
struct Owners(BTreeMap<String, i64>);

impl Owners {
    fn add(&mut self, files: &[LogFile]) {
        for file in files {
            let name = file.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            self.0.entry(name.to_owned()).or_insert(file.created);
        }
    }

    /// Whether the session `other` owns what `owner` and it have.
    fn owns_rather(&self, owner: &str, other: &str) -> bool {
        match (self.0.get(owner), self.0.get(other)) {
            (Some(owner_made), Some(other_made)) => (other_made, other) < (owner_made, owner),
            (None, Some(_)) | (Some(_) | None, None) => false,
        }
    }
}

/// Takes in what was read.
struct LogIntake<'a> {
    app: &'a App,
    is_dry: bool,
    owners: Owners,
    reports: Vec<AgentImport>,
    pricer: LogPricer,
    batch: LogBatch,
    /// The agent of each entry of the batch, in their order.
    agents: Vec<usize>,
    counters: BTreeMap<usize, BTreeMap<String, LogCounter>>,
    /// What a dry run has seen, of which nothing is in the ledger.
    seen: HashSet<u64>,
    names: HashMap<Arc<str>, Option<String>>,
}

impl<'a> LogIntake<'a> {
    fn new(app: &'a App, is_dry: bool, owners: Owners, reports: Vec<AgentImport>) -> Result<Self> {
        Ok(Self {
            app,
            is_dry,
            owners,
            reports,
            pricer: LogPricer::new(app)?,
            batch: LogBatch::default(),
            agents: Vec::new(),
            counters: BTreeMap::new(),
            seen: HashSet::new(),
            names: HashMap::new(),
        })
    }

    fn take(&mut self, due: &DueFile, requests: Vec<LoggedRequest>) {
        for request in requests {
            // What was never counted need not be taken back.
            if request.kind == LogKind::Copy && due.known.is_none() {
                continue;
            }
            let request = match request.kind {
                LogKind::Cumulative => match self.since_last_time(due.agent, request) {
                    Some(request) => request,
                    None => continue,
                },
                LogKind::Request | LogKind::Copy => request,
            };
            match self.entry(due.agent, request) {
                Some(entry) if self.is_dry && !self.is_first(&entry) => self.reports[due.agent].imported.known += 1,
                Some(entry) => {
                    self.batch.entries.push(entry);
                    self.agents.push(due.agent);
                }
                None => self.reports[due.agent].unreadable += 1,
            }
        }
    }

    fn done(&mut self, due: &DueFile, outcome: Result<(LogReading, LogPosition), LogFault>) {
        let report = &mut self.reports[due.agent];
        match outcome {
            Ok((reading, position)) => {
                report.unreadable += reading.unreadable;
                self.batch.files.push((due.file.path.clone(), position));
            }
            Err(fault) => report.faults.push((due.file.path.clone(), fault)),
        }
    }

    /// What a session used since it was read last; nothing where that is nothing, or its counter fell.
    fn since_last_time(&mut self, agent: usize, total: LoggedRequest) -> Option<LoggedRequest> {
        let name = self.reports[agent].agent.name;
        let app = self.app;
        let known = self
            .counters
            .entry(agent)
            .or_insert_with(|| app.ledger().log_counters(name).unwrap_or_default());
        let before = known.get(&total.identity).copied().unwrap_or_default();
        let now = LogCounter {
            counts: total.counts,
            cost: total.stated_cost.unwrap_or_default(),
        };
        if before == now {
            return None;
        }
        known.insert(total.identity.clone(), now);
        self.batch
            .counters
            .push(((name.to_owned(), total.identity.clone()), now));
        let counts = since(&now.counts, &before.counts)?;
        let TokenCounts {
            input,
            output,
            cache_read,
            cache_write,
            ..
        } = now.counts;
        let cost = now.cost - before.cost;
        (counts != TokenCounts::default()).then(|| LoggedRequest {
            identity: format!("{}={input}.{output}.{cache_read}.{cache_write}", total.identity),
            counts,
            stated_cost: total
                .stated_cost
                .map(|_| cost.or_zero())
                .filter(|cost| *cost > Usd::ZERO),
            ..total
        })
    }

    fn is_first(&mut self, entry: &LogEntry) -> bool {
        let mut hasher = DefaultHasher::new();
        (&entry.record.model.provider, &entry.record.request_id).hash(&mut hasher);
        self.seen.insert(hasher.finish())
    }

    /// The request as a record; nothing where it cannot be one.
    fn entry(&mut self, agent: usize, request: LoggedRequest) -> Option<LogEntry> {
        let agent = self.reports[agent].agent;
        let tokens = Tokens::new(request.counts).ok()?;
        let model = self.pricer.model(&request)?;
        let cost = self.pricer.cost(&model, &request, &tokens);
        let is_billed = self.pricer.is_billed(agent);
        let role = match (request.kind, request.is_copy) {
            (LogKind::Copy, _) => EntryRole::NotOurs,
            (LogKind::Request | LogKind::Cumulative, true) => EntryRole::Copy,
            (LogKind::Request | LogKind::Cumulative, false) => EntryRole::Original,
        };
        let record = UsageRecord {
            at: request.at,
            model,
            label: None,
            task: None,
            project: request
                .project
                .and_then(|name| self.name(&name, providers::looks_like_key)),
            session: request
                .session
                .and_then(|name| self.name(&name, providers::has_key_form)),
            client: None,
            agent: Some(agent.name.to_owned()),
            tags: Tags::default(),
            source: match request.kind {
                LogKind::Request | LogKind::Copy => UsageSource::Log,
                LogKind::Cumulative => UsageSource::CumulativeLog,
            },
            service: request.service,
            tokens,
            outcome: RequestOutcome {
                success: true,
                status_code: None,
                latency_ms: None,
            },
            cost,
            billing: if is_billed { Billing::Billed } else { Billing::Plan },
            request_id: Some(request.identity),
            upstream_id: None,
        };
        Some(LogEntry {
            record,
            upstream_id: request.upstream_id,
            role,
        })
    }

    /// A name as it may stand in the ledger: a key never does.
    fn name(&mut self, name: &Arc<str>, is_key: fn(&str) -> bool) -> Option<String> {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let text: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
        let kept = (!text.is_empty() && !is_key(&text)).then_some(text);
        self.names.insert(Arc::clone(name), kept.clone());
        kept
    }

    fn flush_if_full(&mut self) -> Result<()> {
        if self.batch.entries.len() >= BATCH || self.batch.files.len() >= BATCH {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        let owners = &self.owners;
        let fates = self
            .app
            .ledger()
            .import(&batch, &|owner, other| owners.owns_rather(owner, other), self.is_dry)?;
        for (agent, fate) in self.agents.drain(..).zip(fates) {
            self.reports[agent].imported += fate.into();
        }
        Ok(())
    }
}

/// What was used between two states of a counter; nothing where one of its counts fell.
fn since(now: &TokenCounts, before: &TokenCounts) -> Option<TokenCounts> {
    Some(TokenCounts {
        input: now.input.checked_sub(before.input)?,
        output: now.output.checked_sub(before.output)?,
        cache_read: now.cache_read.checked_sub(before.cache_read)?,
        cache_write: now.cache_write.checked_sub(before.cache_write)?,
        cache_write_1h: 0,
        reasoning: now.reasoning.checked_sub(before.reasoning)?,
    })
}
