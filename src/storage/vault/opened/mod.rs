//! A vault file that was authenticated and whose manifest is readable, and the next one made of it.

use std::{collections::BTreeMap, fmt, sync::Arc};

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::{
    anchor::VaultFreshness,
    error::VaultError,
    format::{
        FIRST_VERSION, Header, Hex, LAST_GENERATION, MAX_FILE, MAX_RECORDS, Sealed, SealedRecord, Slot, VERSION,
        VaultFile,
    },
    seal::{self, SealError, SealKey},
};
use crate::{
    domain::{ApiKey, DestinationRecord, KeyId, KeyRecord, Label, Secret},
    storage::audit,
};

/// A sealed secret is as long as a multiple of this, so that its length does not tell the provider.
const PADDED_TO: usize = 256;

/// What the vault holds, without any secret.
#[derive(Debug, Clone)]
pub struct VaultContents {
    /// Every key that the vault knows, also removed ones.
    pub keys: BTreeMap<KeyId, KeyRecord>,
    /// The secrets of destinations of alerts: a class of their own, which nothing that uses keys sees.
    pub destinations: BTreeMap<Label, DestinationRecord>,
    /// Counts the writes of this vault.
    pub generation: u64,
    pub created_at: Timestamp,
    /// How the file stands to the last one written here.
    pub standing: VaultFreshness,
}

/// The keys that everything in the vault is sealed and authenticated with, derived from its data key.
pub(super) struct VaultKeys {
    pub(super) vault_id: Hex<16>,
    /// Tells this data key from others.
    pub(super) id: Hex<32>,
    pub(super) data: SealKey,
    records: SealKey,
    manifest: SealKey,
    mac: SealKey,
}

/// What stays the same for the life of the vault, also through a rekey, and is sealed in its manifest.
pub(super) struct Lasting {
    root: SealKey,
    audit: SealKey,
    fingerprints: SealKey,
}

/// An authenticated vault file.
pub(super) struct Opened {
    pub(super) keys: Arc<VaultKeys>,
    pub(super) header: Header,
    pub(super) mac: [u8; 32],
    pub(super) lasting: Arc<Lasting>,
    /// The newest line of the audit trail when the file was written.
    pub(super) audit_head: Option<audit::TrailHead>,
    pub(super) contents: Arc<VaultContents>,
    records: Vec<SealedRecord>,
}

/// The next vault file in the making.
pub(super) struct Draft {
    pub(super) keys: Arc<VaultKeys>,
    pub(super) header: Header,
    pub(super) lasting: Arc<Lasting>,
    pub(super) audit_head: Option<audit::TrailHead>,
    pub(super) contents: VaultContents,
    pub(super) sealed: BTreeMap<(KeyId, u32), Sealed>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    created_at: Timestamp,
    lasting_key: KeyText,
    audit_head: Option<audit::TrailHead>,
    keys: Vec<KeyRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    destinations: Vec<DestinationRecord>,
}

/// The number of a destination's only secret.
const DESTINATION_VERSION: u32 = 1;

/// A key written as 64 hexadecimal digits; only ever inside what is sealed.
struct KeyText(SealKey);

impl VaultKeys {
    /// The keys derived from the data key of the vault `vault_id`.
    pub(super) fn new(vault_id: Hex<16>, data: SealKey) -> Self {
        let key = |purpose: &[u8]| data.derive(&vault_id.0, &[b"api-keys vault", purpose]);
        Self {
            vault_id,
            id: Hex(*key(b"commitment").as_bytes()),
            records: key(b"records"),
            manifest: key(b"manifest"),
            mac: key(b"mac"),
            data,
        }
    }

    /// `key` sealed as the secret of one version of `record`.
    pub(super) fn seal(&self, record: &KeyRecord, version: u32, key: &ApiKey) -> Result<Sealed, SealError> {
        // EXPOSE: sealed at once
        let text = key.expose();
        self.seal_text(&self.context(record, &version.to_le_bytes()), text)
    }

    /// `secret` sealed as that of a destination.
    pub(super) fn seal_destination(&self, record: &DestinationRecord, secret: &Secret) -> Result<Sealed, SealError> {
        // EXPOSE: sealed at once
        self.seal_text(&self.destination_context(record), secret.expose())
    }

    fn seal_text(&self, context: &[&[u8]], text: &str) -> Result<Sealed, SealError> {
        let text = text.as_bytes();
        let length = u16::try_from(text.len()).map_err(|_| SealError::NotAuthentic)?;
        let mut plain = Zeroizing::new(Vec::with_capacity((text.len() + 2).next_multiple_of(PADDED_TO)));
        plain.extend_from_slice(&length.to_le_bytes());
        plain.extend_from_slice(text);
        plain.resize((text.len() + 2).next_multiple_of(PADDED_TO), 0);
        seal::seal(&self.records, context, &plain).map(|bytes| Sealed::new(&bytes))
    }

