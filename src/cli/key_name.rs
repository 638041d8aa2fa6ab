//! `PROVIDER[:LABEL]`: how commands name a stored key.

use crate::{
    app::App,
    domain::{Label, ProviderId},
    error::Result,
};

/// The key that `text` names; a name that is wrong is never repeated where it could be a key.
pub(super) fn parse(app: &App, text: &str) -> Result<(ProviderId, Label)> {
    let (provider, label) = match text.split_once(':') {
        Some((provider, label)) => (provider, label.parse()?),
        None => (text, Label::default()),
    };
    Ok((app.settings().current().provider(provider)?.id, label))
}

/// The key as people name it, and as they can type it again.
pub(super) fn show(provider: &ProviderId, label: &Label) -> String {
    if *label == Label::default() {
        provider.to_string()
    } else {
        format!("{provider}:{label}")
    }
}
