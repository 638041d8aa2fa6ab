//! `import [SOURCE|FILE]`: keys that other programs keep in clear text, into the vault.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};
use jiff::Timestamp;

use super::{
    answers::{self, ImportAnswer, ImportFate, KeyAnswer},
    gather::{self, GatheredKeys, SourcePlace},
    taking::{KeyTaker, dry_run_option, is_stored, judged},
};
use crate::{
    app::App,
    cli::{
        command::{Session, wait},
        console::{Console, yes},
    },
    domain::{Label, Secret},
    error::Result,
    imports::sources::{FoundSecret, SOURCES},
    providers::{KeyFinder, Provider},
    services::{
        keys::{self, NewKey, NewSecretSource},
        vault_access,
    },
    storage::{files::ForeignFolder, vault::VaultStatus},
};

/// The longest file in which a line is replaced, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Takes keys into the vault from wherever programs keep them.
struct KeyImporter<'a> {
    taker: KeyTaker<'a>,
    finder: Option<KeyFinder>,
    /// Whether lines are replaced without a question.
    comments_out: bool,
}

/// What is offered of one key, with every place where it is.
struct KeyOffer {
    secret: Secret,
    provider: Option<String>,
    base_url: Option<String>,
    places: Vec<SourcePlace>,
}

pub(super) fn arguments(command: Command) -> Command {
    command
        .arg(
            Arg::new("from")
                .value_name("SOURCE|FILE")
                .value_parser(value_parser!(PathBuf))
                .value_hint(ValueHint::AnyPath)
                .help("A program whose keys to import, or a file; without it, all known places"),
        )
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("SOURCE")
                .value_parser(clap::builder::PossibleValuesParser::new(
                    SOURCES.iter().map(|source| source.name),
                ))
                .help("The form of the file or output, where it is not to be guessed"),
        )
        .arg(
            Arg::new("from-command")
                .long("from-command")
                .value_name("CMD ARG…")
                .num_args(1..)
                .allow_hyphen_values(true)
                .conflicts_with("from")
                .help("Run a command that prints keys, such as that of a secret manager; last of all options"),
        )
        .arg(dry_run_option())
        .arg(
            Arg::new("comment-out")
                .long("comment-out")
                .action(ArgAction::SetTrue)
                .help("Replace the line of each stored key by a comment; the old file is kept beside it"),
        )
        .arg(yes())
}

