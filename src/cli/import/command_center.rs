//! `import command-center`: the keys of Command Center's API key manager, into the vault.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Arg, ArgMatches, Command, ValueHint, value_parser};
use serde_json::{Value, json};

use super::{
    answers::ImportFate,
    taking::{KeyTaker, dry_run_option, is_stored, judged},
};
use crate::{
    app::App,
    cli::{
        command::Session,
        console::{Console, yes},
        env_file::EnvFile,
        named_file,
    },
    domain::{Label, ProviderId, Secret, Usd},
    error::{Code, Error, Result},
    imports::command_center::{
        CenterKey, CenterRouting, MasterSecret, UnreadableStore, read_keys, read_routing, read_usage,
    },
    providers,
    services::keys::{self, NewKey, NewSecretSource},
    storage::vault::VaultStatus,
    tools::view::{Block, Cell, Column, Tone, View, count},
};

/// The folder of its server in a checkout.
const SERVER: &str = ".commandcenter/mcp-servers/api-keys";
const KEYS: &str = ".keys.enc";
/// Where its secrets may stand, below a checkout.
const ENV_FILES: [&str; 4] = [
    ".env",
    "backend/.env",
    ".env.docker",
    ".commandcenter/mcp-servers/api-keys/.env",
];
/// The longest of its files that is read, in bytes.
const MAX_FILE_BYTES: usize = 16 << 20;
const HINT: &str = "name the checkout of Command Center, the folder of its server, or its file .keys.enc";
/// The label of a key whose provider has another one already.
const SECOND_LABEL: &str = "command-center";

/// What became of one key.
struct ImportedKey {
    provider: String,
    label: Option<Label>,
    /// As people recognize it; empty where it did not open.
    masked: String,
    fate: ImportFate,
    notes: Vec<String>,
}

pub(super) fn command() -> Command {
    Command::new("command-center")
        .about("Store the keys of Command Center's API key manager")
        .long_about(
            "Store the keys of Command Center's API key manager\n\n\
             PATH is its checkout, the folder of its server, or its file .keys.enc. Nothing there is changed. Keys are \
             decrypted with SECRET_KEY and ENCRYPTION_SALT from the environment or its .env files. A key that was in \
             plain text, or encrypted with a default secret, is marked as exposed: rotate it.",
        )
        .arg(
            Arg::new("path")
                .value_name("PATH")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .value_hint(ValueHint::AnyPath)
                .help("Where Command Center is"),
        )
        .arg(
            Arg::new("env-file")
                .long("env-file")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .value_hint(ValueHint::FilePath)
                .help("The file with SECRET_KEY and ENCRYPTION_SALT"),
        )
        .arg(dry_run_option())
        .arg(yes())
}

