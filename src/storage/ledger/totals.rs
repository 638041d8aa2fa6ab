//! Sums over records, read for any stretch of time.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Ledger, LedgerResult, Transaction,
    additions::{DAY, QUARTER, Totals, quarter},
    names::{NameId, Series},
};
use crate::domain::{ProviderId, Span, UsageSource, Usd};

/// The columns of [`Totals`] over records of one series and session, and both of these.
pub(super) const SESSION_SUMS: &str =
    "count(*), sum(success = 0), sum(input_tokens), sum(output_tokens), sum(cache_read_tokens),
    sum(cache_write_tokens), sum(reasoning_tokens), coalesce(sum(iif(is_planned, 0, cost)), 0),
    sum(cost IS NULL AND NOT is_planned), sum(cost IS NOT NULL AND basis = 1),
    sum(cost IS NOT NULL AND basis = 2), sum(cost IS NOT NULL AND basis = 3 AND NOT is_planned),
    coalesce(sum(iif(is_planned, 0, coalesce(own_cost, cost))), 0), sum(is_planned),
    coalesce(sum(iif(is_planned, cost, 0)), 0), sum(cost IS NULL AND is_planned), series, session";

/// Which requests count; the default is all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    pub provider: Option<ProviderId>,
    /// The gateway's client that made them.
    pub client: Option<String>,
    /// A tag that they have, `name=value`.
    pub tag: Option<String>,
    /// The program that made them.
    pub agent: Option<String>,
    /// The source of the records; all where none is named.
    pub sources: Vec<UsageSource>,
}

/// What requests can be grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    Provider,
    /// `provider/model`.
    Model,
    Task,
    Project,
    /// `provider:label`; the provider alone where the key is unknown.
    Key,
    Client,
    Source,
    Agent,
    /// `name=value`; a request with two tags counts for both.
    Tag,
    /// Of the records that are kept: sums know no sessions.
    Session,
}

/// A [`Filter`] in the numbers of the database.
pub(super) struct Resolved {
    provider: Option<NameId>,
    client: Option<NameId>,
    /// The sets of tags that one of is wanted.
    tags: Option<BTreeSet<NameId>>,
    agent: Option<NameId>,
    sources: Option<BTreeSet<NameId>>,
}

/// Consecutive sums of one width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    width: i64,
    from: i64,
    to: i64,
}

impl Ledger {
    /// What the requests of `span` come to.
    ///
    /// Time is counted in quarters of an hour: `span` is widened to whole ones, here and below.
    pub fn totals(&self, span: Span, filter: &Filter) -> LedgerResult<Totals> {
        let totals = self.windows(&[span], filter)?;
        Ok(totals.into_iter().next().unwrap_or_default())
    }

    /// The same for each of `spans`.
    pub fn windows(&self, spans: &[Span], filter: &Filter) -> LedgerResult<Vec<Totals>> {
        let totals = self.read(|transaction| {
            let Some(filter) = transaction.resolve(filter)? else {
                return Ok(Vec::new());
            };
            spans.iter().map(|span| transaction.sum(*span, &filter)).collect()
        })?;
        Ok(if totals.is_empty() {
            vec![Totals::default(); spans.len()]
        } else {
            totals
        })
    }

    /// The same for each value of `by` that there are requests with, sorted; those without a value are under `None`.
    pub fn grouped(&self, span: Span, filter: &Filter, by: Dimension) -> LedgerResult<Vec<(Option<String>, Totals)>> {
        self.read(|transaction| {
            let Some(filter) = transaction.resolve(filter)? else {
                return Ok(Vec::new());
            };
            let mut sums: BTreeMap<(NameId, NameId), Totals> = BTreeMap::new();
            if by == Dimension::Session {
                transaction.each_session(span, &filter, |session, totals| {
                    *sums.entry((session, 0)).or_default() += totals;
                })?;
            } else {
                transaction.each(span, &filter, |series, totals| {
                    *sums.entry(by.of(series)).or_default() += totals;
                })?;
            }
            let mut groups = Vec::with_capacity(sums.len());
            for (names, totals) in sums {
                groups.push((transaction.spell(by, names)?, totals));
            }
            if by == Dimension::Tag {
                groups = by_tag(groups);
            }
            groups.sort_by(|one, other| one.0.cmp(&other.0));
            Ok(groups)
        })
    }

