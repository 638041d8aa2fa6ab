//! Looking after the database: whether it is whole, and what is not needed any more.

use jiff::Timestamp;
use rusqlite::Connection;

use super::{
    Ledger, Result,
    connection::{Missing, Open, look},
};

/// How many records are looked at in one transaction that removes some.
const BATCH: u64 = 10_000;

/// What an inspection found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The version of the format.
    pub version: i64,
    /// The length of the file, in bytes.
    pub bytes: u64,
    /// The records that are kept.
    pub records: u64,
    /// What is wrong, if anything is.
    pub fault: Option<String>,
}

impl Ledger {
    /// Removes the records from before `before`; what they add up to stays. Returns how many there were.
    ///
    /// Others can write in between. A request of theirs that is reported again counts again.
    pub fn prune(&self, before: Timestamp) -> Result<u64> {
        let Some((mut first, last)) = self.read(|transaction| {
            transaction
                .sql
                .query_row("SELECT min(id), max(id) FROM record", [], |row| {
                    let (first, last): (Option<u64>, Option<u64>) = (row.get(0)?, row.get(1)?);
                    Ok(first.zip(last))
                })
        })?
        else {
            return Ok(0);
        };
        let mut removed = 0;
        while first <= last {
            removed += self.write(|transaction| {
                let mut statement = transaction
                    .sql
                    .prepare_cached("DELETE FROM record WHERE id >= ?1 AND id < ?2 AND at < ?3")?;
                let removed = statement.execute([
                    i64::try_from(first).unwrap_or(i64::MAX),
                    i64::try_from(first.saturating_add(BATCH)).unwrap_or(i64::MAX),
                    before.as_millisecond(),
                ])?;
                Ok(u64::try_from(removed).unwrap_or(u64::MAX))
            })?;
            first = first.saturating_add(BATCH);
        }
        Ok(removed)
    }

    /// Reads the whole database and says what it found; nothing where there is no ledger.
    pub fn check(&self) -> Result<Option<Condition>> {
        let Some(open) = self.open_apart()? else {
            return Ok(None);
        };
        inspect(&open.sql)
            .map(|condition| {
                Some(Condition {
                    bytes: open.file.length(),
                    ..condition
                })
            })
            .map_err(|why| self.failed(why))
    }

    /// A connection of its own, for what takes its time; nothing where there is no ledger.
    pub(super) fn open_apart(&self) -> Result<Option<Open>> {
        look(self.folder(), Missing::Leave)?
            .map(|file| Open::new(self.folder(), file))
            .transpose()
    }
}

fn inspect(sql: &Connection) -> rusqlite::Result<Condition> {
    let whole: String = sql.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    Ok(Condition {
        version: sql.pragma_query_value(None, "user_version", |row| row.get(0))?,
        bytes: 0,
        records: sql.query_row("SELECT count(*) FROM record", [], |row| row.get(0))?,
        fault: (whole != "ok").then_some(whole),
    })
}
