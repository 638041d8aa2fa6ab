//! Claude Code, and the local mode of Claude Desktop, which writes the same.
//!
//! A line with `message.usage` is a state of one message: its output grows until the message is complete, and forks,
//! resumed sessions and background sessions copy the lines of their past into files of their own. The message's id and
//! the request's together recognize a request; where a gateway in between drops the request's id, or gives every message
//! the same id, the time and the counts are needed beside it.

use std::{borrow::Cow, collections::VecDeque, path::Path, sync::Arc};

use serde::Deserialize;

use super::{
    agent::{Agent, LogReader},
    fault::LogFault,
    files::{self, LogFile},
    json::{Count, LogText},
    lines,
    request::{LogKind, LogReading, LoggedRequest},
};
use crate::{
    domain::{Service, TokenCounts},
    settings::Machine,
};

pub(super) const AGENT: Agent = Agent {
    name: "claude-code",
    title: "Claude Code",
    places: &[
        "~/.claude/projects",
        "~/.config/claude/projects",
        "Claude/local-agent-mode-sessions in the folder of applications' settings",
    ],
    variable: Some(VARIABLE),
    what: "each message, with those of subagents and workflows; copies in forks and resumed sessions count once",
    find,
    reader: |_| Box::new(ClaudeLogs),
};

const VARIABLE: &str = "CLAUDE_CONFIG_DIR";
/// The end of the name of every count: it stands in the lines that report usage, and in few others, as in texts the
/// quotation mark is escaped.
const WORD: &[u8] = b"_tokens\"";
/// The model of messages that the program made up itself.
const SYNTHETIC: &str = "<synthetic>";
/// How many messages may be under way at once in one file.
const MOST_OPEN: usize = 32;

fn find(machine: &Machine) -> Vec<LogFile> {
    let mut roots = match machine.named_by(VARIABLE) {
        Some(named) => {
            let named = named.to_string_lossy().into_owned();
            named
                .split(',')
                .map(|root| Path::new(root.trim()).join("projects"))
                .collect()
        }
        None => vec![
            machine.home().join(".claude/projects"),
            machine.home().join(".config/claude/projects"),
        ],
    };
    roots.dedup();
    let is_log = |path: &Path| files::ends_with(path, "jsonl");
    let mut found: Vec<LogFile> = roots.iter().flat_map(|root| files::below(root, &is_log)).collect();
    // Beside the logs of Desktop's sessions lies much else.
    let is_desktops = |path: &Path| is_log(path) && path.components().any(|part| part.as_os_str() == "projects");
    let desktop = machine.configuration().join("Claude/local-agent-mode-sessions");
    found.extend(files::below(&desktop, &is_desktops));
    found.sort_by(|one, other| (one.created, &one.path).cmp(&(other.created, &other.path)));
    found.dedup_by(|one, other| one.path == other.path);
    found
}

struct ClaudeLogs;

/// A line that may report usage; all else in it is passed over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaudeLine<'a> {
    #[serde(borrow, default)]
    timestamp: LogText<'a>,
    #[serde(borrow, default)]
    session_id: LogText<'a>,
    #[serde(borrow, default)]
    request_id: LogText<'a>,
    #[serde(borrow, default)]
    uuid: LogText<'a>,
    #[serde(borrow, default)]
    cwd: LogText<'a>,
    #[serde(borrow, default)]
    session_kind: LogText<'a>,
    #[serde(borrow, default)]
    message: Option<ClaudeMessage<'a>>,
}

#[derive(Deserialize)]
struct ClaudeMessage<'a> {
    #[serde(borrow, default)]
    id: LogText<'a>,
    #[serde(borrow, default)]
    model: LogText<'a>,
    #[serde(borrow, default)]
    usage: Option<ClaudeUsage<'a>>,
}

