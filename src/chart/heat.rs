//! Hours of weekdays, the darker the more.

use std::fmt::Write;

use maud::{Markup, html};

use super::{data::ChartUnit, scale::scaled};

/// One value for each hour of each weekday, Monday first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeatMap {
    pub id: String,
    pub title: String,
    pub unit: ChartUnit,
    pub values: [[u64; 24]; 7],
}

pub(super) const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/// How wide and high a field is, and where the first is.
const SIDE: usize = 16;
const LEFT: usize = 38;
/// How many steps of darkness there are above none.
const STEPS: u64 = 6;

/// A field for each hour; its size says the same as its colour.
pub fn heat_map(map: &HeatMap) -> Markup {
    let most = map.values.iter().flatten().copied().max().unwrap_or(0);
    html! {
        svg .heat role="img" aria-labelledby=(format!("{0}-t {0}-d", map.id)) viewBox="0 0 424 132" {
            title id=(format!("{}-t", map.id)) { (map.title) }
            desc id=(format!("{}-d", map.id)) { (map.summary()) }
            path .none d=(map.empty_fields()) {}
            @for (day, hours) in map.values.iter().enumerate() {
                text .tick x="30" y=(day * SIDE + 12) text-anchor="end" { (WEEKDAYS[day]) }
                @for (hour, value) in hours.iter().enumerate().filter(|(_, value)| **value > 0) {
                    @let step = scaled(*value, most, STEPS);
                    @let side = 8 + usize::try_from(step).unwrap_or(6);
                    @let inset = (SIDE - side) / 2;
                    rect class=(format!("h{step}")) x=(LEFT + hour * SIDE + inset) y=(day * SIDE + inset) width=(side) height=(side) {
                        title { (WEEKDAYS[day]) " " (format!("{hour:02}:00")) ": " (map.unit.text(*value)) }
                    }
                }
            }
            @for hour in [0_usize, 6, 12, 18, 23] {
                text .tick x=(LEFT + hour * SIDE + SIDE / 2) y="127" text-anchor="middle" { (format!("{hour:02}")) }
            }
        }
    }
}

impl HeatMap {
    fn summary(&self) -> String {
        let hours = self.values.iter().enumerate();
        let all = hours.flat_map(|(day, hours)| hours.iter().enumerate().map(move |(hour, value)| (*value, day, hour)));
        match all.max_by_key(|(value, day, hour)| (*value, usize::MAX - day, usize::MAX - hour)) {
            Some((value, day, hour)) if value > 0 => {
                format!(
                    "Most on {} between {hour:02}:00 and {:02}:00: {}",
                    WEEKDAYS[day],
                    (hour + 1) % 24,
                    self.unit.text(value)
                )
            }
            _ => "No values".to_owned(),
        }
    }

    /// A dot for each hour without a value.
    fn empty_fields(&self) -> String {
        let mut path = String::new();
        for (day, hours) in self.values.iter().enumerate() {
            for (hour, _) in hours.iter().enumerate().filter(|(_, value)| **value == 0) {
                let _ = write!(path, "M{} {}h0", LEFT + hour * SIDE + SIDE / 2, day * SIDE + SIDE / 2);
            }
        }
        path
    }

    /// The same as a table: a row for each weekday.
    pub fn table(&self) -> Markup {
        html! {
            table .data {
                thead { tr { th scope="col" { "Day" } @for hour in 0..24 { th scope="col" { (format!("{hour:02}")) } } } }
                tbody {
                    @for (day, hours) in self.values.iter().enumerate() {
                        tr {
                            th scope="row" { (WEEKDAYS[day]) }
                            @for value in hours { td .num { @if *value > 0 { (self.unit.text(*value)) } } }
                        }
                    }
                }
            }
        }
    }
}
