//! What is known of a request's usage, while its response passes.

use serde_json::{Map, Value};

use super::{
    conversion::{ReportedCounts, reported},
    counts::{self, MAX_ENTRIES, merge, merge_count, true_counts, within_whole},
    extras,
    known::Known,
    scan::ScannedUsage,
    stated_cost::StatedCost,
};
use crate::{
    domain::{Extras, ModelId, Portion, SearchContext, Service, TokenCounts, Tokens, Usd},
    providers::refusal,
};

/// Characters per token of text without counts.
const CHARS_PER_TOKEN: u64 = 4;

/// What is known of a request's usage so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Meter {
    /// All reported counts that can be true, merged; `null` where one was named without a value.
    usage: Map<String, Value>,
    /// What is billed beside those counts, by the last event that lists it.
    iterations: Vec<Iteration>,
    /// The model that answered in place of the requested one.
    fallback: Option<ModelId>,
    stated_cost: StatedCost,
    tier: Option<Service>,
    /// Whether the faster mode was used, where the provider says.
    is_fast: Option<bool>,
    /// Whether a tool, or a place, was used that is charged beside the tokens, and not counted.
    has_surcharge: bool,
    search_context: Option<SearchContext>,
    /// Characters of text so far.
    chars: u64,
    /// The first event, or the body, that reports an error.
    error: Option<Box<Value>>,
    /// Whether a count was reported that cannot be true.
    is_implausible: bool,
    progress: Progress,
}

/// Tokens that Anthropic bills beside the counts at the top.
#[derive(Debug, Clone, PartialEq)]
struct Iteration {
    /// Where it is not the requested one.
    model: Option<ModelId>,
    counts: TokenCounts,
}

/// How far a stream is that says so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Progress {
    /// Unknown, or not begun.
    #[default]
    Unknown,
    /// More has to come.
    Begun,
    /// The response is all there; counts may follow.
    Answered,
    /// Nothing follows.
    Complete,
}

impl Meter {
    /// The counts that the provider reported, where they can be true and none is missing.
    pub fn tokens(&self) -> Option<Tokens> {
        let reported = reported(&self.usage).filter(|reported| reported.is_whole && !self.is_implausible)?;
        if self.is_output_hidden(&reported) {
            return None;
        }
        true_counts(self.with_iterations(reported.counts))
    }

