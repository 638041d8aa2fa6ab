//! A stream sealed in chunks, for what is larger than memory: the STREAM construction over XChaCha20-Poly1305.
//!
//! Each chunk is bound to its number, to whether it is the last one, and to the stream's context: none can be changed,
//! moved, left out or added, and the stream cannot be cut short. (Hoang, Reyhanitabar, Rogaway, Vizár: "Online
//! Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", 2015.)

use aead_stream::{DecryptorBE32, EncryptorBE32};
use chacha20poly1305::XChaCha20Poly1305;

use crate::storage::vault::seal::{SealError, SealKey};

/// How many bytes a chunk holds, but for the last one.
pub(super) const CHUNK: usize = 64 * 1024;
/// How much longer a sealed chunk is than what it holds.
pub(super) const TAG: usize = 16;

/// What is random about a stream; the rest of each nonce is the chunk's number and whether it is the last.
type StreamNonce = [u8; 19];

/// Seals a stream, chunk by chunk.
pub(super) struct ChunkSealer {
    stream: EncryptorBE32<XChaCha20Poly1305>,
    context: [u8; 32],
}

/// Opens a stream, chunk by chunk.
pub(super) struct ChunkOpener {
    stream: DecryptorBE32<XChaCha20Poly1305>,
    context: [u8; 32],
}

impl ChunkSealer {
    pub(super) fn new(key: &SealKey, nonce: &StreamNonce, context: [u8; 32]) -> Self {
        Self {
            stream: EncryptorBE32::new(key.as_bytes().into(), nonce.into()),
            context,
        }
    }

    /// Seals `chunk`, which others follow, in place.
    pub(super) fn seal(&mut self, chunk: &mut Vec<u8>) -> Result<(), SealError> {
        self.stream
            .encrypt_next_in_place(&self.context, chunk)
            .map_err(|_| SealError::NoMemory)
    }

    /// Seals the last chunk in place.
    pub(super) fn seal_last(self, chunk: &mut Vec<u8>) -> Result<(), SealError> {
        self.stream
            .encrypt_last_in_place(&self.context, chunk)
            .map_err(|_| SealError::NoMemory)
    }
}

impl ChunkOpener {
    pub(super) fn new(key: &SealKey, nonce: &StreamNonce, context: [u8; 32]) -> Self {
        Self {
            stream: DecryptorBE32::new(key.as_bytes().into(), nonce.into()),
            context,
        }
    }

    /// Opens `chunk`, which others follow, in place.
    pub(super) fn open(&mut self, chunk: &mut Vec<u8>) -> Result<(), SealError> {
        self.stream
            .decrypt_next_in_place(&self.context, chunk)
            .map_err(|_| SealError::NotAuthentic)
    }

    /// Opens the last chunk in place.
    pub(super) fn open_last(self, chunk: &mut Vec<u8>) -> Result<(), SealError> {
        self.stream
            .decrypt_last_in_place(&self.context, chunk)
            .map_err(|_| SealError::NotAuthentic)
    }
}
