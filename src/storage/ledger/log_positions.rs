//! Up to where logs are read, and what sessions had used in all by then.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    path::{Path, PathBuf},
};

use rusqlite::params;

use super::{
    Ledger, LedgerResult, Transaction,
    log_entries::{LogCounter, LogPosition},
};
use crate::domain::{TokenCounts, Usd};

impl Ledger {
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
    pub(super) fn set_log_position(&self, path: &Path, position: &LogPosition) -> rusqlite::Result<()> {
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

    pub(super) fn set_log_counter(&self, agent: &str, session: &str, counter: &LogCounter) -> rusqlite::Result<()> {
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
