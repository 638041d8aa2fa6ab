//! One model of the catalog.

use std::collections::BTreeMap;

use jiff::{
    Timestamp,
    civil::{Date, DateTime, Weekday},
    tz::Offset,
};
use serde::{Deserialize, Serialize};

use crate::domain::{Capability, ModelId, ModelKind, ModelRef, Price, Rates};

/// A model as the catalog knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Model {
    pub id: ModelRef,
    pub kind: ModelKind,
    /// Other names by which the provider takes it.
    pub aliases: Vec<ModelId>,
    /// The most tokens that input and output may have together, where that is known.
    pub context_window: Option<u64>,
    pub max_input: Option<u64>,
    pub max_output: Option<u64>,
    /// What it can do, where that is known.
    pub capabilities: Option<Capabilities>,
    pub status: ModelStatus,
    /// When the provider stops serving it, where that is announced.
    pub retires_on: Option<Date>,
    /// Its prices, oldest first; empty where it is not charged by the token.
    pub prices: Vec<DatedPrice>,
    /// What it also costs and token counts do not tell, in words.
    pub not_costed: Vec<String>,
    /// What the sets of prices that were compared say: `agrees`, or what they say otherwise.
    pub compared: BTreeMap<String, String>,
    /// Why the prices are not those of the set that they would be taken from.
    pub pinned: Option<String>,
}

/// What a model can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a set with names, as the public sets list it"
)]
pub struct Capabilities {
    pub tools: bool,
    pub vision: bool,
    pub json_schema: bool,
    pub reasoning: bool,
    pub prompt_caching: bool,
}

/// Whether the provider still wants a model to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelStatus {
    #[default]
    Active,
    Deprecated,
    Retired,
    /// The sets differ on whether there is still such a model.
    Unverified,
}

/// Where a price stands written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// In the catalog that is built in.
    BuiltIn,
    /// In the file that `prices update` took in.
    Overlay,
    /// In `config.toml`.
    Config,
}

/// A price, and from when on it holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DatedPrice {
    /// The first day (UTC) of the price; nothing for the first one known.
    pub from: Option<Date>,
    pub price: Price,
    /// Hours of the day with other standard rates.
    pub hours: Vec<Hours>,
    pub origin: Origin,
    /// Who says so, such as `genai-prices 0.2.3`.
    pub source: String,
    /// When that was looked up; nothing for the user's own word.
    pub as_of: Option<Date>,
}

/// Hours of the day (UTC) with rates of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hours {
    /// The first minute of the day.
    pub from_minute: u16,
    /// The first minute after.
    pub to_minute: u16,
    pub days: Days,
    /// Of the standard service.
    pub rates: Rates,
}

/// On which days of the week hours have rates of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Days {
    #[default]
    Every,
    MondayToFriday,
}

impl Capabilities {
    /// Whether `capability` is among them.
    pub fn can(self, capability: Capability) -> bool {
        match capability {
            Capability::Tools => self.tools,
            Capability::Vision => self.vision,
            Capability::JsonSchema => self.json_schema,
            Capability::Reasoning => self.reasoning,
            Capability::PromptCaching => self.prompt_caching,
        }
    }
}

impl Model {
    /// Whether it can do `capability`, where that is known.
    pub fn can(&self, capability: Capability) -> Option<bool> {
        self.capabilities.map(|it| it.can(capability))
    }

    /// The entry of [`Model::prices`] that is in force at `at`.
    pub fn dated_price_at(&self, at: Timestamp) -> Option<&DatedPrice> {
        let day = Offset::UTC.to_datetime(at).date();
        let begun = |dated: &&DatedPrice| dated.from.is_none_or(|from| from <= day);
        self.prices.iter().rev().find(begun).or_else(|| self.prices.first())
    }

    /// The price in force at `at`, by date and by hour.
    pub fn price_at(&self, at: Timestamp) -> Option<Price> {
        self.dated_price_at(at).map(|dated| dated.at(at))
    }

    /// Whether the provider serves it at `at`, as far as is known.
    pub fn is_served_at(&self, at: Timestamp) -> bool {
        let day = Offset::UTC.to_datetime(at).date();
        self.status != ModelStatus::Retired && self.retires_on.is_none_or(|end| day < end)
    }
}

impl DatedPrice {
    /// The price with the standard rates of the hour.
    fn at(&self, at: Timestamp) -> Price {
        let at = Offset::UTC.to_datetime(at);
        let mut price = self.price.clone();
        if let Some(hours) = self.hours.iter().find(|hours| hours.include(at)) {
            price.offered.standard = hours.rates;
        }
        price
    }
}

impl Hours {
    fn include(&self, at: DateTime) -> bool {
        let minute = i32::from(at.hour()) * 60 + i32::from(at.minute());
        let weekend = matches!(at.weekday(), Weekday::Saturday | Weekday::Sunday);
        (i32::from(self.from_minute)..i32::from(self.to_minute)).contains(&minute)
            && (self.days == Days::Every || !weekend)
    }
}

impl ModelStatus {
    /// The status as results and files spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deprecated => "deprecated",
            Self::Retired => "retired",
            Self::Unverified => "unverified",
        }
    }
}

impl Origin {
    /// The origin as results spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BuiltIn => "built_in",
            Self::Overlay => "prices.json",
            Self::Config => "config.toml",
        }
    }
}
