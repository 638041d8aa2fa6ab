//! `add_api_key`: a key comes in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Hints, Tool,
    key::KeyView,
    view::{Block, Tone, View},
};
use crate::{
    app::App,
    domain::Secret,
    error::Result,
    services::{
        caller::Caller,
        keys::{self, NewKey, NewSecretSource},
    },
};

/// Store a provider's API key encrypted. Omit api_key: the user then types it on a local page, unseen by you
#[derive(Debug, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub(super) struct AddApiKey {
    /// Provider the key belongs to, such as anthropic, openai, google
    provider: String,
    /// The key itself, only if the user already wrote it into the chat
    #[arg(skip)]
    #[schemars(with = "Option<String>", extend("writeOnly" = true))]
    api_key: Option<Secret>,
    /// Name of an environment variable that holds the key
    #[arg(long, value_name = "NAME")]
    env_var: Option<String>,
    /// Name for this key among the provider's keys (default: default)
    #[arg(long)]
    label: Option<String>,
    /// What the key is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// When the key expires: ISO 8601 date or time
    #[arg(long, value_name = "DATE")]
    expiration_date: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct AddedView {
    key: KeyView,
    /// Whether the label already had a key, which `api-keys undo` brings back
    replaced: bool,
    warnings: Vec<String>,
}

impl Tool for AddApiKey {
    const NAME: &'static str = "add_api_key";
    const COMMAND: &'static str = "add";
    const TITLE: &'static str = "Add API key";
    const SEARCH_HINT: &'static str =
        "save store add set up my openai anthropic google gemini api key credential token";
    const HINTS: Hints = Hints {
        idempotent: true,
        ..Hints::WRITES
    };
    const TAKES_KEY: bool = true;
    type Output = AddedView;

    async fn call(self, app: &App, caller: &dyn Caller) -> Result<AddedView> {
        let provider = app.settings().current().provider(&self.provider)?;
        let new = NewKey {
            provider,
            label: super::labels::label(self.label.as_deref())?,
            description: self.description.as_deref().map(keys::description).transpose()?,
            expires_at: self
                .expiration_date
                .as_deref()
                .map(|text| keys::expiration_date(text, app.now()))
                .transpose()?,
            source: NewSecretSource::of(self.api_key, self.env_var)?,
        };
        let added = keys::add(app, caller, new).await?;
        Ok(AddedView {
            key: KeyView::of(&added.record, app.now()),
            replaced: added.replaced,
            warnings: added.warnings,
        })
    }

    fn view(output: &AddedView) -> View {
        let AddedView {
            key,
            replaced,
            warnings,
        } = output;
        let done = if *replaced { "Replaced" } else { "Stored" };
        let view = View::line(
            Tone::Good,
            format!("{done} {}:{} {}", key.provider, key.label, key.masked),
        )
        .and(Block::Hint(format!(
            "`api-keys validate {}:{}` checks that it works",
            key.provider, key.label
        )));
        super::view::with_warnings(view, warnings)
    }
}
