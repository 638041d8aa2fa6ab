//! Backups: vault, audit trail, ledger, the gateway's clients and the settings in one encrypted file.
//!
//! `container` is the file: a header with keyslots, and a stream sealed in chunks (`chunks`). `archive` is what the stream holds:
//! the files one after the other, and a manifest that says what they have to be.
//!
//! ```text
//! AKBACKUP, the header's length (32 bits, little end first), the header, the sealed chunks
//!
//! header: { version, min_reader, backup_id, created_at, nonce,
//!           slots: [ { id, added_at, opens_with: { kind, … }, commitment, wrapped }, … ] }      as in the vault
//! stream: for each file its name's length (8 bits), its name, its length (64 bits), its bytes;
//!         then a zero, the manifest's length (32 bits), the manifest
//! ```
//! A random file key is wrapped by each slot, bound to `backup_id`. The key of the chunks is derived from it; each chunk
//! is bound to the digest of everything before the first one.

mod archive;
mod chunks;
mod container;
mod error;
#[cfg(test)]
mod tests;

pub use self::{
    archive::{BackupManifest, BackupPart, LedgerSummary, PackedFile, Packer, Unpacked, VaultSummary, unpack},
    container::{BackupHeader, BackupReader, BackupSlots, BackupWriter, UnlockBackup, read_header},
    error::BackupError,
};
