//! A route for a request: gathered, decided, and in the form of results.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{
    decide::{Candidate, Decision, Precedence, decide},
    gather::RoutingSnapshot,
    reason::{self, phrase, reason},
    supply::{Expected, Offer, RouteQuery, Supply, Variant, Verdict},
};
use crate::{
    app::App,
    catalog::Points,
    domain::{
        Billionths, Capability, Effort, HealthState, ModelId, ModelRef, Objective, ProviderId, Task, Usd, utc_text,
    },
    error::{Code, Error, Result},
    providers::{self, ProviderKind},
    services::health,
};

/// The most candidates that a result lists where all are requested: models read it.
const MAX_CONSIDERED: usize = 100;
/// How many it lists besides the chosen one where they are not.
const MAX_NEAREST: usize = 10;
/// How many answers are kept.
const MAX_KNOWN: usize = 64;
/// How many providers an error names.
const MAX_NAMED: usize = 5;

/// A route that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    pub task: Task,
    pub preferred: Option<ProviderId>,
    /// As its provider calls it, with or without `provider/`.
    pub model: Option<String>,
    pub allows_fallback: bool,
    /// Nothing for what is typical of the task.
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    pub objective: Option<Objective>,
    pub needs: BTreeSet<Capability>,
    pub session: Option<String>,
    /// Whether every candidate is listed.
    pub lists_all: bool,
}

/// Where a request should go.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Route {
    pub provider: String,
    pub model: String,
    /// Which of the provider's keys; null where it needs none
    pub label: Option<String>,
    /// Reasoning effort; absent where it is unknown
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
    /// One sentence
    pub reason: String,
    /// Whether it is another provider or model than the one wanted first
    pub is_fallback: bool,
    /// What the request is for
    pub task_type: Task,
    /// The provider wanted first
    pub original_provider: String,
    /// The objective that candidates were compared by
    pub objective: Objective,
    /// For the tokens below, without reasoning; null where no price is known
    pub estimated_cost_usd: Option<Usd>,
    /// What the request is expected to need
    pub tokens: TokensView,
    /// Expected extra for the effort: an assumption, not a measurement
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Reasoning>,
    /// The best of every other provider, in order
    pub fallbacks: Vec<Fallback>,
    /// The chosen model and those that came nearest, each at its best effort, best first, and why it was not chosen
    pub considered: Vec<Considered>,
    /// How many models there are of each verdict
    pub verdicts: BTreeMap<&'static str, usize>,
    /// How many more lines there are with all_candidates
    #[serde(skip_serializing_if = "Option::is_none")]
    pub considered_omitted: Option<usize>,
    /// Who measured the quality, and when
    pub quality_source: String,
}

/// The tokens that are expected.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TokensView {
    pub input: u64,
    pub output: u64,
    /// Whether they are typical of the task because none were given
    pub typical: bool,
}

/// What an effort is expected to add.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Reasoning {
    pub tokens: u64,
    pub cost_usd: Option<Usd>,
}

/// What to take where the chosen one fails.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Fallback {
    pub provider: String,
    pub model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
}

/// A candidate and the verdict on it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Considered {
    pub provider: String,
    /// Null where no model of the provider is known
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
    pub verdict: &'static str,
    /// When the verdict may end by itself
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The most tokens that it takes, where that is why
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// What it lacks, where that is why
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lacks: Option<Capability>,
    /// From 0 to 100
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<Billionths>,
    /// The model of its family whose quality this is, if it has no figure of its own
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality_of: Option<String>,
    /// Reasoning included
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_cost_usd: Option<Usd>,
    /// How many other models of the provider have the same verdict
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_models: Option<usize>,
}

impl Wanted {
    /// A route for `task`, about which nothing more is said.
    pub fn of(task: Task) -> Self {
        Self {
            task,
            preferred: None,
            model: None,
            allows_fallback: true,
            input_tokens: None,
            output_tokens: None,
            objective: None,
            needs: BTreeSet::new(),
            session: None,
            lists_all: false,
        }
    }
}

