//! Gathers what a decision is made of: settings, keys, models, prices, health, money.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::{
    supply::{KeySupply, Offer, Policy, Purse, Supply, Variant, Verdict},
    tail::{self, RecentRequests},
};
use crate::{
    app::App,
    catalog::{Catalog, Figures, Model, normalized, version},
    domain::{
        Health, KeyRecord, KeyState, KeyStatus, Label, ModelId, ModelKind, ModelRef, ProviderId, Span, Task, last_days,
    },
    error::{Code, Error, Result},
    providers::{self, Installed, ModelListing, Provider},
    services::{
        budget_status,
        caller::{Caller, CallerKind},
        health::{self, Healths},
        price_lookup, vault_access,
    },
    settings::Config,
    storage::{ledger::Outcomes, vault::VaultContents},
};

/// How many days back a model counts as used.
const USED_DAYS: u16 = 30;
/// The context window of a model on this machine whose server does not say it, in tokens.
const ASSUMED_WINDOW: u64 = 8_192;
/// How long before its end a model is chosen only where no other can be.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How long a state holds while requests of the last minute count: what time alone changes is seen that much later.
const MAX_AGE: SignedDuration = SignedDuration::from_secs(1);
/// At multiples of this, in seconds, prices, days and months may change.
const QUARTER: i64 = 900;

/// Everything that decisions at one moment are made of.
#[derive(Debug)]
pub struct RoutingSnapshot {
    pub now: Timestamp,
    pub config: Arc<Config>,
    pub catalog: Arc<Catalog>,
    pub figures: Arc<Figures>,
    keys: KnownKeys,
    healths: Healths,
    past: Outcomes,
    listings: BTreeMap<ProviderId, ModelListing>,
    purse: Purse,
    /// What was made of it already.
    supplies: Mutex<BTreeMap<SuppliesFor, Arc<Vec<Supply>>>>,
}

/// What supplies are for: the task, the requested provider, and whether only what can be used is complete.
type SuppliesFor = (Task, Option<ProviderId>, bool);

/// What is known of the stored keys.
#[derive(Debug)]
enum KnownKeys {
    Known(Option<Arc<VaultContents>>),
    /// The vault cannot be opened without a person, or not at all.
    Closed(Error),
}

/// Opens the vault for a person at a terminal, who can be asked; a client sees what is closed.
pub async fn open_for(app: &App, caller: &dyn Caller) -> Result<()> {
    match caller.kind() {
        CallerKind::Mcp { .. } | CallerKind::Gateway | CallerKind::Dashboard => Ok(()),
        CallerKind::Cli => match vault_access::open(app, caller).await {
            Err(error) if error.code() == Code::VaultAbsent => Ok(()),
            outcome => outcome,
        },
    }
}

impl KnownKeys {
    fn are_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Known(Some(one)), Self::Known(Some(other))) => Arc::ptr_eq(one, other),
            (Self::Known(None), Self::Known(None)) => true,
            (Self::Known(_) | Self::Closed(_), _) => false,
        }
    }
}

impl RoutingSnapshot {
    /// The state now: what was gathered for another call, while it holds.
    ///
    /// Opens the vault only without a person, and contacts only servers on this machine.
    pub async fn of(app: &App) -> Result<Arc<Self>> {
        let config = app.settings().current();
        let keys = match vault_access::contents_unasked(app).await {
            Ok(contents) => KnownKeys::Known(Some(contents)),
            Err(error) if error.code() == Code::VaultAbsent => KnownKeys::Known(None),
            Err(error) => KnownKeys::Closed(error),
        };
        let here = config.providers().iter();
        let here = here.filter(|it| it.enabled && price_lookup::is_here(it));
        let asked = here.map(|provider| async { (provider.id.clone(), app.installed(provider).await) });
        let listings: BTreeMap<_, _> = futures_util::future::join_all(asked).await.into_iter().collect();
        let now = app.now();
        let past = app.ledger().outcomes(now - tail::MAX_AGE)?;
        let catalog = match app.catalog() {
            // Whoever only looks sees what is built in, and the mistake beside it; tools do not come so far.
            Err(error) if error.code() == Code::ConfigInvalid => Catalog::built_in(),
            catalog => catalog?,
        };
        let figures = app.figures()?;
        if let Some(kept) = app.kept::<Self>()
            && kept.holds_at(now)
            && Arc::ptr_eq(&kept.config, &config)
            && Arc::ptr_eq(&kept.catalog, &catalog)
            && Arc::ptr_eq(&kept.figures, &figures)
            && kept.keys.are_the_same(&keys)
            && kept.past.is_the_same(&past)
            && kept.listings == listings
        {
            return Ok(kept);
        }
        let left = budget_status::left(app)?;
        let state = Arc::new(Self {
            now,
            catalog,
            figures,
            keys,
            healths: health::all(app)?,
            past,
            listings,
            purse: Purse {
                remaining: left.map(|left| left.remaining),
                is_low: left.is_some_and(|left| left.is_alert),
            },
            config,
            supplies: Mutex::default(),
        });
        app.keep(&state);
        Ok(state)
    }

