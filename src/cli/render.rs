//! Results as text: aligned by what is seen, coloured by how it feels, nothing that moves the cursor.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use super::{
    table::table,
    text::{plain, styled, wrapped},
};
use crate::{
    chart::{Painting, Stroke},
    error::Error,
    tools::view::{Block, Tone, View},
};

/// A view as text with escape codes for colours; the stream takes them out where they don't belong.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Painted {
    /// For stdout.
    pub(super) answer: String,
    /// For stderr.
    pub(super) remarks: String,
}

/// Columns of the terminals that read the two; nothing where there is none, and nothing is cut or folded.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Width {
    pub(super) answer: Option<usize>,
    pub(super) remarks: Option<usize>,
}

/// `view` for terminals of that width; what to do next comes after what to know.
pub(super) fn paint(view: &View, width: Width) -> Painted {
    let mut painted = Painted::default();
    let mut hints = String::new();
    for block in &view.blocks {
        match block {
            Block::Line(tone, text) => {
                let lines = wrapped(&plain(text), width.answer.unwrap_or(usize::MAX));
                painted.answer.push_str(&styled(*tone, &lines.join("\n")));
                painted.answer.push('\n');
            }
            Block::Step(name, text) => painted.answer.push_str(&step(name, text, width.answer)),
            Block::Table { columns, rows } => painted.answer.push_str(&table(columns, rows, width.answer)),
            Block::Warning(text) => painted
                .remarks
                .push_str(&remark(WARNING, "warning", text, width.remarks)),
            Block::Hint(text) => hints.push_str(&remark(HINT, "hint", text, width.remarks)),
        }
    }
    painted.remarks.push_str(&hints);
    painted
}

