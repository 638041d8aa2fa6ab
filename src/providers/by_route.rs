//! One client for each route that a request can take to a provider, built when the first request takes it.

use tokio::sync::OnceCell;

use super::{Address, trust::ExtraCertificates};

/// A client that is built for one route; none where the system cannot provide it.
pub(super) trait RouteClient: Sized + Send + 'static {
    /// For https to elsewhere, through the system's proxy where one is set.
    fn outside(extra: &ExtraCertificates) -> Option<Self>;
    /// For https to this machine, past any proxy.
    fn loopback_https(extra: &ExtraCertificates) -> Option<Self>;
    /// For http to this machine, past any proxy; works without the system's certificates.
    fn loopback_http() -> Option<Self>;
}

/// The clients of all routes.
#[derive(Debug)]
pub(super) struct ByRoute<C> {
    extra: ExtraCertificates,
    outside: OnceCell<Option<C>>,
    loopback_https: OnceCell<Option<C>>,
    loopback_http: OnceCell<Option<C>>,
}

impl<C> Default for ByRoute<C> {
    fn default() -> Self {
        Self::trusting(ExtraCertificates::default())
    }
}

impl<C> ByRoute<C> {
    /// Builds nothing yet.
    pub(super) fn trusting(extra: ExtraCertificates) -> Self {
        Self {
            extra,
            outside: OnceCell::new(),
            loopback_https: OnceCell::new(),
            loopback_http: OnceCell::new(),
        }
    }
}

impl<C: RouteClient> ByRoute<C> {
    /// The client for requests to `address`.
    pub(super) async fn client(&self, address: &Address) -> Option<&C> {
        let (cell, build): (_, fn(&ExtraCertificates) -> Option<C>) = match (address.is_loopback(), address.is_https())
        {
            (false, _) => (&self.outside, C::outside),
            (true, true) => (&self.loopback_https, C::loopback_https),
            (true, false) => (&self.loopback_http, |_| C::loopback_http()),
        };
        // Reading the system's certificates takes milliseconds: not on the thread that serves.
        cell.get_or_init(|| async {
            let extra = self.extra.clone();
            tokio::task::spawn_blocking(move || build(&extra)).await.ok().flatten()
        })
        .await
        .as_ref()
    }
}
