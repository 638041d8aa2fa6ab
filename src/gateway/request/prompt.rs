//! The prompt in a request's body, measured: its text, its images and files, and what it only refers to.
//!
//! Text counts wherever it stands. Encoded images, audio and documents count as such only where a provider reads them
//! as such: in a field that is known to hold one, reached through fields that hold messages. The same bytes in the
//! arguments of a tool call or in any unknown field are text, and the model pays for them as text.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{multipart::Form, text_tokens::most_tokens};

/// What providers put around a message, a part of one, or a tool, at most.
const TOKENS_OF_OBJECT: u64 = 4;
/// What Anthropic says a tool of its own, or the presence of tools, adds to the prompt, rounded up.
const TOKENS_OF_TOOLS: u64 = 1_000;
/// Digits of a number that is not whole, at most.
const DIGITS: u64 = 20;
/// Decoded bytes of audio in a token, at least: Gemini counts 32 tokens a second, and MP3 has 1,000 bytes in one.
const AUDIO_BYTES: u64 = 16;

/// What was measured of a prompt. Sums saturate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Prompt {
    /// The most tokens of everything that is text.
    pub(super) text: u64,
    pub(super) images: u64,
    /// The most tokens of audio and documents, by their size.
    pub(super) files: u64,
    /// Whether it refers to something of unknown size: an earlier response, a stored prompt, a file, a search.
    pub(super) is_open: bool,
    /// Whether the cache may keep it for longer than usual, which costs more.
    pub(super) names_cache_time: bool,
}

impl Prompt {
    /// The prompt in `body`; all of it is text where it is no JSON.
    pub(super) fn measure(body: &[u8]) -> Self {
        let mut prompt = Self::default();
        let mut json = serde_json::Deserializer::from_slice(body);
        let walked = Walk {
            prompt: &mut prompt,
            place: BodyPlace::Root,
        }
        .deserialize(&mut json);
        if walked.is_ok() && json.end().is_ok() {
            return prompt;
        }
        Self {
            text: most_tokens(body),
            is_open: !body.is_empty(),
            ..Self::default()
        }
    }

    /// The prompt in a form, whose files are taken for recordings.
    pub(super) fn of_form(form: &Form<'_>) -> Self {
        Self {
            text: form.text,
            files: form.files.div_ceil(AUDIO_BYTES),
            ..Self::default()
        }
    }

    fn add_text(&mut self, text: &str) {
        self.text = self.text.saturating_add(most_tokens(text.as_bytes()));
    }

    /// Adds base64 of a file, by its kind.
    fn add_encoded(&mut self, kind: &str, data: &str) {
        let bytes = data.len() as u64 / 4 * 3 + 3;
        match kind.split(['/', ';']).next().unwrap_or(kind) {
            "image" => self.images += 1,
            "audio" => self.files = self.files.saturating_add(bytes.div_ceil(AUDIO_BYTES)),
            // Its length says nothing of its duration.
            "video" => self.is_open = true,
            _ => self.files = self.files.saturating_add(bytes),
        }
    }

    /// Adds a file that is given as a `data:` URL, or by its address.
    fn add_url(&mut self, url: &str, is_image: bool) {
        match url
            .strip_prefix("data:")
            .map(|rest| rest.split_once(',').unwrap_or((rest, "")))
        {
            Some((kind, data)) if kind.ends_with(";base64") && kind.starts_with("image/") == is_image => {
                self.add_encoded(kind, data);
            }
            Some(_) => self.add_text(url),
            None if is_image => {
                self.images += 1;
                // No provider takes an address this long: it is something else.
                if url.len() > 8_192 {
                    self.add_text(url);
                }
            }
            None => self.is_open = true,
        }
    }
}

/// Where in a body a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyPlace {
    /// The body itself.
    Root,
    /// Messages, and what they consist of.
    Messages,
    /// Anything else, which a model reads as text if at all.
    Text,
}

/// What a field means for the size of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Type,
    Messages,
    /// Holds messages if it is a list, a stored prompt if it is an object.
    Stored,
    Tools,
    /// Names something that the provider has and that becomes a part of the prompt.
    Reference,
    /// The same within a message, where it may be an image.
    FileReference,
    Image,
    Images,
    Source,
    InlineData,
    Audio,
    File,
    Document,
    CacheTime,
    Text,
}

