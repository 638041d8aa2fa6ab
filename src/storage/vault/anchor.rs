//! The rollback anchor: which vault was last written here, kept beside it and in the keychain.
//!
//! A file cannot tell that it is an old copy of itself. The anchor is written after the vault file, and read before
//! it: a file that is older than an anchor read earlier was put back.
//! The anchor is not authenticated, because anyone who can write it can also put an old one back; only the copy in the
//! keychain withstands that.

use serde::{Deserialize, Serialize};

use super::{
    error::VaultError,
    format::{Header, Hex, LAST_GENERATION},
};
use crate::storage::{
    audit,
    files::{FileError, Folder},
};

/// The file that the anchor is in.
pub(super) const FILE: &str = "anchor.json";
/// Longer than any anchor, in bytes.
const MAX_FILE_BYTES: u64 = 4096;
/// What the anchor's first field says.
const FORMAT: &str = "api-keys anchor 1";

/// Which vault file was last written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Anchor {
    format: String,
    pub(super) vault_id: Hex<16>,
    pub(super) generation: u64,
    pub(super) mac: Hex<32>,
    /// The newest line of the audit trail, which may be newer than the vault file.
    pub(super) audit: Option<audit::TrailHead>,
}

/// How the vault file stands to the last one written here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VaultFreshness {
    /// It is that one, or follows it; or nothing is known of an earlier one.
    Current,
    /// It is older: readable, not writable until it is accepted.
    RolledBack { newest: u64 },
    /// It is as old and another: readable, not writable until it is accepted.
    Forked,
    /// It is another vault: neither, until it is accepted.
    Foreign,
    /// The anchor cannot be read: readable, not writable until it is accepted.
    AnchorDamaged,
}

/// What is known of the vault file last written here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KnownAnchor {
    Nothing,
    Anchor(Anchor),
    /// There is an anchor, and it cannot be read.
    Damaged,
}

impl Anchor {
    pub(super) fn new(header: &Header, mac: [u8; 32], audit: Option<audit::TrailHead>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            vault_id: header.vault_id,
            generation: header.generation,
            mac: Hex(mac),
            audit,
        }
    }

    /// How the file with this header and mac stands to the one that the anchor knows.
    pub(super) fn judge(&self, header: &Header, mac: &[u8; 32]) -> VaultFreshness {
        if header.vault_id != self.vault_id {
            return VaultFreshness::Foreign;
        }
        match header.generation.checked_sub(self.generation) {
            None => VaultFreshness::RolledBack {
                newest: self.generation,
            },
            Some(0) if *mac != self.mac.0 => VaultFreshness::Forked,
            Some(1) if header.prev_mac != self.mac => VaultFreshness::Forked,
            // Newer by more: the header does not show its descent, see `is_far_behind`.
            Some(_) => VaultFreshness::Current,
        }
    }

    /// What the keychain keeps of it.
    pub(super) fn to_keychain(&self) -> Vec<u8> {
        [self.generation.to_le_bytes().as_slice(), &self.mac.0].concat()
    }

    /// The anchor of the vault `vault_id` in what the keychain kept.
    pub(super) fn from_keychain(vault_id: Hex<16>, bytes: &[u8]) -> Option<Self> {
        let (generation, mac) = bytes.split_first_chunk::<8>()?;
        let generation = u64::from_le_bytes(*generation);
        (generation < LAST_GENERATION).then_some(())?;
        Some(Self {
            format: FORMAT.to_owned(),
            vault_id,
            generation,
            mac: Hex(mac.try_into().ok()?),
            audit: None,
        })
    }
}

impl KnownAnchor {
    /// How the file with this header and mac stands to the one that is known.
    pub(super) fn judge(&self, header: &Header, mac: &[u8; 32]) -> VaultFreshness {
        match self {
            Self::Nothing => VaultFreshness::Current,
            Self::Anchor(anchor) => anchor.judge(header, mac),
            Self::Damaged => VaultFreshness::AnchorDamaged,
        }
    }

