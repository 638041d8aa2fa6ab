//! What is not a key of that provider, as users meet it.

use super::{Code, Error};
use crate::{domain::MalformedKey, providers::ShapeError};

impl From<MalformedKey> for Error {
    fn from(why: MalformedKey) -> Self {
        let hint = match why {
            MalformedKey::Reference => {
                "let what keeps the secret print it, and pipe it in: `op read … | api-keys add PROVIDER --stdin`"
            }
            MalformedKey::Variable => {
                "give its value, or let the variable be read: `api-keys add PROVIDER --env-var NAME`"
            }
            MalformedKey::Encrypted(_) => {
                "let that program decrypt it, and pipe it in: `dotenvx get NAME | api-keys add PROVIDER --stdin`"
            }
            MalformedKey::Assignment => {
                "give only what stands after the name; `--from-env-file PATH` reads the line from its file"
            }
            MalformedKey::Document => {
                "make an API key in the provider's console: a file of credentials is something else, and is not sent"
            }
            MalformedKey::Punctuation(_) => "copy the key alone, without the text around it",
            MalformedKey::Twice => "paste it once",
            MalformedKey::Empty
            | MalformedKey::TooShort
            | MalformedKey::TooLong
            | MalformedKey::WhiteSpace
            | MalformedKey::ControlCharacter
            | MalformedKey::NotAscii
            | MalformedKey::Placeholder => "copy the whole key from the provider's console, and nothing else",
        };
        Self::new(Code::MalformedKey, why.to_string()).hint(hint)
    }
}

impl From<ShapeError> for Error {
    fn from(why: ShapeError) -> Self {
        let hint = match &why {
            ShapeError::OtherProvider { .. } => {
                "check that the provider and the key belong together, and add the key under the provider that issued it"
            }
            ShapeError::AdminKey { .. } => {
                "make an ordinary key in the provider's console and add that; an administration key can change the whole organisation"
            }
            ShapeError::NotAKey { way_out, .. } => way_out,
        };
        Self::new(Code::MalformedKey, why.to_string()).hint(hint)
    }
}
