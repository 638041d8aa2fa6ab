//! One table of the configuration, read field by field; an unknown field is an error.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    domain::{Billionths, nearest},
    providers,
};

/// A mistake in the configuration file: where, and by which rule; never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("config.toml{} {problem}", place(*.line, .field))]
pub struct ConfigError {
    /// Counts from 1; 0 where the whole file is meant.
    pub line: usize,
    /// The field's full name, such as `providers.openai.base_url`; empty where the file is not TOML.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

fn place(line: usize, field: &str) -> String {
    let line = if line > 0 {
        format!(" line {line}")
    } else {
        String::new()
    };
    if field.is_empty() {
        line + ":"
    } else {
        format!("{line}: `{field}`")
    }
}

/// The question whether one of `names` was meant; nothing where none is like it.
pub(super) fn meant<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let name = nearest(typed, names);
    name.map(|name| format!(" (did you mean `{name}`?)"))
        .unwrap_or_default()
}

/// A table, and which of its fields were read.
pub(super) struct Section<'t, 'i> {
    text: &'i str,
    name: String,
    table: &'t DeTable<'i>,
    asked: Vec<&'static str>,
}

/// A field that is there.
pub(super) struct Field<'t, 'i> {
    text: &'i str,
    pub(super) name: String,
    value: &'t DeValue<'i>,
    span: Range<usize>,
}

impl<'t, 'i> Section<'t, 'i> {
    /// The whole file.
    pub(super) fn root(text: &'i str, table: &'t DeTable<'i>) -> Self {
        Self {
            text,
            name: String::new(),
            table,
            asked: Vec::new(),
        }
    }

    /// The field `name`, if it is there.
    pub(super) fn field(&mut self, name: &'static str) -> Option<Field<'t, 'i>> {
        self.asked.push(name);
        let value = self.table.get(name)?;
        Some(self.at(name, value))
    }

    /// The table `name`, if it is there.
    pub(super) fn section(&mut self, name: &'static str) -> Result<Option<Self>, ConfigError> {
        self.field(name).map(Field::section).transpose()
    }

    /// All fields, whatever their names are.
    pub(super) fn each(&self) -> impl Iterator<Item = (String, Field<'t, 'i>)> {
        self.table
            .iter()
            .map(|(name, value)| (name.get_ref().to_string(), self.at(name.get_ref(), value)))
    }

    /// An error where the table has a field that was not read.
    pub(super) fn finish(self) -> Result<(), ConfigError> {
        for (name, _) in self.table {
            if !self.asked.contains(&name.get_ref().as_ref()) {
                let known = self.asked.join(", ");
                let meant = meant(name.get_ref(), self.asked.iter().copied());
                return Err(ConfigError {
                    line: line(self.text, name.span().start),
                    field: self.full_name(name.get_ref()),
                    problem: format!("is not a setting{meant}; known here: {known}"),
                });
            }
        }
        Ok(())
    }

    fn at(&self, name: &str, value: &'t Spanned<DeValue<'i>>) -> Field<'t, 'i> {
        Field {
            text: self.text,
            name: self.full_name(name),
            value: value.get_ref(),
            span: value.span(),
        }
    }

    fn full_name(&self, name: &str) -> String {
        let name = printable(name);
        if self.name.is_empty() {
            name
        } else {
            format!("{}.{name}", self.name)
        }
    }
}

impl<'t, 'i> Field<'t, 'i> {
    /// The error that this field breaks `rule`.
    pub(super) fn wrong(&self, rule: impl Into<String>) -> ConfigError {
        ConfigError {
            line: line(self.text, self.span.start),
            field: self.name.clone(),
            problem: rule.into(),
        }
    }

    pub(super) fn section(self) -> Result<Section<'t, 'i>, ConfigError> {
        let table = self.value.as_table().ok_or_else(|| self.wrong("must be a table"))?;
        Ok(Section {
            text: self.text,
            name: self.name,
            table,
            asked: Vec::new(),
        })
    }

    pub(super) fn is_list(&self) -> bool {
        self.value.is_array()
    }

    pub(super) fn items(self) -> Result<Vec<Self>, ConfigError> {
        let items = self.value.as_array().ok_or_else(|| self.wrong("must be a list"))?;
        Ok(items
            .iter()
            .enumerate()
            .map(|(at, item)| Self {
                text: self.text,
                name: format!("{}[{at}]", self.name),
                value: item.get_ref(),
                span: item.span(),
            })
            .collect())
    }

    pub(super) fn text(&self) -> Result<&'t str, ConfigError> {
        let text = self.value.as_str().ok_or_else(|| self.wrong("must be a string"))?;
        if providers::looks_like_key(text) {
            return Err(self.wrong("holds something that looks like an API key; keys belong in the vault"));
        }
        Ok(text)
    }

    pub(super) fn switch(&self) -> Result<bool, ConfigError> {
        self.value.as_bool().ok_or_else(|| self.wrong("must be true or false"))
    }

    /// A whole number from 0 to `most`.
    pub(super) fn count(&self, most: u32) -> Result<u32, ConfigError> {
        let rule = || self.wrong(format!("must be a whole number from 0 to {most}"));
        let number = self.value.as_integer().ok_or_else(rule)?;
        let number = u32::from_str_radix(number.as_str(), number.radix()).map_err(|_| rule())?;
        if number <= most { Ok(number) } else { Err(rule()) }
    }

    /// A decimal number from 0 to `most`.
    pub(super) fn decimal(&self, most: Billionths) -> Result<Billionths, ConfigError> {
        let text = match self.value {
            DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str()),
            DeValue::Float(number) => Some(number.as_str()),
            _ => None,
        };
        text.and_then(Billionths::parse)
            .filter(|number| *number <= most)
            .ok_or_else(|| {
                let most = most.0 / Billionths::ONE.0;
                self.wrong(format!(
                    "must be a number from 0 to {most} with at most nine decimal places"
                ))
            })
    }

    /// One of the `choices`, by name.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, ConfigError> {
        let text = self.text()?;
        let chosen = choices.iter().find(|(name, _)| *name == text);
        chosen.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.wrong(format!("must be one of {}", names.join(", ")))
        })
    }
}

/// The table that `text` spells.
pub(super) fn parse(text: &str) -> Result<Spanned<DeTable<'_>>, ConfigError> {
    DeTable::parse(text).map_err(|why| {
        // The parser's texts are descriptions and quote nothing; checked all the same.
        let reason = why.message();
        let plain = reason.is_ascii() && reason.len() <= 200 && !providers::looks_like_key(reason);
        ConfigError {
            line: why.span().map_or(0, |span| line(text, span.start)),
            field: String::new(),
            problem: if plain {
                format!("this is not TOML: {}", reason.lines().next().unwrap_or_default())
            } else {
                "this is not TOML".to_owned()
            },
        }
    })
}

/// The line of a byte, counted from 1.
fn line(text: &str, at: usize) -> usize {
    1 + text.get(..at).unwrap_or(text).matches('\n').count()
}

/// A field's name as it may be shown: short, plain, and not a key.
fn printable(name: &str) -> String {
    let plain = (1..=64).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'));
    if plain && !providers::may_be_key(name) {
        name.to_owned()
    } else {
        "(a name not shown)".to_owned()
    }
}
