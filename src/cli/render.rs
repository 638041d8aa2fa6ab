//! Results as text: aligned by what is seen, coloured by how it feels, nothing that moves the cursor.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

use crate::{
    error::Error,
    tools::view::{Align, Block, Cell, Tone, View},
};

const GAP: &str = "  ";

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
                painted.answer.push_str(&styled(*tone, &plain(text)));
                painted.answer.push('\n');
            }
            Block::Table { headers, rows } => painted.answer.push_str(&table(headers, rows, width.answer)),
            Block::Warning(text) => painted
                .remarks
                .push_str(&remark(WARNING, "warning", text, width.remarks)),
            Block::Hint(text) => hints.push_str(&remark(HINT, "hint", text, width.remarks)),
        }
    }
    painted.remarks.push_str(&hints);
    painted
}

/// One line of parts, each in its own tone.
pub(super) fn line(parts: &[(Tone, String)]) -> String {
    let parts: Vec<String> = parts.iter().map(|(tone, text)| styled(*tone, &plain(text))).collect();
    format!("{}\n", parts.join(" · "))
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

/// The columns that are left beside `before`, and never fewer than a few words need.
fn room(width: Option<usize>, before: usize) -> usize {
    width.map_or(usize::MAX, |width| width.saturating_sub(before).max(NARROWEST))
}

/// The way to the next line of a text that begins after `before` columns.
fn line_break(before: usize) -> String {
    format!("\n{}", " ".repeat(before))
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Plain => Style::new(),
        Tone::Good => AnsiColor::Green.on_default(),
        Tone::Attention => AnsiColor::Yellow.on_default(),
        Tone::Bad => AnsiColor::Red.on_default(),
        Tone::Faint => Style::new().dimmed(),
    }
}

fn styled(tone: Tone, text: &str) -> String {
    let style = style(tone);
    format!("{style}{text}{style:#}")
}

/// `text` without anything that a terminal obeys or that turns the order of what is read.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c })
        .filter(|c| {
            !c.is_control() && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        })
        .collect()
}

/// The narrowest column that text is wrapped in.
const NARROWEST: usize = 20;

/// A table with its columns aligned.
///
/// Where the terminal is too narrow the last column is wrapped, or else each field gets a line.
fn table(headers: &[&str], rows: &[Vec<Cell>], width: Option<usize>) -> String {
    let cell = |row: &'_ Vec<Cell>, column: usize| row.get(column).map(|cell| plain(&cell.text)).unwrap_or_default();
    // A column that says nothing is left out.
    let columns: Vec<(usize, &str, usize)> = headers
        .iter()
        .enumerate()
        .filter_map(|(column, header)| {
            let widest = rows.iter().map(|row| cell(row, column).width()).max().unwrap_or(0);
            (widest > 0).then(|| (column, *header, widest.max(header.width())))
        })
        .collect();
    let Some(((last, last_header, last_widest), others)) = columns.split_last() else {
        return String::new();
    };
    let before: usize = others.iter().map(|(_, _, widest)| widest + GAP.len()).sum();
    let whole: usize = columns.iter().map(|(_, _, widest)| widest + GAP.len()).sum();
    let room = match width {
        Some(width) if whole > width + GAP.len() => width.saturating_sub(before),
        _ => usize::MAX,
    };
    if room < NARROWEST {
        return list(&columns, rows, width);
    }
    let bold = Style::new().bold();
    let mut text = String::new();
    for (column, header, widest) in others {
        let align = rows.first().and_then(|row| row.get(*column)).map(|cell| cell.align);
        text.push_str(&aligned(bold, header, *widest, align.unwrap_or_default()));
        text.push_str(GAP);
    }
    let is_number = |row: &Vec<Cell>| row.get(*last).is_some_and(|cell| cell.align == Align::Right);
    let room_of_last = if rows.first().is_some_and(is_number) {
        *last_widest
    } else {
        0
    };
    let _ = writeln!(text, "{}", aligned(bold, last_header, room_of_last, Align::Right));
    for row in rows {
        let style_of = |column: &usize| style(row.get(*column).map(|cell| cell.tone).unwrap_or_default());
        let mut line = String::new();
        for (column, _, widest) in others {
            let align = row.get(*column).map(|cell| cell.align).unwrap_or_default();
            line.push_str(&aligned(style_of(column), &cell(row, *column), *widest, align));
            line.push_str(GAP);
        }
        let style = style_of(last);
        if is_number(row) {
            let _ = writeln!(
                text,
                "{line}{}",
                aligned(style, &cell(row, *last), *last_widest, Align::Right)
            );
            continue;
        }
        for (at, part) in wrapped(&cell(row, *last), room).iter().enumerate() {
            if at > 0 {
                line.push_str(&line_break(before));
            }
            let _ = write!(line, "{style}{part}{style:#}");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// `text` in a column of `widest`.
fn aligned(style: Style, text: &str, widest: usize, align: Align) -> String {
    let pad = " ".repeat(widest.saturating_sub(text.width()));
    match align {
        Align::Left => format!("{style}{text}{style:#}{pad}"),
        Align::Right => format!("{pad}{style}{text}{style:#}"),
    }
}

/// The same table with one field a line, for narrow terminals.
fn list(columns: &[(usize, &str, usize)], rows: &[Vec<Cell>], width: Option<usize>) -> String {
    let widest = columns.iter().map(|(_, header, _)| header.width()).max().unwrap_or(0);
    let before = widest + GAP.len();
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        for (column, header, _) in columns {
            let Some(cell) = row.get(*column).filter(|cell| !cell.text.is_empty()) else {
                continue;
            };
            let pad = " ".repeat(widest - header.width());
            let bold = Style::new().bold();
            let _ = writeln!(
                text,
                "{bold}{header}{bold:#}{pad}{GAP}{}",
                styled(
                    cell.tone,
                    &wrapped(&plain(&cell.text), room(width, before)).join(&line_break(before))
                )
            );
        }
    }
    text
}

/// `text` in lines of `columns` at most, broken between words; what is longer has a line of its own.
///
/// What stands between backquotes is one word: commands are copied whole.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut quoted = false;
    let words = text.split(|c| {
        quoted ^= c == '`';
        c == ' ' && !quoted
    });
    for word in words {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

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
        View::default().and(Block::Table {
            headers: vec!["PROVIDER", "LABEL", "NOTE", "KEY"],
            rows: vec![
                vec!["anthropic".into(), "default".into(), "".into(), "sk-ant-…WXYZ".into()],
                vec!["openai".into(), "日本".into(), "".into(), "…1234".into()],
            ],
        })
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
        let view = View::default().and(Block::Table {
            headers: vec!["NAME", "N", "COST"],
            rows: vec![row("a", "1"), row("b", "12,345")],
        });
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
        let view = View::default().and(Block::Table {
            headers: vec!["PROVIDER", "KEY", "NOTE"],
            rows: vec![vec![
                "anthropic".into(),
                "sk-ant-…WXYZ".into(),
                "what the key is for in the team".into(),
            ]],
        });
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
        let view = View::default().and(Block::Table {
            headers: vec!["STATE", "FOUND"],
            rows: vec![vec!["ok".into(), "a vault that opens and is whole, twice".into()]],
        });
        assert_eq!(
            seen(&view, Some(30)),
            "STATE  FOUND\nok     a vault that opens and\n       is whole, twice\n"
        );
    }
}
