//! `doctor`: looks at everything that can be wrong, and says how to mend it.

mod mcp_clients;
mod prices;

use std::{path::Path, process::ExitCode};

use clap::{Arg, ArgAction, ArgMatches};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{CommandDef, Run, Session, audit, caller::Terminal, console::Console, exit, key_name, wait};
use crate::{
    app::App,
    domain::{KeyRecord, KeyStatus},
    error::{Code, Error, ExitCode as Ending, Result},
    services::{
        budget_status, keys,
        validation::{self, ValidationReport},
        vault,
    },
    storage::{
        files::Folder,
        ledger::Depth,
        vault::{SlotKind, VaultFreshness, VaultStatus},
    },
    tools::view::{self, Block, Cell, Tone, View},
};

pub(super) const COMMAND: CommandDef = CommandDef {
    name: "doctor",
    define: |command| {
        command
            .about("Check vault, files, audit trail, ledger, configuration, prices, clock, clients and providers; say how to mend what is wrong")
            .arg(
                Arg::new("offline")
                    .long("offline")
                    .action(ArgAction::SetTrue)
                    .help("Don't ask the providers whether the keys work"),
            )
            .arg(
                Arg::new("deep")
                    .long("deep")
                    .action(ArgAction::SetTrue)
                    .help("Hold the indexes of a large ledger against its records, too"),
            )
    },
    run: Run::With(run),
};

/// How far clocks may differ before somebody should know.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_mins(5);
/// Before this program was written nobody can have run it.
const EARLIEST: i64 = 1_767_225_600;

/// One thing that was looked at.
struct Finding {
    check: &'static str,
    health: Severity,
    said: String,
    mend: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    Good,
    /// Works, and somebody should know.
    Notice,
    Wrong,
}

impl Finding {
    fn new(check: &'static str, health: Severity, said: impl Into<String>) -> Self {
        Self {
            check,
            health,
            said: said.into(),
            mend: None,
        }
    }

    fn good(check: &'static str, said: impl Into<String>) -> Self {
        Self::new(check, Severity::Good, said)
    }

    fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    /// The same finding, taken more or less seriously.
    fn but(self, health: Severity) -> Self {
        Self { health, ..self }
    }

    /// The same finding, saying what it is about.
    fn about(self, what: &str) -> Self {
        Self {
            said: format!("{what}: {}", self.said),
            ..self
        }
    }

    fn of(check: &'static str, error: &Error) -> Self {
        let finding = Self::new(check, Severity::Wrong, error.message());
        match error.hint_text() {
            Some(hint) => finding.mend(hint),
            None => finding,
        }
    }
}

fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let app = &session.app;
    let mut findings = vec![configuration(app)];
    findings.extend(project(app));
    findings.extend(folders(app));
    findings.push(prices::in_force(app));
    let open = wait(vault::open_unasked(app));
    findings.push(the_vault(app, &open));
    findings.extend(ways_in(app));
    if open.is_ok() {
        findings.push(trail(app));
    }
    findings.push(ledger(app, matches.get_flag("deep")));
    findings.extend(journals(app));
    findings.extend(budgets(app));
    findings.extend(gateway_clients(app));
    findings.push(clock(app));
    findings.extend(mcp_clients::look(app));
    // The check of the vault has said it where the file is another vault.
    if let (Ok(()), Ok(stored)) = (&open, keys::list(app)) {
        findings.extend(stored_keys(app, &stored));
        if !matches.get_flag("offline") {
            findings.extend(providers(app, &Terminal::new(session, matches))?);
        }
    }
    report(session, &findings)
}

/// Which keys belong to this folder, where the configuration says so.
fn project(app: &App) -> Option<Finding> {
    let project = app.settings().project()?;
    let said = format!(
        "in this folder `run` takes the keys labelled `{}` ({})",
        project.label, project.pattern
    );
    Some(Finding::good("project", said))
}

fn configuration(app: &App) -> Finding {
    let file = app.settings().paths().config_file();
    match app.settings().problem() {
        Some(problem) => Finding::new("config", Severity::Wrong, problem.to_string())
            .mend(format!("correct {}; until then it is not used", file.display())),
        None if is_writable_by_others(&file) => Finding::new(
            "config",
            Severity::Wrong,
            format!(
                "{} can be changed by everybody, who could send new keys elsewhere",
                file.display()
            ),
        )
        .mend(format!("`chmod 600 '{}'`", file.display())),
        None if file.exists() => Finding::good("config", format!("{} is in force", file.display())),
        None => Finding::good(
            "config",
            format!("no {}: the built-in settings are in force", file.display()),
        ),
    }
}

