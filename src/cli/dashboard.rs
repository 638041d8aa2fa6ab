//! `dashboard`: serve the pages on the loopback address and open them, or write a report.

use std::{
    path::{Path, PathBuf},
    process::{self, ExitCode, Stdio},
    sync::Arc,
    time::Duration,
};

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use serde_json::json;

use super::{
    caller::Terminal,
    command::{CommandDef, Run, Session},
    console::Console,
    gateway::{Signals, open_vault, runtime},
    help::HelpSection,
    panels::{LINK_TIMEOUT, PANELS},
};
use crate::{
    app::App,
    dashboard::{self, DashboardOptions},
    error::{Code, Error, Result},
    services::{log_import, usage_report::MAX_DAYS},
    storage::files::Folder,
    tools::view::{Block, Tone, View},
};

/// How long it runs while no page is open.
const IDLE_TIMEOUT: Duration = Duration::from_mins(30);
/// How long the page that leads to the dashboard is good: a browser is there at once, or not at all.
const BROWSER_TIMEOUT: Duration = Duration::from_mins(1);
/// The pause between two imports of logs.
const IMPORT_INTERVAL: Duration = Duration::from_mins(5);
/// The page that leads a browser to the dashboard, so that the ticket is in no program's arguments.
const OPENER: &str = "dashboard-open.html";

pub(super) const COMMAND: CommandDef = CommandDef {
    name: "dashboard",
    section: HelpSection::Usage,
    define: |command| {
        command
            .about("Show usage, budgets, keys and health in the browser")
            .long_about(
                "Show usage, budgets, keys and health in the browser\n\n\
                 Serves pages at the loopback address until Ctrl-C, or for 30 minutes after the last look. The link holds a ticket that works once. Nothing can be changed there but keys, which are typed on a one-time page.",
            )
            .arg(
                Arg::new("port")
                    .long("port")
                    .value_name("PORT")
                    .value_parser(value_parser!(u16))
                    .default_value("0")
                    .hide_default_value(true)
                    .help("Port to listen on (default: any free one)"),
            )
            .arg(
                Arg::new("no-open")
                    .long("no-open")
                    .action(ArgAction::SetTrue)
                    .help("Only print the link"),
            )
            .arg(
                Arg::new("html")
                    .long("html")
                    .value_name("FILE")
                    .value_parser(value_parser!(PathBuf))
                    .conflicts_with_all(["port", "no-open"])
                    .help("Write a report of the period to this file instead"),
            )
            .arg(
                Arg::new("days")
                    .long("days")
                    .value_name("DAYS")
                    .default_value("30")
                    .value_parser(value_parser!(u16).range(1..=i64::from(MAX_DAYS)))
                    .requires("html")
                    .help("How many days the report goes back, today included"),
            )
    },
    run: Run::With(run),
};

fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    session.app.settings().required()?;
    match matches.get_one::<PathBuf>("html") {
        Some(file) => report(session, file, matches.get_one::<u16>("days").copied().unwrap_or(30)),
        None => serve(session, matches),
    }
}

fn report(session: &Session, file: &Path, days: u16) -> Result<ExitCode> {
    log_import::refresh(&session.app);
    let html = dashboard::report(&session.app, days)?;
    std::fs::write(file, &html).map_err(|why| {
        Error::new(
            Code::StorageFailed,
            format!("could not write {}: {}", file.display(), why.kind()),
        )
        .hint("name a file in a folder that you may write to")
    })?;
    if session.console.is_json() {
        Console::json(&json!({"file": file.to_string_lossy(), "days": days, "bytes": html.len()}))?;
    } else {
        let said = format!("Wrote {} ({} kB)", file.display(), html.len().div_ceil(1_000));
        session.console.view(&View::line(Tone::Good, said))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn serve(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let app = &session.app;
    let caller = Terminal::new(session, matches);
    let options = DashboardOptions {
        port: matches.get_one::<u16>("port").copied().unwrap_or(0),
        idle: Some(IDLE_TIMEOUT),
        panels: PANELS,
        live: None,
    };
    runtime()?.block_on(async {
        // Without its passphrase, all but the keys is shown.
        if let Err(error) = open_vault(app, &caller).await {
            session
                .console
                .remark(&Block::Warning(format!("keys are not shown: {}", error.message())));
        }
        let mut signals = Signals::new()?;
        let listening = dashboard::listen(Arc::clone(app), options).await?;
        let opener = if matches.get_flag("no-open") || session.console.is_json() {
            None
        } else {
            open(app, &listening.link(BROWSER_TIMEOUT)?)
        };
        tell(session, &listening.link(LINK_TIMEOUT)?, opener.is_some())?;
        let importing = tokio::spawn(import_logs(Arc::clone(app)));
        listening.serve(signals.next()).await;
        importing.abort();
        if let Some(folder) = opener {
            // It holds a ticket that is worth nothing any more.
            let _ = folder.remove(OPENER);
        }
        Ok::<_, Error>(())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Imports what is new in agents' logs now and then, if the configuration asks for that.
async fn import_logs(app: Arc<App>) {
    loop {
        let app = Arc::clone(&app);
        // A large import keeps a thread busy, and must not be one that answers.
        if tokio::task::spawn_blocking(move || log_import::refresh(&app))
            .await
            .is_err()
        {
            return;
        }
        tokio::time::sleep(IMPORT_INTERVAL).await;
    }
}

fn tell(session: &Session, link: &str, is_opened: bool) -> Result<()> {
    if session.console.is_json() {
        return Console::json(&json!({"link": link}));
    }
    let said = if is_opened {
        "Opening the dashboard in the browser (Ctrl-C to stop)"
    } else {
        "The dashboard is ready (Ctrl-C to stop)"
    };
    let view = View::line(Tone::Plain, said).and(Block::Line(Tone::Plain, link.to_owned()));
    session.console.view(&view.and(Block::Line(
        Tone::Faint,
        "the link works once, within 5 minutes, on this machine".to_owned(),
    )))
}

/// Opens a private page that leads to `link`; nothing where no browser could be started.
fn open(app: &App, link: &str) -> Option<Folder> {
    let folder = Folder::create(app.settings().paths().data_folder()).ok()?;
    let page = format!(
        "<!doctype html><meta charset=\"utf-8\"><meta name=\"referrer\" content=\"no-referrer\">\
         <meta http-equiv=\"refresh\" content=\"0;url={link}\"><title>API Key Manager</title>"
    );
    // Whether it would survive a power cut is all the same.
    let _ = folder.replace(OPENER, page.as_bytes()).ok()?;
    let path = folder.path().join(OPENER);
    let mut command = if cfg!(target_os = "macos") {
        process::Command::new("open")
    } else if cfg!(windows) {
        process::Command::new("explorer")
    } else {
        process::Command::new("xdg-open")
    };
    let started = command
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if started.is_err() {
        let _ = folder.remove(OPENER);
        return None;
    }
    Some(folder)
}
