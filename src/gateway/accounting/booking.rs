//! One request's part in the accounts: settled once, or released where it reached no provider.

use std::{
    sync::Arc,
    time::{Duration, Instant as Clock},
};

use tokio::time::Instant;

use super::writer::{Ended, HeldReservation, LedgerWriter};
use crate::{
    app::App,
    domain::{
        Billing, Extras, FullCost, Label, OwnCost, Portion, RecordedCost, RequestOutcome, Service, Task, Tokens,
        UsageRecord, UsageSource, Usd,
    },
    gateway::{
        metrics::Metrics,
        request::{attribution::Attribution, prepared_request::PreparedRequest},
    },
    providers::Meter,
    services::price_lookup::{self, Pricing},
    storage::{gateway_clients::GatewayClient, ledger::EntryId},
};

/// A provider's statement above so many times our own estimate, and that much beside it, is not believed: searches and
/// tools are charged beside the tokens, but not without end.
const MAX_TIMES: u64 = 1_000;
const OTHER_CHARGES: Usd = Usd::from_nano(10 * 1_000_000_000);
/// How often what a stream has used so far is noted in the journal.
const NOTE_INTERVAL: Duration = Duration::from_millis(100);

/// A request that is paid for. Of one that is dropped in the middle its use is unknown, and estimated.
#[derive(Debug)]
pub(in crate::gateway) struct Booking {
    app: Arc<App>,
    metrics: Arc<Metrics>,
    writer: Arc<LedgerWriter>,
    /// What is reserved for it, and its entry in the journal; nothing where it uses no tokens.
    held: Option<HeldReservation>,
    entry: Option<EntryId>,
    record: UsageRecord,
    pricing: Pricing,
    service: Service,
    /// The tokens of the prompt, as they were estimated.
    input: u64,
    /// Characters of the text that is to be read out.
    characters: u64,
    operation: &'static str,
    /// Whether it uses tokens: what does not is not recorded.
    is_metered: bool,
    began: Instant,
    /// When its use so far was noted last.
    noted_at: Clock,
    stage: BookingStage,
    /// Whether what was reserved went into an attempt that failed.
    is_used_up: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BookingStage {
    /// No provider has the request, or how its last attempt ended is recorded.
    Waiting,
    UnderWay,
    Settled,
}

/// How a request ended.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Ending {
    pub(in crate::gateway) success: bool,
    pub(in crate::gateway) status: Option<u16>,
    pub(in crate::gateway) tokens: Tokens,
    /// The tokens by the model that they are billed at; nothing where that is the requested one.
    pub(in crate::gateway) portions: Vec<Portion>,
    /// Whether the tokens are an estimate, because the provider did not say.
    pub(in crate::gateway) is_estimated: bool,
    /// What was used beside plain text.
    pub(in crate::gateway) extras: Extras,
    /// What the provider says that it cost.
    pub(in crate::gateway) stated_cost: Option<Usd>,
    pub(in crate::gateway) service: Option<Service>,
    /// How long the provider wants to be left alone.
    pub(in crate::gateway) retry_after: Option<Duration>,
}

/// What a client and the gateway note of a request.
#[derive(Debug)]
pub(in crate::gateway) struct Noted {
    pub(in crate::gateway) request_id: String,
    /// The key that is tried first.
    pub(in crate::gateway) label: Option<Label>,
    pub(in crate::gateway) attribution: Attribution,
    pub(in crate::gateway) task: Option<Task>,
}

