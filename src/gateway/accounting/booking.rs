//! What requests cost: set aside before, recorded after, once.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::writer::{Books, Ended, GIVEN_UP};
use crate::{
    app::App,
    domain::{Label, Outcome, RecordedCost, Service, Source, Task, Tokens, UsageRecord, Usd},
    error::{Code, Result},
    gateway::{keys::health::KeyHealth, metrics::Metrics, request::prepared_request::PreparedRequest},
    providers::Meter,
    services::{budget, pricing::Pricing},
    settings::Budget,
    storage::{
        clients::Client,
        ledger::{ReservationId, Reserve},
    },
};

/// What requests cost, of all that go through the gateway.
#[derive(Debug)]
pub(in crate::gateway) struct Accounts {
    books: Arc<Books>,
    /// The threads that keep the books, until they have ended.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// A request that is paid for: settled once, or released where it reached nobody. Of one that is dropped in the middle
/// nobody knows what it used.
#[derive(Debug)]
pub(in crate::gateway) struct Booking {
    app: Arc<App>,
    metrics: Arc<Metrics>,
    books: Arc<Books>,
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
    /// Whether a provider has it, of which nothing is recorded yet.
    is_under_way: bool,
    is_settled: bool,
}

/// How a request ended.
#[derive(Debug, Clone, Copy)]
pub(in crate::gateway) struct Ending {
    pub(in crate::gateway) success: bool,
    pub(in crate::gateway) status: Option<u16>,
    pub(in crate::gateway) tokens: Tokens,
    /// Whether the tokens are an estimate, because the provider did not say.
    pub(in crate::gateway) is_estimated: bool,
    pub(in crate::gateway) service: Option<Service>,
    /// How long the provider wants to be left alone.
    pub(in crate::gateway) retry_after: Option<Duration>,
}

impl Ending {
    /// The end of a request that used nothing.
    pub(in crate::gateway) fn failed(status: Option<u16>, retry_after: Option<Duration>) -> Self {
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
    pub(in crate::gateway) fn unknown(input: u64) -> Self {
        Self {
            tokens: Meter::default().tokens_so_far(input),
            is_estimated: true,
            ..Self::failed(None, None)
        }
    }
}

impl Accounts {
    /// Starts the threads that keep the books.
    pub(in crate::gateway) fn open(app: &Arc<App>, key_health: &Arc<KeyHealth>) -> std::io::Result<Self> {
        let (books, changes) = Books::new(app, key_health);
        let books = Arc::new(books);
        let (kept, synced) = (Arc::clone(&books), Arc::clone(&books));
        let start = |name: &str| thread::Builder::new().name(name.to_owned());
        let threads = vec![
            start("accounts").spawn(move || kept.keep())?,
            start("sync").spawn(move || synced.sync(&changes))?,
        ];
        Ok(Self {
            books,
            threads: Mutex::new(threads),
        })
    }

    /// Writes what is left and ends; what is booked after that is lost.
    pub(in crate::gateway) fn close(&self) {
        self.books.close();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            let _ = thread.join();
        }
    }

    /// Sets aside what `prepared` may cost, and notes that it is about to be made.
    pub(in crate::gateway) async fn book(
        &self,
        app: &Arc<App>,
        budget: &Budget,
        metrics: &Arc<Metrics>,
        client: &Client,
        prepared: &PreparedRequest,
        noted: Noted,
    ) -> Result<Booking> {
        let now = app.now();
        let claim = budget::claim(budget, Some(client), prepared.most, now).map_err(|why| match why.code() {
            Code::PriceUnknown if prepared.is_deferred => why.hint(
                "what it uses is told only later: send the request so that its answer comes at once, or set \
                 `budget.unpriced_cap` to what may be set aside for such requests",
            ),
            _ => why,
        })?;
        let mut booking = Booking {
            app: Arc::clone(app),
            metrics: Arc::clone(metrics),
            books: Arc::clone(&self.books),
            reservation: None,
            record: UsageRecord {
                at: now,
                model: prepared.model.clone(),
                label: noted.label,
                task: noted.task,
                project: noted.project,
                session: noted.session,
                client: Some(client.name.to_string()),
                source: Source::Gateway,
                service: prepared.service,
                tokens: Tokens::default(),
                outcome: Outcome {
                    success: false,
                    status_code: None,
                    latency_ms: None,
                },
                cost: RecordedCost::Unpriced,
                request_id: Some(noted.request_id),
            },
            pricing: prepared.pricing.clone(),
            service: prepared.service,
            input: prepared.input,
            operation: prepared.operation,
            is_metered: prepared.is_metered,
            began: Instant::now(),
            is_under_way: false,
            is_settled: false,
        };
        if prepared.is_metered {
            let reserve = Reserve {
                amount: claim.amount,
                limits: claim.limits.clone(),
                until: now.checked_add(GIVEN_UP).unwrap_or(Timestamp::MAX),
                request: booking.ended(Ending::unknown(prepared.input)),
            };
            let reserved = self.books.reserve(reserve).await?;
            booking.reservation = Some(claim.granted(reserved, Some(client))?);
        }
        Ok(booking)
    }
}

/// What a client and the gateway say of a request.
#[derive(Debug)]
pub(in crate::gateway) struct Noted {
    pub(in crate::gateway) request_id: String,
    /// The key that is tried first.
    pub(in crate::gateway) label: Option<Label>,
    pub(in crate::gateway) project: Option<String>,
    pub(in crate::gateway) session: Option<String>,
    pub(in crate::gateway) task: Option<Task>,
}

impl Booking {
    /// The next try is with this key.
    pub(in crate::gateway) fn with_key(&mut self, label: Option<Label>) {
        self.record.label = label;
        self.began = Instant::now();
        self.is_under_way = true;
    }

    /// Records a try that failed while others are left.
    pub(in crate::gateway) fn record_attempt(&mut self, ending: Ending, number: usize) {
        self.is_under_way = false;
        let mut record = self.ended(ending);
        record.request_id = record.request_id.map(|id| format!("{id}-{number}"));
        self.keep(None, record, ending.retry_after);
    }

    /// The tokens of the prompt, as they were estimated.
    pub(in crate::gateway) fn input(&self) -> u64 {
        self.input
    }

    /// Counts how long the first piece of the answer took.
    pub(in crate::gateway) fn count_first_chunk(&self) {
        self.metrics
            .count_first_chunk(self.operation, &self.record, self.began.elapsed());
    }

    /// Records how the request ended, and says what it cost, where that is known.
    pub(in crate::gateway) fn settle(mut self, ending: Ending) -> Option<Usd> {
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
            self.books.settle(Ended {
                reservation,
                record,
                retry_after,
            });
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
}

impl Drop for Booking {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        if self.is_under_way {
            self.keep(self.reservation, self.ended(Ending::unknown(self.input)), None);
        } else if let Some(reservation) = self.reservation {
            self.books.release(reservation);
        }
    }
}
