//! The gateway as a service of the user: a file for systemd or launchd, and the commands that make them take it.

#[cfg(any(unix, test))]
use std::fmt::Write;
use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use clap::ArgMatches;
use serde_json::json;

use super::{
    super::{
        command::{Session, wait},
        console::{Console, dry_run},
    },
    arguments::{allow_remote, listen},
};
#[cfg(any(unix, test))]
use crate::mcp_clients::Launch;
use crate::{
    error::{Code, Error, Result},
    services::vault_access,
    storage::{
        files::ForeignFolder,
        vault::{SlotKind, VaultStatus},
    },
    tools::view::{Block, Tone, View},
};

const SYSTEMD: &str = "api-keys-gateway.service";
#[cfg(any(target_os = "macos", test))]
const LAUNCHD: &str = "api-keys.gateway";
/// What a file of ours begins with, after what its format wants first.
const MARK: &str = "Written by `api-keys gateway install`; `api-keys gateway uninstall` takes it away.";
/// The longest file that is read for that, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A service as the system wants it.
struct SystemService {
    folder: PathBuf,
    name: String,
    text: String,
    /// What makes the system take the file, and what makes it let go.
    start: Vec<Vec<String>>,
    stop: Vec<Vec<String>>,
    /// Whether it was tested.
    is_tried: bool,
}

pub(super) fn commands(command: clap::Command) -> clap::Command {
    command
        .args_conflicts_with_subcommands(true)
        .subcommand(
            clap::Command::new("install")
                .about("Install the gateway as a user service that starts at login")
                .long_about(
                    "Install the gateway as a user service that starts at login: a systemd user unit on Linux, a launchd agent on macOS (untested)\n\n\
                     A service cannot ask for a passphrase: the keychain or a key file has to open the vault. Run this again after moving the program.",
                )
                .arg(listen())
                .arg(allow_remote())
                .arg(dry_run("Print the service file without installing it")),
        )
        .subcommand(
            clap::Command::new("uninstall")
                .about("Stop and remove the service")
                .arg(dry_run("Show what would be removed")),
        )
}

