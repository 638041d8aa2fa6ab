//! Who made a request and for what, as its headers say.

use hyper::{HeaderMap, header};

use crate::{
    domain::Tags,
    error::{Code, Error, Result},
    providers,
    storage::gateway_clients::GatewayClient,
};

/// The longest text that is kept of a header, in characters.
const MAX_LENGTH: usize = 200;

/// The headers in which agents and libraries name the session, ours first.
const SESSION_HEADERS: &[&str] = &[
    "x-api-keys-session",
    "x-claude-code-session-id",
    "session-id",
    "session_id",
    "x-session-id",
    "x-opencode-session",
    "x-session-affinity",
    "x-conversation-id",
    "conversation_id",
    "x-client-session-id",
    "x-litellm-session-id",
    "helicone-session-id",
];

/// How agents begin their `User-Agent`, in lower case, and what they are called in the ledger; the longer ones of two
/// that begin alike come first.
const AGENTS: &[(&str, &str)] = &[
    ("claude-cli", "claude-code"),
    ("claude-code", "claude-code"),
    ("codex", "codex"),
    ("opencode", "opencode"),
    ("antigravity", "antigravity"),
    ("geminicli", "gemini-cli"),
    ("gemini-cli", "gemini-cli"),
    ("qwen", "qwen-code"),
    ("kimi", "kimi-code"),
    ("cline", "cline"),
    ("roo", "roo-code"),
    ("kilo", "kilo-code"),
    ("goose", "goose"),
    ("aider", "aider"),
    ("litellm", "litellm"),
];

/// Who made a request and for what.
#[derive(Debug, Clone, Default)]
pub(in crate::gateway) struct Attribution {
    pub(in crate::gateway) agent: Option<String>,
    pub(in crate::gateway) session: Option<String>,
    pub(in crate::gateway) project: Option<String>,
    pub(in crate::gateway) tags: Tags,
}

impl Attribution {
    /// What the headers of a request say, and where they don't, its client; fails where its tags are not of the form
    /// `name=value`.
    pub(in crate::gateway) fn of(headers: &HeaderMap, client: &GatewayClient) -> Result<Self> {
        let user_agent = headers.get(header::USER_AGENT).and_then(|said| said.to_str().ok());
        let user_agent = user_agent.map(|said| said.trim().to_ascii_lowercase());
        let agent = note(headers, "x-api-keys-agent")
            .or_else(|| known_agent(user_agent.as_deref()?).map(str::to_owned))
            .or_else(|| client.agent.clone())
            .or_else(|| product(user_agent.as_deref()?).filter(|name| !providers::has_key_form(name)));
        let session = SESSION_HEADERS.iter().find_map(|name| note(headers, name));
        Ok(Self {
            agent,
            session: session.or_else(|| client.session.clone()),
            project: note(headers, "x-api-keys-project").or_else(|| client.project.clone()),
            tags: tags(headers)?,
        })
    }
}

/// What a header says, unless it is a key, which no ledger must hold.
fn note(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?.trim();
    (!value.is_empty() && !providers::has_key_form(value)).then(|| value.chars().take(MAX_LENGTH).collect())
}

/// The agent that says this of itself.
fn known_agent(user_agent: &str) -> Option<&'static str> {
    let known = AGENTS.iter().find(|(start, _)| user_agent.starts_with(start));
    known.map(|(_, name)| *name)
}

/// The product that a program's description of itself begins with.
fn product(user_agent: &str) -> Option<String> {
    let product = user_agent.split(['/', ' ', '(', ';']).next()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (!product.is_empty() && product.chars().all(is_plain)).then(|| product.chars().take(40).collect())
}

