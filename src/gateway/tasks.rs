//! Work that goes on when its client has gone: until it is done, or until the gateway stops waiting for it.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::timeout;
use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFuture},
    task::TaskTracker,
};

/// How long work that is given up may take to say what it knows.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

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
                let _ = timeout(SHUTDOWN_TIMEOUT, self.tracker.wait()).await;
            }
        }
    }
}

/// Work that goes on in a task of its own once its caller has gone.
pub(super) struct Outliving<T: Send + 'static> {
    /// Until it has ended.
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    tasks: Tasks,
}

impl<T: Send> Outliving<T> {
    pub(super) fn new(tasks: Tasks, work: impl Future<Output = T> + Send + 'static) -> Self {
        Self {
            work: Some(Box::pin(work)),
            tasks,
        }
    }
}

impl<T: Send> Future for Outliving<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.work else {
            return Poll::Pending;
        };
        let done = std::task::ready!(work.as_mut().poll(context));
        self.work = None;
        Poll::Ready(done)
    }
}

impl<T: Send> Drop for Outliving<T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            let tasks = self.tasks.clone();
            self.tasks.spawn(async move {
                tokio::select! {
                    // Dropping the response reads it to its end.
                    response = work => drop(response),
                    () = tasks.given_up() => {}
                }
            });
        }
    }
}
