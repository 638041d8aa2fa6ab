//! Vault files that are not what was written: refused, explained, and left as they are.

use std::{fs, thread, time::Duration};

use serde_json::{Value, json};

use super::{
    golden::{WORDS, copy, golden, small_copy},
    *,
};
use api_keys::storage::vault::inspect;

/// How a vault file in the golden vault's place is met, by a reader and a writer.
///
/// Panics where it is used or where it is changed.
fn refusal(home: &Home, bytes: &[u8]) -> VaultError {
    home.put(bytes);
    let why = home.vault().unlock(Unlock::Automatic).expect_err("refused");
    assert_eq!(home.bytes(), bytes, "a damaged file is left as it is");
    why
}

#[test]
fn every_flipped_bit_is_refused() {
    let good = small_copy().bytes();
    let parts = 2;
    thread::scope(|scope| {
        for part in 0..parts {
            let good = &good;
            scope.spawn(move || {
                let home = small_copy();
                for at in (part..good.len()).step_by(parts) {
                    for bit in 0..8 {
                        let mut bytes = good.clone();
                        bytes[at] ^= 1 << bit;
                        // Most are no vault file any more; the others have to be met by what opens vaults.
                        if let Err(why) = inspect(&bytes) {
                            let told = matches!(why, VaultError::Damaged { .. } | VaultError::TooNew { .. });
                            assert!(told, "byte {at}, bit {bit}: {why}");
                            continue;
                        }
                        let why = refusal(&home, &bytes);
                        // A slot that is not what it was does not open; everything else is seen once one did.
                        let told = matches!(
                            why,
                            VaultError::Damaged { .. }
                                | VaultError::Foreign { .. }
                                | VaultError::KeyFileMissing { .. }
                                | VaultError::KeyFileWrong { .. }
                        );
                        assert!(told, "byte {at}, bit {bit}: {why}");
                    }
                }
            });
        }
    });
}

#[test]
fn every_truncation_and_every_addition_is_refused() {
    let (home, good) = (copy(), golden("vault.json"));
    for length in 0..good.len() {
        let why = refusal(&home, &good[..length]);
        assert!(matches!(why, VaultError::Damaged { .. }), "{length}: {why}");
    }
    for more in [&b"\n"[..], b" ", b"\0", b"{}", &good] {
        assert!(matches!(
            refusal(&home, &[&good, more].concat()),
            VaultError::Damaged { .. }
        ));
        assert!(matches!(
            refusal(&home, &[more, &good].concat()),
            VaultError::Damaged { .. }
        ));
    }
}

#[test]
fn every_deleted_or_repeated_line_is_refused() {
    let (home, good) = (copy(), golden("vault.json"));
    let lines: Vec<&[u8]> = good.split_inclusive(|byte| *byte == b'\n').collect();
    for at in 0..lines.len() {
        let without = [&lines[..at], &lines[at + 1..]].concat().concat();
        let twice = [&lines[..=at], &lines[at..]].concat().concat();
        assert!(
            matches!(refusal(&home, &without), VaultError::Damaged { .. }),
            "line {at} taken out"
        );
        assert!(
            matches!(refusal(&home, &twice), VaultError::Damaged { .. }),
            "line {at} twice"
        );
    }
}

/// A vault file as JSON, and back in the one spelling.
fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

fn spelled(file: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(file).expect("JSON");
    bytes.push(b'\n');
    bytes
}

/// The golden file with a header that says something else.
fn with_header(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut file = parsed(&golden("vault.json"));
    let mut header: Value = serde_json::from_str(file["header"].as_str().expect("a header")).expect("JSON");
    change(&mut header);
    file["header"] = header.to_string().into();
    spelled(&file)
}

#[test]
fn parts_of_an_older_file_are_refused_in_every_combination() {
    let (home, newer, older) = (copy(), parsed(&golden("vault.json")), parsed(&golden("older.json")));
    assert_eq!(
        spelled(&newer),
        golden("vault.json"),
        "this test spells as the program does"
    );
    let parts = ["header", "manifest", "records", "mac"];
    for mask in 1..(1 << parts.len()) - 1 {
        let mut mixed = newer.clone();
        for (at, part) in parts.iter().enumerate().filter(|(at, _)| mask & (1 << at) != 0) {
            assert_ne!(mixed[part], older[part], "{at}");
            mixed[part] = older[part].clone();
        }
        let why = refusal(&home, &spelled(&mixed));
        assert!(matches!(why, VaultError::Damaged { .. }), "{mask:04b}: {why}");
    }
}

