//! What a request must reserve of the budgets before it is sent.

use jiff::Timestamp;

use crate::{
    domain::{Usd, Window},
    error::{Code, Error, Result},
    settings::BudgetConfig,
    storage::{
        gateway_clients::GatewayClient,
        ledger::{SpendingLimit, Spent},
    },
};

/// Money that has to be reserved for a request before it is sent, to be settled or released after.
#[derive(Debug, Default)]
pub struct Claim {
    /// What it may cost at most.
    pub amount: Usd,
    /// The budgets that it must fit into; none where it is free, or limits are off.
    pub limits: Vec<SpendingLimit>,
    /// Those of the limits.
    windows: Vec<Window>,
}

/// What must be set aside for a request now.
///
/// `most` is what it may cost at most, or nothing where that is unknown. The limits of the gateway's `client` that asks are
/// in force whether or not those of all are.
pub fn claim(
    budget: &BudgetConfig,
    client: Option<&GatewayClient>,
    most: Option<Usd>,
    now: Timestamp,
) -> Result<Claim> {
    if most == Some(Usd::ZERO) {
        return Ok(Claim::default());
    }
    // Requests of known cost are not held up by those that were not.
    let counted_as = if most.is_none() { budget.unpriced_cap } else { None }.unwrap_or_default();
    let of_all = [
        (Window::Day, budget.enabled.then_some(budget.daily_limit)),
        (Window::Month, budget.enabled.then_some(budget.monthly_limit)),
    ];
    let of_client = [
        (Window::Day, client.and_then(|client| client.daily_limit)),
        (Window::Month, client.and_then(|client| client.monthly_limit)),
    ];
    let (windows, limits): (Vec<Window>, Vec<SpendingLimit>) = [(false, of_all), (true, of_client)]
        .into_iter()
        .flat_map(|(of_client, limits)| limits.map(|(window, most)| (of_client, window, most)))
        .filter_map(|(of_client, window, most)| {
            let most = most?;
            let span = window.around(now, &budget.time_zone);
            Some((
                window,
                SpendingLimit {
                    span,
                    of_client,
                    most,
                    unpriced: counted_as,
                },
            ))
        })
        .unzip();
    if limits.is_empty() {
        return Ok(Claim::default());
    }
    let Some(amount) = most.or(budget.unpriced_cap) else {
        return Err(Error::new(Code::PriceUnknown, "the cost of the request is unknown, and the budget is enforced")
            .hint("add the model's price as [[prices]] in config.toml, or set `budget.unpriced_cap` to the amount that such a request counts as"));
    };
    Ok(Claim {
        amount,
        limits,
        windows,
    })
}

impl Claim {
    /// Why the request of `client` does not fit into the limit at `at`, of which that is spent.
    pub fn refusal(&self, at: usize, spent: Spent, client: Option<&GatewayClient>) -> Error {
        let (window, limit, amount) = (self.windows[at], self.limits[at], self.amount);
        let most = limit.most;
        let left = limit.left(spent).or_zero();
        let (whose, way_out) = match client.filter(|_| limit.of_client) {
            Some(client) => (
                format!(" of the client {}", client.name),
                "give the client a higher limit",
            ),
            None => (String::new(), "raise it under [budget] in config.toml"),
        };
        if limit.unpriced > Usd::ZERO {
            let message = format!(
                "the cost of the request is unknown: it counts as {amount}, as others of the {} did, and only {left} of the \
                 {} budget{whose} ({most}) is left",
                window.as_str(),
                window.as_str()
            );
            return Error::new(Code::OverBudget, message)
                .hint("add the model's price as [[prices]] in config.toml, or change `budget.unpriced_cap`");
        }
        let message = format!(
            "the request may cost {amount}, but only {left} of the {} budget{whose} ({most}) is left",
            window.as_str()
        );
        Error::new(Code::OverBudget, message).hint(format!(
            "wait until the budget resets, {way_out}, ask for fewer output tokens, or use a free model"
        ))
    }
}
