//! Prices that cannot be taken or read, as users meet them.

use super::{Code, Error};
use crate::catalog::{CatalogError, sets::SetError};

impl From<SetError> for Error {
    fn from(why: SetError) -> Self {
        let hint = match &why {
            SetError::TooLong | SetError::TooManyModels | SetError::Form { .. } | SetError::UnknownSet => {
                "give LiteLLM's model_prices_and_context_window.json or genai-prices' data.json, whole and unchanged"
            }
            SetError::Twice { .. } | SetError::NamedTwice | SetError::Price { .. } => {
                "download the file again; if it stays like that, tell its publisher"
            }
        };
        Self::new(Code::PriceOverlayInvalid, why.to_string()).hint(hint)
    }
}

impl From<CatalogError> for Error {
    fn from(why: CatalogError) -> Self {
        let hint = match &why {
            CatalogError::TooNew { .. } => "use the newest api-keys, or go back with `api-keys prices reset`",
            CatalogError::Form { .. }
            | CatalogError::Format
            | CatalogError::TooManyModels
            | CatalogError::Model { .. } => {
                "take the prices in anew with `api-keys prices update --from FILE`, or go back to the built-in ones with `api-keys prices reset`"
            }
        };
        Self::new(Code::PriceOverlayDamaged, format!("prices.json is damaged: {why}")).hint(hint)
    }
}
