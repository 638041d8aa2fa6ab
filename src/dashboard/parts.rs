//! What pages are made of: numbers with where they come from, tables, charts with their tables, and views.

use maud::{Markup, html};

use super::{pages::PageContext, query::PageQuery};
use crate::{
    chart::{self, Chart},
    domain::{Usd, thousands},
    error::Error,
    storage::ledger::Totals,
    tools::view::{Align, Block, Cell, Column, Tone, View, tokens},
};

/// `html` with control characters, and those that turn the direction of text, as symbols.
pub(super) fn visible(html: &str) -> String {
    let mut shown = String::with_capacity(html.len());
    for c in html.chars() {
        match c {
            '\n' => shown.push(c),
            '\u{0}'..='\u{1f}' => shown.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
            '\u{7f}'..='\u{9f}' => shown.push('\u{2421}'),
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}' => {
                shown.push('\u{fffd}');
            }
            _ => shown.push(c),
        }
    }
    shown
}

/// A text with what stands between backquotes as code.
pub(super) fn prose(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// A number with its name, and what is known about it.
pub(super) fn card(title: &str, value: &Markup, about: &Markup) -> Markup {
    html! {
        section .card {
            h2 { (title) }
            p .figure { (value) }
            (about)
        }
    }
}

/// How sure the amounts in `totals` are, with the way to their rows.
pub(super) fn basis(context: &PageContext<'_>, totals: &Totals, query: &PageQuery) -> Markup {
    let notes = [
        (totals.unpriced_requests, "without a known price, not included"),
        (
            totals.plan_unpriced_requests,
            "covered by a plan and without a known price",
        ),
        (totals.estimated_requests, "with estimated tokens"),
        (totals.lower_bound_requests, "that cost at least this"),
        (totals.stated_requests, "as the provider stated"),
    ];
    html! {
        p .basis {
            "From " (context.link(&query.link("/usage"), &html! { (requests(totals.requests)) }))
            @for (count, what) in notes.into_iter().filter(|(count, _)| *count > 0) {
                ", " @if what.starts_with("without") || what.starts_with("covered") {
                    strong { (thousands(count)) " " (what) }
                } @else { (thousands(count)) " " (what) }
            }
            @if totals.requests > 0 && notes.iter().all(|(count, _)| *count == 0) { ", all priced by their tokens" }
            "."
        }
    }
}

pub(super) fn requests(count: u64) -> String {
    crate::tools::view::requests(count)
}

/// The cost in `totals`, with a sign where something is missing in it.
pub(super) fn cost(totals: &Totals) -> Markup {
    let billed = totals.requests.saturating_sub(totals.plan_requests);
    html! {
        @if totals.unpriced_requests > 0 && totals.unpriced_requests >= billed {
            span .attention title="no price is known" { "unknown" }
        } @else if totals.unpriced_requests > 0 {
            span .attention title="some requests have no known price" { "≥ " (totals.cost) }
        } @else { (totals.cost) }
    }
}

/// Usage by name: a row for each group, each leading to more of it; `label` is unique on its page.
pub(super) fn usage_table(title: &str, label: &str, rows: &[(Markup, Totals)], total: Option<&Totals>) -> Markup {
    let all = rows.iter().map(|(_, totals)| totals);
    let has_plan = all.clone().any(|totals| totals.plan_requests > 0);
    let has_errors = all.clone().any(|totals| totals.errors > 0);
    let has_cache = all.clone().any(|totals| totals.cache_read_tokens > 0);
    let row = |name: &Markup, totals: &Totals| {
        html! {
            th scope="row" { (name) }
            td .num { (thousands(totals.requests)) }
            @if has_errors { td .num { @if totals.errors > 0 { span .bad { (thousands(totals.errors)) } } } }
            td .num { (tokens(totals.input_tokens)) }
            @if has_cache { td .num.wide { (share(totals.cache_read_tokens, totals.input_tokens)) } }
            td .num.wide { (tokens(totals.output_tokens)) }
            td .num { (cost(totals)) }
            @if has_plan { td .num { @if totals.plan_requests > 0 { (totals.plan_cost) } } }
        }
    };
    html! {
        div .scroll tabindex="0" role="region" aria-label=(label) {
            table .data data-filter="" {
                thead { tr {
                    th scope="col" { (title) }
                    th .num scope="col" { "Requests" }
                    @if has_errors { th .num scope="col" { "Errors" } }
                    th .num scope="col" { "Input" }
                    @if has_cache { th .num.wide scope="col" { "Cached" } }
                    th .num.wide scope="col" { "Output" }
                    th .num scope="col" { "Cost" }
                    @if has_plan { th .num scope="col" title="covered by plans, and not billed by the token" { "At API prices" } }
                } }
                tbody { @for (name, totals) in rows { tr { (row(name, totals)) } } }
                @if let (Some(totals), true) = (total, rows.len() > 1) {
                    tfoot { tr { (row(&html! { "Total" }, totals)) } }
                }
            }
        }
    }
}

/// `part` of `whole` in percent; nothing of nothing.
pub(super) fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return String::new();
    }
    let tenths = u128::from(part) * 1_000 / u128::from(whole);
    match tenths {
        0 if part > 0 => "< 0.1%".to_owned(),
        1_000 => "100%".to_owned(),
        _ => format!("{}.{}%", tenths / 10, tenths % 10),
    }
}

