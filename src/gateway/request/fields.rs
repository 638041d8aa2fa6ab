//! What is read of a request's body; everything else passes unread.

use std::{borrow::Cow, collections::BTreeSet};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{body_format::BodyFormat, multipart::Form, prompt::Prompt};
use crate::{
    domain::{Billionths, Capability, MAX_TOKENS, Service, Task},
    error::{Code, Error, Result},
    gateway::http::route::{Endpoint, ProviderCall},
};

/// The fields of a body that the gateway understands, as they are spelled there.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::gateway) struct BodyFields<'b> {
    #[serde(borrow)]
    pub(super) model: Option<&'b RawValue>,
    /// ElevenLabs' name for it.
    #[serde(borrow)]
    model_id: Option<&'b RawValue>,
    /// What is to be read out: OpenAI's name, and that of the others.
    #[serde(borrow)]
    input: Option<&'b RawValue>,
    #[serde(borrow)]
    text: Option<&'b RawValue>,
    #[serde(borrow)]
    pub(super) stream: Option<&'b RawValue>,
    #[serde(borrow)]
    pub(super) stream_options: Option<&'b RawValue>,
    #[serde(borrow)]
    tools: Option<&'b RawValue>,
    #[serde(borrow, alias = "serviceTier")]
    service_tier: Option<&'b RawValue>,
    #[serde(borrow)]
    speed: Option<&'b RawValue>,
    /// Bedrock's name for a faster service with prices of its own.
    #[serde(borrow, rename = "performanceConfig")]
    performance_config: Option<&'b RawValue>,
    #[serde(borrow)]
    n: Option<&'b RawValue>,
    #[serde(borrow)]
    best_of: Option<&'b RawValue>,
    #[serde(borrow)]
    num_generations: Option<&'b RawValue>,
    #[serde(borrow)]
    num_return_sequences: Option<&'b RawValue>,
    #[serde(borrow)]
    max_tokens: Option<&'b RawValue>,
    #[serde(borrow)]
    max_completion_tokens: Option<&'b RawValue>,
    #[serde(borrow)]
    max_output_tokens: Option<&'b RawValue>,
    #[serde(borrow, rename = "generationConfig")]
    generation_config: Option<&'b RawValue>,
    #[serde(borrow, rename = "generation_config")]
    generation_config_in_snake_case: Option<&'b RawValue>,
    #[serde(borrow, rename = "inferenceConfig")]
    inference_config: Option<&'b RawValue>,
    #[serde(borrow)]
    options: Option<&'b RawValue>,
    #[serde(borrow)]
    temperature: Option<&'b RawValue>,
    #[serde(borrow)]
    background: Option<&'b RawValue>,
    #[serde(borrow)]
    conversation: Option<&'b RawValue>,
    #[serde(borrow)]
    previous_response_id: Option<&'b RawValue>,
    #[serde(borrow)]
    input_file_id: Option<&'b RawValue>,
    /// The model that a form names.
    #[serde(skip)]
    pub(super) form_model: Option<&'b str>,
    #[serde(skip)]
    format: BodyFormat,
    #[serde(skip)]
    prompt: Prompt,
}

/// The fields of an object within the body, in their order; one may be there twice.
#[derive(Debug, Default)]
struct Entries<'b>(Vec<(Cow<'b, str>, &'b RawValue)>);

