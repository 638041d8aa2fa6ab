//! The gateway's connections to the providers: pooled, with TLS and the system's proxy.

use std::{
    fmt, future,
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Uri, header};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::{
        legacy::{
            Client,
            connect::{
                HttpConnector,
                dns::{GaiResolver, Name},
                proxy::{SocksV4, SocksV5, Tunnel},
            },
        },
        proxy::matcher::{Intercept, Matcher},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tower_service::Service;

use super::{
    by_route::RouteClient,
    http::{CONNECT_TIMEOUT, USER_AGENT},
    trust::ExtraCertificates,
};

/// How many idle connections to a provider are kept, and for how long.
const MAX_IDLE_CONNECTIONS: usize = 256;
const IDLE_CONNECTION_TIMEOUT: Duration = Duration::from_secs(90);
/// The longest head of a response, and the most that is read at once, in bytes; hyper itself stops at 100 headers.
const MAX_READ_BYTES: usize = 64 << 10;
/// What `localhost` is, whatever a resolver says.
const LOCALHOST: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// A client of one way to a provider, with the connections that it keeps.
pub(super) type PooledClient = Client<Connector, Full<Bytes>>;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;
type TcpConnector = HttpConnector<LocalhostResolver>;
/// TCP, or TLS to a proxy that asks for it.
type MaybeProxied = MaybeHttpsStream<TokioIo<TcpStream>>;

impl RouteClient for PooledClient {
    fn outside(extra: &ExtraCertificates) -> Option<Self> {
        let tls = system_tls(extra)?;
        let mut to_proxy = ClientConfig::clone(&tls);
        to_proxy.alpn_protocols.clear();
        let proxy = ProxyConnector {
            proxies: Some(Arc::new(Matcher::from_system())),
            tls: Arc::new(to_proxy),
            tcp: tcp(),
        };
        Some(pool(Connector::new(proxy, tls, true)))
    }

    fn loopback_https(extra: &ExtraCertificates) -> Option<Self> {
        let tls = system_tls(extra)?;
        Some(pool(Connector::new(ProxyConnector::direct(&tls), tls, true)))
    }

    fn loopback_http() -> Option<Self> {
        let trusts_none = tls_config()?.with_root_certificates(RootCertStore::empty());
        let tls = Arc::new(trusts_none.with_no_client_auth());
        Some(pool(Connector::new(ProxyConnector::direct(&tls), tls, false)))
    }
}

fn pool(connector: Connector) -> PooledClient {
    // A request that was queued on a connection which the provider has closed meanwhile is sent again on another: hyper
    // hands it back only if not a byte of it was written.
    Client::builder(TokioExecutor::new())
        .retry_canceled_requests(true)
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_CONNECTION_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
        .http1_max_buf_size(MAX_READ_BYTES)
        .build(connector)
}

fn tcp() -> TcpConnector {
    let mut tcp = HttpConnector::new_with_resolver(LocalhostResolver(GaiResolver::new()));
    // TLS is put on top of it, so it has to take https as well; which schemes may be used is said there.
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // The whole has the same limit; this one leaves time for a host's other addresses.
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp
}

fn tls_config() -> Option<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()
}

/// TLS with the certificates that the system trusts, and those that the user adds, for HTTP/1.1.
fn system_tls(extra: &ExtraCertificates) -> Option<Arc<ClientConfig>> {
    let config = tls_config()?;
    let verifier = Verifier::new_with_extra_roots(extra.read(), Arc::clone(config.crypto_provider())).ok()?;
    let mut config = config
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Some(Arc::new(config))
}

/// Connects to a provider within [`CONNECT_TIMEOUT`], TLS included.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    https: HttpsConnector<ProxyConnector>,
}

impl Connector {
    fn new(way: ProxyConnector, tls: Arc<ClientConfig>, https_only: bool) -> Self {
        let mut https = HttpsConnector::from((way, tls));
        if https_only {
            https.enforce_https();
        }
        Self { https }
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<MaybeProxied>;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(context)
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, self.https.call(destination));
        Box::pin(async move { connecting.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))? })
    }
}