    /// The secret of one version of `record`.
    fn open(&self, record: &KeyRecord, version: u32, sealed: &Sealed) -> Result<ApiKey, SealError> {
        self.open_text(&self.context(record, &version.to_le_bytes()), sealed, ApiKey::stored)
    }

    /// The secret of a destination.
    fn open_destination(&self, record: &DestinationRecord, sealed: &Sealed) -> Result<Secret, SealError> {
        self.open_text(&self.destination_context(record), sealed, Secret::new)
    }

    fn open_text<T>(&self, context: &[&[u8]], sealed: &Sealed, read: fn(&str) -> T) -> Result<T, SealError> {
        let sealed = sealed.bytes().ok_or(SealError::NotAuthentic)?;
        let plain = seal::open(&self.records, context, &sealed)?;
        let (length, text) = plain.split_first_chunk::<2>().ok_or(SealError::NotAuthentic)?;
        text.get(..usize::from(u16::from_le_bytes(*length)))
            .and_then(|text| std::str::from_utf8(text).ok())
            .map(read)
            .ok_or(SealError::NotAuthentic)
    }

    /// What the sealed secret of a destination is bound to: it opens as nothing else.
    fn destination_context<'a>(&'a self, record: &'a DestinationRecord) -> [&'a [u8]; 4] {
        [
            b"destination",
            &self.vault_id.0,
            record.key_id.as_bytes(),
            record.name.as_str().as_bytes(),
        ]
    }

    /// What a sealed secret is bound to: it opens nowhere else.
    fn context<'a>(&'a self, record: &'a KeyRecord, version: &'a [u8; 4]) -> [&'a [u8]; 6] {
        [
            b"record",
            &self.vault_id.0,
            record.key_id.as_bytes(),
            record.provider.as_str().as_bytes(),
            record.origin.as_bytes(),
            version,
        ]
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

impl Lasting {
    fn new(vault_id: &Hex<16>, root: SealKey) -> Self {
        let key = |purpose: &[u8]| root.derive(&vault_id.0, &[b"api-keys lasting", purpose]);
        Self {
            audit: key(b"audit"),
            fingerprints: key(b"fingerprints"),
            root,
        }
    }

    /// The mac of the audit trail.
    pub(super) fn audit_mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        seal::mac(&self.audit, parts)
    }

    /// A keyed hash: shows whether two texts of one sort are equal, but only with the vault.
    pub(super) fn fingerprint(&self, sort: &str, text: &str) -> String {
        Hex(seal::mac(&self.fingerprints, &[sort.as_bytes(), text.as_bytes()])).to_string()
    }
}

