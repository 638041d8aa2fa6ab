//! Requests from agents' logs, taken in so that each counts once, whichever ways it came by.
//!
//! A request is recognized by its identity, which stands where other records have their request's id; by the provider's
//! own id; or by its model, counts and time. Of two records of one request the better source stays: what passed the
//! gateway, then a log, then what was reported. What goes leaves its names behind ([`Transaction::note_name`]), and its
//! part of the sums is taken back in the same transaction.

use std::cmp::Ordering;

use rusqlite::{OptionalExtension, params};

use super::{
    Ledger, LedgerResult, Survives, Transaction,
    additions::Totals,
    log_entries::{EntryRole, Fate, LogBatch, LogEntry},
    log_matching::Rivals,
    names::{NameId, SeriesId},
};
use crate::domain::{RecordedCost, UsageRecord, Usd};

/// What SQLite keeps of the database in memory while logs are taken in: their identities are spread over the whole index.
/// Negative, as SQLite counts KiB.
const CACHE_KIB: i64 = -16_384;

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

/// Says of two sessions whether the second owns a request that both have.
pub type OwnsRather<'a> = &'a dyn Fn(&str, &str) -> bool;

impl Ledger {
    /// Takes in what logs report; whole, or not at all.
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
    pub(super) fn decide(
        &mut self,
        rival: i64,
        provider: NameId,
        record: &UsageRecord,
        last: &mut u64,
    ) -> rusqlite::Result<Fate> {
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
    pub(super) fn remove(&mut self, id: i64, known: &UsageRecord) -> rusqlite::Result<()> {
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
