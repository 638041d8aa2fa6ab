//! The public layer: what the public sets say of models whose facts are not kept by hand, packed by provider.

use std::io::Read;

use flate2::read::GzDecoder;

use super::{CatalogError, Model, form};

/// The providers, and the models of each as a compressed catalog.
pub(super) static PUBLIC: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/public.rs"));

/// The models in `packed`.
pub(super) fn models(packed: &[u8]) -> Result<Vec<Model>, CatalogError> {
    Ok(form::packed(&text(packed)?)?.models)
}

/// What was packed, as text.
pub(super) fn text(packed: &[u8]) -> Result<String, CatalogError> {
    let mut text = String::new();
    GzDecoder::new(packed)
        .read_to_string(&mut text)
        .map_err(|_| CatalogError::Format)?;
    Ok(text)
}

/// Tells one version of what is packed from the next: gzip's own checksum and length at its end.
pub(super) fn fingerprint(packed: &[u8]) -> &[u8] {
    packed.last_chunk::<8>().map_or(packed, |end| end.as_slice())
}
