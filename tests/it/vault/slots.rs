//! Ways to open a vault, and what is said when one does not.

use std::fs;

use super::*;

fn unlock(home: &Home, with: Unlock<'_>) -> Result<SlotKind, VaultError> {
    let vault = home.vault();
    vault.unlock(with)?;
    match vault.status()? {
        VaultStatus::Unlocked { by, .. } => Ok(by),
        other @ (VaultStatus::Absent | VaultStatus::Locked { .. }) => unreachable!("unlocked just now: {other:?}"),
    }
}

fn kinds(vault: &Vault) -> Vec<SlotKind> {
    match vault.status().expect("a vault") {
        VaultStatus::Absent => Vec::new(),
        VaultStatus::Locked { slots } | VaultStatus::Unlocked { slots, .. } => {
            slots.iter().map(|slot| slot.kind).collect()
        }
    }
}

fn key_files(home: &Home) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> = fs::read_dir(home.file(""))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "key"))
        .collect();
    found.sort();
    found
}

#[test]
fn a_passphrase_opens_its_vault_and_another_does_not() {
    let (home, right) = (Home::new(), passphrase("correct horse"));
    let vault = home.vault();
    vault
        .create(now(), "test", &[NewSlot::Passphrase(&right)])
        .expect("a vault")
        .into_inner();
    let key_id = add(&vault, 1, "sk-ant-0123456789abcdef").expect("added");

    assert!(matches!(unlock(&home, Unlock::Automatic), Err(VaultError::Locked { slots }) if slots.len() == 1));
    for wrong in ["Correct horse", "correct horse ", ""] {
        let wrong = passphrase(wrong);
        assert!(matches!(
            unlock(&home, Unlock::Passphrase(&wrong)),
            Err(VaultError::WrongPassphrase)
        ));
    }
    assert_eq!(
        unlock(&home, Unlock::Passphrase(&right)).expect("opened"),
        SlotKind::Passphrase
    );

    let new = passphrase("battery staple");
    assert!(matches!(
        vault.change_passphrase(now(), "test", &passphrase("wrong"), &new),
        Err(VaultError::WrongPassphrase)
    ));
    vault
        .change_passphrase(now(), "test", &right, &new)
        .expect("changed")
        .into_inner();
    assert!(matches!(
        unlock(&home, Unlock::Passphrase(&right)),
        Err(VaultError::WrongPassphrase)
    ));
    assert_eq!(
        unlock(&home, Unlock::Passphrase(&new)).expect("opened"),
        SlotKind::Passphrase
    );
    assert_eq!(reveal(&vault, key_id).expect("the secret"), "sk-ant-0123456789abcdef");
    assert_eq!(kinds(&vault), [SlotKind::Passphrase]);
}

#[test]
fn an_empty_passphrase_makes_no_slot_and_no_vault() {
    let home = Home::new();
    let made = home
        .vault()
        .create(now(), "test", &[NewSlot::KeyFile, NewSlot::Passphrase(&passphrase(""))]);
    assert!(matches!(made, Err(VaultError::EmptyPassphrase)));
    assert!(!home.file("vault.json").exists() && key_files(&home).is_empty());
    home.vault()
        .create(now(), "test", &[NewSlot::KeyFile])
        .expect("nothing is in the way")
        .into_inner();
}

#[test]
fn a_recovery_code_opens_and_gives_the_vault_new_slots() {
    let home = Home::new();
    let vault = home.vault();
    let made = vault
        .create(now(), "test", &[NewSlot::KeyFile, NewSlot::Recovery])
        .expect("a vault")
        .into_inner();
    let code = made.recovery_code.expect("a code");
    let key_id = add(&vault, 1, "sk-ant-0123456789abcdef").expect("added");
    fs::remove_file(&key_files(&home)[0]).expect("a key file to lose");
    assert!(matches!(
        unlock(&home, Unlock::Automatic),
        Err(VaultError::KeyFileMissing { .. })
    ));

    let (_, other) = Home::with_recovery();
    assert!(matches!(
        unlock(&home, Unlock::Recovery(&other)),
        Err(VaultError::WrongRecoveryCode)
    ));
    let mistyped = Secret::new("AAAA-BBBB");
    assert!(matches!(
        unlock(&home, Unlock::Recovery(&mistyped)),
        Err(VaultError::MistypedRecoveryCode)
    ));

    let lost = home.vault();
    lost.recover(now(), "test", &code, &[NewSlot::KeyFile])
        .expect("recovered")
        .into_inner();
    assert_eq!(kinds(&lost), [SlotKind::Recovery, SlotKind::KeyFile]);
    assert_eq!(unlock(&home, Unlock::Automatic).expect("opened"), SlotKind::KeyFile);
    assert_eq!(reveal(&lost, key_id).expect("the secret"), "sk-ant-0123456789abcdef");
}

