//! What a decision is made of: the providers with their keys and models, the request, and the policy.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use crate::{
    catalog::{Capabilities, Points},
    domain::{
        Capability, Effort, Health, HealthState, Label, ModelId, ModelKind, Objective, Price, ProviderId, Task,
        Trouble, Usd,
    },
};

/// A provider: the keys that lead to it, and the models behind it.
#[derive(Debug, Clone)]
pub struct Supply {
    pub provider: ProviderId,
    /// What stands before all its models, if anything does.
    pub obstacle: Option<Verdict>,
    /// One without a secret where the provider needs none.
    pub keys: Vec<KeySupply>,
    /// Its share of the requests among providers of equal rank.
    pub weight: u32,
    pub offers: Vec<Offer>,
    /// How many more models have the same obstacle.
    pub hidden: usize,
}

/// One key of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySupply {
    pub label: Label,
    /// Why it cannot be used by what is stored of it, if it cannot.
    pub obstacle: Option<Verdict>,
    /// Its health.
    pub health: Health,
    /// When it was last changed or found valid.
    pub restored_at: Option<Timestamp>,
    /// Its share of the requests among the provider's keys.
    pub weight: u32,
    /// Requests of the last minute with it and the keys that share its quota.
    pub used: u32,
    /// Requests that it may have in a minute.
    pub limit: Option<u32>,
    /// Whether it was sent through a chat: others are preferred.
    pub exposed: bool,
    /// When the first of the last minute's requests counts no more.
    pub eases_at: Option<Timestamp>,
    /// The median of its last answers.
    pub latency_ms: Option<u32>,
}

/// A model that a provider serves.
#[derive(Debug, Clone)]
pub struct Offer {
    pub model: ModelId,
    /// The numbers in its name: among equals, the newer one goes first.
    pub version: Vec<u32>,
    pub kind: ModelKind,
    pub context_window: Option<u64>,
    /// Whether that is an assumption, as its server on this machine does not say.
    pub assumes_window: bool,
    pub max_input: Option<u64>,
    pub max_output: Option<u64>,
    /// What it can do, where that is known.
    pub capabilities: Option<Capabilities>,
    /// Nothing where it is not known.
    pub price: Option<Box<Price>>,
    /// Why it is not there, if it is not.
    pub absence: Option<Verdict>,
    /// Whether its provider stops serving it soon.
    pub is_retiring: bool,
    /// Its place in the provider's configured list of models.
    pub place: u16,
    /// The median of its last answers.
    pub latency_ms: Option<u32>,
    /// The efforts it supports; never empty.
    pub variants: Arc<[Variant]>,
}

/// A model at an effort: a candidate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Variant {
    pub effort: Option<Effort>,
    /// How good it is at the task, where a figure is public.
    pub points: Option<Points>,
    /// The model of its family whose figure that is, where it is not its own.
    pub like: Option<Arc<str>>,
}

/// What a route is wanted for.
#[derive(Debug, Clone)]
pub struct RouteQuery {
    pub task: Task,
    pub preferred: Option<ProviderId>,
    pub model: Option<ModelId>,
    /// Whether another provider may stand in.
    pub allows_fallback: bool,
    pub tokens: Expected,
    /// Nothing where the configured objective will do.
    pub objective: Option<Objective>,
    pub needs: BTreeSet<Capability>,
    /// Requests of one session stay with one key while they can.
    pub session: Option<String>,
}

/// How long a request and its answer are expected to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    pub input: u64,
    /// Without reasoning.
    pub output: u64,
    /// Whether these are what is typical of the task, because none were given.
    pub are_typical: bool,
}

/// By which rules is decided.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The provider for the task, and its model where one is named.
    pub task: (ProviderId, Option<ModelId>),
    /// Providers of equal rank are in one group.
    pub fallback_order: Vec<Vec<ProviderId>>,
    pub objective: Objective,
    pub purse: Purse,
}

/// What may still be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purse {
    /// Nothing where there is no budget.
    pub remaining: Option<Usd>,
    /// Whether a budget has reached its alert threshold.
    pub is_low: bool,
}

/// What became of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Chosen,
    /// Could be used; another is better.
    Outranked,
    Disabled,
    NoAddress,
    /// The vault is locked or unusable, so its keys are unknown.
    VaultClosed,
    NoKey,
    KeyExpired,
    /// The provider does not take it, or not for this.
    KeyRefused,
    NoCredit,
    /// The key was added for another address than the configuration now says.
    OtherAddress,
    /// A server on this machine that does not answer.
    Unreachable,
    RateLimited {
        until: Timestamp,
    },
    Unhealthy {
        until: Timestamp,
    },
    NotForTask,
    /// The provider has retired it.
    NotServed,
    /// The server on this machine does not have it.
    NotInstalled,
    /// The provider's models are unknown.
    NoModels,
    Lacks(Capability),
    ContextTooSmall {
        limit: u64,
    },
    OverBudget,
    /// The budget is used up, and the model is not known to be free.
    Unpriced,
}

/// What a verdict is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Concern {
    /// The candidate could have been used.
    Usable,
    /// The provider, with all its models.
    Provider,
    /// The model, as many others of the provider.
    ManyModels,
    /// The model alone.
    Model,
}

