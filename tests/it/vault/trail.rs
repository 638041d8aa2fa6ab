//! The audit trail next to a vault, in whatever state it is.

use std::fs;

use super::{golden::copy, *};

/// The entry point of the fuzz target, on trails that a few edits make of a good one.
#[test]
fn whatever_the_trail_holds_it_is_reported_and_carried_on() {
    let home = copy();
    let good = fs::read(home.file("audit.jsonl")).expect("a trail");
    let vault = home.vault();
    vault.unlock(Unlock::Automatic).expect("unlocked");
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for _ in 0..150 {
        let mut bytes = good.clone();
        random.damage(&mut bytes);
        fs::write(home.file("audit.jsonl"), &bytes).expect("damaged");
        let before = vault.verify_audit().expect("read");
        assert!(before.fault.is_some() || before.torn || bytes == good);
        vault.recent_audit(3).expect("read");
        vault.record(&entry(Action::RevealKey)).expect("carried on");
        let after = vault.verify_audit().expect("read");
        assert!(!after.torn);
        if bytes != good {
            assert!(after.fault.is_some() || before.fault.is_none(), "a break stays one");
        }
    }
}

#[test]
fn a_trail_that_was_taken_away_is_missed() {
    let home = copy();
    fs::remove_file(home.file("audit.jsonl")).expect("a trail");
    let vault = home.vault();
    vault.unlock(Unlock::Automatic).expect("unlocked");
    assert!(vault.verify_audit().expect("read").fault.is_some());
}
