//! What a request to a model costs at a moment, and the source of the price.

use jiff::{Timestamp, civil::Date};

use crate::{
    catalog::{Catalog, Matched, Model, Origin},
    domain::{ModelId, ModelRef, Price, ProviderId},
    providers::{Provider, ProviderKind},
    settings::Config,
};

/// The provider whose models run on the user's own machine.
const LOCAL: &str = "local";
/// Who says that a model costs nothing.
const OWN_MACHINE: &str = "runs on this machine";

/// What is known of a model's price at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "made once for a request and taken apart at once"
)]
pub enum Pricing {
    Priced(Priced),
    /// Never to be taken for a price of nothing.
    Unpriced(Unpriced),
}

/// A price that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced {
    /// The model as the catalog calls it; as it was named where only its provider decides.
    pub model: ModelRef,
    pub price: Price,
    pub matched: Matched,
    /// Where the price stands; nothing for one that costs nothing because it runs here.
    pub origin: Option<Origin>,
    /// Who says so, such as `genai-prices 0.2.3`.
    pub source: String,
    /// When that was looked up; nothing for the user's own word.
    pub as_of: Option<Date>,
    /// The first day (UTC) of the price; nothing for the first one known.
    pub from: Option<Date>,
    /// The version of the prices, for the record.
    pub version: String,
}

/// The model of `provider` that `name` means: as the provider calls it, or as every view writes it, with the provider
/// in front.
///
/// Where the maker is a part of the model's name, as in Groq's `openai/gpt-oss-20b`, it stays.
pub fn named(catalog: &Catalog, provider: &ProviderId, name: &ModelId) -> ModelRef {
    let as_given = provider.model(name);
    match name.as_str().parse::<ModelRef>() {
        Ok(spelled) if spelled.provider == *provider && catalog.find(&as_given).is_none() => spelled,
        _ => as_given,
    }
}

/// Why a price is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpriced {
    /// Neither the catalog nor the configuration knows the model.
    UnknownModel,
    /// It is charged by something else than tokens.
    NotByTokens,
    /// It is requested in a service, such as a priority tier, that no price is known for.
    UnknownService,
}

/// The price of `model` at `at`: of `config.toml`, else nothing for models that run on this machine or are paid for
/// otherwise, else of what `prices update` took in, else of the built-in catalog.
pub fn price_of(catalog: &Catalog, config: &Config, model: &ModelRef, at: Timestamp) -> Pricing {
    let found = catalog.find(model);
    let version = catalog.digest();
    if !found.is_some_and(|found| is_own_word(found.model, at))
        && let Some(source) = costs_nothing(config, &model.provider)
    {
        return Pricing::Priced(Priced {
            model: model.clone(),
            price: Price::free(),
            matched: Matched::Exact,
            origin: None,
            source: source.to_owned(),
            as_of: None,
            from: None,
            version,
        });
    }
    let Some(found) = found else {
        return Pricing::Unpriced(Unpriced::UnknownModel);
    };
    let (Some(dated), Some(price)) = (found.model.dated_price_at(at), found.model.price_at(at)) else {
        return Pricing::Unpriced(Unpriced::NotByTokens);
    };
    Pricing::Priced(Priced {
        model: found.model.id.clone(),
        price,
        matched: found.matched,
        origin: Some(dated.origin),
        source: dated.source.clone(),
        as_of: dated.as_of,
        from: dated.from,
        version,
    })
}

/// The same price alone, of a model of `provider` that the catalog knows, or does not.
pub fn price_at(provider: &Provider, model: Option<&Model>, at: Timestamp) -> Option<Price> {
    match model {
        Some(model) if is_own_word(model, at) || free(provider).is_none() => model.price_at(at),
        Some(_) | None => free(provider).map(|_| Price::free()),
    }
}

/// Whether the price in force stands in `config.toml`.
fn is_own_word(model: &Model, at: Timestamp) -> bool {
    model
        .dated_price_at(at)
        .is_some_and(|dated| dated.origin == Origin::Config)
}

/// Why requests to the provider cost nothing by themselves: its models run on this machine, or tokens are not what it
/// charges for.
pub fn costs_nothing(config: &Config, provider: &ProviderId) -> Option<&'static str> {
    if provider.as_str() == LOCAL {
        return Some(OWN_MACHINE);
    }
    free(config.known(provider)?)
}

/// The same of a provider that is at hand.
pub fn free(provider: &Provider) -> Option<&'static str> {
    if is_here(provider) {
        return Some(OWN_MACHINE);
    }
    provider.def.unmetered
}

/// Whether the provider's models run on this machine: Ollama, and endpoints of the user's own at a loopback address.
pub fn is_here(provider: &Provider) -> bool {
    provider.id.as_str() == LOCAL || (provider.kind == ProviderKind::OpenAiCompatible && provider.is_loopback())
}

impl Pricing {
    /// The same with the services that `provider` documents to cost as much as the standard one.
    #[must_use]
    pub fn with_services_of(self, provider: &Provider) -> Self {
        match self {
            Self::Priced(mut priced) if provider.def.flex_at_standard_rates => {
                priced.price = priced.price.with_flex_at_standard_rates();
                Self::Priced(priced)
            }
            Self::Priced(_) | Self::Unpriced(_) => self,
        }
    }

    /// The same for a caller who knows tokens alone: what is charged by the character has no price then.
    #[must_use]
    pub fn of_tokens(self) -> Self {
        match self {
            Self::Priced(priced) if priced.price.offered.standard.extra.characters.is_some() => {
                Self::Unpriced(Unpriced::NotByTokens)
            }
            Self::Priced(_) | Self::Unpriced(_) => self,
        }
    }

    /// The price, where it is known.
    pub fn priced(self) -> Option<Priced> {
        match self {
            Self::Priced(priced) => Some(priced),
            Self::Unpriced(_) => None,
        }
    }
}

impl Unpriced {
    /// The reason as results spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownModel => "no price of this model is known",
            Self::NotByTokens => "this model is not charged by the token",
            Self::UnknownService => "no price of this service tier is known",
        }
    }
}
