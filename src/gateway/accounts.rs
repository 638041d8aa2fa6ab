//! What requests cost: set aside before, recorded after, once, by a thread that does at a time what many requests need.

use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender, SyncSender},
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
    services::{budget, pricing::Pricing},
    settings::Budget,
    storage::{
        clients::Client,
        ledger::{Ledger, ReservationId, Reserve, Reserved},
    },
};

/// After how long money that nobody settled is free again: the gateway was killed meanwhile.
const GIVEN_UP: SignedDuration = SignedDuration::from_mins(15);
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
    Reserve(Reserve, oneshot::Sender<Result<Reserved>>),
    /// With how long the provider wants to be left alone.
    Settle(Option<ReservationId>, Box<UsageRecord>, Option<Duration>),
    Release(ReservationId),
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

    /// Sets aside what `ask` may cost.
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
        let until = now.checked_add(GIVEN_UP).unwrap_or(Timestamp::MAX);
        let reservation = match budget::claim(budget, Some(client), ask.most, now, until)? {
            Some(claim) => {
                let gone = || Error::new(Code::Internal, "the thread that keeps the accounts is gone");
                let (answer, answered) = oneshot::channel();
                let entry = Entry::Reserve(claim.reserve().clone(), answer);
                self.entries.send(entry).map_err(|_| gone())?;
                Some(claim.granted(answered.await.map_err(|_| gone())??)?)
            }
            None => None,
        };
        Ok(Booking {
            app: Arc::clone(app),
            metrics: Arc::clone(metrics),
            entries: self.entries.clone(),
            reservation,
            record: UsageRecord {
                at: now,
                model: ask.model.clone(),
                label: None,
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
        })
    }
}

/// What a client and the gateway say of a request.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) request_id: String,
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
            self.send(Entry::Settle(reservation, Box::new(record), retry_after));
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

/// What the writer does at a time.
#[derive(Default)]
struct Batch {
    settled: Vec<(Option<ReservationId>, UsageRecord)>,
    /// How long each of these providers wants to be left alone.
    waits: Vec<Option<Duration>>,
    released: Vec<ReservationId>,
    asked: Vec<Reserve>,
    /// Who waits for an answer to each.
    answers: Vec<oneshot::Sender<Result<Reserved>>>,
}

/// Writes entries as they come, those that are there together in one go, until nobody can send any more.
fn write(app: &App, troubles: &Troubles, entries: &Receiver<Entry>, changed: &SyncSender<()>) {
    let ledger = app.ledger();
    while let Ok(first) = entries.recv() {
        let mut batch = Batch::default();
        for entry in std::iter::once(first).chain(entries.try_iter().take(AT_ONCE - 1)) {
            batch.add(entry);
        }
        if let Ok(reserved) = ledger.keep(&batch.settled, &batch.released, &batch.asked, app.now()) {
            for (answer, reserved) in batch.answers.into_iter().zip(reserved) {
                answer_or_release(ledger, answer, reserved);
            }
        } else {
            // One by one, so that one which is refused takes no other along; those first for whom somebody waits.
            for (answer, ask) in batch.answers.into_iter().zip(&batch.asked) {
                match ledger.reserve(ask, app.now()) {
                    Ok(reserved) => answer_or_release(ledger, answer, reserved),
                    Err(why) => drop(answer.send(Err(why.into()))),
                }
            }
            for one in &batch.settled {
                let one = std::slice::from_ref(one);
                persist(|| ledger.keep(one, &[], &[], app.now()).map(drop), "recorded");
            }
            for id in batch.released {
                persist(|| ledger.release(id), "released");
            }
        }
        if !batch.settled.is_empty() {
            // Where it is full, a sync is to come that takes this along.
            let _ = changed.try_send(());
        }
        for ((_, record), retry_after) in batch.settled.iter().zip(batch.waits) {
            troubles.learn(app, record, retry_after);
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

fn answer_or_release(ledger: &Ledger, answer: oneshot::Sender<Result<Reserved>>, reserved: Reserved) {
    // Whoever asked may be gone.
    if answer.send(Ok(reserved)).is_err()
        && let Reserved::Granted(id) = reserved
    {
        persist(|| ledger.release(id), "released");
    }
}

impl Batch {
    fn add(&mut self, entry: Entry) {
        match entry {
            Entry::Reserve(ask, answer) => {
                self.asked.push(ask);
                self.answers.push(answer);
            }
            Entry::Settle(reservation, record, retry_after) => {
                self.settled.push((reservation, *record));
                self.waits.push(retry_after);
            }
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