    /// The same for each of `spans`, all of one moment: each group has a sum for every span.
    pub fn grouped_over(
        &self,
        spans: &[Span],
        filter: &Filter,
        by: Dimension,
    ) -> LedgerResult<Vec<(Option<String>, Vec<Totals>)>> {
        self.read(|transaction| {
            let Some(filter) = transaction.resolve(filter)? else {
                return Ok(Vec::new());
            };
            let mut sums: BTreeMap<(NameId, NameId), Vec<Totals>> = BTreeMap::new();
            for (at, span) in spans.iter().enumerate() {
                let mut add = |names, totals| {
                    let values: &mut Vec<Totals> = sums.entry(names).or_default();
                    values.resize(spans.len(), Totals::default());
                    values[at] += totals;
                };
                if by == Dimension::Session {
                    transaction.each_session(*span, &filter, |session, totals| add((session, 0), totals))?;
                } else {
                    transaction.each(*span, &filter, |series, totals| add(by.of(series), totals))?;
                }
            }
            let mut groups: BTreeMap<Option<String>, Vec<Totals>> = BTreeMap::new();
            for (names, values) in sums {
                let name = transaction.spell(by, names)?;
                let parts: Vec<Option<String>> = match &name {
                    Some(set) if by == Dimension::Tag => set.split(',').map(|tag| Some(tag.to_owned())).collect(),
                    _ => vec![name],
                };
                for part in parts {
                    let into = groups
                        .entry(part)
                        .or_insert_with(|| vec![Totals::default(); spans.len()]);
                    into.iter_mut().zip(&values).for_each(|(sum, value)| *sum += *value);
                }
            }
            Ok(groups.into_iter().collect())
        })
    }
}

