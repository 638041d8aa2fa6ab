//! Texts and series by their numbers, kept in memory once they are known: neither is ever changed or removed.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::{Label, Task, UsageRecord};

/// How many are kept; sessions would be without end.
const MAX_NAMES: usize = 20_000;

/// The number of a text, 0 for none.
pub(super) type NameId = i64;
/// The number of a series.
pub(super) type SeriesId = i64;

/// What records have in common that are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Series {
    pub(super) provider: NameId,
    pub(super) model: NameId,
    pub(super) label: NameId,
    pub(super) task: NameId,
    pub(super) project: NameId,
    pub(super) client: NameId,
    pub(super) source: NameId,
    pub(super) agent: NameId,
    pub(super) tags: NameId,
}

/// What this connection knows of both; what a transaction that failed has added must be forgotten.
#[derive(Debug, Default)]
pub(super) struct Names {
    ids: HashMap<String, NameId>,
    texts: HashMap<NameId, String>,
    series_ids: HashMap<Series, SeriesId>,
    series: HashMap<SeriesId, Series>,
}

impl Names {
    /// The number of `text`, if it has one.
    pub(super) fn find(&mut self, sql: &Connection, text: &str) -> rusqlite::Result<Option<NameId>> {
        if let Some(id) = self.ids.get(text) {
            return Ok(Some(*id));
        }
        let found = sql
            .prepare_cached("SELECT id FROM name WHERE text = ?1")?
            .query_row([text], |row| row.get(0))
            .optional()?;
        if let Some(id) = found {
            self.keep(id, text);
        }
        Ok(found)
    }

    /// The number of `text`; it gets one if it has none.
    pub(super) fn of(&mut self, sql: &Connection, text: &str) -> rusqlite::Result<NameId> {
        if let Some(id) = self.find(sql, text)? {
            return Ok(id);
        }
        sql.prepare_cached("INSERT INTO name (text) VALUES (?1)")?
            .execute([text])?;
        let id = sql.last_insert_rowid();
        self.keep(id, text);
        Ok(id)
    }

    /// The number of `text`, or 0 for none.
    pub(super) fn of_maybe(&mut self, sql: &Connection, text: Option<&str>) -> rusqlite::Result<NameId> {
        text.map_or(Ok(0), |text| self.of(sql, text))
    }

    /// The text of a number; nothing for 0.
    pub(super) fn text(&mut self, sql: &Connection, id: NameId) -> rusqlite::Result<Option<String>> {
        if id == 0 {
            return Ok(None);
        }
        if let Some(text) = self.texts.get(&id) {
            return Ok(Some(text.clone()));
        }
        let text: String = sql
            .prepare_cached("SELECT text FROM name WHERE id = ?1")?
            .query_row([id], |row| row.get(0))?;
        self.keep(id, &text);
        Ok(Some(text))
    }

    /// The series that `record` belongs to; it is made if there is none.
    pub(super) fn series_of(&mut self, sql: &Connection, record: &UsageRecord) -> rusqlite::Result<(SeriesId, Series)> {
        let series = Series {
            provider: self.of(sql, record.model.provider.as_str())?,
            model: self.of(sql, record.model.model.as_str())?,
            label: self.of_maybe(sql, record.label.as_ref().map(Label::as_str))?,
            task: self.of_maybe(sql, record.task.map(Task::as_str))?,
            project: self.of_maybe(sql, record.project.as_deref())?,
            client: self.of_maybe(sql, record.client.as_deref())?,
            source: self.of(sql, record.source.as_str())?,
            agent: self.of_maybe(sql, record.agent.as_deref())?,
            tags: self.of_maybe(sql, record.tags.text())?,
        };
        if let Some(id) = self.series_ids.get(&series) {
            return Ok((*id, series));
        }
        let Series {
            provider,
            model,
            label,
            task,
            project,
            client,
            source,
            agent,
            tags,
        } = series;
        let values = params![provider, model, label, task, project, client, source, agent, tags];
        let found = sql
            .prepare_cached(
                "SELECT id FROM series WHERE provider = ?1 AND model = ?2 AND label = ?3 AND task = ?4 AND project = ?5
                 AND client = ?6 AND source = ?7 AND agent = ?8 AND tags = ?9",
            )?
            .query_row(values, |row| row.get(0))
            .optional()?;
        let id = match found {
            Some(id) => id,
            None => sql
                .prepare_cached(
                    "INSERT INTO series (provider, model, label, task, project, client, source, agent, tags)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                )?
                .insert(values)?,
        };
        self.keep_series(id, series);
        Ok((id, series))
    }

    /// The series of that number.
    pub(super) fn series(&mut self, sql: &Connection, id: SeriesId) -> rusqlite::Result<Series> {
        if let Some(series) = self.series.get(&id) {
            return Ok(*series);
        }
        let series = sql
            .prepare_cached(
                "SELECT provider, model, label, task, project, client, source, agent, tags FROM series WHERE id = ?1",
            )?
            .query_row([id], |row| {
                Ok(Series {
                    provider: row.get(0)?,
                    model: row.get(1)?,
                    label: row.get(2)?,
                    task: row.get(3)?,
                    project: row.get(4)?,
                    client: row.get(5)?,
                    source: row.get(6)?,
                    agent: row.get(7)?,
                    tags: row.get(8)?,
                })
            })?;
        self.keep_series(id, series);
        Ok(series)
    }

    fn keep(&mut self, id: NameId, text: &str) {
        if self.ids.len() >= MAX_NAMES {
            self.ids.clear();
            self.texts.clear();
        }
        self.ids.insert(text.to_owned(), id);
        self.texts.insert(id, text.to_owned());
    }

    fn keep_series(&mut self, id: SeriesId, series: Series) {
        if self.series.len() >= MAX_NAMES {
            self.series.clear();
            self.series_ids.clear();
        }
        self.series.insert(id, series);
        self.series_ids.insert(series, id);
    }
}