impl Meaning {
    fn of(key: &str, place: BodyPlace) -> Self {
        match place {
            _ if key == "ttl" => Self::CacheTime,
            BodyPlace::Root => Self::in_body(key),
            BodyPlace::Messages => Self::in_message(key),
            BodyPlace::Text => Self::Text,
        }
    }

    fn in_body(key: &str) -> Self {
        match key {
            "tools" => Self::Tools,
            "prompt" => Self::Stored,
            "images" => Self::Images,
            "messages" | "contents" | "input" | "inputs" | "system" | "systemInstruction" | "system_instruction"
            | "instructions" | "content" | "toolConfig" => Self::Messages,
            "previous_response_id"
            | "conversation"
            | "container"
            | "cachedContent"
            | "cached_content"
            | "mcp_servers"
            | "web_search_options"
            | "search_parameters"
            | "plugins"
            | "thread_id"
            | "assistant_id"
            | "thread"
            | "previous_interaction_id" => Self::Reference,
            _ => Self::Text,
        }
    }

    fn in_message(key: &str) -> Self {
        match key {
            "type" => Self::Type,
            "tools" => Self::Tools,
            "messages" | "content" | "contents" | "parts" | "output" | "functionResponse" | "function_response"
            | "toolResult" => Self::Messages,
            "image_url" | "image" => Self::Image,
            "images" => Self::Images,
            "source" => Self::Source,
            "inline_data" | "inlineData" => Self::InlineData,
            "input_audio" => Self::Audio,
            "file" | "file_data" => Self::File,
            "document" => Self::Document,
            "file_id" | "file_url" | "fileUri" | "file_uri" => Self::FileReference,
            "fileData" | "video" | "audio" | "video_url" | "audio_url" | "document_url" | "systemTool" => {
                Self::Reference
            }
            _ => Self::Text,
        }
    }
}

/// A field's name: what it means and how long it is.
struct FieldName(BodyPlace);

impl<'de> DeserializeSeed<'de> for FieldName {
    type Value = (Meaning, u64);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldName {
    type Value = (Meaning, u64);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok((Meaning::of(key, self.0), most_tokens(key.as_bytes()).max(1)))
    }
}

/// Measures a value without keeping it.
struct Walk<'p> {
    prompt: &'p mut Prompt,
    place: BodyPlace,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.prompt.text += 1;
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.prompt.text += u64::from(number.checked_ilog10().unwrap_or(0)) + 1;
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.prompt.text += DIGITS;
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.prompt.text += DIGITS;
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.prompt.add_text(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        let Self { prompt, place } = self;
        while values.next_element_seed(Walk { prompt, place })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let Self { prompt, place } = self;
        prompt.text += TOKENS_OF_OBJECT;
        let (mut is_image, mut file_references) = (false, false);
        // What a file in a field means depends on the type beside it, which may come later.
        let mut sources: Vec<&RawValue> = Vec::new();
        while let Some((meaning, tokens)) = fields.next_key_seed(FieldName(place))? {
            prompt.text += tokens;
            let below = match meaning {
                Meaning::Messages => BodyPlace::Messages,
                Meaning::Text => BodyPlace::Text,
                Meaning::CacheTime => {
                    prompt.names_cache_time = true;
                    BodyPlace::Text
                }
                Meaning::Source => {
                    sources.push(fields.next_value()?);
                    continue;
                }
                other => {
                    let raw: &RawValue = fields.next_value()?;
                    if is_nothing(raw) {
                        continue;
                    }
                    match other {
                        Meaning::Type => {
                            let kind: Cow<'_, str> = string(raw).unwrap_or_default();
                            is_image |= matches!(&*kind, "image" | "input_image" | "image_url" | "computer_screenshot");
                            prompt.is_open |= kind == "item_reference";
                            prompt.add_text(&kind);
                        }
                        Meaning::FileReference => {
                            file_references = true;
                            walk(prompt, raw, BodyPlace::Text);
                        }
                        other => measure_field(prompt, other, raw),
                    }
                    continue;
                }
            };
            fields.next_value_seed(Walk { prompt, place: below })?;
        }
        for source in sources {
            measure_source(prompt, source, is_image);
        }
        match (file_references, is_image) {
            (true, true) => prompt.images += 1,
            (true, false) => prompt.is_open = true,
            (false, _) => {}
        }
        Ok(())
    }
}

