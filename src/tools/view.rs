//! A result for people, before anybody knows how wide the terminal is or whether it has colours.

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
    Table {
        headers: Vec<&'static str>,
        rows: Vec<Vec<Cell>>,
    },
    /// Something that needs attention, on stderr.
    Warning(String),
    /// What to do next, on stderr.
    Hint(String),
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

/// A count with its thousands apart, such as `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
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
