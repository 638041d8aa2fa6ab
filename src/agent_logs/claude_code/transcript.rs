//! A transcript: its lines as states of messages, and those as requests.

use std::{
    borrow::Cow,
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use jiff::Timestamp;

use super::line::{ClaudeLine, ClaudeUsage};
use crate::{
    agent_logs::{
        files::LogFile,
        request::{LogKind, LoggedRequest, folder_name},
    },
    domain::TokenCounts,
};

/// The model of messages that the program made up itself.
const SYNTHETIC: &str = "<synthetic>";
/// How many messages may be under way at once in one file.
const MAX_OPEN_MESSAGES: usize = 32;

/// What is known of one file while it is read.
pub(super) struct Transcript {
    /// Used for the session and the project where lines name none.
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
    /// The message's id, where there is no request's id to recognize it by.
    bare: Option<String>,
    /// Hashes of the ids of its lines, and of the results of its tools.
    lines: Vec<u64>,
    results: Vec<u64>,
    /// The searches that its tools reported, which count where its own counter has none.
    tool_searches: u64,
}

impl Transcript {
    pub(super) fn of(file: &LogFile) -> Self {
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
    pub(super) fn take(&mut self, bytes: &[u8], at: u64, each: &mut dyn FnMut(LoggedRequest)) -> Option<()> {
        let Ok(line) = serde_json::from_slice::<ClaudeLine<'_>>(bytes) else {
            // A line of another kind, in which the names mean something else, is none of our business.
            let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
            let is_other = value["type"] != "assistant" || !value["message"]["usage"].is_object();
            return is_other.then_some(());
        };
        let reported = line.message.as_ref().and_then(|it| Some((it, it.usage.as_ref()?)));
        let Some((message, usage)) = reported else {
            self.add_searches(&line);
            return Some(());
        };
        let name = message.model.get().unwrap_or_default();
        if name == SYNTHETIC || usage.counts() == TokenCounts::default() {
            return Some(());
        }
        let (counts, model, others) = billed(name, usage);
        let session = self.session(&line);
        let known = match (line.request_id.get(), message.id.get()) {
            (Some(request), id) => {
                let id = id.unwrap_or_default();
                self.open.iter().rposition(|open| open.is(request, id))
            }
            // Only the message before can be an earlier state.
            (None, Some(id)) => {
                let last = self.open.len().checked_sub(1);
                last.filter(|last| self.open[*last].may_become(id, &session, &counts))
            }
            (None, None) => None,
        };
        if let Some(known) = known.and_then(|known| self.open.get_mut(known)) {
            known.lines.extend(line.uuid.get().map(hash));
            if !is_larger(&counts, &known.request.counts) {
                return Some(());
            }
        }
        let time: Timestamp = line.timestamp.get()?.parse().ok()?;
        let identity = match known.and_then(|known| self.open.get_mut(known)) {
            Some(known) => std::mem::take(&mut known.request.identity),
            None => identity(&line, time.as_millisecond(), &counts),
        };
        let request = LoggedRequest {
            identity,
            upstream_id: line.request_id.get().map(str::to_owned),
            at: time,
            provider: provider_of(name),
            model: self.model(model),
            session: Some(session),
            project: self.project(&line),
            service: usage.service(),
            counts,
            stated_cost: None,
            searches: usage.searches(),
            has_more_charged: usage.has_more_charged(),
            is_estimated: false,
            is_copy: line.session_kind.get() == Some("bg"),
            kind: LogKind::Request,
        };
        for (number, run) in others {
            each(LoggedRequest {
                identity: format!("{}#{number}", request.identity),
                upstream_id: None,
                model: self.model(run.model.get().unwrap_or(name)),
                counts: run.counts(),
                searches: 0,
                ..request.clone()
            });
        }
        match known.and_then(|known| self.open.get_mut(known)) {
            Some(known) => known.request = request,
            None => self.begin(
                OpenMessage {
                    request,
                    at,
                    bare: message
                        .id
                        .get()
                        .filter(|_| line.request_id.get().is_none())
                        .map(str::to_owned),
                    lines: line.uuid.get().map(hash).into_iter().collect(),
                    results: Vec::new(),
                    tool_searches: 0,
                },
                each,
            ),
        }
        Some(())
    }

    /// Adds the searches that a tool's result reports to the message that called the tool.
    fn add_searches(&mut self, line: &ClaudeLine<'_>) {
        let (Some(parent), Some(result)) = (line.parent_uuid.get().map(hash), line.uuid.get().map(hash)) else {
            return;
        };
        let caller = self.open.iter_mut().rev().find(|open| open.lines.contains(&parent));
        if let Some(caller) = caller.filter(|caller| !caller.results.contains(&result)) {
            caller.results.push(result);
            caller.tool_searches = caller.tool_searches.saturating_add(line.tool_use_result.count);
        }
    }

    fn begin(&mut self, new: OpenMessage, each: &mut dyn FnMut(LoggedRequest)) {
        self.open.push_back(new);
        if self.open.len() > MAX_OPEN_MESSAGES
            && let Some(oldest) = self.open.pop_front()
        {
            each(oldest.ended());
        }
    }

    /// Passes on all that is left; returns where the last message begins: it may grow, and results of its tools follow.
    pub(super) fn finish(&mut self, each: &mut dyn FnMut(LoggedRequest)) -> Option<u64> {
        let last = self.open.back().map(|open| open.at);
        self.open.drain(..).for_each(|open| each(open.ended()));
        last
    }

    fn model(&mut self, name: &str) -> Arc<str> {
        let name = base_name(name);
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
            self.folder = (folder.to_owned(), folder_name(folder).map(Into::into));
        }
        self.folder.1.clone().or_else(|| self.project.clone())
    }
}

