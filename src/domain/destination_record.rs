//! What is known about the secret of a destination of alerts: everything but the secret.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{KeyId, Label};

/// The secret of a destination of alerts: never lent to a provider, the gateway or a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DestinationRecord {
    /// What the configuration calls it.
    pub name: Label,
    /// Names the sealed secret; another one for each secret.
    pub key_id: KeyId,
    pub masked: String,
    pub added_at: Timestamp,
}
