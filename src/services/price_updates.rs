//! The prices that lie over the built-in ones: taking them in from a public set, and going back.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::price_lookup;
use crate::{
    app::{self, App},
    catalog::{
        Catalog, Figures, Overlay,
        sets::{self, MAX_SET_BYTES, SetError, Taken},
    },
    domain::{ModelId, ModelRef},
    error::{Code, Error, Result},
    providers,
    storage::files::{Folder, Written},
};

/// A file from before this day was not written when it says: archives and packages are packed without dates.
const EARLIEST: Date = jiff::civil::date(2026, 1, 1);

/// What an update did.
#[derive(Debug)]
pub struct Updated {
    pub taken: Taken,
    /// The set that was taken in.
    pub set: &'static str,
    /// When that set was taken in before.
    pub replaced: Option<Date>,
    /// The other sets that stay, and when they were looked up.
    pub beside: BTreeMap<String, Date>,
    pub warnings: Vec<String>,
}

/// What a file brought.
#[derive(Debug)]
pub enum Update {
    Prices(Box<Updated>),
    /// Figures of quality: whose they are, and of when.
    Figures(String),
}

/// Takes in the file at `path`: a public set of prices, or figures of quality.
pub fn update(app: &App, path: &Path, day: Option<Date>) -> Result<Update> {
    let file = text_of(path)?;
    if Figures::are_in(&file.0) {
        return update_figures(app, &file.0).map(Update::Figures);
    }
    update_prices(app, file, day).map(|updated| Update::Prices(Box::new(updated)))
}

/// Takes in figures of quality, unless those in force are newer.
fn update_figures(app: &App, text: &str) -> Result<String> {
    let refused = |why: String, hint: &str| Err(Error::new(Code::PriceOverlayInvalid, why).hint(hint));
    let Some(figures) = Figures::read(text) else {
        return refused(
            "the file is not of the form of `api-keys quality`, version 1".to_owned(),
            "figures are whole numbers from 0 to 10000: hundredths of a point",
        );
    };
    let folder = Folder::create(app.settings().paths().data_folder())?;
    let before = app::figures(&folder).ok().flatten();
    let newest = before
        .as_ref()
        .map_or("", |before| before.as_of())
        .max(Figures::built_in().as_of());
    if figures.as_of() < newest {
        return refused(
            format!(
                "these figures are of {}, and newer ones of {newest} are in force",
                figures.as_of()
            ),
            "`api-keys prices reset` goes back to the built-in figures",
        );
    }
    let _ = folder.replace(app::FIGURES_FILE, text.as_bytes())?;
    Ok(figures.source())
}

/// Takes in a set of prices, of `day`, or else of the day on which the file was written.
///
/// It replaces what was taken from the same set before and lies beside that of the other one. What is newer stays.
fn update_prices(app: &App, (text, written): (String, Option<Date>), day: Option<Date>) -> Result<Updated> {
    let today = app.now().to_zoned(TimeZone::UTC).date();
    let written = written.filter(|written| *written >= EARLIEST);
    let day = day.or(written).unwrap_or(today).min(today);
    let set = sets::name(&text)?;
    let folder = Folder::create(app.settings().paths().data_folder())?;
    // Damaged prices are what an update fixes.
    let before = app::overlay(&folder).ok().flatten();
    let replaced = before.as_ref().and_then(|before| before.sets.get(set).copied());
    let others = before.map(|before| before.without(set));
    let known = Catalog::built_in().with(others.as_ref(), &[]);
    let taken = sets::read(&text, day, &known)?;
    let beside = others.as_ref().map(|others| others.sets.clone()).unwrap_or_default();
    let overlay = match others {
        Some(others) => others.and(&taken.overlay),
        None => taken.overlay.clone(),
    };
    let text = overlay.to_text();
    // What is written must be readable: a mistake here must not cost a price.
    Overlay::parse(&text).map_err(|why| {
        Error::new(Code::PriceOverlayInvalid, format!("the file is inconsistent: {why}"))
            .hint("download the file again; if it stays like that, tell its publisher")
    })?;
    let mut warnings = Vec::new();
    if let Written::DurabilityUnknown(_) = folder.replace(app::PRICES_FILE, text.as_bytes())? {
        warnings.push(
            "the prices are in place, but the disk did not confirm it: a power cut may take them back".to_owned(),
        );
    }
    if !taken.older.is_empty() {
        let count = taken.older.len();
        warnings.push(format!(
            "the file is of {day}: for {count} models newer prices are known, and they stay; `--as-of DATE` gives its true date"
        ));
    }
    tracing::info!(set, models = overlay.models.len(), "took prices in");
    Ok(Updated {
        taken,
        set,
        replaced,
        beside,
        warnings,
    })
}

/// Goes back to the built-in prices and figures; `false` where they were in force.
pub fn reset(app: &App) -> Result<bool> {
    match Folder::open(app.settings().paths().data_folder())? {
        Some(folder) => {
            let removed = [app::PRICES_FILE, app::FIGURES_FILE].map(|file| folder.remove(file));
            let [prices, figures] = removed;
            Ok(prices? | figures?)
        }
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
        && (catalog.find(whole).is_some()
            || price_lookup::costs_nothing(&app.settings().current(), &whole.provider).is_some())
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
        "the model is not in the catalog".to_owned()
    } else {
        format!("there is no model `{text}` in the catalog")
    };
    let near = catalog.near(text);
    let hint = if near.is_empty() {
        "`api-keys prices list` shows the known models; [[prices]] in config.toml adds a model".to_owned()
    } else {
        format!(
            "did you mean {}? `api-keys prices list` shows the known models",
            list(near)
        )
    };
    Err(Error::new(Code::UnknownModel, message).hint(hint))
}

/// What the file holds, and the day (UTC) on which it was written.
fn text_of(path: &Path) -> Result<(String, Option<Date>)> {
    let unreadable = |why: std::io::Error| {
        Error::new(
            Code::PriceOverlayInvalid,
            format!("the file cannot be read: {}", why.kind()),
        )
        .hint("give the path of a file that you can read")
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    let written = file.metadata().and_then(|found| found.modified()).ok();
    let written = written.and_then(|written| Timestamp::try_from(written).ok());
    file.take(MAX_SET_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_SET_BYTES {
        return Err(SetError::TooLong.into());
    }
    let text = String::from_utf8(bytes).map_err(|_| SetError::UnknownSet)?;
    Ok((text, written.map(|written| written.to_zoned(TimeZone::UTC).date())))
}
