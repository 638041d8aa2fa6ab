//! What requests need of the ledger, written for many of them at a time.
//!
//! A request that begins waits until its money is set aside. Where it is alone it writes that itself, which wakes no
//! other thread; where there are many, one thread, the keeper, writes for all that wait. How a request ended is written
//! along with the next one's beginning, or a moment later by the keeper. Another thread puts everything on the disk.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError,
        mpsc::{self, Receiver, SyncSender},
    },
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;

use super::troubles::Troubles;
use crate::{
    app::App,
    domain::UsageRecord,
    error::{Code, Error, Result},
    storage::ledger::{Entries, LedgerError, ReservationId, Reserve, Reserved},
};

/// After how long a request is given up that nobody says the end of: the gateway was killed meanwhile.
pub(super) const GIVEN_UP: SignedDuration = SignedDuration::from_mins(15);
/// How often a gateway that lives says that its requests are under way.
const RENEWING: Duration = Duration::from_mins(5);
/// How long the end of a request may wait to be written together with the beginning of another.
const LINGERING: Duration = Duration::from_millis(2);
/// The shortest pause between two syncs: about what a power cut can cost.
const BETWEEN_SYNCS: Duration = Duration::from_millis(20);
/// After how many syncs what was written is moved into the database itself.
const CHECKPOINT: u32 = 16;
/// How often a record is tried that the ledger did not take, and the pause between.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Books {
    app: Arc<App>,
    troubles: Arc<Troubles>,
    waiting: Mutex<Waiting>,
    /// Wakes the keeper.
    bell: Condvar,
    /// Only who holds it writes.
    pen: Mutex<Pen>,
    /// Wakes the thread that syncs.
    changed: SyncSender<Change>,
}

/// A request that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) reservation: Option<ReservationId>,
    pub(super) record: UsageRecord,
    /// How long the provider wants to be left alone.
    pub(super) retry_after: Option<Duration>,
}

/// What is to be written.
#[derive(Debug, Default)]
struct Batch {
    ended: Vec<Ended>,
    released: Vec<ReservationId>,
    asked: Vec<Reserve>,
    /// Who waits for an answer to each.
    answers: Vec<oneshot::Sender<Result<Reserved>>>,
}

#[derive(Debug, Default)]
struct Waiting {
    batch: Batch,
    /// What is written, and the keeper has still to learn from.
    written: Vec<Ended>,
    keeper: Keeper,
    is_closing: bool,
}

/// What the keeper does meanwhile.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Keeper {
    #[default]
    Works,
    /// Looks again in a moment.
    Lingers,
    Sleeps,
}

/// What is remembered from one batch to the next.
#[derive(Debug, Default)]
struct Pen {
    /// What was set aside for requests that have not ended.
    under_way: BTreeSet<ReservationId>,
}

/// Something was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    More,
    Last,
}

impl Books {
    /// The books, and what the thread that syncs listens to.
    pub(super) fn new(app: &Arc<App>, troubles: &Arc<Troubles>) -> (Self, Receiver<Change>) {
        // One wish to sync is as good as many.
        let (changed, changes) = mpsc::sync_channel(1);
        let books = Self {
            app: Arc::clone(app),
            troubles: Arc::clone(troubles),
            waiting: Mutex::default(),
            bell: Condvar::new(),
            pen: Mutex::default(),
            changed,
        };
        (books, changes)
    }

    /// Sets money aside for a request, and notes that it is about to be made.
    pub(super) async fn reserve(&self, ask: Reserve) -> Result<Reserved> {
        let gone = |_| Error::new(Code::Internal, "nobody keeps the accounts any more");
        self.ask(ask).await.map_err(gone)?
    }

    fn ask(&self, ask: Reserve) -> oneshot::Receiver<Result<Reserved>> {
        let (answer, answered) = oneshot::channel();
        let mut waiting = self.waiting();
        let is_alone = waiting.batch.asked.is_empty();
        waiting.batch.asked.push(ask);
        waiting.batch.answers.push(answer);
        if is_alone {
            drop(waiting);
            self.write_at_once();
        } else {
            self.ring(waiting, Keeper::Lingers);
        }
        answered
    }

    /// Records how a request ended.
    pub(super) fn settle(&self, ended: Ended) {
        let mut waiting = self.waiting();
        // Others ask the same provider meanwhile, and must know.
        let wakes = if ended.record.outcome.success {
            Keeper::Sleeps
        } else {
            Keeper::Lingers
        };
        waiting.batch.ended.push(ended);
        self.ring(waiting, wakes);
    }

