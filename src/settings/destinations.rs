//! `[[alerts.to]]`: the destinations of alerts, read strictly, and put into or taken out of the file's text.

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table};

use super::{
    ConfigError,
    section::{Field, Section, meant},
};
use crate::{
    alerts::{Channel, Destination, MailSettings, MailTls},
    domain::{AlertKind, AlertSeverity, Label},
    providers::{Address, is_mail_address},
};

/// The most destinations of alerts.
const MAX_DESTINATIONS: usize = 20;
/// How a secret in the vault is named.
const VAULT: &str = "vault:";

/// The destinations in `[alerts]`.
pub(super) fn destinations(mut section: Section<'_, '_>) -> Result<Vec<Destination>, ConfigError> {
    let mut all: Vec<Destination> = Vec::new();
    if let Some(field) = section.field("to") {
        let too_many = field.wrong(format!("has too many entries: at most {MAX_DESTINATIONS}"));
        let items = field.items()?;
        if items.len() > MAX_DESTINATIONS {
            return Err(too_many);
        }
        for item in items {
            let twice = item.wrong("has the name of another destination");
            let destination = destination(item)?;
            if all.iter().any(|other| other.name == destination.name) {
                return Err(twice);
            }
            all.push(destination);
        }
    }
    section.finish()?;
    Ok(all)
}

fn destination(item: Field<'_, '_>) -> Result<Destination, ConfigError> {
    let [no_name, no_kind] = ["name", "kind"].map(|name| item.wrong(format!("needs `{name}`")));
    let whole = item.wrong("");
    let mut section = item.section()?;
    let name = label(&section.field("name").ok_or(no_name)?)?;
    let kind = section.field("kind").ok_or(no_kind)?;
    let channel = channel(&mut section, &kind, &whole)?;
    let mut destination = Destination::new(name, channel);
    if let Some(field) = section.field("secret") {
        let text = field.text()?;
        let name = text.strip_prefix(VAULT).and_then(|name| name.parse().ok());
        destination.secret = name.ok_or_else(|| {
            field.wrong("must be \"vault:NAME\"; `api-keys alerts add` stores the secret itself in the vault")
        })?;
    }
    if let Some(field) = section.field("min_severity") {
        destination.min_severity = field.choice(&AlertSeverity::ALL.map(|severity| (severity.as_str(), severity)))?;
    }
    if let Some(field) = section.field("kinds") {
        destination.kinds = Some(field.items()?.iter().map(alert_kind).collect::<Result<_, _>>()?);
    }
    if let Some(field) = section.field("quiet") {
        destination.quiet = Some(field.text()?.parse().map_err(|rule: &str| field.wrong(rule))?);
    }
    if let Some(field) = section.field("critical_always") {
        destination.critical_always = field.switch()?;
    }
    if let Some(field) = section.field("digest") {
        destination.digest = field.choice(&[
            ("off", None),
            ("daily", Some(AlertKind::DailyDigest)),
            ("weekly", Some(AlertKind::WeeklyDigest)),
        ])?;
    }
    if let Some(field) = section.field("allow_private") {
        destination.allow_private = field.switch()?;
    }
    section.finish()?;
    Ok(destination)
}

