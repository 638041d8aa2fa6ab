//! The one place where files are written: private from the first byte, whole or not at all.

mod error;
mod folder;
mod foreign;
mod fresh;
mod metadata;
mod swap;
#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(not(unix), path = "elsewhere.rs")]
mod system;

pub(crate) use self::folder::is_unchanged;
pub(super) use self::folder::{TEMPORARY, is_in_place};
pub use self::{
    error::{FileError, Hazard},
    folder::{FileContents, Folder, Written},
    foreign::ForeignFolder,
    fresh::{FreshFile, ScratchFolder},
    metadata::Stamp,
    swap::exchange,
};

#[cfg(test)]
#[cfg(unix)]
mod tests;
