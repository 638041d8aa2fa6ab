//! Asks a provider whether a key works.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use jiff::Timestamp;
use reqwest::{
    Client, Response,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use tokio::{sync::OnceCell, time::Instant};
use zeroize::Zeroizing;

use super::{
    Address, Auth, Check, Listing, Method, Provider,
    answer::{Account, Answer, Verdict},
    installed,
};
use crate::domain::{ApiKey, KeyStatus};

/// How long a check may take, from the first packet to the last.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of a body is read, in bytes.
const BODY_CAP: usize = 64 * 1024;
/// The same of a list of models.
const LIST_CAP: usize = 1024 * 1024;
const USER_AGENT: &str = concat!("api-keys/", env!("CARGO_PKG_VERSION"));

/// What came out of asking a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub status: KeyStatus,
    /// Nothing where no answer came.
    pub http_status: Option<u16>,
    /// One sentence of our own; never text that the provider sent.
    pub message: String,
    /// Whether the key is good for part of the provider's API only.
    pub restricted: bool,
    pub missing_scopes: Vec<String>,
    /// The provider's id of the account, where its answer tells; personal data.
    pub account: Option<Account>,
    /// When the provider says that the key expires.
    pub expires_at: Option<Timestamp>,
    pub latency_ms: u64,
}

/// Asks providers whether keys work; an HTTP client is built when it is first needed.
#[derive(Debug)]
pub struct Checker {
    patience: Duration,
    clients: Clients,
}

/// One client for each way a request can go; nothing where the system cannot provide it.
#[derive(Debug, Default)]
struct Clients {
    /// https to elsewhere, through the system's proxy where one is set.
    outside: OnceCell<Option<Client>>,
    /// https to this machine, past any proxy.
    loopback_https: OnceCell<Option<Client>>,
    /// http to this machine, past any proxy; works without the system's certificates.
    loopback_http: OnceCell<Option<Client>>,
}

/// Why no answer can be read.
enum Failure {
    NoClient,
    TimedOut,
    Untrusted,
    NotConnected,
    BrokenOff,
}

impl Default for Checker {
    fn default() -> Self {
        Self::new()
    }
}

impl Checker {
    /// Builds nothing yet.
    pub fn new() -> Self {
        Self::with_patience(PATIENCE)
    }

    /// A checker that waits for so long at most; for tests.
    pub fn with_patience(patience: Duration) -> Self {
        Self {
            patience,
            clients: Clients::default(),
        }
    }

    /// Asks `provider` whether `key`, which was added for `origin`, works.
    ///
    /// Never fails: what cannot be asked is `unreachable`, with the reason in the message. Sends
    /// nothing where `origin` is not the provider's origin any more.
    pub async fn check(&self, provider: &Provider, key: Option<&ApiKey>, origin: &str) -> Checked {
        let title = &provider.title;
        let not_asked = |why: &str| {
            let message = format!("{title} was not asked: {why}");
            Checked::new(Verdict::new(KeyStatus::Unreachable, message), None, 0)
        };
        let Some(check) = &provider.def.check else {
            return not_asked("no way to check its keys without using them is known");
        };
        let Some(address) = &provider.address else {
            return not_asked("it has no address; set its base_url in config.toml");
        };
        if address.origin() != origin {
            return not_asked("its address is not the one the key was added for");
        }
        if key.is_none() && provider.needs_key() {
            return not_asked("there is no key to ask about");
        }
        let started = Instant::now();
        let asked = tokio::time::timeout(self.patience, self.ask(provider, check, address, key)).await;
        let latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match asked.unwrap_or(Err(Failure::TimedOut)) {
            Ok((verdict, http_status)) => Checked::new(verdict, Some(http_status), latency_ms),
            Err(failure) => {
                let message = format!("{title} {}", failure.message());
                Checked::new(Verdict::new(KeyStatus::Unreachable, message), None, latency_ms)
            }
        }
    }

    /// Asks a server on this machine which models it has; no key is sent.
    pub(super) async fn installed(&self, provider: &Provider) -> Listing {
        let (Some(list), Some(address)) = (provider.def.models, &provider.address) else {
            return Listing::Unsaid;
        };
        let asked = tokio::time::timeout(installed::PATIENCE, async {
            let client = self.clients.client(address).await.ok_or(Failure::NoClient)?;
            let check = Check::get(&[]);
            let response = send(
                client,
                provider,
                &check,
                &format!("{}{}", address.as_str(), list.path),
                None,
            )
            .await?;
            let is_good = response.status().is_success();
            let (body, _) = read(response, LIST_CAP).await?;
            Ok(list.read(&body).filter(|_| is_good))
        });
        match asked.await.unwrap_or(Err(Failure::TimedOut)) {
            Ok(Some(models)) => Listing::Models(models),
            Ok(None) => Listing::Unsaid,
            Err(_) => Listing::Unreachable,
        }
    }

