//! Recording a request that a client or a person reports.

use jiff::{SignedDuration, Timestamp};

use super::{
    budget_status::{self, Alert, Budgets},
    health, ledger_writes,
    price_lookup::{self, Pricing},
    usage_report::MAX_DAYS,
};
use crate::{
    app::App,
    domain::{
        Billing, Label, ModelRef, OwnCost, RecordedCost, RequestOutcome, Service, Tags, Task, Tokens, UsageRecord,
        UsageSource, Usd,
    },
    error::{Code, Error, Result},
    storage::ledger::{Filter, Ledger},
};

/// The longest time ago that a reported request may have been made.
pub const OLDEST_REPORT: SignedDuration = SignedDuration::from_hours(24 * MAX_DAYS as i64);
/// How far a reporter's clock may be ahead of ours.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);
/// How long the outcome of a request says something of the provider's health.
const OUTCOME_MAX_AGE: SignedDuration = SignedDuration::from_mins(15);

/// A request that is reported.
#[derive(Debug)]
pub struct ReportedRequest {
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

/// What recording it came to.
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

/// Records a request that is reported, at the price in force when it was made.
pub async fn track(app: &App, reported: ReportedRequest) -> Result<Tracked> {
    let now = app.now();
    let at = reported.occurred_at.map_or(Ok(now), |at| occurrence(at, now))?;
    let (catalog, config) = (app.catalog()?, app.settings().current());
    let mut pricing = price_lookup::price_of(&catalog, &config, &reported.model, at).of_tokens();
    if let Some(provider) = config.known(&reported.model.provider) {
        pricing = pricing.with_services_of(provider);
    }
    let (own, unpriced) = match pricing {
        Pricing::Priced(priced) => match priced.price.cost(reported.service, &reported.tokens) {
            Some(cost) => {
                let (cost, price) = (cost.total, priced.version);
                (Some(OwnCost { cost, price }), None)
            }
            None => (
                None,
                Some(format!("its price has no {} rate", reported.service.as_str())),
            ),
        },
        Pricing::Unpriced(why) => (None, Some(why.as_str().to_owned())),
    };
    let cost = match (reported.cost, own) {
        (Some(cost), own) => RecordedCost::Stated { cost, own },
        (None, Some(OwnCost { cost, price })) => RecordedCost::Computed { cost, price },
        (None, None) => RecordedCost::Unpriced,
    };
    let environment = app.settings().environment();
    let provider = reported.model.provider.clone();
    let record = UsageRecord {
        at,
        model: reported.model,
        label: reported.label,
        task: reported.task,
        project: reported.project.or_else(|| environment.project()),
        session: environment.session(),
        client: None,
        agent: None,
        tags: Tags::default(),
        source: UsageSource::Reported,
        service: reported.service,
        tokens: reported.tokens,
        outcome: reported.outcome,
        cost,
        billing: Billing::Billed,
        request_id: reported.request_id,
        upstream_id: None,
    };
    let watched = budget_status::watched(&config.budget, now);
    let recorded = ledger_writes::turn(app, |ledger| ledger.record_watched(&record, &watched, now)).await?;
    if !recorded.duplicate && now.duration_since(at) < OUTCOME_MAX_AGE {
        let (provider, label) = (&record.model.provider, record.label.as_ref());
        let learn =
            |ledger: &Ledger| health::observe(app, ledger, provider, label, &record.outcome, reported.retry_after);
        if let Err(why) = ledger_writes::turn(app, learn).await {
            // The request is counted; reporting it again would count it twice.
            tracing::warn!(error = why.code().as_str(), "the provider's health was not updated");
        }
    }
    let budgets = budget_status::standing(app)?;
    let alerts = budget_status::new_alerts(app, &budgets).await?;
    let of_provider = Filter {
        provider: Some(provider),
        ..Filter::default()
    };
    let month = app.ledger().totals(budgets.monthly.span, &of_provider)?;
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