    /// Whether time alone has changed nothing that counts since it was gathered.
    fn holds_at(&self, now: Timestamp) -> bool {
        let is_between = |at: Timestamp| self.now < at && at <= now;
        let changes = |health: &Health| is_between(health.until) || health.probe_until.is_some_and(is_between);
        let KnownKeys::Known(contents) = &self.keys else {
            return false;
        };
        let mut keys = contents.iter().flat_map(|contents| contents.keys.values());
        let is_busy = || self.past.iter().any(|past| past.at > self.now - tail::MINUTE);
        let is_of_quarter = now.as_second() / QUARTER == self.now.as_second() / QUARTER;
        now >= self.now
            && is_of_quarter
            && (now < self.now + MAX_AGE || !is_busy())
            && !self.healths.values().any(changes)
            && !keys.any(|record| record.expires_at.is_some_and(is_between))
    }

    /// The rules for `task`.
    pub fn policy(&self, task: Task) -> Policy {
        let routing = &self.config.routing;
        Policy {
            task: routing.tasks[&task].clone(),
            fallback_order: routing.fallback_order.clone(),
            objective: routing.objective,
            purse: self.purse,
        }
    }

    /// Why the vault could not be opened, if it could not.
    pub fn vault_problem(&self) -> Option<&Error> {
        match &self.keys {
            KnownKeys::Known(_) => None,
            KnownKeys::Closed(error) => Some(error),
        }
    }

    /// The last 30 days, today included: what models, tasks and providers are in use comes from these.
    pub fn last_days(&self) -> Span {
        let zone = &self.config.budget.time_zone;
        let days = last_days(USED_DAYS, self.now, zone);
        Span {
            from: days.first().map_or(self.now, |(_, day)| day.from),
            to: days.last().map_or(self.now, |(_, day)| day.to),
        }
    }

    /// The providers, as the configuration has them.
    pub fn providers(&self) -> &[Provider] {
        self.config.providers()
    }

    /// The last requests.
    pub(super) fn past(&self) -> &Outcomes {
        &self.past
    }

    /// The stored keys of `provider`; nothing where the vault is closed.
    pub fn records(&self, provider: &ProviderId) -> Option<Vec<&KeyRecord>> {
        match &self.keys {
            KnownKeys::Closed(_) => None,
            KnownKeys::Known(contents) => {
                let all = contents.iter().flat_map(|contents| contents.keys.values());
                let mut of_provider: Vec<&KeyRecord> = all
                    .filter(|record| record.removed_at.is_none() && record.provider == *provider)
                    .collect();
                of_provider.sort_by(|a, b| a.label.cmp(&b.label));
                Some(of_provider)
            }
        }
    }

    pub fn provider(&self, id: &ProviderId) -> Option<&Provider> {
        self.config.known(id)
    }

