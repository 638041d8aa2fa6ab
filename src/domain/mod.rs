//! Values and pure rules: no input or output, no clock, no async.

mod api_key;
mod budget;
mod decimal;
mod effort;
mod health;
mod identity;
mod key_record;
mod malformed_key;
mod model;
mod money;
mod period;
mod price;
mod secret;
mod task;
mod token_estimate;
mod tokens;
mod usage;
mod validation;

pub use api_key::ApiKey;
pub use budget::{BudgetStatus, Forecast, forecast};
pub use decimal::Billionths;
pub use effort::Effort;
pub use health::{Health, HealthState, LastRequests, Signal, Trouble};
pub use identity::{IdentityError, KeyId, Label, ProviderId};
pub use key_record::{ExpiryNotice, KeyRecord, KeyState, KeyVersion, VersionState};
pub use malformed_key::MalformedKey;
pub use model::{Capability, ModelId, ModelKind, ModelRef};
pub use money::{Exact, Rate, Usd};
pub use period::{Span, Window, last_days, months_of, utc_text, zone_text};
pub use price::{Cost, Price, Rates, Service, Tier};
pub use secret::{Passphrase, Secret};
pub use task::{Objective, Task};
pub use token_estimate::{TokenEstimate, estimate_tokens};
pub use tokens::{MOST_TOKENS, TokenCounts, Tokens, TokensError};
pub use usage::{OwnCost, Portion, RecordedCost, RequestOutcome, UsageRecord, UsageSource};
pub use validation::{KeyStatus, Validation};
