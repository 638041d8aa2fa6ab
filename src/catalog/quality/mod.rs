//! How good the models are at each task, by public figures: built in, with their source and date.
//!
//! [LiveBench](https://livebench.ai) scores models from 0 to 100 in categories. A task's figure is the mean of the
//! categories that `quality.json` names for it: coding and agentic coding for code, data analysis for analysis and data
//! extraction, instruction following and language for chat and summarization. Nothing is known for embeddings.
//!
//! A newer model that costs no more than its predecessor inherits its figures at the efforts at which it was not measured
//! itself. One without any ranks by its family, and results that show the figure say so. The families are our judgement, by
//! name and price class.

mod figures;
mod lineage;

pub use self::{
    figures::{Figures, ModelQuality, Points, QualityVariant},
    lineage::{normalized, version},
};
