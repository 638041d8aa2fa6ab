//! Models and prices for the requests in agents' logs.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::price_lookup::{self, Pricing};
use crate::{
    agent_logs::{Agent, LoggedRequest},
    app::App,
    catalog::Catalog,
    domain::{Extras, FullCost, ModelId, ModelRef, ProviderId, RecordedCost, Tokens, Usd},
    error::Result,
    settings::Config,
};

const MILLISECONDS_OF_DAY: i64 = 86_400_000;

/// Finds models and prices, and keeps them: logs name the same few again and again.
pub(super) struct LogPricer {
    config: Arc<Config>,
    catalog: Arc<Catalog>,
    /// By the name of the model, and who serves it.
    models: HashMap<Arc<str>, BTreeMap<Cow<'static, str>, Option<ModelRef>>>,
    /// By the UTC day: prices change with one.
    prices: HashMap<ModelRef, BTreeMap<i64, Pricing>>,
}

impl LogPricer {
    pub(super) fn new(app: &App) -> Result<Self> {
        let (config, catalog) = app.in_force()?;
        Ok(Self {
            config,
            catalog,
            models: HashMap::new(),
            prices: HashMap::new(),
        })
    }

    /// Whether the user pays for the requests of `agent` by the token.
    pub(super) fn is_billed(&self, agent: &Agent) -> bool {
        self.config.agent_logs.billed.iter().any(|name| name == agent.name)
    }

    /// The model of a request; nothing where its name cannot be one.
    pub(super) fn model(&mut self, request: &LoggedRequest) -> Option<ModelRef> {
        let known = self.models.get(&request.model).and_then(|by| by.get(&request.provider));
        if let Some(known) = known {
            return known.clone();
        }
        let found = self.resolve(&request.provider, &request.model);
        let by_provider = self.models.entry(Arc::clone(&request.model)).or_default();
        by_provider.insert(request.provider.clone(), found.clone());
        found
    }

    /// The model that a log calls `name`, of the provider that it names if it does.
    fn resolve(&self, provider: &str, name: &str) -> Option<ModelRef> {
        let name: String = name.chars().map(|c| if c == ' ' { '-' } else { c }).collect();
        let name = if name.is_empty() { "unknown" } else { &name };
        let id: ModelId = name.parse().ok()?;
        let named = provider_of(provider);
        if let Some(provider) = &named {
            let model = price_lookup::named(&self.catalog, provider, &id);
            if self.catalog.find(&model).is_some()
                || self.config.known(provider).is_none_or(|it| it.id.as_str() == "local")
            {
                return Some(model);
            }
        }
        // Written with its provider in front, or one that only one provider has.
        if let Ok(spelled) = name.parse::<ModelRef>()
            && self.config.known(&spelled.provider).is_some()
        {
            return Some(spelled);
        }
        let everywhere = self.catalog.find_everywhere(&id);
        if let [only] = everywhere.as_slice() {
            return Some(only.model.id.provider.model(&id));
        }
        let provider = named.or_else(|| maker_of(name).parse().ok())?;
        Some(provider.model(&id))
    }

    /// What a request costs by the prices of its day, else what its log states.
    pub(super) fn cost(&mut self, model: &ModelRef, request: &LoggedRequest, tokens: &Tokens) -> RecordedCost {
        let day = request.at.as_millisecond().div_euclid(MILLISECONDS_OF_DAY);
        if self.prices.get(model).is_none_or(|by_day| !by_day.contains_key(&day)) {
            let pricing = self.pricing(model, request.at);
            self.prices.entry(model.clone()).or_default().insert(day, pricing);
        }
        let extras = Extras {
            searches: request.searches,
            has_uncounted: request.has_more_charged,
            ..Extras::default()
        };
        let own = match self.prices.get(model).and_then(|by_day| by_day.get(&day)) {
            Some(Pricing::Priced(priced)) => {
                let cost = priced.price.full_cost(request.service, tokens, &extras);
                cost.map(|cost| (cost, priced.version.clone()))
            }
            Some(Pricing::Unpriced(_)) | None => None,
        };
        match (own, request.stated_cost) {
            (Some((FullCost { cost, .. }, price)), _) if request.is_estimated => {
                RecordedCost::Estimated { cost, price }
            }
            (Some((FullCost { cost, is_whole }, price)), _) if !is_whole && cost > Usd::ZERO => {
                RecordedCost::LowerBound { cost, price }
            }
            (Some((FullCost { cost, .. }, price)), _) => RecordedCost::Computed { cost, price },
            (None, Some(cost)) => RecordedCost::Stated { cost, own: None },
            (None, None) => RecordedCost::Unpriced,
        }
    }

    /// The price of the model, or of the same one at its maker, where the provider has none of its own.
    fn pricing(&self, model: &ModelRef, at: jiff::Timestamp) -> Pricing {
        let own = price_lookup::price_of(&self.catalog, &self.config, model, at);
        if matches!(own, Pricing::Priced(_)) || self.config.known(&model.provider).is_some() {
            return own;
        }
        match self.catalog.find_everywhere(&model.model).as_slice() {
            [only] => price_lookup::price_of(&self.catalog, &self.config, &only.model.id, at),
            _ => own,
        }
    }
}

/// The provider that a log calls `name`.
fn provider_of(name: &str) -> Option<ProviderId> {
    let name = name.to_ascii_lowercase().replace(['_', ' ', '.'], "-");
    let name = match name.as_str() {
        "amazon-bedrock" | "aws-bedrock" | "aws" => "bedrock",
        "azure" | "azure-cognitive-services" => "azure-openai",
        "google-vertex" | "google-vertex-anthropic" | "vertex" | "vertexai" | "gcp-vertex-ai" | "google-ai-studio" => {
            "google"
        }
        "openai-codex" | "openai-native" | "openai-responses" | "chatgpt" => "openai",
        "x-ai" => "xai",
        "moonshotai" | "moonshot-ai" | "kimi" => "moonshot",
        "z-ai" | "zhipu" | "zhipuai" => "zai",
        "claude-code" | "anthropic-messages" => "anthropic",
        "lmstudio" | "ollama" | "llama-cpp" => "local",
        other => other,
    };
    name.parse().ok()
}

/// Who makes the models whose names begin so, where nothing else says who served one.
fn maker_of(model: &str) -> &'static str {
    const MAKERS: &[(&str, &str)] = &[
        ("claude", "anthropic"),
        ("gpt", "openai"),
        ("o1", "openai"),
        ("o3", "openai"),
        ("o4", "openai"),
        ("codex", "openai"),
        ("gemini", "google"),
        ("kimi", "moonshot"),
        ("grok", "xai"),
        ("deepseek", "deepseek"),
        ("glm", "zai"),
        ("mistral", "mistral"),
    ];
    let found = MAKERS.iter().find(|(beginning, _)| model.starts_with(beginning));
    found.map_or("unknown", |(_, maker)| maker)
}
