//! The prices that lie over the built-in ones: taking them in from a public set, and going back.

use std::path::Path;
use std::{fs::File, io::Read};

use jiff::{civil::Date, tz::TimeZone};

use super::price_lookup;
use crate::{
    app::{self, App},
    catalog::{
        Catalog, Overlay,
        sets::{self, LONGEST_SET, SetError, Taken},
    },
    domain::{ModelId, ModelRef},
    error::{Code, Error, Result},
    providers,
    storage::files::{Folder, Written},
};

/// What an update did.
#[derive(Debug)]
pub struct Updated {
    pub taken: Taken,
    /// When the prices were taken in that these replace.
    pub replaced: Option<Date>,
    pub warnings: Vec<String>,
}

/// Takes in the set of prices in the file at `path`, in place of what was taken in before.
pub fn update(app: &App, path: &Path) -> Result<Updated> {
    let text = text_of(path)?;
    let today = app.now().to_zoned(TimeZone::UTC).date();
    let taken = sets::read(&text, today, &Catalog::built_in())?;
    let text = taken.overlay.to_text();
    // What is written must be readable: a mistake here must not cost anybody a price.
    Overlay::parse(&text).map_err(|why| {
        Error::new(
            Code::PriceOverlayInvalid,
            format!("the file says what cannot be: {why}"),
        )
        .hint("get the file anew; if it is still so, its publisher should know")
    })?;
    let folder = Folder::create(app.settings().paths().data_folder())?;
    // Damaged prices are what an update mends.
    let replaced = app::overlay(&folder).ok().flatten().map(|before| before.as_of);
    let mut warnings = Vec::new();
    if let Written::DurabilityUnknown(_) = folder.replace(app::PRICES_FILE, text.as_bytes())? {
        warnings.push(
            "the prices are in place, but the disk did not confirm it: a power cut may take them back".to_owned(),
        );
    }
    tracing::info!(
        set = taken.overlay.set,
        models = taken.overlay.models.len(),
        "took prices in"
    );
    Ok(Updated {
        taken,
        replaced,
        warnings,
    })
}

/// Goes back to the built-in prices; `false` where they were in force.
pub fn reset(app: &App) -> Result<bool> {
    match Folder::open(app.settings().paths().data_folder())? {
        Some(folder) => Ok(folder.remove(app::PRICES_FILE)?),
        None => Ok(false),
    }
}

/// What was taken in, if anything was.
pub fn overlay(app: &App) -> Result<Option<Overlay>> {
    match Folder::open(app.settings().paths().data_folder())? {
        Some(folder) => app::overlay(&folder),
        None => Ok(None),
    }
}

/// The model that `text` names: as `provider/model`, or alone where only one provider has it.
pub fn named(app: &App, text: &str) -> Result<ModelRef> {
    let catalog = app.catalog()?;
    let whole: Option<ModelRef> = text.parse().ok();
    if let Some(whole) = &whole
        && (catalog.find(whole).is_some() || price_lookup::runs_here(&app.settings().current(), &whole.provider))
    {
        return Ok(whole.clone());
    }
    let alone = text.parse::<ModelId>().map_err(Error::from)?;
    let found = catalog.find_everywhere(&alone);
    if let [only] = found.as_slice() {
        return Ok(only.model.id.provider.model(&alone));
    }
    let list = |models: Vec<ModelRef>| models.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if !found.is_empty() {
        let message = format!("{} providers have a model of that name", found.len());
        let models = found.iter().map(|found| found.model.id.clone()).collect();
        return Err(Error::new(Code::UnknownModel, message).hint(format!("name one of {}", list(models))));
    }
    let message = if providers::may_be_key(text) {
        "there is no such model in the catalog".to_owned()
    } else {
        format!("there is no model `{text}` in the catalog")
    };
    let near = catalog.near(text);
    let hint = if near.is_empty() {
        "`api-keys prices list` shows what is known; [[prices]] in config.toml adds a model".to_owned()
    } else {
        format!(
            "did you mean {}? `api-keys prices list` shows what is known",
            list(near)
        )
    };
    Err(Error::new(Code::UnknownModel, message).hint(hint))
}

fn text_of(path: &Path) -> Result<String> {
    let unreadable = |why: std::io::Error| {
        Error::new(
            Code::PriceOverlayInvalid,
            format!("the file cannot be read: {}", why.kind()),
        )
        .hint("give the path of a file that you can read")
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(LONGEST_SET + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST_SET {
        return Err(SetError::TooLong.into());
    }
    String::from_utf8(bytes).map_err(|_| SetError::UnknownSet.into())
}
