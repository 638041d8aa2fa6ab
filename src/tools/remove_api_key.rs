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

/// Remove a stored API key from this machine; it can be undone for 30 days. The provider is not notified
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
        destructive: true,
        requires_user: true,
        ..Hints::WRITES
    };
    type Output = Removed;

    async fn call(self, app: &App, caller: &dyn Caller) -> Result<Removed> {
        let label = super::labels::label(self.label.as_deref())?;
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
            "`api-keys undo {}:{}` restores it within 30 days; revoke it at the provider to disable it",
            key.provider, key.label
        )));
        super::view::with_warnings(view, &output.warnings)
    }
}
