//! Bars of stacked series as text, as wide as the terminal is.

use super::{data::Chart, scale::Scale};

/// A chart as lines of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Painting {
    pub lines: Vec<Vec<Stroke>>,
}

/// Text of one series, or of none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stroke {
    pub series: Option<usize>,
    pub text: String,
}

/// How many lines a plot has.
const LINES: u64 = 10;
/// Parts of a line that a block can fill.
const EIGHTHS: u64 = 8;
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// What tells series apart where there are no colours.
const GLYPHS: [char; 8] = ['█', '▓', '▒', '░', '▚', '#', '+', ':'];
/// The widest bar.
const MAX_BAR: usize = 4;

/// The chart within `width` columns; columns that there is no room for are joined with those beside them.
pub fn stacked_text(chart: &Chart, width: usize, has_colors: bool) -> Painting {
    let axis = |scale: &Scale| {
        scale
            .ticks
            .iter()
            .map(|tick| chart.unit.tick(*tick).chars().count())
            .max()
            .unwrap_or(0)
    };
    let room = width
        .saturating_sub(axis(&Scale::to(chart.sums().into_iter().max().unwrap_or(0))) + 3)
        .max(10);
    let per_bar = chart.columns.len().div_ceil(room).max(1);
    let joined = joined(chart, per_bar);
    let sums: Vec<u64> = joined
        .iter()
        .map(|bar| bar.iter().fold(0, |sum: u64, it| sum.saturating_add(*it)))
        .collect();
    let scale = Scale::to(sums.iter().copied().max().unwrap_or(0));
    let axis = axis(&scale);
    let bar = (room / joined.len().max(1)).clamp(1, MAX_BAR);
    let mut lines = Vec::new();
    for line in (0..LINES).rev() {
        let mut strokes = vec![plain(&format!("{:>axis$} ┤", tick_at(chart, &scale, line)))];
        for values in &joined {
            let (series, glyph) = cell(values, &scale, line, has_colors);
            let drawn = if bar > 1 { bar - 1 } else { bar };
            let text: String = std::iter::repeat_n(glyph, drawn)
                .chain(std::iter::repeat_n(' ', bar - drawn))
                .collect();
            push(&mut strokes, series, &text);
        }
        lines.push(strokes);
    }
    lines.push(vec![plain(&format!(
        "{:>axis$} └{}",
        "",
        "─".repeat(joined.len() * bar)
    ))]);
    lines.push(vec![plain(&format!(
        "{:>axis$}  {}",
        "",
        below(chart, joined.len() * bar)
    ))]);
    lines.extend(legend(chart, has_colors));
    Painting { lines }
}

/// The values of each bar, by series.
fn joined(chart: &Chart, per_bar: usize) -> Vec<Vec<u64>> {
    let bars = chart.columns.len().div_ceil(per_bar);
    let of = |values: &[u64], bar: usize| {
        let joined = values.iter().skip(bar * per_bar).take(per_bar);
        joined.fold(0, |sum: u64, value| sum.saturating_add(*value))
    };
    (0..bars)
        .map(|bar| chart.series.iter().map(|series| of(&series.values, bar)).collect())
        .collect()
}

/// Which series most of the field belongs to, and what it is drawn with.
fn cell(values: &[u64], scale: &Scale, line: u64, has_colors: bool) -> (Option<usize>, char) {
    let (from, to) = (line * EIGHTHS, (line + 1) * EIGHTHS);
    let mut floor = 0_u64;
    let mut best: Option<(u64, usize)> = None;
    for (at, value) in values.iter().enumerate() {
        let below = scale.height(floor, LINES * EIGHTHS);
        floor = floor.saturating_add(*value);
        let above = scale.height(floor, LINES * EIGHTHS);
        let inside = above.min(to).saturating_sub(below.max(from));
        if inside > 0 && best.is_none_or(|(most, _)| inside > most) {
            best = Some((inside, at));
        }
    }
    let filled = scale.height(floor, LINES * EIGHTHS).min(to).saturating_sub(from);
    let Some((_, series)) = best else { return (None, ' ') };
    let part = usize::try_from(filled)
        .ok()
        .and_then(|filled| BLOCKS.get(filled.wrapping_sub(1)));
    let whole = if has_colors {
        '█'
    } else {
        GLYPHS[series.min(GLYPHS.len() - 1)]
    };
    let glyph = match part {
        Some(part) if filled < EIGHTHS && (has_colors || values.len() == 1) => *part,
        _ => whole,
    };
    (Some(series), glyph)
}

