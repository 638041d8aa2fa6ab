//! `get_provider_stats`: which providers can be used, and how do they fare?

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Hints, Tool,
    view::{self, Block, Cell, Column, Tone, View},
};
use crate::{
    app::App,
    domain::{Billionths, Rate},
    error::Result,
    services::{
        caller::Caller,
        routing::{self, ProviderStats, RoutingSnapshot, Stats},
    },
};

/// Show which providers can be used, and how they are doing: health, latency, success, models, prices
#[derive(Debug, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub(super) struct GetProviderStats {
    /// Only this provider
    provider: Option<String>,
}

impl Tool for GetProviderStats {
    const NAME: &'static str = "get_provider_stats";
    const COMMAND: &'static str = "stats";
    const TITLE: &'static str = "Get provider stats";
    const SEARCH_HINT: &'static str =
        "provider status health latency availability models rate limit success rate, is a provider down";
    const HINTS: Hints = Hints::READ_ONLY;
    type Output = Arc<Stats>;

    async fn call(self, app: &App, caller: &dyn Caller) -> Result<Arc<Stats>> {
        let settings = app.settings().current();
        let only = self
            .provider
            .as_deref()
            .map(|name| settings.provider(name))
            .transpose()?;
        routing::open_for(app, caller).await?;
        let state = RoutingSnapshot::of(app).await?;
        match only {
            Some(only) => Ok(Arc::new(routing::stats(app, &state, Some(&only))?)),
            None => routing::overview(app, &state),
        }
    }

    fn view(output: &Arc<Stats>) -> View {
        let is_shown =
            |it: &&ProviderStats| it.keys != Some(0) || it.available || it.requests > 0 || output.total_providers == 1;
        let shown: Vec<&ProviderStats> = output.providers.iter().filter(is_shown).collect();
        let rows = shown.iter().map(|it| row(it)).collect();
        let mut view = View::line(
            Tone::Faint,
            format!(
                "{} of {} providers available",
                output.available_providers, output.total_providers
            ),
        )
        .and(Block::table(
            [
                Column::new("PROVIDER"),
                Column::new("STATE"),
                Column::new("HEALTH").wrapped(),
                Column::new("KEYS").rank(2),
                Column::new("MODELS").rank(5),
                Column::new("P50").rank(4),
                Column::new("P95").rank(6),
                Column::new("SUCCESS"),
                Column::new("REQUESTS").rank(1),
                Column::new("INPUT/M").rank(3),
                Column::new("OUTPUT/M").rank(3),
            ],
            rows,
        ));
        if let [only] = shown.as_slice()
            && output.total_providers == 1
        {
            for key in &only.key_states {
                let until = until(key.until.as_deref());
                let pool = key
                    .pool
                    .as_ref()
                    .map_or_else(String::new, |pool| format!(", pool {pool}"));
                let said = format!("key {}: {}{until}{pool}", key.label, key.state.replace('_', " "));
                view = view.and(Block::Line(Tone::Plain, said));
            }
            if let Some(error) = &only.health.last_error {
                view = view.and(Block::Line(Tone::Plain, format!("last error: {error}")));
            }
            view = view.and(Block::Line(Tone::Plain, format!("models: {}", only.models.join(", "))));
        }
        let hidden = output.providers.len() - shown.len();
        if hidden > 0 {
            let said = format!("and {hidden} more without a key; `api-keys stats PROVIDER` shows one");
            view = view.and(Block::Line(Tone::Faint, said));
        }
        view
    }
}

/// The end of a cooldown, for people: the time of day, as none is longer than an hour.
fn until(at: Option<&str>) -> String {
    let time = at.map(|at| at.get(11..16).unwrap_or(at));
    time.map_or_else(String::new, |time| format!(" until {time} UTC"))
}

fn row(it: &ProviderStats) -> Vec<Cell> {
    let (tone, state) = if it.available {
        (Tone::Good, "ready".to_owned())
    } else {
        (Tone::Attention, it.status.replace('_', " "))
    };
    let health = match it.health.status {
        "healthy" => Cell::new(Tone::Good, "healthy"),
        "unknown" => Cell::new(Tone::Faint, ""),
        "failing" => Cell::new(Tone::Bad, "failing"),
        other => {
            let until = until(it.health.cooldown_until.as_deref());
            Cell::new(Tone::Attention, format!("{other}{until}"))
        }
    };
    let milliseconds = |value: Option<u32>| Cell::number(value.map_or_else(String::new, |it| format!("{it} ms")));
    let rate = |rate: Option<Rate>| {
        Cell::number(rate.map_or_else(String::new, |rate| view::precise(rate.per_million().into())))
    };
    let success = it.success_rate.map_or_else(String::new, |rate| {
        let tenths = rate.0 / (Billionths::ONE.0 / 1_000);
        format!("{}.{}%", tenths / 10, tenths % 10)
    });
    vec![
        it.provider.as_str().into(),
        Cell::new(tone, state),
        health,
        Cell::number(it.keys.map_or_else(|| "?".to_owned(), |keys| keys.to_string())),
        Cell::number((it.models.len() + it.models_omitted.unwrap_or_default()).to_string()),
        milliseconds(it.latency.p50_ms),
        milliseconds(it.latency.p95_ms),
        Cell::number(success),
        Cell::number(view::count(it.requests)),
        rate(it.price.input_per_million),
        rate(it.price.output_per_million),
    ]
}
