//! Lines over columns, and a line of a few values beside a number.

use std::fmt::Write;

use maud::{Markup, html};

use super::{
    data::{Chart, PALETTE},
    scale::{Scale, scaled},
    stack::{COLUMN, HEIGHT, framed, tenths},
};

/// Each series as a line; where there is no value there is a gap, as with nothing to measure.
pub fn lines(chart: &Chart) -> Markup {
    let most = chart.series.iter().flat_map(|series| &series.values).copied().max();
    let scale = Scale::to(most.unwrap_or(0));
    let path = |values: &[u64]| {
        let mut path = String::new();
        let mut is_drawing = false;
        for (at, value) in values.iter().enumerate() {
            if *value == 0 {
                is_drawing = false;
                continue;
            }
            let x = at as u64 * COLUMN + COLUMN / 2;
            let y = tenths(HEIGHT * 10 - scale.height(*value, HEIGHT * 10));
            // A line of no length has round ends: one value is a dot.
            let _ = if is_drawing {
                write!(path, "L{x} {y}")
            } else {
                write!(path, "M{x} {y}h0")
            };
            is_drawing = true;
        }
        path
    };
    framed(
        chart,
        &scale,
        &html! {
            @for (at, series) in chart.series.iter().enumerate() {
                path class=(format!("line l{}", at.min(PALETTE - 1))) d=(path(&series.values)) {}
            }
        },
        None,
    )
}

/// `values` as a line without axes, for people who see it; the number beside it says what matters.
pub fn sparkline(values: &[u64]) -> Markup {
    const TALL: u64 = 28;
    let most = values.iter().copied().max().unwrap_or(0);
    let width = (values.len().saturating_sub(1) as u64 * 4).max(1);
    let mut path = String::new();
    for (at, value) in values.iter().enumerate() {
        let y = TALL - 1 - scaled(*value, most, TALL - 2);
        let _ = write!(path, "{}{} {y}", if at == 0 { 'M' } else { 'L' }, at * 4);
    }
    html! {
        svg .spark aria-hidden="true" viewBox=(format!("0 0 {width} {TALL}")) preserveAspectRatio="none" {
            path .area d=(format!("{path}V{TALL}H0z")) {}
            path .line d=(path) {}
        }
    }
}
