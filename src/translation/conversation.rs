//! A request, whatever format it came in.

use serde_json::Value;

use crate::domain::Effort;

/// What a model is asked.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// Instructions that come before everything.
    pub(super) system: Vec<String>,
    pub(super) turns: Vec<Turn>,
    pub(super) tools: Vec<ToolSpec>,
    pub(super) tool_choice: Option<ToolChoice>,
    /// Whether several tools may be called at once; the provider's default where nothing is said.
    pub(super) is_parallel: Option<bool>,
    /// In tokens.
    pub(super) max_output: Option<u64>,
    pub(super) temperature: Option<Value>,
    pub(super) top_p: Option<Value>,
    pub(super) stop: Vec<String>,
    pub(super) is_stream: bool,
    /// Whether the client of a stream wants the counts, too.
    pub(super) wants_usage: bool,
    pub(super) effort: Option<Effort>,
    /// The JSON schema that the answer has to follow.
    pub(super) answer_schema: Option<Value>,
}

/// What one side says before the other speaks again.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) speaker: Speaker,
    pub(super) parts: Vec<ContentPart>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    /// Instructions in the middle of a conversation.
    System,
    User,
    Assistant,
}

#[derive(Debug)]
pub(super) enum ContentPart {
    Text(String),
    Image(MediaSource),
    Document {
        source: MediaSource,
        title: Option<String>,
    },
    ToolCall(ToolCall),
    ToolResult(ToolResult),
    Thinking {
        text: String,
        signature: Option<String>,
    },
    /// Thinking that only its provider can read; no other one gets it.
    Redacted,
}

/// Where an image or document is.
#[derive(Debug)]
pub(super) enum MediaSource {
    /// In base64.
    Inline {
        media_type: String,
        data: String,
    },
    Url(String),
}

#[derive(Debug)]
pub(super) struct ToolCall {
    pub(super) id: String,
    pub(super) name: String,
    /// JSON, as the model wrote it.
    pub(super) arguments: String,
}

#[derive(Debug)]
pub(super) struct ToolResult {
    pub(super) id: String,
    pub(super) parts: Vec<ContentPart>,
    pub(super) is_error: bool,
}

/// A tool that the client runs.
#[derive(Debug)]
pub(super) struct ToolSpec {
    pub(super) name: String,
    pub(super) description: Option<String>,
    /// The JSON schema of its arguments.
    pub(super) schema: Value,
    pub(super) is_strict: Option<bool>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum ToolChoice {
    Auto,
    None,
    Any,
    Named(String),
}

impl Conversation {
    /// How the next token is chosen, by the names that every format has for it.
    pub(super) fn sampling(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let fields = [("temperature", &self.temperature), ("top_p", &self.top_p)];
        fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?)))
    }

    /// Adds to the last turn where the same side speaks on, as Anthropic's format wants it.
    pub(super) fn say(&mut self, speaker: Speaker, parts: Vec<ContentPart>) {
        match self.turns.last_mut() {
            Some(turn) if turn.speaker == speaker => turn.parts.extend(parts),
            _ => self.turns.push(Turn { speaker, parts }),
        }
    }

    /// The turns, each with whether it belongs to the present run of tool calls, which began with the user's last own words.
    pub(super) fn turns_with_recency(self) -> impl Iterator<Item = (Turn, bool)> {
        let is_own = |turn: &Turn| {
            let says_something = |part: &ContentPart| !matches!(part, ContentPart::ToolResult(_));
            turn.speaker == Speaker::User && turn.parts.iter().any(says_something)
        };
        let last_own = self.turns.iter().rposition(is_own).unwrap_or_default();
        let turns = self.turns.into_iter().enumerate();
        turns.map(move |(number, turn)| (turn, number >= last_own))
    }
}

impl ToolSpec {
    /// The tool as a JSON object, with its schema in the field of this name.
    pub(super) fn to_json(&self, schema: &str) -> Value {
        let fields = [
            ("name", Some(self.name.as_str().into())),
            (schema, Some(self.schema.clone())),
            ("description", self.description.as_deref().map(Value::from)),
            ("strict", self.is_strict.map(Value::from)),
        ];
        let known = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(known.collect())
    }
}

impl MediaSource {
    /// The source of a `data:` or other URL.
    pub(super) fn from_url(url: String) -> Self {
        let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
        match inline {
            Some((media_type, data)) => Self::Inline {
                media_type: media_type.to_owned(),
                data: data.to_owned(),
            },
            None => Self::Url(url),
        }
    }

    pub(super) fn into_url(self) -> String {
        match self {
            Self::Inline { media_type, data } => format!("data:{media_type};base64,{data}"),
            Self::Url(url) => url,
        }
    }
}

/// The texts among `parts`, in order.
pub(super) fn texts(parts: Vec<ContentPart>) -> impl Iterator<Item = String> {
    parts.into_iter().filter_map(|part| match part {
        ContentPart::Text(text) => Some(text),
        ContentPart::Image(_)
        | ContentPart::Document { .. }
        | ContentPart::ToolCall(_)
        | ContentPart::ToolResult(_)
        | ContentPart::Thinking { .. }
        | ContentPart::Redacted => None,
    })
}

/// The effort that corresponds to a budget of thinking tokens.
///
/// An assumption of ours; coding agents ask for 4,000, 10,000 and 31,999 tokens where they mean little, more and most.
pub(super) fn effort_of_budget(tokens: u64) -> Effort {
    match tokens {
        0..=4_096 => Effort::Low,
        4_097..=16_384 => Effort::Medium,
        16_385.. => Effort::High,
    }
}
