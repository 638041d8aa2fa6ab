//! What a request to a provider used, as the ledger keeps it.

use jiff::Timestamp;

use super::{Label, ModelId, ModelRef, Service, Tags, Task, Tokens, Usd};

/// One request to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRecord {
    pub at: Timestamp,
    pub model: ModelRef,
    /// Which of the provider's keys it was made with, where that is known.
    pub label: Option<Label>,
    pub task: Option<Task>,
    pub project: Option<String>,
    /// The client's session, where it named one.
    pub session: Option<String>,
    /// The gateway's client that made it, by its name.
    pub client: Option<String>,
    /// The program that made it, by the name that it gives itself.
    pub agent: Option<String>,
    /// What its caller marked it with.
    pub tags: Tags,
    pub source: UsageSource,
    pub service: Service,
    pub tokens: Tokens,
    pub outcome: RequestOutcome,
    pub cost: RecordedCost,
    pub billing: Billing,
    /// The caller's or the provider's own name for the request: of one provider it counts once.
    pub request_id: Option<String>,
    /// The provider's own id of it, where that is known beside another name.
    pub upstream_id: Option<String>,
}

/// Who says so.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize, schemars::JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum UsageSource {
    // A client or a person reported it.
    Reported,
    // It passed through the gateway.
    Gateway,
    // An agent's log has it as a request.
    Log,
    // An agent's log has it in a sum: it may have been several requests.
    CumulativeLog,
}

/// Who pays for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Billing {
    /// It is billed by the token.
    #[default]
    Billed,
    /// A plan covers it: its cost is what it would be at API prices, and is in no sum of what is spent.
    Plan,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestOutcome {
    pub success: bool,
    pub status_code: Option<u16>,
    pub latency_ms: Option<u32>,
}

/// What a request cost, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordedCost {
    /// Computed from the tokens and a price that was in force.
    Computed { cost: Usd, price: String },
    /// Computed from an estimate of the tokens.
    Estimated { cost: Usd, price: String },
    /// Computed from the tokens alone, while something was charged beside them: searches, sound, images.
    LowerBound { cost: Usd, price: String },
    /// As the provider states it, with what our own prices make of the tokens, where they do.
    Stated { cost: Usd, own: Option<OwnCost> },
    /// Unknown: no price of the model is.
    Unpriced,
}

/// What our own prices make of the tokens of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnCost {
    pub cost: Usd,
    pub price: String,
}

/// Tokens of one request that are billed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portion {
    /// The model that they are billed at, where it is not the requested one.
    pub model: Option<ModelId>,
    pub tokens: Tokens,
}

impl RequestOutcome {
    /// The status of a request whose client closed the connection before the answer's end, as nginx records it.
    pub const CLIENT_CLOSED_REQUEST: u16 = 499;
    /// The status of a request that the provider refused because of the region it came from
    /// ([RFC 7725](https://www.rfc-editor.org/rfc/rfc7725)), whatever status the provider used.
    pub const REGION_BLOCKED: u16 = 451;
}

impl RecordedCost {
    /// The amount, where it is known.
    pub fn usd(&self) -> Option<Usd> {
        match self {
            Self::Computed { cost, .. }
            | Self::Estimated { cost, .. }
            | Self::LowerBound { cost, .. }
            | Self::Stated { cost, .. } => Some(*cost),
            Self::Unpriced => None,
        }
    }

    /// What our own prices make of the tokens, where they do.
    pub fn own(&self) -> Option<Usd> {
        match self {
            Self::Computed { cost, .. } | Self::Estimated { cost, .. } | Self::LowerBound { cost, .. } => Some(*cost),
            Self::Stated { own, .. } => own.as_ref().map(|own| own.cost),
            Self::Unpriced => None,
        }
    }

    /// The version of the prices that our own amount was computed from.
    pub fn price(&self) -> Option<&str> {
        match self {
            Self::Computed { price, .. } | Self::Estimated { price, .. } | Self::LowerBound { price, .. } => {
                Some(price)
            }
            Self::Stated { own, .. } => own.as_ref().map(|own| own.price.as_str()),
            Self::Unpriced => None,
        }
    }

    /// How the amount is known, as results and files spell it.
    pub fn basis(&self) -> Option<&'static str> {
        match self {
            Self::Computed { .. } => Some("computed"),
            Self::Estimated { .. } => Some("estimated"),
            Self::LowerBound { .. } => Some("lower_bound"),
            Self::Stated { .. } => Some("provider"),
            Self::Unpriced => None,
        }
    }
}

impl Billing {
    /// Who pays, as results and files spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Billed => "billed",
            Self::Plan => "plan",
        }
    }
}

impl UsageSource {
    pub const ALL: [Self; 4] = [Self::Reported, Self::Gateway, Self::Log, Self::CumulativeLog];

    /// The source as results and files spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Gateway => "gateway",
            Self::Log => "log",
            Self::CumulativeLog => "cumulative_log",
        }
    }

    /// Whether an agent's log says so.
    pub fn is_log(self) -> bool {
        match self {
            Self::Log | Self::CumulativeLog => true,
            Self::Reported | Self::Gateway => false,
        }
    }

    /// How good the source is for a request of that cost: of two records of one request the higher one stays.
    pub fn rank(self, cost: &RecordedCost) -> u8 {
        let is_stated = matches!(cost, RecordedCost::Stated { .. });
        match self {
            // The provider's own figure is better than any that is computed; what a log states, an agent computed.
            Self::Reported | Self::Gateway if is_stated => 4,
            Self::Gateway => 3,
            Self::Log => 2,
            Self::CumulativeLog => 1,
            Self::Reported => 0,
        }
    }
}
