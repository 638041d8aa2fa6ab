//! How the last requests ended, kept in memory, so that only new ones are read again.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::{columns::time, connection::Transaction, names::SeriesId};
use crate::domain::{Label, ModelRef, RequestOutcome};

/// How many records are looked back at, at most.
const MAX_RECORDS: usize = 2_000;
/// How many records are passed over at most: those from logs say nothing of how requests end.
const MAX_LOOKED_AT: usize = 50_000;

/// How a request of the past ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The number of its record: later ones have higher numbers.
    pub id: u64,
    pub at: Timestamp,
    /// Many requests share one.
    pub asked: Arc<Asked>,
    pub outcome: RequestOutcome,
}

/// Whom a request was made to.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    pub model: ModelRef,
    /// With which of the provider's keys, where that is known.
    pub label: Option<Label>,
}

/// How the last requests since some time ended.
#[derive(Debug, Clone, Default)]
pub struct Outcomes {
    /// Nothing where there is no ledger.
    pub(super) newest: Option<Arc<Vec<Past>>>,
    pub(super) since: Timestamp,
}

/// What is kept of the newest records, beside the connection that they were read through.
#[derive(Default)]
pub(super) struct Recent {
    /// What the ledger's count of changes was.
    changes: Option<i64>,
    newest: Arc<Vec<Past>>,
    /// The record among them of the earliest time.
    earliest: Option<u64>,
    asked: BTreeMap<SeriesId, Arc<Asked>>,
}

impl Outcomes {
    /// In the order in which they were recorded.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Past> + Clone {
        // The clock may have been set back: an older one can stand behind a newer one.
        let newest = self.newest.iter().flat_map(|newest| newest.iter());
        newest.filter(|past| past.at >= self.since)
    }

    /// Whether the ledger has not been changed in between.
    pub fn is_the_same(&self, other: &Self) -> bool {
        match (&self.newest, &other.newest) {
            // Whoever holds one of them keeps it from being written anew.
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

impl Transaction<'_> {
    /// How often the ledger was changed.
    pub(super) fn changes(&self) -> rusqlite::Result<i64> {
        let mut count = self.sql.prepare_cached("SELECT changes FROM meta")?;
        count.query_row([], |row| row.get(0))
    }
}

impl Recent {
    /// The newest records as the ledger has them now.
    pub(super) fn newest(&mut self, transaction: &mut Transaction<'_>) -> rusqlite::Result<Arc<Vec<Past>>> {
        let changes = transaction.changes()?;
        if self.changes != Some(changes) {
            if !self.is_whole(transaction)? {
                *self = Self::default();
            }
            let new = self.unread(transaction)?;
            let newest = Arc::make_mut(&mut self.newest);
            newest.extend(new.into_iter().rev());
            newest.drain(..newest.len().saturating_sub(MAX_RECORDS));
            self.earliest = newest.iter().min_by_key(|past| past.at).map(|past| past.id);
            self.changes = Some(changes);
        }
        Ok(Arc::clone(&self.newest))
    }

    /// Whether none of the records has been removed since: those of the earliest time are the first to go.
    fn is_whole(&self, transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
        let Some(earliest) = self.earliest else {
            return Ok(true);
        };
        let mut find = transaction.sql.prepare_cached("SELECT 1 FROM record WHERE id = ?1")?;
        find.exists([earliest])
    }

    /// The records that are not yet among them, newest first.
    fn unread(&mut self, transaction: &mut Transaction<'_>) -> rusqlite::Result<Vec<Past>> {
        let mut statement = transaction.sql.prepare_cached(
            "SELECT id, at, series, success, status_code, latency_ms FROM record
             WHERE id > max(?1, (SELECT records FROM meta) - ?3) AND series NOT IN (
                SELECT series.id FROM series JOIN name ON name.id = series.source
                WHERE name.text IN ('log', 'cumulative_log'))
             ORDER BY id DESC LIMIT ?2",
        )?;
        let last = self.newest.last().map_or(0, |past| past.id);
        let mut rows = statement.query((last, MAX_RECORDS, MAX_LOOKED_AT))?;
        let mut unread = Vec::new();
        while let Some(row) = rows.next()? {
            unread.push(Past {
                id: row.get(0)?,
                at: time(row.get(1)?)?,
                asked: self.asked(row.get(2)?, transaction)?,
                outcome: RequestOutcome {
                    success: row.get(3)?,
                    status_code: row.get(4)?,
                    latency_ms: row.get(5)?,
                },
            });
        }
        Ok(unread)
    }

    /// Whom the requests of a series were made to.
    fn asked(&mut self, series: SeriesId, transaction: &mut Transaction<'_>) -> rusqlite::Result<Arc<Asked>> {
        if let Some(asked) = self.asked.get(&series) {
            return Ok(Arc::clone(asked));
        }
        if self.asked.len() >= 2 * MAX_RECORDS {
            self.asked.retain(|_, asked| Arc::strong_count(asked) > 1);
        }
        let known = transaction.names.series(transaction.sql, series)?;
        let asked = Arc::new(Asked {
            model: transaction.model(&known)?,
            label: transaction.parsed(known.label)?,
        });
        self.asked.insert(series, Arc::clone(&asked));
        Ok(asked)
    }
}
