//! The usage of a request, read from the provider's response: whole, or as a stream that passes through.
//!
//! A response is searched for its `usage` object, wherever the provider puts it; the names in that object tell how the
//! provider counts. The objects of a stream are merged, because later counts replace earlier ones. The conversion to
//! [`Tokens`], where input includes cached input and output includes reasoning, is done once, at the end.
//!
//! Counts that cannot be true (negative, fractions, text, above [`MOST_PER_REQUEST`]) are dropped, and the meter is not
//! trusted any more: what the request cost is then an estimate.

use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value};

use super::refusal;
use crate::domain::{MOST_TOKENS, Service, TokenCounts, Tokens};

/// The longest event, or body, that is read, in bytes; longer events pass unread.
const LONGEST: usize = 16 << 20;
/// How much of a longer body's end is searched for its usage.
const TAIL: usize = 64 << 10;
/// Characters per token of text without counts.
const CHARS_PER_TOKEN: u64 = 4;
/// How deep an event is searched for text.
const DEPTH: u8 = 12;
/// The highest count that is believed of one request.
const MOST_PER_REQUEST: u64 = 1_000_000_000;
/// How many bytes tell that a body is an event stream.
const MARK: usize = 6;
/// How many entries of a list in a `usage` object are read.
const MOST_ENTRIES: usize = 100;

/// The counts that are read from a `usage` object.
static COUNTS: &[&str] = &[
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "reasoning_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "prompt_cache_hit_tokens",
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "ephemeral_1h_input_tokens",
    "inputTokens",
    "outputTokens",
    "cacheReadInputTokens",
    "cacheWriteInputTokens",
    "promptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "toolUsePromptTokenCount",
    "cachedContentTokenCount",
    "totalTokenCount",
    "prompt_eval_count",
    "eval_count",
    "total_input_tokens",
    "total_output_tokens",
    "total_thought_tokens",
    "total_cached_tokens",
    "total_tool_use_tokens",
];
/// The objects inside a `usage` object that hold counts.
static PARTS: &[&str] = &[
    "prompt_tokens_details",
    "completion_tokens_details",
    "input_tokens_details",
    "output_tokens_details",
    "cache_creation",
    "billed_units",
    "tokens",
];
/// What the sums of lists are kept as, among the names above.
const COMPACTION: &str = "compaction";
const CACHE_WRITE_1H: &str = "cacheWrite1h";

/// How a response is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One JSON value.
    Whole,
    /// Server-sent events.
    Events,
    /// A JSON value on each line.
    Lines,
    /// Something else, without usage.
    Unread,
}

/// What is known of a request's usage so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Meter {
    /// All reported counts that can be true, merged; `null` where one was named without a value.
    usage: Map<String, Value>,
    service: Option<Service>,
    /// Characters of text so far.
    chars: u64,
    /// The first event, or the body, that reports an error.
    error: Option<Box<Value>>,
    /// Whether a count was reported that cannot be true.
    is_implausible: bool,
    is_complete: bool,
}

/// Reads a response while it passes through.
#[derive(Debug)]
pub struct UsageReader {
    framing: Framing,
    /// Whether the event with nothing but counts is held back, which the client did not ask for.
    strips: bool,
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// The data of the event, or the whole body, of which only the end is kept where it is too long.
    data: Vec<u8>,
    /// The event's bytes as they came, where it may have to be held back.
    raw: BytesMut,
    is_too_long: bool,
    meter: Meter,
}

impl UsageReader {
    pub fn new(framing: Framing, strips: bool) -> Self {
        Self {
            framing,
            strips: strips && framing == Framing::Events,
            line: Vec::new(),
            data: Vec::new(),
            raw: BytesMut::new(),
            is_too_long: false,
            meter: Meter::default(),
        }
    }

    /// Reads `piece`, and returns what goes on to the client, with what was held back before.
    pub fn pass(&mut self, piece: Bytes) -> Bytes {
        let is_start = self.framing == Framing::Whole && self.data.len() < MARK;
        let passed = self.read_piece(piece);
        if is_start && is_event_stream(&self.data) {
            self.framing = Framing::Events;
            self.is_too_long = false;
            for part in std::mem::take(&mut self.data).split_inclusive(|byte| *byte == b'\n') {
                self.read_part(part);
            }
        }
        self.look_ahead();
        passed
    }

