//! Where a secret comes from on a terminal: a hidden prompt, a line of stdin, a file. Never an argument.

use std::{
    fs::File,
    io::{ErrorKind, Read, stdin},
    path::{Path, PathBuf},
};

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use zeroize::Zeroizing;

use crate::{
    domain::Secret,
    error::{Code, Error, Result},
};

/// More than the longest key and its line end, and still one buffer that is wiped as a whole.
const LONGEST: usize = 8 * 1024;

/// Where the secret of this command comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SecretSource {
    Prompt,
    Stdin,
    File(PathBuf),
}

impl SecretSource {
    /// The options that choose a source.
    pub(super) fn options(command: clap::Command) -> clap::Command {
        command
            .arg(
                Arg::new("stdin")
                    .long("stdin")
                    .action(ArgAction::SetTrue)
                    .help("Read the key from the first line of standard input"),
            )
            .arg(
                Arg::new("from-file")
                    .long("from-file")
                    .value_name("PATH")
                    .value_parser(value_parser!(PathBuf))
                    .conflicts_with("stdin")
                    .help("Read the key from a file, once"),
            )
    }

    /// The source that the options of `matches` name; the prompt where they name none.
    pub(super) fn of(matches: &ArgMatches) -> Self {
        // A command without the options reads from the prompt.
        if let Ok(Some(path)) = matches.try_get_one::<PathBuf>("from-file") {
            Self::File(path.clone())
        } else if let Ok(Some(true)) = matches.try_get_one::<bool>("stdin") {
            Self::Stdin
        } else {
            Self::Prompt
        }
    }

    /// The secret as it was typed, piped or stored, without its line end.
    ///
    /// Fails with `key_required` where there is no terminal to type on.
    pub(super) fn read(&self, prompt: &str) -> Result<Secret> {
        match self {
            Self::Prompt => ask(prompt),
            Self::Stdin => first_line(stdin().lock()),
            Self::File(path) => first_line_of(path),
        }
    }
}

/// Asks on the terminal itself, whatever stdin and stdout are, without echo.
fn ask(prompt: &str) -> Result<Secret> {
    match rpassword::prompt_password(prompt) {
        Ok(text) => Ok(Secret::new(&Zeroizing::new(text))),
        Err(why) => match why.kind() {
            ErrorKind::Interrupted => Err(Error::new(Code::Interrupted, "interrupted")),
            ErrorKind::UnexpectedEof => Err(Error::new(Code::InputDeclined, "nothing was typed")),
            _ => Err(Error::new(
                Code::KeyRequired,
                "there is no terminal to type the key on, and no other source was named",
            )
            .caused_by(why)),
        },
    }
}

/// The first line of `source`, in one buffer that is wiped.
fn first_line(mut source: impl Read) -> Result<Secret> {
    let mut buffer = Zeroizing::new([0_u8; LONGEST]);
    let mut filled = 0;
    while filled < LONGEST {
        let free = buffer.get_mut(filled..).unwrap_or_default();
        match source.read(free) {
            Ok(0) => break,
            Ok(more) => {
                let fresh = buffer.get(filled..filled + more).unwrap_or_default();
                let ended = fresh.contains(&b'\n');
                filled += more;
                if ended {
                    break;
                }
            }
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(why) => return Err(Error::new(Code::StorageFailed, "the key could not be read").caused_by(why)),
        }
    }
    let bytes = buffer.get(..filled).unwrap_or_default();
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.len() == LONGEST {
        return Err(Error::new(Code::MalformedKey, "the key is longer than 4096 characters")
            .hint("copy the whole key from the provider's console, and nothing else"));
    }
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok(text) => Ok(Secret::new(text)),
        // The cause would tell where in the secret; its text is dropped on purpose.
        Err(_) => Err(Error::new(Code::MalformedKey, "the key is not text")
            .hint("copy the whole key from the provider's console, and nothing else")),
    }
}

/// The first line of the ordinary file at `path`.
fn first_line_of(path: &Path) -> Result<Secret> {
    let shown = path.display();
    let found = std::fs::metadata(path).map_err(|why| {
        let error = if why.kind() == ErrorKind::NotFound {
            Error::new(Code::StorageFailed, format!("there is no file {shown}"))
        } else {
            Error::new(Code::StorageFailed, format!("the file {shown} cannot be read"))
        };
        error
            .caused_by(why)
            .hint("name a file that holds the key and nothing else")
    })?;
    // A pipe or device could block for ever, or never end.
    if !found.is_file() {
        return Err(Error::new(Code::UnsafeFile, format!("{shown} is not an ordinary file"))
            .hint("name a file that holds the key and nothing else; for a pipe use `--stdin`"));
    }
    let file = File::open(path).map_err(|why| {
        Error::new(Code::StorageFailed, format!("the file {shown} cannot be read"))
            .caused_by(why)
            .hint("check that you may read it")
    })?;
    first_line(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_line_is_read_and_its_end_is_taken_off() {
        for text in ["secret", "secret\n", "secret\r\n", "secret\nmore\n"] {
            let secret = first_line(text.as_bytes()).expect("readable");
            // EXPOSE: a made-up value in a test
            assert_eq!(secret.expose(), "secret");
        }
    }

    #[test]
    fn endless_input_is_cut_off() {
        let error = first_line(std::io::repeat(b'k')).expect_err("too long");
        assert_eq!(error.code(), Code::MalformedKey);
    }

    #[test]
    fn bytes_that_are_not_text_are_refused_without_being_shown() {
        let error = first_line(&b"sk-\xff\xfe"[..]).expect_err("not text");
        assert_eq!(error.to_string(), "the key is not text");
    }

    #[test]
    fn a_device_in_place_of_a_file_is_refused() {
        if cfg!(unix) {
            let error = first_line_of(Path::new("/dev/zero")).expect_err("a device");
            assert_eq!(error.code(), Code::UnsafeFile);
        }
    }
}
