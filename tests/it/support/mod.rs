//! What the tests share: a private folder for each, and the program in a clean environment.

use std::{
    ffi::OsStr,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

pub(crate) mod caller;
pub(crate) mod gateway;
pub(crate) mod mcp_client;
pub(crate) mod outside;
pub(crate) mod stand_in;
#[cfg(unix)]
pub(crate) mod strace;
#[cfg(target_os = "linux")]
pub(crate) mod terminal;

/// Longer than anything that succeeds takes, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Polls until `is_so` holds.
pub(crate) fn eventually(mut is_so: impl FnMut() -> bool, what: &str) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether one of five attempts takes less than `limit`: a busy machine delays some of them, a real wait delays all.
pub(crate) fn is_quick(limit: Duration, attempt: impl FnMut() -> Duration) -> bool {
    std::iter::repeat_with(attempt).take(5).any(|took| took < limit)
}

/// A configuration in which the next day begins about twelve hours from now, not while a test runs.
pub(crate) fn days_that_last() -> String {
    let hour = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).hour();
    // POSIX signs are reversed: positive is west.
    format!("[budget]\ntime_zone = \"Etc/GMT{:+}\"\n", hour - 12)
}

/// A private folder for all of the program's files; deleted when dropped.
pub(crate) struct Home {
    folder: tempfile::TempDir,
}

/// Exit code and output of a run.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("api-keys-")
            .tempdir()
            .expect("a temporary folder");
        Self { folder }
    }

    /// One whose `openai` is `provider`, and whose vault a key file opens.
    pub(crate) fn with_openai(provider: &stand_in::StandIn) -> Self {
        let home = Self::new();
        home.config(&format!(
            "[vault]\nmaster_key = \"key-file\"\n[providers.openai]\nbase_url = \"{}/v1\"\n",
            provider.url()
        ));
        home
    }

    /// One whose `openai` and `local` are `provider`.
    pub(crate) fn with_openai_and_local(provider: &stand_in::StandIn) -> Self {
        let home = Self::new();
        home.config(&format!(
            "[vault]\nmaster_key = \"key-file\"\n[providers.openai]\nbase_url = \"{url}/v1\"\n[providers.local]\nbase_url = \"{url}\"\n",
            url = provider.url()
        ));
        home
    }

    /// The folder in `API_KEYS_HOME`; the program creates it.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// A path next to that folder, for a test's other files.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes `config.toml`.
    pub(crate) fn config(&self, text: &str) {
        private_folder(&self.path());
        std::fs::write(self.path().join("config.toml"), text).expect("a config file");
    }

    /// The program with `arguments`, in this folder and a clean environment.
    ///
    /// No keychain is reachable, so the master key is a key file.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_api-keys"));
        command
            .args(arguments)
            .env_clear()
            .env("API_KEYS_HOME", self.path())
            .env("HOME", self.folder.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
            .current_dir(self.folder.path());
        command
    }

    /// A copy of the program, as `name` beside the folder.
    ///
    /// `cp` writes it: a file that this process wrote cannot be executed while another test's child still has it open.
    #[cfg(unix)]
    pub(crate) fn copy_of_program(&self, name: &str) -> PathBuf {
        let copy = self.beside(name);
        let mut cp = Command::new("cp");
        cp.arg(env!("CARGO_BIN_EXE_api-keys")).arg(&copy);
        assert!(cp.status().expect("a program to copy with").success());
        copy
    }

    /// Runs the program without input and waits for its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ended {
        self.run_with(self.command(arguments), "")
    }

    /// Runs `command` with `input` on its stdin and waits for its end.
    #[expect(clippy::unused_self, reason = "the folder has to live as long as the command")]
    pub(crate) fn run_with(&self, mut command: Command, input: &str) -> Ended {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        // A program may exit without reading its input.
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("the program ends");
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

impl Ended {
    /// The one JSON value on stdout.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|why| panic!("{why}: {self:?}"))
    }

    /// The code of the error on stdout.
    pub(crate) fn error_code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Writes a file with mode 0600, in a folder with mode 0700.
pub(crate) fn private_file(path: &Path, bytes: &[u8]) {
    private_folder(path.parent().expect("a folder"));
    std::fs::write(path, bytes).expect("a file");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("a private file");
    }
}

/// Creates a folder with mode 0700.
pub(crate) fn private_folder(path: &Path) {
    std::fs::create_dir_all(path).expect("a folder");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).expect("a private folder");
    }
}
