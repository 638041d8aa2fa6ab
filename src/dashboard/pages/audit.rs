//! The newest entries of the audit trail, as `api-keys audit` shows them.

use maud::{Markup, html};

use super::page::PageContext;
use crate::{dashboard::parts, error::Result};

pub(super) async fn audit(context: &PageContext<'_>) -> Result<Markup> {
    let view = context.panel(context.panels.audit).await?;
    Ok(html! {
        section .panel {
            div .head {
                h2 { "Newest entries" }
                div .actions { input type="search" placeholder="Filter" aria-label="Filter the tables" #filter; }
            }
            (parts::view("Audit trail", &view))
            p .basis { code { "api-keys audit --verify" } " checks that no line was changed, " code { "api-keys audit --all" } " shows every step." }
        }
    })
}