/// The channel, with the fields that only its kind has.
fn channel(section: &mut Section<'_, '_>, kind: &Field<'_, '_>, whole: &ConfigError) -> Result<Channel, ConfigError> {
    let missing = |name: &str| ConfigError {
        problem: format!("needs `{name}`"),
        ..whole.clone()
    };
    let url = |section: &mut Section<'_, '_>| {
        let Some(field) = section.field("url") else {
            return Ok(None);
        };
        let url = field.text()?;
        Address::parse(url).map_err(|why| field.wrong(why.to_string()))?;
        Ok(Some(url.to_owned()))
    };
    let name = kind.text()?;
    Ok(match name {
        "slack" => Channel::Slack,
        "discord" => Channel::Discord,
        "teams" => Channel::Teams,
        "ntfy" => Channel::Ntfy,
        "webhook" => Channel::Webhook,
        "desktop" => Channel::Desktop,
        "telegram" => Channel::Telegram {
            chat: word(&section.field("chat").ok_or_else(|| missing("chat"))?)?,
            url: url(section)?,
        },
        "pagerduty" => Channel::PagerDuty { url: url(section)? },
        "email" => {
            let host = section.field("host").ok_or_else(|| missing("host"))?;
            let from = section.field("from").ok_or_else(|| missing("from"))?;
            let to = section.field("to").ok_or_else(|| missing("to"))?;
            let tls = section
                .field("tls")
                .map(|field| field.choice(&[("implicit", MailTls::Implicit), ("starttls", MailTls::Starttls)]));
            let tls = tls.transpose()?.unwrap_or(MailTls::Implicit);
            let port = section.field("port").map(|field| {
                let port = field.count(65_535)?;
                u16::try_from(port)
                    .ok()
                    .filter(|port| *port > 0)
                    .ok_or_else(|| field.wrong("must be a port"))
            });
            let usual = match tls {
                MailTls::Implicit => 465,
                MailTls::Starttls => 587,
            };
            let to = if to.is_list() { to.items()? } else { vec![to] };
            Channel::Email(MailSettings {
                host: word(&host)?,
                port: port.transpose()?.unwrap_or(usual),
                tls,
                user: section.field("user").map(|field| word(&field)).transpose()?,
                from: mail_address(&from)?,
                to: to.iter().map(mail_address).collect::<Result<_, _>>()?,
            })
        }
        "command" => {
            let field = section.field("program").ok_or_else(|| missing("program"))?;
            let empty = field.wrong("must name a program, as a list: [\"/path/to/program\", \"argument\"]");
            let items = field.items()?;
            let program: Vec<String> = items
                .iter()
                .map(|item| item.text().map(str::to_owned))
                .collect::<Result<_, _>>()?;
            match program.first() {
                Some(path) if !path.is_empty() => Channel::Command { program },
                _ => return Err(empty),
            }
        }
        other => {
            let meant = meant(other, Channel::NAMES);
            return Err(kind.wrong(format!("must be one of {}{meant}", Channel::NAMES.join(", "))));
        }
    })
}

fn label(field: &Field<'_, '_>) -> Result<Label, ConfigError> {
    let name = field.text()?.parse();
    name.map_err(|_| field.wrong("must be a name: letters, digits, dots, hyphens and underscores"))
}

fn alert_kind(item: &Field<'_, '_>) -> Result<AlertKind, ConfigError> {
    let name = item.text()?;
    AlertKind::of_name(name).ok_or_else(|| {
        let names = AlertKind::ALL.map(AlertKind::as_str);
        item.wrong(format!("must be one of {}{}", names.join(", "), meant(name, names)))
    })
}

/// One word without control characters.
fn word(field: &Field<'_, '_>) -> Result<String, ConfigError> {
    let text = field.text()?;
    if text.is_empty() || text.len() > 200 || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(field.wrong("must be one word"));
    }
    Ok(text.to_owned())
}

fn mail_address(field: &Field<'_, '_>) -> Result<String, ConfigError> {
    let text = field.text()?;
    if is_mail_address(text) {
        Ok(text.to_owned())
    } else {
        Err(field.wrong("must be a mail address"))
    }
}

/// The value of a field that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WrittenValue {
    Text(String),
    List(Vec<String>),
    Number(u16),
    Switch(bool),
}

/// `text`, the configuration file, with a destination of these fields at its end; all else stays as it was.
///
/// Nothing where the text cannot take it.
pub fn with_destination(text: &str, fields: &[(&str, WrittenValue)]) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    let alerts = document.entry("alerts").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let to = alerts.as_table_mut()?.entry("to");
    let to = to.or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let mut entry = Table::new();
    for (name, value) in fields {
        let value: toml_edit::Value = match value {
            WrittenValue::Text(text) => text.as_str().into(),
            WrittenValue::List(items) => items.iter().collect::<toml_edit::Array>().into(),
            WrittenValue::Number(number) => i64::from(*number).into(),
            WrittenValue::Switch(is_on) => (*is_on).into(),
        };
        entry.insert(name, Item::Value(value));
    }
    to.as_array_of_tables_mut()?.push(entry);
    Some(document.to_string())
}

