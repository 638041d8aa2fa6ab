//! A request as far as the gateway has to understand it: who gets it, and what it may cost.

use std::{borrow::Cow, collections::BTreeSet};

use bytes::Bytes;
use hyper::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::client_request::ClientRequest;
use crate::{
    app::App,
    catalog::Catalog,
    domain::{Billionths, Capability, Label, ModelId, ModelRef, ProviderId, Service, Task, TokenCounts, Tokens, Usd},
    error::{Code, Error, Result},
    gateway::http::route::{Endpoint, decoded},
    providers::{Dialect, Provider},
    services::{
        pricing::{self, Pricing, Unpriced},
        routing::{self, Route, Wanted},
    },
    settings::Config,
};

/// How many tokens an answer is counted with whose request names no limit, where the model may write that many.
const USUAL_OUTPUT: u64 = 16_384;
/// Bytes in a token of a request, at least: what is set aside must be enough.
const BYTES: u64 = 3;
/// A run of so many letters and digits is a picture or a sound, whose tokens have nothing to do with its length.
const ENCODED: usize = 1_024;
/// What such a run counts for.
const ENCODED_TOKENS: u64 = 3_000;
/// What the model is called of a request that names none.
const UNNAMED: &str = "unnamed";

/// A request that was understood.
#[derive(Debug)]
pub(in crate::gateway) struct PreparedRequest {
    pub(in crate::gateway) provider: Provider,
    pub(in crate::gateway) model: ModelRef,
    /// The key to begin with, where routing has chosen one.
    pub(in crate::gateway) label: Option<Label>,
    /// What goes on: with the provider's own name of the model in it.
    pub(in crate::gateway) body: Bytes,
    /// Whether the counts at the end of the stream were asked for by us alone.
    pub(in crate::gateway) strips: bool,
    /// Whether it uses tokens at all.
    pub(in crate::gateway) is_metered: bool,
    pub(in crate::gateway) operation: &'static str,
    pub(in crate::gateway) service: Service,
    /// The tokens of the prompt, estimated.
    pub(in crate::gateway) input: u64,
    /// The most tokens that the answer may have.
    pub(in crate::gateway) output: u64,
    pub(in crate::gateway) pricing: Pricing,
    /// What it may cost; nothing where nobody knows.
    pub(in crate::gateway) most: Option<Usd>,
    /// Whether what it uses is told only later, to somebody who asks for it.
    pub(in crate::gateway) is_deferred: bool,
}

/// What is read of a body; everything else passes unread.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::gateway) struct Fields<'b> {
    #[serde(borrow)]
    model: Option<&'b RawValue>,
    #[serde(borrow)]
    stream: Option<&'b RawValue>,
    #[serde(borrow)]
    stream_options: Option<&'b RawValue>,
    #[serde(borrow)]
    tools: Option<&'b RawValue>,
    #[serde(borrow)]
    service_tier: Option<&'b RawValue>,
    #[serde(borrow)]
    speed: Option<&'b RawValue>,
    #[serde(borrow)]
    n: Option<&'b RawValue>,
    #[serde(borrow)]
    max_tokens: Option<&'b RawValue>,
    #[serde(borrow)]
    max_completion_tokens: Option<&'b RawValue>,
    #[serde(borrow)]
    max_output_tokens: Option<&'b RawValue>,
    #[serde(borrow, rename = "generationConfig")]
    generation_config: Option<&'b RawValue>,
    #[serde(borrow)]
    temperature: Option<&'b RawValue>,
    #[serde(borrow)]
    background: Option<&'b RawValue>,
    #[serde(borrow)]
    conversation: Option<&'b RawValue>,
}

/// Where a request may go.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Target {
    pub(in crate::gateway) provider: Provider,
    pub(in crate::gateway) model: ModelId,
    /// The key to begin with, where routing has chosen one.
    pub(in crate::gateway) label: Option<Label>,
}

impl<'b> Fields<'b> {
    /// What is read of `body`.
    pub(in crate::gateway) fn read(body: &'b [u8], endpoint: &Endpoint) -> Result<Self> {
        // A list would be taken for the fields in their order.
        let is_list = || body.trim_ascii_start().starts_with(b"[");
        match serde_json::from_slice(body) {
            Ok(_) if endpoint.dialect() == Dialect::Native && is_list() => Ok(Self::default()),
            Ok(_) if is_list() => Err(no_object("is a list")),
            Ok(fields) => Ok(fields),
            // A provider's own API takes what it likes.
            Err(_) if endpoint.dialect() == Dialect::Native => Ok(Self::default()),
            Err(why) => Err(unreadable(&why)),
        }
    }

