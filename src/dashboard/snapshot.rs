//! Everything that the pages show, as the results of the tools that show it: one versioned object.

use serde_json::{Map, Value, json};

use super::{caller::Onlooker, query::PageQuery, state::DashboardState, tools};
use crate::domain::utc_text;

/// The version of the object: fields are added to it, and none is renamed or removed within one.
const VERSION: u32 = 1;

pub(super) async fn snapshot(state: &DashboardState, query: &PageQuery) -> Value {
    let app = &state.app;
    // One that fails says why in its place.
    let of = |name: &'static str, arguments: Map<String, Value>| async move {
        match tools::call(app, &Onlooker, name, arguments).await {
            Ok(result) => serde_json::from_str(result.get()).unwrap_or_default(),
            Err(error) => error.to_json(),
        }
    };
    let mut usage = Map::new();
    usage.insert("days".to_owned(), json!(query.days()));
    // Sources are a filter of the tool's, and no group.
    let by = Some(query.grouping().0).filter(|by| *by != "source");
    usage.insert("group_by".to_owned(), json!(by.unwrap_or("provider")));
    for name in ["provider", "agent", "tag"] {
        if let Some(value) = query.text(name) {
            usage.insert(name.to_owned(), json!(value));
        }
    }
    json!({
        "version": VERSION,
        "at": utc_text(app.now()),
        "ledger": app.ledger().stamp(),
        "usage": of("get_usage", usage).await,
        "budget": of("check_budget", Map::new()).await,
        "keys": of("list_api_keys", Map::new()).await,
        "providers": of("get_provider_stats", Map::new()).await,
        "routing": of("get_routing_recommendations", Map::new()).await,
    })
}
