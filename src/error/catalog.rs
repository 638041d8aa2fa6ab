//! Prices that cannot be taken or read, as users meet them.

use super::{Code, Error};
use crate::catalog::{CatalogError, sets::SetError};

impl From<SetError> for Error {
    fn from(why: SetError) -> Self {
        let hint = match &why {
            SetError::TooLong | SetError::TooManyModels | SetError::Form { .. } | SetError::UnknownSet => {
                "use LiteLLM's model_prices_and_context_window.json or genai-prices' data.json, complete and unmodified"
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
            CatalogError::TooNew { .. } => {
                "update api-keys, or return to the built-in prices with `api-keys prices reset`"
            }
            CatalogError::Form { .. }
            | CatalogError::Format
            | CatalogError::TooManyModels
            | CatalogError::Model { .. } => {
                "load the prices again with `api-keys prices update --from FILE`, or return to the built-in ones with `api-keys prices reset`"
            }
        };
        Self::new(Code::PriceOverlayDamaged, format!("prices.json is damaged: {why}")).hint(hint)
    }
}
