//! How a check reaches a provider: its HTTP client; and what every request shares, the header that carries the key and
//! why there is no response.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use reqwest::{
    Certificate, Client,
    header::{HeaderName, HeaderValue},
};
use zeroize::Zeroizing;

use super::{Auth, by_route::RouteClient, trust::ExtraCertificates};
use crate::domain::ApiKey;

/// How long a connection may take to come about.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
pub(super) const USER_AGENT: &str = concat!("api-keys/", env!("CARGO_PKG_VERSION"));

/// Why there is no answer, or no more of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    NoClient,
    /// The path is none that a request can carry below the provider's address.
    BadPath,
    TimedOut,
    Untrusted,
    NotConnected,
    BrokenOff,
    /// The response is compressed in a way that was not requested and cannot be read.
    Compressed,
}

/// The header that carries the key.
pub(super) fn credential(auth: Auth, key: &ApiKey) -> Option<(HeaderName, HeaderValue)> {
    // EXPOSE: header bytes for the key's own provider, marked sensitive, never logged
    let key = key.expose();
    let (name, text) = match auth {
        Auth::Bearer => (reqwest::header::AUTHORIZATION, Zeroizing::new(format!("Bearer {key}"))),
        Auth::Header(name) => (HeaderName::from_static(name), Zeroizing::new(key.to_owned())),
    };
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

impl RouteClient for Client {
    fn outside(extra: &ExtraCertificates) -> Option<Self> {
        trusting(builder(), extra).https_only(true).build().ok()
    }

    fn loopback_https(extra: &ExtraCertificates) -> Option<Self> {
        trusting(loopback(), extra).build().ok()
    }

    fn loopback_http() -> Option<Self> {
        loopback().tls_certs_only(std::iter::empty()).build().ok()
    }
}

pub(super) fn trusting(builder: reqwest::ClientBuilder, extra: &ExtraCertificates) -> reqwest::ClientBuilder {
    let extra = extra.read();
    if extra.is_empty() {
        return builder;
    }
    let certificates = extra.iter().filter_map(|extra| Certificate::from_der(extra).ok());
    builder.tls_certs_merge(certificates)
}

/// A client for this machine: past any proxy, and `localhost` is what it says whatever a resolver says.
pub(super) fn loopback() -> reqwest::ClientBuilder {
    let here = [
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
    ];
    builder().no_proxy().resolve_to_addrs("localhost", &here)
}

pub(super) fn builder() -> reqwest::ClientBuilder {
    // Fails where a provider is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .pool_max_idle_per_host(0)
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .user_agent(USER_AGENT)
}

impl Failure {
    /// The kind of `why`, whose own text may hold addresses and is dropped.
    pub(super) fn of(why: &reqwest::Error) -> Self {
        if why.is_timeout() {
            Self::TimedOut
        } else if is_tls(why) {
            Self::Untrusted
        } else if why.is_connect() {
            Self::NotConnected
        } else {
            Self::BrokenOff
        }
    }

    /// The same of a request over a kept connection. A connection that did not come about in time is none: nothing was
    /// sent over it.
    pub(super) fn of_request(why: &hyper_util::client::legacy::Error) -> Self {
        if is_tls(why) {
            Self::Untrusted
        } else if why.is_connect() {
            Self::NotConnected
        } else {
            Self::BrokenOff
        }
    }

    /// The same of a response that had begun.
    pub(super) fn of_body(why: &hyper::Error) -> Self {
        if is_tls(why) { Self::Untrusted } else { Self::BrokenOff }
    }

    /// What becomes of `The provider …`.
    pub fn message(&self) -> &'static str {
        match self {
            Self::NoClient => "could not be reached: no trusted certificates on this system",
            Self::BadPath => "could not be contacted: the path is not below its address",
            Self::TimedOut => "did not answer in time; check the network and try again",
            Self::Untrusted => "could not be reached: TLS certificate not trusted",
            Self::NotConnected => "could not be reached; check the network, the proxy and base_url",
            Self::BrokenOff => {
                "closed the connection before the response was complete, or sent something that is not HTTP; check base_url and try again"
            }
            Self::Compressed => "sent a compressed response that was not requested",
        }
    }
}

/// Whether TLS is somewhere among the causes of `why`.
fn is_tls(why: &(dyn std::error::Error + 'static)) -> bool {
    // An I/O error that wraps another names as its source what is behind that one.
    let wrapped = why
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
        .is_some_and(|inner| is_tls(inner));
    wrapped || why.is::<rustls::Error>() || why.source().is_some_and(is_tls)
}
