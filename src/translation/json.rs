//! Taking a JSON object apart: what is left at the end was not understood.

use serde_json::{Map, Value};

use super::loss::{Losses, Untranslatable};

/// The fields of an object that are still unread.
pub(super) struct UnreadFields {
    /// Where the object is in the request, such as `messages`.
    place: &'static str,
    fields: Map<String, Value>,
}

impl UnreadFields {
    pub(super) fn of(value: Value, place: &'static str) -> Result<Self, Untranslatable> {
        match value {
            Value::Object(fields) => Ok(Self { place, fields }),
            _ => Err(Untranslatable::malformed(place)),
        }
    }

    /// The field, where it is there and not null.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Untranslatable> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.malformed(name)),
        }
    }

    pub(super) fn needed_text(&mut self, name: &str) -> Result<String, Untranslatable> {
        self.text(name)?.ok_or_else(|| self.malformed(name))
    }

    pub(super) fn list(&mut self, name: &str) -> Result<Vec<Value>, Untranslatable> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) => Ok(list),
            Some(_) => Err(self.malformed(name)),
        }
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, Untranslatable> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(self.malformed(name)),
        }
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<Value>, Untranslatable> {
        match self.take(name) {
            None => Ok(None),
            Some(number @ Value::Number(_)) => Ok(Some(number)),
            Some(_) => Err(self.malformed(name)),
        }
    }

    /// A whole number, also where it is written as a float.
    pub(super) fn count(&mut self, name: &str) -> Result<Option<u64>, Untranslatable> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => whole_number(&value).map(Some).ok_or_else(|| self.malformed(name)),
        }
    }

    pub(super) fn object(&mut self, name: &'static str) -> Result<Option<Self>, Untranslatable> {
        self.take(name).map(|value| Self::of(value, name)).transpose()
    }

    /// The string in the field `type`; empty where there is none.
    pub(super) fn kind(&mut self) -> Result<String, Untranslatable> {
        Ok(self.text("type")?.unwrap_or_default())
    }

    pub(super) fn malformed(&self, name: &str) -> Untranslatable {
        Untranslatable::malformed(&format!("{}.{name}", self.place))
    }

    pub(super) fn unsupported(&self, name: &str) -> Untranslatable {
        Untranslatable::unsupported(&format!("{}: {name}", self.place))
    }

    /// Refuses what changes the meaning of the request, where one of those fields is left.
    pub(super) fn refuse(&self, names: &[&str]) -> Result<(), Untranslatable> {
        let is_empty = |value: &Value| match value {
            Value::Null | Value::Bool(false) => true,
            Value::Array(list) => list.is_empty(),
            Value::Bool(true) | Value::Number(_) | Value::String(_) | Value::Object(_) => false,
        };
        let refused = names
            .iter()
            .find(|name| self.fields.get(**name).is_some_and(|value| !is_empty(value)));
        refused.map_or(Ok(()), |name| Err(Untranslatable::unsupported(name)))
    }

    /// Lists what was not read as lost.
    pub(super) fn lose_rest(self, losses: &mut Losses) {
        for (name, value) in self.fields {
            if !value.is_null() {
                losses.add(&name);
            }
        }
    }
}

/// The value as a whole number that is not negative.
pub(super) fn whole_number(value: &Value) -> Option<u64> {
    let as_float = || {
        value
            .as_f64()
            .filter(|float| float.fract() == 0.0 && (0.0..=9e15).contains(float))
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole, not negative, and below 2^53"
    )]
    value.as_u64().or_else(|| as_float().map(|float| float as u64))
}

/// The field, taken out of `value`; null where there is none.
pub(super) fn take(value: &mut Value, name: &str) -> Value {
    value.get_mut(name).map(Value::take).unwrap_or_default()
}

/// The elements of a list in a field, taken out of `value`.
pub(super) fn take_list(value: &mut Value, name: &str) -> Vec<Value> {
    match take(value, name) {
        Value::Array(list) => list,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => Vec::new(),
    }
}

/// The string in a field, taken out of `value`, where it is not empty.
pub(super) fn take_text(value: &mut Value, name: &str) -> Option<String> {
    match take(value, name) {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}