#[test]
fn records_that_are_swapped_moved_taken_out_or_put_in_are_refused() {
    type Change = fn(&mut Vec<Value>);
    let changes: [(&str, Change); 7] = [
        ("two secrets swapped", |records| {
            let one = records[0]["sealed"].take();
            records[0]["sealed"] = records[2]["sealed"].take();
            records[2]["sealed"] = one;
        }),
        ("two records in the other order", |records| records.swap(0, 1)),
        ("a record taken out", |records| drop(records.remove(1))),
        ("the last record taken out", |records| drop(records.pop())),
        ("all records taken out", Vec::clear),
        ("a record twice", |records| records.insert(1, records[0].clone())),
        ("a secret under another version", |records| {
            records[3]["version"] = json!(3);
        }),
    ];
    let home = copy();
    for (what, change) in changes {
        let mut file = parsed(&golden("vault.json"));
        change(file["records"].as_array_mut().expect("records"));
        let why = refusal(&home, &spelled(&file));
        assert!(matches!(why, VaultError::Damaged { .. }), "{what}: {why}");
    }
}

#[test]
fn the_same_meaning_in_another_spelling_is_refused() {
    let home = copy();
    let text = String::from_utf8(golden("vault.json")).expect("text");
    let with = |field: &str, change: fn(&str) -> String| {
        let mut file = parsed(&golden("vault.json"));
        file[field] = change(file[field].as_str().expect("text")).into();
        String::from_utf8(spelled(&file)).expect("text")
    };
    let spellings = [
        (
            "an escaped letter",
            text.replace("api-keys vault", "\\u0061pi-keys vault"),
        ),
        ("upper-case digits", with("mac", str::to_uppercase)),
        ("no white space", parsed(&golden("vault.json")).to_string()),
        ("other line ends", text.replace('\n', "\r\n")),
        ("padding", with("manifest", |text| format!("{text}="))),
        (
            "a repeated field",
            text.replacen("{\n", "{\n  \"format\": \"api-keys vault\",\n", 1),
        ),
        ("an unknown field", text.replacen("{\n", "{\n  \"note\": \"\",\n", 1)),
        ("a byte order mark", format!("\u{feff}{text}")),
        (
            "a repeated field of the header",
            text.replace("{\\\"version\\\":1,", "{\\\"version\\\":1,\\\"version\\\":1,"),
        ),
        (
            "space in the header",
            text.replace("{\\\"version\\\":1,", "{ \\\"version\\\":1,"),
        ),
        (
            "a fraction in the header",
            text.replace("{\\\"version\\\":1,", "{\\\"version\\\":1.0,"),
        ),
    ];
    for (what, other) in spellings {
        assert_ne!(other, text, "{what}");
        let why = refusal(&home, other.as_bytes());
        assert!(matches!(why, VaultError::Damaged { .. }), "{what}: {why}");
    }
}

#[test]
fn a_file_for_newer_readers_is_too_new_and_not_damaged() {
    let home = copy();
    let newer = with_header(|header| {
        header["version"] = json!(3);
        header["min_reader"] = json!(3);
        header["something_new"] = json!({});
    });
    assert!(matches!(refusal(&home, &newer), VaultError::TooNew { version: 3, .. }));
    let created = home.vault().create(now(), "test", &[NewSlot::KeyFile]);
    assert!(matches!(created, Err(VaultError::Exists { .. })));
    assert_eq!(home.bytes(), newer);
}

