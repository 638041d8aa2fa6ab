//! `validate_all_keys`: do all stored keys work?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Hints, Tool,
    validate_key::Validated,
    view::{Block, Column, Tone, View},
};
use crate::{
    app::App,
    domain::KeyStatus,
    error::Result,
    services::{caller::Caller, validation},
};

/// Ask the providers of all stored API keys whether they work, without spending tokens
#[derive(Debug, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub(super) struct ValidateAllKeys {}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct AllValidated {
    total: usize,
    valid: usize,
    invalid: usize,
    /// Keys that the provider gave no answer about
    undetermined: usize,
    results: Vec<Validated>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

impl Tool for ValidateAllKeys {
    const NAME: &'static str = "validate_all_keys";
    /// The shell spells it `validate --all`.
    const COMMAND: &'static str = "validate --all";
    const TITLE: &'static str = "Validate all API keys";
    const SEARCH_HINT: &'static str = "check all my api keys, key health";
    const HINTS: Hints = Hints {
        idempotent: true,
        open_world: true,
        ..Hints::WRITES
    };
    type Output = AllValidated;

    async fn call(self, app: &App, caller: &dyn Caller) -> Result<AllValidated> {
        let (reports, warnings) = validation::validate_all(app, caller).await?;
        let results: Vec<Validated> = reports.into_iter().map(Validated::of).collect();
        let count = |is_valid| results.iter().filter(|result| result.is_valid == is_valid).count();
        Ok(AllValidated {
            total: results.len(),
            valid: count(Some(true)),
            invalid: count(Some(false)),
            undetermined: count(None),
            results,
            warnings,
        })
    }

    fn view(output: &AllValidated) -> View {
        if output.results.is_empty() {
            return View::line(Tone::Plain, "No keys stored")
                .and(Block::Hint("add one with `api-keys add anthropic`".to_owned()));
        }
        let rows = output.results.iter().map(Validated::row).collect();
        let of = |status: &[KeyStatus]| output.results.iter().filter(|it| status.contains(&it.status)).count();
        let working = of(&[KeyStatus::Valid]);
        // The provider knows these keys, but requests with them fail.
        let blocked = of(&[KeyStatus::NoCredit, KeyStatus::Forbidden]);
        let mut parts = vec![format!("{working} of {} working", output.total)];
        for (count, what) in [
            (output.invalid, "rejected"),
            (of(&[KeyStatus::NoCredit]), "without credit"),
            (of(&[KeyStatus::Forbidden]), "forbidden"),
            (output.undetermined, "undetermined"),
        ] {
            parts.extend((count > 0).then(|| format!("{count} {what}")));
        }
        let sum = parts.join(", ");
        let tone = if output.invalid > 0 {
            Tone::Bad
        } else if output.undetermined + blocked > 0 {
            Tone::Attention
        } else {
            Tone::Good
        };
        let view = View::default()
            .and(Block::table(
                [
                    Column::new("PROVIDER"),
                    Column::new("LABEL"),
                    Column::new("STATUS"),
                    Column::new("ASKED").rank(1),
                    Column::new("ANSWER").wrapped(),
                ],
                rows,
            ))
            .and(Block::Line(tone, sum));
        let of_keys = output.results.iter().flat_map(|result| &result.warnings);
        let warnings: Vec<String> = of_keys.chain(&output.warnings).cloned().collect();
        super::view::with_warnings(view, &warnings)
    }
}