/// The route for a request that is about to be made.
///
/// A key whose cooldown is over is given to one request at a time, over all processes.
pub async fn route(app: &App, wanted: &Wanted) -> Result<Arc<Route>> {
    loop {
        let state = RoutingSnapshot::of(app).await?;
        let known = KnownRoutes::of(app, &state);
        if let Some(route) = known.get(wanted) {
            return Ok(route);
        }
        let mut supplies = supplies(&state, wanted);
        let ask = ask(&state, &mut supplies, wanted)?;
        let decision = decide(&state.policy(wanted.task), &supplies, &ask, state.now);
        let (Some(chosen), Some(key)) = (decision.chosen(), decision.key) else {
            return answer(&state, &decision, &ask, wanted.lists_all).map(Arc::new);
        };
        if matches!(key.state(state.now), HealthState::Due { .. }) {
            if let Some(provider) = state.provider(&chosen.supply.provider)
                && !health::claim(app, provider, &key.label).await?
            {
                // Another process was quicker: for us it is not due any more.
                continue;
            }
            return answer(&state, &decision, &ask, wanted.lists_all).map(Arc::new);
        }
        return answer(&state, &decision, &ask, wanted.lists_all).map(|route| known.keep(wanted, route));
    }
}

/// The routes that were found from one state: the same question has the same answer.
#[derive(Debug)]
struct KnownRoutes {
    state: Arc<RoutingSnapshot>,
    routes: Mutex<BTreeMap<Wanted, Arc<Route>>>,
}

impl KnownRoutes {
    fn of(app: &App, state: &Arc<RoutingSnapshot>) -> Arc<Self> {
        if let Some(kept) = app.kept::<Self>()
            && Arc::ptr_eq(&kept.state, state)
        {
            return kept;
        }
        let new = Arc::new(Self {
            state: Arc::clone(state),
            routes: Mutex::default(),
        });
        app.keep(&new);
        new
    }

    fn get(&self, wanted: &Wanted) -> Option<Arc<Route>> {
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        routes.get(wanted).cloned()
    }

    fn keep(&self, wanted: &Wanted, route: Route) -> Arc<Route> {
        let route = Arc::new(route);
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if routes.len() >= MAX_KNOWN {
            routes.clear();
        }
        routes.insert(wanted.clone(), Arc::clone(&route));
        route
    }
}

/// The route that a request for `task` would get now; nothing is claimed for it.
pub fn look(state: &RoutingSnapshot, task: Task) -> Result<Route> {
    let wanted = Wanted::of(task);
    let mut supplies = supplies(state, &wanted);
    let ask = ask(state, &mut supplies, &wanted)?;
    let decision = decide(&state.policy(task), &supplies, &ask, state.now);
    answer(state, &decision, &ask, false)
}

/// What there is for it; models differ only where one of them is named.
fn supplies(state: &RoutingSnapshot, wanted: &Wanted) -> Arc<Vec<Supply>> {
    let whole = wanted.lists_all || wanted.model.is_some();
    state.supplies(wanted.task, wanted.preferred.as_ref(), whole)
}

/// The question, with the model by the name that its provider knows it by.
fn ask(state: &RoutingSnapshot, supplies: &mut Arc<Vec<Supply>>, wanted: &Wanted) -> Result<RouteQuery> {
    let (preferred, model) = match &wanted.model {
        None => (wanted.preferred.clone(), None),
        Some(name) => {
            let (preferred, model) = resolve(state, supplies, wanted.preferred.as_ref(), name)?;
            (preferred, Some(model))
        }
    };
    let typical = Expected::typical(wanted.task);
    Ok(RouteQuery {
        task: wanted.task,
        preferred,
        model,
        allows_fallback: wanted.allows_fallback,
        tokens: Expected {
            input: wanted.input_tokens.unwrap_or(typical.input),
            output: wanted.output_tokens.unwrap_or(typical.output),
            are_typical: wanted.input_tokens.is_none() || wanted.output_tokens.is_none(),
        },
        objective: wanted.objective,
        needs: wanted.needs.clone(),
        session: wanted.session.clone(),
    })
}

