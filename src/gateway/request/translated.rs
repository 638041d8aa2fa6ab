//! A request in another format than its client's, for a provider that does not offer that API.

use bytes::Bytes;
use hyper::{
    HeaderMap, Response,
    header::{self, HeaderName, HeaderValue},
};
use serde_json::json;

use crate::{
    domain::Effort,
    error::{Code, Error, Result},
    gateway::http::{
        body::{self, ResponseBody},
        route::Endpoint,
    },
    providers::{Dialect, Provider, ProviderKind},
    translation::{self, AnswerTranslator, TargetModel, Untranslatable, WireFormat},
};

const TRANSLATED: HeaderName = HeaderName::from_static("x-api-keys-translated");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
/// The version of Anthropic's API that translated requests are written for.
const ANTHROPIC_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");
/// The beginnings of headers that mean something to one API only.
const OF_ONE_API: [&str; 2] = ["anthropic-", "openai-"];

/// The efforts that models which reason know, as far as the catalog says.
pub(super) const EFFORTS: &[Effort] = &[Effort::Low, Effort::Medium, Effort::High];

/// As what a request goes to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SentAs {
    /// In the client's own format.
    Itself,
    Translated(Translation),
}

/// From which format a request is translated to which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Translation {
    from: WireFormat,
    to: WireFormat,
}

/// How a translated request goes on, and its response back.
#[derive(Debug)]
pub(in crate::gateway) struct TranslatedCall {
    pub(in crate::gateway) dialect: Dialect,
    /// Below where the provider offers that API.
    pub(in crate::gateway) path: &'static str,
    pub(in crate::gateway) body: Bytes,
    pub(in crate::gateway) answer: AnswerTranslator,
    /// About how many tokens the prompt has.
    input_estimate: u64,
    /// From which format to which, and what was left out.
    pub(in crate::gateway) note: HeaderValue,
}

impl SentAs {
    /// As what `provider` takes a request to `endpoint`; nothing where it does not.
    pub(super) fn to(provider: &Provider, endpoint: &Endpoint, translates: bool) -> Option<Self> {
        let speaks = |dialect| provider.speaks(dialect).is_some();
        let is_offered = speaks(endpoint.dialect());
        // An endpoint of the user's own promises chat completions, and may or may not have the other APIs.
        let is_promised = is_offered && provider.kind == ProviderKind::BuiltIn;
        let (from, to) = match endpoint {
            // Anthropic offers chat completions to try its models, and recommends its own API for everything else.
            Endpoint::Chat if speaks(Dialect::Anthropic) && (!is_offered || provider.id.as_str() == "anthropic") => {
                (WireFormat::Chat, WireFormat::Messages)
            }
            // The Responses API returns reasoning in a form that can be sent back.
            Endpoint::Messages | Endpoint::CountTokens if !is_promised && provider.id.as_str() == "openai" => {
                (WireFormat::Messages, WireFormat::Responses)
            }
            Endpoint::Messages | Endpoint::CountTokens if !is_promised && speaks(Dialect::OpenAi) => {
                (WireFormat::Messages, WireFormat::Chat)
            }
            _ => return is_offered.then_some(Self::Itself),
        };
        if translates {
            return Some(Self::Translated(Translation { from, to }));
        }
        is_offered.then_some(Self::Itself)
    }
}

impl Translation {
    /// Translates `body` for the model that it is sent to.
    pub(super) fn call(self, body: &[u8], target: &TargetModel<'_>) -> Result<TranslatedCall> {
        let translated = translation::translate(self.from, self.to, body, target).map_err(|why| refused(&why))?;
        let mut note = format!("{}>{}", self.from.as_str(), self.to.as_str());
        if !translated.losses.is_empty() {
            note = format!("{note}; dropped={}", translated.losses);
        }
        let (dialect, path) = match self.to {
            WireFormat::Chat => (Dialect::OpenAi, "/chat/completions"),
            WireFormat::Responses => (Dialect::Responses, "/responses"),
            WireFormat::Messages => (Dialect::Anthropic, "/messages"),
        };
        Ok(TranslatedCall {
            dialect,
            path,
            body: translated.body.into(),
            answer: translated.answer,
            input_estimate: target.input_estimate,
            note: HeaderValue::try_from(note).map_err(|_| Error::new(Code::Internal, "a loss has no plain name"))?,
        })
    }
}

impl TranslatedCall {
    /// Leaves out the headers that only the client's own API knows.
    pub(in crate::gateway) fn set_headers(&self, headers: &mut HeaderMap) {
        let is_of_one_api = |name: &str| OF_ONE_API.iter().any(|start| name.starts_with(start));
        let names = headers.keys().filter(|name| is_of_one_api(name.as_str()));
        for name in names.cloned().collect::<Vec<_>>() {
            headers.remove(name);
        }
        if self.dialect == Dialect::Anthropic {
            headers.insert("anthropic-version", ANTHROPIC_VERSION);
        }
    }

    /// Our own response to a client that wants to know how many tokens the prompt has: other APIs don't count them.
    pub(in crate::gateway) fn count(&self) -> Response<ResponseBody> {
        let counted = json!({"input_tokens": self.input_estimate});
        let mut response = Response::new(body::full(counted.to_string()));
        self.introduce(response.headers_mut(), false);
        response
    }

    /// Says in the head of a response that it is translated, and that it is a stream where it is one.
    pub(in crate::gateway) fn introduce(&self, headers: &mut HeaderMap, is_stream: bool) {
        headers.insert(header::CONTENT_TYPE, if is_stream { EVENTS } else { JSON });
        headers.insert(TRANSLATED, self.note.clone());
    }
}

fn refused(why: &Untranslatable) -> Error {
    Error::new(Code::InvalidArgument, why.to_string())
        .hint("leave it out, or choose a provider that offers this API: /v1/models lists them")
}
