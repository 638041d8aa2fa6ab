//! All cryptography of the vault: the only place that names the crates for it.
//!
//! XChaCha20-Poly1305 seals, HKDF-SHA256 derives, HMAC-SHA256 authenticates, Argon2id stretches passphrases.
//! Every function that takes several parts binds each one's length, so that no two lists of parts mean the same.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes that precede every sealed text.
const NONCE: usize = 24;
/// How much longer a sealed text is than what it holds: nonce and tag.
pub(in crate::storage) const OVERHEAD: usize = NONCE + 16;

/// A SHA-256 in the making, over what comes one after the other.
#[derive(Default)]
pub(in crate::storage) struct Checksum(Sha256);

/// Why a cryptographic operation gave nothing; never says what it worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The sealed bytes are corrupted, modified, or belong elsewhere.
    #[error("the sealed bytes are not authentic")]
    NotAuthentic,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness,
    /// The system gives not enough memory to stretch a passphrase.
    #[error("not enough memory to stretch the passphrase")]
    NoMemory,
}

/// Thirty-two secret bytes, wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(in crate::storage) struct SealKey([u8; 32]);

/// The cost of stretching one passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) struct Stretch {
    pub(in crate::storage) memory_kib: u32,
    pub(in crate::storage) passes: u32,
    pub(in crate::storage) lanes: u32,
}

/// An HMAC-SHA256 over parts that come one after the other.
pub(in crate::storage) struct Authenticator(Hmac<Sha256>);

/// What is wiped when dropped, checked when this is compiled: the feature that does it is optional in these crates.
const _: () = {
    const fn wiped<T: ZeroizeOnDrop>() {}
    wiped::<XChaCha20Poly1305>();
    // HMAC and HKDF hold their keys in nothing but states of this hash.
    wiped::<Sha256>();
    wiped::<SealKey>();
};

impl SealKey {
    /// A key of random bytes.
    pub(in crate::storage) fn make_random() -> Result<Self, SealError> {
        let mut key = Self([0; 32]);
        fill_random(&mut key.0)?;
        Ok(key)
    }

    /// The key in `bytes`, if there are exactly 32.
    pub(in crate::storage) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes themselves, for sealing under another key or handing to a store of secrets.
    pub(in crate::storage) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A second copy, for a holder that outlives this one.
    pub(in crate::storage) fn copy(&self) -> Self {
        Self(self.0)
    }

    /// The key for one purpose: HKDF-SHA256 with the vault's id as salt.
    pub(in crate::storage) fn derive(&self, salt: &[u8; 16], purpose: &[&[u8]]) -> Self {
        derive(salt, &self.0, purpose)
    }
}

impl Checksum {
    pub(in crate::storage) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(in crate::storage) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

impl Authenticator {
    pub(in crate::storage) fn new(key: &SealKey) -> Self {
        Self(Hmac::new_from_slice(&key.0).expect("HMAC takes keys of any length"))
    }

    pub(in crate::storage) fn part(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    pub(in crate::storage) fn finish(self) -> [u8; 32] {
        self.0.finalize().into_bytes().into()
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Random bytes from the system, as many as the array holds.
pub(in crate::storage) fn make_random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    fill_random(&mut bytes)?;
    Ok(bytes)
}

/// The key for `purpose` from input that is secret and has at least 128 bits of entropy.
pub(in crate::storage) fn derive(salt: &[u8; 16], input: &[u8], purpose: &[&[u8]]) -> SealKey {
    let mut key = SealKey([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), input)
        .expand(&framed(purpose), &mut key.0)
        .expect("32 bytes are within the limit of HKDF-SHA256");
    key
}

/// `plain` sealed under `key` and bound to `context`: nonce, ciphertext, tag.
pub(in crate::storage) fn seal(key: &SealKey, context: &[&[u8]], plain: &[u8]) -> Result<Vec<u8>, SealError> {
    let nonce = make_random::<NONCE>()?;
    let text = seal_with(key, &nonce, &framed(context), plain)?;
    Ok([nonce.as_slice(), &text].concat())
}

/// What `sealed` holds, if it was sealed under `key` and bound to `context`.
pub(in crate::storage) fn open(
    key: &SealKey,
    context: &[&[u8]],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (nonce, text) = sealed.split_first_chunk::<NONCE>().ok_or(SealError::NotAuthentic)?;
    open_with(key, nonce, &framed(context), text)
}

/// The HMAC-SHA256 of `parts` under `key`.
pub(in crate::storage) fn mac(key: &SealKey, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Authenticator::new(key);
    for part in parts {
        mac.part(part);
    }
    mac.finish()
}

/// The SHA-256 of `parts`; for checksums of what is not secret or has full entropy.
pub(crate) fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Whether two values are equal, in time that does not tell where they differ.
pub(in crate::storage) fn equal(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.ct_eq(other).into()
}

/// The key that Argon2id makes of `passphrase`; the memory it worked in is wiped.
pub(in crate::storage) fn stretch(passphrase: &str, salt: &[u8; 16], cost: Stretch) -> Result<SealKey, SealError> {
    let params =
        Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(|_| SealError::NotAuthentic)?;
    let count = params.block_count();
    let mut blocks: Zeroizing<Vec<Block>> = Zeroizing::default();
    blocks.try_reserve_exact(count).map_err(|_| SealError::NoMemory)?;
    blocks.resize(count, Block::new());
    let mut key = SealKey([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(passphrase.as_bytes(), salt, &mut key.0, blocks.as_mut_slice())
        .map_err(|_| SealError::NotAuthentic)?;
    Ok(key)
}

fn seal_with(key: &SealKey, nonce: &[u8; NONCE], context: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
    let payload = Payload {
        msg: plain,
        aad: context,
    };
    XChaCha20Poly1305::new((&key.0).into())
        .encrypt(&XNonce::from(*nonce), payload)
        .map_err(|_| SealError::NoMemory)
}

fn open_with(key: &SealKey, nonce: &[u8; NONCE], context: &[u8], text: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let payload = Payload {
        msg: text,
        aad: context,
    };
    XChaCha20Poly1305::new((&key.0).into())
        .decrypt(&XNonce::from(*nonce), payload)
        .map(Zeroizing::new)
        .map_err(|_| SealError::NotAuthentic)
}

/// The parts one after the other, each behind its length.
fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

fn fill_random(bytes: &mut [u8]) -> Result<(), SealError> {
    getrandom::fill(bytes).map_err(|_| SealError::NoRandomness)
}

#[cfg(test)]
mod tests;
