//! Usage over time by one property: what charts are drawn of, and the tables behind them.

use jiff::{
    Timestamp,
    civil::{Date, Weekday},
    tz::TimeZone,
};

use super::usage_report::by_cost;
use crate::{
    app::App,
    domain::{ModelRef, Rate, Span, Usd, last_days, months_of, spanned_days},
    error::Result,
    services::price_lookup::{self, Pricing},
    storage::ledger::{Dimension, Filter, Totals},
};

/// The most columns that days and weeks make; months take the place of more.
const MAX_COLUMNS: usize = 92;

/// The days that are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsagePeriod {
    /// So many, today included.
    Last(u16),
    /// From the first to the last, both included.
    Days(Date, Date),
}

/// Sums of consecutive days, weeks or months, each split by one property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageMatrix {
    pub span: Span,
    pub columns: Vec<MatrixColumn>,
    /// Those of the highest cost in all first; `None` is the name of what was not named.
    pub groups: Vec<MatrixGroup>,
    pub totals: Totals,
}

/// One stretch of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixColumn {
    pub first: Date,
    pub last: Date,
    pub totals: Totals,
}

/// One value of the property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixGroup {
    pub name: Option<String>,
    /// One for each column.
    pub values: Vec<Totals>,
    pub totals: Totals,
}

impl UsagePeriod {
    /// The days, oldest first; never none.
    pub fn days(self, now: Timestamp, zone: &TimeZone) -> Vec<(Date, Span)> {
        match self {
            Self::Last(count) => last_days(count.max(1), now, zone),
            Self::Days(first, last) => spanned_days(first.min(last), last.max(first), zone),
        }
    }
}

/// What was used in `period`, by time and by `by`.
pub fn matrix(app: &App, period: UsagePeriod, filter: &Filter, by: Dimension) -> Result<UsageMatrix> {
    let zone = app.settings().current().budget.time_zone.clone();
    let days = period.days(app.now(), &zone);
    let span = Span {
        from: days.first().map_or(app.now(), |(_, day)| day.from),
        to: days.last().map_or(app.now(), |(_, day)| day.to),
    };
    let stretches = stretches(&days, &zone);
    let spans: Vec<Span> = stretches.iter().map(|(_, _, span)| *span).collect();
    let mut groups: Vec<MatrixGroup> = app
        .ledger()
        .grouped_over(&spans, filter, by)?
        .into_iter()
        .map(|(name, values)| {
            let mut totals = Totals::default();
            for value in &values {
                totals += *value;
            }
            MatrixGroup { name, values, totals }
        })
        .collect();
    groups.sort_by(|one, other| by_cost(&one.totals, &other.totals).then_with(|| one.name.cmp(&other.name)));
    let sums = app.ledger().windows(&spans, filter)?;
    let mut totals = Totals::default();
    for sum in &sums {
        totals += *sum;
    }
    let columns = stretches
        .into_iter()
        .zip(sums)
        .map(|((first, last, _), totals)| MatrixColumn { first, last, totals })
        .collect();
    Ok(UsageMatrix {
        span,
        columns,
        groups,
        totals,
    })
}

/// The days as they are, or as weeks or months where there are many.
fn stretches(days: &[(Date, Span)], zone: &TimeZone) -> Vec<(Date, Date, Span)> {
    if days.len() <= MAX_COLUMNS {
        return days.iter().map(|(date, span)| (*date, *date, *span)).collect();
    }
    if days.len() > MAX_COLUMNS * 7 {
        let (Some((first_day, first)), Some((last_day, last))) = (days.first(), days.last()) else {
            return Vec::new();
        };
        let whole = Span {
            from: first.from,
            to: last.to,
        };
        let months = months_of(whole, zone).into_iter();
        return months
            .map(|(first, span)| (first.max(*first_day), first.last_of_month().min(*last_day), span))
            .collect();
    }
    let mut weeks: Vec<(Date, Date, Span)> = Vec::new();
    for (date, span) in days {
        match weeks.last_mut() {
            Some((_, last, whole)) if date.weekday() != Weekday::Monday => {
                *last = *date;
                whole.to = span.to;
            }
            _ => weeks.push((*date, *date, *span)),
        }
    }
    weeks
}

impl UsageMatrix {
    /// The first `most` groups, and all others in one.
    pub fn leading(&self, most: usize) -> (Vec<&MatrixGroup>, Option<MatrixGroup>) {
        if self.groups.len() <= most {
            return (self.groups.iter().collect(), None);
        }
        let (leading, rest) = self.groups.split_at(most.saturating_sub(1));
        let mut values = vec![Totals::default(); self.columns.len()];
        let mut totals = Totals::default();
        for group in rest {
            totals += group.totals;
            for (sum, value) in values.iter_mut().zip(&group.values) {
                *sum += *value;
            }
        }
        let name = Some(format!("{} others", rest.len()));
        (leading.iter().collect(), Some(MatrixGroup { name, values, totals }))
    }
}

/// What reading from providers' caches saved, less what writing to them cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheSavings {
    pub saved: Usd,
    /// Cached tokens of models without a price, which are in no amount.
    pub unpriced_tokens: u64,
}

/// What the cache saved at the prices of now, by the sums of `models` (`provider/model`).
pub fn cache_savings<'m>(app: &App, models: impl Iterator<Item = (&'m str, &'m Totals)>) -> Result<CacheSavings> {
    let (config, catalog) = app.in_force()?;
    let now = app.now();
    let mut savings = CacheSavings::default();
    for (name, totals) in models {
        if totals.cache_read_tokens == 0 && totals.cache_write_tokens == 0 {
            continue;
        }
        let price = name.parse::<ModelRef>().ok().and_then(|model| {
            match price_lookup::price_of(&catalog, &config, &model, now) {
                Pricing::Priced(priced) => Some(priced.price.offered.standard),
                Pricing::Unpriced(_) => None,
            }
        });
        let Some(rates) = price else {
            savings.unpriced_tokens += totals.cache_read_tokens;
            continue;
        };
        let cost = |tokens: u64, rate: Rate| rate.times(tokens).rounded();
        let (read, written) = (totals.cache_read_tokens, totals.cache_write_tokens);
        let read_rate = rates.cache_read.unwrap_or(rates.input);
        let write_rate = rates.cache_write.unwrap_or(rates.input);
        savings.saved = savings.saved + cost(read, rates.input) - cost(read, read_rate) + cost(written, rates.input)
            - cost(written, write_rate);
    }
    Ok(savings)
}
