//! A request as a log says it was.

use std::{borrow::Cow, sync::Arc};

use jiff::Timestamp;

use crate::domain::{Service, TokenCounts, Usd};

/// A request in an agent's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedRequest {
    /// Recognizes the request among all of its agent: in copies, in forks, and when the log is read again.
    pub identity: String,
    /// The provider's own id of it, where the log has one.
    pub upstream_id: Option<String>,
    pub at: Timestamp,
    /// Who served it, as the log or the agent's habit says; the catalog knows better.
    pub provider: Cow<'static, str>,
    pub model: Arc<str>,
    pub session: Option<Arc<str>>,
    /// The name of the folder that was worked in.
    pub project: Option<Arc<str>>,
    pub service: Service,
    pub counts: TokenCounts,
    /// What the log says that it cost.
    pub stated_cost: Option<Usd>,
    /// Searches of the web that the provider made for it.
    pub searches: u64,
    /// Whether more is charged than for tokens and searches: a place.
    pub has_more_charged: bool,
    /// Whether the counts are inferred, because what they follow from is gone.
    pub is_estimated: bool,
    /// Whether it may be a copy that another transcript has the original of.
    pub is_copy: bool,
    pub kind: LogKind,
}

/// What the figures of a log are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogKind {
    /// One request.
    Request,
    /// All that a session has used so far: the identity is the session's, and what is new since the last time counts.
    Cumulative,
    /// A copy of another's request: should it have been counted, it is taken back.
    Copy,
}

/// How far a log was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogReading {
    /// Where reading goes on when the log has grown; 0 where it is read whole each time.
    pub read_to: u64,
    /// Lines or entries that should hold a request and could not be read.
    pub unreadable: u64,
}

impl LoggedRequest {
    /// A request with what every log says of it.
    pub(super) fn new(
        identity: String,
        at: Timestamp,
        provider: impl Into<Cow<'static, str>>,
        model: &str,
        counts: TokenCounts,
    ) -> Self {
        Self {
            identity,
            upstream_id: None,
            at,
            provider: provider.into(),
            model: model.into(),
            session: None,
            project: None,
            service: Service::Standard,
            counts,
            stated_cost: None,
            searches: 0,
            has_more_charged: false,
            is_estimated: false,
            is_copy: false,
            kind: LogKind::Request,
        }
    }

    /// The same as a part of a session in a folder.
    #[must_use]
    pub(super) fn of_session(self, session: Option<&str>, folder: Option<&str>) -> Self {
        Self {
            session: session.map(Into::into),
            project: folder.and_then(folder_name).map(Into::into),
            ..self
        }
    }
}

/// The last name in the path of a folder, of whatever system.
pub(super) fn folder_name(path: &str) -> Option<&str> {
    path.rsplit(['/', '\\']).find(|name| !name.is_empty())
}

/// Counts of an agent that counts cached input beside the input.
pub(super) fn with_cache_beside([input, output, cache_read, cache_write]: [u64; 4]) -> TokenCounts {
    TokenCounts {
        input: input.saturating_add(cache_read).saturating_add(cache_write),
        output,
        cache_read,
        cache_write,
        ..TokenCounts::default()
    }
}

/// Counts of an agent that counts cached input within the input.
pub(super) fn with_cache_within([input, output, cache_read, cache_write]: [u64; 4]) -> TokenCounts {
    let cache_read = cache_read.min(input);
    TokenCounts {
        input,
        output,
        cache_read,
        cache_write: cache_write.min(input - cache_read),
        ..TokenCounts::default()
    }
}

/// The same, where reasoning is counted beside the output.
pub(super) fn with_reasoning(counts: TokenCounts, reasoning: u64) -> TokenCounts {
    TokenCounts {
        output: counts.output.saturating_add(reasoning),
        reasoning,
        ..counts
    }
}
