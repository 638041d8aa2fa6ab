//! Keyslots as they are requested, named and shown.

use serde_json::{Value, json};

use crate::{
    domain::Passphrase,
    error::{Code, Error, Result},
    storage::vault::{NewSlot, SlotId, SlotInfo, SlotKind, VaultStatus},
    tools::view::{Block, Cell, Tone},
};

/// Slots of these kinds; those that need a passphrase share one.
pub(super) fn new_slots<'a>(kinds: &[SlotKind], passphrase: Option<&'a Passphrase>) -> Vec<NewSlot<'a>> {
    let mut kinds = kinds.to_vec();
    // Two recovery codes could not be distinguished, nor two equal passphrases.
    kinds.sort_unstable();
    kinds.dedup();
    kinds
        .into_iter()
        .filter_map(|kind| match kind {
            SlotKind::Keychain => Some(NewSlot::Keychain),
            SlotKind::KeyFile => Some(NewSlot::KeyFile),
            SlotKind::Passphrase => passphrase.map(NewSlot::Passphrase),
            SlotKind::Recovery => Some(NewSlot::Recovery),
        })
        .collect()
}

/// The slot that `named` is the id of, or the kind of where there is one of it.
pub(super) fn find_slot(slots: &[SlotInfo], named: &str) -> Result<SlotId> {
    let mut found = slots
        .iter()
        .filter(|slot| slot.id.to_string() == named || slot.kind.as_str() == named);
    match (found.next(), found.next()) {
        (Some(slot), None) => Ok(slot.id),
        (None, _) => Err(Error::new(Code::SlotNotFound, "no such keyslot").hint("`api-keys vault status` lists them")),
        (Some(_), Some(_)) => Err(
            Error::new(Code::SlotNotFound, "the vault has several keyslots of that kind")
                .hint("name one by its id; `api-keys vault status` lists them"),
        ),
    }
}

pub(super) fn slots_of(status: &VaultStatus) -> &[SlotInfo] {
    match status {
        VaultStatus::Absent => &[],
        VaultStatus::Locked { slots } | VaultStatus::Unlocked { slots, .. } => slots,
    }
}

pub(super) fn slots_json(slots: &[SlotInfo]) -> Value {
    slots
        .iter()
        .map(|slot| json!({"id": slot.id.to_string(), "kind": slot.kind.as_str(), "added_at": slot.added_at}))
        .collect()
}

pub(super) fn slots_table(slots: &[SlotInfo]) -> Block {
    Block::table(
        ["SLOT", "KIND", "ADDED"],
        slots
            .iter()
            .map(|slot| {
                vec![
                    Cell::new(Tone::Faint, slot.id.to_string()),
                    slot.kind.as_str().into(),
                    slot.added_at.strftime("%Y-%m-%d").to_string().into(),
                ]
            })
            .collect(),
    )
}
