//! Opening the vault by what opens it, creating one where there is none, and changing it in turn.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

use super::caller::{Caller, Question};
use crate::{
    app::App,
    domain::{KeyRecord, Passphrase},
    error::{Code, Error, Result},
    settings::MasterKey,
    storage::{
        audit::{Action, AuditEntry, AuditOutcome},
        lock::LockError,
        vault::{
            Committed, Created, Edit, NewSlot, SlotKind, Unlock, Vault, VaultContents, VaultError, VaultFreshness,
            VaultStatus,
        },
    },
};

/// The pause between two looks at whether another call has opened the vault.
const UNLOCK_CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// How often a vault is opened again whose keys other processes replace meanwhile.
const MAX_TRIES: usize = 10;
/// The pause between two looks at whether another process still writes.
const WRITER_CHECK_INTERVAL: Duration = Duration::from_millis(2);

/// Opens the vault: by the keychain or key file, by the passphrase of the environment, or by asking.
pub async fn open(app: &App, caller: &dyn Caller) -> Result<()> {
    match open_unasked(app).await {
        Err(error) if error.code() == Code::VaultLocked => {}
        outcome => return outcome,
    }
    let passphrase = tokio::select! {
        biased;
        typed = caller.ask(Question::Passphrase) => match typed {
            Err(_) if is_open(app) => return Ok(()),
            typed => Passphrase::new(typed?),
        },
        // What was typed for another call has opened it for this one too.
        () = opened(app) => return Ok(()),
    };
    unlock(app, Some(passphrase)).await
}

/// Returns once the vault is open.
async fn opened(app: &App) {
    while !is_open(app) {
        sleep(UNLOCK_CHECK_INTERVAL).await;
    }
}

fn is_open(app: &App) -> bool {
    matches!(app.vault().status(), Ok(VaultStatus::Unlocked { .. }))
}

/// Opens the vault by what needs no person: the keychain, the key file, or the passphrase of the environment.
pub async fn open_unasked(app: &App) -> Result<()> {
    match app.vault().status()? {
        VaultStatus::Unlocked { .. } => return Ok(()),
        VaultStatus::Absent => return Err(absent()),
        VaultStatus::Locked { .. } => {}
    }
    match unlock(app, None).await {
        Err(error) if error.code() == Code::VaultLocked => {}
        outcome => return outcome,
    }
    let variable = &app.settings().current().vault.passphrase_env;
    match app.settings().passphrase_from_environment() {
        Some(passphrase) => unlock(app, Some(passphrase)).await.map_err(|error| {
            if error.code() == Code::WrongPassphrase {
                error.hint(format!(
                    "it came from {variable}: correct it, or unset it to be prompted"
                ))
            } else {
                error
            }
        }),
        None => Err(locked(variable)),
    }
}

/// Opens the vault as [`open`] does, and makes one by the configured master key where there is none.
///
/// Returns what people should know about a vault that was just made.
pub async fn open_or_create(app: &App, caller: &dyn Caller) -> Result<Vec<String>> {
    match open(app, caller).await {
        Err(error) if error.code() == Code::VaultAbsent => {}
        outcome => return outcome.map(|()| Vec::new()),
    }
    match create(app, caller, app.settings().current().vault.master_key).await {
        Ok((_, mut notices)) => {
            notices.push(
                "new vault: `api-keys vault add-slot recovery` creates a recovery code that opens it if all else is lost"
                    .to_owned(),
            );
            Ok(notices)
        }
        // Another process was quicker.
        Err(error) if error.code() == Code::VaultExists => open(app, caller).await.map(|()| Vec::new()),
        Err(error) => Err(error),
    }
}

/// What is wrong with an open vault that can only be read, and what to do about it.
pub fn standing(app: &App) -> Result<Option<String>> {
    let contents = app.vault().contents()?;
    let problem = match contents.standing {
        VaultFreshness::Current => return Ok(None),
        VaultFreshness::RolledBack { newest } => format!(
            "this vault file is older than the last one written here (write {} of {newest})",
            contents.generation
        ),
        VaultFreshness::Forked => "this vault file is another than the last one written here".to_owned(),
        VaultFreshness::Foreign => "this is another vault than the one written here".to_owned(),
        VaultFreshness::AnchorDamaged => "the anchor that detects an outdated vault file is damaged".to_owned(),
    };
    Ok(Some(format!(
        "{problem}: keys can be read but not changed; put the newest file back, or accept this one with `api-keys vault accept-rollback`"
    )))
}

