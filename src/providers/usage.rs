//! What a request used, read from the provider's answer: whole, or as a stream that passes by.
//!
//! An answer is read for its `usage` object, wherever the provider puts it, and that object by the names in it: they
//! tell whose way of counting it is. The objects of a stream are laid over each other, because every provider's later
//! counts replace its earlier ones. The conversion to [`Tokens`], where input includes what caches had a part in and
//! output includes reasoning, is done once, at the end.

use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value};

use crate::domain::{MOST_TOKENS, Service, TokenCounts, Tokens};

/// The longest event, or answer, that is read, in bytes; longer events pass unread.
const LONGEST: usize = 16 << 20;
/// How much of a longer answer's end is looked through for what it used.
const TAIL: usize = 64 << 10;
/// Letters in a token of a text that nobody counted.
const LETTERS: u64 = 4;
/// How deep an event is searched for text.
const DEPTH: u8 = 12;

/// How an answer is put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One JSON value.
    Whole,
    /// Server-sent events.
    Events,
    /// A JSON value on each line.
    Lines,
    /// Something else, which says nothing of what it used.
    Unread,
}

/// What is known of a request's use so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Meter {
    /// All that the provider said, laid over each other.
    usage: Map<String, Value>,
    service: Option<Service>,
    letters: u64,
    is_error: bool,
}

/// Reads an answer while it passes.
#[derive(Debug)]
pub struct UsageReader {
    framing: Framing,
    /// Whether the event with nothing but counts is kept back: the client has not asked for it.
    strips: bool,
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// The data of the event, or the whole answer, of which only the end is kept where it is too long.
    data: Vec<u8>,
    /// The event's bytes as they came, where it may have to be kept back.
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

