//! The settings of `routing_config.json` that mean something here.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::store::{UnreadableStore, read_object};
use crate::domain::Billionths;

/// What can be taken over.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CenterRouting {
    /// By their names.
    pub providers: BTreeMap<String, CenterProvider>,
    /// The provider of each task.
    pub tasks: BTreeMap<String, String>,
    pub fallback_order: Vec<String>,
    pub budget: Option<CenterBudget>,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub struct CenterProvider {
    pub enabled: Option<bool>,
    #[serde(rename = "api_key_env")]
    pub env_var: Option<String>,
    /// Requests a minute.
    pub rate_limit: Option<u32>,
    /// The address of a server on this machine.
    pub endpoint: Option<String>,
    /// Of 2024, to be listed and no more.
    #[serde(default)]
    pub models: Vec<String>,
}

/// In dollars, as decimal text.
#[derive(Debug, PartialEq, Eq)]
pub struct CenterBudget {
    pub enabled: Option<bool>,
    pub daily_limit: Option<String>,
    pub monthly_limit: Option<String>,
    /// A part of the limit, such as 0.8.
    pub alert_threshold: Option<String>,
}

#[derive(Deserialize)]
struct RoutingFile<'a> {
    #[serde(default)]
    providers: BTreeMap<String, CenterProvider>,
    #[serde(default)]
    routing: BTreeMap<String, String>,
    #[serde(default)]
    fallback_order: Vec<String>,
    #[serde(borrow)]
    budget: Option<BudgetFields<'a>>,
}

#[derive(Deserialize)]
struct BudgetFields<'a> {
    enabled: Option<bool>,
    #[serde(borrow)]
    daily_limit: Option<&'a RawValue>,
    #[serde(borrow)]
    monthly_limit: Option<&'a RawValue>,
    #[serde(borrow)]
    alert_threshold: Option<&'a RawValue>,
}

/// The settings in `file`, which may be empty.
pub fn read_routing(file: &[u8]) -> Result<CenterRouting, UnreadableStore> {
    let Some(read) = read_object::<RoutingFile<'_>>(file)? else {
        return Ok(CenterRouting::default());
    };
    // What is negative or no number limits nothing.
    let decimal = |text: Option<&RawValue>| {
        let text = text?.get();
        Billionths::parse_rounded(text, 0).map(|_| text.to_owned())
    };
    Ok(CenterRouting {
        providers: read.providers,
        tasks: read.routing,
        fallback_order: read.fallback_order,
        budget: read.budget.map(|budget| CenterBudget {
            enabled: budget.enabled,
            daily_limit: decimal(budget.daily_limit),
            monthly_limit: decimal(budget.monthly_limit),
            alert_threshold: decimal(budget.alert_threshold),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_here_is_read() {
        let file = br#"{
            "providers": {
                "openai": {"enabled": false, "api_key_env": "MY_KEY", "models": ["gpt-4"], "rate_limit": 60,
                    "cost_per_1k_input_tokens": 0.01, "max_tokens": 4096},
                "local": {"enabled": true, "endpoint": "http://localhost:11434"}
            },
            "routing": {"code": "anthropic"}, "fallback_order": ["anthropic", "openai"],
            "budget": {"enabled": true, "daily_limit": 5.5, "monthly_limit": -1, "alert_threshold": 0.8}
        }"#;
        let routing = read_routing(file).expect("read");
        let openai = &routing.providers["openai"];
        assert_eq!(
            (openai.enabled, openai.env_var.as_deref(), openai.rate_limit),
            (Some(false), Some("MY_KEY"), Some(60))
        );
        assert_eq!(routing.tasks["code"], "anthropic");
        let budget = routing.budget.expect("a budget");
        assert_eq!(
            (budget.daily_limit.as_deref(), budget.monthly_limit),
            (Some("5.5"), None)
        );
        assert!(read_routing(b"").is_ok() && read_routing(b"[").is_err());
    }
}
