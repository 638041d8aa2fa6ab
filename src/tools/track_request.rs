//! `track_request`: a request was made, and this is what it used.

use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Hints, Tool, usage_cells,
    view::{Block, Tone, View},
};
use crate::{
    app::App,
    domain::{Label, MAX_TOKENS, RequestOutcome, Service, Task, TokenCounts, Tokens, Usd},
    error::{Code, Error, Result},
    providers,
    services::{caller::Caller, price_lookup, usage_tracking, usage_views::AlertView},
};

/// Record what a request to a provider used, and what it cost. Input tokens include cached ones
#[derive(Debug, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub(super) struct TrackRequest {
    /// Provider that served it
    provider: String,
    /// Model that served it, as the provider calls it
    #[schemars(length(max = 200))]
    model: String,
    /// Tokens of the whole prompt, including cached ones
    #[schemars(range(max = MAX_TOKENS))]
    #[arg(allow_negative_numbers = true)]
    input_tokens: u64,
    /// Tokens of the answer, including reasoning
    #[schemars(range(max = MAX_TOKENS))]
    #[arg(allow_negative_numbers = true)]
    output_tokens: u64,
    /// Whether the request succeeded
    #[serde(default = "yes")]
    #[arg(long = "failed", action = clap::ArgAction::SetFalse, help = "The request failed")]
    success: bool,
    /// Part of the input tokens that was read from a cache
    #[schemars(range(max = MAX_TOKENS))]
    #[serde(default)]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    cache_read_tokens: u64,
    /// Part of the input tokens that was written to a cache
    #[schemars(range(max = MAX_TOKENS))]
    #[serde(default)]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    cache_write_tokens: u64,
    /// Part of the cache-write tokens that is kept for an hour
    #[schemars(range(max = MAX_TOKENS))]
    #[serde(default)]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    cache_write_1h_tokens: u64,
    /// Part of the output tokens that was reasoning
    #[schemars(range(max = MAX_TOKENS))]
    #[serde(default)]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    reasoning_tokens: u64,
    /// Milliseconds until the answer was complete
    #[schemars(range(max = 86_400_000))]
    #[arg(long, value_parser = clap::value_parser!(u32).range(..=86_400_000))]
    latency_ms: Option<u32>,
    /// HTTP status of the answer
    #[schemars(range(min = 100, max = 599))]
    #[arg(long, value_parser = clap::value_parser!(u16).range(100..=599))]
    status_code: Option<u16>,
    /// Seconds to wait, by the provider's Retry-After header
    #[schemars(range(max = 604_800))]
    #[arg(long, value_parser = clap::value_parser!(u32).range(..=604_800))]
    retry_after_seconds: Option<u32>,
    /// Service tier it was processed in, which its price depends on
    #[serde(default)]
    #[arg(long, value_enum, default_value = "standard", hide_default_value = true)]
    service_tier: Service,
    /// When it was made, if not now: ISO 8601 time
    #[schemars(length(max = 64))]
    #[arg(long)]
    occurred_at: Option<String>,
    /// Cost as stated by the provider, in US dollars
    #[schemars(range(min = 0, max = MAX_COST_USD))]
    #[arg(long, allow_negative_numbers = true)]
    cost_usd: Option<Usd>,
    /// The request's own id; a provider's request that is reported twice is counted once
    #[schemars(length(max = 200))]
    #[arg(long)]
    request_id: Option<String>,
    /// What it was for
    #[arg(long, value_enum)]
    task_type: Option<Task>,
    /// Project to count it under
    #[schemars(length(max = 100))]
    #[arg(long)]
    project: Option<String>,
    /// Which of the provider's keys it was made with
    #[arg(long)]
    label: Option<String>,
}

/// The highest cost of one request, in dollars.
const MAX_COST_USD: i64 = 10_000;

/// What was recorded.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RecordedView {
    id: u64,
    provider: String,
    model: String,
    /// Whether this request_id was recorded before; it was not counted again
    duplicate: bool,
    /// Whether a price of the model is known
    priced: bool,
    /// Null where no price is known
    cost_usd: Option<Usd>,
    /// `computed` from the tokens, or stated by the `provider`; null where it is unknown, or was recorded before
    cost_source: Option<&'static str>,
    /// What our own prices make of the tokens
    own_cost_usd: Option<Usd>,
    /// What the provider's requests of this month cost
    provider_total_usd: Usd,
    budget: BudgetFlags,
    /// Thresholds that this request reached; each is reported once
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alerts: Vec<AlertView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// Whether the budgets are exceeded.
#[derive(Debug, Serialize, JsonSchema)]
struct BudgetFlags {
    daily_exceeded: bool,
    monthly_exceeded: bool,
    /// Whether one of them has reached the alert threshold
    alert: bool,
}