    fn read_piece(&mut self, piece: Bytes) -> Bytes {
        match self.framing {
            Framing::Unread => piece,
            Framing::Whole => {
                self.data.extend_from_slice(&piece);
                self.is_too_long |= self.data.len() > LONGEST;
                // Not with each piece, because the rest is copied.
                if self.is_too_long && self.data.len() > 4 * TAIL {
                    self.data = self.data.split_off(self.data.len() - TAIL);
                }
                piece
            }
            Framing::Events | Framing::Lines if self.strips => {
                let mut out = BytesMut::with_capacity(piece.len());
                for part in piece.split_inclusive(|byte| *byte == b'\n') {
                    self.raw.extend_from_slice(part);
                    match self.read_part(part) {
                        Some(Event::CountsOnly) => self.raw.clear(),
                        Some(Event::Other) => out.extend_from_slice(&self.raw.split()),
                        None if self.is_too_long => out.extend_from_slice(&self.raw.split()),
                        None => {}
                    }
                }
                out.freeze()
            }
            Framing::Events | Framing::Lines => {
                for part in piece.split_inclusive(|byte| *byte == b'\n') {
                    self.read_part(part);
                }
                piece
            }
        }
    }

    /// Reads what ended with the body, and returns what was held back.
    pub fn finish(&mut self) -> Bytes {
        if !self.line.is_empty() {
            self.end_line();
        }
        if self.end_event() == Event::CountsOnly {
            self.raw.clear();
        }
        std::mem::take(&mut self.raw).freeze()
    }

    /// The usage known so far.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Whether the event that ends a stream has been read: `[DONE]`, `message_stop`, `response.completed`, `"done": true`.
    ///
    /// Gemini has none: its streams end with the body.
    pub fn is_complete(&self) -> bool {
        self.meter.is_complete
    }

    /// Reads the last event of a stream before its line, or the empty line after it, has ended: clients may not wait for
    /// that.
    fn look_ahead(&mut self) {
        if self.is_too_long || self.meter.is_complete {
            return;
        }
        match self.framing {
            Framing::Events => {
                let line = self.line.strip_prefix(b"data:").unwrap_or_default();
                self.meter.is_complete |= is_done(line) || is_done(&self.data);
                if self.line.is_empty()
                    && !self.data.is_empty()
                    && let Ok(event) = serde_json::from_slice::<Value>(&self.data)
                    && is_last(&event)
                {
                    // Reading it again at its end changes nothing: its counts are the same, its text is not counted.
                    self.meter.read(&event);
                }
            }
            Framing::Lines if self.line.ends_with(b"}") => {
                let event = serde_json::from_slice::<Value>(&self.line);
                if event.is_ok_and(|event| event["done"] == true) {
                    self.end_line();
                    self.end_event();
                }
            }
            Framing::Lines | Framing::Whole | Framing::Unread => {}
        }
    }

    /// Reads up to a line's end, and returns what kind of event ended there.
    fn read_part(&mut self, part: &[u8]) -> Option<Event> {
        if self.line.len() + self.data.len() + part.len() > LONGEST {
            self.is_too_long = true;
        }
        if !self.is_too_long {
            self.line.extend_from_slice(part);
        }
        if !part.ends_with(b"\n") {
            return None;
        }
        // What is too long is skipped to the end of its event.
        let is_blank = part == b"\n" || part == b"\r\n";
        if self.is_too_long && (is_blank || self.framing == Framing::Lines) {
            self.is_too_long = false;
            self.line.clear();
            self.data.clear();
            return Some(Event::Other);
        }
        if self.end_line() { Some(self.end_event()) } else { None }
    }

    /// Reads a line, and returns whether an event ended with it.
    fn end_line(&mut self) -> bool {
        let line = std::mem::take(&mut self.line);
        let text = line.trim_ascii_end();
        match self.framing {
            Framing::Lines => {
                self.data.extend_from_slice(text);
                true
            }
            Framing::Events | Framing::Whole | Framing::Unread => {
                if let Some(data) = text.strip_prefix(b"data:") {
                    self.data.extend_from_slice(data);
                    self.data.push(b'\n');
                }
                text.is_empty()
            }
        }
    }

