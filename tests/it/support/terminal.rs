//! A command on a terminal of its own, which `script` of util-linux makes.

use std::{
    io::{Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    time::Instant,
};

use super::{Home, PATIENCE};

pub(crate) struct OnTerminal {
    child: Child,
    keyboard: ChildStdin,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

impl OnTerminal {
    /// Starts `line` in a shell, in the environment of `home`; `api-keys` in it is the program under test.
    pub(crate) fn start(home: &Home, line: &str) -> Self {
        Self::start_with(home, &line.replace("api-keys", env!("CARGO_BIN_EXE_api-keys")), &[])
    }

    /// Starts `line` as it is, with more variables.
    pub(crate) fn start_with(home: &Home, line: &str, variables: &[(&str, &str)]) -> Self {
        let inner = home.command([""; 0]);
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--command", line, "/dev/null"])
            .env_clear()
            .env("TERM", "xterm")
            .env("SHELL", "/bin/sh")
            .envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .envs(variables.iter().copied())
            .current_dir(home.beside(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script starts");
        let keyboard = child.stdin.take().expect("piped");
        let mut output = child.stdout.take().expect("piped");
        let (sender, screen) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            keyboard,
            screen,
            seen: String::new(),
        }
    }

    /// Waits until `text` is on the screen.
    pub(crate) fn wait_for(&mut self, text: &str) {
        assert!(self.sees(text), "never saw {text:?} in {:?}", self.seen);
    }

    /// Whether `text` comes onto the screen before the command ends.
    pub(crate) fn sees(&mut self, text: &str) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while !self.seen.contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(more) = self.screen.recv_timeout(left) else {
                return false;
            };
            self.seen.push_str(&String::from_utf8_lossy(&more));
        }
        true
    }

    pub(crate) fn type_in(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).expect("typed");
        self.keyboard.flush().expect("typed");
    }

    /// Waits for the end; returns the exit code and everything that was on the screen.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().expect("it ends").code();
        drop(self.keyboard);
        while let Ok(more) = self.screen.recv_timeout(PATIENCE) {
            self.seen.push_str(&String::from_utf8_lossy(&more));
        }
        (code, self.seen)
    }
}
