//! Writing to the ledger, which others write to as well.

use tokio::time::{Duration, Instant, sleep};

use crate::{
    app::App,
    error::{Code, Error, Result},
    storage::ledger::{BUSY_TIMEOUT, Ledger, LedgerError},
};

/// The pause between two tries.
const RETRY_INTERVAL: Duration = Duration::from_millis(1);

/// Does `work`, which writes once, as soon as no other process is writing, without holding up other calls.
///
/// A process that was stopped in the middle keeps its right to write: fails with `busy` after the ledger's patience.
pub(super) async fn turn<T, E>(app: &App, mut work: impl FnMut(&Ledger) -> Result<T, E>) -> Result<T>
where
    Error: From<E>,
{
    let (ledger, since) = (app.ledger().with_patience(Duration::ZERO), Instant::now());
    loop {
        match work(&ledger).map_err(Error::from) {
            Err(why) if why.code() == Code::Busy => {
                let waited = since.elapsed();
                if waited >= BUSY_TIMEOUT {
                    return Err(LedgerError::Busy { waited }.into());
                }
                sleep(RETRY_INTERVAL).await;
            }
            done => return done,
        }
    }
}
