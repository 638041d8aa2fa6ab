//! What all processes know of the health of each provider's keys.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::{
    Ledger, LedgerResult, Survives, Transaction,
    columns::{strange, time},
};
use crate::domain::{Label, ProviderId};

/// What is stored of one key's health; times are kept to the millisecond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredHealth {
    /// What is wrong, if anything is.
    pub trouble: Option<String>,
    /// When that began or ended.
    pub since: Timestamp,
    /// When a cooldown ends.
    pub until: Timestamp,
    /// Cooldowns in a row.
    pub strikes: u32,
    /// Until when one request has been let through to try.
    pub probe_until: Option<Timestamp>,
}

impl Ledger {
    /// What is known of every key, sorted.
    pub fn health(&self) -> LedgerResult<Vec<(ProviderId, Label, StoredHealth)>> {
        self.read(|transaction| {
            let mut statement = transaction.sql.prepare_cached(
                "SELECT trouble, since, until, strikes, probe_until, provider, label FROM health ORDER BY provider, label",
            )?;
            let mut rows = statement.query([])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                let provider: String = row.get(5)?;
                let label: String = row.get(6)?;
                all.push((
                    provider.parse().map_err(|_| strange("a provider"))?,
                    label.parse().map_err(|_| strange("a label"))?,
                    StoredHealth::read(row)?,
                ));
            }
            Ok(all)
        })
    }

    /// Puts in place of what is known of each of these keys what `change` makes of it, with no other process in between.
    ///
    /// `None` stands for nothing known.
    pub fn change_health(
        &self,
        provider: &ProviderId,
        labels: &[Label],
        mut change: impl FnMut(&Label, Option<StoredHealth>) -> Option<StoredHealth>,
    ) -> LedgerResult<()> {
        self.write(Survives::Kill, |transaction| {
            for label in labels {
                transaction.change_health(provider, label, |before| change(label, before))?;
            }
            Ok(())
        })
    }
}

impl Transaction<'_> {
    fn change_health(
        &self,
        provider: &ProviderId,
        label: &Label,
        change: impl FnOnce(Option<StoredHealth>) -> Option<StoredHealth>,
    ) -> rusqlite::Result<()> {
        let key = params![provider.as_str(), label.as_str()];
        let before = self
            .sql
            .prepare_cached(
                "SELECT trouble, since, until, strikes, probe_until FROM health WHERE provider = ?1 AND label = ?2",
            )?
            .query_row(key, StoredHealth::read)
            .optional()?;
        let after = change(before.clone());
        match &after {
            _ if after == before => {}
            Some(health) => {
                self.sql
                    .prepare_cached("INSERT OR REPLACE INTO health VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
                    .execute(params![
                        provider.as_str(),
                        label.as_str(),
                        health.trouble,
                        health.since.as_millisecond(),
                        health.until.as_millisecond(),
                        health.strikes,
                        health.probe_until.map(Timestamp::as_millisecond),
                    ])?;
            }
            None => {
                self.sql
                    .prepare_cached("DELETE FROM health WHERE provider = ?1 AND label = ?2")?
                    .execute(key)?;
            }
        }
        Ok(())
    }
}

impl StoredHealth {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            trouble: row.get(0)?,
            since: time(row.get(1)?)?,
            until: time(row.get(2)?)?,
            strikes: row.get(3)?,
            probe_until: row.get::<_, Option<i64>>(4)?.map(time).transpose()?,
        })
    }
}