impl Home {
    fn with_recovery() -> (Self, Secret) {
        let home = Self::new();
        let slots = [NewSlot::KeyFile, NewSlot::Recovery];
        let made = home
            .vault()
            .create(now(), "test", &slots)
            .expect("a vault")
            .into_inner();
        (home, made.recovery_code.expect("a code"))
    }
}

#[test]
fn slots_come_and_go_but_the_last_one_stays() {
    let (home, vault) = Home::with_key_file();
    let VaultStatus::Unlocked { slots, .. } = vault.status().expect("a vault") else {
        unreachable!("made just now");
    };
    for _ in 0..2 {
        assert!(matches!(
            vault.remove_slot(now(), "test", slots[0].id),
            Err(VaultError::LastSlot)
        ));
        vault
            .add_slot(now(), "test", NewSlot::Recovery)
            .expect("added")
            .into_inner();
    }
    let words = passphrase("correct horse");
    vault
        .add_slot(now(), "test", NewSlot::Passphrase(&words))
        .expect("added")
        .into_inner();
    vault
        .remove_slot(now(), "test", slots[0].id)
        .expect("removed")
        .into_inner();
    assert!(key_files(&home).is_empty(), "the key file goes with its slot");
    assert!(matches!(
        vault.remove_slot(now(), "test", slots[0].id),
        Err(VaultError::NoSuchSlot(_))
    ));
    assert_eq!(
        kinds(&vault),
        [SlotKind::Recovery, SlotKind::Recovery, SlotKind::Passphrase]
    );
    for _ in 0..13 {
        vault
            .add_slot(now(), "test", NewSlot::KeyFile)
            .expect("added")
            .into_inner();
    }
    assert!(matches!(
        vault.add_slot(now(), "test", NewSlot::KeyFile),
        Err(VaultError::Full(_))
    ));
    assert_eq!(key_files(&home).len(), 13, "a refused slot leaves no key file");
    assert!(!home.file("vault.pending.json").exists());
}

#[test]
fn a_rekey_seals_everything_anew_and_closes_every_old_way_in() {
    let home = Home::new();
    let (vault, words) = (home.vault(), passphrase("correct horse"));
    let slots = [NewSlot::KeyFile, NewSlot::Passphrase(&words), NewSlot::Recovery];
    let made = vault.create(now(), "test", &slots).expect("a vault").into_inner();
    let key_id = add(&vault, 1, "sk-ant-0123456789abcdef").expect("added");
    let (old_file, old_key) = (home.bytes(), key_files(&home));
    let other = home.vault();
    other.unlock(Unlock::Automatic).expect("unlocked");

    let by_words = home.vault();
    by_words.unlock(Unlock::Passphrase(&words)).expect("unlocked");
    let seen = slots.map(|slot| slot.kind());
    let others = vault.rekey(now(), "test", &seen[..2], &[NewSlot::KeyFile]);
    assert!(
        matches!(others, Err(VaultError::SlotsChanged)),
        "a recovery code would be lost"
    );
    let anew = vault
        .rekey(now(), "test", &seen, &[NewSlot::KeyFile, NewSlot::Recovery])
        .expect("rekeyed")
        .into_inner();
    assert_eq!(reveal(&vault, key_id).expect("the secret"), "sk-ant-0123456789abcdef");
    assert!(
        matches!(by_words.contents(), Err(VaultError::Locked { .. })),
        "its keys are of no use any more"
    );
    assert!(matches!(by_words.status(), Ok(VaultStatus::Locked { .. })));
    assert!(
        matches!(other.status(), Ok(VaultStatus::Unlocked { .. })),
        "by the new key file"
    );
    assert_eq!(reveal(&other, key_id).expect("the secret"), "sk-ant-0123456789abcdef");

    assert!(matches!(
        unlock(&home, Unlock::Passphrase(&words)),
        Err(VaultError::NoSlotOfKind(_))
    ));
    let old_code = made.recovery_code.expect("a code");
    assert!(matches!(
        unlock(&home, Unlock::Recovery(&old_code)),
        Err(VaultError::WrongRecoveryCode)
    ));
    let new_code = anew.recovery_code.expect("a code");
    assert_eq!(
        unlock(&home, Unlock::Recovery(&new_code)).expect("opened"),
        SlotKind::Recovery
    );
    assert!(
        key_files(&home).len() == 1 && key_files(&home) != old_key,
        "only the new key file is left"
    );
    let sealed = |bytes: &[u8]| -> serde_json::Value {
        serde_json::from_slice::<serde_json::Value>(bytes).expect("JSON")["records"].clone()
    };
    assert_ne!(sealed(&home.bytes()), sealed(&old_file));
    let report = vault.verify_audit().expect("a trail");
    assert_eq!(report.fault, None, "old lines stay verifiable");
}

