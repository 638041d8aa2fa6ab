//! What records add up to, and how it is added to the sums that are kept.

use std::{collections::BTreeMap, ops::AddAssign};

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::names::{NameId, SeriesId};
use crate::domain::{Billing, RecordedCost, UsageRecord, Usd};

/// A quarter of an hour, in seconds: every time zone's day consists of whole ones.
pub(super) const QUARTER: i64 = 900;
/// The quarters of a UTC day.
pub(super) const DAY: i64 = 96;

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
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
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

/// The quarter of an hour that `at` is in, counted from 1970.
pub(super) fn quarter(at: Timestamp) -> i64 {
    at.as_second().div_euclid(QUARTER)
}
