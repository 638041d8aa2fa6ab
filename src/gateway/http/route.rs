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
pub(in crate::gateway) enum GatewayRoute {
    Health,
    Metrics,
    /// The models that there are, or one of them.
    Models(Option<String>),
    Call(ProviderCall),
}

/// A request that goes on to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::gateway) struct ProviderCall {
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
    /// What else that API has: files, batches, recordings, pictures, stored responses.
    Further(Dialect),
    /// The provider's own API.
    Native(ProviderId),
}

/// Methods of routes that only return something.
const READING: &str = "GET, HEAD";
/// Methods of a provider's own API. What else HTTP knows is for proxies, or returns the request with the key in it.
pub(in crate::gateway) const PASSING: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
/// Where agents and monitors look whether the gateway is there.
const PROBES: &[&str] = &["/", "/health", "/healthz", "/livez", "/readyz", "/ping"];
/// Gemini's API as its clients spell it at the gateway's own address.
const GEMINI: &str = "/v1beta/models/";
/// The first segments of paths that some clients ask for without `/v1`.
const OPTIONAL_VERSION: &[&str] = &[
    "chat",
    "completions",
    "responses",
    "embeddings",
    "messages",
    "models",
    "moderations",
    "audio",
    "images",
    "files",
    "batches",
    "uploads",
];
/// What the APIs have besides, by the beginning of its path.
const FURTHER: &[(&str, Dialect)] = &[
    ("/v1/responses", Dialect::Responses),
    ("/v1/messages/batches", Dialect::Anthropic),
    ("/v1/completions", Dialect::OpenAi),
    ("/v1/moderations", Dialect::OpenAi),
    ("/v1/audio", Dialect::OpenAi),
    ("/v1/images", Dialect::OpenAi),
    ("/v1/videos", Dialect::OpenAi),
    ("/v1/files", Dialect::OpenAi),
    ("/v1/uploads", Dialect::OpenAi),
    ("/v1/batches", Dialect::OpenAi),
    ("/v1/conversations", Dialect::Responses),
    ("/v1/vector_stores", Dialect::OpenAi),
];
/// How often a path may be percent-encoded: a path that is not plain text then is refused.
const MAX_DECODINGS: usize = 4;

impl GatewayRoute {
    /// What `method` at `uri` asks for.
    pub(in crate::gateway) fn of(method: &Method, uri: &Uri) -> Result<Self> {
        let spelled = usual(uri.path());
        let path = spelled.as_str();
        if !is_among(method, Self::allowed(path).unwrap_or(PASSING)) {
            return Err(Error::new(Code::MethodNotAllowed, "the path does not take that method")
                .hint("the header `allow` lists those it takes"));
        }
        Ok(match path {
            _ if PROBES.contains(&path) => Self::Health,
            "/metrics" => Self::Metrics,
            "/v1/models" | "/v1beta/models" => Self::Models(None),
            "/v1/chat/completions" => Self::call(Endpoint::Chat, path, uri),
            "/v1/responses" => Self::call(Endpoint::Responses, path, uri),
            "/v1/embeddings" => Self::call(Endpoint::Embeddings, path, uri),
            "/v1/messages" => Self::call(Endpoint::Messages, path, uri),
            "/v1/messages/count_tokens" => Self::call(Endpoint::CountTokens, path, uri),
            _ => {
                if let Some(model) = path.strip_prefix("/v1/models/") {
                    Self::Models(Some(decoded(model)))
                } else if let Some(rest) = path.strip_prefix("/p/") {
                    return native(rest, uri);
                } else if path.starts_with(GEMINI) {
                    return native(&["google", path].concat(), uri);
                } else if let Some(dialect) = further(path) {
                    expect_plain(path)?;
                    Self::call(Endpoint::Further(dialect), path, uri)
                } else {
                    return Err(nothing_there());
                }
            }
        })
    }

