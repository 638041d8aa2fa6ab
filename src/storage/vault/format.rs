//! The vault file as text: one strict JSON object that has exactly one spelling.
//!
//! ```text
//! { "format": "api-keys vault",
//!   "header": "{…}",            a string: its exact text is what is authenticated
//!   "manifest": "…",            base64(nonce ‖ ciphertext ‖ tag): all that is known of the keys, the audit trail's end
//!   "records": [ { "key_id": "key_…", "version": 1, "sealed": "…" }, … ],      one for each secret, in order
//!   "mac": "…" }                HMAC-SHA256 over everything above
//!
//! header: { version, min_reader, vault_id, generation, prev_mac, data_key,
//!           slots: [ { id, added_at, opens_with: { kind, … }, commitment, wrapped }, … ] }
//! ```
//! Bytes are lower-case hexadecimal digits or base64 without padding; the file is indented JSON and ends in a line
//! feed, the header is JSON without white space. Every list of parts that is hashed, authenticated, derived from or
//! bound to is framed: each part behind its length as 64 bits, little end first.
//!
//! | key or mac | made as |
//! |---|---|
//! | slot secret | 32 random bytes (key file, keychain), Argon2id (passphrase), the 28 random symbols (recovery code) |
//! | commitment, wrapping key | HKDF-SHA256(salt `vault_id`, slot secret, `api-keys slot`, slot id, `commitment` or `wrapping`) |
//! | wrapped | the data key under the wrapping key, bound to `slot`, `vault_id`, `[id,added_at,opens_with]` |
//! | records, manifest, mac keys; `data_key` | HKDF-SHA256(salt `vault_id`, data key, `api-keys vault`, `records`, `manifest`, `mac`; `commitment`) |
//! | audit, fingerprint keys | HKDF-SHA256(salt `vault_id`, the manifest's `lasting_key`, `api-keys lasting`, `audit`, `fingerprints`) |
//! | manifest | under its key, bound to `manifest`, the header's text |
//! | sealed (of a destination of alerts) | the same, bound to `destination`, `vault_id`, id, name |
//! | sealed | length (16 bits), secret, zeros to a multiple of 256; bound to `record`, `vault_id`, key id, provider, origin, version (32 bits) |
//! | mac | over format, header, manifest, number of records (64 bits), and of each record key id, version, sealed |
//!
//! A file is read, written again and compared: white space, escapes, order, repeated or unknown fields that
//! differ from what this module writes are refused before any cryptography. What the text says is trusted
//! only after [`VaultFile::authenticate`] agreed with its mac.

use std::fmt;

use data_encoding::{BASE64_NOPAD, HEXLOWER};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::seal;
use crate::domain::KeyId;

/// The newest version that is read, and written where a vault holds what older versions do not know: secrets of
/// destinations of alerts.
pub(super) const VERSION: u32 = 2;
/// The version that is written else.
pub(super) const FIRST_VERSION: u32 = 1;
/// The longest file that is read or written, in bytes.
pub(super) const MAX_FILE: u64 = 16 * 1024 * 1024;
/// The most keyslots a vault has.
pub(super) const MAX_SLOTS: usize = 16;
/// The most secrets a vault holds.
pub(super) const MAX_RECORDS: usize = 10_000;
/// The highest generation: what every reader of JSON can count to.
pub(super) const LAST_GENERATION: u64 = (1 << 53) - 1;
/// What the first field of the file says.
const FORMAT: &str = "api-keys vault";
/// The most memory that stretching one passphrase may take, in KiB.
const MAX_MEMORY_KIB: u64 = 1024 * 1024;
/// The most memory times passes, over all slots together, in KiB.
const MAX_WORK_KIB: u64 = 4 * 1024 * 1024;

/// Why a text is not a vault file that this version reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) enum FormatError {
    /// What does not hold, as a fragment.
    Malformed(&'static str),
    /// The file says that only this version and later ones can read it.
    TooNew(u32),
}

/// The whole file; [`parse`] checks its shape, nothing more.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VaultFile {
    format: String,
    /// The header's exact text, which is what is authenticated.
    header: String,
    manifest: Sealed,
    records: Vec<SealedRecord>,
    mac: Hex<32>,
}

