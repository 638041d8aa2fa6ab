//! The keys of `.keys.enc`.

use std::{cell::OnceCell, fmt};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    fernet::{FernetKey, is_token},
    store::{UnreadableStore, read_object},
};
use crate::domain::Secret;

/// What is used where nothing is set, and what stands in templates: each as good as no secret.
const PUBLIC: [(&str, &str); 2] = [
    (
        "dev-secret-key-change-in-production",
        "dev-encryption-salt-change-in-production",
    ),
    ("your-secret-key-here", "your-encryption-salt-here"),
];

/// What may open the keys.
#[derive(Debug)]
pub struct MasterSecret {
    scheme: Scheme,
    is_public: bool,
    /// Made when it is first needed: that takes a while.
    key: OnceCell<Option<FernetKey>>,
}

/// How the key that opens tokens is made.
#[derive(Debug)]
enum Scheme {
    Derived {
        secret_key: Secret,
        salt: Secret,
    },
    /// Of the first versions.
    Padded {
        secret_key: Secret,
    },
    /// Of the newest versions.
    KeyFile {
        text: Secret,
    },
}

/// A key, by everything but its value.
#[derive(Debug)]
pub struct CenterKey {
    /// As that program names it.
    pub provider: String,
    /// Nothing where none of the secrets opens it.
    pub secret: Option<Secret>,
    /// Why it counts as exposed, where it does.
    pub exposure: Option<Exposure>,
    pub description: Option<String>,
    /// As a person typed it.
    pub expires: Option<String>,
    /// Whether the note beside it says the opposite of what it is.
    pub is_mislabeled: bool,
}

/// How a key lay open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    ClearText,
    /// Encrypted with a secret that is in the program's source.
    PublicSecret,
}

#[derive(Deserialize)]
struct KeyStore {
    #[serde(default)]
    keys: Map<String, Value>,
    #[serde(default)]
    metadata: Map<String, Value>,
}

impl MasterSecret {
    /// What the settings of an installation make, newest scheme first, and what others would have made.
    ///
    /// Where one of the two is not set, the program had its default.
    pub fn candidates(secret_key: Option<&Secret>, salt: Option<&Secret>) -> Vec<Self> {
        let [(default_key, default_salt), _] = PUBLIC;
        let copy = |given: Option<&Secret>, default: &str| {
            // EXPOSE: copied into another secret
            Secret::new(given.map_or(default, Secret::expose))
        };
        let own =
            (secret_key.is_some() || salt.is_some()).then(|| (copy(secret_key, default_key), copy(salt, default_salt)));
        let public = PUBLIC.map(|(key, salt)| (Secret::new(key), Secret::new(salt)));
        let schemes = own.into_iter().chain(public).flat_map(|(secret_key, salt)| {
            let padded = Scheme::Padded {
                secret_key: copy(Some(&secret_key), ""),
            };
            [Scheme::Derived { secret_key, salt }, padded]
        });
        schemes.map(Self::of).collect()
    }

    /// The key in the text of the newer key file.
    pub fn of_file(text: Secret) -> Self {
        Self::of(Scheme::KeyFile { text })
    }

    fn of(scheme: Scheme) -> Self {
        let is_public = match &scheme {
            Scheme::Derived { secret_key, .. } | Scheme::Padded { secret_key } => {
                // EXPOSE: compared with published values; nothing of it leaves
                PUBLIC.iter().any(|(public, _)| *public == secret_key.expose())
            }
            Scheme::KeyFile { .. } => false,
        };
        Self {
            scheme,
            is_public,
            key: OnceCell::new(),
        }
    }

    fn open(&self, token: &str) -> Option<Secret> {
        let key = self.key.get_or_init(|| match &self.scheme {
            Scheme::Derived { secret_key, salt } => Some(FernetKey::derived(secret_key, salt)),
            Scheme::Padded { secret_key } => Some(FernetKey::padded(secret_key)),
            Scheme::KeyFile { text } => FernetKey::from_file(text),
        });
        key.as_ref()?.open(token)
    }
}

