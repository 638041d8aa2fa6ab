//! Whether the ledger is whole, whether budgets hold, and how old the prices are.

use super::finding::{Finding, Severity};
use crate::{app::App, services::budget_status, storage::ledger::Depth, tools::view};

/// Whether a budget is exceeded or about to be, and whether anything in use has no price.
pub(super) fn budgets(app: &App) -> Vec<Finding> {
    // An unreadable ledger is reported by its own check.
    let Ok(budgets) = budget_status::check(app) else {
        return Vec::new();
    };
    let mut findings: Vec<Finding> = budgets
        .reached()
        .iter()
        .map(|alert| {
            Finding::new("budget", Severity::Notice, alert.message()).fix(
                "`api-keys usage --group-by model` shows what costs most; set limits under [budget] in config.toml",
            )
        })
        .collect();
    if budgets.monthly.unpriced_requests > 0 {
        let requests = view::requests(budgets.monthly.unpriced_requests);
        let said = format!("the cost of {requests} this month is unknown");
        findings.push(
            Finding::new("budget", Severity::Notice, said).fix(
                "`api-keys usage --group-by model` shows the models; add their prices as [[prices]] in config.toml",
            ),
        );
    }
    if findings.is_empty() {
        let said = format!("{} of {} spent today", budgets.daily.spent, budgets.daily.limit);
        findings.push(Finding::good("budget", said));
    }
    findings
}

pub(super) fn ledger(app: &App, is_deep: bool) -> Finding {
    let depth = if is_deep { Depth::Whole } else { Depth::Usual };
    match app.ledger().check(depth) {
        Err(error) => Finding::of("ledger", &error.into()),
        Ok(None) => Finding::good("ledger", "no usage recorded yet"),
        Ok(Some(found)) => {
            let rest = if found.with_indexes {
                ""
            } else {
                "; --deep also verifies its indexes"
            };
            Finding::good(
                "ledger",
                format!(
                    "{} is intact: {} records, {} kB{rest}",
                    app.ledger().path().display(),
                    view::count(found.records),
                    found.bytes.div_ceil(1000)
                ),
            )
        }
    }
}

/// The journals of gateways that were killed, where they could not be read to their end.
pub(super) fn journals(app: &App) -> Vec<Finding> {
    let ledger = app.ledger();
    match ledger.replay().and_then(|_| ledger.damaged_journals()) {
        Err(error) => vec![Finding::of("ledger", &error.into())],
        Ok(names) => {
            let folder = app.settings().paths().data_folder();
            let found = |name: String| {
                let path = folder.join(name);
                Finding::new(
                    "ledger",
                    Severity::Wrong,
                    format!(
                        "{} could not be read to its end: usage up to the damage is recorded, later usage is lost",
                        path.display()
                    ),
                )
                .fix("compare the usage with the providers' own pages, then remove the file")
            };
            names.into_iter().map(found).collect()
        }
    }
}
