//! The five-hour windows in which subscriptions count: they begin with the hour of the first request after the last one.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::{
    app::App,
    domain::{Span, Usd},
    error::Result,
    storage::ledger::{Filter, QuarterUsage, Totals},
};

/// How long a window is.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(5);
/// How far back a chain of windows is followed: no work goes on that long without a pause of five hours.
const MAX_CHAIN: SignedDuration = SignedDuration::from_hours(24 * 7);
const SECONDS_OF_HOUR: i64 = 3_600;

/// What an agent used in one window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageBlock {
    pub agent: Option<String>,
    pub from: Timestamp,
    pub to: Timestamp,
    pub totals: Totals,
    /// How it goes on, where it has not ended.
    pub rate: Option<BurnRate>,
}

/// How fast a window is used, and what that comes to at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BurnRate {
    pub minutes_left: u64,
    pub tokens_per_minute: u64,
    /// Billed, and at API prices.
    pub cost_per_hour: Usd,
    pub plan_cost_per_hour: Usd,
    pub projected_cost: Usd,
    pub projected_plan_cost: Usd,
}

impl UsageBlock {
    /// Its name: the agent, and when it began.
    pub fn name(&self, zone: &TimeZone) -> String {
        let began = self.from.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
        match &self.agent {
            Some(agent) => format!("{agent} {began}"),
            None => began,
        }
    }
}

/// The windows that begin in `span`, or reach into it, oldest first.
pub fn blocks(app: &App, span: Span, filter: &Filter) -> Result<Vec<UsageBlock>> {
    let from = span.from.checked_sub(MAX_CHAIN).unwrap_or(Timestamp::UNIX_EPOCH);
    let quarters = app.ledger().quarters(Span { from, to: span.to }, filter)?;
    Ok(chained(quarters, app.now())
        .into_iter()
        .filter(|block| block.to > span.from)
        .collect())
}

/// The quarters in windows.
fn chained(quarters: Vec<QuarterUsage>, now: Timestamp) -> Vec<UsageBlock> {
    let mut open: BTreeMap<Option<String>, UsageBlock> = BTreeMap::new();
    let mut blocks = Vec::new();
    for quarter in quarters {
        match open.get_mut(&quarter.agent) {
            Some(block) if quarter.from < block.to => block.totals += quarter.totals,
            _ => {
                let from = hour_of(quarter.from);
                let block = UsageBlock {
                    agent: quarter.agent.clone(),
                    from,
                    to: from + WINDOW,
                    totals: quarter.totals,
                    rate: None,
                };
                blocks.extend(open.insert(quarter.agent, block));
            }
        }
    }
    blocks.extend(open.into_values());
    for block in &mut blocks {
        if block.from <= now && now < block.to {
            block.rate = Some(rate(block, now));
        }
    }
    blocks.sort_by(|one, other| (one.from, &one.agent).cmp(&(other.from, &other.agent)));
    blocks
}

fn hour_of(at: Timestamp) -> Timestamp {
    let second = at.as_second();
    Timestamp::from_second(second - second.rem_euclid(SECONDS_OF_HOUR)).unwrap_or(at)
}

fn rate(block: &UsageBlock, now: Timestamp) -> BurnRate {
    let unsigned = |seconds: i64| u64::try_from(seconds).unwrap_or(0);
    // A window that has just begun says little: nothing is projected from less than a minute.
    let elapsed = unsigned(now.duration_since(block.from).as_secs()).max(60);
    let whole = unsigned(WINDOW.as_secs());
    let totals = &block.totals;
    BurnRate {
        minutes_left: unsigned(block.to.duration_since(now).as_secs()).div_ceil(60),
        tokens_per_minute: totals
            .input_tokens
            .saturating_add(totals.output_tokens)
            .saturating_mul(60)
            / elapsed,
        cost_per_hour: totals.cost.scaled(unsigned(SECONDS_OF_HOUR), elapsed),
        plan_cost_per_hour: totals.plan_cost.scaled(unsigned(SECONDS_OF_HOUR), elapsed),
        projected_cost: totals.cost.scaled(whole, elapsed),
        projected_plan_cost: totals.plan_cost.scaled(whole, elapsed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quarter(agent: &str, at: &str, requests: u64) -> QuarterUsage {
        QuarterUsage {
            agent: Some(agent.to_owned()),
            from: at.parse().unwrap(),
            totals: Totals {
                requests,
                plan_cost: Usd::DOLLAR,
                input_tokens: 600,
                ..Totals::default()
            },
        }
    }

    #[test]
    fn a_window_begins_with_the_hour_of_the_first_request_after_the_last_one() {
        let now: Timestamp = "2026-11-24T20:00:00Z".parse().unwrap();
        let blocks = chained(
            vec![
                quarter("claude-code", "2026-11-24T10:30:00Z", 1),
                quarter("codex", "2026-11-24T11:15:00Z", 8),
                quarter("claude-code", "2026-11-24T14:45:00Z", 2),
                quarter("claude-code", "2026-11-24T15:00:00Z", 4),
                quarter("claude-code", "2026-11-24T19:45:00Z", 16),
            ],
            now,
        );
        let shown: Vec<(String, u64)> = blocks
            .iter()
            .map(|block| (block.name(&TimeZone::UTC), block.totals.requests))
            .collect();
        let expected = [
            ("claude-code 2026-11-24 10:00", 3),
            ("codex 2026-11-24 11:00", 8),
            ("claude-code 2026-11-24 15:00", 20),
        ];
        assert_eq!(shown, expected.map(|(name, requests)| (name.to_owned(), requests)));
        assert!(
            blocks.iter().all(|block| block.rate.is_none()),
            "all have ended at that moment"
        );
    }

    #[test]
    fn an_open_window_says_how_fast_it_is_used() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let blocks = chained(vec![quarter("claude-code", "2026-11-24T10:30:00Z", 1)], now);
        let rate = blocks[0].rate.unwrap();
        assert_eq!(rate.minutes_left, 180);
        assert_eq!(rate.tokens_per_minute, 5);
        assert_eq!(rate.plan_cost_per_hour, Usd::from_nano(500_000_000));
        assert_eq!(rate.projected_plan_cost, Usd::from_nano(2_500_000_000));
    }
}
