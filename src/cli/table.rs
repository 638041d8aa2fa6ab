//! A table that fits its terminal: columns are wrapped, then left out by rank, and numbers stand below each other.

use std::fmt::Write;

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use super::text::{plain, style, styled, words, wrapped};
use crate::tools::view::{Align, Cell, Column};

/// What stands between two columns.
const GAP: &str = "  ";
/// A column of text is not made narrower than this before another is left out.
const COMFORTABLE: usize = 20;
/// The narrowest column that text is wrapped in.
const NARROWEST: usize = 8;
/// On a terminal with fewer columns than this, each field gets a line where the table does not fit.
const MIN_FOR_TABLE: usize = 50;

/// A column as it is laid out.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Its place among the columns of the table.
    at: usize,
    head: &'static str,
    wraps: bool,
    rank: u8,
    align: Align,
    /// The widest of its texts and its head.
    natural: usize,
    /// The longest of its words, and its head.
    longest_word: usize,
    width: usize,
}

/// `rows` below the heads of `columns`, as text of `width` columns; whole where there is no terminal.
pub(super) fn table(columns: &[Column], rows: &[Vec<Cell>], width: Option<usize>) -> String {
    let places = places(columns, rows);
    if places.is_empty() {
        return String::new();
    }
    let mut fitting = places.clone();
    match width {
        // Records have space for every column.
        Some(width) if !fit(&mut fitting, width) && width < MIN_FOR_TABLE => records(&places, rows, width),
        _ => aligned_rows(&fitting, rows),
    }
}

/// The columns that say something.
fn places(columns: &[Column], rows: &[Vec<Cell>]) -> Vec<Place> {
    let mut places: Vec<Place> = columns
        .iter()
        .enumerate()
        .filter_map(|(at, column)| {
            let cells = || rows.iter().filter_map(|row| row.get(at));
            let texts = || cells().map(|cell| plain(&cell.text));
            let widest = texts().map(|text| text.width()).max().unwrap_or(0);
            let longest = texts().filter_map(|text| words(&text).map(UnicodeWidthStr::width).max());
            let head = column.head.width();
            (widest > 0).then(|| Place {
                at,
                head: column.head,
                wraps: column.wraps,
                rank: column.rank,
                align: cells().map(|cell| cell.align).next().unwrap_or_default(),
                natural: widest.max(head),
                longest_word: longest.max().unwrap_or(0).max(head),
                width: widest.max(head),
            })
        })
        .collect();
    // Where nothing was declared, the last column is the one with the sentences.
    if let (false, Some(last)) = (places.iter().any(|place| place.wraps), places.last_mut()) {
        last.wraps = last.align == Align::Left;
    }
    places
}

/// Makes the columns fit into `room`, and says whether they do; without a way, the longest words stick out.
fn fit(places: &mut Vec<Place>, room: usize) -> bool {
    loop {
        if shrink(places, room, |place| place.longest_word.max(COMFORTABLE)) {
            return true;
        }
        let Some(least) = (0..places.len())
            .filter(|at| places[*at].rank > 0)
            .max_by_key(|at| (places[*at].rank, *at))
        else {
            break;
        };
        places.remove(least);
    }
    shrink(places, room, |place| place.longest_word.max(NARROWEST)) || {
        shrink(places, room, |place| place.head.width().max(NARROWEST));
        false
    }
}

/// Gives each column its width in `room`, those that are wrapped no less than `least`; says whether that is possible.
fn shrink(places: &mut [Place], room: usize, least: impl Fn(&Place) -> usize) -> bool {
    for place in places.iter_mut() {
        place.width = if place.wraps {
            least(place).min(place.natural)
        } else {
            place.natural
        };
    }
    let gaps = GAP.len() * places.len().saturating_sub(1);
    let used = places.iter().map(|place| place.width).sum::<usize>() + gaps;
    for _ in used..room {
        // The column whose text needs most lines gets the next place.
        let neediest = places
            .iter_mut()
            .filter(|place| place.width < place.natural)
            .max_by_key(|place| place.natural.div_ceil(place.width.max(1)));
        match neediest {
            Some(place) => place.width += 1,
            None => break,
        }
    }
    used <= room
}

/// The heads and the rows, each in as many lines as its longest field needs.
fn aligned_rows(places: &[Place], rows: &[Vec<Cell>]) -> String {
    let mut text = String::new();
    line(&mut text, places, |place| (Style::new().bold(), place.head.to_owned()));
    for row in rows {
        let fields: Vec<Vec<String>> = places
            .iter()
            .map(|place| match row.get(place.at) {
                Some(cell) if place.wraps => wrapped(&plain(&cell.text), place.width),
                Some(cell) => vec![plain(&cell.text)],
                None => Vec::new(),
            })
            .collect();
        for at in 0..fields.iter().map(Vec::len).max().unwrap_or(0) {
            let mut fields = fields.iter();
            line(&mut text, places, |place| {
                let part = fields.next().and_then(|lines| lines.get(at)).cloned();
                let tone = row.get(place.at).map(|cell| cell.tone).unwrap_or_default();
                (style(tone), part.unwrap_or_default())
            });
        }
    }
    text
}

/// One line of fields, without spaces at its end.
fn line(text: &mut String, places: &[Place], mut field: impl FnMut(&Place) -> (Style, String)) {
    let mut spaces = 0;
    for place in places {
        let (style, part) = field(place);
        let pad = place.width.saturating_sub(part.width());
        let (before, after) = match place.align {
            Align::Left => (0, pad),
            Align::Right => (pad, 0),
        };
        if part.is_empty() {
            spaces += pad + GAP.len();
            continue;
        }
        let _ = write!(text, "{}{style}{part}{style:#}", " ".repeat(spaces + before));
        spaces = after + GAP.len();
    }
    text.push('\n');
}

/// The same table with one field a line, for narrow terminals.
fn records(places: &[Place], rows: &[Vec<Cell>], width: usize) -> String {
    let widest = places.iter().map(|place| place.head.width()).max().unwrap_or(0);
    let before = widest + GAP.len();
    let room = width.saturating_sub(before).max(NARROWEST);
    let bold = Style::new().bold();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        for place in places {
            let Some(cell) = row.get(place.at).filter(|cell| !cell.text.is_empty()) else {
                continue;
            };
            let pad = " ".repeat(before - place.head.width());
            let lines = wrapped(&plain(&cell.text), room).join(&format!("\n{}", " ".repeat(before)));
            let _ = writeln!(text, "{bold}{}{bold:#}{pad}{}", place.head, styled(cell.tone, &lines));
        }
    }
    text
}
