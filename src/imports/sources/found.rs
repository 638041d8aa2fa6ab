//! What a file of another program holds of keys.

use crate::domain::Secret;

/// A secret in a file, and what is said about it there.
#[derive(Debug)]
pub struct FoundSecret {
    /// The variable or field that it is the value of.
    pub name: String,
    /// Its line, counted from 1, where the form has one line for each value.
    pub line: Option<usize>,
    /// Whose key it is, as the file says it.
    pub provider: Option<String>,
    /// Where it is sent, as the file says it.
    pub base_url: Option<String>,
    pub secret: Secret,
}

/// What is there and cannot or must not be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotImported {
    pub name: String,
    pub why: LeftOutReason,
}

/// Why something is left where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOutReason {
    /// The login of a subscription.
    Login,
    /// Names a variable, a file or a secret elsewhere.
    Reference,
    /// Encrypted by its program.
    Encrypted,
}

/// What a file holds of keys.
#[derive(Debug, Default)]
pub struct SourceContents {
    pub secrets: Vec<FoundSecret>,
    pub left_out: Vec<NotImported>,
}

/// A file is not of the form that its program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not of the form that {0} writes")]
pub struct UnreadableSource(pub &'static str);

impl LeftOutReason {
    /// The reason, and what to do instead.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Login => {
                "the login of a subscription: its provider allows it in its own program only, and refreshing it here \
                 would log that program out"
            }
            Self::Reference => "names a secret kept elsewhere; nothing to import",
            Self::Encrypted => "encrypted by its program; let that program print it, with `--from-command`",
        }
    }
}

impl SourceContents {
    /// Adds the value of `name`: a secret, or what stands in the place of one.
    pub(super) fn add(&mut self, name: &str, value: &str, provider: Option<&str>, base_url: Option<&str>) {
        self.add_at(None, name, value, (provider, base_url));
    }

    /// The same, in that line, with whose key it is and where it is sent.
    pub(super) fn add_at(
        &mut self,
        line: Option<usize>,
        name: &str,
        value: &str,
        (provider, base_url): (Option<&str>, Option<&str>),
    ) {
        let value = value.trim();
        let name = name.to_owned();
        match reason(value) {
            Some(why) => self.left_out.push(NotImported { name, why }),
            None if value.is_empty() => {}
            None => self.secrets.push(FoundSecret {
                name,
                line,
                provider: provider.map(str::to_owned),
                base_url: base_url.map(str::to_owned),
                secret: Secret::new(value),
            }),
        }
    }

    pub(super) fn leave(&mut self, name: &str, why: LeftOutReason) {
        self.left_out.push(NotImported {
            name: name.to_owned(),
            why,
        });
    }
}

/// Why a value is no secret, if it is none.
fn reason(value: &str) -> Option<LeftOutReason> {
    const REFERENCES: [&str; 9] = [
        "$",
        "{env:",
        "{file:",
        "os.environ/",
        "op://",
        "bw://",
        "doppler://",
        "vault:",
        "%",
    ];
    if REFERENCES.iter().any(|start| value.starts_with(start)) {
        Some(LeftOutReason::Reference)
    } else if value.starts_with("encrypted:") || value.starts_with("enc:") {
        Some(LeftOutReason::Encrypted)
    } else {
        None
    }
}

/// Whether a name is of a variable or field that holds a key.
pub(super) fn names_a_key(name: &str) -> bool {
    let name = name.to_ascii_uppercase().replace(['-', '.'], "_");
    let is_public =
        name.contains("PUBLIC") || name.ends_with("_URL") || name.ends_with("_ID") || name.contains("HELPER");
    let ends = ["API_KEY", "APIKEY", "AUTH_TOKEN", "_TOKEN", "_KEY", "SECRET_KEY"];
    !is_public && ends.iter().any(|end| name.ends_with(end))
}
