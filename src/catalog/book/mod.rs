//! The models in force, and how one is found by the name that a request has for it.

mod catalog;
mod fingerprint;
mod found;
mod names;
mod section;
mod shelf;

pub use self::{
    catalog::Catalog,
    found::{FoundModel, Matched},
};
