//! A line of Claude Code's logs, as far as it reports usage.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::{
    agent_logs::json::{Count, LogText},
    domain::{Service, TokenCounts},
};

/// A line that may report usage; everything else in it is skipped.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClaudeLine<'a> {
    #[serde(borrow, default)]
    pub(super) timestamp: LogText<'a>,
    #[serde(borrow, default)]
    pub(super) session_id: LogText<'a>,
    #[serde(borrow, default)]
    pub(super) request_id: LogText<'a>,
    #[serde(borrow, default)]
    pub(super) uuid: LogText<'a>,
    /// The line that this one follows.
    #[serde(borrow, default)]
    pub(super) parent_uuid: LogText<'a>,
    #[serde(borrow, default)]
    pub(super) cwd: LogText<'a>,
    #[serde(borrow, default)]
    pub(super) session_kind: LogText<'a>,
    #[serde(borrow, default)]
    pub(super) message: Option<ClaudeMessage<'a>>,
    #[serde(default)]
    pub(super) tool_use_result: ToolSearches,
}

#[derive(Deserialize)]
pub(super) struct ClaudeMessage<'a> {
    #[serde(borrow, default)]
    pub(super) id: LogText<'a>,
    #[serde(borrow, default)]
    pub(super) model: LogText<'a>,
    #[serde(borrow, default)]
    pub(super) usage: Option<ClaudeUsage<'a>>,
}

/// What a message used, or one of several runs of a model for it: the counts at the top are of the runs that answered.
#[derive(Deserialize, Default)]
pub(super) struct ClaudeUsage<'a> {
    #[serde(default)]
    input_tokens: Count,
    #[serde(default)]
    output_tokens: Count,
    #[serde(default)]
    cache_read_input_tokens: Count,
    #[serde(default)]
    cache_creation_input_tokens: Count,
    #[serde(default)]
    cache_creation: Option<CacheCreation>,
    #[serde(default)]
    server_tool_use: Option<ServerTools>,
    #[serde(borrow, default)]
    service_tier: LogText<'a>,
    #[serde(borrow, default)]
    speed: LogText<'a>,
    #[serde(borrow, default)]
    inference_geo: LogText<'a>,
    /// Of a run: what it was for, and with which model.
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: LogText<'a>,
    #[serde(borrow, default)]
    pub(super) model: LogText<'a>,
    #[serde(borrow, default)]
    pub(super) iterations: Option<Vec<ClaudeUsage<'a>>>,
}

#[derive(Deserialize, Default, Clone, Copy)]
struct CacheCreation {
    #[serde(default)]
    ephemeral_5m_input_tokens: Count,
    #[serde(default)]
    ephemeral_1h_input_tokens: Count,
}

#[derive(Deserialize, Default)]
struct ServerTools {
    #[serde(default)]
    web_search_requests: Count,
}

/// How often a tool searched the web, by its result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ToolSearches {
    pub(super) count: u64,
}

impl ClaudeUsage<'_> {
    /// The counts, with the parts of the prompt that a cache was involved in added to the input.
    pub(super) fn counts(&self) -> TokenCounts {
        let by_time = self.cache_creation.unwrap_or_default();
        let (short, long) = (by_time.ephemeral_5m_input_tokens.0, by_time.ephemeral_1h_input_tokens.0);
        let cache_write = match self.cache_creation_input_tokens.0 {
            0 => short.saturating_add(long),
            written => written,
        };
        let cache_read = self.cache_read_input_tokens.0;
        TokenCounts {
            input: self
                .input_tokens
                .0
                .saturating_add(cache_read)
                .saturating_add(cache_write),
            output: self.output_tokens.0,
            cache_read,
            cache_write,
            cache_write_1h: long.min(cache_write),
            reasoning: 0,
        }
    }

    pub(super) fn service(&self) -> Service {
        match (self.speed.get(), self.service_tier.get()) {
            (Some("fast"), _) => Service::Fast,
            (_, Some("priority")) => Service::Priority,
            (_, Some("batch")) => Service::Batch,
            (_, Some("flex")) => Service::Flex,
            _ => Service::Standard,
        }
    }

    /// The searches of the web that the provider made.
    pub(super) fn searches(&self) -> u64 {
        self.server_tool_use
            .as_ref()
            .map_or(0, |tools| tools.web_search_requests.0)
    }

    /// Whether a place was asked for that costs more.
    pub(super) fn has_more_charged(&self) -> bool {
        self.inference_geo.get() == Some("us")
    }
}

impl<'de> Deserialize<'de> for ToolSearches {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ResultVisitor;

        /// A name in what a tool returned.
        #[derive(Deserialize)]
        enum ResultField {
            #[serde(rename = "searchCount")]
            SearchCount,
            #[serde(other)]
            Other,
        }

        impl<'de> Visitor<'de> for ResultVisitor {
            type Value = ToolSearches;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("what a tool returned")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ToolSearches, A::Error> {
                let mut found = ToolSearches::default();
                while let Some(name) = map.next_key::<ResultField>()? {
                    match name {
                        ResultField::SearchCount => found.count = map.next_value::<Count>()?.0,
                        ResultField::Other => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(found)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ToolSearches, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(ToolSearches::default())
            }

            fn visit_str<E>(self, _: &str) -> Result<ToolSearches, E> {
                Ok(ToolSearches::default())
            }

            fn visit_bool<E>(self, _: bool) -> Result<ToolSearches, E> {
                Ok(ToolSearches::default())
            }

            fn visit_u64<E>(self, _: u64) -> Result<ToolSearches, E> {
                Ok(ToolSearches::default())
            }

            fn visit_i64<E>(self, _: i64) -> Result<ToolSearches, E> {
                Ok(ToolSearches::default())
            }

            fn visit_f64<E>(self, _: f64) -> Result<ToolSearches, E> {
                Ok(ToolSearches::default())
            }

            fn visit_unit<E>(self) -> Result<ToolSearches, E> {
                Ok(ToolSearches::default())
            }
        }
        deserializer.deserialize_any(ResultVisitor)
    }
}
