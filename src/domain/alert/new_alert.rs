//! An alert as it is raised.

use jiff::Timestamp;

use super::{AlertKind, AlertSeverity};
use crate::domain::{Usd, Window};

/// The longest text of an alert, in characters.
const MAX_TEXT: usize = 120;
/// The longest subject, in characters.
const MAX_SUBJECT: usize = 200;

/// An alert to be raised: it is the same as an earlier one of its kind, subject and window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAlert {
    pub kind: AlertKind,
    /// What it is about, such as `daily` or `openai:work`.
    subject: String,
    /// When the period began that it is about; nothing where it lasts until it is resolved.
    pub window_start: Option<Timestamp>,
    pub severity: AlertSeverity,
    /// Grows as the matter gets worse: such as the percent of a budget.
    pub level: u32,
    text: String,
    /// The command that helps.
    command: String,
}

impl NewAlert {
    /// An alert of the kind's own severity that lasts until it is resolved. The text is one line with fact and figure.
    pub fn new(kind: AlertKind, subject: &str, text: &str, command: &str) -> Self {
        Self {
            kind,
            subject: cut(subject, MAX_SUBJECT),
            window_start: None,
            severity: kind.severity(),
            level: 1,
            text: cut(text, MAX_TEXT),
            command: cut(command, MAX_SUBJECT),
        }
    }

    /// Of a budget that has reached a threshold in the period that began at `start`.
    pub fn of_budget(window: Window, start: Timestamp, percent: u8, (spent, limit): (Usd, Usd)) -> Self {
        let severity = match percent {
            100.. => AlertSeverity::Critical,
            80.. => AlertSeverity::Warning,
            _ => AlertSeverity::Info,
        };
        let text = if spent > limit {
            format!("{} budget exceeded ({spent} of {limit})", window.as_str())
        } else {
            format!("{percent}% of the {} budget used ({spent} of {limit})", window.as_str())
        };
        Self::new(AlertKind::Budget, window.as_str(), &text, "api-keys budget")
            .within(start)
            .at_level(severity, percent.into())
    }

    /// The same, once in the period that began at `start`.
    #[must_use]
    pub fn within(self, start: Timestamp) -> Self {
        Self {
            window_start: Some(start),
            ..self
        }
    }

    /// The same, of another severity and level.
    #[must_use]
    pub fn at_level(self, severity: AlertSeverity, level: u32) -> Self {
        Self {
            severity,
            level,
            ..self
        }
    }

    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// One line of at most 120 characters.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn command(&self) -> &str {
        &self.command
    }
}

/// `text` in one line without control characters and those that change the direction of text, cut to `most` characters.
fn cut(text: &str, most: usize) -> String {
    let plain = |c: &char| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{61c}' | '\u{feff}');
    let spaced = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let text: String = spaced.filter(plain).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= most {
        return text;
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_plain_line_of_at_most_120_characters() {
        let alert = NewAlert::new(AlertKind::KeyRefused, "a\u{202e}b\n\tc\u{7}", &"word ".repeat(100), "x");
        assert_eq!(alert.subject(), "ab c");
        assert_eq!(alert.text().chars().count(), 120);
        assert!(alert.text().ends_with('…'));
    }

    #[test]
    fn a_budget_is_the_more_urgent_the_more_of_it_is_spent() {
        let usd = |cents: i64| Usd::from_nano(cents * 10_000_000);
        let of =
            |percent, spent| NewAlert::of_budget(Window::Day, Timestamp::UNIX_EPOCH, percent, (usd(spent), usd(1000)));
        let texts = [
            (
                50,
                500,
                AlertSeverity::Info,
                "50% of the daily budget used ($5.00 of $10.00)",
            ),
            (
                80,
                800,
                AlertSeverity::Warning,
                "80% of the daily budget used ($8.00 of $10.00)",
            ),
            (
                100,
                1100,
                AlertSeverity::Critical,
                "daily budget exceeded ($11.00 of $10.00)",
            ),
        ];
        for (percent, spent, severity, text) in texts {
            let alert = of(percent, spent);
            assert_eq!((alert.severity, alert.text()), (severity, text));
        }
    }
}
