//! Requests from agents' logs, taken in so that each counts once, whichever ways it came by.
//!
//! A request is recognized by its identity, which stands where other records have their request's id; by the provider's
//! own id; or by its model, counts and time. Of two records of one request the better source stays: what passed the
//! gateway, then a log, then what was reported. What goes leaves its names behind ([`Transaction::note_name`]), and its
//! part of the sums is taken back in the same transaction.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    ops::AddAssign,
    path::{Path, PathBuf},
};

use rusqlite::{OptionalExtension, params};

use super::{
    Ledger, LedgerResult, Survives, Transaction,
    additions::Totals,
    names::{NameId, SeriesId},
};
use crate::domain::{RecordedCost, TokenCounts, UsageRecord, UsageSource, Usd};

/// How long before and after a log's line its request may have been recorded by others, in milliseconds.
const WINDOW_MS: i64 = 10 * 60 * 1000;

/// What SQLite keeps of the database in memory while logs are taken in: their identities are spread over the whole index.
/// Negative, as SQLite counts KiB.
const CACHE_KIB: i64 = -16_384;

/// A request from a log. Its identity is the record's `request_id`, and begins with the provider's id where the log has
/// that, and a colon.
#[derive(Debug, Clone)]
pub struct LogEntry {
    pub record: UsageRecord,
    /// The provider's own id of it.
    pub upstream_id: Option<String>,
    pub role: EntryRole,
}

/// What an entry is to the request that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryRole {
    Original,
    /// It may be a copy, which owns the request only where there is no original.
    Copy,
    /// It is another's: should it have been counted, it is taken back.
    NotOurs,
}

/// What a session had used in all when it was last read, and what that cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogCounter {
    pub counts: TokenCounts,
    pub cost: Usd,
}

/// Up to where a log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogPosition {
    pub device: u64,
    pub inode: u64,
    pub size: u64,
    /// In nanoseconds since 1970.
    pub modified: i64,
    /// Where reading goes on; 0 where it is read whole.
    pub read_to: u64,
    pub checksum: u32,
}

/// What one transaction takes in.
#[derive(Debug, Default)]
pub struct LogBatch {
    pub entries: Vec<LogEntry>,
    /// Counters as they are then: the agent, the session.
    pub counters: Vec<((String, String), LogCounter)>,
    /// The files that are read once `entries` are taken in.
    pub files: Vec<(PathBuf, LogPosition)>,
}

/// What becomes of a request from a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    New,
    /// More is known of it now.
    Updated,
    /// Nothing is new about it.
    Known,
    /// It passed the gateway, and was recorded there.
    Covered,
    /// It was reported, and is now recorded as the log has it.
    Replaces,
    /// It was counted, and turned out to be another's.
    TakenBack,
}

impl From<Fate> for Imported {
    fn from(fate: Fate) -> Self {
        let mut one = Self::default();
        *match fate {
            Fate::New => &mut one.new,
            Fate::Updated => &mut one.updated,
            Fate::Known => &mut one.known,
            Fate::Covered => &mut one.covered,
            Fate::Replaces => &mut one.replaced,
            Fate::TakenBack => &mut one.taken_back,
        } = 1;
        one
    }
}

/// What became of requests from logs: how many met each [`Fate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    pub new: u64,
    pub updated: u64,
    pub known: u64,
    pub covered: u64,
    pub replaced: u64,
    pub taken_back: u64,
}

impl AddAssign for Imported {
    fn add_assign(&mut self, other: Self) {
        self.new += other.new;
        self.updated += other.updated;
        self.known += other.known;
        self.covered += other.covered;
        self.replaced += other.replaced;
        self.taken_back += other.taken_back;
    }
}

/// A record by another source that may be of the same request as an entry.
struct Rival {
    id: i64,
    at: i64,
    series: SeriesId,
    is_reported: bool,
    cache_read: u64,
}

/// What is kept while a batch is taken in.
struct ImportState {
    rivals: Rivals,
    /// The last number that was given to a record.
    last: u64,
    /// Whether requests have other names than their records say.
    has_names: bool,
}

