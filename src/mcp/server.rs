//! What the server answers.

use std::{
    pin::pin,
    sync::{Arc, Mutex},
};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestMethod, CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestMethod,
        CompleteRequestParams, CompleteResult, CompletionInfo, ConstString, ContentBlock, CustomRequest, CustomResult,
        ErrorCode, GetPromptRequestMethod, GetPromptRequestParams, GetPromptResponse, GetPromptResult,
        ListPromptsRequestMethod, ListPromptsResult, ListResourceTemplatesRequestMethod, ListResourcesRequestMethod,
        ListResourcesResult, ListToolsRequestMethod, ListToolsResult, PaginatedRequestParams,
        ProgressNotificationParam, PromptMessage, PromptReference, ReadResourceRequestMethod,
        ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, Reference, ResourceContents, Role,
        ServerConfig, SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
    },
    service::{RequestContext, SubscriptionContext},
};
use tokio::sync::mpsc;

use super::{
    caller::{ANSWER_TIMEOUT, CallerContext, McpCaller, lock},
    describe,
    guard::guarded,
    lines::Ends,
    message::is_key,
    rounds::{self, Rounds},
    subscriptions::{self, Subscriptions},
};
use crate::{
    app::App,
    error::{Code, Error},
    intake::Intake,
    prompts::{PROMPTS, PromptDef},
    resources::{MIME_TYPE, RESOURCES, ResourceDef},
    tools::{Input, TOOLS, ToolDef},
};

/// The methods with parameters that every revision of the protocol has.
const SERVED: [&str; 8] = [
    ListToolsRequestMethod::VALUE,
    CallToolRequestMethod::VALUE,
    ListResourcesRequestMethod::VALUE,
    ListResourceTemplatesRequestMethod::VALUE,
    ReadResourceRequestMethod::VALUE,
    ListPromptsRequestMethod::VALUE,
    GetPromptRequestMethod::VALUE,
    CompleteRequestMethod::VALUE,
];

/// One client's server: everything it shows is built once.
pub(super) struct Server {
    app: Arc<App>,
    defs: &'static [ToolDef],
    tools: Vec<Tool>,
    config: ServerConfig,
    desk: CallerContext,
    subscriptions: Arc<Subscriptions>,
}

impl Server {
    pub(super) fn new(app: Arc<App>, ends: &Ends) -> Self {
        let desk = CallerContext {
            intake: Intake::default(),
            rounds: Rounds::new(),
            patience: ANSWER_TIMEOUT,
            gone: ends.gone.clone(),
            over: ends.over.clone(),
        };
        Self::with(app, TOOLS, desk)
    }

