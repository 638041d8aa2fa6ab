//! What the backup commands answer.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    domain::Secret,
    services::backup::{BackupHistory, FoundBackup, MadeBackup, Restored, VerifiedBackup},
    storage::backup::BackupManifest,
    tools::view::{Block, Cell, Column, Tone, View, ago, count},
};

pub(super) fn made_json(made: &MadeBackup, verified: Option<&VerifiedBackup>) -> Value {
    // EXPOSE: shown once to the person who requested it; it is kept nowhere
    let code = made.recovery_code.as_ref().map(Secret::expose);
    json!({
        "file": made.file.display().to_string(),
        "backup_id": made.backup_id,
        "size": made.size,
        "manifest": made.manifest,
        "recovery_code": code,
        "verified": verified.is_some(),
        "warnings": made.warnings,
    })
}

pub(super) fn made(made: &MadeBackup, verified: Option<&VerifiedBackup>) -> View {
    let said = format!(
        "Created {} ({}): {}",
        made.file.display(),
        bytes(made.size),
        contents(&made.manifest)
    );
    let mut view = View::line(Tone::Good, said);
    if let Some(code) = &made.recovery_code {
        // EXPOSE: shown once to the person who requested it, on the terminal; it is kept nowhere
        let code = code.expose();
        view = view
            .and(Block::Line(Tone::Attention, format!("Recovery code  {code}")))
            .and(Block::Warning(
                "write the recovery code down: it opens this backup and is not shown again".to_owned(),
            ));
    }
    view = view.and(match verified {
        Some(_) => Block::Line(Tone::Good, "Verified: all of it was read and decrypted".to_owned()),
        None => Block::Hint(format!(
            "`api-keys backup verify {}` reads all of it",
            made.file.display()
        )),
    });
    with_warnings(view, &made.warnings)
}

pub(super) fn verified_json(file: &Path, verified: &VerifiedBackup) -> Value {
    json!({
        "ok": true,
        "file": file.display().to_string(),
        "backup_id": verified.backup_id,
        "manifest": verified.manifest,
        "secrets": verified.secrets,
        "audit_entries": verified.trail,
        "newer_here": verified.newer,
        "warnings": verified.warnings,
    })
}

pub(super) fn verified(file: &Path, verified: &VerifiedBackup) -> View {
    let manifest = &verified.manifest;
    let mut view = View::line(
        Tone::Good,
        format!(
            "{} is whole: {}, {} secrets opened, {} audit entries",
            file.display(),
            contents(manifest),
            count(verified.secrets),
            count(verified.trail)
        ),
    )
    .and(Block::Line(
        Tone::Plain,
        format!(
            "Made at {} by version {}",
            manifest.created_at.strftime("%Y-%m-%d %H:%M UTC"),
            manifest.program
        ),
    ));
    for newer in &verified.newer {
        view = view.and(Block::Line(Tone::Attention, format!("Newer here: {newer}")));
    }
    with_warnings(view, &verified.warnings)
}

pub(super) fn found_json(found: &[FoundBackup], history: &BackupHistory) -> Value {
    let backups: Vec<Value> = found
        .iter()
        .map(|backup| {
            let file = backup.file.display().to_string();
            match &backup.header {
                Ok(header) => json!({
                    "file": file,
                    "size": backup.size,
                    "backup_id": header.backup_id,
                    "created_at": header.created_at,
                    "opens_with": header.slot_kinds().iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
                    "verified_at": history.verified_at(&header.backup_id.to_string()),
                }),
                Err(why) => json!({"file": file, "size": backup.size, "problem": why.to_string()}),
            }
        })
        .collect();
    json!({ "backups": backups })
}

