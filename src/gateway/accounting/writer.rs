//! Takes what requests used over into the ledger, many of them in one transaction, and asks it for money.
//!
//! A request that begins reserves from a lease in memory and appends to the journal; only where the lease is used up does
//! it wait for the ledger. How a request ended is in the journal before its response is passed on. One thread takes it
//! over into the ledger, changes the leases along with that, and learns how the keys fared; another one puts
//! everything on the disk.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, SyncSender},
    },
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;

use super::leases::{IDLE_TIMEOUT, LeaseKey, Leases, PlannedLease, Reservation};
use crate::{
    app::App,
    domain::{Tokens, UsageRecord, Usd},
    error::{Code, Error, Result},
    gateway::keys::health::KeyHealth,
    services::{budget_claim::Claim, budget_status},
    storage::{
        gateway_clients::GatewayClient,
        ledger::{BUSY_TIMEOUT, Encoded, EntryId, Fold, Granted, Journal, Ledger, LedgerError, Position, Spent},
    },
};

/// How long a lease counts should its process never come back, and its journal never be replayed.
const LEASE_TIMEOUT: SignedDuration = SignedDuration::from_mins(15);
/// How often leases are renewed.
const RENEWAL_INTERVAL: Duration = Duration::from_mins(5);
/// How long the end of a request waits for others to be recorded along with it: where few end, and where many do.
const FOLD_DELAY: Duration = Duration::from_millis(2);
const BUSY_FOLD_DELAY: Duration = Duration::from_millis(20);
const BUSY_FROM: usize = 8;
/// The shortest pause between two syncs: about what a power cut can cost.
const SYNC_INTERVAL: Duration = Duration::from_millis(20);
/// After how many syncs what was written is moved into the database itself.
const SYNCS_BETWEEN_CHECKPOINTS: u32 = 16;
/// How long other processes that write are waited for at a time.
const TRY_TIMEOUT: Duration = Duration::from_millis(100);
/// How long at the end what the ledger does not take is tried again; then it stays in the journal.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a sync is tried that failed, and the pause between.
const MAX_TRIES: u32 = 10;
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct LedgerWriter {
    app: Arc<App>,
    key_health: Arc<KeyHealth>,
    /// The name of this process's journal.
    holder: String,
    state: Mutex<WriterState>,
    /// Wakes the thread that folds.
    wake: Condvar,
    /// Wakes the thread that syncs.
    changed: SyncSender<Changed>,
}

/// A request that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) record: UsageRecord,
    /// How long the provider wants to be left alone.
    pub(super) retry_after: Option<Duration>,
}

/// Money that is reserved for a request, until it is settled or dropped.
#[derive(Debug)]
pub(super) struct HeldReservation {
    writer: Arc<LedgerWriter>,
    reservation: Option<Reservation>,
}

#[derive(Debug)]
struct WriterState {
    journal: Journal,
    leases: Leases,
    /// What is in the journal, and not yet in the ledger.
    ended: Vec<Ended>,
    /// The position in the journal after the last of them.
    position: Option<Position>,
    asks: Vec<PendingReservation>,
    /// What is in the ledger, and still to be learned from.
    recorded: Vec<Ended>,
    /// How many that have ended the journal did not take.
    unsaved: usize,
    /// Up to where the journal is in the ledger.
    folded: Option<Position>,
    /// Why nothing can be recorded at present.
    fault: Option<Fault>,
    thread: Activity,
    /// Since when nothing more is to come.
    closing: Option<Instant>,
    /// Whether the folding thread is gone.
    has_ended: bool,
}

/// A request that waits for money.
#[derive(Debug)]
struct PendingReservation {
    lease: LeaseKey,
    amount: Usd,
    since: Instant,
    outcome: oneshot::Sender<ReservationOutcome>,
}

/// What becomes of a [`PendingReservation`].
#[derive(Debug)]
enum ReservationOutcome {
    Granted(HeldReservation),
    Refused { limit: usize, spent: Spent },
    Failed(Error),
}

/// What the folding thread does meanwhile.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Activity {
    #[default]
    Works,
    /// It looks again in a moment.
    Lingers,
    Sleeps,
}

/// Ends the accounts with the folding thread, even one that panics, so that no request waits for it.
struct FoldingEnds<'a>(&'a LedgerWriter);

