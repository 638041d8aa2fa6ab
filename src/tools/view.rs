//! A result for people, before it is known how wide the terminal is or whether it has colours.

use jiff::Timestamp;

use crate::domain::Usd;
pub use crate::domain::thousands as count;

/// What a person sees of a result, top to bottom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    pub blocks: Vec<Block>,
}

/// One part of a [`View`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// A sentence.
    Line(Tone, String),
    /// A heading of a word, and a sentence beside it.
    Step(&'static str, String),
    Table {
        columns: Vec<Column>,
        rows: Vec<Vec<Cell>>,
    },
    /// Something that needs attention, on stderr.
    Warning(String),
    /// What to do next, on stderr.
    Hint(String),
}

/// A column of a table: its head, and what becomes of it where the terminal is narrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub head: &'static str,
    /// Whether its text may be wrapped at words.
    pub wraps: bool,
    /// The higher, the sooner it is left out; 0 for what is always shown.
    pub rank: u8,
}

/// One field of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    pub text: String,
    pub tone: Tone,
    pub align: Align,
}

/// Where in its column a text stands; the head of a column follows its cells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Align {
    #[default]
    Left,
    /// For numbers, so that their digits stand below each other.
    Right,
}

/// How a text feels; the terminal gives it a colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Plain,
    Good,
    Attention,
    Bad,
    Faint,
}

impl View {
    /// A view of one sentence.
    pub fn line(tone: Tone, text: impl Into<String>) -> Self {
        Self::default().and(Block::Line(tone, text.into()))
    }

    /// The same view with `block` below.
    #[must_use]
    pub fn and(mut self, block: Block) -> Self {
        self.blocks.push(block);
        self
    }
}

impl Block {
    /// A table with these columns.
    pub fn table<C: Into<Column>>(columns: impl IntoIterator<Item = C>, rows: Vec<Vec<Cell>>) -> Self {
        Self::Table {
            columns: columns.into_iter().map(Into::into).collect(),
            rows,
        }
    }
}

impl Column {
    /// A column that is always shown, and never wrapped.
    pub const fn new(head: &'static str) -> Self {
        Self {
            head,
            wraps: false,
            rank: 0,
        }
    }

    /// The same column, whose text may be wrapped.
    #[must_use]
    pub const fn wrapped(self) -> Self {
        Self { wraps: true, ..self }
    }

    /// The same column, left out where there is no room; that with the highest rank first.
    #[must_use]
    pub const fn rank(self, rank: u8) -> Self {
        Self { rank, ..self }
    }
}

impl From<&'static str> for Column {
    fn from(head: &'static str) -> Self {
        Self::new(head)
    }
}

impl Cell {
    pub fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            tone,
            align: Align::Left,
        }
    }

    /// A number.
    pub fn number(text: impl Into<String>) -> Self {
        Self {
            align: Align::Right,
            ..Self::new(Tone::Plain, text)
        }
    }

    /// The same field with the feeling `tone`.
    #[must_use]
    pub fn toned(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }
}

/// So many tokens, short enough for a column: `950,000`, `1.2M`, `3.4B`.
pub fn tokens(number: u64) -> String {
    let (unit, letter) = match number {
        1_000_000_000.. => (1_000_000_000, 'B'),
        1_000_000.. => (1_000_000, 'M'),
        _ => return count(number),
    };
    // Rounded down, so that a part is never shown as more than its whole.
    let hundredths = u128::from(number) * 100 / unit;
    let (whole, part) = (hundredths / 100, hundredths % 100);
    match part {
        0 => format!("{whole}{letter}"),
        part if part % 10 == 0 => format!("{whole}.{}{letter}", part / 10),
        part => format!("{whole}.{part:02}{letter}"),
    }
}

/// How long before `now` something was, such as `5 min ago`.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let minutes = now.duration_since(at).as_mins();
    match (minutes, minutes / 60, minutes / (24 * 60)) {
        (..1, ..) => "just now".to_owned(),
        (1..60, ..) => format!("{minutes} min ago"),
        (_, hours @ 1..48, _) => format!("{hours} h ago"),
        (_, _, days @ ..60) => format!("{days} days ago"),
        _ => at.strftime("%Y-%m-%d").to_string(),
    }
}