impl Verdict {
    /// The verdict as results spell it, and what it is about.
    fn facts(self) -> (&'static str, Concern) {
        match self {
            Self::Chosen => ("chosen", Concern::Usable),
            Self::Outranked => ("outranked", Concern::Usable),
            Self::Disabled => ("disabled", Concern::Provider),
            Self::NoAddress => ("no_address", Concern::Provider),
            Self::VaultClosed => ("vault_closed", Concern::Provider),
            Self::NoKey => ("no_key", Concern::Provider),
            Self::KeyExpired => ("key_expired", Concern::Provider),
            Self::KeyRefused => ("key_refused", Concern::Provider),
            Self::NoCredit => ("no_credit", Concern::Provider),
            Self::OtherAddress => ("other_address", Concern::Provider),
            Self::Unreachable => ("unreachable", Concern::Provider),
            Self::RateLimited { .. } => ("rate_limited", Concern::Provider),
            Self::Unhealthy { .. } => ("unhealthy", Concern::Provider),
            Self::NotForTask => ("not_for_task", Concern::ManyModels),
            Self::NotServed => ("not_served", Concern::ManyModels),
            Self::NotInstalled => ("not_installed", Concern::Model),
            Self::NoModels => ("no_models", Concern::Provider),
            Self::Lacks(_) => ("lacks", Concern::Model),
            Self::ContextTooSmall { .. } => ("context_too_small", Concern::Model),
            Self::OverBudget => ("over_budget", Concern::Model),
            Self::Unpriced => ("unpriced", Concern::Model),
        }
    }

    /// The verdict as results spell it.
    pub fn as_str(self) -> &'static str {
        self.facts().0
    }

    /// Whether the candidate could have been used.
    pub fn is_usable(self) -> bool {
        self.facts().1 == Concern::Usable
    }

    /// Whether it is about the provider, not about one of its models.
    pub fn is_of_provider(self) -> bool {
        matches!(self.facts().1, Concern::Usable | Concern::Provider)
    }

    /// Whether it holds for many models of a provider alike.
    pub fn is_of_all(self) -> bool {
        matches!(self.facts().1, Concern::Provider | Concern::ManyModels)
    }

    /// When it may be over by itself.
    pub fn until(self) -> Option<Timestamp> {
        if let Self::RateLimited { until } | Self::Unhealthy { until } = self {
            Some(until)
        } else {
            None
        }
    }
}

impl Expected {
    /// What a request of that kind usually has: our assumption, where none is given.
    pub fn typical(task: Task) -> Self {
        let (input, output) = match task {
            Task::CodeGeneration => (4_000, 1_500),
            Task::CodeReview => (8_000, 1_000),
            Task::Embeddings => (1_000, 0),
            Task::Analysis => (6_000, 1_200),
            Task::Chat => (2_000, 500),
            Task::Summarization => (8_000, 500),
            Task::DataExtraction => (4_000, 600),
        };
        Self {
            input,
            output,
            are_typical: true,
        }
    }
}

impl RouteQuery {
    /// A request for `task` about which nothing more is said.
    pub fn of(task: Task) -> Self {
        Self {
            task,
            preferred: None,
            model: None,
            allows_fallback: true,
            tokens: Expected::typical(task),
            objective: None,
            needs: BTreeSet::new(),
            session: None,
        }
    }
}

impl Supply {
    /// Why none of its keys can be used at `now`, if none can: what ends soonest, else the first.
    pub fn key_obstacle(&self, now: Timestamp) -> Option<Verdict> {
        let mut obstacles = Vec::with_capacity(self.keys.len());
        for key in &self.keys {
            obstacles.push(key.obstacle(now)?);
        }
        let soonest = obstacles
            .iter()
            .filter(|obstacle| obstacle.until().is_some())
            .min_by_key(|obstacle| obstacle.until());
        soonest.or(obstacles.first()).copied().or(Some(Verdict::NoKey))
    }
}

impl KeySupply {
    /// Why it cannot be used at `now`, if it cannot.
    pub fn obstacle(&self, now: Timestamp) -> Option<Verdict> {
        let unhealthy = || match self.state(now) {
            HealthState::Healthy | HealthState::Due { .. } => None,
            HealthState::Cooling { trouble, until } | HealthState::Probing { trouble, until } => Some(match trouble {
                Trouble::RateLimited => Verdict::RateLimited { until },
                Trouble::Failing | Trouble::NoCredit | Trouble::Refused => Verdict::Unhealthy { until },
            }),
            HealthState::Out {
                trouble: Trouble::NoCredit,
            } => Some(Verdict::NoCredit),
            HealthState::Out { .. } => Some(Verdict::KeyRefused),
        };
        let full = || {
            let until = self.eases_at.filter(|until| *until > now)?;
            let is_full = self.limit.is_some_and(|limit| self.used >= limit);
            is_full.then_some(Verdict::RateLimited { until })
        };
        self.obstacle.or_else(unhealthy).or_else(full)
    }

    /// Where it stands between healthy and out.
    pub fn state(&self, now: Timestamp) -> HealthState {
        self.health.state(self.restored_at, now)
    }
}