/// The tick whose height is in that line.
fn tick_at(chart: &Chart, scale: &Scale, line: u64) -> String {
    let is_here = |tick: &&u64| {
        let height = scale.height(**tick, LINES * EIGHTHS);
        height > line * EIGHTHS && height <= (line + 1) * EIGHTHS
    };
    scale
        .ticks
        .iter()
        .find(is_here)
        .map(|tick| chart.unit.tick(*tick))
        .unwrap_or_default()
}

/// The first and the last column's name below the bars.
fn below(chart: &Chart, width: usize) -> String {
    let name =
        |column: Option<&super::data::ChartColumn>| column.map(|column| column.short.clone()).unwrap_or_default();
    let (first, last) = (name(chart.columns.first()), name(chart.columns.last()));
    let gap = width.saturating_sub(first.chars().count() + last.chars().count());
    if chart.columns.len() < 2 || gap == 0 {
        return first;
    }
    format!("{first}{}{last}", " ".repeat(gap))
}

/// A line for each series: the largest is at the bottom of the bars, and first here.
fn legend(chart: &Chart, has_colors: bool) -> Vec<Vec<Stroke>> {
    let widest = chart
        .series
        .iter()
        .map(|series| series.name.chars().count())
        .max()
        .unwrap_or(0);
    let line = |(at, series): (usize, &super::data::ChartSeries)| {
        let glyph = if has_colors {
            '█'
        } else {
            GLYPHS[at.min(GLYPHS.len() - 1)]
        };
        let total = series
            .values
            .iter()
            .fold(0, |sum: u64, value| sum.saturating_add(*value));
        let text = format!(" {:<widest$}  {}", series.name, chart.unit.text(total));
        let key = Stroke {
            series: Some(at),
            text: glyph.to_string(),
        };
        vec![plain("  "), key, plain(&text)]
    };
    chart.series.iter().enumerate().map(line).collect()
}

fn plain(text: &str) -> Stroke {
    Stroke {
        series: None,
        text: text.to_owned(),
    }
}

fn push(strokes: &mut Vec<Stroke>, series: Option<usize>, text: &str) {
    match strokes.last_mut() {
        Some(last) if last.series == series => last.text.push_str(text),
        _ => strokes.push(Stroke {
            series,
            text: text.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::data::{ChartColumn, ChartSeries, ChartUnit},
        *,
    };

    /// A series' name, and its value in each column.
    type DrawnSeries = (&'static str, fn(usize) -> u64);

    fn chart(columns: usize, series: &[DrawnSeries]) -> Chart {
        let name = |at: usize| ChartColumn {
            name: format!("day {at}"),
            short: format!("d{at}"),
        };
        Chart {
            id: "c".to_owned(),
            title: "Requests".to_owned(),
            unit: ChartUnit::Requests,
            columns: (0..columns).map(name).collect(),
            series: series
                .iter()
                .map(|(name, of)| ChartSeries {
                    name: (*name).to_owned(),
                    values: (0..columns).map(of).collect(),
                })
                .collect(),
            limit: None,
        }
    }

    fn text(painting: &Painting) -> Vec<String> {
        let lines = painting.lines.iter();
        lines
            .map(|line| {
                line.iter()
                    .map(|stroke| stroke.text.as_str())
                    .collect::<String>()
                    .trim_end()
                    .to_owned()
            })
            .collect()
    }

    #[test]
    fn bars_fit_the_terminal_however_many_there_are() {
        let many = chart(365, &[("a", |at| at as u64 + 1), ("b", |_| 90)]);
        for width in [20, 40, 80, 200] {
            let painting = stacked_text(&many, width, false);
            let widest = text(&painting).iter().map(|line| line.chars().count()).max();
            assert!(widest <= Some(width.max(14)), "{width}: {widest:?}");
        }
    }

    #[test]
    fn series_differ_without_colors() {
        let painting = stacked_text(
            &chart(4, &[("openai", |at| at as u64 * 2), ("anthropic", |_| 4)]),
            40,
            false,
        );
        let drawn = text(&painting).join("\n");
        assert!(drawn.contains('█') && drawn.contains('▓'), "{drawn}");
        assert!(
            drawn.contains("█ openai     12") && drawn.contains("▓ anthropic  16"),
            "{drawn}"
        );
    }

    #[test]
    fn no_columns_are_no_panic() {
        assert!(!text(&stacked_text(&chart(0, &[]), 40, true)).is_empty());
        assert!(!text(&stacked_text(&chart(3, &[]), 0, true)).is_empty());
    }
}
