//! `remove_api_key`: a key goes, and can be brought back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Hints, Tool,
    key::KeyView,
    view::{Block, Tone, View},
};
use crate::{
    app::App,
    error::Result,
    services::{caller::Caller, keys},
};

/// Remove a stored API key from this machine; it can be undone for 30 days. The provider is not told
#[derive(Debug, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub(super) struct RemoveApiKey {
    /// Provider of the key
    provider: String,
    /// Which of the provider's keys (default: default)
    #[arg(long)]
    label: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Removed {
    removed: bool,
    key: KeyView,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

impl Tool for RemoveApiKey {
    const NAME: &'static str = "remove_api_key";
    const COMMAND: &'static str = "remove";
    const TITLE: &'static str = "Remove API key";
    const SEARCH_HINT: &'static str = "delete forget remove an api key from this machine";
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: true,
        idempotent: false,
        open_world: false,
        requires_user: true,
    };
    type Output = Removed;

    async fn call(self, app: &App, caller: &dyn Caller) -> Result<Removed> {
        let label = super::label(self.label.as_deref())?;
        let (record, warnings) = keys::remove(app, caller, &self.provider, &label).await?;
        Ok(Removed {
            removed: true,
            key: KeyView::of(&record, app.now()),
            warnings,
        })
    }

    fn view(output: &Removed) -> View {
        let key = &output.key;
        let view = View::line(
            Tone::Plain,
            format!("Removed {}:{} {}", key.provider, key.label, key.masked),
        )
        .and(Block::Hint(format!(
            "`api-keys undo {}:{}` brings it back for 30 days; to make it useless, revoke it at the provider",
            key.provider, key.label
        )));
        super::with_warnings(view, &output.warnings)
    }
}
