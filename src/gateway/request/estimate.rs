//! What a request may use and cost at most, which is what is reserved for it.

use super::fields::BodyFields;
use crate::{
    catalog::Model,
    domain::{
        Billionths, Exact, Extras, MAX_TOKENS, ProviderId, Rate, SearchContext, Service, TokenCounts, Tokens, Usd,
    },
    services::price_lookup::Pricing,
};

/// The output that is usual where neither the request names a limit nor a quota is kept by the model's own.
const USUAL_OUTPUT: u64 = 16_384;
/// The output of a model of which nothing is known: the most that is usual.
const MAX_OUTPUT: u64 = 131_072;
/// The context window of a model of which nothing is known: the largest that is usual.
const MAX_WINDOW: u64 = 1_050_000;
/// Bytes in a token of usual text, at least.
const USUAL_BYTES: u64 = 3;

/// Input and output of an expensive model, in dollars per million tokens.
const DEAR_RATES: [u64; 2] = [15, 75];

/// The most tokens of one image: 10,000 patches at OpenAI's detail `original`, 4,784 of Anthropic's in high resolution,
/// 16 tiles of 258 of Gemini's; elsewhere what Qwen's model cards call the most.
const IMAGE_TOKENS: &[(&str, u64)] = &[
    ("openai", 10_000),
    ("azure-openai", 10_000),
    ("anthropic", 5_000),
    ("google", 4_500),
];
const MAX_IMAGE: u64 = 16_384;
/// GPT-4o mini counts 2,833 tokens for an image and 5,667 for each of its eight tiles, to cost what the larger one does.
const IMAGE_OF_4O_MINI: (&str, u64) = ("gpt-4o-mini", 48_169);

/// The providers that go by `max_completion_tokens` where `max_tokens` is not there.
const NEWER_SPELLING: [&str; 8] = [
    "openai",
    "azure-openai",
    "anthropic",
    "google",
    "xai",
    "groq",
    "openrouter",
    "cerebras",
];

/// The tokens that a request may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestTokens {
    /// Of what the request holds itself.
    pub(super) input: u64,
    /// The output to plan with.
    pub(super) output: u64,
    /// The most that the prompt can have, with what the request refers to.
    pub(super) most_input: u64,
    pub(super) most_output: u64,
    writes_long_cache: bool,
    /// Characters to be read out.
    pub(super) characters: u64,
    /// Whether anything in the prompt is no text.
    has_files: bool,
}

impl RequestTokens {
    /// What `fields` may use of a model of `provider`, called `name`, which the catalog may know.
    pub(super) fn of(fields: &BodyFields<'_>, provider: &ProviderId, name: &str, model: Option<&Model>) -> Self {
        let prompt = fields.prompt();
        let image = if name.contains(IMAGE_OF_4O_MINI.0) {
            IMAGE_OF_4O_MINI.1
        } else {
            let of_provider = IMAGE_TOKENS.iter().find(|(id, _)| *id == provider.as_str());
            of_provider.map_or(MAX_IMAGE, |(_, tokens)| *tokens)
        };
        let window = model
            .and_then(|model| model.max_input.or(model.context_window))
            .unwrap_or(MAX_WINDOW);
        let input = prompt
            .text
            .saturating_add(prompt.images.saturating_mul(image))
            .saturating_add(prompt.files.min(window))
            .min(MAX_TOKENS);
        let of_model = model.and_then(|model| model.max_output).unwrap_or(MAX_OUTPUT);
        let limit = fields.output_limit(NEWER_SPELLING.contains(&provider.as_str()));
        let samples = if fields.has_output() { fields.samples() } else { 0 };
        let of_all = |one: u64| one.saturating_mul(samples).min(MAX_TOKENS);
        Self {
            input,
            output: of_all(limit.unwrap_or(of_model.min(USUAL_OUTPUT))),
            most_input: if prompt.is_open { input.max(window) } else { input },
            most_output: of_all(limit.unwrap_or(of_model)),
            writes_long_cache: prompt.names_cache_time,
            characters: fields.characters(),
            has_files: prompt.is_open || prompt.files > 0 || prompt.images > 0,
        }
    }

    /// What is reserved where the price is unknown, and the provider states what it charged: the tokens to plan with, at
    /// the rates of expensive models.
    pub(super) fn most_stated_cost(&self) -> Usd {
        let [input, output] = DEAR_RATES.map(|per_million| Rate::from(Billionths(per_million * Billionths::ONE.0)));
        let cost: Exact = [input.times(self.most_input), output.times(self.output)]
            .into_iter()
            .sum();
        cost.rounded()
    }

    /// What a request may be but plain text: input that is not may be sound or images, and so may any output.
    fn most_extras(&self) -> [Extras; 3] {
        let input = if self.has_files { self.most_input } else { 0 };
        let text = Extras {
            search_context: Some(SearchContext::High),
            characters: self.characters,
            ..Extras::default()
        };
        let sound = Extras {
            audio_input: input,
            audio_output: self.most_output,
            ..text
        };
        let images = Extras {
            image_input: input,
            image_output: self.most_output,
            ..text
        };
        [text, sound, images]
    }

    /// What it costs if every token that may be used is, each at its highest rate; nothing where that is unknown.
    pub(super) fn most_cost(&self, pricing: &Pricing, service: Option<Service>) -> Option<Usd> {
        let Pricing::Priced(priced) = pricing else { return None };
        if priced.price.is_free() {
            return Some(Usd::ZERO);
        }
        let counts = |cache_write: u64, cache_write_1h: u64, reasoning: u64| {
            Tokens::new(TokenCounts {
                input: self.most_input,
                output: self.most_output,
                cache_read: 0,
                cache_write,
                cache_write_1h,
                reasoning,
            })
            .ok()
        };
        let long = if self.writes_long_cache { self.most_input } else { 0 };
        let mut most = Usd::ZERO;
        // The provider may serve it in the standard way all the same, and may write the prompt into its cache.
        for service in [Service::Standard, service?] {
            for (cache_write, cache_write_1h) in [(0, 0), (self.most_input, 0), (self.most_input, long)] {
                for reasoning in [0, self.most_output] {
                    let tokens = counts(cache_write, cache_write_1h, reasoning)?;
                    for extras in &self.most_extras() {
                        most = most.max(priced.price.full_cost(service, &tokens, extras)?.cost);
                    }
                }
            }
        }
        Some(most)
    }
}

/// About how many tokens the prompt has, to choose a model by.
pub(super) fn usual_input(fields: &BodyFields<'_>, body: &[u8]) -> u64 {
    let prompt = fields.prompt();
    let text = prompt.text.min(body.len() as u64 / USUAL_BYTES);
    text.saturating_add(prompt.images.saturating_mul(MAX_IMAGE / 8))
        .saturating_add(prompt.files)
}