impl<'b> BodyFields<'b> {
    /// What is read of `body`.
    pub(in crate::gateway) fn read(body: &'b [u8], call: &ProviderCall) -> Result<Self> {
        let format = BodyFormat::of(&call.endpoint, &call.path);
        let opaque = || Self {
            format,
            prompt: Prompt::measure(body),
            ..Self::default()
        };
        let is_native = matches!(call.endpoint, Endpoint::Further(_) | Endpoint::Native(_));
        if is_native && let Some(form) = Form::read(body)? {
            return Ok(Self {
                format,
                form_model: form.model,
                prompt: Prompt::of_form(&form),
                ..Self::default()
            });
        }
        if is_native && (body.is_empty() || format == BodyFormat::Other && !body.trim_ascii_start().starts_with(b"{")) {
            return Ok(opaque());
        }
        // A list would be taken for the fields in their order.
        if body.trim_ascii_start().starts_with(b"[") {
            return Err(no_object("is a list"));
        }
        match serde_json::from_slice(body) {
            Ok(fields) => Ok(Self {
                format,
                prompt: Prompt::measure(body),
                ..fields
            }),
            // Files have forms of their own, such as a JSON object on each line.
            Err(why) if format == BodyFormat::Other && is_native && !why.is_data() => Ok(opaque()),
            Err(why) => Err(unreadable(&why)),
        }
    }

    /// Whether the response has output that is paid for.
    pub(super) fn has_output(&self) -> bool {
        self.format != BodyFormat::Embeddings
    }