impl fmt::Debug for VaultKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Opened {
    /// Authenticates `file` and reads its manifest; an error says what is not as it was written.
    pub(super) fn open(
        keys: Arc<VaultKeys>,
        file: VaultFile,
        header: Header,
        standing: VaultFreshness,
    ) -> Result<Self, &'static str> {
        if !seal::equal(&file.authenticate(&keys.mac), file.mac()) {
            return Err("its parts do not belong together");
        }
        let sealed = file.manifest().bytes().ok_or("the manifest is not base64")?;
        let context: [&[u8]; 2] = [b"manifest", file.header_text().as_bytes()];
        let plain = seal::open(&keys.manifest, &context, &sealed).map_err(|_| "the manifest is not of this file")?;
        let manifest: Manifest = serde_json::from_slice(&plain).map_err(|_| "the manifest is not readable")?;
        let root = manifest.lasting_key.0;
        let contents = VaultContents {
            keys: manifest
                .keys
                .into_iter()
                .map(|record| (record.key_id, record))
                .collect(),
            destinations: by_name(manifest.destinations),
            generation: header.generation,
            created_at: manifest.created_at,
            standing,
        };
        Ok(Self {
            keys,
            mac: *file.mac(),
            lasting: Arc::new(Lasting::new(&header.vault_id, root)),
            audit_head: manifest.audit_head,
            header,
            contents: Arc::new(contents),
            records: file.into_records(),
        })
    }

    /// The secret of one version of a key.
    pub(super) fn secret(&self, key_id: KeyId, version: u32) -> Result<ApiKey, VaultError> {
        let (record, sealed) = self.find(key_id, version)?;
        Ok(self.keys.open(record, version, sealed)?)
    }

    /// The secret of the destination `name`.
    pub(super) fn destination(&self, name: &Label) -> Result<Secret, VaultError> {
        let record = self
            .contents
            .destinations
            .get(name)
            .ok_or(VaultError::NoSuchDestination)?;
        let sealed = self
            .sealed(record.key_id, DESTINATION_VERSION)
            .ok_or(VaultError::NoSuchDestination)?;
        Ok(self.keys.open_destination(record, sealed)?)
    }

    /// The record and the sealed secret of one version of a key.
    pub(super) fn find(&self, key_id: KeyId, version: u32) -> Result<(&KeyRecord, &Sealed), VaultError> {
        let record = self.contents.keys.get(&key_id).ok_or(VaultError::NoSuchKey(key_id))?;
        self.sealed(key_id, version)
            .map(|sealed| (record, sealed))
            .ok_or(VaultError::NoSuchSecret { key_id, version })
    }

    fn sealed(&self, key_id: KeyId, version: u32) -> Option<&Sealed> {
        let found = self
            .records
            .binary_search_by_key(&(key_id, version), SealedRecord::place);
        found
            .ok()
            .and_then(|at| self.records.get(at))
            .map(|found| &found.sealed)
    }

    /// Opens every secret, those of destinations too; returns how many there are.
    pub(super) fn open_all(&self) -> Result<u64, VaultError> {
        for record in &self.records {
            let (key_id, version) = record.place();
            let mut destinations = self.contents.destinations.values();
            match destinations.find(|destination| destination.key_id == key_id) {
                Some(destination) => self.destination(&destination.name).map(drop)?,
                None => self.secret(key_id, version).map(drop)?,
            }
        }
        Ok(self.records.len() as u64)
    }

    /// How many keys are in use, without removed ones.
    pub(super) fn keys_in_use(&self) -> u64 {
        let records = self.contents.keys.values();
        records.filter(|record| record.removed_at.is_none()).count() as u64
    }

    /// The next file, for now with the same contents.
    pub(super) fn draft(&self) -> Draft {
        let mut header = self.header.clone();
        header.generation += 1;
        header.prev_mac = Hex(self.mac);
        Draft {
            keys: Arc::clone(&self.keys),
            header,
            lasting: Arc::clone(&self.lasting),
            audit_head: self.audit_head.clone(),
            contents: VaultContents::clone(&self.contents),
            sealed: self
                .records
                .iter()
                .map(|record| (record.place(), record.sealed.clone()))
                .collect(),
        }
    }
}

impl Draft {
    /// The first file of a vault.
    pub(super) fn first(keys: VaultKeys, slots: Vec<Slot>, now: Timestamp) -> Result<Self, SealError> {
        Ok(Self {
            header: Header {
                version: FIRST_VERSION,
                min_reader: FIRST_VERSION,
                vault_id: keys.vault_id,
                generation: 1,
                prev_mac: Hex([0; 32]),
                data_key: keys.id,
                slots,
            },
            lasting: Arc::new(Lasting::new(&keys.vault_id, SealKey::make_random()?)),
            keys: Arc::new(keys),
            audit_head: None,
            contents: VaultContents {
                keys: BTreeMap::new(),
                destinations: BTreeMap::new(),
                generation: 1,
                created_at: now,
                standing: VaultFreshness::Current,
            },
            sealed: BTreeMap::new(),
        })
    }

    /// The secret of one version of a key, as it stands in the draft.
    pub(super) fn secret(&self, key_id: KeyId, version: u32) -> Result<ApiKey, VaultError> {
        let record = self.contents.keys.get(&key_id).ok_or(VaultError::NoSuchKey(key_id))?;
        let sealed = self
            .sealed
            .get(&(key_id, version))
            .ok_or(VaultError::NoSuchSecret { key_id, version })?;
        Ok(self.keys.open(record, version, sealed)?)
    }

    /// Seals every secret anew under `keys`.
    pub(super) fn reseal(&mut self, keys: VaultKeys) -> Result<(), VaultError> {
        let mut sealed = BTreeMap::new();
        for record in self.contents.destinations.values() {
            let place = (record.key_id, DESTINATION_VERSION);
            let found = self.sealed.get(&place).ok_or(VaultError::NoSuchDestination)?;
            let secret = self.keys.open_destination(record, found)?;
            sealed.insert(place, keys.seal_destination(record, &secret)?);
        }
        for &(key_id, version) in self.sealed.keys() {
            if sealed.contains_key(&(key_id, version)) {
                continue;
            }
            let secret = self.secret(key_id, version)?;
            let record = self.contents.keys.get(&key_id).ok_or(VaultError::NoSuchKey(key_id))?;
            sealed.insert((key_id, version), keys.seal(record, version, &secret)?);
        }
        self.sealed = sealed;
        self.header.data_key = keys.id;
        self.keys = Arc::new(keys);
        Ok(())
    }

