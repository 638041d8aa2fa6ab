//! Sessions, of the records that are kept, and when which agent was at work.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    Ledger, LedgerResult, Transaction,
    additions::{QUARTER, Totals},
    columns::time,
    names::{NameId, Series},
    totals::{Filter, SESSION_SUMS},
};
use crate::domain::Span;

/// What a session used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionUsage {
    pub session: String,
    pub agent: Option<String>,
    pub project: Option<String>,
    /// `provider/model`, sorted.
    pub models: Vec<String>,
    /// When its first and last requests within the requested time were.
    pub first: Timestamp,
    pub last: Timestamp,
    pub totals: Totals,
}

/// What an agent used in a quarter of an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarterUsage {
    /// Nothing where none is named.
    pub agent: Option<String>,
    pub from: Timestamp,
    pub totals: Totals,
}

/// What is known of a session while its rows are read.
struct Gathered {
    series: Series,
    models: BTreeSet<(NameId, NameId)>,
    first: i64,
    last: i64,
    totals: Totals,
}

impl Ledger {
    /// What each session with requests in `span` used there, latest first.
    pub fn sessions(&self, span: Span, filter: &Filter) -> LedgerResult<Vec<SessionUsage>> {
        self.read(|transaction| {
            let condition = "at >= ?1 AND at < ?2 AND session <> 0";
            let mut sessions = transaction.sessions(
                condition,
                (span.from.as_millisecond(), span.to.as_millisecond()),
                filter,
            )?;
            sessions.sort_by(|one, other| (other.last, &one.session).cmp(&(one.last, &other.session)));
            Ok(sessions)
        })
    }

    /// What the session of that name used, of all time.
    pub fn session(&self, name: &str) -> LedgerResult<Option<SessionUsage>> {
        self.read(|transaction| {
            let Some(id) = transaction.names.find(transaction.sql, name)? else {
                return Ok(None);
            };
            let found = transaction.sessions("session = ?1 AND session = ?2", (id, id), &Filter::default())?;
            Ok(found.into_iter().next())
        })
    }

    /// What each agent used in each quarter of an hour of `span`, oldest first.
    pub fn quarters(&self, span: Span, filter: &Filter) -> LedgerResult<Vec<QuarterUsage>> {
        self.read(|transaction| {
            let Some(filter) = transaction.resolve(filter)? else {
                return Ok(Vec::new());
            };
            let mut sums: BTreeMap<(i64, NameId), Totals> = BTreeMap::new();
            transaction.each_quarter(span, &filter, |start, series, totals| {
                *sums.entry((start, series.agent)).or_default() += totals;
            })?;
            let mut quarters = Vec::with_capacity(sums.len());
            for ((start, agent), totals) in sums {
                quarters.push(QuarterUsage {
                    agent: transaction.names.text(transaction.sql, agent)?,
                    from: time(start * QUARTER * 1_000)?,
                    totals,
                });
            }
            Ok(quarters)
        })
    }
}

impl Transaction<'_> {
    fn sessions(
        &mut self,
        condition: &str,
        limits: (i64, i64),
        filter: &Filter,
    ) -> rusqlite::Result<Vec<SessionUsage>> {
        let Some(filter) = self.resolve(filter)? else {
            return Ok(Vec::new());
        };
        let mut gathered: BTreeMap<NameId, Gathered> = BTreeMap::new();
        let sql = self.sql;
        let select =
            format!("SELECT {SESSION_SUMS}, min(at), max(at) FROM record WHERE {condition} GROUP BY session, series");
        let mut statement = sql.prepare_cached(&select)?;
        let mut rows = statement.query(limits)?;
        while let Some(row) = rows.next()? {
            let series = self.names.series(sql, row.get("series")?)?;
            if !filter.lets_through(&series) {
                continue;
            }
            let (first, last, totals) = (row.get("min(at)")?, row.get("max(at)")?, Totals::read(row)?);
            let session = gathered.entry(row.get("session")?).or_insert(Gathered {
                series,
                models: BTreeSet::new(),
                first,
                last,
                totals: Totals::default(),
            });
            session.models.insert((series.provider, series.model));
            // The agent and the project of its latest requests.
            if last >= session.last {
                session.series = series;
            }
            session.first = session.first.min(first);
            session.last = session.last.max(last);
            session.totals += totals;
        }
        let mut sessions = Vec::with_capacity(gathered.len());
        for (id, session) in gathered {
            let mut models = Vec::new();
            for (provider, model) in &session.models {
                let provider = self.names.text(sql, *provider)?.unwrap_or_default();
                let model = self.names.text(sql, *model)?.unwrap_or_default();
                models.push(format!("{provider}/{model}"));
            }
            models.sort();
            sessions.push(SessionUsage {
                session: self.names.text(sql, id)?.unwrap_or_default(),
                agent: self.names.text(sql, session.series.agent)?,
                project: self.names.text(sql, session.series.project)?,
                models,
                first: time(session.first)?,
                last: time(session.last)?,
                totals: session.totals,
            });
        }
        Ok(sessions)
    }
}