/// The bytes' way to a provider: straight, or through a tunnel that the system's proxy makes.
#[derive(Clone)]
struct ProxyConnector {
    /// None where no proxy is to see it.
    proxies: Option<Arc<Matcher>>,
    /// To a proxy that takes https itself.
    tls: Arc<ClientConfig>,
    tcp: TcpConnector,
}

impl ProxyConnector {
    /// A proxy of that kind resolves the names itself: nothing here asks for them.
    fn through_socks(&self, proxy: &Intercept, destination: Uri) -> BoxFuture<MaybeProxied> {
        let tcp = self.tcp.clone();
        match socks_address(proxy.uri()) {
            Some(address) if address.scheme_str().is_some_and(|scheme| scheme.starts_with("socks4")) => {
                let connecting = SocksV4::new(address, tcp).call(destination);
                Box::pin(async move { Ok(MaybeHttpsStream::Http(connecting.await?)) })
            }
            Some(address) => {
                let mut socks = SocksV5::new(address, tcp);
                if let Some((user, password)) = proxy.raw_auth() {
                    socks = socks.with_auth(user.to_owned(), password.to_owned());
                }
                let connecting = socks.call(destination);
                Box::pin(async move { Ok(MaybeHttpsStream::Http(connecting.await?)) })
            }
            None => Box::pin(future::ready(Err(io::Error::from(io::ErrorKind::InvalidInput).into()))),
        }
    }

    fn direct(tls: &Arc<ClientConfig>) -> Self {
        Self {
            proxies: None,
            tls: Arc::clone(tls),
            tcp: tcp(),
        }
    }
}

impl Service<Uri> for ProxyConnector {
    type Response = MaybeProxied;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let proxy = self
            .proxies
            .as_ref()
            .and_then(|proxies| proxies.intercept(&destination));
        let Some(proxy) = proxy else {
            let connecting = self.tcp.call(destination);
            return Box::pin(async move { Ok(MaybeHttpsStream::Http(connecting.await?)) });
        };
        let scheme = proxy.uri().scheme_str().unwrap_or_default();
        if scheme.starts_with("socks") {
            return self.through_socks(&proxy, destination);
        }
        let to_proxy = HttpsConnector::from((self.tcp.clone(), Arc::clone(&self.tls)));
        let mut headers = header::HeaderMap::new();
        headers.insert(header::USER_AGENT, header::HeaderValue::from_static(USER_AGENT));
        let mut tunnel = Tunnel::new(proxy.uri().clone(), to_proxy).with_headers(headers);
        if let Some(credentials) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(credentials.clone());
        }
        let connecting = tunnel.call(destination);
        Box::pin(async move { Ok(connecting.await?) })
    }
}

/// The address of a SOCKS proxy with its port, which is 1080 where it names none.
fn socks_address(proxy: &Uri) -> Option<Uri> {
    if proxy.port().is_some() {
        return Some(proxy.clone());
    }
    let address = format!("{}://{}:1080/", proxy.scheme_str()?, proxy.host()?);
    address.parse().ok()
}

/// A proxy's address may hold a password.
impl fmt::Debug for ProxyConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyConnector").finish_non_exhaustive()
    }
}

/// The system's resolver for every name but `localhost`.
#[derive(Debug, Clone)]
struct LocalhostResolver(GaiResolver);

impl Service<Name> for LocalhostResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        if name.as_str() == "localhost" {
            let found = LOCALHOST.map(|address| SocketAddr::new(address, 0)).to_vec();
            return Box::pin(future::ready(Ok(found.into_iter())));
        }
        let resolving = self.0.call(name);
        Box::pin(async move { Ok(resolving.await?.collect::<Vec<_>>().into_iter()) })
    }
}
