//! The models: prices with dates and sources, and capabilities.
//!
//! Built in is the catalog that `packaging/catalogue` makes from public sets, in two layers: some
//! two hundred models whose facts are kept by hand, and all others that the sets know, which are read
//! by provider when one is needed. Over it lies what `api-keys prices update` took in, and over
//! both the prices of `config.toml`. A model that is not found has no price, and nothing is ever
//! costed by a name that merely looks alike.

mod book;
mod error;
mod form;
mod limits;
mod model;
mod packed;
mod quality;
mod rules;
pub mod sets;

pub use self::{
    book::{Catalog, FoundModel, Matched},
    error::CatalogError,
    form::Overlay,
    model::{Capabilities, DatedPrice, Days, Hours, Model, ModelStatus, Origin},
    quality::{Figures, ModelQuality, Points, QualityVariant, normalized, version},
};