/// Whether the folders and the files in them are for nobody else.
fn folders(app: &App) -> Vec<Finding> {
    let paths = app.settings().paths();
    match Folder::open(paths.data_folder()) {
        Err(error) => vec![Finding::of("files", &error.into())],
        Ok(None) => vec![Finding::good(
            "files",
            format!("{} does not exist yet", paths.data_folder().display()),
        )],
        Ok(Some(_)) => {
            let open_to_others = open_to_others(paths.data_folder());
            let read_only = read_only(paths.data_folder());
            if !read_only.is_empty() {
                read_only
            } else if open_to_others.is_empty() {
                vec![Finding::good(
                    "files",
                    format!("{} is private", paths.data_folder().display()),
                )]
            } else {
                let found = |path: String| {
                    Finding::new(
                        "files",
                        Severity::Wrong,
                        format!("{path} can be read or written by others"),
                    )
                    .mend(format!("`chmod 600 '{path}'`"))
                };
                open_to_others.into_iter().map(found).collect()
            }
        }
    }
}

/// What cannot be written though nothing works without: not a key is used that the audit trail cannot tell of.
fn read_only(folder: &Path) -> Vec<Finding> {
    let lock_and_trail = ["vault.lock", "audit.jsonl"].map(|name| folder.join(name));
    let is_closed = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|found| {
            let refuses = || std::fs::OpenOptions::new().append(true).open(path).is_err();
            found.permissions().readonly() || (found.is_file() && refuses())
        })
    };
    std::iter::once(folder.to_owned())
        .chain(lock_and_trail)
        .filter(|path| is_closed(path))
        .map(|path| {
            let path = path.display();
            Finding::new(
                "files",
                Severity::Wrong,
                format!("{path} cannot be written: no key can be used or changed"),
            )
            .mend(format!(
                "`chmod u+rwX '{path}'`, or look whether the disk is mounted for reading only"
            ))
        })
        .collect()
}

/// Many systems give each user a group of their own: what a group may do is no alarm.
#[cfg(unix)]
fn is_writable_by_others(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    std::fs::metadata(file).is_ok_and(|found| found.permissions().mode() & 0o002 != 0)
}

#[cfg(unix)]
fn open_to_others(folder: &Path) -> Vec<String> {
    use std::os::unix::fs::PermissionsExt;

    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<String> = entries
        // The settings hold no secret, and people share them.
        .filter(|entry| entry.file_name() != "config.toml")
        .filter(|entry| {
            let found = entry.metadata();
            found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o077 != 0)
        })
        .map(|entry| entry.path().display().to_string())
        .collect();
    found.sort();
    found
}

#[cfg(not(unix))]
fn is_writable_by_others(_: &Path) -> bool {
    false
}

#[cfg(not(unix))]
fn open_to_others(_: &Path) -> Vec<String> {
    Vec::new()
}

fn the_vault(app: &App, open: &Result<()>) -> Finding {
    let variable = &app.settings().current().vault.passphrase_env;
    match open {
        Ok(()) => {}
        Err(error) if error.code() == Code::VaultAbsent => {
            return Finding::new("vault", Severity::Notice, "there is no vault yet").mend("`api-keys setup` makes one");
        }
        Err(error) if error.code() == Code::VaultLocked => {
            return Finding::new(
                "vault",
                Severity::Notice,
                "locked by a passphrase; what is in it was not looked at",
            )
            .mend(format!("set {variable} for a whole check"));
        }
        Err(error) => return Finding::of("vault", error),
    }
    match app.vault().contents() {
        Err(error) => Finding::of("vault", &error.into()),
        Ok(contents) => {
            let wrong = |said: &str| {
                Finding::new("vault", Severity::Wrong, said).mend(
                    "put the newest copy of vault.json back; or, if this one is right, `api-keys vault accept-rollback`",
                )
            };
            match contents.standing {
                VaultFreshness::Current => Finding::good(
                    "vault",
                    format!(
                        "{} opens and is whole (write {})",
                        app.vault().path().display(),
                        contents.generation
                    ),
                ),
                VaultFreshness::RolledBack { .. } => wrong("the vault file is older than the last one written here"),
                VaultFreshness::Forked => wrong("the vault file is not the last one written here, and not older"),
                VaultFreshness::Foreign => wrong("the vault file is another vault than the one last written here"),
                VaultFreshness::AnchorDamaged => {
                    wrong("the anchor that tells an old vault file from the newest is damaged")
                }
            }
        }
    }
}

