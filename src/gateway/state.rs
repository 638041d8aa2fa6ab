//! What all requests share.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    accounting::accounts::Accounts,
    cache::Cache,
    capacity::Capacity,
    http::scrub::KeySpellings,
    keys::{health::KeyHealth, missing_models::MissingModels, quota::Quotas, rate_limit::ClientLimits},
    metrics::Metrics,
    tasks::Tasks,
};
use crate::{app::App, error::Result, process, services::lending::KeyRing};

/// How the gateway is to be run.
#[derive(Debug, Clone)]
pub struct Options {
    pub listen: SocketAddr,
    /// Whether it may listen where other machines can reach it.
    pub allow_remote: bool,
    /// How long a provider may take until its response begins.
    pub first_byte_timeout: Duration,
    /// How long the chunks of a response may be apart.
    pub idle_timeout: Duration,
    /// How long requests under way may take to end once the gateway is to stop.
    pub grace: Duration,
}

/// Everything that requests share.
#[derive(Debug)]
pub(super) struct GatewayState {
    pub(super) app: Arc<App>,
    pub(super) options: Options,
    pub(super) accounts: Accounts,
    pub(super) metrics: Arc<Metrics>,
    pub(super) key_ring: KeyRing<KeySpellings>,
    pub(super) key_health: Arc<KeyHealth>,
    pub(super) missing_models: MissingModels,
    pub(super) quotas: Quotas,
    pub(super) client_limits: ClientLimits,
    pub(super) cache: Cache,
    pub(super) tasks: Tasks,
    pub(super) stopping: CancellationToken,
    pub(super) capacity: Capacity,
}

impl GatewayState {
    pub(super) fn new(app: Arc<App>, options: Options) -> Result<Self> {
        let key_health = Arc::default();
        let metrics = Arc::default();
        let accounts = Accounts::open(&app, &key_health, &metrics)?;
        Ok(Self {
            app,
            options,
            accounts,
            metrics,
            key_ring: KeyRing::default(),
            key_health,
            missing_models: MissingModels::default(),
            quotas: Quotas::default(),
            client_limits: ClientLimits::default(),
            cache: Cache::default(),
            tasks: Tasks::default(),
            stopping: CancellationToken::new(),
            capacity: Capacity::for_files(process::allow_many_files()),
        })
    }
}