pub(super) fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let named: &PathBuf = matches
        .get_one("path")
        .ok_or_else(|| Error::new(Code::Internal, "the command was parsed without its path"))?;
    let file = keys_file(named)?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let secrets = secrets(&session.app, folder, matches)?;
    let bytes = named_file::read(&file, MAX_FILE_BYTES, "the file with keys", HINT)?;
    let found = read_keys(&bytes, &secrets).map_err(|why| damaged(KEYS, why))?;
    let taker = KeyTaker::new(session, matches);
    taker.open_vault()?;
    let imported: Vec<ImportedKey> = found.into_iter().map(|key| take(&taker, key)).collect::<Result<_>>()?;
    let rest = rest(folder);
    if session.console.is_json() {
        Console::json(&told(&imported, taker.is_dry, &rest))?;
    } else {
        session.console.view(&view(&imported, taker.is_dry, &rest))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The file with the keys, by what a person named.
fn keys_file(named: &Path) -> Result<PathBuf> {
    let places = [named.join(SERVER).join(KEYS), named.join(KEYS), named.to_owned()];
    let found = places
        .into_iter()
        .find(|place| fs::metadata(place).is_ok_and(|found| found.is_file()));
    found.ok_or_else(|| Error::new(Code::StorageFailed, "there is no .keys.enc").hint(HINT))
}

/// What may open the keys: of the named file, else of the environment and then the usual files.
fn secrets(app: &App, folder: &Path, matches: &ArgMatches) -> Result<Vec<MasterSecret>> {
    let files = if let Some(file) = matches.get_one::<PathBuf>("env-file") {
        vec![EnvFile::read(file)?]
    } else {
        // The checkout is three folders above its server, if it is one.
        let roots = folder.ancestors().take(4);
        let places = roots.flat_map(|root| ENV_FILES.map(|name| root.join(name)));
        places.filter_map(|place| EnvFile::found(&place).ok()).collect()
    };
    let value = |name: &str| {
        let of_environment = app.settings().variable(name).ok();
        let spellings = [name.to_owned(), name.to_ascii_lowercase()];
        let of_files = || {
            files
                .iter()
                .find_map(|file| spellings.iter().find_map(|name| file.secret(name)))
        };
        of_environment.or_else(of_files)
    };
    let mut secrets = MasterSecret::candidates(value("SECRET_KEY").as_ref(), value("ENCRYPTION_SALT").as_ref());
    let key_file = folder.join("secret.key");
    if let Ok(bytes) = named_file::read(&key_file, 1024, "the key file", HINT)
        && let Ok(text) = std::str::from_utf8(&bytes)
    {
        secrets.push(MasterSecret::of_file(Secret::new(text)));
    }
    Ok(secrets)
}

fn damaged(name: &str, why: UnreadableStore) -> Error {
    Error::new(Code::InvalidArgument, format!("{name} {why}"))
        .hint("two servers may have written it at once: restore it from a copy, or add the keys by hand")
}

/// Takes one key, or says why not.
fn take(taker: &KeyTaker<'_>, key: CenterKey) -> Result<ImportedKey> {
    let app = &taker.session.app;
    let mut imported = ImportedKey {
        provider: key.provider,
        label: None,
        masked: String::new(),
        fate: ImportFate::Skipped,
        notes: Vec::new(),
    };
    if key.is_mislabeled {
        imported
            .notes
            .push("its note says the opposite of whether it is encrypted".to_owned());
    }
    let Some(secret) = key.secret else {
        imported
            .notes
            .push("no secret opens it: name the right file with `--env-file`".to_owned());
        return Ok(imported);
    };
    let Ok(provider) = app.settings().current().provider(&imported.provider) else {
        imported
            .notes
            .push("no such provider: add it under [providers] in config.toml first".to_owned());
        return Ok(imported);
    };
    match judged(&provider, &secret) {
        Ok(key) => imported.masked = provider.masked(&key),
        Err(why) => {
            imported.notes.push(why.to_string());
            return Ok(imported);
        }
    }
    imported.notes.extend(key.exposure.map(|exposure| exposure.to_string()));
    let vault = app.vault();
    let (is_known, has_default) = if vault.status()? == VaultStatus::Absent {
        (false, false)
    } else {
        let contents = vault.contents()?;
        let mut records = contents.keys.values().filter(|record| record.removed_at.is_none());
        let is_known = is_stored(app, &secret)?;
        (
            is_known,
            records.any(|it| it.provider == provider.id && it.label == Label::default()),
        )
    };
    if is_known {
        imported.fate = ImportFate::Known;
        return Ok(imported);
    }
    let label = if has_default {
        SECOND_LABEL.parse()?
    } else {
        Label::default()
    };
    imported.label = Some(label.clone());
    let question = format!("Store {} of {}?", imported.masked, provider.title);
    imported.fate = taker.fate(&question);
    if imported.fate == ImportFate::Stored {
        let typed = key.description.as_deref();
        let description = typed
            .and_then(|text| keys::description(text).ok())
            .filter(|text| !providers::has_key_form(text));
        if description.is_none() && typed.is_some() {
            let said = "its description is not plain text of ordinary length and was left out";
            imported.notes.push(said.to_owned());
        }
        let expires = key.expires.as_ref();
        let expires_at = expires.and_then(|date| keys::expiration_date(date, app.now()).ok());
        if expires_at.is_none() && expires.is_some() {
            let said = "its expiry date is over or unreadable and was left out";
            imported.notes.push(said.to_owned());
        }
        let new = NewKey {
            provider,
            label,
            description,
            expires_at,
            source: NewSecretSource::Argument(secret),
        };
        imported.notes.extend(taker.store(new, key.exposure.is_some())?);
    }
    Ok(imported)
}

/// What else is in the folder, and is not taken over by itself; damage there is no reason to leave the keys.
fn rest(folder: &Path) -> Vec<String> {
    [
        beside(folder, "usage.json", usage_line),
        beside(folder, "routing_config.json", routing_line),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What a file beside the keys says, or why that is unknown; nothing where there is none.
fn beside(folder: &Path, name: &str, line: fn(&[u8]) -> Result<Option<String>, UnreadableStore>) -> Option<String> {
    let path = folder.join(name);
    fs::metadata(&path).ok()?;
    let read = named_file::read(&path, MAX_FILE_BYTES, name, HINT);
    match read.map(|file| line(&file)) {
        Ok(Ok(line)) => line,
        Ok(Err(why)) => Some(format!("{name} {why}; it was left out")),
        Err(why) => Some(format!("{}; it was left out", why.message())),
    }
}

fn usage_line(file: &[u8]) -> Result<Option<String>, UnreadableStore> {
    let usage = read_usage(file)?;
    let cost: Usd = usage.days.iter().map(|day| day.cost).sum();
    let requests: u64 = usage.days.iter().map(|day| day.requests).sum();
    let (s, days) = (if requests == 1 { "" } else { "s" }, usage.days.len());
    Ok(Some(format!(
        "usage.json has {} request{s} for {cost} on {days} provider-days, without models: it stays there",
        count(requests)
    )))
}

fn routing_line(file: &[u8]) -> Result<Option<String>, UnreadableStore> {
    let lines = config_lines(&read_routing(file)?);
    let has_lines = !lines.is_empty();
    Ok(has_lines.then(|| {
        let lines = lines.join("\n");
        format!("routing_config.json corresponds to this in config.toml:\n{lines}")
    }))
}

/// The settings of the other program in the words of ours; its models of 2024 and its prices are left out.
fn config_lines(routing: &CenterRouting) -> Vec<String> {
    let mut lines = Vec::new();
    let mut section = |name: String, entries: Vec<String>| {
        if !entries.is_empty() {
            lines.push(format!("[{name}]"));
            lines.extend(entries);
        }
    };
    let text = |text: &str| toml::Value::from(text).to_string();
    for (name, provider) in routing
        .providers
        .iter()
        .filter(|(name, _)| name.parse::<ProviderId>().is_ok())
    {
        let entries = [
            provider
                .enabled
                .filter(|enabled| !enabled)
                .map(|_| "enabled = false".to_owned()),
            provider
                .env_var
                .as_deref()
                .map(|variable| format!("env_var = {}", text(variable))),
            provider.rate_limit.map(|limit| format!("rate_limit = {limit}")),
        ];
        section(format!("providers.{name}"), entries.into_iter().flatten().collect());
    }
    if !routing.fallback_order.is_empty() {
        let order: Vec<_> = routing.fallback_order.iter().map(|name| text(name)).collect();
        section(
            "routing".to_owned(),
            vec![format!("fallback_order = [{}]", order.join(", "))],
        );
    }
    let tasks = routing
        .tasks
        .iter()
        .map(|(task, provider)| format!("{} = {}", text(task), text(provider)));
    section("routing.tasks".to_owned(), tasks.collect());
    if let Some(budget) = &routing.budget {
        let entries = [
            budget.enabled.map(|enabled| format!("enabled = {enabled}")),
            budget
                .daily_limit
                .as_ref()
                .map(|limit| format!("daily_limit = {limit}")),
            budget
                .monthly_limit
                .as_ref()
                .map(|limit| format!("monthly_limit = {limit}")),
            budget
                .alert_threshold
                .as_ref()
                .map(|part| format!("alert_threshold = {part}")),
        ];
        section("budget".to_owned(), entries.into_iter().flatten().collect());
    }
    lines
}

fn told(imported: &[ImportedKey], is_dry: bool, rest: &[String]) -> Value {
    let keys = imported.iter().map(|key| {
        json!({
            "provider": key.provider,
            "label": key.label,
            "masked": key.masked,
            "state": key.fate.as_str(),
            "notes": key.notes,
        })
    });
    json!({"dry_run": is_dry, "keys": keys.collect::<Vec<_>>(), "remarks": rest})
}

fn view(imported: &[ImportedKey], is_dry: bool, rest: &[String]) -> View {
    let columns = ["PROVIDER", "LABEL", "KEY", "STATE", "NOTE"].map(Column::new);
    let rows = imported.iter().map(|key| {
        let label = key.label.as_ref().map(ToString::to_string).unwrap_or_default();
        let state = Cell::from(key.fate.as_str());
        vec![
            key.provider.as_str().into(),
            label.into(),
            key.masked.as_str().into(),
            state,
            key.notes.join("; ").into(),
        ]
    });
    let of = |fate| imported.iter().filter(|key| key.fate == fate).count();
    let (number, what) = if is_dry {
        (of(ImportFate::New), "would be stored; nothing was changed")
    } else {
        (of(ImportFate::Stored), "stored")
    };
    let s = if number == 1 { "" } else { "s" };
    let mut shown = View::line(Tone::Good, format!("{number} key{s} {what}"));
    if !imported.is_empty() {
        shown = shown.and(Block::table(columns, rows.collect()));
    }
    for line in rest {
        shown = shown.and(Block::Hint(line.clone()));
    }
    if of(ImportFate::Declined) > 0 {
        shown = shown.and(Block::Hint("answer `y`, or use `--yes`, to store a key".to_owned()));
    }
    if of(ImportFate::Stored) > 0 {
        let said = "once `api-keys validate --all` is happy, delete .keys.enc there";
        shown = shown.and(Block::Hint(said.to_owned()));
    }
    shown
}
