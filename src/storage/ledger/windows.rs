//! Sums over past spans that are asked for again and again, kept while nothing changes.

use std::{sync::Arc, time::Instant};

use jiff::Timestamp;

use super::{Ledger, LedgerResult, Missing, Totals};
use crate::domain::Span;

/// What was summed up last.
#[derive(Default)]
pub(super) struct KeptWindows {
    /// What the ledger's count of changes was, and what the caller calls the spans.
    of: Option<(i64, (Timestamp, Timestamp))>,
    totals: Arc<[Totals]>,
}

impl Ledger {
    /// What everybody's requests of each of `spans` came to; `name` says which spans they are.
    pub fn kept_windows(
        &self,
        name: (Timestamp, Timestamp),
        spans: impl FnOnce() -> Vec<Span>,
    ) -> LedgerResult<Arc<[Totals]>> {
        self.look_at_journals();
        let since = Instant::now();
        let mut held = self.held();
        let Some(held) = self.opened(&mut held, Missing::Leave)? else {
            return Ok(Arc::default());
        };
        let kept = &mut held.windows;
        let totals = held.open.read(|transaction| {
            let of = Some((transaction.changes()?, name));
            if kept.of != of {
                let totals = spans().into_iter().map(|span| transaction.total(span, 0));
                kept.totals = totals.collect::<rusqlite::Result<_>>()?;
                kept.of = of;
            }
            Ok(Arc::clone(&kept.totals))
        });
        totals.map_err(|why| self.failed(&why, since))
    }
}