#[derive(Deserialize, Default)]
struct ClaudeUsage<'a> {
    #[serde(default)]
    input_tokens: Count,
    #[serde(default)]
    output_tokens: Count,
    #[serde(default)]
    cache_read_input_tokens: Count,
    #[serde(default)]
    cache_creation_input_tokens: Count,
    #[serde(default)]
    cache_creation: Option<CacheCreation>,
    #[serde(default)]
    server_tool_use: Option<ServerTools>,
    #[serde(borrow, default)]
    service_tier: LogText<'a>,
    #[serde(borrow, default)]
    speed: LogText<'a>,
    #[serde(borrow, default)]
    inference_geo: LogText<'a>,
    #[serde(borrow, default)]
    iterations: Option<Vec<ClaudeIteration<'a>>>,
}

#[derive(Deserialize, Default, Clone, Copy)]
struct CacheCreation {
    #[serde(default)]
    ephemeral_5m_input_tokens: Count,
    #[serde(default)]
    ephemeral_1h_input_tokens: Count,
}

#[derive(Deserialize, Default)]
struct ServerTools {
    #[serde(default)]
    web_search_requests: Count,
}

/// One of several runs of the model for one message; the counts at the top are of the runs that answered.
#[derive(Deserialize)]
struct ClaudeIteration<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: LogText<'a>,
    #[serde(borrow, default)]
    model: LogText<'a>,
    #[serde(default)]
    input_tokens: Count,
    #[serde(default)]
    output_tokens: Count,
    #[serde(default)]
    cache_read_input_tokens: Count,
    #[serde(default)]
    cache_creation_input_tokens: Count,
    #[serde(default)]
    cache_creation: Option<CacheCreation>,
}

impl LogReader for ClaudeLogs {
    fn read(&self, file: &LogFile, from: u64, each: &mut dyn FnMut(LoggedRequest)) -> Result<LogReading, LogFault> {
        let mut transcript = Transcript::of(file);
        let mut reading = LogReading::default();
        let end = lines::each_with(&file.path, from, &[WORD], |line| {
            let taken = transcript.take(line.bytes, line.at, each);
            // The last line may still be written.
            reading.unreadable += u64::from(taken.is_none() && line.is_whole);
        })?;
        reading.read_to = transcript.finish(each).map_or(end, |open| open.min(end));
        Ok(reading)
    }
}

/// What is known of one file while it is read.
struct Transcript {
    /// What stands for the session and the project where lines name none.
    session: Arc<str>,
    project: Option<Arc<str>>,
    /// The folder of the line before, and the project that it is.
    folder: (String, Option<Arc<str>>),
    /// The last model.
    model: Arc<str>,
    /// Messages that more lines may follow of, oldest first.
    open: VecDeque<OpenMessage>,
}

/// A message whose last state may not be known yet.
struct OpenMessage {
    request: LoggedRequest,
    /// Where its first line begins.
    at: u64,
    /// The message's id, where no request's id recognizes it.
    bare: Option<String>,
}

impl Transcript {
    fn of(file: &LogFile) -> Self {
        let names: Vec<&str> = file.path.iter().filter_map(|name| name.to_str()).collect();
        let after = |name: &str| {
            let at = names.iter().rposition(|it| *it == name)?;
            names.get(at + 1).copied()
        };
        let before_subagents = names
            .iter()
            .position(|name| *name == "subagents")
            .and_then(|at| names.get(at.checked_sub(1)?).copied());
        Self {
            session: before_subagents.unwrap_or(file.stem()).into(),
            project: after("projects").map(Into::into),
            folder: (String::new(), None),
            model: "".into(),
            open: VecDeque::new(),
        }
    }

