//! Sums over records: made when a record is, kept for good, and read for any stretch of time.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::AddAssign,
};

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::{
    Ledger, LedgerResult, Transaction,
    names::{NameId, Series, SeriesId},
};
use crate::domain::{Billing, ProviderId, RecordedCost, Span, UsageRecord, UsageSource, Usd};

/// A quarter of an hour, in seconds: every time zone's day consists of whole ones.
const QUARTER: i64 = 900;
/// The quarters of a UTC day.
const DAY: i64 = 96;

/// What a number of requests used and cost. Sums stop at the largest number that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    pub requests: u64,
    /// The requests that failed.
    pub errors: u64,
    /// All input, cached or not.
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_tokens: u64,
    pub cache_write_tokens: u64,
    pub reasoning_tokens: u64,
    /// What those cost whose cost is known.
    pub cost: Usd,
    /// Requests whose cost is unknown.
    pub unpriced_requests: u64,
    /// Requests whose tokens, and so their cost, are an estimate.
    pub estimated_requests: u64,
    /// Requests that cost more than their tokens did.
    pub lower_bound_requests: u64,
    /// Requests whose cost the provider stated.
    pub stated_requests: u64,
    /// What our own prices make of it all; the stated cost where there is no price.
    pub own_cost: Usd,
    /// The requests that a plan covers; their cost is in none of the sums above.
    pub plan_requests: u64,
    /// What those would cost at API prices.
    pub plan_cost: Usd,
    /// Those whose cost is unknown.
    pub plan_unpriced_requests: u64,
}

/// Which requests are looked at; the default is all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    pub provider: Option<ProviderId>,
    /// The gateway's client that made them.
    pub client: Option<String>,
    /// A tag that they have, `name=value`.
    pub tag: Option<String>,
    /// The program that made them.
    pub agent: Option<String>,
    /// Who said so; everybody where none is named.
    pub sources: Vec<UsageSource>,
}

/// What requests can be told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    Provider,
    /// `provider/model`.
    Model,
    Task,
    Project,
    /// `provider:label`; the provider alone where nobody said which key.
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

    /// The sum of one client's requests, or everybody's (0).
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

    /// Gives what each session's records of `span` that `filter` lets through come to, by series, to `each`.
    fn each_session(
        &mut self,
        span: Span,
        filter: &Resolved,
        mut each: impl FnMut(NameId, Totals),
    ) -> rusqlite::Result<()> {
        let mut statement = self.sql.prepare_cached(
            "SELECT count(*), sum(success = 0), sum(input_tokens), sum(output_tokens), sum(cache_read_tokens),
                sum(cache_write_tokens), sum(reasoning_tokens), coalesce(sum(iif(is_planned, 0, cost)), 0),
                sum(cost IS NULL AND NOT is_planned), sum(cost IS NOT NULL AND basis = 1),
                sum(cost IS NOT NULL AND basis = 2), sum(cost IS NOT NULL AND basis = 3 AND NOT is_planned),
                coalesce(sum(iif(is_planned, 0, coalesce(own_cost, cost))), 0), sum(is_planned),
                coalesce(sum(iif(is_planned, cost, 0)), 0), sum(cost IS NULL AND is_planned), series, session
             FROM record WHERE at >= ?1 AND at < ?2 GROUP BY session, series",
        )?;
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

impl Totals {
    /// Those of one request.
    pub fn of(record: &UsageRecord) -> Self {
        let tokens = &record.tokens;
        let is_planned = record.billing == Billing::Plan;
        let (billed, planned) = if is_planned {
            (None, record.cost.usd())
        } else {
            (record.cost.usd(), None)
        };
        let is_unpriced = record.cost.usd().is_none();
        Self {
            requests: 1,
            errors: u64::from(!record.outcome.success),
            input_tokens: tokens.input(),
            output_tokens: tokens.output(),
            cache_read_tokens: tokens.cache_read(),
            cache_write_tokens: tokens.cache_write(),
            reasoning_tokens: tokens.reasoning(),
            cost: billed.unwrap_or_default(),
            unpriced_requests: u64::from(is_unpriced && !is_planned),
            estimated_requests: u64::from(matches!(record.cost, RecordedCost::Estimated { .. })),
            lower_bound_requests: u64::from(matches!(record.cost, RecordedCost::LowerBound { .. })),
            stated_requests: u64::from(matches!(record.cost, RecordedCost::Stated { .. }) && !is_planned),
            own_cost: billed.map(|cost| record.cost.own().unwrap_or(cost)).unwrap_or_default(),
            plan_requests: u64::from(is_planned),
            plan_cost: planned.unwrap_or_default(),
            plan_unpriced_requests: u64::from(is_unpriced && is_planned),
        }
    }

    /// From the first columns of a row.
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            requests: row.get(0)?,
            errors: row.get(1)?,
            input_tokens: row.get(2)?,
            output_tokens: row.get(3)?,
            cache_read_tokens: row.get(4)?,
            cache_write_tokens: row.get(5)?,
            reasoning_tokens: row.get(6)?,
            cost: Usd::from_nano(row.get(7)?),
            unpriced_requests: row.get(8)?,
            estimated_requests: row.get(9)?,
            lower_bound_requests: row.get(10)?,
            stated_requests: row.get(11)?,
            own_cost: Usd::from_nano(row.get(12)?),
            plan_requests: row.get(13)?,
            plan_cost: Usd::from_nano(row.get(14)?),
            plan_unpriced_requests: row.get(15)?,
        })
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        let add = |own: &mut u64, other: u64| *own = own.saturating_add(other);
        add(&mut self.requests, other.requests);
        add(&mut self.errors, other.errors);
        add(&mut self.input_tokens, other.input_tokens);
        add(&mut self.output_tokens, other.output_tokens);
        add(&mut self.cache_read_tokens, other.cache_read_tokens);
        add(&mut self.cache_write_tokens, other.cache_write_tokens);
        add(&mut self.reasoning_tokens, other.reasoning_tokens);
        add(&mut self.unpriced_requests, other.unpriced_requests);
        add(&mut self.estimated_requests, other.estimated_requests);
        add(&mut self.lower_bound_requests, other.lower_bound_requests);
        add(&mut self.stated_requests, other.stated_requests);
        self.cost = self.cost + other.cost;
        add(&mut self.plan_requests, other.plan_requests);
        add(&mut self.plan_unpriced_requests, other.plan_unpriced_requests);
        self.own_cost = self.own_cost + other.own_cost;
        self.plan_cost = self.plan_cost + other.plan_cost;
    }
}