pub(super) fn install(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    check_vault(session)?;
    let mut arguments = vec!["gateway".to_owned()];
    if let Some(address) = matches.get_one::<std::net::SocketAddr>("listen") {
        arguments.extend(["--listen".to_owned(), address.to_string()]);
    }
    if matches.get_flag("allow-remote") {
        arguments.push("--allow-remote".to_owned());
    }
    let service = SystemService::of(session, &arguments)?;
    let path = service.folder.join(&service.name);
    if matches.get_flag("dry-run") {
        Console::raw(service.text.as_bytes())?;
        session
            .console
            .remark(&Block::Hint(format!("would be written to {}", path.display())));
        return Ok(ExitCode::SUCCESS);
    }
    let folder = ForeignFolder::create(&service.folder)?;
    let seen = folder.read(&service.name, MAX_FILE_BYTES)?;
    if seen.as_ref().is_some_and(|(bytes, _)| !is_ours(bytes)) {
        return Err(foreign(&path));
    }
    let _ = folder.put(&service.name, seen.as_ref(), service.text.as_bytes())?;
    let remarks = [
        (!service.is_tried).then(|| Block::Warning("untested on this platform; check that it runs".to_owned())),
        session.app.clients().list()?.is_empty().then(|| {
            Block::Hint("no clients yet: `api-keys client add NAME` creates one".to_owned())
        }),
        (service.name == SYSTEMD).then(|| {
            Block::Hint("it stops when you log out; `loginctl enable-linger` keeps it running from boot, when the keychain is still locked".to_owned())
        }),
    ];
    tell(session, &path, "installed", tell_system(session, &service.start)?)?;
    for remark in remarks.into_iter().flatten().filter(|_| !session.console.is_json()) {
        session.console.remark(&remark);
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn uninstall(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let service = SystemService::of(session, &[])?;
    let path = service.folder.join(&service.name);
    let folder = ForeignFolder::open(&service.folder)?;
    let seen = match &folder {
        Some(folder) => folder.read(&service.name, MAX_FILE_BYTES)?,
        None => None,
    };
    let (Some(folder), Some(seen)) = (folder, seen) else {
        return nothing_done(session, &path, "Not installed:");
    };
    if !is_ours(&seen.0) {
        return Err(foreign(&path));
    }
    if matches.get_flag("dry-run") {
        return nothing_done(session, &path, "Would remove");
    }
    let left = tell_system(session, &service.stop)?;
    folder.remove(&service.name, &seen)?;
    tell(session, &path, "removed", left)?;
    Ok(ExitCode::SUCCESS)
}

/// Fails where the vault does not open without a person: the service would end at once, each time it starts.
fn check_vault(session: &Session) -> Result<()> {
    let slots = match session.app.vault().status()? {
        VaultStatus::Absent => return Ok(()),
        VaultStatus::Locked { slots } | VaultStatus::Unlocked { slots, .. } => slots,
    };
    if !slots
        .iter()
        .any(|slot| matches!(slot.kind, SlotKind::Keychain | SlotKind::KeyFile))
    {
        return Err(Error::new(
            Code::VaultLocked,
            "only a passphrase opens the vault, and a service cannot ask for one",
        )
        .hint("add the keychain (`api-keys vault add-slot keychain`) or a key file (`api-keys vault add-slot key-file`), or run `api-keys gateway` in a terminal"));
    }
    // That it opens now is no promise for later, but that it does not is better known now.
    wait(vault_access::open_unasked(&session.app))
}

impl SystemService {
    #[cfg(target_os = "macos")]
    fn of(session: &Session, arguments: &[String]) -> Result<Self> {
        let machine = session.app.settings().machine()?;
        let folder = machine.home().join("Library/LaunchAgents");
        let name = format!("{LAUNCHD}.plist");
        let file = folder.join(&name).display().to_string();
        let launchctl = |words: &[&str]| {
            [&["launchctl"], words]
                .concat()
                .into_iter()
                .map(str::to_owned)
                .collect()
        };
        Ok(Self {
            text: plist(&crate::cli::own_server::launch(&session.app)?, arguments),
            start: vec![launchctl(&["unload", &file]), launchctl(&["load", "-w", &file])],
            stop: vec![launchctl(&["unload", "-w", &file])],
            is_tried: false,
            folder,
            name,
        })
    }

    #[cfg(all(unix, not(target_os = "macos")))]
    fn of(session: &Session, arguments: &[String]) -> Result<Self> {
        let machine = session.app.settings().machine()?;
        let systemctl = |words: &[&str]| {
            [&["systemctl", "--user"], words]
                .concat()
                .into_iter()
                .map(str::to_owned)
                .collect()
        };
        Ok(Self {
            folder: machine.configuration().join("systemd/user"),
            name: SYSTEMD.to_owned(),
            text: unit(&crate::cli::own_server::launch(&session.app)?, arguments)?,
            start: vec![
                systemctl(&["daemon-reload"]),
                systemctl(&["enable", SYSTEMD]),
                systemctl(&["restart", SYSTEMD]),
            ],
            stop: vec![systemctl(&["disable", "--now", SYSTEMD])],
            is_tried: true,
        })
    }

    #[cfg(not(unix))]
    fn of(_: &Session, _: &[String]) -> Result<Self> {
        Err(Error::new(
            Code::CommandFailed,
            "services are supported on systemd and launchd only",
        )
        .hint("use the system's own scheduler to start `api-keys gateway`"))
    }
}

/// The unit for systemd.
///
/// Only what a user's own manager can do without further rights: what needs a namespace fails on many systems.
#[cfg(any(all(unix, not(target_os = "macos")), test))]
fn unit(launch: &Launch, arguments: &[String]) -> Result<String> {
    let mut text = format!(
        "# {MARK}\n\
         [Unit]\n\
         Description=API Key Manager: the gateway\n\
         \n\
         [Service]\n\
         Type=exec\n"
    );
    for (name, value) in &launch.environment {
        let _ = writeln!(text, "Environment=\"{name}={}\"", for_systemd(value)?);
    }
    let _ = writeln!(
        text,
        "ExecStart=\"{}\" {}",
        for_systemd(&launch.command)?,
        arguments.join(" ")
    );
    text.push_str(
        "Restart=on-failure\n\
         RestartSec=5\n\
         # Usage error or locked vault: restarting does not help.\n\
         RestartPreventExitStatus=2 3\n\
         UMask=0077\n\
         NoNewPrivileges=yes\n\
         LockPersonality=yes\n\
         MemoryDenyWriteExecute=yes\n\
         RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK\n\
         RestrictNamespaces=yes\n\
         RestrictRealtime=yes\n\
         RestrictSUIDSGID=yes\n\
         SystemCallArchitectures=native\n\
         SystemCallFilter=@system-service\n\
         SystemCallErrorNumber=EPERM\n\
         \n\
         [Install]\n\
         WantedBy=default.target\n",
    );
    Ok(text)
}

/// A path between double quotes; systemd starts no program with quotes or backslashes in its name.
#[cfg(any(all(unix, not(target_os = "macos")), test))]
fn for_systemd(path: &str) -> Result<String> {
    if path.contains(|c: char| c.is_control() || matches!(c, '"' | '\'' | '\\')) {
        return Err(Error::new(
            Code::InvalidArgument,
            "systemd does not accept quotes, backslashes or control characters in a path",
        )
        .hint("move the program, and the folder that API_KEYS_HOME names, to a path without them"));
    }
    Ok(path.replace('%', "%%"))
}

/// The agent for launchd.
#[cfg(any(target_os = "macos", test))]
fn plist(launch: &Launch, arguments: &[String]) -> String {
    let string = |text: &str| {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        format!("<string>{text}</string>")
    };
    let (mut words, mut variables) = (String::new(), String::new());
    for word in std::iter::once(&launch.command).chain(arguments) {
        let _ = writeln!(words, "    {}", string(word));
    }
    for (name, value) in &launch.environment {
        let _ = writeln!(variables, "    <key>{name}</key>\n    {}", string(value));
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!-- {MARK} -->\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n\
         <dict>\n  <key>Label</key>\n  {}\n  <key>ProgramArguments</key>\n  <array>\n{words}  </array>\n  \
         <key>EnvironmentVariables</key>\n  <dict>\n{variables}  </dict>\n  <key>RunAtLoad</key>\n  <true/>\n  \
         <key>KeepAlive</key>\n  <dict>\n    <key>SuccessfulExit</key>\n    <false/>\n  </dict>\n  \
         <key>ThrottleInterval</key>\n  <integer>30</integer>\n\
         </dict>\n\
         </plist>\n",
        string(LAUNCHD)
    )
}

fn nothing_done(session: &Session, path: &Path, why: &str) -> Result<ExitCode> {
    let file = path.display().to_string();
    if session.console.is_json() {
        Console::json(&json!({ "removed": false, "file": file }))?;
    } else {
        session
            .console
            .view(&View::line(Tone::Plain, format!("{why} {file}")))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn is_ours(bytes: &[u8]) -> bool {
    bytes.windows(MARK.len()).any(|window| window == MARK.as_bytes())
}

fn foreign(path: &Path) -> Error {
    Error::new(
        Code::UnsafeFile,
        format!("{} was not written by this program", path.display()),
    )
    .hint("remove it if it is not needed, then run the command again")
}

/// Tells the system, where it listens, and returns what is left to the user: all from the first command that fails on.
fn tell_system(session: &Session, commands: &[Vec<String>]) -> Result<Vec<String>> {
    let machine = session.app.settings().machine()?;
    let mut left = Vec::new();
    for words in commands {
        let done = left.is_empty()
            && machine.program(&words[0]).is_some_and(|program| {
                let status = Command::new(program)
                    .args(&words[1..])
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .status();
                status.is_ok_and(|status| status.success())
            });
        if !done {
            left.push(words.join(" "));
        }
    }
    Ok(left)
}

fn tell(session: &Session, path: &Path, what: &str, left: Vec<String>) -> Result<()> {
    if session.console.is_json() {
        return Console::json(&json!({
            what: true,
            "file": path.display().to_string(),
            "left_to_run": left,
        }));
    }
    let mut words = what.to_owned();
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let mut view = View::line(Tone::Good, format!("{words} {}", path.display()));
    if !left.is_empty() {
        view = view.and(Block::Warning(
            "the service manager could not be reached; run these commands yourself".to_owned(),
        ));
        for command in left {
            view = view.and(Block::Hint(format!("run `{command}`")));
        }
    }
    session.console.view(&view)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plist_takes_every_path() {
        let mut launch = Launch::server("/A & B/<api-keys>", Some("/C"));
        launch.arguments.clear();
        let text = plist(&launch, &["gateway".to_owned()]);
        assert!(
            text.contains("<string>/A &amp; B/&lt;api-keys&gt;</string>\n    <string>gateway</string>"),
            "{text}"
        );
        assert!(
            text.contains("<key>API_KEYS_HOME</key>\n    <string>/C</string>"),
            "{text}"
        );
        assert!(is_ours(text.as_bytes()));
    }
}