    /// Reads a line; nothing where it should report usage and does not.
    fn take(&mut self, bytes: &[u8], at: u64, each: &mut dyn FnMut(LoggedRequest)) -> Option<()> {
        let Ok(line) = serde_json::from_slice::<ClaudeLine<'_>>(bytes) else {
            // A line of another kind, in which the names mean something else, is none of our business.
            let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
            let is_other = value["type"] != "assistant" || !value["message"]["usage"].is_object();
            return is_other.then_some(());
        };
        let Some(message) = line.message.as_ref() else {
            return Some(());
        };
        let Some(usage) = message.usage.as_ref() else {
            return Some(());
        };
        let name = message.model.get().unwrap_or_default();
        if name == SYNTHETIC {
            return Some(());
        }
        let counts = usage.counts();
        if counts == TokenCounts::default() {
            return Some(());
        }
        let time: jiff::Timestamp = line.timestamp.get()?.parse().ok()?;
        let (identity, bare) = identity(&line, time.as_millisecond(), &counts);
        let mut request = LoggedRequest {
            identity,
            upstream_id: line.request_id.get().map(str::to_owned),
            at: time,
            provider: provider_of(name),
            model: self.model(name),
            session: Some(self.session(&line)),
            project: self.project(&line),
            service: usage.service(),
            counts,
            stated_cost: None,
            has_more_charged: usage.has_more_charged(),
            is_estimated: false,
            is_copy: line.session_kind.get() == Some("bg"),
            kind: LogKind::Request,
        };
        let others = self.add_iterations(&mut request, usage);
        let open = OpenMessage { request, at, bare };
        self.merge(open, each);
        others.into_iter().for_each(each);
        Some(())
    }

    /// Adds what was billed beside the counts at the top: to them, or where it was another model, as a request of its own.
    fn add_iterations(&mut self, request: &mut LoggedRequest, usage: &ClaudeUsage<'_>) -> Vec<LoggedRequest> {
        let mut others = Vec::new();
        for (number, iteration) in usage.iterations.iter().flatten().enumerate() {
            let model = iteration.model.get().map(|name| self.model(name));
            match (iteration.kind.get(), model) {
                (Some("compaction" | "advisor_message"), Some(model)) if model != request.model => {
                    others.push(LoggedRequest {
                        identity: format!("{}#{number}", request.identity),
                        upstream_id: None,
                        model,
                        counts: iteration.counts(),
                        ..request.clone()
                    });
                }
                (Some("compaction" | "advisor_message"), _) => {
                    let more = iteration.counts();
                    let own = &mut request.counts;
                    own.input = own.input.saturating_add(more.input);
                    own.output = own.output.saturating_add(more.output);
                    own.cache_read = own.cache_read.saturating_add(more.cache_read);
                    own.cache_write = own.cache_write.saturating_add(more.cache_write);
                    own.cache_write_1h = own.cache_write_1h.saturating_add(more.cache_write_1h);
                }
                (Some("fallback_message"), Some(model)) => request.model = model,
                // Messages are at the top; what was declined is not billed.
                _ => {}
            }
        }
        others
    }

    /// Makes one of the states of a message, and passes on what is complete.
    fn merge(&mut self, new: OpenMessage, each: &mut dyn FnMut(LoggedRequest)) {
        let known = match &new.bare {
            None => self
                .open
                .iter_mut()
                .find(|open| open.request.identity == new.request.identity),
            Some(_) => self
                .open
                .back_mut()
                .filter(|open| open.bare == new.bare && is_next(open, &new)),
        };
        if let Some(known) = known {
            if new.request.is_later_than(&known.request) {
                let identity = std::mem::take(&mut known.request.identity);
                known.request = LoggedRequest {
                    identity,
                    ..new.request
                };
            }
            return;
        }
        self.open.push_back(new);
        if self.open.len() > MOST_OPEN
            && let Some(oldest) = self.open.pop_front()
        {
            each(oldest.request);
        }
    }

    /// Passes on all that is left; returns where the last message begins if only its neighbors recognize it.
    fn finish(&mut self, each: &mut dyn FnMut(LoggedRequest)) -> Option<u64> {
        let last = self.open.back().filter(|open| open.bare.is_some()).map(|open| open.at);
        self.open.drain(..).for_each(|open| each(open.request));
        last
    }

    fn model(&mut self, name: &str) -> Arc<str> {
        // The size of the context window is no part of the name.
        let name = name.split('[').next().unwrap_or(name);
        if *name != *self.model {
            self.model = name.into();
        }
        Arc::clone(&self.model)
    }

    fn session(&mut self, line: &ClaudeLine<'_>) -> Arc<str> {
        match line.session_id.get() {
            Some(id) if *id != *self.session => self.session = id.into(),
            Some(_) | None => {}
        }
        Arc::clone(&self.session)
    }

    fn project(&mut self, line: &ClaudeLine<'_>) -> Option<Arc<str>> {
        let Some(folder) = line.cwd.get() else {
            return self.project.clone();
        };
        if folder != self.folder.0 {
            let name = folder.rsplit(['/', '\\']).find(|name| !name.is_empty());
            self.folder = (folder.to_owned(), name.map(Into::into));
        }
        self.folder.1.clone().or_else(|| self.project.clone())
    }
}

