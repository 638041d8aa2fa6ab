//! `validate_key`: does this key work?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Hints, Tool, key,
    view::{Cell, Tone, View},
};
use crate::{
    app::App,
    domain::{KeyStatus, Secret},
    error::Result,
    services::{
        caller::Caller,
        validation::{self, ValidationReport},
    },
};

/// Ask the provider whether a stored API key works, without spending tokens
#[derive(Debug, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub(super) struct ValidateKey {
    /// Provider of the key
    provider: String,
    /// A key to check instead of the stored one, only if the user already wrote it into the chat; it is not stored
    #[arg(skip)]
    #[schemars(with = "Option<String>", extend("writeOnly" = true))]
    api_key: Option<Secret>,
    /// Which of the provider's keys (default: default)
    #[arg(long)]
    label: Option<String>,
}

/// The provider's answer about one key.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Validated {
    pub(super) provider: String,
    pub(super) label: String,
    pub(super) masked: Option<String>,
    pub(super) status: KeyStatus,
    /// Null where the provider could not say
    pub(super) is_valid: Option<bool>,
    pub(super) http_status: Option<u16>,
    pub(super) message: String,
    pub(super) latency_ms: u64,
    pub(super) validated_at: String,
    /// Whether the key works with less than full permissions
    pub(super) restricted: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) missing_scopes: Vec<String>,
    /// Whether this is the provider's answer of the last minute
    pub(super) cached: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) warnings: Vec<String>,
}

impl Tool for ValidateKey {
    const NAME: &'static str = "validate_key";
    const COMMAND: &'static str = "validate";
    const TITLE: &'static str = "Validate API key";
    const SEARCH_HINT: &'static str = "check test verify whether my openai anthropic google api key works or is valid";
    const HINTS: Hints = Hints {
        idempotent: true,
        open_world: true,
        ..Hints::WRITES
    };
    type Output = Validated;

    async fn call(self, app: &App, caller: &dyn Caller) -> Result<Validated> {
        let provider = app.settings().current().provider(&self.provider)?;
        let label = super::labels::label(self.label.as_deref())?;
        let report = match &self.api_key {
            Some(text) => validation::validate_given(app, caller, &provider, &label, text).await?,
            None => validation::validate(app, caller, &provider, &label).await?,
        };
        Ok(Validated::of(report))
    }

    fn view(output: &Validated) -> View {
        let line = format!(
            "{}:{} is {}: {}",
            output.provider,
            output.label,
            output.status.as_str(),
            output.message
        );
        super::view::with_warnings(View::line(key::tone(output.status), line), &output.warnings)
    }
}

impl Validated {
    pub(super) fn of(report: ValidationReport) -> Self {
        let ValidationReport {
            provider,
            label,
            masked,
            validation,
            cached,
            warnings,
            ..
        } = report;
        Self {
            provider: provider.id.to_string(),
            label: label.to_string(),
            masked,
            status: validation.status,
            is_valid: validation.status.is_valid(),
            http_status: validation.http_status,
            message: validation.message,
            latency_ms: validation.latency_ms,
            validated_at: key::time(validation.validated_at),
            restricted: validation.restricted,
            missing_scopes: validation.missing_scopes,
            cached,
            warnings,
        }
    }

    /// The answer as a row of a table.
    pub(super) fn row(&self) -> Vec<Cell> {
        vec![
            self.provider.as_str().into(),
            self.label.as_str().into(),
            Cell::new(key::tone(self.status), self.status.as_str()),
            Cell::new(
                Tone::Faint,
                if self.cached {
                    "last minute".to_owned()
                } else {
                    format!("{} ms", self.latency_ms)
                },
            ),
            self.message.as_str().into(),
        ]
    }
}
