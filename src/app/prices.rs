//! The prices in force, put together again when one of their files changes.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    catalog::{Catalog, Overlay},
    domain::{ModelRef, Price},
    error::Result,
    settings::Config,
    storage::files::{self, Folder, Stamp},
};

/// The file of prices that `prices update` writes into the data folder.
pub(crate) const FILE: &str = "prices.json";
/// The longest such file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 32 << 20;

/// What was last put together.
#[derive(Debug, Default)]
pub(super) struct Prices(Mutex<Option<PriceState>>);

#[derive(Debug)]
struct PriceState {
    config: Arc<Config>,
    /// What the file looked like; nothing where there was none.
    overlay: Option<Stamp>,
    catalog: Arc<Catalog>,
}

impl Prices {
    /// The models and prices that `config` and the file in the folder `data` make.
    pub(super) fn in_force(&self, config: &Arc<Config>, data: &Path) -> Result<Arc<Catalog>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = state.as_ref()
            && Arc::ptr_eq(&state.config, config)
            && files::is_unchanged(&data.join(FILE), state.overlay)
        {
            return Ok(Arc::clone(&state.catalog));
        }
        let folder = Folder::open(data)?;
        // The stamp is taken first: a change in between is seen the next time.
        let stamp = folder.as_ref().map_or(Ok(None), |folder| folder.stamp(FILE))?;
        let overlay = match &folder {
            Some(folder) if stamp.is_some() => overlay(folder)?,
            _ => None,
        };
        let catalog = if overlay.is_none() && config.prices.is_empty() {
            Catalog::built_in()
        } else {
            Arc::new(Catalog::built_in().with(overlay.as_ref(), &overrides(config)))
        };
        *state = Some(PriceState {
            config: Arc::clone(config),
            overlay: stamp,
            catalog: Arc::clone(&catalog),
        });
        Ok(catalog)
    }
}

/// What `prices update` took in, if it did.
pub(crate) fn overlay(folder: &Folder) -> Result<Option<Overlay>> {
    let Some((bytes, _)) = folder.read(FILE, MAX_FILE_BYTES)? else {
        return Ok(None);
    };
    // What is not text is not of the form either.
    let text = str::from_utf8(&bytes).unwrap_or_default();
    Ok(Some(Overlay::parse(text)?))
}

/// The user's own prices.
fn overrides(config: &Config) -> Vec<(ModelRef, Price)> {
    let own = |price: &crate::settings::PriceOverride| {
        let mut of_it = Price::of(price.standard);
        of_it.offered.batch = price.batch;
        (price.model.clone(), of_it)
    };
    config.prices.iter().map(own).collect()
}
