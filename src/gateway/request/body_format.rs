//! In whose format a request's body is, by the path it is for.

use crate::gateway::http::route::Endpoint;

/// The format of a body: which fields it knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum BodyFormat {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's older completions of a text.
    Completions,
    Responses,
    /// What has no output that is paid for.
    Embeddings,
    /// Anthropic's messages.
    Messages,
    Gemini,
    Ollama,
    /// Bedrock's Converse.
    Bedrock,
    Cohere,
    /// Unknown, so that no limit in it is relied on.
    #[default]
    Other,
}

/// The ends of paths of providers' own APIs.
const ENDS: &[(&str, BodyFormat)] = &[
    ("/chat/completions", BodyFormat::Chat),
    ("/completions", BodyFormat::Completions),
    ("/responses", BodyFormat::Responses),
    ("/responses/compact", BodyFormat::Responses),
    ("/embeddings", BodyFormat::Embeddings),
    ("/embed", BodyFormat::Embeddings),
    ("/rerank", BodyFormat::Embeddings),
    (":embedContent", BodyFormat::Embeddings),
    (":batchEmbedContents", BodyFormat::Embeddings),
    ("/messages", BodyFormat::Messages),
    (":generateContent", BodyFormat::Gemini),
    (":streamGenerateContent", BodyFormat::Gemini),
    ("/api/chat", BodyFormat::Ollama),
    ("/api/generate", BodyFormat::Ollama),
    ("/converse", BodyFormat::Bedrock),
    ("/converse-stream", BodyFormat::Bedrock),
    ("/v2/chat", BodyFormat::Cohere),
    ("/v1/chat", BodyFormat::Cohere),
];

impl BodyFormat {
    /// The format of a body that is sent to `path` of `endpoint`.
    pub(super) fn of(endpoint: &Endpoint, path: &str) -> Self {
        match endpoint {
            Endpoint::Chat => Self::Chat,
            Endpoint::Responses => Self::Responses,
            Endpoint::Embeddings => Self::Embeddings,
            Endpoint::Messages | Endpoint::CountTokens => Self::Messages,
            Endpoint::Further(_) | Endpoint::Native(_) => {
                let path = path.split('?').next().unwrap_or(path);
                let found = ENDS.iter().find(|(end, _)| path.ends_with(end));
                found.map_or(Self::Other, |(_, format)| *format)
            }
        }
    }
}
