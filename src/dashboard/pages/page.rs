//! Which pages there are, and what they are made with.

use std::sync::Arc;

use maud::{Markup, html};

use crate::{
    app::App,
    dashboard::{
        query::PageQuery,
        state::{DashboardState, Panels},
    },
    domain::zone_text,
    error::{Code, Error, Result},
    tools::View,
};

/// A page of the dashboard, in the order of its navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dashboard) enum Page {
    Overview,
    Usage,
    Sessions,
    Models,
    Keys,
    Routing,
    Gateway,
    Logs,
    Audit,
    Doctor,
}

/// What a page is made with.
pub(in crate::dashboard) struct PageContext<'a> {
    pub(in crate::dashboard) app: &'a Arc<App>,
    pub(in crate::dashboard) panels: Panels,
    pub(in crate::dashboard) page: Page,
    pub(in crate::dashboard) query: &'a PageQuery,
    /// The requests that are under way in this process, and those that wait.
    pub(in crate::dashboard) live: Option<(usize, usize)>,
    /// Whether it is written to a file: nothing leads anywhere then.
    pub(in crate::dashboard) is_report: bool,
}

impl Page {
    pub(in crate::dashboard) const ALL: [Self; 10] = [
        Self::Overview,
        Self::Usage,
        Self::Sessions,
        Self::Models,
        Self::Keys,
        Self::Routing,
        Self::Gateway,
        Self::Logs,
        Self::Audit,
        Self::Doctor,
    ];

    pub(in crate::dashboard) fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Usage => "usage",
            Self::Sessions => "sessions",
            Self::Models => "models",
            Self::Keys => "keys",
            Self::Routing => "routing",
            Self::Gateway => "gateway",
            Self::Logs => "logs",
            Self::Audit => "audit",
            Self::Doctor => "doctor",
        }
    }

    pub(in crate::dashboard) fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Usage => "Usage",
            Self::Sessions => "Sessions",
            Self::Models => "Models",
            Self::Keys => "Keys",
            Self::Routing => "Routing",
            Self::Gateway => "Gateway",
            Self::Logs => "Agent logs",
            Self::Audit => "Audit",
            Self::Doctor => "Doctor",
        }
    }

    pub(in crate::dashboard) fn path(self) -> String {
        match self {
            Self::Overview => "/".to_owned(),
            other => format!("/{}", other.name()),
        }
    }

    /// What follows `g` on the keyboard.
    pub(in crate::dashboard) fn letter(self) -> &'static str {
        match self {
            Self::Overview => "o",
            Self::Usage => "u",
            Self::Sessions => "s",
            Self::Models => "m",
            Self::Keys => "k",
            Self::Routing => "r",
            Self::Gateway => "g",
            Self::Logs => "l",
            Self::Audit => "a",
            Self::Doctor => "d",
        }
    }
}

impl<'a> PageContext<'a> {
    pub(in crate::dashboard) fn new(state: &'a DashboardState, page: Page, query: &'a PageQuery) -> Self {
        Self {
            app: &state.app,
            panels: state.panels,
            page,
            query,
            live: state.live.as_ref().map(|live| live()),
            is_report: false,
        }
    }

    /// A link; in a report its text alone.
    pub(in crate::dashboard) fn link(&self, address: &str, text: &Markup) -> Markup {
        html! { @if self.is_report { (text) } @else { a href=(address) { (text) } } }
    }

    /// A choice of several, each a link to this page with `name` set to it.
    pub(super) fn choice<'c>(
        &self,
        label: &str,
        name: &str,
        chosen: &str,
        choices: impl Iterator<Item = (&'c str, &'c str)>,
    ) -> Markup {
        html! {
            @if !self.is_report {
                div .choice role="group" aria-label=(label) {
                    span .label { (label) }
                    @for (value, title) in choices {
                        a href=(self.query.with(name, Some(value)).link(&self.page.path())) aria-current=[(value == chosen).then_some("true")] { (title) }
                    }
                }
            }
        }
    }

    /// What a command shows, which may take its time.
    pub(super) async fn panel(&self, of: fn(&App) -> View) -> Result<View> {
        let app = Arc::clone(self.app);
        let view = tokio::task::spawn_blocking(move || of(&app)).await;
        view.map_err(|why| Error::new(Code::Internal, "the view could not be made").caused_by(why))
    }

    /// Where days begin and end.
    pub(in crate::dashboard) fn zone(&self) -> String {
        zone_text(&self.app.settings().current().budget.time_zone, self.app.now())
    }
}