    /// Puts in the secret of a destination, in place of the one of its name.
    pub(super) fn put_destination(&mut self, record: DestinationRecord, secret: &Secret) -> Result<(), VaultError> {
        let sealed = self.keys.seal_destination(&record, secret)?;
        self.remove_destination(&record.name);
        self.sealed.insert((record.key_id, DESTINATION_VERSION), sealed);
        self.contents.destinations.insert(record.name.clone(), record);
        Ok(())
    }

    /// Drops the secret of a destination for good; returns whether there was one.
    pub(super) fn remove_destination(&mut self, name: &Label) -> bool {
        let Some(record) = self.contents.destinations.remove(name) else {
            return false;
        };
        self.sealed.remove(&(record.key_id, DESTINATION_VERSION));
        true
    }

    /// The bytes of the file, and the file as it will be read back.
    pub(super) fn finish(mut self) -> Result<(Vec<u8>, Opened), VaultError> {
        // Older versions read what they know all of.
        let version = if self.contents.destinations.is_empty() {
            FIRST_VERSION
        } else {
            VERSION
        };
        (self.header.version, self.header.min_reader) = (version, version);
        if self.header.generation > LAST_GENERATION {
            return Err(VaultError::Full("it was written too often"));
        }
        if self.sealed.len() > MAX_RECORDS {
            return Err(VaultError::Full("it holds 10,000 secrets"));
        }
        let named = |(key_id, version): &(KeyId, u32)| {
            let record = self.contents.keys.get(key_id);
            let mut destinations = self.contents.destinations.values();
            record.is_some_and(|record| record.versions.iter().any(|found| found.version == *version))
                || (*version == DESTINATION_VERSION && destinations.any(|found| found.key_id == *key_id))
        };
        if !self.sealed.keys().all(named) {
            return Err(VaultError::Misused("a secret is left that no record names"));
        }
        let manifest = Manifest {
            created_at: self.contents.created_at,
            lasting_key: KeyText(self.lasting.root.copy()),
            audit_head: self.audit_head,
            keys: self.contents.keys.into_values().collect(),
            destinations: self.contents.destinations.into_values().collect(),
        };
        // Large enough not to grow: growing leaves copies behind.
        let mut plain = Zeroizing::new(Vec::with_capacity(
            4096 + 2048 * manifest.keys.len() + 512 * manifest.destinations.len(),
        ));
        serde_json::to_writer(&mut *plain, &manifest).map_err(|_| VaultError::Misused("a record cannot be written"))?;
        let header_text = self.header.to_text();
        let context: [&[u8]; 2] = [b"manifest", header_text.as_bytes()];
        let sealed = Sealed::new(&seal::seal(&self.keys.manifest, &context, &plain)?);
        let records: Vec<SealedRecord> = self
            .sealed
            .into_iter()
            .map(|((key_id, version), sealed)| SealedRecord {
                key_id,
                version,
                sealed,
            })
            .collect();
        let file = VaultFile::new(&self.header, sealed, records.clone());
        let mac = file.authenticate(&self.keys.mac);
        let bytes = file.with_mac(mac).to_bytes();
        if bytes.len() as u64 > MAX_FILE {
            return Err(VaultError::Full("its file would be longer than 16 MiB"));
        }
        let contents = VaultContents {
            generation: self.header.generation,
            standing: VaultFreshness::Current,
            created_at: manifest.created_at,
            keys: manifest
                .keys
                .into_iter()
                .map(|record| (record.key_id, record))
                .collect(),
            destinations: by_name(manifest.destinations),
        };
        let opened = Opened {
            keys: self.keys,
            header: self.header,
            mac,
            lasting: self.lasting,
            audit_head: manifest.audit_head,
            contents: Arc::new(contents),
            records,
        };
        Ok((bytes, opened))
    }
}

fn by_name(records: Vec<DestinationRecord>) -> BTreeMap<Label, DestinationRecord> {
    records
        .into_iter()
        .map(|record| (record.name.clone(), record))
        .collect()
}

impl Serialize for KeyText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; 64];
        HEXLOWER.encode_mut(self.0.as_bytes(), &mut text);
        let text = Zeroizing::new(text);
        serializer.serialize_str(std::str::from_utf8(text.as_slice()).map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for KeyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text: &str = Deserialize::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom("not a key");
        let mut bytes = Zeroizing::new([0; 32]);
        if text.len() != 64 {
            return Err(wrong());
        }
        HEXLOWER
            .decode_mut(text.as_bytes(), bytes.as_mut_slice())
            .map_err(|_| wrong())?;
        SealKey::from_slice(bytes.as_slice()).map(Self).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests;