    /// All providers with what they could do for `task`, besides those that are neither set up nor asked for and that
    /// have no models. Of those that cannot be used, one model stands for all unless they are wanted `whole`.
    pub fn supplies(&self, task: Task, asked: Option<&ProviderId>, whole: bool) -> Arc<Vec<Supply>> {
        let key = (task, asked.cloned(), whole);
        let mut kept = self.supplies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(supplies) = kept.get(&key) {
            return Arc::clone(supplies);
        }
        let is_named = |id: &ProviderId| {
            let routing = &self.config.routing;
            asked == Some(id)
                || self.config.providers.contains_key(id)
                || routing.tasks[&task].0 == *id
                || routing.fallback_order.iter().flatten().any(|named| named == id)
        };
        let supplies = self.all_supplies(task, whole).into_iter().filter(|it| {
            let has_models = it.offers.iter().any(|offer| offer.kind == task.model_kind());
            has_models || it.obstacle.is_none() || is_named(&it.provider)
        });
        let supplies = Arc::new(supplies.collect::<Vec<_>>());
        kept.insert(key, Arc::clone(&supplies));
        supplies
    }

    /// All providers with what they could do for `task`.
    pub fn all_supplies(&self, task: Task, whole: bool) -> Vec<Supply> {
        let tail = RecentRequests::of(self.past.iter(), self.now);
        self.providers()
            .iter()
            .map(|provider| self.supply(provider, task, &tail, whole))
            .collect()
    }

    /// The models of `provider` that are served now, as far as is known; `supply` is the provider's.
    pub(super) fn served_models<'s>(&'s self, provider: &'s Provider, supply: &'s Supply) -> Vec<&'s ModelId> {
        let offered = supply.offers.iter().filter(|offer| offer.absence.is_none());
        if supply.hidden == 0 {
            return offered.map(|offer| &offer.model).collect();
        }
        if let Some(listed) = &provider.models {
            return listed.iter().collect();
        }
        let of_catalog = self.catalog.kept_of(&provider.id);
        let served = of_catalog.filter(|model| is_of_use(model) && model.is_served_at(self.now));
        served.map(|model| &model.id.model).collect()
    }

    /// One provider with what it could do for `task`.
    fn supply(&self, provider: &Provider, task: Task, tail: &RecentRequests<'_>, whole: bool) -> Supply {
        let keys = self.keys(provider, tail);
        let obstacle = if !provider.enabled {
            Some(Verdict::Disabled)
        } else if provider.base_url.is_empty() {
            Some(Verdict::NoAddress)
        } else if keys.is_empty() && self.vault_problem().is_some() {
            Some(Verdict::VaultClosed)
        } else if keys.is_empty() {
            Some(Verdict::NoKey)
        } else if self.listings.get(&provider.id) == Some(&ModelListing::Unreachable) {
            Some(Verdict::Unreachable)
        } else {
            None
        };
        let offering = Offering {
            state: self,
            provider,
            task,
            tail: Some(tail).filter(|tail| tail.knows(&provider.id)),
            installed: match self.listings.get(&provider.id) {
                Some(ModelListing::Models(models)) => Some(&**models),
                Some(ModelListing::Unsaid | ModelListing::Unreachable) | None => None,
            },
            is_out: obstacle.is_some(),
            only: [Variant::default()].into(),
        };
        let (offers, hidden) = if whole || obstacle.is_none() {
            (offering.all(), 0)
        } else {
            offering.one()
        };
        Supply {
            offers,
            hidden,
            provider: provider.id.clone(),
            obstacle,
            keys,
            weight: provider.weight,
        }
    }

    /// The provider's keys; one without a record where it needs none.
    fn keys(&self, provider: &Provider, tail: &RecentRequests<'_>) -> Vec<KeySupply> {
        let records = self.records(&provider.id).unwrap_or_default();
        let usual = health::usual_label(records.iter().map(|record| &record.label));
        if records.is_empty() && !provider.needs_key() {
            return vec![self.key(provider, &usual, &usual, None, tail)];
        }
        let labelled = records.into_iter();
        labelled
            .map(|record| self.key(provider, &record.label, &usual, Some(record), tail))
            .collect()
    }

    fn key(
        &self,
        provider: &Provider,
        label: &Label,
        usual: &Label,
        record: Option<&KeyRecord>,
        tail: &RecentRequests<'_>,
    ) -> KeySupply {
        let configured = provider.keys.get(label);
        let limit = configured.map_or(provider.rate_limit, |key| key.rate_limit);
        let pool = health::pool(provider, label);
        // Requests without a label count for the usual key.
        let unnamed = pool.contains(usual).then_some(None);
        let times = tail.times(&provider.id, pool.iter().map(Some).chain(unnamed));
        let used = times.iter().map(|times| times.len()).sum();
        // It eases as soon as so many have gone by that less than the limit are left.
        let surplus = limit.and_then(|limit| usize::checked_sub(used, usize::try_from(limit).ok()?));
        let last_surplus = surplus.filter(|surplus| *surplus < used).map(|surplus| {
            let mut times = times.concat();
            *times.select_nth_unstable(surplus).1
        });
        let latency = tail.key_latency(&provider.id, Some(label));
        let is_usual = label == usual;
        KeySupply {
            label: label.clone(),
            obstacle: record.and_then(|record| self.key_obstacle(provider, record)),
            health: self
                .healths
                .get(&(provider.id.clone(), label.clone()))
                .copied()
                .unwrap_or_default(),
            restored_at: record.and_then(health::restored_at),
            weight: configured.map_or(1, |key| key.weight),
            exposed: record.and_then(KeyRecord::active).is_some_and(|active| active.exposed),
            used: u32::try_from(used).unwrap_or(u32::MAX),
            limit,
            eases_at: last_surplus.map(|at| at + tail::MINUTE),
            latency_ms: latency.or_else(|| tail.key_latency(&provider.id, None).filter(|_| is_usual)),
        }
    }

    /// Why a stored key cannot be used, by its record.
    fn key_obstacle(&self, provider: &Provider, record: &KeyRecord) -> Option<Verdict> {
        match record.state(self.now) {
            KeyState::Usable => {}
            KeyState::Expired => return Some(Verdict::KeyExpired),
            KeyState::Removed | KeyState::Unfinished => return Some(Verdict::NoKey),
        }
        if record.origin != provider.origin {
            return Some(Verdict::OtherAddress);
        }
        match record.active()?.validation.as_ref()?.status {
            KeyStatus::Valid | KeyStatus::RateLimited | KeyStatus::Unreachable => None,
            KeyStatus::NoCredit => Some(Verdict::NoCredit),
            KeyStatus::Expired => Some(Verdict::KeyExpired),
            KeyStatus::Invalid | KeyStatus::Forbidden | KeyStatus::Malformed => Some(Verdict::KeyRefused),
        }
    }
}

