//! Where a secret comes from on a terminal: a hidden prompt, a line of stdin, a file. Never an argument.

use std::{
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use clap::{Arg, ArgAction, ArgMatches, ValueHint, value_parser};
use zeroize::Zeroizing;

use super::{env_file::EnvFile, named_file, prompt};
use crate::{
    domain::Secret,
    error::{Code, Error, Result},
};

/// More than the longest key and its line end, and still one buffer that is wiped as a whole.
const MAX_LENGTH: usize = 8 * 1024;

/// Where the secret of this command comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SecretSource {
    Prompt,
    Stdin,
    File(PathBuf),
    /// The provider's variable in a file such as `.env`.
    EnvFile(PathBuf),
}

impl SecretSource {
    /// The options that choose a source, beside the tool's own argument for a variable.
    pub(super) fn options(command: clap::Command) -> clap::Command {
        command
            .arg(Self::stdin_option("Read the key from the first line of standard input").conflicts_with("env_var"))
            .arg(
                Arg::new("from-file")
                    .long("from-file")
                    .value_name("PATH")
                    .value_parser(value_parser!(PathBuf))
                    .value_hint(ValueHint::FilePath)
                    .conflicts_with_all(["env_var", "stdin"])
                    .help("Read the key from a file"),
            )
            .arg(
                Arg::new("from-env-file")
                    .long("from-env-file")
                    .value_name("PATH")
                    .value_parser(value_parser!(PathBuf))
                    .value_hint(ValueHint::FilePath)
                    .conflicts_with_all(["env_var", "stdin", "from-file"])
                    .help("Read the key from the provider's variable in a file such as .env"),
            )
    }

    /// The option `--stdin` alone.
    pub(super) fn stdin_option(help: &'static str) -> Arg {
        Arg::new("stdin").long("stdin").action(ArgAction::SetTrue).help(help)
    }

    /// The source that the options of `matches` name; the prompt where they name none.
    pub(super) fn of(matches: &ArgMatches) -> Self {
        // A command without the options reads from the prompt.
        if let Ok(Some(path)) = matches.try_get_one::<PathBuf>("from-file") {
            Self::File(path.clone())
        } else if let Ok(Some(path)) = matches.try_get_one::<PathBuf>("from-env-file") {
            Self::EnvFile(path.clone())
        } else if let Ok(Some(true)) = matches.try_get_one::<bool>("stdin") {
            Self::Stdin
        } else {
            Self::Prompt
        }
    }

    /// The secret as it was typed, piped or stored, without its line end.
    ///
    /// Fails with `key_required` where there is no terminal to type on. Of a file with variables, the first of
    /// `variables` that it has is read.
    pub(super) fn read(&self, question: &str, variables: &[&str]) -> Result<Secret> {
        match self {
            Self::Prompt => prompt::ask(question),
            Self::Stdin => line(named_file::unbuffered_stdin()?),
            Self::File(path) => line_of(path),
            Self::EnvFile(path) => {
                let file = EnvFile::read(path)?;
                let found: Vec<(&str, Secret)> = variables
                    .iter()
                    .filter_map(|name| Some((*name, file.secret(name)?)))
                    .collect();
                let named = found.first().map(|(name, _)| *name);
                // EXPOSE: only whether there is anything
                let filled = found.into_iter().find(|(_, secret)| !secret.expose().is_empty());
                filled.map(|(_, secret)| secret).ok_or_else(|| {
                    let message = match named {
                        Some(name) => format!("the file has {name}, and it is empty"),
                        None => "the file has none of the provider's variables".to_owned(),
                    };
                    Error::new(Code::VariableMissing, message).hint(format!(
                        "it needs a line such as {}=…",
                        named.or(variables.first().copied()).unwrap_or("NAME")
                    ))
                })
            }
        }
    }
}

/// The next line of `source`, in one buffer that is wiped.
///
/// Byte by byte from an unbuffered source: what follows the line stays there for the next question.
fn line(mut source: impl Read) -> Result<Secret> {
    let mut buffer = Zeroizing::new([0_u8; MAX_LENGTH]);
    let mut filled = 0;
    for byte in buffer.iter_mut() {
        match read_byte(&mut source, byte)? {
            Some(b'\n') | None => break,
            Some(_) => filled += 1,
        }
    }
    if filled == MAX_LENGTH {
        return Err(Error::new(Code::MalformedKey, "the first line is far longer than any key").hint(WHOLE_KEY));
    }
    let line = buffer.get(..filled).unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    // The mark that some editors put before a text.
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok(text) if !text.contains('\0') => Ok(Secret::new(text)),
        // The cause would tell where in the secret; its text is dropped on purpose.
        Ok(_) | Err(_) => {
            Err(Error::new(Code::MalformedKey, "the first line is not valid UTF-8 in UTF-8").hint(WHOLE_KEY))
        }
    }
}

const WHOLE_KEY: &str = "copy the whole key, and nothing else, from the provider's console";

/// Reads one byte into `byte`; nothing at the end of `source`.
fn read_byte(source: &mut impl Read, byte: &mut u8) -> Result<Option<u8>> {
    loop {
        return match source.read(std::slice::from_mut(byte)) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(*byte)),
            Err(why) if why.kind() == ErrorKind::Interrupted => continue,
            Err(why) => Err(Error::new(Code::StorageFailed, "the key could not be read").caused_by(why)),
        };
    }
}

/// The first line of the file at `path`, which no error repeats: it may be a key in the wrong place.
fn line_of(path: &Path) -> Result<Secret> {
    const HINT: &str = "name a file that contains only the key";
    line(named_file::open(path, "the file of `--from-file`", HINT)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_question_takes_one_line() {
        let mut source = &b"first\r\nsecond"[..];
        // EXPOSE: made-up values in a test
        assert_eq!(line(&mut source).expect("readable").expose(), "first");
        // EXPOSE: made-up values in a test
        assert_eq!(line(&mut source).expect("readable").expose(), "second");
    }

    #[test]
    fn only_the_first_line_is_read_and_its_end_is_taken_off() {
        for text in ["secret", "secret\n", "secret\r\n", "secret\nmore\n", "\u{feff}secret\n"] {
            let secret = line(text.as_bytes()).expect("readable");
            // EXPOSE: a made-up value in a test
            assert_eq!(secret.expose(), "secret");
        }
    }

    #[test]
    fn endless_input_is_cut_off() {
        let error = line(std::io::repeat(b'k')).expect_err("too long");
        assert_eq!(error.code(), Code::MalformedKey);
    }

    #[test]
    fn bytes_that_are_not_text_are_refused_without_being_shown() {
        let error = line(&b"sk-\xff\xfe"[..]).expect_err("not text");
        assert_eq!(error.to_string(), "the first line is not valid UTF-8 in UTF-8");
    }

    #[test]
    fn a_device_in_place_of_a_file_is_refused() {
        if cfg!(unix) {
            let error = line_of(Path::new("/dev/zero")).expect_err("a device");
            assert_eq!(error.code(), Code::UnsafeFile);
        }
    }
}
