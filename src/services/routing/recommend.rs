//! Routing suggestions, each with the command or setting that applies it.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    decide::{Decision, decide},
    gather::RoutingSnapshot,
    reason::phrase,
    supply::{Offer, RouteQuery, Supply, Verdict},
};
use crate::{
    app::App,
    catalog::{Figures, Model, ModelStatus, Points},
    domain::{
        ExpiryNotice, KeyRecord, ModelRef, Price, ProviderId, Service, Task, TokenCounts, Tokens, Usd, Window,
        thousands,
    },
    error::Result,
    services::{budget_status, price_lookup},
    storage::ledger::{Dimension, Filter, Totals},
};

/// How many usable providers besides the first a task should have.
const ENOUGH_FALLBACKS: usize = 2;
/// How long ahead the end of a model is announced.
const SOON: SignedDuration = SignedDuration::from_hours(60 * 24);
/// The smallest saving in a month that is worth a word.
const MIN_SAVING: Usd = Usd::from_nano(1_000_000_000);
/// How many of the models used most are compared.
const MAX_COMPARED: usize = 3;

/// What to know and what to do.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Advice {
    /// Suggested improvements
    pub recommendations: Vec<Note>,
    /// What is wrong, or will be soon
    pub warnings: Vec<Note>,
    /// Providers that can be used for some task
    pub available_providers: Vec<String>,
    /// `degraded` where some task has no provider or one that is set up fails, `down` where no task has one
    pub routing_health: RoutingHealth,
}

/// One thing to know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Note {
    pub r#type: &'static str,
    pub message: String,
    /// The command or setting that fixes it
    pub fix: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<Task>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saving_usd_per_month: Option<Usd>,
}

/// Whether requests find their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoutingHealth {
    Healthy,
    Degraded,
    Down,
}

/// What the ledger says of the last days.
struct Used {
    models: Vec<(ModelRef, Totals)>,
    tasks: Vec<Task>,
}

/// What to know and what to do now.
pub fn recommend(app: &App, state: &RoutingSnapshot) -> Result<Advice> {
    let used = used(app, state)?;
    let supplies: BTreeMap<Task, Arc<Vec<Supply>>> = Task::ALL
        .into_iter()
        .map(|task| (task, state.supplies(task, None, false)))
        .collect();
    let decisions: BTreeMap<Task, Decision<'_>> = supplies
        .iter()
        .map(|(task, supplies)| {
            (
                *task,
                decide(&state.policy(*task), supplies, &RouteQuery::of(*task), state.now),
            )
        })
        .collect();
    let mut warnings = Vec::new();
    let mut recommendations = Vec::new();
    tasks(&decisions, &mut warnings, &mut recommendations);
    let chat = supplies
        .get(&Task::Chat)
        .map(|chat| chat.as_slice())
        .unwrap_or_default();
    providers(state, chat, &mut warnings);
    keys(state, &mut warnings, &mut recommendations);
    models(state, &used, &mut warnings);
    money(app, &mut warnings)?;
    if let Some(error) = state.vault_problem() {
        let hint = error.hint_text().unwrap_or("`api-keys doctor` says more");
        warnings.push(Note::new(
            "vault_closed",
            format!("stored keys cannot be read: {error}"),
            hint,
        ));
    }
    if let Some(problem) = app.settings().problem() {
        let fix = "correct config.toml; until then the last good one is in force, if there was one";
        warnings.push(Note::new("config_broken", problem.to_string(), fix));
    }
    recommendations.extend(cheaper(state, &used, chat));
    let is_served = |decision: &Decision<'_>| decision.chosen().is_some();
    let routing_health = if !decisions.values().any(is_served) {
        RoutingHealth::Down
    } else if decisions.values().all(is_served) && !warnings.iter().any(|note| note.r#type == FAILING) {
        RoutingHealth::Healthy
    } else {
        RoutingHealth::Degraded
    };
    let is_available = |supply: &&Supply| {
        let is_used = decisions.values().any(|decision| {
            let usable = decision.considered.iter().filter(|it| it.verdict.is_usable());
            usable.into_iter().any(|it| it.supply.provider == supply.provider)
        });
        is_used && supply.obstacle.is_none()
    };
    Ok(Advice {
        recommendations,
        warnings,
        available_providers: chat
            .iter()
            .filter(is_available)
            .map(|supply| supply.provider.to_string())
            .collect(),
        routing_health,
    })
}

const FAILING: &str = "provider_failing";

impl Note {
    fn new(r#type: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            r#type,
            message: message.into(),
            fix: fix.into(),
            provider: None,
            model: None,
            tasks: Vec::new(),
            saving_usd_per_month: None,
        }
    }

    fn of_provider(self, provider: &ProviderId) -> Self {
        Self {
            provider: Some(provider.to_string()),
            ..self
        }
    }
}