/// The provider that is meant, where one is, and the model that `name` means there.
fn resolve(
    state: &RoutingSnapshot,
    supplies: &mut Arc<Vec<Supply>>,
    preferred: Option<&ProviderId>,
    name: &str,
) -> Result<(Option<ProviderId>, ModelId)> {
    let id: ModelId = name.parse()?;
    if preferred.is_none()
        && let Some(found) = supplies.iter().find_map(|supply| has(state, supply, &id))
    {
        return Ok((None, found));
    }
    let spelled: Option<ModelRef> = name.parse().ok();
    let named = spelled
        .clone()
        .filter(|it| preferred.is_none_or(|preferred| *preferred == it.provider))
        .map(|it| (it.provider, it.model));
    let meant = preferred.map(|preferred| (preferred.clone(), id.clone()));
    for (provider, id) in meant.into_iter().chain(named) {
        let Some(at) = supplies.iter().position(|supply| supply.provider == provider) else {
            continue;
        };
        let supply = &supplies[at];
        if let Some(found) = has(state, supply, &id) {
            return Ok((Some(provider), found));
        }
        // An endpoint of the user's own whose models are unknown is taken at the caller's word.
        let is_own = |it: &providers::Provider| it.kind == ProviderKind::OpenAiCompatible;
        if supply.offers.is_empty() && state.provider(&provider).is_some_and(is_own) {
            if let Some(supply) = Arc::make_mut(supplies).get_mut(at) {
                supply.offers.push(unheard_of(&id));
            }
            return Ok((Some(provider), id));
        }
    }
    let having = supplies.iter().filter(|supply| {
        let of_it = || spelled.as_ref().filter(|it| it.provider == supply.provider);
        has(state, supply, &id)
            .or_else(|| has(state, supply, &of_it()?.model))
            .is_some()
    });
    let having: Vec<&str> = having.map(|supply| supply.provider.as_str()).collect();
    let named = id.as_str().split_once('/').map(|(provider, _)| provider);
    let nearest = named.and_then(|named| state.config.provider(named).err()?.nearest);
    let meant = nearest
        .map(|provider| format!("did you mean `{provider}/…`? "))
        .unwrap_or_default();
    let (message, hint) = match (preferred, having.as_slice()) {
        (Some(preferred), []) => (
            format!("{preferred} has no model {id}, and neither has any other provider"),
            format!(
                "{meant}`api-keys stats` lists the models; name one that the catalog does not know in `models` of its provider in config.toml"
            ),
        ),
        (None, _) => (
            format!("no provider has a model {id}"),
            format!(
                "{meant}`api-keys stats` lists the models; name one that the catalog does not know in `models` of its provider in config.toml"
            ),
        ),
        (Some(preferred), having) => (
            format!("{preferred} has no model {id}; {} has it", having.join(", ")),
            format!("set preferred_provider to {}, or leave it out", having.join(" or ")),
        ),
    };
    Err(Error::new(Code::UnknownModel, message).hint(hint))
}

/// The model that `id` means to the provider, if it has it: by its id, another of its names, or without a tag.
fn has(state: &RoutingSnapshot, supply: &Supply, id: &ModelId) -> Option<ModelId> {
    let offered = |id: &ModelId| supply.offers.iter().any(|offer| offer.model == *id).then(|| id.clone());
    let by_catalog = || {
        let name = ModelRef {
            provider: supply.provider.clone(),
            model: id.clone(),
        };
        offered(&state.catalog.find(&name)?.model.id.model)
    };
    let tagged = || offered(&format!("{id}:latest").parse().ok()?);
    offered(id).or_else(by_catalog).or_else(tagged)
}

