//! How models and prices are written in files: strict, with a version, numbers exact.

mod file;
mod rates;
mod scalars;

pub use self::file::Overlay;
pub(super) use self::file::{built_in, packed};