/// What opens the vault, and whether losing one thing would lose it all.
fn ways_in(app: &App) -> Option<Finding> {
    let slots = match app.vault().status() {
        Ok(VaultStatus::Locked { slots } | VaultStatus::Unlocked { slots, .. }) => slots,
        // The check of the vault has said it.
        Ok(VaultStatus::Absent) | Err(_) => return None,
    };
    let kinds: Vec<&str> = slots.iter().map(|slot| slot.kind.as_str()).collect();
    let kinds = kinds.join(", ");
    let spare = slots.len() > 1 || slots.iter().any(|slot| slot.kind == SlotKind::Recovery);
    Some(if spare {
        Finding::good("master key", format!("any of: {kinds}"))
    } else {
        Finding::new(
            "master key",
            Severity::Notice,
            format!("only {kinds}: if that is lost, so are the keys"),
        )
        .mend("`api-keys vault add-slot recovery` makes a code to write down")
    })
}

fn trail(app: &App) -> Finding {
    match app.vault().verify_audit() {
        Err(error) => Finding::of("audit", &error.into()),
        Ok(report) => match &report.fault {
            Some(fault) => Finding::of("audit", &audit::broken(fault)),
            None if report.torn => Finding::new("audit", Severity::Notice, "the last line was cut short by a crash")
                .mend("nothing to do: the next entry repairs it"),
            None => Finding::good("audit", format!("unbroken (entries: {})", report.entries)),
        },
    }
}

/// Whether a budget is exceeded or on its way, and whether there is something in use that nobody can count.
fn budgets(app: &App) -> Vec<Finding> {
    // A ledger that cannot be read is told of by its own check.
    let Ok(budgets) = budget_status::check(app) else {
        return Vec::new();
    };
    let mut findings: Vec<Finding> = budgets
        .reached()
        .iter()
        .map(|alert| {
            Finding::new("budget", Severity::Notice, alert.message()).mend(
                "`api-keys usage --group-by model` shows what costs most; limits are under [budget] in config.toml",
            )
        })
        .collect();
    if budgets.monthly.unpriced_requests > 0 {
        let requests = view::requests(budgets.monthly.unpriced_requests);
        let said = format!("nobody knows what {requests} of this month cost");
        findings.push(
            Finding::new("budget", Severity::Notice, said)
                .mend("`api-keys usage --group-by model` shows whose; give it a price as [[prices]] in config.toml"),
        );
    }
    if findings.is_empty() {
        let said = format!("{} of {} today", budgets.daily.spent, budgets.daily.limit);
        findings.push(Finding::good("budget", said));
    }
    findings
}

fn ledger(app: &App, is_deep: bool) -> Finding {
    let depth = if is_deep { Depth::Whole } else { Depth::Usual };
    match app.ledger().check(depth) {
        Err(error) => Finding::of("ledger", &error.into()),
        Ok(None) => Finding::good("ledger", "nothing is recorded yet"),
        Ok(Some(found)) => {
            let rest = if found.with_indexes {
                ""
            } else {
                "; its indexes were not looked through, which --deep does"
            };
            Finding::good(
                "ledger",
                format!(
                    "{} is whole: {} records in {} kB{rest}",
                    app.ledger().path().display(),
                    found.records,
                    found.bytes.div_ceil(1000)
                ),
            )
        }
    }
}

/// What a gateway that was killed has left, where not all of it could be read.
fn journals(app: &App) -> Vec<Finding> {
    let ledger = app.ledger();
    match ledger.replay().and_then(|_| ledger.damaged_journals()) {
        Err(error) => vec![Finding::of("ledger", &error.into())],
        Ok(names) => {
            let folder = app.settings().paths().data_folder();
            let found = |name: String| {
                let path = folder.join(name);
                Finding::new(
                    "ledger",
                    Severity::Wrong,
                    format!(
                        "{} could not be read to its end: what was readable is recorded, and what requests used after it is not",
                        path.display()
                    ),
                )
                .mend("compare the usage with the providers' own pages, and then remove the file")
            };
            names.into_iter().map(found).collect()
        }
    }
}

/// Whether those who may use the gateway are known, where there are any.
fn gateway_clients(app: &App) -> Option<Finding> {
    match app.clients().list() {
        Err(error) => Some(Finding::of("gateway", &error.into())),
        Ok(clients) if clients.is_empty() => None,
        Ok(clients) => Some(Finding::good(
            "gateway",
            format!("{} programs may use it: `api-keys client list`", clients.len()),
        )),
    }
}

