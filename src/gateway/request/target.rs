//! Which provider and model a request goes to: the one it names, or those that routing finds for its task.

use std::borrow::Cow;

use crate::{
    app::App,
    catalog::Catalog,
    domain::{Label, ModelId, ProviderId},
    error::{Code, Error, Result},
    gateway::{
        http::route::{Endpoint, decoded},
        known_ids::{IdMaker, KnownIds},
    },
    providers::{Dialect, Provider},
    services::routing::{self, Route, Wanted},
    settings::Config,
};

use super::{client_request::ClientRequest, estimate, fields::BodyFields, translated::SentAs};

/// What the model is called of a request that names none.
pub(super) const UNNAMED: &str = "unnamed";

/// Where a request may go.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Target {
    pub(in crate::gateway) provider: Provider,
    pub(in crate::gateway) model: ModelId,
    /// The key to begin with, where routing has chosen one.
    pub(in crate::gateway) label: Option<Label>,
    pub(super) form: SentAs,
}

/// The API that a request is for.
#[derive(Clone, Copy)]
struct WantedApi<'a> {
    endpoint: &'a Endpoint,
    /// Whether it may be translated for a provider that does not offer it.
    translates: bool,
}

/// Where the request may go, in this order.
pub(in crate::gateway) async fn targets(
    app: &App,
    request: &ClientRequest,
    fields: &BodyFields<'_>,
    known_ids: &KnownIds,
) -> Result<Vec<Target>> {
    let (config, call) = (request.config.as_ref(), &request.call);
    let api = WantedApi {
        endpoint: &call.endpoint,
        translates: config.gateway.translate,
    };
    if let Some(task) = fields.task(&call.endpoint)? {
        let wanted = Wanted {
            input_tokens: Some(estimate::usual_input(fields, &request.body)),
            needs: fields.needs(),
            session: request.attribution.session.clone(),
            ..Wanted::of(task)
        };
        let route = routing::route(app, &wanted).await?;
        return routed(config, api, &route);
    }
    let named = fields.model_name();
    let earlier = || {
        let path = call.path.split(['/', '?', '&', '=']).map(Cow::Borrowed);
        let mut ids = fields.earlier_ids().chain(path);
        ids.find_map(|id| known_ids.maker(&id))
    };
    if let (Endpoint::Further(_), None) = (&call.endpoint, &named) {
        let maker = earlier().unwrap_or_else(|| IdMaker::from(usual_provider(request, call.endpoint.dialect())));
        let provider = config.provider(maker.provider.as_str())?;
        return Ok(vec![Target {
            form: api.offered_by(&provider)?,
            provider,
            model: UNNAMED.parse()?,
            label: maker.label,
        }]);
    }
    let (provider, model) = if let Endpoint::Native(id) = &call.endpoint {
        (
            config.provider(id.as_str())?,
            native_model(&call.path, named.as_deref())?,
        )
    } else {
        let named = named.ok_or_else(|| {
            Error::new(Code::InvalidArgument, "`model` is missing, or not a string")
                .hint("name it as `provider/model`, or as the catalog does: see /v1/models")
        })?;
        resolve(config, &request.catalog, api, &named)?
    };
    // What is stored of the conversation so far is stored in one account.
    let label = earlier()
        .filter(|maker| maker.provider == provider.id)
        .and_then(|maker| maker.label);
    Ok(vec![Target {
        form: api.offered_by(&provider)?,
        provider,
        model,
        label,
    }])
}

impl WantedApi<'_> {
    /// As what `provider` takes the request, if it does.
    fn form(self, provider: &Provider) -> Option<SentAs> {
        SentAs::to(provider, self.endpoint, self.translates)
    }

    fn offered_by(self, provider: &Provider) -> Result<SentAs> {
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

    fn name(self) -> &'static str {
        match self.endpoint.dialect() {
            Dialect::Anthropic => "Anthropic's API",
            Dialect::Responses => "OpenAI's Responses API",
            Dialect::OpenAi | Dialect::Native => "OpenAI's API",
        }
    }
}

