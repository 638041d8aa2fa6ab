//! What a path means.

use hyper::{Method, Uri};
use percent_encoding::percent_decode_str;

use super::error_response::ErrorFormat;
use crate::{
    domain::ProviderId,
    error::{Code, Error, Result},
    providers::Dialect,
};

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::gateway) enum Route {
    Health,
    Metrics,
    /// The models that there are, or one of them.
    Models(Option<String>),
    Call(Call),
}

/// A request that goes on to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::gateway) struct Call {
    pub(in crate::gateway) endpoint: Endpoint,
    /// Path and query below where the provider speaks the format.
    pub(in crate::gateway) path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::gateway) enum Endpoint {
    Chat,
    Responses,
    Embeddings,
    Messages,
    CountTokens,
    /// The provider's own API.
    Native(ProviderId),
}

impl Route {
    /// What `method` at `uri` asks for.
    pub(in crate::gateway) fn of(method: &Method, uri: &Uri) -> Result<Self> {
        let path = uri.path();
        // The server leaves the body out by itself.
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let (wanted, route) = match path {
            "/healthz" => (Method::GET, Self::Health),
            "/metrics" => (Method::GET, Self::Metrics),
            "/v1/models" => (Method::GET, Self::Models(None)),
            "/v1/chat/completions" => (Method::POST, Self::call(Endpoint::Chat, path)),
            "/v1/responses" => (Method::POST, Self::call(Endpoint::Responses, path)),
            "/v1/embeddings" => (Method::POST, Self::call(Endpoint::Embeddings, path)),
            "/v1/messages" => (Method::POST, Self::call(Endpoint::Messages, path)),
            "/v1/messages/count_tokens" => (Method::POST, Self::call(Endpoint::CountTokens, path)),
            _ => match (path.strip_prefix("/v1/models/"), path.strip_prefix("/p/")) {
                (Some(model), _) => (Method::GET, Self::Models(Some(decoded(model)))),
                (None, Some(rest)) => return native(rest, uri),
                (None, None) => return Err(nothing_there()),
            },
        };
        if *method == wanted {
            return Ok(route);
        }
        Err(Error::new(Code::NoSuchRoute, format!("that path takes {wanted} only")).hint("see the README, The gateway"))
    }

    fn call(endpoint: Endpoint, path: &str) -> Self {
        Self::Call(Call {
            endpoint,
            path: path.trim_start_matches("/v1").to_owned(),
        })
    }

    /// The format that an error is told in.
    pub(in crate::gateway) fn error_format(path: &str) -> ErrorFormat {
        let of_provider = |rest: &str| match rest.split('/').next() {
            Some("anthropic" | "claude") => ErrorFormat::Anthropic,
            Some("google" | "gemini") => ErrorFormat::Google,
            _ => ErrorFormat::OpenAi,
        };
        match path.strip_prefix("/p/") {
            Some(rest) => of_provider(rest),
            None if path.starts_with("/v1/messages") => ErrorFormat::Anthropic,
            None => ErrorFormat::OpenAi,
        }
    }
}

impl Endpoint {
    pub(in crate::gateway) fn dialect(&self) -> Dialect {
        match self {
            Self::Chat | Self::Responses | Self::Embeddings => Dialect::OpenAi,
            Self::Messages | Self::CountTokens => Dialect::Anthropic,
            Self::Native(_) => Dialect::Native,
        }
    }

    /// What OpenTelemetry calls the operation.
    pub(in crate::gateway) fn operation(&self) -> &'static str {
        match self {
            Self::Embeddings => "embeddings",
            Self::Chat | Self::Responses | Self::Messages | Self::CountTokens => "chat",
            Self::Native(_) => "generate_content",
        }
    }
}

/// A path of a provider's own API, without a key that somebody put into the query.
fn native(rest: &str, uri: &Uri) -> Result<Route> {
    let (provider, path) = rest.split_once('/').ok_or_else(nothing_there)?;
    let provider: ProviderId = provider.parse().map_err(|_| nothing_there())?;
    // What is read of the path must be what the provider gets, and that lies below its address.
    let climbs = |segment: &str| matches!(decoded(segment).as_str(), "." | "..");
    if path.contains('\\') || path.split('/').any(climbs) {
        let message = "the path has segments that lead elsewhere";
        return Err(Error::new(Code::InvalidArgument, message).hint("spell it as the provider's documentation does"));
    }
    let query: Vec<&str> = uri
        .query()
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter(|pair| !pair.is_empty() && pair.split('=').next() != Some("key"))
        .collect();
    let mut path = format!("/{path}");
    if !query.is_empty() {
        path.push('?');
        path.push_str(&query.join("&"));
    }
    Ok(Route::Call(Call {
        endpoint: Endpoint::Native(provider),
        path,
    }))
}

/// A path, or a part of one, as it is meant.
pub(in crate::gateway) fn decoded(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

fn nothing_there() -> Error {
    Error::new(Code::NoSuchRoute, "the gateway has nothing at that path")
        .hint("it speaks OpenAI's API at /v1, Anthropic's at /v1/messages, and each provider's own at /p/PROVIDER/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(text: &str) -> Result<Route> {
        Route::of(&Method::POST, &text.parse().expect("a path"))
    }

    #[test]
    fn a_key_in_the_query_goes_nowhere() {
        let Ok(Route::Call(call)) = route("/p/gemini/v1beta/models/g:generateContent?alt=sse&key=akc_x&a=b") else {
            panic!("a call");
        };
        assert_eq!(call.path, "/v1beta/models/g:generateContent?alt=sse&a=b");
        assert_eq!(call.endpoint, Endpoint::Native("google".parse().expect("a provider")));
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_refused() {
        for path in [
            "/p/google/v1beta/models/cheap/../dear:generateContent",
            "/p/google/v1beta/models/cheap/%2e%2E/dear:generateContent",
            "/p/google/v1beta/models/cheap/.%2e/dear:generateContent",
            "/p/openai/../../secret",
            "/p/openai/..",
            "/p/openai/./chat/completions",
            "/p/openai/\\evil.example",
        ] {
            assert!(route(path).is_err(), "{path}");
        }
        assert!(route("/p/openai/files/a..b/...").is_ok());
    }

    #[test]
    fn a_model_is_asked_for_by_get_and_by_any_spelling() {
        let uri: Uri = "/v1/models/local%2Fllama3%3A8b".parse().expect("a path");
        for method in [Method::GET, Method::HEAD] {
            let route = Route::of(&method, &uri).expect("a route");
            assert_eq!(route, Route::Models(Some("local/llama3:8b".to_owned())));
        }
        assert!(Route::of(&Method::DELETE, &uri).is_err());
    }

    #[test]
    fn what_is_not_served_is_said() {
        for path in [
            "/",
            "/v1",
            "/p/openai",
            "/p//x",
            "/p/a b/x".replace(' ', "%20").as_str(),
            "/v1/models",
        ] {
            assert!(route(path).is_err(), "{path}");
        }
    }
}
