//! How many may be here at the same time, and who has to go when one more comes.
//!
//! A connection needs a file, and a request under way another one to its provider. They are counted apart, so that
//! connections on which nothing happens, however many, keep no request from being answered.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// How many connections there may be, where the system allows so many files.
const CONNECTIONS: usize = 16_384;
/// How long a connection that has to go may take, before the next one has to.
const GOING: Duration = Duration::from_millis(50);

/// The places that there are.
#[derive(Debug)]
pub(super) struct Room {
    connections: Places,
    requests: Places,
    /// For requests that wait for a key.
    waiting: Places,
    idle: Arc<Idle>,
}

/// So many places.
#[derive(Debug, Clone)]
struct Places {
    free: Arc<Semaphore>,
    most: usize,
}

/// A connection's place.
#[derive(Debug)]
pub(super) struct Seat {
    idle: Arc<Idle>,
    /// Its turn among the idle ones; nothing while a request is under way.
    turn: Mutex<Option<u64>>,
    leave: Arc<Notify>,
    _place: OwnedSemaphorePermit,
}

/// A request on a connection, until its answer is sent.
#[derive(Debug)]
pub(super) struct Busy {
    seat: Arc<Seat>,
    /// Its place among the requests that need a provider, which whoever speaks with the provider holds too.
    place: Option<Arc<OwnedSemaphorePermit>>,
}

/// The connections without a request under way, the one that is so for the longest time first.
#[derive(Debug, Default)]
struct Idle(Mutex<(u64, BTreeMap<u64, Arc<Notify>>)>);

impl Room {
    /// What `files` are enough for: six in eight for connections, one for requests under way, and one for connections
    /// to providers that are kept, and files of our own.
    pub(super) fn of(files: u64) -> Self {
        let eighths =
            |count: u64| usize::try_from(files / 8 * count).map_or(CONNECTIONS, |it| it.clamp(1, CONNECTIONS));
        Self {
            connections: Places::new(eighths(6)),
            requests: Places::new(eighths(1)),
            // Most connections stay free for requests that do not wait.
            waiting: Places::new(eighths(6) / 4),
            idle: Arc::default(),
        }
    }

    /// How many requests and streams are under way with a provider, and how many requests wait for a key.
    pub(super) fn taken(&self) -> (usize, usize) {
        (self.requests.taken(), self.waiting.taken())
    }

    /// A place for one more connection; where there is none, the connection that is idle for the longest time goes.
    pub(super) async fn seat(&self) -> Option<Seat> {
        let place = loop {
            if let Ok(place) = Arc::clone(&self.connections.free).try_acquire_owned() {
                break place;
            }
            self.idle.dismiss_longest();
            if let Ok(place) = tokio::time::timeout(GOING, Arc::clone(&self.connections.free).acquire_owned()).await {
                break place.ok()?;
            }
        };
        let leave = Arc::default();
        Some(Seat {
            turn: Mutex::new(Some(self.idle.add(&leave))),
            idle: Arc::clone(&self.idle),
            leave,
            _place: place,
        })
    }

    /// Waits until one more request may be under way; `busy` holds the place, and so does whoever holds the answer.
    pub(super) async fn for_request(&self, busy: &mut Busy) -> Option<Arc<OwnedSemaphorePermit>> {
        let place = Arc::clone(&self.requests.free).acquire_owned().await.ok()?;
        Some(Arc::clone(busy.place.insert(Arc::new(place))))
    }

    /// A place for a request that waits, while there is one.
    pub(super) fn to_wait(&self) -> Option<SemaphorePermit<'_>> {
        self.waiting.free.try_acquire().ok()
    }
}

impl Places {
    fn new(most: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(most)),
            most,
        }
    }

    fn taken(&self) -> usize {
        self.most - self.free.available_permits()
    }
}

impl Seat {
    /// A request has come; another one comes only after it is answered.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        if let Some(turn) = self.turn().take() {
            self.idle.remove(turn);
        }
        Busy {
            seat: Arc::clone(self),
            place: None,
        }
    }

    /// Waits until the connection has to go for another one.
    pub(super) async fn dismissed(&self) {
        self.leave.notified().await;
    }

    pub(super) fn is_busy(&self) -> bool {
        self.turn().is_none()
    }

    fn turn(&self) -> std::sync::MutexGuard<'_, Option<u64>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Busy {
    /// Its request waits, and takes no other's place.
    pub(super) fn pause(&mut self) {
        self.place = None;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(turn) = self.turn().take() {
            self.idle.remove(turn);
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        *self.seat.turn() = Some(self.seat.idle.add(&self.seat.leave));
    }
}

impl Idle {
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

    fn dismiss_longest(&self) {
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
        let room = Room::of(16);
        let places = room.connections.most;
        let mut seats = Vec::new();
        for _ in 0..places {
            seats.push(Arc::new(room.seat().await.expect("a place")));
        }
        let busy = seats[0].begin();
        let (one_more, ()) = tokio::join!(room.seat(), async {
            seats[1].dismissed().await;
            assert!(seats[0].is_busy() && !seats[1].is_busy());
            seats.remove(1);
        });
        assert!(one_more.is_some());
        drop(busy);
        assert!(!seats[0].is_busy(), "and is the last to go now");
    }
}
