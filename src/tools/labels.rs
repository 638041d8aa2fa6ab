//! Labels and names as callers give them.

use crate::{
    domain::Label,
    error::{Code, Error, Result},
};

/// The label that was given, or the default one.
pub(super) fn label(text: Option<&str>) -> Result<Label> {
    text.map_or_else(|| Ok(Label::default()), |text| text.parse().map_err(Error::from))
}

/// The name of something of the caller's, as the ledger keeps it.
pub(super) fn name(argument: &str, text: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(Error::new(
            Code::InvalidArgument,
            format!("argument `{argument}` must be a name without control characters"),
        )
        .hint(format!("omit `{argument}` if there is none")));
    }
    Ok(text.to_owned())
}
