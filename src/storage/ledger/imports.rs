//! Requests from agents' logs, taken in so that each counts once, whichever ways it came by.
//!
//! A request is recognized by its identity, which stands where other records have their request's id; by the provider's
//! own id; or by its model, counts and time. Of two records of one request the better source stays: what passed the
//! gateway, then a log, then what was reported. What goes leaves its names behind ([`Transaction::note_name`]), and its
//! part of the sums is taken back in the same transaction.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rusqlite::{OptionalExtension, params};

use super::{
    Ledger, LedgerResult, Survives, Transaction,
    names::{NameId, SeriesId},
    totals::Totals,
};
use crate::domain::{RecordedCost, UsageRecord, UsageSource};

/// How long before and after a log's line its request may have been recorded by others, in milliseconds.
const WINDOW: i64 = 10 * 60 * 1000;

/// A request from a log. Its identity is the record's `request_id`.
#[derive(Debug, Clone)]
pub struct LogEntry {
    pub record: UsageRecord,
    /// Whether it may be a copy, which owns the request only where there is no original.
    pub is_copy: bool,
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
    /// The files that are read once `entries` are taken in.
    pub files: Vec<(PathBuf, LogPosition)>,
}

/// What became of requests from logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    pub new: u64,
    /// More is known of them now.
    pub updated: u64,
    /// Nothing is new about them.
    pub known: u64,
    /// They passed the gateway, and were recorded there.
    pub covered: u64,
    /// They were reported, and are now recorded as the log has them.
    pub replaced: u64,
}

/// A record by another source that may be of the same request as an entry.
struct Rival {
    id: i64,
    at: i64,
    series: SeriesId,
    source: UsageSource,
    counts: [u64; 3],
}

/// Says of two sessions whether the second owns a request that both have.
pub type OwnsRather<'a> = &'a dyn Fn(&str, &str) -> bool;

impl Ledger {
    /// Takes in what logs tell; whole, or not at all.
    ///
    /// `dry` only says what would become of it.
    pub fn import(&self, batch: &LogBatch, owns_rather: OwnsRather<'_>, dry: bool) -> LedgerResult<Imported> {
        let mut imported = Imported::default();
        let done = self.write(Survives::Kill, |transaction| {
            imported = transaction.import(batch, owns_rather)?;
            if dry {
                // Rolls it back.
                return Err(rusqlite::Error::StatementChangedRows(0));
            }
            Ok(())
        });
        match done {
            Err(_) if dry && imported != Imported::default() => Ok(imported),
            done => done.map(|()| imported),
        }
    }

    /// Compares what was recorded since the last time with what logs had told before.
    pub fn compare_with_logs(&self) -> LedgerResult<Imported> {
        let is_due = self.read(|transaction| transaction.has_uncompared())?;
        if !is_due {
            return Ok(Imported::default());
        }
        self.write(Survives::Kill, Transaction::compare_with_logs)
    }

    /// Up to where each log is read.
    pub fn log_positions(&self) -> LedgerResult<BTreeMap<PathBuf, LogPosition>> {
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
                Ok((path_of(path), position))
            })?;
            rows.collect()
        })
    }
}