#[test]
fn slots_that_ask_for_too_much_work_are_refused_before_any_is_done() {
    let passphrase_slot = |header: &mut Value| header["slots"][1].clone();
    let cost = |memory: u64, passes: u64, lanes: u64| {
        with_header(move |header| {
            let opens_with = &mut header["slots"][1]["opens_with"];
            opens_with["memory_kib"] = json!(memory);
            opens_with["passes"] = json!(passes);
            opens_with["lanes"] = json!(lanes);
        })
    };
    let bombs = [
        ("memory", cost(1024 * 1024 + 1, 1, 1)),
        ("all the memory there is", cost(u64::from(u32::MAX), 1, 1)),
        ("passes", cost(65536, 17, 1)),
        ("no pass", cost(65536, 0, 1)),
        ("lanes", cost(65536, 1, 9)),
        ("no lane", cost(65536, 1, 0)),
        ("too little memory for its lanes", cost(31, 1, 4)),
        ("memory times passes", cost(1024 * 1024, 5, 1)),
        (
            "everything",
            cost(u64::from(u32::MAX), u64::from(u32::MAX), u64::from(u32::MAX)),
        ),
        ("more than a number holds", cost(u64::MAX, 3, 1)),
        (
            "slots together",
            with_header(|header| {
                let mut slot = passphrase_slot(header);
                slot["opens_with"]["memory_kib"] = json!(1024 * 1024);
                slot["opens_with"]["passes"] = json!(3);
                for at in 3..5 {
                    slot["id"] = json!(format!("{at:016x}"));
                    header["slots"].as_array_mut().expect("slots").push(slot.clone());
                }
            }),
        ),
        (
            "17 slots",
            with_header(|header| {
                for at in 3..17 {
                    let mut slot = header["slots"][0].clone();
                    slot["id"] = json!(format!("{at:016x}"));
                    header["slots"].as_array_mut().expect("slots").push(slot);
                }
            }),
        ),
        (
            "the same slot twice",
            with_header(|header| header["slots"][1]["id"] = header["slots"][0]["id"].clone()),
        ),
        ("no slots", with_header(|header| header["slots"] = json!([]))),
    ];
    let (home, words) = (copy(), passphrase(WORDS));
    for (what, bomb) in bombs {
        home.put(&bomb);
        // After the work it would be the wrong passphrase; and the work of some would take minutes.
        let start = std::time::Instant::now();
        for with in [Unlock::Passphrase(&words), Unlock::Automatic] {
            let why = home.vault().unlock(with).expect_err(what);
            assert!(matches!(why, VaultError::Damaged { .. }), "{what}: {why}");
        }
        assert!(home.vault().status().is_err(), "{what}");
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
    }
}

#[test]
fn a_slot_with_another_commitment_or_another_cost_does_not_open() {
    let (home, words) = (copy(), passphrase(WORDS));
    for change in [
        (|header: &mut Value| header["slots"][1]["commitment"] = json!("00".repeat(32))) as fn(&mut Value),
        |header| header["slots"][1]["opens_with"]["memory_kib"] = json!(65535),
        |header| header["slots"][1]["opens_with"]["salt"] = json!("00".repeat(16)),
        |header| header["vault_id"] = json!("00".repeat(16)),
    ] {
        home.put(&with_header(change));
        let why = home.vault().unlock(Unlock::Passphrase(&words)).expect_err("refused");
        assert!(
            matches!(why, VaultError::WrongPassphrase | VaultError::Foreign { .. }),
            "{why}"
        );
    }
    // The slot itself is right; the header that it came with is not.
    home.put(&with_header(|header| header["generation"] = json!(4)));
    let why = home.vault().unlock(Unlock::Passphrase(&words)).expect_err("refused");
    assert!(matches!(why, VaultError::Damaged { .. }), "{why}");
}

#[test]
fn what_is_no_vault_file_at_all_is_refused_quickly() {
    let home = copy();
    let nested = "[".repeat(100_000);
    let long = format!(
        "{{\"format\":\"api-keys vault\",\"header\":\"{}\"}}",
        "x".repeat(1 << 20)
    );
    for text in [
        "",
        "\0",
        "null",
        "[]",
        "{}",
        "{\"format\":\"api-keys vault\"}",
        &nested,
        &long,
        "\u{fffd}",
    ] {
        assert!(matches!(refusal(&home, text.as_bytes()), VaultError::Damaged { .. }));
    }
    let file = fs::File::create(home.file("vault.json")).expect("a file");
    file.set_len(1 << 40).expect("a hole");
    assert!(matches!(
        home.vault().unlock(Unlock::Automatic),
        Err(VaultError::Damaged { .. })
    ));
}

/// The entry point of the fuzz target, on inputs that a few edits make of good ones.
#[test]
fn whatever_the_bytes_reading_never_panics_and_accepts_one_spelling_only() {
    let seeds = [golden("vault.json"), golden("older.json")];
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..4000 {
        let mut bytes = seeds[round % seeds.len()].clone();
        random.damage(&mut bytes);
        if inspect(&bytes).is_ok() {
            assert_eq!(spelled(&parsed(&bytes)), bytes);
        }
    }
}
