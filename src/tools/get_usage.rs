//! `get_usage`: what was used, and for what?

use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Hints, Tool, key, usage_cells,
    view::{self, Block, Cell, Column, Tone, View},
};
use crate::{
    app::App,
    domain::{UsageSource, Usd, zone_text},
    error::Result,
    services::{
        caller::Caller,
        usage_blocks::UsageBlock,
        usage_report::{self, GroupBy, MAX_DAYS},
        usage_views::TotalsView,
    },
    storage::ledger::Filter,
};

/// The most days whose spending is listed one by one.
const LISTED_DAYS: usize = 62;

/// Sum up requests, tokens and cost of the last days, grouped by provider, model, day, month, task, project, key, client, session, agent, tag or five-hour block
#[derive(Debug, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub(super) struct GetUsage {
    /// Only this provider
    provider: Option<String>,
    /// How many days back, today included
    #[schemars(range(min = 1, max = MAX_DAYS))]
    #[serde(default = "thirty")]
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_DAYS)))]
    days: u16,
    /// What to group by
    #[serde(default = "by_provider")]
    #[arg(long, value_enum, default_value = "provider")]
    group_by: GroupBy,
    /// Only requests with this tag, `name=value`
    #[arg(long)]
    tag: Option<String>,
    /// Only requests of this program, such as claude-code
    #[schemars(length(max = 100))]
    #[arg(long)]
    agent: Option<String>,
    /// Only what these sources say: reported, gateway, log, cumulative_log
    #[serde(default)]
    #[arg(long, value_enum, value_delimiter = ',')]
    source: Vec<UsageSource>,
}