/// What decides whether an entry adds anything to a record that is there.
struct KnownState {
    id: i64,
    at: i64,
    session: NameId,
    series: SeriesId,
    size: [u64; 5],
    cost: Option<i64>,
}

/// Records of other sources by their input and output.
type Rivals = BTreeMap<(u64, u64), Vec<Rival>>;

/// Says of two sessions whether the second owns a request that both have.
pub type OwnsRather<'a> = &'a dyn Fn(&str, &str) -> bool;

impl Ledger {
    /// Takes in what logs tell; whole, or not at all.
    ///
    /// `dry` only says what would become of it.
    pub fn import(&self, batch: &LogBatch, owns_rather: OwnsRather<'_>, dry: bool) -> LedgerResult<Vec<Fate>> {
        let mut fates = None;
        let done = self.write(Survives::Kill, |transaction| {
            let decided = transaction.import(batch, owns_rather)?;
            if dry {
                fates = Some(decided);
                // A dry run is rolled back.
                return Err(rusqlite::Error::StatementChangedRows(0));
            }
            Ok(decided)
        });
        match fates {
            Some(fates) => Ok(fates),
            None => done,
        }
    }

    /// What each session had used in all when it was last read.
    pub fn log_counters(&self, agent: &str) -> LedgerResult<BTreeMap<String, LogCounter>> {
        self.read(|transaction| {
            let mut statement = transaction.sql.prepare_cached(
                "SELECT session, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, cost
                 FROM log_counter WHERE agent = ?1",
            )?;
            let rows = statement.query_map([agent], |row| {
                let counts = TokenCounts {
                    input: row.get(1)?,
                    output: row.get(2)?,
                    cache_read: row.get(3)?,
                    cache_write: row.get(4)?,
                    cache_write_1h: 0,
                    reasoning: row.get(5)?,
                };
                let cost = Usd::from_nano(row.get(6)?);
                Ok((row.get(0)?, LogCounter { counts, cost }))
            })?;
            rows.collect()
        })
    }

    /// Compares what was recorded since the last time with what logs had reported before.
    pub fn compare_with_logs(&self) -> LedgerResult<Imported> {
        let is_due = self.read(|transaction| {
            let is_due = transaction.has_uncompared()?;
            Ok(is_due && !transaction.series_of(false)?.is_empty())
        })?;
        if !is_due {
            return Ok(Imported::default());
        }
        self.write(Survives::Kill, |transaction| {
            let imported = transaction.compare_with_logs()?;
            transaction.all_compared()?;
            Ok(imported)
        })
    }

    /// Up to where each log is read.
    pub fn log_positions(&self) -> LedgerResult<HashMap<OsString, LogPosition>> {
        self.read(|transaction| {
            let mut statement = transaction
                .sql
                .prepare_cached("SELECT path, device, inode, size, modified, read_to, checksum FROM log_file")?;
            let rows = statement.query_map([], |row| {
                let path: Vec<u8> = row.get(0)?;
                let unsigned = |number: i64| number.cast_unsigned();
                let position = LogPosition {
                    device: unsigned(row.get(1)?),
                    inode: unsigned(row.get(2)?),
                    size: unsigned(row.get(3)?),
                    modified: row.get(4)?,
                    read_to: unsigned(row.get(5)?),
                    checksum: row.get(6)?,
                };
                Ok((path_of(path).into_os_string(), position))
            })?;
            rows.collect()
        })
    }
}

