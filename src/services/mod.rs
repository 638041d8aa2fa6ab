//! What the product does, for whoever asks: tools, commands, resources.

pub mod caller;
