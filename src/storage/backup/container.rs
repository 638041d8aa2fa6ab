//! The file of a backup: a header that says what opens it, and a stream sealed in chunks.

use std::io::{ErrorKind, Read, Write};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    chunks::{CHUNK, ChunkOpener, ChunkSealer, TAG},
    error::BackupError,
};
use crate::{
    domain::{Passphrase, Secret},
    storage::vault::{
        Hex, SlotKind,
        format::{FormatError, OpensWith, Slot, check_slots},
        keyslots::{self, RecoveryCode, UnwrapError},
        seal::{self, SealKey},
    },
};

const MAGIC: &[u8; 8] = b"AKBACKUP";
/// The version this program writes; also the newest it reads.
const VERSION: u32 = 1;
/// The longest header, in bytes.
const MAX_HEADER: usize = 16 * 1024;

/// What must be known before anything can be opened; only authenticated once the first chunk was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupHeader {
    version: u32,
    min_reader: u32,
    /// Tells this backup from every other.
    pub backup_id: Hex<16>,
    pub created_at: Timestamp,
    nonce: Hex<19>,
    slots: Vec<Slot>,
}

/// Only what every version of the format will have.
#[derive(Deserialize)]
struct AnyBackupHeader {
    min_reader: u32,
}

/// What is to open a new backup.
#[derive(Debug, Clone, Copy)]
pub struct BackupSlots<'a> {
    pub passphrase: &'a Passphrase,
    /// Whether a recovery code is made, too.
    pub recovery: bool,
}

