//! Files that a person named on the command line: read once, bounded, into memory that is wiped.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read, stdin},
    path::Path,
};

use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};

/// The names of standard input; opened by name, some kinds of it fail.
const STDIN: [&str; 3] = ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];

/// A file, or a pipe such as a shell puts in a file's place, opened for reading; no error repeats its name.
pub(super) fn open(path: &Path, what: &str, hint: &str) -> Result<File> {
    if STDIN.iter().any(|name| path == Path::new(name)) {
        return unbuffered_stdin();
    }
    let unreadable = |why: std::io::Error| {
        let said = if why.kind() == ErrorKind::NotFound {
            "does not exist"
        } else {
            "cannot be read"
        };
        Error::new(Code::StorageFailed, format!("{what} {said}"))
            .caused_by(why)
            .hint(hint)
    };
    let found = fs::metadata(path).map_err(unreadable)?;
    if !found.is_file() && !is_pipe(&found) {
        return Err(Error::new(Code::UnsafeFile, format!("{what} is neither a file nor a pipe")).hint(hint));
    }
    File::open(path).map_err(unreadable)
}

/// All of such a file, of at most `longest` bytes.
pub(super) fn read(path: &Path, longest: usize, what: &str, hint: &str) -> Result<Zeroizing<Vec<u8>>> {
    let mut file = open(path, what, hint)?;
    // A buffer that never grows leaves no copy behind; one more byte tells whether there is more.
    let mut bytes = Zeroizing::new(vec![0; longest + 1]);
    let mut filled = 0;
    while let Some(rest @ [_, ..]) = bytes.get_mut(filled..) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(why) => {
                return Err(Error::new(Code::StorageFailed, format!("{what} cannot be read"))
                    .caused_by(why)
                    .hint(hint));
            }
        }
    }
    if filled > longest {
        return Err(Error::new(Code::UnsafeFile, format!("{what} is longer than {longest} bytes")).hint(hint));
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// The text that `bytes` are in UTF-8, without the mark that some editors put before it.
pub(super) fn text<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let wide = [b"\xff\xfe", b"\xfe\xff"].iter().any(|mark| bytes.starts_with(*mark));
    if wide || bytes.contains(&0) {
        return Err(
            Error::new(Code::StorageFailed, format!("{what} is UTF-16, or no text at all"))
                .hint("save it as UTF-8, which every program reads"),
        );
    }
    std::str::from_utf8(bytes).map_err(|why| {
        let before = bytes.get(..why.valid_up_to()).unwrap_or_default();
        let line = 1 + before.split(|byte| *byte == b'\n').skip(1).count();
        // The cause would tell where in a secret; its text is dropped on purpose.
        Error::new(
            Code::StorageFailed,
            format!("{what} is not UTF-8: a character of line {line} is damaged or in another encoding"),
        )
        .hint("save it as UTF-8, which every program reads")
    })
}

/// Standard input without the standard library's buffer, which nobody wipes.
pub(super) fn unbuffered_stdin() -> Result<File> {
    #[cfg(unix)]
    let owned = std::os::fd::AsFd::as_fd(&stdin()).try_clone_to_owned();
    #[cfg(windows)]
    let owned = std::os::windows::io::AsHandle::as_handle(&stdin()).try_clone_to_owned();
    owned
        .map(File::from)
        .map_err(|why| Error::new(Code::StorageFailed, "standard input cannot be read").caused_by(why))
}

#[cfg(unix)]
fn is_pipe(found: &fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&found.file_type())
}

#[cfg(not(unix))]
fn is_pipe(_: &fs::Metadata) -> bool {
    false
}
