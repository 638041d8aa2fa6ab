//! `alerts install`: a timer of systemd that sends where neither gateway nor server runs.

use std::{fmt::Write, process::ExitCode};

use clap::ArgMatches;
use serde_json::json;

use super::super::{command::Session, console::Console, own_server};
use crate::{
    error::{Code, Error, Result},
    storage::files::ForeignFolder,
    tools::view::{Block, Tone, View},
};

const SERVICE: &str = "api-keys-alerts.service";
const TIMER: &str = "api-keys-alerts.timer";
/// What the files begin with.
const MARK: &str = "# Written by `api-keys alerts install`.";
/// The longest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

pub(super) fn install(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    if !cfg!(target_os = "linux") {
        return Err(Error::new(Code::CommandFailed, "timers are supported on systemd only")
            .hint("have the system's own scheduler run `api-keys alerts flush` every five minutes"));
    }
    let app = &session.app;
    let launch = own_server::launch(app)?;
    let is_plain = |text: &str| !text.contains(|c: char| c.is_control() || matches!(c, '"' | '\'' | '\\'));
    if !launch
        .environment
        .values()
        .chain([&launch.command])
        .all(|text| is_plain(text))
    {
        return Err(Error::new(
            Code::InvalidArgument,
            "systemd does not accept quotes, backslashes or control characters in a path",
        )
        .hint("move the program, and the folder that API_KEYS_HOME names, to a path without them"));
    }
    let mut service = format!("{MARK}\n[Unit]\nDescription=API Key Manager: alerts\n\n[Service]\nType=oneshot\n");
    for (name, value) in &launch.environment {
        let _ = writeln!(service, "Environment=\"{name}={}\"", value.replace('%', "%%"));
    }
    let program = launch.command.replace('%', "%%");
    let _ = writeln!(
        service,
        "ExecStart=\"{program}\" alerts flush --wait 45\nUMask=0077\nNoNewPrivileges=yes"
    );
    let timer = format!(
        "{MARK}\n[Unit]\nDescription=API Key Manager: alerts\n\n[Timer]\nOnBootSec=2min\nOnUnitActiveSec=5min\n\n\
         [Install]\nWantedBy=timers.target\n"
    );
    if matches.get_flag("dry-run") {
        Console::raw(format!("{service}\n{timer}").as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let path = app.settings().machine()?.configuration().join("systemd/user");
    let folder = ForeignFolder::create(&path)?;
    for (name, text) in [(SERVICE, &service), (TIMER, &timer)] {
        let seen = folder.read(name, MAX_FILE_BYTES)?;
        if seen
            .as_ref()
            .is_some_and(|(bytes, _)| !bytes.starts_with(MARK.as_bytes()))
        {
            let message = format!("{} was not written by this program", path.join(name).display());
            return Err(
                Error::new(Code::UnsafeFile, message).hint("remove it if it is not needed, then run the command again")
            );
        }
        let _ = folder.put(name, seen.as_ref(), text.as_bytes())?;
    }
    let left = [
        "systemctl --user daemon-reload".to_owned(),
        format!("systemctl --user enable --now {TIMER}"),
    ];
    let file = path.join(TIMER).display().to_string();
    if session.console.is_json() {
        Console::json(&json!({ "installed": true, "file": file, "left_to_run": left }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let view = left
        .iter()
        .map(|command| Block::Hint(format!("run `{command}`")))
        .fold(View::line(Tone::Good, format!("Installed {file}")), View::and);
    session.console.view(&view)?;
    Ok(ExitCode::SUCCESS)
}
