//! What requests cost: set aside before, recorded after, once, by a thread that does at a time what many requests need.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::{sync::oneshot, time::Instant};

use super::{ask::Ask, metrics::Metrics, troubles::Troubles};
use crate::{
    app::App,
    domain::{Label, Outcome, RecordedCost, Service, Source, Task, Tokens, UsageRecord, Usd},
    error::{Code, Error, Result},
    providers::Meter,
    services::{budget, pricing::Pricing},
    settings::Budget,
    storage::{
        clients::Client,
        ledger::{Ledger, ReservationId, Reserve, Reserved},
    },
};

/// After how long a request is given up that nobody says the end of: the gateway was killed meanwhile.
const GIVEN_UP: SignedDuration = SignedDuration::from_mins(15);
/// How often a gateway that lives says that its requests are under way.
const RENEWING: Duration = Duration::from_mins(5);
/// How long the end of a request may wait to be recorded together with the beginning of another.
const LINGERING: Duration = Duration::from_millis(2);
/// The shortest pause between two syncs: about what a power cut can cost.
const BETWEEN_SYNCS: Duration = Duration::from_millis(20);
/// The most entries that are written at a time.
const AT_ONCE: usize = 256;
/// How often a record is tried that the ledger did not take, and the pause between.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(500);

/// The threads that write, and the way to them.
#[derive(Debug)]
pub(super) struct Accounts {
    entries: Sender<Entry>,
    writer: JoinHandle<()>,
    syncer: JoinHandle<()>,
}

#[derive(Debug)]
enum Entry {
    Reserve(Box<Reserve>, oneshot::Sender<Result<Reserved>>),
    Settle(Box<Ended>),
    Release(ReservationId),
}

/// A request that has ended.
#[derive(Debug)]
struct Ended {
    reservation: Option<ReservationId>,
    record: UsageRecord,
    /// How long the provider wants to be left alone.
    retry_after: Option<Duration>,
}

/// A request that is paid for: settled once, or released where it reached nobody.
#[derive(Debug)]
pub(super) struct Booking {
    app: Arc<App>,
    metrics: Arc<Metrics>,
    entries: Sender<Entry>,
    reservation: Option<ReservationId>,
    record: UsageRecord,
    pricing: Pricing,
    service: Service,
    /// The tokens of the prompt, as they were estimated.
    input: u64,
    operation: &'static str,
    /// Whether it uses tokens: what does not is not recorded.
    is_metered: bool,
    began: Instant,
    is_settled: bool,
}

/// How a request ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    pub(super) success: bool,
    pub(super) status: Option<u16>,
    pub(super) tokens: Tokens,
    /// Whether the tokens are an estimate, because the provider did not say.
    pub(super) is_estimated: bool,
    pub(super) service: Option<Service>,
    /// How long the provider wants to be left alone.
    pub(super) retry_after: Option<Duration>,
}

impl Ending {
    /// The end of a request that used nothing.
    pub(super) fn failed(status: Option<u16>, retry_after: Option<Duration>) -> Self {
        Self {
            success: false,
            status,
            tokens: Tokens::default(),
            is_estimated: false,
            service: None,
            retry_after,
        }
    }

    /// The end of a request that may have been worked on, and paid for, and of which nothing came back.
    pub(super) fn unknown(input: u64) -> Self {
        Self {
            tokens: Meter::default().tokens_so_far(input),
            is_estimated: true,
            ..Self::failed(None, None)
        }
    }
}

impl Accounts {
    /// Starts the threads that write.
    pub(super) fn open(app: &Arc<App>, troubles: &Arc<Troubles>) -> std::io::Result<Self> {
        let (entries, received) = mpsc::channel();
        // One wish to sync is as good as many.
        let (changed, changes) = mpsc::sync_channel(1);
        let start =
            |name: &str, work: Box<dyn FnOnce() + Send>| thread::Builder::new().name(name.to_owned()).spawn(work);
        let (of_syncer, of_writer, troubles) = (Arc::clone(app), Arc::clone(app), Arc::clone(troubles));
        let syncer = start("sync", Box::new(move || sync(of_syncer.ledger(), &changes)))?;
        let writer = start(
            "accounts",
            Box::new(move || write(&of_writer, &troubles, &received, &changed)),
        )?;
        Ok(Self {
            entries,
            writer,
            syncer,
        })
    }

    /// Writes what is left and ends; what is booked after that is lost.
    pub(super) fn close(self) {
        drop(self.entries);
        // Each ends when nobody can tell it anything any more: with the last booking that is settled.
        let _ = self.writer.join();
        let _ = self.syncer.join();
    }

