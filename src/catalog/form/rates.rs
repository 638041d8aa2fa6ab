//! The rates of one service as files spell them.

use serde::{Deserialize, Serialize};

use super::scalars::Amount;
use crate::domain::{Billionths, ExtraRates, Rate, Rates, ServiceRates};

/// US dollars per million tokens, or characters; of searches and requests, per thousand.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RatesForm {
    input: Amount,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<Amount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_read: Option<Amount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_write: Option<Amount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_write_1h: Option<Amount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reasoning: Option<Amount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audio_input: Option<Amount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audio_cache_read: Option<Amount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image_input: Option<Amount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audio_output: Option<Amount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image_output: Option<Amount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    citations: Option<Amount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    characters: Option<Amount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    searches: Option<Amount>,
    /// By how much of the web an answer draws on: low, medium, high.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requests: Option<[Amount; 3]>,
}

/// The rates of each service, from those of the standard one and of batch, flex, priority and fast.
pub(super) fn offered(standard: RatesForm, others: &[Option<RatesForm>; 4]) -> ServiceRates {
    let [batch, flex, priority, fast] = others.map(|form| form.map(Rates::from));
    ServiceRates {
        standard: standard.into(),
        batch,
        flex,
        priority,
        fast,
    }
}

/// The other way around.
pub(super) fn spelled(offered: &ServiceRates) -> (RatesForm, [Option<RatesForm>; 4]) {
    let others = [offered.batch, offered.flex, offered.priority, offered.fast];
    let others = others.map(|rates| rates.map(RatesForm::from));
    (offered.standard.into(), others)
}

impl From<Rates> for RatesForm {
    fn from(rates: Rates) -> Self {
        let amount = |rate: Rate| Amount(rate.per_million());
        let fee = |rate: Rate| Amount(Billionths(rate.per_million().0 / 1_000));
        let extra = &rates.extra;
        Self {
            input: amount(rates.input),
            output: (rates.output != Rate::ZERO).then(|| amount(rates.output)),
            cache_read: rates.cache_read.map(amount),
            cache_write: rates.cache_write.map(amount),
            cache_write_1h: rates.cache_write_1h.map(amount),
            reasoning: rates.reasoning.map(amount),
            audio_input: extra.audio_input.map(amount),
            audio_cache_read: extra.audio_cache_read.map(amount),
            image_input: extra.image_input.map(amount),
            audio_output: extra.audio_output.map(amount),
            image_output: extra.image_output.map(amount),
            citations: extra.citations.map(amount),
            characters: extra.characters.map(amount),
            searches: extra.searches.map(fee),
            requests: extra.requests.map(|fees| fees.map(fee)),
        }
    }
}

impl From<RatesForm> for Rates {
    fn from(form: RatesForm) -> Self {
        let rate = |amount: Amount| Rate::from(amount.0);
        let fee = |amount: Amount| Rate::from(Billionths(amount.0.0.saturating_mul(1_000)));
        Self {
            input: rate(form.input),
            output: form.output.map_or(Rate::ZERO, rate),
            cache_read: form.cache_read.map(rate),
            cache_write: form.cache_write.map(rate),
            cache_write_1h: form.cache_write_1h.map(rate),
            reasoning: form.reasoning.map(rate),
            extra: ExtraRates {
                audio_input: form.audio_input.map(rate),
                audio_cache_read: form.audio_cache_read.map(rate),
                image_input: form.image_input.map(rate),
                audio_output: form.audio_output.map(rate),
                image_output: form.image_output.map(rate),
                citations: form.citations.map(rate),
                characters: form.characters.map(rate),
                searches: form.searches.map(fee),
                requests: form.requests.map(|fees| fees.map(fee)),
            },
        }
    }
}