pub(super) fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let importer = KeyImporter {
        taker: KeyTaker::new(session, matches),
        finder: KeyFinder::new(),
        comments_out: matches.get_flag("comment-out"),
    };
    let gathered = gather::gather(session, matches)?;
    let answer = importer.take_all(gathered)?;
    if session.console.is_json() {
        Console::json(&answers::json(&answer))?;
    } else {
        session.console.view(&answers::view(&answer))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A key that was found and is shown, not taken.
pub(in crate::cli) struct SeenKey {
    pub(in crate::cli) provider: String,
    pub(in crate::cli) masked: String,
    pub(in crate::cli) places: Vec<String>,
    pub(in crate::cli) is_stored: bool,
}

/// The keys in this folder's files, and with `deep` in all known places; asks for nothing and changes nothing.
pub(in crate::cli) fn look(session: &Session, deep: bool) -> Result<Vec<SeenKey>> {
    let finder = KeyFinder::new();
    let is_open = wait(vault_access::open_unasked(&session.app)).is_ok();
    let mut seen = Vec::new();
    for offer in offers(gather::known_places(session, deep)?.found) {
        let Ok(provider) = provider_of(&session.app, finder.as_ref(), &offer) else {
            continue;
        };
        let Ok(key) = judged(&provider, &offer.secret) else {
            continue;
        };
        let is_stored = is_open && is_stored(&session.app, &offer.secret)?;
        seen.push(SeenKey {
            provider: provider.id.to_string(),
            masked: provider.masked(&key),
            places: offer.places.into_iter().map(|place| place.shown).collect(),
            is_stored,
        });
    }
    Ok(seen)
}

/// One offer for each key, wherever it is.
fn offers(found: Vec<(SourcePlace, FoundSecret)>) -> Vec<KeyOffer> {
    let mut offers: Vec<KeyOffer> = Vec::new();
    for (place, found) in found {
        // EXPOSE: compared in memory: the same key in several places is one
        let text = found.secret.expose();
        // EXPOSE: compared in memory: the same key in several places is one
        match offers.iter_mut().find(|offer| offer.secret.expose() == text) {
            Some(offer) => offer.places.push(place),
            None => offers.push(KeyOffer {
                secret: found.secret,
                provider: found.provider,
                base_url: found.base_url,
                places: vec![place],
            }),
        }
    }
    offers
}

impl KeyImporter<'_> {
    fn take_all(&self, gathered: GatheredKeys) -> Result<ImportAnswer> {
        self.taker.open_vault()?;
        let keys = offers(gathered.found)
            .into_iter()
            .map(|offer| self.take(&offer))
            .collect::<Result<_>>()?;
        Ok(ImportAnswer {
            is_dry: self.taker.is_dry,
            keys,
            left_out: gathered.left_out,
            unreadable: gathered.unreadable,
        })
    }

    fn take(&self, offer: &KeyOffer) -> Result<KeyAnswer> {
        let app = &self.taker.session.app;
        let mut answer = KeyAnswer::new(&offer.places);
        let provider = match provider_of(app, self.finder.as_ref(), offer) {
            Ok(provider) => provider,
            Err(why) => {
                answer.notes.push(why);
                return Ok(answer);
            }
        };
        answer.provider = provider.id.to_string();
        match judged(&provider, &offer.secret) {
            Ok(key) => answer.masked = provider.masked(&key),
            Err(why) => {
                answer.notes.push(why.to_string());
                return Ok(answer);
            }
        }
        let Some(label) = label(app, &provider, offer, &mut answer)? else {
            self.replace_lines(offer, &mut answer)?;
            return Ok(answer);
        };
        answer.label = Some(label.clone());
        let question = format!(
            "Store {} of {}, found in {}?",
            answer.masked,
            provider.title,
            answer.places.join(", ")
        );
        answer.fate = self.taker.fate(&question);
        if answer.fate == ImportFate::Stored {
            self.store(offer, provider, label, &mut answer)?;
            self.replace_lines(offer, &mut answer)?;
        }
        Ok(answer)
    }

    fn store(&self, offer: &KeyOffer, provider: Provider, label: Label, answer: &mut KeyAnswer) -> Result<()> {
        let clear: Vec<&str> = offer
            .places
            .iter()
            .filter(|place| place.is_clear)
            .map(|place| place.shown.as_str())
            .collect();
        let description = match clear.as_slice() {
            [] => None,
            places => keys::description(&format!("was in clear text in {}", places.join(", "))).ok(),
        };
        let new = NewKey {
            provider,
            label,
            description,
            expires_at: None,
            source: NewSecretSource::Argument(Secret::new(
                // EXPOSE: copied into the vault
                offer.secret.expose(),
            )),
        };
        answer.warnings.extend(self.taker.store(new, !clear.is_empty())?);
        if !clear.is_empty() {
            answer
                .notes
                .push("exposed: it was in clear text; rotate it when you can".to_owned());
        }
        Ok(())
    }

    /// Replaces the lines that the key stands in by comments, after a yes for each file.
    fn replace_lines(&self, offer: &KeyOffer, answer: &mut KeyAnswer) -> Result<()> {
        for place in &offer.places {
            let (Some(file), Some(line)) = (&place.file, place.line) else {
                continue;
            };
            let question = format!("Replace the line {} by a comment? The old file is kept.", place.shown);
            let console = &self.taker.session.console;
            let agrees = || !self.taker.is_sure && console.agrees(&question).unwrap_or(false);
            if self.taker.is_dry || !(self.comments_out || agrees()) {
                continue;
            }
            let is_replaced = comment_out(file, line, &place.name, &offer.secret, self.taker.session.app.now())?;
            let became = if is_replaced {
                "is a comment now"
            } else {
                "was left: it changed"
            };
            answer.notes.push(format!("{} {became}", place.shown));
        }
        Ok(())
    }
}