/// Tasks without a provider, and those with too few.
fn tasks(decisions: &BTreeMap<Task, Decision<'_>>, warnings: &mut Vec<Note>, recommendations: &mut Vec<Note>) {
    let names = |tasks: &[Task]| tasks.iter().map(|task| task.as_str()).collect::<Vec<_>>().join(", ");
    let of = |is: &dyn Fn(&Decision<'_>) -> bool| -> Vec<Task> {
        decisions
            .iter()
            .filter(|(_, it)| is(it))
            .map(|(task, _)| *task)
            .collect()
    };
    let unserved = of(&|it| it.chosen().is_none());
    if !unserved.is_empty() {
        let fix = if unserved == [Task::Embeddings] {
            "pull an embedding model into Ollama (`ollama pull nomic-embed-text`), or `api-keys add openai`"
        } else {
            "`api-keys add PROVIDER` stores a key; `api-keys route TASK` shows what is missing"
        };
        let message = format!("no provider can be used for {}", names(&unserved));
        warnings.push(Note {
            tasks: unserved,
            ..Note::new("no_provider", message, fix)
        });
    }
    let lonely = of(&|it| it.chosen().is_some() && it.fallbacks().len() < ENOUGH_FALLBACKS);
    if !lonely.is_empty() {
        let message = format!("fewer than two fallback providers for {}", names(&lonely));
        let fix = "`api-keys add PROVIDER` stores the key of another provider";
        recommendations.push(Note {
            tasks: lonely,
            ..Note::new("few_fallbacks", message, fix)
        });
    }
}

/// Providers that are set up and cannot be used.
fn providers(state: &RoutingSnapshot, supplies: &[Supply], warnings: &mut Vec<Note>) {
    for supply in supplies {
        let Some(verdict) = supply.obstacle.or_else(|| supply.key_obstacle(state.now)) else {
            continue;
        };
        let id = &supply.provider;
        let note = |r#type, fix: String| Note::new(r#type, format!("{id} {}", phrase(verdict)), fix).of_provider(id);
        let is_wanted = state.config.providers.contains_key(id);
        warnings.extend(match verdict {
            Verdict::RateLimited { .. } => Some(note(
                FAILING,
                format!("wait; another key or a lower `rate_limit` under [providers.{id}] helps if it happens often"),
            )),
            Verdict::Unhealthy { .. } => Some(note(FAILING, "wait; it is retried automatically".to_owned())),
            Verdict::NoCredit => Some(note(
                FAILING,
                format!("top up the account, then `api-keys validate {id}`"),
            )),
            Verdict::KeyRefused => Some(note(
                FAILING,
                format!("`api-keys validate {id}`, then `api-keys rotate {id}`"),
            )),
            Verdict::OtherAddress => Some(note(
                FAILING,
                format!("`api-keys add {id}` again, or set `base_url` under [providers.{id}] back"),
            )),
            Verdict::Unreachable if is_wanted => Some(note(FAILING, format!("start the server of {id}"))),
            Verdict::NoKey if is_wanted => Some(note("no_key", format!("`api-keys add {id}`"))),
            Verdict::Chosen
            | Verdict::Outranked
            | Verdict::Disabled
            | Verdict::NoAddress
            | Verdict::VaultClosed
            | Verdict::NoKey
            | Verdict::KeyExpired
            | Verdict::Unreachable
            | Verdict::NotForTask
            | Verdict::NotServed
            | Verdict::NotInstalled
            | Verdict::NoModels
            | Verdict::Lacks(_)
            | Verdict::ContextTooSmall { .. }
            | Verdict::OverBudget
            | Verdict::Unpriced => None,
        });
    }
}

/// Keys that expire, and those that were never validated.
fn keys(state: &RoutingSnapshot, warnings: &mut Vec<Note>, recommendations: &mut Vec<Note>) {
    let records = state
        .providers()
        .iter()
        .filter_map(|provider| state.records(&provider.id));
    for record in records.flatten() {
        let key = format!("{}:{}", record.provider, record.label);
        let rotate = format!("`api-keys rotate {key}`");
        let notice = record.expiry_notice(state.now).zip(record.expires_at);
        if let Some((notice, at)) = notice {
            let (r#type, said) = match notice {
                ExpiryNotice::Expired => ("key_expired", "expired on"),
                ExpiryNotice::Within1Day | ExpiryNotice::Within7Days | ExpiryNotice::Within30Days => {
                    ("key_expiring", "expires on")
                }
            };
            let note = Note::new(
                r#type,
                format!("the key {key} {said} {}", at.strftime("%Y-%m-%d")),
                rotate,
            );
            warnings.push(note.of_provider(&record.provider));
        }
        if is_unvalidated(record) {
            let fix = format!("`api-keys validate {key}`");
            let note = Note::new("key_never_validated", format!("the key {key} was never validated"), fix);
            recommendations.push(note.of_provider(&record.provider));
        }
    }
}

