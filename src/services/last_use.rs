//! When each key was last used: by the audit trail, which has every use, and by the ledger, which has every request.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::health::usual_label;
use crate::{app::App, domain::KeyRecord};

/// How many of the newest entries of the audit trail are read.
const MAX_ENTRIES: usize = 5_000;
/// The action of the audit trail that a use is.
const REVEAL: &str = "reveal_key";

/// The last use of each key, by provider and label; a trail or ledger that cannot be read has no say.
///
/// A request that names no key was made with the one that is meant where none is named.
pub fn last_uses(app: &App, records: &[KeyRecord]) -> BTreeMap<(String, String), Timestamp> {
    let mut uses = BTreeMap::new();
    let mut used = |provider: &str, label: &str, at: Timestamp| {
        let last = uses.entry((provider.to_owned(), label.to_owned())).or_insert(at);
        *last = at.max(*last);
    };
    for entry in app.vault().recent_audit(MAX_ENTRIES).unwrap_or_default() {
        if let (REVEAL, Some(provider), Some(label)) = (entry.action.as_str(), &entry.provider, &entry.label) {
            used(provider, label, entry.at);
        }
    }
    let outcomes = app.ledger().outcomes(Timestamp::UNIX_EPOCH).unwrap_or_default();
    for past in outcomes.iter() {
        let provider = &past.asked.model.provider;
        let labels = || records.iter().filter(|record| record.provider == *provider);
        let label = past.asked.label.clone();
        let label = label.unwrap_or_else(|| usual_label(labels().map(|record| &record.label)));
        used(provider.as_str(), label.as_str(), past.at);
    }
    uses
}