/// Makes a vault that `master_key` opens; returns what people should know about it.
pub async fn create(app: &App, caller: &dyn Caller, master_key: MasterKey) -> Result<(Created, Vec<String>)> {
    match master_key {
        MasterKey::Keychain => create_with(app, caller, SlotKind::Keychain, None).await,
        MasterKey::KeyFile => create_with(app, caller, SlotKind::KeyFile, None).await,
        MasterKey::Passphrase => {
            let passphrase = match app.settings().passphrase_from_environment() {
                Some(passphrase) => passphrase,
                None => Passphrase::new(caller.ask(Question::NewPassphrase).await?),
            };
            create_with(app, caller, SlotKind::Passphrase, Some(passphrase)).await
        }
        MasterKey::Auto => match create_with(app, caller, SlotKind::Keychain, None).await {
            Err(error) if error.code() == Code::KeychainUnavailable => {
                let (created, mut notices) = create_with(app, caller, SlotKind::KeyFile, None).await?;
                notices.push(format!(
                    "no keychain is available ({error}), so a key file on this machine opens the vault: that protects it \
                     where it is copied or backed up alone, not from programs that run as you; \
                     `api-keys vault add-slot passphrase`, then `api-keys vault remove-slot key-file`, change that"
                ));
                Ok((created, notices))
            }
            outcome => outcome,
        },
    }
}

async fn create_with(
    app: &App,
    caller: &dyn Caller,
    kind: SlotKind,
    passphrase: Option<Passphrase>,
) -> Result<(Created, Vec<String>)> {
    let (now, actor) = (app.now(), caller.kind().to_string());
    on_a_thread(app, move |vault| {
        let slot = match (kind, &passphrase) {
            (SlotKind::Passphrase, Some(passphrase)) => NewSlot::Passphrase(passphrase),
            (SlotKind::Keychain, _) => NewSlot::Keychain,
            (SlotKind::KeyFile, _) => NewSlot::KeyFile,
            (SlotKind::Passphrase | SlotKind::Recovery, _) => NewSlot::Recovery,
        };
        Ok(settle(vault.create(now, &actor, &[slot])?))
    })
    .await
}

async fn unlock(app: &App, passphrase: Option<Passphrase>) -> Result<()> {
    on_a_thread(app, move |vault| {
        tracing::debug!("opening the vault");
        let with = passphrase.as_ref().map_or(Unlock::Automatic, Unlock::Passphrase);
        vault.unlock(with).map_err(Error::from)
    })
    .await
}

/// Does slow work (a keychain that asks its user, a key derivation) where it holds up no other call.
async fn on_a_thread<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&Vault) -> Result<T> + Send + 'static,
) -> Result<T> {
    let vault = Arc::clone(app.vault());
    tokio::task::spawn_blocking(move || work(&vault))
        .await
        .map_err(|_| Error::new(Code::Internal, "opening the vault was cut short"))?
}

/// Waits while another process is writing, and holds up no other call meanwhile.
///
/// A process that was stopped in the middle keeps its right to write: fails with `busy` after the vault's patience.
pub(super) async fn turn(app: &App) -> Result<()> {
    let since = Instant::now();
    while app.vault().is_held()? {
        let waited = since.elapsed();
        if waited >= app.vault().lock_wait() {
            return Err(LockError::Busy { waited }.into());
        }
        sleep(WRITER_CHECK_INTERVAL).await;
    }
    Ok(())
}

/// What the vault holds, opened as [`open`] does.
pub(super) async fn contents(app: &App, caller: &dyn Caller) -> Result<Arc<VaultContents>> {
    open_and_read(app, Some(caller)).await
}

/// What the vault holds, opened as [`open_unasked`] does.
pub(super) async fn contents_unasked(app: &App) -> Result<Arc<VaultContents>> {
    open_and_read(app, None).await
}

async fn open_and_read(app: &App, caller: Option<&dyn Caller>) -> Result<Arc<VaultContents>> {
    let mut tries = MAX_TRIES;
    loop {
        match caller {
            Some(caller) => open(app, caller).await?,
            None => open_unasked(app).await?,
        }
        match app.vault().contents() {
            Err(VaultError::Locked { .. }) if tries > 0 => tries -= 1,
            outcome => return Ok(outcome?),
        }
    }
}

