//! `PROVIDER[:LABEL]`: how commands name a stored key.

use super::command::wait;
use crate::{
    app::App,
    domain::{Label, ProviderId},
    error::Result,
    services::{caller::Caller, keys},
};

/// The key that `text` names; a name that is wrong is never repeated where it could be a key.
pub(super) fn parse(app: &App, text: &str) -> Result<(ProviderId, Label)> {
    let (provider, label) = split(text)?;
    Ok((app.settings().current().provider(provider)?.id, label))
}

/// A key by its provider, also one that the configuration no longer has, and its label.
pub(super) fn stored(
    app: &App,
    caller: &dyn Caller,
    provider: &str,
    label: Option<&str>,
) -> Result<(ProviderId, Label)> {
    let label = label.map_or_else(|| Ok(Label::default()), str::parse)?;
    Ok((wait(keys::stored_provider(app, caller, provider))?, label))
}

fn split(text: &str) -> Result<(&str, Label)> {
    match text.split_once(':') {
        Some((provider, label)) => Ok((provider, label.parse()?)),
        None => Ok((text, Label::default())),
    }
}

/// The key as people name it, and as they can type it again.
pub(super) fn show(provider: &ProviderId, label: &Label) -> String {
    if *label == Label::default() {
        provider.to_string()
    } else {
        format!("{provider}:{label}")
    }
}