    /// The methods that `path` takes, as the header `Allow` lists them; nothing where there is no such path.
    pub(in crate::gateway) fn allowed(path: &str) -> Option<&'static str> {
        let path = usual(path);
        match path.as_str() {
            path if PROBES.contains(&path) => Some(READING),
            "/metrics" | "/v1/models" | "/v1beta/models" => Some(READING),
            "/v1/chat/completions"
            | "/v1/responses"
            | "/v1/embeddings"
            | "/v1/messages"
            | "/v1/messages/count_tokens" => Some("POST"),
            path if path.starts_with("/v1/models/") => Some(READING),
            path => (path.starts_with("/p/") || path.starts_with(GEMINI) || further(path).is_some()).then_some(PASSING),
        }
    }

    fn call(endpoint: Endpoint, path: &str, uri: &Uri) -> Self {
        Self::Call(ProviderCall {
            endpoint,
            path: with_query(path.strip_prefix("/v1").unwrap_or(path), uri),
        })
    }

    /// The format that an error is written in.
    pub(in crate::gateway) fn error_format(path: &str) -> ErrorFormat {
        let of_provider = |rest: &str| match rest.split('/').next() {
            Some("anthropic" | "claude") => ErrorFormat::Anthropic,
            Some("google" | "gemini") => ErrorFormat::Google,
            _ => ErrorFormat::OpenAi,
        };
        let path = usual(path);
        match path.strip_prefix("/p/") {
            Some(rest) => of_provider(rest),
            None if path.starts_with("/v1/messages") => ErrorFormat::Anthropic,
            None if path.starts_with("/v1beta/") => ErrorFormat::Google,
            None => ErrorFormat::OpenAi,
        }
    }
}

impl Endpoint {
    pub(in crate::gateway) fn dialect(&self) -> Dialect {
        match self {
            Self::Chat | Self::Embeddings => Dialect::OpenAi,
            Self::Responses => Dialect::Responses,
            Self::Further(dialect) => *dialect,
            Self::Messages | Self::CountTokens => Dialect::Anthropic,
            Self::Native(_) => Dialect::Native,
        }
    }

    /// What OpenTelemetry calls the operation.
    pub(in crate::gateway) fn operation(&self) -> &'static str {
        match self {
            Self::Embeddings => "embeddings",
            Self::Chat | Self::Responses | Self::Messages | Self::CountTokens => "chat",
            Self::Further(_) | Self::Native(_) => "generate_content",
        }
    }
}

/// A path of a provider's own API, without a key in its query.
fn native(rest: &str, uri: &Uri) -> Result<GatewayRoute> {
    let (provider, path) = rest.split_once('/').ok_or_else(nothing_there)?;
    let provider: ProviderId = provider.parse().map_err(|_| nothing_there())?;
    expect_plain(path)?;
    Ok(GatewayRoute::Call(ProviderCall {
        endpoint: Endpoint::Native(provider),
        path: with_query(&format!("/{path}"), uri),
    }))
}

/// Fails where a provider could read the path as another one: what is read of it here must be what the provider gets,
/// and that lies below its address.
fn expect_plain(path: &str) -> Result<()> {
    if leads_elsewhere(path) {
        let message = "the path has segments that lead elsewhere, or characters that no path has";
        return Err(Error::new(Code::InvalidArgument, message).hint("spell it as the provider's documentation does"));
    }
    Ok(())
}

/// The path with `/v1` once at its beginning, where a client leaves it out or has it twice.
fn usual(path: &str) -> String {
    let mut rest = path;
    while let Some(after) = rest.strip_prefix("/v1").filter(|after| after.starts_with('/')) {
        rest = after;
    }
    let first = rest.split('/').nth(1).unwrap_or_default();
    if rest.len() < path.len() || OPTIONAL_VERSION.contains(&first) {
        format!("/v1{rest}")
    } else {
        path.to_owned()
    }
}