#[test]
fn a_key_file_that_is_gone_or_another_is_told_apart() {
    let (home, _vault) = Home::with_key_file();
    let path = &key_files(&home)[0];
    for (bytes, what) in [
        (vec![0; 32], "other bytes"),
        (vec![0; 31], "too short"),
        (vec![0; 33], "too long"),
    ] {
        fs::write(path, bytes).expect("a key file");
        let found = unlock(&home, Unlock::Automatic);
        assert!(matches!(found, Err(VaultError::KeyFileWrong { .. })), "{what}");
    }
    fs::remove_file(path).expect("a key file to lose");
    assert!(matches!(
        unlock(&home, Unlock::Automatic),
        Err(VaultError::KeyFileMissing { .. })
    ));
}

#[test]
fn a_vault_with_a_passphrase_asks_for_it_where_its_key_file_is_gone() {
    let (home, vault) = Home::with_key_file();
    vault
        .add_slot(now(), "test", NewSlot::Passphrase(&passphrase("correct horse")))
        .expect("added")
        .into_inner();
    fs::remove_file(&key_files(&home)[0]).expect("a key file to lose");
    assert!(matches!(
        unlock(&home, Unlock::Automatic),
        Err(VaultError::Locked { .. })
    ));
}

#[test]
fn no_vault_is_made_where_there_is_one_or_something_of_one() {
    let (home, vault) = Home::with_key_file();
    add(&vault, 1, "sk-ant-0123456789abcdef").expect("added");
    let before = home.bytes();
    let create = || home.vault().create(now(), "test", &[NewSlot::KeyFile]);
    assert!(matches!(create(), Err(VaultError::Exists { .. })));
    assert_eq!(home.bytes(), before);
    home.put(b"damaged");
    assert!(
        matches!(create(), Err(VaultError::Exists { .. })),
        "a damaged one is one"
    );

    fs::remove_file(home.file("vault.json")).expect("a file to lose");
    assert!(matches!(home.vault().status(), Err(VaultError::Remains { .. })));
    for gone in ["anchor.json", "audit.jsonl"] {
        assert!(matches!(create(), Err(VaultError::Remains { path }) if path == home.file(gone)));
        fs::rename(home.file(gone), home.file(&format!("{gone}.moved"))).expect("moved away");
    }
    assert!(matches!(create(), Err(VaultError::Remains { path }) if path == key_files(&home)[0]));
    assert_eq!(key_files(&home).len(), 1, "nothing was removed or made");
    fs::remove_file(&key_files(&home)[0]).expect("given up");
    create().expect("nothing is left of the old one").into_inner();
}