/// Why the ledger takes nothing.
#[derive(Debug)]
struct Fault {
    code: Code,
    message: String,
    hint: Option<String>,
    /// Since when it takes nothing.
    since: Instant,
}

/// What one transaction is made of.
#[derive(Debug)]
struct Batch {
    ended: Vec<Ended>,
    position: Option<Position>,
    asks: BTreeMap<LeaseKey, Vec<PendingReservation>>,
    changes: Vec<PlannedLease>,
    /// How many of those that have ended are not in the journal.
    unsaved: usize,
}

/// Something was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changed {
    More,
    Last,
}

impl LedgerWriter {
    /// The writer, and what its syncing thread listens to.
    pub(super) fn new(app: &Arc<App>, key_health: &Arc<KeyHealth>) -> Result<(Self, Receiver<Changed>)> {
        // One wish to sync is as good as many.
        let (changed, changes) = mpsc::sync_channel(1);
        let journal = app.ledger().journal(app.random()?);
        let writer = Self {
            app: Arc::clone(app),
            key_health: Arc::clone(key_health),
            holder: journal.holder().to_owned(),
            state: Mutex::new(WriterState {
                journal,
                leases: Leases::default(),
                ended: Vec::new(),
                position: None,
                asks: Vec::new(),
                recorded: Vec::new(),
                unsaved: 0,
                folded: None,
                fault: None,
                thread: Activity::default(),
                closing: None,
                has_ended: false,
            }),
            wake: Condvar::new(),
            changed,
        };
        Ok((writer, changes))
    }

    /// Reserves what `claim` says for a request of `client`; nothing where limits are off.
    pub(super) async fn reserve(
        self: &Arc<Self>,
        claim: &Claim,
        client: &GatewayClient,
    ) -> Result<Option<HeldReservation>> {
        if claim.limits.is_empty() {
            return Ok(None);
        }
        let outcome = {
            let mut state = self.state();
            let reserved =
                state
                    .leases
                    .reserve(Some(client.name.as_str()), &claim.limits, claim.amount, self.app.now());
            match reserved {
                Ok(reservation) => return Ok(Some(self.hold(reservation))),
                Err(_) if state.has_ended => return Err(closed()),
                Err(lease) => {
                    let (outcome, receiver) = oneshot::channel();
                    state.asks.push(PendingReservation {
                        lease,
                        amount: claim.amount,
                        since: Instant::now(),
                        outcome,
                    });
                    self.wake_from(state, Activity::Lingers);
                    receiver
                }
            }
        };
        match outcome.await {
            Ok(ReservationOutcome::Granted(held)) => Ok(Some(held)),
            Ok(ReservationOutcome::Refused { limit, spent }) => Err(claim.refusal(limit, spent, Some(client))),
            Ok(ReservationOutcome::Failed(why)) => Err(why),
            Err(_) => Err(closed()),
        }
    }

    fn hold(self: &Arc<Self>, reservation: Reservation) -> HeldReservation {
        HeldReservation {
            writer: Arc::clone(self),
            reservation: Some(reservation),
        }
    }

    /// Notes that a request is about to be sent, with what is recorded of it should this process be killed.
    ///
    /// Fails where its end could not be recorded.
    pub(super) fn begin(&self, record: &UsageRecord) -> Result<EntryId> {
        self.app.ledger().expect_whole_wal().map_err(Error::from)?;
        let encoded = Encoded::new(record);
        let mut state = self.state();
        if let Some(fault) = state.fault.as_ref().filter(|fault| !fault.is_passing()) {
            return Err(fault.error());
        }
        Ok(state.journal.begin(encoded).map_err(LedgerError::from)?)
    }

    /// Notes what a request under way has used so far.
    pub(super) fn update(&self, entry: EntryId, record: &UsageRecord) {
        let encoded = Encoded::new(record);
        self.state().journal.update(entry, encoded);
    }

