//! Where answers and errors go: the answer to stdout, everything about it to stderr.

use std::io::{ErrorKind, IsTerminal, Write, stderr, stdin, stdout};

use anstream::AutoStream;
use clap::{Arg, ArgAction, ArgMatches, ColorChoice};
use serde_json::Value;

use super::{
    look::Look,
    render::{self, Painted, Width},
    text,
};
use crate::{
    chart::{Chart, stacked_text},
    error::{Code, Error, Result},
    tools::{
        ToolOutput,
        view::{Block, Tone, View},
    },
};

/// What stands between the parts of a [status](Console::status) line.
pub(super) const SEPARATOR: &str = render::SEPARATOR;

/// How wide a chart is where there is no terminal.
const CHART_WIDTH: usize = 80;

/// The option that answers [`Console::confirm`].
pub(super) const YES: &str = "yes";

/// The option that answers prompts with yes.
pub(super) fn yes() -> Arg {
    Arg::new(YES)
        .long(YES)
        .short('y')
        .action(ArgAction::SetTrue)
        .help("Don't ask for confirmation")
}

/// The option of commands that can only show what they would do.
pub(super) const DRY_RUN: &str = "dry-run";

/// That option, with what it says of itself.
pub(super) fn dry_run(help: &'static str) -> Arg {
    Arg::new(DRY_RUN).long(DRY_RUN).action(ArgAction::SetTrue).help(help)
}

/// Standard output and standard error, in the requested form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Console {
    look: Look,
}

impl Console {
    pub(super) fn new(look: Look) -> Self {
        Self { look }
    }

    /// Whether answers are for programs.
    pub(super) fn is_json(self) -> bool {
        self.look.json
    }

    /// Prints a result in the requested form.
    pub(super) fn answer(self, answer: &ToolOutput) -> Result<()> {
        if self.is_json() {
            Self::json(&answer.json)
        } else {
            self.view(&answer.view)
        }
    }

    /// Prints a result as JSON: on one line for programs, indented for people.
    pub(super) fn json(value: &Value) -> Result<()> {
        let text = if stdout().is_terminal() {
            format!("{value:#}\n")
        } else {
            format!("{value}\n")
        };
        Self::raw(text.as_bytes())
    }

    /// Prints a result for people.
    pub(super) fn view(self, view: &View) -> Result<()> {
        let Painted { answer, remarks } = render::paint(view, width());
        self.out(&answer)?;
        self.err(&remarks);
        Ok(())
    }

    /// Draws a chart as wide as the terminal, in colours where the terminal has them.
    pub(super) fn chart(self, chart: &Chart) -> Result<()> {
        let has_colors = match self.choice() {
            anstream::ColorChoice::Auto => AutoStream::choice(&stdout()) != anstream::ColorChoice::Never,
            chosen => chosen != anstream::ColorChoice::Never,
        };
        let painting = stacked_text(chart, width().answer.unwrap_or(CHART_WIDTH), has_colors);
        self.out(&render::painting(&painting, has_colors))
    }

    /// Prints a line that another program shows to a person: with colours unless an option or `plain` forbids them.
    pub(super) fn status(self, parts: &[(Tone, String)], plain: bool) -> Result<()> {
        let choice = match self.choice() {
            anstream::ColorChoice::Auto if plain => anstream::ColorChoice::Never,
            anstream::ColorChoice::Auto => anstream::ColorChoice::Always,
            chosen => chosen,
        };
        let mut stream = AutoStream::new(stdout(), choice);
        written(
            stream
                .write_all(render::line(parts).as_bytes())
                .and_then(|()| stream.flush()),
        )
    }

    /// Asks a person whether to go on; not with `--yes`, and not in scripts.
    pub(super) fn confirm(self, question: &str, matches: &ArgMatches) -> Result<()> {
        let sure = matches
            .try_get_one::<bool>(YES)
            .ok()
            .flatten()
            .copied()
            .unwrap_or(false);
        if sure || self.agrees(question).unwrap_or(true) {
            return Ok(());
        }
        Err(Error::new(Code::InputDeclined, "not confirmed; nothing was changed").hint("answer `y`, or use `--yes`"))
    }

    /// The answer of the person at the terminal; nothing where it is not interactive.
    pub(super) fn agrees(self, question: &str) -> Option<bool> {
        if !stdin().is_terminal() || !stderr().is_terminal() {
            return None;
        }
        self.err(&format!("{} [y/N] ", text::plain(question)));
        let mut answer = String::new();
        let read = stdin().read_line(&mut answer);
        Some(read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Tells something besides the answer, to people.
    pub(super) fn remark(self, block: &Block) {
        let painted = render::paint(&View::default().and(block.clone()), width());
        self.err(&painted.answer);
        self.err(&painted.remarks);
    }

    /// Prints help or the version, with colours as escape codes.
    pub(super) fn help(self, text: &str) -> Result<()> {
        self.out(text)
    }

    /// Prints bytes as they are.
    pub(super) fn raw(bytes: &[u8]) -> Result<()> {
        written(stdout().write_all(bytes).and_then(|()| stdout().flush()))
    }

    /// Says what went wrong and what can be done: on stderr, and on stdout too where a program reads that.
    pub(super) fn error(self, error: &Error) {
        if self.is_json() {
            // The error is on its way already: that it cannot be printed changes nothing.
            let _ = Self::json(&error.to_json());
        }
        tracing::debug!(code = error.code().as_str(), "the command failed");
        self.err(&render::error(error, width().remarks));
    }

    /// Shows how far long work has come, to a person who is watching.
    pub(super) fn progress(self, done: usize, total: usize, message: &str) {
        if stderr().is_terminal() && !self.is_json() {
            self.err(&render::progress(done, total, message));
        }
    }

    fn out(self, painted: &str) -> Result<()> {
        let mut stream = AutoStream::new(stdout(), self.choice());
        written(stream.write_all(painted.as_bytes()).and_then(|()| stream.flush()))
    }

    fn err(self, painted: &str) {
        // If stderr is closed, there is nowhere to report it.
        let _ = AutoStream::new(stderr(), self.choice()).write_all(painted.as_bytes());
    }

    fn choice(self) -> anstream::ColorChoice {
        match self.look.color {
            ColorChoice::Auto => anstream::ColorChoice::Auto,
            ColorChoice::Always => anstream::ColorChoice::Always,
            ColorChoice::Never => anstream::ColorChoice::Never,
        }
    }
}

/// A reader that hangs up, as `head` does, has had enough: that is no failure.
fn written(outcome: std::io::Result<()>) -> Result<()> {
    match outcome {
        Err(why) if why.kind() != ErrorKind::BrokenPipe => {
            Err(Error::new(Code::StorageFailed, "could not write to standard output")
                .caused_by(why)
                .hint("check where standard output goes"))
        }
        _ => Ok(()),
    }
}

/// The terminals on stdout and stderr, as far as there are any.
fn width() -> Width {
    Width {
        answer: columns(&stdout()),
        remarks: columns(&stderr()),
    }
}

/// The columns of a terminal, also where it has no height, as under `script`.
#[cfg(unix)]
fn columns(stream: &impl std::os::fd::AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

#[cfg(windows)]
fn columns(stream: &impl std::os::windows::io::AsHandle) -> Option<usize> {
    let (terminal_size::Width(columns), _) = terminal_size::terminal_size_of(stream)?;
    Some(usize::from(columns))
}
