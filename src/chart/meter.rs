//! A bar with a limit at its end, and where it is expected to be.

use maud::{Markup, html};

use super::scale::scaled;

/// How much of a limit is used, and the range that is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitBar {
    pub value: u64,
    pub limit: u64,
    pub expected: Option<(u64, u64)>,
    pub is_alert: bool,
    pub is_exceeded: bool,
}

/// The bar; what it says stands beside it in words.
pub fn meter(meter: &LimitBar) -> Markup {
    const UNITS: u64 = 1_000;
    let most = meter.expected.map_or(0, |(_, high)| high).max(meter.value);
    // Beyond the limit, the limit moves inwards, up to half way.
    let whole = meter.limit.max(most.min(meter.limit.saturating_mul(2))).max(1);
    let at = |value: u64| tenths_of_percent(scaled(value.min(whole), whole, UNITS));
    let class = match (meter.is_exceeded, meter.is_alert) {
        (true, _) => "value bad",
        (false, true) => "value attention",
        (false, false) => "value",
    };
    html! {
        svg .meter height="14" aria-hidden="true" {
            rect .track y="3" width="100%" height="8" rx="4" {}
            @if let Some((low, high)) = meter.expected {
                @let (low, high) = (scaled(low.min(whole), whole, UNITS), scaled(high.min(whole), whole, UNITS));
                rect .expected x=(tenths_of_percent(low)) y="3" width=(tenths_of_percent((high - low).max(4))) height="8" rx="4" {}
            }
            rect class=(class) y="3" width=(at(meter.value)) height="8" rx="4" {}
            @if meter.limit > 0 && meter.limit < whole {
                rect .mark x=(at(meter.limit)) width="2" height="14" {}
            }
        }
    }
}

fn tenths_of_percent(value: u64) -> String {
    format!("{}.{}%", value / 10, value % 10)
}