    /// Records how a request ended: in the journal when this returns.
    pub(super) fn settle(&self, held: Option<HeldReservation>, entry: Option<EntryId>, ended: Ended) {
        let encoded = Encoded::new(&ended.record);
        let mut state = self.state();
        if let Some(reservation) = held.and_then(|mut held| held.reservation.take()) {
            // What has no price counts as what was set aside for it.
            let is_used = ended.record.tokens != Tokens::default();
            let unpriced = if is_used { reservation.amount } else { Usd::ZERO };
            let cost = ended.record.cost.usd().unwrap_or(unpriced);
            state.leases.settle(reservation, cost);
        }
        match state.journal.end(entry, &encoded) {
            Ok(position) => state.position = Some(position),
            Err(why) => {
                state.unsaved += 1;
                tracing::error!(%why, "could not write a request's outcome to the journal: keeping it in memory for the ledger");
            }
        }
        // Others ask the same provider meanwhile, and must know.
        let wakes = if ended.record.outcome.success {
            Activity::Sleeps
        } else {
            Activity::Lingers
        };
        state.ended.push(ended);
        self.wake_from(state, wakes);
    }

    /// Notes that a request reached no provider.
    pub(super) fn cancel(&self, entry: EntryId) {
        self.state().journal.cancel(entry);
    }

