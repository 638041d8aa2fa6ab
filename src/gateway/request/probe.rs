//! A request read as the gateway reads it, and sent nowhere: for the fuzz targets.

use bytes::Bytes;
use hyper::{Method, Uri};

use super::{estimate::RequestTokens, fields::BodyFields, rewrite::rewritten};
use crate::{
    domain::{ModelId, ProviderId},
    gateway::http::route::{Endpoint, GatewayRoute},
};

/// What would be made of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Path and query as they would go on.
    pub path: String,
    pub body: Vec<u8>,
    /// The most tokens that its prompt can have.
    pub most_input: u64,
    /// The most tokens that its answers can have together.
    pub most_output: u64,
}

/// What would be made of `body` sent by POST to `path` for a model called `model`; nothing where it would be refused.
pub fn probe(path: &str, body: &[u8], model: &str) -> Option<Probe> {
    let uri: Uri = path.parse().ok()?;
    let Ok(GatewayRoute::Call(call)) = GatewayRoute::of(&Method::POST, &uri) else {
        return None;
    };
    let body = Bytes::copy_from_slice(body);
    let fields = BodyFields::read(&body, &call).ok()?;
    let provider: ProviderId = match &call.endpoint {
        Endpoint::Native(provider) => provider.clone(),
        Endpoint::Chat
        | Endpoint::Responses
        | Endpoint::Embeddings
        | Endpoint::Messages
        | Endpoint::CountTokens
        | Endpoint::Further(_) => "openai".parse().ok()?,
    };
    let model: ModelId = model.parse().ok()?;
    let estimate = RequestTokens::of(&fields, &provider, model.as_str(), None);
    let _ = (
        fields.service(),
        fields.task(&call.endpoint),
        fields.is_deferred(&call.path),
    );
    let (rewritten, _) = rewritten(&body, &fields, &model, true);
    Some(Probe {
        path: call.path,
        body: rewritten.to_vec(),
        most_input: estimate.most_input,
        most_output: estimate.most_output,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_shows_what_would_be_sent_and_reserved() {
        let body = br#"{"model":"openai/m","max_tokens":5,"n":2}"#;
        let probe = probe("/v1/chat/completions?key=x&a=b", body, "m").expect("a request");
        assert_eq!((probe.path.as_str(), probe.most_output), ("/chat/completions?a=b", 10));
        assert!(probe.body.starts_with(b"{\"stream_options\""));
        assert_eq!(super::probe("/p/openai/%2e%2e/x", body, "m"), None);
    }
}