/// A chart with its legend, and the same as a table.
pub(super) fn figure(chart: &Chart, picture: &Markup, zoom: &[(String, String)], legend: &[Markup]) -> Markup {
    let sums = chart.sums();
    html! {
        figure .chart data-zoom=[(!zoom.is_empty()).then_some("")] {
            figcaption { (chart.title) }
            @if chart.series.iter().all(|series| series.values.iter().all(|value| *value == 0)) {
                p .empty { "Nothing in this period." }
            } @else {
                div .canvas { (picture) }
                @if !legend.is_empty() {
                    ul .legend { @for (at, entry) in legend.iter().enumerate() { li { (chart::key(at)) (entry) } } }
                }
                details {
                    summary { "Show as a table" }
                    div .scroll tabindex="0" role="region" aria-label=(chart.title) {
                        table .data {
                            thead { tr {
                                th scope="col" { "Period" }
                                @for series in &chart.series { th .num scope="col" { (series.name) } }
                                @if chart.series.len() > 1 { th .num scope="col" { "Total" } }
                            } }
                            tbody {
                                @for (at, column) in chart.columns.iter().enumerate() {
                                    @let range = zoom.get(at);
                                    tr data-from=[range.map(|(from, _)| from)] data-to=[range.filter(|(from, to)| from != to).map(|(_, to)| to)] {
                                        th scope="row" { (column.name) }
                                        @for series in &chart.series {
                                            td .num { @if let Some(value) = series.values.get(at).filter(|value| **value > 0) { (chart.unit.text(*value)) } }
                                        }
                                        @if chart.series.len() > 1 { td .num { (chart.unit.text(sums[at])) } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What went wrong, and what can be done.
pub(super) fn error_note(error: &Error) -> Markup {
    html! {
        div .note.wrong role="alert" {
            p { strong { (prose(&sentence(error.message()))) } " " span .faint { "(" (error.code().as_str()) ")" } }
            @if let Some(hint) = error.hint_text() { p { (prose(&sentence(hint))) } }
        }
    }
}

/// A fragment with its first letter in upper case, unless it is the name of something.
fn sentence(fragment: &str) -> String {
    let mut chars = fragment.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// A view of a command as HTML.
pub(super) fn view(name: &str, view: &View) -> Markup {
    html! {
        @for block in &view.blocks {
            @match block {
                Block::Line(tone, text) => p class=(class(*tone)) { (prose(text)) },
                Block::Step(name, text) => p { strong { (name) } " " (prose(text)) },
                Block::Table { columns, rows } => (view_table(name, columns, rows)),
                Block::Warning(text) => p .note.careful { (prose(text)) },
                Block::Hint(text) => p .note { (prose(text)) },
            }
        }
    }
}

fn view_table(name: &str, columns: &[Column], rows: &[Vec<Cell>]) -> Markup {
    // What is empty in every row is left out, as on a terminal.
    let is_shown = |at: usize| {
        rows.iter()
            .any(|row| row.get(at).is_some_and(|cell| !cell.text.is_empty()))
    };
    let shown: Vec<usize> = (0..columns.len()).filter(|at| is_shown(*at)).collect();
    let is_number = |at: usize| {
        rows.iter()
            .any(|row| row.get(at).is_some_and(|cell| cell.align == Align::Right))
    };
    html! {
        div .scroll tabindex="0" role="region" aria-label=(name) {
            table .data data-filter="" {
                thead { tr {
                    @for at in &shown { th scope="col" .num[is_number(*at)] .wide[columns[*at].rank > 2] { (title_case(columns[*at].head)) } }
                } }
                tbody {
                    @for row in rows {
                        tr {
                            @for at in &shown {
                                @if let Some(cell) = row.get(*at) {
                                    td .num[cell.align == Align::Right] .wide[columns[*at].rank > 2] .text[columns[*at].wraps || Some(at) == shown.last()] {
                                        span class=(class(cell.tone)) { (prose(&cell.text)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// `INPUT/M` as `Input/M`.
fn title_case(head: &str) -> String {
    let mut previous = ' ';
    head.chars()
        .map(|c| {
            let cased = if previous.is_alphabetic() {
                c.to_ascii_lowercase()
            } else {
                c
            };
            previous = c;
            cased
        })
        .collect()
}

fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "plain",
        Tone::Good => "good",
        Tone::Attention => "attention",
        Tone::Bad => "bad",
        Tone::Faint => "faint",
    }
}

/// Nano-dollars; an amount below zero is none.
pub(super) fn nano(amount: Usd) -> u64 {
    u64::try_from(amount.nano()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_hide_or_turn_text_is_a_symbol() {
        assert_eq!(visible("a\u{1b}[2J\u{202e}b\u{7f}\tc\nd"), "a␛[2J\u{fffd}b␡␉c\nd");
    }

    #[test]
    fn commands_are_code_and_markup_is_text() {
        let shown = prose("run `api-keys add <x>` & wait").into_string();
        assert_eq!(shown, "run <code>api-keys add &lt;x&gt;</code> &amp; wait");
    }

    #[test]
    fn a_share_is_never_more_than_it_is() {
        for (part, whole, text) in [
            (0, 0, ""),
            (0, 5, "0.0%"),
            (1, 100_000, "< 0.1%"),
            (2, 3, "66.6%"),
            (3, 3, "100%"),
        ] {
            assert_eq!(share(part, whole), text);
        }
    }
}
