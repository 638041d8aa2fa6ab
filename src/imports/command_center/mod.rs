//! Command Center's API key manager: its keys, counts and routing, in the files of its server's folder.
//!
//! Reads bytes and says what is in them; no input or output. The forms are those of its source of October 2025, and of
//! the key file of December 2025.

mod fernet;
mod keys;
mod routing;
mod store;
mod usage;

pub use fernet::{FernetKey, is_token};
pub use keys::{CenterKey, Exposure, MasterSecret, read_keys};
pub use routing::{CenterBudget, CenterProvider, CenterRouting, read_routing};
pub use store::UnreadableStore;
pub use usage::{CenterUsage, DayOfUse, read_usage};
