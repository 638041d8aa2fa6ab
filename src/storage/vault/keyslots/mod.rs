//! Keyslots: the ways to get at the data key, each on its own.
//!
//! Every slot has a secret: bytes of the keychain or of the key file, what Argon2id makes of a passphrase, the
//! symbols of a recovery code. Two keys are derived from it, one that is published as the slot's commitment and
//! one under which the data key is wrapped.

use std::fmt;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::format::{Hex, OpensWith, Sealed, Slot};
use super::seal::{self, SealError, SealKey, Stretch};
use crate::domain::{Passphrase, Secret};

/// The cost of a new passphrase slot: 64 MiB, 3 passes, 1 lane (the second recommendation of RFC 9106, with one lane).
const NEW_STRETCH: Stretch = Stretch {
    memory_kib: 64 * 1024,
    passes: 3,
    lanes: 1,
};

/// The alphabet of recovery codes: Crockford's base 32, without letters that look like digits.
const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// How many symbols of a recovery code are random: 140 bits.
const RANDOM_SYMBOLS: usize = 28;
/// How many follow to tell a typing error from a wrong code.
const CHECK_SYMBOLS: usize = 4;
/// How many stand together when printed.
const GROUP: usize = 4;

/// What a keyslot is opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SlotKind {
    /// Random bytes in the operating system's credential store.
    Keychain,
    /// Random bytes in a private file.
    KeyFile,
    /// Something a person knows.
    Passphrase,
    /// A code that was shown once.
    Recovery,
}

/// A keyslot to be made.
#[derive(Debug, Clone, Copy)]
pub enum NewSlot<'a> {
    Keychain,
    KeyFile,
    Passphrase(&'a Passphrase),
    Recovery,
}

/// Which keyslot is meant: 16 lower-case hexadecimal digits.
pub type SlotId = Hex<8>;

/// What may be known of a keyslot without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotInfo {
    pub id: SlotId,
    pub kind: SlotKind,
    pub added_at: Timestamp,
}

/// Why a slot did not give the data key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) enum UnwrapError {
    /// The secret is another than the slot's.
    WrongSecret,
    /// The secret is right, the wrapped key is corrupted or was modified.
    Damaged,
}

/// The symbols of a recovery code, read from what a person typed or made.
pub(in crate::storage) struct RecoveryCode(Zeroizing<[u8; RANDOM_SYMBOLS]>);

/// A typed text is not a whole recovery code: a symbol is missing, unknown or another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) struct Mistyped;

impl SlotKind {
    /// The kind as results and commands spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keychain => "keychain",
            Self::KeyFile => "key-file",
            Self::Passphrase => "passphrase",
            Self::Recovery => "recovery",
        }
    }
}

impl fmt::Display for SlotKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl NewSlot<'_> {
    /// What the slot will be opened with.
    pub fn kind(&self) -> SlotKind {
        match self {
            Self::Keychain => SlotKind::Keychain,
            Self::KeyFile => SlotKind::KeyFile,
            Self::Passphrase(_) => SlotKind::Passphrase,
            Self::Recovery => SlotKind::Recovery,
        }
    }
}

impl Slot {
    pub(in crate::storage) fn kind(&self) -> SlotKind {
        match self.opens_with {
            OpensWith::Keychain {} => SlotKind::Keychain,
            OpensWith::KeyFile {} => SlotKind::KeyFile,
            OpensWith::Passphrase { .. } => SlotKind::Passphrase,
            OpensWith::Recovery {} => SlotKind::Recovery,
        }
    }

    pub(super) fn info(&self) -> SlotInfo {
        SlotInfo {
            id: self.id,
            kind: self.kind(),
            added_at: self.added_at,
        }
    }
}

/// A slot that gives `data_key` for `secret`.
pub(in crate::storage) fn wrap(
    vault_id: &Hex<16>,
    id: SlotId,
    opens_with: OpensWith,
    added_at: Timestamp,
    secret: &[u8],
    data_key: &SealKey,
) -> Result<Slot, SealError> {
    let (commitment, wrapping) = derive_keys(vault_id, id, secret);
    let mut slot = Slot {
        id,
        added_at,
        opens_with,
        commitment: Hex(*commitment.as_bytes()),
        wrapped: Sealed::new(&[]),
    };
    let context = slot.context();
    slot.wrapped = Sealed::new(&seal::seal(
        &wrapping,
        &[b"slot", &vault_id.0, &context],
        data_key.as_bytes(),
    )?);
    Ok(slot)
}

