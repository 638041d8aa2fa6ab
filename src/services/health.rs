//! The health of the providers' keys, which all processes share through the ledger.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::ledger_writes;
use crate::{
    app::App,
    domain::{Health, KeyRecord, KeyStatus, Label, ProviderId, RequestOutcome, Signal, Trouble},
    error::Result,
    providers::Provider,
    storage::ledger::{Ledger, LedgerError, StoredHealth as Row},
};

/// The health of every key that has failed.
pub type Healths = BTreeMap<(ProviderId, Label), Health>;

/// The health of every key that has failed.
pub fn all(app: &App) -> Result<Healths> {
    let rows = app.ledger().health()?.into_iter();
    Ok(rows
        .map(|(provider, label, row)| ((provider, label), read(&row)))
        .collect())
}

/// Learns from how a request to `provider` ended, once it is recorded.
///
/// `label` is the key that it was made with; where that was not said, the only one there is. What a provider says of a quota
/// holds for all keys of the same pool. It is written to `ledger` at a time, or not at all.
pub fn observe(
    app: &App,
    ledger: &Ledger,
    provider: &ProviderId,
    label: Option<&Label>,
    outcome: &RequestOutcome,
    retry_after: Option<SignedDuration>,
) -> Result<()> {
    let config = app.settings().current();
    let provider = config.provider(provider.as_str())?;
    let (now, signal) = (app.now(), Signal::of(outcome, retry_after));
    let records = records_of(app, &provider.id);
    let label = label
        .cloned()
        .unwrap_or_else(|| usual_label(records.iter().map(|record| &record.label)));
    let known = all(app)?;
    let last = if matches!(signal, Signal::Failed { .. }) {
        last_signals(app, &provider.id, &label, now)?
    } else {
        Vec::new()
    };
    let news = |of_pool: &Label, before: Health| {
        if *of_pool != label && !concerns_the_pool(signal, before.trouble) {
            return None;
        }
        let restored_at = records
            .iter()
            .find(|record| record.label == *of_pool)
            .and_then(restored_at);
        let window = before.window(last.iter().copied(), now);
        let after = before.after(signal, window, restored_at, now);
        (after != before).then_some(after)
    };
    let pool = pool(&provider, &label);
    let is_new = |of_pool: &Label| {
        let before = known.get(&(provider.id.clone(), of_pool.clone()));
        news(of_pool, before.copied().unwrap_or_default()).is_some()
    };
    // Most requests say nothing new, and nothing is written then.
    if pool.iter().any(is_new) {
        ledger.change_health(&provider.id, &pool, |of_pool, row| {
            let before = row.as_ref().map_or_else(Health::default, read);
            news(of_pool, before).map(|health| written(&health)).or(row)
        })?;
    }
    Ok(())
}

/// Lets one request through to try a key whose cooldown is over; false where another process was quicker.
pub async fn claim(app: &App, provider: &Provider, label: &Label) -> Result<bool> {
    let (now, pool) = (app.now(), pool(provider, label));
    ledger_writes::turn(app, |ledger| {
        let mut is_claimed = false;
        ledger.change_health(&provider.id, &pool, |of_pool, row| {
            let claimed = row.as_ref().and_then(|row| read(row).claimed(now));
            // The key itself comes first.
            is_claimed |= of_pool == label && claimed.is_some();
            claimed.filter(|_| is_claimed).map(|health| written(&health)).or(row)
        })?;
        Ok::<_, LedgerError>(is_claimed)
    })
    .await
}

/// What the last requests with a key said of it, newest first.
fn last_signals(app: &App, provider: &ProviderId, label: &Label, now: Timestamp) -> Result<Vec<(Timestamp, Signal)>> {
    let outcomes = app.ledger().outcomes(Health::window_start(now))?;
    let of_key = outcomes
        .iter()
        .rev()
        .filter(|past| past.asked.model.provider == *provider)
        .filter(|past| past.asked.label.as_ref().is_none_or(|of_past| of_past == label));
    Ok(of_key.map(|past| (past.at, Signal::of(&past.outcome, None))).collect())
}

/// When the secret in use was last changed or found valid.
pub fn restored_at(record: &KeyRecord) -> Option<Timestamp> {
    let active = record.active()?;
    let validated = active.validation.as_ref();
    let validated = validated.filter(|validation| validation.status == KeyStatus::Valid);
    Some(active.added_at).max(validated.map(|validation| validation.validated_at))
}

/// The key that is meant where none is named: the only one there is, else the default one.
pub fn usual_label<'a>(mut labels: impl Iterator<Item = &'a Label>) -> Label {
    match (labels.next(), labels.next()) {
        (Some(only), None) => only.clone(),
        _ => Label::default(),
    }
}

/// `label` and all that share its quota, itself first.
pub(super) fn pool(provider: &Provider, label: &Label) -> Vec<Label> {
    let pool = provider.keys.get(label).and_then(|key| key.pool.as_ref());
    let mates = provider
        .keys
        .iter()
        .filter(|(mate, key)| pool.is_some() && key.pool.as_ref() == pool && *mate != label)
        .map(|(mate, _)| mate);
    std::iter::once(label).chain(mates).cloned().collect()
}

/// Whether what `signal` says of one key holds for one that shares its quota and has `trouble`.
fn concerns_the_pool(signal: Signal, trouble: Option<Trouble>) -> bool {
    match signal {
        Signal::RateLimited { .. } | Signal::NoCredit => true,
        Signal::Success | Signal::Rejected => matches!(trouble, Some(Trouble::RateLimited | Trouble::NoCredit)),
        Signal::Failed { .. } | Signal::Refused | Signal::NoVerdict => false,
    }
}

/// The provider's keys, as far as the vault is open.
fn records_of(app: &App, provider: &ProviderId) -> Vec<KeyRecord> {
    let Ok(contents) = app.vault().contents() else {
        return Vec::new();
    };
    let of_provider = |record: &&KeyRecord| record.provider == *provider && record.removed_at.is_none();
    contents.keys.values().filter(of_provider).cloned().collect()
}

fn read(row: &Row) -> Health {
    let trouble = row.trouble.as_deref();
    Health {
        // A word of a newer version: something is wrong, and time will tell.
        trouble: trouble.map(|word| {
            let known = Trouble::ALL.into_iter().find(|trouble| trouble.as_str() == word);
            known.unwrap_or(Trouble::Failing)
        }),
        since: row.since,
        until: row.until,
        strikes: row.strikes,
        probe_until: row.probe_until,
    }
}

fn written(health: &Health) -> Row {
    Row {
        trouble: health.trouble.map(|trouble| trouble.as_str().to_owned()),
        since: health.since,
        until: health.until,
        strikes: health.strikes,
        probe_until: health.probe_until,
    }
}
