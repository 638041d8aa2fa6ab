//! Looking for keys where they do not belong: transcripts of agents, `.env` files, histories of shells, work trees.
//!
//! Stored keys are recognized by keyed fingerprints and their last four characters, which their masked form shows; everything
//! else by how keys and tokens begin. No value leaves this module.

mod exposure;
mod files;
mod text;

pub use self::{
    exposure::{mark_exposed, needles, shown},
    files::{Scanned, scan_files, usual_places},
    text::{LeakFinding, Needles, scan_text},
};
