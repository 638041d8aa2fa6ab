//! `rotate_key`: a new secret for the same key.

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Hints, Tool,
    key::{KeyView, Previous},
    view::{Block, Tone, View},
};
use crate::{
    app::App,
    domain::Secret,
    error::Result,
    services::{
        caller::Caller,
        keys::{self, NewSecretSource},
        rotation::{self, MAX_GRACE, Rotation},
    },
};

/// Replace a stored API key with a new one that the provider accepts; the old one stays usable for a while. Omit new_api_key: the user types it on a local page
#[derive(Debug, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub(super) struct RotateKey {
    /// Provider of the key
    provider: String,
    /// The new key itself, only if the user already wrote it into the chat
    #[arg(skip)]
    #[schemars(with = "Option<String>", extend("writeOnly" = true))]
    new_api_key: Option<Secret>,
    /// Name of an environment variable that holds the new key
    #[arg(long, value_name = "NAME")]
    env_var: Option<String>,
    /// Which of the provider's keys (default: default)
    #[arg(long)]
    label: Option<String>,
    /// Hours the old key stays usable, 0 to 720
    #[arg(long, value_name = "HOURS", default_value_t = default_grace(), value_parser = clap::value_parser!(i64).range(0..=MAX_GRACE))]
    #[serde(default = "default_grace")]
    #[schemars(range(min = 0, max = 720))]
    grace_hours: i64,
    /// Stop using the old key immediately, for a compromised key
    #[arg(long, alias = "now")]
    #[serde(default)]
    revoke_now: bool,
    /// When the new key expires: ISO 8601 date or time
    #[arg(long, value_name = "DATE")]
    expiration_date: Option<String>,
}

fn default_grace() -> i64 {
    24
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RotatedView {
    key: KeyView,
    previous: Previous,
    warnings: Vec<String>,
}

impl Tool for RotateKey {
    const NAME: &'static str = "rotate_key";
    const COMMAND: &'static str = "rotate";
    const TITLE: &'static str = "Rotate API key";
    const SEARCH_HINT: &'static str = "rotate replace renew roll an api key, leaked or compromised key";
    const HINTS: Hints = Hints {
        destructive: true,
        open_world: true,
        ..Hints::WRITES
    };
    const TAKES_KEY: bool = true;
    type Output = RotatedView;

    async fn call(self, app: &App, caller: &dyn Caller) -> Result<RotatedView> {
        let source = NewSecretSource::of(self.new_api_key, self.env_var)?;
        let ask = Rotation {
            provider: app.settings().current().provider(&self.provider)?,
            label: super::labels::label(self.label.as_deref())?,
            grace: SignedDuration::from_hours(if self.revoke_now { 0 } else { self.grace_hours }),
            expires_at: self
                .expiration_date
                .as_deref()
                .map(|text| keys::expiration_date(text, app.now()))
                .transpose()?,
        };
        let rotated = rotation::rotate(app, caller, ask, source).await?;
        let now = app.now();
        Ok(RotatedView {
            key: KeyView::of(&rotated.record, now),
            previous: Previous::of(&rotated.previous, now),
            warnings: rotated.warnings,
        })
    }

    fn view(output: &RotatedView) -> View {
        let RotatedView {
            key,
            previous,
            warnings,
        } = output;
        let old = previous.usable_until.as_ref().map_or_else(
            || format!("{} is no longer used", previous.masked),
            |until| format!("{} stays usable until {until}", previous.masked),
        );
        let view = View::line(
            Tone::Good,
            format!("Rotated {}:{} to {}", key.provider, key.label, key.masked),
        )
        .and(Block::Line(Tone::Faint, old))
        .and(Block::Hint(format!(
            "`api-keys undo {}:{}` restores the old key within 30 days",
            key.provider, key.label
        )));
        super::view::with_warnings(view, warnings)
    }
}
