//! A vault of each version of the format, as that version wrote it: never edited, always readable.

use std::{fs, path::Path};

use super::*;

/// What was printed when the vault was made.
pub(super) const CODE: &str = "XXT9-FFCG-ZF9H-24J7-5HGH-BAXP-2R2X-9WM9";
pub(super) const WORDS: &str = "correct horse battery staple";

/// The bytes of a golden file.
pub(super) fn golden(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/vault-1")
        .join(name);
    fs::read(path).expect("a golden file")
}

/// A copy of the golden vault in a folder of its own.
pub(super) fn copy() -> Home {
    let home = Home::new();
    crate::support::private_folder(&home.file(""));
    for name in ["vault.json", "anchor.json", "audit.jsonl", "vault-7cabaafd2eb193c7.key"] {
        private_file(&home.file(name), &golden(name));
    }
    home
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
                    .reveal(&entry(Action::RevealKey), record.key_id, version.version)
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
