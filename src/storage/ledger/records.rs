//! Records: written once, with the sums that they belong to, and read back.

use std::time::Instant;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::{
    Ledger, LedgerError, LedgerResult, Survives, Transaction,
    additions::Totals,
    columns::{strange, time},
    names::Series,
    totals::Filter,
};
use crate::domain::{
    Billing, BudgetWatch, ModelRef, OwnCost, ProviderId, RecordedCost, RequestOutcome, Service, Span, Task,
    TokenCounts, Tokens, UsageRecord, UsageSource, Usd,
};

/// How a record was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Its number: later ones have higher numbers, whatever the clock says.
    pub id: u64,
    /// Its provider had a request of that name before: nothing was counted, and all else here is of that one.
    pub duplicate: bool,
    pub cost: Option<Usd>,
}

/// A record with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    pub id: u64,
    pub record: UsageRecord,
}

/// Reads a whole record.
const RECORDS: &str = "
    SELECT id, at, series, session, service, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
        cache_write_1h_tokens, reasoning_tokens, cost, basis, price, success, status_code, latency_ms, request_id,
        own_cost, upstream_id, is_planned
    FROM record";

impl Ledger {
    /// Keeps `record` and counts it; both are on the disk when this returns.
    pub fn record(&self, record: &UsageRecord) -> LedgerResult<Recorded> {
        self.record_watched(record, &[], record.at)
    }

    /// The same, and raises the alerts that are due for `budgets` in the same transaction.
    pub fn record_watched(
        &self,
        record: &UsageRecord,
        budgets: &[BudgetWatch],
        now: Timestamp,
    ) -> LedgerResult<Recorded> {
        self.write(Survives::PowerCut, |transaction| {
            let recorded = transaction.record(record)?;
            transaction.add_up()?;
            transaction.raise_budgets(budgets, now)?;
            Ok(recorded)
        })
    }

    /// Gives every record of `span` that `filter` lets through to `each`, in the order in which they were taken.
    ///
    /// Not more than one is in memory. Whatever is recorded meanwhile is not among them, and is not held up.
    pub fn export<E: From<LedgerError>>(
        &self,
        span: Span,
        filter: &Filter,
        mut each: impl FnMut(&Exported) -> LedgerResult<(), E>,
    ) -> LedgerResult<(), E> {
        let since = Instant::now();
        let Some(mut open) = self.open_apart()? else {
            return Ok(());
        };
        let mut stopped = Ok(());
        open.read(|transaction| {
            transaction.export(span, filter, |exported| {
                stopped = each(exported);
                stopped.is_ok()
            })
        })
        .map_err(|why| self.failed(&why, since))?;
        stopped
    }
}