    /// Frees what was set aside for a request that reached nobody.
    pub(super) fn release(&self, id: ReservationId) {
        let mut waiting = self.waiting();
        waiting.batch.released.push(id);
        self.ring(waiting, Keeper::Sleeps);
    }

    /// Has the keeper write what is left, and end.
    pub(super) fn close(&self) {
        let mut waiting = self.waiting();
        waiting.is_closing = true;
        self.ring(waiting, Keeper::Lingers);
    }

    /// Writes what others have left, and learns from it, until the books are closed: the keeper's work.
    pub(super) fn keep(&self) {
        let mut renewed = Instant::now();
        while let Some(batch) = self.next() {
            self.write(batch);
            let written = std::mem::take(&mut self.waiting().written);
            for ended in written {
                self.troubles.learn(&self.app, &ended.record, ended.retry_after);
            }
            if renewed.elapsed() >= RENEWING {
                self.renew();
                renewed = Instant::now();
            }
        }
        let _ = self.changed.send(Change::Last);
    }

    /// Puts on the disk what was recorded, as often as there is something new, until the last of it.
    pub(super) fn sync(&self, changes: &Receiver<Change>) {
        let mut syncs = 0;
        while let Ok(change) = changes.recv() {
            persist("put on the disk", || self.app.ledger().sync());
            if change == Change::Last {
                return;
            }
            syncs += 1;
            if syncs % CHECKPOINT == 0
                && let Err(why) = self.app.ledger().checkpoint()
            {
                tracing::warn!(%why, "the ledger could not be tidied up");
            }
            std::thread::sleep(BETWEEN_SYNCS);
        }
    }

    /// What there is to write, for the keeper: at once where somebody waits for it, else after a moment. Nothing once the
    /// books are closed and everything is written.
    fn next(&self) -> Option<Batch> {
        let mut waiting = self.waiting();
        let mut has_lingered = false;
        while !waiting.batch.is_urgent() && !waiting.is_closing && !has_lingered {
            let is_idle = waiting.batch.is_empty() && waiting.written.is_empty();
            let (how, patience) = if is_idle {
                (Keeper::Sleeps, RENEWING)
            } else {
                (Keeper::Lingers, LINGERING)
            };
            waiting.keeper = how;
            let (woken, timer) = match self.bell.wait_timeout(waiting, patience) {
                Ok(woken) => woken,
                Err(poisoned) => poisoned.into_inner(),
            };
            waiting = woken;
            waiting.keeper = Keeper::Works;
            has_lingered = timer.timed_out();
        }
        if waiting.is_closing && waiting.batch.is_empty() {
            return None;
        }
        Some(std::mem::take(&mut waiting.batch))
    }

    /// Writes what waits, if nobody else is writing, here or in another process; else that falls to the keeper.
    fn write_at_once(&self) {
        let mut pen = match self.pen.try_lock() {
            Ok(pen) => pen,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return self.ring(self.waiting(), Keeper::Lingers),
        };
        let mut batch = std::mem::take(&mut self.waiting().batch);
        let ledger = self.app.ledger().with_patience(Duration::ZERO);
        match ledger.keep(&batch.entries(), self.app.now()) {
            Ok(kept) => return self.answer(&mut pen, batch, kept.reserved),
            Err(LedgerError::Busy { .. }) => {}
            Err(_) => self.answer_each(&mut pen, &mut batch),
        }
        drop(pen);
        self.give_back(batch);
    }

    /// Leaves to the keeper what was not written.
    fn give_back(&self, mut batch: Batch) {
        let mut waiting = self.waiting();
        // What has come meanwhile came later.
        std::mem::swap(&mut waiting.batch, &mut batch);
        waiting.batch.append(batch);
        self.ring(waiting, Keeper::Lingers);
    }

