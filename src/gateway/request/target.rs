//! Which provider and model a request goes to: the one it names, or those that routing finds for its task.

use std::borrow::Cow;

use crate::{
    app::App,
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

use super::{
    client_request::ClientRequest,
    estimate,
    fields::BodyFields,
    resolver::{Resolver, WantedApi},
    translated::SentAs,
};

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
    let found = if let Endpoint::Native(id) = &call.endpoint {
        let provider = config.provider(id.as_str())?;
        vec![(
            api.offered_by(&provider)?,
            provider,
            native_model(&call.path, named.as_deref())?,
        )]
    } else {
        let named = named.ok_or_else(|| {
            Error::new(Code::InvalidArgument, "`model` is missing, or not a string")
                .hint("name it as `provider/model`, or as the catalog does: see /v1/models")
        })?;
        let resolver = Resolver {
            config,
            catalog: &request.catalog,
            client: &request.client,
            api,
        };
        resolver.with_fallbacks(&named)?
    };
    // What is stored of the conversation so far is stored in one account.
    let made_by = earlier();
    let targets = found.into_iter().map(|(form, provider, model)| {
        let maker = made_by.as_ref().filter(|maker| maker.provider == provider.id);
        Target {
            label: maker.and_then(|maker| maker.label.clone()),
            provider,
            model,
            form,
        }
    });
    Ok(targets.collect())
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
