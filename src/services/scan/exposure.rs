//! What is searched for, and how a key that was found is marked.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::text::Needles;
use crate::{
    app::App,
    domain::{KeyId, KeyRecord},
    error::{Code, Error, Result},
    services::{caller::Caller, keys, vault_access},
    storage::audit::Action,
};

/// What is looked for: every secret of the vault, where that is open, and everything that begins as keys do.
///
/// Opens the vault without a person; an error beside the needles says why it stayed closed.
pub async fn needles(app: &App) -> Result<(Needles, Option<Error>)> {
    let built = |needles: Option<Needles>| {
        needles.ok_or_else(|| Error::new(Code::Internal, "the rules for keys could not be put together"))
    };
    match vault_access::contents_unasked(app).await {
        Ok(contents) => {
            let recognizer = app.vault().recognizer()?;
            Ok((built(Needles::new(&contents.keys, Some(recognizer)))?, None))
        }
        Err(why) if why.code() == Code::VaultAbsent => Ok((built(Needles::new(&BTreeMap::new(), None))?, None)),
        Err(why) => Ok((built(Needles::new(&BTreeMap::new(), None))?, Some(why))),
    }
}

/// Notes beside the keys that were found that they are exposed; returns how many that was news of.
pub async fn mark_exposed(app: &App, caller: &dyn Caller, found: &BTreeSet<(KeyId, u32)>) -> Result<usize> {
    let contents = app.vault().contents()?;
    let is_news = |record: &KeyRecord, number: u32| {
        let mut versions = record.versions.iter();
        versions.any(|version| version.version == number && !version.exposed)
    };
    let news: Vec<(KeyId, u32)> = found
        .iter()
        .copied()
        .filter(|(id, number)| contents.keys.get(id).is_some_and(|record| is_news(record, *number)))
        .collect();
    if news.is_empty() {
        return Ok(0);
    }
    let entry = keys::general_entry(app, caller, Action::ExposeKey);
    vault_access::change(app, &entry, |edit, _| {
        for (id, number) in &news {
            let Some(mut record) = edit.contents().keys.get(id).cloned() else {
                continue;
            };
            for version in record.versions.iter_mut().filter(|version| version.version == *number) {
                version.exposed = true;
            }
            if news.len() == 1 {
                edit.concerns(&record);
            }
            edit.record(record);
        }
        Ok(())
    })
    .await?;
    Ok(news.len())
}

/// A path as it may be shown: not where it holds a key itself.
pub fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    if crate::providers::has_key_form(&text) {
        let parent: PathBuf = path.parent().map(Path::to_owned).unwrap_or_default();
        if crate::providers::has_key_form(&parent.to_string_lossy()) {
            "(a name not shown)".to_owned()
        } else {
            format!("{}/(a name not shown)", parent.display())
        }
    } else {
        text.chars().filter(|c| !c.is_control()).collect()
    }
}