    fn end_event(&mut self) -> Event {
        let data = std::mem::take(&mut self.data);
        if self.is_too_long {
            self.meter.read_tail(&data);
            return Event::Other;
        }
        self.meter.is_complete |= self.framing == Framing::Events && is_done(&data);
        match serde_json::from_slice::<Value>(&data) {
            Ok(Value::Array(all)) => {
                for value in &all {
                    self.meter.read(value);
                }
                Event::Other
            }
            Ok(value) => {
                self.meter.read(&value);
                // Ollama's last line.
                self.meter.is_complete |= self.framing == Framing::Lines && value["done"] == true;
                // OpenAI sends no choices with its counts, LiteLLM an empty one.
                let is_empty = |choice: &Value| {
                    choice["finish_reason"].is_null()
                        && choice["delta"].as_object().is_some_and(serde_json::Map::is_empty)
                };
                let no_choices = value["choices"].as_array();
                if no_choices.is_some_and(|choices| choices.iter().all(is_empty)) && value["usage"].is_object() {
                    Event::CountsOnly
                } else {
                    Event::Other
                }
            }
            Err(_) => Event::Other,
        }
    }
}

/// Whether a body that is not declared as an event stream is one all the same.
fn is_event_stream(start: &[u8]) -> bool {
    start.starts_with(b"data:") || start.starts_with(b"event:")
}

/// Whether an event's data ends a stream in OpenAI's format.
fn is_done(data: &[u8]) -> bool {
    data.trim_ascii() == b"[DONE]"
}

/// Whether nothing follows `event` in its stream.
fn is_last(event: &Value) -> bool {
    let kind = event.get("type").or_else(|| event.get("event_type"));
    matches!(
        kind.and_then(Value::as_str),
        Some(
            "message_stop"
                | "response.completed"
                | "response.incomplete"
                | "response.failed"
                | "response.cancelled"
                // Cohere.
                | "message-end"
                // Gemini's interactions.
                | "interaction.complete"
                | "interaction.completed"
        )
    )
}

/// The kinds of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// The last one of a stream in OpenAI's format, with counts and nothing else.
    CountsOnly,
    Other,
}

impl Meter {
    /// The counts that the provider reported, where they can be true and none is missing.
    pub fn tokens(&self) -> Option<Tokens> {
        let reported = reported(&self.usage).filter(|reported| reported.is_whole && !self.is_implausible)?;
        true_counts(reported.counts)
    }

    /// The counts of a response that broke off, or whose counts are not trusted: what the provider reported and can be
    /// true, else the prompt's estimate `input` and what was streamed.
    pub fn tokens_so_far(&self, input: u64) -> Tokens {
        let reported = self.believed();
        within_whole(TokenCounts {
            input: if reported.input == 0 { input } else { reported.input },
            output: reported.output.max(self.chars.div_ceil(CHARS_PER_TOKEN)),
            ..reported
        })
    }

    /// The counts of a request that was refused: what the provider reported and can be true, else zero.
    pub fn tokens_of_refusal(&self) -> Tokens {
        within_whole(self.believed())
    }

    fn believed(&self) -> TokenCounts {
        let reported = reported(&self.usage).map(|reported| reported.counts);
        reported
            .filter(|counts| true_counts(*counts).is_some())
            .unwrap_or_default()
    }

    /// The service that the provider names.
    pub fn service(&self) -> Option<Service> {
        self.service
    }

    /// Whether text, or a tool's arguments, have come.
    pub fn has_content(&self) -> bool {
        self.chars > 0
    }

    /// Whether the provider reported an error, with whatever status.
    pub fn is_error(&self) -> bool {
        self.error.is_some()
    }

    /// The event, or the body, that reports an error; [`refusal_in`](super::refusal_in) tells what it means.
    pub fn error(&self) -> Option<&Value> {
        self.error.as_deref()
    }

    /// Whether every count that was reported can be true; where not, there are no [`Meter::tokens`].
    pub fn is_trusted(&self) -> bool {
        !self.is_implausible
    }

    /// Reads the end of a body that is too long for more: lists of embeddings have their usage at the end.
    fn read_tail(&mut self, tail: &[u8]) {
        let name = br#""usage":"#;
        let at = tail.windows(name.len()).rposition(|window| window == name);
        let usage = at.and_then(|at| {
            let mut values = serde_json::Deserializer::from_slice(&tail[at + name.len()..]).into_iter();
            values.next()?.ok()
        });
        if let Some(usage) = usage {
            self.read_usage(&usage);
        }
    }

