//! What the audit trail records, and what reading it back can find.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{KeyId, Label, ProviderId},
    storage::files::FileError,
};

/// What is to be recorded; never a secret.
#[derive(Debug, Clone)]
pub struct AuditEntry {
    pub at: Timestamp,
    /// The caller: `cli`, or the MCP client by its name.
    pub actor: String,
    pub action: Action,
    pub provider: Option<ProviderId>,
    pub label: Option<Label>,
    pub key_id: Option<KeyId>,
    pub outcome: AuditOutcome,
    /// An error's code, or a few words.
    pub detail: Option<String>,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    CreateVault,
    AddKey,
    RemoveKey,
    /// A removed key, or a secret that was replaced, is past bringing back and forgotten.
    PurgeKey,
    RotateKey,
    PromoteKey,
    /// The grace of a secret that was replaced is over.
    RetireKey,
    /// The secret was found where it does not belong.
    ExposeKey,
    Undo,
    ValidateKey,
    /// The secret was handed out, for what `detail` says.
    RevealKey,
    /// The secret of a destination of alerts was stored.
    AddDestination,
    RemoveDestination,
    /// The secret of a destination was handed out, to send a message.
    RevealDestination,
    AddSlot,
    RemoveSlot,
    ChangePassphrase,
    Rekey,
    Recover,
    AcceptRollback,
    CreateBackup,
    RestoreBackup,
    /// The trail itself: a line cut short by a crash was taken off, or lines are missing before this one.
    RepairTrail,
}

/// How far it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditOutcome {
    /// About to happen; a line about the same key says how it ended, unless the process died.
    Begun,
    Done,
    /// In place, but the system would not say that it survives a power cut.
    DurabilityUnknown,
    /// Nothing was changed, by our own rules.
    Refused,
    /// Nothing was changed, because something failed.
    Failed,
}

/// Place and MAC of a line: kept elsewhere, it shows that the trail's end was cut off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrailHead {
    pub seq: u64,
    /// 64 lower-case hexadecimal digits.
    pub mac: String,
}

/// A line as it is read back; fields and words of newer versions do no harm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub seq: u64,
    pub at: Timestamp,
    pub actor: String,
    pub action: String,
    #[serde(default)]
    pub provider: Option<String>,
    #[serde(default)]
    pub label: Option<String>,
    #[serde(default)]
    pub key_id: Option<String>,
    pub outcome: String,
    #[serde(default)]
    pub detail: Option<String>,
    pub mac: String,
}

/// What [`verify`](super::verify) found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailReport {
    /// Lines whose MAC is right, up to the first break.
    pub entries: u64,
    /// The last of them.
    pub head: Option<TrailHead>,
    /// The first place where the trail is corrupted or was modified.
    pub fault: Option<Break>,
    /// The last line was cut short by a crash; the next entry repairs that.
    pub torn: bool,
}

/// The first place where the trail is corrupted or was modified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    pub file: String,
    /// Counted from 1; one more than the file has lines where the end is missing.
    pub line: u64,
    pub why: BreakKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakKind {
    /// Not a line that this program writes.
    Unreadable,
    /// The line, or the one before it, was changed, moved, put in or taken out.
    WrongMac,
    /// The trail ends before the newest line known elsewhere.
    Shortened,
    /// The newest line known elsewhere has other contents.
    OtherTrail,
}

/// Why the trail could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error(transparent)]
    File(#[from] FileError),
    /// More numbered files than can be counted.
    #[error("the audit trail has no free file name")]
    Full,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {}: {}", self.file, self.line, self.why)
    }
}

impl fmt::Display for BreakKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "not a line of the audit trail",
            Self::WrongMac => "a line was changed, moved, put in or taken out here",
            Self::Shortened => "lines that were written are missing at the end",
            Self::OtherTrail => "the newest known line has other contents",
        })
    }
}