/// Whether a field is there and says nothing.
fn is_nothing(raw: &RawValue) -> bool {
    matches!(raw.get(), "null" | "[]" | "{}" | "\"\"" | "false")
}

fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'t>(#[serde(borrow)] Cow<'t, str>);
    serde_json::from_str::<Text<'_>>(raw.get()).ok().map(|text| text.0)
}

/// Measures a value that was read before.
fn walk(prompt: &mut Prompt, raw: &RawValue, place: BodyPlace) {
    let before = *prompt;
    let mut json = serde_json::Deserializer::from_str(raw.get());
    if (Walk { prompt, place }).deserialize(&mut json).is_err() {
        *prompt = before;
        prompt.add_text(raw.get());
        prompt.is_open = true;
    }
}

/// The fields of what holds a file, in every provider's spelling; as long as one is there twice, nothing is known.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Holder<'b> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'b, str>>,
    #[serde(borrow, alias = "mimeType", alias = "mime_type")]
    media_type: Option<Cow<'b, str>>,
    #[serde(borrow)]
    format: Option<Cow<'b, str>>,
    #[serde(borrow)]
    data: Option<Cow<'b, str>>,
    #[serde(borrow)]
    bytes: Option<Cow<'b, str>>,
    #[serde(borrow)]
    url: Option<Cow<'b, str>>,
    #[serde(borrow)]
    file_data: Option<Cow<'b, str>>,
    #[serde(borrow)]
    file_id: Option<&'b RawValue>,
    #[serde(borrow)]
    content: Option<&'b RawValue>,
    #[serde(borrow)]
    source: Option<&'b RawValue>,
}

impl Holder<'_> {
    /// How long its encoded files are, which the rest of the field is without.
    fn encoded(&self) -> usize {
        let of = |text: &Option<Cow<'_, str>>| text.as_ref().map_or(0, |text| text.len());
        of(&self.data) + of(&self.bytes) + of(&self.file_data) + of(&self.url)
    }
}

/// The file that `raw` holds, where it is an object of the known form.
fn holder(raw: &RawValue) -> Option<Holder<'_>> {
    raw.get()
        .starts_with('{')
        .then(|| serde_json::from_str(raw.get()).ok())?
}

/// Adds what stands in a field beside its encoded file.
fn add_rest(prompt: &mut Prompt, raw: &RawValue, encoded: usize) {
    // A name, a detail, or a field that nobody knows: by its bytes, since these are few.
    prompt.text = prompt
        .text
        .saturating_add(raw.get().len().saturating_sub(encoded) as u64);
}