/// What one transaction adds to the sums: many requests are of one series, and none is written twice.
#[derive(Debug, Default)]
pub(super) struct Additions {
    by_series: BTreeMap<(i64, SeriesId), Totals>,
    by_client: BTreeMap<(i64, NameId), Totals>,
    /// What is taken back, of records that are replaced.
    taken_back: Vec<(Timestamp, SeriesId, NameId, Totals)>,
}

impl Additions {
    /// Adds `totals` to every sum that they belong to at `at`.
    pub(super) fn add(&mut self, at: Timestamp, series: SeriesId, client: NameId, totals: Totals) {
        let quarter = quarter(at);
        *self.by_series.entry((quarter, series)).or_default() += totals;
        *self.by_client.entry((quarter, 0)).or_default() += totals;
        if client != 0 {
            *self.by_client.entry((quarter, client)).or_default() += totals;
        }
    }

    /// Takes `totals`, which were added before, out of every sum that they belong to.
    pub(super) fn subtract(&mut self, at: Timestamp, series: SeriesId, client: NameId, totals: Totals) {
        self.taken_back.push((at, series, client, totals));
    }

    /// Writes what was added, and begins anew.
    pub(super) fn write(&mut self, sql: &Connection) -> rusqlite::Result<()> {
        let widths = |quarter: i64| [(1, quarter), (DAY, quarter - quarter.rem_euclid(DAY))];
        for ((quarter, series), totals) in std::mem::take(&mut self.by_series) {
            for (width, start) in widths(quarter) {
                add_to(sql, ADD_TO_ROLLUP, [width, start, series], &totals)?;
            }
        }
        for ((quarter, client), totals) in std::mem::take(&mut self.by_client) {
            for (width, start) in widths(quarter) {
                add_to(sql, ADD_TO_TOTAL, [client, width, start], &totals)?;
            }
        }
        for (at, series, client, totals) in std::mem::take(&mut self.taken_back) {
            for (width, start) in widths(quarter(at)) {
                add_to(sql, TAKE_FROM_ROLLUP, [width, start, series], &totals)?;
                add_to(sql, TAKE_FROM_TOTAL, [0, width, start], &totals)?;
                if client != 0 {
                    add_to(sql, TAKE_FROM_TOTAL, [client, width, start], &totals)?;
                }
            }
        }
        Ok(())
    }
}

