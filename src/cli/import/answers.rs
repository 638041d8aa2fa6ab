//! What an import of keys answers: names, places and masked ends.

use serde_json::{Value, json};

use super::gather::SourcePlace;
use crate::{
    domain::Label,
    tools::view::{Block, Cell, Column, Tone, View},
};

/// What became of everything that was found.
pub(super) struct ImportAnswer {
    pub(super) is_dry: bool,
    pub(super) keys: Vec<KeyAnswer>,
    pub(super) left_out: Vec<String>,
    pub(super) unreadable: Vec<String>,
}

/// What became of one key.
pub(super) struct KeyAnswer {
    pub(super) provider: String,
    pub(super) label: Option<Label>,
    pub(super) masked: String,
    pub(super) places: Vec<String>,
    pub(super) names: Vec<String>,
    pub(super) fate: ImportFate,
    pub(super) notes: Vec<String>,
    /// What is not about the key alone, such as that the vault was made for it.
    pub(super) warnings: Vec<String>,
}

/// How an import of one key ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ImportFate {
    Stored,
    /// In a dry run.
    New,
    Known,
    Declined,
    Skipped,
}

impl KeyAnswer {
    pub(super) fn new(places: &[SourcePlace]) -> Self {
        Self {
            provider: String::new(),
            label: None,
            masked: String::new(),
            places: places.iter().map(|place| place.shown.clone()).collect(),
            names: places.iter().map(|place| place.name.clone()).collect(),
            fate: ImportFate::Skipped,
            notes: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

impl ImportFate {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::New => "new",
            Self::Known => "known",
            Self::Declined => "declined",
            Self::Skipped => "skipped",
        }
    }
}

pub(super) fn json(answer: &ImportAnswer) -> Value {
    let keys: Vec<Value> = answer
        .keys
        .iter()
        .map(|key| {
            json!({
                "provider": Some(&key.provider).filter(|provider| !provider.is_empty()),
                "label": key.label,
                "masked": key.masked,
                "names": key.names,
                "places": key.places,
                "state": key.fate.as_str(),
                "notes": key.notes,
                "warnings": key.warnings,
            })
        })
        .collect();
    json!({
        "dry_run": answer.is_dry,
        "keys": keys,
        "left_out": answer.left_out,
        "unreadable": answer.unreadable,
    })
}

pub(super) fn view(answer: &ImportAnswer) -> View {
    let of = |fate| answer.keys.iter().filter(|key| key.fate == fate).count();
    let (number, what) = if answer.is_dry {
        (of(ImportFate::New), "would be stored; nothing was changed")
    } else {
        (of(ImportFate::Stored), "stored")
    };
    let s = if number == 1 { "" } else { "s" };
    let mut view = View::line(Tone::Good, format!("{number} key{s} {what}"));
    if !answer.keys.is_empty() {
        let columns = [
            Column::new("PROVIDER"),
            Column::new("LABEL").rank(2),
            Column::new("KEY"),
            Column::new("STATE"),
            Column::new("FOUND IN").wrapped(),
            Column::new("NOTE").wrapped().rank(1),
        ];
        let rows = answer.keys.iter().map(|key| {
            vec![
                key.provider.as_str().into(),
                key.label.as_ref().map(ToString::to_string).unwrap_or_default().into(),
                key.masked.as_str().into(),
                Cell::from(key.fate.as_str()),
                key.places.join(", ").into(),
                key.notes.join("; ").into(),
            ]
        });
        view = view.and(Block::table(columns, rows.collect()));
    }
    for left in &answer.left_out {
        view = view.and(Block::Line(Tone::Faint, format!("Left: {left}")));
    }
    let warnings = answer.keys.iter().flat_map(|key| &key.warnings);
    for problem in warnings.chain(&answer.unreadable) {
        view = view.and(Block::Warning(problem.clone()));
    }
    if of(ImportFate::Declined) > 0 {
        view = view.and(Block::Hint("answer `y`, or use `--yes`, to store a key".to_owned()));
    }
    if of(ImportFate::Stored) > 0 {
        view = view.and(Block::Hint(
            "`api-keys validate --all` checks the stored keys; then remove them from the files, and use `api-keys run`"
                .to_owned(),
        ));
    }
    view
}
