//! A request as it is sent to a provider: the provider, the body, and what it may cost.

use std::borrow::Cow;

use bytes::Bytes;
use hyper::Method;
use jiff::Timestamp;

use super::{
    client_request::ClientRequest,
    estimate::{self, RequestTokens},
    fields::{BodyFields, text},
    rewrite::rewritten,
    target::{Target, UNNAMED},
    translated::{EFFORTS, SentAs, TranslatedCall},
};
use crate::{
    domain::{Label, ModelId, ModelRef, Service, Usd},
    error::{Code, Error, Result},
    gateway::http::route::{Endpoint, ProviderCall},
    providers::{Dialect, Provider},
    services::price_lookup::{self, Pricing, Unpriced},
    translation::TargetModel,
};

/// A request that was understood.
#[derive(Debug)]
pub(in crate::gateway) struct PreparedRequest {
    pub(in crate::gateway) provider: Provider,
    pub(in crate::gateway) model: ModelRef,
    /// The key to begin with, where routing has chosen one.
    pub(in crate::gateway) label: Option<Label>,
    /// What goes on: with the provider's own name of the model in it.
    pub(in crate::gateway) body: Bytes,
    /// The model's name for the response, where that is to be the requested one.
    pub(in crate::gateway) asked: Option<String>,
    /// Whether only we requested the counts at the end of the stream.
    pub(in crate::gateway) strips: bool,
    /// Whether it uses tokens at all.
    pub(in crate::gateway) is_metered: bool,
    pub(in crate::gateway) operation: &'static str,
    pub(in crate::gateway) service: Service,
    /// The tokens of what the prompt holds itself, at most.
    pub(in crate::gateway) input: u64,
    /// Characters of the text that is to be read out.
    pub(in crate::gateway) characters: u64,
    /// The output tokens to plan a quota with.
    pub(in crate::gateway) output: u64,
    pub(in crate::gateway) pricing: Pricing,
    /// The most that it can cost; nothing where that is unknown.
    pub(in crate::gateway) most: Option<Usd>,
    /// Whether its usage is only reported later, on request.
    pub(in crate::gateway) is_deferred: bool,
    /// How it goes on where the provider does not offer the client's API.
    pub(in crate::gateway) translated: Option<TranslatedCall>,
}

impl PreparedRequest {
    /// The request for `target`.
    pub(in crate::gateway) fn new(
        request: &ClientRequest,
        fields: &BodyFields<'_>,
        target: Target,
        now: Timestamp,
    ) -> Result<Self> {
        let ClientRequest {
            call,
            body,
            config,
            catalog,
            ..
        } = request;
        let Target {
            provider,
            model,
            label,
            form,
        } = target;
        let is_metered = match &call.endpoint {
            Endpoint::CountTokens => false,
            Endpoint::Further(_) | Endpoint::Native(_) => request.method == Method::POST && !is_free(&call.path),
            Endpoint::Chat | Endpoint::Responses | Endpoint::Embeddings | Endpoint::Messages => true,
        };
        check_configuration(&provider, &model, is_metered)?;
        let model = ModelRef {
            provider: provider.id.clone(),
            model,
        };
        let is_deferred = fields.is_deferred(&call.path);
        let service = fields.service();
        let pricing = match price_lookup::price_of(catalog, config, &model, now).with_services_of(&provider) {
            Pricing::Priced(priced) if !priced.price.is_free() && is_deferred => {
                Pricing::Unpriced(Unpriced::NotByTokens)
            }
            Pricing::Priced(priced)
                if !priced.price.is_free()
                    && service.is_none_or(|service| priced.price.rates(service, 0).is_none()) =>
            {
                Pricing::Unpriced(Unpriced::UnknownService)
            }
            pricing @ (Pricing::Priced(_) | Pricing::Unpriced(_)) => pricing,
        };
        let known = catalog.find(&model).map(|found| found.model);
        let estimate = RequestTokens::of(fields, &provider.id, model.model.as_str(), known);
        let asks_for_counts = call.endpoint == Endpoint::Chat
            && provider.def.usage_on_request
            && fields.stream.is_some_and(|stream| stream.get() == "true");
        let translated = if let SentAs::Translated(translation) = form {
            let target = TargetModel {
                provider: provider.id.as_str(),
                model: model.model.as_str(),
                max_output: known.and_then(|model| model.max_output),
                efforts: match known.and_then(|model| model.capabilities) {
                    Some(can) if can.reasoning => EFFORTS,
                    Some(_) | None => &[],
                },
                input_estimate: estimate::usual_input(fields, body),
                now: now.as_second(),
            };
            Some(translation.call(body, &target)?)
        } else {
            None
        };
        let (body, strips) = if matches!(call.endpoint, Endpoint::Native(_)) || translated.is_some() {
            (body.clone(), false)
        } else {
            rewritten(body, fields, &model.model, asks_for_counts)
        };
        let is_replaced = config.gateway.echo_model && !matches!(call.endpoint, Endpoint::Native(_));
        let asked = fields.model.filter(|_| is_replaced).and_then(text).map(Cow::into_owned);
        let most = match &pricing {
            _ if !is_metered => Some(Usd::ZERO),
            Pricing::Unpriced(Unpriced::UnknownModel) if provider.def.states_cost && !is_deferred => {
                Some(estimate.most_stated_cost())
            }
            Pricing::Priced(_) | Pricing::Unpriced(_) => estimate.most_cost(&pricing, service),
        };
        Ok(Self {
            service: service.unwrap_or_default(),
            most,
            provider,
            model,
            label,
            body,
            asked,
            strips,
            is_metered,
            operation: call.endpoint.operation(),
            input: estimate.input,
            characters: estimate.characters,
            output: estimate.output,
            pricing,
            is_deferred,
            translated,
        })
    }
}

impl PreparedRequest {
    /// In which API the request goes on, to which path, and with which body.
    pub(in crate::gateway) fn sent<'a>(&'a self, call: &'a ProviderCall) -> (Dialect, &'a str, &'a Bytes) {
        match &self.translated {
            Some(translated) => (translated.dialect, translated.path, &translated.body),
            None => (call.endpoint.dialect(), &call.path, &self.body),
        }
    }
}

/// Refuses a provider that is turned off, or a model that the configuration leaves out.
fn check_configuration(provider: &Provider, model: &ModelId, is_metered: bool) -> Result<()> {
    let refused = |message: String, hint: String| Err(Error::new(Code::ProviderNotAllowed, message).hint(hint));
    if !provider.enabled {
        return refused(
            format!("{} is turned off", provider.id),
            format!("set `enabled = true` under [providers.{}] in config.toml", provider.id),
        );
    }
    // What names no model may go where nothing is used.
    let may_pass = |only: &Vec<ModelId>| only.contains(model) || model.as_str() == UNNAMED && !is_metered;
    if !provider.models.as_ref().is_none_or(may_pass) {
        return refused(
            format!("the configuration has {} for other models only", provider.id),
            format!("see `models` under [providers.{}] in config.toml", provider.id),
        );
    }
    Ok(())
}

/// Whether a POST to that path of a provider's own API uses nothing: it counts, judges, stops or files something.
fn is_free(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or(path);
    [
        ":countTokens",
        ":cancel",
        "/count_tokens",
        "/count-tokens",
        "/responses/input_tokens",
        "/tokenize",
        "/tokenizer",
        "/tokenize-text",
        "/estimate-token-count",
        "/detokenize",
        "/moderations",
        "/cancel",
        "/files",
        "/uploads",
        "/parts",
        "/complete",
        "/api/show",
        "/api/pull",
    ]
    .iter()
    .any(|end| path.ends_with(end))
}
