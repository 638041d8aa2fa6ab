//! The provider and model that a name means: `provider/model`, an alias of the configuration, a name of the catalog, or
//! one that no list knows yet.

use crate::{
    catalog::Catalog,
    domain::{ModelId, ProviderId},
    error::{Code, Error, Result},
    providers::{Dialect, Provider},
    settings::Config,
    storage::gateway_clients::GatewayClient,
};

/// What names are looked up in.
pub(super) struct Resolver<'a> {
    pub(super) config: &'a Config,
    pub(super) catalog: &'a Catalog,
    pub(super) client: &'a GatewayClient,
    pub(super) dialect: Dialect,
}

impl Resolver<'_> {
    /// What `name` means, and what the configuration names to fall back to.
    pub(super) fn with_fallbacks(&self, name: &str) -> Result<Vec<(Provider, ModelId)>> {
        let Some(targets) = self.config.gateway.models.targets_of(name) else {
            return Ok(vec![self.resolve(name)?]);
        };
        let mut found = Vec::new();
        let mut failed = None;
        for target in targets {
            match self.resolve(target) {
                Ok(target) => found.push(target),
                // One of another format, say: the others may do.
                Err(why) => failed = failed.or(Some(why)),
            }
        }
        match (found.is_empty(), failed) {
            (true, Some(why)) => Err(why),
            _ => Ok(found),
        }
    }

    fn resolve(&self, name: &str) -> Result<(Provider, ModelId)> {
        let (config, dialect) = (self.config, self.dialect);
        if let Some((provider, model)) = name.split_once('/')
            && let Ok(provider) = config.provider(provider)
        {
            if provider.speaks(dialect).is_none() {
                return Err(other_language(&provider.id, dialect));
            }
            return Ok((provider, model_id(model)?));
        }
        let model = model_id(name)?;
        let found = self.catalog.find_everywhere(&model);
        let knows = |provider: &Provider| {
            found.iter().any(|found| found.model.id.provider == provider.id)
                || provider.models.as_ref().is_some_and(|models| models.contains(&model))
        };
        let mut providers: Vec<&Provider> = config.providers().iter().collect();
        let order = &config.routing.fallback_order;
        providers.sort_by_key(|provider| {
            order
                .iter()
                .position(|equals| equals.contains(&provider.id))
                .unwrap_or(order.len())
        });
        providers.retain(|provider| knows(provider));
        let mut speaking: Vec<&Provider> = providers.clone();
        speaking.retain(|provider| provider.speaks(dialect).is_some());
        let may_ask = |provider: &&&Provider| provider.enabled && self.is_allowed(&provider.id);
        let best = speaking.iter().find(may_ask).or_else(|| speaking.first());
        match (best, providers.first()) {
            (Some(best), _) => Ok(((*best).clone(), model)),
            (None, Some(other)) => Err(other_language(&other.id, dialect)),
            (None, None) => match self.maker_of(name) {
                Some(provider) if provider.speaks(dialect).is_none() => Err(other_language(&provider.id, dialect)),
                Some(provider) => Ok((provider.clone(), model)),
                None => Err(unknown(self.catalog, name)),
            },
        }
    }

    /// Whose a model is that no list knows yet: the client's only provider's, or that of the maker whose names begin so.
    fn maker_of(&self, name: &str) -> Option<&Provider> {
        let mut allowed = self.client.providers.iter();
        if let (Some(only), None) = (allowed.next(), allowed.next()) {
            return self.config.known(only);
        }
        let mut providers = self.config.providers().iter();
        providers.find(|provider| {
            let mut prefixes = provider.def.model_prefixes.iter();
            prefixes.any(|prefix| name.starts_with(prefix))
        })
    }

    fn is_allowed(&self, provider: &ProviderId) -> bool {
        self.client.providers.is_empty() || self.client.providers.contains(provider)
    }
}

fn model_id(name: &str) -> Result<ModelId> {
    let named: Result<ModelId> = name.parse().map_err(Error::from);
    named.map_err(|why| why.hint("/v1/models lists the models that can be requested"))
}

pub(super) fn other_language(provider: &ProviderId, dialect: Dialect) -> Error {
    let language = language(dialect);
    Error::new(
        Code::UnknownModel,
        format!("{provider} is not known to support {language}"),
    )
    .hint(format!("send the request in its own format, at /p/{provider}/"))
}

pub(super) fn language(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Anthropic => "Anthropic's API",
        Dialect::Responses => "OpenAI's Responses API",
        Dialect::OpenAi | Dialect::Native => "OpenAI's API",
    }
}

fn unknown(catalog: &Catalog, name: &str) -> Error {
    let near: Vec<String> = catalog.near(name).iter().map(ToString::to_string).collect();
    let meant = if near.is_empty() {
        String::new()
    } else {
        format!("did you mean {}? ", near.join(", "))
    };
    // The name is the client's own and goes back to it alone.
    let short: String = name.chars().take(100).collect();
    Error::new(Code::UnknownModel, format!("no model `{short}` is known")).hint(format!(
        "{meant}name any other as `provider/model`; /v1/models lists what is known"
    ))
}
