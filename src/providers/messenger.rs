//! Sends messages of alerts to the addresses that the user entered: a client of its own, which follows no redirect.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use reqwest::{
    Client,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use tokio::sync::OnceCell;
use url::{Host, Url};

use super::{
    http::{Failure, builder, loopback, trusting},
    rate_limits::retry_after,
    trust::ExtraCertificates,
};
use crate::domain::Secret;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a message may take, from the first packet to the last.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of an answer is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Sends messages; a client is built when it is first needed.
#[derive(Debug, Default)]
pub struct Messenger {
    extra: ExtraCertificates,
    outside: OnceCell<Option<Client>>,
    outside_or_private: OnceCell<Option<Client>>,
    here: OnceCell<Option<Client>>,
}

/// A POST of JSON.
#[derive(Debug)]
pub struct OutgoingPost<'a> {
    pub url: &'a Secret,
    pub headers: &'a [(&'static str, Secret)],
    pub body: &'a str,
    /// Whether its address may be link-local.
    pub allow_private: bool,
}

/// What a server answered.
#[derive(Debug)]
pub struct MessengerAnswer {
    pub status: u16,
    pub retry_after: Option<Duration>,
    pub body: Vec<u8>,
}

/// Resolves names, but not to addresses where a cloud keeps its machines' secrets.
#[derive(Debug)]
struct PublicResolver;

impl Messenger {
    /// One that trusts these certificates, too.
    pub fn trusting(extra: ExtraCertificates) -> Self {
        Self {
            extra,
            ..Self::default()
        }
    }

    /// Sends `post` at `now`, and reads what is answered.
    pub async fn post(&self, post: &OutgoingPost<'_>, now: Timestamp) -> Result<MessengerAnswer, Failure> {
        // EXPOSE: the address that the message is for; never logged, and errors drop it
        let url = Url::parse(post.url.expose()).map_err(|_| Failure::BadPath)?;
        if !post.allow_private && literal(&url).is_some_and(is_link_local) {
            return Err(Failure::BadPath);
        }
        let client = self.client(&url, post.allow_private).await.ok_or(Failure::NoClient)?;
        let mut request = client
            .post(url)
            .timeout(SEND_TIMEOUT)
            .header(CONTENT_TYPE, "application/json")
            .body(post.body.to_owned());
        for (name, value) in post.headers {
            // EXPOSE: header bytes for the receiver of the message, marked sensitive, never logged
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| Failure::BadPath)?;
            value.set_sensitive(true);
            request = request.header(HeaderName::from_static(name), value);
        }
        let mut response = request.send().await.map_err(|why| Failure::of(&why))?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers(), now);
        let mut body = Vec::new();
        // The status has come: what follows it says little.
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = MAX_ANSWER_BYTES.saturating_sub(body.len());
            body.extend(chunk.iter().take(room));
            if body.len() >= MAX_ANSWER_BYTES {
                break;
            }
        }
        Ok(MessengerAnswer {
            status,
            retry_after,
            body,
        })
    }

    async fn client(&self, url: &Url, allow_private: bool) -> Option<&Client> {
        let is_here = literal(url).is_some_and(|ip| ip.is_loopback()) || url.host_str() == Some("localhost");
        let cell = match (is_here, allow_private) {
            (true, _) => &self.here,
            (false, true) => &self.outside_or_private,
            (false, false) => &self.outside,
        };
        cell.get_or_init(|| async {
            let extra = self.extra.clone();
            let build = move || {
                let builder = match (is_here, allow_private) {
                    (true, _) => loopback(),
                    (false, true) => builder().https_only(true),
                    (false, false) => builder().https_only(true).dns_resolver(Arc::new(PublicResolver)),
                };
                trusting(builder.connect_timeout(CONNECT_TIMEOUT), &extra).build().ok()
            };
            tokio::task::spawn_blocking(build).await.ok().flatten()
        })
        .await
        .as_ref()
    }
}

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| !is_link_local(address.ip())).collect();
            if public.is_empty() {
                return Err("the name has no address that messages are sent to".into());
            }
            let addresses: Addrs = Box::new(public.into_iter());
            Ok(addresses)
        })
    }
}

/// The address in place of a name.
fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(ip) => Some(IpAddr::V4(ip)),
        Host::Ipv6(ip) => Some(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)),
        Host::Domain(_) => None,
    }
}

/// Whether it is link-local, or where a cloud keeps the secrets of its machines.
fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_unspecified() || ip.octets() == [100, 100, 100, 200],
        IpAddr::V6(ip) => match (ip.to_ipv4_mapped(), ip.segments()) {
            (Some(ip), _) => is_link_local(IpAddr::V4(ip)),
            (None, [0xfd00, 0x0ec2, ..]) => true,
            (None, _) => ip.is_unicast_link_local() || ip.is_unspecified(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_where_clouds_keep_secrets_are_known() {
        for ip in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "0.0.0.0",
        ] {
            assert!(is_link_local(ip.parse().expect("an address")), "{ip}");
        }
        for ip in ["127.0.0.1", "192.168.0.1", "10.0.0.1", "1.1.1.1", "::1", "fd12::1"] {
            assert!(!is_link_local(ip.parse().expect("an address")), "{ip}");
        }
    }
}
