//! Text for a terminal: styled, wrapped between words, and with nothing in it that moves the cursor.

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

use crate::tools::view::Tone;

pub(super) fn style(tone: Tone) -> Style {
    match tone {
        Tone::Plain => Style::new(),
        Tone::Good => AnsiColor::Green.on_default(),
        Tone::Attention => AnsiColor::Yellow.on_default(),
        Tone::Bad => AnsiColor::Red.on_default(),
        Tone::Faint => Style::new().dimmed(),
    }
}

pub(super) fn styled(tone: Tone, text: &str) -> String {
    let style = style(tone);
    format!("{style}{text}{style:#}")
}

/// `text` without control characters, and without those that change the direction of text.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c })
        .filter(|c| {
            !c.is_control() && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        })
        .collect()
}

/// `text` as words: what stands between backquotes is one of them, since commands are copied whole, and so is a bar.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= matches!(c, '`' | '▕' | '▏');
        c == ' ' && !quoted
    })
}

/// `text` in lines of `columns` at most, broken between [words]; a longer word has a line of its own.
///
/// The spaces that `text` begins with are kept before each line.
pub(super) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    if text.width() <= columns {
        return vec![text.to_owned()];
    }
    let rest = text.trim_start_matches(' ');
    let indent = " ".repeat(text.len() - rest.len());
    let mut lines: Vec<String> = Vec::new();
    for word in words(rest) {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("{indent}{word}")),
        }
    }
    lines
}