    /// Writes all of `batch`, however long that takes.
    fn write(&self, mut batch: Batch) {
        if batch.is_empty() {
            return;
        }
        let ledger = self.app.ledger();
        let mut pen = self.pen();
        if let Ok(kept) = ledger.keep(&batch.entries(), self.app.now()) {
            return self.answer(&mut pen, batch, kept.reserved);
        }
        self.answer_each(&mut pen, &mut batch);
        // Others may write meanwhile.
        drop(pen);
        let each_ended = batch.ended.iter().map(|ended| Entries {
            ended: vec![(ended.reservation, &ended.record)],
            ..Entries::default()
        });
        let each_released = batch.released.iter().map(|id| Entries {
            released: std::slice::from_ref(id),
            ..Entries::default()
        });
        let mut left: Vec<Entries<'_>> = each_ended.chain(each_released).collect();
        persist("recorded", || {
            let mut outcome = Ok(());
            left.retain(|entries| match ledger.keep(entries, self.app.now()) {
                Ok(_) => false,
                Err(why) => {
                    outcome = Err(why);
                    true
                }
            });
            outcome
        });
        self.answer(&mut self.pen(), batch, Vec::new());
    }

    /// Has those who wait told one by one, so that what is refused takes no other along.
    fn answer_each(&self, pen: &mut Pen, batch: &mut Batch) {
        for (answer, ask) in batch.answers.drain(..).zip(batch.asked.drain(..)) {
            let reserved = self.app.ledger().reserve(&ask, self.app.now());
            self.hand_over(pen, answer, reserved.map_err(Error::from));
        }
    }

    /// Tells everybody what was written for them.
    fn answer(&self, pen: &mut Pen, batch: Batch, reserved: Vec<Reserved>) {
        for id in &batch.released {
            pen.under_way.remove(id);
        }
        for (answer, reserved) in batch.answers.into_iter().zip(reserved) {
            self.hand_over(pen, answer, Ok(reserved));
        }
        for id in batch.ended.iter().filter_map(|ended| ended.reservation) {
            pen.under_way.remove(&id);
        }
        if !batch.ended.is_empty() {
            // Where it is full, a sync is to come that takes this along.
            let _ = self.changed.try_send(Change::More);
            self.waiting().written.extend(batch.ended);
        }
    }

    fn hand_over(&self, pen: &mut Pen, answer: oneshot::Sender<Result<Reserved>>, reserved: Result<Reserved>) {
        let granted = match reserved {
            Ok(Reserved::Granted(id)) => Some(id),
            Ok(Reserved::Refused { .. }) | Err(_) => None,
        };
        let is_taken = answer.send(reserved).is_ok();
        match granted {
            Some(id) if is_taken => drop(pen.under_way.insert(id)),
            // Whoever asked is gone.
            Some(id) => self.release(id),
            None => {}
        }
    }

    /// Says that what is under way still is.
    fn renew(&self) {
        let under_way = self.pen().under_way.clone();
        if !under_way.is_empty() {
            let until = self.app.now().checked_add(GIVEN_UP).unwrap_or(Timestamp::MAX);
            persist("kept open", || {
                self.app.ledger().renew(under_way.iter().copied(), until)
            });
        }
    }

    /// Wakes the keeper where he sleeps at least as deep as `from`.
    fn ring(&self, waiting: MutexGuard<'_, Waiting>, from: Keeper) {
        let wakes = match waiting.keeper {
            Keeper::Works => false,
            Keeper::Lingers => from == Keeper::Lingers,
            Keeper::Sleeps => true,
        };
        drop(waiting);
        if wakes {
            self.bell.notify_one();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pen(&self) -> MutexGuard<'_, Pen> {
        self.pen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.ended.is_empty() && self.released.is_empty() && self.asked.is_empty()
    }

    /// Whether somebody waits for it, or learns from it.
    fn is_urgent(&self) -> bool {
        !self.asked.is_empty() || self.ended.iter().any(|ended| !ended.record.outcome.success)
    }

    fn append(&mut self, mut later: Self) {
        self.ended.append(&mut later.ended);
        self.released.append(&mut later.released);
        self.asked.append(&mut later.asked);
        self.answers.append(&mut later.answers);
    }

    fn entries(&self) -> Entries<'_> {
        Entries {
            ended: self.ended.iter().map(|it| (it.reservation, &it.record)).collect(),
            released: &self.released,
            asked: &self.asked,
        }
    }
}

/// Does `work`, again and again for some seconds: another process may hold the ledger.
fn persist<E: std::fmt::Display>(what: &str, mut work: impl FnMut() -> Result<(), E>) {
    for left in (0..TRIES).rev() {
        match work() {
            Ok(()) => return,
            Err(_) if left > 0 => std::thread::sleep(PAUSE),
            Err(why) => {
                tracing::error!(%why, "what requests used could not be {what}");
            }
        }
    }
}
