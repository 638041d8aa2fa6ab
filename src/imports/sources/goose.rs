//! Goose: `secrets.yaml`, variables and values, where it keeps them in a file and not in the keychain.

use super::{
    documents::{members, yaml},
    found::{SourceContents, UnreadableSource, names_a_key},
};

pub(super) fn read(bytes: &[u8]) -> Result<SourceContents, UnreadableSource> {
    let document = yaml(bytes, "Goose")?;
    let mut contents = SourceContents::default();
    for (name, value) in members(&document, &[]) {
        if let Some(value) = value.as_str().filter(|_| names_a_key(name)) {
            contents.add(name, value, Some(name), None);
        }
    }
    Ok(contents)
}