/// Whether the clock can be right: expiry and grace depend on it.
fn clock(app: &App) -> Finding {
    let now = app.now();
    let latest = app
        .vault()
        .recent_audit(1)
        .ok()
        .and_then(|entries| entries.last().map(|entry| entry.at));
    let wrong = if now.as_second() < EARLIEST {
        Some(format!("it says {now}, before this program was written"))
    } else {
        latest
            .filter(|at| at.duration_since(now) > CLOCK_SLACK)
            .map(|at| format!("it says {now}, and the newest audit entry is of {at}"))
    };
    match wrong {
        Some(said) => Finding::new("clock", Severity::Wrong, said)
            .mend("set the clock: expiry dates and grace periods depend on it"),
        None => Finding::good("clock", "plausible"),
    }
}

fn stored_keys(app: &App, records: &[KeyRecord]) -> Vec<Finding> {
    let now = app.now();
    let mut findings: Vec<Finding> = records.iter().filter_map(|record| stored_key(record, now)).collect();
    if findings.is_empty() && !records.is_empty() {
        findings.push(Finding::good(
            "keys",
            format!("{} stored, none needs attention", records.len()),
        ));
    }
    findings
}

fn stored_key(record: &KeyRecord, now: Timestamp) -> Option<Finding> {
    let name = key_name::show(&record.provider, &record.label);
    let said = if let Some(notice) = record.expiry_notice(now) {
        format!("{name} {notice}")
    } else if record.active().is_some_and(|active| active.exposed) {
        format!("{name} passed through a chat")
    } else {
        return None;
    };
    Some(Finding::new("keys", Severity::Notice, said).mend(format!("`api-keys rotate {name}`")))
}

/// What the providers say of the keys right now: whether they can be reached, and whether the keys work.
fn providers(app: &App, caller: &Terminal) -> Result<Vec<Finding>> {
    let (reports, _) = wait(validation::validate_all(app, caller))?;
    let finding = |report: &ValidationReport| {
        let name = key_name::show(&report.provider.id, &report.label);
        let status = report.validation.status;
        let mend = match status {
            KeyStatus::Valid => return Finding::good("provider", format!("{name} works")),
            KeyStatus::Invalid | KeyStatus::Expired | KeyStatus::Malformed => format!("`api-keys rotate {name}`"),
            KeyStatus::NoCredit => "add credit or raise the limit in the provider's console".to_owned(),
            KeyStatus::Forbidden => {
                format!("allow it more in the provider's console, or `api-keys rotate {name}` to a key that may")
            }
            KeyStatus::RateLimited => "nothing to do: it works again when the provider lets it".to_owned(),
            KeyStatus::Unreachable => report.hint.clone().unwrap_or_else(|| {
                let provider = &report.provider.id;
                format!("check the network, and `base_url` of {provider} if it is configured")
            }),
        };
        let health = match status.is_valid() {
            Some(false) => Severity::Wrong,
            Some(true) | None => Severity::Notice,
        };
        Finding::new("provider", health, format!("{name}: {}", report.validation.message)).mend(mend)
    };
    Ok(reports.iter().map(finding).collect())
}

fn report(session: &Session, findings: &[Finding]) -> Result<ExitCode> {
    let ok = findings.iter().all(|finding| finding.health != Severity::Wrong);
    if session.console.is_json() {
        let findings: Vec<_> = findings
            .iter()
            .map(|finding| {
                let state = match finding.health {
                    Severity::Good => "ok",
                    Severity::Notice => "notice",
                    Severity::Wrong => "wrong",
                };
                json!({"check": finding.check, "state": state, "message": finding.said, "mend": finding.mend})
            })
            .collect();
        Console::json(&json!({"ok": ok, "findings": findings}))?;
    } else {
        session.console.view(&table(findings))?;
    }
    Ok(exit(if ok { Ending::Done } else { Ending::Failed }))
}

fn table(findings: &[Finding]) -> View {
    let rows = findings
        .iter()
        .map(|finding| {
            let state = match finding.health {
                Severity::Good => Cell::new(Tone::Good, "ok"),
                Severity::Notice => Cell::new(Tone::Attention, "notice"),
                Severity::Wrong => Cell::new(Tone::Bad, "wrong"),
            };
            vec![state, finding.check.into(), finding.said.as_str().into()]
        })
        .collect();
    let found = Block::Table {
        headers: vec!["STATE", "CHECK", "FOUND"],
        rows,
    };
    findings
        .iter()
        .filter_map(|finding| Some((finding, finding.mend.as_ref()?)))
        .map(|(finding, mend)| Block::Hint(format!("{}: {mend}", finding.check)))
        .fold(View::default().and(found), View::and)
}
