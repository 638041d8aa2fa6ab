//! The command backup and its subcommands.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::ArgMatches;
use serde_json::json;

use super::{
    arguments::{self, PARTS},
    secrets::{self, BackupSecret},
    views,
};
use crate::{
    cli::{
        caller::Terminal,
        command::{CommandDef, Run, Session, wait},
        console::Console,
        help::HelpSection,
    },
    domain::Passphrase,
    error::{Code, Error, Result},
    services::{
        backup::{self, Keep, NewBackup, Restore, Verify},
        caller::{Caller, Question},
        vault_access,
    },
    settings::MasterKey,
    storage::{ledger::Depth, vault::VaultStatus},
    tools::view::View,
};

pub(in crate::cli) const COMMAND: CommandDef = CommandDef {
    name: "backup",
    section: HelpSection::Setup,
    define: arguments::define,
    run: Run::With(run),
};

fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    match matches.subcommand() {
        Some(("create", matches)) => create(session, matches),
        Some(("verify", matches)) => verify(session, matches),
        Some(("list", matches)) => list(session, matches),
        Some(("restore", matches)) => restore(session, matches),
        Some(("prune", matches)) => prune(session, matches),
        _ => Err(Error::new(Code::Internal, "a command was parsed that does not exist")),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn create(session: &Session, matches: &ArgMatches) -> Result<()> {
    let app = &session.app;
    let caller = Terminal::new(session, matches);
    if app.vault().status()? != VaultStatus::Absent {
        wait(vault_access::open(app, &caller))?;
    }
    let file = file_for(session, matches.get_one::<PathBuf>("place"))?;
    let passphrase = secrets::passphrase(session, matches, true)?;
    let new = NewBackup {
        file,
        passphrase: &passphrase,
        recovery: matches.get_flag("recovery-code"),
    };
    let made = backup::create(app, &caller.kind(), &new, &mut shown(session))?;
    let verified = if matches.get_flag("verify") {
        let secret = BackupSecret::Passphrase(passphrase);
        Some(verified(session, &made.file, &secret, Depth::Usual)?)
    } else {
        None
    };
    tell(
        session,
        &views::made_json(&made, verified.as_ref()),
        &views::made(&made, verified.as_ref()),
    )
}

/// The file of a new backup: in the folder that was named, or the file itself.
fn file_for(session: &Session, place: Option<&PathBuf>) -> Result<PathBuf> {
    let name = backup::file_name(session.app.now());
    let Some(place) = place else {
        return Ok(PathBuf::from(name));
    };
    if place.is_dir() {
        return Ok(place.join(name));
    }
    if place.extension().is_some_and(|extension| extension == "akb") {
        return Ok(place.clone());
    }
    Err(
        Error::new(Code::InvalidArgument, format!("there is no folder {}", place.display()))
            .hint("make the folder first, or name a file that ends in .akb"),
    )
}

fn verify(session: &Session, matches: &ArgMatches) -> Result<()> {
    let file = named(matches, "file")?;
    check_backup(&file)?;
    let secret = BackupSecret::ask(session, matches)?;
    let depth = if matches.get_flag("deep") {
        Depth::Whole
    } else {
        Depth::Usual
    };
    let verified = verified(session, &file, &secret, depth)?;
    tell(
        session,
        &views::verified_json(&file, &verified),
        &views::verified(&file, &verified),
    )
}

fn verified(session: &Session, file: &Path, secret: &BackupSecret, depth: Depth) -> Result<backup::VerifiedBackup> {
    let wanted = Verify {
        file,
        with: secret.unlock(),
        depth,
    };
    backup::verify(&session.app, &wanted, &mut shown(session))
}

fn list(session: &Session, matches: &ArgMatches) -> Result<()> {
    let folder = matches.get_one("dir").cloned().unwrap_or_else(|| PathBuf::from("."));
    let found = backup::find(&folder)?;
    let history = backup::history(session.app.settings().paths().data_folder());
    let now = session.app.now();
    tell(
        session,
        &views::found_json(&found, &history),
        &views::found(&folder, &found, &history, now),
    )
}

fn restore(session: &Session, matches: &ArgMatches) -> Result<()> {
    let file = named(matches, "file")?;
    check_backup(&file)?;
    let chosen = |name: &str| matches.get_one::<String>(name);
    let only = chosen("only").and_then(|name| PARTS.iter().find(|(known, _)| known == name));
    let master_key = chosen("master-key").and_then(|name| MasterKey::NAMED.iter().find(|(known, _)| known == name));
    let master_key = master_key.map(|(_, kind)| *kind);
    let replace = matches.get_flag("replace");
    if replace {
        let question = format!("Replace what is there by {}? It is kept beside it.", file.display());
        session.console.confirm(&question, matches)?;
    }
    let secret = BackupSecret::ask(session, matches)?;
    let caller = Terminal::new(session, matches);
    let new_passphrase = if master_key == Some(MasterKey::Passphrase) {
        Some(wait(caller.ask(Question::NewPassphrase)).map(Passphrase::new)?)
    } else {
        None
    };
    let wanted = Restore {
        file: &file,
        with: secret.unlock(),
        into: matches.get_one::<PathBuf>("into").map(PathBuf::as_path),
        only: only.map(|(_, part)| *part),
        replace,
        master_key,
        new_passphrase: new_passphrase.as_ref(),
    };
    let restored = backup::restore(&session.app, caller.kind(), &wanted, &mut shown(session))?;
    tell(
        session,
        &views::restored_json(&restored),
        &views::restored(&restored, wanted.into),
    )
}

fn prune(session: &Session, matches: &ArgMatches) -> Result<()> {
    let folder = named(matches, "dir")?;
    let number = |name: &str| usize::from(matches.get_one::<u16>(name).copied().unwrap_or_default());
    let keep = Keep {
        daily: number("keep-daily"),
        weekly: number("keep-weekly"),
    };
    let found = backup::find(&folder)?;
    let backups: Vec<_> = found
        .iter()
        .filter_map(|backup| Some((backup, backup.header.as_ref().ok()?.created_at)))
        .collect();
    let times: Vec<_> = backups.iter().map(|(_, made)| *made).collect();
    let old: Vec<PathBuf> = backups
        .iter()
        .zip(backup::kept(&times, keep))
        .filter(|(_, kept)| !kept)
        .map(|((backup, _), _)| backup.file.clone())
        .collect();
    let is_dry = matches.get_flag("dry-run");
    if !is_dry && !old.is_empty() {
        let question = match old.len() {
            1 => "Delete 1 backup?".to_owned(),
            count => format!("Delete {count} backups?"),
        };
        session.console.confirm(&question, matches)?;
        for file in &old {
            fs::remove_file(file).map_err(|why| {
                Error::new(Code::StorageFailed, format!("could not delete {}", file.display()))
                    .caused_by(why)
                    .hint("check its folder's permissions; backups before it in the list are deleted")
            })?;
        }
    }
    let kept = found.len() - old.len();
    let files: Vec<_> = old.iter().map(|file| file.display().to_string()).collect();
    tell(
        session,
        &json!({"deleted": files, "kept": kept, "dry_run": is_dry}),
        &views::pruned(&files, kept, is_dry),
    )
}

/// Fails before a secret is typed for nothing.
fn check_backup(file: &Path) -> Result<()> {
    match fs::metadata(file) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) | Err(_) => Err(
            Error::new(Code::InvalidArgument, format!("there is no backup {}", file.display()))
                .hint("`api-keys backup list DIR` lists the backups in a folder"),
        ),
    }
}

fn named(matches: &ArgMatches, name: &str) -> Result<PathBuf> {
    let path = matches.get_one::<PathBuf>(name).cloned();
    path.ok_or_else(|| Error::new(Code::Internal, "the command was parsed without its path"))
}

/// Shows how far it is, a person who is watching, whenever another percent is done.
fn shown(session: &Session) -> impl FnMut(&'static str, u64, u64) {
    let console = session.console;
    let mut last = ("", u64::MAX);
    move |work, done, all| {
        let percent = (done * 100).checked_div(all).unwrap_or_default();
        // What takes no time is not worth a line.
        if all >= SHOWN_FROM && (work, percent) != last {
            last = (work, percent);
            console.progress(usize::try_from(percent).unwrap_or_default(), 100, work);
        }
    }
}

/// From how many bytes or pages on people are shown how far it is.
const SHOWN_FROM: u64 = 4096;

/// Prints what a program or a person reads.
fn tell(session: &Session, json: &serde_json::Value, view: &View) -> Result<()> {
    if session.console.is_json() {
        Console::json(json)
    } else {
        session.console.view(view)
    }
}