    /// The model that the body names.
    pub(super) fn model_name(&self) -> Option<Cow<'b, str>> {
        let named = self.model.or(self.model_id);
        self.form_model.map(Cow::Borrowed).or_else(|| named.and_then(text))
    }

    /// How many characters would be read out, were the model one that reads text out.
    pub(super) fn characters(&self) -> u64 {
        let said = [self.text, self.input].into_iter().flatten().find_map(text);
        said.map_or(0, |said| said.chars().count() as u64)
    }

    /// The ids of what an earlier request has made that the body refers to.
    pub(super) fn earlier_ids(&self) -> impl Iterator<Item = Cow<'b, str>> {
        let ids = [self.previous_response_id, self.input_file_id];
        ids.into_iter().flatten().filter_map(text)
    }

    pub(super) fn prompt(&self) -> &Prompt {
        &self.prompt
    }

    /// The task that the request is to be routed by, where its model is `auto` or `auto:TASK`.
    pub(in crate::gateway) fn task(&self, endpoint: &Endpoint) -> Result<Option<Task>> {
        let named = self.model.and_then(text);
        let Some(rest) = named.as_deref().and_then(|name| name.strip_prefix("auto")) else {
            return Ok(None);
        };
        match (rest.strip_prefix(':'), endpoint) {
            (_, Endpoint::Further(_) | Endpoint::Native(_)) => Ok(None),
            (None, _) if !rest.is_empty() => Ok(None),
            (None, Endpoint::Embeddings) => Ok(Some(Task::Embeddings)),
            (None, _) => Ok(Some(Task::Chat)),
            (Some(name), _) => Task::ALL
                .into_iter()
                .find(|task| task.as_str() == name)
                .map(Some)
                .ok_or_else(|| {
                    let tasks: Vec<&str> = Task::ALL.iter().map(|task| task.as_str()).collect();
                    Error::new(Code::InvalidArgument, "`model` names a task that there is not")
                        .hint(format!("the tasks are {}", tasks.join(", ")))
                }),
        }
    }

    /// Whether the answer comes whole and is the same each time, as far as a request can say so; and sending it changes
    /// nothing at the provider.
    pub(in crate::gateway) fn has_one_answer(&self, endpoint: &Endpoint) -> bool {
        let is_off = |raw: Option<&RawValue>| raw.is_none_or(|raw| matches!(raw.get(), "null" | "false"));
        let is_zero = |raw: &RawValue| Billionths::parse(raw.get()) == Some(Billionths(0));
        match endpoint {
            Endpoint::Embeddings => true,
            Endpoint::Chat | Endpoint::Responses | Endpoint::Messages => {
                self.temperature.is_some_and(is_zero)
                    && [self.stream, self.background, self.conversation]
                        .into_iter()
                        .all(is_off)
            }
            Endpoint::CountTokens | Endpoint::Further(_) | Endpoint::Native(_) => false,
        }
    }

    /// How the provider is to process the request; nothing where it names a service whose price is unknown.
    pub(super) fn service(&self) -> Option<Service> {
        let is_plain = |raw: Option<&RawValue>, word: &str| {
            raw.is_none_or(|raw| raw.get() == "null" || text(raw).is_some_and(|said| said == word))
        };
        let latency = Entries::of(self.performance_config);
        if latency.named("latency").any(|raw| !is_plain(Some(raw), "standard")) {
            return None;
        }
        if self.speed.and_then(text).as_deref() == Some("fast") {
            return Some(Service::Fast);
        }
        if !is_plain(self.speed, "standard") {
            return None;
        }
        let Some(tier) = self.service_tier.filter(|raw| raw.get() != "null") else {
            return Some(Service::Standard);
        };
        // Bedrock puts the word into an object.
        let inner = Entries::of(Some(tier)).named("type").last();
        let said = text(inner.unwrap_or(tier))?.to_ascii_lowercase();
        // Gemini's SDK spells it so.
        match said.strip_prefix("service_tier_").unwrap_or(&said) {
            "auto" | "default" | "unspecified" | "standard" | "standard_only" | "on_demand" => Some(Service::Standard),
            "flex" => Some(Service::Flex),
            "priority" => Some(Service::Priority),
            _ => None,
        }
    }

    /// The most output tokens that the request allows for one answer, by the largest of the fields that its format
    /// knows; nothing where it names no limit.
    pub(super) fn output_limit(&self, is_new_spelling_known: bool) -> Option<u64> {
        let in_config = |raw: Option<&'b RawValue>, names: &[&str]| -> Vec<&'b RawValue> {
            let entries = Entries::of(raw);
            names
                .iter()
                .flat_map(|name| entries.named(name).collect::<Vec<_>>())
                .collect()
        };
        let named: Vec<&RawValue> = match self.format {
            // A provider that knows `max_tokens` alone passes over the other.
            BodyFormat::Chat if self.max_tokens.is_none() && !is_new_spelling_known => Vec::new(),
            BodyFormat::Chat => [self.max_completion_tokens, self.max_tokens]
                .into_iter()
                .flatten()
                .collect(),
            BodyFormat::Completions | BodyFormat::Messages | BodyFormat::Cohere => {
                self.max_tokens.into_iter().collect()
            }
            BodyFormat::Responses => self.max_output_tokens.into_iter().collect(),
            BodyFormat::Gemini => [self.generation_config, self.generation_config_in_snake_case]
                .into_iter()
                .flat_map(|raw| in_config(raw, &["maxOutputTokens", "max_output_tokens"]))
                .collect(),
            BodyFormat::Ollama => in_config(self.options, &["num_predict"]),
            BodyFormat::Bedrock => in_config(self.inference_config, &["maxTokens"]),
            BodyFormat::Embeddings | BodyFormat::Other => Vec::new(),
        };
        // One that is no number may be the one that the provider goes by.
        let limits: Option<Vec<u64>> = named
            .into_iter()
            .filter(|raw| raw.get() != "null")
            .map(|raw| count(raw).filter(|limit| *limit > 0))
            .collect();
        limits?.into_iter().max()
    }

    /// How many answers the request wants.
    pub(super) fn samples(&self) -> u64 {
        let of_openai = [self.n, self.best_of, self.num_generations, self.num_return_sequences];
        let of_gemini = || {
            let configs = [self.generation_config, self.generation_config_in_snake_case];
            configs.into_iter().flat_map(|raw| {
                let entries = Entries::of(raw);
                let named =
                    ["candidateCount", "candidate_count"].map(|name| entries.named(name).filter_map(count).max());
                named.into_iter().flatten()
            })
        };
        let named = match self.format {
            BodyFormat::Chat | BodyFormat::Completions | BodyFormat::Cohere => {
                of_openai.into_iter().flatten().filter_map(count).max()
            }
            BodyFormat::Gemini => of_gemini().max(),
            BodyFormat::Other => of_openai
                .into_iter()
                .flatten()
                .filter_map(count)
                .chain(of_gemini())
                .max(),
            BodyFormat::Responses
            | BodyFormat::Embeddings
            | BodyFormat::Messages
            | BodyFormat::Ollama
            | BodyFormat::Bedrock => None,
        };
        named.unwrap_or(1).max(1)
    }

    /// Whether the response says only that the work is taken on: a job in the background, or one of many requests.
    pub(super) fn is_deferred(&self, path: &str) -> bool {
        let is_true = |raw: Option<&RawValue>| raw.is_some_and(|raw| raw.get() == "true");
        let path = path.split('?').next().unwrap_or(path);
        let takes_many = ["/batches", ":batchGenerateContent", ":predictLongRunning"];
        is_true(self.background) && !is_true(self.stream) || takes_many.iter().any(|end| path.ends_with(end))
    }

    /// What a model must be able to do to take the request.
    pub(super) fn needs(&self) -> BTreeSet<Capability> {
        let has_tools = self
            .tools
            .is_some_and(|tools| tools.get() != "null" && tools.get() != "[]");
        has_tools.then_some(Capability::Tools).into_iter().collect()
    }
}