impl Transaction<'_> {
    /// The filter in numbers; nothing where it names what no record has.
    pub(super) fn resolve(&mut self, filter: &Filter) -> rusqlite::Result<Option<Resolved>> {
        let mut number = |text: Option<&str>| match text {
            None => Ok(Some(None)),
            Some(text) => self.names.find(self.sql, text).map(|found| found.map(Some)),
        };
        let provider = number(filter.provider.as_ref().map(ProviderId::as_str))?;
        let client = number(filter.client.as_deref())?;
        let agent = number(filter.agent.as_deref())?;
        let mut sources = BTreeSet::new();
        for source in &filter.sources {
            sources.extend(self.names.find(self.sql, source.as_str())?);
        }
        let sources = (!filter.sources.is_empty()).then_some(sources);
        let tags = filter.tag.as_deref().map(|tag| self.tags_with(tag)).transpose()?;
        Ok(provider
            .zip(client)
            .zip(agent)
            .map(|((provider, client), agent)| Resolved {
                provider,
                client,
                tags,
                agent,
                sources,
            }))
    }

    /// The sets of tags that have `tag` among them.
    fn tags_with(&self, tag: &str) -> rusqlite::Result<BTreeSet<NameId>> {
        let mut statement = self.sql.prepare_cached(
            "SELECT id, text FROM name WHERE id IN (SELECT DISTINCT tags FROM series WHERE tags <> 0)",
        )?;
        let sets = statement.query_map([], |row| Ok((row.get::<_, NameId>(0)?, row.get::<_, String>(1)?)))?;
        sets.filter_map(|set| match set {
            Ok((id, text)) => text.split(',').any(|one| one == tag).then_some(Ok(id)),
            Err(why) => Some(Err(why)),
        })
        .collect()
    }

    /// Adds to the sums what was recorded.
    pub(super) fn add_up(&mut self) -> rusqlite::Result<()> {
        self.additions.write(self.sql)
    }

    fn sum(&mut self, span: Span, filter: &Resolved) -> rusqlite::Result<Totals> {
        if filter.is_by_client_alone() {
            return self.total(span, filter.client.unwrap_or(0));
        }
        let mut sum = Totals::default();
        self.each(span, filter, |_, totals| sum += totals)?;
        Ok(sum)
    }

    /// The sum of one client's requests, or of all (0).
    pub(super) fn total(&self, span: Span, client: NameId) -> rusqlite::Result<Totals> {
        let mut sum = Totals::default();
        let mut statement = self.sql.prepare_cached(
            "SELECT requests, errors, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
                reasoning_tokens, cost, unpriced_requests, estimated_requests, lower_bound_requests, stated_requests,
                own_cost, plan_requests, plan_cost, plan_unpriced_requests
             FROM total WHERE client = ?1 AND width = ?2 AND start >= ?3 AND start < ?4",
        )?;
        for Piece { width, from, to } in pieces(span) {
            let mut rows = statement.query([client, width, from, to])?;
            while let Some(row) = rows.next()? {
                sum += Totals::read(row)?;
            }
        }
        Ok(sum)
    }

    /// What the requests of all cost in `span`: of the whole sum only this is read.
    pub(super) fn cost(&self, span: Span) -> rusqlite::Result<Usd> {
        let mut sum = Usd::ZERO;
        let mut statement = self
            .sql
            .prepare_cached("SELECT cost FROM total WHERE client = 0 AND width = ?1 AND start >= ?2 AND start < ?3")?;
        for Piece { width, from, to } in pieces(span) {
            let mut rows = statement.query([width, from, to])?;
            while let Some(row) = rows.next()? {
                sum = sum + Usd::from_nano(row.get(0)?);
            }
        }
        Ok(sum)
    }

    /// Gives every sum of `span` that `filter` lets through to `each`.
    fn each(&mut self, span: Span, filter: &Resolved, mut each: impl FnMut(&Series, Totals)) -> rusqlite::Result<()> {
        let mut statement = self.sql.prepare_cached(
            "SELECT requests, errors, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
                reasoning_tokens, cost, unpriced_requests, estimated_requests, lower_bound_requests, stated_requests,
                own_cost, plan_requests, plan_cost, plan_unpriced_requests, series
             FROM rollup WHERE width = ?1 AND start >= ?2 AND start < ?3 AND requests > 0",
        )?;
        for Piece { width, from, to } in pieces(span) {
            let mut rows = statement.query([width, from, to])?;
            while let Some(row) = rows.next()? {
                let series = self.names.series(self.sql, row.get("series")?)?;
                if filter.lets_through(&series) {
                    each(&series, Totals::read(row)?);
                }
            }
        }
        Ok(())
    }

    /// Gives the sums of each quarter of an hour of `span` that `filter` lets through to `each`, with its number.
    pub(super) fn each_quarter(
        &mut self,
        span: Span,
        filter: &Resolved,
        mut each: impl FnMut(i64, &Series, Totals),
    ) -> rusqlite::Result<()> {
        let sql = self.sql;
        let mut statement = sql.prepare_cached(
            "SELECT requests, errors, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
                reasoning_tokens, cost, unpriced_requests, estimated_requests, lower_bound_requests, stated_requests,
                own_cost, plan_requests, plan_cost, plan_unpriced_requests, series, start
             FROM rollup WHERE width = 1 AND start >= ?1 AND start < ?2 AND requests > 0 ORDER BY start",
        )?;
        let mut rows = statement.query([quarter(span.from), quarter(span.to) + 1])?;
        while let Some(row) = rows.next()? {
            let series = self.names.series(sql, row.get("series")?)?;
            if filter.lets_through(&series) {
                each(row.get("start")?, &series, Totals::read(row)?);
            }
        }
        Ok(())
    }

    /// Gives what each session's records of `span` that `filter` lets through come to, by series, to `each`.
    fn each_session(
        &mut self,
        span: Span,
        filter: &Resolved,
        mut each: impl FnMut(NameId, Totals),
    ) -> rusqlite::Result<()> {
        let mut statement = self.sql.prepare_cached(&format!(
            "SELECT {SESSION_SUMS} FROM record WHERE at >= ?1 AND at < ?2 GROUP BY session, series"
        ))?;
        let mut rows = statement.query([span.from.as_millisecond(), span.to.as_millisecond()])?;
        while let Some(row) = rows.next()? {
            let series = self.names.series(self.sql, row.get("series")?)?;
            if filter.lets_through(&series) {
                each(row.get("session")?, Totals::read(row)?);
            }
        }
        Ok(())
    }

    fn spell(&mut self, by: Dimension, (first, second): (NameId, NameId)) -> rusqlite::Result<Option<String>> {
        let first = self.names.text(self.sql, first)?;
        let second = self.names.text(self.sql, second)?;
        Ok(match (first, second) {
            (Some(provider), Some(name)) => {
                let between = if by == Dimension::Model { '/' } else { ':' };
                Some(format!("{provider}{between}{name}"))
            }
            (name, None) | (None, name) => name,
        })
    }
}

