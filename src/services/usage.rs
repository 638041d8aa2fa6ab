//! Usage: recorded, and summed up by whatever is asked for.

use jiff::{SignedDuration, Timestamp, civil::Date};

use super::{
    budget_status::{self, Alert, Budgets},
    health, ledger_writes,
    price_lookup::{self, Pricing},
};
use crate::{
    app::App,
    domain::{
        Billing, Label, ModelRef, OwnCost, ProviderId, RecordedCost, RequestOutcome, Service, Span, Tags, Task, Tokens,
        UsageRecord, UsageSource, Usd, Window, last_days, months_of,
    },
    error::{Code, Error, Result},
    storage::ledger::{Dimension, Filter, Ledger, Totals},
};

/// The longest stretch of days that is summed up.
pub const MAX_DAYS: u16 = 3_660;
/// The most groups that a report has: results are read by models.
pub const MAX_GROUPS: usize = 100;

/// The longest time ago that a reported request may have been made.
pub const OLDEST_REPORT: SignedDuration = SignedDuration::from_hours(24 * MAX_DAYS as i64);
/// How far a reporter's clock may be ahead of ours.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);
/// How long the outcome of a request says something of the provider's health.
const OUTCOME_MAX_AGE: SignedDuration = SignedDuration::from_mins(15);

/// A request that is reported.
#[derive(Debug)]
pub struct Told {
    pub model: ModelRef,
    /// When it was made, where that is not now.
    pub occurred_at: Option<Timestamp>,
    pub service: Service,
    /// What the provider says that it cost.
    pub cost: Option<Usd>,
    pub label: Option<Label>,
    pub task: Option<Task>,
    pub project: Option<String>,
    pub tokens: Tokens,
    pub outcome: RequestOutcome,
    /// What the provider asked to wait.
    pub retry_after: Option<SignedDuration>,
    pub request_id: Option<String>,
}

/// What came of recording it.
#[derive(Debug)]
pub struct Tracked {
    pub id: u64,
    /// Whether a request of that id was recorded before; this one was not counted again.
    pub duplicate: bool,
    /// What it cost, as recorded; nothing where no price is known.
    pub cost: Option<Usd>,
    /// How the cost is known; nothing of a duplicate.
    pub source: Option<&'static str>,
    /// What our own prices make of the tokens.
    pub own_cost: Option<Usd>,
    /// Why no price is known.
    pub unpriced: Option<String>,
    /// What the provider's requests of this month cost.
    pub provider_total: Usd,
    pub budgets: Budgets,
    pub alerts: Vec<Alert>,
}

/// What groups are made by.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum GroupBy {
    Provider,
    Model,
    Day,
    Month,
    Task,
    Project,
    Key,
    Client,
    Session,
    Agent,
    Tag,
}

/// Usage of some days.
#[derive(Debug)]
pub struct UsageReport {
    pub span: Span,
    pub totals: Totals,
    /// Most expensive first; days and months in order. Nothing is the name of what nobody named.
    pub groups: Vec<(Option<String>, Totals)>,
    /// How many groups more there are.
    pub omitted: usize,
    /// Every day, oldest first.
    pub days: Vec<(Date, Totals)>,
}

/// Records a request that is reported, at the price in force when it was made.
pub async fn track(app: &App, told: Told) -> Result<Tracked> {
    let now = app.now();
    let at = told.occurred_at.map_or(Ok(now), |at| occurrence(at, now))?;
    let (catalog, config) = (app.catalog()?, app.settings().current());
    let mut pricing = price_lookup::price_of(&catalog, &config, &told.model, at);
    if let Some(provider) = config.known(&told.model.provider) {
        pricing = pricing.with_services_of(provider);
    }
    let (own, unpriced) = match pricing {
        Pricing::Priced(priced) => match priced.price.cost(told.service, &told.tokens) {
            Some(cost) => {
                let (cost, price) = (cost.total, priced.version);
                (Some(OwnCost { cost, price }), None)
            }
            None => (None, Some(format!("its price has no {} rate", told.service.as_str()))),
        },
        Pricing::Unpriced(why) => (None, Some(why.as_str().to_owned())),
    };
    let cost = match (told.cost, own) {
        (Some(cost), own) => RecordedCost::Stated { cost, own },
        (None, Some(OwnCost { cost, price })) => RecordedCost::Computed { cost, price },
        (None, None) => RecordedCost::Unpriced,
    };
    let environment = app.settings().environment();
    let provider = told.model.provider.clone();
    let record = UsageRecord {
        at,
        model: told.model,
        label: told.label,
        task: told.task,
        project: told.project.or_else(|| environment.project()),
        session: environment.session(),
        client: None,
        agent: None,
        tags: Tags::default(),
        source: UsageSource::Reported,
        service: told.service,
        tokens: told.tokens,
        outcome: told.outcome,
        cost,
        billing: Billing::Billed,
        request_id: told.request_id,
        upstream_id: None,
    };
    let recorded = ledger_writes::turn(app, |ledger| ledger.record(&record)).await?;
    if !recorded.duplicate && now.duration_since(at) < OUTCOME_MAX_AGE {
        let (provider, label) = (&record.model.provider, record.label.as_ref());
        let learn = |ledger: &Ledger| health::observe(app, ledger, provider, label, &record.outcome, told.retry_after);
        if let Err(why) = ledger_writes::turn(app, learn).await {
            // The request is counted; telling it again would count it twice.
            tracing::warn!(
                error = why.code().as_str(),
                "nothing was learnt of the provider's health"
            );
        }
    }
    let budgets = budget_status::standing(app)?;
    let alerts = budget_status::new_alerts(app, &budgets).await?;
    let month = app.ledger().totals(budgets.monthly.span, &of_provider(provider))?;
    Ok(Tracked {
        id: recorded.id,
        duplicate: recorded.duplicate,
        cost: recorded.cost,
        source: record.cost.basis().filter(|_| !recorded.duplicate),
        own_cost: record.cost.own().filter(|_| !recorded.duplicate),
        unpriced: unpriced.filter(|_| recorded.cost.is_none()),
        provider_total: month.cost,
        budgets,
        alerts,
    })
}

