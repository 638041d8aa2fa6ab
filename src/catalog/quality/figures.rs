//! All figures, and how a model finds its own.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use serde::Deserialize;

use super::{lineage::Lineage, lineage::normalized};
use crate::domain::{Billionths, Effort, ModelId, Task};

/// What a file of figures says that it is.
const FORMAT: &str = "api-keys quality";
const BUILT_IN: &str = include_str!("../quality.json");
/// How many models are remembered with what was found for them.
const MAX_REMEMBERED: usize = 10_000;

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
    /// The measured models of each line by version, those without one left out.
    lines: BTreeMap<Vec<String>, BTreeMap<Vec<u32>, String>>,
    /// The user's own: by normalized name, for a task or for all.
    own: Vec<(String, Option<Task>, Points)>,
    /// What was found for a model before: routes ask for the same ones again and again.
    found: Mutex<HashMap<ModelId, Option<ModelQuality>>>,
}

/// One model at one effort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QualityVariant {
    /// How the source names it.
    pub row: String,
    /// The model whose figures these are, where another one inherits them.
    pub like: Option<Arc<str>>,
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

#[derive(Debug, Clone)]
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

impl Category {
    const ALL: [Self; 5] = [
        Self::Coding,
        Self::AgenticCoding,
        Self::DataAnalysis,
        Self::Language,
        Self::InstructionFollowing,
    ];
}

