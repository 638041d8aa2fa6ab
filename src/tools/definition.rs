//! A tool as data, and how it is called.

use std::{future::Future, pin::Pin};

use serde_json::{Map, Value};

use super::{
    arguments, schema,
    tool::{Hints, Tool},
    view::View,
};
use crate::{
    app::App,
    error::{Code, Error, Result},
    services::caller::Caller,
};

/// What a tool is about, for those who look for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    Keys,
    Usage,
    Routing,
}

/// What a call came with.
#[derive(Debug)]
pub enum Input<'a> {
    /// Arguments over MCP, and the [schema](ToolDef::input_schema) that the client was shown.
    Json {
        arguments: Map<String, Value>,
        schema: &'a Map<String, Value>,
    },
    /// A parsed command line.
    Matches(&'a clap::ArgMatches),
}

/// What a call answers.
#[derive(Debug, Default)]
pub struct ToolOutput {
    /// The structured result, for a command line.
    pub json: Value,
    /// The same as JSON text, for a client.
    pub text: String,
    /// Its form for people, for a command line.
    pub view: View,
}

type CallFn =
    for<'a> fn(&'a App, &'a dyn Caller, Input<'a>) -> Pin<Box<dyn Future<Output = Result<ToolOutput>> + Send + 'a>>;

/// A tool as data: what every surface is made from.
#[derive(Debug, Clone, Copy)]
pub struct ToolDef {
    pub area: Area,
    pub name: &'static str,
    pub command: &'static str,
    pub title: &'static str,
    pub search_hint: &'static str,
    pub hints: Hints,
    pub takes_key: bool,
    /// Whether a text, given as the argument of that name, may be a key in the wrong place.
    pub holds_key: fn(&str, &str) -> bool,
    /// JSON schema of the arguments; its `description` is the tool's.
    pub input_schema: fn() -> Map<String, Value>,
    /// JSON schema of the structured result.
    pub output_schema: fn() -> Map<String, Value>,
    /// Adds the arguments to a shell command.
    pub augment: fn(clap::Command) -> clap::Command,
    pub call: CallFn,
}

impl Area {
    pub const ALL: [Self; 3] = [Self::Keys, Self::Usage, Self::Routing];

    /// What its tools are for, in a line.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Keys => "Keys (store, replace, remove, list, check at the provider)",
            Self::Usage => "Usage and money (what was used, what it cost or would cost, what the budget leaves)",
            Self::Routing => "Choosing (which provider, model and key should take a request, and how they are doing)",
        }
    }
}

impl ToolDef {
    /// The declaration of `T`.
    pub(super) const fn of<T: Tool>(area: Area) -> Self {
        Self {
            area,
            name: T::NAME,
            command: T::COMMAND,
            title: T::TITLE,
            search_hint: T::SEARCH_HINT,
            hints: T::HINTS,
            takes_key: T::TAKES_KEY,
            holds_key: T::holds_key,
            input_schema: schema::input_schema::<T>,
            output_schema: schema::output_schema::<T::Output>,
            augment: T::augment_args,
            call: call::<T>,
        }
    }
}

/// Reads the input as `T`'s arguments, does the work, and gives the result in both forms.
fn call<'a, T: Tool>(
    app: &'a App,
    caller: &'a dyn Caller,
    input: Input<'a>,
) -> Pin<Box<dyn Future<Output = Result<ToolOutput>> + Send + 'a>> {
    let is_for_people = matches!(input, Input::Matches(_));
    let tool = match input {
        Input::Json { arguments, schema } => arguments::read::<T>(arguments, schema),
        Input::Matches(matches) => {
            T::from_arg_matches(matches).map_err(|_| Error::new(Code::Internal, "the command line was not understood"))
        }
    };
    Box::pin(async move {
        // A configuration that was never valid must not be taken for none: it may forbid the call.
        let outcome = match (app.settings().required(), tool) {
            (Ok(_), Ok(tool)) => tool.call(app, caller).await,
            (Err(why), Ok(_)) => Err(why.into()),
            (_, Err(why)) => Err(why),
        };
        match &outcome {
            Ok(_) => tracing::info!(tool = T::NAME, caller = %caller.kind(), "done"),
            Err(why) => tracing::info!(tool = T::NAME, caller = %caller.kind(), error = why.code().as_str(), "failed"),
        }
        let output = outcome?;
        let unwritten = |why| Error::new(Code::Internal, "the result could not be written").caused_by(why);
        Ok(if is_for_people {
            ToolOutput {
                json: serde_json::to_value(&output).map_err(unwritten)?,
                view: T::view(&output),
                ..ToolOutput::default()
            }
        } else {
            ToolOutput {
                text: serde_json::to_string(&output).map_err(unwritten)?,
                ..ToolOutput::default()
            }
        })
    })
}
