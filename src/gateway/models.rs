//! The list of models, as clients ask for it.

use std::collections::BTreeSet;

use hyper::{
    Response,
    header::{self, HeaderValue},
};
use serde_json::{Value, json};

use super::http::{
    body::{self, ResponseBody},
    error_response::ErrorFormat,
};
use crate::{
    app::App,
    domain::{KeyState, ModelRef, ProviderId},
    error::{Code, Error, Result},
    providers::Dialect,
    settings,
    storage::gateway_clients::GatewayClient,
};

/// The provider whose own API is Gemini's.
const GEMINI: &str = "google";

/// The models that `client` can ask for, in the form of its library, or the one that is named.
pub(super) fn answer(
    app: &App,
    client: &GatewayClient,
    only: Option<&str>,
    format: ErrorFormat,
) -> Result<Response<ResponseBody>> {
    let dialect = match format {
        ErrorFormat::Anthropic => Dialect::Anthropic,
        ErrorFormat::OpenAi => Dialect::OpenAi,
        ErrorFormat::Google => Dialect::Native,
    };
    let models = models(app, client, dialect)?;
    let list = if let Some(name) = only {
        let named = |model: &&ModelRef| model.to_string() == name || model.model.as_str() == name;
        let found = models.iter().find(named).map(|model| entry(model, format));
        found.ok_or_else(|| {
            Error::new(Code::UnknownModel, "no model of that name can be requested")
                .hint("/v1/models lists those that can")
        })?
    } else {
        let data: Vec<Value> = models.iter().map(|model| entry(model, format)).collect();
        let id = |model: Option<&ModelRef>| model.map(ToString::to_string);
        match format {
            ErrorFormat::Anthropic => {
                json!({"data": data, "has_more": false, "first_id": id(models.first()), "last_id": id(models.last())})
            }
            ErrorFormat::OpenAi => json!({"object": "list", "data": data}),
            ErrorFormat::Google => json!({"models": data}),
        }
    };
    let mut response = Response::new(body::full(list.to_string()));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

/// Whether the models that the client may use, if some were named, are this one among others.
pub(super) fn may_use(client: &GatewayClient, model: &ModelRef) -> bool {
    let name = model.to_string();
    let is_meant = |pattern: &String| settings::fits(pattern, &name) || settings::fits(pattern, model.model.as_str());
    client.models.is_empty() || client.models.iter().any(is_meant)
}

/// One model, as that API describes it.
fn entry(model: &ModelRef, format: ErrorFormat) -> Value {
    match format {
        ErrorFormat::Anthropic => json!({
            "type": "model",
            "id": model.to_string(),
            "display_name": model.to_string(),
            "created_at": "1970-01-01T00:00:00Z",
        }),
        ErrorFormat::OpenAi => {
            json!({"id": model.to_string(), "object": "model", "created": 0, "owned_by": model.provider.as_str()})
        }
        // Its clients put the name into a path of Google's own API.
        ErrorFormat::Google => json!({
            "name": format!("models/{}", model.model),
            "displayName": model.model.as_str(),
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
        }),
    }
}

/// Every model of a provider that is on, allowed, spoken with in that dialect, and has a key if it needs one.
fn models(app: &App, client: &GatewayClient, dialect: Dialect) -> Result<Vec<ModelRef>> {
    let ((config, catalog), now) = (app.in_force()?, app.now());
    let with_key: BTreeSet<ProviderId> = app.vault().contents().map_or_else(
        |_| BTreeSet::new(),
        |contents| {
            let usable = contents
                .keys
                .values()
                .filter(|record| record.state(now) == KeyState::Usable);
            usable.map(|record| record.provider.clone()).collect()
        },
    );
    let mut models = Vec::new();
    for provider in config.providers() {
        let is_open = provider.enabled
            && (dialect != Dialect::Native || provider.id.as_str() == GEMINI)
            && provider.speaks(dialect).is_some()
            && (with_key.contains(&provider.id) || !provider.needs_key())
            && (client.providers.is_empty() || client.providers.contains(&provider.id));
        if !is_open {
            continue;
        }
        let of_provider = |model| ModelRef {
            provider: provider.id.clone(),
            model,
        };
        match &provider.models {
            Some(only) => models.extend(only.iter().cloned().map(of_provider)),
            None => models.extend(
                catalog
                    .models_of(&provider.id)
                    .filter(|model| model.is_served_at(now))
                    .map(|model| model.id.clone()),
            ),
        }
    }
    models.retain(|model| may_use(client, model));
    Ok(models)
}
