//! Who may use the gateway: `clients.json`, private, with the hash of each client's key and never the key.
//!
//! A key is 256 random bits, so a plain SHA-256 of it reveals nothing. Read again when the file has changed.

use std::{
    collections::BTreeSet,
    fmt,
    num::NonZeroU32,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    files::{self, FileError, Folder, Stamp},
    lock::{self, LockError},
    vault::seal,
};
use crate::domain::{Billionths, Label, ProviderId, Secret, Usd};

/// The file of the clients.
pub const FILE: &str = "clients.json";
const LOCK: &str = "clients.lock";
const FORMAT: &str = "api-keys clients";
const VERSION: u32 = 1;
/// The longest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 4 << 20;
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// A program that may use the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayClient {
    pub name: Label,
    pub key_hash: KeyHash,
    pub created_at: Timestamp,
    /// The only providers that it may use; none named is all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub providers: BTreeSet<ProviderId>,
    /// The only models that it may use, with `*` for anything; none named is all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub models: BTreeSet<String>,
    /// The project that its requests are recorded under, where they name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    #[serde(default, with = "amount", skip_serializing_if = "Option::is_none")]
    pub daily_limit: Option<Usd>,
    #[serde(default, with = "amount", skip_serializing_if = "Option::is_none")]
    pub monthly_limit: Option<Usd>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<NonZeroU32>,
    /// When its key stops opening anything; nothing is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The agent that its requests are recorded under, where they don't name one that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The session that its requests are recorded under, where they name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The label of the keys that its requests go with, where a provider has such a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_label: Option<Label>,
    /// Further keys, for programs that ask for one when they need it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issued: Vec<IssuedKey>,
}

/// A further key of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuedKey {
    pub key_hash: KeyHash,
    /// When it stops opening anything; nothing is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl IssuedKey {
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

impl GatewayClient {
    /// Whether its key opens nothing any more.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Whether the key with this hash is one of its keys.
    pub fn has_key(&self, hash: &KeyHash, now: Timestamp) -> bool {
        let mut issued = self.issued.iter().filter(|key| !key.is_expired(now));
        !self.is_expired(now) && (self.key_hash == *hash || issued.any(|key| key.key_hash == *hash))
    }
}

/// What is kept of a client's key.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyHash([u8; 32]);

/// The clients in a folder; reads nothing until needed.
#[derive(Debug)]
pub struct ClientStore {
    folder: PathBuf,
    read: Mutex<(Option<Stamp>, Arc<Vec<GatewayClient>>)>,
}

/// Why the clients are not known, or not changed.
#[derive(Debug, thiserror::Error)]
pub enum ClientsError {
    /// The file is corrupted or was modified.
    #[error("{} is corrupted or was modified", .path.display())]
    Damaged { path: PathBuf },
    #[error("{} was written by a newer version", .path.display())]
    TooNew { path: PathBuf },
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Lock(LockError),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientsFile {
    format: String,
    version: u32,
    clients: Vec<GatewayClient>,
}

/// What files of every version have.
#[derive(Deserialize)]
struct FormatHeader {
    format: String,
    version: u32,
}

impl ClientStore {
    /// The clients in `folder`; touches nothing.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            read: Mutex::default(),
        }
    }

    /// All clients, by name.
    pub fn list(&self) -> Result<Arc<Vec<GatewayClient>>, ClientsError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if !files::is_unchanged(&self.folder.join(FILE), read.0) {
            *read = match Folder::open(&self.folder)? {
                Some(folder) => contents(&folder)?,
                None => (None, Arc::default()),
            };
        }
        Ok(Arc::clone(&read.1))
    }

    /// Makes one change under a lock; an error of `edit` changes nothing.
    pub fn change<T, E: From<ClientsError>>(
        &self,
        edit: impl FnOnce(&mut Vec<GatewayClient>) -> Result<T, E>,
    ) -> Result<T, E> {
        let folder = Folder::create(&self.folder).map_err(ClientsError::from)?;
        let _held = lock::acquire(&folder, LOCK, LOCK_TIMEOUT).map_err(ClientsError::Lock)?;
        let (_, before) = contents(&folder)?;
        let mut clients = before.to_vec();
        let value = edit(&mut clients)?;
        clients.sort_by(|one, other| one.name.cmp(&other.name));
        let contents = ClientsFile {
            format: FORMAT.to_owned(),
            version: VERSION,
            clients,
        };
        let text = serde_json::to_vec_pretty(&contents).expect("plain values with names");
        let _ = folder.replace(FILE, &text).map_err(ClientsError::from)?;
        Ok(value)
    }
}

fn contents(folder: &Folder) -> Result<(Option<Stamp>, Arc<Vec<GatewayClient>>), ClientsError> {
    let Some((bytes, stamp)) = folder.read(FILE, MAX_FILE_BYTES)? else {
        return Ok((None, Arc::default()));
    };
    let path = || folder.path().join(FILE);
    let damaged = |_| ClientsError::Damaged { path: path() };
    let outline: FormatHeader = serde_json::from_slice(&bytes).map_err(damaged)?;
    if outline.format == FORMAT && outline.version > VERSION {
        return Err(ClientsError::TooNew { path: path() });
    }
    let contents: ClientsFile = serde_json::from_slice(&bytes).map_err(damaged)?;
    if contents.format != FORMAT || contents.version != VERSION {
        return Err(ClientsError::Damaged { path: path() });
    }
    Ok((Some(stamp), Arc::new(contents.clients)))
}

impl KeyHash {
    /// The hash of a key as it was presented.
    pub fn of(key: &Secret) -> Self {
        // EXPOSE: hashed, and compared with other hashes
        Self(seal::digest(&[b"api-keys client key", key.expose().as_bytes()]))
    }
}

/// In time that does not tell where two differ.
impl PartialEq for KeyHash {
    fn eq(&self, other: &Self) -> bool {
        seal::equal(&self.0, &other.0)
    }
}

impl Eq for KeyHash {}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hash]")
    }
}

impl From<KeyHash> for String {
    fn from(hash: KeyHash) -> Self {
        HEXLOWER.encode(&hash.0)
    }
}

impl TryFrom<String> for KeyHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok();
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or("a hash has 64 lower-case hexadecimal digits")
    }
}

/// US dollars as a decimal number in a string: no float holds money.
mod amount {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::{Billionths, Usd};

    #[expect(clippy::ref_option, reason = "as serde calls it")]
    pub(super) fn serialize<S: Serializer>(amount: &Option<Usd>, serializer: S) -> Result<S::Ok, S::Error> {
        amount.map(Usd::digits).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Usd>, D::Error> {
        Option::<String>::deserialize(deserializer)?
            .map(|text| Billionths::parse(&text).map(Usd::from))
            .map(|amount| amount.ok_or_else(|| D::Error::custom("not an amount")))
            .transpose()
    }
}
