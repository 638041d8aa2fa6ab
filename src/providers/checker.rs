//! Asks a provider whether a key works.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Client, Response, header::CONTENT_TYPE};
use tokio::time::Instant;

use super::{
    Address, Check, ExtraCertificates, Method, ModelListing, Provider,
    answer::{Account, KeyVerdict, ProviderResponse},
    by_route::ByRoute,
    http::{Failure, credential},
    model_list::LISTING_TIMEOUT,
    refusal::{self, RefusalKind},
};
use crate::domain::{ApiKey, KeyStatus};

/// How long a check may take, from the first packet to the last.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of a body is read, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// The same of a list of models.
const MAX_LIST_BYTES: usize = 1024 * 1024;

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
    clients: ByRoute<reqwest::Client>,
}

impl Default for Checker {
    fn default() -> Self {
        Self::new()
    }
}

impl Checker {
    /// Builds nothing yet.
    pub fn new() -> Self {
        Self::with_patience(CHECK_TIMEOUT)
    }

    /// A checker that waits for so long at most; for tests.
    pub fn with_patience(patience: Duration) -> Self {
        Self {
            patience,
            clients: ByRoute::default(),
        }
    }

    /// A checker that trusts these certificates, too.
    pub fn trusting(extra: ExtraCertificates) -> Self {
        Self {
            patience: CHECK_TIMEOUT,
            clients: ByRoute::trusting(extra),
        }
    }

    /// Asks `provider` whether `key`, which was added for `origin`, works.
    ///
    /// Never fails: a provider that cannot be reached is `unreachable`, with the reason in the message. Sends
    /// nothing where `origin` is not the provider's origin any more.
    pub async fn check(&self, provider: &Provider, key: Option<&ApiKey>, origin: &str) -> Checked {
        let title = &provider.title;
        let not_asked = |why: &str| {
            let message = format!("{title} was not contacted: {why}");
            Checked::new(KeyVerdict::new(KeyStatus::Unreachable, message), None, 0)
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
            Ok((mut verdict, http_status)) => {
                if let (KeyStatus::Invalid, Some(site)) = (verdict.status, provider.other_site()) {
                    let elsewhere =
                        format!("; keys of {site} only work there: set that as its base_url, and add the key again");
                    verdict.message.push_str(&elsewhere);
                }
                Checked::new(verdict, Some(http_status), latency_ms)
            }
            Err(failure) => {
                let message = format!("{title} {}", failure.message());
                Checked::new(KeyVerdict::new(KeyStatus::Unreachable, message), None, latency_ms)
            }
        }
    }

    /// Asks a server on this machine which models it has; no key is sent.
    pub(super) async fn installed(&self, provider: &Provider) -> ModelListing {
        let (Some(list), Some(address)) = (provider.def.models, &provider.address) else {
            return ModelListing::Unsaid;
        };
        let Some(client) = self.clients.client(address).await else {
            return ModelListing::Unreachable;
        };
        let ask = |url: String, body: Option<String>| async move {
            let asked = async {
                let response = send_plain(client, &url, body).await?;
                let is_good = response.status().is_success();
                Ok((read(response, MAX_LIST_BYTES).await?.0, is_good))
            };
            let answered = tokio::time::timeout(LISTING_TIMEOUT, asked).await;
            answered.unwrap_or(Err(Failure::TimedOut))
        };
        let base = address.as_str();
        let mut models = match ask(format!("{base}{}", list.path), None).await {
            Ok((body, true)) => match list.read(&body) {
                Some(models) => models,
                None => return ModelListing::Unsaid,
            },
            Ok(_) => return ModelListing::Unsaid,
            Err(_) => return ModelListing::Unreachable,
        };
        // What is said beyond the list stands beside OpenAI's API and not in it.
        let root = base.strip_suffix("/v1").unwrap_or(base);
        let said = |path: &'static str, body| {
            let answer = ask(format!("{root}{path}"), body);
            async move { answer.await.ok().filter(|(_, is_good)| *is_good).map(|(body, _)| body) }
        };
        list.complete(&mut models, said).await;
        ModelListing::Models(models.into())
    }

    /// What something on this machine answers to a GET without a key, where that is JSON and comes in time.
    pub(super) async fn probe(&self, port: u16, path: &str, patience: Duration) -> Option<serde_json::Value> {
        let address = Address::parse(&format!("http://127.0.0.1:{port}")).ok()?;
        let client = self.clients.client(&address).await?;
        let asked = async {
            let response = send_plain(client, &format!("{}{path}", address.as_str()), None).await?;
            let is_good = response.status().is_success();
            Ok::<_, Failure>((read(response, MAX_LIST_BYTES).await?.0, is_good))
        };
        let answered = tokio::time::timeout(patience, asked).await;
        let (body, is_good) = answered.ok()?.ok()?;
        serde_json::from_slice(&body).ok().filter(|_| is_good)
    }

    /// Sends the request, or the next of its alternatives where one answers 404, and reads the answer.
    async fn ask(
        &self,
        provider: &Provider,
        check: &Check,
        address: &Address,
        key: Option<&ApiKey>,
    ) -> Result<(KeyVerdict, u16), Failure> {
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
            let (body, is_cut) = read(response, MAX_BODY_BYTES).await?;
            let answer = ProviderResponse::new(&provider.title, http_status, &body, is_cut, key);
            let answer = answer.with_account_header(account.as_deref());
            let verdict = match refusal::kind_of(provider, http_status, &body) {
                // Whatever the status: it is the network's or the account's, and no word on the key.
                Some(RefusalKind::RegionBlocked) => {
                    answer.undetermined("does not serve this region or network; key status unknown")
                }
                Some(RefusalKind::NoCredit) if answer.is_json() => answer.no_credit(),
                Some(_) | None => (provider.def.read)(&answer),
            };
            return Ok((verdict, http_status));
        }
    }
}

/// Sends a request without a key: a GET, or a POST where there is a body.
async fn send_plain(client: &Client, url: &str, body: Option<String>) -> Result<Response, Failure> {
    let request = match body {
        Some(body) => client.post(url).header(CONTENT_TYPE, "application/json").body(body),
        None => client.get(url),
    };
    request.send().await.map_err(|why| Failure::of(&why))
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

impl Checked {
    fn new(verdict: KeyVerdict, http_status: Option<u16>, latency_ms: u64) -> Self {
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
