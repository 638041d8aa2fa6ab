//! Why a log could not be read.

use std::io;

/// Why a log could not be read, or not to its end. What was read before stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogFault {
    /// The system refused it.
    #[error("cannot be read: {0}")]
    Unreadable(io::ErrorKind),
    /// Its program is writing it just now.
    #[error("is locked by its program; it is read next time")]
    Locked,
    /// It is not of a form that is known here.
    #[error("is of an unknown form: {0}")]
    UnknownForm(&'static str),
    /// A line, or a file that has to be read whole, is longer than what is read.
    #[error("is too large to be read")]
    TooLong,
}

impl From<io::Error> for LogFault {
    fn from(why: io::Error) -> Self {
        Self::Unreadable(why.kind())
    }
}