    /// A server of `defs` that asks at `desk`.
    pub(super) fn with(app: Arc<App>, defs: &'static [ToolDef], desk: CallerContext) -> Self {
        Self {
            app,
            defs,
            tools: defs.iter().map(describe::tool).collect(),
            config: describe::server(defs),
            subscriptions: Arc::new(Subscriptions::new(desk.gone.clone())),
            desk,
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

    /// Refuses without repeating the method's name, which may be anything.
    ///
    /// A request of ours with unreadable parameters comes here as well.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        if SERVED.contains(&request.method.as_str()) {
            return Err(ErrorData::invalid_params(
                "the parameters do not have the form of this method",
                None,
            ));
        }
        Err(ErrorData::new(
            ErrorCode::METHOD_NOT_FOUND,
            "there is no method of that name",
            None,
        ))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let mut known = self.defs.iter().zip(&self.tools);
        let Some((def, tool)) = known.find(|(def, _)| def.name == request.name) else {
            // The name is not repeated: it may be anything, a key too.
            return Err(ErrorData::invalid_params("there is no tool of that name", None));
        };
        let arguments = request.arguments.unwrap_or_default();
        let call = rounds::call_of(def.name, &arguments);
        let resumed = match request.request_state {
            Some(state) => match self.desk.rounds.open(&state, &call, request.input_responses.as_ref()) {
                Ok(resumed) => Some(resumed),
                Err(error) => return Ok(CallToolResult::structured_error(error.to_json()).into()),
            },
            None => None,
        };
        let (sender, mut news) = mpsc::unbounded_channel();
        let client = McpCaller {
            app: &self.app,
            desk: &self.desk,
            context: &context,
            call,
            resumed: Mutex::new(resumed),
            needed: Mutex::default(),
            used: Mutex::default(),
            // The token is repeated.
            progress: context
                .meta
                .get_progress_token()
                .filter(|token| !is_key(&token.0))
                .map(|token| (token, sender)),
        };
        let outcome = {
            let schema = tool.input_schema.as_ref();
            let input = Input::Json { arguments, schema };
            let mut work = pin!(guarded((def.call)(&self.app, &client, input)));
            loop {
                tokio::select! {
                    biased;
                    Some(news) = news.recv() => tell(&context, news).await,
                    outcome = &mut work => break outcome,
                    // The client has dropped the call and takes no answer.
                    () = context.ct.cancelled() => break Err(Error::new(Code::Interrupted, "the call was cancelled")),
                    () = self.desk.over.cancelled() => {
                        break Err(Error::new(Code::Interrupted, "the client hung up before the call was done")
                            .hint("keep the server's input open until the answer is there"));
                    }
                }
            }
        };
        while let Ok(news) = news.try_recv() {
            tell(&context, news).await;
        }
        client.finish(&outcome);
        if !def.hints.read_only {
            self.subscriptions.look_again();
        }
        if let Some(needed) = lock(&client.needed).take() {
            return Ok(needed.into());
        }
        Ok(match outcome {
            // The structured result is the same text, which `message::write` adds.
            Ok(answer) => CallToolResult::success(vec![ContentBlock::text(answer.text)]),
            Err(error) => CallToolResult::structured_error(error.to_json()),
        }
        .into())
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let resources = RESOURCES.iter().map(describe::resource).collect();
        Ok(ListResourcesResult::with_all_items(resources))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let def = find(&request.uri)?;
        let contents = guarded((def.read)(&self.app))
            .await
            .map_err(|error| ErrorData::internal_error(error.message().to_owned(), Some(error.to_json())))?;
        let contents = ResourceContents::text(contents.to_string(), def.uri).with_mime_type(MIME_TYPE);
        Ok(ReadResourceResult::new(vec![contents]).into())
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let prompts = PROMPTS.iter().map(describe::prompt).collect();
        Ok(ListPromptsResult::with_all_items(prompts))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let def = prompt(&request.name)?;
        let text = def
            .text(&request.arguments.unwrap_or_default())
            .map_err(|error| ErrorData::invalid_params(error.message().to_owned(), Some(error.to_json())))?;
        let messages = vec![PromptMessage::new_text(Role::User, text)];
        Ok(GetPromptResult::new(messages)
            .with_description(def.description())
            .into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        // Resources have no variables, so there is nothing to complete in their addresses.
        let Reference::Prompt(PromptReference { name, .. }) = &request.r#ref else {
            return Ok(CompleteResult::default());
        };
        let mut arguments = prompt(name)?.arguments.iter();
        let Some(argument) = arguments.find(|argument| argument.name == request.argument.name) else {
            return Err(ErrorData::invalid_params(
                "the prompt has no argument of that name",
                None,
            ));
        };
        let context = request.context.unwrap_or_default();
        let provider = context.get_argument("provider").map(String::as_str);
        let complete = argument.values.complete(&self.app, &request.argument.value, provider);
        let mut values = guarded(async { Ok(complete.await) }).await.unwrap_or_default();
        let total = values.len();
        values.truncate(CompletionInfo::MAX_VALUES);
        let has_more = total > values.len();
        let completion = CompletionInfo::with_pagination(values, u32::try_from(total).ok(), has_more)
            .map_err(|_| ErrorData::internal_error("the values could not be listed", None))?;
        Ok(CompleteResult::new(completion))
    }

    // Sessions (2025-11-25 and earlier) subscribe to one resource after another ...
    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.subscriptions
            .subscribe(&self.app, &context.peer, find(&request.uri)?);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.subscriptions.unsubscribe(find(&request.uri)?);
        Ok(())
    }

    // ... later clients keep one request open that says what they want to hear of.
    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        let known = requested
            .resource_subscriptions
            .iter()
            .flatten()
            .filter(|uri| subscriptions::resource(uri).is_some());
        Some(SubscriptionFilter::builder().resource_subscriptions(known).build())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        tokio::select! {
            () = self.subscriptions.follow(&self.app, context.sink()) => {}
            () = context.cancelled() => {}
        }
        Ok(())
    }
}

/// The prompt of that name; a name that is none is not repeated.
fn prompt(name: &str) -> Result<&'static PromptDef, ErrorData> {
    PromptDef::named(name).ok_or_else(|| ErrorData::invalid_params("there is no prompt of that name", None))
}

/// The resource at `uri`; an address that is none is not repeated.
fn find(uri: &str) -> Result<&'static ResourceDef, ErrorData> {
    subscriptions::resource(uri)
        .ok_or_else(|| ErrorData::resource_not_found("there is no resource at that address", None))
}

/// Tells of progress; a client that does not hear it misses nothing else.
async fn tell(context: &RequestContext<RoleServer>, news: ProgressNotificationParam) {
    let _ = context.peer.notify_progress(news).await;
}
