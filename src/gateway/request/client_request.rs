//! A request as a downstream client sent it.

use std::sync::Arc;

use bytes::Bytes;
use hyper::{HeaderMap, Method};
use tokio::time::Instant;

use super::attribution::Attribution;
use crate::{
    catalog::Catalog, gateway::http::route::ProviderCall, settings::Config, storage::gateway_clients::GatewayClient,
};

/// A request that was admitted, with its body.
#[derive(Debug)]
pub(in crate::gateway) struct ClientRequest {
    pub(in crate::gateway) id: String,
    pub(in crate::gateway) client: GatewayClient,
    pub(in crate::gateway) call: ProviderCall,
    pub(in crate::gateway) method: Method,
    pub(in crate::gateway) headers: HeaderMap,
    pub(in crate::gateway) body: Bytes,
    /// The configuration and the prices that it is answered by.
    pub(in crate::gateway) config: Arc<Config>,
    pub(in crate::gateway) catalog: Arc<Catalog>,
    pub(in crate::gateway) arrived: Instant,
    /// How often it was sent to a provider.
    pub(in crate::gateway) attempts: usize,
    pub(in crate::gateway) attribution: Attribution,
}