impl Transaction<'_> {
    /// Keeps `record`; what it adds to the sums is written with [`Transaction::add_up`].
    pub(super) fn record(&mut self, record: &UsageRecord) -> rusqlite::Result<Recorded> {
        let provider = self.names.of(self.sql, record.model.provider.as_str())?;
        if let Some(request_id) = &record.request_id {
            if let Some(id) = self.find_request(provider, request_id)? {
                return self.recorded_before(id);
            }
            // A log, or the gateway, has it by the provider's id.
            if record.source == UsageSource::Reported
                && let Some(id) = self.find_upstream(provider, request_id)?
            {
                return self.recorded_before(id);
            }
        }
        let (series_id, series) = self.names.series_of(self.sql, record)?;
        let id = self.insert(record, series_id, provider)?;
        self.additions
            .add(record.at, series_id, series.client, Totals::of(record));
        Ok(Recorded {
            id,
            duplicate: false,
            cost: record.cost.usd(),
        })
    }

    fn recorded_before(&self, id: i64) -> rusqlite::Result<Recorded> {
        let cost: Option<Option<i64>> = self
            .sql
            .prepare_cached("SELECT cost FROM record WHERE id = ?1")?
            .query_row([id], |row| row.get(0))
            .optional()?;
        Ok(Recorded {
            id: id.cast_unsigned(),
            duplicate: true,
            cost: cost_of(cost.flatten()),
        })
    }

    /// Inserts a record with the next number.
    pub(super) fn insert(&mut self, record: &UsageRecord, series: i64, provider: i64) -> rusqlite::Result<u64> {
        let id = self.next_record()?;
        self.insert_as(id, record, series, provider)?;
        Ok(id)
    }

    /// Inserts a record with a number that is free.
    pub(super) fn insert_as(
        &mut self,
        id: u64,
        record: &UsageRecord,
        series: i64,
        provider: i64,
    ) -> rusqlite::Result<()> {
        let (basis, own_cost) = match &record.cost {
            RecordedCost::Computed { .. } | RecordedCost::Unpriced => (basis::COMPUTED, None),
            RecordedCost::Estimated { .. } => (basis::ESTIMATED, None),
            RecordedCost::LowerBound { .. } => (basis::LOWER_BOUND, None),
            RecordedCost::Stated { own, .. } => (basis::STATED, own.as_ref().map(|own| own.cost.nano())),
        };
        let session = self.names.of_maybe(self.sql, record.session.as_deref())?;
        let service = self.names.of(self.sql, record.service.as_str())?;
        let price = self.names.of_maybe(self.sql, record.cost.price())?;
        let (tokens, outcome) = (&record.tokens, &record.outcome);
        self.sql
            .prepare_cached(
                "INSERT INTO record VALUES
                    (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
                        ?22)",
            )?
            .execute(params![
                id,
                record.at.as_millisecond(),
                series,
                session,
                service,
                tokens.input(),
                tokens.output(),
                tokens.cache_read(),
                tokens.cache_write(),
                tokens.cache_write_1h(),
                tokens.reasoning(),
                record.cost.usd().map(Usd::nano),
                basis,
                price,
                outcome.success,
                outcome.status_code,
                outcome.latency_ms,
                provider,
                record.request_id,
                own_cost,
                record.upstream_id,
                record.billing == Billing::Plan,
            ])?;
        Ok(())
    }

    /// The record of that number, if it is still there.
    pub(super) fn record_of(&mut self, id: i64) -> rusqlite::Result<Option<UsageRecord>> {
        let sql = self.sql;
        let mut statement = sql.prepare_cached(&format!("{RECORDS} WHERE id = ?1"))?;
        let mut rows = statement.query([id])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let series = self.names.series(sql, row.get("series")?)?;
        self.exported(row, &series).map(|exported| Some(exported.record))
    }

    /// The next record's number.
    pub(super) fn next_record(&self) -> rusqlite::Result<u64> {
        self.sql
            .prepare_cached("UPDATE meta SET records = records + 1 RETURNING records")?
            .query_row([], |row| row.get(0))
    }

    fn export(
        &mut self,
        span: Span,
        filter: &Filter,
        mut goes_on: impl FnMut(&Exported) -> bool,
    ) -> rusqlite::Result<()> {
        let Some(filter) = self.resolve(filter)? else {
            return Ok(());
        };
        let mut statement = self
            .sql
            .prepare(&format!("{RECORDS} WHERE at >= ?1 AND at < ?2 ORDER BY id"))?;
        let mut rows = statement.query([span.from.as_millisecond(), span.to.as_millisecond()])?;
        while let Some(row) = rows.next()? {
            let series = self.names.series(self.sql, row.get("series")?)?;
            if filter.lets_through(&series) && !goes_on(&self.exported(row, &series)?) {
                break;
            }
        }
        Ok(())
    }

    fn exported(&mut self, row: &Row<'_>, series: &Series) -> rusqlite::Result<Exported> {
        let tokens = Tokens::new(TokenCounts {
            input: row.get("input_tokens")?,
            output: row.get("output_tokens")?,
            cache_read: row.get("cache_read_tokens")?,
            cache_write: row.get("cache_write_tokens")?,
            cache_write_1h: row.get("cache_write_1h_tokens")?,
            reasoning: row.get("reasoning_tokens")?,
        });
        let cost = cost_of(row.get("cost")?);
        let price = self.names.text(self.sql, row.get("price")?)?;
        let record = UsageRecord {
            at: time(row.get("at")?)?,
            model: self.model(series)?,
            label: self.parsed(series.label)?,
            task: self.one_of(series.task, &Task::ALL, Task::as_str)?,
            project: self.names.text(self.sql, series.project)?,
            session: self.names.text(self.sql, row.get("session")?)?,
            client: self.names.text(self.sql, series.client)?,
            agent: self.names.text(self.sql, series.agent)?,
            tags: self.parsed(series.tags)?.unwrap_or_default(),
            source: self
                .one_of(series.source, &UsageSource::ALL, UsageSource::as_str)?
                .ok_or_else(|| strange("a source"))?,
            service: self
                .one_of(row.get("service")?, &Service::ALL, Service::as_str)?
                .ok_or_else(|| strange("a service"))?,
            tokens: tokens.map_err(|_| strange("token counts"))?,
            outcome: RequestOutcome {
                success: row.get("success")?,
                status_code: row.get("status_code")?,
                latency_ms: row.get("latency_ms")?,
            },
            cost: stored_cost(cost, row.get("basis")?, price, cost_of(row.get("own_cost")?))?,
            billing: if row.get("is_planned")? {
                Billing::Plan
            } else {
                Billing::Billed
            },
            request_id: row.get("request_id")?,
            upstream_id: row.get("upstream_id")?,
        };
        Ok(Exported {
            id: row.get("id")?,
            record,
        })
    }

    pub(super) fn model(&mut self, series: &Series) -> rusqlite::Result<ModelRef> {
        let provider: Option<ProviderId> = self.parsed(series.provider)?;
        Ok(ModelRef {
            provider: provider.ok_or_else(|| strange("a provider"))?,
            model: self.parsed(series.model)?.ok_or_else(|| strange("a model"))?,
        })
    }

    /// The value that a name spells; nothing for no name.
    pub(super) fn parsed<T: std::str::FromStr>(&mut self, name: i64) -> rusqlite::Result<Option<T>> {
        let text = self.names.text(self.sql, name)?;
        text.map(|text| text.parse().map_err(|_| strange("a name"))).transpose()
    }

    /// Which of `all` a name spells; nothing for no name.
    fn one_of<T: Copy>(&mut self, name: i64, all: &[T], spell: fn(T) -> &'static str) -> rusqlite::Result<Option<T>> {
        let text = self.names.text(self.sql, name)?;
        text.map(|text| {
            let found = all.iter().copied().find(|it| spell(*it) == text);
            found.ok_or_else(|| strange("a name"))
        })
        .transpose()
    }
}

/// How a cost is known, as it is stored.
mod basis {
    pub(super) const COMPUTED: i64 = 0;
    pub(super) const ESTIMATED: i64 = 1;
    pub(super) const LOWER_BOUND: i64 = 2;
    pub(super) const STATED: i64 = 3;
}

fn stored_cost(
    cost: Option<Usd>,
    basis: i64,
    price: Option<String>,
    own: Option<Usd>,
) -> rusqlite::Result<RecordedCost> {
    let Some(cost) = cost else {
        return Ok(RecordedCost::Unpriced);
    };
    let price = price.unwrap_or_default();
    Ok(match basis {
        basis::COMPUTED => RecordedCost::Computed { cost, price },
        basis::ESTIMATED => RecordedCost::Estimated { cost, price },
        basis::LOWER_BOUND => RecordedCost::LowerBound { cost, price },
        basis::STATED => RecordedCost::Stated {
            cost,
            own: own.map(|cost| OwnCost { cost, price }),
        },
        _ => return Err(strange("a basis of a cost")),
    })
}

/// A stored amount, in nano-dollars.
pub(super) fn cost_of(nano: Option<i64>) -> Option<Usd> {
    nano.map(Usd::from_nano)
}