    /// Reads `piece`, and returns what of it, and of what was kept back before, goes on to the client.
    pub fn pass(&mut self, piece: Bytes) -> Bytes {
        match self.framing {
            Framing::Unread => piece,
            Framing::Whole => {
                self.data.extend_from_slice(&piece);
                self.is_too_long |= self.data.len() > LONGEST;
                // Not with each piece, since what is left has to move.
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

    /// Reads what has no end of its own, and returns what was kept back.
    pub fn finish(&mut self) -> Bytes {
        if !self.line.is_empty() {
            self.end_line();
        }
        if self.end_event() == Event::CountsOnly {
            self.raw.clear();
        }
        std::mem::take(&mut self.raw).freeze()
    }

    /// What is known so far.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Reads up to a line's end, and says what the event was that ended there.
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

    /// Reads a line, and says whether an event ended with it.
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
        match serde_json::from_slice::<Value>(&data) {
            Ok(Value::Array(all)) => {
                for value in &all {
                    self.meter.read(value);
                }
                Event::Other
            }
            Ok(value) => {
                self.meter.read(&value);
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

/// What an event was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// The last one of a stream in OpenAI's format, with counts and nothing else.
    CountsOnly,
    Other,
}

impl Meter {
    /// The counts that the provider gave.
    pub fn tokens(&self) -> Option<Tokens> {
        counts(&self.usage).map(true_counts)
    }

    /// The counts where the answer broke off: what the provider said, and no less output than was seen.
    pub fn tokens_so_far(&self, input: u64) -> Tokens {
        let told = counts(&self.usage).unwrap_or_default();
        true_counts(TokenCounts {
            input: if told.input == 0 { input } else { told.input },
            output: told.output.max(self.letters.div_ceil(LETTERS)),
            ..told
        })
    }

    /// How the provider says that it processed the request.
    pub fn service(&self) -> Option<Service> {
        self.service
    }

    /// Whether text, or a tool's arguments, have come.
    pub fn has_content(&self) -> bool {
        self.letters > 0
    }

    /// Whether the provider told of an error.
    pub fn is_error(&self) -> bool {
        self.is_error
    }

    /// Reads the end of an answer that is too long for more: lists of numbers have what they used behind them.
    fn read_tail(&mut self, tail: &[u8]) {
        let name = br#""usage":"#;
        let at = tail.windows(name.len()).rposition(|window| window == name);
        let usage = at.and_then(|at| {
            let mut values = serde_json::Deserializer::from_slice(&tail[at + name.len()..]).into_iter();
            values.next()?.ok()
        });
        if let Some(Value::Object(usage)) = usage {
            self.lay_over(&usage);
        }
    }

    fn read(&mut self, value: &Value) {
        let Value::Object(event) = value else { return };
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
        self.is_error |=
            kind == "error" || kind == "response.failed" || event.get("error").is_some_and(|error| !error.is_null());
        for holder in [
            Some(value),
            event.get("response"),
            event.get("message"),
            event.get("delta"),
            event.get("x_groq"),
        ] {
            let Some(Value::Object(holder)) = holder else { continue };
            for name in ["usage", "usageMetadata"] {
                if let Some(Value::Object(usage)) = holder.get(name) {
                    self.lay_over(usage);
                }
            }
            self.read_service(holder.get("service_tier"));
        }
        // Of Cohere's older API, and of its embeddings.
        let meta = event.get("meta").filter(|meta| meta["billed_units"].is_object());
        for usage in [value.pointer("/choices/0/usage"), meta].into_iter().flatten() {
            if let Value::Object(usage) = usage {
                self.lay_over(usage);
            }
        }
        if event.contains_key("eval_count") || event.contains_key("prompt_eval_count") {
            self.lay_over(event);
        }
        // Events that repeat what others brought: their whole text would count twice.
        if kind
            .strip_prefix("response.")
            .is_none_or(|what| what.rsplit('.').next() == Some("delta"))
        {
            self.letters += letters(value, DEPTH);
        }
    }

    fn lay_over(&mut self, usage: &Map<String, Value>) {
        let said = usage.iter().filter(|(_, count)| !count.is_null());
        self.usage
            .extend(said.map(|(name, count)| (name.clone(), count.clone())));
        self.read_service(usage.get("service_tier"));
        self.read_service(usage.get("speed").filter(|speed| *speed != "standard"));
    }

    fn read_service(&mut self, said: Option<&Value>) {
        self.service = match said.and_then(Value::as_str) {
            Some("flex") => Some(Service::Flex),
            Some("priority") => Some(Service::Priority),
            Some("batch") => Some(Service::Batch),
            Some("fast") => Some(Service::Fast),
            // Asked for something else, and not given it.
            Some("default" | "standard") if self.service != Some(Service::Fast) => Some(Service::Standard),
            _ => self.service,
        };
    }
}

/// The counts in a `usage` object, by whose names are in it; nothing where there are none that we know.
fn counts(usage: &Map<String, Value>) -> Option<TokenCounts> {
    let at = |path: &str| -> u64 {
        let mut names = path.split('.');
        let first = names.next().and_then(|name| usage.get(name));
        names
            .fold(first, |value, name| value?.get(name))
            .and_then(Value::as_u64)
            .unwrap_or(0)
            .min(MOST_TOKENS)
    };
    let has = |name: &str| usage.contains_key(name);
    let first_of = |paths: &[&str]| paths.iter().map(|path| at(path)).find(|count| *count > 0).unwrap_or(0);
    if has("promptTokenCount") || has("totalTokenCount") {
        // Gemini: thoughts stand beside the candidates, tool results beside the prompt; cached content is in the prompt.
        return Some(TokenCounts {
            input: at("promptTokenCount") + at("toolUsePromptTokenCount"),
            output: at("candidatesTokenCount") + at("thoughtsTokenCount"),
            cache_read: at("cachedContentTokenCount"),
            reasoning: at("thoughtsTokenCount"),
            ..TokenCounts::default()
        });
    }
    if has("prompt_eval_count") || has("eval_count") {
        // Ollama.
        return Some(TokenCounts {
            input: at("prompt_eval_count"),
            output: at("eval_count"),
            ..TokenCounts::default()
        });
    }
    if has("prompt_tokens") {
        // OpenAI's chat and embeddings, and everybody who speaks like it: cached input is part of the prompt.
        let (input, answer, total) = (at("prompt_tokens"), at("completion_tokens"), at("total_tokens"));
        let reasoning = first_of(&["completion_tokens_details.reasoning_tokens", "reasoning_tokens"]);
        // xAI counts reasoning beside the answer, which only the total tells.
        let is_beside = reasoning > 0 && total >= input + answer + reasoning;
        return Some(TokenCounts {
            input,
            output: if is_beside { answer + reasoning } else { answer },
            cache_read: first_of(&[
                "prompt_tokens_details.cached_tokens",
                // DeepSeek, then Moonshot.
                "prompt_cache_hit_tokens",
                "cached_tokens",
            ]),
            cache_write: at("prompt_tokens_details.cache_write_tokens"),
            reasoning,
            ..TokenCounts::default()
        });
    }
    if has("input_tokens_details") || (has("input_tokens") && has("total_tokens")) {
        // OpenAI's responses.
        return Some(TokenCounts {
            input: at("input_tokens"),
            output: at("output_tokens"),
            cache_read: at("input_tokens_details.cached_tokens"),
            cache_write: at("input_tokens_details.cache_write_tokens"),
            reasoning: at("output_tokens_details.reasoning_tokens"),
            ..TokenCounts::default()
        });
    }
    if has("input_tokens") || has("output_tokens") || has("inputTokens") {
        // Anthropic, then Amazon Bedrock: what caches had a part in stands beside the input.
        let cache_read = first_of(&["cache_read_input_tokens", "cacheReadInputTokens"]);
        let cache_write = first_of(&["cache_creation_input_tokens", "cacheWriteInputTokens"]);
        return Some(TokenCounts {
            input: first_of(&["input_tokens", "inputTokens"]) + cache_read + cache_write,
            output: first_of(&["output_tokens", "outputTokens"]),
            cache_read,
            cache_write,
            cache_write_1h: at("cache_creation.ephemeral_1h_input_tokens"),
            reasoning: 0,
        });
    }
    if has("billed_units") || has("tokens") {
        // Cohere's own API; of what is billed by something else it tells no tokens.
        let told = TokenCounts {
            input: first_of(&["billed_units.input_tokens", "tokens.input_tokens"]),
            output: first_of(&["billed_units.output_tokens", "tokens.output_tokens"]),
            ..TokenCounts::default()
        };
        return (told != TokenCounts::default()).then_some(told);
    }
    // Embeddings of some: everything is input.
    has("total_tokens").then(|| TokenCounts {
        input: at("total_tokens"),
        ..TokenCounts::default()
    })
}

/// The counts, with parts no greater than their whole: a provider that says otherwise is taken at its whole.
fn true_counts(told: TokenCounts) -> Tokens {
    let input = told.input.min(MOST_TOKENS);
    let output = told.output.min(MOST_TOKENS);
    let cache_read = told.cache_read.min(input);
    let cache_write = told.cache_write.min(input - cache_read);
    Tokens::new(TokenCounts {
        input,
        output,
        cache_read,
        cache_write,
        cache_write_1h: told.cache_write_1h.min(cache_write),
        reasoning: told.reasoning.min(output),
    })
    .unwrap_or_default()
}

/// How many letters of text an event brings, whatever the provider's names for it.
fn letters(value: &Value, depth: u8) -> u64 {
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
                value => letters(value, depth),
            })
            .sum(),
        Value::Array(values) => values.iter().map(|value| letters(value, depth)).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
