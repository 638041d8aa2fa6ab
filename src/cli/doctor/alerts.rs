//! Whether alerts reach their destinations.

use super::finding::{Finding, Severity};
use crate::app::App;

/// Destinations that were given up; where alerts go otherwise.
pub(super) fn destinations(app: &App) -> Vec<Finding> {
    let config = app.settings().current();
    // An unreadable ledger is reported by its own check.
    let Ok(dead) = app.ledger().dead_destinations() else {
        return Vec::new();
    };
    let mut findings: Vec<Finding> = Vec::new();
    for destination in &config.alerts {
        let name = destination.name.as_str();
        if let Some((_, why)) = dead.iter().find(|(dead, _)| dead == name) {
            let said = format!("alerts no longer reach {name}: {why}");
            let fix = format!(
                "`api-keys alerts add {} {name}` replaces its secret; `api-keys alerts test {name}` uses it again",
                destination.channel.as_str()
            );
            findings.push(Finding::new("alerts", Severity::Wrong, said).fix(fix));
        }
    }
    if findings.is_empty() && !config.alerts.is_empty() {
        let names: Vec<&str> = config
            .alerts
            .iter()
            .map(|destination| destination.name.as_str())
            .collect();
        findings.push(Finding::good("alerts", format!("sent to {}", names.join(", "))));
    }
    findings
}
