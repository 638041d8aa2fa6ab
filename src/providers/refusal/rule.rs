//! Which error means what, and what may be tried after it.

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefusalKind {
    /// The account has no credit, reached its spending limit or was disabled.
    NoCredit,
    /// The provider does not accept the key.
    KeyRefused,
    /// The key is accepted, but may not be used for this.
    NotAllowed,
    RateLimited,
    /// The provider does not serve the region or network that the request came from; nothing about the key.
    RegionBlocked,
    /// The provider does not have the model, or not any more, or not for this account.
    ModelMissing,
    /// The provider is overloaded or failed.
    ServerFailed,
    /// The request cannot be answered as it is, by any key.
    RequestFault,
}

/// Which attempt may succeed after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryWith {
    /// One with another key of the provider, or with another provider.
    AnotherKey,
    /// One with another provider or model.
    AnotherProvider,
    Nothing,
}

/// What a provider says in an error, and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusalRule {
    pub said: ErrorPattern,
    pub kind: RefusalKind,
}

/// How an error is recognized; upper and lower case are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorPattern {
    /// A whole code, type, status or reason of the error.
    Code(&'static str),
    /// A message that begins with the first part and has the others later, in this order.
    Message(&'static [&'static str]),
}

/// A rule for errors with that code.
pub(in crate::providers) const fn code(code: &'static str, kind: RefusalKind) -> RefusalRule {
    let said = ErrorPattern::Code(code);
    RefusalRule { said, kind }
}

/// A rule for errors with a message of those parts, in lower case.
pub(in crate::providers) const fn message(parts: &'static [&'static str], kind: RefusalKind) -> RefusalRule {
    let said = ErrorPattern::Message(parts);
    RefusalRule { said, kind }
}

impl RefusalKind {
    /// Which attempt may succeed after it.
    pub fn retry(self) -> RetryWith {
        match self {
            Self::NoCredit | Self::KeyRefused | Self::NotAllowed | Self::RateLimited | Self::ServerFailed => {
                RetryWith::AnotherKey
            }
            Self::RegionBlocked | Self::ModelMissing => RetryWith::AnotherProvider,
            Self::RequestFault => RetryWith::Nothing,
        }
    }
}
