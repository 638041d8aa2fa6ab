//! What the product does, for whoever asks: tools, commands, resources.

pub mod caller;
pub mod injection;
pub mod keys;
pub mod rotation;
pub mod undo;
pub mod validation;
pub mod vault;