    /// The task that the request is to be routed by, where its model is `auto` or `auto:TASK`.
    pub(in crate::gateway) fn task(&self, endpoint: &Endpoint) -> Result<Option<Task>> {
        let named = self.model.and_then(text);
        let Some(rest) = named.as_deref().and_then(|name| name.strip_prefix("auto")) else {
            return Ok(None);
        };
        match (rest.strip_prefix(':'), endpoint) {
            (_, Endpoint::Native(_)) => Ok(None),
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

    /// Whether the answer comes whole and is the same each time, as far as that can be asked for; and asking changes
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
            Endpoint::CountTokens | Endpoint::Native(_) => false,
        }
    }

    /// What a model must be able to do to take the request.
    fn needs(&self) -> BTreeSet<Capability> {
        let has_tools = self
            .tools
            .is_some_and(|tools| tools.get() != "null" && tools.get() != "[]");
        has_tools.then_some(Capability::Tools).into_iter().collect()
    }
}

/// Where the request may go, in this order.
pub(in crate::gateway) async fn targets(
    app: &App,
    request: &ClientRequest,
    fields: &Fields<'_>,
) -> Result<Vec<Target>> {
    let (config, call) = (request.config.as_ref(), &request.call);
    let dialect = call.endpoint.dialect();
    if let Some(task) = fields.task(&call.endpoint)? {
        let wanted = Wanted {
            input_tokens: Some(prompt_tokens(&request.body)),
            needs: fields.needs(),
            session: request.note("x-api-keys-session"),
            ..Wanted::of(task)
        };
        return routed(config, dialect, &routing::route(app, &wanted).await?);
    }
    let named = fields.model.and_then(text);
    let (provider, model) = if let Endpoint::Native(id) = &call.endpoint {
        (
            config.provider(id.as_str())?,
            native_model(&call.path, named.as_deref())?,
        )
    } else {
        let named = named.ok_or_else(|| {
            Error::new(Code::InvalidArgument, "`model` is missing, or not a string")
                .hint("name it as `provider/model`, or as the catalogue does: see /v1/models")
        })?;
        resolve(config, &request.catalog, dialect, &named)?
    };
    Ok(vec![Target {
        provider,
        model,
        label: None,
    }])
}

/// The providers of a route that speak `dialect`: the chosen one, then those to fall back to.
fn routed(config: &Config, dialect: Dialect, route: &Route) -> Result<Vec<Target>> {
    let chosen = (&route.provider, &route.model, route.label.as_ref());
    let fallbacks = route.fallbacks.iter().map(|it| (&it.provider, &it.model, None));
    let mut targets = Vec::new();
    for (provider, model, label) in std::iter::once(chosen).chain(fallbacks) {
        let provider = config.provider(provider)?;
        if provider.speaks(dialect).is_some() {
            targets.push(Target {
                provider,
                model: model.parse()?,
                label: label.and_then(|label| label.parse().ok()),
            });
        }
    }
    if targets.is_empty() {
        let language = language(dialect);
        return Err(Error::new(
            Code::UnknownModel,
            format!("no provider that could take the request speaks {language}"),
        )
        .hint("`api-keys route TASK` shows who could; name a model as `provider/model`"));
    }
    Ok(targets)
}

