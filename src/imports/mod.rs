//! What other programs keep of keys and usage, read and never changed.

pub mod command_center;
pub mod sources;
