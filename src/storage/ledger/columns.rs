//! Values of columns, read back.

use jiff::Timestamp;
use rusqlite::types::Type;

/// A stored time, in milliseconds.
pub(super) fn time(millisecond: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(millisecond).map_err(|_| strange("a time"))
}

/// A value that this program did not write.
pub(super) fn strange(what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Null, format!("{what} that it cannot hold").into())
}
