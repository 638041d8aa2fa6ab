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
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self {
            text,
            tone: Tone::Plain,
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}
