//! The tools: each declared once, in a file of its own.
//!
//! A tool is a struct of arguments. Its doc comment is the description, its fields are the
//! arguments, and [`Tool`] adds the name, the hints and what it does. From the entry in [`TOOLS`]
//! come the MCP tool, the shell command with its help, the table in the README and the schema snapshot.

mod add_api_key;
mod arguments;
mod check_budget;
mod estimate_cost;
mod get_provider_stats;
mod get_routing_recommendations;
mod get_usage;
mod key;
mod list_api_keys;
mod remove_api_key;
mod rotate_key;
mod route_request;
mod schema;
mod track_request;
mod usage_cells;
mod validate_all_keys;
mod validate_key;
pub mod view;

use std::{future::Future, pin::Pin};

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

pub use self::{key::attention, view::View};
pub use crate::services::caller::{Caller, CallerKind, Question};
use crate::{
    app::App,
    domain::Label,
    error::{Code, Error, Result},
    providers,
};

/// Every tool, in the order in which people and models read them.
pub const TOOLS: &[ToolDef] = &[
    ToolDef::of::<add_api_key::AddApiKey>(Area::Keys),
    ToolDef::of::<remove_api_key::RemoveApiKey>(Area::Keys),
    ToolDef::of::<rotate_key::RotateKey>(Area::Keys),
    ToolDef::of::<list_api_keys::ListApiKeys>(Area::Keys),
    ToolDef::of::<validate_key::ValidateKey>(Area::Keys),
    ToolDef::of::<validate_all_keys::ValidateAllKeys>(Area::Keys),
    ToolDef::of::<get_usage::GetUsage>(Area::Usage),
    ToolDef::of::<estimate_cost::EstimateCost>(Area::Usage),
    ToolDef::of::<check_budget::CheckBudget>(Area::Usage),
    ToolDef::of::<track_request::TrackRequest>(Area::Usage),
    ToolDef::of::<route_request::RouteRequest>(Area::Routing),
    ToolDef::of::<get_routing_recommendations::GetRoutingRecommendations>(Area::Routing),
    ToolDef::of::<get_provider_stats::GetProviderStats>(Area::Routing),
];

/// What a tool is about, for those who look for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    Keys,
    Usage,
    Routing,
}

/// One tool, declared by its struct of arguments.
pub trait Tool: DeserializeOwned + JsonSchema + clap::Args + Send + 'static {
    /// The name over MCP.
    const NAME: &'static str;
    /// The name of the shell command.
    const COMMAND: &'static str;
    /// The name people read.
    const TITLE: &'static str;
    /// Words people use when they look for it.
    const SEARCH_HINT: &'static str;
    const HINTS: Hints;
    /// Whether the tool takes a key, which the shell command reads from a prompt, a line, a variable or a file.
    const TAKES_KEY: bool = false;
    type Output: Serialize + JsonSchema;

    /// Whether `text`, given as the argument `name`, may be a key in the wrong place.
    fn holds_key(_name: &str, text: &str) -> bool {
        providers::looks_like_key(text)
    }

    /// Does the work.
    fn call(self, app: &App, caller: &dyn Caller) -> impl Future<Output = Result<Self::Output>> + Send;

    /// The result for people.
    fn view(output: &Self::Output) -> View;
}

/// What a client may assume of a tool before calling it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the protocol's own four hints, each a boolean there"
)]
pub struct Hints {
    pub read_only: bool,
    pub destructive: bool,
    pub idempotent: bool,
    pub open_world: bool,
    /// Ask the person even under allow-lists.
    pub requires_user: bool,
}

impl Hints {
    /// Looks at what is on this machine, and changes nothing.
    const READ_ONLY: Self = Self {
        read_only: true,
        destructive: false,
        idempotent: true,
        open_world: false,
        requires_user: false,
    };
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
    /// The structured result, for whoever gave a command line.
    pub json: Value,
    /// The same as JSON text, for a client.
    pub text: String,
    /// Its form for people, for whoever gave a command line.
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
    const fn of<T: Tool>(area: Area) -> Self {
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
        // A configuration that was never good must not be taken for none: it may forbid what is asked for.
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

/// The label that was given, or the default one.
fn label(text: Option<&str>) -> Result<Label> {
    text.map_or_else(|| Ok(Label::default()), |text| text.parse().map_err(Error::from))
}

/// The name of something of the caller's, as the ledger keeps it.
fn name(argument: &str, text: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(Error::new(
            Code::InvalidArgument,
            format!("argument `{argument}` must be a name without control characters"),
        )
        .hint(format!("leave `{argument}` out where there is none")));
    }
    Ok(text.to_owned())
}

/// The view with its warnings below.
fn with_warnings(view: View, warnings: &[String]) -> View {
    warnings
        .iter()
        .fold(view, |view, warning| view.and(view::Block::Warning(warning.clone())))
}