/// Usage of some days.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Usage {
    /// The provider asked for; null for all
    provider: Option<String>,
    group_by: GroupBy,
    period: Period,
    totals: TotalsView,
    /// Most expensive first; days and months in order
    groups: Vec<Group>,
    /// How many groups more there are
    #[serde(skip_serializing_if = "is_none")]
    groups_omitted: usize,
    /// What each day cost, oldest first, for up to 62 days
    #[serde(skip_serializing_if = "Vec::is_empty")]
    daily: Vec<Day>,
    /// The five-hour windows that are open, where groups are made by them
    #[serde(skip_serializing_if = "Vec::is_empty")]
    open_blocks: Vec<OpenWindow>,
    /// For people, where the period's beginning is a moment in UTC.
    #[serde(skip)]
    first_day: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Period {
    from: String,
    to: String,
    days: u16,
    /// Where days begin
    time_zone: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Group {
    /// Null where it is unknown
    name: Option<String>,
    #[serde(flatten)]
    totals: TotalsView,
}

/// A window that has not ended.
#[derive(Debug, Serialize, JsonSchema)]
struct OpenWindow {
    /// Null where no agent is named
    agent: Option<String>,
    from: String,
    to: String,
    minutes_left: u64,
    tokens_per_minute: u64,
    cost_usd_per_hour: Usd,
    /// At API prices, of what a plan covers
    plan_cost_usd_per_hour: Usd,
    /// At the window's end, if it goes on like that
    projected_cost_usd: Usd,
    projected_plan_cost_usd: Usd,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Day {
    date: String,
    requests: u64,
    cost_usd: Usd,
}

fn thirty() -> u16 {
    30
}

fn by_provider() -> GroupBy {
    GroupBy::Provider
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

impl Tool for GetUsage {
    const NAME: &'static str = "get_usage";
    const COMMAND: &'static str = "usage";
    const TITLE: &'static str = "Get usage";
    const SEARCH_HINT: &'static str =
        "how much did i spend, usage costs tokens requests statistics of a day week month by model provider project";
    const HINTS: Hints = Hints::READ_ONLY;
    type Output = Usage;

    async fn call(self, app: &App, _caller: &dyn Caller) -> Result<Usage> {
        let settings = app.settings().current();
        let provider = self
            .provider
            .as_deref()
            .map(|name| usage_report::recorded_provider(app, name))
            .transpose()?;
        let filter = Filter {
            provider: provider.clone(),
            tag: self.tag,
            agent: self.agent,
            sources: self.source,
            ..Filter::default()
        };
        let report = usage_report::report(app, &filter, self.days, self.group_by)?;
        let daily = if report.days.len() <= LISTED_DAYS {
            report
                .days
                .iter()
                .map(|(date, totals)| Day {
                    date: date.to_string(),
                    requests: totals.requests,
                    cost_usd: totals.cost,
                })
                .collect()
        } else {
            Vec::new()
        };
        Ok(Usage {
            provider: provider.map(String::from),
            group_by: self.group_by,
            period: Period {
                from: key::time(report.span.from),
                to: key::time(report.span.to),
                days: self.days,
                time_zone: zone_text(&settings.budget.time_zone, app.now()),
            },
            totals: TotalsView::from(&report.totals),
            groups: report
                .groups
                .iter()
                .map(|(name, totals)| Group {
                    name: name.clone(),
                    totals: TotalsView::from(totals),
                })
                .collect(),
            groups_omitted: report.omitted,
            daily,
            open_blocks: report.open_blocks.iter().filter_map(OpenWindow::of).collect(),
            first_day: report
                .days
                .first()
                .map_or_else(String::new, |(date, _)| date.to_string()),
        })
    }

    fn view(output: &Usage) -> View {
        let first_day = &output.first_day;
        let of = output
            .provider
            .as_ref()
            .map_or_else(String::new, |provider| format!(" of {provider}"));
        if output.totals.requests == 0 {
            return View::line(Tone::Plain, format!("No requests{of} recorded since {first_day}")).and(Block::Hint(
                "`api-keys track PROVIDER MODEL INPUT OUTPUT` records one".to_owned(),
            ));
        }
        let has_plan = output.totals.plan_requests > 0;
        let row = |name: Cell, totals: &TotalsView| {
            std::iter::once(name)
                .chain(usage_cells::cells(totals, has_plan))
                .collect::<Vec<_>>()
        };
        let mut rows: Vec<Vec<Cell>> = output
            .groups
            .iter()
            .map(|group| row(group.name.as_deref().unwrap_or("–").into(), &group.totals))
            .collect();
        if output.groups.len() > 1 {
            rows.push(row(Cell::new(Tone::Faint, "total"), &output.totals));
        }
        let head = match output.group_by {
            GroupBy::Provider => "PROVIDER",
            GroupBy::Model => "MODEL",
            GroupBy::Day => "DAY",
            GroupBy::Month => "MONTH",
            GroupBy::Task => "TASK",
            GroupBy::Project => "PROJECT",
            GroupBy::Key => "KEY",
            GroupBy::Client => "CLIENT",
            GroupBy::Session => "SESSION",
            GroupBy::Agent => "AGENT",
            GroupBy::Tag => "TAG",
            GroupBy::Block => "WINDOW",
        };
        let mut shown = View::line(
            Tone::Faint,
            format!(
                "Usage{of} since {first_day} ({} days, {})",
                output.period.days, output.period.time_zone
            ),
        )
        .and(Block::table(
            std::iter::once(Column::new(head)).chain(usage_cells::columns(has_plan)),
            rows,
        ));
        if output.groups_omitted > 0 {
            let more = format!("and {} more with lower cost", output.groups_omitted);
            shown = shown.and(Block::Line(Tone::Faint, more));
        }
        if output.daily.len() > 1 {
            shown = shown.and(Block::Line(Tone::Plain, by_day(&output.daily)));
        }
        for block in &output.open_blocks {
            shown = shown.and(Block::Line(Tone::Plain, block.line()));
        }
        if has_plan {
            let said = "at API prices: covered by plans, and not billed by the token";
            shown = shown.and(Block::Line(Tone::Faint, said.to_owned()));
        }
        if output.totals.provider_cost_requests > 0 {
            shown = shown.and(Block::Line(Tone::Faint, stated(&output.totals)));
        }
        if output.totals.lower_bound_requests > 0 {
            shown = shown.and(Block::Warning(format!(
                "searches, sound or images of {} cost more than is known here, and that is not in it",
                view::requests(output.totals.lower_bound_requests)
            )));
        }
        if output.totals.unpriced_requests > 0 {
            shown = shown.and(Block::Warning(format!(
                "{} not included: the cost is unknown; `api-keys usage --group-by model` shows the models, add their prices as [[prices]] in config.toml",
                view::requests(output.totals.unpriced_requests)
            )));
        }
        shown
    }
}

impl OpenWindow {
    fn of(block: &UsageBlock) -> Option<Self> {
        let rate = block.rate?;
        Some(Self {
            agent: block.agent.clone(),
            from: key::time(block.from),
            to: key::time(block.to),
            minutes_left: rate.minutes_left,
            tokens_per_minute: rate.tokens_per_minute,
            cost_usd_per_hour: rate.cost_per_hour,
            plan_cost_usd_per_hour: rate.plan_cost_per_hour,
            projected_cost_usd: rate.projected_cost,
            projected_plan_cost_usd: rate.projected_plan_cost,
        })
    }

    fn line(&self) -> String {
        let agent = self.agent.as_deref().unwrap_or("requests without an agent");
        let (hours, minutes) = (self.minutes_left / 60, self.minutes_left % 60);
        let mut amounts = Vec::new();
        if self.cost_usd_per_hour > Usd::ZERO {
            amounts.push(format!(
                "{}/h, {} at its end",
                self.cost_usd_per_hour, self.projected_cost_usd
            ));
        }
        if self.plan_cost_usd_per_hour > Usd::ZERO {
            amounts.push(format!(
                "{}/h at API prices, {} at its end",
                self.plan_cost_usd_per_hour, self.projected_plan_cost_usd
            ));
        }
        let tokens = view::tokens(self.tokens_per_minute);
        let amounts = if amounts.is_empty() {
            String::new()
        } else {
            format!(", {}", amounts.join(", "))
        };
        format!("{agent}: {hours}h{minutes:02}m left, {tokens} tokens/min{amounts}")
    }
}

/// What providers stated, beside our own prices.
fn stated(totals: &TotalsView) -> String {
    let difference = totals.cost_difference_usd;
    let compared = match difference.cmp(&Usd::ZERO) {
        Ordering::Equal => "as our own prices make of it".to_owned(),
        Ordering::Greater => format!("{difference} more than our own prices make of it"),
        Ordering::Less => format!("{} less than our own prices make of it", Usd::ZERO - difference),
    };
    format!(
        "the provider stated the cost of {}: {compared}",
        view::requests(totals.provider_cost_requests)
    )
}

/// The days as a line of columns, by cost, or by requests where nothing cost anything.
fn by_day(days: &[Day]) -> String {
    let costs: Vec<u64> = days
        .iter()
        .map(|day| u64::try_from(day.cost_usd.nano()).unwrap_or(0))
        .collect();
    let peak = days.iter().max_by_key(|day| (day.cost_usd, day.requests));
    let is_free = costs.iter().all(|cost| *cost == 0);
    let values = if is_free {
        days.iter().map(|day| day.requests).collect()
    } else {
        costs
    };
    let most = peak.map_or_else(String::new, |day| {
        let most = if is_free {
            view::requests(day.requests)
        } else {
            day.cost_usd.to_string()
        };
        format!("  most on {}: {most}", day.date)
    });
    format!("by day  ▕{}▏{most}", view::sparkline(&values))
}
