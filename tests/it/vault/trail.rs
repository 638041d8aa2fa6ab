//! The audit trail next to a vault, in whatever state it is.

use std::fs;

use api_keys::storage::vault::VaultFreshness;

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

#[test]
fn a_trail_that_was_cut_stays_broken_there_whatever_is_done_afterwards() {
    let (home, vault) = Home::with_key_file();
    add(&vault, 1, "sk-ant-0123456789abcdef").expect("added");
    for _ in 0..3 {
        reveal(&vault, record(1, 1).key_id).expect("the secret");
    }
    let whole = fs::read_to_string(home.file("audit.jsonl")).expect("a trail");
    let (anchor, bytes) = (fs::read(home.file("anchor.json")).expect("an anchor"), home.bytes());
    let lines = whole.lines().count();
    for left in [lines - 1, lines - 2, 0] {
        fs::write(home.file("anchor.json"), &anchor).expect("put back");
        home.put(&bytes);
        let cut: String = whole.split_inclusive('\n').take(left).collect();
        match left {
            0 => fs::remove_file(home.file("audit.jsonl")).expect("a trail"),
            _ => fs::write(home.file("audit.jsonl"), cut).expect("cut"),
        }
        // A session of its own: files that are put back within one tick of the clock look as they were.
        let vault = home.vault();
        vault.unlock(Unlock::Automatic).expect("unlocked");
        let left = u64::try_from(left).expect("few");
        for _ in 0..2 {
            reveal(&vault, record(1, 1).key_id).expect("the secret");
            add(&vault, 1, "sk-ant-0123456789abcdef").expect("changed");
            let report = vault.verify_audit().expect("read");
            let fault = report.fault.map(|fault| fault.line);
            assert_eq!((report.entries, fault), (left, Some(left + 1)));
        }
        let repairs = vault.recent_audit(1000).expect("read");
        let repairs = repairs.iter().filter(|record| record.action == "repair_trail");
        let told: Vec<_> = repairs.filter_map(|record| record.detail.clone()).collect();
        let expected = format!("it ended at {left} where {lines} was known: lines are missing");
        assert_eq!(told, [expected], "once, and where");
    }
}

#[test]
fn a_line_that_no_change_followed_is_no_break() {
    let (home, vault) = Home::with_key_file();
    let before = (home.bytes(), fs::read(home.file("anchor.json")).expect("an anchor"));
    add(&vault, 1, "sk-ant-0123456789abcdef").expect("added");
    // As a writer leaves it that is killed before the file is in its place.
    home.put(&before.0);
    fs::write(home.file("anchor.json"), before.1).expect("put back");
    let vault = home.vault();
    vault.unlock(Unlock::Automatic).expect("unlocked");
    add(&vault, 1, "sk-ant-0123456789abcdef").expect("added");
    assert_eq!(vault.verify_audit().expect("read").fault, None);
}

#[test]
fn a_vault_that_is_accepted_in_anothers_place_begins_its_own_trail() {
    let (home, ours) = Home::with_key_file();
    add(&ours, 1, "sk-ant-0123456789abcdef").expect("added");
    let (our_file, trail) = (home.bytes(), fs::read(home.file("audit.jsonl")).expect("a trail"));
    let (stranger, theirs) = Home::with_key_file();
    add(&theirs, 2, "sk-ant-fedcba9876543210").expect("added");
    for path in fs::read_dir(stranger.file("")).expect("a folder").flatten() {
        if path.path().extension().is_some_and(|extension| extension == "key") {
            fs::copy(path.path(), home.file(&path.file_name().to_string_lossy())).expect("copied");
        }
    }
    let accept = |bytes: &[u8]| {
        home.put(bytes);
        let vault = home.vault();
        vault.unlock(Unlock::Automatic).expect("unlocked");
        vault.accept_rollback(now(), "test").expect("accepted").into_inner();
        assert_eq!(vault.verify_audit().expect("read").fault, None);
        add(&vault, 3, "sk-ant-1111222233334444").expect("added");
        assert_eq!(vault.verify_audit().expect("read").fault, None);
    };
    let aside = || {
        let names = fs::read_dir(home.file("")).expect("a folder").flatten();
        let names = names.map(|found| found.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with("audit-")).collect::<Vec<_>>()
    };
    accept(&stranger.bytes());
    let names = aside();
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(fs::read(home.file(&names[0])).expect("kept"), trail);
    // To and fro: nothing is written over.
    accept(&our_file);
    accept(&stranger.bytes());
    assert_eq!(aside().len(), 3);

    // A trail that came along with its file goes on.
    let (home, _) = Home::with_key_file();
    for name in ["vault.json", "audit.jsonl"] {
        fs::copy(stranger.file(name), home.file(name)).expect("copied");
    }
    for path in fs::read_dir(stranger.file("")).expect("a folder").flatten() {
        if path.path().extension().is_some_and(|extension| extension == "key") {
            fs::copy(path.path(), home.file(&path.file_name().to_string_lossy())).expect("copied");
        }
    }
    let vault = home.vault();
    vault.unlock(Unlock::Automatic).expect("unlocked");
    vault.accept_rollback(now(), "test").expect("accepted").into_inner();
    let report = vault.verify_audit().expect("read");
    assert_eq!((report.entries, report.fault), (5, None));
}

#[test]
fn a_vault_that_came_without_its_trail_can_begin_a_new_one() {
    let (home, vault) = Home::with_key_file();
    add(&vault, 1, "sk-ant-0123456789abcdef").expect("added");
    let accept = || vault.accept_rollback(now(), "test").expect("accepted").into_inner();
    assert_eq!(accept(), (VaultFreshness::Current, false), "nothing to accept");
    for name in ["anchor.json", "audit.jsonl"] {
        fs::remove_file(home.file(name)).expect("it was there");
    }
    let vault = home.vault();
    vault.unlock(Unlock::Automatic).expect("unlocked");
    reveal(&vault, record(1, 1).key_id).expect("the secret");
    let fault = || vault.verify_audit().expect("read").fault.map(|fault| fault.line);
    assert_eq!(fault(), Some(1), "what came before is missing");
    let broken = fs::read(home.file("audit.jsonl")).expect("a trail");
    let accept = || vault.accept_rollback(now(), "test").expect("accepted").into_inner();
    assert_eq!(accept(), (VaultFreshness::Current, true));
    assert_eq!(fault(), None);
    reveal(&vault, record(1, 1).key_id).expect("the secret");
    add(&vault, 2, "sk-ant-fedcba9876543210").expect("added");
    assert_eq!(fault(), None);
    let kept = fs::read_dir(home.file("")).expect("a folder").flatten();
    let mut kept = kept.filter(|found| found.file_name().to_string_lossy().starts_with("audit-"));
    assert_eq!(fs::read(kept.next().expect("kept").path()).expect("read"), broken);
    assert_eq!(accept(), (VaultFreshness::Current, false), "once");
}
