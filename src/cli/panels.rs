//! What both `dashboard` and `gateway --dashboard` serve.

use std::{sync::Arc, time::Duration};

use super::{audit, doctor};
use crate::{
    app::App,
    dashboard::{self, DashboardOptions, LiveRequests, Panels},
    error::Result,
};

/// How long a link that a person copies is good.
pub(super) const LINK_TIMEOUT: Duration = Duration::from_mins(5);

/// The views that only commands can make.
pub(super) const PANELS: Panels = Panels {
    audit: audit::recent,
    doctor: doctor::offline,
};

/// Serves it beside a gateway, for as long as that runs; returns its link.
pub(super) async fn beside_gateway(app: &Arc<App>, port: u16, live: LiveRequests) -> Result<String> {
    let options = DashboardOptions {
        port,
        idle: None,
        panels: PANELS,
        live: Some(live),
    };
    let listening = dashboard::listen(Arc::clone(app), options).await?;
    let link = listening.link(LINK_TIMEOUT)?;
    tokio::spawn(listening.serve(std::future::pending()));
    Ok(link)
}
