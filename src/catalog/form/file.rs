//! The files that list models and prices: read strictly, written exactly.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{
    rates::{RatesForm, offered, spelled},
    scalars::Minute,
};
use crate::{
    catalog::{
        error::CatalogError,
        limits::MAX_MODELS,
        model::{Capabilities, DatedPrice, Days, Hours, Model, ModelStatus, Origin},
        rules::check_names,
    },
    domain::{Capability, ModelId, ModelKind, ModelRef, Price, Tier},
};

/// The version of both formats that is written, and the only one that is read.
const VERSION: u32 = 1;
/// The name of the format of the built-in catalog.
const BUILT_IN_FORMAT: &str = "api-keys catalogue";
/// The name of the format of the file that `prices update` writes.
const OVERLAY: &str = "api-keys prices";
/// The most prices of a model, tiers of a price and hours of a day that are taken.
const MAX_PARTS: usize = 100;

/// Prices and models that lie over the built-in ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// When the last of them were taken in.
    pub as_of: Date,
    /// The sets that they were taken from, and when each was looked up.
    pub sets: BTreeMap<String, Date>,
    pub models: Vec<Model>,
}

/// What a file says.
pub(in crate::catalog) struct CatalogContents {
    pub(in crate::catalog) as_of: Date,
    pub(in crate::catalog) sources: BTreeMap<String, String>,
    pub(in crate::catalog) models: Vec<Model>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    format: String,
    version: u32,
    as_of: Date,
    /// The sets that prices were taken from, with their versions.
    sources: BTreeMap<String, String>,
    models: Vec<ModelForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelForm {
    id: String,
    kind: ModelKind,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<ModelId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context_window: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_input: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_output: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    can: Option<Vec<Capability>>,
    #[serde(default, skip_serializing_if = "is_default")]
    status: ModelStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retires_on: Option<Date>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    not_costed: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pinned: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    compared: BTreeMap<String, String>,
    prices: Vec<PriceForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceForm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Date>,
    /// A key of the file's `sources`.
    source: String,
    standard: RatesForm,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    batch: Option<RatesForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flex: Option<RatesForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    priority: Option<RatesForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fast: Option<RatesForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tiers: Vec<TierForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hours: Vec<HoursForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TierForm {
    from_input_tokens: u64,
    standard: RatesForm,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    batch: Option<RatesForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flex: Option<RatesForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    priority: Option<RatesForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fast: Option<RatesForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HoursForm {
    from: Minute,
    to: Minute,
    #[serde(default, skip_serializing_if = "is_default")]
    days: Days,
    standard: RatesForm,
}

/// The built-in catalog that `text` spells.
pub(in crate::catalog) fn built_in(text: &str) -> Result<CatalogContents, CatalogError> {
    read(text, BUILT_IN_FORMAT, Origin::BuiltIn)
}

/// The part of the public layer that `text` spells: names are made unique where it is built, and a test checks that.
pub(in crate::catalog) fn packed(text: &str) -> Result<CatalogContents, CatalogError> {
    let file: FileForm = serde_json::from_str(text).map_err(|why| misformed(&why))?;
    file.contents(Origin::BuiltIn)
}

impl Overlay {
    /// The overlay as its file spells it.
    pub fn to_text(&self) -> String {
        let file = FileForm {
            format: OVERLAY.to_owned(),
            version: VERSION,
            as_of: self.as_of,
            sources: self
                .sets
                .iter()
                .map(|(set, day)| (set.clone(), day.to_string()))
                .collect(),
            models: self.models.iter().map(ModelForm::from).collect(),
        };
        serde_json::to_string(&file).expect("strings, whole numbers and decimal ones") + "\n"
    }

    /// The overlay that `text` spells.
    pub fn parse(text: &str) -> Result<Self, CatalogError> {
        let CatalogContents { as_of, sources, models } = read(text, OVERLAY, Origin::Overlay)?;
        let day = |day: String| day.parse().unwrap_or(as_of);
        let sets = sources.into_iter().map(|(set, at)| (set, day(at))).collect();
        Ok(Self { as_of, sets, models })
    }
}

fn read(text: &str, format: &str, origin: Origin) -> Result<CatalogContents, CatalogError> {
    /// What every version has.
    #[derive(Deserialize)]
    struct OverlayHead {
        format: String,
        version: u32,
    }
    let head: OverlayHead = serde_json::from_str(text).map_err(|why| misformed(&why))?;
    if head.format != format {
        return Err(CatalogError::Format);
    }
    if head.version != VERSION {
        return Err(CatalogError::TooNew { version: head.version });
    }
    let file: FileForm = serde_json::from_str(text).map_err(|why| misformed(&why))?;
    if file.models.len() > MAX_MODELS {
        return Err(CatalogError::TooManyModels);
    }
    let contents = file.contents(origin)?;
    check_names(&contents.models)?;
    Ok(contents)
}

fn misformed(why: &serde_json::Error) -> CatalogError {
    CatalogError::Form {
        line: why.line(),
        column: why.column(),
    }
}

impl FileForm {
    fn contents(self, origin: Origin) -> Result<CatalogContents, CatalogError> {
        let models = self.models.into_iter();
        let models = models.map(|form| form.model(&self.sources, self.as_of, origin));
        Ok(CatalogContents {
            models: models.collect::<Result<_, _>>()?,
            as_of: self.as_of,
            sources: self.sources,
        })
    }
}

impl ModelForm {
    fn model(self, sources: &BTreeMap<String, String>, as_of: Date, origin: Origin) -> Result<Model, CatalogError> {
        let id: ModelRef = self.id.parse().map_err(|_| CatalogError::Form { line: 0, column: 0 })?;
        let broken = |rule| CatalogError::Model {
            model: id.clone(),
            rule,
        };
        let prices = self
            .prices
            .into_iter()
            .map(|price| price.price(sources, as_of, origin))
            .collect::<Result<Vec<_>, _>>()
            .map_err(broken)?;
        let model = Model {
            kind: self.kind,
            aliases: self.aliases,
            context_window: self.context_window,
            max_input: self.max_input,
            max_output: self.max_output,
            capabilities: self.can.map(Capabilities::from_iter),
            status: self.status,
            retires_on: self.retires_on,
            prices,
            not_costed: self.not_costed,
            compared: self.compared,
            pinned: self.pinned,
            id: id.clone(),
        };
        match model.broken_rule() {
            Some(rule) => Err(broken(rule)),
            None => Ok(model),
        }
    }
}

impl PriceForm {
    fn price(
        self,
        sources: &BTreeMap<String, String>,
        as_of: Date,
        origin: Origin,
    ) -> Result<DatedPrice, &'static str> {
        let version = sources
            .get(&self.source)
            .ok_or("names a source that the file does not list")?;
        if self.tiers.len() > MAX_PARTS || self.hours.len() > MAX_PARTS {
            return Err("has too many tiers or hours");
        }
        Ok(DatedPrice {
            from: self.from,
            price: Price {
                offered: offered(self.standard, &[self.batch, self.flex, self.priority, self.fast]),
                tiers: self.tiers.into_iter().map(Tier::from).collect(),
            },
            hours: self.hours.into_iter().map(Hours::from).collect(),
            origin,
            source: format!("{} {version}", self.source),
            // What was taken in has a date of its own for each set.
            as_of: Some(match origin {
                Origin::Overlay => version.parse().unwrap_or(as_of),
                Origin::BuiltIn | Origin::Config => as_of,
            }),
        })
    }
}

impl From<&Model> for ModelForm {
    fn from(model: &Model) -> Self {
        let can = |can: Capabilities| Capability::ALL.into_iter().filter(|it| can.can(*it)).collect();
        Self {
            id: model.id.to_string(),
            kind: model.kind,
            aliases: model.aliases.clone(),
            context_window: model.context_window,
            max_input: model.max_input,
            max_output: model.max_output,
            can: model.capabilities.map(can),
            status: model.status,
            retires_on: model.retires_on,
            not_costed: model.not_costed.clone(),
            pinned: model.pinned.clone(),
            compared: model.compared.clone(),
            prices: model.prices.iter().map(PriceForm::from).collect(),
        }
    }
}

impl From<&DatedPrice> for PriceForm {
    fn from(dated: &DatedPrice) -> Self {
        let price = &dated.price;
        let (standard, [batch, flex, priority, fast]) = spelled(&price.offered);
        Self {
            from: dated.from,
            source: dated.source.split(' ').next().unwrap_or_default().to_owned(),
            standard,
            batch,
            flex,
            priority,
            fast,
            tiers: price.tiers.iter().copied().map(TierForm::from).collect(),
            hours: dated.hours.iter().copied().map(HoursForm::from).collect(),
        }
    }
}

impl From<Tier> for TierForm {
    fn from(tier: Tier) -> Self {
        let (standard, [batch, flex, priority, fast]) = spelled(&tier.offered);
        Self {
            from_input_tokens: tier.from_input_tokens,
            standard,
            batch,
            flex,
            priority,
            fast,
        }
    }
}

impl From<Hours> for HoursForm {
    fn from(hours: Hours) -> Self {
        Self {
            from: Minute(hours.from_minute),
            to: Minute(hours.to_minute),
            days: hours.days,
            standard: hours.rates.into(),
        }
    }
}

impl From<TierForm> for Tier {
    fn from(form: TierForm) -> Self {
        Self {
            from_input_tokens: form.from_input_tokens,
            offered: offered(form.standard, &[form.batch, form.flex, form.priority, form.fast]),
        }
    }
}

impl From<HoursForm> for Hours {
    fn from(form: HoursForm) -> Self {
        Self {
            from_minute: form.from.0,
            to_minute: form.to.0,
            days: form.days,
            rates: form.standard.into(),
        }
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(named: I) -> Self {
        let mut it = Self::default();
        for capability in named {
            match capability {
                Capability::Tools => it.tools = true,
                Capability::Vision => it.vision = true,
                Capability::JsonSchema => it.json_schema = true,
                Capability::Reasoning => it.reasoning = true,
                Capability::PromptCaching => it.prompt_caching = true,
            }
        }
        it
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
