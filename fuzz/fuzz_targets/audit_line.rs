//! Any trail is read without a panic, reported where it is not ours, and carried on.

#![no_main]

use std::{sync::LazyLock, time::Duration};

use api_keys::storage::{
    audit::{self, Action, AuditEntry, AuditOutcome},
    files::Folder,
    lock,
};
use libfuzzer_sys::fuzz_target;

static FOLDER: LazyLock<Folder> = LazyLock::new(|| {
    let path = std::env::temp_dir().join(format!("api-keys-fuzz-{}", std::process::id()));
    Folder::create(&path).expect("a folder")
});

fuzz_target!(|bytes: &[u8]| {
    let mac = |parts: &[&[u8]]| {
        let mut sum = [0; 32];
        for (at, byte) in parts.concat().iter().enumerate() {
            sum[at % 32] ^= byte;
        }
        sum
    };
    let _ = FOLDER.replace(audit::FILE, bytes).expect("written");
    let before = audit::verify(&FOLDER, &mac, None).expect("read");
    let _ = audit::recent(&FOLDER, 3).expect("read");
    let held = lock::acquire(&FOLDER, "lock", Duration::from_secs(1)).expect("the lock");
    let entry = AuditEntry {
        at: "2026-03-01T12:00:00Z".parse().expect("a time"),
        actor: "fuzz".to_owned(),
        action: Action::AddKey,
        provider: None,
        label: None,
        key_id: None,
        outcome: AuditOutcome::Done,
        detail: None,
    };
    let newest = audit::append(&held, &FOLDER, &mac, None, &entry).expect("carried on");
    let after = audit::verify(&FOLDER, &mac, Some(&newest)).expect("read");
    assert_eq!(
        after.fault.is_some(),
        before.fault.is_some(),
        "a break stays one and none comes of carrying on"
    );
    assert!(!after.torn);
});
