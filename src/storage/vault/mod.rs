//! The vault.

pub mod keychain;