/// Where a request goes that names neither a model nor anything that was made before: the only provider that the client
/// may use, else the one whose API it is.
fn usual_provider(request: &ClientRequest, dialect: Dialect) -> ProviderId {
    let mut allowed = request.client.providers.iter();
    let usual = match dialect {
        Dialect::Anthropic => "anthropic",
        Dialect::OpenAi | Dialect::Responses | Dialect::Native => "openai",
    };
    match (allowed.next(), allowed.next()) {
        (Some(only), None) => only.clone(),
        _ => usual.parse().expect("a name of PROVIDERS"),
    }
}

/// The providers of a route that take the request: the chosen one, then those to fall back to.
fn routed(config: &Config, api: WantedApi<'_>, route: &Route) -> Result<Vec<Target>> {
    let chosen = (&route.provider, &route.model, route.label.as_ref());
    let fallbacks = route.fallbacks.iter().map(|it| (&it.provider, &it.model, None));
    let mut targets = Vec::new();
    for (provider, model, label) in std::iter::once(chosen).chain(fallbacks) {
        let provider = config.provider(provider)?;
        if let Some(form) = api.form(&provider) {
            targets.push(Target {
                form,
                provider,
                model: model.parse()?,
                label: label.and_then(|label| label.parse().ok()),
            });
        }
    }
    if targets.is_empty() {
        return Err(Error::new(
            Code::UnknownModel,
            format!("no provider that could take the request supports {}", api.name()),
        )
        .hint("`api-keys route TASK` shows the candidates; name a model as `provider/model`"));
    }
    Ok(targets)
}

/// The provider and its model that `name` means: `provider/model`, or a name of the catalog.
fn resolve(config: &Config, catalog: &Catalog, api: WantedApi<'_>, name: &str) -> Result<(Provider, ModelId)> {
    if let Some((provider, model)) = name.split_once('/')
        && let Ok(provider) = config.provider(provider)
    {
        return Ok((provider, model_id(model)?));
    }
    let model = model_id(name)?;
    let found = catalog.find_everywhere(&model);
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
        let form = api.form(provider);
        (form.is_none(), !provider.enabled, form != Some(SentAs::Itself))
    });
    best.map(|best| (best.clone(), model))
        .ok_or_else(|| unknown(catalog, name))
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

/// The model of a request to a provider's own API: what the body names, or the path, as Gemini's
/// `/v1beta/models/NAME:generateContent`, Bedrock's `/model/NAME/converse`, Azure's `/openai/deployments/NAME/…` and
/// Replicate's `/v1/models/MAKER/NAME/predictions`.
fn native_model(path: &str, in_body: Option<&str>) -> Result<ModelId> {
    let path = decoded(path.split('?').next().unwrap_or(path));
    let after = |before| Some(path.split_once(before)?.1);
    let in_path = if let Some(rest) = after("/deployments/") {
        rest.split('/').next()
    } else if let Some(rest) = after("/models/") {
        let first = || match rest.split_once('/') {
            Some((name, _)) => name,
            None => rest.rsplit_once(':').map_or(rest, |(name, _)| name),
        };
        Some(rest.strip_suffix("/predictions").unwrap_or_else(first))
    } else {
        // The name may be an ARN, which has a slash of its own.
        after("/model/").map(|rest| rest.rsplit_once('/').map_or(rest, |(name, _)| name))
    };
    let in_path = in_path.filter(|name| !name.is_empty());
    let in_body = in_body.map(|name| name.strip_prefix("models/").unwrap_or(name));
    if let (Some(one), Some(other)) = (in_path, in_body)
        && one != other
    {
        // One of them would be paid for, and perhaps the other one asked.
        let message = "the path names one model and the body another";
        return Err(Error::new(Code::InvalidArgument, message).hint("leave `model` out of the body"));
    }
    let named = in_path.or(in_body).and_then(|name| name.parse().ok());
    Ok(named.map_or_else(|| UNNAMED.parse(), Ok)?)
}
