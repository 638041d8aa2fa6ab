//! What a thread used itself: its counter, followed from event to event.

use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use serde::Deserialize;

use super::thread::{Base, Thread};
use crate::{
    agent_logs::{
        fault::LogFault,
        json::{Count, LogText},
        lines,
        request::{LogKind, LoggedRequest, with_cache_within},
    },
    domain::TokenCounts,
};

/// No model answers faster, again and again; the events of a copy follow each other within milliseconds.
const LEAST_ANSWER_MS: i64 = 1_000;
/// The fewest events that are a copy.
const LEAST_BURST: usize = 3;
/// The model of requests that come before any line that names one.
const UNKNOWN: &str = "unknown";

/// A state of a thread's counter.
#[derive(Debug, Clone)]
pub(super) struct ThreadEvent {
    at: Timestamp,
    total: Option<Counter>,
    last: Option<Counter>,
    model: Option<Arc<str>>,
    folder: Option<Arc<str>>,
    page: usize,
    ordinal: Option<u64>,
    offset: u64,
}

/// Input, cached and written parts of it, output, its reasoning part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counter([u64; 5]);

/// A thread whose requests are wanted.
pub(super) struct Walked<'a> {
    pub(super) id: &'a str,
    pub(super) thread: &'a Thread,
    /// Its parent's events, where those are there.
    pub(super) parent: Option<&'a [ThreadEvent]>,
    /// The page that is wanted.
    pub(super) own_page: usize,
}

#[derive(Deserialize)]
struct ThreadLine<'a> {
    #[serde(borrow, default)]
    timestamp: LogText<'a>,
    #[serde(borrow, default, rename = "type")]
    kind: LogText<'a>,
    #[serde(default)]
    ordinal: Option<Count>,
    #[serde(borrow)]
    payload: ThreadPayload<'a>,
}

#[derive(Deserialize)]
struct ThreadPayload<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: LogText<'a>,
    #[serde(borrow, default)]
    model: LogText<'a>,
    #[serde(borrow, default)]
    cwd: LogText<'a>,
    #[serde(default)]
    info: Option<TokenInfo>,
}

#[derive(Deserialize)]
struct TokenInfo {
    #[serde(default)]
    total_token_usage: Option<ThreadUsage>,
    #[serde(default)]
    last_token_usage: Option<ThreadUsage>,
}

#[derive(Deserialize)]
struct ThreadUsage {
    #[serde(default)]
    input_tokens: Count,
    #[serde(default)]
    cached_input_tokens: Count,
    #[serde(default)]
    cache_write_input_tokens: Count,
    #[serde(default)]
    output_tokens: Count,
    #[serde(default)]
    reasoning_output_tokens: Count,
}

/// Adds the events of a file to `events`; returns how many could not be read.
pub(super) fn read(path: &Path, page: usize, events: &mut Vec<ThreadEvent>) -> Result<u64, LogFault> {
    let mut unreadable = 0;
    let (mut model, mut folder): (Option<Arc<str>>, Option<Arc<str>>) = match events.last() {
        Some(before) => (before.model.clone(), before.folder.clone()),
        None => (None, None),
    };
    let first = events.len();
    lines::each_with(path, 0, &[b"\"token_count\"", b"\"turn_context\""], |line| {
        let Ok(read) = serde_json::from_slice::<ThreadLine<'_>>(line.bytes) else {
            // The last line may still be written; a text in which the word stands is valid all the same.
            unreadable += u64::from(line.is_whole && serde_json::from_slice::<serde_json::Value>(line.bytes).is_err());
            return;
        };
        let payload = &read.payload;
        if read.kind.get() == Some("turn_context") {
            model = payload.model.get().map(Into::into).or(model.take());
            folder = payload.cwd.get().map(Into::into).or(folder.take());
            // Requests that came before the first such line were of this model.
            for earlier in events[first..]
                .iter_mut()
                .rev()
                .take_while(|event| event.model.is_none())
            {
                earlier.model.clone_from(&model);
            }
            return;
        }
        let (Some("event_msg"), Some("token_count")) = (read.kind.get(), payload.kind.get()) else {
            return;
        };
        // Without figures it only says how the limits stand.
        let Some(info) = &payload.info else { return };
        let Some(at) = read.timestamp.get().and_then(|time| time.parse().ok()) else {
            unreadable += 1;
            return;
        };
        events.push(ThreadEvent {
            at,
            total: info.total_token_usage.as_ref().map(Counter::of),
            last: info.last_token_usage.as_ref().map(Counter::of),
            model: model.clone(),
            folder: folder.clone(),
            page,
            ordinal: read.ordinal.map(|count| count.0),
            offset: line.at,
        });
    })?;
    Ok(unreadable)
}

/// The events of a parent that a thread shares.
pub(super) fn up_to(parent: &[ThreadEvent], base: &Base) -> Vec<ThreadEvent> {
    let is_shared = |event: &&ThreadEvent| match (base.ordinal.zip(event.ordinal), base.offset) {
        (Some((end, ordinal)), _) => ordinal < end,
        (None, Some(end)) => event.offset < end,
        (None, None) => true,
    };
    parent.iter().take_while(is_shared).cloned().collect()
}