fn tags(headers: &HeaderMap) -> Result<Tags> {
    let all: Vec<&str> = headers
        .get_all("x-api-keys-tags")
        .iter()
        .map(|value| value.to_str().unwrap_or("="))
        .collect();
    let refused = |problem: String| {
        Error::new(
            Code::InvalidArgument,
            format!("the header `x-api-keys-tags` cannot be used: {problem}"),
        )
        .hint("send pairs with commas between them, such as `team=search,ticket=K-7`")
    };
    let tags: Tags = all.join(",").parse().map_err(|why| refused(format!("{why}")))?;
    let values = tags.text().into_iter().flat_map(|text| text.split([',', '=']));
    if values.into_iter().any(providers::has_key_form) {
        return Err(refused("a tag looks like an API key".to_owned()));
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};
    use serde_json::json;

    use super::*;

    fn client() -> GatewayClient {
        let client = json!({"name": "test", "key_hash": "00".repeat(32), "created_at": "2026-11-24T12:00:00Z"});
        serde_json::from_value(client).expect("a client")
    }

    fn said(headers: &[(&str, &str)]) -> Result<Attribution> {
        said_by(&client(), headers)
    }

    fn said_by(client: &GatewayClient, headers: &[(&str, &str)]) -> Result<Attribution> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            map.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        Attribution::of(&map, client)
    }

    #[test]
    fn agents_are_known_by_what_they_say_of_themselves() {
        for (user_agent, name) in [
            ("claude-cli/2.1.332 (external, cli)", Some("claude-code")),
            ("codex_exec/0.171.0 (Debian 12.0.0; x86_64) dumb", Some("codex")),
            ("opencode/1.18.33 ai-sdk/provider-utils/3.0.20", Some("opencode")),
            ("GeminiCLI/0.61.0/gemini-3-pro (linux; x64)", Some("gemini-cli")),
            ("OpenAI/Python 2.9.0", Some("openai")),
            ("curl/8.9", Some("curl")),
            ("", None),
            ("(x)", None),
        ] {
            assert_eq!(
                said(&[("user-agent", user_agent)]).expect("fine").agent.as_deref(),
                name,
                "{user_agent}"
            );
        }
    }

    #[test]
    fn what_a_request_does_not_say_of_itself_its_client_does() {
        let client = GatewayClient {
            agent: Some("cline".to_owned()),
            session: Some("run-1".to_owned()),
            ..client()
        };
        for (headers, agent, session) in [
            (vec![], "cline", "run-1"),
            (vec![("user-agent", "ai-sdk/openai/4.0.47")], "cline", "run-1"),
            (vec![("user-agent", "codex_exec/1"), ("session_id", "s")], "codex", "s"),
            (vec![("x-api-keys-agent", "mine")], "mine", "run-1"),
        ] {
            let said = said_by(&client, &headers).expect("fine");
            assert_eq!(
                (said.agent.as_deref(), said.session.as_deref()),
                (Some(agent), Some(session))
            );
        }
    }

    #[test]
    fn the_session_is_what_the_caller_or_its_agent_calls_it() {
        let claude = ("x-claude-code-session-id", "c-1");
        for (headers, session) in [
            (vec![claude], Some("c-1")),
            (vec![claude, ("x-api-keys-session", "mine")], Some("mine")),
            (vec![("session_id", "s-1")], Some("s-1")),
            (vec![("session-id", "")], None),
            (
                vec![("x-session-id", "sk-proj-J7x2Qm9ZtVbW4kHsR8wxyzJ7x2Qm9ZtVbW4kHsR8w")],
                None,
            ),
        ] {
            assert_eq!(said(&headers).expect("fine").session.as_deref(), session, "{headers:?}");
        }
    }

    #[test]
    fn tags_are_read_from_every_header_and_refused_where_they_are_none() {
        let tags = said(&[("x-api-keys-tags", "b=2"), ("x-api-keys-tags", "a=1")]).expect("tags");
        assert_eq!(tags.tags.text(), Some("a=1,b=2"));
        for value in ["a", "a=1,a=2", "a=sk-proj-J7x2Qm9ZtVbW4kHsR8wxyzJ7x2Qm9ZtVbW4kHsR8w"] {
            let why = said(&[("x-api-keys-tags", value)]).expect_err(value);
            assert_eq!(why.code(), Code::InvalidArgument);
        }
    }
}
