//! Bars of stacked series, with an axis, and the colours and patterns of series.

use std::fmt::Write;

use maud::{Markup, html};

use super::{
    data::{Chart, PALETTE},
    scale::Scale,
};

/// The plot's height, in pixels; its width is that of the page.
pub(super) const HEIGHT: u64 = 200;
/// What is above the plot, for the uppermost tick's text.
pub(super) const ABOVE: u64 = 10;
/// What is below it, for the names of columns.
const BELOW: u64 = 26;
/// The width of a column in units of the plot, and of the gap between two.
pub(super) const COLUMN: u64 = 12;
const GAP: u64 = 2;
/// How many names of columns are shown.
const MAX_NAMES: usize = 8;

/// Each column as a bar of its series, one on the other.
pub fn stacked_bars(chart: &Chart) -> Markup {
    let sums = chart.sums();
    let limit = chart.limit.as_ref().map(|(limit, _)| *limit);
    let most = sums.iter().copied().max().unwrap_or(0);
    // A limit far above all values would press them flat.
    let limit = limit.filter(|limit| *limit <= most.saturating_mul(3));
    let scale = Scale::to(most.max(limit.unwrap_or(0)));
    let mut floors = vec![0_u64; chart.columns.len()];
    let paths: Vec<String> = chart
        .series
        .iter()
        .map(|series| {
            let mut path = String::new();
            for (at, value) in series.values.iter().enumerate() {
                let Some(floor) = floors.get_mut(at) else { break };
                let below = scale.height(*floor, HEIGHT * 10);
                *floor = floor.saturating_add(*value);
                let top = scale.height(*floor, HEIGHT * 10);
                if top > below {
                    let x = at as u64 * COLUMN + GAP / 2;
                    let (y, height) = (tenths(HEIGHT * 10 - top), tenths(top - below));
                    let width = COLUMN - GAP;
                    let _ = write!(path, "M{x} {y}h{width}v{height}h-{width}z");
                }
            }
            path
        })
        .collect();
    framed(
        chart,
        &scale,
        &html! {
            @for (at, path) in paths.iter().enumerate() {
                path fill=(fill(at)) d=(path) {}
            }
        },
        limit,
    )
}

/// A plot within axes; it is stretched to the width of the page, and texts are not.
pub(super) fn framed(chart: &Chart, scale: &Scale, plot: &Markup, limit: Option<u64>) -> Markup {
    let y = |value: u64| ABOVE + HEIGHT - scale.height(value, HEIGHT);
    let width = (chart.columns.len() as u64 * COLUMN).max(COLUMN);
    html! {
        svg .plot role="img" aria-labelledby=(format!("{0}-t {0}-d", chart.id)) height=(ABOVE + HEIGHT + BELOW) {
            title id=(format!("{}-t", chart.id)) { (chart.title) }
            desc id=(format!("{}-d", chart.id)) { (chart.summary()) }
            @for tick in &scale.ticks {
                line .grid x1="0" x2="100%" y1=(y(*tick)) y2=(y(*tick)) {}
                text .tick x="-8" y=(y(*tick) + 4) text-anchor="end" { (chart.unit.tick(*tick)) }
            }
            svg y=(ABOVE) width="100%" height=(HEIGHT) viewBox=(format!("0 0 {width} {HEIGHT}")) preserveAspectRatio="none" {
                (plot)
            }
            @if let (Some(limit), Some((_, name))) = (limit, &chart.limit) {
                line .limit x1="0" x2="100%" y1=(y(limit)) y2=(y(limit)) {}
                text .tick.over x="100%" y=(y(limit).saturating_sub(5)) text-anchor="end" { (name) }
            }
            @for (at, name, is_minor) in names(chart) {
                text .tick.minor[is_minor] x=(percent(at, chart.columns.len())) y=(ABOVE + HEIGHT + 18) text-anchor="middle" { (name) }
            }
        }
    }
}

/// The names of columns that there is room for, and whether a narrow page leaves one out.
fn names(chart: &Chart) -> impl Iterator<Item = (usize, &str, bool)> {
    let step = chart.columns.len().div_ceil(MAX_NAMES).max(1);
    let first = (chart.columns.len().saturating_sub(1) % step) / 2;
    let named = chart.columns.iter().enumerate().skip(first).step_by(step);
    named
        .enumerate()
        .map(|(number, (at, column))| (at, column.short.as_str(), number % 2 == 1))
}

/// The middle of a column, of the width of all.
fn percent(at: usize, of: usize) -> String {
    let hundredths = (at as u64 * 2 + 1) * 5_000 / (of as u64).max(1);
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

pub(super) fn tenths(value: u64) -> String {
    match value % 10 {
        0 => (value / 10).to_string(),
        rest => format!("{}.{rest}", value / 10),
    }
}

fn fill(at: usize) -> String {
    format!("url(#p{})", at.min(PALETTE - 1))
}

/// The field beside a series' name in a legend or a table.
pub fn key(at: usize) -> Markup {
    html! {
        svg .key width="12" height="12" aria-hidden="true" { rect width="12" height="12" rx="2" fill=(fill(at)) {} }
    }
}

/// The colours and patterns that charts of a page refer to; once on each page.
pub fn patterns() -> Markup {
    html! {
        svg .patterns width="0" height="0" aria-hidden="true" {
            defs {
                @for (at, marks) in MARKS.iter().enumerate() {
                    pattern id=(format!("p{at}")) width="8" height="8" patternUnits="userSpaceOnUse" {
                        rect class=(format!("s{at}")) width="8" height="8" {}
                        @if !marks.is_empty() { path .mark d=(marks) {} }
                    }
                }
            }
        }
    }
}

/// What tells the series apart without colours.
const MARKS: [&str; PALETTE] = [
    "",
    "M0 8L8 0M-2 2L2-2M6 10L10 6",
    "M2 2h.01M6 6h.01",
    "M0 0L8 8M-2 6L2 10M6-2L10 2",
    "M0 2h8M0 6h8",
    "M2 0v8M6 0v8",
    "M0 0L8 8M0 8L8 0",
    "M0 4h8M4 0v8",
];
