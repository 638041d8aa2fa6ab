//! Asking providers whether keys work, without spending tokens.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout_at};

use super::{
    caller::{Caller, CallerKind},
    keys,
    new_secret::{self, NewSecret, chat_warning},
    vault_access,
};
use crate::{
    app::App,
    domain::{KeyId, KeyRecord, KeyStatus, Label, Secret, Validation},
    error::{Code, Error, Result},
    providers::{Account, Checked, Provider},
    storage::audit::{Action, AuditEntry},
};

/// How long a result is kept before the provider is asked again.
const MAX_AGE: SignedDuration = SignedDuration::from_secs(60);
/// How many providers are asked at the same time.
const MAX_CONCURRENT: usize = 4;
/// Why a secret is revealed here, as the audit trail says it.
const TO_ASK: &str = "to ask the provider about it";
/// When a round of checks ends, even where some have not answered: the results are recorded afterwards.
const ROUND_TIMEOUT: Duration = Duration::from_secs(11);

/// What is known of one key after asking.
#[derive(Debug, Clone)]
pub struct ValidationReport {
    pub provider: Provider,
    pub label: Label,
    pub masked: Option<String>,
    pub validation: Validation,
    /// Whether the answer is one of the last minute, not a new one.
    pub cached: bool,
    pub warnings: Vec<String>,
    /// What to do where the provider could not be reached.
    pub hint: Option<String>,
    /// Where the answer is to be written down, if it is new and about a stored key.
    target: Option<StoredSecret>,
}

/// The stored secret that an answer is about.
#[derive(Debug, Clone)]
struct StoredSecret {
    key_id: KeyId,
    version: u32,
    account: Option<Account>,
    /// When the provider says that the key expires.
    expires_at: Option<Timestamp>,
}

/// Asks the provider about a stored key and writes the answer down beside it.
pub async fn validate(app: &App, caller: &dyn Caller, provider: &Provider, label: &Label) -> Result<ValidationReport> {
    let stored = match vault_access::contents(app, caller).await {
        Ok(contents) => keys::expect(contents.keys.values(), &provider.id, label).cloned(),
        Err(error) => Err(keys::without_vault(error, &provider.id, label)),
    };
    match stored {
        Ok(record) => {
            let mut report = ask(app, caller, provider, &record).await?;
            let end = Instant::now() + app.vault().lock_wait();
            let notices = store(app, caller, std::slice::from_ref(&report), end).await;
            report.warnings.extend(notices);
            Ok(report)
        }
        // A server that needs no key is checked without one.
        Err(error) if error.code() == Code::KeyNotFound && !provider.needs_key() => {
            let checked = app.checker().check(provider, None, &provider.origin).await;
            Ok(report(provider, label, of(&checked, app.now())))
        }
        Err(error) => Err(error),
    }
}

/// Asks the provider about a key that is not stored; nothing of it is kept.
pub async fn validate_given(
    app: &App,
    caller: &dyn Caller,
    provider: &Provider,
    label: &Label,
    text: &Secret,
) -> Result<ValidationReport> {
    let mut warnings = Vec::new();
    if matches!(caller.kind(), CallerKind::Mcp { .. }) {
        warnings.extend(chat_warning(app.settings().current().vault.keys_in_chat)?);
    }
    let (masked, validation) = match new_secret::read(provider, text) {
        Ok(NewSecret {
            key, warnings: notes, ..
        }) => {
            warnings.extend(notes);
            let checked = app.checker().check(provider, Some(&key), &provider.origin).await;
            (Some(provider.masked(&key)), of(&checked, app.now()))
        }
        Err(error) => (
            None,
            Validation {
                status: KeyStatus::Malformed,
                http_status: None,
                message: format!("{error}; it was not sent"),
                restricted: false,
                missing_scopes: Vec::new(),
                latency_ms: 0,
                validated_at: app.now(),
            },
        ),
    };
    Ok(ValidationReport {
        masked,
        warnings,
        ..report(provider, label, validation)
    })
}

/// Asks about every stored key, at most four at a time, and never longer than twelve seconds in all.
pub async fn validate_all(app: &App, caller: &dyn Caller) -> Result<(Vec<ValidationReport>, Vec<String>)> {
    let mut since = Instant::now();
    match vault_access::open_unasked(app).await {
        Err(error) if error.code() == Code::VaultAbsent => return Ok((Vec::new(), Vec::new())),
        Err(error) if error.code() == Code::VaultLocked => {
            vault_access::open(app, caller).await?;
            // Whoever types a passphrase takes the time that it takes.
            since = Instant::now();
        }
        outcome => outcome?,
    }
    let end = since + ROUND_TIMEOUT;
    let records = keys::list(app)?;
    let total = records.len();
    let questions: Vec<_> = records
        .into_iter()
        .map(|record| ask_until(app, caller, record, end))
        .collect();
    let mut answers = stream::iter(questions).buffer_unordered(MAX_CONCURRENT);
    let mut reports = Vec::with_capacity(total);
    while let Some(answer) = answers.next().await {
        let said = format!(
            "{}:{} is {}",
            answer.provider.id,
            answer.label,
            answer.validation.status.as_str()
        );
        reports.push(answer);
        caller.progress(reports.len(), total, &said);
    }
    reports.sort_by(|a, b| (&a.provider.id, &a.label).cmp(&(&b.provider.id, &b.label)));
    let warnings = store(app, caller, &reports, end).await;
    Ok((reports, warnings))
}