impl Transaction<'_> {
    fn import(&mut self, batch: &LogBatch, owns_rather: OwnsRather<'_>) -> rusqlite::Result<Imported> {
        let mut imported = Imported::default();
        let mut rivals = self.rivals(&batch.entries)?;
        for entry in &batch.entries {
            let count = match self.take_in(entry, &mut rivals, owns_rather)? {
                Fate::New => &mut imported.new,
                Fate::Updated => &mut imported.updated,
                Fate::Known => &mut imported.known,
                Fate::Covered => &mut imported.covered,
                Fate::Replaces => &mut imported.replaced,
            };
            *count += 1;
        }
        self.add_up()?;
        for (path, position) in &batch.files {
            self.set_log_position(path, position)?;
        }
        Ok(imported)
    }

    fn take_in(&mut self, entry: &LogEntry, rivals: &mut Vec<Rival>, owns_rather: OwnsRather<'_>) -> rusqlite::Result<Fate> {
        let record = &entry.record;
        let identity = record.request_id.as_deref().unwrap_or_default();
        let provider = self.names.of(self.sql, record.model.provider.as_str())?;
        if let Some(id) = self.find_request(provider, identity)? {
            return self.meet_again(id, entry, owns_rather);
        }
        if let Some(rival) = self.rival_of(provider, record, rivals)? {
            return self.decide(&rival, provider, record);
        }
        self.insert_new(record, provider)?;
        Ok(Fate::New)
    }

    /// A record with the entry's identity is there: the larger state of both stays.
    fn meet_again(&mut self, id: i64, entry: &LogEntry, owns_rather: OwnsRather<'_>) -> rusqlite::Result<Fate> {
        // It was pruned, or has another name.
        let Some(known) = self.record_of(id)? else { return Ok(Fate::Known) };
        if !known.source.is_log() {
            return Ok(Fate::Known);
        }
        let new = &entry.record;
        let size = |it: &UsageRecord| {
            let tokens = &it.tokens;
            [tokens.output(), tokens.input(), tokens.cache_read(), tokens.cache_write(), tokens.reasoning()]
        };
        let mut merged = if size(new) > size(&known) || (size(new) == size(&known) && new.at < known.at) {
            new.clone()
        } else {
            known.clone()
        };
        // One transcript owns it, whichever has the larger state.
        let is_owner = match (known.session.as_deref(), new.session.as_deref()) {
            (Some(before), Some(now)) if before != now => owns_rather(before, now),
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
    fn decide(&mut self, rival: &Rival, provider: NameId, record: &UsageRecord) -> rusqlite::Result<Fate> {
        let Some(known) = self.record_of(rival.id)? else { return Ok(Fate::Known) };
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
                self.replace(rival.id, &known, &merged)?;
            }
            self.note_name(provider, identity, rival.id)?;
            return Ok(Fate::Covered);
        }
        self.remove(rival.id, &known)?;
        let id = self.insert_new(&with_marks_of(record, &known), provider)?;
        if let Some(name) = &known.request_id {
            self.note_name(provider, name, id)?;
        }
        self.rename(rival.id, id)?;
        Ok(Fate::Replaces)
    }

    fn insert_new(&mut self, record: &UsageRecord, provider: NameId) -> rusqlite::Result<i64> {
        let (series_id, series) = self.names.series_of(self.sql, record)?;
        let id = self.insert(record, series_id, provider)?;
        self.additions.add(record.at, series_id, series.client, Totals::of(record));
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

    /// Records of other sources from about the time of `entries`.
    fn rivals(&mut self, entries: &[LogEntry]) -> rusqlite::Result<Vec<Rival>> {
        let times = entries.iter().map(|entry| entry.record.at.as_millisecond());
        let (Some(first), Some(last)) = (times.clone().min(), times.max()) else {
            return Ok(Vec::new());
        };
        let sources = self.other_series()?;
        if sources.is_empty() {
            return Ok(Vec::new());
        }
        let mut statement = self.sql.prepare_cached(
            "SELECT id, at, series, input_tokens, output_tokens, cache_read_tokens FROM record
             WHERE at >= ?1 AND at <= ?2 AND NOT EXISTS (SELECT 1 FROM same_request WHERE same_request.record = record.id
                AND same_request.record <> 0)",
        )?;
        let mut rows = statement.query([first - WINDOW, last + WINDOW])?;
        let mut rivals = Vec::new();
        while let Some(row) = rows.next()? {
            let series: SeriesId = row.get(2)?;
            if let Some(source) = sources.get(&series) {
                rivals.push(Rival {
                    id: row.get(0)?,
                    at: row.get(1)?,
                    series,
                    source: *source,
                    counts: [row.get(3)?, row.get(4)?, row.get(5)?],
                });
            }
        }
        Ok(rivals)
    }

    /// The series whose requests no log told of.
    fn other_series(&mut self) -> rusqlite::Result<BTreeMap<SeriesId, UsageSource>> {
        let mut found = BTreeMap::new();
        for source in UsageSource::ALL.into_iter().filter(|source| !source.is_log()) {
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
    fn rival_of(&mut self, provider: NameId, record: &UsageRecord, rivals: &mut Vec<Rival>) -> rusqlite::Result<Option<Rival>> {
        if rivals.is_empty() {
            return Ok(None);
        }
        if let Some(upstream) = &record.upstream_id {
            let by_id = self
                .sql
                .prepare_cached("SELECT id FROM record WHERE provider = ?1 AND (upstream_id = ?2 OR request_id = ?2)")?
                .query_row(params![provider, upstream], |row| row.get::<_, i64>(0))
                .optional()?;
            if let Some(at) = by_id.and_then(|id| rivals.iter().position(|rival| rival.id == id)) {
                return Ok(Some(rivals.swap_remove(at)));
            }
        }
        let (at, tokens) = (record.at.as_millisecond(), &record.tokens);
        let counts = [tokens.input(), tokens.output(), tokens.cache_read()];
        let mut nearest: Option<(usize, i64)> = None;
        for (index, rival) in rivals.iter().enumerate() {
            let away = (rival.at - at).abs();
            if away <= WINDOW
                && rival.has_counts(counts)
                && nearest.is_none_or(|(_, least)| away < least)
                && self.is_same_model(provider, rival.series, record)?
            {
                nearest = Some((index, away));
            }
        }
        Ok(nearest.map(|(index, _)| rivals.swap_remove(index)))
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

    fn has_uncompared(&mut self) -> rusqlite::Result<bool> {
        let mut is_due = self.sql.prepare_cached("SELECT compared < records FROM meta")?;
        is_due.query_row([], |row| row.get(0))
    }

    /// Holds each record of another source since the last time against those from logs.
    fn compare_with_logs(&mut self) -> rusqlite::Result<Imported> {
        let others = self.other_series()?;
        let mut imported = Imported::default();
        let fresh: Vec<(i64, SeriesId)> = self
            .sql
            .prepare_cached("SELECT id, series FROM record WHERE id > (SELECT compared FROM meta)")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (id, _) in fresh.iter().filter(|(_, series)| others.contains_key(series)) {
            let Some(record) = self.record_of(*id)? else { continue };
            let provider = self.names.of(self.sql, record.model.provider.as_str())?;
            let Some(logged) = self.logged_as(provider, &record)? else { continue };
            let Some(entry) = self.record_of(logged)? else { continue };
            let rival = Rival {
                id: *id,
                at: record.at.as_millisecond(),
                series: 0,
                source: record.source,
                counts: [0; 3],
            };
            self.remove(logged, &entry)?;
            self.decide(&rival, provider, &entry)?;
            match record.source {
                UsageSource::Gateway => imported.covered += 1,
                UsageSource::Reported | UsageSource::Log | UsageSource::CumulativeLog => imported.replaced += 1,
            }
        }
        self.add_up()?;
        self.sql.prepare_cached("UPDATE meta SET compared = records")?.execute([])?;
        Ok(imported)
    }

    /// The record from a log that is of the same request as `record`.
    fn logged_as(&mut self, provider: NameId, record: &UsageRecord) -> rusqlite::Result<Option<i64>> {
        let ids = [record.upstream_id.as_deref(), record.request_id.as_deref()];
        for id in ids.into_iter().flatten() {
            // Identities begin with the provider's id where there is one.
            let found = self
                .sql
                .prepare_cached(
                    "SELECT id FROM record WHERE provider = ?1 AND request_id >= ?2 || ':' AND request_id < ?2 || ';'",
                )?
                .query_row(params![provider, id], |row| row.get(0))
                .optional()?;
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
            .query_map(params![at - WINDOW, at + WINDOW, tokens.input(), tokens.output(), at], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
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
        self.take_back(known)?;
        let (series_id, series) = self.names.series_of(self.sql, new)?;
        let provider = self.names.of(self.sql, new.model.provider.as_str())?;
        self.write_over(id, new, series_id, provider)?;
        self.additions.add(new.at, series_id, series.client, Totals::of(new));
        Ok(())
    }

    /// Removes the record `id`, which is `known`, with its part of the sums.
    fn remove(&mut self, id: i64, known: &UsageRecord) -> rusqlite::Result<()> {
        self.take_back(known)?;
        self.sql.prepare_cached("DELETE FROM record WHERE id = ?1")?.execute([id]).map(drop)
    }

    fn take_back(&mut self, known: &UsageRecord) -> rusqlite::Result<()> {
        let (series_id, series) = self.names.series_of(self.sql, known)?;
        self.additions.subtract(known.at, series_id, series.client, Totals::of(known));
        Ok(())
    }
}

/// What becomes of a request from a log.
enum Fate {
    New,
    Updated,
    Known,
    Covered,
    Replaces,
}

impl Rival {
    /// Whether it is of a request with these counts: input, output, cache reads, which are not always reported.
    fn has_counts(&self, counts: [u64; 3]) -> bool {
        let is_cache_untold = self.source == UsageSource::Reported && self.counts[2] == 0;
        self.counts[..2] == counts[..2] && (is_cache_untold || self.counts[2] == counts[2])
    }
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
