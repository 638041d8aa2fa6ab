//! What a backup holds: files one after the other, and a manifest that says what they have to be.

use std::{
    collections::BTreeMap,
    fmt,
    io::{Read, Write},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    container::{BackupReader, BackupWriter},
    error::BackupError,
};
use crate::storage::{
    audit,
    files::{FileError, Folder},
    gateway_clients, ledger,
    vault::{self, DataKey, Hex, seal::Checksum},
};

/// The version of the manifest that this program writes and reads.
const VERSION: u32 = 1;
/// The longest manifest, in bytes.
const MAX_MANIFEST: usize = 4 << 20;
/// The most files in a backup: the trail has one for each 8 MiB.
const MAX_FILES: usize = 10_000;

/// A file that a backup can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BackupPart {
    Vault,
    /// The vault's data key, so that the backup opens on a machine without its keychain or key file. Never a file.
    VaultKey,
    /// A file of the audit trail; the newest has no number.
    Audit(Option<u64>),
    Ledger,
    Clients,
    Config,
    Prices,
    Quality,
}

/// A file in a backup, as its manifest has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackedFile {
    pub name: BackupPart,
    /// Bytes.
    pub size: u64,
    pub sha256: Hex<32>,
}

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupManifest {
    version: u32,
    /// The version of the program that made it.
    pub program: String,
    pub created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vault: Option<VaultSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<LedgerSummary>,
    /// The gateway's clients.
    pub clients: u64,
    pub files: Vec<PackedFile>,
}

/// The vault in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultSummary {
    pub vault_id: Hex<16>,
    pub generation: u64,
    /// The keys that are in use, without removed ones.
    pub keys: u64,
}

/// The ledger in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerSummary {
    /// The version of the ledger's format.
    pub version: u32,
    pub records: u64,
    /// The newest record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
}

/// What a backup held: its files are in the folder that they were unpacked to, the vault's key is in memory alone.
#[derive(Debug)]
pub struct Unpacked {
    pub manifest: BackupManifest,
    pub vault_key: Option<DataKey>,
}

impl BackupPart {
    /// The name of the file, in a backup and on the disk.
    pub fn file_name(self) -> String {
        match self {
            Self::Vault => vault::FILE.to_owned(),
            Self::VaultKey => "vault.key".to_owned(),
            Self::Audit(None) => audit::FILE.to_owned(),
            Self::Audit(Some(number)) => format!("audit.{number}.jsonl"),
            Self::Ledger => ledger::FILE.to_owned(),
            Self::Clients => gateway_clients::FILE.to_owned(),
            Self::Config => "config.toml".to_owned(),
            Self::Prices => "prices.json".to_owned(),
            Self::Quality => "quality.json".to_owned(),
        }
    }

    /// The part of that name; no other name is written to the disk.
    pub fn of_name(name: &str) -> Option<Self> {
        let number = name
            .strip_prefix("audit.")
            .and_then(|rest| rest.strip_suffix(".jsonl")?.parse().ok());
        let fixed = [
            Self::Vault,
            Self::VaultKey,
            Self::Audit(None),
            Self::Ledger,
            Self::Clients,
            Self::Config,
            Self::Prices,
            Self::Quality,
        ];
        let parts = fixed.into_iter().chain(number.map(|number| Self::Audit(Some(number))));
        parts.into_iter().find(|part| part.file_name() == name)
    }
}

impl Serialize for BackupPart {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.file_name())
    }
}

impl<'de> Deserialize<'de> for BackupPart {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::of_name(&name).ok_or_else(|| serde::de::Error::custom("not a file of a backup"))
    }
}

impl fmt::Display for BackupPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file_name())
    }
}

