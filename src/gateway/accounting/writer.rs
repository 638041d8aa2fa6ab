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

use crate::{
    app::App,
    domain::UsageRecord,
    error::{Code, Error, Result},
    gateway::keys::health::KeyHealth,
    storage::ledger::{Entries, Ledger, LedgerError, PATIENCE, ReservationId, Reserve, Reserved},
};

/// After how long a request is given up that nobody says the end of: the gateway was killed meanwhile.
pub(in crate::gateway) const GIVEN_UP: SignedDuration = SignedDuration::from_mins(15);
/// How often a gateway that lives says that its requests are under way.
const RENEWING: Duration = Duration::from_mins(5);
/// How long the end of a request may wait to be written together with the beginning of another.
const LINGERING: Duration = Duration::from_millis(2);
/// The shortest pause between two syncs: about what a power cut can cost.
const BETWEEN_SYNCS: Duration = Duration::from_millis(20);
/// After how many syncs what was written is moved into the database itself.
const CHECKPOINT: u32 = 16;
/// How long the keeper waits for others that write, before he sees to those who wait for him.
const PAUSE: Duration = Duration::from_millis(100);
/// How long at the end what the ledger does not take is tried again.
const CLOSING: Duration = Duration::from_mins(1);
/// How many ended requests wait for a ledger that takes none.
const MOST_LEFT: usize = 100_000;
/// How often a sync is tried that failed, and the pause between.
const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(in crate::gateway) struct Books {
    app: Arc<App>,
    key_health: Arc<KeyHealth>,
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
pub(in crate::gateway) struct Ended {
    pub(in crate::gateway) reservation: Option<ReservationId>,
    pub(in crate::gateway) record: UsageRecord,
    /// How long the provider wants to be left alone.
    pub(in crate::gateway) retry_after: Option<Duration>,
}

/// What is to be written.
#[derive(Debug, Default)]
struct Batch {
    ended: Vec<Ended>,
    released: Vec<ReservationId>,
    asked: Vec<Reserve>,
    /// Who waits for an answer to each, the longest first.
    answers: Vec<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    since: Instant,
    answer: oneshot::Sender<Result<Reserved>>,
}

#[derive(Debug, Default)]
struct Waiting {
    batch: Batch,
    /// What is written, and the keeper has still to learn from.
    written: Vec<Ended>,
    keeper: Keeper,
    /// Since when nothing more is to come.
    closing: Option<Instant>,
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
pub(in crate::gateway) enum Change {
    More,
    Last,
}

/// Whether the ledger takes nothing.
#[derive(Debug, Default)]
struct Stuck {
    since: Option<Instant>,
    is_told: bool,
}

impl Books {
    /// The books, and what the thread that syncs listens to.
    pub(in crate::gateway) fn new(app: &Arc<App>, key_health: &Arc<KeyHealth>) -> (Self, Receiver<Change>) {
        // One wish to sync is as good as many.
        let (changed, changes) = mpsc::sync_channel(1);
        let books = Self {
            app: Arc::clone(app),
            key_health: Arc::clone(key_health),
            waiting: Mutex::default(),
            bell: Condvar::new(),
            pen: Mutex::default(),
            changed,
        };
        (books, changes)
    }

    /// Sets money aside for a request, and notes that it is about to be made.
    pub(in crate::gateway) async fn reserve(&self, ask: Reserve) -> Result<Reserved> {
        let gone = |_| Error::new(Code::Internal, "nobody keeps the accounts any more");
        self.ask(ask).await.map_err(gone)?
    }

    fn ask(&self, ask: Reserve) -> oneshot::Receiver<Result<Reserved>> {
        let (answer, answered) = oneshot::channel();
        let mut waiting = self.waiting();
        let is_alone = waiting.batch.asked.is_empty();
        waiting.batch.asked.push(ask);
        waiting.batch.answers.push(Waiter {
            since: Instant::now(),
            answer,
        });
        if is_alone {
            drop(waiting);
            self.write_at_once();
        } else {
            self.ring(waiting, Keeper::Lingers);
        }
        answered
    }

    /// Records how a request ended.
    pub(in crate::gateway) fn settle(&self, ended: Ended) {
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
    pub(in crate::gateway) fn release(&self, id: ReservationId) {
        let mut waiting = self.waiting();
        waiting.batch.released.push(id);
        self.ring(waiting, Keeper::Sleeps);
    }

    /// Has the keeper write what is left, and end.
    pub(in crate::gateway) fn close(&self) {
        let mut waiting = self.waiting();
        waiting.closing = Some(Instant::now());
        self.ring(waiting, Keeper::Lingers);
    }

    /// Writes what others have left, and learns from it, until the books are closed: the keeper's work.
    ///
    /// What the ledger does not take is kept, and tried again for as long as it takes.
    pub(in crate::gateway) fn keep(&self) {
        let ledger = self.app.ledger().with_patience(PAUSE);
        let mut renewed = Instant::now();
        let mut stuck = Stuck::default();
        while let Some(batch) = self.next() {
            match self.write(&ledger, batch) {
                Ok(()) => stuck = Stuck::default(),
                Err(why) => {
                    let why = stuck.tell(why);
                    if !matches!(why, LedgerError::Busy { .. }) {
                        std::thread::sleep(PAUSE);
                    }
                    if self.waiting().closing.is_some_and(|since| since.elapsed() >= CLOSING) {
                        self.lose(&why);
                    }
                }
            }
            self.learn(&ledger);
            if renewed.elapsed() >= RENEWING && self.renew(&ledger) {
                renewed = Instant::now();
            }
        }
        let _ = self.changed.send(Change::Last);
    }

    /// Puts on the disk what was recorded, as often as there is something new, until the last of it.
    pub(in crate::gateway) fn sync(&self, changes: &Receiver<Change>) {
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
        while !waiting.batch.is_urgent() && waiting.closing.is_none() && !has_lingered {
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
        if waiting.closing.is_some() && waiting.batch.is_empty() {
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
        let tried = self.attempt(&ledger, &mut pen, &mut batch);
        drop(pen);
        if tried.is_err() {
            self.give_back(batch);
        }
    }

    /// Leaves to the keeper what was not written.
    fn give_back(&self, mut left: Batch) {
        let mut waiting = self.waiting();
        // What has come meanwhile came later.
        std::mem::swap(&mut waiting.batch, &mut left);
        waiting.batch.append(left);
        let ended = &mut waiting.batch.ended;
        let too_many = ended.len().saturating_sub(MOST_LEFT);
        if ended.drain(..too_many).count() > 0 {
            tracing::error!(
                requests = too_many,
                "what requests used is lost: too many wait to be recorded"
            );
        }
        self.ring(waiting, Keeper::Lingers);
    }

    /// Writes `batch`; what fails is left for another time, but for what somebody waits for.
    fn write(&self, ledger: &Ledger, mut batch: Batch) -> Result<(), LedgerError> {
        let mut pen = self.pen();
        let mut outcome = self.attempt(ledger, &mut pen, &mut batch);
        match outcome {
            Ok(()) => return Ok(()),
            Err(LedgerError::Busy { .. }) => batch.refuse_the_patient(),
            Err(_) => {
                outcome = Ok(());
                // One after the other, so that what is refused takes no other along.
                for mut one in std::mem::take(&mut batch).each() {
                    let Err(why) = self.attempt(ledger, &mut pen, &mut one) else {
                        continue;
                    };
                    if let Some(waiter) = one.answers.pop() {
                        let _ = waiter.answer.send(Err(why.into()));
                    } else {
                        batch.append(one);
                        outcome = Err(why);
                    }
                }
            }
        }
        drop(pen);
        self.give_back(batch);
        outcome
    }

    /// Writes and takes all of `batch`, or nothing.
    fn attempt(&self, ledger: &Ledger, pen: &mut Pen, batch: &mut Batch) -> Result<(), LedgerError> {
        if !batch.is_empty() {
            let kept = ledger.keep(&batch.entries(pen), self.app.now())?;
            self.answer(pen, std::mem::take(batch), kept.reserved);
        }
        Ok(())
    }

    /// Tells everybody what was written for them.
    fn answer(&self, pen: &mut Pen, batch: Batch, reserved: Vec<Reserved>) {
        for id in &batch.released {
            pen.under_way.remove(id);
        }
        for (waiter, reserved) in batch.answers.into_iter().zip(reserved) {
            self.hand_over(pen, waiter.answer, reserved);
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

    fn hand_over(&self, pen: &mut Pen, answer: oneshot::Sender<Result<Reserved>>, reserved: Reserved) {
        let granted = match reserved {
            Reserved::Granted(id) => Some(id),
            Reserved::Refused { .. } => None,
        };
        let is_taken = answer.send(Ok(reserved)).is_ok();
        match granted {
            Some(id) if is_taken => drop(pen.under_way.insert(id)),
            // Whoever asked is gone.
            Some(id) => self.release(id),
            None => {}
        }
    }

    /// Learns from what is written, as far as the ledger takes it.
    fn learn(&self, ledger: &Ledger) {
        let mut written = std::mem::take(&mut self.waiting().written);
        let learnt = written.iter().take_while(|ended| {
            self.key_health
                .learn(&self.app, ledger, &ended.record, ended.retry_after)
        });
        drop(written.drain(..learnt.count()));
        drop(self.waiting().written.splice(..0, written));
    }

    /// Says that what is under way still is; false where that has to be tried again.
    fn renew(&self, ledger: &Ledger) -> bool {
        let under_way = self.pen().under_way.clone();
        let until = self.app.now().checked_add(GIVEN_UP).unwrap_or(Timestamp::MAX);
        under_way.is_empty() || ledger.renew(under_way, until).is_ok()
    }

    /// Says that what is left is lost.
    fn lose(&self, why: &LedgerError) {
        let left = std::mem::take(&mut self.waiting().batch);
        let requests = left.ended.len();
        tracing::error!(%why, requests, "what these requests used is lost, but for their prompts: it could not be recorded");
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

    /// The same in batches of one.
    fn each(self) -> impl Iterator<Item = Self> {
        let ended = self.ended.into_iter().map(|ended| Self {
            ended: vec![ended],
            ..Self::default()
        });
        let released = self.released.into_iter().map(|id| Self {
            released: vec![id],
            ..Self::default()
        });
        let asked = self.asked.into_iter().zip(self.answers).map(|(ask, waiter)| Self {
            asked: vec![ask],
            answers: vec![waiter],
            ..Self::default()
        });
        ended.chain(released).chain(asked)
    }

    /// Refuses those who have waited for other processes as long as anybody does.
    fn refuse_the_patient(&mut self) {
        let is_over = |waiter: &&Waiter| waiter.since.elapsed() >= PATIENCE;
        let over = self.answers.iter().take_while(is_over).count();
        self.asked.drain(..over);
        for waiter in self.answers.drain(..over) {
            let waited = waiter.since.elapsed();
            let _ = waiter.answer.send(Err(LedgerError::Busy { waited }.into()));
        }
    }

    fn append(&mut self, mut later: Self) {
        self.ended.append(&mut later.ended);
        self.released.append(&mut later.released);
        self.asked.append(&mut later.asked);
        self.answers.append(&mut later.answers);
    }

    fn entries<'a>(&'a self, pen: &'a Pen) -> Entries<'a> {
        Entries {
            ended: self.ended.iter().map(|it| (it.reservation, &it.record)).collect(),
            released: &self.released,
            asked: &self.asked,
            under_way: Some(&pen.under_way),
        }
    }
}

/// Does `work`, again and again for some seconds.
fn persist(what: &str, mut work: impl FnMut() -> Result<(), LedgerError>) {
    for left in (0..TRIES).rev() {
        match work() {
            Ok(()) => return,
            Err(_) if left > 0 => std::thread::sleep(BETWEEN_TRIES),
            Err(why) => {
                tracing::error!(%why, "what requests used could not be {what}");
            }
        }
    }
}

impl Stuck {
    /// Says, once, that nothing is taken, which it returns; of others that write only after a while.
    fn tell(&mut self, why: LedgerError) -> LedgerError {
        let waited = self.since.get_or_insert_with(Instant::now).elapsed();
        let (why, is_passing) = match why {
            LedgerError::Busy { .. } => (LedgerError::Busy { waited }, waited < PATIENCE),
            other => (other, false),
        };
        if !is_passing && !self.is_told {
            self.is_told = true;
            tracing::warn!(%why, "what requests used cannot be recorded now: it is kept, and tried again");
        }
        why
    }
}