/// Whose API has that path beside those that are read.
fn further(path: &str) -> Option<Dialect> {
    FURTHER
        .iter()
        .find(|(start, _)| {
            path.strip_prefix(start)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
        .map(|(_, dialect)| *dialect)
}

/// Whether `method` is in a list as [`GatewayRoute::allowed`] returns it.
fn is_among(method: &Method, allowed: &str) -> bool {
    allowed.split(", ").any(|name| name == method.as_str())
}

/// The path with the query of `uri`, without a client key in it.
fn with_query(path: &str, uri: &Uri) -> String {
    let is_key = |pair: &&str| decoded(pair.split('=').next().unwrap_or_default()) == "key";
    let query: Vec<&str> = uri
        .query()
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter(|pair| !pair.is_empty() && !is_key(pair))
        .collect();
    if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", query.join("&"))
    }
}

/// Whether a server may read `path` as another one, however often it decodes it.
fn leads_elsewhere(path: &str) -> bool {
    let mut seen = path.to_owned();
    for _ in 0..=MAX_DECODINGS {
        if seen.split('/').any(is_unsafe) {
            return true;
        }
        // An overlong encoding is no UTF-8.
        let Ok(next) = percent_decode_str(&seen).decode_utf8() else {
            return true;
        };
        if next == seen {
            return false;
        }
        seen = next.into_owned();
    }
    true
}

/// Whether a segment of a path goes up, ends the path for some servers, or is a separator to others.
fn is_unsafe(segment: &str) -> bool {
    // Some servers normalize Unicode after they have split the path, and know `%uXXXX` too.
    let is_separator = |c: char| matches!(c, '\\' | '\u{2044}' | '\u{2215}' | '\u{29f8}' | '\u{ff0f}' | '\u{ff3c}');
    let is_dot = |c: char| matches!(c, '.' | '\u{2024}'..='\u{2026}' | '\u{fe52}' | '\u{ff0e}');
    let is_unicode_escape = |rest: &str| rest.bytes().take(4).filter(u8::is_ascii_hexdigit).count() == 4;
    let mut escapes = segment
        .split(['%'])
        .skip(1)
        .filter_map(|rest| rest.strip_prefix(['u', 'U']));
    let name = segment.split(';').next().unwrap_or(segment).trim();
    let dots = name.chars().count();
    segment.chars().any(|c| c.is_control() || is_separator(c))
        || escapes.any(is_unicode_escape)
        || (1..=2).contains(&dots) && name.chars().all(is_dot)
}

/// A path, or a part of one, as it is meant.
pub(in crate::gateway) fn decoded(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

fn nothing_there() -> Error {
    Error::new(Code::NoSuchRoute, "the gateway has nothing at that path").hint(
        "the gateway serves OpenAI's API at /v1, Anthropic's at /v1/messages, and each provider's own at /p/PROVIDER/",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(text: &str) -> Result<GatewayRoute> {
        GatewayRoute::of(&Method::POST, &text.parse().expect("a path"))
    }

    #[test]
    fn a_key_in_the_query_goes_nowhere() {
        let Ok(GatewayRoute::Call(call)) = route("/p/gemini/v1beta/models/g:generateContent?alt=sse&key=akc_x&a=b")
        else {
            panic!("a call");
        };
        assert_eq!(call.path, "/v1beta/models/g:generateContent?alt=sse&a=b");
        assert_eq!(call.endpoint, Endpoint::Native("google".parse().expect("a provider")));
    }

    #[test]
    fn a_query_goes_on_without_a_key() {
        let Ok(GatewayRoute::Call(call)) = route("/v1/messages?beta=true&k%65y=akc_x&key=akc_x&x") else {
            panic!("a call");
        };
        assert_eq!(
            (call.endpoint, call.path.as_str()),
            (Endpoint::Messages, "/messages?beta=true&x")
        );
    }

    #[test]
    fn a_method_that_a_path_does_not_take_is_refused_as_such() {
        let code = |method: &str, path: &str| {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            GatewayRoute::of(&method, &path.parse().expect("a path")).map_err(|why| why.code())
        };
        let refused = Err(Code::MethodNotAllowed);
        for method in ["TRACE", "CONNECT", "OPTIONS", "PROPFIND", "get"] {
            for path in ["/p/openai/user", "/v1/models", "/v1/responses", "/none", "/healthz"] {
                assert_eq!(code(method, path), refused, "{method} {path}");
            }
        }
        for (method, path) in [("GET", "/v1/responses"), ("POST", "/v1/models"), ("DELETE", "/metrics")] {
            assert_eq!(code(method, path), refused, "{method} {path}");
        }
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
            assert!(code(method, "/p/openai/files/1").is_ok(), "{method}");
            assert_eq!(code(method, "/none"), Err(Code::NoSuchRoute), "{method}");
        }
    }

    #[test]
    fn a_version_that_is_left_out_or_there_twice_changes_nothing() {
        for (text, endpoint, path) in [
            ("/messages?beta=true", Endpoint::Messages, "/messages?beta=true"),
            ("/v1/v1/messages", Endpoint::Messages, "/messages"),
            ("/chat/completions", Endpoint::Chat, "/chat/completions"),
            ("/responses", Endpoint::Responses, "/responses"),
            (
                "/v1/responses/compact",
                Endpoint::Further(Dialect::Responses),
                "/responses/compact",
            ),
            (
                "/responses/resp_1/cancel",
                Endpoint::Further(Dialect::Responses),
                "/responses/resp_1/cancel",
            ),
            ("/v1/completions", Endpoint::Further(Dialect::OpenAi), "/completions"),
            ("/v1/audio/speech", Endpoint::Further(Dialect::OpenAi), "/audio/speech"),
            (
                "/v1/messages/batches",
                Endpoint::Further(Dialect::Anthropic),
                "/messages/batches",
            ),
            (
                "/v1beta/models/g:generateContent",
                Endpoint::Native("google".parse().expect("a provider")),
                "/v1beta/models/g:generateContent",
            ),
        ] {
            let Ok(GatewayRoute::Call(call)) = route(text) else {
                panic!("a call: {text}");
            };
            assert_eq!((call.endpoint, call.path.as_str()), (endpoint, path), "{text}");
        }
        for text in [
            "/v1/filesystem",
            "/v1/audiox",
            "/v1/files/../x",
            "/v1/responses/%2e%2e/x",
        ] {
            assert!(route(text).is_err(), "{text}");
        }
        for text in ["/", "/healthz", "/health"] {
            let found = GatewayRoute::of(&Method::HEAD, &text.parse().expect("a path"));
            assert_eq!(found.ok(), Some(GatewayRoute::Health), "{text}");
        }
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_refused() {
        for path in [
            "/p/google/v1beta/models/cheap/../expensive:generateContent",
            "/p/google/v1beta/models/cheap/%2e%2E/expensive:generateContent",
            "/p/google/v1beta/models/cheap/.%2e/expensive:generateContent",
            "/p/openai/../../secret",
            "/p/openai/..",
            "/p/openai/./chat/completions",
            "/p/openai/\\evil.example",
            "/p/openai/%252e%252e/secret",
            "/p/openai/%25252e%25252e/secret",
            "/p/openai/%2525252525252e./secret",
            "/p/openai/..%2fsecret",
            "/p/openai/a%252f..%252fsecret",
            "/p/openai/%5cevil",
            "/p/openai/..%5csecret",
            "/p/openai/..;/secret",
            "/p/openai/..;a=b/secret",
            "/p/openai/.%2e;/secret",
            "/p/openai/%c0%ae%c0%ae/secret",
            "/p/openai/%e0%80%ae./secret",
            "/p/openai/%ef%bc%8e%ef%bc%8e/secret",
            "/p/openai/a%ef%bc%8f..",
            "/p/openai/%u002e%u002e/secret",
            "/p/openai/chat%00/completions",
            "/p/openai/chat%0d%0ax",
            "/p/openai/chat%2509",
            "/p/openai/..%20/secret",
        ] {
            assert!(route(path).is_err(), "{path}");
        }
        for path in [
            "/p/openai/files/a..b/...x",
            "/p/google/v1beta/models/g-2.5:generateContent",
            "/p/bedrock/model/arn%3Aaws%3Abedrock%3Aeu%2Fa.b-v1%3A0/converse",
            "/p/huggingface/models/org/name:latest",
            "/p/openai/files/100%25",
            "/p/openai/files/%C3%A9;v=1",
        ] {
            assert!(route(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn a_model_is_asked_for_by_get_and_by_any_spelling() {
        let uri: Uri = "/v1/models/local%2Fllama3%3A8b".parse().expect("a path");
        for method in [Method::GET, Method::HEAD] {
            let route = GatewayRoute::of(&method, &uri).expect("a route");
            assert_eq!(route, GatewayRoute::Models(Some("local/llama3:8b".to_owned())));
        }
        assert!(GatewayRoute::of(&Method::DELETE, &uri).is_err());
    }

    #[test]
    fn what_is_not_served_is_said() {
        for path in [
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
