//! What a provider says that a request cost.

use serde_json::{Map, Value};

use crate::domain::{Billionths, Usd};

/// The highest cost that is believed of one request.
const MAX_COST: Usd = Usd::from_nano(1_000 * 1_000_000_000);
/// xAI's ticks: ten billion are a dollar.
const TICKS: i32 = -10;

/// A cost as it was stated, if it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StatedCost {
    cost: Option<Usd>,
    /// What the provider behind a gateway charges the user's own account.
    upstream: Option<Usd>,
    is_own_account: bool,
    is_absurd: bool,
}

impl StatedCost {
    /// The cost; nothing where none was stated, or one that cannot be true.
    pub(super) fn usd(self) -> Option<Usd> {
        let own = self.upstream.filter(|_| self.is_own_account).unwrap_or_default();
        let cost = self.cost.map(|cost| cost + own);
        cost.filter(|cost| !self.is_absurd && *cost <= MAX_COST)
    }

    /// Reads what a `usage` object says.
    pub(super) fn read_usage(&mut self, usage: &Map<String, Value>) {
        // OpenRouter, Vercel and many gateways; Perplexity with parts; DeepInfra.
        for name in ["cost", "total_cost", "estimated_cost"] {
            match usage.get(name) {
                Some(Value::Object(parts)) => {
                    if let Some(total) = parts.get("total_cost") {
                        self.read(total);
                    }
                }
                Some(cost) => self.read(cost),
                None => continue,
            }
            break;
        }
        if let Some(ticks) = usage.get("cost_in_usd_ticks") {
            self.read_shifted(ticks, TICKS);
        }
        // OpenRouter with a key of the user's own at the provider.
        if usage.get("is_byok") == Some(&Value::Bool(true)) {
            self.is_own_account = true;
        }
        let upstream = usage
            .get("cost_details")
            .and_then(|it| it.get("upstream_inference_cost"));
        if let Some(upstream) = upstream.and_then(|cost| money(cost, 0)) {
            self.upstream = Some(upstream);
        }
    }

    /// Reads an amount in dollars.
    pub(super) fn read(&mut self, cost: &Value) {
        self.read_shifted(cost, 0);
    }

    fn read_shifted(&mut self, cost: &Value, shift: i32) {
        if cost.is_null() {
            return;
        }
        match money(cost, shift) {
            // A later zero is a default, not a correction.
            Some(cost) if cost > Usd::ZERO || self.cost.is_none() => self.cost = Some(cost),
            Some(_) => {}
            None => self.is_absurd = true,
        }
    }
}

/// An amount that is not negative, as a number or as a text.
fn money(value: &Value, shift: i32) -> Option<Usd> {
    let amount = match value {
        Value::Number(number) => Billionths::parse_rounded(&number.to_string(), shift),
        Value::String(text) => Billionths::parse_rounded(text.trim(), shift),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    amount.map(Usd::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stated(usages: &[Value]) -> Option<i64> {
        let mut cost = StatedCost::default();
        for usage in usages {
            cost.read_usage(usage.as_object().expect("an object"));
        }
        cost.usd().map(Usd::nano)
    }

    #[test]
    fn each_providers_way_to_state_a_cost_is_read() {
        for (usage, nano) in [
            (json!({"cost": 0.0123}), 12_300_000),
            (json!({"cost": "0.0123"}), 12_300_000),
            (json!({"cost": 1.23e-5}), 12_300),
            (json!({"cost": 0}), 0),
            (
                json!({"cost": {"input_tokens_cost": 0.1, "total_cost": 0.25}}),
                250_000_000,
            ),
            (json!({"cost_in_usd_ticks": 37_756_000}), 3_775_600),
            (json!({"estimated_cost": 0.000_000_1}), 100),
            (
                json!({"cost": 0.01, "is_byok": false, "cost_details": {"upstream_inference_cost": 0.01}}),
                10_000_000,
            ),
            (
                json!({"cost": 0.01, "is_byok": true, "cost_details": {"upstream_inference_cost": 0.2}}),
                210_000_000,
            ),
            (
                json!({"cost": 0.01, "is_byok": true, "cost_details": {"upstream_inference_cost": null}}),
                10_000_000,
            ),
        ] {
            assert_eq!(stated(std::slice::from_ref(&usage)), Some(nano), "{usage}");
        }
        assert_eq!(stated(&[json!({"cost": 0.5}), json!({"cost": 0})]), Some(500_000_000));
        assert_eq!(stated(&[json!({"prompt_tokens": 1}), json!({"cost": null})]), None);
    }

    #[test]
    fn a_cost_that_cannot_be_true_is_not_believed() {
        for cost in [
            json!(-1),
            json!(1_000_000_000),
            json!(1e300),
            json!("NaN"),
            json!("free"),
            json!(true),
            json!([1]),
            json!(1_000.01),
        ] {
            assert_eq!(stated(&[json!({ "cost": cost })]), None, "{cost}");
        }
        assert_eq!(stated(&[json!({"cost_in_usd_ticks": -5})]), None);
        assert_eq!(stated(&[json!({"cost": {"total_cost": -5}})]), None);
    }
}
