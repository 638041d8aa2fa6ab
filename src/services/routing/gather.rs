//! Gathers what a decision is made of: settings, keys, models, prices, health, money.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::{
    supply::{KeySupply, Offer, Policy, Purse, Supply, Variant, Verdict},
    tail::{self, RecentRequests},
};
use crate::{
    app::App,
    catalog::{Catalog, Figures, Model, normalized, version},
    domain::{KeyRecord, KeyState, KeyStatus, Label, ModelId, ModelKind, ModelRef, ProviderId, Span, Task, last_days},
    error::{Code, Error, Result},
    providers::{self, ModelListing, Provider},
    services::{
        budget_status,
        caller::{Caller, CallerKind},
        health::{self, Healths},
        price_lookup, vault,
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
}

/// What is known of the stored keys.
#[derive(Debug)]
enum KnownKeys {
    Known(Option<Arc<VaultContents>>),
    /// The vault cannot be opened without a person, or not at all.
    Closed(Error),
}

/// Opens the vault for a person at a terminal, who can be asked; a client is told what is closed.
pub async fn open_for(app: &App, caller: &dyn Caller) -> Result<()> {
    match caller.kind() {
        CallerKind::Mcp { .. } | CallerKind::Gateway => Ok(()),
        CallerKind::Cli => match vault::open(app, caller).await {
            Err(error) if error.code() == Code::VaultAbsent => Ok(()),
            outcome => outcome,
        },
    }
}

impl RoutingSnapshot {
    /// The state now. Opens the vault only by what needs nobody, and asks only servers on this machine.
    pub async fn of(app: &App) -> Result<Self> {
        let config = app.settings().current();
        let keys = match vault::contents_unasked(app).await {
            Ok(contents) => KnownKeys::Known(Some(contents)),
            Err(error) if error.code() == Code::VaultAbsent => KnownKeys::Known(None),
            Err(error) => KnownKeys::Closed(error),
        };
        let here = config.providers().iter();
        let here = here.filter(|it| it.enabled && price_lookup::is_here(it));
        let asked = here.map(|provider| async { (provider.id.clone(), app.installed(provider).await) });
        let listings = futures_util::future::join_all(asked).await.into_iter().collect();
        let left = budget_status::left(app)?;
        let now = app.now();
        Ok(Self {
            now,
            figures: app.figures()?,
            catalog: match app.catalog() {
                // Whoever only looks sees what is built in, and the mistake beside it; tools do not come so far.
                Err(error) if error.code() == Code::ConfigInvalid => Catalog::built_in(),
                catalog => catalog?,
            },
            keys,
            healths: health::all(app)?,
            past: app.ledger().outcomes(now - tail::REACH)?,
            listings,
            purse: Purse {
                remaining: left.map(|left| left.remaining),
                is_low: left.is_some_and(|left| left.is_alert),
            },
            config,
        })
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

    /// The last 30 days, today included: what models, tasks and providers are in use is told of these.
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

    /// All providers with what they could do for `task`, besides those that nobody has set up or asked for and that
    /// have no models.
    pub fn supplies(&self, task: Task, asked: Option<&ProviderId>) -> Vec<Supply> {
        let is_named = |id: &ProviderId| {
            let routing = &self.config.routing;
            asked == Some(id)
                || self.config.providers.contains_key(id)
                || routing.tasks[&task].0 == *id
                || routing.fallback_order.iter().flatten().any(|named| named == id)
        };
        self.all_supplies(task)
            .into_iter()
            .filter(|it| {
                let has_models = it.offers.iter().any(|offer| offer.kind == task.model_kind());
                has_models || it.obstacle.is_none() || is_named(&it.provider)
            })
            .collect()
    }

    /// All providers with what they could do for `task`.
    pub fn all_supplies(&self, task: Task) -> Vec<Supply> {
        let tail = RecentRequests::of(self.past.iter(), self.now);
        self.providers()
            .iter()
            .map(|provider| self.supply(provider, task, &tail))
            .collect()
    }

    /// One provider with what it could do for `task`.
    fn supply(&self, provider: &Provider, task: Task, tail: &RecentRequests<'_>) -> Supply {
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
        Supply {
            offers: self.offers(provider, task, tail, obstacle.is_some()),
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
        // Requests of which nobody said which key they were made with are the usual one's.
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
            mended_at: record.and_then(health::mended_at),
            weight: configured.map_or(1, |key| key.weight),
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

    /// The provider's models: those that are configured, else those that its server on this machine has, else those of
    /// the catalog. Where the provider is out anyway, without what only matters in comparison.
    fn offers(&self, provider: &Provider, task: Task, tail: &RecentRequests<'_>, is_out: bool) -> Vec<Offer> {
        let installed = match self.listings.get(&provider.id) {
            Some(ModelListing::Models(models)) => Some(models),
            Some(ModelListing::Unsaid | ModelListing::Unreachable) | None => None,
        };
        let tail = Some(tail).filter(|tail| tail.knows(&provider.id));
        let soon = (self.now + SOON).to_zoned(TimeZone::UTC).date();
        // Most models share it.
        let only: Arc<[Variant]> = [Variant::default()].into();
        let offer = |name: &ModelRef, known: Option<&Model>, place: usize, kind: Option<ModelKind>| {
            let id = &name.model;
            let here = installed.and_then(|installed| installed.iter().find(|it| it.id == *id));
            let is_absent = installed.is_some() && here.is_none();
            let window = here.and_then(|here| here.context_window);
            let window = window.or_else(|| known.and_then(|known| known.context_window));
            let assumes_window = window.is_none() && price_lookup::is_here(provider);
            let is_retired =
                known.is_some_and(|known| !known.is_served_at(self.now)) || tail.is_some_and(|tail| tail.is_gone(name));
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
                price: if is_out {
                    None
                } else {
                    price_lookup::price_at(provider, known, self.now).map(Box::new)
                },
                absence: if is_absent {
                    Some(Verdict::NotInstalled)
                } else {
                    is_retired.then_some(Verdict::NotServed)
                },
                is_retiring: known.and_then(|known| known.retires_on).is_some_and(|on| on <= soon),
                place: u16::try_from(place).unwrap_or(u16::MAX),
                latency_ms: tail.and_then(|tail| tail.model_latency(name)),
                variants: if is_out {
                    Arc::clone(&only)
                } else {
                    variants(&self.figures, id, task, |other| {
                        self.is_no_dearer(&provider.id, known, other)
                    })
                    .unwrap_or_else(|| Arc::clone(&only))
                },
                model: id.clone(),
            }
        };
        let named = |id: &ModelId, place, kind| {
            let name = ModelRef {
                provider: provider.id.clone(),
                model: id.clone(),
            };
            let known = self.catalog.find(&name).map(|found| found.model);
            offer(&name, known, place, kind)
        };
        if let Some(listed) = &provider.models {
            let listed = listed.iter().enumerate();
            return listed.map(|(place, id)| named(id, place, None)).collect();
        }
        if let Some(installed) = installed {
            return installed.iter().map(|it| named(&it.id, 0, Some(it.kind))).collect();
        }
        let of_catalog = self.proposed(&provider.id, is_out).into_iter();
        of_catalog.map(|model| offer(&model.id, Some(model), 0, None)).collect()
    }

    /// Whether a model costs no more than the provider's model that the figures call `other`.
    fn is_no_dearer(&self, provider: &ProviderId, model: Option<&Model>, other: &str) -> bool {
        let others = self.catalog.kept_of(provider);
        let other = others.into_iter().find(|it| normalized(it.id.model.as_str()) == other);
        let rates = |model: Option<&Model>| Some(model?.price_at(self.now)?.standard);
        rates(model)
            .zip(rates(other))
            .is_some_and(|(new, old)| new.input <= old.input && new.output <= old.output)
    }

    /// The models of the catalog that are worth proposing; where none of the provider's is kept by hand, those of the
    /// public layer that somebody measured, or their family. They are not read for a provider that is out.
    fn proposed(&self, provider: &ProviderId, is_out: bool) -> Vec<&Model> {
        let is_of_use = |model: &&Model| match model.kind {
            ModelKind::Chat | ModelKind::Embedding => true,
            ModelKind::Rerank | ModelKind::Image => false,
        };
        let is_kept = self.catalog.kept_of(provider).next().is_some();
        if is_out {
            return self.catalog.kept_of(provider).filter(is_of_use).collect();
        }
        let mut proposed = self.catalog.proposed_of(provider);
        proposed.retain(is_of_use);
        let is_measured = |model: &&Model| self.figures.of(&model.id.model).is_some();
        if !is_kept && proposed.iter().any(is_measured) {
            proposed.retain(|model| model.kind == ModelKind::Embedding || is_measured(model));
        }
        proposed
    }
}

/// The efforts at which a model can be asked, each with its figure for `task`; nothing where nobody measured it.
fn variants(
    figures: &Figures,
    model: &ModelId,
    task: Task,
    is_no_dearer: impl Fn(&str) -> bool,
) -> Option<Arc<[Variant]>> {
    let known = figures.inherited(model, is_no_dearer)?;
    let variant = |it: &crate::catalog::QualityVariant| Variant {
        effort: it.effort,
        points: it.points(task),
        like: it.like.clone().or_else(|| known.like.clone()),
    };
    Some(known.variants.iter().map(variant).collect())
}