impl Figures {
    /// The figures that this program was built with.
    pub fn built_in() -> &'static Self {
        static FIGURES: LazyLock<Figures> =
            LazyLock::new(|| Figures::parse(BUILT_IN).expect("a test reads the same file"));
        &FIGURES
    }

    /// The figures that a file of the same form has.
    pub fn read(text: &str) -> Option<Self> {
        Self::parse(text)
    }

    /// Whether `text` says that it is a file of figures.
    pub fn are_in(text: &str) -> bool {
        #[derive(Deserialize)]
        struct FiguresHead {
            format: String,
        }
        serde_json::from_str::<FiguresHead>(text).is_ok_and(|head| head.format == FORMAT)
    }

    /// These figures with `over` over them, model by model.
    #[must_use]
    pub fn with(&self, over: &Self) -> Self {
        let mut models = self.models.clone();
        models.extend(over.models.clone());
        Self {
            source: format!("{} {}, else {}", over.source, over.as_of, self.source),
            as_of: self.as_of.clone(),
            families: over.families.iter().chain(&self.families).cloned().collect(),
            own: self.own.clone(),
            lines: lines(&models),
            found: Mutex::default(),
            models,
        }
    }

    /// These figures with the user's own before all others: of a model for a task, or for all.
    #[must_use]
    pub fn with_own(&self, own: impl IntoIterator<Item = (ModelId, Option<Task>, Points)>) -> Self {
        let own = own.into_iter();
        Self {
            source: self.source.clone(),
            as_of: self.as_of.clone(),
            models: self.models.clone(),
            families: self.families.clone(),
            lines: self.lines.clone(),
            own: own
                .map(|(model, task, points)| (normalized(model.as_str()), task, points))
                .collect(),
            found: Mutex::default(),
        }
    }

    /// When they were published, such as `2026-07`.
    pub fn as_of(&self) -> &str {
        &self.as_of
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
        if found.len() >= MAX_REMEMBERED {
            found.clear();
        }
        let known = self.find(model);
        found.insert(model.clone(), known.clone());
        known
    }

    /// What is known of `model` with what it inherits: at efforts at which it was not measured, it is taken to be as good
    /// as the last model of its line that was, as long as it costs no more (`costs_no_more`, by a name as in the figures).
    pub fn inherited(&self, model: &ModelId, costs_no_more: impl Fn(&str) -> bool) -> Option<ModelQuality> {
        let name = normalized(model.as_str());
        let known = self.of(model);
        if self.own.iter().any(|(own, ..)| *own == name) {
            return known;
        }
        let own = self.models.get(&name);
        let mut variants: Vec<QualityVariant> = own.map(|own| own.to_vec()).unwrap_or_default();
        let Lineage { line, version } = Lineage::of(&name);
        let before = self
            .lines
            .get(&line)
            .into_iter()
            .flat_map(|line| line.range(..version.clone()).rev());
        for (_, other) in before.filter(|(_, other)| costs_no_more(other)) {
            let like: Arc<str> = other.as_str().into();
            for variant in self.models.get(other).into_iter().flat_map(|variants| variants.iter()) {
                if variants.iter().all(|it| it.effort != variant.effort) {
                    let like = Some(Arc::clone(&like));
                    variants.push(QualityVariant {
                        like,
                        ..variant.clone()
                    });
                }
            }
        }
        // One without a degree of effort says nothing of those that have one.
        if variants.iter().any(|it| it.effort.is_some()) {
            variants.retain(|it| it.effort.is_some() || it.like.is_none());
        }
        if variants.is_empty() {
            return known;
        }
        Some(ModelQuality {
            like: variants.first().and_then(|first| first.like.clone()),
            variants: variants.into(),
        })
    }

    fn find(&self, model: &ModelId) -> Option<ModelQuality> {
        let name = normalized(model.as_str());
        let measured = self.measured(&name);
        let own: Vec<_> = self.own.iter().filter(|(own, ..)| *own == name).collect();
        if own.is_empty() {
            return measured;
        }
        let mut variants = measured.map_or_else(|| vec![QualityVariant::own()], |known| known.variants.to_vec());
        for variant in &mut variants {
            for (_, task, points) in &own {
                let tasks = task.map_or(Task::ALL.to_vec(), |task| vec![task]);
                let rated = tasks.into_iter().filter(|task| *task != Task::Embeddings);
                variant.tasks.extend(rated.map(|task| (task, *points)));
            }
        }
        Some(ModelQuality {
            variants: variants.into(),
            like: None,
        })
    }

    fn measured(&self, name: &str) -> Option<ModelQuality> {
        if let Some(variants) = self.models.get(name) {
            return Some(ModelQuality {
                variants: Arc::clone(variants),
                like: None,
            });
        }
        let family = self.families.iter().find(|family| family.fits(name))?;
        let variants = self.models.get(&normalized(&family.of))?;
        Some(ModelQuality {
            variants: Arc::clone(variants),
            like: Some(Arc::clone(&family.of)),
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let written: QualityFile = serde_json::from_str(text).ok()?;
        if written.format != FORMAT || written.version != 1 {
            return None;
        }
        let mut figures = written.models.iter().flat_map(|model| &model.figures);
        if !figures.all(WrittenFigures::are_possible) {
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
            own: Vec::new(),
            lines: lines(&models),
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

    /// One of which only the user says something.
    fn own() -> Self {
        Self {
            row: "config.toml".to_owned(),
            like: None,
            effort: None,
            tasks: BTreeMap::new(),
        }
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
            like: None,
            effort: figures.effort,
        }
    }
}

impl WrittenFigures {
    fn are_possible(&self) -> bool {
        Category::ALL
            .into_iter()
            .all(|category| self.points(category) <= Points::MAX)
    }

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
    /// All that can be had.
    const MAX: Self = Self(10_000);

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

/// The lines of `models`.
fn lines(models: &BTreeMap<String, Arc<[QualityVariant]>>) -> BTreeMap<Vec<String>, BTreeMap<Vec<u32>, String>> {
    let mut lines: BTreeMap<Vec<String>, BTreeMap<Vec<u32>, String>> = BTreeMap::new();
    for name in models.keys() {
        let Lineage { line, version } = Lineage::of(name);
        if !version.is_empty() {
            lines.entry(line).or_default().insert(version, name.clone());
        }
    }
    lines
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
