//! What an error response means: whether the key, the account, the region, the model or the request is at fault.
//!
//! Providers disagree about statuses (an empty balance is a 400 at one, a 429 at another, a 500 or a 200 at a third), so
//! the body decides first. The rules for it are declared with each provider in [`PROVIDERS`](super::PROVIDERS), and in
//! `reading` for codes that many use. A rule matches a machine-readable code, or how a message begins: words somewhere in a message
//! prove nothing, because messages quote the request.

mod reading;
mod rule;

pub use self::{
    reading::{Refused, read_refusal, refusal_in},
    rule::{ErrorPattern, RefusalKind, RefusalRule, RetryWith},
};
pub(super) use self::{
    reading::{is_error, kind_of},
    rule::{code, message},
};
