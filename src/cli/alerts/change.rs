//! `alerts add`, `remove` and `mute`.

use std::process::ExitCode;

use clap::ArgMatches;
use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde_json::json;

use super::{
    super::{
        caller::Terminal,
        command::{Session, wait},
        console::Console,
        secret_source::SecretSource,
    },
    options::TEXTS,
};
use crate::{
    alerts::Destination,
    domain::{AlertKind, Label, utc_text},
    error::{Code, Error, Result},
    services::alerts,
    settings::{Config, WrittenValue, with_destination, without_destination},
    storage::files::{FileContents, Folder, ForeignFolder},
    tools::view::{Block, Tone, View},
};

const FILE: &str = "config.toml";
/// The longest configuration file, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The configuration file as it is, and the folder that it is in.
struct ConfigText {
    folder: ForeignFolder,
    seen: Option<FileContents>,
    text: String,
}

pub(super) fn add(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let app = &session.app;
    let name = name(matches, "name")?;
    let channel = matches
        .get_one::<String>("channel")
        .map(String::as_str)
        .unwrap_or_default();
    let file = ConfigText::read(session)?;
    let known = Config::parse(&file.text)?
        .alerts
        .into_iter()
        .find(|known| known.name == name);
    let (destination, text) = match known {
        Some(known) if known.channel.as_str() == channel => (known, None),
        Some(_) => {
            return Err(
                Error::new(Code::LabelTaken, "a destination of another kind has that name")
                    .hint("choose another name, or remove it first: `api-keys alerts remove NAME`"),
            );
        }
        None => {
            let text = with_destination(&file.text, &fields(matches)).ok_or_else(not_editable)?;
            let parsed = Config::parse(&text)?.alerts.into_iter().find(|new| new.name == name);
            (parsed.ok_or_else(not_editable)?, Some(text))
        }
    };
    let caller = Terminal::new(session, matches);
    let mut warnings = Vec::new();
    let mut masked = None;
    if let Some(what) = destination.channel.secret() {
        let secret = SecretSource::of(matches)
            .read(&format!("{what} (hidden): "), &[])
            .map_err(|error| no_secret(error, &destination))?
            .trimmed();
        let stored = wait(alerts::add(
            app,
            &caller,
            &destination.secret,
            &destination.channel,
            &secret,
        ))?;
        masked = Some(stored.0);
        warnings = stored.1;
    }
    let is_new = text.is_some();
    if let Some(text) = text {
        file.write(&text)?;
    }
    app.ledger().revive_destination(name.as_str(), app.now())?;
    if session.console.is_json() {
        Console::json(&json!({
            "added": is_new,
            "name": name.as_str(),
            "kind": channel,
            "masked": masked,
            "warnings": warnings,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let shown = masked.map(|masked| format!(": {masked}")).unwrap_or_default();
    let done = if is_new { "Added" } else { "Replaced the secret of" };
    let view = View::line(Tone::Good, format!("{done} {name} ({channel}){shown}")).and(Block::Hint(format!(
        "`api-keys alerts test {name}` sends a test message"
    )));
    let view = warnings.into_iter().map(Block::Warning).fold(view, View::and);
    session.console.view(&view)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn remove(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let app = &session.app;
    let destination = alerts::expect(app, name(matches, "destination")?.as_str())?;
    let file = ConfigText::read(session)?;
    let text = without_destination(&file.text, destination.name.as_str()).ok_or_else(not_editable)?;
    let others = Config::parse(&text)?.alerts;
    file.write(&text)?;
    // Another destination may share it.
    if !others.iter().any(|other| other.secret == destination.secret) {
        let caller = Terminal::new(session, matches);
        wait(alerts::remove(app, &caller, &destination.secret))?;
    }
    app.ledger().forget_destination(destination.name.as_str(), app.now())?;
    if session.console.is_json() {
        Console::json(&json!({ "removed": true, "name": destination.name.as_str() }))?;
    } else {
        let done = format!("Removed {} ({})", destination.name, destination.channel.as_str());
        session.console.view(&View::line(Tone::Plain, done))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn mute(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let app = &session.app;
    let kind = matches
        .get_one::<String>("kind")
        .and_then(|name| AlertKind::of_name(name));
    let kind = kind.ok_or_else(|| Error::new(Code::Internal, "a kind was parsed that does not exist"))?;
    let until = match matches.get_one::<String>("for") {
        Some(time) => Some(app.now().checked_add(duration(time)?).map_err(|_| not_a_time())?),
        None => None,
    };
    app.ledger().mute_alerts(kind, until)?;
    if session.console.is_json() {
        Console::json(&json!({ "kind": kind.as_str(), "muted_until": until.map(utc_text) }))?;
    } else {
        let done = match until {
            Some(until) => format!("Muted {} until {}", kind.as_str(), utc_text(until)),
            None => format!("{} is sent again", kind.as_str()),
        };
        session.console.view(&View::line(Tone::Plain, done))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The fields of a new destination, in the order in which they are written.
fn fields(matches: &ArgMatches) -> Vec<(&'static str, WrittenValue)> {
    let text = |id: &str| matches.get_one::<String>(id).cloned().map(WrittenValue::Text);
    let list = |id: &str| {
        let items = matches.get_many::<String>(id)?;
        Some(WrittenValue::List(items.cloned().collect()))
    };
    let mut fields = vec![("name", text("name")), ("kind", text("channel"))];
    fields.extend(TEXTS.iter().map(|(id, ..)| (*id, text(id))));
    fields.push((
        "port",
        matches.get_one::<u16>("port").copied().map(WrittenValue::Number),
    ));
    fields.extend(["to", "program"].map(|id| (id, list(id))));
    fields.push(("min_severity", text("min_severity")));
    fields.push(("kinds", list("kinds")));
    fields.push(("digest", text("digest")));
    fields.push((
        "allow_private",
        matches.get_flag("allow_private").then_some(WrittenValue::Switch(true)),
    ));
    fields
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

impl ConfigText {
    fn read(session: &Session) -> Result<Self> {
        let path = session.app.settings().paths().config_folder();
        if !path.exists() {
            Folder::create(path)?;
        }
        let folder = ForeignFolder::create(path)?;
        let seen = folder.read(FILE, MAX_FILE_BYTES)?;
        let text = match &seen {
            Some((bytes, _)) => std::str::from_utf8(bytes).map_err(|_| not_editable())?.to_owned(),
            None => String::new(),
        };
        Ok(Self { folder, seen, text })
    }

    fn write(&self, text: &str) -> Result<()> {
        let _ = self.folder.put(FILE, self.seen.as_ref(), text.as_bytes())?;
        Ok(())
    }
}

fn name(matches: &ArgMatches, id: &str) -> Result<Label> {
    let name = matches.get_one::<String>(id).map(String::as_str).unwrap_or_default();
    name.parse().map_err(|_| {
        Error::new(
            Code::InvalidArgument,
            "a destination's name must consist of letters, digits, dots, hyphens and underscores",
        )
        .hint("such as `api-keys alerts add slack ops`")
    })
}

fn duration(text: &str) -> Result<SignedDuration> {
    let span: Span = text.parse().map_err(|_| not_a_time())?;
    let duration = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| not_a_time())?;
    if duration.is_positive() {
        Ok(duration)
    } else {
        Err(not_a_time())
    }
}

fn not_a_time() -> Error {
    Error::new(Code::InvalidArgument, "argument `for` is not a length of time").hint("such as `--for 2h` or `--for 3d`")
}

fn not_editable() -> Error {
    Error::new(
        Code::ConfigInvalid,
        "config.toml cannot be changed: `alerts` in it is not written as [[alerts.to]]",
    )
    .hint("add the destination by hand; docs/alerts.md has the fields")
}

/// The same error with what to do where there is no terminal to type a secret in.
fn no_secret(error: Error, destination: &Destination) -> Error {
    if error.code() != Code::KeyRequired {
        return error;
    }
    error.hint(format!(
        "pipe it in: `… | api-keys alerts add {} {} --stdin`",
        destination.channel.as_str(),
        destination.name
    ))
}
