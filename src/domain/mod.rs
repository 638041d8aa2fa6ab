//! Values and pure rules: no input or output, no clock, no async.

mod api_key;
mod identity;
mod key_record;
mod secret;
mod validation;

pub use api_key::{ApiKey, MalformedKey};
pub use identity::{IdentityError, KeyId, Label, ProviderId};
pub use key_record::{ExpiryNotice, KeyRecord, KeyState, KeyVersion, VersionState};
pub use secret::{Passphrase, Secret};
pub use validation::{KeyStatus, Validation};
