//! Settings as text: one entry is read, put in or taken out, and the rest stays as it was, with comments and order.

use std::fmt;

use jsonc_parser::{
    ParseOptions,
    cst::{CstInputValue, CstObject, CstRootNode},
};
use serde_json::Value;
use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike};

use super::dotenv;

/// How a client writes its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SettingsFormat {
    /// JSON; comments and commas before a closing bracket are understood, since some clients do.
    Json,
    Toml,
    /// Lines of `NAME=value`, as in a `.env` file.
    Dotenv,
}

/// Why a text cannot be changed. It never quotes the text, which may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Broken {
    /// It is not of the format; the line is where that shows.
    Syntax { line: usize },
    /// It is a list or a value where there should be a table.
    NotATable { what: String },
    /// A table is there more than once, and programs differ in which one counts.
    Twice,
    /// The change would have touched something else.
    Unfaithful,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { line } => write!(f, "line {line} is not what such a file can hold"),
            Self::NotATable { what } => write!(f, "{what} is not a table"),
            Self::Twice => f.write_str("a name is there twice"),
            Self::Unfaithful => f.write_str("its form would not survive the change"),
        }
    }
}

/// Where in a text an entry is: its name, after those of the tables that it is in.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryPath<'a>(pub(super) &'a [&'a str]);

impl<'a> EntryPath<'a> {
    /// The tables, outermost first, and the entry's own name.
    fn parts(self) -> (&'a [&'a str], &'a str) {
        match self.0.split_last() {
            Some((name, tables)) => (tables, name),
            None => (&[], ""),
        }
    }
}

impl SettingsFormat {
    /// The entry at `place`, if there is one.
    pub(super) fn entry(self, text: &str, place: EntryPath<'_>) -> Result<Option<Value>, Broken> {
        let (tables, name) = place.parts();
        let mut value = self.value(text)?;
        for what in tables {
            let Some(table) = value.get_mut(*what) else {
                return Ok(None);
            };
            if !table.is_object() {
                return Err(Broken::NotATable {
                    what: (*what).to_owned(),
                });
            }
            value = table.take();
        }
        Ok(value.get_mut(name).map(Value::take))
    }

    /// The text with `entry` at `place`, instead of the one that is there.
    pub(super) fn with(self, text: &str, place: EntryPath<'_>, entry: &Value) -> Result<String, Broken> {
        let changed = match self {
            Self::Json => json_with(text, place, entry)?,
            Self::Toml => toml_with(text, place, entry)?,
            Self::Dotenv => dotenv::with(text, place.parts().1, entry.as_str().unwrap_or_default()),
        };
        self.faithful(text, changed, place, Some(entry))
    }

    /// The text without the entry at `place`.
    pub(super) fn without(self, text: &str, place: EntryPath<'_>) -> Result<String, Broken> {
        let changed = match self {
            Self::Json => json_without(text, place)?,
            Self::Toml => toml_without(text, place)?,
            Self::Dotenv => dotenv::without(text, place.parts().1),
        };
        self.faithful(text, changed, place, None)
    }

    /// `entry` as it is written where nothing else is.
    pub(super) fn lines(self, place: EntryPath<'_>, entry: &Value) -> String {
        let whole = self.with("", place, entry).unwrap_or_default();
        match self {
            Self::Toml | Self::Dotenv => whole,
            // Without the braces around the table and the file.
            Self::Json => {
                let indent = "  ".repeat(place.0.len());
                let lines: Vec<&str> = whole.lines().filter_map(|line| line.strip_prefix(&indent)).collect();
                lines.join("\n")
            }
        }
    }

    /// What the whole text says.
    fn value(self, text: &str) -> Result<Value, Broken> {
        match self {
            Self::Json => {
                let (_, root) = json(text)?;
                match json_root(&root)? {
                    Some(object) => object.to_serde_value().ok_or(Broken::Unfaithful),
                    None => Ok(Value::Object(serde_json::Map::new())),
                }
            }
            Self::Toml => {
                let table: toml::Table = toml::from_str(text).map_err(|why| syntax(text, why.span()))?;
                serde_json::to_value(table).map_err(|_| Broken::Syntax { line: 1 })
            }
            Self::Dotenv => Ok(dotenv::value(text)),
        }
    }

