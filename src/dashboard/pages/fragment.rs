//! The page that is asked for, with its heading.

use maud::{Markup, html};

use super::{
    audit, doctor, gateway, keys, logs, models, overview,
    page::{Page, PageContext},
    routing, sessions, usage,
};
use crate::{chart, error::Result};

/// What the page shows, with its heading.
pub(in crate::dashboard) async fn fragment(context: &PageContext<'_>) -> Result<Markup> {
    let content = match context.page {
        Page::Overview => overview::overview(context)?,
        Page::Usage => usage::usage(context)?,
        Page::Sessions => sessions::sessions(context)?,
        Page::Models => models::models(context).await?,
        Page::Keys => keys::keys(context).await?,
        Page::Routing => routing::routing(context).await?,
        Page::Gateway => gateway::gateway(context).await?,
        Page::Logs => logs::logs(context)?,
        Page::Audit => audit::audit(context).await?,
        Page::Doctor => doctor::doctor(context).await?,
    };
    let now = context
        .app
        .now()
        .to_zoned(context.app.settings().current().budget.time_zone.clone());
    Ok(html! {
        (chart::patterns())
        div .head {
            h1 { (context.page.title()) }
            p .faint { "As of " (now.strftime("%H:%M:%S")) ", " (context.zone()) }
        }
        (content)
    })
}
