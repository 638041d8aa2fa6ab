//! A vault of each version of the format, as that version wrote it: never edited, always readable.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::*;

/// What was printed when the vault was made.
pub(super) const CODE: &str = "8J4T-SFPQ-NZ82-GNM4-H8KY-BKB8-GZAE-0Q66";
pub(super) const WORDS: &str = "correct horse battery staple";

/// The bytes of a golden file.
pub(super) fn golden(name: &str) -> Vec<u8> {
    read("vault-1", name)
}

/// A copy of the golden vault in a folder of its own.
pub(super) fn copy() -> Home {
    copy_of("vault-1")
}

/// A copy of a golden vault with one key and one slot: for what is done to every bit.
pub(super) fn small_copy() -> Home {
    copy_of("vault-1-small")
}

fn read(vault: &str, name: &str) -> Vec<u8> {
    fs::read(folder(vault).join(name)).expect("a golden file")
}

fn copy_of(vault: &str) -> Home {
    let home = Home::new();
    crate::support::private_folder(&home.file(""));
    for entry in fs::read_dir(folder(vault)).expect("a golden vault") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        private_file(&home.file(&name), &read(vault, &name));
    }
    home
}

fn folder(vault: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(vault)
}

#[test]
fn the_first_version_is_read_whatever_opens_it() {
    let (words, code) = (passphrase(WORDS), Secret::new(CODE));
    for with in [Unlock::Automatic, Unlock::Passphrase(&words), Unlock::Recovery(&code)] {
        let home = copy();
        let vault = home.vault();
        vault.unlock(with).expect("opened");
        let contents = vault.contents().expect("contents");
        assert_eq!((contents.generation, contents.keys.len()), (3, 2));
        insta::assert_json_snapshot!("golden_contents", contents.keys);
        let mut secrets = Vec::new();
        for record in contents.keys.values() {
            for version in &record.versions {
                let secret = vault
                    .reveal(&entry(Action::RevealKey), record, version.version)
                    .expect("a secret");
                // EXPOSE: made-up values in a test
                secrets.push(secret.expose().to_owned());
            }
        }
        assert_eq!(
            secrets,
            [
                "sk-ant-0123456789abcdef",
                "sk-ant-fedcba9876543210",
                "sk-1111222233334444",
                "sk-9999888877776666"
            ]
        );
        assert_eq!(vault.verify_audit().expect("a trail").fault, None);
        assert_eq!(home.bytes(), golden("vault.json"), "reading changes nothing");
    }
}

#[test]
fn the_first_version_is_carried_on() {
    let home = copy();
    let vault = home.vault();
    vault.unlock(Unlock::Automatic).expect("opened");
    add(&vault, 700, "sk-ant-7777777777777777").expect("added");
    assert_eq!(vault.contents().expect("contents").generation, 4);
    assert_eq!(vault.verify_audit().expect("a trail").fault, None);
}

/// What the destination of the second version's golden vault holds.
const WEBHOOK: &str = "https://hooks.slack.com/services/T0/B0/made-up-for-a-test";

fn destination(name: &str) -> DestinationRecord {
    DestinationRecord {
        name: name.parse().expect("a name"),
        key_id: KeyId::from_random([7; 16]),
        masked: "https://hooks.slack.com/…test".to_owned(),
        added_at: now(),
    }
}

fn add_destination(vault: &Vault, name: &str) {
    let added = vault.change(&entry(Action::AddDestination), |edit| {
        edit.destination(destination(name), &Secret::new(WEBHOOK))
    });
    assert!(added.expect("added").is_durable());
}

fn reveal_destination(vault: &Vault, name: &str) -> Result<String, VaultError> {
    let name = name.parse().expect("a name");
    let secret = vault.reveal_destination(&entry(Action::RevealDestination), &name)?;
    // EXPOSE: a made-up value in a test
    Ok(secret.expose().to_owned())
}

/// What the header of the vault file says of versions.
fn versions(home: &Home) -> (u64, u64) {
    let file: serde_json::Value = serde_json::from_slice(&home.bytes()).expect("JSON");
    let header: serde_json::Value = serde_json::from_str(file["header"].as_str().expect("a text")).expect("JSON");
    let number = |name: &str| header[name].as_u64().expect("a number");
    (number("version"), number("min_reader"))
}

/// Makes the golden vault of the second version: once, when there is none.
fn make_second() {
    let (home, vault) = Home::with_key_file();
    add(&vault, 1, "sk-ant-0123456789abcdef").expect("added");
    add_destination(&vault, "ops");
    fs::create_dir_all(folder("vault-2")).expect("a folder");
    for found in fs::read_dir(home.file("")).expect("a folder") {
        let path = found.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name != "vault.lock" {
            fs::copy(&path, folder("vault-2").join(name)).expect("a copy");
        }
    }
}

#[test]
fn the_second_version_holds_secrets_of_destinations_which_are_no_keys() {
    if !folder("vault-2").exists() {
        make_second();
        panic!("made {}: look at it, and commit it", folder("vault-2").display());
    }
    let home = copy_of("vault-2");
    assert_eq!(versions(&home), (2, 2));
    let vault = home.vault();
    vault.unlock(Unlock::Automatic).expect("opened");
    let contents = vault.contents().expect("contents");
    assert_eq!((contents.keys.len(), contents.destinations.len()), (1, 1));
    assert_eq!(reveal_destination(&vault, "ops").expect("a secret"), WEBHOOK);
    assert!(matches!(
        reveal_destination(&vault, "other"),
        Err(VaultError::NoSuchDestination)
    ));
    let as_key = vault.reveal(&entry(Action::RevealKey), &record(7, 1), 1);
    assert!(as_key.is_err(), "it is no key");
    let kinds = [SlotKind::KeyFile];
    let rekeyed = vault.rekey(now(), "test", &kinds, &[NewSlot::KeyFile]);
    assert!(rekeyed.expect("rekeyed").is_durable());
    assert_eq!(reveal_destination(&vault, "ops").expect("a secret"), WEBHOOK);
    assert_eq!(vault.verify_audit().expect("a trail").fault, None);
}

#[test]
fn older_programs_read_a_vault_whose_last_destination_was_removed() {
    let (home, vault) = Home::with_key_file();
    assert_eq!(versions(&home), (1, 1));
    add_destination(&vault, "ops");
    assert_eq!(versions(&home), (2, 2));
    let removed = vault.change(&entry(Action::RemoveDestination), |edit| {
        Ok::<_, VaultError>(edit.remove_destination(&"ops".parse().expect("a name")))
    });
    assert!(removed.expect("removed").into_inner());
    assert_eq!(versions(&home), (1, 1));
}
