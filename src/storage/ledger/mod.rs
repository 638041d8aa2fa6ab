//! The ledger: what requests used and cost, and what all processes share to decide about the next one.
//!
//! SQLite in WAL mode: any number of processes read and write `ledger.db`; each change is one transaction, on the disk
//! before it is acknowledged. A record is kept as it is and, in the same transaction, added to the sums over its quarter
//! of an hour and its UTC day (`records`, `totals`): sums outlive the records that [`Ledger::prune`] removes. Budgets are
//! checked and leased from in one step (`leases`); what a gateway's requests use comes in by its `journal`. How the last
//! requests ended is kept in memory, and only what is new is read (`recent`). `schema/` is what the database looks like,
//! `connection` how it is opened. What agents' logs report comes in by `imports`, and is matched with other records by
//! `log_matching`. Alerts are raised in the transaction of what they are about, and sent from an outbox (`alerts`).

mod additions;
mod alerts;
mod columns;
mod connection;
mod copies;
mod error;
mod handle;
mod health;
mod imports;
mod journal;
mod leases;
mod log_entries;
mod log_matching;
mod log_positions;
mod names;
mod recent;
mod records;
mod schema;
mod sessions;
mod totals;
mod upkeep;
mod windows;

pub use additions::Totals;
pub use alerts::{AlertState, DestinationQueue, MessageState, OutboundMessage};
pub use connection::{BUSY_TIMEOUT, FILE};
pub use copies::LedgerCopy;
pub use error::LedgerError;
pub use handle::Ledger;
pub use health::StoredHealth;
pub use imports::OwnsRather;
pub use journal::{Encoded, EntryId, Journal, Position, Segment};
pub use leases::{BUDGET_PARTS, Fold, Folded, Granted, LeaseChange, LeaseId, LeaseState, SpendingLimit, Spent};
pub use log_entries::{EntryRole, Fate, Imported, LogBatch, LogCounter, LogEntry, LogPosition};
pub use recent::{Asked, Outcomes, Past};
pub use records::{Exported, Recorded};
pub use schema::marks;
pub use sessions::{QuarterUsage, SessionUsage};
pub use totals::{Dimension, Filter};
pub use upkeep::{Condition, Depth};

use connection::{Survives, Transaction};
use error::LedgerResult;
