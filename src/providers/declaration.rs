//! What a row of the catalog says.

use std::fmt;

use super::{
    answer::{KeyVerdict, ProviderResponse},
    model_list::ModelList,
    refusal::RefusalRule,
};

/// One provider, declared.
pub struct ProviderDef {
    /// The name people type.
    pub id: &'static str,
    /// The name people read.
    pub title: &'static str,
    /// The environment variables with its key, the usual one first.
    pub env_vars: &'static [&'static str],
    /// Where its own SDK sends requests; nothing where every customer has their own address.
    pub base_url: Option<&'static str>,
    /// Where it has other accounts, with keys that only work there.
    pub sites: &'static [&'static str],
    pub key: KeyUse,
    pub auth: Auth,
    /// Where it speaks OpenAI's API, with chat completions and embeddings, if it does.
    pub openai: Option<Wire>,
    /// Where it speaks OpenAI's Responses API, if it does.
    pub responses: Option<Wire>,
    /// Where it speaks Anthropic's API, if it does.
    pub anthropic: Option<Wire>,
    /// Whether its streams in OpenAI's format report usage only on request.
    pub usage_on_request: bool,
    /// Why a request costs nothing by itself, such as a subscription; nothing where tokens are charged.
    pub unmetered: Option<&'static str>,
    /// Whether its responses say what they cost.
    pub states_cost: bool,
    /// Whether it documents flexible processing to cost what the standard one does.
    pub flex_at_standard_rates: bool,
    /// The public prefixes of its keys, longest first.
    pub prefixes: &'static [&'static str],
    /// How the names of its own models begin, for those that no list has yet.
    pub model_prefixes: &'static [&'static str],
    /// The page where keys are created and revoked.
    pub console: &'static str,
    /// The response header that names the account.
    pub account_header: Option<&'static str>,
    /// How to list its models, for a server that may run on this machine.
    pub models: Option<ModelList>,
    /// The request that validates a key; nothing where every known one costs tokens.
    pub check: Option<Check>,
    /// What the response to that says about the key.
    pub read: fn(&ProviderResponse<'_>) -> KeyVerdict,
    /// What its errors mean, beyond their statuses and the codes that many providers use.
    pub refusals: &'static [RefusalRule],
}

/// Whether requests carry a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    Required,
    /// Works without; sent where one is stored.
    Optional,
}

/// How a request carries the key: always in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer …`
    Bearer,
    /// The key alone in the header of this name.
    Header(&'static str),
}

/// Where a provider offers an API that others offer too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire {
    /// What comes between the base URL and, say, `/chat/completions`.
    pub path: &'static str,
    /// The end of the base URL that `path` takes the place of, where that API lies beside the provider's own.
    pub instead_of: &'static str,
    pub auth: Auth,
}

/// The request that validates a key.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    pub method: Method,
    /// Paths below the base URL; the next is tried where one answers 404.
    pub paths: &'static [&'static str],
    /// Headers besides the key's.
    pub headers: &'static [(&'static str, &'static str)],
    /// A JSON body that cannot cost anything.
    pub body: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
}

impl Check {
    /// A plain GET.
    pub(super) const fn get(paths: &'static [&'static str]) -> Self {
        Self {
            method: Method::Get,
            paths,
            headers: &[],
            body: None,
        }
    }

    /// A POST of JSON.
    pub(super) const fn post(paths: &'static [&'static str], body: &'static str) -> Self {
        Self {
            method: Method::Post,
            paths,
            headers: &[],
            body: Some(body),
        }
    }
}

impl fmt::Debug for ProviderDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProviderDef").field(&self.id).finish()
    }
}
