//! An MCP server that does nothing: thirteen tools, one fixed answer. What any server built on the
//! same library costs, to measure ours against.

use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, Implementation, ListToolsResult,
        PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
    transport::stdio_pipes,
};
use serde_json::{Map, json};

struct Bare {
    tools: Vec<Tool>,
}

impl ServerHandler for Bare {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("bare", "0.0.0"))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.clone()))
    }

    async fn call_tool(
        &self,
        _: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        Ok(CallToolResult::structured(json!({"keys": [], "total_count": 0})).into())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let schema: Map<_, _> = [
        ("type".to_owned(), json!("object")),
        ("properties".to_owned(), json!({})),
    ]
    .into_iter()
    .collect();
    let tools = (0..13)
        .map(|number| Tool::new(format!("tool_{number}"), "Does nothing", schema.clone()))
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let running = Bare { tools }.serve(stdio_pipes()).await?;
        running.waiting().await?;
        Ok(())
    })
}
