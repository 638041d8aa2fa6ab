//! The tools as the dashboard calls them: by name, for their results as clients get them or as people see them.

use serde_json::{Map, Value, value::RawValue};

use crate::{
    app::App,
    error::{Code, Error, Result},
    tools::{Caller, Input, TOOLS, ToolDef, View},
};

/// The result of the tool `name` as a client gets it.
pub(super) async fn call(
    app: &App,
    caller: &dyn Caller,
    name: &str,
    arguments: Map<String, Value>,
) -> Result<Box<RawValue>> {
    let tool = named(name)?;
    let schema = (tool.input_schema)();
    let input = Input::Json {
        arguments,
        schema: &schema,
    };
    let output = (tool.call)(app, caller, input).await?;
    RawValue::from_string(output.text).map_err(|why| Error::new(Code::Internal, "a result is not JSON").caused_by(why))
}

/// The result of the tool `name` as people see it on a command line with these words.
pub(super) async fn view(app: &App, caller: &dyn Caller, name: &str, words: &[&str]) -> Result<View> {
    let tool = named(name)?;
    let matches = (tool.augment)(clap::Command::new(tool.name).no_binary_name(true))
        .try_get_matches_from(words)
        .map_err(|_| {
            Error::new(Code::InvalidArgument, "the address has a value that is not known").hint("start at /")
        })?;
    let output = (tool.call)(app, caller, Input::Matches(&matches)).await?;
    Ok(output.view)
}

fn named(name: &str) -> Result<&'static ToolDef> {
    let unknown = || Error::new(Code::Internal, "a tool is missing");
    TOOLS.iter().find(|tool| tool.name == name).ok_or_else(unknown)
}