/// Whose key it is: by the variable, the name and the address that its place gives, else by its prefix.
fn provider_of(app: &App, finder: Option<&KeyFinder>, offer: &KeyOffer) -> Result<Provider, String> {
    let config = app.settings().current();
    let names = offer
        .places
        .iter()
        .map(|place| place.name.as_str())
        .chain(offer.provider.as_deref());
    let by_variable = names.clone().find_map(|name| {
        let name = name.rsplit('.').next().unwrap_or(name);
        let mut providers = config.providers().iter();
        providers.find(|provider| provider.env_vars().contains(&name))
    });
    let by_host = offer.base_url.as_deref().and_then(|url| {
        let host = host(url)?;
        config
            .providers()
            .iter()
            .find(|provider| host_of(provider) == Some(host))
    });
    // EXPOSE: compared with published prefixes
    let text = offer.secret.expose();
    let by_prefix = finder.and_then(|finder| {
        let found = finder.find(text.as_bytes()).next()?;
        config.provider(found.provider?).ok()
    });
    let by_name = offer.provider.as_deref().and_then(|name| config.provider(name).ok());
    let found = by_host.or(by_variable).cloned().or(by_prefix).or(by_name);
    let Some(provider) = found else {
        return Err("it does not show which provider it is of: `api-keys add PROVIDER` stores it".to_owned());
    };
    match offer.base_url.as_deref().and_then(host) {
        // A key of another server must not be sent to the provider.
        Some(there) if host_of(&provider) != Some(there) => Err(format!(
            "it is for the server {there}: add that under [providers] in config.toml, then `api-keys add` it"
        )),
        Some(_) | None => Ok(provider),
    }
}

/// The label that the key gets; nothing where it is stored already.
fn label(app: &App, provider: &Provider, offer: &KeyOffer, answer: &mut KeyAnswer) -> Result<Option<Label>> {
    if app.vault().status()? == VaultStatus::Absent {
        return Ok(Some(Label::default()));
    }
    if is_stored(app, &offer.secret)? {
        answer.fate = ImportFate::Known;
        return Ok(None);
    }
    let contents = app.vault().contents()?;
    let taken: BTreeSet<&Label> = contents
        .keys
        .values()
        .filter(|record| record.removed_at.is_none() && record.provider == provider.id)
        .map(|record| &record.label)
        .collect();
    if !taken.contains(&Label::default()) {
        return Ok(Some(Label::default()));
    }
    let source = offer.places.first().map_or("imported", |place| place.source);
    let names = std::iter::once(source.to_owned()).chain((2..).map(|number| format!("{source}-{number}")));
    for name in names {
        let label: Label = name.parse()?;
        if !taken.contains(&label) {
            return Ok(Some(label));
        }
    }
    Ok(None)
}

/// The host in an address.
fn host(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    let authority = rest.split(['/', '?', '#']).next()?;
    authority.rsplit('@').next()
}

fn host_of(provider: &Provider) -> Option<&str> {
    host(&provider.origin)
}

/// Replaces line `line` of `file` by a comment, if the secret is still in it; says whether it was.
fn comment_out(file: &Path, line: usize, name: &str, secret: &Secret, now: Timestamp) -> Result<bool> {
    let (Some(parent), Some(file_name)) = (file.parent(), file.file_name().and_then(|name| name.to_str())) else {
        return Ok(false);
    };
    let Some(folder) = ForeignFolder::open(parent)? else {
        return Ok(false);
    };
    let Some(seen) = folder.read(file_name, MAX_FILE_BYTES)? else {
        return Ok(false);
    };
    let Ok(text) = std::str::from_utf8(&seen.0) else {
        return Ok(false);
    };
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let Some(old) = line.checked_sub(1).and_then(|at| lines.get_mut(at)) else {
        return Ok(false);
    };
    // EXPOSE: looked for in the line that it was found in
    if !old.contains(secret.expose()) {
        return Ok(false);
    }
    let end = if old.ends_with("\r\n") { "\r\n" } else { "\n" };
    *old = format!(
        "# {name} is in the vault of api-keys since {}; `api-keys run` sets it{end}",
        now.strftime("%Y-%m-%d")
    );
    let _ = folder.replace_secret(file_name, &seen, lines.concat().as_bytes())?;
    Ok(true)
}
