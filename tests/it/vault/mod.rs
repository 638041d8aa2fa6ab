//! The vault through its public functions, on real files.

use api_keys::{
    domain::{ApiKey, DestinationRecord, KeyId, KeyRecord, KeyVersion, Passphrase, Secret, VersionState},
    storage::{
        audit::{Action, AuditEntry, AuditOutcome},
        vault::{Committed, NewSlot, SlotKind, Unlock, Vault, VaultError, VaultPlaces, VaultStatus},
    },
};
use jiff::Timestamp;

mod damage;
mod golden;
mod keychain;
mod laws;
mod life;
mod slots;
mod standing;
mod trail;

/// A vault in a folder of its own.
struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    fn places(&self) -> VaultPlaces {
        VaultPlaces::in_folder(self.folder.path().join("home"))
    }

    /// A handle as another process would have it: locked.
    fn vault(&self) -> Vault {
        Vault::new(self.places())
    }

    /// A handle on a new vault with a key file.
    fn with_key_file() -> (Self, Vault) {
        let home = Self::new();
        let vault = home.vault();
        vault
            .create(now(), "test", &[NewSlot::KeyFile])
            .expect("a vault")
            .into_inner();
        (home, vault)
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("home").join(name)
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.file("vault.json")).expect("a vault file")
    }

    /// Puts `bytes` in place of the vault file, as a person would.
    fn put(&self, bytes: &[u8]) {
        std::fs::write(self.file("vault.json"), bytes).expect("a file that can be written");
    }
}

pub(crate) fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().expect("a time")
}

pub(crate) fn entry(action: Action) -> AuditEntry {
    AuditEntry {
        at: now(),
        actor: "test".to_owned(),
        action,
        provider: None,
        label: None,
        key_id: None,
        outcome: AuditOutcome::Begun,
        detail: None,
    }
}

fn key(text: &str) -> ApiKey {
    ApiKey::parse(&Secret::new(text)).expect("a well-formed key")
}

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Secret::new(text))
}

pub(crate) fn record(number: u16, versions: u32) -> KeyRecord {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&number.to_be_bytes());
    KeyRecord {
        key_id: KeyId::from_random(id),
        provider: "anthropic".parse().expect("a provider"),
        label: format!("k{number}").parse().expect("a label"),
        origin: "https://api.anthropic.com".to_owned(),
        description: None,
        created_at: now(),
        expires_at: None,
        rotation_count: 0,
        removed_at: None,
        versions: (1..=versions)
            .map(|version| KeyVersion {
                version,
                state: VersionState::Active,
                masked: "sk-…".to_owned(),
                fingerprint: String::new(),
                exposed: false,
                rotated: false,
                added_at: now(),
                expires_at: None,
                account: None,
                validation: None,
            })
            .collect(),
    }
}

/// Adds one key with one secret.
fn add(vault: &Vault, number: u16, secret: &str) -> Result<KeyId, VaultError> {
    let record = record(number, 1);
    let key_id = record.key_id;
    vault
        .change(&entry(Action::AddKey), |edit| {
            edit.record(record);
            edit.secret(key_id, 1, &key(secret))
        })
        .map(|done| {
            assert!(done.is_durable());
            done.into_inner();
            key_id
        })
}

fn reveal(vault: &Vault, key_id: KeyId) -> Result<String, VaultError> {
    let contents = vault.contents()?;
    let record = contents.keys.get(&key_id).ok_or(VaultError::NoSuchKey(key_id))?;
    vault
        .reveal(&entry(Action::RevealKey), record, 1)
        // EXPOSE: a made-up value in a test
        .map(|key| key.expose().to_owned())
}

/// A file as the program makes them.
fn private_file(path: &std::path::Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("a file");
    #[cfg(unix)]
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode");
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).expect("small")
    }

    /// Changes `bytes` in one to three places.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.next(3) {
            let (from, to) = (self.next(bytes.len()), self.next(bytes.len()));
            match self.next(5) {
                0 => bytes[from] = u8::try_from(self.next(256)).expect("a byte"),
                1 => drop(bytes.drain(from.min(to)..from.max(to))),
                2 => bytes.insert(from, b"{}[]\",:0\\ \n"[self.next(11)]),
                3 => bytes.swap(from, to),
                _ => {
                    let piece = bytes[from..(from + 40).min(bytes.len())].to_vec();
                    bytes.splice(to..to, piece);
                }
            }
            if bytes.is_empty() {
                return;
            }
        }
    }
}
