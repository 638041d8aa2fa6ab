//! What a set says of one model, and why something of it cannot be taken.

use std::{fmt, marker::PhantomData};

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use crate::{
    catalog::{
        limits::{MAX_MODELS, MAX_PER_MILLION},
        model::{Capabilities, ModelStatus},
    },
    domain::{Billionths, ModelId, ModelKind, ModelRef, Price, ProviderId, Rate, Rates},
};

/// The longest file that is read, in bytes.
pub const MAX_SET_BYTES: u64 = 16 << 20;

/// Why something of a set was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    OtherProvider,
    NotText,
    NotByTokens,
    Nothing,
    ByTheHour,
    Name,
}

/// Why a file is not a set of prices; never quotes what stands in it but names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    #[error("the file is longer than {} MiB", MAX_SET_BYTES >> 20)]
    TooLong,
    /// Not JSON, or not of a known shape.
    #[error("the file is not JSON of a known form, at line {line}, column {column}")]
    Form { line: usize, column: usize },
    /// JSON, but neither of the sets that are known.
    #[error("the file is neither LiteLLM's nor genai-prices' set of prices")]
    UnknownSet,
    #[error("the file lists more than {} models", MAX_MODELS)]
    TooManyModels,
    /// One model, two entries.
    #[error("the file lists {model} twice")]
    Twice { model: ModelRef },
    /// One name, two entries.
    #[error("the file has two entries of the same name")]
    NamedTwice,
    #[error("{model}: `{field}` {rule}")]
    Price {
        model: ModelRef,
        field: String,
        rule: &'static str,
    },
}

/// What a set says of one model.
pub(super) struct SetModel {
    pub(super) provider: ProviderId,
    /// The model's id, then other names that the set has for it.
    pub(super) names: Vec<ModelId>,
    pub(super) kind: ModelKind,
    pub(super) context_window: Option<u64>,
    pub(super) max_output: Option<u64>,
    pub(super) capabilities: Option<Capabilities>,
    pub(super) status: ModelStatus,
    pub(super) retires_on: Option<Date>,
    /// Oldest first, the first without a date.
    pub(super) prices: Vec<(Option<Date>, Price)>,
}

pub(super) type SetEntry = Result<SetModel, Skip>;

impl SetModel {
    pub(super) fn id(&self) -> Result<ModelRef, SetError> {
        let model = self.names.first().ok_or(SetError::UnknownSet)?;
        Ok(self.provider.model(model))
    }
}

/// Rates by the rules of this catalog, from what a set says.
///
/// A cache write that costs less than input is a charge on top of it (`packaging/catalogue` says where that is from).
pub(super) fn tidied(kind: ModelKind, mut rates: Rates) -> Rates {
    if matches!(kind, ModelKind::Embedding | ModelKind::Rerank) {
        return Rates {
            input: rates.input,
            ..Rates::default()
        };
    }
    let instead_of_input = |write: Rate| match write {
        write if write < rates.input => Some(Rate::from(Billionths(
            write.per_million().0.saturating_add(rates.input.per_million().0),
        ))),
        write => Some(write),
    };
    let other_than = |usual: Rate| move |rate: &Rate| *rate != usual;
    rates.cache_write = rates
        .cache_write
        .and_then(instead_of_input)
        .filter(other_than(rates.input));
    rates.cache_write_1h = rates
        .cache_write_1h
        .and_then(instead_of_input)
        .filter(other_than(rates.input));
    rates.reasoning = rates.reasoning.filter(other_than(rates.output));
    rates.extra.image_input = rates.extra.image_input.filter(other_than(rates.input));
    rates
}

/// Whether the provider's responses count its searches; of others a fee for them would never be charged.
pub(super) fn counts_searches(provider: &ProviderId) -> bool {
    matches!(provider.as_str(), "anthropic" | "perplexity")
}

/// A fee for each million, of one for each thousand.
pub(super) fn of_a_million(of_a_thousand: Rate) -> Rate {
    Rate::from(Billionths(of_a_thousand.per_million().0.saturating_mul(1_000)))
}

/// The price that `raw` spells in US dollars per ten to the power of `shift` less than a million tokens.
pub(super) fn rate(raw: &RawValue, shift: i32) -> Result<Rate, &'static str> {
    let text = raw.get();
    if text.starts_with('-') {
        return Err("is below zero");
    }
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("is not a number");
    }
    Billionths::parse_rounded(text, shift)
        .filter(|amount| *amount <= MAX_PER_MILLION)
        .map(Rate::from)
        .ok_or("is more than any model costs")
}

/// Whether a model of that name is known to cost nothing; anything else at a price of nothing may be of unknown price.
pub(super) fn is_free(name: &str) -> bool {
    name.ends_with(":free")
}

/// A field's name as it may be shown.
pub(super) fn shown(field: &str) -> String {
    field
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .take(80)
        .collect()
}

pub(super) fn misformed(why: &serde_json::Error) -> SetError {
    SetError::Form {
        line: why.line(),
        column: why.column(),
    }
}

/// The fields of an object, in order, each unread; an error where there are more than a set has models.
pub(super) struct RawFields<'a>(pub(super) Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for RawFields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> de::Visitor<'de> for Visitor<'a> {
            type Value = RawFields<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<RawFields<'a>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                    if fields.len() > MAX_MODELS {
                        break;
                    }
                }
                // The rest is read over, or the reader would take it for a mistake.
                while map.next_entry::<de::IgnoredAny, de::IgnoredAny>()?.is_some() {}
                Ok(RawFields(fields))
            }
        }
        deserializer.deserialize_map(Visitor(PhantomData))
    }
}

impl Skip {
    /// The reason as results spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OtherProvider => "of a provider that is not built in",
            Self::NotText => "neither for text nor for embeddings",
            Self::NotByTokens => "not charged by the token",
            Self::Nothing => "priced at nothing, which may mean unknown",
            Self::ByTheHour => "with prices by the hour or in other forms that are not read",
            Self::Name => "whose name cannot be one",
        }
    }
}