/// `text` without the destination `name`; nothing where it has none.
pub fn without_destination(text: &str, name: &str) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    let to = document
        .get_mut("alerts")?
        .as_table_mut()?
        .get_mut("to")?
        .as_array_of_tables_mut()?;
    let at = to
        .iter()
        .position(|entry| entry.get("name").and_then(Item::as_str) == Some(name))?;
    to.remove(at);
    Some(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Config;

    #[test]
    fn a_destination_is_added_and_removed_and_all_else_stays() {
        let before = "# mine\n[budget]\ndaily_limit = 5 # dollars\n";
        let text = |text: &str| WrittenValue::Text(text.to_owned());
        let fields = |name: &str| [("name", text(name)), ("kind", text("slack"))];
        let one = with_destination(before, &fields("ops")).expect("added");
        let two = with_destination(&one, &fields("me")).expect("added");
        assert!(two.starts_with(before), "{two}");
        let config = Config::parse(&two).expect("a configuration");
        assert_eq!(config.alerts.len(), 2);
        assert_eq!(without_destination(&two, "me").as_deref(), Some(one.as_str()));
        assert_eq!(without_destination(&two, "other"), None);
        let none = without_destination(&one, "ops").expect("removed");
        assert_eq!(Config::parse(&none).expect("a configuration").alerts, []);
        assert!(none.starts_with(before), "{none}");
    }

    #[test]
    fn a_mistake_is_named_with_what_was_probably_meant() {
        for (text, problem) in [
            ("kind = \"slak\"", "did you mean `slack`?"),
            (
                "kind = \"slack\"\nmin_severty = \"info\"",
                "did you mean `min_severity`?",
            ),
            ("kind = \"slack\"\nkinds = [\"budgett\"]", "did you mean `budget`?"),
            ("kind = \"slack\"\nsecret = \"https://hooks.slack.com/x\"", "vault:NAME"),
            ("kind = \"slack\"\nquiet = \"22-7\"", "22:00-07:00"),
            ("kind = \"email\"\nhost = \"h\"\nfrom = \"a@b.c\"", "needs `to`"),
            (
                "kind = \"email\"\nhost = \"h\"\nfrom = \"a@b.c\"\nto = \"me\"",
                "must be a mail address",
            ),
            (
                "kind = \"email\"\nhost = \"h\"\nfrom = \"a@b.c\"\nto = \"d@e.f\"\ntls = \"none\"",
                "implicit, starttls",
            ),
            ("kind = \"telegram\"", "needs `chat`"),
            (
                "kind = \"telegram\"\nchat = \"1\"\nurl = \"http://example.com\"",
                "https",
            ),
            ("kind = \"command\"\nprogram = []", "must name a program"),
        ] {
            let text = format!("[[alerts.to]]\nname = \"ops\"\n{text}\n");
            let why = Config::parse(&text).expect_err(&text).to_string();
            assert!(why.contains(problem), "{text}: {why}");
        }
    }

    #[test]
    fn every_field_of_a_destination_is_read() {
        let text = "[[alerts.to]]\nname = \"mail\"\nkind = \"email\"\nhost = \"mail.example\"\nport = 2525\n\
                    tls = \"starttls\"\nuser = \"me\"\nfrom = \"Keys <k@example.org>\"\nto = [\"a@example.org\"]\n\
                    secret = \"vault:smtp\"\nmin_severity = \"warning\"\nkinds = [\"budget\"]\n\
                    quiet = \"22:00-07:00\"\ncritical_always = false\ndigest = \"weekly\"\nallow_private = true\n";
        let config = Config::parse(text).expect("a configuration");
        let mail = &config.alerts[0];
        assert_eq!(mail.secret.as_str(), "smtp");
        assert_eq!(
            (mail.min_severity, mail.digest),
            (AlertSeverity::Warning, Some(AlertKind::WeeklyDigest))
        );
        assert!(!mail.critical_always && mail.allow_private && mail.quiet.is_some());
        assert!(matches!(&mail.channel, Channel::Email(mail) if mail.port == 2525 && mail.tls == MailTls::Starttls));
    }
}
