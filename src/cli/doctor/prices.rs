//! The check of the prices in force: whether there are any, whose they are, and how old.

use jiff::tz::TimeZone;

use super::{Finding, Severity};
use crate::{
    app::App,
    catalog::{Catalog, Overlay},
    error::Code,
    services::price_updates,
};

/// From this age on, in days, prices are reported as old.
const OLD_DAYS: i32 = 60;

/// Whether there are prices, and whose.
pub(super) fn in_force(app: &App) -> Finding {
    let catalog = match app.catalog() {
        // The check of the configuration has said it.
        Err(error) if error.code() == Code::ConfigInvalid => Catalog::built_in(),
        Err(error) => return Finding::of("prices", &error),
        Ok(catalog) => catalog,
    };
    let over = match price_updates::overlay(app) {
        Err(error) => return Finding::of("prices", &error),
        Ok(over) => over,
    };
    let newest = over
        .as_ref()
        .map_or(catalog.as_of(), |over| over.as_of.max(catalog.as_of()));
    let today = app.now().to_zoned(TimeZone::UTC).date();
    let age = today.since(newest).map_or(0, |age| age.get_days());
    let newer = "`api-keys prices update --from FILE` with a newer file, or a newer version of this program";
    if age > OLD_DAYS {
        return Finding::new(
            "prices",
            Severity::Notice,
            format!("are {age} days old: the newest are of {newest}"),
        )
        .mend(newer);
    }
    let models = catalog.models().count();
    match over {
        None => Finding::good(
            "prices",
            format!("of {models} models, built in as of {}", catalog.as_of()),
        ),
        Some(over) if over.as_of < catalog.as_of() => Finding::new(
            "prices",
            Severity::Notice,
            format!(
                "those {} are older than what is built in, and hold only for models that it does not know",
                taken_from(&over)
            ),
        )
        .mend(format!("`api-keys prices reset`, or {newer}")),
        Some(over) => Finding::good(
            "prices",
            format!("of {models} models, those {} over the built-in ones", taken_from(&over)),
        ),
    }
}

/// The sets that were taken in, and their dates.
fn taken_from(over: &Overlay) -> String {
    let sets = over.sets.iter().map(|(set, day)| format!("from {set} of {day}"));
    sets.collect::<Vec<_>>().join(" and ")
}