    /// `changed`, if it differs from `text` by the entry at `place` alone.
    fn faithful(
        self,
        text: &str,
        changed: String,
        place: EntryPath<'_>,
        entry: Option<&Value>,
    ) -> Result<String, Broken> {
        let rest = |text: &str| {
            let mut value = self.value(text)?;
            let entry = value.as_object_mut().and_then(|table| take_out(table, place.0));
            Ok::<_, Broken>((value, entry))
        };
        let ((before, _), (after, found)) = (rest(text)?, rest(&changed)?);
        if before == after && found.as_ref() == entry {
            Ok(changed)
        } else {
            Err(Broken::Unfaithful)
        }
    }
}

/// Takes the entry at `path` out, with the tables on the way that are then empty: they say the same as none.
fn take_out(table: &mut serde_json::Map<String, Value>, path: &[&str]) -> Option<Value> {
    let (name, rest) = path.split_first()?;
    if rest.is_empty() {
        return table.shift_remove(*name);
    }
    let inner = table.get_mut(*name)?.as_object_mut()?;
    let taken = take_out(inner, rest);
    if inner.is_empty() {
        table.shift_remove(*name);
    }
    taken
}

/// The mark that some editors on Windows put before a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The mark before the text, if it has one, and the text.
fn without_mark(text: &str) -> (&str, &str) {
    let body = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    (text.strip_suffix(body).unwrap_or_default(), body)
}

/// The parsed text, and the mark that stood before it.
fn json(text: &str) -> Result<(&str, CstRootNode), Broken> {
    let (mark, body) = without_mark(text);
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let root = CstRootNode::parse(body, &options).map_err(|why| Broken::Syntax {
        line: why.line_display(),
    })?;
    Ok((mark, root))
}

/// The outermost object; nothing where the text is empty.
fn json_root(root: &CstRootNode) -> Result<Option<CstObject>, Broken> {
    match root.value() {
        None => Ok(None),
        Some(value) => match value.as_object() {
            Some(object) => once(&object).map(|()| Some(object)),
            None => Err(Broken::NotATable {
                what: "the file".to_owned(),
            }),
        },
    }
}

/// Refuses an object that has one name twice.
fn once(object: &CstObject) -> Result<(), Broken> {
    let mut names: Vec<String> = object
        .properties()
        .iter()
        .filter_map(jsonc_parser::cst::CstObjectProp::decoded_name)
        .collect();
    names.sort_unstable();
    if names.is_sorted_by(|one, next| one < next) {
        Ok(())
    } else {
        Err(Broken::Twice)
    }
}

fn json_with(text: &str, place: EntryPath<'_>, entry: &Value) -> Result<String, Broken> {
    let text = if text.trim().is_empty() { "" } else { text };
    let (mark, root) = json(text)?;
    json_root(&root)?;
    let (tables, name) = place.parts();
    let not_a_table = |what: &str| Broken::NotATable { what: what.to_owned() };
    let mut table = root
        .object_value_or_create()
        .ok_or_else(|| not_a_table(tables.first().unwrap_or(&name)))?;
    for what in tables {
        table = table.object_value_or_create(what).ok_or_else(|| not_a_table(what))?;
        once(&table)?;
    }
    match table.get(name) {
        Some(known) => known.set_value(input(entry)),
        None => drop(table.append(name, input(entry))),
    }
    let mut changed = format!("{mark}{root}");
    if text.is_empty() && !changed.ends_with('\n') {
        changed.push('\n');
    }
    Ok(changed)
}

fn json_without(text: &str, place: EntryPath<'_>) -> Result<String, Broken> {
    let (mark, root) = json(text)?;
    let (tables, name) = place.parts();
    let mut table = json_root(&root)?;
    for what in tables {
        table = table.and_then(|table| table.object_value(what));
        table.as_ref().map_or(Ok(()), once)?;
    }
    if let Some(entry) = table.and_then(|table| table.get(name)) {
        entry.remove();
    }
    Ok(format!("{mark}{root}"))
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(it) => CstInputValue::Bool(*it),
        Value::Number(it) => CstInputValue::Number(it.to_string()),
        Value::String(it) => CstInputValue::String(it.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(fields) => CstInputValue::Object(
            fields
                .iter()
                .map(|(name, value)| (name.clone(), input(value)))
                .collect(),
        ),
    }
}

