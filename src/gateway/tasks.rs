//! Work that goes on when nobody waits for it any more: until it is done, or until the gateway gives it up.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFuture},
    task::TaskTracker,
};

/// How long work that is given up may take to say what it knows.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Connections, requests and streams under way, whether or not their client is still there.
#[derive(Debug, Clone, Default)]
pub(super) struct Tasks {
    tracker: TaskTracker,
    given_up: CancellationToken,
}

impl Tasks {
    /// Does `work` in a task of its own; it has to listen to [`Tasks::given_up`] itself.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(work);
    }

    /// Ends when nothing is waited for any more.
    pub(super) fn given_up(&self) -> WaitForCancellationFuture<'_> {
        self.given_up.cancelled()
    }

    /// Waits until all work is done, or until `stop` ends and what is left is given up.
    pub(super) async fn end(&self, stop: impl Future<Output = ()>) {
        self.tracker.close();
        tokio::select! {
            () = self.tracker.wait() => {}
            () = stop => {
                tracing::warn!("ended before every request was answered");
                self.given_up.cancel();
                let _ = timeout(LAST_WORDS, self.tracker.wait()).await;
            }
        }
    }
}