impl PreparedRequest {
    /// The request for `target`.
    pub(in crate::gateway) fn new(
        request: &ClientRequest,
        fields: &Fields<'_>,
        target: Target,
        now: Timestamp,
    ) -> Result<Self> {
        let ClientRequest {
            call,
            body,
            config,
            catalog,
            ..
        } = request;
        let Target { provider, model, label } = target;
        if !provider.enabled {
            let message = format!("{} is turned off", provider.id);
            let hint = format!("set `enabled = true` under [providers.{}] in config.toml", provider.id);
            return Err(Error::new(Code::ProviderNotAllowed, message).hint(hint));
        }
        let is_metered = match &call.endpoint {
            Endpoint::CountTokens => false,
            Endpoint::Native(_) => request.method == Method::POST && !counts_only(&call.path),
            Endpoint::Chat | Endpoint::Responses | Endpoint::Embeddings | Endpoint::Messages => true,
        };
        // What names no model may go where nothing is used.
        let may_pass = |only: &Vec<ModelId>| only.contains(&model) || model.as_str() == UNNAMED && !is_metered;
        if !provider.models.as_ref().is_none_or(may_pass) {
            let message = format!("the configuration has {} for other models only", provider.id);
            let hint = format!("see `models` under [providers.{}] in config.toml", provider.id);
            return Err(Error::new(Code::ProviderNotAllowed, message).hint(hint));
        }
        let model = ModelRef {
            provider: provider.id.clone(),
            model,
        };
        let is_deferred = is_deferred(fields, &call.path);
        let pricing = match pricing::price_of(catalog, config, &model, now) {
            // Nobody will know what was used.
            Pricing::Priced(priced) if is_deferred && !priced.price.is_free() => {
                Pricing::Unpriced(Unpriced::NotByTokens)
            }
            pricing => pricing,
        };
        let input = prompt_tokens(body);
        let output = match &call.endpoint {
            Endpoint::Embeddings | Endpoint::CountTokens => 0,
            _ => most_output(fields, catalog, &model),
        };
        let asks_for_counts = call.endpoint == Endpoint::Chat
            && provider.def.usage_on_request
            && fields.stream.is_some_and(|stream| stream.get() == "true");
        let (body, strips) = match call.endpoint {
            Endpoint::Native(_) => (body.clone(), false),
            _ => rewritten(body, fields, &model.model, asks_for_counts),
        };
        Ok(Self {
            service: service(fields),
            most: most(&pricing, service(fields), is_metered, input, output),
            provider,
            model,
            label,
            body,
            strips,
            is_metered,
            operation: call.endpoint.operation(),
            input,
            output,
            pricing,
            is_deferred,
        })
    }
}

/// The provider and its model that `name` means: `provider/model`, or a name of the catalogue.
fn resolve(config: &Config, catalog: &Catalog, dialect: Dialect, name: &str) -> Result<(Provider, ModelId)> {
    if let Some((provider, model)) = name.split_once('/')
        && let Ok(provider) = config.provider(provider)
    {
        if provider.speaks(dialect).is_none() {
            return Err(other_language(&provider.id, dialect));
        }
        return Ok((provider, model_id(model)?));
    }
    let model = model_id(name)?;
    let knows = |provider: &Provider| {
        let reference = ModelRef {
            provider: provider.id.clone(),
            model: model.clone(),
        };
        catalog.find(&reference).is_some() || provider.models.as_ref().is_some_and(|models| models.contains(&model))
    };
    let mut providers: Vec<&Provider> = config.providers().iter().collect();
    let order = &config.routing.fallback_order;
    providers.sort_by_key(|provider| {
        order
            .iter()
            .position(|equals| equals.contains(&provider.id))
            .unwrap_or(order.len())
    });
    providers.retain(|provider| knows(provider));
    let speaks = |provider: &&&Provider| provider.speaks(dialect).is_some();
    let mut speaking = providers.iter().filter(speaks);
    let best = speaking
        .clone()
        .find(|provider| provider.enabled)
        .or_else(|| speaking.next());
    match (best, providers.first()) {
        (Some(best), _) => Ok(((*best).clone(), model)),
        (None, Some(other)) => Err(other_language(&other.id, dialect)),
        (None, None) => Err(unknown(catalog, name)),
    }
}

fn model_id(name: &str) -> Result<ModelId> {
    let named: Result<ModelId> = name.parse().map_err(Error::from);
    named.map_err(|why| why.hint("/v1/models lists what can be asked for"))
}

fn other_language(provider: &ProviderId, dialect: Dialect) -> Error {
    let language = language(dialect);
    Error::new(
        Code::UnknownModel,
        format!("{provider} is not known to speak {language}"),
    )
    .hint(format!("send the request in its own format, at /p/{provider}/"))
}

fn language(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Anthropic => "Anthropic's API",
        Dialect::OpenAi | Dialect::Native => "OpenAI's API",
    }
}

fn unknown(catalog: &Catalog, name: &str) -> Error {
    let near: Vec<String> = catalog.near(name).iter().map(ToString::to_string).collect();
    let meant = if near.is_empty() {
        String::new()
    } else {
        format!("did you mean {}? ", near.join(", "))
    };
    // The name is the client's own and goes back to it alone.
    let short: String = name.chars().take(100).collect();
    Error::new(Code::UnknownModel, format!("no model `{short}` is known")).hint(format!(
        "{meant}name any other as `provider/model`; /v1/models lists what is known"
    ))
}