#[test]
fn what_a_killed_create_left_is_not_in_the_way_of_the_next() {
    let (home, _) = Home::with_key_file();
    let id = key_files(&home)[0]
        .file_stem()
        .expect("a name")
        .to_string_lossy()
        .replace("vault-", "");
    let vault_id = "00112233445566778899aabbccddeeff";
    // As if killed after the key file and before the vault file.
    for gone in ["vault.json", "anchor.json", "audit.jsonl"] {
        fs::remove_file(home.file(gone)).expect("a file");
    }
    let note = format!(
        r#"{{"format":"api-keys pending slots 1","vault_id":"{vault_id}","slots":[{{"id":"{id}","store":"key-file"}}]}}"#
    );
    private_file(&home.file("vault.pending.json"), note.as_bytes());
    let old = key_files(&home);
    home.vault()
        .create(now(), "test", &[NewSlot::KeyFile])
        .expect("a vault")
        .into_inner();
    assert!(key_files(&home).len() == 1 && key_files(&home) != old);
    assert!(!home.file("vault.pending.json").exists());
}

#[test]
fn a_note_that_a_kill_left_removes_no_secret_that_the_vault_needs() {
    let (home, vault) = Home::with_key_file();
    let id = key_files(&home)[0]
        .file_stem()
        .expect("a name")
        .to_string_lossy()
        .replace("vault-", "");
    let anchor: serde_json::Value =
        serde_json::from_slice(&fs::read(home.file("anchor.json")).expect("an anchor")).expect("JSON");
    let vault_id = anchor["vault_id"].as_str().expect("an id");
    private_file(&home.file("vault-0011223344556677.key"), &[0; 32]);
    let note = format!(
        r#"{{"format":"api-keys pending slots 1","vault_id":"{vault_id}","slots":[{{"id":"{id}","store":"key-file"}},{{"id":"0011223344556677","store":"key-file"}}]}}"#
    );
    private_file(&home.file("vault.pending.json"), note.as_bytes());
    add(&vault, 1, "sk-ant-0123456789abcdef").expect("added");
    assert_eq!(key_files(&home).len(), 1, "only the one that no slot names went");
    assert!(!home.file("vault.pending.json").exists());
    assert_eq!(unlock(&home, Unlock::Automatic).expect("opened"), SlotKind::KeyFile);

    // The vault file lost, its anchor and a note left: nothing may go.
    private_file(&home.file("vault.pending.json"), note.as_bytes());
    fs::remove_file(home.file("vault.json")).expect("a file to lose");
    assert!(matches!(
        home.vault().create(now(), "test", &[NewSlot::KeyFile]),
        Err(VaultError::Remains { .. })
    ));
    assert_eq!(key_files(&home).len(), 1);
}

#[test]
fn a_vault_that_only_a_recovery_code_opens_is_not_made() {
    for slots in [&[][..], &[NewSlot::Recovery][..]] {
        let home = Home::new();
        assert!(matches!(
            home.vault().create(now(), "test", slots),
            Err(VaultError::LastSlot)
        ));
        assert!(matches!(home.vault().status(), Ok(VaultStatus::Absent)));
    }
}

#[test]
fn a_killed_create_leaves_nothing_in_a_key_folder_of_its_own() {
    let home = Home::new();
    let places = VaultPlaces {
        key_folder: home.file("keys"),
        ..home.places()
    };
    crate::support::private_folder(&home.file(""));
    crate::support::private_folder(&places.key_folder);
    let stale = places.key_folder.join(".vault-0011223344556677.key.1-0.api-keys-tmp");
    private_file(&stale, &[1; 32]);
    private_file(&places.key_folder.join("vault-0011223344556677.key"), &[1; 32]);
    let note = r#"{"format":"api-keys pending slots 1","vault_id":"00112233445566778899aabbccddeeff","slots":[{"id":"0011223344556677","store":"key-file"}]}"#;
    private_file(&home.file("vault.pending.json"), note.as_bytes());
    let vault = Vault::new(places.clone());
    vault
        .create(now(), "test", &[NewSlot::KeyFile])
        .expect("a vault")
        .into_inner();
    let left = fs::read_dir(&places.key_folder).expect("a folder").count();
    assert_eq!(left, 1, "only the new key file");
    let other = Vault::new(places);
    other.unlock(Unlock::Automatic).expect("opened from there");
}