/// A chart as text, each series in its colour.
pub(super) fn painting(painting: &Painting, has_colors: bool) -> String {
    let mut text = String::new();
    for strokes in &painting.lines {
        for Stroke { series, text: part } in strokes {
            let part = plain(part);
            match series {
                Some(series) if has_colors => {
                    let style = Style::new().fg_color(Some(SERIES[series % SERIES.len()].into()));
                    let _ = write!(text, "{style}{part}{style:#}");
                }
                _ => text.push_str(&part),
            }
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text.push('\n');
    text
}

/// The colours of series, of the terminal's own.
const SERIES: [AnsiColor; 8] = [
    AnsiColor::Blue,
    AnsiColor::Yellow,
    AnsiColor::Cyan,
    AnsiColor::Magenta,
    AnsiColor::Green,
    AnsiColor::Red,
    AnsiColor::White,
    AnsiColor::BrightBlack,
];

/// What stands between the parts of a line.
pub(super) const SEPARATOR: &str = " · ";

/// One line of parts, each in its own tone.
pub(super) fn line(parts: &[(Tone, String)]) -> String {
    let parts: Vec<String> = parts.iter().map(|(tone, text)| styled(*tone, &plain(text))).collect();
    format!("{}\n", parts.join(SEPARATOR))
}

/// What went wrong and what can be done, for stderr of that many columns.
pub(super) fn error(error: &Error, width: Option<usize>) -> String {
    let mut text = remark(ERROR, "error", error.message(), width);
    if let Some(hint) = error.hint_text() {
        text.push_str(&remark(HINT, "hint", hint, width));
    }
    text
}

/// One line about work in progress, which the next one replaces and the last one takes away.
pub(super) fn progress(done: usize, total: usize, message: &str) -> String {
    if done >= total {
        "\r\u{1b}[K".to_owned()
    } else {
        format!("\r\u{1b}[K{done}/{total} {}", plain(message))
    }
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

fn remark(style: Style, word: &str, text: &str, width: Option<usize>) -> String {
    let before = word.len() + 2;
    format!(
        "{style}{word}:{style:#} {}\n",
        wrapped(&plain(text), room(width, before)).join(&line_break(before))
    )
}

/// The width of the headings of steps.
const STEP: usize = 8;

fn step(name: &str, text: &str, width: Option<usize>) -> String {
    let lines = wrapped(&plain(text), room(width, STEP)).join(&line_break(STEP));
    format!("{name:<STEP$}{lines}\n")
}

/// The columns that are left beside `before`, and never fewer than a few words need.
fn room(width: Option<usize>, before: usize) -> usize {
    width.map_or(usize::MAX, |width| width.saturating_sub(before).max(NARROWEST))
}

/// The way to the next line of a text that begins after `before` columns.
fn line_break(before: usize) -> String {
    format!("\n{}", " ".repeat(before))
}

/// The narrowest column that a remark is wrapped in.
const NARROWEST: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr;

    use crate::tools::view::{Cell, Column};

    fn seen(view: &View, width: Option<usize>) -> String {
        let width = Width {
            answer: width,
            remarks: None,
        };
        anstream::adapter::strip_str(&paint(view, width).answer).to_string()
    }

    fn remarked(view: &View, width: Option<usize>) -> String {
        let width = Width {
            answer: None,
            remarks: width,
        };
        anstream::adapter::strip_str(&paint(view, width).remarks).to_string()
    }

    fn two_keys() -> View {
        View::default().and(Block::table(
            ["PROVIDER", "LABEL", "NOTE", "KEY"],
            vec![
                vec!["anthropic".into(), "default".into(), "".into(), "sk-ant-…WXYZ".into()],
                vec!["openai".into(), "日本".into(), "".into(), "…1234".into()],
            ],
        ))
    }

    #[test]
    fn columns_are_aligned_by_what_is_seen_and_empty_ones_left_out() {
        assert_eq!(
            seen(&two_keys(), Some(80)),
            "PROVIDER   LABEL    KEY\nanthropic  default  sk-ant-…WXYZ\nopenai     日本     …1234\n"
        );
    }

    #[test]
    fn numbers_stand_below_each_other() {
        let row = |name: &str, number: &str| vec![name.into(), Cell::number(number), Cell::number(number)];
        let view = View::default().and(Block::table(
            ["NAME", "N", "COST"],
            vec![row("a", "1"), row("b", "12,345")],
        ));
        assert_eq!(
            seen(&view, None),
            "NAME       N    COST\na          1       1\nb     12,345  12,345\n"
        );
    }

    #[test]
    fn a_narrow_terminal_gets_one_field_a_line() {
        assert_eq!(
            seen(&two_keys(), Some(20)),
            "PROVIDER  anthropic\nLABEL     default\nKEY       sk-ant-…WXYZ\n\nPROVIDER  openai\nLABEL     日本\nKEY       …1234\n"
        );
    }

    #[test]
    fn a_long_field_of_a_narrow_terminal_is_wrapped_beside_its_name() {
        let view = View::default().and(Block::table(
            ["PROVIDER", "KEY", "NOTE"],
            vec![vec![
                "anthropic".into(),
                "sk-ant-…WXYZ".into(),
                "what the key is for in the team".into(),
            ]],
        ));
        assert_eq!(
            seen(&view, Some(32)),
            "PROVIDER  anthropic\nKEY       sk-ant-…WXYZ\nNOTE      what the key is for in\n          the team\n"
        );
    }

    #[test]
    fn remarks_are_wrapped_between_words_and_commands_stay_whole() {
        let view = View::default()
            .and(Block::Hint("type `api-keys add openai` to store it".to_owned()))
            .and(Block::Warning("the vault is new".to_owned()));
        assert_eq!(
            remarked(&view, Some(30)),
            "warning: the vault is new\nhint: type\n      `api-keys add openai` to\n      store it\n"
        );
        assert_eq!(
            remarked(&view, None),
            "warning: the vault is new\nhint: type `api-keys add openai` to store it\n"
        );
    }

    #[test]
    fn nothing_moves_the_cursor_or_turns_the_text() {
        let view = View::line(Tone::Plain, "a\u{1b}[2Jb\u{9b}c\u{7}\r\nd\u{202e}e");
        assert_eq!(seen(&view, None), "a[2Jbc  de\n");
    }

    #[test]
    fn a_long_last_column_is_wrapped_where_the_others_fit() {
        let view = View::default().and(Block::table(
            ["STATE", "FOUND"],
            vec![vec!["ok".into(), "a vault that opens and is whole, twice".into()]],
        ));
        assert_eq!(
            seen(&view, Some(30)),
            "STATE  FOUND\nok     a vault that opens and\n       is whole, twice\n"
        );
    }

    #[test]
    fn prose_is_wrapped_between_words_and_keeps_its_indent() {
        let view = View::line(Tone::Plain, "stored a made-up key over MCP, saw it listed")
            .and(Block::Line(Tone::Plain, "    + one two three".to_owned()))
            .and(Block::Step("Trial", "stored a made-up key over MCP".to_owned()));
        assert_eq!(
            seen(&view, Some(30)),
            "stored a made-up key over MCP,\nsaw it listed\n    + one two three\nTrial   stored a made-up key\n        over MCP\n"
        );
        assert_eq!(
            seen(&view, Some(16)),
            "stored a made-up\nkey over MCP,\nsaw it listed\n    + one two\n    three\nTrial   stored a made-up key\n        over MCP\n"
        );
    }

    #[test]
    fn a_table_stays_one_from_fifty_columns_up() {
        let view = View::default().and(Block::table(
            [
                Column::new("ABOUT").rank(1),
                Column::new("WHAT").wrapped(),
                Column::new("FIX").wrapped(),
                Column::new("COST"),
            ],
            vec![vec![
                "key never validated".into(),
                "the key has never been checked with its provider".into(),
                "`api-keys validate openai:work`".into(),
                Cell::number("12,345"),
            ]],
        ));
        assert!(seen(&view, Some(90)).starts_with("ABOUT  "));
        for width in [50, 60, 70, 80] {
            let table = seen(&view, Some(width));
            assert!(
                table.starts_with("WHAT"),
                "the first column has the highest rank\n{table}"
            );
            assert!(table.contains("`api-keys validate openai:work`"), "{table}");
            assert!(table.lines().all(|line| line.width() <= width), "{width}\n{table}");
        }
        assert!(seen(&view, Some(40)).starts_with("ABOUT  key never"), "records");
    }
}