    /// Whether the file with this header is newer by more than one write: processes that were killed before they came
    /// to the anchor have left lines in the trail, what was written elsewhere has not.
    pub(super) fn is_far_behind(&self, header: &Header) -> bool {
        match self {
            Self::Anchor(anchor) => header.generation.saturating_sub(anchor.generation) > 1,
            Self::Nothing | Self::Damaged => false,
        }
    }

    /// The anchor, if it is of the vault `vault_id`.
    pub(super) fn of(self, vault_id: Hex<16>) -> Option<Anchor> {
        match self {
            Self::Anchor(anchor) if anchor.vault_id == vault_id => Some(anchor),
            Self::Anchor(_) | Self::Nothing | Self::Damaged => None,
        }
    }
}

/// What the anchor kept in `folder` knows.
pub(super) fn read(folder: &Folder) -> Result<KnownAnchor, VaultError> {
    let bytes = match folder.read(FILE, MAX_FILE_BYTES) {
        Ok(Some((bytes, _))) => bytes,
        Ok(None) => return Ok(KnownAnchor::Nothing),
        Err(FileError::TooLarge { .. }) => return Ok(KnownAnchor::Damaged),
        Err(why) => return Err(why.into()),
    };
    Ok(match serde_json::from_slice::<Anchor>(&bytes) {
        Ok(anchor) if anchor.format == FORMAT && anchor.generation < LAST_GENERATION => KnownAnchor::Anchor(anchor),
        Ok(_) | Err(_) => KnownAnchor::Damaged,
    })
}

/// Keeps `anchor` in `folder`.
pub(super) fn write(folder: &Folder, anchor: &Anchor) -> Result<(), VaultError> {
    let mut bytes = serde_json::to_vec(anchor).expect("strings and numbers can be written");
    bytes.push(b'\n');
    // One that a power cut takes back is only older, which is no alarm.
    folder.replace(FILE, &bytes).map(drop).map_err(VaultError::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(vault_id: u8, generation: u64, prev_mac: u8) -> Header {
        Header {
            version: 1,
            min_reader: 1,
            vault_id: Hex([vault_id; 16]),
            generation,
            prev_mac: Hex([prev_mac; 32]),
            data_key: Hex([0; 32]),
            slots: Vec::new(),
        }
    }

    #[test]
    fn a_file_is_judged_by_vault_generation_and_descent() {
        let anchor = Anchor::new(&header(1, 7, 6), [7; 32], None);
        for (what, header, mac, standing) in [
            ("the same file", header(1, 7, 6), 7, VaultFreshness::Current),
            ("its successor", header(1, 8, 7), 8, VaultFreshness::Current),
            ("a later one", header(1, 9, 8), 9, VaultFreshness::Current),
            (
                "an older one",
                header(1, 6, 5),
                6,
                VaultFreshness::RolledBack { newest: 7 },
            ),
            ("another of its age", header(1, 7, 6), 9, VaultFreshness::Forked),
            ("another's successor", header(1, 8, 9), 8, VaultFreshness::Forked),
            ("another vault", header(2, 7, 6), 7, VaultFreshness::Foreign),
            ("another older vault", header(2, 1, 0), 1, VaultFreshness::Foreign),
        ] {
            assert_eq!(anchor.judge(&header, &[mac; 32]), standing, "{what}");
        }
    }

    #[test]
    fn what_the_keychain_keeps_reads_back_and_nothing_else_does() {
        let anchor = Anchor::new(&header(1, 7, 6), [7; 32], None);
        let bytes = anchor.to_keychain();
        assert_eq!(Anchor::from_keychain(Hex([1; 16]), &bytes), Some(anchor));
        let endless = [u64::MAX.to_le_bytes().as_slice(), &[7; 32]].concat();
        for bytes in [&bytes[..39], &[bytes.as_slice(), &[0]].concat(), &[], &endless] {
            assert_eq!(Anchor::from_keychain(Hex([1; 16]), bytes), None);
        }
    }
}