impl Transaction<'_> {
    fn import(&mut self, batch: &LogBatch, owns_rather: OwnsRather<'_>) -> rusqlite::Result<Vec<Fate>> {
        self.sql.pragma_update(None, "cache_size", CACHE_KIB)?;
        // Whatever others recorded up to now has been held against earlier logs; here it is held against these.
        self.compare_with_logs()?;
        let last = self.sql.query_row("SELECT records FROM meta", [], |row| row.get(0))?;
        let mut state = ImportState {
            rivals: self.rivals(&batch.entries)?,
            last,
            has_names: self
                .sql
                .query_row("SELECT EXISTS (SELECT 1 FROM same_request)", [], |row| row.get(0))?,
        };
        // As they were read: sorted by identity, two of three indexes would be written all over.
        let mut fates = Vec::with_capacity(batch.entries.len());
        for entry in &batch.entries {
            fates.push(self.take_in(entry, &mut state, owns_rather)?);
        }
        self.sql
            .prepare_cached("UPDATE meta SET records = ?1 WHERE records <> ?1")?
            .execute([state.last])?;
        self.add_up()?;
        self.all_compared()?;
        for (path, position) in &batch.files {
            self.set_log_position(path, position)?;
        }
        for ((agent, session), counter) in &batch.counters {
            self.set_log_counter(agent, session, counter)?;
        }
        Ok(fates)
    }

    fn take_in(
        &mut self,
        entry: &LogEntry,
        state: &mut ImportState,
        owns_rather: OwnsRather<'_>,
    ) -> rusqlite::Result<Fate> {
        let record = &entry.record;
        let identity = record.request_id.as_deref().unwrap_or_default();
        let provider = self.names.of(self.sql, record.model.provider.as_str())?;
        let known = self.known_state(provider, identity)?;
        let other_name = match &known {
            None if state.has_names => self.find_other_name(provider, identity)?,
            None | Some(_) => None,
        };
        let id = known.as_ref().map(|known| known.id).or(other_name);
        if entry.role == EntryRole::NotOurs {
            return self.take_back_copy(id);
        }
        if let Some(known) = known
            && self.adds_nothing(&known, entry, owns_rather)?
        {
            return Ok(Fate::Known);
        }
        if let Some(id) = id {
            return self.meet_again(id, entry, owns_rather);
        }
        if let Some(rival) = self.rival_of(provider, entry, &mut state.rivals)? {
            state.has_names = true;
            return self.decide(rival, provider, record, &mut state.last);
        }
        self.insert_new(record, provider, &mut state.last)?;
        Ok(Fate::New)
    }

    /// What the record with that identity says, without the rest of it.
    fn known_state(&self, provider: NameId, identity: &str) -> rusqlite::Result<Option<KnownState>> {
        self.sql
            .prepare_cached(
                "SELECT id, at, session, series, output_tokens, input_tokens, cache_read_tokens, cache_write_tokens,
                    reasoning_tokens, cost FROM record WHERE provider = ?1 AND request_id = ?2",
            )?
            .query_row(params![provider, identity], |row| {
                Ok(KnownState {
                    id: row.get(0)?,
                    at: row.get(1)?,
                    session: row.get(2)?,
                    series: row.get(3)?,
                    size: [row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?, row.get(8)?],
                    cost: row.get(9)?,
                })
            })
            .optional()
    }

    /// Whether an entry is the same state of the same request in the same session, or a copy of it: most that is met
    /// again is, and need not be read whole.
    fn adds_nothing(
        &mut self,
        known: &KnownState,
        entry: &LogEntry,
        owns_rather: OwnsRather<'_>,
    ) -> rusqlite::Result<bool> {
        let record = &entry.record;
        if size(record) != known.size
            || record.at.as_millisecond() < known.at
            || record.cost.usd().map(Usd::nano) != known.cost
        {
            return Ok(false);
        }
        let session = self.names.of_maybe(self.sql, record.session.as_deref())?;
        if session != known.session {
            let owner = self.names.text(self.sql, known.session)?;
            return Ok(match (owner, &record.session) {
                (Some(owner), Some(other)) => entry.role == EntryRole::Copy || !owns_rather(&owner, other),
                (Some(_) | None, Some(_) | None) => false,
            });
        }
        Ok(self.names.series_of(self.sql, record)?.0 == known.series)
    }

    /// What was counted as a log's own request, and is another's, goes.
    fn take_back_copy(&mut self, known: Option<i64>) -> rusqlite::Result<Fate> {
        let Some(id) = known else { return Ok(Fate::Known) };
        match self.record_of(id)? {
            Some(record) if record.source.is_log() => {
                self.remove(id, &record)?;
                Ok(Fate::TakenBack)
            }
            Some(_) | None => Ok(Fate::Known),
        }
    }

    /// A record with the entry's identity is there: the larger state of both stays.
    fn meet_again(&mut self, id: i64, entry: &LogEntry, owns_rather: OwnsRather<'_>) -> rusqlite::Result<Fate> {
        // It was pruned, or has another name.
        let Some(known) = self.record_of(id)? else {
            return Ok(Fate::Known);
        };
        if !known.source.is_log() {
            return Ok(Fate::Known);
        }
        let new = &entry.record;
        let mut merged = match compare(new, &known) {
            Ordering::Greater => new.clone(),
            Ordering::Equal if new.at < known.at => new.clone(),
            Ordering::Equal | Ordering::Less => known.clone(),
        };
        // One transcript owns it, whichever has the larger state.
        let is_owner = match (known.session.as_deref(), new.session.as_deref()) {
            (Some(before), Some(now)) if before != now => entry.role == EntryRole::Original && owns_rather(before, now),
            _ => true,
        };
        let owner = if is_owner { new } else { &known };
        merged.session = owner.session.clone().or(merged.session);
        merged.project = owner.project.clone().or(merged.project);
        if merged == known {
            return Ok(Fate::Known);
        }
        self.replace(id, &known, &merged)?;
        Ok(Fate::Updated)
    }

    /// Of a log's entry and the record of another source, the better one stays.
    fn decide(&mut self, rival: i64, provider: NameId, record: &UsageRecord, last: &mut u64) -> rusqlite::Result<Fate> {
        let Some(known) = self.record_of(rival)? else {
            return Ok(Fate::Known);
        };
        let identity = record.request_id.as_deref().unwrap_or_default();
        if known.source.rank(&known.cost) >= record.source.rank(&record.cost) {
            // What the better source does not say, the log does.
            let mut merged = UsageRecord {
                agent: known.agent.clone().or_else(|| record.agent.clone()),
                session: known.session.clone().or_else(|| record.session.clone()),
                project: known.project.clone().or_else(|| record.project.clone()),
                ..known.clone()
            };
            if matches!(known.cost, RecordedCost::Estimated { .. }) && record.tokens != known.tokens {
                merged.tokens = record.tokens;
                merged.cost = record.cost.clone();
            }
            if merged != known {
                self.replace(rival, &known, &merged)?;
            }
            self.note_name(provider, identity, rival)?;
            return Ok(Fate::Covered);
        }
        self.remove(rival, &known)?;
        let id = self.insert_new(&with_marks_of(record, &known), provider, last)?;
        if let Some(name) = &known.request_id {
            self.note_name(provider, name, id)?;
        }
        self.rename(rival, id)?;
        Ok(Fate::Replaces)
    }

    /// Inserts a record with the number after `last`, which is then the last one.
    fn insert_new(&mut self, record: &UsageRecord, provider: NameId, last: &mut u64) -> rusqlite::Result<i64> {
        let (series_id, series) = self.names.series_of(self.sql, record)?;
        *last += 1;
        let id = *last;
        self.insert_as(id, record, series_id, provider)?;
        self.additions
            .add(record.at, series_id, series.client, Totals::of(record));
        Ok(id.cast_signed())
    }

    /// The record that a request's name stands for; 0 for one that was pruned.
    pub(super) fn find_request(&self, provider: NameId, request_id: &str) -> rusqlite::Result<Option<i64>> {
        let found = self
            .sql
            .prepare_cached("SELECT id FROM record WHERE provider = ?1 AND request_id = ?2")?
            .query_row(params![provider, request_id], |row| row.get(0))
            .optional()?;
        if found.is_some() {
            return Ok(found);
        }
        self.find_other_name(provider, request_id)
    }

    /// The record that another name of a request stands for; 0 for one that was pruned.
    fn find_other_name(&self, provider: NameId, request_id: &str) -> rusqlite::Result<Option<i64>> {
        self.sql
            .prepare_cached("SELECT record FROM same_request WHERE provider = ?1 AND request_id = ?2")?
            .query_row(params![provider, request_id], |row| row.get(0))
            .optional()
    }

    /// Another name of the request that is recorded as `id`.
    fn note_name(&self, provider: NameId, request_id: &str, id: i64) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached("INSERT OR REPLACE INTO same_request VALUES (?1, ?2, ?3)")?
            .execute(params![provider, request_id, id])
            .map(drop)
    }

    /// The names of `from` are names of `to`.
    fn rename(&self, from: i64, to: i64) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached("UPDATE same_request SET record = ?2 WHERE record = ?1 AND record <> 0")?
            .execute([from, to])
            .map(drop)
    }

    /// The record that a log, or the gateway, has of the request that the provider calls `id`.
    pub(super) fn find_upstream(&self, provider: NameId, id: &str) -> rusqlite::Result<Option<i64>> {
        let found = self
            .sql
            .prepare_cached("SELECT id FROM record WHERE provider = ?1 AND upstream_id = ?2")?
            .query_row(params![provider, id], |row| row.get(0))
            .optional()?;
        if found.is_some() {
            return Ok(found);
        }
        self.find_logged(provider, id)
    }

    /// The record of the log's entry whose identity begins with the provider's id.
    fn find_logged(&self, provider: NameId, id: &str) -> rusqlite::Result<Option<i64>> {
        self.sql
            .prepare_cached(
                "SELECT id FROM record WHERE provider = ?1 AND request_id >= ?2 || ':' AND request_id < ?2 || ';'",
            )?
            .query_row(params![provider, id], |row| row.get(0))
            .optional()
    }

    /// Records of other sources from about the time of `entries`.
    fn rivals(&mut self, entries: &[LogEntry]) -> rusqlite::Result<Rivals> {
        let times = entries.iter().map(|entry| entry.record.at.as_millisecond());
        let mut rivals = Rivals::new();
        let (Some(first), Some(last)) = (times.clone().min(), times.max()) else {
            return Ok(rivals);
        };
        let sources = self.series_of(false)?;
        if sources.is_empty() {
            return Ok(rivals);
        }
        let mut statement = self.sql.prepare_cached(
            "SELECT id, at, series, cache_read_tokens, input_tokens, output_tokens FROM record
             WHERE at >= ?1 AND at <= ?2
                AND NOT EXISTS (SELECT 1 FROM same_request WHERE same_request.record = record.id AND record <> 0)",
        )?;
        let mut rows = statement.query([first - WINDOW_MS, last + WINDOW_MS])?;
        while let Some(row) = rows.next()? {
            let series: SeriesId = row.get(2)?;
            if let Some(source) = sources.get(&series) {
                let rival = Rival {
                    id: row.get(0)?,
                    at: row.get(1)?,
                    series,
                    is_reported: *source == UsageSource::Reported,
                    cache_read: row.get(3)?,
                };
                rivals.entry((row.get(4)?, row.get(5)?)).or_default().push(rival);
            }
        }
        Ok(rivals)
    }

    /// The series whose requests logs reported, or those of all other sources.
    fn series_of(&mut self, is_log: bool) -> rusqlite::Result<BTreeMap<SeriesId, UsageSource>> {
        let mut found = BTreeMap::new();
        for source in UsageSource::ALL.into_iter().filter(|source| source.is_log() == is_log) {
            if let Some(name) = self.names.find(self.sql, source.as_str())? {
                let mut statement = self.sql.prepare_cached("SELECT id FROM series WHERE source = ?1")?;
                let mut rows = statement.query([name])?;
                while let Some(row) = rows.next()? {
                    found.insert(row.get(0)?, source);
                }
            }
        }
        Ok(found)
    }

    /// The record of another source that is of the same request: by the provider's id, else by model, counts and time.
    fn rival_of(&mut self, provider: NameId, entry: &LogEntry, rivals: &mut Rivals) -> rusqlite::Result<Option<i64>> {
        if rivals.is_empty() {
            return Ok(None);
        }
        if let Some(upstream) = &entry.upstream_id {
            let mut by_id = self.sql.prepare_cached(
                "SELECT id, input_tokens, output_tokens FROM record WHERE provider = ?1 AND upstream_id = ?2
                 UNION ALL
                 SELECT id, input_tokens, output_tokens FROM record WHERE provider = ?1 AND request_id = ?2",
            )?;
            let mut rows = by_id.query(params![provider, upstream])?;
            while let Some(row) = rows.next()? {
                let id: i64 = row.get(0)?;
                if let Some(alike) = rivals.get_mut(&(row.get(1)?, row.get(2)?))
                    && let Some(at) = alike.iter().position(|rival| rival.id == id)
                {
                    alike.swap_remove(at);
                    return Ok(Some(id));
                }
            }
        }
        let record = &entry.record;
        let (at, tokens) = (record.at.as_millisecond(), &record.tokens);
        let Some(alike) = rivals.get_mut(&(tokens.input(), tokens.output())) else {
            return Ok(None);
        };
        let mut nearest: Option<(usize, i64)> = None;
        for (index, rival) in alike.iter().enumerate() {
            let away = (rival.at - at).abs();
            // Cached input is not always reported.
            let is_alike = rival.cache_read == tokens.cache_read() || (rival.is_reported && rival.cache_read == 0);
            if away <= WINDOW_MS
                && is_alike
                && nearest.is_none_or(|(_, least)| away < least)
                && self.is_same_model(provider, rival.series, record)?
            {
                nearest = Some((index, away));
            }
        }
        Ok(nearest.map(|(index, _)| alike.swap_remove(index).id))
    }

    /// Whether a series is of the record's model, which one of both may call by a longer name, with its date.
    fn is_same_model(&mut self, provider: NameId, series: SeriesId, record: &UsageRecord) -> rusqlite::Result<bool> {
        let series = self.names.series(self.sql, series)?;
        if series.provider != provider {
            return Ok(false);
        }
        let known = self.names.text(self.sql, series.model)?.unwrap_or_default();
        let model = record.model.model.as_str();
        Ok(known.starts_with(model) || model.starts_with(&known))
    }

    fn set_log_position(&self, path: &Path, position: &LogPosition) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached("INSERT OR REPLACE INTO log_file VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![
                path.as_os_str().as_encoded_bytes(),
                position.device.cast_signed(),
                position.inode.cast_signed(),
                position.size.cast_signed(),
                position.modified,
                position.read_to.cast_signed(),
                position.checksum,
            ])
            .map(drop)
    }

    fn set_log_counter(&self, agent: &str, session: &str, counter: &LogCounter) -> rusqlite::Result<()> {
        let counts = &counter.counts;
        self.sql
            .prepare_cached("INSERT OR REPLACE INTO log_counter VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
            .execute(params![
                agent,
                session,
                counts.input.cast_signed(),
                counts.output.cast_signed(),
                counts.cache_read.cast_signed(),
                counts.cache_write.cast_signed(),
                counts.reasoning.cast_signed(),
                counter.cost.nano(),
            ])
            .map(drop)
    }

    fn has_uncompared(&mut self) -> rusqlite::Result<bool> {
        let mut is_due = self.sql.prepare_cached("SELECT compared < records FROM meta")?;
        is_due.query_row([], |row| row.get(0))
    }

    fn all_compared(&self) -> rusqlite::Result<()> {
        let mut done = self
            .sql
            .prepare_cached("UPDATE meta SET compared = records WHERE compared <> records")?;
        done.execute([]).map(drop)
    }

    /// Holds each record of another source since the last time against those from logs.
    fn compare_with_logs(&mut self) -> rusqlite::Result<Imported> {
        let mut imported = Imported::default();
        if !self.has_uncompared()? {
            return Ok(imported);
        }
        let others = self.series_of(false)?;
        if others.is_empty() || self.series_of(true)?.is_empty() {
            return Ok(imported);
        }
        let fresh: Vec<(i64, SeriesId)> = self
            .sql
            .prepare_cached(
                "SELECT id, series FROM record WHERE id > (SELECT compared FROM meta)
                    AND NOT EXISTS (SELECT 1 FROM same_request WHERE same_request.record = record.id AND record <> 0)",
            )?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let mut last = self.sql.query_row("SELECT records FROM meta", [], |row| row.get(0))?;
        for (id, _) in fresh.iter().filter(|(_, series)| others.contains_key(series)) {
            let Some(record) = self.record_of(*id)? else { continue };
            let provider = self.names.of(self.sql, record.model.provider.as_str())?;
            let Some(logged) = self.logged_as(provider, &record)? else {
                continue;
            };
            let Some(entry) = self.record_of(logged)? else { continue };
            self.remove(logged, &entry)?;
            match self.decide(*id, provider, &entry, &mut last)? {
                Fate::Covered => imported.covered += 1,
                Fate::Replaces => imported.replaced += 1,
                Fate::New | Fate::Updated | Fate::Known | Fate::TakenBack => {}
            }
        }
        self.sql
            .execute("UPDATE meta SET records = ?1 WHERE records <> ?1", [last])?;
        self.add_up()?;
        Ok(imported)
    }

    /// The record from a log that is of the same request as `record`.
    fn logged_as(&mut self, provider: NameId, record: &UsageRecord) -> rusqlite::Result<Option<i64>> {
        let ids = [record.upstream_id.as_deref(), record.request_id.as_deref()];
        for id in ids.into_iter().flatten() {
            let found = self.find_logged(provider, id)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        let (at, tokens) = (record.at.as_millisecond(), &record.tokens);
        let candidates: Vec<(i64, SeriesId, u64)> = self
            .sql
            .prepare_cached(
                "SELECT id, series, cache_read_tokens FROM record
                 WHERE at >= ?1 AND at <= ?2 AND input_tokens = ?3 AND output_tokens = ?4 ORDER BY abs(at - ?5)",
            )?
            .query_map(
                params![at - WINDOW_MS, at + WINDOW_MS, tokens.input(), tokens.output(), at],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )?
            .collect::<rusqlite::Result<_>>()?;
        for (id, series, cache_read) in candidates {
            let known = self.names.series(self.sql, series)?;
            let source = self.names.text(self.sql, known.source)?;
            let is_log = UsageSource::ALL
                .into_iter()
                .any(|it| it.is_log() && source.as_deref() == Some(it.as_str()));
            let is_alike = record.source == UsageSource::Reported || cache_read == tokens.cache_read();
            if is_log && is_alike && self.is_same_model(provider, series, record)? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Writes `new` over the record `id`, which is `known`.
    fn replace(&mut self, id: i64, known: &UsageRecord, new: &UsageRecord) -> rusqlite::Result<()> {
        self.remove(id, known)?;
        let (series_id, series) = self.names.series_of(self.sql, new)?;
        let provider = self.names.of(self.sql, new.model.provider.as_str())?;
        self.insert_as(id.cast_unsigned(), new, series_id, provider)?;
        self.additions.add(new.at, series_id, series.client, Totals::of(new));
        Ok(())
    }

    /// Removes the record `id`, which is `known`, with its part of the sums.
    fn remove(&mut self, id: i64, known: &UsageRecord) -> rusqlite::Result<()> {
        let (series_id, series) = self.names.series_of(self.sql, known)?;
        self.additions
            .subtract(known.at, series_id, series.client, Totals::of(known));
        let mut delete = self.sql.prepare_cached("DELETE FROM record WHERE id = ?1")?;
        delete.execute([id]).map(drop)
    }
}

/// How much was used: of two states of a request the larger is the later one.
fn size(record: &UsageRecord) -> [u64; 5] {
    let tokens = &record.tokens;
    [
        tokens.output(),
        tokens.input(),
        tokens.cache_read(),
        tokens.cache_write(),
        tokens.reasoning(),
    ]
}

/// Compares two states of a request. One of equal size costs more at the same price if it counts more searches.
fn compare(one: &UsageRecord, other: &UsageRecord) -> Ordering {
    let by_cost = || match (one.cost.price(), other.cost.price()) {
        (Some(price), Some(same)) if price == same => one.cost.usd().cmp(&other.cost.usd()),
        (Some(_) | None, Some(_) | None) => Ordering::Equal,
    };
    size(one).cmp(&size(other)).then_with(by_cost)
}

/// The log's record with what only a person knows of the request.
fn with_marks_of(record: &UsageRecord, reported: &UsageRecord) -> UsageRecord {
    UsageRecord {
        label: reported.label.clone(),
        task: reported.task,
        project: reported.project.clone().or_else(|| record.project.clone()),
        session: record.session.clone().or_else(|| reported.session.clone()),
        ..record.clone()
    }
}

#[cfg(unix)]
fn path_of(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(not(unix))]
fn path_of(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}
