//! Keys in the wrong place, as users meet them.

use super::{Code, Error};
use crate::providers::ShapeError;

impl From<ShapeError> for Error {
    fn from(why: ShapeError) -> Self {
        let hint = match &why {
            ShapeError::OtherProvider { .. } => {
                "check that the provider and the key belong together, and add the key under the provider that issued it"
            }
            ShapeError::AdminKey { .. } => {
                "create a regular key in the provider's console and add that; an admin key can change the whole organization"
            }
        };
        Self::new(Code::MalformedKey, why.to_string()).hint(hint)
    }
}
