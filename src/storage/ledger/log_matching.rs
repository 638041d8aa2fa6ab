//! Requests of logs matched with what other sources recorded of them: by the provider's id, else by model, counts and time.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};

use super::{
    Ledger, LedgerResult, Survives, Transaction,
    log_entries::{Fate, Imported, LogEntry},
    names::{NameId, SeriesId},
};
use crate::domain::{UsageRecord, UsageSource};

/// How long before and after a log's line its request may have been recorded by others, in milliseconds.
const WINDOW_MS: i64 = 10 * 60 * 1000;

/// A record by another source that may be of the same request as an entry.
pub(super) struct Rival {
    id: i64,
    at: i64,
    series: SeriesId,
    is_reported: bool,
    cache_read: u64,
}

/// Records of other sources by their input and output.
pub(super) type Rivals = BTreeMap<(u64, u64), Vec<Rival>>;

impl Ledger {
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
}

impl Transaction<'_> {
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
    pub(super) fn rivals(&mut self, entries: &[LogEntry]) -> rusqlite::Result<Rivals> {
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
    pub(super) fn rival_of(
        &mut self,
        provider: NameId,
        entry: &LogEntry,
        rivals: &mut Rivals,
    ) -> rusqlite::Result<Option<i64>> {
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

    fn has_uncompared(&mut self) -> rusqlite::Result<bool> {
        let mut is_due = self.sql.prepare_cached("SELECT compared < records FROM meta")?;
        is_due.query_row([], |row| row.get(0))
    }

    pub(super) fn all_compared(&self) -> rusqlite::Result<()> {
        let mut done = self
            .sql
            .prepare_cached("UPDATE meta SET compared = records WHERE compared <> records")?;
        done.execute([]).map(drop)
    }

    /// Holds each record of another source since the last time against those from logs.
    pub(super) fn compare_with_logs(&mut self) -> rusqlite::Result<Imported> {
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
}