    /// Has everything recorded that is left.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closing = Some(Instant::now());
        self.wake_from(state, Activity::Lingers);
    }

    /// How many requests are neither in the ledger nor in the journal.
    pub(super) fn unsaved(&self) -> usize {
        self.state().unsaved
    }

    /// Takes over what has ended and grants what is requested, until the accounts are closed: the folding thread.
    pub(super) fn run(self: &Arc<Self>) {
        let _ends = FoldingEnds(self);
        let ledger = self.app.ledger().with_patience(TRY_TIMEOUT);
        let mut renewed = Instant::now();
        let mut lingering = FOLD_DELAY;
        while self.wait(lingering) {
            let renews = renewed.elapsed() >= RENEWAL_INTERVAL;
            let batch = self.take(false, renews);
            lingering = if batch.ended.len() >= BUSY_FROM {
                BUSY_FOLD_DELAY
            } else {
                FOLD_DELAY
            };
            if let Err(code) = self.fold(&ledger, batch) {
                if self.has_waited_to_close() {
                    break;
                }
                if code != Code::Busy {
                    std::thread::sleep(TRY_TIMEOUT);
                }
            } else if renews {
                renewed = Instant::now();
            }
            self.learn(&ledger);
            self.prepare_segment();
        }
        self.end();
    }

    /// Puts on the disk what was recorded, as often as there is something new: the syncing thread.
    pub(super) fn sync(&self, changes: &Receiver<Changed>) {
        let mut syncs = 0;
        while let Ok(change) = changes.recv() {
            let (segments, folder) = {
                let mut state = self.state();
                let folded = state.folded;
                let segments = folded.map_or_else(Vec::new, |folded| state.journal.folded(folded));
                (segments, state.journal.folder().to_owned())
            };
            if persist(|| self.app.ledger().sync()) {
                for segment in segments {
                    segment.remove(&folder);
                }
            }
            if change == Changed::Last {
                return;
            }
            syncs += 1;
            if syncs % SYNCS_BETWEEN_CHECKPOINTS == 0
                && let Err(why) = self.app.ledger().checkpoint()
            {
                tracing::warn!(%why, "the ledger could not be checkpointed");
            }
            std::thread::sleep(SYNC_INTERVAL);
        }
    }

    /// Waits until there is something to do, or to see to; false once the accounts are closed and all is recorded.
    fn wait(&self, lingering: Duration) -> bool {
        let mut state = self.state();
        let mut waited = false;
        loop {
            let is_urgent = !state.asks.is_empty() || state.ended.iter().any(|ended| !ended.record.outcome.success);
            if state.closing.is_some() {
                return !state.ended.is_empty() || !state.asks.is_empty();
            }
            if waited || is_urgent {
                return true;
            }
            let (activity, timeout) = if !state.ended.is_empty() {
                (Activity::Lingers, lingering)
            } else if !state.recorded.is_empty() || state.fault.is_some() {
                (Activity::Lingers, TRY_TIMEOUT)
            } else if state.leases.are_held() {
                (Activity::Sleeps, IDLE_TIMEOUT)
            } else {
                (Activity::Sleeps, RENEWAL_INTERVAL)
            };
            state.thread = activity;
            let (woken, timer) = match self.wake.wait_timeout(state, timeout) {
                Ok(woken) => woken,
                Err(poisoned) => poisoned.into_inner(),
            };
            state = woken;
            state.thread = Activity::Works;
            waited = timer.timed_out();
        }
    }

    /// What is to be written now.
    fn take(&self, all_unused: bool, renews: bool) -> Batch {
        let mut state = self.state();
        let mut asks: BTreeMap<LeaseKey, Vec<PendingReservation>> = BTreeMap::new();
        for ask in std::mem::take(&mut state.asks) {
            asks.entry(ask.lease).or_default().push(ask);
        }
        let amounts = asks.iter().map(|(lease, asks)| {
            let amounts: Vec<Usd> = asks.iter().map(|ask| ask.amount).collect();
            (*lease, amounts)
        });
        let amounts = amounts.collect();
        Batch {
            ended: std::mem::take(&mut state.ended),
            position: state.position,
            changes: state.leases.changes(amounts, all_unused, renews),
            asks,
            unsaved: state.unsaved,
        }
    }

    /// Writes `batch`, all of it or nothing, and reports the outcome to the waiting requests.
    fn fold(self: &Arc<Self>, ledger: &Ledger, batch: Batch) -> Result<(), Code> {
        let refused = self.fold_once(ledger, batch)?;
        if refused.is_empty() {
            return Ok(());
        }
        // What is leased for other clients, and not needed, may be enough.
        let unused = self.state().leases.have_unused();
        if unused {
            self.state().asks.splice(..0, refused.into_iter().map(|(ask, _)| ask));
            let batch = self.take(true, false);
            for (ask, outcome) in self.fold_once(ledger, batch)? {
                let _ = ask.outcome.send(outcome);
            }
        } else {
            for (ask, outcome) in refused {
                let _ = ask.outcome.send(outcome);
            }
        }
        Ok(())
    }

    /// Writes `batch`; returns the requests that were granted nothing, with the reason.
    fn fold_once(
        self: &Arc<Self>,
        ledger: &Ledger,
        mut batch: Batch,
    ) -> Result<Vec<(PendingReservation, ReservationOutcome)>, Code> {
        // After a fault an empty transaction shows whether the ledger works again.
        if batch.ended.is_empty() && batch.changes.is_empty() && self.state().fault.is_none() {
            return Ok(Vec::new());
        }
        let now = self.app.now();
        let until = now.checked_add(LEASE_TIMEOUT).unwrap_or(Timestamp::MAX);
        let records: Vec<&UsageRecord> = batch.ended.iter().map(|ended| &ended.record).collect();
        let changes: Vec<_> = batch.changes.iter().map(PlannedLease::as_lease_change).collect();
        let budgets = budget_status::watched(&self.app.settings().current().budget, now);
        let folded = ledger.fold(
            &Fold {
                holder: &self.holder,
                ended: &records,
                position: batch.position,
                leases: &changes,
                budgets: &budgets,
                until,
            },
            now,
        );
        let folded = match folded {
            Ok(folded) => folded,
            Err(why) => {
                let fault = Fault::new(&why.into());
                let code = fault.code;
                self.give_back(batch, fault);
                return Err(code);
            }
        };
        let mut refused = Vec::new();
        let mut state = self.state();
        for (change, leased) in batch.changes.iter().zip(&folded.leases) {
            state.leases.changed(change, leased, until);
            let asks = batch.asks.remove(&change.key).unwrap_or_default();
            for (ask, granted) in asks.into_iter().zip(&leased.asks) {
                match *granted {
                    Granted::Yes => {
                        let held = self.hold(Reservation {
                            lease: change.key,
                            amount: ask.amount,
                        });
                        // The request may be gone: dropping it needs the state.
                        drop(state);
                        let _ = ask.outcome.send(ReservationOutcome::Granted(held));
                        state = self.state();
                    }
                    Granted::No { limit, spent } => refused.push((ask, ReservationOutcome::Refused { limit, spent })),
                }
            }
        }
        state.fault = None;
        state.unsaved = state.unsaved.saturating_sub(batch.unsaved);
        state.folded = batch.position;
        if !batch.ended.is_empty() {
            state.recorded.append(&mut batch.ended);
            // Where it is full, a sync is to come that takes this along.
            let _ = self.changed.try_send(Changed::More);
        }
        Ok(refused)
    }

    /// Leaves for another time what was not written: no more requests are let through where that does not pass.
    fn give_back(&self, batch: Batch, mut fault: Fault) {
        let mut state = self.state();
        for change in &batch.changes {
            state.leases.failed(change);
        }
        state.ended.splice(..0, batch.ended);
        let is_busy = fault.code == Code::Busy;
        let asks = batch.asks.into_values().flatten();
        let (waiting, over): (Vec<PendingReservation>, Vec<PendingReservation>) =
            asks.partition(|ask| is_busy && ask.since.elapsed() < BUSY_TIMEOUT);
        state.asks.splice(..0, waiting);
        let before = state.fault.take();
        let was_passing = before.as_ref().is_none_or(Fault::is_passing);
        fault.since = before.map_or(fault.since, |before| before.since);
        if was_passing && !fault.is_passing() {
            tracing::warn!(
                why = fault.message,
                "could not record usage: keeping it in the journal and retrying"
            );
        }
        let errors: Vec<Error> = over.iter().map(|_| fault.error()).collect();
        state.fault = Some(fault);
        drop(state);
        for (ask, error) in over.into_iter().zip(errors) {
            let _ = ask.outcome.send(ReservationOutcome::Failed(error));
        }
    }

    fn has_waited_to_close(&self) -> bool {
        self.state()
            .closing
            .is_some_and(|since| since.elapsed() >= CLOSE_TIMEOUT)
    }

    /// Learns from what is recorded how the keys fared, as far as the ledger takes it.
    fn learn(&self, ledger: &Ledger) {
        let mut recorded = std::mem::take(&mut self.state().recorded);
        let learned = recorded.iter().take_while(|ended| {
            self.key_health
                .learn(&self.app, ledger, &ended.record, ended.retry_after)
        });
        drop(recorded.drain(..learned.count()));
        if !recorded.is_empty() {
            self.state().recorded.splice(..0, recorded);
        }
    }

    /// Makes the journal's next segment, where it will soon be needed, while requests go on.
    fn prepare_segment(&self) {
        let next = self.state().journal.next_segment();
        if let Some(Ok(segment)) = next.map(|next| next.make()) {
            self.state().journal.set_spare(segment);
        }
    }

    /// Gives back what is leased, and removes the journal where nothing in it is news.
    fn end(&self) {
        if self.app.ledger().sync().is_err() {
            return;
        }
        {
            let mut state = self.state();
            if !state.ended.is_empty() || state.journal.has_open() {
                return;
            }
            state.journal.remove();
        }
        if let Err(why) = self.app.ledger().close_journal(&self.holder) {
            tracing::warn!(%why, "the reservation is released later");
        }
    }

    /// Wakes the folding thread where it sleeps at least as deep as `from`.
    fn wake_from(&self, state: MutexGuard<'_, WriterState>, from: Activity) {
        let wakes = state.thread >= from && state.thread != Activity::Works;
        drop(state);
        if wakes {
            self.wake.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, WriterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FoldingEnds<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.has_ended = true;
        // Those who wait are answered by that.
        state.asks.clear();
        if std::thread::panicking() {
            state.fault = Some(Fault::new(
                &closed().hint("restart the gateway: it loses nothing that was answered"),
            ));
        }
        drop(state);
        let _ = self.0.changed.send(Changed::Last);
    }
}