/// A model of which nothing is known but its name.
fn unheard_of(id: &ModelId) -> Offer {
    Offer {
        model: id.clone(),
        kind: providers::kind(id.as_str(), ""),
        context_window: None,
        assumes_window: false,
        version: Vec::new(),
        max_input: None,
        max_output: None,
        capabilities: None,
        price: None,
        absence: None,
        is_retiring: false,
        place: 0,
        latency_ms: None,
        variants: [Variant::default()].into(),
    }
}

/// The decision in the form of results, or the error that there is none.
fn answer(state: &RoutingSnapshot, decision: &Decision<'_>, ask: &RouteQuery, lists_all: bool) -> Result<Route> {
    let (Some(chosen), Some(key)) = (decision.chosen(), decision.key) else {
        return Err(no_route(state, decision, ask, &considered(decision).0));
    };
    let (considered, omitted) = if lists_all {
        considered(decision)
    } else {
        nearest(decision)
    };
    let estimate = chosen.estimate;
    let has_record = |id: &ProviderId| state.records(id).is_some_and(|records| !records.is_empty());
    Ok(Route {
        provider: chosen.supply.provider.to_string(),
        model: chosen.offer.model.to_string(),
        label: has_record(&chosen.supply.provider).then(|| key.label.to_string()),
        effort: chosen.variant.effort,
        reason: reason(decision, &state.policy(ask.task), ask, &state.figures),
        is_fallback: decision.is_fallback(ask),
        task_type: ask.task,
        original_provider: decision.original.to_string(),
        objective: decision.objective,
        estimated_cost_usd: estimate.cost,
        tokens: TokensView {
            input: ask.tokens.input,
            output: ask.tokens.output,
            typical: ask.tokens.are_typical,
        },
        reasoning: (estimate.reasoning_tokens > 0).then_some(Reasoning {
            tokens: estimate.reasoning_tokens,
            cost_usd: estimate.reasoning_cost,
        }),
        fallbacks: decision
            .fallbacks()
            .iter()
            .map(|it| Fallback {
                provider: it.supply.provider.to_string(),
                model: it.offer.model.to_string(),
                effort: it.variant.effort,
            })
            .collect(),
        considered,
        verdicts: verdicts(decision),
        considered_omitted: (omitted > 0).then_some(omitted),
        quality_source: state.figures.source(),
    })
}

/// Every model once, those that are out together with their provider in one line; and how many lines are left out.
fn considered(decision: &Decision<'_>) -> (Vec<Considered>, usize) {
    let mut listed = lines(decision, Verdict::is_of_all);
    if listed.len() > MAX_CONSIDERED {
        listed = lines(decision, |verdict| !verdict.is_usable());
    }
    let all = listed.len();
    // What matters least is left out: the outranked at the end, not the reasons against others.
    let reasons = listed.iter().filter(|it| it.verdict != Verdict::Outranked).count();
    let mut room = MAX_CONSIDERED.saturating_sub(reasons);
    listed.retain(|it| {
        let is_outranked = it.verdict == Verdict::Outranked;
        let stays = !is_outranked || room > 0;
        room -= usize::from(stays && is_outranked);
        stays
    });
    listed.truncate(MAX_CONSIDERED);
    let omitted = all - listed.len();
    (listed.iter().map(Line::written).collect(), omitted)
}

/// The chosen one and the lines nearest to it; and how many lines are left out. Those whose turn was not later come
/// first: what stood in their way is why another was chosen.
fn nearest(decision: &Decision<'_>) -> (Vec<Considered>, usize) {
    let mut listed = lines(decision, |verdict| !verdict.is_usable());
    let all = listed.len();
    let turn = decision.chosen().map(|chosen| chosen.turn);
    let mut ranks: Vec<usize> = (0..all).collect();
    ranks.sort_by_key(|at| {
        let it = &listed[*at];
        let was_due = !it.verdict.is_usable() && turn.is_some_and(|turn| it.turn <= turn);
        let is_chosen = it.verdict == Verdict::Chosen;
        (
            it.verdict == Verdict::NotForTask,
            Reverse(is_chosen),
            Reverse(was_due),
            *at,
        )
    });
    let mut stays: Vec<usize> = ranks.into_iter().take(1 + MAX_NEAREST).collect();
    stays.sort_unstable();
    listed = stays.into_iter().map(|at| listed[at]).collect();
    (listed.iter().map(Line::written).collect(), all - listed.len())
}

