use proptest::prelude::*;

use super::*;

fn typed(text: &str) -> Secret {
    Secret::new(text)
}

fn printed() -> String {
    // EXPOSE: a code of a test
    RecoveryCode::make_random()
        .expect("a code")
        .to_secret()
        .expose()
        .to_owned()
}

#[test]
fn a_recovery_code_is_printed_in_eight_groups_of_four_and_reads_back() {
    let code = RecoveryCode::make_random().expect("a code");
    let text = code.to_secret();
    // EXPOSE: a code of a test
    let text = text.expose();
    let groups: Vec<_> = text.split('-').map(str::len).collect();
    assert_eq!(groups, [4; 8]);
    for form in [
        text.to_owned(),
        text.to_lowercase(),
        text.replace('-', " "),
        text.replace('-', "") + "\n",
    ] {
        let back = RecoveryCode::parse(&typed(&form)).expect("the same code");
        assert_eq!(back.as_bytes(), code.as_bytes());
    }
}

#[test]
fn letters_that_look_like_digits_are_read_as_those() {
    let text = loop {
        let text = printed();
        if text.contains('0') && text.contains('1') {
            break text;
        }
    };
    let misread = text.replacen('0', "o", 1).replacen('1', "l", 1);
    assert!(RecoveryCode::parse(&typed(&misread)).is_ok());
}

#[test]
fn almost_every_typing_error_is_told_apart_from_a_wrong_code() {
    let text = printed();
    let mut unnoticed = 0;
    for at in text.match_indices(|symbol| symbol != '-').map(|(at, _)| at) {
        for symbol in SYMBOLS {
            let mut other = text.clone().into_bytes();
            if other[at] != *symbol {
                other[at] = *symbol;
                let other = String::from_utf8(other).expect("still text");
                unnoticed += usize::from(RecoveryCode::parse(&typed(&other)).is_ok());
            }
        }
    }
    assert!(unnoticed <= 1, "{unnoticed} of 992, one in a million expected");
    for wrong in [
        "",
        "U",
        "0000",
        text.get(1..).expect("ASCII"),
        &format!("{text}0"),
        &text.replacen('-', "*", 1),
    ] {
        assert!(RecoveryCode::parse(&typed(wrong)).is_err());
    }
}

#[test]
fn a_slot_gives_the_data_key_only_for_its_own_secret_vault_and_place() {
    let vault_id = Hex([1; 16]);
    let at = Timestamp::UNIX_EPOCH;
    let data = SealKey::make_random().expect("a key");
    let slot = wrap(&vault_id, Hex([2; 8]), OpensWith::KeyFile {}, at, &[9; 32], &data).expect("a slot");
    let found = unwrap(&vault_id, &slot, &[9; 32]).expect("the data key");
    assert_eq!(found.as_bytes(), data.as_bytes());
    assert_eq!(unwrap(&vault_id, &slot, &[8; 32]).err(), Some(UnwrapError::WrongSecret));
    assert_eq!(
        unwrap(&Hex([3; 16]), &slot, &[9; 32]).err(),
        Some(UnwrapError::WrongSecret)
    );
    let moved = Slot {
        id: Hex([4; 8]),
        ..slot.clone()
    };
    assert_eq!(
        unwrap(&vault_id, &moved, &[9; 32]).err(),
        Some(UnwrapError::WrongSecret)
    );
    let relabelled = Slot {
        opens_with: OpensWith::Keychain {},
        ..slot.clone()
    };
    assert_eq!(
        unwrap(&vault_id, &relabelled, &[9; 32]).err(),
        Some(UnwrapError::Damaged)
    );
    let other = wrap(&vault_id, Hex([2; 8]), OpensWith::KeyFile {}, at, &[7; 32], &data).expect("a slot");
    let spliced = Slot {
        wrapped: other.wrapped,
        ..slot
    };
    assert_eq!(unwrap(&vault_id, &spliced, &[9; 32]).err(), Some(UnwrapError::Damaged));
}

proptest! {
    #[test]
    fn reading_what_somebody_typed_never_panics(text: String) {
        let _ = RecoveryCode::parse(&typed(&text));
    }
}
