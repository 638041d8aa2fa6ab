//! A report of a period in one file: the same pages, without links, scripts or anything about keys.

use std::sync::Arc;

use maud::{DOCTYPE, PreEscaped, html};

use super::{
    pages::{Page, PageContext, overview, usage},
    parts,
    query::PageQuery,
    shell,
    state::Panels,
};
use crate::{app::App, chart, error::Result, tools::View};

/// What the properties are called that a report shows usage by.
const SHOWN: [&str; 4] = ["model", "project", "agent", "key"];

/// The usage of the last `days` days as a page of HTML that needs nothing else.
pub fn report(app: &Arc<App>, days: u16) -> Result<String> {
    let query = PageQuery::read(&format!("days={days}"));
    let now = app.now().to_zoned(app.settings().current().budget.time_zone.clone());
    let mut sections = Vec::with_capacity(SHOWN.len());
    for by in SHOWN {
        let query = query.with("by", Some(by));
        sections.push(usage(&context(app, &query))?);
    }
    let zone = context(app, &query).zone();
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Usage of " (days) " days up to " (now.strftime("%Y-%m-%d")) }
                style { (PreEscaped(shell::STYLE)) }
            }
            body .report {
                main {
                    (chart::patterns())
                    div .head {
                        h1 { "LLM usage, " (days) " days up to " (now.strftime("%B %-d, %Y")) }
                        p .faint { "Made " (now.strftime("%Y-%m-%d %H:%M")) ", " (zone) ", by API Key Manager" }
                    }
                    (overview(&context(app, &query))?)
                    @for section in &sections { (section) }
                }
            }
        }
    };
    Ok(parts::visible(&markup.into_string()))
}

/// What a page of a report is made with: it has neither the audit trail nor what is wrong on this machine.
fn context<'a>(app: &'a Arc<App>, query: &'a PageQuery) -> PageContext<'a> {
    PageContext {
        app,
        panels: Panels {
            audit: |_| View::default(),
            doctor: |_| View::default(),
        },
        page: Page::Usage,
        query,
        live: None,
        is_report: true,
    }
}