/// An amount with three significant digits, where dollars and cents say too little: for single requests.
pub fn precise(amount: Usd) -> String {
    let nano = amount.nano().unsigned_abs();
    if nano == 0 || nano >= Usd::DOLLAR.nano().unsigned_abs() {
        return amount.to_string();
    }
    let unit = 10_u64.pow(nano.ilog10().saturating_sub(2));
    let rounded = (nano + unit / 2) / unit * unit;
    let digits = Usd::from_nano(i64::try_from(rounded).unwrap_or(i64::MAX)).digits();
    // Cents have two digits.
    let missing = "0.00".len().saturating_sub(digits.len());
    format!("${digits}{}", "0".repeat(missing))
}

/// So many requests, in words.
pub fn requests(number: u64) -> String {
    format!("{} request{}", count(number), if number == 1 { "" } else { "s" })
}

/// How many characters a [`bar`] has.
const BAR: u64 = 20;

/// `part` of `whole` as a bar; full where it is more than all.
pub fn bar(part: u64, whole: u64) -> String {
    let filled = match whole {
        0 => 0,
        _ => (u128::from(part.min(whole)) * u128::from(BAR)).div_ceil(u128::from(whole)),
    };
    (0..u128::from(BAR))
        .map(|at| if at < filled { '█' } else { '░' })
        .collect()
}

/// `values` as a line of columns, the highest one as high as a column can be; nothing of nothing is a gap.
pub fn sparkline(values: &[u64]) -> String {
    const COLUMNS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.iter().copied().max().unwrap_or(0);
    let column = |value: u64| {
        let height = (u128::from(value) * COLUMNS.len() as u128).div_ceil(u128::from(most.max(1)));
        let below = usize::try_from(height).ok().and_then(|height| height.checked_sub(1));
        below.and_then(|below| COLUMNS.get(below)).copied().unwrap_or(' ')
    };
    values.iter().map(|value| column(*value)).collect()
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(Tone::Plain, text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// The view with its warnings below.
pub(super) fn with_warnings(view: View, warnings: &[String]) -> View {
    warnings
        .iter()
        .fold(view, |view, warning| view.and(Block::Warning(warning.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_in_thousands() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn many_tokens_are_shown_short() {
        for (number, text) in [
            (950_000, "950,000"),
            (1_000_000, "1M"),
            (1_234_567, "1.23M"),
            (1_299_999_999, "1.29B"),
            (20_500_000, "20.5M"),
        ] {
            assert_eq!(tokens(number), text);
        }
    }

    #[test]
    fn the_cost_of_a_request_has_three_significant_digits() {
        for (nano, text) in [
            (10_500_000, "$0.0105"),
            (500_000_000, "$0.50"),
            (123_456_789, "$0.123"),
            (1_234, "$0.00000123"),
            (1_999_000_000, "$2.00"),
            (0, "$0.00"),
        ] {
            assert_eq!(precise(Usd::from_nano(nano)), text);
        }
    }

    #[test]
    fn a_moment_is_told_by_how_long_ago_it_was() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a time");
        for (at, text) in [
            ("2026-11-24T11:59:30Z", "just now"),
            ("2026-11-24T12:00:30Z", "just now"),
            ("2026-11-24T11:55:00Z", "5 min ago"),
            ("2026-11-23T11:00:00Z", "25 h ago"),
            ("2026-11-20T11:00:00Z", "4 days ago"),
            ("2026-01-20T11:00:00Z", "2026-01-20"),
        ] {
            assert_eq!(ago(at.parse().expect("a time"), now), text);
        }
    }

    #[test]
    fn a_bar_shows_that_there_is_something_and_never_more_than_all() {
        assert_eq!(bar(0, 100), "░".repeat(20));
        assert_eq!(bar(1, 1000), format!("█{}", "░".repeat(19)));
        assert_eq!(bar(150, 100), "█".repeat(20));
        assert_eq!(bar(u64::MAX, u64::MAX), "█".repeat(20));
        assert_eq!(bar(1, 0), "░".repeat(20));
    }

    #[test]
    fn a_sparkline_has_a_column_a_value() {
        assert_eq!(sparkline(&[0, 1, 4, 8]), " ▁▄█");
        assert_eq!(sparkline(&[0, 0]), "  ");
        assert_eq!(sparkline(&[u64::MAX]), "█");
    }
}
