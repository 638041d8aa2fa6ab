//! What was raised and sent, for people.

use jiff::Timestamp;
use rusqlite::params;

use super::super::{
    Ledger, LedgerResult,
    columns::{strange, time},
};
use crate::domain::{AlertKind, AlertSeverity};

/// An alert as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertState {
    pub id: i64,
    pub kind: AlertKind,
    pub subject: String,
    pub severity: AlertSeverity,
    pub is_firing: bool,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
    pub count: u64,
    pub text: String,
    pub command: String,
    /// The messages that it was sent with, oldest first.
    pub messages: Vec<MessageState>,
}

/// A message as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageState {
    pub destination: String,
    pub made_at: Timestamp,
    /// `waiting`, `pending`, `sent` or `failed`.
    pub state: String,
    pub attempts: u32,
    /// What came of the last attempt.
    pub result: String,
}

impl Ledger {
    /// The alerts that changed last, at most `most`, newest first.
    pub fn alert_history(&self, most: u32) -> LedgerResult<Vec<AlertState>> {
        self.read(|transaction| {
            let mut statement = transaction.sql.prepare_cached(
                "SELECT id, kind, subject, severity, is_firing, first_at, last_at, count, text, command
                 FROM alert ORDER BY last_at DESC, id DESC LIMIT ?1",
            )?;
            let mut rows = statement.query([most])?;
            let mut history = Vec::new();
            while let Some(row) = rows.next()? {
                let (kind, severity): (String, i64) = (row.get(1)?, row.get(3)?);
                let id = row.get(0)?;
                history.push(AlertState {
                    id,
                    kind: AlertKind::of_name(&kind).ok_or_else(|| strange("a kind of alert"))?,
                    subject: row.get(2)?,
                    severity: AlertSeverity::of_number(severity).ok_or_else(|| strange("a severity"))?,
                    is_firing: row.get(4)?,
                    first_at: time(row.get(5)?)?,
                    last_at: time(row.get(6)?)?,
                    count: row.get(7)?,
                    text: row.get(8)?,
                    command: row.get(9)?,
                    messages: transaction.messages_of(id)?,
                });
            }
            Ok(history)
        })
    }
}

impl super::super::Transaction<'_> {
    fn messages_of(&self, alert: i64) -> rusqlite::Result<Vec<MessageState>> {
        self.sql
            .prepare_cached(
                "SELECT DISTINCT delivery.destination, coalesce(made_at, notice.at), coalesce(state, 'waiting'),
                    coalesce(attempts, 0), coalesce(result, '')
                 FROM notice JOIN delivery ON delivery.notice = notice.id LEFT JOIN message ON message.id = delivery.message
                 WHERE notice.alert = ?1 ORDER BY 2, 1",
            )?
            .query_map(params![alert], |row| {
                Ok(MessageState {
                    destination: row.get(0)?,
                    made_at: time(row.get(1)?)?,
                    state: row.get(2)?,
                    attempts: row.get(3)?,
                    result: row.get(4)?,
                })
            })?
            .collect()
    }
}
