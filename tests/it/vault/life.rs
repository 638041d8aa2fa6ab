//! From the first run to the last change.

use super::*;

#[test]
fn a_secret_comes_back_in_another_process_after_the_vault_is_unlocked() {
    let (home, vault) = Home::with_key_file();
    let key_id = add(&vault, 1, "sk-ant-0123456789abcdef").expect("added");
    let other = home.vault();
    assert!(matches!(other.contents(), Err(VaultError::Locked { .. })));
    other.unlock(Unlock::Automatic).expect("the key file opens it");
    assert_eq!(other.contents().expect("contents").keys.len(), 1);
    assert_eq!(reveal(&other, key_id).expect("the secret"), "sk-ant-0123456789abcdef");
    assert!(matches!(
        other.status(),
        Ok(VaultStatus::Unlocked {
            by: SlotKind::KeyFile,
            ..
        })
    ));
    let report = other.verify_audit().expect("a trail");
    assert_eq!(
        (report.fault, report.entries),
        (None, 4),
        "created, begun, done, revealed"
    );
}

#[test]
fn a_reader_notices_what_another_process_wrote() {
    let (home, vault) = Home::with_key_file();
    let other = home.vault();
    other.unlock(Unlock::Automatic).expect("unlocked");
    assert_eq!(other.contents().expect("contents").keys.len(), 0);
    add(&vault, 1, "sk-ant-0123456789abcdef").expect("added");
    assert_eq!(other.contents().expect("contents").keys.len(), 1);
}

#[test]
fn a_refused_edit_changes_nothing_and_is_in_the_trail() {
    let (home, vault) = Home::with_key_file();
    let before = home.bytes();
    let refused: Result<Committed<()>, VaultError> = vault.change(&entry(Action::AddKey), |edit| {
        edit.record(record(1, 1));
        Err(VaultError::Full("of this test"))
    });
    assert!(matches!(refused, Err(VaultError::Full(_))));
    assert_eq!(home.bytes(), before);
    let trail = vault.recent_audit(1).expect("a trail");
    assert_eq!(trail[0].outcome, "refused");
}
