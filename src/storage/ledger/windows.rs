//! Sums over past spans that are needed again and again, kept while nothing changes.

use std::sync::Arc;

use jiff::Timestamp;

use super::additions::Totals;

/// What was summed up last.
#[derive(Default)]
pub(super) struct KeptWindows {
    /// What the ledger's count of changes was, and what the caller calls the spans.
    pub(super) of: Option<(i64, (Timestamp, Timestamp))>,
    pub(super) totals: Arc<[Totals]>,
}
