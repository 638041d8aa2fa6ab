//! `estimate_cost`: what would a request cost, here and elsewhere?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Hints, Tool,
    view::{self, Block, Cell, Column, Tone, View},
};
use crate::{
    app::App,
    catalog::Figures,
    domain::{MAX_TOKENS, ModelId, Rate, Service, Task, TokenCounts, TokenEstimate, Tokenizer, Tokens, Usd},
    error::{Code, Error, Result},
    providers,
    services::{
        caller::Caller,
        cost_estimate::{self, Chosen, CostEstimate, CostQuery},
    },
};

/// The longest text that is counted, in characters.
const MAX_TEXT: usize = 2_000_000;

/// Estimate what a request would cost, from token counts or from the prompt's text; compare to see who is cheaper
#[derive(Debug, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub(super) struct EstimateCost {
    /// Provider of the model
    provider: String,
    /// Tokens of the whole prompt, including cached ones; or use text
    #[schemars(range(max = MAX_TOKENS))]
    #[arg(allow_negative_numbers = true, required_unless_present = "text")]
    input_tokens: Option<u64>,
    /// Tokens of the answer, including reasoning
    // Over MCP always there: in the shell the one number besides a text is read as the input first.
    #[schemars(required, range(max = MAX_TOKENS))]
    #[arg(allow_negative_numbers = true, required_unless_present = "text")]
    output_tokens: Option<u64>,
    /// Model, as the provider calls it (default: the configured, most used or typical one)
    #[schemars(length(max = 200))]
    #[arg(long)]
    model: Option<String>,
    /// Part of the input tokens that is read from a cache
    #[schemars(range(max = MAX_TOKENS))]
    #[serde(default)]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    cache_read_tokens: u64,
    /// Part of the input tokens that is written to a cache
    #[schemars(range(max = MAX_TOKENS))]
    #[serde(default)]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    cache_write_tokens: u64,
    /// Whether to use the provider's batch service, with results within a day
    #[serde(default)]
    #[arg(long)]
    batch: bool,
    /// Whether to compare with other models
    #[serde(default)]
    #[arg(long)]
    compare: bool,
    /// The prompt, whose tokens are counted approximately, instead of input_tokens
    #[schemars(length(max = MAX_TEXT))]
    #[arg(long)]
    text: Option<String>,
}

/// What a request would cost.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Estimated {
    provider: String,
    model: String,
    /// Why this model: `asked`, `configured`, `most_used` or `typical`
    model_chosen: &'static str,
    input_tokens: u64,
    output_tokens: u64,
    cost: CostParts,
    price: PriceView,
    /// How the tokens of the text were counted
    #[serde(skip_serializing_if = "Option::is_none")]
    counted: Option<CountedTokens>,
    /// The same request elsewhere, cheapest first
    #[serde(skip_serializing_if = "Option::is_none")]
    alternatives: Option<Vec<Alternative>>,
    /// For people: how many more there are.
    #[serde(skip)]
    alternatives_omitted: usize,
    /// For people: the model's quality for chat.
    #[serde(skip)]
    quality: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the contract's names, which carry the unit")]
struct CostParts {
    /// Input that no cache has a part in
    input_usd: Usd,
    output_usd: Usd,
    cache_read_usd: Usd,
    cache_write_usd: Usd,
    total_usd: Usd,
}