/// What must be known before anything can be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) min_reader: u32,
    pub(super) vault_id: Hex<16>,
    /// Counts the writes of this vault.
    pub(super) generation: u64,
    /// The mac of the file that this one replaced; zeros in the first.
    pub(super) prev_mac: Hex<32>,
    /// Tells data keys apart without telling anything of them.
    pub(super) data_key: Hex<32>,
    pub(super) slots: Vec<Slot>,
}

/// One way to get at the data key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::storage) struct Slot {
    pub(in crate::storage) id: Hex<8>,
    pub(in crate::storage) added_at: Timestamp,
    pub(in crate::storage) opens_with: OpensWith,
    /// Compared before anything is unwrapped: the cipher does not commit to its key.
    pub(in crate::storage) commitment: Hex<32>,
    /// The data key, sealed under the slot's key.
    pub(in crate::storage) wrapped: Sealed,
}

/// What a slot needs to be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::storage) enum OpensWith {
    Keychain {},
    KeyFile {},
    /// Argon2id, version 1.3.
    Passphrase {
        salt: Hex<16>,
        memory_kib: u32,
        passes: u32,
        lanes: u32,
    },
    Recovery {},
}

/// One sealed secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SealedRecord {
    pub(super) key_id: KeyId,
    pub(super) version: u32,
    pub(super) sealed: Sealed,
}

/// Bytes written as lower-case hexadecimal digits, exactly as many as fit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hex<const N: usize>(pub [u8; N]);

/// Nonce, ciphertext and tag, written as base64 without padding and kept as that text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::storage) struct Sealed(String);

/// Only what every version of the format will have.
#[derive(Deserialize)]
struct AnyFile {
    format: String,
    header: String,
}

#[derive(Deserialize)]
struct AnyHeader {
    min_reader: u32,
}

/// The file and its header in `bytes`, with every bound checked and nothing authenticated.
pub(super) fn parse(bytes: &[u8]) -> Result<(VaultFile, Header), FormatError> {
    use FormatError::Malformed;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Malformed("the file is too long"));
    }
    let file: VaultFile = match serde_json::from_slice(bytes) {
        Ok(file) => file,
        // It may be of a version that has other fields.
        Err(_) => return Err(why_not(bytes)),
    };
    if file.format != FORMAT {
        return Err(Malformed("the format name is another"));
    }
    check_readable(&file.header)?;
    if file.to_bytes() != bytes {
        return Err(Malformed("it is not spelled as it was written"));
    }
    let header: Header = serde_json::from_str(&file.header)
        .map_err(|_| Malformed("a field of the header is missing, unknown or wrong"))?;
    if header.to_text() != file.header {
        return Err(Malformed("the header is not spelled as it was written"));
    }
    header.check()?;
    if file.records.len() > MAX_RECORDS {
        return Err(Malformed("there are too many records"));
    }
    if !file.records.is_sorted_by(|one, other| one.place() < other.place()) {
        return Err(Malformed("the records are out of order"));
    }
    Ok((file, header))
}

/// Why bytes that are no file of this version are none.
fn why_not(bytes: &[u8]) -> FormatError {
    use FormatError::Malformed;
    match serde_json::from_slice::<AnyFile>(bytes) {
        Ok(any) if any.format == FORMAT => check_readable(&any.header)
            .err()
            .unwrap_or(Malformed("a field is missing, unknown or wrong")),
        Ok(_) => Malformed("the format name is another"),
        Err(_) => Malformed("it is not a JSON object of a vault"),
    }
}

/// Whether a header says that this version can read its file.
fn check_readable(header: &str) -> Result<(), FormatError> {
    let about: AnyHeader =
        serde_json::from_str(header).map_err(|_| FormatError::Malformed("the header is not readable"))?;
    if about.min_reader > VERSION {
        return Err(FormatError::TooNew(about.min_reader));
    }
    Ok(())
}