pub(super) fn found(folder: &Path, found: &[FoundBackup], history: &BackupHistory, now: Timestamp) -> View {
    if found.is_empty() {
        return View::line(Tone::Plain, format!("No backups in {}", folder.display())).and(Block::Hint(format!(
            "`api-keys backup create {}` makes one",
            folder.display()
        )));
    }
    let rows = found
        .iter()
        .map(|backup| {
            let name = backup
                .file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            match &backup.header {
                Ok(header) => {
                    let kinds: Vec<&str> = header.slot_kinds().iter().map(|kind| kind.as_str()).collect();
                    let verified = history.verified_at(&header.backup_id.to_string());
                    vec![
                        name.into(),
                        ago(header.created_at, now).into(),
                        Cell::number(bytes(backup.size)),
                        kinds.join(", ").into(),
                        match verified {
                            Some(at) => Cell::new(Tone::Good, ago(at, now)),
                            None => Cell::new(Tone::Faint, "not here"),
                        },
                    ]
                }
                Err(why) => vec![
                    name.into(),
                    Cell::new(Tone::Bad, why.to_string()),
                    Cell::number(bytes(backup.size)),
                    "".into(),
                    "".into(),
                ],
            }
        })
        .collect();
    let columns = [
        Column::new("FILE"),
        Column::new("MADE").wrapped(),
        Column::new("SIZE").rank(2),
        Column::new("OPENS WITH").rank(3),
        Column::new("VERIFIED").rank(1),
    ];
    View::default().and(Block::table(columns, rows))
}

pub(super) fn restored_json(restored: &Restored) -> Value {
    json!({
        "home": restored.home.display().to_string(),
        "kept": restored.aside.as_ref().map(|aside| aside.display().to_string()),
        "manifest": restored.manifest,
        "slots": restored.slots.iter().map(|slot| json!({"id": slot.id.to_string(), "kind": slot.kind.as_str()})).collect::<Vec<_>>(),
        "newer_before": restored.newer,
        "warnings": restored.warnings,
    })
}

pub(super) fn restored(restored: &Restored, into: Option<&Path>) -> View {
    let said = format!(
        "Restored into {}: {}",
        restored.home.display(),
        contents(&restored.manifest)
    );
    let mut view = View::line(Tone::Good, said);
    for slot in &restored.slots {
        view = view.and(Block::Line(
            Tone::Plain,
            format!("The vault opens here with a new keyslot ({})", slot.kind),
        ));
    }
    if let Some(aside) = &restored.aside {
        view = view.and(Block::Line(
            Tone::Plain,
            format!("What was there before is kept in {}", aside.display()),
        ));
    }
    for newer in &restored.newer {
        view = view.and(Block::Line(Tone::Attention, format!("Not in the backup: {newer}")));
    }
    if into.is_some() {
        view = view.and(Block::Hint(format!(
            "set API_KEYS_HOME to {} to use it",
            restored.home.display()
        )));
    }
    with_warnings(view, &restored.warnings)
}

pub(super) fn pruned(files: &[String], kept: usize, is_dry: bool) -> View {
    let done = if is_dry { "Would delete" } else { "Deleted" };
    let s = |count: usize| if count == 1 { "" } else { "s" };
    let view = View::line(
        Tone::Good,
        format!(
            "{done} {} backup{}; {kept} backup{} stay",
            files.len(),
            s(files.len()),
            s(kept)
        ),
    );
    files.iter().fold(view, |view, file| {
        view.and(Block::Line(Tone::Faint, format!("  {file}")))
    })
}

/// What is in a backup, in a few words.
fn contents(manifest: &BackupManifest) -> String {
    let number = |number: u64, what: &str| format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" });
    let mut parts = Vec::new();
    match &manifest.vault {
        Some(vault) => parts.push(number(vault.keys, "key")),
        None => parts.push("no vault".to_owned()),
    }
    if let Some(ledger) = &manifest.ledger {
        parts.push(number(ledger.records, "usage record"));
    }
    if manifest.clients > 0 {
        parts.push(number(manifest.clients, "gateway client"));
    }
    parts.join(", ")
}

/// A size for people.
fn bytes(size: u64) -> String {
    let (unit, name) = match size {
        1_073_741_824.. => (1_073_741_824, "GiB"),
        1_048_576.. => (1_048_576, "MiB"),
        1024.. => (1024, "KiB"),
        _ => return format!("{size} B"),
    };
    let tenths = u128::from(size) * 10 / unit;
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

fn with_warnings(view: View, warnings: &[String]) -> View {
    warnings.iter().cloned().map(Block::Warning).fold(view, View::and)
}