impl<'b> Entries<'b> {
    /// The fields of an object; none of anything else.
    fn of(raw: Option<&'b RawValue>) -> Self {
        raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
            .unwrap_or_default()
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &'b RawValue> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, raw)| *raw)
    }
}

impl<'de: 'b, 'b> Deserialize<'de> for Entries<'b> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect<'b>(std::marker::PhantomData<&'b ()>);
        impl<'de: 'b, 'b> serde::de::Visitor<'de> for Collect<'b> {
            type Value = Entries<'b>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((key, value)) = fields.next_entry::<String, &'de RawValue>()? {
                    entries.push((Cow::Owned(key), value));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Collect(std::marker::PhantomData))
    }
}

/// The text that a string of JSON spells.
pub(super) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str(raw.get()).ok()
}

/// A count as a provider may read it: a number, or one in a string, rounded up; nothing where it is negative or none.
fn count(raw: &RawValue) -> Option<u64> {
    let spelled = if raw.get().starts_with('"') {
        text(raw)?.into_owned()
    } else {
        raw.get().to_owned()
    };
    let digits: String = spelled.trim().chars().filter(|c| *c != '_').collect();
    let digits = digits.strip_prefix('+').unwrap_or(&digits);
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let all: Vec<u64> = whole
        .bytes()
        .chain(fraction.bytes())
        .map(|digit| u64::from(digit - b'0'))
        .collect();
    let Ok(exponent) = exponent.parse::<i64>() else {
        let unsigned = exponent.trim_start_matches(['+', '-']);
        let is_exponent = !unsigned.is_empty() && is_digits(unsigned);
        return is_exponent.then_some(if exponent.starts_with('-') { 1 } else { MAX_TOKENS });
    };
    let point = i64::try_from(whole.len()).ok()?.saturating_add(exponent);
    let point = usize::try_from(point).unwrap_or(if point < 0 { 0 } else { usize::MAX });
    let mut number = 0u64;
    for at in 0..point {
        if number > MAX_TOKENS || number == 0 && at >= all.len() {
            break;
        }
        number = number * 10 + all.get(at).copied().unwrap_or(0);
    }
    let is_more = all.iter().skip(point).any(|digit| *digit > 0);
    Some((number + u64::from(is_more)).min(MAX_TOKENS))
}

fn unreadable(why: &serde_json::Error) -> Error {
    // The parser's own text can quote the body.
    let problem = match why.classify() {
        serde_json::error::Category::Eof => "ends too early",
        serde_json::error::Category::Data => "is not one object, or has a field twice",
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "is not JSON",
    };
    no_object(&format!("{problem} (line {}, column {})", why.line(), why.column()))
}

