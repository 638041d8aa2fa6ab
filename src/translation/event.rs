//! A response, whatever format it comes in, piece by piece.

/// A piece of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AnswerEvent {
    Start {
        id: Option<String>,
        model: Option<String>,
    },
    Text(String),
    Thinking(String),
    /// By which its provider accepts the thinking before it again.
    Signature(String),
    /// Thinking that only its provider can read.
    Redacted(String),
    /// A call of a tool begins; calls are numbered from 0.
    ToolStart {
        number: usize,
        id: String,
        name: String,
    },
    /// More of the JSON of a call's arguments.
    ToolArguments {
        number: usize,
        text: String,
    },
    /// The counts so far: those that come later replace these.
    Usage(AnswerCounts),
    Stop(StopReason),
    Failure(AnswerFailure),
    /// Nothing follows.
    End,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct AnswerCounts {
    /// Including what was read from and written to the cache.
    pub(super) input: u64,
    pub(super) cache_read: u64,
    pub(super) cache_write: u64,
    /// Including reasoning.
    pub(super) output: u64,
    pub(super) reasoning: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StopReason {
    EndTurn,
    MaxTokens,
    ToolUse,
    /// With the text that stopped it, where the provider says that.
    StopSequence(Option<String>),
    Refusal,
}

/// An error in place of a response, or in the middle of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AnswerFailure {
    pub(super) kind: FailureKind,
    pub(super) message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureKind {
    Invalid,
    Authentication,
    Billing,
    Permission,
    NotFound,
    TooLarge,
    RateLimited,
    Overloaded,
    Timeout,
    Server,
}

impl AnswerFailure {
    /// A stream that ends before its response does.
    pub(super) fn ended_early() -> Self {
        Self {
            kind: FailureKind::Server,
            message: "the provider's stream ended early".to_owned(),
        }
    }
}

impl FailureKind {
    const ANTHROPIC: [(Self, &'static str); 10] = [
        (Self::Invalid, "invalid_request_error"),
        (Self::Authentication, "authentication_error"),
        (Self::Billing, "billing_error"),
        (Self::Permission, "permission_error"),
        (Self::NotFound, "not_found_error"),
        (Self::TooLarge, "request_too_large"),
        (Self::RateLimited, "rate_limit_error"),
        (Self::Overloaded, "overloaded_error"),
        (Self::Timeout, "timeout_error"),
        (Self::Server, "api_error"),
    ];

    /// What an error with this status means.
    pub(super) fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Authentication,
            402 => Self::Billing,
            403 => Self::Permission,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            413 => Self::TooLarge,
            429 => Self::RateLimited,
            503 | 529 => Self::Overloaded,
            500.. => Self::Server,
            _ => Self::Invalid,
        }
    }

    /// What the `type` or `code` of an error in either format means; a server's fault where that is unknown.
    pub(super) fn of_name(name: &str) -> Self {
        let found = Self::ANTHROPIC.iter().find(|(_, known)| *known == name);
        match (found, name) {
            (Some((kind, _)), _) => *kind,
            (None, "insufficient_quota" | "billing_hard_limit_reached") => Self::Billing,
            (None, "rate_limit_exceeded") => Self::RateLimited,
            (None, "context_length_exceeded" | "invalid_prompt") => Self::Invalid,
            (None, "model_not_found") => Self::NotFound,
            (None, "server_is_overloaded") => Self::Overloaded,
            (None, _) => Self::Server,
        }
    }

    pub(super) fn anthropic(self) -> &'static str {
        let found = Self::ANTHROPIC.iter().find(|(kind, _)| *kind == self);
        found.map_or("api_error", |(_, name)| *name)
    }

    pub(super) fn openai(self) -> &'static str {
        match self {
            Self::Invalid | Self::NotFound | Self::TooLarge => "invalid_request_error",
            Self::Authentication => "authentication_error",
            Self::Billing => "insufficient_quota",
            Self::Permission => "permission_error",
            Self::RateLimited => "rate_limit_error",
            Self::Overloaded | Self::Timeout | Self::Server => "server_error",
        }
    }
}
