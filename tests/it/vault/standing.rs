//! Old copies, forks and strangers in the vault's place.

use std::fs;

use super::*;
use api_keys::storage::vault::VaultFreshness;

fn standing(vault: &Vault) -> VaultFreshness {
    vault.contents().expect("contents").standing
}

/// A vault with two writes behind it, and its bytes after each.
fn with_history() -> (Home, Vault, Vec<u8>, Vec<u8>) {
    let (home, vault) = Home::with_key_file();
    add(&vault, 1, "sk-ant-0123456789abcdef").expect("added");
    let older = home.bytes();
    add(&vault, 2, "sk-ant-fedcba9876543210").expect("added");
    let newer = home.bytes();
    (home, vault, older, newer)
}

#[test]
fn an_old_copy_is_read_only_until_somebody_accepts_it() {
    let (home, vault, older, newer) = with_history();
    home.put(&older);
    for vault in [vault, home.vault()] {
        vault.unlock(Unlock::Automatic).expect("unlocked");
        assert_eq!(standing(&vault), VaultFreshness::RolledBack { newest: 3 });
        assert_eq!(
            reveal(&vault, record(1, 1).key_id).expect("readable"),
            "sk-ant-0123456789abcdef"
        );
        let refused = add(&vault, 3, "sk-ant-1111222233334444");
        assert!(matches!(
            refused,
            Err(VaultError::RolledBack {
                found: 2,
                newest: 3,
                ..
            })
        ));
        assert!(matches!(
            vault.add_slot(now(), "test", NewSlot::Recovery),
            Err(VaultError::RolledBack { .. })
        ));
        assert_eq!(home.bytes(), older, "nothing was changed");
    }
    let vault = home.vault();
    vault.unlock(Unlock::Automatic).expect("unlocked");
    let before = vault.accept_rollback(now(), "test").expect("accepted").into_inner();
    assert_eq!(before, (VaultFreshness::RolledBack { newest: 3 }, false));
    assert_eq!(standing(&vault), VaultFreshness::Current);
    add(&vault, 3, "sk-ant-1111222233334444").expect("added");
    home.put(&newer);
    assert!(
        matches!(standing(&vault), VaultFreshness::RolledBack { .. }),
        "what was given up stays given up"
    );
}

#[test]
fn putting_the_newest_file_back_mends_a_rollback() {
    let (home, vault, older, newer) = with_history();
    home.put(&older);
    assert!(matches!(standing(&vault), VaultFreshness::RolledBack { .. }));
    home.put(&newer);
    assert_eq!(standing(&vault), VaultFreshness::Current);
    add(&vault, 3, "sk-ant-1111222233334444").expect("added");
}

#[test]
fn a_fork_of_the_same_age_is_read_only_until_somebody_accepts_it() {
    let (home, vault, older, newer) = with_history();
    let anchor = fs::read(home.file("anchor.json")).expect("an anchor");
    // Another machine carries on from the older copy.
    fs::remove_file(home.file("anchor.json")).expect("an anchor");
    home.put(&older);
    add(&vault, 9, "sk-ant-9999888877776666").expect("added elsewhere");
    let fork = home.bytes();
    assert_ne!(fork, newer);
    fs::write(home.file("anchor.json"), &anchor).expect("the anchor of this machine");
    let vault = home.vault();
    vault.unlock(Unlock::Automatic).expect("unlocked");
    assert_eq!(standing(&vault), VaultFreshness::Forked);
    assert!(matches!(
        add(&vault, 3, "sk-ant-1111222233334444"),
        Err(VaultError::Forked { .. })
    ));
    vault.accept_rollback(now(), "test").expect("accepted").into_inner();
    add(&vault, 3, "sk-ant-1111222233334444").expect("added");
}

#[test]
fn a_successor_of_another_file_is_a_fork_too() {
    let (home, vault, older, newer) = with_history();
    fs::remove_file(home.file("anchor.json")).expect("an anchor");
    home.put(&older);
    add(&vault, 8, "sk-ant-9999888877776666").expect("added elsewhere");
    add(&vault, 9, "sk-ant-9999888877776666").expect("added elsewhere");
    let fork = home.bytes();
    let elsewhere = fs::read(home.file("anchor.json")).expect("an anchor");
    home.put(&newer);
    fs::remove_file(home.file("anchor.json")).expect("an anchor");
    // Any entry writes the anchor of the file as it stands.
    vault.record(&entry(Action::RevealKey)).expect("noted");
    home.put(&fork);
    assert_eq!(standing(&vault), VaultFreshness::Forked);
    fs::write(home.file("anchor.json"), elsewhere).expect("the anchor of that file");
    home.put(&older);
    home.put(&fork);
    let vault = home.vault();
    vault.unlock(Unlock::Automatic).expect("unlocked");
    assert_eq!(standing(&vault), VaultFreshness::Current);
}