/// The body with the provider's name of the model, and the request for counts where it is wanted; every other byte as
/// it was. Says whether the client had not asked for the counts itself.
fn rewritten(body: &Bytes, fields: &Fields<'_>, model: &ModelId, asks_for_counts: bool) -> (Bytes, bool) {
    let mut changes: Vec<(usize, usize, String)> = Vec::new();
    let mut replace = |old: &RawValue, new: String| {
        // The value is a part of the body.
        let start = old.get().as_ptr().addr() - body.as_ptr().addr();
        changes.push((start, start + old.get().len(), new));
    };
    if let Some(old) = fields.model
        && text(old).is_none_or(|old| old != model.as_str())
    {
        replace(old, Value::from(model.as_str()).to_string());
    }
    let mut strips = false;
    if asks_for_counts {
        let options: Option<Value> = fields
            .stream_options
            .and_then(|raw| serde_json::from_str(raw.get()).ok());
        match (fields.stream_options, options) {
            (Some(old), Some(Value::Object(mut options))) => {
                if options.get("include_usage") != Some(&Value::Bool(true)) {
                    options.insert("include_usage".to_owned(), true.into());
                    replace(old, Value::Object(options).to_string());
                    strips = true;
                }
            }
            (Some(old), Some(Value::Null)) => {
                replace(old, r#"{"include_usage":true}"#.to_owned());
                strips = true;
            }
            (None, _) => {
                let start = body.iter().position(|byte| *byte == b'{').map_or(0, |at| at + 1);
                changes.push((start, start, r#""stream_options":{"include_usage":true},"#.to_owned()));
                strips = true;
            }
            // Something else: the provider will say what.
            (Some(_), _) => {}
        }
    }
    if changes.is_empty() {
        return (body.clone(), strips);
    }
    changes.sort_unstable();
    let mut bytes = Vec::with_capacity(body.len() + 64);
    let mut at = 0;
    for (start, end, new) in changes {
        bytes.extend_from_slice(&body[at..start]);
        bytes.extend_from_slice(new.as_bytes());
        at = end;
    }
    bytes.extend_from_slice(&body[at..]);
    (bytes.into(), strips)
}

/// What it costs if every token that may be used is.
fn most(pricing: &Pricing, service: Service, is_metered: bool, input: u64, output: u64) -> Option<Usd> {
    if !is_metered {
        return Some(Usd::ZERO);
    }
    let Pricing::Priced(priced) = pricing else { return None };
    let tokens = Tokens::new(TokenCounts {
        input,
        output,
        ..TokenCounts::default()
    })
    .ok()?;
    // The provider may serve it in the standard way all the same.
    let costs = [Service::Standard, service].map(|service| priced.price.cost(service, &tokens));
    costs.into_iter().flatten().map(|cost| cost.total).max()
}

/// The most tokens that the answer may have: what the request says, else what the model does, within what is usual.
fn most_output(fields: &Fields<'_>, catalog: &Catalog, model: &ModelRef) -> u64 {
    let number = |raw: Option<&RawValue>| raw.and_then(|raw| raw.get().parse::<u64>().ok());
    let of_gemini = || {
        let config: Value = serde_json::from_str(fields.generation_config?.get()).ok()?;
        config["maxOutputTokens"].as_u64()
    };
    // The provider takes the one that it knows, and may know any.
    let named = [
        fields.max_completion_tokens,
        fields.max_output_tokens,
        fields.max_tokens,
    ]
    .into_iter()
    .filter_map(number)
    .chain(of_gemini())
    .max();
    let of_model = catalog.find(model).and_then(|found| found.model.max_output);
    let one = named.unwrap_or_else(|| of_model.unwrap_or(USUAL_OUTPUT).min(USUAL_OUTPUT));
    one.saturating_mul(number(fields.n).unwrap_or(1).clamp(1, 1_000))
}

/// About how many tokens a request's prompt has, rather too many than too few.
fn prompt_tokens(body: &[u8]) -> u64 {
    let is_of_run = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_');
    let (plain, encoded) =
        body.chunk_by(|one, other| is_of_run(one) == is_of_run(other))
            .fold((0, 0), |(plain, encoded), run| {
                if run.len() >= ENCODED && run.first().is_some_and(is_of_run) {
                    (plain, encoded + ENCODED_TOKENS)
                } else {
                    (plain + run.len() as u64, encoded)
                }
            });
    plain.div_ceil(BYTES) + encoded
}

fn service(fields: &Fields<'_>) -> Service {
    if fields.speed.and_then(text).as_deref() == Some("fast") {
        return Service::Fast;
    }
    match fields.service_tier.and_then(text).as_deref() {
        Some("flex") => Service::Flex,
        Some("priority") => Service::Priority,
        _ => Service::Standard,
    }
}

fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str(raw.get()).ok()
}

/// The model of a request to a provider's own API: what the body names, or the path, as Gemini's
/// `/v1beta/models/NAME:generateContent` and Bedrock's `/model/NAME/converse`.
fn native_model(path: &str, in_body: Option<&str>) -> Result<ModelId> {
    let path = decoded(path.split('?').next().unwrap_or(path));
    let in_path = ["/models/", "/model/"]
        .into_iter()
        .find_map(|before| Some(path.split_once(before)?.1))
        .and_then(|rest| match rest.split_once('/') {
            Some((name, _)) => Some(name),
            None => rest.rsplit_once(':').map_or(Some(rest), |(name, _)| Some(name)),
        })
        .filter(|name| !name.is_empty());
    let in_body = in_body.map(|name| name.strip_prefix("models/").unwrap_or(name));
    if let (Some(one), Some(other)) = (in_path, in_body)
        && one != other
    {
        // One of them would be paid for, and perhaps the other one asked.
        let message = "the path names one model and the body another";
        return Err(Error::new(Code::InvalidArgument, message).hint("leave `model` out of the body"));
    }
    let named = in_path.or(in_body).and_then(|name| name.parse().ok());
    Ok(named.map_or_else(|| UNNAMED.parse(), Ok)?)
}

/// Whether the answer says only that the work is taken on: a job in the background, or one of many requests.
fn is_deferred(fields: &Fields<'_>, path: &str) -> bool {
    let is_true = |raw: Option<&RawValue>| raw.is_some_and(|raw| raw.get() == "true");
    let path = path.split('?').next().unwrap_or(path);
    let takes_many = ["/batches", ":batchGenerateContent", ":predictLongRunning"];
    is_true(fields.background) && !is_true(fields.stream) || takes_many.iter().any(|end| path.ends_with(end))
}

/// Whether a provider's own API only counts there.
fn counts_only(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or(path);
    [
        ":countTokens",
        "/count_tokens",
        "/tokenize",
        "/tokenizer",
        "/api/show",
        "/api/pull",
    ]
    .iter()
    .any(|end| path.ends_with(end))
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

    fn rewrite(body: &str, model: &str, asks: bool) -> (String, bool) {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let fields: Fields<'_> = serde_json::from_slice(&bytes).expect("an object");
        let (out, strips) = rewritten(&bytes, &fields, &model.parse().expect("a model"), asks);
        (String::from_utf8(out.to_vec()).expect("text"), strips)
    }

    #[test]
    fn only_the_model_and_the_wish_for_counts_change() {
        for (before, asks, after, strips) in [
            (
                r#"{ "b" : 1.50, "model":"openai/m" ,"a":"\u00e9" }"#,
                false,
                r#"{ "b" : 1.50, "model":"m" ,"a":"\u00e9" }"#,
                false,
            ),
            (
                r#"{"model":"m","stream":true}"#,
                true,
                r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#,
                true,
            ),
            (
                r#"{"model":"m","stream_options":{"include_usage":true}}"#,
                true,
                r#"{"model":"m","stream_options":{"include_usage":true}}"#,
                false,
            ),
            (
                r#"{"stream_options":{"x":1},"model":"openai/m"}"#,
                true,
                r#"{"stream_options":{"x":1,"include_usage":true},"model":"m"}"#,
                true,
            ),
            (
                r#"{"model":"m","stream_options":7}"#,
                true,
                r#"{"model":"m","stream_options":7}"#,
                false,
            ),
        ] {
            assert_eq!(rewrite(before, "m", asks), (after.to_owned(), strips), "{before}");
        }
    }

    #[test]
    fn a_field_that_is_there_twice_is_refused_however_it_is_spelled() {
        let twice = r#"{"model":"cheap","mod\u0065l":"dear"}"#;
        assert!(serde_json::from_str::<Fields<'_>>(twice).is_err());
    }

    #[test]
    fn a_picture_does_not_count_by_its_length() {
        let picture = format!(r#"{{"data":"{}"}}"#, "iVBORw0KGgo".repeat(100_000));
        assert!(prompt_tokens(picture.as_bytes()) < 2 * ENCODED_TOKENS);
        assert_eq!(prompt_tokens(b"{\"a\":\"some words\"}"), 6);
    }
}
