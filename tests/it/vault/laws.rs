//! What holds for any sequence of changes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// One step of a change, on one of a few keys.
#[derive(Debug, Clone)]
enum Step {
    Put { number: u16, versions: u32, secret: String },
    Forget { number: u16, version: u32 },
    Remove { number: u16 },
}

fn step() -> impl Strategy<Value = Step> {
    let number = 0..4_u16;
    prop_oneof![
        3 => (number.clone(), 1..4_u32, "[!-~]{16,80}").prop_map(|(number, versions, secret)| Step::Put {
            number,
            versions,
            secret: format!("k{secret}"),
        }),
        1 => (number.clone(), 1..4_u32).prop_map(|(number, version)| Step::Forget { number, version }),
        1 => number.prop_map(|number| Step::Remove { number }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Another process reads exactly what a plain map would hold, refused changes and rekeys in between or not.
    #[test]
    fn a_vault_holds_what_was_put_in_and_nothing_else(changes in prop::collection::vec((prop::collection::vec(step(), 1..4), any::<bool>(), any::<bool>()), 1..6)) {
        let (home, vault) = Home::with_key_file();
        let mut model: BTreeMap<(KeyId, u32), String> = BTreeMap::new();
        for (steps, refuse, rekey) in changes {
            let mut next = model.clone();
            let outcome = vault.change(&entry(Action::AddKey), |edit| {
                for step in &steps {
                    match step {
                        Step::Put { number, versions, secret } => {
                            let Ok(secret_key) = ApiKey::parse(&Secret::new(secret)) else { continue };
                            let record = record(*number, *versions);
                            let key_id = record.key_id;
                            edit.remove_record(key_id);
                            next.retain(|(of, _), _| *of != key_id);
                            edit.record(record);
                            edit.secret(key_id, *versions, &secret_key)?;
                            next.insert((key_id, *versions), secret.clone());
                        }
                        Step::Forget { number, version } => {
                            edit.forget_secret(record(*number, 1).key_id, *version);
                            next.remove(&(record(*number, 1).key_id, *version));
                        }
                        Step::Remove { number } => {
                            edit.remove_record(record(*number, 1).key_id);
                            next.retain(|(of, _), _| *of != record(*number, 1).key_id);
                        }
                    }
                }
                if refuse { Err(VaultError::Full("of this test")) } else { Ok(()) }
            });
            prop_assert_eq!(outcome.is_err(), refuse);
            if !refuse {
                model = next;
            }
            if rekey {
                vault.rekey(now(), "test", &[SlotKind::KeyFile], &[NewSlot::KeyFile]).expect("rekeyed").into_inner();
            }
        }
        let other = home.vault();
        other.unlock(Unlock::Automatic).expect("unlocked");
        let contents = other.contents().expect("contents");
        let mut found = BTreeMap::new();
        for (key_id, record) in &contents.keys {
            for version in &record.versions {
                match other.reveal(&entry(Action::RevealKey), record, version.version) {
                    // EXPOSE: made-up values in a test
                    Ok(key) => drop(found.insert((*key_id, version.version), key.expose().to_owned())),
                    Err(why) => prop_assert!(matches!(why, VaultError::NoSuchSecret { .. }), "{}", why),
                }
            }
        }
        prop_assert_eq!(found, model);
        prop_assert_eq!(other.verify_audit().expect("a trail").fault, None);
    }
}

#[test]
fn an_edit_that_breaks_a_rule_is_refused_whole() {
    let (home, vault) = Home::with_key_file();
    let key_id = add(&vault, 1, "sk-ant-0123456789abcdef").expect("added");
    let before = home.bytes();
    let refused: Result<Committed<()>, VaultError> = vault.change(&entry(Action::AddKey), |edit| {
        let mut elsewhere = record(1, 1);
        elsewhere.origin = "https://evil.example".to_owned();
        edit.record(elsewhere);
        Ok(())
    });
    assert!(matches!(refused, Err(VaultError::Misused(_))), "an origin is fixed");
    let refused: Result<Committed<()>, VaultError> = vault.change(&entry(Action::AddKey), |edit| {
        edit.record(record(1, 0));
        Ok(())
    });
    assert!(
        matches!(refused, Err(VaultError::Misused(_))),
        "a secret without its version"
    );
    let refused: Result<Committed<()>, VaultError> = vault.change(&entry(Action::AddKey), |edit| {
        edit.secret(record(2, 1).key_id, 1, &key("sk-ant-0123456789abcdef"))
    });
    assert!(
        matches!(refused, Err(VaultError::NoSuchKey(_))),
        "a secret without its record"
    );
    assert_eq!(home.bytes(), before);
    assert_eq!(reveal(&vault, key_id).expect("the secret"), "sk-ant-0123456789abcdef");
    let nothing: Committed<()> = vault
        .change::<_, VaultError>(&entry(Action::AddKey), |_| Ok(()))
        .expect("nothing to do");
    assert!(nothing.is_durable());
    assert_eq!(home.bytes(), before, "an edit that changes nothing writes nothing");
}
