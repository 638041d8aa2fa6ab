//! What the dashboard works with, and how it is run.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::session::Sessions;
use crate::{app::App, intake::Intake, tools::View};

/// The requests that are under way, and those that wait.
pub type LiveRequests = Arc<dyn Fn() -> (usize, usize) + Send + Sync>;

/// How the dashboard is run.
#[derive(Clone)]
pub struct DashboardOptions {
    /// 0 for any free port.
    pub port: u16,
    /// How long it runs while no page is open; `None` is without end.
    pub idle: Option<Duration>,
    pub panels: Panels,
    /// What a gateway of the same process is doing.
    pub live: Option<LiveRequests>,
}

impl std::fmt::Debug for DashboardOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DashboardOptions")
            .field("port", &self.port)
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}

/// Views that the command line makes, for pages of the same names.
#[derive(Debug, Clone, Copy)]
pub struct Panels {
    pub audit: fn(&App) -> View,
    pub doctor: fn(&App) -> View,
}

/// What all connections share.
pub(super) struct DashboardState {
    pub(super) app: Arc<App>,
    /// The host and port that browsers may name.
    pub(super) authorities: [String; 2],
    pub(super) sessions: Sessions,
    pub(super) panels: Panels,
    pub(super) live: Option<LiveRequests>,
    pub(super) intake: Intake,
    /// How many pages are being told what changes.
    pub(super) watching: AtomicUsize,
    begun: Instant,
    /// When the last request was, in seconds since `begun`.
    last_request: AtomicU64,
}

impl DashboardState {
    pub(super) fn new(app: Arc<App>, port: u16, token: [u8; 32], options: DashboardOptions) -> Self {
        Self {
            app,
            authorities: [format!("127.0.0.1:{port}"), format!("localhost:{port}")],
            sessions: Sessions::new(token),
            panels: options.panels,
            live: options.live,
            intake: Intake::default(),
            watching: AtomicUsize::new(0),
            begun: Instant::now(),
            last_request: AtomicU64::new(0),
        }
    }

    /// Notes that it is in use.
    pub(super) fn used(&self) {
        self.last_request
            .store(self.begun.elapsed().as_secs(), Ordering::Relaxed);
    }

    /// How long no page was open.
    pub(super) fn unused(&self) -> Duration {
        if self.watching.load(Ordering::Relaxed) > 0 {
            return Duration::ZERO;
        }
        let last = Duration::from_secs(self.last_request.load(Ordering::Relaxed));
        self.begun.elapsed().saturating_sub(last)
    }
}

impl std::fmt::Debug for DashboardState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DashboardState").finish_non_exhaustive()
    }
}
