//! What a row of the catalogue says.

use std::fmt;

use super::{
    answer::{Answer, Verdict},
    installed::ModelList,
};

/// One provider, declared.
pub struct ProviderDef {
    /// The name people type.
    pub id: &'static str,
    /// The name people read.
    pub title: &'static str,
    /// The variables that programs read its key from, the usual one first.
    pub env_vars: &'static [&'static str],
    /// Where its own SDK sends requests; nothing where every customer has an address of their own.
    pub base_url: Option<&'static str>,
    pub key: KeyUse,
    pub auth: Auth,
    /// Where it speaks OpenAI's API, if it does.
    pub openai: Option<Wire>,
    /// Where it speaks Anthropic's API, if it does.
    pub anthropic: Option<Wire>,
    /// Whether its streams in OpenAI's format tell what was used only where the request asks for that.
    pub usage_on_request: bool,
    /// The public beginnings of its keys, longest first.
    pub prefixes: &'static [&'static str],
    /// The page where people make and revoke keys.
    pub console: &'static str,
    /// The header of an answer that names the account.
    pub account_header: Option<&'static str>,
    /// How to ask which models it has, of one that may run on this machine.
    pub models: Option<ModelList>,
    /// How to ask whether a key works; nothing where no way without spending tokens is known.
    pub check: Option<Check>,
    /// What an answer to that says of the key.
    pub read: fn(&Answer<'_>) -> Verdict,
    /// What it says, in small letters, in a 400 that is about the key, and the status that others have for that.
    pub key_errors: &'static [(&'static str, u16)],
}

/// Whether requests carry a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    Required,
    /// Works without; sent where one is stored.
    Optional,
}

/// Where in a request the key stands: only ever in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer …`
    Bearer,
    /// The key alone in the header of this name.
    Header(&'static str),
}

/// Where a provider speaks a format that is not its own alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire {
    /// What comes between the base URL and, say, `/chat/completions`.
    pub path: &'static str,
    pub auth: Auth,
}

/// The request that tells whether a key works.
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
