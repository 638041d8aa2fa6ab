//! What a model costs, and the arithmetic of a bill.
//!
//! Rules as the providers publish them: cached input has rates of its own and is never charged a
//! second time as plain input; a long prompt prices the whole request, not only what is above the
//! threshold; reasoning is output, unless it has a rate of its own.

use super::{Exact, ExtraRates, Extras, FullCost, Rate, Tokens, Usd};

/// What each kind of token costs; what has no rate of its own costs what plain tokens do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rates {
    pub input: Rate,
    pub output: Rate,
    pub cache_read: Option<Rate>,
    /// Writing to the cache, kept for the provider's usual time.
    pub cache_write: Option<Rate>,
    /// Writing to the cache, kept for an hour.
    pub cache_write_1h: Option<Rate>,
    pub reasoning: Option<Rate>,
    /// Of what is not plain text.
    pub extra: ExtraRates,
}

/// Other rates for requests with a long prompt: for the whole request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Tier {
    /// The smallest prompt, cached or not, that the rates are for.
    pub from_input_tokens: u64,
    pub offered: ServiceRates,
}

/// The rates of each service that is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ServiceRates {
    pub standard: Rates,
    pub batch: Option<Rates>,
    pub flex: Option<Rates>,
    pub priority: Option<Rates>,
    pub fast: Option<Rates>,
}

/// How the provider is to process a request.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    serde::Deserialize,
    schemars::JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Service {
    #[default]
    Standard,
    // Within a day, in bulk.
    Batch,
    // Slower and cheaper.
    Flex,
    // Before others.
    Priority,
    // With more tokens a second.
    Fast,
}

/// The price of a model at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Price {
    /// For a prompt below all tiers.
    pub offered: ServiceRates,
    /// By ascending threshold.
    pub tiers: Vec<Tier>,
}

/// What a request costs. Each part is rounded by itself, the total once from the exact sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Input that no cache had a part in.
    pub input: Usd,
    pub output: Usd,
    pub cache_read: Usd,
    pub cache_write: Usd,
    pub total: Usd,
}

impl Price {
    /// The price of the standard service alone, for prompts of any length.
    pub fn of(standard: Rates) -> Self {
        Self {
            offered: ServiceRates {
                standard,
                ..ServiceRates::default()
            },
            tiers: Vec::new(),
        }
    }

    /// A price that is nothing.
    pub fn free() -> Self {
        Self::default()
    }

    /// The rates for a request of `input_tokens`, cached or not; nothing where the service has no known price.
    pub fn rates(&self, service: Service, input_tokens: u64) -> Option<&Rates> {
        let reached = |tier: &&Tier| tier.from_input_tokens <= input_tokens;
        let tier = self.tiers.iter().rev().find(reached);
        tier.map_or(&self.offered, |tier| &tier.offered).of(service)
    }

    /// What `tokens` cost; nothing where the service has no known price.
    pub fn cost(&self, service: Service, tokens: &Tokens) -> Option<Cost> {
        self.rates(service, tokens.input()).map(|rates| rates.cost(tokens))
    }

    /// What `tokens` cost with `extras`; nothing where the service has no known price.
    pub fn full_cost(&self, service: Service, tokens: &Tokens, extras: &Extras) -> Option<FullCost> {
        self.rates(service, tokens.input())
            .map(|rates| rates.full_cost(tokens, extras))
    }

    /// The same where flexible processing, unless it has rates of its own, costs what the standard one does.
    #[must_use]
    pub fn with_flex_at_standard_rates(mut self) -> Self {
        let tiers = self.tiers.iter_mut().map(|tier| &mut tier.offered);
        for offered in std::iter::once(&mut self.offered).chain(tiers) {
            offered.flex = offered.flex.or(Some(offered.standard));
        }
        self
    }

    /// Whether nothing costs anything.
    pub fn is_free(&self) -> bool {
        *self == Self::free()
    }
}

impl ServiceRates {
    /// The rates that `of` knows of each service; nothing where it knows none of the standard one.
    pub fn from_each(mut of: impl FnMut(Service) -> Option<Rates>) -> Option<Self> {
        Some(Self {
            standard: of(Service::Standard)?,
            batch: of(Service::Batch),
            flex: of(Service::Flex),
            priority: of(Service::Priority),
            fast: of(Service::Fast),
        })
    }

    /// The rates of `service`, where it is offered.
    pub fn of(&self, service: Service) -> Option<&Rates> {
        match service {
            Service::Standard => Some(&self.standard),
            Service::Batch => self.batch.as_ref(),
            Service::Flex => self.flex.as_ref(),
            Service::Priority => self.priority.as_ref(),
            Service::Fast => self.fast.as_ref(),
        }
    }