    fn read(&mut self, value: &Value) {
        let Value::Object(event) = value else { return };
        if self.error.is_none() && refusal::is_error(value) {
            self.error = Some(Box::new(value.clone()));
        }
        self.is_complete |= is_last(value);
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
        for holder in [
            Some(value),
            event.get("response"),
            event.get("message"),
            event.get("delta"),
            event.get("x_groq"),
            event.get("interaction"),
        ] {
            let Some(Value::Object(holder)) = holder else { continue };
            for usage in ["usage", "usageMetadata"].iter().filter_map(|name| holder.get(*name)) {
                self.read_usage(usage);
            }
            self.read_service(holder.get("service_tier"));
        }
        // Of Cohere's older API, and of its embeddings.
        let meta = event.get("meta").filter(|meta| meta["billed_units"].is_object());
        for usage in [value.pointer("/choices/0/usage"), meta].into_iter().flatten() {
            self.read_usage(usage);
        }
        // Ollama.
        for name in ["prompt_eval_count", "eval_count"] {
            if let Some(count) = event.get(name) {
                self.is_implausible |= !merge_count(&mut self.usage, name, count);
            }
        }
        if kind == "message_start" && event.contains_key("message") {
            // Anthropic's output so far, which `message_delta` replaces.
            self.usage.insert("output_tokens".to_owned(), Value::Null);
        }
        // Events that repeat the text of others would count it twice.
        if kind
            .strip_prefix("response.")
            .is_none_or(|what| what.rsplit('.').next() == Some("delta"))
        {
            self.chars += chars(value, DEPTH);
        }
    }

    fn read_usage(&mut self, usage: &Value) {
        match usage {
            Value::Object(usage) => {
                self.is_implausible |= !merge(&mut self.usage, usage);
                self.read_service(usage.get("service_tier"));
                self.read_service(usage.get("speed").filter(|speed| *speed != "standard"));
            }
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => self.is_implausible = true,
        }
    }

    fn read_service(&mut self, said: Option<&Value>) {
        self.service = match said.and_then(Value::as_str) {
            Some("flex") => Some(Service::Flex),
            Some("priority") => Some(Service::Priority),
            Some("batch") => Some(Service::Batch),
            Some("fast") => Some(Service::Fast),
            // Another one was asked for, and not granted.
            Some("default" | "standard") if self.service != Some(Service::Fast) => Some(Service::Standard),
            _ => self.service,
        };
    }
}

/// Merges the counts of `usage` into what is `known`; false where one cannot be true.
fn merge(known: &mut Map<String, Value>, usage: &Map<String, Value>) -> bool {
    let mut is_plausible = true;
    for (name, value) in usage {
        is_plausible &= match (name.as_str(), value) {
            (name, value) if COUNTS.contains(&name) => merge_count(known, name, value),
            // What Anthropic bills beside the counts at the top.
            ("iterations", Value::Array(iterations)) => {
                let compactions = iterations.iter().filter(|iteration| iteration["type"] == "compaction");
                known.insert(COMPACTION.to_owned(), Value::Object(Map::new()));
                compactions
                    .take(MOST_ENTRIES)
                    .all(|iteration| add(known, COMPACTION, iteration))
            }
            // Amazon Bedrock.
            ("cacheDetails", Value::Array(details)) => {
                let hours = details.iter().filter(|detail| detail["ttl"] == "1h");
                known.insert(CACHE_WRITE_1H.to_owned(), Value::Object(Map::new()));
                hours
                    .take(MOST_ENTRIES)
                    .all(|detail| add(known, CACHE_WRITE_1H, detail))
            }
            (name, Value::Null) if PARTS.contains(&name) => true,
            (name, Value::Object(parts)) if PARTS.contains(&name) => {
                match known.entry(name).or_insert_with(|| Value::Object(Map::new())) {
                    Value::Object(known) => merge(known, parts),
                    _ => false,
                }
            }
            (name, _) => !PARTS.contains(&name),
        };
    }
    is_plausible
}

/// Merges one count; false where it cannot be true, and what was known before stays.
fn merge_count(known: &mut Map<String, Value>, name: &str, value: &Value) -> bool {
    if value.is_null() {
        known.entry(name).or_insert(Value::Null);
        return true;
    }
    let Some(count) = count(value) else { return false };
    // A later zero is a default, not a correction.
    let is_news = count > 0 || known.get(name).and_then(Value::as_u64).is_none();
    if is_news {
        known.insert(name.to_owned(), count.into());
    }
    true
}