fn measure_field(prompt: &mut Prompt, meaning: Meaning, raw: &RawValue) {
    match meaning {
        Meaning::Reference => {
            prompt.is_open = true;
            walk(prompt, raw, BodyPlace::Text);
        }
        Meaning::Stored => {
            prompt.is_open |= raw.get().starts_with('{');
            walk(prompt, raw, BodyPlace::Messages);
        }
        Meaning::Tools => measure_tools(prompt, raw),
        Meaning::Image => measure_image(prompt, raw),
        Meaning::Images => match serde_json::from_str::<Vec<&RawValue>>(raw.get()) {
            Ok(images) => images.into_iter().for_each(|image| match string(image) {
                // Ollama takes base64 without anything around it.
                Some(text) if !text.starts_with("data:") => prompt.images += 1,
                _ => measure_image(prompt, image),
            }),
            Err(_) => walk(prompt, raw, BodyPlace::Text),
        },
        Meaning::InlineData => match holder(raw) {
            Some(held) if held.data.is_some() => {
                prompt.add_encoded(
                    &held.media_type.clone().unwrap_or_default(),
                    held.data.as_deref().unwrap_or_default(),
                );
                add_rest(prompt, raw, held.encoded());
            }
            _ => walk(prompt, raw, BodyPlace::Text),
        },
        Meaning::Audio => match holder(raw) {
            Some(held) if held.data.is_some() => {
                prompt.add_encoded("audio", held.data.as_deref().unwrap_or_default());
                add_rest(prompt, raw, held.encoded());
            }
            _ => walk(prompt, raw, BodyPlace::Text),
        },
        Meaning::File => match (string(raw), holder(raw)) {
            (Some(data), _) => prompt.add_url(&as_url(&data), false),
            (None, Some(held)) if held.file_data.is_some() => {
                prompt.add_url(&as_url(held.file_data.as_deref().unwrap_or_default()), false);
                add_rest(prompt, raw, held.encoded());
            }
            _ => {
                prompt.is_open = true;
                walk(prompt, raw, BodyPlace::Text);
            }
        },
        Meaning::Document => {
            let held = holder(raw);
            let source = held.as_ref().and_then(|held| holder(held.source?));
            match source {
                Some(source) if source.bytes.is_some() => {
                    prompt.add_encoded("document", source.bytes.as_deref().unwrap_or_default());
                    add_rest(prompt, raw, source.encoded());
                }
                _ => {
                    prompt.is_open |= held.is_some_and(|held| held.source.is_some());
                    walk(prompt, raw, BodyPlace::Text);
                }
            }
        }
        Meaning::Type
        | Meaning::Messages
        | Meaning::FileReference
        | Meaning::Source
        | Meaning::CacheTime
        | Meaning::Text => walk(prompt, raw, BodyPlace::Text),
    }
}

/// Base64 as it may be given without a `data:` in front.
fn as_url(data: &str) -> Cow<'_, str> {
    if data.starts_with("data:") {
        Cow::Borrowed(data)
    } else {
        Cow::Owned(format!("data:;base64,{data}"))
    }
}

/// An image as a URL, as an object with one, or with its bytes.
fn measure_image(prompt: &mut Prompt, raw: &RawValue) {
    if let Some(url) = string(raw) {
        return prompt.add_url(&url, true);
    }
    let held = holder(raw);
    let bytes = held.as_ref().and_then(|held| holder(held.source?));
    match (held, bytes) {
        (Some(held), _) if held.url.is_some() => {
            prompt.add_url(held.url.as_deref().unwrap_or_default(), true);
            add_rest(prompt, raw, held.encoded());
        }
        (_, Some(source)) => {
            prompt.images += 1;
            add_rest(prompt, raw, source.encoded());
        }
        _ => {
            prompt.images += 1;
            walk(prompt, raw, BodyPlace::Text);
        }
    }
}

/// Anthropic's `source` of an image or a document.
fn measure_source(prompt: &mut Prompt, raw: &RawValue, is_image: bool) {
    let Some(held) = holder(raw) else {
        return walk(prompt, raw, BodyPlace::Text);
    };
    match (held.kind.as_deref(), &held.data) {
        (Some("base64"), Some(data)) => {
            let kind = held.media_type.as_deref().unwrap_or_default();
            if kind.starts_with("image/") == is_image {
                prompt.add_encoded(kind, data);
                add_rest(prompt, raw, held.encoded());
            } else {
                walk(prompt, raw, BodyPlace::Text);
            }
        }
        (Some("content"), None) => {
            if let Some(content) = held.content {
                walk(prompt, content, BodyPlace::Messages);
            }
            add_rest(prompt, raw, held.content.map_or(0, |content| content.get().len()));
        }
        (Some("text"), _) => walk(prompt, raw, BodyPlace::Text),
        _ => {
            if is_image {
                prompt.images += 1;
            } else {
                prompt.is_open |= held.url.is_some() || held.file_id.is_some();
            }
            walk(prompt, raw, BodyPlace::Text);
        }
    }
}