impl Drop for HeldReservation {
    fn drop(&mut self) {
        if let Some(reservation) = self.reservation.take() {
            self.writer.state().leases.release(reservation);
        }
    }
}

impl Fault {
    fn new(why: &Error) -> Self {
        Self {
            code: why.code(),
            message: why.message().to_owned(),
            hint: why.hint_text().map(str::to_owned),
            since: Instant::now(),
        }
    }

    /// Whether others that write are still waited for.
    fn is_passing(&self) -> bool {
        self.code == Code::Busy && self.since.elapsed() < BUSY_TIMEOUT
    }

    fn error(&self) -> Error {
        let error = Error::new(self.code, self.message.clone());
        match &self.hint {
            Some(hint) => error.hint(hint.clone()),
            None => error,
        }
    }
}

fn closed() -> Error {
    Error::new(Code::Internal, "the gateway's accounts are closed")
}

/// Does `work`, again and again for some seconds; false where it never succeeds.
fn persist(mut work: impl FnMut() -> Result<(), LedgerError>) -> bool {
    for left in (0..MAX_TRIES).rev() {
        match work() {
            Ok(()) => return true,
            Err(_) if left > 0 => std::thread::sleep(RETRY_INTERVAL),
            Err(why) => tracing::error!(%why, "what requests used could not be put on the disk"),
        }
    }
    false
}
