//! Settings as text: one entry is read, put in or taken out, and the rest stays as it was, with comments and order.

use jsonc_parser::{
    ParseOptions,
    cst::{CstInputValue, CstObject, CstRootNode},
};
use serde_json::Value;
use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike};

/// How a client writes its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SettingsFormat {
    /// JSON; comments and commas before a closing bracket are understood, since some clients do.
    Json,
    Toml,
}

/// Why a text cannot be changed. It never quotes the text, which may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Broken {
    /// It is not of the format; the line is where that shows.
    Syntax { line: usize },
    /// It is a list or a value where there should be a table.
    NotATable { what: &'static str },
    /// A table is there more than once, and programs differ in which one counts.
    Twice,
    /// The change would have touched something else.
    Unfaithful,
}

/// Where in a text an entry is.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryPath {
    pub(super) table: &'static str,
    pub(super) name: &'static str,
}

impl SettingsFormat {
    /// The entry at `place`, if there is one.
    pub(super) fn entry(self, text: &str, place: EntryPath) -> Result<Option<Value>, Broken> {
        let value = self.value(text)?;
        let Some(table) = value.get(place.table) else {
            return Ok(None);
        };
        match table {
            Value::Object(table) => Ok(table.get(place.name).cloned()),
            _ => Err(Broken::NotATable { what: place.table }),
        }
    }

    /// The text with `entry` at `place`, where none is yet.
    pub(super) fn with(self, text: &str, place: EntryPath, entry: &Value) -> Result<String, Broken> {
        let changed = match self {
            Self::Json => json_with(text, place, entry)?,
            Self::Toml => toml_with(text, place, entry)?,
        };
        self.faithful(text, changed, place, Some(entry))
    }

    /// The text without the entry at `place`.
    pub(super) fn without(self, text: &str, place: EntryPath) -> Result<String, Broken> {
        let changed = match self {
            Self::Json => json_without(text, place)?,
            Self::Toml => toml_without(text, place)?,
        };
        self.faithful(text, changed, place, None)
    }

    /// `entry` as it is written where nothing else is.
    pub(super) fn lines(self, place: EntryPath, entry: &Value) -> String {
        let whole = self.with("", place, entry).unwrap_or_default();
        match self {
            Self::Toml => whole,
            // Without the braces around the table and the file.
            Self::Json => {
                let lines: Vec<&str> = whole.lines().filter_map(|line| line.strip_prefix("    ")).collect();
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
        }
    }

    /// `changed`, if it differs from `text` by the entry at `place` alone.
    fn faithful(self, text: &str, changed: String, place: EntryPath, entry: Option<&Value>) -> Result<String, Broken> {
        let rest = |text: &str| {
            let mut value = self.value(text)?;
            let table = value.get_mut(place.table).and_then(Value::as_object_mut);
            let entry = table.and_then(|table| table.shift_remove(place.name));
            // A table that held nothing else says the same as none.
            if let Value::Object(all) = &mut value
                && all
                    .get(place.table)
                    .is_some_and(|table| table.as_object().is_some_and(serde_json::Map::is_empty))
            {
                all.shift_remove(place.table);
            }
            Ok::<_, Broken>((value.as_object().cloned().unwrap_or_default(), entry))
        };
        let ((before, _), (after, found)) = (rest(text)?, rest(&changed)?);
        if before == after && found.as_ref() == entry {
            Ok(changed)
        } else {
            Err(Broken::Unfaithful)
        }
    }
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
            None => Err(Broken::NotATable { what: "the file" }),
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

fn json_with(text: &str, place: EntryPath, entry: &Value) -> Result<String, Broken> {
    let text = if text.trim().is_empty() { "" } else { text };
    let (mark, root) = json(text)?;
    json_root(&root)?;
    let table = root
        .object_value_or_create()
        .and_then(|object| object.object_value_or_create(place.table))
        .ok_or(Broken::NotATable { what: place.table })?;
    once(&table)?;
    table.append(place.name, input(entry));
    let mut changed = format!("{mark}{root}");
    if text.is_empty() && !changed.ends_with('\n') {
        changed.push('\n');
    }
    Ok(changed)
}

fn json_without(text: &str, place: EntryPath) -> Result<String, Broken> {
    let (mark, root) = json(text)?;
    let table = json_root(&root)?.and_then(|object| object.object_value(place.table));
    if let Some(table) = table {
        once(&table)?;
        if let Some(entry) = table.get(place.name) {
            entry.remove();
        }
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

fn toml_with(text: &str, place: EntryPath, entry: &Value) -> Result<String, Broken> {
    let mut document = toml(text)?;
    let servers = document.entry(place.table).or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let servers = servers
        .as_table_like_mut()
        .ok_or(Broken::NotATable { what: place.table })?;
    let mut table = Table::new();
    for (name, value) in entry.as_object().into_iter().flatten() {
        table.insert(name, Item::Value(toml_value(value)));
    }
    servers.insert(place.name, Item::Table(table));
    let changed = toml_text(&document, text)?;
    // A first table in an empty file needs no line before it.
    Ok(if text.trim().is_empty() {
        changed.trim_start().to_owned()
    } else {
        changed
    })
}

fn toml_without(text: &str, place: EntryPath) -> Result<String, Broken> {
    let mut document = toml(text)?;
    if let Some(servers) = document.get_mut(place.table).and_then(Item::as_table_like_mut) {
        TableLike::remove(servers, place.name);
    }
    toml_text(&document, text)
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
        // An entry of ours holds neither.
        Value::Null | Value::Number(_) => value.to_string().into(),
    }
}

#[cfg(test)]
mod tests;
