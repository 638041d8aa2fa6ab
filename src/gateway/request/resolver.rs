//! The provider and model that a name means: `provider/model`, an alias of the configuration, a name of the catalog, or
//! one that no list knows yet.

use super::translated::SentAs;
use crate::{
    catalog::Catalog,
    domain::{ModelId, ProviderId},
    error::{Code, Error, Result},
    gateway::http::route::Endpoint,
    providers::{Dialect, Provider},
    settings::Config,
    storage::gateway_clients::GatewayClient,
};

/// The API that a request is for.
#[derive(Clone, Copy)]
pub(super) struct WantedApi<'a> {
    pub(super) endpoint: &'a Endpoint,
    /// Whether it may be translated for a provider that does not offer it.
    pub(super) translates: bool,
}

/// What names are looked up in.
pub(super) struct Resolver<'a> {
    pub(super) config: &'a Config,
    pub(super) catalog: &'a Catalog,
    pub(super) client: &'a GatewayClient,
    pub(super) api: WantedApi<'a>,
}

impl Resolver<'_> {
    /// What `name` means, and what the configuration names to fall back to.
    pub(super) fn with_fallbacks(&self, name: &str) -> Result<Vec<(SentAs, Provider, ModelId)>> {
        let one = |name: &str| -> Result<(SentAs, Provider, ModelId)> {
            let (provider, model) = self.resolve(name)?;
            Ok((self.api.offered_by(&provider)?, provider, model))
        };
        let Some(targets) = self.config.gateway.models.targets_of(name) else {
            return Ok(vec![one(name)?]);
        };
        let mut found = Vec::new();
        let mut failed = None;
        for target in targets {
            match one(target) {
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
        let config = self.config;
        if let Some((provider, model)) = name.split_once('/')
            && let Ok(provider) = config.provider(provider)
        {
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
        // One that is turned off, or does not offer the API, is a reason to say so rather than not to know the model.
        let best = providers.into_iter().min_by_key(|provider| {
            let form = self.api.form(provider);
            let may_ask = provider.enabled && self.is_allowed(&provider.id);
            (form.is_none(), !may_ask, form != Some(SentAs::Itself))
        });
        best.or_else(|| self.maker_of(name))
            .map(|best| (best.clone(), model))
            .ok_or_else(|| unknown(self.catalog, name))
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

impl WantedApi<'_> {
    /// As what `provider` takes the request, if it does.
    pub(super) fn form(self, provider: &Provider) -> Option<SentAs> {
        SentAs::to(provider, self.endpoint, self.translates)
    }

    pub(super) fn offered_by(self, provider: &Provider) -> Result<SentAs> {
        self.form(provider).ok_or_else(|| {
            let id = &provider.id;
            let may_be_translated = !self.translates && SentAs::to(provider, self.endpoint, true).is_some();
            let also = if may_be_translated {
                ", or set `translate = true` under [gateway] in config.toml"
            } else {
                ""
            };
            Error::new(
                Code::UnknownModel,
                format!("{id} is not known to support {}", self.name()),
            )
            .hint(format!("send the request in its own format, at /p/{id}/{also}"))
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self.endpoint.dialect() {
            Dialect::Anthropic => "Anthropic's API",
            Dialect::Responses => "OpenAI's Responses API",
            Dialect::OpenAi | Dialect::Native => "OpenAI's API",
        }
    }
}

fn model_id(name: &str) -> Result<ModelId> {
    let named: Result<ModelId> = name.parse().map_err(Error::from);
    named.map_err(|why| why.hint("/v1/models lists the models that can be requested"))
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
