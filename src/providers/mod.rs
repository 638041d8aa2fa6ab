//! The providers: each declared once, with how to ask whether a key works; the only module that reaches the network.
//!
//! A row of [`PROVIDERS`] says where a provider is, how it takes a key, what its keys look like,
//! which request tells whether a key works without spending a token, and how to read the answer.
//! [`Checker`] sends that request. Nothing a provider writes reaches a result but ids and scopes
//! that pass a strict filter, because an answer may echo the key.

mod address;
mod answer;
mod by_route;
mod checker;
mod connector;
mod declaration;
mod decoding;
mod finder;
mod http;
mod installed;
mod key_prefixes;
mod local_servers;
mod lookalike;
mod mailer;
mod messenger;
mod model_list;
mod provider;
mod rate_limits;
mod readings;
mod refusal;
mod shape;
mod table;
mod trust;
mod upstream;
mod usage;
mod windows;

pub use self::{
    address::{Address, AddressError},
    answer::{Account, BodyKind, KeyVerdict, ProviderResponse},
    checker::{Checked, Checker},
    declaration::{Auth, Check, KeyUse, Method, ProviderDef, Wire},
    finder::{FoundKey, KeyFinder, MAX_FOUND, is_token},
    http::Failure,
    installed::Listings,
    local_servers::LocalServer,
    lookalike::{has_key_form, looks_like_key, may_be_key},
    mailer::{MailFailure, OutgoingMail, is_mail_address, send_mail},
    messenger::{Messenger, MessengerAnswer, OutgoingPost},
    model_list::{Installed, ModelList, ModelListing, kind},
    provider::{KeyConfig, Provider, ProviderKind, QuotaHolder},
    rate_limits::{QuotaUnit, Remaining, remaining, retry_after, retry_after_in},
    refusal::{ErrorPattern, RefusalKind, RefusalRule, Refused, RetryWith, read_refusal, refusal_in},
    shape::{ShapeError, ShapeWarning, check_shape},
    table::PROVIDERS,
    trust::ExtraCertificates,
    upstream::{Dialect, Upstream, UpstreamBody, UpstreamRequest, UpstreamResponse},
    usage::{Framing, Meter, UsageReader},
};
