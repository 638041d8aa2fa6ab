//! The prompts: the slash commands of the coding client, for every other client too.
//!
//! Each is one file below `commands/`, with front matter as that client wants it. From it and the entry in [`PROMPTS`]
//! come the slash command that `setup` installs, the plugin's, and the prompt over MCP with its arguments.

mod prompt;
mod values;

pub use self::{
    prompt::{ArgumentDef, PROMPTS, PromptDef},
    values::Values,
};