/// The tools: text, and an open prompt where the provider runs one of them and reads what it returns.
fn measure_tools(prompt: &mut Prompt, raw: &RawValue) {
    walk(prompt, raw, BodyPlace::Text);
    prompt.text = prompt.text.saturating_add(TOKENS_OF_TOOLS);
    let Ok(tools) = serde_json::from_str::<Vec<serde_json::Map<String, serde_json::Value>>>(raw.get()) else {
        return;
    };
    for tool in tools {
        let kind = tool.get("type").and_then(serde_json::Value::as_str);
        let runs_there = match kind {
            Some("function" | "custom" | "namespace" | "local_shell" | "apply_patch") => false,
            Some(kind) if CLIENT_TOOLS.iter().any(|tool| kind.starts_with(tool)) => {
                prompt.text = prompt.text.saturating_add(TOKENS_OF_TOOLS);
                false
            }
            Some(_) => true,
            None => !tool.keys().all(|key| OF_FUNCTION.contains(&key.as_str())),
        };
        prompt.is_open |= runs_there;
    }
}

/// The beginning of the types of tools that the provider describes and the client runs.
const CLIENT_TOOLS: [&str; 6] = [
    "computer",
    "text_editor_",
    "bash_",
    "memory_",
    "tool_search",
    "str_replace_",
];
/// The fields of a function in a list of tools.
const OF_FUNCTION: [&str; 16] = [
    "name",
    "description",
    "title",
    "input_schema",
    "parameters",
    "parameter_definitions",
    "function",
    "functionDeclarations",
    "function_declarations",
    "toolSpec",
    "cachePoint",
    "cache_control",
    "strict",
    "input_examples",
    "defer_loading",
    "eager_input_streaming",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn measured(body: &serde_json::Value) -> Prompt {
        Prompt::measure(body.to_string().as_bytes())
    }

    fn message(part: &serde_json::Value) -> serde_json::Value {
        json!({"messages": [{"role": "user", "content": [part]}]})
    }

    #[test]
    fn images_count_as_images_in_every_spelling() {
        let data = "iVBORw0KGgo".repeat(10_000);
        let url = format!("data:image/png;base64,{data}");
        let of_gemini =
            |name: &str, kind: &str| json!({"contents": [{"parts": [{name: {kind: "image/png", "data": data}}]}]});
        for body in [
            message(&json!({"type": "image_url", "image_url": {"url": url, "detail": "high"}})),
            message(&json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}})),
            message(&json!({"source": {"type": "base64", "media_type": "image/png", "data": data}, "type": "image"})),
            message(&json!({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}})),
            message(&json!({"type": "image", "source": {"type": "file", "file_id": "file_1"}})),
            message(&json!({"image": {"format": "png", "source": {"bytes": data}}})),
            json!({"messages": [{"role": "user", "content": "what is it?", "images": [data]}]}),
            json!({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]}),
            json!({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "file-1"}]}]}),
            of_gemini("inline_data", "mime_type"),
            of_gemini("inlineData", "mimeType"),
        ] {
            let prompt = measured(&body);
            assert_eq!(
                (prompt.images, prompt.files, prompt.is_open),
                (1, 0, false),
                "{prompt:?}"
            );
            assert!(prompt.text < 300, "{prompt:?}");
        }
        let many: Vec<_> = (0..100)
            .map(|_| json!({"type": "image_url", "image_url": {"url": "https://e.com/a"}}))
            .collect();
        assert_eq!(measured(&json!({"messages": [{"content": many}]})).images, 100);
    }

    #[test]
    fn what_only_looks_like_an_image_is_text() {
        let data = "iVBORw0KGgo".repeat(10_000);
        let source = json!({"type": "base64", "media_type": "image/png", "data": data});
        for body in [
            message(&json!({"type": "tool_use", "input": {"type": "image", "source": source}})),
            message(&json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": data}})),
            message(&json!({"type": "document", "source": source})),
            message(&json!({"type": "text", "text": data})),
            message(&json!({"type": "image_url", "image_url": {"url": format!("data:text/plain,{data}")}})),
            message(&json!({"type": "image_url", "image_url": {"url": format!("https://example.com/{data}")}})),
            message(&json!({"type": "image_url", "image_url": {"url": "https://example.com/a", "detail": data}})),
            json!({"metadata": {"images": [data]}}),
            json!({"tools": [{"name": "f", "description": data, "input_schema": {}}]}),
            json!({"system": data}),
        ] {
            let prompt = measured(&body);
            assert!(
                prompt.text > 70_000,
                "{prompt:?}: {}",
                body.to_string().chars().take(100).collect::<String>()
            );
        }
    }

    #[test]
    fn audio_and_documents_count_by_their_size() {
        let data = "AAAA".repeat(16_000);
        let pdf = format!("data:application/pdf;base64,{data}");
        for (part, files) in [
            (
                json!({"type": "input_audio", "input_audio": {"data": data, "format": "mp3"}}),
                3_001,
            ),
            (
                json!({"type": "file", "file": {"filename": "a.pdf", "file_data": pdf}}),
                48_003,
            ),
            (
                json!({"type": "input_file", "filename": "a.pdf", "file_data": pdf}),
                48_003,
            ),
            (
                json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": data}}),
                48_003,
            ),
            (
                json!({"document": {"format": "pdf", "name": "a", "source": {"bytes": data}}}),
                48_003,
            ),
        ] {
            let prompt = measured(&message(&part));
            assert_eq!((prompt.files, prompt.is_open), (files, false), "{part}");
        }
    }

    #[test]
    fn what_a_request_only_refers_to_leaves_its_prompt_open() {
        for body in [
            json!({"previous_response_id": "resp_1", "input": "hi"}),
            json!({"conversation": {"id": "conv_1"}, "input": "hi"}),
            json!({"prompt": {"id": "pmpt_1", "variables": {}}}),
            json!({"container": "container_1", "messages": []}),
            json!({"cachedContent": "cachedContents/1", "contents": []}),
            json!({"cached_content": "cachedContents/1", "contents": []}),
            json!({"contents": [{"parts": [{"fileData": {"fileUri": "https://e.com/files/1"}}]}]}),
            json!({"contents": [{"parts": [{"file_data": {"file_uri": "https://e.com/files/1"}}]}]}),
            json!({"input": [{"type": "item_reference", "id": "msg_1"}]}),
            json!({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]}),
            json!({"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "https://e.com/a.pdf"}]}]}),
            message(&json!({"type": "file", "file": {"file_id": "file-1"}})),
            message(&json!({"type": "document", "source": {"type": "url", "url": "https://e.com/a.pdf"}})),
            message(&json!({"type": "document", "source": {"type": "file", "file_id": "file_1"}})),
            message(&json!({"type": "video_url", "video_url": {"url": "https://e.com/a.mp4"}})),
            json!({"tools": [{"type": "web_search"}], "input": "hi"}),
            json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}], "messages": []}),
            json!({"tools": [{"google_search": {}}], "contents": []}),
            json!({"web_search_options": {"search_context_size": "low"}, "messages": []}),
        ] {
            assert!(measured(&body).is_open, "{body}");
        }
        for body in [
            json!({"previous_response_id": null, "conversation": null, "tools": [], "input": "hi"}),
            json!({"prompt": "previous_response_id", "max_tokens": 5}),
            json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}], "messages": []}),
            json!({"tools": [{"name": "f", "input_schema": {}, "cache_control": {"type": "ephemeral"}}]}),
            json!({"tools": [{"type": "bash_20250124", "name": "bash"}], "messages": []}),
            json!({"tools": [{"functionDeclarations": [{"name": "f"}]}], "contents": []}),
        ] {
            assert!(!measured(&body).is_open, "{body}");
        }
    }

    #[test]
    fn text_counts_as_it_is_meant_however_it_is_escaped() {
        let plain = Prompt::measure("{\"messages\":[{\"content\":\"語語語\"}]}".as_bytes());
        assert_eq!(
            Prompt::measure(br#"{"messages":[{"content":"\u8a9e\u8a9e\u8a9e"}]}"#),
            plain
        );
        assert!(Prompt::measure(br#"{"messages":[{"cache_control":{"\u0074tl":"1h"}}]}"#).names_cache_time);
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for body in [deep.as_bytes(), b"{\"a\":\"\\ud800\"}", b"not JSON", b"{} {}"] {
            let prompt = Prompt::measure(body);
            assert!(prompt.is_open && prompt.text > 0, "{prompt:?}");
        }
        assert_eq!(Prompt::measure(b""), Prompt::default());
    }
}
