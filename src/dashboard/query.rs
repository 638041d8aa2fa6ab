//! What the address of a page asks for; what is unknown in it is left out.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::{
    domain::UsageSource,
    services::{usage_chart::Metric, usage_matrix::UsagePeriod, usage_report::MAX_DAYS},
    storage::ledger::{Dimension, Filter, Totals},
};

/// The longest value that is read.
const MAX_VALUE: usize = 300;

/// The part of an address behind `?`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct PageQuery(BTreeMap<String, String>);

/// What usage can be grouped by, with its name in addresses and its titles for one and for many.
pub(super) const GROUPINGS: [(&str, &str, Dimension); 9] = [
    ("provider", "Provider", Dimension::Provider),
    ("model", "Model", Dimension::Model),
    ("agent", "Agent", Dimension::Agent),
    ("project", "Project", Dimension::Project),
    ("key", "Key", Dimension::Key),
    ("client", "Client", Dimension::Client),
    ("task", "Task", Dimension::Task),
    ("source", "Source", Dimension::Source),
    ("tag", "Tag", Dimension::Tag),
];

/// Spans that are one click away.
pub(super) const PERIODS: [(u16, &str); 6] = [
    (1, "Today"),
    (7, "7 days"),
    (30, "30 days"),
    (90, "90 days"),
    (365, "1 year"),
    (3_660, "All"),
];

impl PageQuery {
    pub(super) fn read(text: &str) -> Self {
        let pairs = url::form_urlencoded::parse(text.as_bytes());
        let pairs = pairs.filter(|(name, value)| !value.is_empty() && name.len() + value.len() <= MAX_VALUE);
        Self(
            pairs
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The same with `value` for `name`; without it where there is none.
    pub(super) fn with(&self, name: &str, value: Option<&str>) -> Self {
        let mut pairs = self.0.clone();
        match value {
            Some(value) => pairs.insert(name.to_owned(), value.to_owned()),
            None => pairs.remove(name),
        };
        Self(pairs)
    }

    /// As it stands in an address, `?` included.
    pub(super) fn link(&self, path: &str) -> String {
        if self.0.is_empty() {
            return path.to_owned();
        }
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.0)
            .finish();
        format!("{path}?{query}")
    }

    pub(super) fn period(&self) -> UsagePeriod {
        let date = |name| self.text(name).and_then(|text| text.parse::<Date>().ok());
        match (date("from"), date("to")) {
            (Some(from), Some(to)) => UsagePeriod::Days(from.min(to), to.max(from)),
            (Some(day), None) | (None, Some(day)) => UsagePeriod::Days(day, day),
            (None, None) => UsagePeriod::Last(self.days()),
        }
    }

    pub(super) fn days(&self) -> u16 {
        let days = self.text("days").and_then(|days| days.parse().ok());
        days.filter(|days| (1..=MAX_DAYS).contains(days)).unwrap_or(30)
    }

    /// What to group by: its name in addresses, its title, and the dimension.
    pub(super) fn grouping(&self) -> (&'static str, &'static str, Dimension) {
        let wanted = self.text("by").unwrap_or("provider");
        let found = GROUPINGS.into_iter().find(|(name, ..)| *name == wanted);
        found.unwrap_or(GROUPINGS[0])
    }

    /// The metric that is asked for; else what `totals` has something of.
    pub(super) fn metric(&self, totals: &Totals) -> Metric {
        let named = Metric::ALL
            .into_iter()
            .find(|metric| Some(metric.name()) == self.text("show"));
        named.unwrap_or_else(|| Metric::usual(totals))
    }

    pub(super) fn filter(&self) -> Filter {
        let text = |name| self.text(name).map(str::to_owned);
        Filter {
            provider: self.text("provider").and_then(|name| name.parse().ok()),
            client: text("client"),
            tag: text("tag"),
            agent: text("agent"),
            sources: self.source().into_iter().collect(),
        }
    }

    fn source(&self) -> Option<UsageSource> {
        let wanted = self.text("source")?;
        UsageSource::ALL.into_iter().find(|source| source.as_str() == wanted)
    }

    /// The filters that are set: their names and values.
    pub(super) fn filters(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let names = ["provider", "client", "tag", "agent", "source"];
        names.into_iter().filter_map(|name| Some((name, self.text(name)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_address_says_wrongly_is_left_out() {
        let query = PageQuery::read("days=0&by=weather&from=soon&source=rumour&agent=%22%3E&show=magic");
        assert_eq!(query.period(), UsagePeriod::Last(30));
        assert_eq!(query.grouping().0, "provider");
        assert_eq!(query.filter().sources, []);
        assert_eq!(query.filter().agent.as_deref(), Some("\">"));
        assert_eq!(query.metric(&Totals::default()), Metric::Tokens);
    }

    #[test]
    fn a_link_has_what_is_set_and_nothing_else() {
        let query = PageQuery::read("days=7&agent=a%26b");
        assert_eq!(
            query.with("by", Some("model")).with("days", None).link("/usage"),
            "/usage?agent=a%26b&by=model"
        );
        assert_eq!(PageQuery::default().link("/usage"), "/usage");
    }
}