/// The time at which a reported request was made, if it can be true.
fn occurrence(at: Timestamp, now: Timestamp) -> Result<Timestamp> {
    let refused = |problem: &str| {
        Err(
            Error::new(Code::InvalidArgument, format!("argument `occurred_at` is {problem}"))
                .hint("say when the request was made, such as 2026-11-24T12:00:00Z"),
        )
    };
    if at > now + CLOCK_SKEW {
        return refused("in the future");
    }
    if at < now - OLDEST_REPORT {
        return refused("too long ago");
    }
    Ok(at.min(now))
}

/// The provider called `name`: one that is configured, or else one that usage is recorded of.
pub fn recorded_provider(app: &App, name: &str) -> Result<ProviderId> {
    let unknown = match app.settings().current().provider(name) {
        Ok(provider) => return Ok(provider.id),
        Err(unknown) => unknown,
    };
    let ever = Span {
        from: Timestamp::UNIX_EPOCH,
        to: app.now(),
    };
    if let Ok(id) = name.parse::<ProviderId>()
        && app.ledger().totals(ever, &of_provider(id.clone()))?.requests > 0
    {
        return Ok(id);
    }
    Err(unknown.into())
}

/// The usage of the last `days` days, today included.
pub fn report(app: &App, filter: &Filter, days: u16, group_by: GroupBy) -> Result<UsageReport> {
    let (now, ledger) = (app.now(), app.ledger());
    let zone = app.settings().current().budget.time_zone.clone();
    let calendar = last_days(days, now, &zone);
    let span = Span {
        from: calendar.first().map_or(now, |(_, day)| day.from),
        to: calendar.last().map_or(now, |(_, day)| day.to),
    };
    let by_window = |named: Vec<(Date, Span)>| -> Result<Vec<(Date, Totals)>> {
        let spans: Vec<Span> = named.iter().map(|(_, span)| *span).collect();
        let totals = ledger.windows(&spans, filter)?;
        Ok(named.into_iter().map(|(date, _)| date).zip(totals).collect())
    };
    let by = |dimension| -> Result<Vec<(Option<String>, Totals)>> {
        let mut groups = ledger.grouped(span, filter, dimension)?;
        groups.sort_by(|(one, a), (other, b)| {
            let weight = |totals: &Totals| (totals.cost, totals.requests);
            weight(b).cmp(&weight(a)).then_with(|| one.cmp(other))
        });
        Ok(groups)
    };
    let used = |totals: &Totals| totals.requests > 0;
    let days = by_window(calendar)?;
    let mut groups = match group_by {
        GroupBy::Provider => by(Dimension::Provider)?,
        GroupBy::Model => by(Dimension::Model)?,
        GroupBy::Task => by(Dimension::Task)?,
        GroupBy::Project => by(Dimension::Project)?,
        GroupBy::Key => by(Dimension::Key)?,
        GroupBy::Client => by(Dimension::Client)?,
        GroupBy::Session => by(Dimension::Session)?,
        GroupBy::Agent => by(Dimension::Agent)?,
        GroupBy::Tag => by(Dimension::Tag)?,
        GroupBy::Day => named(days.iter().rev().filter(|(_, day)| used(day)).copied(), "%Y-%m-%d"),
        GroupBy::Month => named(
            by_window(months_of(span, &zone))?
                .into_iter()
                .rev()
                .filter(|(_, month)| used(month)),
            "%Y-%m",
        ),
    };
    let omitted = groups.len().saturating_sub(MAX_GROUPS);
    groups.truncate(MAX_GROUPS);
    if matches!(group_by, GroupBy::Day | GroupBy::Month) {
        groups.reverse();
    }
    Ok(UsageReport {
        span: Span { to: now, ..span },
        totals: ledger.totals(span, filter)?,
        groups,
        omitted,
        days,
    })
}

/// What is spent and done in the day and the month that it is now, by provider.
pub fn now_by_provider(app: &App, window: Window) -> Result<Vec<(Option<String>, Totals)>> {
    let zone = &app.settings().current().budget.time_zone;
    Ok(app
        .ledger()
        .grouped(window.around(app.now(), zone), &Filter::default(), Dimension::Provider)?)
}

fn of_provider(provider: ProviderId) -> Filter {
    Filter {
        provider: Some(provider),
        ..Filter::default()
    }
}

fn named(dated: impl Iterator<Item = (Date, Totals)>, format: &str) -> Vec<(Option<String>, Totals)> {
    dated
        .map(|(date, totals)| (Some(date.strftime(format).to_string()), totals))
        .collect()
}
