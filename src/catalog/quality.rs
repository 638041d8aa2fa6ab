//! How good the models are at each task, by public figures: built in, with their source and date.
//!
//! [LiveBench](https://livebench.ai) scores models from 0 to 100 in categories. A task's figure is the mean of the
//! categories that `quality.json` names for it: coding and agentic coding for code, data analysis for analysis and data
//! extraction, instruction following and language for chat and summarization. Nothing is known for embeddings.
//!
//! A model without figures of its own ranks by its family, such as a new Opus by the last Opus that was
//! measured, and whoever shows the figure says so. The families are our judgement, by name and price class.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use serde::Deserialize;

use crate::domain::{Billionths, Effort, ModelId, Task};

const BUILT_IN: &str = include_str!("quality.json");
/// How many models are remembered with what was found for them.
const MOST_REMEMBERED: usize = 10_000;

/// A score from 0 to 100, in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize)]
#[serde(transparent)]
pub struct Points(pub u32);

/// All figures, and how models find theirs.
#[derive(Debug)]
pub struct Figures {
    source: String,
    as_of: String,
    models: BTreeMap<String, Arc<[QualityVariant]>>,
    /// In order: the first that fits holds.
    families: Vec<Family>,
    /// What was found for a model before: routes ask for the same ones again and again.
    found: Mutex<HashMap<ModelId, Option<ModelQuality>>>,
}

/// One model at one effort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QualityVariant {
    /// How the source names it.
    pub row: String,
    /// Nothing where the source does not say, or the model knows no degrees.
    pub effort: Option<Effort>,
    tasks: BTreeMap<Task, Points>,
}

/// What is known of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelQuality {
    pub variants: Arc<[QualityVariant]>,
    /// The model of the same family whose figures stand in for it; nothing where they are its own.
    pub like: Option<Arc<str>>,
}

