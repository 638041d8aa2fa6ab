//! Charts, made of numbers and nothing else: as SVG for a page, and as text for a terminal.
//!
//! Pure functions in integers. A chart is a picture of its table: whoever shows one shows the other beside it.

mod data;
mod heat;
mod lines;
mod meter;
mod scale;
mod stack;
mod terminal;

pub use self::{
    data::{Chart, ChartColumn, ChartSeries, ChartUnit, PALETTE},
    heat::{HeatMap, heat_map},
    lines::{lines, sparkline},
    meter::{LimitBar, meter},
    stack::{key, patterns, stacked_bars},
    terminal::{Painting, Stroke, stacked_text},
};