    /// Each service that is offered, with its rates, in the order of [`Service::ALL`].
    pub fn each(&self) -> impl Iterator<Item = (Service, &Rates)> {
        let services = Service::ALL.into_iter();
        services.filter_map(|service| Some((service, self.of(service)?)))
    }
}

impl Rates {
    /// What `tokens` cost.
    pub fn cost(&self, tokens: &Tokens) -> Cost {
        let [input, output, cache_read, cache_write] = self.parts(tokens);
        let total: Exact = [input, output, cache_read, cache_write].into_iter().sum();
        Cost {
            input: input.rounded(),
            output: output.rounded(),
            cache_read: cache_read.rounded(),
            cache_write: cache_write.rounded(),
            total: total.rounded(),
        }
    }

    /// The same before it is rounded.
    pub(super) fn exact(&self, tokens: &Tokens) -> Exact {
        self.parts(tokens).into_iter().sum()
    }

    /// Plain input, output, cache reads and cache writes.
    fn parts(&self, tokens: &Tokens) -> [Exact; 4] {
        let cache_write_rate = self.cache_write.unwrap_or(self.input);
        let long_writes = tokens.cache_write_1h();
        let cache_write = cache_write_rate.times(tokens.cache_write() - long_writes)
            + self.cache_write_1h.unwrap_or(cache_write_rate).times(long_writes);
        let output = self.output.times(tokens.output() - tokens.reasoning())
            + self.reasoning.unwrap_or(self.output).times(tokens.reasoning());
        let cache_read = self.cache_read.unwrap_or(self.input).times(tokens.cache_read());
        [
            self.input.times(tokens.uncached_input()),
            output,
            cache_read,
            cache_write,
        ]
    }
}

impl Service {
    pub const ALL: [Self; 5] = [Self::Standard, Self::Batch, Self::Flex, Self::Priority, Self::Fast];

    /// The service as results and files spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Fast => "fast",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Billionths, TokenCounts};

    fn rate(per_million: &str) -> Rate {
        Billionths::parse(per_million).expect("a number").into()
    }

    fn rates(input: &str, output: &str) -> Rates {
        Rates {
            input: rate(input),
            output: rate(output),
            ..Rates::default()
        }
    }

    #[test]
    fn cached_tokens_are_charged_once_at_their_own_rate() {
        let tokens = Tokens::new(TokenCounts {
            input: 1_000_000,
            output: 0,
            cache_read: 500_000,
            cache_write: 400_000,
            cache_write_1h: 100_000,
            reasoning: 0,
        })
        .expect("true counts");
        let with_cache = Rates {
            cache_read: Some(rate("0.3")),
            cache_write: Some(rate("3.75")),
            cache_write_1h: Some(rate("6")),
            ..rates("3", "15")
        };
        let cost = with_cache.cost(&tokens);
        assert_eq!(cost.input.digits(), "0.3");
        assert_eq!(cost.cache_read.digits(), "0.15");
        assert_eq!(cost.cache_write.digits(), "1.725", "300,000 at 3.75 and 100,000 at 6");
        assert_eq!(cost.total.digits(), "2.175");
        assert_eq!(
            rates("3", "15").cost(&tokens).total.digits(),
            "3",
            "without rates of its own it is input"
        );
    }

    #[test]
    fn a_long_prompt_prices_the_whole_request() {
        let price = Price {
            tiers: vec![Tier {
                from_input_tokens: 200_001,
                offered: ServiceRates {
                    standard: rates("2", "4"),
                    batch: Some(rates("1", "2")),
                    ..ServiceRates::default()
                },
            }],
            ..Price::of(rates("1", "2"))
        };
        let cost = |input| {
            let counts = TokenCounts {
                input,
                output: 1_000_000,
                ..TokenCounts::default()
            };
            let tokens = Tokens::new(counts).expect("true counts");
            price.cost(Service::Standard, &tokens).expect("priced").total.digits()
        };
        assert_eq!(cost(200_000), "2.2");
        assert_eq!(cost(200_001), "4.400002");
        assert!(price.rates(Service::Batch, 200_001).is_some());
        assert_eq!(
            price.rates(Service::Fast, 200_001),
            None,
            "nothing is made up for a service"
        );
    }

    #[test]
    fn a_service_without_a_price_has_no_cost() {
        let tokens = Tokens::default();
        assert_eq!(Price::free().cost(Service::Batch, &tokens), None);
        assert!(Price::free().is_free());
    }
}
