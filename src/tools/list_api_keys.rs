//! `list_api_keys`: what is stored, without the secrets.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Hints, Tool,
    key::KeyView,
    view::{Block, Tone, View},
};
use crate::{
    app::App,
    error::{Code, Result},
    services::{
        caller::{Caller, CallerKind},
        keys,
        last_use::last_uses,
        vault_access,
    },
    storage::vault::VaultStatus,
};

/// List the stored API keys in masked form, with expiry and what needs attention
#[derive(Debug, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub(super) struct ListApiKeys {
    /// Whether to include more than provider, label and masked key
    #[arg(long = "no-metadata", action = clap::ArgAction::SetFalse, help = "Show only provider, label and masked key")]
    #[serde(default = "yes")]
    include_metadata: bool,
    /// Only the keys of this provider
    #[arg(long)]
    provider: Option<String>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Listed {
    keys: Vec<ListedKey>,
    total_count: usize,
    /// How many more there are, where they would be too many to read: `provider` and `include_metadata` say which
    #[serde(skip_serializing_if = "Option::is_none")]
    omitted: Option<usize>,
    vault: VaultState,
}

/// The most characters of keys that a client is given: models read them, and clients cut at 50,000.
const MAX_CHARACTERS: usize = 40_000;

/// A stored key; more than its name and masked form only with metadata.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum ListedKey {
    Full(Box<KeyView>),
    Short {
        key_id: String,
        provider: String,
        label: String,
        masked: String,
    },
}

#[derive(Debug, Serialize, JsonSchema)]
struct VaultState {
    state: Openness,
    /// What opens the vault: keychain, key-file, passphrase, recovery
    master_key: Option<String>,
    /// What to do about a vault that is not open, or not the newest
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Openness {
    Unlocked,
    Locked,
    Absent,
}

impl Tool for ListApiKeys {
    const NAME: &'static str = "list_api_keys";
    const COMMAND: &'static str = "list";
    const TITLE: &'static str = "List API keys";
    const SEARCH_HINT: &'static str = "which api keys do i have, show stored keys, expiring keys";
    const HINTS: Hints = Hints::READ_ONLY;
    type Output = Listed;

    async fn call(self, app: &App, caller: &dyn Caller) -> Result<Listed> {
        let opened = match caller.kind() {
            CallerKind::Cli => vault_access::open(app, caller).await,
            // Listing keys does not prompt: a client gets the error that the vault is locked.
            CallerKind::Mcp { .. } | CallerKind::Gateway | CallerKind::Dashboard => {
                vault_access::open_unasked(app).await
            }
        };
        let (state, mut hint) = match (opened, caller.kind()) {
            (Ok(()), _) => (Openness::Unlocked, None),
            (Err(error), _) if error.code() == Code::VaultAbsent => {
                (Openness::Absent, error.hint_text().map(str::to_owned))
            }
            (Err(error), CallerKind::Mcp { .. } | CallerKind::Dashboard) if error.code() == Code::VaultLocked => {
                (Openness::Locked, error.hint_text().map(str::to_owned))
            }
            (Err(error), _) => return Err(error),
        };
        if state == Openness::Unlocked {
            hint = vault_access::standing(app)?;
        }
        let now = app.now();
        let mut records = if state == Openness::Unlocked {
            keys::list(app)?
        } else {
            Vec::new()
        };
        if let Some(provider) = &self.provider {
            let provider = match state {
                Openness::Unlocked => keys::stored_provider(app, caller, provider).await?,
                Openness::Locked | Openness::Absent => app.settings().current().provider(provider)?.id,
            };
            records.retain(|record| record.provider == provider);
        }
        let uses = match caller.kind() {
            CallerKind::Cli | CallerKind::Dashboard => last_uses(app, &records),
            CallerKind::Mcp { .. } | CallerKind::Gateway => BTreeMap::new(),
        };
        let mut keys: Vec<ListedKey> = records
            .iter()
            .map(|record| {
                let used = uses.get(&(record.provider.to_string(), record.label.to_string()));
                let key = KeyView::of(record, now).last_used(used.copied(), now);
                ListedKey::of(key, self.include_metadata)
            })
            .collect();
        let total_count = keys.len();
        if matches!(caller.kind(), CallerKind::Mcp { .. }) {
            keys.truncate(fitting(&keys));
        }
        let master_key = match app.vault().status()? {
            VaultStatus::Absent => None,
            VaultStatus::Unlocked { by, .. } => Some(by.to_string()),
            VaultStatus::Locked { slots } => {
                let kinds: Vec<&str> = slots.iter().map(|slot| slot.kind.as_str()).collect();
                Some(kinds.join(", "))
            }
        };
        Ok(Listed {
            omitted: Some(total_count - keys.len()).filter(|omitted| *omitted > 0),
            total_count,
            keys,
            vault: VaultState {
                state,
                master_key,
                hint,
            },
        })
    }

    fn view(output: &Listed) -> View {
        if output.vault.state == Openness::Absent {
            let hint = output.vault.hint.clone().unwrap_or_default();
            return View::line(Tone::Plain, "No keys stored: there is no vault yet").and(Block::Hint(hint));
        }
        if output.keys.is_empty() {
            let view = View::line(Tone::Plain, "No keys stored")
                .and(Block::Hint("add one with `api-keys add anthropic`".to_owned()));
            return super::view::with_warnings(view, output.vault.hint.as_slice());
        }
        let mut attention: Vec<String> = output.vault.hint.iter().cloned().collect();
        let rows = output.keys.iter().map(|listing| match listing {
            ListedKey::Full(key) => {
                attention.extend(
                    key.attention
                        .iter()
                        .map(|what| format!("{}:{} {what}", key.provider, key.label)),
                );
                key.row()
            }
            ListedKey::Short {
                provider,
                label,
                masked,
                ..
            } => vec![provider.as_str().into(), label.as_str().into(), masked.as_str().into()],
        });
        let rows: Vec<_> = rows.collect();
        let columns = rows.first().map_or(0, Vec::len);
        let columns = KeyView::COLUMNS.into_iter().take(columns);
        super::view::with_warnings(View::default().and(Block::table(columns, rows)), &attention)
    }
}

/// How many of `keys` are not too many to read.
fn fitting(keys: &[ListedKey]) -> usize {
    let lengths = keys
        .iter()
        .map(|key| serde_json::to_string(key).map_or(0, |text| text.len()));
    let sums = lengths.scan(0, |sum, length| {
        *sum += length;
        Some(*sum)
    });
    sums.take_while(|sum| *sum <= MAX_CHARACTERS).count()
}

impl ListedKey {
    fn of(key: KeyView, include_metadata: bool) -> Self {
        if include_metadata {
            return Self::Full(Box::new(key));
        }
        let KeyView {
            key_id,
            provider,
            label,
            masked,
            ..
        } = key;
        Self::Short {
            key_id,
            provider,
            label,
            masked,
        }
    }
}