impl VaultFile {
    /// A file of these parts, without its mac.
    pub(super) fn new(header: &Header, manifest: Sealed, records: Vec<SealedRecord>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            header: header.to_text(),
            manifest,
            records,
            mac: Hex([0; 32]),
        }
    }

    /// The mac over every part of the file but the mac, in order.
    pub(super) fn authenticate(&self, key: &seal::SealKey) -> [u8; 32] {
        let mut mac = seal::Authenticator::new(key);
        mac.part(self.format.as_bytes());
        mac.part(self.header.as_bytes());
        mac.part(self.manifest.0.as_bytes());
        mac.part(&(self.records.len() as u64).to_le_bytes());
        for record in &self.records {
            mac.part(record.key_id.as_bytes());
            mac.part(&record.version.to_le_bytes());
            mac.part(record.sealed.0.as_bytes());
        }
        mac.finish()
    }

    pub(super) fn mac(&self) -> &[u8; 32] {
        &self.mac.0
    }

    #[must_use]
    pub(super) fn with_mac(mut self, mac: [u8; 32]) -> Self {
        self.mac = Hex(mac);
        self
    }

    pub(super) fn manifest(&self) -> &Sealed {
        &self.manifest
    }

    pub(super) fn header_text(&self) -> &str {
        &self.header
    }

    pub(super) fn into_records(self) -> Vec<SealedRecord> {
        self.records
    }

    /// The one spelling of the file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("strings and numbers can be written");
        bytes.push(b'\n');
        bytes
    }
}

impl Header {
    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers can be written")
    }

    fn check(&self) -> Result<(), FormatError> {
        use FormatError::Malformed;
        if self.version == 0 || self.min_reader == 0 || self.min_reader > self.version {
            return Err(Malformed("the version is impossible"));
        }
        if !(1..=LAST_GENERATION).contains(&self.generation) {
            return Err(Malformed("the generation is impossible"));
        }
        check_slots(&self.slots)
    }
}

/// Bounds over all slots, before any of them may cost time or memory.
pub(in crate::storage) fn check_slots(slots: &[Slot]) -> Result<(), FormatError> {
    use FormatError::Malformed;
    if !(1..=MAX_SLOTS).contains(&slots.len()) {
        return Err(Malformed("there are no keyslots or too many"));
    }
    let mut work = 0_u64;
    for (at, slot) in slots.iter().enumerate() {
        if slots.iter().take(at).any(|earlier| earlier.id == slot.id) {
            return Err(Malformed("two keyslots have the same id"));
        }
        if slot
            .wrapped
            .bytes()
            .is_none_or(|bytes| bytes.len() != 32 + seal::OVERHEAD)
        {
            return Err(Malformed("a keyslot has another length than a wrapped key"));
        }
        if let OpensWith::Passphrase {
            memory_kib,
            passes,
            lanes,
            ..
        } = slot.opens_with
        {
            let (memory, passes, lanes) = (u64::from(memory_kib), u64::from(passes), u64::from(lanes));
            work += memory * passes;
            let fits = (1..=8).contains(&lanes)
                && (8 * lanes..=MAX_MEMORY_KIB).contains(&memory)
                && (1..=16).contains(&passes)
                && work <= MAX_WORK_KIB;
            if !fits {
                return Err(Malformed("a keyslot asks for more work than is allowed"));
            }
        }
    }
    Ok(())
}

impl Slot {
    /// What the wrapped data key is bound to, next to the vault's id.
    pub(super) fn context(&self) -> Vec<u8> {
        serde_json::to_vec(&(&self.id, &self.added_at, &self.opens_with)).expect("strings and numbers can be written")
    }
}

impl SealedRecord {
    pub(super) fn place(&self) -> (KeyId, u32) {
        (self.key_id, self.version)
    }
}

impl Sealed {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(BASE64_NOPAD.encode(bytes))
    }

    /// The bytes, unless the text is not the one spelling of any.
    pub(super) fn bytes(&self) -> Option<Vec<u8>> {
        BASE64_NOPAD.decode(self.0.as_bytes()).ok()
    }
}

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl<const N: usize> fmt::Debug for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> std::str::FromStr for Hex<N> {
    type Err = NotHex;

    fn from_str(text: &str) -> Result<Self, NotHex> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| NotHex)?;
        bytes.try_into().map(Self).map_err(|_| NotHex)
    }
}

/// A text is not the lower-case hexadecimal form of the right number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not lower-case hexadecimal digits of the right number")]
pub struct NotHex;

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