fn yes() -> bool {
    true
}

/// The moment that an ISO 8601 time names, in UTC where it names no zone; a date means the beginning of that day.
fn moment(text: &str) -> Result<Timestamp> {
    let text = text.trim();
    let in_utc = || {
        let time: civil::DateTime = text.parse().ok()?;
        Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    text.parse().ok().or_else(in_utc).ok_or_else(|| {
        Error::new(Code::InvalidArgument, "argument `occurred_at` is not an ISO 8601 time")
            .hint("write it as 2026-11-24T12:00:00Z")
    })
}

impl Tool for TrackRequest {
    const NAME: &'static str = "track_request";
    const COMMAND: &'static str = "track";
    const TITLE: &'static str = "Track request";
    const SEARCH_HINT: &'static str = "record the usage of a request, what tokens it used, usage tracking";
    const HINTS: Hints = Hints::WRITES;
    type Output = RecordedView;

    fn holds_key(name: &str, text: &str) -> bool {
        match name {
            "request_id" => providers::has_key_form(text),
            _ => providers::looks_like_key(text),
        }
    }

    async fn call(self, app: &App, _caller: &dyn Caller) -> Result<RecordedView> {
        let provider = app.settings().current().provider(&self.provider)?;
        let tokens = Tokens::new(TokenCounts {
            input: self.input_tokens,
            output: self.output_tokens,
            cache_read: self.cache_read_tokens,
            cache_write: self.cache_write_tokens,
            cache_write_1h: self.cache_write_1h_tokens,
            reasoning: self.reasoning_tokens,
        })?;
        let model = price_lookup::named(&*app.catalog()?, &provider.id, &self.model.parse()?);
        if self
            .cost_usd
            .is_some_and(|cost| cost > Usd::from_nano(MAX_COST_USD * 1_000_000_000))
        {
            let message = format!("argument `cost_usd` is out of range: the maximum is {MAX_COST_USD}");
            return Err(Error::new(Code::InvalidArgument, message).hint("give the cost in US dollars"));
        }
        let reported = usage_tracking::ReportedRequest {
            model: model.clone(),
            occurred_at: self.occurred_at.as_deref().map(moment).transpose()?,
            service: self.service_tier,
            cost: self.cost_usd,
            label: self.label.as_deref().map(str::parse::<Label>).transpose()?,
            task: self.task_type,
            project: self
                .project
                .as_deref()
                .map(|name| super::labels::name("project", name))
                .transpose()?,
            tokens,
            outcome: RequestOutcome {
                success: self.success,
                status_code: self.status_code,
                latency_ms: self.latency_ms,
            },
            retry_after: self
                .retry_after_seconds
                .map(|seconds| SignedDuration::from_secs(seconds.into())),
            request_id: self
                .request_id
                .as_deref()
                .map(|id| super::labels::name("request_id", id))
                .transpose()?,
        };
        let tracked = usage_tracking::track(app, reported).await?;
        let budgets = &tracked.budgets;
        let mut warnings = Vec::new();
        if let Some(why) = tracked.unpriced {
            warnings.push(format!("recorded without a cost: {why}"));
        }
        Ok(RecordedView {
            id: tracked.id,
            provider: model.provider.to_string(),
            model: model.model.to_string(),
            duplicate: tracked.duplicate,
            priced: tracked.cost.is_some(),
            cost_usd: tracked.cost,
            cost_source: tracked.source,
            own_cost_usd: tracked.own_cost,
            provider_total_usd: tracked.provider_total,
            budget: BudgetFlags {
                daily_exceeded: budgets.is_exceeded(&budgets.daily),
                monthly_exceeded: budgets.is_exceeded(&budgets.monthly),
                alert: budgets.standings().iter().any(|standing| budgets.is_alert(standing)),
            },
            alerts: tracked.alerts.iter().map(AlertView::from).collect(),
            warnings,
        })
    }

    fn view(output: &RecordedView) -> View {
        let cost = output
            .cost_usd
            .map_or_else(|| "unknown cost".to_owned(), |cost| cost.to_string());
        let line = if output.duplicate {
            format!("Already recorded as {}: {cost}; not counted again", output.id)
        } else {
            format!("Recorded {}/{} as {}: {cost}", output.provider, output.model, output.id)
        };
        let tone = if output.priced { Tone::Good } else { Tone::Attention };
        let view = View::line(tone, line).and(Block::Line(
            Tone::Faint,
            format!("{} this month: {}", output.provider, output.provider_total_usd),
        ));
        usage_cells::with_alerts(super::view::with_warnings(view, &output.warnings), &output.alerts)
    }
}
