//! Why a log could not be read.

use std::{fmt, io};

/// Why a log could not be read, or not to its end. What was read before stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogFault {
    /// The system refused it.
    Unreadable(io::ErrorKind),
    /// Its program is writing it just now.
    Locked,
    /// It is not of a form that is known here.
    UnknownForm(&'static str),
    /// A line, or a file that has to be read whole, is longer than what is read.
    TooLong,
}

impl From<io::Error> for LogFault {
    fn from(why: io::Error) -> Self {
        Self::Unreadable(why.kind())
    }
}

impl fmt::Display for LogFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(kind) => write!(f, "cannot be read: {kind}"),
            Self::Locked => f.write_str("is locked by its program; it is read next time"),
            Self::UnknownForm(what) => write!(f, "is of an unknown form: {what}"),
            Self::TooLong => f.write_str("is too large to be read"),
        }
    }
}

impl std::error::Error for LogFault {}