    /// Sends the request, or the next of its alternatives where one answers 404, and reads the answer.
    async fn ask(
        &self,
        provider: &Provider,
        check: &Check,
        address: &Address,
        key: Option<&ApiKey>,
    ) -> Result<(Verdict, u16), Failure> {
        let client = self.clients.client(address).await.ok_or(Failure::NoClient)?;
        let mut paths = check.paths.iter().peekable();
        loop {
            let path = paths.next().copied().unwrap_or_default();
            let response = send(client, provider, check, &format!("{}{path}", address.as_str()), key).await?;
            let http_status = response.status().as_u16();
            if http_status == 404 && paths.peek().is_some() {
                continue;
            }
            let account = provider
                .def
                .account_header
                .and_then(|name| response.headers().get(name))
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned);
            let (body, is_cut) = read(response, BODY_CAP).await?;
            let answer = Answer::new(&provider.title, http_status, &body, is_cut, key);
            let answer = answer.with_account_header(account.as_deref());
            return Ok(((provider.def.read)(&answer), http_status));
        }
    }
}

async fn send(
    client: &Client,
    provider: &Provider,
    check: &Check,
    url: &str,
    key: Option<&ApiKey>,
) -> Result<Response, Failure> {
    let mut request = match check.method {
        Method::Get => client.get(url),
        Method::Post => client.post(url),
    };
    if let Some(key) = key {
        let (name, value) = credential(provider.def.auth, key).ok_or(Failure::NoClient)?;
        request = request.header(name, value);
    }
    for (name, value) in check.headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = check.body {
        request = request.header(CONTENT_TYPE, "application/json").body(body);
    }
    request.send().await.map_err(|why| Failure::of(&why))
}

/// The header that carries the key.
fn credential(auth: Auth, key: &ApiKey) -> Option<(HeaderName, HeaderValue)> {
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

/// The body up to `cap` bytes, and whether it goes on.
async fn read(mut response: Response, cap: usize) -> Result<(Vec<u8>, bool), Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|why| Failure::of(&why))? {
        let room = cap - body.len();
        match chunk.get(..room) {
            Some(fitting) if chunk.len() > room => {
                body.extend_from_slice(fitting);
                return Ok((body, true));
            }
            Some(_) | None => body.extend_from_slice(&chunk),
        }
    }
    Ok((body, false))
}

impl Clients {
    async fn client(&self, address: &Address) -> Option<&Client> {
        let (cell, build): (_, fn() -> Option<Client>) = match (address.is_loopback(), address.is_https()) {
            (false, _) => (&self.outside, build_outside),
            (true, true) => (&self.loopback_https, build_loopback_https),
            (true, false) => (&self.loopback_http, build_loopback_http),
        };
        // Reading the system's certificates takes milliseconds: not on the thread that serves.
        cell.get_or_init(|| async move { tokio::task::spawn_blocking(build).await.ok().flatten() })
            .await
            .as_ref()
    }
}

fn build_outside() -> Option<Client> {
    builder().https_only(true).build().ok()
}

fn build_loopback_https() -> Option<Client> {
    loopback().build().ok()
}

fn build_loopback_http() -> Option<Client> {
    loopback().tls_certs_only(std::iter::empty()).build().ok()
}

/// A client for this machine: past any proxy, and `localhost` is what it says whatever a resolver says.
fn loopback() -> reqwest::ClientBuilder {
    let here = [
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
    ];
    builder().no_proxy().resolve_to_addrs("localhost", &here)
}

fn builder() -> reqwest::ClientBuilder {
    // Fails where a provider is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .pool_max_idle_per_host(0)
        .user_agent(USER_AGENT)
}

impl Failure {
    /// The kind of `why`, whose own text may hold addresses and is dropped.
    fn of(why: &reqwest::Error) -> Self {
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

    fn message(&self) -> &'static str {
        match self {
            Self::NoClient => "could not be asked: this system offers no trusted certificates",
            Self::TimedOut => "did not answer in time; check the network and try again",
            Self::Untrusted => "could not be asked: no trusted TLS connection came about",
            Self::NotConnected => "could not be reached; check the network, the proxy and base_url",
            Self::BrokenOff => "broke the answer off or sent one that is not HTTP; check base_url and try again",
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

impl Checked {
    fn new(verdict: Verdict, http_status: Option<u16>, latency_ms: u64) -> Self {
        Self {
            status: verdict.status,
            http_status,
            message: verdict.message,
            restricted: verdict.restricted,
            missing_scopes: verdict.missing_scopes,
            account: verdict.account,
            expires_at: verdict.expires_at,
            latency_ms,
        }
    }
}