/// Asks about one key of a round; what stands in the way becomes its answer.
async fn ask_until(app: &App, caller: &dyn Caller, record: KeyRecord, end: Instant) -> ValidationReport {
    let provider = match app.settings().current().provider(record.provider.as_str()) {
        Ok(provider) => provider,
        Err(why) => {
            return not_asked(
                &Provider::own(record.provider.clone()),
                &record,
                why.to_string(),
                app.now(),
            );
        }
    };
    match timeout_at(end, ask(app, caller, &provider, &record)).await {
        Ok(Ok(report)) => report,
        Ok(Err(error)) => ValidationReport {
            hint: error.hint_text().map(str::to_owned),
            ..not_asked(&provider, &record, error.to_string(), app.now())
        },
        Err(_) => not_asked(
            &provider,
            &record,
            "the time was up before there was an answer; validate this key alone".to_owned(),
            app.now(),
        ),
    }
}

/// The account that the stored secret belongs to, where the provider says so.
pub(super) async fn ask_account(
    app: &App,
    caller: &dyn Caller,
    record: &KeyRecord,
    provider: &Provider,
) -> Result<Option<Account>> {
    let Some(active) = record.active() else {
        return Ok(None);
    };
    let key = keys::reveal(app, caller, record, active.version, TO_ASK).await?;
    Ok(app.checker().check(provider, Some(&key), &record.origin).await.account)
}

/// Asks about one stored key, unless the last answer is fresh; who types a command wants to know what is so now.
async fn ask(app: &App, caller: &dyn Caller, provider: &Provider, record: &KeyRecord) -> Result<ValidationReport> {
    keys::expect_origin(provider, record)?;
    let active = record
        .active()
        .ok_or_else(|| Error::new(Code::KeyNotFound, "the key's first secret was never finished"))?;
    let masked = Some(active.masked.clone());
    let warnings: Vec<String> = keys::expiry_warning(record, app.now()).into_iter().collect();
    let known = active.validation.as_ref().filter(|_| caller.kind() != CallerKind::Cli);
    if let Some(known) = known.filter(|known| is_fresh(known, app.now())) {
        return Ok(ValidationReport {
            masked,
            warnings,
            cached: true,
            ..report(provider, &record.label, known.clone())
        });
    }
    let key = keys::reveal(app, caller, record, active.version, TO_ASK).await?;
    let checked = app.checker().check(provider, Some(&key), &record.origin).await;
    let target = Some(StoredSecret {
        key_id: record.key_id,
        version: active.version,
        account: checked.account.clone(),
        expires_at: checked.expires_at,
    });
    Ok(ValidationReport {
        masked,
        warnings,
        target,
        ..report(provider, &record.label, of(&checked, app.now()))
    })
}

/// Writes the new answers down beside their keys; one that has changed meanwhile is left alone.
///
/// Until `end` at most. The answers stand, whether or not they could be written down: a warning says so.
async fn store(app: &App, caller: &dyn Caller, reports: &[ValidationReport], end: Instant) -> Vec<String> {
    let answers: Vec<(&StoredSecret, &Validation)> = reports
        .iter()
        .filter_map(|report| Some((report.target.as_ref()?, &report.validation)))
        .collect();
    if answers.is_empty() {
        return Vec::new();
    }
    let entry = match reports {
        [only] => {
            let said = Some(only.validation.status.as_str());
            AuditEntry {
                key_id: only.target.as_ref().map(|target| target.key_id),
                ..keys::entry(app, caller, Action::ValidateKey, &only.provider.id, &only.label, said)
            }
        }
        _ => keys::general_entry(app, caller, Action::ValidateKey),
    };
    let stored = vault_access::change(app, &entry, |edit, _| {
        for (target, validation) in answers {
            let Some(mut record) = edit.contents().keys.get(&target.key_id).cloned() else {
                continue;
            };
            let Some(version) = record
                .versions
                .iter_mut()
                .find(|version| version.version == target.version)
            else {
                continue;
            };
            version.validation = Some(validation.clone());
            if let Some(account) = &target.account {
                version.account = Some(edit.account_fingerprint(account.as_str()));
            }
            // What the provider says of the expiry is better than what was noted.
            record.expires_at = target.expires_at.or(record.expires_at);
            edit.record(record);
        }
        Ok(())
    });
    let unwritten = |why: &str| vec![format!("the provider's answer could not be written down: {why}")];
    match timeout_at(end, stored).await {
        Ok(Ok(((), notices))) => notices,
        Ok(Err(error)) => unwritten(error.message()),
        Err(_) => unwritten("another process held the vault for too long"),
    }
}

/// The part of a provider's answer that is kept.
pub(super) fn of(checked: &Checked, now: Timestamp) -> Validation {
    Validation {
        status: checked.status,
        http_status: checked.http_status,
        message: checked.message.clone(),
        restricted: checked.restricted,
        missing_scopes: checked.missing_scopes.clone(),
        latency_ms: checked.latency_ms,
        validated_at: now,
    }
}

/// Whether an answer still stands at `now`; one that said nothing of the key never does.
fn is_fresh(known: &Validation, now: Timestamp) -> bool {
    let age = now.duration_since(known.validated_at);
    known.status.is_valid().is_some() && !age.is_negative() && age < MAX_AGE
}

fn report(provider: &Provider, label: &Label, validation: Validation) -> ValidationReport {
    ValidationReport {
        provider: provider.clone(),
        label: label.clone(),
        masked: None,
        validation,
        cached: false,
        warnings: Vec::new(),
        hint: None,
        target: None,
    }
}

fn not_asked(provider: &Provider, record: &KeyRecord, why: String, now: Timestamp) -> ValidationReport {
    let validation = Validation {
        status: KeyStatus::Unreachable,
        http_status: None,
        message: why,
        restricted: false,
        missing_scopes: Vec::new(),
        latency_ms: 0,
        validated_at: now,
    };
    ValidationReport {
        masked: record.active().map(|active| active.masked.clone()),
        ..report(provider, &record.label, validation)
    }
}