#[test]
fn a_fork_that_is_ahead_by_several_writes_is_told_by_the_trail() {
    let (home, vault, ..) = with_history();
    let of_then = ["vault.json", "anchor.json", "audit.jsonl"].map(|name| fs::read(home.file(name)).expect("a file"));
    let [_, anchor, trail] = &of_then;
    for number in 3..6 {
        add(&vault, number, "sk-ant-9999888877776666").expect("added elsewhere");
    }
    let ahead = home.bytes();
    let whole = fs::read(home.file("audit.jsonl")).expect("a trail");
    let look = |trail: &[u8]| {
        home.put(&ahead);
        fs::write(home.file("anchor.json"), anchor).expect("the anchor of this machine");
        fs::write(home.file("audit.jsonl"), trail).expect("a trail");
        let vault = home.vault();
        vault.unlock(Unlock::Automatic).expect("unlocked");
        standing(&vault)
    };
    assert_eq!(look(trail), VaultFreshness::Forked);
    assert_eq!(
        look(&whole),
        VaultFreshness::Current,
        "as writers leave it that are killed"
    );
}

#[test]
fn another_vault_in_its_place_is_not_used_at_all() {
    let (home, vault, ..) = with_history();
    let (stranger, _) = Home::with_key_file();
    home.put(&stranger.bytes());
    assert!(matches!(vault.contents(), Err(VaultError::Locked { .. })));
    assert!(matches!(
        vault.unlock(Unlock::Automatic),
        Err(VaultError::Foreign { .. })
    ));
    for path in fs::read_dir(stranger.file(""))
        .expect("a folder")
        .map(|found| found.expect("a file").path())
    {
        if path.extension().is_some_and(|extension| extension == "key") {
            fs::copy(&path, home.file(&path.file_name().expect("a name").to_string_lossy())).expect("copied");
        }
    }
    let vault = home.vault();
    vault.unlock(Unlock::Automatic).expect("its own key file opens it");
    assert!(matches!(vault.contents(), Err(VaultError::Foreign { .. })));
    assert!(matches!(
        reveal(&vault, record(1, 1).key_id),
        Err(VaultError::Foreign { .. })
    ));
    assert!(matches!(
        add(&vault, 3, "sk-ant-1111222233334444"),
        Err(VaultError::Foreign { .. })
    ));
    vault.accept_rollback(now(), "test").expect("accepted").into_inner();
    add(&vault, 3, "sk-ant-1111222233334444").expect("added");
}

#[test]
fn a_vault_without_its_anchor_is_taken_as_it_is() {
    let (home, vault, ..) = with_history();
    fs::remove_file(home.file("anchor.json")).expect("an anchor");
    assert_eq!(standing(&vault), VaultFreshness::Current);
    add(&vault, 3, "sk-ant-1111222233334444").expect("added");
    assert!(home.file("anchor.json").exists());
}

#[test]
fn an_anchor_that_cannot_be_read_is_never_taken_for_none() {
    for damage in ["", "{}", "\u{0}", &"x".repeat(5000)] {
        let (home, ..) = with_history();
        fs::write(home.file("anchor.json"), damage).expect("damaged");
        let vault = home.vault();
        vault.unlock(Unlock::Automatic).expect("unlocked");
        assert_eq!(standing(&vault), VaultFreshness::AnchorDamaged);
        let refused = add(&vault, 3, "sk-ant-1111222233334444");
        assert!(matches!(refused, Err(VaultError::Damaged { path, .. }) if path == home.file("anchor.json")));
        vault.accept_rollback(now(), "test").expect("accepted").into_inner();
        add(&vault, 3, "sk-ant-1111222233334444").expect("added");
    }
}

#[test]
fn a_trail_whose_end_was_cut_off_is_noticed() {
    let (home, vault, ..) = with_history();
    reveal(&vault, record(1, 1).key_id).expect("the secret");
    let trail = fs::read(home.file("audit.jsonl")).expect("a trail");
    let end = trail[..trail.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .expect("lines")
        + 1;
    fs::write(home.file("audit.jsonl"), &trail[..end]).expect("cut");
    assert!(vault.verify_audit().expect("a trail").fault.is_some());
    fs::write(home.file("audit.jsonl"), &trail).expect("mended");
    assert_eq!(vault.verify_audit().expect("a trail").fault, None);
}