impl Ending {
    /// The end of a request that used nothing.
    pub(in crate::gateway) fn failed(status: Option<u16>, retry_after: Option<Duration>) -> Self {
        Self {
            success: false,
            status,
            tokens: Tokens::default(),
            portions: Vec::new(),
            is_estimated: false,
            extras: Extras::default(),
            stated_cost: None,
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

impl Booking {
    /// A request for which nothing is reserved yet.
    pub(super) fn new(
        app: &Arc<App>,
        metrics: &Arc<Metrics>,
        writer: &Arc<LedgerWriter>,
        (client, prepared): (&GatewayClient, &PreparedRequest),
        noted: Noted,
    ) -> Self {
        let attribution = noted.attribution;
        Self {
            app: Arc::clone(app),
            metrics: Arc::clone(metrics),
            writer: Arc::clone(writer),
            held: None,
            entry: None,
            record: UsageRecord {
                at: app.now(),
                model: prepared.model.clone(),
                label: noted.label,
                task: noted.task,
                project: attribution.project,
                session: attribution.session,
                client: Some(client.name.to_string()),
                agent: attribution.agent,
                tags: attribution.tags,
                source: UsageSource::Gateway,
                service: prepared.service,
                tokens: Tokens::default(),
                outcome: RequestOutcome {
                    success: false,
                    status_code: None,
                    latency_ms: None,
                },
                cost: RecordedCost::Unpriced,
                billing: Billing::Billed,
                upstream_id: None,
                request_id: Some(noted.request_id),
            },
            pricing: prepared.pricing.clone(),
            service: prepared.service,
            input: prepared.input,
            characters: prepared.characters,
            operation: prepared.operation,
            is_metered: prepared.is_metered,
            began: Instant::now(),
            noted_at: Clock::now(),
            stage: BookingStage::Waiting,
            is_used_up: false,
        }
    }

    /// It may be sent now.
    pub(super) fn began(&mut self, held: Option<HeldReservation>, entry: EntryId) {
        self.held = held;
        self.entry = Some(entry);
    }

    /// The next attempt is with this key.
    pub(in crate::gateway) fn with_key(&mut self, label: Option<Label>) {
        self.record.label = label;
        self.record.upstream_id = None;
        self.began = Instant::now();
        self.stage = BookingStage::UnderWay;
    }

    /// The provider's own id of the attempt, by which logs of the client may name it.
    pub(in crate::gateway) fn answered_as(&mut self, upstream_id: Option<String>) {
        self.record.upstream_id = upstream_id;
    }

    /// Records an attempt that failed while others are left, which uses up what was reserved if it cost something.
    pub(in crate::gateway) fn record_attempt(&mut self, ending: &Ending, number: usize) {
        self.stage = BookingStage::Waiting;
        let mut record = self.ended(ending);
        record.request_id = record.request_id.map(|id| format!("{id}-{number}"));
        let has_cost = record.cost.usd().is_some_and(|cost| cost > Usd::ZERO);
        let held = if has_cost { self.held.take() } else { None };
        self.is_used_up = held.is_some();
        self.record(held, None, record, ending.retry_after);
    }

    /// Whether the next attempt needs a reservation of its own.
    pub(super) fn is_used_up(&self) -> bool {
        self.is_used_up
    }

    pub(super) fn reserved(&mut self, held: Option<HeldReservation>) {
        self.held = held;
        self.is_used_up = false;
    }

    /// The tokens of the prompt, as they were estimated.
    pub(in crate::gateway) fn input(&self) -> u64 {
        self.input
    }

    /// Counts how long the first chunk of the response took.
    pub(in crate::gateway) fn count_first_chunk(&self) {
        self.metrics
            .count_first_chunk(self.operation, &self.record, self.began.elapsed());
    }

    /// Notes now and then in the journal how the request would be recorded, should the process be killed.
    pub(in crate::gateway) fn note(&mut self, so_far: impl FnOnce() -> Ending) {
        if let Some(entry) = self.entry
            && self.noted_at.elapsed() >= NOTE_INTERVAL
        {
            self.noted_at = Clock::now();
            self.writer.update(entry, &self.ended(&so_far()));
        }
    }

    /// Records how the request ended, and says what it cost, where that is known.
    pub(in crate::gateway) fn settle(mut self, ending: &Ending) -> Option<Usd> {
        self.settle_now(ending)
    }

    fn settle_now(&mut self, ending: &Ending) -> Option<Usd> {
        self.stage = BookingStage::Settled;
        let record = self.ended(ending);
        let cost = record.cost.usd();
        tracing::info!(
            client = record.client.as_deref(),
            model = %record.model,
            status = record.outcome.status_code,
            latency_ms = record.outcome.latency_ms,
            "a request has ended"
        );
        let (held, entry) = (self.held.take(), self.entry.take());
        self.record(held, entry, record, ending.retry_after);
        cost
    }

    fn record(
        &self,
        held: Option<HeldReservation>,
        entry: Option<EntryId>,
        record: UsageRecord,
        retry_after: Option<Duration>,
    ) {
        if self.is_metered {
            self.metrics.count(self.operation, &record, self.began.elapsed());
            self.writer.settle(held, entry, Ended { record, retry_after });
        }
    }

    /// The record of the request, should it end so.
    pub(super) fn ended(&self, ending: &Ending) -> UsageRecord {
        let service = ending.service.unwrap_or(self.service);
        let own = self.own_cost(service, ending);
        let is_whole = own.as_ref().is_none_or(|(_, is_whole)| *is_whole);
        let own = own.map(|(own, _)| own);
        let cost = match (believed(ending.stated_cost, own.as_ref()), own) {
            (Some(cost), own) => RecordedCost::Stated { cost, own },
            (None, Some(OwnCost { cost, price })) if ending.is_estimated => RecordedCost::Estimated { cost, price },
            (None, Some(OwnCost { cost, price })) if !is_whole && cost > Usd::ZERO => {
                RecordedCost::LowerBound { cost, price }
            }
            (None, Some(OwnCost { cost, price })) => RecordedCost::Computed { cost, price },
            (None, None) => RecordedCost::Unpriced,
        };
        UsageRecord {
            at: self.app.now(),
            service,
            tokens: ending.tokens,
            outcome: RequestOutcome {
                success: ending.success,
                status_code: ending.status,
                latency_ms: u32::try_from(self.began.elapsed().as_millis()).ok(),
            },
            cost,
            ..self.record.clone()
        }
    }

    /// What our prices make of the usage, each portion at its own model, and whether that is all of it; nothing where a
    /// portion has no price.
    fn own_cost(&self, service: Service, ending: &Ending) -> Option<(OwnCost, bool)> {
        let Pricing::Priced(priced) = &self.pricing else {
            return None;
        };
        // What was refused was not read out.
        let is_done = ending.success || ending.is_estimated;
        let extras = Extras {
            characters: if is_done { self.characters } else { 0 },
            ..ending.extras
        };
        let full = match ending.portions.split_first() {
            None => priced.price.full_cost(service, &ending.tokens, &extras)?,
            Some((main, others)) => {
                let main = self.cost_of(service, main, &extras)?;
                others.iter().try_fold(main, |sum, portion| {
                    let cost = self.cost_of(service, portion, &Extras::default())?;
                    Some(sum.and(cost))
                })?
            }
        };
        let (cost, price) = (full.cost, priced.version.clone());
        Some((OwnCost { cost, price }, full.is_whole))
    }

    fn cost_of(&self, service: Service, portion: &Portion, extras: &Extras) -> Option<FullCost> {
        let asked = || match &self.pricing {
            Pricing::Priced(priced) => Some(priced.price.clone()),
            Pricing::Unpriced(_) => None,
        };
        let price = match &portion.model {
            Some(model) if *model != self.record.model.model => {
                let model = self.record.model.provider.model(model);
                let (catalog, config) = (self.app.catalog().ok()?, self.app.settings().current());
                price_lookup::price_of(&catalog, &config, &model, self.app.now())
                    .priced()?
                    .price
            }
            _ => asked()?,
        };
        // An advisor may have no rates for a service of the model that asks it.
        let cost = |service| price.full_cost(service, &portion.tokens, extras);
        cost(service).or_else(|| cost(Service::Standard))
    }
}

/// A stated cost that may be true beside what our own prices make of the tokens.
fn believed(stated: Option<Usd>, own: Option<&OwnCost>) -> Option<Usd> {
    let is_absurd = |cost: &Usd| {
        own.is_some_and(|own| own.cost > Usd::ZERO && *cost > own.cost.scaled(MAX_TIMES, 1) + OTHER_CHARGES)
    };
    stated.filter(|cost| !is_absurd(cost))
}

impl Drop for Booking {
    fn drop(&mut self) {
        match self.stage {
            BookingStage::Settled => {}
            // The client has gone, or the gateway stops: that is no fault of the key.
            BookingStage::UnderWay => {
                self.settle_now(&Ending {
                    status: Some(RequestOutcome::CLIENT_CLOSED_REQUEST),
                    ..Ending::unknown(self.input)
                });
            }
            BookingStage::Waiting => {
                if let Some(entry) = self.entry.take() {
                    self.writer.cancel(entry);
                }
            }
        }
    }
}
