//! New secrets on their way in: where they come from, and whether they may come that way.

use jiff::Timestamp;

use super::caller::{Caller, CallerKind, Question};
use crate::{
    app::App,
    domain::{ApiKey, KeyVersion, Secret, VersionState},
    error::{Code, Error, Result},
    providers::{self, Provider},
    settings::KeysInChat,
};

/// Where a caller says that a new key comes from.
#[derive(Debug)]
pub enum NewSecretSource {
    /// In an argument; over MCP that means through a chat.
    Argument(Secret),
    /// In an environment variable of this process.
    Variable(String),
    /// From the person, prompted by the caller.
    Ask,
}

impl NewSecretSource {
    /// The one source that the two arguments name.
    pub fn of(api_key: Option<Secret>, env_var: Option<String>) -> Result<Self> {
        match (api_key, env_var) {
            (Some(_), Some(_)) => Err(Error::new(
                Code::InvalidArgument,
                "a key and an environment variable were given; one is needed",
            )
            .hint("leave one of the two out")),
            (Some(key), None) => Ok(Self::Argument(key)),
            (None, Some(name)) => Ok(Self::Variable(name)),
            (None, None) => Ok(Self::Ask),
        }
    }
}

/// A new secret, judged by its shape.
#[derive(Debug)]
pub(super) struct NewSecret {
    pub(super) key: ApiKey,
    pub(super) exposed: bool,
    pub(super) warnings: Vec<String>,
}

impl NewSecret {
    /// The secret as the version `number` of a key; one that is staged comes by rotation.
    pub(super) fn as_version(
        &self,
        provider: &Provider,
        number: u32,
        state: VersionState,
        fingerprint: String,
        now: Timestamp,
    ) -> KeyVersion {
        KeyVersion {
            version: number,
            state,
            masked: provider.masked(&self.key),
            fingerprint,
            exposed: self.exposed,
            rotated: state == VersionState::Staged,
            added_at: now,
            expires_at: None,
            account: None,
            validation: None,
        }
    }
}

/// The new secret, where it came with the call; judged before the vault is opened, and long before it is changed.
pub(super) fn given(
    app: &App,
    caller: &dyn Caller,
    provider: &Provider,
    source: NewSecretSource,
) -> Result<Option<NewSecret>> {
    match source {
        NewSecretSource::Argument(text) => {
            let mut secret = read(provider, &text)?;
            if matches!(caller.kind(), CallerKind::Mcp { .. }) {
                secret.exposed = true;
                let policy = app.settings().current().vault.keys_in_chat;
                secret.warnings.extend(chat_warning(policy)?);
            }
            Ok(Some(secret))
        }
        NewSecretSource::Variable(name) => read(provider, &app.settings().variable(&name)?).map(Some),
        NewSecretSource::Ask => Ok(None),
    }
}

/// The new secret, from the person.
pub(super) async fn asked(caller: &dyn Caller, provider: &Provider, question: Question) -> Result<NewSecret> {
    read(provider, &caller.ask(question).await?)
}

/// The warning that a key in a chat deserves, or the refusal that the configuration asks for.
pub(super) fn chat_warning(policy: KeysInChat) -> Result<Option<String>> {
    match policy {
        KeysInChat::Allow => Ok(None),
        KeysInChat::Warn => Ok(Some(
            "this key passed through a chat, so the model's provider and any transcript may hold it: rotate it soon, \
             and next time leave the key out to type it on a local page"
                .to_owned(),
        )),
        KeysInChat::Refuse => Err(Error::new(
            Code::KeyInChatRefused,
            "the configuration refuses keys sent through a chat; nothing was stored",
        )
        .hint(
            "treat that key as exposed and revoke it; leave the key out, or use `api-keys add PROVIDER` in a terminal",
        )),
    }
}

/// Fails where `text` cannot be a key of `provider`, with the reason and the way out.
pub fn judge(provider: Option<&Provider>, text: &Secret) -> Result<()> {
    match provider {
        Some(provider) => read(provider, text).map(drop),
        None => Ok(ApiKey::parse(&text.trimmed()).map(drop)?),
    }
}

/// The key in `text`, wherever it came from: without what was pasted along with it, and judged by its shape.
pub(super) fn read(provider: &Provider, text: &Secret) -> Result<NewSecret> {
    let text = text.trimmed();
    let cleaned = text.without_escaped_line_end();
    let mut warnings = Vec::new();
    if cleaned.is_some() {
        warnings.push("an escaped line end (`\\n`) at the end of the key was taken off".to_owned());
    }
    let key = ApiKey::parse(cleaned.as_ref().unwrap_or(&text))?;
    let odd = providers::check_shape(provider, &key)?;
    warnings.extend(odd.iter().map(ToString::to_string));
    Ok(NewSecret {
        key,
        exposed: false,
        warnings,
    })
}