/// Does `work` once it is this process's turn, and once more after another process has changed what opens the vault.
pub(super) async fn in_turn<T>(app: &App, mut work: impl FnMut(&Vault) -> Result<T>) -> Result<T> {
    let mut tries = MAX_TRIES;
    loop {
        turn(app).await?;
        match work(app.vault()) {
            Err(error) if error.code() == Code::VaultLocked && tries > 0 => {
                tries -= 1;
                open_unasked(app).await?;
            }
            outcome => return outcome,
        }
    }
}

/// Makes one change to the vault, after writing down what time has done to its keys.
///
/// `edit` gets the time of the change: later than that of every change before it, whatever the clocks of the
/// processes say, because undo goes by it.
pub(super) async fn change<T>(
    app: &App,
    entry: &AuditEntry,
    edit: impl FnOnce(&mut Edit, Timestamp) -> Result<T>,
) -> Result<(T, Vec<String>)> {
    let mut edit = Some(edit);
    let committed = in_turn(app, |vault| {
        vault.change(entry, |contents| {
            let edit = edit
                .take()
                .ok_or_else(|| Error::new(Code::Internal, "a change was made twice"))?;
            let now = app.now();
            let lapsed = tidy(contents, now);
            let last = contents
                .contents()
                .keys
                .values()
                .filter_map(KeyRecord::last_change)
                .max();
            let after_last = last.and_then(|last| last.checked_add(SignedDuration::from_nanos(1)).ok());
            let at = after_last.map_or(now, |after_last| after_last.max(now));
            Ok((edit(contents, at)?, lapsed))
        })
    })
    .await?;
    let ((value, lapsed), notices) = settle(committed);
    for entry in &lapsed {
        // It has happened: a trail that cannot be written is no reason to undo the change.
        drop(app.vault().record(entry));
    }
    Ok((value, notices))
}

/// The value and, where the disk did not confirm it, a warning: that is no failure to retry.
pub fn settle<T>(committed: Committed<T>) -> (T, Vec<String>) {
    let notice = "the change was made, but the disk did not confirm it: a power cut may revert it";
    let notices = if committed.is_durable() {
        Vec::new()
    } else {
        vec![notice.to_owned()]
    };
    (committed.into_inner(), notices)
}

/// Ends grace that ran out, and forgets what is past bringing back; returns what it did, as the audit trail says it.
fn tidy(edit: &mut Edit, now: Timestamp) -> Vec<AuditEntry> {
    let records: Vec<KeyRecord> = edit.contents().keys.values().cloned().collect();
    let mut lapsed = Vec::new();
    for mut record in records {
        if record.is_purgeable(now) {
            lapsed.push(lapse(Action::PurgeKey, &record, "removed 30 days ago", now));
            edit.remove_record(record.key_id);
            continue;
        }
        let before = record.clone();
        for version in &mut record.versions {
            version.state = version.state_at(now);
        }
        if record != before {
            lapsed.push(lapse(Action::RetireKey, &record, "its grace is over", now));
        }
        for version in record.versions.extract_if(.., |version| version.is_purgeable(now)) {
            lapsed.push(lapse(Action::PurgeKey, &before, "a secret replaced 30 days ago", now));
            edit.forget_secret(before.key_id, version.version);
        }
        if record != before {
            edit.record(record);
        }
    }
    lapsed
}

/// What time did to a key.
fn lapse(action: Action, record: &KeyRecord, detail: &str, at: Timestamp) -> AuditEntry {
    AuditEntry {
        at,
        actor: "api-keys".to_owned(),
        action,
        provider: Some(record.provider.clone()),
        label: Some(record.label.clone()),
        key_id: Some(record.key_id),
        outcome: AuditOutcome::Done,
        detail: Some(detail.to_owned()),
    }
}

fn absent() -> Error {
    Error::new(Code::VaultAbsent, "there is no vault yet")
        .hint("`api-keys setup` creates one; so does adding the first key: `api-keys add PROVIDER`")
}

fn locked(variable: &str) -> Error {
    Error::new(Code::VaultLocked, "the vault is locked: it needs its passphrase")
        .hint(format!("set {variable} where the server is started, or use a tool that changes keys: a local page then prompts for the passphrase"))
}
