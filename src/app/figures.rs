//! The figures of quality in force, put together again when one of their files changes.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    catalog::{Figures, Points},
    error::{Code, Error, Result},
    settings::{Config, Settings},
    storage::files::{self, Folder, Stamp},
};

/// The file of figures that `prices update` writes into the data folder.
pub(crate) const FILE: &str = "quality.json";
/// The longest such file that is read, in bytes.
pub(crate) const MAX_FILE_BYTES: u64 = 4 << 20;

/// What was last put together.
#[derive(Debug, Default)]
pub(super) struct Quality(Mutex<Option<State>>);

#[derive(Debug)]
struct State {
    config: Arc<Config>,
    /// What the file looked like; nothing where there was none.
    file: Option<Stamp>,
    figures: Arc<Figures>,
}

impl Quality {
    pub(super) fn in_force(&self, settings: &Settings) -> Result<Arc<Figures>> {
        let config = settings.current();
        let data = settings.paths().data_folder();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = state.as_ref()
            && Arc::ptr_eq(&state.config, &config)
            && files::is_unchanged(&data.join(FILE), state.file)
        {
            return Ok(Arc::clone(&state.figures));
        }
        let folder = Folder::open(data)?;
        // The stamp is taken first: a change in between is seen the next time.
        let file = folder.as_ref().map_or(Ok(None), |folder| folder.stamp(FILE))?;
        let taken = match &folder {
            Some(folder) if file.is_some() => figures(folder)?,
            _ => None,
        };
        let built_in = Figures::built_in();
        let own = config.quality.iter();
        let own = own.map(|own| (own.model.clone(), own.task, Points(own.points)));
        let figures = match taken {
            Some(taken) => built_in.with(&taken).with_own(own),
            None => built_in.with_own(own),
        };
        let figures = Arc::new(figures);
        *state = Some(State {
            config,
            file,
            figures: Arc::clone(&figures),
        });
        Ok(figures)
    }
}

/// The figures that `prices update` took in, if it did.
pub(crate) fn figures(folder: &Folder) -> Result<Option<Figures>> {
    let Some((bytes, _)) = folder.read(FILE, MAX_FILE_BYTES)? else {
        return Ok(None);
    };
    let read = str::from_utf8(&bytes).ok().and_then(Figures::read);
    let damaged = || {
        Error::new(Code::PriceOverlayDamaged, format!("{FILE} is damaged"))
            .hint("take the figures in again with `api-keys prices update --from FILE`, or go back with `api-keys prices reset`")
    };
    read.map(Some).ok_or_else(damaged)
}
