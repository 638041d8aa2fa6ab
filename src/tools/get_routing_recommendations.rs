//! `get_routing_recommendations`: what would make routing better?

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Hints, Tool,
    view::{Block, Cell, Tone, View},
};
use crate::{
    app::App,
    error::Result,
    services::{
        caller::Caller,
        routing::{self, Advice, Note, RoutingHealth, RoutingSnapshot},
    },
};

/// Say what would make routing better. Each note comes with the command or setting that mends it
#[derive(Debug, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub(super) struct GetRoutingRecommendations {}

impl Tool for GetRoutingRecommendations {
    const NAME: &'static str = "get_routing_recommendations";
    const COMMAND: &'static str = "recommend";
    const TITLE: &'static str = "Get routing recommendations";
    const SEARCH_HINT: &'static str = "advice recommend improve setup of providers models keys fallbacks, what is wrong, how to save, health of routing";
    const HINTS: Hints = Hints::READ_ONLY;
    type Output = Advice;

    async fn call(self, app: &App, caller: &dyn Caller) -> Result<Advice> {
        routing::open_for(app, caller).await?;
        let state = RoutingSnapshot::of(app).await?;
        routing::recommend(app, &state)
    }

    fn view(output: &Advice) -> View {
        let (tone, health) = match output.routing_health {
            RoutingHealth::Healthy => (Tone::Good, "healthy: every task has a provider"),
            RoutingHealth::Degraded => (Tone::Attention, "degraded: some tasks or providers fail"),
            RoutingHealth::Down => (Tone::Bad, "down: no task has a provider"),
        };
        let available = if output.available_providers.is_empty() {
            "none".to_owned()
        } else {
            output.available_providers.join(", ")
        };
        let mut view = View::line(tone, format!("Routing is {health}"))
            .and(Block::Line(Tone::Faint, format!("available: {available}")));
        let rows: Vec<Vec<Cell>> = (output.warnings.iter().map(|note| row(Tone::Attention, note)))
            .chain(output.recommendations.iter().map(|note| row(Tone::Plain, note)))
            .collect();
        if !rows.is_empty() {
            let headers = vec!["ABOUT", "WHAT", "MEND IT BY"];
            view = view.and(Block::Table { headers, rows });
        }
        view
    }
}

fn row(tone: Tone, note: &Note) -> Vec<Cell> {
    vec![
        Cell::new(tone, note.r#type.replace('_', " ")),
        note.message.as_str().into(),
        Cell::new(Tone::Faint, note.fix.as_str()),
    ]
}