/// The data key in `slot`, by the slot's secret.
pub(in crate::storage) fn unwrap(vault_id: &Hex<16>, slot: &Slot, secret: &[u8]) -> Result<SealKey, UnwrapError> {
    let (commitment, wrapping) = derive_keys(vault_id, slot.id, secret);
    if !seal::equal(commitment.as_bytes(), &slot.commitment.0) {
        return Err(UnwrapError::WrongSecret);
    }
    let sealed = slot.wrapped.bytes().ok_or(UnwrapError::Damaged)?;
    let plain =
        seal::open(&wrapping, &[b"slot", &vault_id.0, &slot.context()], &sealed).map_err(|_| UnwrapError::Damaged)?;
    SealKey::from_slice(&plain).ok_or(UnwrapError::Damaged)
}

/// How a new passphrase slot is opened, and the secret that `passphrase` becomes there.
pub(in crate::storage) fn stretch_new(passphrase: &Passphrase) -> Result<(OpensWith, SealKey), SealError> {
    let salt = seal::make_random()?;
    let opens_with = OpensWith::Passphrase {
        salt: Hex(salt),
        memory_kib: NEW_STRETCH.memory_kib,
        passes: NEW_STRETCH.passes,
        lanes: NEW_STRETCH.lanes,
    };
    // EXPOSE: stretched into a key; Argon2id wipes nothing of its input because it copies nothing of it
    Ok((opens_with, seal::stretch(passphrase.expose(), &salt, NEW_STRETCH)?))
}

/// The secret that `passphrase` becomes in `slot`; `None` where the slot is of another kind.
pub(in crate::storage) fn stretch(slot: &Slot, passphrase: &Passphrase) -> Option<Result<SealKey, SealError>> {
    let OpensWith::Passphrase {
        salt,
        memory_kib,
        passes,
        lanes,
    } = slot.opens_with
    else {
        return None;
    };
    let cost = Stretch {
        memory_kib,
        passes,
        lanes,
    };
    // EXPOSE: stretched into a key, compared with the slot's commitment
    Some(seal::stretch(passphrase.expose(), &salt.0, cost))
}

impl RecoveryCode {
    pub(in crate::storage) fn make_random() -> Result<Self, SealError> {
        let random = Zeroizing::new(seal::make_random::<RANDOM_SYMBOLS>()?);
        let mut symbols = Zeroizing::new([0; RANDOM_SYMBOLS]);
        for (symbol, byte) in symbols.iter_mut().zip(random.iter()) {
            *symbol = SYMBOLS[usize::from(byte % 32)];
        }
        Ok(Self(symbols))
    }

    /// The code in what a person typed: any letter case, any grouping, letters for the digits that they look like.
    pub(in crate::storage) fn parse(typed: &Secret) -> Result<Self, Mistyped> {
        let mut symbols = Zeroizing::new([0_u8; RANDOM_SYMBOLS + CHECK_SYMBOLS]);
        let mut count = 0;
        // EXPOSE: read symbol by symbol into a wiped buffer of fixed size
        for byte in typed.expose().bytes() {
            let symbol = match byte.to_ascii_uppercase() {
                b' ' | b'-' | b'\t' | b'\r' | b'\n' => continue,
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
            if !SYMBOLS.contains(&symbol) {
                return Err(Mistyped);
            }
            *symbols.get_mut(count).ok_or(Mistyped)? = symbol;
            count += 1;
        }
        let (random, check) = symbols.split_first_chunk().ok_or(Mistyped)?;
        let code = Self(Zeroizing::new(*random));
        if count == symbols.len() && check == code.check() {
            Ok(code)
        } else {
            Err(Mistyped)
        }
    }

    /// The slot's secret.
    pub(in crate::storage) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The code in groups, for printing once.
    pub(in crate::storage) fn to_secret(&self) -> Secret {
        let mut text = Zeroizing::new(String::with_capacity(2 * (RANDOM_SYMBOLS + CHECK_SYMBOLS)));
        for (at, symbol) in self.0.iter().chain(&self.check()).enumerate() {
            if at > 0 && at % GROUP == 0 {
                text.push('-');
            }
            text.push(char::from(*symbol));
        }
        Secret::new(&text)
    }

    fn check(&self) -> [u8; CHECK_SYMBOLS] {
        let digest = seal::digest(&[b"api-keys recovery code", self.0.as_slice()]);
        std::array::from_fn(|at| SYMBOLS[usize::from(digest[at] % 32)])
    }
}

/// The slot's public commitment and the key that wraps the data key.
fn derive_keys(vault_id: &Hex<16>, id: SlotId, secret: &[u8]) -> (SealKey, SealKey) {
    let key = |purpose: &[u8]| seal::derive(&vault_id.0, secret, &[b"api-keys slot", &id.0, purpose]);
    (key(b"commitment"), key(b"wrapping"))
}

#[cfg(test)]
mod tests;