/// Gives the requests of a thread's page to `each`; what was copied is given as such, so that it is taken back should it
/// have been counted before the parent was there.
pub(super) fn requests(walked: &Walked<'_>, events: &[ThreadEvent], each: &mut dyn FnMut(LoggedRequest)) {
    let is_child = walked.thread.parent.is_some();
    // A thread of its own begins with nothing; where the counter of a parent, or of an earlier page, stood is unknown.
    let is_from_beginning = !walked.thread.is_continued && events.first().is_none_or(|event| event.page == 0);
    let mut state = (!is_child && is_from_beginning).then(Counter::default);
    let mut copied = 0;
    let mut is_estimated = false;
    if let Some(parent) = walked.parent {
        let known: Vec<Counter> = parent.iter().filter_map(|event| event.total).collect();
        match &walked.thread.base {
            Some(base) => state = up_to(parent, base).iter().rev().find_map(|event| event.total).or(state),
            None => {
                (copied, state) = copied_of(&known, events);
            }
        }
    } else if is_child {
        copied = burst(events);
        is_estimated = copied > 0;
        state = events[..copied].iter().rev().find_map(|event| event.total);
    }
    let mut give = |event: &ThreadEvent, used: Counter, kind: LogKind| {
        if event.page == walked.own_page && used != Counter::default() {
            let kept = LoggedRequest {
                is_estimated,
                ..request(walked, event, used)
            };
            each(LoggedRequest { kind, ..kept });
        }
    };
    for event in &events[..copied] {
        give(event, event.last.or(event.total).unwrap_or_default(), LogKind::Copy);
    }
    let mut has_used = false;
    for event in &events[copied..] {
        let used = match (event.total, event.last, state) {
            (Some(total), _, Some(before)) if total == before => continue,
            // Its parent's counter may be known only in part until then; a counter that a child begins with is not its own.
            (Some(_), Some(last), _) if is_child && !has_used => last,
            (Some(_), Some(last), None) | (None, Some(last), _) => last,
            // A counter that fell began anew.
            (Some(total), last, Some(before)) => total.since(before).or(last).unwrap_or(total),
            // Where its counter stood before is unknown.
            (Some(_), None, None) => Counter::default(),
            (None, None, _) => continue,
        };
        state = event.total.or(state);
        has_used |= used != Counter::default();
        give(event, used, LogKind::Request);
    }
}

/// How many events are copies of the parent's, and where its counter stood then.
fn copied_of(parent: &[Counter], events: &[ThreadEvent]) -> (usize, Option<Counter>) {
    let (mut copied, mut state, mut from) = (0, None, 0);
    for (index, event) in events.iter().enumerate() {
        // What has no counter cannot be distinguished from the parent's by itself.
        let Some(total) = event.total else { continue };
        let Some(at) = parent[from..].iter().position(|it| *it == total) else {
            break;
        };
        from += at;
        copied = index + 1;
        state = Some(total);
    }
    (copied, state)
}

/// How many events at the beginning come faster than any model answers.
fn burst(events: &[ThreadEvent]) -> usize {
    if events.is_empty() {
        return 0;
    }
    let is_fast = |pair: &&[ThreadEvent]| {
        let gap = pair[1].at.as_millisecond() - pair[0].at.as_millisecond();
        gap.abs() < LEAST_ANSWER_MS
    };
    let count = 1 + events.windows(2).take_while(is_fast).count();
    let mut states: Vec<Counter> = events[..count].iter().filter_map(|event| event.total).collect();
    states.dedup();
    if states.len() >= LEAST_BURST { count } else { 0 }
}

fn request(walked: &Walked<'_>, event: &ThreadEvent, used: Counter) -> LoggedRequest {
    let Counter([input, cached, written, output, reasoning]) = used;
    let [all_input, all_cached, all_written, all_output, all_reasoning] = event.total.unwrap_or(used).0;
    let model = event.model.clone().unwrap_or_else(|| UNKNOWN.into());
    let id = walked.id;
    let state = format!("{all_input}.{all_cached}.{all_written}.{all_output}.{all_reasoning}");
    let identity = if event.total.is_some() {
        format!("{id}:{state}:{model}")
    } else {
        format!("{id}@{}:{state}:{model}", event.at.as_millisecond())
    };
    let folder = event.folder.as_deref().or(walked.thread.folder.as_deref());
    let provider = walked.thread.provider.clone().unwrap_or_else(|| "openai".to_owned());
    let counts = TokenCounts {
        reasoning: reasoning.min(output),
        ..with_cache_within([input, output, cached, written])
    };
    LoggedRequest::new(identity, event.at, provider, &model, counts).of_session(Some(id), folder)
}

impl Counter {
    fn of(usage: &ThreadUsage) -> Self {
        Self([
            usage.input_tokens.0,
            usage.cached_input_tokens.0,
            usage.cache_write_input_tokens.0,
            usage.output_tokens.0,
            usage.reasoning_output_tokens.0,
        ])
    }

    /// What was used since; nothing where a count is lower than it was.
    fn since(self, before: Self) -> Option<Self> {
        let mut since = [0; 5];
        for (index, count) in since.iter_mut().enumerate() {
            *count = self.0[index].checked_sub(before.0[index])?;
        }
        Some(Self(since))
    }
}
