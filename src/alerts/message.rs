//! What a message says: first the fact and its figure, then the command that helps.

use std::{borrow::Cow, cmp::Reverse};

use jiff::Timestamp;

use crate::domain::{AlertChange, AlertKind, AlertSeverity, Notice};

/// How many alerts a message describes; it counts the others.
pub(super) const MAX_DESCRIBED: usize = 10;
/// The longest first line, in characters.
const MAX_TITLE: usize = 120;

/// A message about one alert or several.
#[derive(Debug, Clone)]
pub struct AlertMessage {
    /// Stays the same over all attempts.
    pub id: String,
    pub made_at: Timestamp,
    /// What there is to say: of each alert only the last, the most urgent first.
    pub notices: Vec<Notice>,
}

impl AlertMessage {
    /// The message about `notices`, which are in the order in which they were raised.
    pub fn new(id: String, made_at: Timestamp, notices: &[Notice]) -> Self {
        let is_last =
            |at: usize, notice: &Notice| !notices.iter().skip(at + 1).any(|later| later.alert == notice.alert);
        // Quadratic only in what is the same: a summary may be of thousands.
        let mut last: Vec<Notice> = if notices.len() > 1_000 {
            let mut by_alert = std::collections::BTreeMap::new();
            by_alert.extend(notices.iter().map(|notice| (notice.alert, notice.clone())));
            by_alert.into_values().collect()
        } else {
            let last = notices.iter().enumerate().filter(|(at, notice)| is_last(*at, notice));
            last.map(|(_, notice)| notice.clone()).collect()
        };
        last.sort_by_key(|notice| (Reverse(notice.severity), notice.id));
        Self {
            id,
            made_at,
            notices: last,
        }
    }

    /// The most urgent severity in it.
    pub fn severity(&self) -> AlertSeverity {
        let open = self
            .notices
            .iter()
            .filter(|notice| notice.change != AlertChange::Resolved);
        open.map(|notice| notice.severity).max().unwrap_or(AlertSeverity::Info)
    }

    /// One line of at most 120 characters.
    pub fn title(&self) -> String {
        let title = match self.notices.as_slice() {
            [notice] => fact(notice),
            several => {
                let counted = |severity: AlertSeverity| {
                    let count = several.iter().filter(|notice| notice.severity == severity).count();
                    (count > 0).then(|| format!("{count} {}", severity.as_str()))
                };
                let counts: Vec<String> = AlertSeverity::ALL.into_iter().rev().filter_map(counted).collect();
                let first = several.first().map(fact).unwrap_or_default();
                format!("{} alerts ({}): {first}", several.len(), counts.join(", "))
            }
        };
        if title.chars().count() <= MAX_TITLE {
            return title;
        }
        title.chars().take(MAX_TITLE - 1).chain(['…']).collect()
    }

    /// The alerts that are described, each with its fact and the command that helps.
    pub(super) fn described(&self) -> impl Iterator<Item = (String, String)> {
        self.notices
            .iter()
            .take(MAX_DESCRIBED)
            .map(|notice| (fact(notice), plain(&notice.command).into_owned()))
    }

    /// How many more there are.
    pub(super) fn more(&self) -> usize {
        self.notices.len().saturating_sub(MAX_DESCRIBED)
    }

    /// All of it as plain text; the first line is the title.
    pub fn text(&self) -> String {
        let mut lines = vec![self.title()];
        let is_single = self.notices.len() == 1;
        if !is_single {
            lines.push(String::new());
        }
        for (fact, command) in self.described() {
            if !is_single {
                lines.push(format!("- {fact}"));
            }
            if !command.is_empty() {
                lines.push(format!("  {command}"));
            }
        }
        if self.more() > 0 {
            lines.push(format!("- and {} more", self.more()));
            lines.push("  api-keys alerts history".to_owned());
        }
        lines.join("\n")
    }
}

/// The fact in one line, with what has become of it.
fn fact(notice: &Notice) -> String {
    let text = plain(&notice.text);
    match notice.change {
        AlertChange::Resolved => format!("[resolved] {text}"),
        AlertChange::Reminder => format!("[{}, still] {text}", notice.severity.as_str()),
        _ if notice.kind.is_digest() || notice.kind == AlertKind::Test => text.into_owned(),
        AlertChange::Firing | AlertChange::Escalated => format!("[{}] {text}", notice.severity.as_str()),
    }
}

/// `text` without what chat programs take for a mention or a link.
fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(['@', ':']) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        // A mention begins a word; `model@date` is none.
        plain.push(if c == '@' && !before.is_alphanumeric() {
            '＠'
        } else {
            c
        });
        before = c;
    }
    Cow::Owned(plain.replace("://", ": //"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(alert: i64, severity: AlertSeverity, text: &str) -> Notice {
        Notice {
            id: alert,
            alert,
            kind: AlertKind::Budget,
            subject: "daily".to_owned(),
            change: AlertChange::Firing,
            severity,
            at: Timestamp::UNIX_EPOCH,
            text: text.to_owned(),
            command: "api-keys budget".to_owned(),
        }
    }

    fn message(notices: &[Notice]) -> AlertMessage {
        AlertMessage::new("id".to_owned(), Timestamp::UNIX_EPOCH, notices)
    }

    #[test]
    fn the_first_line_has_fact_and_figure_and_the_second_the_command() {
        let message = message(&[notice(
            1,
            AlertSeverity::Critical,
            "daily budget exceeded ($11.00 of $10.00)",
        )]);
        assert_eq!(
            message.text(),
            "[critical] daily budget exceeded ($11.00 of $10.00)\n  api-keys budget"
        );
    }

    #[test]
    fn of_each_alert_the_last_word_counts_and_the_most_urgent_comes_first() {
        let message = message(&[
            notice(1, AlertSeverity::Info, "50%"),
            notice(2, AlertSeverity::Warning, "other"),
            notice(1, AlertSeverity::Critical, "100%"),
        ]);
        assert_eq!(message.title(), "2 alerts (1 critical, 1 warning): [critical] 100%");
        assert_eq!(message.severity(), AlertSeverity::Critical);
    }

    #[test]
    fn ten_thousand_alerts_are_one_short_message() {
        let notices: Vec<_> = (0..10_000)
            .map(|at| notice(at, AlertSeverity::Info, &"x".repeat(120)))
            .collect();
        let text = message(&notices).text();
        assert!(text.contains("and 9990 more") && text.len() < 3_000, "{}", text.len());
    }

    #[test]
    fn mentions_and_links_in_names_are_neutralized() {
        let hostile = notice(
            1,
            AlertSeverity::Info,
            "@everyone see https://evil.example (@here) claude@2026 used",
        );
        assert_eq!(
            message(&[hostile]).title(),
            "[info] ＠everyone see https: //evil.example (＠here) claude@2026 used"
        );
        let long = message(&[notice(1, AlertSeverity::Critical, &"é".repeat(120))]).title();
        assert_eq!(long.chars().count(), 120);
    }
}
