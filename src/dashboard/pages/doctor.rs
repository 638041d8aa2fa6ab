//! What `api-keys doctor --offline` finds.

use maud::{Markup, html};

use super::page::PageContext;
use crate::{dashboard::parts, error::Result};

pub(super) async fn doctor(context: &PageContext<'_>) -> Result<Markup> {
    let view = context.panel(context.panels.doctor).await?;
    Ok(html! {
        section .panel {
            h2 { "Checks on this machine" }
            (parts::view("Checks", &view))
            p .basis { code { "api-keys doctor" } " also checks the keys with their providers." }
        }
    })
}
