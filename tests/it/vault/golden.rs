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
