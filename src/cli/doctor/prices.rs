//! The check of the prices in force: whether there are any, whose they are, and how old.

use jiff::tz::TimeZone;

use super::finding::{Finding, Severity};
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
            format!("the newest prices are {age} days old ({newest})"),
        )
        .fix(newer);
    }
    let models = catalog.models().count();
    match over {
        None => Finding::good(
            "prices",
            format!("{models} models, built-in prices of {}", catalog.as_of()),
        ),
        Some(over) if over.as_of < catalog.as_of() => Finding::new(
            "prices",
            Severity::Notice,
            format!(
                "prices {} are older than the built-in ones, and only used for models without built-in prices",
                taken_from(&over)
            ),
        )
        .fix(format!("`api-keys prices reset`, or {newer}")),
        Some(over) => Finding::good(
            "prices",
            format!("{models} models, prices {} over the built-in ones", taken_from(&over)),
        ),
    }
}

/// The sets that were taken in, and their dates.
fn taken_from(over: &Overlay) -> String {
    let sets = over.sets.iter().map(|(set, day)| format!("from {set} of {day}"));
    sets.collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;
    use crate::{
        app::Clock,
        settings::{Environment, Settings},
    };

    /// What is found so many days after the built-in prices were looked up.
    fn after(days: i32) -> Finding {
        let home = tempfile::tempdir().expect("a folder");
        let environment = Environment::of([("API_KEYS_HOME", home.path().to_str().expect("a path"))]);
        let settings = Settings::open(&environment).expect("settings");
        let day = Catalog::built_in().as_of().checked_add(days.days()).expect("a day");
        let now = day.to_zoned(TimeZone::UTC).expect("a time").timestamp();
        in_force(&App::new(settings, Clock::Fixed(now)))
    }

    #[test]
    fn prices_are_old_from_the_sixty_first_day_on() {
        for days in [-1, 0, 60] {
            assert_eq!(after(days).health, Severity::Good, "{days}");
        }
        for days in [61, 400] {
            assert_eq!(after(days).health, Severity::Notice, "{days}");
        }
    }
}
