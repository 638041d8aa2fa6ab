//! `api://providers`: how the providers are configured and what is known of them.

use serde_json::{Value, json};

use super::ResourceDef;
use crate::{app::App, error::Result};

pub(super) const PROVIDERS: ResourceDef = ResourceDef {
    uri: "api://providers",
    name: "providers",
    title: "Providers",
    description: "Configuration and status of the providers: addresses, stored keys, vault, task map, fallback order \
                  and budget settings",
    read: |app| Box::pin(async move { read(app) }),
    stamp,
};

#[expect(clippy::unnecessary_wraps, reason = "reading the vault will fail")]
fn read(_app: &App) -> Result<Value> {
    Ok(json!({}))
}

fn stamp(_app: &App) -> String {
    String::new()
}