fn toml(text: &str) -> Result<DocumentMut, Broken> {
    text.parse()
        .map_err(|why: toml_edit::TomlError| syntax(text, why.span()))
}

/// The document with the mark and the line ends that `text` has; of the latter the parser makes one kind, but in strings.
fn toml_text(document: &DocumentMut, text: &str) -> Result<String, Broken> {
    let (lines, on_windows) = (text.matches('\n').count(), text.matches("\r\n").count());
    let document = match on_windows {
        0 => document.to_string(),
        all if all == lines => document.to_string().replace("\r\n", "\n").replace('\n', "\r\n"),
        _ => return Err(Broken::Unfaithful),
    };
    Ok(format!("{}{document}", without_mark(text).0))
}

/// The line of `text` in which a mistake begins.
fn syntax(text: &str, span: Option<std::ops::Range<usize>>) -> Broken {
    let before = span.and_then(|span| text.get(..span.start)).unwrap_or_default();
    Broken::Syntax {
        line: before.matches('\n').count() + 1,
    }
}

fn toml_with(text: &str, place: EntryPath<'_>, entry: &Value) -> Result<String, Broken> {
    let mut document = toml(text)?;
    let before = SettingsFormat::Toml.entry(text, place)?;
    let (tables, name) = place.parts();
    let mut table: &mut dyn TableLike = document.as_table_mut();
    for what in tables {
        let inside = table.entry(what).or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        });
        table = inside.as_table_like_mut().ok_or_else(|| Broken::NotATable {
            what: (*what).to_owned(),
        })?;
    }
    match table.get_mut(name) {
        // Comments between what stays are kept.
        Some(known) if known.is_table() && entry.is_object() => {
            let fields = entry.as_object().into_iter().flatten();
            let known = known.as_table_like_mut().ok_or(Broken::Unfaithful)?;
            let gone: Vec<String> = known
                .iter()
                .map(|(name, _)| name.to_owned())
                .filter(|name| entry.get(name).is_none())
                .collect();
            for name in gone {
                known.remove(&name);
            }
            let before = before.unwrap_or_default();
            for (name, value) in fields.filter(|(name, value)| before.get(name) != Some(*value)) {
                known.insert(name, Item::Value(toml_value(value)));
            }
        }
        _ => drop(table.insert(name, toml_item(entry))),
    }
    let changed = toml_text(&document, text)?;
    // A first table in an empty file needs no line before it.
    Ok(if text.trim().is_empty() {
        changed.trim_start().to_owned()
    } else {
        changed
    })
}

fn toml_without(text: &str, place: EntryPath<'_>) -> Result<String, Broken> {
    let mut document = toml(text)?;
    let (tables, name) = place.parts();
    let mut table: Option<&mut dyn TableLike> = Some(document.as_table_mut());
    for what in tables {
        table = table.and_then(|table| table.get_mut(what)?.as_table_like_mut());
    }
    if let Some(table) = table {
        table.remove(name);
    }
    toml_text(&document, text)
}

/// An object as a table of its own, and anything else as a value.
fn toml_item(value: &Value) -> Item {
    let Value::Object(fields) = value else {
        return Item::Value(toml_value(value));
    };
    let mut table = Table::new();
    for (name, value) in fields {
        table.insert(name, Item::Value(toml_value(value)));
    }
    Item::Table(table)
}

fn toml_value(value: &Value) -> toml_edit::Value {
    match value {
        Value::Array(items) => items.iter().map(toml_value).collect::<toml_edit::Array>().into(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.as_str(), toml_value(value)));
            fields.collect::<InlineTable>().into()
        }
        Value::Bool(it) => (*it).into(),
        Value::String(it) => it.as_str().into(),
        Value::Number(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => number.to_string().into(),
        },
        // An entry of ours holds none.
        Value::Null => value.to_string().into(),
    }
}

#[cfg(test)]
mod tests;