/// Whether `new` can be a later state of the same message: its prompt is the same, and its answer not shorter.
fn is_next(open: &OpenMessage, new: &OpenMessage) -> bool {
    let prompt = |counts: &TokenCounts| (counts.input, counts.cache_read, counts.cache_write);
    let (before, after) = (&open.request.counts, &new.request.counts);
    prompt(before) == prompt(after) && before.output <= after.output && open.request.session == new.request.session
}

/// What recognizes the request, and the message's id where there is none of the request.
fn identity(line: &ClaudeLine<'_>, at: i64, counts: &TokenCounts) -> (String, Option<String>) {
    let message = line.message.as_ref().and_then(|message| message.id.get());
    let TokenCounts {
        input,
        output,
        cache_read,
        cache_write,
        ..
    } = counts;
    match (message, line.request_id.get(), line.uuid.get()) {
        (Some(message), Some(request), _) => (format!("{request}:{message}"), None),
        (None, Some(request), _) => (format!("{request}:"), None),
        (Some(message), None, _) => {
            let identity = format!("{message}@{at}:{input}.{output}.{cache_read}.{cache_write}");
            (identity, Some(message.to_owned()))
        }
        (None, None, Some(line)) => (line.to_owned(), None),
        (None, None, None) => (format!("@{at}:{input}.{output}.{cache_read}.{cache_write}"), None),
    }
}

/// Who serves the model of that name.
fn provider_of(model: &str) -> Cow<'static, str> {
    let provider = if model.contains("anthropic.") {
        "bedrock"
    } else {
        "anthropic"
    };
    Cow::Borrowed(provider)
}

impl ClaudeUsage<'_> {
    fn counts(&self) -> TokenCounts {
        counts(
            [
                self.input_tokens,
                self.output_tokens,
                self.cache_read_input_tokens,
                self.cache_creation_input_tokens,
            ],
            self.cache_creation,
        )
    }

    fn service(&self) -> Service {
        match (self.speed.get(), self.service_tier.get()) {
            (Some("fast"), _) => Service::Fast,
            (_, Some("priority")) => Service::Priority,
            (_, Some("batch")) => Service::Batch,
            (_, Some("flex")) => Service::Flex,
            _ => Service::Standard,
        }
    }

    fn has_more_charged(&self) -> bool {
        let searches = self
            .server_tool_use
            .as_ref()
            .is_some_and(|tools| tools.web_search_requests.0 > 0);
        searches || self.inference_geo.get() == Some("us")
    }
}

impl ClaudeIteration<'_> {
    fn counts(&self) -> TokenCounts {
        counts(
            [
                self.input_tokens,
                self.output_tokens,
                self.cache_read_input_tokens,
                self.cache_creation_input_tokens,
            ],
            self.cache_creation,
        )
    }
}

/// Anthropic's counts, in which the input is what no cache had a part in.
fn counts([input, output, cache_read, written]: [Count; 4], by_time: Option<CacheCreation>) -> TokenCounts {
    let by_time = by_time.unwrap_or_default();
    let (short, long) = (by_time.ephemeral_5m_input_tokens.0, by_time.ephemeral_1h_input_tokens.0);
    let cache_write = if written.0 > 0 {
        written.0
    } else {
        short.saturating_add(long)
    };
    TokenCounts {
        input: input.0.saturating_add(cache_read.0).saturating_add(cache_write),
        output: output.0,
        cache_read: cache_read.0,
        cache_write,
        cache_write_1h: long.min(cache_write),
        reasoning: 0,
    }
}
