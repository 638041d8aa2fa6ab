//! Who did what to which key, when, and how it ended: JSON Lines whose chain shows any later change.
//!
//! Each line ends in a MAC over the exact bytes of the line before and its own. The newest lines are in `audit.jsonl`;
//! at 8 MiB it becomes `audit.1.jsonl`, `audit.2.jsonl`, … for good, and the chain goes on in a new file.

mod record;
mod trail;

pub use self::{
    record::{Action, AuditEntry, AuditError, AuditOutcome, Break, BreakKind, Record, TrailHead, TrailReport},
    trail::{FILE, Mac, TrailFile, append, files, has, recent, set_aside, verify},
};