impl BackupManifest {
    /// What a backup made by `program` at `created_at` holds, without its files.
    pub fn new(program: &str, created_at: Timestamp) -> Self {
        Self {
            version: VERSION,
            program: program.to_owned(),
            created_at,
            vault: None,
            ledger: None,
            clients: 0,
            files: Vec::new(),
        }
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

/// Writes files into a backup, and notes what they are.
#[derive(Debug)]
pub struct Packer<W> {
    out: BackupWriter<W>,
    files: Vec<PackedFile>,
}

impl<W: Write> Packer<W> {
    pub fn new(out: BackupWriter<W>) -> Self {
        Self { out, files: Vec::new() }
    }

    /// Adds a file of `size` bytes, which are read from `from`; `copied` is called with how many of them were.
    pub fn add(
        &mut self,
        part: BackupPart,
        size: u64,
        from: &mut dyn Read,
        copied: &mut dyn FnMut(u64),
    ) -> Result<(), BackupError> {
        let name = part.file_name();
        let length = u8::try_from(name.len()).expect("our names are short");
        self.out.write(&[length])?;
        self.out.write(name.as_bytes())?;
        self.out.write(&size.to_le_bytes())?;
        let mut checksum = Checksum::default();
        let mut buffer = Zeroizing::new(vec![0; 256 * 1024]);
        let mut left = size;
        while left > 0 {
            let room = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = match from.read(&mut buffer[..room]) {
                Ok(0) => return Err(BackupError::Damaged("a file became shorter while it was copied")),
                Ok(read) => read,
                Err(why) if why.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    return Err(BackupError::Io {
                        doing: "read a file for",
                        source,
                    });
                }
            };
            let bytes = buffer.get(..read).unwrap_or_default();
            checksum.add(bytes);
            self.out.write(bytes)?;
            left -= read as u64;
            copied(read as u64);
        }
        self.files.push(PackedFile {
            name: part,
            size,
            sha256: Hex(checksum.finish()),
        });
        Ok(())
    }

    /// Adds the vault's data key.
    pub fn add_key(&mut self, key: &DataKey) -> Result<(), BackupError> {
        self.add(BackupPart::VaultKey, 32, &mut key.as_bytes().as_slice(), &mut |_| ())
    }

    /// Writes the manifest, with the files that were added; it comes back as it was written.
    pub fn finish(mut self, mut manifest: BackupManifest) -> Result<(W, BackupManifest), BackupError> {
        manifest.files = self.files;
        let text = serde_json::to_vec(&manifest).expect("strings and numbers can be written");
        let length = u32::try_from(text.len()).map_err(|_| BackupError::Damaged("its manifest is too long"))?;
        self.out.write(&[0])?;
        self.out.write(&length.to_le_bytes())?;
        self.out.write(&text)?;
        Ok((self.out.finish()?, manifest))
    }
}

/// Writes the files of a backup into `folder`, which has none of them, and checks all of them against the manifest.
///
/// `passed` is called with the bytes that were written since. Whatever was written before an error is not to be used.
pub fn unpack<R: Read>(
    mut from: BackupReader<R>,
    folder: &Folder,
    passed: &mut dyn FnMut(u64),
) -> Result<Unpacked, BackupError> {
    let mut files = BTreeMap::new();
    let mut vault_key = None;
    loop {
        let mut length = [0];
        from.read_exact(&mut length)?;
        if length == [0] {
            break;
        }
        let mut name = vec![0; usize::from(length[0])];
        from.read_exact(&mut name)?;
        let mut size = [0; 8];
        from.read_exact(&mut size)?;
        let size = u64::from_le_bytes(size);
        let part = std::str::from_utf8(&name).ok().and_then(BackupPart::of_name);
        let part = part.ok_or(BackupError::Damaged("it holds a file of another name"))?;
        let mut checksum = Checksum::default();
        if part == BackupPart::VaultKey {
            let mut key = Zeroizing::new([0; 32]);
            if size != 32 {
                return Err(BackupError::Damaged("the vault's key is too short or too long"));
            }
            from.read_exact(key.as_mut_slice())?;
            checksum.add(key.as_slice());
            vault_key = DataKey::from_slice(key.as_slice());
        } else {
            let name = part.file_name();
            let path = folder.path().join(&name);
            let mut file = folder.make_file(&name)?;
            from.pass(size, |bytes| {
                checksum.add(bytes);
                passed(bytes.len() as u64);
                file.write_all(bytes)
                    .map_err(|source| FileError::from_io(&path, "write", source).into())
            })?;
            file.sync_all()
                .map_err(|source| FileError::from_io(&path, "write", source))?;
        }
        let sha256 = Hex(checksum.finish());
        if files.len() > MAX_FILES || files.insert(part, (size, sha256)).is_some() {
            return Err(BackupError::Damaged("it holds a file twice, or too many"));
        }
    }
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_MANIFEST {
        return Err(BackupError::Damaged("its manifest is too long"));
    }
    let mut text = vec![0; length];
    from.read_exact(&mut text)?;
    if !from.is_at_end() {
        return Err(BackupError::Damaged("something follows its end"));
    }
    let manifest: BackupManifest =
        serde_json::from_slice(&text).map_err(|_| BackupError::Damaged("its manifest is not readable"))?;
    let listed: BTreeMap<_, _> = manifest
        .files
        .iter()
        .map(|file| (file.name, (file.size, file.sha256)))
        .collect();
    if listed != files || manifest.vault.is_some() != files.contains_key(&BackupPart::Vault) {
        return Err(BackupError::Damaged("its files are not those of its manifest"));
    }
    Ok(Unpacked { manifest, vault_key })
}
