//! Fernet tokens, opened: AES-128-CBC under HMAC-SHA256, as its specification of 2013 has it. Nothing is written.

use std::fmt;

use aes::Aes128;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit, block_padding::Pkcs7};
use data_encoding::BASE64URL;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::domain::Secret;

/// How often the older program hashed.
const ROUNDS: u32 = 100_000;
const VERSION: u8 = 0x80;
/// Version and time.
const HEAD: usize = 9;
const BLOCK: usize = 16;
const TAG: usize = 32;

/// What opens tokens: half of it checks them, half of it decrypts.
pub struct FernetKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for FernetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl FernetKey {
    /// The key that PBKDF2 makes of a secret and a salt, both as text.
    pub fn derived(secret_key: &Secret, salt: &Secret) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        // EXPOSE: hashed into the key that opens the older program's own files
        let (secret_key, salt) = (secret_key.expose().as_bytes(), salt.expose().as_bytes());
        pbkdf2::pbkdf2_hmac::<Sha256>(secret_key, salt, ROUNDS, key.as_mut());
        Self(key)
    }

    /// The key that the first versions made: the beginning of the secret, filled up with `=`.
    pub fn padded(secret_key: &Secret) -> Self {
        let mut key = Zeroizing::new([b'='; 32]);
        // EXPOSE: copied into the key that opens the older program's own files
        for (to, from) in key.iter_mut().zip(secret_key.expose().bytes()) {
            *to = from;
        }
        Self(key)
    }

    /// The key in the text of a key file.
    pub fn from_file(text: &Secret) -> Option<Self> {
        // EXPOSE: decoded into the key that opens the older program's own files
        let bytes = Zeroizing::new(BASE64URL.decode(text.expose().trim_ascii().as_bytes()).ok()?);
        Some(Self(Zeroizing::new(bytes.as_slice().try_into().ok()?)))
    }

    /// What the token holds; nothing where it was made with another key or changed since.
    pub fn open(&self, token: &str) -> Option<Secret> {
        let bytes = token_bytes(token)?;
        let (signed, tag) = bytes.split_at(bytes.len() - TAG);
        let (signing, encryption) = self.0.split_at(BLOCK);
        let mut mac = Hmac::<Sha256>::new_from_slice(signing).ok()?;
        mac.update(signed);
        // In constant time.
        mac.verify_slice(tag).ok()?;
        let (iv, sealed) = signed.get(HEAD..)?.split_at(BLOCK);
        let cipher = cbc::Decryptor::<Aes128>::new_from_slices(encryption, iv).ok()?;
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let plain = cipher.decrypt_padded::<Pkcs7>(&mut buffer).ok()?;
        Some(Secret::new(std::str::from_utf8(plain).ok()?))
    }
}

/// Whether `text` has the form of a token, whatever it was made with.
pub fn is_token(text: &str) -> bool {
    token_bytes(text).is_some()
}

/// The bytes of a token of one block or more.
fn token_bytes(text: &str) -> Option<Vec<u8>> {
    let bytes = BASE64URL.decode(text.trim_matches(' ').as_bytes()).ok()?;
    let sealed = bytes.len().checked_sub(HEAD + BLOCK + TAG)?;
    (bytes.first() == Some(&VERSION) && sealed > 0 && sealed.is_multiple_of(BLOCK)).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use serde_json::Value;

    use super::*;

    /// Made with another implementation.
    const VECTORS: &str = include_str!("vectors.json");

    fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
        vector[name].as_str().expect("text")
    }

    fn key(vector: &Value) -> FernetKey {
        let secret = |name| Secret::new(text(vector, name));
        match text(vector, "scheme") {
            "pbkdf2" => FernetKey::derived(&secret("secret_key"), &secret("encryption_salt")),
            "padded (first version)" => FernetKey::padded(&secret("secret_key")),
            _ => FernetKey::from_file(&secret("fernet_key")).expect("a key"),
        }
    }

    #[test]
    fn every_good_token_opens_with_its_key_and_no_other() {
        let vectors: Value = serde_json::from_str(VECTORS).expect("JSON");
        let good = vectors["good"].as_array().expect("a list");
        assert!(good.len() > 8);
        let other = FernetKey::padded(&Secret::new("another"));
        for vector in good {
            let token = text(vector, "token");
            assert!(is_token(token), "{token}");
            // EXPOSE: made-up values in a test
            let opened = key(vector).open(token).map(|secret| secret.expose().to_owned());
            assert_eq!(opened.as_deref(), Some(text(vector, "plaintext")), "{vector}");
            assert!(other.open(token).is_none());
            if let Some(hex) = vector["derived_key_hex"].as_str() {
                assert_eq!(HEXLOWER.encode(key(vector).0.as_slice()), hex);
            }
        }
    }

    #[test]
    fn no_bad_token_opens() {
        let vectors: Value = serde_json::from_str(VECTORS).expect("JSON");
        let first = key(&vectors["good"][0]);
        let bad = vectors["bad_under_first_key"].as_array().expect("a list");
        assert!(bad.len() > 5);
        for vector in bad {
            assert!(first.open(text(vector, "token")).is_none(), "{vector}");
        }
    }
}
