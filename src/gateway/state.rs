//! What all requests share.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    accounting::accounts::Accounts,
    cache::ResponseCache,
    capacity::Capacity,
    http::scrub::KeySpellings,
    keys::{health::KeyHealth, missing_models::MissingModels, quota::Quotas, rate_limit::ClientLimits},
    known_ids::KnownIds,
    metrics::Metrics,
    tasks::Tasks,
};
use crate::{app::App, error::Result, process, providers::Upstream, services::gateway_keys::KeyRing};

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

/// Everything that requests share: a handle for each worker, which has connections of its own to the providers.
#[derive(Debug, Clone)]
pub(super) struct GatewayState {
    pub(super) app: Arc<App>,
    pub(super) upstream: Arc<Upstream>,
    pub(super) options: Options,
    pub(super) accounts: Arc<Accounts>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) key_ring: Arc<KeyRing<KeySpellings>>,
    pub(super) key_health: Arc<KeyHealth>,
    pub(super) missing_models: Arc<MissingModels>,
    pub(super) quotas: Arc<Quotas>,
    pub(super) client_limits: Arc<ClientLimits>,
    pub(super) cache: Arc<ResponseCache>,
    pub(super) known_ids: Arc<KnownIds>,
    pub(super) tasks: Tasks,
    pub(super) stopping: CancellationToken,
    pub(super) capacity: Arc<Capacity>,
}

impl GatewayState {
    pub(super) fn new(app: Arc<App>, options: Options) -> Result<Self> {
        let key_health = Arc::default();
        let metrics = Arc::default();
        let accounts = Accounts::open(&app, &key_health, &metrics)?;
        Ok(Self {
            upstream: upstream(&app),
            app,
            options,
            accounts: Arc::new(accounts),
            metrics,
            key_ring: Arc::default(),
            key_health,
            missing_models: Arc::default(),
            quotas: Arc::default(),
            client_limits: Arc::default(),
            cache: Arc::default(),
            known_ids: Arc::default(),
            tasks: Tasks::default(),
            stopping: CancellationToken::new(),
            capacity: Arc::new(Capacity::for_files(process::allow_many_files())),
        })
    }

    /// The same for another worker.
    pub(super) fn for_worker(&self) -> Self {
        Self {
            upstream: upstream(&self.app),
            ..self.clone()
        }
    }
}

fn upstream(app: &App) -> Arc<Upstream> {
    Arc::new(Upstream::trusting(app.settings().environment().extra_certificates()))
}
