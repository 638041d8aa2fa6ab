//! Composition root: everything that is held, opened once and lazily; the only place that asks the clock.

use jiff::Timestamp;

/// Where the time comes from.
#[derive(Debug, Clone, Copy, Default)]
pub enum Clock {
    #[default]
    System,
    /// Stands still; for tests.
    Fixed(Timestamp),
}

impl Clock {
    pub fn now(self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Fixed(at) => at,
        }
    }
}

/// Everything a tool, a resource or a command works with.
#[derive(Debug)]
pub struct App {
    clock: Clock,
}

impl App {
    /// Prepares everything and opens nothing.
    pub fn new(clock: Clock) -> Self {
        Self { clock }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