#[derive(Debug)]
struct Family {
    /// A normalized name with `*` for any run of characters.
    like: Vec<String>,
    of: Arc<str>,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QualityFile {
    format: String,
    version: u32,
    source: String,
    as_of: String,
    tasks: BTreeMap<Task, Vec<Category>>,
    models: Vec<WrittenModel>,
    families: Vec<WrittenFamily>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenModel {
    names: Vec<String>,
    figures: Vec<WrittenFigures>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFigures {
    row: String,
    effort: Option<Effort>,
    coding: Points,
    agentic_coding: Points,
    data_analysis: Points,
    language: Points,
    instruction_following: Points,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFamily {
    like: String,
    r#as: String,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Category {
    Coding,
    AgenticCoding,
    DataAnalysis,
    Language,
    InstructionFollowing,
}

impl Figures {
    /// The figures that this program was built with.
    pub fn built_in() -> &'static Self {
        static FIGURES: LazyLock<Figures> =
            LazyLock::new(|| Figures::parse(BUILT_IN).expect("a test reads the same file"));
        &FIGURES
    }

    /// Who measured, and when, such as `LiveBench 2026-07`.
    pub fn source(&self) -> String {
        format!("{} {}", self.source, self.as_of)
    }

    /// What is known of `model`, by its own name or its family's.
    pub fn of(&self, model: &ModelId) -> Option<ModelQuality> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = found.get(model) {
            return known.clone();
        }
        if found.len() >= MOST_REMEMBERED {
            found.clear();
        }
        let known = self.find(model);
        found.insert(model.clone(), known.clone());
        known
    }

    fn find(&self, model: &ModelId) -> Option<ModelQuality> {
        let name = normalized(model.as_str());
        if let Some(variants) = self.models.get(&name) {
            return Some(ModelQuality {
                variants: Arc::clone(variants),
                like: None,
            });
        }
        let family = self.families.iter().find(|family| family.fits(&name))?;
        let variants = self.models.get(&normalized(&family.of))?;
        Some(ModelQuality {
            variants: Arc::clone(variants),
            like: Some(Arc::clone(&family.of)),
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let written: QualityFile = serde_json::from_str(text).ok()?;
        if written.format != "api-keys quality" || written.version != 1 {
            return None;
        }
        let mut models = BTreeMap::new();
        for model in written.models {
            let variants: Arc<[QualityVariant]> = model
                .figures
                .into_iter()
                .map(|figures| QualityVariant::of(figures, &written.tasks))
                .collect();
            for name in model.names {
                models.insert(normalized(&name), Arc::clone(&variants));
            }
        }
        let families = written.families.into_iter().map(|family| Family {
            like: normalized(&family.like).split('*').map(str::to_owned).collect(),
            of: family.r#as.into(),
        });
        Some(Self {
            source: written.source,
            as_of: written.as_of,
            families: families.collect(),
            models,
            found: Mutex::default(),
        })
    }
}

impl QualityVariant {
    /// The figure for `task`; nothing where none is public.
    pub fn points(&self, task: Task) -> Option<Points> {
        self.tasks.get(&task).copied()
    }

    fn of(figures: WrittenFigures, tasks: &BTreeMap<Task, Vec<Category>>) -> Self {
        let mean = |categories: &Vec<Category>| {
            let sum: u32 = categories.iter().map(|category| figures.points(*category).0).sum();
            let count = u32::try_from(categories.len()).unwrap_or(u32::MAX);
            sum.checked_div(count).map(Points)
        };
        Self {
            tasks: tasks
                .iter()
                .filter_map(|(task, categories)| Some((*task, mean(categories)?)))
                .collect(),
            row: figures.row,
            effort: figures.effort,
        }
    }
}

impl WrittenFigures {
    fn points(&self, category: Category) -> Points {
        match category {
            Category::Coding => self.coding,
            Category::AgenticCoding => self.agentic_coding,
            Category::DataAnalysis => self.data_analysis,
            Category::Language => self.language,
            Category::InstructionFollowing => self.instruction_following,
        }
    }
}

impl Family {
    fn fits(&self, name: &str) -> bool {
        let Some((first, rest)) = self.like.split_first() else {
            return false;
        };
        let Some((last, middle)) = rest.split_last() else {
            return name == first;
        };
        let Some(mut name) = name
            .strip_prefix(first.as_str())
            .and_then(|name| name.strip_suffix(last.as_str()))
        else {
            return false;
        };
        for part in middle {
            let Some((_, after)) = name.split_once(part.as_str()) else {
                return false;
            };
            name = after;
        }
        true
    }
}

impl Points {
    /// The score for results, with all its digits.
    pub fn exact(self) -> Billionths {
        Billionths(u64::from(self.0) * (Billionths::ONE.0 / 100))
    }
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 / 100, self.0 / 10 % 10)
    }
}

/// A model's name without its maker's, and with one sign for all that separates.
fn normalized(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.to_ascii_lowercase().replace(['.', ':', '_'], "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(model: &str) -> Option<ModelQuality> {
        Figures::built_in().of(&model.parse().expect("a model"))
    }

    #[test]
    fn the_figures_built_in_are_complete() {
        let figures = Figures::built_in();
        assert_eq!(figures.source(), "LiveBench 2026-07");
        assert!(figures.models.len() > 30);
        for (name, variants) in &figures.models {
            for (at, variant) in variants.iter().enumerate() {
                for task in Task::ALL {
                    let points = variant.points(task);
                    assert_eq!(points.is_some(), task != Task::Embeddings, "{name}");
                    assert!(points.is_none_or(|points| points.0 <= 10_000), "{name}");
                }
                let twice = variants.iter().skip(at + 1).any(|other| other.effort == variant.effort);
                assert!(!twice, "{name} has one figure for each effort");
            }
        }
        for family in &figures.families {
            assert!(figures.models.contains_key(&normalized(&family.of)), "{}", family.of);
        }
    }

    #[test]
    fn a_tasks_figure_is_the_mean_of_its_categories() {
        let opus = known("claude-opus-4-8").expect("measured");
        let high = opus
            .variants
            .iter()
            .find(|variant| variant.effort == Some(Effort::High))
            .expect("measured");
        assert_eq!(high.row, "claude-opus-4-8-high-effort");
        for (task, points) in [
            (Task::CodeGeneration, 6_819),
            (Task::CodeReview, 6_819),
            (Task::Analysis, 7_804),
            (Task::DataExtraction, 7_804),
            (Task::Chat, 7_250),
            (Task::Summarization, 7_250),
        ] {
            assert_eq!(high.points(task), Some(Points(points)), "{}", task.as_str());
        }
        assert_eq!(Points(7250).to_string(), "72.5");
        assert_eq!(Points(7251).exact().to_string(), "72.51");
    }

    #[test]
    fn a_model_is_found_by_any_spelling_of_its_own_name_or_by_its_family() {
        for (model, like) in [
            ("claude-opus-4-8", None),
            ("anthropic/claude-opus-4.8", None),
            ("openai/gpt-oss-120b", None),
            ("gpt-oss:120b", None),
            ("qwen3.6:27b", None),
            ("claude-opus-5-5", Some("claude-opus-4-8")),
            ("anthropic/claude-haiku-5.5", Some("claude-haiku-4-5")),
            ("gpt-6.1-sol", Some("gpt-5.5")),
            ("gemini-3.8-flash", Some("gemini-3.5-flash")),
            ("gemini-3.5-flash-lite", Some("gemini-3.1-flash-lite")),
            ("deepseek/deepseek-v4.1-flash", Some("deepseek-v4-flash")),
        ] {
            let known = known(model).expect(model);
            assert_eq!(known.like.as_deref(), like, "{model}");
        }
        for model in [
            "llama3.2:latest",
            "gemini-omni-1.1-flash",
            "gpt-6-cyber",
            "text-embedding-3-small",
            "opus",
        ] {
            assert_eq!(known(model), None, "{model}");
        }
    }
}