/// What a provider's models are offered by.
struct Offering<'a> {
    state: &'a RoutingSnapshot,
    provider: &'a Provider,
    task: Task,
    /// Where there are requests to the provider in it.
    tail: Option<&'a RecentRequests<'a>>,
    /// What its server on this machine has.
    installed: Option<&'a [Installed]>,
    /// Whether it cannot be used anyway: what only matters in comparison is left out.
    is_out: bool,
    /// Most models share it.
    only: Arc<[Variant]>,
}

impl Offering<'_> {
    /// The provider's models: those that are configured, else those that its server on this machine has, else those of
    /// the catalog.
    fn all(&self) -> Vec<Offer> {
        if let Some(listed) = &self.provider.models {
            let listed = listed.iter().enumerate();
            return listed.map(|(place, id)| self.named(id, place, None)).collect();
        }
        if let Some(installed) = self.installed {
            return installed
                .iter()
                .map(|it| self.named(&it.id, 0, Some(it.kind)))
                .collect();
        }
        self.of_catalog()
            .map(|model| self.offer(&model.id, Some(model), 0, None))
            .collect()
    }

    /// One model for the task, and how many others there are.
    fn one(&self) -> (Vec<Offer>, usize) {
        let kind = self.task.model_kind();
        if self.provider.models.is_some() || self.installed.is_some() {
            let mut offers = self.all();
            offers.retain(|offer| offer.kind == kind);
            let hidden = offers.len().saturating_sub(1);
            offers.truncate(1);
            return (offers, hidden);
        }
        let mut models = self.of_catalog().filter(|model| model.kind == kind);
        let first = models.next().map(|model| self.offer(&model.id, Some(model), 0, None));
        (first.into_iter().collect(), models.count())
    }

    /// The models of the catalog that are worth proposing; where none of the provider's is kept by hand, those of the
    /// public layer that were measured, or whose family was. They are not read for a provider that is out.
    fn of_catalog(&self) -> impl Iterator<Item = &Model> {
        let (catalog, provider) = (&self.state.catalog, &self.provider.id);
        let mut models: Vec<&Model> = catalog.kept_of(provider).collect();
        if !self.is_out {
            let is_measured = |model: &&Model| self.state.figures.of(&model.id.model).is_some();
            let is_kept = !models.is_empty();
            models = catalog.proposed_of(provider);
            if !is_kept && models.iter().any(is_measured) {
                models.retain(|model| model.kind == ModelKind::Embedding || is_measured(model));
            }
        }
        models.into_iter().filter(|model| is_of_use(model))
    }

    /// Whether a model costs no more than the provider's model that the figures call `other`.
    fn costs_no_more(&self, model: Option<&Model>, other: &str) -> bool {
        let mut others = self.state.catalog.kept_of(&self.provider.id);
        let other = others.find(|it| normalized(it.id.model.as_str()) == other);
        let rates = |model: Option<&Model>| Some(model?.price_at(self.state.now)?.offered.standard);
        rates(model)
            .zip(rates(other))
            .is_some_and(|(new, old)| new.input <= old.input && new.output <= old.output)
    }

    fn named(&self, id: &ModelId, place: usize, kind: Option<ModelKind>) -> Offer {
        let name = self.provider.id.model(id);
        let known = self.state.catalog.find(&name).map(|found| found.model);
        self.offer(&name, known, place, kind)
    }

    fn offer(&self, name: &ModelRef, known: Option<&Model>, place: usize, kind: Option<ModelKind>) -> Offer {
        let (id, now) = (&name.model, self.state.now);
        let here = self.installed.and_then(|all| all.iter().find(|it| it.id == *id));
        let is_absent = self.installed.is_some() && here.is_none();
        let window = here.and_then(|here| here.context_window);
        let window = window.or_else(|| known.and_then(|known| known.context_window));
        let assumes_window = window.is_none() && price_lookup::is_here(self.provider);
        let soon = (now + SOON).to_zoned(TimeZone::UTC).date();
        let is_retired =
            known.is_some_and(|known| !known.is_served_at(now)) || self.tail.is_some_and(|tail| tail.is_gone(name));
        Offer {
            version: version(id),
            kind: kind
                .or_else(|| known.map(|known| known.kind))
                .unwrap_or_else(|| providers::kind(id.as_str(), "")),
            context_window: window.or_else(|| assumes_window.then_some(ASSUMED_WINDOW)),
            assumes_window,
            max_input: known.and_then(|known| known.max_input),
            max_output: known.and_then(|known| known.max_output),
            capabilities: known.and_then(|known| known.capabilities),
            price: if self.is_out {
                None
            } else {
                price_lookup::price_at(self.provider, known, now).map(Box::new)
            },
            absence: if is_absent {
                Some(Verdict::NotInstalled)
            } else {
                is_retired.then_some(Verdict::NotServed)
            },
            is_retiring: known.and_then(|known| known.retires_on).is_some_and(|on| on <= soon),
            place: u16::try_from(place).unwrap_or(u16::MAX),
            latency_ms: self.tail.and_then(|tail| tail.model_latency(name)),
            variants: if self.is_out {
                Arc::clone(&self.only)
            } else {
                variants(&self.state.figures, id, self.task, |other| {
                    self.costs_no_more(known, other)
                })
                .unwrap_or_else(|| Arc::clone(&self.only))
            },
            model: id.clone(),
        }
    }
}

/// Whether there is a task for models of that kind.
fn is_of_use(model: &Model) -> bool {
    match model.kind {
        ModelKind::Chat | ModelKind::Embedding => true,
        ModelKind::Rerank | ModelKind::Image | ModelKind::Speech => false,
    }
}

/// The efforts at which a model can be asked, each with its figure for `task`; none where it was not measured.
fn variants(
    figures: &Figures,
    model: &ModelId,
    task: Task,
    costs_no_more: impl Fn(&str) -> bool,
) -> Option<Arc<[Variant]>> {
    let known = figures.inherited(model, costs_no_more)?;
    let variant = |it: &crate::catalog::QualityVariant| Variant {
        effort: it.effort,
        points: it.points(task),
        like: it.like.clone().or_else(|| known.like.clone()),
    };
    Some(known.variants.iter().map(variant).collect())
}