/// How many models there are of each verdict.
fn verdicts(decision: &Decision<'_>) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    let mut seen: BTreeSet<*const Offer> = BTreeSet::new();
    let mut hiding: BTreeSet<&ProviderId> = BTreeSet::new();
    for it in &decision.considered {
        if seen.insert(it.offer) {
            let hidden = if hiding.insert(&it.supply.provider) {
                it.supply.hidden
            } else {
                0
            };
            *counts.entry(it.verdict.as_str()).or_default() += 1 + hidden;
        }
    }
    counts
}

/// A line of the list of candidates.
#[derive(Clone, Copy)]
struct Line<'a> {
    supply: &'a Supply,
    /// Nothing where no model of the provider is known.
    candidate: Option<&'a Candidate<'a>>,
    verdict: Verdict,
    turn: Precedence,
    /// Other models of the provider with the same verdict.
    others: usize,
}

/// Every model once, but one line for a provider's models with the same verdict, where that one `is_shared`.
fn lines<'a>(decision: &'a Decision<'a>, is_shared: impl Fn(Verdict) -> bool) -> Vec<Line<'a>> {
    let mut listed: Vec<Line<'a>> = Vec::new();
    let mut seen: BTreeSet<*const Offer> = BTreeSet::new();
    let mut alike: BTreeMap<(&ProviderId, &str), usize> = BTreeMap::new();
    for it in &decision.considered {
        // Other efforts of the same model are no other candidates.
        if !seen.insert(it.offer) {
            continue;
        }
        match alike.entry((&it.supply.provider, it.verdict.as_str())) {
            Entry::Occupied(first) if is_shared(it.verdict) => listed[*first.get()].others += 1,
            entry => {
                let is_first = matches!(entry, Entry::Vacant(_));
                entry.or_insert(listed.len());
                listed.push(Line {
                    supply: it.supply,
                    candidate: Some(it),
                    verdict: it.verdict,
                    turn: it.turn,
                    others: if is_first { it.supply.hidden } else { 0 },
                });
            }
        }
    }
    listed.extend(decision.barren.iter().map(|(supply, turn, verdict)| Line {
        supply,
        candidate: None,
        verdict: *verdict,
        turn: *turn,
        others: 0,
    }));
    listed
}

impl Line<'_> {
    fn written(&self) -> Considered {
        let considered = match self.candidate {
            Some(candidate) => Considered::of(candidate),
            None => Considered {
                provider: self.supply.provider.to_string(),
                ..Considered::bare(self.verdict)
            },
        };
        Considered {
            other_models: (self.others > 0).then_some(self.others),
            ..considered
        }
    }
}

impl Considered {
    fn of(it: &Candidate<'_>) -> Self {
        Self {
            provider: it.supply.provider.as_str().to_owned(),
            model: Some(it.offer.model.as_str().to_owned()),
            effort: it.variant.effort,
            quality: it.variant.points.map(Points::exact),
            quality_of: it.variant.like.as_deref().map(str::to_owned),
            expected_cost_usd: it.estimate.total(),
            ..Self::bare(it.verdict)
        }
    }

    fn bare(verdict: Verdict) -> Self {
        Self {
            provider: String::new(),
            model: None,
            effort: None,
            verdict: verdict.as_str(),
            until: verdict.until().map(utc_text),
            limit: if let Verdict::ContextTooSmall { limit } = verdict {
                Some(limit)
            } else {
                None
            },
            lacks: if let Verdict::Lacks(need) = verdict {
                Some(need)
            } else {
                None
            },
            quality: None,
            quality_of: None,
            expected_cost_usd: None,
            other_models: None,
        }
    }
}

