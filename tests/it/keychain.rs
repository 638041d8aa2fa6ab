//! A real GNOME keyring: open, locked, absent, and stopped in its tracks.
#![cfg(all(target_os = "linux", feature = "keychain"))]

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use api_keys::storage::vault::keychain::Keychain;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::{
    Ended, Home, PATIENCE,
    mcp_client::{LEGACY, McpClient},
    outside::{holds, installed, tell, this_test, told},
};

const TASK: &str = "API_KEYS_TEST_KEYCHAIN";
/// Below the 25 seconds that the bus itself waits for an answer.
const IN_TIME: Duration = Duration::from_secs(20);

/// The services that a desktop session has, in a home of their own.
pub(crate) struct Desktop {
    home: tempfile::TempDir,
    bus: Child,
    address: String,
    keyring: Option<Pid>,
}

impl Desktop {
    /// A session with an open keyring; `None` where that cannot be had.
    pub(crate) fn with_open_keyring() -> Option<Self> {
        let mut desktop = Self::with_bus(&["--session"])?;
        let mut login = desktop
            .command("gnome-keyring-daemon")
            .args(["--daemonize", "--login"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("the keyring starts");
        login
            .stdin
            .take()
            .expect("piped")
            .write_all(b"the login password")
            .expect("the keyring reads its password");
        assert!(login.wait().expect("the keyring starts").success());
        let started = desktop.ask("gnome-keyring-daemon", &["--start", "--components=secrets"]);
        assert!(started.status.success(), "{started:?}");
        let owner = desktop.ask(
            "dbus-send",
            &[
                "--session",
                "--print-reply",
                "--dest=org.freedesktop.DBus",
                "/org/freedesktop/DBus",
                "org.freedesktop.DBus.GetConnectionUnixProcessID",
                "string:org.freedesktop.secrets",
            ],
        );
        let reply = String::from_utf8_lossy(&owner.stdout).into_owned();
        let pid = reply.split_whitespace().last().and_then(|last| last.parse().ok());
        desktop.keyring = Some(pid.and_then(Pid::from_raw).unwrap_or_else(|| panic!("{owner:?}")));
        Some(desktop)
    }

    /// A session whose bus knows of no keyring.
    fn without_keyring() -> Option<Self> {
        let home = tempfile::tempdir().expect("a temporary folder");
        let config = home.path().join("bus.conf");
        std::fs::write(
            &config,
            r#"<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen>
            <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>"#,
        )
        .expect("a bus configuration");
        let config = format!("--config-file={}", config.display());
        Self::with_bus(&[&config])
    }

    fn with_bus(config: &[&str]) -> Option<Self> {
        if !installed(&["dbus-daemon", "dbus-send", "gnome-keyring-daemon"]) {
            return None;
        }
        let home = tempfile::tempdir().expect("a temporary folder");
        let mut bus = private(&mut Command::new("dbus-daemon"), home.path())
            .args(config)
            .args(["--nofork", "--print-address=1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the bus starts");
        let mut address = String::new();
        BufReader::new(bus.stdout.take().expect("piped"))
            .read_line(&mut address)
            .expect("the bus says its address");
        assert!(!address.is_empty(), "the bus did not start");
        Some(Self {
            home,
            bus,
            address: address.trim().to_owned(),
            keyring: None,
        })
    }

    /// `command` becomes one of this session's programs.
    pub(crate) fn join<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        private(command, self.home.path()).env("DBUS_SESSION_BUS_ADDRESS", &self.address)
    }

    /// Closes the keyring, as a person does who leaves.
    pub(crate) fn lock(&self) {
        let locked = self.ask(
            "dbus-send",
            &[
                "--session",
                "--print-reply",
                "--dest=org.freedesktop.secrets",
                "/org/freedesktop/secrets",
                "org.freedesktop.Secret.Service.Lock",
                "array:objpath:/org/freedesktop/secrets/collection/login",
            ],
        );
        assert!(locked.status.success(), "{locked:?}");
    }

    /// Stops the keyring in its tracks: it keeps its place on the bus and never answers.
    pub(crate) fn hang(&self) {
        kill_process(self.keyring.expect("a keyring"), Signal::STOP).expect("the keyring can be stopped");
    }

    /// Lets it go on.
    pub(crate) fn wake(&self) {
        kill_process(self.keyring.expect("a keyring"), Signal::CONT).expect("the keyring can go on");
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        self.join(&mut command).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn ask(&self, program: &str, arguments: &[&str]) -> Output {
        self.command(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .expect("the program runs")
    }

    /// What the keychain answers to each of `tasks` in a process of this session, and how long that took.
    fn keychain(&self, tasks: &str) -> (Vec<String>, Duration) {
        let begun = Instant::now();
        let mut child = this_test("keychain::a_child_asks_the_keychain");
        let output = self.join(&mut child).env(TASK, tasks).output().expect("the child runs");
        let took = begun.elapsed();
        let answers = told(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        (answers, took)
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        if let Some(keyring) = self.keyring {
            let _ = kill_process(keyring, Signal::KILL);
        }
        let _ = self.bus.kill();
        let _ = self.bus.wait();
    }
}

/// Nothing of the person who runs the tests is reached.
fn private<'a>(command: &'a mut Command, home: &std::path::Path) -> &'a mut Command {
    command
        .env("HOME", home)
        .env("XDG_RUNTIME_DIR", home)
        .env("XDG_DATA_HOME", home.join("data"))
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("GNOME_KEYRING_CONTROL")
}

/// Does nothing unless a test below started it.
#[test]
fn a_child_asks_the_keychain() {
    let Ok(tasks) = std::env::var(TASK) else {
        return;
    };
    let mut keychain = Keychain::new(PATIENCE);
    for task in tasks.split(' ') {
        let answer = match task.split_once('=') {
            None if task == "hurry" => {
                keychain = Keychain::new(Duration::from_millis(700));
                continue;
            }
            Some(("write", text)) => keychain
                .write("a vault", text.as_bytes())
                .map(|()| "written".to_owned()),
            None if task == "read" => keychain
                .read("a vault")
                .map(|bytes| String::from_utf8(bytes.to_vec()).expect("what was written")),
            None if task == "remove" => keychain.remove("a vault").map(|()| "removed".to_owned()),
            _ => panic!("no such task: {task}"),
        };
        let answer = answer.unwrap_or_else(|why| format!("{why:?}"));
        tell(&answer);
    }
}

#[test]
fn an_open_keyring_keeps_replaces_and_forgets() {
    let Some(desktop) = Desktop::with_open_keyring() else {
        return;
    };
    let (answers, _) = desktop.keychain("read write=one read write=two read");
    assert_eq!(answers, ["NoEntry", "written", "one", "written", "two"]);
    let (answers, _) = desktop.keychain("read remove read remove");
    assert_eq!(answers, ["two", "removed", "NoEntry", "NoEntry"], "in another process");
}

#[test]
fn a_locked_keyring_is_locked_and_not_empty() {
    let Some(desktop) = Desktop::with_open_keyring() else {
        return;
    };
    desktop.keychain("write=one");
    desktop.lock();
    let (answers, _) = desktop.keychain("read write=two");
    assert_eq!(answers, ["Locked", "Locked"]);
}

#[test]
fn a_keyring_that_hangs_is_given_up_in_time_and_works_when_it_comes_back() {
    let Some(desktop) = Desktop::with_open_keyring() else {
        return;
    };
    desktop.keychain("write=one");
    desktop.hang();
    let (answers, took) = desktop.keychain("hurry read write=two");
    assert_eq!(answers, ["TimedOut", "TimedOut"]);
    assert!(took < IN_TIME, "{took:?}");
    desktop.wake();
    let (answers, _) = desktop.keychain("read");
    // The write that was given up may still have been carried out.
    assert!(answers == ["one"] || answers == ["two"], "{answers:?}");
}

#[test]
fn a_session_without_a_keyring_and_a_machine_without_a_bus_are_told_from_an_empty_keyring() {
    let Some(mut desktop) = Desktop::without_keyring() else {
        return;
    };
    let (answers, _) = desktop.keychain("read write=one");
    assert_eq!(answers, ["Unavailable", "Unavailable"]);
    desktop.address = "unix:path=/nonexistent".to_owned();
    let (answers, _) = desktop.keychain("read write=one");
    assert_eq!(answers, ["Unavailable", "Unavailable"]);
}

/// Runs the program in `desktop` and `home`.
fn run(desktop: &Desktop, home: &Home, arguments: &[&str], input: &str) -> Ended {
    let mut command = home.command(arguments);
    desktop.join(&mut command);
    home.run_with(command, input)
}

const KEY: &str = "sk-proj-MadeUpForTheTests0123456789abcdefXYZW";

/// A vault that only the keychain opens, with one key.
fn keychain_vault(desktop: &Desktop) -> Home {
    let home = Home::new();
    let made = run(desktop, &home, &["vault", "init", "--json"], "");
    assert_eq!(made.json()["slots"][0]["kind"], "keychain", "{made:?}");
    let added = run(desktop, &home, &["add", "openai", "--stdin"], KEY);
    assert_eq!(added.code, Some(0), "{added:?}");
    home
}

#[test]
fn a_new_vault_takes_the_keychain_where_it_works_and_every_process_opens_it() {
    let Some(desktop) = Desktop::with_open_keyring() else {
        return;
    };
    let home = keychain_vault(&desktop);
    let listed = run(&desktop, &home, &["list", "--json"], "");
    assert_eq!(listed.json()["vault"]["master_key"], "keychain", "{listed:?}");
    let shown = run(&desktop, &home, &["run", "--", "printenv", "OPENAI_API_KEY"], "");
    assert_eq!(shown.stdout.trim(), KEY, "{shown:?}");
    let keyrings = desktop.home.path().join("data");
    for folder in [home.path(), keyrings] {
        assert!(
            !holds(&folder, KEY.as_bytes()),
            "{} holds the key in the clear",
            folder.display()
        );
    }
}

#[test]
fn a_keychain_that_is_locked_hung_or_gone_leaves_the_vault_as_it_is_and_answers_in_time() {
    let Some(desktop) = Desktop::with_open_keyring() else {
        return;
    };
    let home = keychain_vault(&desktop);
    let vault = std::fs::read(home.path().join("vault.json")).expect("a vault");
    let refused = |code: &str, arguments: &[&str]| {
        let begun = Instant::now();
        let ended = run(&desktop, &home, arguments, KEY);
        assert_ne!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.error_code(), code, "{ended:?}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        let now = std::fs::read(home.path().join("vault.json")).expect("a vault");
        assert!(now == vault, "the vault was changed");
    };
    desktop.lock();
    refused("keychain_unavailable", &["vault", "unlock-check", "--json"]);
    refused("vault_exists", &["vault", "init", "--json"]);
    // Last: a keyring that wakes up to callers that are gone may crash.
    desktop.hang();
    refused("keychain_unavailable", &["vault", "unlock-check", "--json"]);
    refused("keychain_unavailable", &["add", "groq", "--stdin", "--json"]);

    // Another desktop, whose keyring is open and knows nothing of this vault: never a first run.
    let other = Desktop::with_open_keyring().expect("it worked before");
    for (code, arguments) in [
        ("keychain_entry_missing", ["vault", "unlock-check", "--json"]),
        ("vault_exists", ["vault", "init", "--json"]),
    ] {
        let ended = run(&other, &home, &arguments, "");
        assert_eq!(ended.error_code(), code, "{ended:?}");
    }
    assert!(std::fs::read(home.path().join("vault.json")).expect("a vault") == vault);
}

#[test]
fn a_server_that_has_opened_its_vault_goes_on_when_the_keychain_hangs() {
    let Some(desktop) = Desktop::with_open_keyring() else {
        return;
    };
    let home = keychain_vault(&desktop);
    let mut command = home.command(["serve"]);
    desktop.join(&mut command);
    let mut client = McpClient::open(command, LEGACY, json!({}));
    assert_eq!(client.structured("list_api_keys", json!({}))["total_count"], 1);
    desktop.hang();
    for label in 0..6 {
        let begun = Instant::now();
        let arguments = json!({"provider": "openai", "label": format!("l{label}"), "api_key": KEY});
        client.structured("add_api_key", arguments);
        assert!(begun.elapsed() < IN_TIME, "{:?}", begun.elapsed());
    }
    desktop.wake();
    // The keychain's copy of the anchor is older now, which is no alarm.
    let listed = run(&desktop, &home, &["list", "--json"], "").json();
    assert_eq!(listed["total_count"], 7);
    assert_eq!(listed["vault"]["hint"], serde_json::Value::Null, "{listed}");
}

#[test]
fn a_new_vault_takes_a_key_file_and_says_so_where_the_keychain_does_not_work() {
    let Some(desktop) = Desktop::with_open_keyring() else {
        return;
    };
    desktop.hang();
    let home = Home::new();
    let made = run(&desktop, &home, &["vault", "init"], "");
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.stderr.contains("key file"), "{made:?}");
    let strict = Home::new();
    let made = run(
        &desktop,
        &strict,
        &["vault", "init", "--master-key", "keychain", "--json"],
        "",
    );
    assert_eq!(made.error_code(), "keychain_unavailable", "{made:?}");
    assert!(!strict.path().join("vault.json").exists(), "nothing weaker was made");
}

#[test]
fn a_key_file_beside_the_keychain_comes_with_what_it_costs() {
    let Some(desktop) = Desktop::with_open_keyring() else {
        return;
    };
    let home = keychain_vault(&desktop);
    let added = run(&desktop, &home, &["vault", "add-slot", "key-file"], "");
    assert_eq!(added.code, Some(0), "{added:?}");
    assert!(
        added.stderr.contains("opens the vault without the keychain"),
        "{added:?}"
    );
}