/// Adds the counts of one entry of a list to the sums that are `known` under `sum`; false where one cannot be true.
fn add(known: &mut Map<String, Value>, sum: &str, entry: &Value) -> bool {
    let (Some(Value::Object(sums)), Value::Object(entry)) = (known.get_mut(sum), entry) else {
        return false;
    };
    entry
        .iter()
        .filter(|(name, value)| COUNTS.contains(&name.as_str()) && !value.is_null())
        .all(|(name, value)| {
            let before = sums.get(name).and_then(Value::as_u64).unwrap_or(0);
            let sum = count(value)
                .map(|count| before + count)
                .filter(|sum| *sum <= MOST_PER_REQUEST);
            sum.is_some_and(|sum| {
                sums.insert(name.clone(), sum.into());
                true
            })
        })
}

/// A count that can be true: a whole number up to [`MOST_PER_REQUEST`], also where it is written as `12.0`.
fn count(value: &Value) -> Option<u64> {
    let Value::Number(number) = value else { return None };
    let whole = number
        .as_u64()
        .or_else(|| number.to_string().strip_suffix(".0")?.parse().ok())?;
    (whole <= MOST_PER_REQUEST).then_some(whole)
}

/// The counts of a `usage` object.
struct ReportedCounts {
    counts: TokenCounts,
    /// Whether none is missing that the provider names.
    is_whole: bool,
}

/// The counts in a `usage` object, recognized by its names; nothing where no known name is there.
#[expect(clippy::too_many_lines, reason = "each way of counting in turn")]
fn reported(usage: &Map<String, Value>) -> Option<ReportedCounts> {
    let number = |path: &str| -> Option<u64> {
        let mut names = path.split('.');
        let first = names.next().and_then(|name| usage.get(name));
        names.fold(first, |value, name| value?.get(name))?.as_u64()
    };
    let at = |path: &str| number(path).unwrap_or(0);
    let has = |name: &str| usage.contains_key(name);
    let is_null = |name: &str| usage.get(name).is_some_and(Value::is_null);
    let first_of = |paths: &[&str]| paths.iter().map(|path| at(path)).find(|count| *count > 0).unwrap_or(0);
    let whole = |counts, is_whole| Some(ReportedCounts { counts, is_whole });
    // What the total leaves for the output where that is not reported itself.
    let output_of = |name: &str, input: u64| {
        let rest = number("total_tokens").map(|total| total.saturating_sub(input));
        number(name).or(rest)
    };
    if has("promptTokenCount") || has("totalTokenCount") {
        // Gemini: thoughts are beside the candidates, tool results beside the prompt; cached content is in the prompt.
        let counts = TokenCounts {
            input: at("promptTokenCount") + at("toolUsePromptTokenCount"),
            output: at("candidatesTokenCount") + at("thoughtsTokenCount"),
            cache_read: at("cachedContentTokenCount"),
            reasoning: at("thoughtsTokenCount"),
            ..TokenCounts::default()
        };
        let is_whole = number("promptTokenCount").is_some() && !is_null("candidatesTokenCount");
        return whole(counts, is_whole);
    }
    if has("total_input_tokens") || has("total_output_tokens") {
        // Gemini's interactions count alike.
        let counts = TokenCounts {
            input: at("total_input_tokens") + at("total_tool_use_tokens"),
            output: at("total_output_tokens") + at("total_thought_tokens"),
            cache_read: at("total_cached_tokens"),
            reasoning: at("total_thought_tokens"),
            ..TokenCounts::default()
        };
        let is_whole = number("total_input_tokens").is_some() && !is_null("total_output_tokens");
        return whole(counts, is_whole);
    }
    if has("prompt_eval_count") || has("eval_count") {
        // Ollama, which leaves the prompt out where all of it was cached.
        let counts = TokenCounts {
            input: at("prompt_eval_count"),
            output: at("eval_count"),
            ..TokenCounts::default()
        };
        return whole(counts, !is_null("prompt_eval_count") && !is_null("eval_count"));
    }
    if has("prompt_tokens") || has("completion_tokens") {
        // OpenAI's chat and embeddings, and many others: cached input is part of the prompt.
        let (input, total) = (at("prompt_tokens"), at("total_tokens"));
        let answer = output_of("completion_tokens", input);
        let reasoning = first_of(&["completion_tokens_details.reasoning_tokens", "reasoning_tokens"]);
        let output = answer.unwrap_or(0);
        // xAI counts reasoning beside the answer, which the total tells; Perplexity's exceeds the answer.
        let is_beside = reasoning > output || reasoning > 0 && total >= input + output + reasoning;
        let counts = TokenCounts {
            input,
            output: if is_beside { output + reasoning } else { output },
            cache_read: first_of(&[
                "prompt_tokens_details.cached_tokens",
                // DeepSeek, then Moonshot.
                "prompt_cache_hit_tokens",
                "cached_tokens",
            ]),
            cache_write: at("prompt_tokens_details.cache_write_tokens"),
            reasoning,
            ..TokenCounts::default()
        };
        // Embeddings have no output.
        let has_output = answer.is_some() || !has("completion_tokens");
        return whole(counts, number("prompt_tokens").is_some() && has_output);
    }
    if has("input_tokens_details") || (has("input_tokens") && has("total_tokens")) {
        // OpenAI's responses.
        let output = output_of("output_tokens", at("input_tokens"));
        let counts = TokenCounts {
            input: at("input_tokens"),
            output: output.unwrap_or(0),
            cache_read: at("input_tokens_details.cached_tokens"),
            cache_write: at("input_tokens_details.cache_write_tokens"),
            reasoning: at("output_tokens_details.reasoning_tokens"),
            ..TokenCounts::default()
        };
        return whole(counts, number("input_tokens").is_some() && output.is_some());
    }
    if has("input_tokens") || has("output_tokens") || has("inputTokens") || has("outputTokens") {
        // Anthropic, then Amazon Bedrock: cached input is beside the input, and compaction beside both.
        let of = |name: &str, compaction: &str| at(name) + at(compaction);
        let cache_read =
            at("cacheReadInputTokens") + of("cache_read_input_tokens", "compaction.cache_read_input_tokens");
        let cache_write =
            at("cacheWriteInputTokens") + of("cache_creation_input_tokens", "compaction.cache_creation_input_tokens");
        let uncached = at("inputTokens") + of("input_tokens", "compaction.input_tokens");
        let counts = TokenCounts {
            input: uncached + cache_read + cache_write,
            output: at("outputTokens") + of("output_tokens", "compaction.output_tokens"),
            cache_read,
            cache_write,
            cache_write_1h: first_of(&["cache_creation.ephemeral_1h_input_tokens", "cacheWrite1h.inputTokens"]),
            reasoning: 0,
        };
        let has_input = number("input_tokens").or(number("inputTokens")).is_some();
        return whole(
            counts,
            has_input && !is_null("output_tokens") && !is_null("outputTokens"),
        );
    }
    if has("billed_units") || has("tokens") {
        // Cohere's own API; what is billed by another unit has no tokens.
        let counts = TokenCounts {
            input: first_of(&["billed_units.input_tokens", "tokens.input_tokens"]),
            output: first_of(&["billed_units.output_tokens", "tokens.output_tokens"]),
            ..TokenCounts::default()
        };
        return whole(counts, true).filter(|it| it.counts != TokenCounts::default());
    }
    // Embeddings of some: everything is input.
    let input = number("total_tokens")?;
    whole(
        TokenCounts {
            input,
            ..TokenCounts::default()
        },
        true,
    )
}