impl OpenMessage {
    /// Whether it is that message of that request.
    fn is(&self, request: &str, message: &str) -> bool {
        let identity = self.request.identity.as_str();
        self.bare.is_none()
            && identity.len() == request.len() + 1 + message.len()
            && identity.ends_with(message)
            && identity.starts_with(request)
    }

    /// Whether a message without a request's id can be a later state of this one: its prompt is the same, and its answer
    /// not shorter.
    fn may_become(&self, message: &str, session: &str, counts: &TokenCounts) -> bool {
        let prompt = |counts: &TokenCounts| (counts.input, counts.cache_read, counts.cache_write);
        let before = &self.request.counts;
        self.bare.as_deref() == Some(message)
            && self.request.session.as_deref() == Some(session)
            && prompt(before) == prompt(counts)
            && before.output <= counts.output
    }

    /// The request, when all is known of it.
    fn ended(self) -> LoggedRequest {
        let searches = match self.request.searches {
            0 => self.tool_searches,
            counted => counted,
        };
        LoggedRequest {
            searches,
            ..self.request
        }
    }
}

/// What a message is billed as: the counts and the model, and runs of other models beside them, with their numbers.
fn billed<'u>(name: &'u str, usage: &'u ClaudeUsage<'_>) -> (TokenCounts, &'u str, Vec<(usize, &'u ClaudeUsage<'u>)>) {
    let (mut counts, mut model, mut others) = (usage.counts(), name, Vec::new());
    for (number, run) in usage.iterations.iter().flatten().enumerate() {
        match (run.kind.get(), run.model.get()) {
            (Some("compaction" | "advisor_message"), Some(other)) if base_name(other) != base_name(model) => {
                others.push((number, run));
            }
            (Some("compaction" | "advisor_message"), _) => counts = sum(counts, run.counts()),
            (Some("fallback_message"), Some(other)) => model = other,
            // Messages are in the counts already; what was declined is not billed.
            _ => {}
        }
    }
    (counts, model, others)
}

fn sum(one: TokenCounts, other: TokenCounts) -> TokenCounts {
    TokenCounts {
        input: one.input.saturating_add(other.input),
        output: one.output.saturating_add(other.output),
        cache_read: one.cache_read.saturating_add(other.cache_read),
        cache_write: one.cache_write.saturating_add(other.cache_write),
        cache_write_1h: one.cache_write_1h.saturating_add(other.cache_write_1h),
        reasoning: 0,
    }
}

/// Whether `new` is of a later state than `known`, of which there is more.
fn is_larger(new: &TokenCounts, known: &TokenCounts) -> bool {
    let size = |it: &TokenCounts| (it.output, it.input, it.cache_read, it.cache_write);
    size(new) > size(known)
}

/// The model's name without the size of the context window.
fn base_name(model: &str) -> &str {
    model.split('[').next().unwrap_or(model)
}

fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// What identifies the request.
fn identity(line: &ClaudeLine<'_>, at: i64, counts: &TokenCounts) -> String {
    let message = line.message.as_ref().and_then(|message| message.id.get());
    let TokenCounts {
        input,
        output,
        cache_read,
        cache_write,
        ..
    } = counts;
    match (message, line.request_id.get(), line.uuid.get()) {
        (message, Some(request), _) => [request, ":", message.unwrap_or_default()].concat(),
        (Some(message), None, _) => format!("{message}@{at}:{input}.{output}.{cache_read}.{cache_write}"),
        (None, None, Some(line)) => line.to_owned(),
        (None, None, None) => format!("@{at}:{input}.{output}.{cache_read}.{cache_write}"),
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