/// That nothing can take the request, why not, and what would help most.
fn no_route(state: &RoutingSnapshot, decision: &Decision<'_>, ask: &RouteQuery, considered: &[Considered]) -> Error {
    let mut seen: Vec<&ProviderId> = Vec::new();
    let mut obstacles = Vec::new();
    for it in &decision.considered {
        if !seen.contains(&&it.supply.provider) {
            seen.push(&it.supply.provider);
            obstacles.push((it.turn, &it.supply.provider, it.verdict, reason::obstacle(it)));
        }
    }
    for (supply, turn, verdict) in &decision.barren {
        let text = format!("{} {}", supply.provider, phrase(*verdict));
        obstacles.push((*turn, &supply.provider, *verdict, text));
    }
    obstacles.sort_by_key(|(turn, provider, ..)| (*turn, *provider));
    let mut said: Vec<&str> = obstacles
        .iter()
        .map(|(.., text)| text.as_str())
        .take(MAX_NAMED)
        .collect();
    let more = format!("{} more cannot either", obstacles.len().saturating_sub(MAX_NAMED));
    if obstacles.len() > MAX_NAMED {
        said.push(&more);
    }
    let task = ask.task.as_str();
    let message = format!("no provider can take this {task} request: {}", said.join("; "));
    let hint = hint(
        state,
        obstacles.iter().map(|(_, provider, verdict, _)| (*provider, *verdict)),
    );
    let all = serde_json::to_value(considered).unwrap_or(Value::Null);
    Error::new(Code::NoRoute, message).hint(hint).detail("considered", all)
}

/// What would help most, by the obstacles in the order of the providers' turns.
fn hint<'a>(state: &RoutingSnapshot, obstacles: impl Iterator<Item = (&'a ProviderId, Verdict)> + Clone) -> String {
    let soonest = obstacles
        .clone()
        .filter_map(|(provider, verdict)| Some((verdict.until()?, provider)))
        .min();
    if let Some((until, provider)) = soonest {
        return format!("try again at {}: {provider} may be used again then", utc_text(until));
    }
    let Some((provider, verdict)) = obstacles.into_iter().next() else {
        return "store a key with `api-keys add PROVIDER`".to_owned();
    };
    match verdict {
        Verdict::VaultClosed => state
            .vault_problem()
            .and_then(Error::hint_text)
            .unwrap_or("see `api-keys doctor`")
            .to_owned(),
        Verdict::NoKey => format!("store a key with `api-keys add {provider}`"),
        Verdict::KeyExpired | Verdict::KeyRefused => {
            format!(
                "replace the key with `api-keys rotate {provider}`, or check it with `api-keys validate {provider}`"
            )
        }
        Verdict::NoCredit => {
            format!("top up the account, then `api-keys validate {provider}` brings the key back")
        }
        Verdict::OtherAddress => format!("add the key of {provider} again for the new address, or set base_url back"),
        Verdict::Disabled => format!("set `enabled = true` under [providers.{provider}] in config.toml"),
        Verdict::NoAddress => format!("set `base_url` under [providers.{provider}] in config.toml"),
        Verdict::Unreachable => format!("start the server that {provider} means, or store a key of another provider"),
        Verdict::OverBudget | Verdict::Unpriced => {
            "wait until the budget resets, raise it under [budget] in config.toml, or use a free model".to_owned()
        }
        Verdict::ContextTooSmall { .. } => "shorten the request, or split it".to_owned(),
        Verdict::Lacks(need) => format!(
            "ask without `{}`, or store a key of a provider that offers it",
            need.as_str()
        ),
        Verdict::NotInstalled | Verdict::NotServed | Verdict::NoModels | Verdict::NotForTask => {
            format!(
                "name models for this task in `models` under [providers.{provider}] in config.toml, or store a key of a provider that has some"
            )
        }
        Verdict::Chosen | Verdict::Outranked | Verdict::RateLimited { .. } | Verdict::Unhealthy { .. } => {
            "try again in a moment".to_owned()
        }
    }
}
