//! `api://routing`: what routing decides now, and what would make it better.

use serde_json::{Map, Value, json};

use super::resource::{ResourceDef, written};
use crate::{
    app::App,
    domain::Task,
    error::Result,
    services::routing::{self, Route, RoutingSnapshot},
};

pub(super) const ROUTING: ResourceDef = ResourceDef {
    uri: "api://routing",
    name: "routing",
    title: "Routing",
    description: "Where a request of each task type would go now and why, which providers are available, and what would \
                  make routing better",
    read: |app| Box::pin(read(app)),
    stamp: super::providers::stamp,
};

async fn read(app: &App) -> Result<Value> {
    let state = RoutingSnapshot::of(app).await?;
    let mut routing = written(&routing::recommend(app, &state)?)?;
    let mut decisions = Map::new();
    for task in Task::ALL {
        let decision = match routing::look(&state, task) {
            Ok(route) => decision(&route),
            Err(error) => error.to_json(),
        };
        decisions.insert(task.as_str().to_owned(), decision);
    }
    routing["decisions"] = Value::Object(decisions);
    Ok(routing)
}

/// A route without the candidates that were not taken: `route_request` has them.
fn decision(route: &Route) -> Value {
    json!({
        "provider": route.provider,
        "model": route.model,
        "label": route.label,
        "effort": route.effort,
        "reason": route.reason,
        "is_fallback": route.is_fallback,
        "estimated_cost_usd": route.estimated_cost_usd,
        "fallbacks": route.fallbacks,
    })
}