/// The keys in `file`, which may be empty; each opened with the first of `secrets` that fits.
pub fn read_keys(file: &[u8], secrets: &[MasterSecret]) -> Result<Vec<CenterKey>, UnreadableStore> {
    let Some(store) = read_object::<KeyStore>(file)? else {
        return Ok(Vec::new());
    };
    let keys = store.keys.into_iter().map(|(provider, value)| {
        let Value::String(value) = value else {
            return Err(UnreadableStore);
        };
        let value = Secret::new(&value);
        let metadata = store.metadata.get(&provider).unwrap_or(&Value::Null);
        let text = |name: &str| {
            metadata[name]
                .as_str()
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        // EXPOSE: only its form is looked at
        let is_encrypted = is_token(value.expose());
        let (secret, exposure) = if is_encrypted {
            open(&value, secrets)
        } else {
            (Some(value), Some(Exposure::ClearText))
        };
        Ok(CenterKey {
            secret,
            exposure,
            description: text("description"),
            expires: text("expiration_date"),
            is_mislabeled: metadata["encrypted"].as_bool().is_some_and(|flag| flag != is_encrypted),
            provider,
        })
    });
    keys.collect()
}

fn open(token: &Secret, secrets: &[MasterSecret]) -> (Option<Secret>, Option<Exposure>) {
    // EXPOSE: decrypted here, into a secret again
    let opened = secrets
        .iter()
        .find_map(|secret| Some((secret.open(token.expose())?, secret.is_public)));
    match opened {
        Some((secret, is_public)) => (Some(secret), is_public.then_some(Exposure::PublicSecret)),
        None => (None, None),
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClearText => "it was stored there in plain text",
            Self::PublicSecret => "it was encrypted with a default secret that is public",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SAMPLE: &[u8] = include_bytes!("keys.enc.json");

    fn secrets(secret_key: &str, salt: &str) -> Vec<MasterSecret> {
        MasterSecret::candidates(Some(&Secret::new(secret_key)), Some(&Secret::new(salt)))
    }

    fn values(keys: &[CenterKey]) -> Vec<Option<&str>> {
        // EXPOSE: made-up values in a test
        keys.iter().map(|key| key.secret.as_ref().map(Secret::expose)).collect()
    }

    #[test]
    fn the_keys_of_a_real_store_open() {
        let secrets = secrets("example-secret-key-for-vectors", "example-salt-for-vectors");
        let keys = read_keys(SAMPLE, &secrets).expect("read");
        assert_eq!(
            values(&keys),
            [
                Some("sk-ant-api03-EXAMPLEonlyNotReal-0000000000000000000000000"),
                Some("sk-proj-EXAMPLEonlyNotReal1111111111111111111111")
            ]
        );
        assert_eq!(keys[0].description.as_deref(), Some("main"));
        assert_eq!(keys[0].expires.as_deref(), Some("2027-01-31"));
        // Its rotation forgets both.
        assert_eq!((&keys[1].description, &keys[1].expires), (&None, &None));
        assert!(keys.iter().all(|key| key.exposure.is_none() && !key.is_mislabeled));
    }

    #[test]
    fn what_a_key_is_decides_and_not_what_is_said_of_it() {
        let token =
            "gAAAAABo5JYAAAECAwQFBgcICQoLDA0OD6XBux2zBaz1upC-he4YJR2LK8ejkYkTJUlmy7OOv8Hk9DYFxCxWLC87pVq5n4iwrA==";
        let store = json!({
            "keys": {"a": "sk-plain-0123456789", "b": token, "c": "gAAAAAnot-a-token"},
            "metadata": {"a": {"encrypted": true}, "b": {"encrypted": false}},
        });
        let keys = read_keys(store.to_string().as_bytes(), &MasterSecret::candidates(None, None)).expect("read");
        assert_eq!(
            values(&keys),
            [Some("sk-plain-0123456789"), Some("x"), Some("gAAAAAnot-a-token")]
        );
        let exposures: Vec<_> = keys.iter().map(|key| key.exposure).collect();
        let clear = Some(Exposure::ClearText);
        assert_eq!(exposures, [clear, Some(Exposure::PublicSecret), clear]);
        assert_eq!(
            keys.iter().map(|key| key.is_mislabeled).collect::<Vec<_>>(),
            [true, true, false]
        );
    }

    #[test]
    fn a_key_that_no_secret_opens_is_listed_and_closed() {
        let keys = read_keys(SAMPLE, &secrets("another", "one")).expect("read");
        assert_eq!(values(&keys), [None, None]);
    }

    #[test]
    fn an_empty_file_holds_no_keys_and_a_torn_one_is_an_error() {
        assert_eq!(read_keys(b" \n", &[]).map(|keys| keys.len()), Ok(0));
        assert_eq!(read_keys(b"{}", &[]).map(|keys| keys.len()), Ok(0));
        for torn in [&SAMPLE[..100], b"[]", br#"{"keys": {"a": 7}}"#, br#"{"keys": []}"#] {
            assert!(read_keys(torn, &[]).is_err());
        }
    }
}