    /// Sets aside what `ask` may cost, and notes that it is about to be made.
    pub(super) async fn book(
        &self,
        app: &Arc<App>,
        budget: &Budget,
        metrics: &Arc<Metrics>,
        client: &Client,
        ask: &Ask,
        told: Told,
    ) -> Result<Booking> {
        let now = app.now();
        let claim = budget::claim(budget, Some(client), ask.most, now)?;
        let mut booking = Booking {
            app: Arc::clone(app),
            metrics: Arc::clone(metrics),
            entries: self.entries.clone(),
            reservation: None,
            record: UsageRecord {
                at: now,
                model: ask.model.clone(),
                label: told.label,
                task: told.task,
                project: told.project,
                session: told.session,
                client: Some(client.name.to_string()),
                source: Source::Gateway,
                service: ask.service,
                tokens: Tokens::default(),
                outcome: Outcome {
                    success: false,
                    status_code: None,
                    latency_ms: None,
                },
                cost: RecordedCost::Unpriced,
                request_id: Some(told.request_id),
            },
            pricing: ask.pricing.clone(),
            service: ask.service,
            input: ask.input,
            operation: ask.operation,
            is_metered: ask.is_metered,
            began: Instant::now(),
            is_settled: false,
        };
        if ask.is_metered {
            let reserve = Reserve {
                amount: claim.amount,
                limits: claim.limits.clone(),
                until: now.checked_add(GIVEN_UP).unwrap_or(Timestamp::MAX),
                request: booking.ended(Ending::unknown(ask.input)),
            };
            let gone = || Error::new(Code::Internal, "the thread that keeps the accounts is gone");
            let (answer, answered) = oneshot::channel();
            self.entries
                .send(Entry::Reserve(Box::new(reserve), answer))
                .map_err(|_| gone())?;
            let reserved = answered.await.map_err(|_| gone())??;
            booking.reservation = Some(claim.granted(reserved, Some(client))?);
        }
        Ok(booking)
    }
}

/// What a client and the gateway say of a request.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) request_id: String,
    /// The key that is tried first.
    pub(super) label: Option<Label>,
    pub(super) project: Option<String>,
    pub(super) session: Option<String>,
    pub(super) task: Option<Task>,
}

impl Booking {
    /// The next try is with this key.
    pub(super) fn with_key(&mut self, label: Option<Label>) {
        self.record.label = label;
        self.began = Instant::now();
    }

    /// Records a try that failed while others are left.
    pub(super) fn record_try(&self, ending: Ending, number: usize) {
        let mut record = self.ended(ending);
        record.request_id = record.request_id.map(|id| format!("{id}-{number}"));
        self.keep(None, record, ending.retry_after);
    }

    /// The tokens of the prompt, as they were estimated.
    pub(super) fn input(&self) -> u64 {
        self.input
    }

    /// Counts how long the first piece of the answer took.
    pub(super) fn count_first_chunk(&self) {
        self.metrics
            .count_first_chunk(self.operation, &self.record, self.began.elapsed());
    }

    /// Records how the request ended, and says what it cost, where that is known.
    pub(super) fn settle(mut self, ending: Ending) -> Option<Usd> {
        self.is_settled = true;
        let record = self.ended(ending);
        let cost = record.cost.usd();
        tracing::info!(
            client = record.client.as_deref(),
            model = %record.model,
            status = record.outcome.status_code,
            latency_ms = record.outcome.latency_ms,
            "a request has ended"
        );
        self.keep(self.reservation, record, ending.retry_after);
        cost
    }

    fn keep(&self, reservation: Option<ReservationId>, record: UsageRecord, retry_after: Option<Duration>) {
        if self.is_metered {
            self.metrics.count(self.operation, &record, self.began.elapsed());
            self.send(Entry::Settle(Box::new(Ended {
                reservation,
                record,
                retry_after,
            })));
        }
    }

    fn ended(&self, ending: Ending) -> UsageRecord {
        let service = ending.service.unwrap_or(self.service);
        let cost = match &self.pricing {
            Pricing::Priced(priced) => match priced.price.cost(service, &ending.tokens) {
                Some(cost) if ending.is_estimated => RecordedCost::Estimated {
                    cost: cost.total,
                    price: priced.version.clone(),
                },
                Some(cost) => RecordedCost::Computed {
                    cost: cost.total,
                    price: priced.version.clone(),
                },
                None => RecordedCost::Unpriced,
            },
            Pricing::Unpriced(_) => RecordedCost::Unpriced,
        };
        UsageRecord {
            at: self.app.now(),
            service,
            tokens: ending.tokens,
            outcome: Outcome {
                success: ending.success,
                status_code: ending.status,
                latency_ms: u32::try_from(self.began.elapsed().as_millis()).ok(),
            },
            cost,
            ..self.record.clone()
        }
    }

    fn send(&self, entry: Entry) {
        if self.entries.send(entry).is_err() {
            tracing::error!("a request could not be recorded: the thread that does it is gone");
        }
    }
}

impl Drop for Booking {
    fn drop(&mut self) {
        if let (false, Some(reservation)) = (self.is_settled, self.reservation) {
            self.send(Entry::Release(reservation));
        }
    }
}

/// The thread that writes.
struct Writer<'a> {
    app: &'a App,
    ledger: &'a Ledger,
    /// What it has set aside for requests that have not ended.
    under_way: BTreeSet<ReservationId>,
}

/// What it does at a time.
#[derive(Default)]
struct Batch {
    ended: Vec<Ended>,
    released: Vec<ReservationId>,
    asked: Vec<Reserve>,
    /// Who waits for an answer to each.
    answers: Vec<oneshot::Sender<Result<Reserved>>>,
}

