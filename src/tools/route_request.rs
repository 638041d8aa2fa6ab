//! `route_request`: which provider and model should take this, and why?

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Hints, Tool,
    view::{self, Block, Cell, Column, Tone, View},
};
use crate::{
    app::App,
    domain::{Billionths, Capability, MAX_TOKENS, Objective, Task},
    error::Result,
    providers,
    services::{
        caller::Caller,
        routing::{self, Considered, Route, Wanted},
    },
};

/// How many candidates people see.
const SHOWN: usize = 16;

/// Choose the provider, model and key for a request. Explains why, with the verdict on the other candidates
#[derive(Debug, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteRequest {
    /// What the request is for
    #[arg(value_enum)]
    task_type: Task,
    /// Provider to use if possible
    #[arg(long)]
    preferred_provider: Option<String>,
    /// Model to use if possible, as its provider calls it, or provider/model
    #[schemars(length(max = 200))]
    #[arg(long)]
    model: Option<String>,
    /// Whether another provider may be used instead
    #[serde(default = "yes")]
    #[arg(long = "no-fallback", action = clap::ArgAction::SetFalse, help = "Use no other provider instead")]
    enable_fallback: bool,
    /// Tokens of the whole prompt (default: what is typical of the task)
    #[schemars(range(max = MAX_TOKENS))]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=MAX_TOKENS))]
    input_tokens: Option<u64>,
    /// Tokens of the answer, without reasoning (default: what is typical of the task)
    #[schemars(range(max = MAX_TOKENS))]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=MAX_TOKENS))]
    output_tokens: Option<u64>,
    /// What to compare candidates by (default: the configured one)
    #[arg(long, value_enum)]
    objective: Option<Objective>,
    /// What the model must be able to do
    #[serde(default)]
    #[arg(long, value_enum, value_delimiter = ',')]
    needs: Vec<Capability>,
    /// Name of the conversation, which stays with one key for prompt caching
    #[schemars(length(max = 200))]
    #[arg(long)]
    session: Option<String>,
    /// Whether to list every candidate, not only the best ones
    #[serde(default)]
    #[arg(long)]
    all_candidates: bool,
}

fn yes() -> bool {
    true
}

impl Tool for RouteRequest {
    const NAME: &'static str = "route_request";
    const COMMAND: &'static str = "route";
    const TITLE: &'static str = "Route request";
    const SEARCH_HINT: &'static str =
        "which provider or model should I use for this task, choose best cheapest model, fallback";
    const HINTS: Hints = Hints::READ_ONLY;
    type Output = Arc<Route>;

    fn holds_key(name: &str, text: &str) -> bool {
        match name {
            "session" => providers::has_key_form(text),
            _ => providers::looks_like_key(text),
        }
    }

    async fn call(self, app: &App, caller: &dyn Caller) -> Result<Arc<Route>> {
        routing::open_for(app, caller).await?;
        let settings = app.settings().current();
        let provider = self.preferred_provider.as_deref().map(|name| settings.provider(name));
        let session = self
            .session
            .as_deref()
            .map(|name| super::labels::name("session", name))
            .transpose()?;
        let wanted = Wanted {
            task: self.task_type,
            preferred: provider.transpose()?.map(|provider| provider.id),
            model: self.model,
            allows_fallback: self.enable_fallback,
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            objective: self.objective,
            needs: self.needs.into_iter().collect(),
            session: session.or_else(|| app.settings().environment().session()),
            lists_all: self.all_candidates,
        };
        routing::route(app, &wanted).await
    }

    fn view(output: &Arc<Route>) -> View {
        let effort = output
            .effort
            .map_or_else(String::new, |effort| format!(" at effort {}", effort.as_str()));
        let label = output
            .label
            .as_ref()
            .map_or_else(String::new, |label| format!(" with the key {label}"));
        let tone = if output.is_fallback {
            Tone::Attention
        } else {
            Tone::Good
        };
        let chosen = format!("{}/{}{effort}{label}", output.provider, output.model);
        let mut view = View::line(tone, chosen)
            .and(Block::Line(Tone::Plain, output.reason.clone()))
            .and(Block::Line(Tone::Faint, cost(output)));
        let rows: Vec<Vec<Cell>> = output.considered.iter().take(SHOWN).map(row).collect();
        view = view.and(Block::table(
            [
                Column::new("CANDIDATE"),
                Column::new("EFFORT").rank(2),
                Column::new("VERDICT").wrapped(),
                Column::new("QUALITY").rank(1),
                Column::new("COST"),
            ],
            rows,
        ));
        let more = output.considered.len().saturating_sub(SHOWN) + output.considered_omitted.unwrap_or_default();
        if more > 0 {
            view = view.and(Block::Line(
                Tone::Faint,
                format!("and {more} more, shown with `--all-candidates --json`"),
            ));
        }
        view
    }
}

/// What the request is expected to cost, in words.
fn cost(output: &Route) -> String {
    let tokens = &output.tokens;
    let (input, out) = (view::count(tokens.input), view::count(tokens.output));
    let request = if tokens.typical {
        format!("a typical request of {input} input and {out} output tokens")
    } else {
        format!("{input} input and {out} output tokens")
    };
    let known = output
        .estimated_cost_usd
        .map_or_else(|| "an unknown amount".to_owned(), |cost| cost.to_string());
    let reasoning = output.reasoning.as_ref().map_or_else(String::new, |reasoning| {
        let cost = reasoning.cost_usd.map_or_else(String::new, |cost| format!(", {cost}"));
        format!("; reasoning may add {} tokens{cost}", view::count(reasoning.tokens))
    });
    format!("{request}: about {known}{reasoning}")
}

fn row(it: &Considered) -> Vec<Cell> {
    let tone = match it.verdict {
        "chosen" => Tone::Good,
        "outranked" => Tone::Plain,
        _ => Tone::Faint,
    };
    let mut verdict = it.verdict.replace('_', " ");
    let because = it
        .until
        .as_ref()
        .map(|until| format!(" until {until}"))
        .or_else(|| it.limit.map(|limit| format!(": at most {}", view::count(limit))))
        .or_else(|| it.lacks.map(|need| format!(" {}", need.as_str())));
    verdict.push_str(&because.unwrap_or_default());
    let model = it.model.as_deref().unwrap_or("–");
    let others = it
        .other_models
        .map_or_else(String::new, |others| format!(" and {others} more"));
    vec![
        Cell::new(tone, format!("{}/{model}{others}", it.provider)),
        Cell::new(Tone::Faint, it.effort.map_or("", |effort| effort.as_str())),
        Cell::new(tone, verdict),
        Cell::number(it.quality.map_or_else(String::new, |quality| {
            let family = if it.quality_of.is_some() { "~" } else { "" };
            // Points have two decimal places, of which people need one.
            let tenths = quality.0 / (Billionths::ONE.0 / 10);
            format!("{family}{}.{}", tenths / 10, tenths % 10)
        })),
        Cell::number(it.expected_cost_usd.map_or_else(String::new, |cost| cost.to_string())),
    ]
}