/// Adds to the row with a key. A sum that would not fit stays at the largest number: SQLite would make a float of it.
macro_rules! add_to {
    ($table:literal) => {
        concat!(
            "INSERT INTO ",
            $table,
            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
                ?19)
             ON CONFLICT DO UPDATE SET
                requests = requests + excluded.requests,
                errors = errors + excluded.errors,
                input_tokens = min(input_tokens + excluded.input_tokens, 9223372036854775807),
                output_tokens = min(output_tokens + excluded.output_tokens, 9223372036854775807),
                cache_read_tokens = min(cache_read_tokens + excluded.cache_read_tokens, 9223372036854775807),
                cache_write_tokens = min(cache_write_tokens + excluded.cache_write_tokens, 9223372036854775807),
                reasoning_tokens = min(reasoning_tokens + excluded.reasoning_tokens, 9223372036854775807),
                cost = min(cost + excluded.cost, 9223372036854775807),
                unpriced_requests = unpriced_requests + excluded.unpriced_requests,
                estimated_requests = estimated_requests + excluded.estimated_requests,
                lower_bound_requests = lower_bound_requests + excluded.lower_bound_requests,
                stated_requests = stated_requests + excluded.stated_requests,
                own_cost = min(own_cost + excluded.own_cost, 9223372036854775807),
                plan_requests = plan_requests + excluded.plan_requests,
                plan_cost = min(plan_cost + excluded.plan_cost, 9223372036854775807),
                plan_unpriced_requests = plan_unpriced_requests + excluded.plan_unpriced_requests"
        )
    };
}
/// Takes from the row with a key, of which the three columns are named.
macro_rules! take_from {
    ($table:literal, $first:literal, $second:literal, $third:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET requests = requests - ?4,
                errors = errors - ?5,
                input_tokens = input_tokens - ?6,
                output_tokens = output_tokens - ?7,
                cache_read_tokens = cache_read_tokens - ?8,
                cache_write_tokens = cache_write_tokens - ?9,
                reasoning_tokens = reasoning_tokens - ?10,
                cost = cost - ?11,
                unpriced_requests = unpriced_requests - ?12,
                estimated_requests = estimated_requests - ?13,
                lower_bound_requests = lower_bound_requests - ?14,
                stated_requests = stated_requests - ?15,
                own_cost = own_cost - ?16,
                plan_requests = plan_requests - ?17,
                plan_cost = plan_cost - ?18,
                plan_unpriced_requests = plan_unpriced_requests - ?19
             WHERE ",
            $first,
            " = ?1 AND ",
            $second,
            " = ?2 AND ",
            $third,
            " = ?3"
        )
    };
}
const TAKE_FROM_ROLLUP: &str = take_from!("rollup", "width", "start", "series");
const TAKE_FROM_TOTAL: &str = take_from!("total", "client", "width", "start");
const ADD_TO_ROLLUP: &str = add_to!("rollup");
const ADD_TO_TOTAL: &str = add_to!("total");

fn add_to(
    sql: &Connection,
    statement: &str,
    [first, second, third]: [i64; 3],
    totals: &Totals,
) -> rusqlite::Result<()> {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    sql.prepare_cached(statement)?.execute(params![
        first,
        second,
        third,
        signed(totals.requests),
        signed(totals.errors),
        signed(totals.input_tokens),
        signed(totals.output_tokens),
        signed(totals.cache_read_tokens),
        signed(totals.cache_write_tokens),
        signed(totals.reasoning_tokens),
        totals.cost.nano(),
        signed(totals.unpriced_requests),
        signed(totals.estimated_requests),
        signed(totals.lower_bound_requests),
        signed(totals.stated_requests),
        totals.own_cost.nano(),
        signed(totals.plan_requests),
        totals.plan_cost.nano(),
        signed(totals.plan_unpriced_requests),
    ])?;
    Ok(())
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

/// The quarter of an hour that `at` is in, counted from 1970.
fn quarter(at: Timestamp) -> i64 {
    at.as_second().div_euclid(QUARTER)
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