/// The counts, with parts no greater than their whole; nothing where a sum cannot be true.
fn true_counts(reported: TokenCounts) -> Option<Tokens> {
    (reported.input.max(reported.output) <= MOST_PER_REQUEST).then(|| within_whole(reported))
}

/// The counts with parts cut to their whole.
fn within_whole(counts: TokenCounts) -> Tokens {
    let input = counts.input.min(MOST_TOKENS);
    let output = counts.output.min(MOST_TOKENS);
    let cache_read = counts.cache_read.min(input);
    let cache_write = counts.cache_write.min(input - cache_read);
    Tokens::new(TokenCounts {
        input,
        output,
        cache_read,
        cache_write,
        cache_write_1h: counts.cache_write_1h.min(cache_write),
        reasoning: counts.reasoning.min(output),
    })
    .unwrap_or_default()
}

/// How many characters of text an event brings, under any provider's names for it.
fn chars(value: &Value, depth: u8) -> u64 {
    const TEXTS: [&str; 10] = [
        "content",
        "text",
        "delta",
        "partial_json",
        "arguments",
        "thinking",
        "reasoning",
        "reasoning_content",
        "refusal",
        "response",
    ];
    let Some(depth) = depth.checked_sub(1) else { return 0 };
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| match value {
                Value::String(text) if TEXTS.contains(&name.as_str()) => text.chars().count() as u64,
                value => chars(value, depth),
            })
            .sum(),
        Value::Array(values) => values.iter().map(|value| chars(value, depth)).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