    /// Those counts by the model that each part is billed at; nothing where all are of the requested model.
    pub fn portions(&self) -> Vec<Portion> {
        if self.iterations.is_empty() && self.fallback.is_none() || self.tokens().is_none() {
            return Vec::new();
        }
        let main = reported(&self.usage).unwrap_or_default().counts;
        let main = Portion {
            model: self.fallback.clone(),
            tokens: within_whole(main),
        };
        let others = self.iterations.iter().map(|iteration| Portion {
            model: iteration.model.clone(),
            tokens: within_whole(iteration.counts),
        });
        std::iter::once(main).chain(others).collect()
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

    /// Whether all that is reported is a total, while there is text: no embeddings.
    fn is_output_hidden(&self, reported: &ReportedCounts) -> bool {
        reported.is_total_alone && self.chars > 0
    }

    fn believed(&self) -> TokenCounts {
        let reported = reported(&self.usage).map(|reported| {
            let mut counts = self.with_iterations(reported.counts);
            if self.is_output_hidden(&reported) {
                counts.output = self.chars.div_ceil(CHARS_PER_TOKEN).min(counts.input);
                counts.input -= counts.output;
            }
            counts
        });
        reported
            .filter(|counts| true_counts(*counts).is_some())
            .unwrap_or_default()
    }

    fn with_iterations(&self, main: TokenCounts) -> TokenCounts {
        let others = self.iterations.iter().map(|iteration| iteration.counts);
        others.fold(main, counts::sum)
    }

    /// What the provider says that the request cost, where that can be true.
    pub fn stated_cost(&self) -> Option<Usd> {
        self.stated_cost.usd()
    }

    /// What was used beside plain text: searches, sound, images.
    pub fn extras(&self) -> Extras {
        let counted = extras::extras(Known(&self.usage), self.search_context);
        Extras {
            has_uncounted: self.has_surcharge || counted.has_uncounted,
            ..counted
        }
    }

    /// The service that the provider names.
    pub fn service(&self) -> Option<Service> {
        match (self.is_fast, self.tier) {
            (Some(true), _) => Some(Service::Fast),
            // Another one was requested, and not granted.
            (Some(false), None) => Some(Service::Standard),
            (_, tier) => tier,
        }
    }

    /// Whether text, or a tool's arguments, have come.
    pub fn has_content(&self) -> bool {
        self.chars > 0
    }

    /// Whether the provider reported an error, with whatever status.
    pub fn is_error(&self) -> bool {
        self.error.is_some()
    }

    /// The event, or the body, that reports an error; [`refusal_in`](crate::providers::refusal_in) tells what it means.
    pub fn error(&self) -> Option<&Value> {
        self.error.as_deref()
    }

    /// Whether every count that was reported can be true; where not, there are no [`Meter::tokens`].
    pub fn is_trusted(&self) -> bool {
        !self.is_implausible
    }

    /// Whether the response had begun, and its end is missing.
    pub fn is_unfinished(&self) -> bool {
        self.progress == Progress::Begun
    }

    pub(super) fn is_complete(&self) -> bool {
        self.progress == Progress::Complete
    }

    pub(super) fn complete(&mut self) {
        self.progress = Progress::Complete;
    }

    /// Reads the end of a body that is too long for more: lists of embeddings have their usage at the end.
    pub(super) fn read_tail(&mut self, tail: &[u8]) {
        let name = br#""usage":"#;
        let at = memchr::memmem::rfind(tail, name);
        let usage = at.and_then(|at| {
            let mut values = serde_json::Deserializer::from_slice(&tail[at + name.len()..]).into_iter();
            values.next()?.ok()
        });
        if let Some(usage) = usage {
            self.read_usage(&usage);
        }
    }

    /// Reads one of the headers of the response.
    pub(super) fn read_header(&mut self, name: &str, value: &str) {
        let text = || Value::from(value);
        match name {
            "x-gemini-service-tier" => self.read_tier(Some(&text())),
            "x-litellm-response-cost" => self.stated_cost.read(&text()),
            // Of models that are invoked in a format without counts.
            "x-amzn-bedrock-input-token-count" => self.read_count("inputTokenCount", &text()),
            "x-amzn-bedrock-output-token-count" => self.read_count("outputTokenCount", &text()),
            _ => {}
        }
    }

    /// Reads a body, or an event of a stream.
    pub(super) fn read(&mut self, scanned: &ScannedUsage) {
        if let Value::Array(all) = &scanned.value {
            for value in all {
                self.read_value(value);
            }
        } else {
            self.read_value(&scanned.value);
        }
        if !is_repetition(&scanned.value) {
            self.chars += scanned.chars;
        }
    }

    fn read_value(&mut self, value: &Value) {
        let Value::Object(event) = value else { return };
        if self.error.is_none() && refusal::is_error(value) {
            self.error = Some(Box::new(value.clone()));
        }
        for holder in [
            Some(value),
            event.get("response"),
            event.get("message"),
            event.get("delta"),
            event.get("x_groq"),
            event.get("interaction"),
        ] {
            let Some(Value::Object(holder)) = holder else { continue };
            for name in ["usage", "usageMetadata", "amazon-bedrock-invocationMetrics"] {
                if let Some(usage) = holder.get(name) {
                    self.read_usage(usage);
                }
            }
            // Of Replicate's predictions; others measure other things.
            let metrics = holder.get("metrics").filter(|it| it["output_token_count"].is_number());
            if let Some(metrics) = metrics {
                self.read_usage(metrics);
            }
            self.read_tier(holder.get("service_tier").or(holder.get("serviceTier")));
        }
        // Of Cohere's older API, and of its embeddings.
        let meta = event.get("meta").or_else(|| value.pointer("/response/meta"));
        let meta = meta.filter(|meta| meta["billed_units"].is_object());
        for usage in [value.pointer("/choices/0/usage"), meta].into_iter().flatten() {
            self.read_usage(usage);
        }
        // Vercel's gateway.
        for choice in ["/choices/0/message", "/choices/0/delta"] {
            let metadata = value.pointer(choice).and_then(|it| it.get("provider_metadata"));
            if let Some(cost) = metadata.and_then(|it| it.pointer("/gateway/cost")) {
                self.stated_cost.read(cost);
            }
        }
        self.has_surcharge |= uses_tools(value);
        // Ollama.
        for name in ["prompt_eval_count", "eval_count"] {
            if let Some(count) = event.get(name) {
                self.read_count(name, count);
            }
        }
        let is_counted = event.contains_key("choices") && self.believed().output > 0;
        self.progress = self.progress.after(value, is_counted);
        if kind_of(value) == "message_start" && event.contains_key("message") {
            // Anthropic's output so far, which `message_delta` replaces.
            self.usage.insert("output_tokens".to_owned(), Value::Null);
        }
    }

    fn read_count(&mut self, name: &str, count: &Value) {
        self.is_implausible |= !merge_count(&mut self.usage, name, count);
    }

    fn read_usage(&mut self, usage: &Value) {
        match usage {
            Value::Object(usage) => {
                self.is_implausible |= !merge(&mut self.usage, usage);
                if let Some(Value::Array(iterations)) = usage.get("iterations") {
                    self.read_iterations(iterations);
                }
                self.stated_cost.read_usage(usage);
                // Anthropic charges a tenth more where a request must stay in one country.
                self.has_surcharge |= usage.get("inference_geo").is_some_and(|place| place == "us");
                self.read_tier(
                    usage
                        .get("service_tier")
                        .or(usage.get("serviceTier"))
                        .or(usage.get("trafficType")),
                );
                let context = usage.get("search_context_size").and_then(Value::as_str);
                self.search_context = context.and_then(extras::search_context).or(self.search_context);
                self.is_fast = match usage.get("speed").and_then(Value::as_str) {
                    Some("fast") => Some(true),
                    Some("standard") => Some(false),
                    _ => self.is_fast,
                };
            }
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => self.is_implausible = true,
        }
    }

    /// Reads what Anthropic lists of a request: the counts at the top are the sum of its messages alone.
    fn read_iterations(&mut self, iterations: &[Value]) {
        self.iterations.clear();
        self.fallback = None;
        for entry in iterations.iter().take(MAX_ENTRIES) {
            let model = entry["model"].as_str().and_then(|name| name.parse().ok());
            match (entry["type"].as_str(), entry) {
                (Some("compaction" | "advisor_message"), Value::Object(fields)) => {
                    let mut usage = Map::new();
                    self.is_implausible |= !merge(&mut usage, fields);
                    let counts = reported(&usage).unwrap_or_default().counts;
                    self.iterations.push(Iteration { model, counts });
                }
                (Some("fallback_message"), _) => self.fallback = model,
                // Messages are at the top; what was declined is not billed.
                _ => {}
            }
        }
    }

    fn read_tier(&mut self, said: Option<&Value>) {
        let Some(said) = said.and_then(Value::as_str) else {
            return;
        };
        let said = said.to_ascii_lowercase();
        // Gemini's SDK, then Vertex AI.
        let said = said.strip_prefix("service_tier_").unwrap_or(&said);
        let said = said.strip_prefix("on_demand_").unwrap_or(said);
        self.tier = match said {
            "flex" => Some(Service::Flex),
            "priority" => Some(Service::Priority),
            "batch" => Some(Service::Batch),
            "fast" => Some(Service::Fast),
            "default" | "standard" | "on_demand" => Some(Service::Standard),
            _ => self.tier,
        };
    }
}

impl Progress {
    /// How far a stream is after an event; `is_counted` says whether OpenAI's or a compatible API has counted output.
    fn after(self, event: &Value, is_counted: bool) -> Self {
        let mut choices = event["choices"].as_array().into_iter().flatten();
        let mut any_choice = |is_so: fn(&Value) -> bool| choices.any(is_so);
        match kind_of(event) {
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
            // The last frame of Bedrock's.
            | "metadata" => Self::Complete,
            _ if matches!(self, Self::Answered | Self::Complete) => self,
            "message_delta" if event["usage"].is_object() => Self::Answered,
            "message_start" | "message-start" | "messageStart" | "response.created" | "interaction.created"
            | "interaction.start" => Self::Begun,
            _ if is_counted || any_choice(|choice| !choice["finish_reason"].is_null()) => Self::Answered,
            _ if event["choices"].pointer("/0/delta").is_some() || event["done"] == false => Self::Begun,
            _ => self,
        }
    }
}

/// Whether nothing follows `event` in its stream.
pub(super) fn is_last(event: &Value) -> bool {
    Progress::Unknown.after(event, false) == Progress::Complete
}

/// The type of an event; empty where it has none.
fn kind_of(event: &Value) -> &str {
    let kind = event.get("type").or_else(|| event.get("event_type"));
    kind.and_then(Value::as_str).unwrap_or_default()
}

/// Whether a response, or an event of its stream, shows a tool of the provider's that is charged beside the tokens: a
/// search in OpenAI's responses, or in Gemini's.
fn uses_tools(event: &Value) -> bool {
    const TOOLS: [&str; 4] = [
        "web_search_call",
        "file_search_call",
        "code_interpreter_call",
        "image_generation_call",
    ];
    let is_tool = |item: &Value| item["type"].as_str().is_some_and(|kind| TOOLS.contains(&kind));
    let outputs = [event.get("output"), event.pointer("/response/output")];
    let mut outputs = outputs.into_iter().flatten().filter_map(Value::as_array).flatten();
    let grounding = event.pointer("/candidates/0/groundingMetadata");
    outputs.any(is_tool) || event.get("item").is_some_and(is_tool) || grounding.is_some_and(Value::is_object)
}

/// Whether an event repeats the text of others, which would be counted twice.
fn is_repetition(event: &Value) -> bool {
    kind_of(event)
        .strip_prefix("response.")
        .is_some_and(|what| what.rsplit('.').next() != Some("delta"))
}