/// Writes entries as they come, those that are there together in one go, until nobody can send any more.
fn write(app: &App, troubles: &Troubles, entries: &Receiver<Entry>, changed: &SyncSender<()>) {
    let mut writer = Writer {
        app,
        ledger: app.ledger(),
        under_way: BTreeSet::new(),
    };
    let mut renewal = Instant::now() + RENEWING;
    loop {
        let batch = match entries.recv_timeout(renewal.saturating_duration_since(Instant::now())) {
            Ok(first) => Batch::gather(first, entries),
            Err(RecvTimeoutError::Timeout) => {
                renewal = Instant::now() + RENEWING;
                writer.renew();
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let ended = writer.write(batch);
        if !ended.is_empty() {
            // Where it is full, a sync is to come that takes this along.
            let _ = changed.try_send(());
        }
        for ended in &ended {
            troubles.learn(app, &ended.record, ended.retry_after);
        }
    }
}

impl Writer<'_> {
    /// Does all of `batch`; returns what was recorded.
    fn write(&mut self, batch: Batch) -> Vec<Ended> {
        let Batch {
            ended,
            released,
            asked,
            answers,
        } = batch;
        for id in ended
            .iter()
            .filter_map(|ended| ended.reservation)
            .chain(released.iter().copied())
        {
            self.under_way.remove(&id);
        }
        let all: Vec<_> = ended.iter().map(|ended| (ended.reservation, &ended.record)).collect();
        if let Ok(reserved) = self.ledger.keep(&all, &released, &asked, self.app.now()) {
            for (answer, reserved) in answers.into_iter().zip(reserved) {
                self.answer(answer, Ok(reserved));
            }
            return ended;
        }
        // One by one, so that one which is refused takes no other along; those first for whom somebody waits.
        for (answer, ask) in answers.into_iter().zip(&asked) {
            let reserved = self.ledger.reserve(ask, self.app.now());
            self.answer(answer, reserved.map_err(Error::from));
        }
        for one in &all {
            let one = std::slice::from_ref(one);
            persist(|| self.ledger.keep(one, &[], &[], self.app.now()).map(drop), "recorded");
        }
        for id in released {
            persist(|| self.ledger.release(id), "released");
        }
        ended
    }

    fn answer(&mut self, answer: oneshot::Sender<Result<Reserved>>, reserved: Result<Reserved>) {
        let granted = match reserved {
            Ok(Reserved::Granted(id)) => Some(id),
            Ok(Reserved::Refused { .. }) | Err(_) => None,
        };
        let is_taken = answer.send(reserved).is_ok();
        match granted {
            Some(id) if is_taken => drop(self.under_way.insert(id)),
            // Whoever asked is gone.
            Some(id) => persist(|| self.ledger.release(id), "released"),
            None => {}
        }
    }

    fn renew(&self) {
        if !self.under_way.is_empty() {
            let until = self.app.now().checked_add(GIVEN_UP).unwrap_or(Timestamp::MAX);
            persist(|| self.ledger.renew(self.under_way.iter().copied(), until), "kept open");
        }
    }
}

/// Puts on the disk what was recorded, as often as there is something new: a power cut costs what came since.
fn sync(ledger: &Ledger, changes: &Receiver<()>) {
    while changes.recv().is_ok() {
        persist(|| ledger.sync(), "put on the disk");
        thread::sleep(BETWEEN_SYNCS);
    }
}

impl Batch {
    /// `first`, and what else is there; where nobody waits for any of it, also what comes in a moment.
    fn gather(first: Entry, entries: &Receiver<Entry>) -> Self {
        let mut batch = Self::default();
        batch.add(first);
        let until = Instant::now() + LINGERING;
        for _ in 1..AT_ONCE {
            let next = match entries.try_recv() {
                Err(TryRecvError::Empty) if !batch.is_awaited() => entries
                    .recv_timeout(until.saturating_duration_since(Instant::now()))
                    .ok(),
                next => next.ok(),
            };
            let Some(next) = next else { break };
            batch.add(next);
        }
        batch
    }

    /// Whether somebody waits for it, or learns from it.
    fn is_awaited(&self) -> bool {
        !self.asked.is_empty() || self.ended.iter().any(|ended| !ended.record.outcome.success)
    }

    fn add(&mut self, entry: Entry) {
        match entry {
            Entry::Reserve(ask, answer) => {
                self.asked.push(*ask);
                self.answers.push(answer);
            }
            Entry::Settle(ended) => self.ended.push(*ended),
            Entry::Release(id) => self.released.push(id),
        }
    }
}

/// Does `work`, again and again for some seconds: another process may hold the ledger.
fn persist<E: std::fmt::Display>(work: impl Fn() -> Result<(), E>, what: &str) {
    for left in (0..TRIES).rev() {
        match work() {
            Ok(()) => return,
            Err(_) if left > 0 => thread::sleep(PAUSE),
            Err(why) => {
                tracing::error!(%why, "what requests used could not be {what}");
            }
        }
    }
}