fn is_unvalidated(record: &KeyRecord) -> bool {
    record.active().is_some_and(|active| active.validation.is_none())
}

/// Models that are configured or used, and are gone, going, or of unknown price.
fn models(state: &RoutingSnapshot, used: &Used, warnings: &mut Vec<Note>) {
    let mut named: BTreeMap<ModelRef, &'static str> = used
        .models
        .iter()
        .map(|(model, _)| (model.clone(), "used in the last 30 days"))
        .collect();
    let listed = state.providers().iter().flat_map(|provider| {
        let models = provider.models.iter().flatten();
        models.map(|model| (provider.id.clone(), model.clone()))
    });
    let for_tasks = state.config.routing.tasks.values();
    let for_tasks = for_tasks.filter_map(|(provider, model)| Some((provider.clone(), model.clone()?)));
    for (provider, model) in listed.chain(for_tasks) {
        named.insert(ModelRef { provider, model }, "configured");
    }
    for (name, why) in &named {
        let Some(known) = state.catalog.find(name).map(|found| found.model) else {
            continue;
        };
        if let Some((r#type, said)) = ending(known, state.now) {
            let fix = if *why == "configured" {
                "name another model in config.toml"
            } else {
                "use another model; `api-keys route TASK` suggests one"
            };
            let note = Note::new(r#type, format!("{name}, {why}, {said}"), fix).of_provider(&name.provider);
            warnings.push(Note {
                model: Some(name.to_string()),
                ..note
            });
        }
    }
    for (name, totals) in &used.models {
        if totals.unpriced_requests > 0 {
            let message = format!(
                "the price of {name} is unknown ({} so far)",
                match totals.unpriced_requests {
                    1 => "1 request".to_owned(),
                    many => format!("{} requests", thousands(many)),
                }
            );
            let fix = format!("add its price as [[prices]] with model = \"{name}\" in config.toml");
            let note = Note::new("unpriced_model", message, fix).of_provider(&name.provider);
            warnings.push(Note {
                model: Some(name.to_string()),
                ..note
            });
        }
    }
}

/// How near its end a model is, in words.
fn ending(model: &Model, now: Timestamp) -> Option<(&'static str, String)> {
    if !model.is_served_at(now) {
        return Some(("model_retired", "is no longer served".to_owned()));
    }
    let soon = (now + SOON).to_zoned(TimeZone::UTC).date();
    if let Some(end) = model.retires_on.filter(|end| *end <= soon) {
        return Some(("model_retiring", format!("is served until {end}")));
    }
    match model.status {
        ModelStatus::Deprecated => Some(("model_deprecated", "is deprecated by its provider".to_owned())),
        ModelStatus::Active | ModelStatus::Retired | ModelStatus::Unverified => None,
    }
}

/// Budgets that are spent, nearly spent, or will be.
fn money(app: &App, warnings: &mut Vec<Note>) -> Result<()> {
    let budgets = budget_status::check(app)?;
    for standing in budgets.standings() {
        let window = match standing.window {
            Window::Day => "today's",
            Window::Month => "this month's",
        };
        let (spent, limit) = (standing.spent, standing.limit);
        let limit_setting = format!("`{}_limit` under [budget] in config.toml", standing.window.as_str());
        let setting = format!("{limit_setting}, or `--objective cost`");
        let note = if !budgets.enabled {
            continue;
        } else if standing.remaining() == Usd::ZERO {
            let message = format!("{window} budget of {limit} is used up: only free models are used");
            Note::new("budget_spent", message, limit_setting)
        } else if budgets.is_alert(standing) {
            let message = format!("{spent} of {window} budget of {limit} spent: `balanced` now prefers cheaper models");
            Note::new("budget_low", message, setting)
        } else if let Some(forecast) = standing.forecast.map(|it| it.expected).filter(|it| *it > limit) {
            let message = format!("at this pace {forecast} of {window} budget of {limit} will be spent");
            Note::new("budget_pace", message, setting)
        } else {
            continue;
        };
        warnings.push(note);
    }
    Ok(())
}

/// For the models that cost most, one that is at least as good by the figures for the tasks in use, and cheaper.
fn cheaper(state: &RoutingSnapshot, used: &Used, supplies: &[Supply]) -> Vec<Note> {
    let tasks: Vec<Task> = if used.tasks.is_empty() {
        Task::ALL.into_iter().filter(|task| *task != Task::Embeddings).collect()
    } else {
        used.tasks.clone()
    };
    let mut most_expensive: Vec<&(ModelRef, Totals)> =
        used.models.iter().filter(|(_, it)| it.cost >= MIN_SAVING).collect();
    most_expensive.sort_by(|(one, a), (other, b)| b.cost.cmp(&a.cost).then_with(|| one.cmp(other)));
    let compared = most_expensive.into_iter().take(MAX_COMPARED);
    compared
        .filter_map(|(name, totals)| {
            let best = |offer: &str| best_points(&state.figures, offer, &tasks);
            let (own, own_like) = best(name.model.as_str())?;
            let usable = supplies.iter().filter(|supply| {
                supply.obstacle.is_none() && supply.key_obstacle(state.now).is_none()
            });
            let offers = usable.flat_map(|supply| supply.offers.iter().map(move |offer| (supply, offer)));
            let is_equal = |offer: &Offer| {
                let (points, like) = best(offer.model.as_str())?;
                let is_as_good = points.iter().zip(&own).all(|(points, own)| points >= own);
                (is_as_good && offer.absence.is_none()).then_some(like)
            };
            let (cost, supply, offer, like) = offers
                .filter(|(supply, offer)| supply.provider != name.provider || offer.model != name.model)
                .filter_map(|(supply, offer)| {
                    let like = is_equal(offer)?;
                    Some((month(offer.price.as_ref()?, totals)?, supply, offer, like))
                })
                .min_by(|(a, one, first, _), (b, other, second, _)| {
                    (a, &one.provider, &first.model).cmp(&(b, &other.provider, &second.model))
                })?;
            let saving = totals.cost - cost;
            if saving < MIN_SAVING {
                return None;
            }
            let named = format!("{}/{}", supply.provider, offer.model);
            let source = state.figures.source();
            let by = match (own_like, like) {
                (None, None) => source,
                _ => format!("{source}, by its family's figures"),
            };
            let message = format!(
                "{named} matches {name} at your tasks ({by}) and would have cost {cost} instead of {} in the last 30 days",
                totals.cost
            );
            let fix = format!("set [routing.tasks] TASK = \"{named}\" in config.toml, or `--model {named}`");
            let note = Note::new("cheaper_model", message, fix).of_provider(&supply.provider);
            Some(Note {
                model: Some(named),
                saving_usd_per_month: Some(saving),
                tasks: used.tasks.clone(),
                ..note
            })
        })
        .collect()
}

/// The model's best figure for each of `tasks`, and whose they are where not its own; nothing where one is missing.
fn best_points(figures: &Figures, model: &str, tasks: &[Task]) -> Option<(Vec<Points>, Option<String>)> {
    let known = figures.of(&model.parse().ok()?)?;
    let best = |task: &Task| known.variants.iter().filter_map(|it| it.points(*task)).max();
    let points: Option<Vec<Points>> = tasks.iter().map(best).collect();
    Some((points?, known.like.as_deref().map(str::to_owned)))
}

/// What the requests behind `totals` would have cost at `price`, each being like the mean of them.
fn month(price: &Price, totals: &Totals) -> Option<Usd> {
    let mean = |sum: u64| sum.checked_div(totals.requests);
    let tokens = Tokens::new(TokenCounts {
        input: mean(totals.input_tokens)?,
        output: mean(totals.output_tokens)?,
        cache_read: mean(totals.cache_read_tokens)?,
        cache_write: mean(totals.cache_write_tokens)?,
        cache_write_1h: 0,
        reasoning: mean(totals.reasoning_tokens)?,
    });
    let each = price.cost(Service::Standard, &tokens.ok()?)?.total;
    Some(each.scaled(totals.requests, 1))
}

fn used(app: &App, state: &RoutingSnapshot) -> Result<Used> {
    let by = |dimension| app.ledger().grouped(state.last_days(), &Filter::default(), dimension);
    let models = by(Dimension::Model)?;
    let tasks = by(Dimension::Task)?;
    Ok(Used {
        models: models
            .into_iter()
            .filter_map(|(name, totals)| Some((name?.parse().ok()?, totals)))
            .filter(|(model, _): &(ModelRef, Totals)| {
                state.provider(&model.provider).and_then(price_lookup::free).is_none()
            })
            .collect(),
        tasks: tasks
            .into_iter()
            .filter_map(|(name, _)| {
                Task::ALL
                    .into_iter()
                    .find(|task| Some(task.as_str()) == name.as_deref())
            })
            .filter(|task| *task != Task::Embeddings)
            .collect(),
    })
}
