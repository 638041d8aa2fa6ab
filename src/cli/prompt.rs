//! A question on the terminal whose answer is not shown.

use crate::{
    domain::Secret,
    error::{Code, Error, Result},
};

/// Asks on the terminal itself, whatever stdin and stdout are, without echo.
///
/// Fails with `key_required` where there is no terminal, `input_declined` where nothing is typed.
pub(super) fn ask(prompt: &str) -> Result<Secret> {
    let secret = system::ask(prompt)?;
    // EXPOSE: only whether there is anything
    if secret.expose().is_empty() {
        return Err(Error::new(Code::InputDeclined, "nothing was typed").hint("run the command again"));
    }
    Ok(secret)
}

fn no_terminal(why: std::io::Error) -> Error {
    Error::new(
        Code::KeyRequired,
        "no terminal to type the key in, and no other source given",
    )
    .caused_by(why)
}

#[cfg(unix)]
mod system {
    use std::{
        fs::File,
        io::{ErrorKind, Read, Write},
    };

    use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
    use zeroize::Zeroizing;

    use crate::{
        domain::Secret,
        error::{Code, Error, Result},
    };

    /// More than the longest key.
    const MAX_TYPED_BYTES: usize = 8 * 1024;

    pub(super) fn ask(prompt: &str) -> Result<Secret> {
        let terminal = File::options()
            .read(true)
            .write(true)
            .open("/dev/tty")
            .map_err(super::no_terminal)?;
        // Before the question: what is typed at once is hidden too. Our own reading of the line instead of a crate's,
        // since that one leaves the terminal without echo when Ctrl-C ends the process.
        let hidden = Hidden::hide(&terminal).map_err(|why| super::no_terminal(why.into()))?;
        let outcome = (&terminal)
            .write_all(prompt.as_bytes())
            .map_err(super::no_terminal)
            .and_then(|()| line(&mut &terminal));
        // The line end that was typed was not shown either.
        let _ = (&terminal).write_all(b"\r\n");
        drop(hidden);
        outcome
    }

    /// Shows what is typed again when dropped.
    struct Hidden<'a> {
        terminal: &'a File,
        before: Termios,
    }

    impl<'a> Hidden<'a> {
        fn hide(terminal: &'a File) -> rustix::io::Result<Hidden<'a>> {
            let before = tcgetattr(terminal)?;
            let mut hidden = before.clone();
            // Also no line editing by the system, which would cut a line at 4,096 characters.
            hidden
                .local_modes
                .remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
            hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
            hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
            tcsetattr(terminal, OptionalActions::Now, &hidden)?;
            Ok(Hidden { terminal, before })
        }
    }

    impl Drop for Hidden<'_> {
        fn drop(&mut self) {
            let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
        }
    }

    /// What is typed up to the line end, in one buffer that is wiped.
    pub(super) fn line(terminal: &mut impl Read) -> Result<Secret> {
        let mut typed = Zeroizing::new([0_u8; MAX_TYPED_BYTES]);
        let mut length = 0;
        while let Some(byte) = next(terminal)? {
            match byte {
                // Ctrl-D ends a line too.
                b'\r' | b'\n' | 0x04 => break,
                // Backspace takes a whole character, however many bytes that is.
                0x08 | 0x7f => {
                    while length > 0 {
                        length -= 1;
                        if typed.get(length).is_none_or(|byte| byte & 0xc0 != 0x80) {
                            break;
                        }
                    }
                }
                // Ctrl-U, Ctrl-W: a secret has no words.
                0x15 | 0x17 => length = 0,
                0x03 => return Err(Error::new(Code::Interrupted, "interrupted").hint("nothing was changed")),
                0x1b => skip_sequence(terminal)?,
                byte if byte < 0x20 => {}
                byte => match typed.get_mut(length) {
                    Some(place) => {
                        *place = byte;
                        length += 1;
                    }
                    None => return Err(Error::new(Code::MalformedKey, "the input is far longer than any key")),
                },
            }
        }
        let typed = typed.get(..length).unwrap_or_default();
        std::str::from_utf8(typed)
            .map(Secret::new)
            .map_err(|_| Error::new(Code::MalformedKey, "the input is not valid UTF-8"))
    }

    /// Skips what an arrow key, or a terminal that brackets what is pasted, sends after Escape.
    fn skip_sequence(terminal: &mut impl Read) -> Result<()> {
        if matches!(next(terminal)?, Some(b'[' | b'O')) {
            while next(terminal)?.is_some_and(|byte| !(0x40..=0x7e).contains(&byte)) {}
        }
        Ok(())
    }

    fn next(terminal: &mut impl Read) -> Result<Option<u8>> {
        let mut byte = Zeroizing::new([0_u8]);
        loop {
            match terminal.read(&mut *byte) {
                Ok(0) => return Ok(None),
                Ok(_) => return Ok(byte.first().copied()),
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(why) => return Err(super::no_terminal(why)),
            }
        }
    }
}

#[cfg(not(unix))]
mod system {
    use zeroize::Zeroizing;

    use crate::{domain::Secret, error::Result};

    pub(super) fn ask(prompt: &str) -> Result<Secret> {
        let typed = rpassword::prompt_password(prompt)
            .map(Zeroizing::new)
            .map_err(super::no_terminal)?;
        Ok(Secret::new(&typed))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_edited_as_people_expect() {
        for (typed, read) in [
            ("secret\r", "secret"),
            ("secreX\u{7f}t\nrest", "secret"),
            ("wroné\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}right\r", "right"),
            ("wrong\u{15}right\r", "right"),
            ("se\u{1b}[D\u{1b}OAcret\r", "secret"),
            ("\u{1b}[200~pasted\u{1b}[201~\r", "pasted"),
            ("no line end", "no line end"),
            ("\r", ""),
        ] {
            let secret = system::line(&mut typed.as_bytes()).expect("readable");
            // EXPOSE: made-up values in a test
            assert_eq!(secret.expose(), read, "{typed:?}");
        }
        let interrupted = system::line(&mut "half\u{3}".as_bytes()).expect_err("interrupted");
        assert_eq!(interrupted.code(), Code::Interrupted);
    }
}
