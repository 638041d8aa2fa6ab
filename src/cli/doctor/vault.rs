//! Whether the vault opens and is the newest one, what opens it, and whether its audit trail is whole.

use super::{
    super::audit,
    finding::{Finding, Severity},
};
use crate::{
    app::App,
    error::{Code, Result},
    storage::vault::{SlotKind, VaultFreshness, VaultStatus},
    tools::view,
};

pub(super) fn the_vault(app: &App, open: &Result<()>) -> Finding {
    let variable = &app.settings().current().vault.passphrase_env;
    match open {
        Ok(()) => {}
        Err(error) if error.code() == Code::VaultAbsent => {
            return Finding::new("vault", Severity::Notice, "there is no vault yet").fix("`api-keys setup` makes one");
        }
        Err(error) if error.code() == Code::VaultLocked => {
            return Finding::new(
                "vault",
                Severity::Notice,
                "locked by a passphrase; the keys were not checked",
            )
            .fix(format!("set {variable} for a full check"));
        }
        Err(error) => return Finding::of("vault", error),
    }
    match app.vault().contents() {
        Err(error) => Finding::of("vault", &error.into()),
        Ok(contents) => {
            let wrong = |said: &str| {
                Finding::new("vault", Severity::Wrong, said).fix(
                    "restore the newest copy of vault.json; or, if this one is right, `api-keys vault accept-rollback`",
                )
            };
            match contents.standing {
                VaultFreshness::Current => Finding::good(
                    "vault",
                    format!(
                        "{} opens and is intact (version {})",
                        app.vault().path().display(),
                        contents.generation
                    ),
                ),
                VaultFreshness::RolledBack { .. } => wrong("vault.json is older than the last one written here"),
                VaultFreshness::Forked => wrong("vault.json differs from the last one written here"),
                VaultFreshness::Foreign => wrong("vault.json is not the vault last written here"),
                VaultFreshness::AnchorDamaged => wrong("the anchor that detects an outdated vault.json is damaged"),
            }
        }
    }
}

/// What opens the vault, and whether losing one thing would lose it all.
pub(super) fn ways_in(app: &App) -> Option<Finding> {
    let slots = match app.vault().status() {
        Ok(VaultStatus::Locked { slots } | VaultStatus::Unlocked { slots, .. }) => slots,
        // The check of the vault has reported it.
        Ok(VaultStatus::Absent) | Err(_) => return None,
    };
    let kinds: Vec<&str> = slots.iter().map(|slot| slot.kind.as_str()).collect();
    let kinds = kinds.join(", ").replace('-', " ");
    let spare = slots.len() > 1 || slots.iter().any(|slot| slot.kind == SlotKind::Recovery);
    Some(if spare {
        Finding::good("master key", format!("opened by any of {kinds}"))
    } else {
        Finding::new(
            "master key",
            Severity::Notice,
            format!("opened only by the {kinds}: if it is lost, so are the keys"),
        )
        .fix("`api-keys vault add-slot recovery` makes a code to write down")
    })
}

pub(super) fn trail(app: &App) -> Finding {
    match app.vault().verify_audit() {
        Err(error) => Finding::of("audit", &error.into()),
        Ok(report) => match &report.fault {
            Some(fault) => Finding::of("audit", &audit::broken(fault)),
            None if report.torn => Finding::new("audit", Severity::Notice, "a crash cut the last line short")
                .fix("nothing to do: the next entry repairs it"),
            None => Finding::good("audit", format!("intact ({} entries)", view::count(report.entries))),
        },
    }
}