/// US dollars per million tokens.
#[derive(Debug, Serialize, JsonSchema)]
struct PriceView {
    input_per_million: Rate,
    output_per_million: Rate,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_read_per_million: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_per_million: Option<Rate>,
    /// `standard` or `batch`
    service: &'static str,
    /// Date of the price data; null for a price of the user's own
    as_of: Option<String>,
    /// Source of the price
    source: String,
    /// Start date, where it is known
    from: Option<String>,
    /// When the next announced price begins
    #[serde(skip_serializing_if = "Option::is_none")]
    next_price_from: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct CountedTokens {
    method: String,
    /// Nine in ten texts lie within this many percent
    margin_percent: u8,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Alternative {
    provider: String,
    model: String,
    total_usd: Usd,
    /// For people: the model's quality for chat.
    #[serde(skip)]
    quality: Option<String>,
}

/// The public figure for the quality of a model at chat, with `~` where it is its family's.
fn quality(model: &ModelId) -> Option<String> {
    let known = Figures::built_in().of(model)?;
    let points = known
        .variants
        .iter()
        .filter_map(|variant| variant.points(Task::Chat))
        .max()?;
    let family = if known.like.is_some() { "~" } else { "" };
    Some(format!("{family}{points}"))
}

/// Where the input tokens are known from.
enum PromptSize<'a> {
    Tokens(u64),
    Text(&'a str),
}

impl EstimateCost {
    /// The prompt, and the output tokens.
    fn request(&self) -> Result<(PromptSize<'_>, u64)> {
        let missing = |name: &str| {
            Error::new(Code::InvalidArgument, format!("argument `{name}` is missing"))
                .hint("give `input_tokens` or `text`, and `output_tokens`")
        };
        match (self.text.as_deref(), self.input_tokens, self.output_tokens) {
            (Some(_), Some(_), Some(_)) => Err(Error::new(
                Code::InvalidArgument,
                "`text` and `input_tokens` cannot be used together",
            )
            .hint("omit one of them")),
            // In the shell alone: the one number besides a text is the output.
            (Some(text), None, Some(output)) | (Some(text), Some(output), None) => Ok((PromptSize::Text(text), output)),
            (None, Some(input), Some(output)) => Ok((PromptSize::Tokens(input), output)),
            (None, None, _) => Err(missing("input_tokens")),
            (_, _, None) => Err(missing("output_tokens")),
        }
    }

    fn tokens(&self, input: u64, output: u64) -> Result<Tokens> {
        Ok(Tokens::new(TokenCounts {
            input,
            output,
            cache_read: self.cache_read_tokens,
            cache_write: self.cache_write_tokens,
            ..TokenCounts::default()
        })?)
    }

    /// The request, its estimate, and how the text was counted: by the tokenizer of the model that is meant.
    async fn estimate(&self, app: &App) -> Result<(CostQuery, CostEstimate, Option<TokenEstimate>)> {
        let (prompt, output) = self.request()?;
        let mut ask = CostQuery {
            provider: app.settings().current().provider(&self.provider)?,
            model: self.model.as_deref().map(str::parse).transpose()?,
            tokens: match prompt {
                PromptSize::Tokens(input) => self.tokens(input, output)?,
                PromptSize::Text(_) => Tokens::new(TokenCounts {
                    output,
                    ..TokenCounts::default()
                })?,
            },
            service: if self.batch { Service::Batch } else { Service::Standard },
        };
        let estimate = cost_estimate::estimate(app, &ask)?;
        let PromptSize::Text(text) = prompt else {
            return Ok((ask, estimate, None));
        };
        let (tokenizer, text) = (Tokenizer::of(&estimate.model), text.to_owned());
        // To open a vocabulary takes long enough to hold other calls up.
        let counted = tokio::task::spawn_blocking(move || tokenizer.count(&text))
            .await
            .map_err(|why| Error::new(Code::Internal, "the text could not be counted").caused_by(why))?;
        ask.tokens = self.tokens(counted.tokens, output)?;
        ask.model = Some(estimate.model.model.clone());
        let estimate = CostEstimate {
            chosen: estimate.chosen,
            ..cost_estimate::estimate(app, &ask)?
        };
        Ok((ask, estimate, Some(counted)))
    }
}

impl Tool for EstimateCost {
    const NAME: &'static str = "estimate_cost";
    const COMMAND: &'static str = "estimate";
    const TITLE: &'static str = "Estimate cost";
    const SEARCH_HINT: &'static str =
        "how much would tokens of a claude gpt gemini model cost, price of a request, compare prices, cheapest model";
    const HINTS: Hints = Hints::READ_ONLY;
    type Output = Estimated;

    fn holds_key(name: &str, text: &str) -> bool {
        // A prompt holds anything; it is measured, and neither kept nor shown.
        name != "text" && providers::looks_like_key(text)
    }

    async fn call(self, app: &App, _caller: &dyn Caller) -> Result<Estimated> {
        let (ask, estimate, counted) = self.estimate(app).await?;
        let (alternatives, alternatives_omitted) = if self.compare {
            let found = cost_estimate::alternatives(app, &estimate, &ask)?;
            let named = found.cheapest.into_iter().map(|(model, total_usd)| Alternative {
                quality: quality(&model.model),
                provider: model.provider.to_string(),
                model: model.model.to_string(),
                total_usd,
            });
            (Some(named.collect()), found.omitted)
        } else {
            (None, 0)
        };
        let warnings = estimate.too_long_for.map(|room| {
            format!(
                "the request is longer than the model's context window of {} tokens",
                view::count(room)
            )
        });
        Ok(Estimated {
            provider: estimate.model.provider.to_string(),
            model: estimate.model.model.to_string(),
            model_chosen: match estimate.chosen {
                Chosen::Asked => "asked",
                Chosen::Configured => "configured",
                Chosen::MostUsed => "most_used",
                Chosen::Typical => "typical",
            },
            input_tokens: ask.tokens.input(),
            output_tokens: ask.tokens.output(),
            cost: CostParts {
                input_usd: estimate.cost.input,
                output_usd: estimate.cost.output,
                cache_read_usd: estimate.cost.cache_read,
                cache_write_usd: estimate.cost.cache_write,
                total_usd: estimate.cost.total,
            },
            price: PriceView::of(&estimate, ask.service),
            counted: counted.map(|counted| CountedTokens {
                method: method(&counted),
                margin_percent: counted.margin_percent,
            }),
            alternatives,
            alternatives_omitted,
            quality: quality(&estimate.model.model),
            warnings: warnings.into_iter().collect(),
        })
    }

    fn view(output: &Estimated) -> View {
        let model = format!("{}/{}", output.provider, output.model);
        let about = if output.counted.is_some() { "about " } else { "" };
        let mut view = View::line(
            Tone::Good,
            format!("{model}: {about}{}", view::precise(output.cost.total_usd)),
        )
        .and(Block::Line(
            Tone::Faint,
            format!(
                "{about}{} input tokens at ${} and {} output tokens at ${} per million ({}{})",
                view::count(output.input_tokens),
                output.price.input_per_million.per_million(),
                view::count(output.output_tokens),
                output.price.output_per_million.per_million(),
                output.price.source,
                output
                    .price
                    .as_of
                    .as_ref()
                    .map_or_else(String::new, |day| format!(", {day}")),
            ),
        ));
        if let Some(counted) = &output.counted {
            let said = format!("tokens {}, ±{}%", counted.method, counted.margin_percent);
            view = view.and(Block::Line(Tone::Faint, said));
        }
        if let Some(day) = &output.price.next_price_from {
            view = view.and(Block::Line(
                Tone::Attention,
                format!("a new price takes effect on {day}"),
            ));
        }
        if let Some(alternatives) = &output.alternatives {
            view = compared(view, output, alternatives);
        }
        super::view::with_warnings(view, &output.warnings)
    }
}

/// The view with the request at other models and at the requested one, cheapest first.
fn compared(view: View, output: &Estimated, alternatives: &[Alternative]) -> View {
    let row = |tone, provider: &str, model: String, quality: Option<&str>, cost: Usd| {
        vec![
            Cell::new(tone, provider),
            Cell::new(tone, model),
            Cell::number(quality.unwrap_or_default()).toned(tone),
            Cell::number(view::precise(cost)).toned(tone),
        ]
    };
    let mut rows: Vec<_> = alternatives
        .iter()
        .map(|it| {
            row(
                Tone::Plain,
                &it.provider,
                it.model.clone(),
                it.quality.as_deref(),
                it.total_usd,
            )
        })
        .collect();
    let total = output.cost.total_usd;
    let model = format!("{} (asked)", output.model);
    let asked = row(Tone::Good, &output.provider, model, output.quality.as_deref(), total);
    let at = alternatives.iter().take_while(|it| it.total_usd <= total).count();
    let is_beyond = at == alternatives.len() && output.alternatives_omitted > 0;
    rows.insert(at, asked);
    let columns = [
        Column::new("PROVIDER"),
        Column::new("MODEL"),
        Column::new("QUALITY").rank(1),
        Column::new("COST"),
    ];
    let mut shown = view.and(Block::table(columns, rows));
    if output.alternatives_omitted > 0 {
        let between = if is_beyond {
            "; some of them cost less than the requested model"
        } else {
            ""
        };
        let more = format!(
            "the {} cheapest; {} more not shown{between}",
            alternatives.len(),
            output.alternatives_omitted
        );
        shown = shown.and(Block::Line(Tone::Faint, more));
    }
    let source = Figures::built_in().source();
    let legend = format!("quality: points for chat by {source}; ~ that of the model's family");
    shown.and(Block::Line(Tone::Faint, legend))
}

/// How the text was counted, in words.
fn method(counted: &TokenEstimate) -> String {
    let part = if counted.is_of_a_part {
        ", a part of the text for all of it"
    } else {
        ""
    };
    format!("{}{part}", counted.tokenizer.as_str())
}

impl PriceView {
    fn of(estimate: &CostEstimate, service: Service) -> Self {
        let CostEstimate {
            rates,
            priced,
            next_price_from,
            ..
        } = estimate;
        Self {
            input_per_million: rates.input,
            output_per_million: rates.output,
            cache_read_per_million: rates.cache_read,
            cache_write_per_million: rates.cache_write,
            service: service.as_str(),
            as_of: priced.as_of.map(|day| day.to_string()),
            source: priced.source.clone(),
            from: priced.from.map(|day| day.to_string()),
            next_price_from: next_price_from.map(|day| day.to_string()),
        }
    }
}
