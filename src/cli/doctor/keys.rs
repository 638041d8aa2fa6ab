//! Whether the stored keys work, and which of them need attention.

use jiff::Timestamp;

use super::{
    super::{caller::Terminal, command::wait, key_name},
    finding::{Finding, Severity},
};
use crate::{
    app::App,
    domain::{KeyRecord, KeyStatus},
    error::Result,
    services::validation::{self, ValidationReport},
};

pub(super) fn stored_keys(app: &App, records: &[KeyRecord]) -> Vec<Finding> {
    let now = app.now();
    let mut findings: Vec<Finding> = records.iter().filter_map(|record| stored_key(record, now)).collect();
    if findings.is_empty() && !records.is_empty() {
        findings.push(Finding::good(
            "keys",
            match records.len() {
                1 => "1 stored; no action needed".to_owned(),
                count => format!("{count} stored; no action needed"),
            },
        ));
    }
    findings
}

fn stored_key(record: &KeyRecord, now: Timestamp) -> Option<Finding> {
    let name = key_name::show(&record.provider, &record.label);
    let said = if let Some(notice) = record.expiry_notice(now) {
        format!("{name} {notice}")
    } else if record.active().is_some_and(|active| active.exposed) {
        format!("{name} was exposed in a chat or a file")
    } else {
        return None;
    };
    Some(
        Finding::new("keys", Severity::Notice, said)
            .fix(format!("`api-keys rotate {name}`"))
            .of_key(&name),
    )
}

/// What the providers say about the keys right now: whether they can be reached, and whether the keys work.
pub(super) fn providers(app: &App, caller: &Terminal) -> Result<Vec<Finding>> {
    let (reports, _) = wait(validation::validate_all(app, caller))?;
    let finding = |report: &ValidationReport| {
        let name = key_name::show(&report.provider.id, &report.label);
        let status = report.validation.status;
        let fix = match status {
            KeyStatus::Valid => return Finding::good("provider", format!("{name} works")),
            KeyStatus::Invalid | KeyStatus::Expired | KeyStatus::Malformed => format!("`api-keys rotate {name}`"),
            KeyStatus::NoCredit => "add credit or raise the limit in the provider's console".to_owned(),
            KeyStatus::Forbidden => {
                format!("grant it more permissions in the provider's console, or `api-keys rotate {name}`")
            }
            KeyStatus::RateLimited => "nothing to do: it works again once the provider's rate limit resets".to_owned(),
            KeyStatus::Unreachable => report.hint.clone().unwrap_or_else(|| {
                let provider = &report.provider.id;
                format!("check the network, and `base_url` of {provider} if it is configured")
            }),
        };
        let health = match status.is_valid() {
            Some(false) => Severity::Wrong,
            Some(true) | None => Severity::Notice,
        };
        Finding::new("provider", health, format!("{name}: {}", report.validation.message))
            .fix(fix)
            .of_key(&name)
    };
    Ok(reports.iter().map(finding).collect())
}
