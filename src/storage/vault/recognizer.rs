//! Whether text is one of the vault's secrets: by keyed fingerprints, so that none is revealed or held in clear.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::opened::{Lasting, Opened};
use crate::domain::KeyId;

/// Tells the vault's own secrets from all other text.
pub struct Recognizer {
    lasting: Arc<Lasting>,
    known: BTreeMap<String, (KeyId, u32)>,
}

impl Recognizer {
    pub(super) fn of(opened: &Opened) -> Self {
        let known = opened.contents.keys.values().flat_map(|record| {
            let versions = record.versions.iter();
            versions.map(|version| (version.fingerprint.clone(), (record.key_id, version.version)))
        });
        Self {
            lasting: Arc::clone(&opened.lasting),
            known: known.collect(),
        }
    }

    /// The key whose secret `text` is, and the number of the secret.
    pub fn find(&self, text: &str) -> Option<(KeyId, u32)> {
        self.known.get(&self.lasting.fingerprint("key", text)).copied()
    }
}

impl fmt::Debug for Recognizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recognizer")
            .field("known", &self.known.len())
            .finish_non_exhaustive()
    }
}
