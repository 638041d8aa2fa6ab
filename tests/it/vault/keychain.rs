//! A vault that a real GNOME keyring opens.
#![cfg(all(target_os = "linux", feature = "keychain"))]

use std::{fs, path::Path};

use super::*;
use crate::{
    keychain::Desktop,
    support::{
        PATIENCE, eventually,
        outside::{tell, this_test, told},
    },
};
use api_keys::storage::vault::{inspect, keychain::Keychain};

const TASKS: &str = "API_KEYS_TEST_VAULT_TASKS";
const FOLDER: &str = "API_KEYS_TEST_VAULT_FOLDER";

/// Does nothing unless a test below started it.
#[test]
fn a_child_works_with_a_vault() {
    let (Ok(tasks), Ok(folder)) = (std::env::var(TASKS), std::env::var(FOLDER)) else {
        return;
    };
    let (hurry, tasks) = match tasks.strip_prefix("hurry ") {
        Some(tasks) => (true, tasks),
        None => (false, tasks.as_str()),
    };
    let mut places = VaultPlaces::in_folder(&folder);
    if !hurry {
        places.keychain_deadline = PATIENCE;
    }
    let vault = Vault::new(places);
    for task in tasks.split(' ') {
        let told = match task {
            "create" => vault
                .create(now(), "test", &[NewSlot::Keychain])
                .map(|_| "made".to_owned()),
            "create-with-key-file" => vault
                .create(now(), "test", &[NewSlot::KeyFile])
                .map(|_| "made".to_owned()),
            "open" => vault
                .unlock(Unlock::Automatic)
                .and_then(|()| vault.contents())
                .map(|contents| format!("{:?}, {} keys", contents.standing, contents.keys.len())),
            "add" => add(&vault, 1, "sk-ant-0123456789abcdef").map(|_| "added".to_owned()),
            "add-again" => add(&vault, 2, "sk-ant-0123456789abcdef").map(|_| "added".to_owned()),
            "accept" => vault.accept_rollback(now(), "test").map(|_| "accepted".to_owned()),
            "lose-entry" => {
                let bytes = fs::read(Path::new(&folder).join("vault.json")).expect("a vault file");
                let outline = inspect(&bytes).expect("well formed");
                let account = format!("{}/{}", outline.vault_id, outline.slots[0].id);
                Keychain::new(PATIENCE)
                    .remove(&account)
                    .map_err(VaultError::Keychain)
                    .map(|()| "lost".to_owned())
            }
            other => unreachable!("no such task: {other}"),
        };
        tell(&told.unwrap_or_else(|why| {
            let name = format!("{why:?}");
            name.split([' ', '{']).next().unwrap_or_default().to_owned()
        }));
        if !hurry {
            eventually(|| !is_asking(), "the keychain answers");
        }
    }
}

/// Whether the keychain has not answered yet: the vault does not wait for long until it keeps the anchor.
fn is_asking() -> bool {
    let mut threads = fs::read_dir("/proc/self/task").expect("threads");
    threads.any(|thread| {
        let name = fs::read_to_string(thread.expect("a thread").path().join("comm"));
        name.is_ok_and(|name| name.trim() == "keychain")
    })
}

/// What a process of the session `desktop` tells of each of `tasks`.
fn done(desktop: &Desktop, home: &Home, tasks: &str) -> Vec<String> {
    let mut child = this_test("vault::keychain::a_child_works_with_a_vault");
    let output = desktop
        .join(&mut child)
        .env(TASKS, tasks)
        .env(FOLDER, home.file(""))
        .output()
        .expect("the child runs");
    assert!(output.status.success(), "{output:?}");
    told(&output.stdout)
}

#[test]
fn a_keyring_opens_its_vault_in_every_process_of_the_session() {
    let Some(desktop) = Desktop::with_open_keyring() else {
        return;
    };
    let home = Home::new();
    assert_eq!(done(&desktop, &home, "create add"), ["made", "added"]);
    assert_eq!(done(&desktop, &home, "open"), ["Current, 1 keys"]);
    let names: Vec<_> = fs::read_dir(home.file(""))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert!(
        !names.iter().any(|name| name.to_string_lossy().ends_with(".key")),
        "{names:?}"
    );

    desktop.lock();
    assert_eq!(done(&desktop, &home, "open"), ["Keychain(Locked)"]);
}

#[test]
fn a_keyring_that_hangs_leaves_the_vault_closed_and_whole() {
    let Some(desktop) = Desktop::with_open_keyring() else {
        return;
    };
    let home = Home::new();
    done(&desktop, &home, "create add");
    let before = home.bytes();
    desktop.hang();
    assert_eq!(
        done(&desktop, &home, "hurry open create"),
        ["Keychain(TimedOut)", "Exists"]
    );
    desktop.wake();
    assert_eq!(done(&desktop, &home, "open"), ["Current, 1 keys"]);
    assert_eq!(home.bytes(), before);
}

#[test]
fn a_keyring_that_lost_the_entry_is_never_taken_for_a_first_run() {
    let Some(desktop) = Desktop::with_open_keyring() else {
        return;
    };
    let home = Home::new();
    done(&desktop, &home, "create add");
    let before = home.bytes();
    assert_eq!(
        done(&desktop, &home, "lose-entry open create create-with-key-file"),
        ["lost", "KeychainEntryMissing", "Exists", "Exists"]
    );
    assert_eq!(home.bytes(), before);
}

#[test]
fn a_whole_folder_that_was_put_back_is_noticed_by_the_keyring() {
    let Some(desktop) = Desktop::with_open_keyring() else {
        return;
    };
    let home = Home::new();
    done(&desktop, &home, "create add");
    let kept: Vec<_> = ["vault.json", "anchor.json"]
        .map(|name| (name, fs::read(home.file(name)).expect("a file")))
        .into();
    assert_eq!(done(&desktop, &home, "open add-again"), ["Current, 1 keys", "added"]);
    for (name, bytes) in &kept {
        fs::write(home.file(name), bytes).expect("put back");
    }
    let told = done(&desktop, &home, "open add-again accept add-again open");
    assert_eq!(
        told,
        [
            "RolledBack { newest: 3 }, 1 keys",
            "RolledBack",
            "accepted",
            "added",
            "Current, 2 keys"
        ]
    );
}

#[test]
fn without_a_keyring_nothing_is_made_and_nothing_is_in_the_way() {
    let Some(desktop) = Desktop::with_open_keyring() else {
        return;
    };
    desktop.hang();
    let home = Home::new();
    assert_eq!(done(&desktop, &home, "hurry create"), ["Keychain(TimedOut)"]);
    assert!(!home.file("vault.json").exists());
    desktop.wake();
    assert_eq!(
        done(&desktop, &home, "create-with-key-file open"),
        ["made", "Current, 0 keys"]
    );
}
