//! What the server answers.

use std::{future::Future, pin::Pin, sync::Arc};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ListToolsResult, PaginatedRequestParams, ServerConfig,
        Tool,
    },
    service::RequestContext,
};

use super::{describe, guard::guarded};
use crate::{
    app::App,
    domain::Secret,
    error::{Code, Error, Result},
    tools::{Caller, CallerKind, Input, Question, TOOLS, ToolDef},
};

/// One client's server: everything it shows is built once.
pub(super) struct Server {
    app: Arc<App>,
    defs: &'static [ToolDef],
    tools: Vec<Tool>,
    config: ServerConfig,
}

impl Server {
    pub(super) fn new(app: Arc<App>) -> Self {
        Self {
            app,
            defs: TOOLS,
            tools: TOOLS.iter().map(describe::tool).collect(),
            config: describe::server(TOOLS),
        }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        self.config.clone()
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.clone()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(def) = self.defs.iter().find(|def| def.name == request.name) else {
            // The name is not repeated: it may be anything, a key too.
            return Err(ErrorData::invalid_params("there is no tool of that name", None));
        };
        let caller = Client {
            name: client_name(&context),
        };
        let call = (def.call)(&self.app, &caller, Input::Json(request.arguments.unwrap_or_default()));
        let result = match guarded(call).await {
            Ok(answer) => CallToolResult::structured(answer.json),
            Err(error) => CallToolResult::structured_error(error.to_json()),
        };
        Ok(result.into())
    }
}

/// The client's name and version, cleaned and cut: it is whatever the other side says.
fn client_name(context: &RequestContext<RoleServer>) -> String {
    let Some(info) = context.client_info() else {
        return "unknown".to_owned();
    };
    format!("{}/{}", info.name, info.version)
        .chars()
        .filter(|c| c.is_ascii_graphic())
        .take(64)
        .collect()
}

struct Client {
    name: String,
}

impl Caller for Client {
    fn kind(&self) -> CallerKind {
        CallerKind::Mcp {
            client: self.name.clone(),
        }
    }

    fn ask<'a>(&'a self, _question: Question) -> Pin<Box<dyn Future<Output = Result<Secret>> + Send + 'a>> {
        Box::pin(async move { Err(Error::new(Code::KeyRequired, "this client cannot be asked for a key")) })
    }

    fn progress(&self, _done: usize, _total: usize, _message: &str) {}
}