fn no_object(problem: &str) -> Error {
    Error::new(Code::InvalidArgument, format!("the body {problem}")).hint("send one JSON object")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    fn read<'b>(body: &'b str, path: &str) -> BodyFields<'b> {
        let endpoint = match path {
            "/chat/completions" => Endpoint::Chat,
            "/responses" => Endpoint::Responses,
            "/messages" => Endpoint::Messages,
            _ => Endpoint::Native("google".parse().expect("a provider")),
        };
        let call = ProviderCall {
            endpoint,
            path: path.to_owned(),
        };
        BodyFields::read(body.as_bytes(), &call).expect("readable")
    }

    #[test]
    fn a_field_that_is_there_twice_is_refused_however_it_is_spelled() {
        let twice = r#"{"model":"cheap","mod\u0065l":"expensive"}"#;
        for path in ["/v1beta/models/m:generateContent", "/anything"] {
            let endpoint = Endpoint::Native("google".parse().expect("a provider"));
            let call = ProviderCall {
                endpoint,
                path: path.to_owned(),
            };
            assert!(BodyFields::read(twice.as_bytes(), &call).is_err(), "{path}");
        }
    }

    #[test]
    fn a_count_is_read_in_every_spelling_and_an_absurd_one_is_not_ignored() {
        for (spelled, number) in [
            ("6", Some(6)),
            ("6.0", Some(6)),
            ("6.1", Some(7)),
            ("\"6\"", Some(6)),
            ("\" 60_000 \"", Some(60_000)),
            ("\"+6\"", Some(6)),
            ("6e4", Some(60_000)),
            ("0.6E1", Some(6)),
            ("600e-2", Some(6)),
            ("1e-30", Some(1)),
            ("0", Some(0)),
            ("1e30", Some(MAX_TOKENS)),
            ("1e99999999999999999999", Some(MAX_TOKENS)),
            ("99999999999999999999999999999", Some(MAX_TOKENS)),
            ("0e999999999999", Some(0)),
            ("-1", None),
            ("null", None),
            ("true", None),
            ("[6]", None),
            ("\"many\"", None),
            ("\"\"", None),
        ] {
            assert_eq!(count(&raw(spelled)), number, "{spelled}");
        }
    }

    #[test]
    fn the_output_limit_is_the_largest_that_the_format_knows() {
        let gemini = "/v1beta/models/m:generateContent";
        for (path, body, limit) in [
            ("/chat/completions", r#"{"max_tokens":5}"#, Some(5)),
            (
                "/chat/completions",
                r#"{"max_tokens":5,"max_completion_tokens":"7"}"#,
                Some(7),
            ),
            ("/chat/completions", r#"{"max_output_tokens":5}"#, None),
            (
                "/chat/completions",
                r#"{"generationConfig":{"maxOutputTokens":5}}"#,
                None,
            ),
            (
                "/chat/completions",
                r#"{"max_tokens":100,"max_output_tokens":1}"#,
                Some(100),
            ),
            (
                "/chat/completions",
                r#"{"max_tokens":5,"max_output_tokens":900}"#,
                Some(5),
            ),
            ("/chat/completions", r#"{"max_tokens":-1}"#, None),
            ("/chat/completions", r#"{"max_tokens":0}"#, None),
            (
                "/chat/completions",
                r#"{"max_tokens":5,"max_completion_tokens":"x"}"#,
                None,
            ),
            (
                "/chat/completions",
                r#"{"max_tokens":5,"max_completion_tokens":null}"#,
                Some(5),
            ),
            ("/responses", r#"{"max_output_tokens":5,"max_tokens":900}"#, Some(5)),
            ("/responses", r#"{"max_tokens":5}"#, None),
            ("/messages", r#"{"max_tokens":5.0,"max_output_tokens":1}"#, Some(5)),
            (gemini, r#"{"generationConfig":{"maxOutputTokens":5}}"#, Some(5)),
            (
                gemini,
                r#"{"generation_config":{"max_output_tokens":"60000"}}"#,
                Some(60_000),
            ),
            (
                gemini,
                r#"{"generationConfig":{"maxOutputTokens":5,"max_output_tokens":7,"maxOutputTokens":9}}"#,
                Some(9),
            ),
            (
                gemini,
                r#"{"generationConfig":{"maxOutputTokens":5},"generation_config":{"maxOutputTokens":7}}"#,
                Some(7),
            ),
            (gemini, r#"{"max_tokens":5}"#, None),
            ("/api/chat", r#"{"options":{"num_predict":5}}"#, Some(5)),
            ("/model/m/converse", r#"{"inferenceConfig":{"maxTokens":5}}"#, Some(5)),
            ("/v2/chat", r#"{"max_tokens":5}"#, Some(5)),
            ("/v1/chat/completions?a=b", r#"{"max_tokens":5}"#, Some(5)),
            ("/v1/anything", r#"{"max_tokens":5}"#, None),
        ] {
            assert_eq!(read(body, path).output_limit(true), limit, "{path} {body}");
        }
        let newer = read(r#"{"max_completion_tokens":5}"#, "/chat/completions");
        assert_eq!((newer.output_limit(true), newer.output_limit(false)), (Some(5), None));
    }

    #[test]
    fn every_answer_that_is_asked_for_counts() {
        let gemini = "/v1beta/models/m:generateContent";
        for (path, body, samples) in [
            ("/chat/completions", r#"{"n":6.0}"#, 6),
            ("/chat/completions", r#"{"n":"6"}"#, 6),
            ("/chat/completions", r#"{"n":2,"best_of":20}"#, 20),
            ("/chat/completions", r#"{"num_return_sequences":4}"#, 4),
            ("/chat/completions", r#"{"n":1e30}"#, MAX_TOKENS),
            ("/chat/completions", r#"{"n":0}"#, 1),
            ("/chat/completions", r#"{"generationConfig":{"candidateCount":8}}"#, 1),
            ("/responses", r#"{"n":6}"#, 1),
            (gemini, r#"{"generationConfig":{"candidateCount":8}}"#, 8),
            (gemini, r#"{"generation_config":{"candidate_count":"8"}}"#, 8),
            (
                gemini,
                r#"{"generationConfig":{"candidateCount":8,"candidateCount":1}}"#,
                8,
            ),
            ("/v1/anything", r#"{"n":6}"#, 6),
        ] {
            assert_eq!(read(body, path).samples(), samples, "{path} {body}");
        }
    }

    #[test]
    fn a_service_that_no_price_is_known_for_is_not_taken_for_the_usual_one() {
        for (body, service) in [
            ("{}", Some(Service::Standard)),
            (r#"{"service_tier":null}"#, Some(Service::Standard)),
            (r#"{"service_tier":"auto"}"#, Some(Service::Standard)),
            (r#"{"service_tier":"FLEX"}"#, Some(Service::Flex)),
            (r#"{"serviceTier":{"type":"priority"}}"#, Some(Service::Priority)),
            (r#"{"service_tier":"scale"}"#, None),
            (r#"{"service_tier":7}"#, None),
            (r#"{"speed":"fast"}"#, Some(Service::Fast)),
            (r#"{"speed":"standard"}"#, Some(Service::Standard)),
            (r#"{"speed":"ludicrous"}"#, None),
            (r#"{"performanceConfig":{"latency":"optimized"}}"#, None),
            (
                r#"{"performanceConfig":{"latency":"standard"}}"#,
                Some(Service::Standard),
            ),
        ] {
            assert_eq!(read(body, "/messages").service(), service, "{body}");
        }
    }

    #[test]
    fn a_body_that_only_a_lenient_parser_reads_is_refused_where_it_is_paid_for() {
        let native = |path: &str| ProviderCall {
            endpoint: Endpoint::Native("google".parse().expect("a provider")),
            path: path.to_owned(),
        };
        for body in ["{'generationConfig':{'candidateCount':8}}", "[{}]", "{}{}", "// {}"] {
            let call = native("/v1beta/models/m:generateContent");
            assert!(BodyFields::read(body.as_bytes(), &call).is_err(), "{body}");
        }
        for body in ["--boundary", "[{}]", "{\"a\":1}\n{\"a\":2}\n", ""] {
            assert!(
                BodyFields::read(body.as_bytes(), &native("/v1/files")).is_ok(),
                "{body}"
            );
        }
    }
}