/// What to open a backup with.
#[derive(Debug, Clone, Copy)]
pub enum UnlockBackup<'a> {
    Passphrase(&'a Passphrase),
    Recovery(&'a Secret),
}

/// Seals what is written to it; nothing is a backup before [`BackupWriter::finish`].
pub struct BackupWriter<W> {
    out: W,
    sealer: ChunkSealer,
    /// The chunk in the making.
    chunk: Zeroizing<Vec<u8>>,
}

/// Opens a backup, chunk by chunk: nothing is released that was not authenticated, and [`BackupReader::is_at_end`] is
/// true only behind the chunk that was sealed as the last.
pub struct BackupReader<R> {
    from: R,
    opener: Option<ChunkOpener>,
    /// The chunk that was opened, and how much of it was released.
    chunk: Zeroizing<Vec<u8>>,
    released: usize,
    /// The sealed chunk behind it.
    next: Vec<u8>,
}

impl BackupHeader {
    /// The kinds of slots that open it.
    pub fn slot_kinds(&self) -> Vec<SlotKind> {
        self.slots.iter().map(Slot::kind).collect()
    }

    /// Everything that stands before the first chunk.
    fn to_bytes(&self) -> Vec<u8> {
        let text = serde_json::to_vec(self).expect("strings and numbers can be written");
        let length = u32::try_from(text.len()).expect("a header is short").to_le_bytes();
        [MAGIC.as_slice(), &length, &text].concat()
    }

    fn file_key(&self, with: UnlockBackup<'_>) -> Result<SealKey, BackupError> {
        let kind = match with {
            UnlockBackup::Passphrase(_) => SlotKind::Passphrase,
            UnlockBackup::Recovery(_) => SlotKind::Recovery,
        };
        let slots: Vec<&Slot> = self.slots.iter().filter(|slot| slot.kind() == kind).collect();
        if slots.is_empty() {
            return Err(BackupError::NoSlotOfKind(kind));
        }
        let opened = |slot, secret: &[u8]| match keyslots::unwrap(&self.backup_id, slot, secret) {
            Ok(key) => Ok(Some(key)),
            Err(UnwrapError::WrongSecret) => Ok(None),
            Err(UnwrapError::Damaged) => Err(BackupError::Damaged("a keyslot was modified")),
        };
        match with {
            UnlockBackup::Passphrase(passphrase) => {
                for slot in slots {
                    if let Some(secret) = keyslots::stretch(slot, passphrase).transpose()?
                        && let Some(key) = opened(slot, secret.as_bytes())?
                    {
                        return Ok(key);
                    }
                }
                Err(BackupError::WrongPassphrase)
            }
            UnlockBackup::Recovery(typed) => {
                let code = RecoveryCode::parse(typed).map_err(|_| BackupError::MistypedRecoveryCode)?;
                for slot in slots {
                    if let Some(key) = opened(slot, code.as_bytes())? {
                        return Ok(key);
                    }
                }
                Err(BackupError::WrongRecoveryCode)
            }
        }
    }
}

/// The key of the chunks.
fn chunk_key(file_key: &SealKey, backup_id: &Hex<16>) -> SealKey {
    file_key.derive(&backup_id.0, &[b"api-keys backup", b"chunks"])
}

impl<W: Write> BackupWriter<W> {
    /// Writes the header of a new backup; the recovery code comes with it, where one is asked for.
    pub fn begin(
        mut out: W,
        created_at: Timestamp,
        slots: BackupSlots<'_>,
    ) -> Result<(Self, BackupHeader, Option<Secret>), BackupError> {
        // EXPOSE: only whether there is anything
        if slots.passphrase.expose().is_empty() {
            return Err(BackupError::EmptyPassphrase);
        }
        let backup_id = Hex(seal::make_random()?);
        let file_key = SealKey::make_random()?;
        let wrap = |opens_with, secret: &[u8]| {
            let id = Hex(seal::make_random()?);
            keyslots::wrap(&backup_id, id, opens_with, created_at, secret, &file_key)
        };
        let (opens_with, secret) = keyslots::stretch_new(slots.passphrase)?;
        let mut made = vec![wrap(opens_with, secret.as_bytes())?];
        let code = slots.recovery.then(RecoveryCode::make_random).transpose()?;
        if let Some(code) = &code {
            made.push(wrap(OpensWith::Recovery {}, code.as_bytes())?);
        }
        let header = BackupHeader {
            version: VERSION,
            min_reader: VERSION,
            backup_id,
            created_at,
            nonce: Hex(seal::make_random()?),
            slots: made,
        };
        let bytes = header.to_bytes();
        out.write_all(&bytes).map_err(unwritten)?;
        let writer = Self {
            out,
            sealer: ChunkSealer::new(
                &chunk_key(&file_key, &backup_id),
                &header.nonce.0,
                seal::digest(&[&bytes]),
            ),
            chunk: Zeroizing::new(Vec::with_capacity(CHUNK + TAG)),
        };
        Ok((writer, header, code.map(|code| code.to_secret())))
    }

    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), BackupError> {
        while !bytes.is_empty() {
            // Only now it is known that this one is not the last.
            if self.chunk.len() == CHUNK {
                self.sealer.seal(&mut self.chunk)?;
                self.out.write_all(&self.chunk).map_err(unwritten)?;
                self.chunk.clear();
            }
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Writes the last chunk, and gives back what everything was written to.
    pub fn finish(mut self) -> Result<W, BackupError> {
        self.sealer.seal_last(&mut self.chunk)?;
        self.out.write_all(&self.chunk).map_err(unwritten)?;
        self.out.flush().map_err(unwritten)?;
        Ok(self.out)
    }
}

const UNREADABLE: BackupError = BackupError::Damaged("its header is not readable");

/// The header of the backup that begins in `from`; `from` stands before the first chunk then.
pub fn read_header(from: &mut impl Read) -> Result<BackupHeader, BackupError> {
    let mut head = [0; 12];
    if fill(from, &mut head)? < head.len() || head.first_chunk::<8>() != Some(MAGIC) {
        return Err(BackupError::NotABackup);
    }
    let length = head.last_chunk::<4>().map_or(0, |length| u32::from_le_bytes(*length));
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > MAX_HEADER {
        return Err(BackupError::Damaged("its header is too long"));
    }
    let mut text = vec![0; length];
    if fill(from, &mut text)? < length {
        return Err(BackupError::Damaged("it is cut short"));
    }
    let any: AnyBackupHeader = serde_json::from_slice(&text).map_err(|_| UNREADABLE)?;
    if any.min_reader > VERSION {
        return Err(BackupError::TooNew(any.min_reader));
    }
    let header: BackupHeader = serde_json::from_slice(&text).map_err(|_| UNREADABLE)?;
    // One spelling only: what differs from what is written was modified.
    if header.to_bytes() != [head.as_slice(), &text].concat() {
        return Err(UNREADABLE);
    }
    check_slots(&header.slots).map_err(|why| match why {
        FormatError::Malformed(what) => BackupError::Damaged(what),
        FormatError::TooNew(version) => BackupError::TooNew(version),
    })?;
    Ok(header)
}

impl<R: Read> BackupReader<R> {
    /// Opens the backup whose `header` was read from `from`.
    pub fn open(from: R, header: &BackupHeader, with: UnlockBackup<'_>) -> Result<Self, BackupError> {
        let key = chunk_key(&header.file_key(with)?, &header.backup_id);
        let context = seal::digest(&[&header.to_bytes()]);
        let mut reader = Self {
            from,
            opener: Some(ChunkOpener::new(&key, &header.nonce.0, context)),
            chunk: Zeroizing::new(Vec::with_capacity(CHUNK + TAG)),
            released: 0,
            next: Vec::with_capacity(CHUNK + TAG),
        };
        reader.read_sealed()?;
        reader.advance()?;
        Ok(reader)
    }

    /// The next `into.len()` bytes.
    pub fn read_exact(&mut self, mut into: &mut [u8]) -> Result<(), BackupError> {
        while !into.is_empty() {
            let opened = self.released()?;
            let count = opened.len().min(into.len());
            let (now, later) = into.split_at_mut(count);
            now.copy_from_slice(opened.get(..count).unwrap_or_default());
            self.released += count;
            into = later;
        }
        Ok(())
    }

    /// Gives the next `length` bytes to `take`, in pieces.
    pub fn pass(
        &mut self,
        length: u64,
        mut take: impl FnMut(&[u8]) -> Result<(), BackupError>,
    ) -> Result<(), BackupError> {
        let mut left = length;
        while left > 0 {
            let opened = self.released()?;
            let count = opened.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            take(opened.get(..count).unwrap_or_default())?;
            self.released += count;
            left -= count as u64;
        }
        Ok(())
    }

    /// Whether the whole stream was read, up to the chunk that was sealed as its last.
    pub fn is_at_end(&self) -> bool {
        self.opener.is_none() && self.released == self.chunk.len()
    }

    /// What was opened and not yet released: not empty.
    fn released(&mut self) -> Result<&[u8], BackupError> {
        if self.released == self.chunk.len() {
            self.advance()?;
        }
        match self.chunk.get(self.released..) {
            Some(rest) if !rest.is_empty() => Ok(rest),
            Some(_) | None => Err(BackupError::Damaged("it ends too early")),
        }
    }

    /// Opens the sealed chunk that was read ahead, and reads the one behind it.
    fn advance(&mut self) -> Result<(), BackupError> {
        let Some(mut opener) = self.opener.take() else {
            return Err(BackupError::Damaged("it ends too early"));
        };
        self.released = 0;
        std::mem::swap(&mut *self.chunk, &mut self.next);
        self.read_sealed()?;
        let opened = if self.next.is_empty() {
            opener.open_last(&mut self.chunk)
        } else {
            let opened = opener.open(&mut self.chunk);
            self.opener = Some(opener);
            opened
        };
        opened.map_err(|_| {
            // What could not be authenticated is not released.
            self.chunk.clear();
            BackupError::Damaged("a part of it is cut off or was modified")
        })
    }

    fn read_sealed(&mut self) -> Result<(), BackupError> {
        self.next.resize(CHUNK + TAG, 0);
        let filled = fill(&mut self.from, &mut self.next)?;
        self.next.truncate(filled);
        Ok(())
    }
}

/// Reads until `into` is full or `from` ends; returns how much there was.
fn fill(from: &mut impl Read, into: &mut [u8]) -> Result<usize, BackupError> {
    let mut filled = 0;
    while let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(source) => return Err(BackupError::Io { doing: "read", source }),
        }
    }
    Ok(filled)
}

fn unwritten(source: std::io::Error) -> BackupError {
    BackupError::Io { doing: "write", source }
}

impl<W> std::fmt::Debug for BackupWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BackupWriter")
    }
}

impl<R> std::fmt::Debug for BackupReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BackupReader")
    }
}
