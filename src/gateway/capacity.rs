//! How many connections and requests there may be at a time, and which connection is closed when one more comes.
//!
//! A connection needs a file, and a request under way another one to its provider. They are counted apart, so that
//! connections on which nothing happens, however many, keep no request from being answered.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// The most connections, where the system allows so many files.
const MAX_CONNECTIONS: usize = 16_384;
/// How long a connection may take to close before the next one is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(50);

/// The concurrency limits.
#[derive(Debug)]
pub(super) struct Capacity {
    connections: Slots,
    requests: Slots,
    /// For requests that wait for a key.
    waiting: Slots,
    idle: Arc<IdleConnections>,
}

/// A number of permits.
#[derive(Debug, Clone)]
struct Slots {
    free: Arc<Semaphore>,
    most: usize,
}

/// A connection, counted.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    idle: Arc<IdleConnections>,
    /// Its turn among the idle ones; nothing while a request is under way.
    turn: Mutex<Option<u64>>,
    leave: Arc<Notify>,
    _slot: OwnedSemaphorePermit,
}

/// A request on a connection, until its response is sent.
#[derive(Debug)]
pub(super) struct RequestPermit {
    connection: Arc<ConnectionPermit>,
    /// Its slot among the requests that need a provider, which the connection to the provider holds too.
    slot: Option<Arc<OwnedSemaphorePermit>>,
}

/// The connections without a request under way, the one that is so for the longest time first.
#[derive(Debug, Default)]
struct IdleConnections(Mutex<(u64, BTreeMap<u64, Arc<Notify>>)>);

impl Capacity {
    /// The limits that `files` are enough for: six in eight for connections, one for requests under way, and one for connections
    /// to providers that are kept, and files of our own.
    pub(super) fn for_files(files: u64) -> Self {
        let eighths =
            |count: u64| usize::try_from(files / 8 * count).map_or(MAX_CONNECTIONS, |it| it.clamp(1, MAX_CONNECTIONS));
        Self {
            connections: Slots::new(eighths(6)),
            requests: Slots::new(eighths(1)),
            // Most connections stay free for requests that do not wait.
            waiting: Slots::new(eighths(6) / 4),
            idle: Arc::default(),
        }
    }

    /// How many requests and streams are under way with a provider, and how many requests wait for a key.
    pub(super) fn in_use(&self) -> (usize, usize) {
        (self.requests.in_use(), self.waiting.in_use())
    }

    /// Counts one more connection; at the limit the one that is idle for the longest time is closed.
    pub(super) async fn connection(&self) -> Option<ConnectionPermit> {
        let slot = loop {
            if let Ok(slot) = Arc::clone(&self.connections.free).try_acquire_owned() {
                break slot;
            }
            self.idle.close_longest();
            if let Ok(slot) =
                tokio::time::timeout(CLOSE_TIMEOUT, Arc::clone(&self.connections.free).acquire_owned()).await
            {
                break slot.ok()?;
            }
        };
        let leave = Arc::default();
        Some(ConnectionPermit {
            turn: Mutex::new(Some(self.idle.add(&leave))),
            idle: Arc::clone(&self.idle),
            leave,
            _slot: slot,
        })
    }

    /// Closes the connection that is idle for the longest time, if there is one.
    pub(super) fn close_longest_idle(&self) {
        self.idle.close_longest();
    }

    /// Waits until one more request may be under way; `permit` holds the slot, and so does the response.
    pub(super) async fn request(&self, permit: &mut RequestPermit) -> Option<Arc<OwnedSemaphorePermit>> {
        let slot = Arc::clone(&self.requests.free).acquire_owned().await.ok()?;
        Some(Arc::clone(permit.slot.insert(Arc::new(slot))))
    }

    /// Counts a request that waits for a key; nothing at the limit.
    pub(super) fn waiting(&self) -> Option<SemaphorePermit<'_>> {
        self.waiting.free.try_acquire().ok()
    }
}

impl Slots {
    fn new(most: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(most)),
            most,
        }
    }

    fn in_use(&self) -> usize {
        self.most - self.free.available_permits()
    }
}

impl ConnectionPermit {
    /// A request has come; another one comes only after it is answered.
    pub(super) fn begin(self: &Arc<Self>) -> RequestPermit {
        if let Some(turn) = self.turn().take() {
            self.idle.remove(turn);
        }
        RequestPermit {
            connection: Arc::clone(self),
            slot: None,
        }
    }

    /// Waits until the connection has to be closed for another one.
    pub(super) async fn asked_to_close(&self) {
        self.leave.notified().await;
    }

    pub(super) fn is_busy(&self) -> bool {
        self.turn().is_none()
    }

    fn turn(&self) -> std::sync::MutexGuard<'_, Option<u64>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RequestPermit {
    /// Its request waits, and takes no other's slot.
    pub(super) fn pause(&mut self) {
        self.slot = None;
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        if let Some(turn) = self.turn().take() {
            self.idle.remove(turn);
        }
    }
}

impl Drop for RequestPermit {
    fn drop(&mut self) {
        *self.connection.turn() = Some(self.connection.idle.add(&self.connection.leave));
    }
}

impl IdleConnections {
    fn add(&self, leave: &Arc<Notify>) -> u64 {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.0 += 1;
        let turn = idle.0;
        idle.1.insert(turn, Arc::clone(leave));
        turn
    }

    fn remove(&self, turn: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&turn);
    }

    fn close_longest(&self) {
        let longest = self.0.lock().unwrap_or_else(PoisonError::into_inner).1.pop_first();
        if let Some((_, leave)) = longest {
            leave.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_connection_that_is_idle_for_the_longest_time_makes_room() {
        let capacity = Capacity::for_files(16);
        let places = capacity.connections.most;
        let mut connections = Vec::new();
        for _ in 0..places {
            connections.push(Arc::new(capacity.connection().await.expect("a slot")));
        }
        let request = connections[0].begin();
        let (one_more, ()) = tokio::join!(capacity.connection(), async {
            connections[1].asked_to_close().await;
            assert!(connections[0].is_busy() && !connections[1].is_busy());
            connections.remove(1);
        });
        assert!(one_more.is_some());
        drop(request);
        assert!(!connections[0].is_busy(), "and is the last to go now");
    }
}