impl Dimension {
    pub const ALL: [Self; 10] = [
        Self::Provider,
        Self::Model,
        Self::Task,
        Self::Project,
        Self::Key,
        Self::Client,
        Self::Source,
        Self::Agent,
        Self::Tag,
        Self::Session,
    ];

    /// The one or two names that make a value of it.
    fn of(self, series: &Series) -> (NameId, NameId) {
        match self {
            Self::Provider => (series.provider, 0),
            Self::Model => (series.provider, series.model),
            Self::Task => (series.task, 0),
            Self::Project => (series.project, 0),
            Self::Key => (series.provider, series.label),
            Self::Client => (series.client, 0),
            Self::Source => (series.source, 0),
            Self::Agent => (series.agent, 0),
            Self::Tag => (series.tags, 0),
            // Records say it, not series.
            Self::Session => (0, 0),
        }
    }
}

impl Resolved {
    pub(super) fn lets_through(&self, series: &Series) -> bool {
        self.provider.is_none_or(|provider| provider == series.provider)
            && self.client.is_none_or(|client| client == series.client)
            && self.tags.as_ref().is_none_or(|tags| tags.contains(&series.tags))
            && self.agent.is_none_or(|agent| agent == series.agent)
            && self
                .sources
                .as_ref()
                .is_none_or(|sources| sources.contains(&series.source))
    }

    /// Whether the sums over all series answer it.
    fn is_by_client_alone(&self) -> bool {
        self.provider.is_none() && self.tags.is_none() && self.agent.is_none() && self.sources.is_none()
    }
}

/// The fewest sums that make up `span`, widened to whole quarters: its UTC days, and quarters before and after.
fn pieces(span: Span) -> impl Iterator<Item = Piece> {
    let from = quarter(span.from);
    // The first quarter that nothing of the span is in.
    let to = quarter(span.to) + i64::from(span.to.as_nanosecond().rem_euclid(i128::from(QUARTER) * 1_000_000_000) != 0);
    let first_day = from + (-from).rem_euclid(DAY);
    let after_days = to - to.rem_euclid(DAY);
    let pieces = if first_day < after_days {
        [(1, from, first_day), (DAY, first_day, after_days), (1, after_days, to)]
    } else {
        [(1, from, to), (DAY, 0, 0), (1, 0, 0)]
    };
    pieces
        .into_iter()
        .filter(|(_, from, to)| from < to)
        .map(|(width, from, to)| Piece { width, from, to })
}

/// The groups of sets of tags as groups of tags.
fn by_tag(sets: Vec<(Option<String>, Totals)>) -> Vec<(Option<String>, Totals)> {
    let mut sums: BTreeMap<Option<String>, Totals> = BTreeMap::new();
    for (set, totals) in sets {
        match set {
            None => *sums.entry(None).or_default() += totals,
            Some(set) => {
                for tag in set.split(',') {
                    *sums.entry(Some(tag.to_owned())).or_default() += totals;
                }
            }
        }
    }
    sums.into_iter().collect()
}
