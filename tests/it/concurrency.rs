//! Many processes that write at once, some of them killed: nothing acknowledged is lost.
#![cfg(unix)]

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
    thread,
    time::Duration,
};

use api_keys::{
    domain::{ApiKey, KeyId, KeyRecord, Secret, UsageRecord},
    storage::{
        audit::Action,
        files::{Folder, Written},
        ledger::Ledger,
        lock,
        vault::{Edit, NewSlot, Unlock, Vault, VaultPlaces},
    },
};

use crate::{
    ledger::{always, expect_whole, exported, request, total},
    support::outside::{remark, tell, this_test},
    vault::{entry, now, record},
};

const WRITER: &str = "API_KEYS_TEST_WRITER";
const FOLDER: &str = "API_KEYS_TEST_FOLDER";
const RECORDS: &str = "records";

/// What the writers write, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The next secret of their own key in a vault.
    Vault,
    /// Lines of a file that is read, changed and replaced under the lock.
    Locked,
    /// The same without the lock.
    Unlocked,
    /// Records of a ledger, each under a name of its own.
    Ledger,
}

impl Kind {
    fn writers(self) -> usize {
        match self {
            Self::Vault | Self::Locked | Self::Unlocked => 8,
            Self::Ledger => 4,
        }
    }

    /// How often each of them writes.
    fn writes(self) -> usize {
        match self {
            Self::Vault | Self::Locked | Self::Unlocked => 50,
            Self::Ledger => 1000,
        }
    }
}

const KINDS: [(&str, Kind); 4] = [
    ("vault", Kind::Vault),
    ("locked", Kind::Locked),
    ("unlocked", Kind::Unlocked),
    ("ledger", Kind::Ledger),
];

/// Does nothing unless a test below started it: then adds its records, one by one.
#[test]
fn a_child_writes() {
    let (Ok(task), Ok(path)) = (std::env::var(WRITER), std::env::var(FOLDER)) else {
        return;
    };
    let words: Vec<&str> = task.split(' ').collect();
    let [kind, writer, first] = words[..] else {
        panic!("not a task: {task}");
    };
    let (_, kind) = KINDS.into_iter().find(|(name, _)| *name == kind).expect("a kind");
    let writer: usize = writer.parse().expect("a number");
    let path = Path::new(&path);
    let vault = Vault::new(VaultPlaces::in_folder(path));
    if kind == Kind::Vault {
        vault.unlock(Unlock::Automatic).expect("the key file opens it");
    }
    let ledger = Ledger::new(path);
    for number in first.parse().expect("a number")..kind.writes() {
        match kind {
            Kind::Vault => next_secret(&vault, writer, number),
            Kind::Locked => {
                let folder = Folder::open(path).expect("a private folder").expect("there");
                let held = lock::acquire(&folder, "lock", Duration::from_mins(1)).expect("free in time");
                add_line(&folder, writer, number);
                drop(held);
            }
            Kind::Unlocked => add_line(
                &Folder::open(path).expect("a private folder").expect("there"),
                writer,
                number,
            ),
            Kind::Ledger => {
                let named = UsageRecord {
                    request_id: Some(format!("{writer}-{number}")),
                    ..request()
                };
                // The last record of a killed writer may have been kept, and nobody was told.
                ledger.record(&named).expect("recorded");
            }
        }
        tell(&number.to_string());
    }
}

fn add_line(folder: &Folder, writer: usize, number: usize) {
    let (mut bytes, _) = folder.read(RECORDS, 1 << 20).expect("readable").expect("there");
    bytes.extend_from_slice(format!("{writer}-{number}\n").as_bytes());
    let written = folder.replace(RECORDS, &bytes).expect("writable");
    assert!(matches!(written, Written::Durable));
}

/// Gives the writer's key its secret of that number; the one before has to be there still.
fn next_secret(vault: &Vault, writer: usize, number: usize) {
    let count = |number: usize| (number > 0).then(|| number.to_string());
    let change = |edit: &mut Edit| {
        let id = KeyId::from_random([u8::try_from(writer).expect("a small number"); 16]);
        let mut record = edit.contents().keys.get(&id).cloned().unwrap_or_else(|| KeyRecord {
            key_id: id,
            ..record(0, 1)
        });
        // The last write of a killed writer may have been made, and nobody was told.
        let counted = &record.description;
        assert!(
            *counted == count(number) || *counted == count(number + 1),
            "{counted:?}"
        );
        record.description = count(number + 1);
        edit.record(record);
        edit.secret(
            id,
            1,
            &ApiKey::parse(&Secret::new(&secret(writer, number))).expect("well-formed"),
        )
    };
    let entry = entry(Action::AddKey);
    vault.change(&entry, change).expect("the key is changed").into_inner();
}

fn secret(writer: usize, number: usize) -> String {
    format!("sk-made-up-for-the-tests-{writer}-{number}")
}

/// Lets all writers write at once, each killed now and then; returns how often that was.
fn write_at_once(folder: &Path, kind: Kind, killing: bool) -> usize {
    thread::scope(|scope| {
        let writers: Vec<_> = (0..kind.writers())
            .map(|writer| {
                scope.spawn(move || {
                    let (mut first, mut kills) = (0, 0);
                    while first < kind.writes() {
                        let alive = killing.then(|| chance(kind.writes() as u64 * 2 / 5) + 1);
                        first = one_life(folder, kind, writer, first, alive);
                        kills += usize::from(first < kind.writes());
                    }
                    kills
                })
            })
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().expect("the writer's thread"))
            .sum()
    })
}

/// One process's life: it is killed a moment after `alive` acknowledged records. Returns how many there are now.
fn one_life(folder: &Path, kind: Kind, writer: usize, first: usize, alive: Option<u64>) -> usize {
    let (kind, _) = KINDS.into_iter().find(|(_, listed)| *listed == kind).expect("a kind");
    let mut child = this_test("concurrency::a_child_writes")
        .env(WRITER, format!("{kind} {writer} {first}"))
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let mut next = first;
    let mut left = alive;
    for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
        let line = line.expect("text");
        let Some((_, number)) = line.split_once("told: ") else {
            continue;
        };
        next = number.parse::<usize>().expect("a number") + 1;
        left = left.map(|left| left.saturating_sub(1));
        if left == Some(0) {
            // At any point of what it is doing now.
            thread::sleep(Duration::from_micros(chance(3000)));
            child.kill().expect("the child can be killed");
            left = None;
        }
    }
    let ended = child.wait().expect("the child ends");
    assert!(ended.success() || alive.is_some(), "{ended}");
    next
}

/// A number below `below`.
fn chance(below: u64) -> u64 {
    RandomState::new().hash_one(()) % below
}

/// The records in the file after all writers wrote theirs.
fn lines_written_at_once(kind: Kind, killing: bool) -> (BTreeSet<String>, usize) {
    let home = tempfile::tempdir().expect("a temporary folder");
    let folder = Folder::create(&home.path().join("data")).expect("a private folder");
    assert!(matches!(folder.replace(RECORDS, b""), Ok(Written::Durable)));
    let kills = write_at_once(folder.path(), kind, killing);
    let (bytes, _) = folder.read(RECORDS, 1 << 20).expect("readable").expect("there");
    let found = String::from_utf8(bytes.to_vec()).expect("text");
    (found.lines().map(str::to_owned).collect(), kills)
}

#[test]
fn no_secret_acknowledged_is_lost_by_eight_processes_whoever_is_killed() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let places = VaultPlaces::in_folder(home.path().join("data"));
    let vault = Vault::new(places.clone());
    drop(
        vault
            .create(now(), "test", &[NewSlot::KeyFile])
            .expect("a vault")
            .into_inner(),
    );
    let kind = Kind::Vault;
    let kills = write_at_once(&places.data, kind, true);
    assert!(kills >= kind.writers(), "{kills} kills");
    let vault = Vault::new(places);
    vault.unlock(Unlock::Automatic).expect("the vault opens");
    let contents = vault.contents().expect("the vault is whole");
    assert_eq!(contents.keys.len(), kind.writers());
    for (writer, record) in contents.keys.values().enumerate() {
        // EXPOSE: a made-up value in a test
        let found = vault
            .reveal(&entry(Action::RevealKey), record, 1)
            .expect("its secret")
            .expose()
            .to_owned();
        assert_eq!(found, secret(writer, kind.writes() - 1));
    }
    let report = vault.verify_audit().expect("the audit trail is readable");
    assert_eq!(report.fault, None);
    remark(&format!("{kills} kills, {} lines of audit trail", report.entries));
}

#[test]
fn under_the_lock_no_acknowledged_line_is_lost_whoever_is_killed() {
    let kind = Kind::Locked;
    let (found, kills) = lines_written_at_once(kind, true);
    assert_eq!(found.len(), kind.writers() * kind.writes());
    assert!(kills >= kind.writers(), "{kills} kills");
}

#[test]
fn no_record_acknowledged_is_lost_or_counted_twice_by_four_processes_whoever_is_killed() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let folder = home.path().join("data");
    let kind = Kind::Ledger;
    let kills = write_at_once(&folder, kind, true);
    assert!(kills >= kind.writers(), "{kills} kills");
    let ledger = Ledger::new(&folder);
    let written = kind.writers() * kind.writes();
    let names: BTreeSet<_> = exported(&ledger)
        .into_iter()
        .filter_map(|exported| exported.record.request_id)
        .collect();
    assert_eq!(names.len(), written);
    assert_eq!(total(&ledger).requests, written as u64);
    let spent = ledger.spent(None, &[always()], now()).expect("readable");
    assert_eq!(spent[0].recorded, total(&ledger).cost);
    expect_whole(&ledger);
    remark(&format!("{kills} kills"));
}

/// The tests above could pass because nothing ever happens at the same time: without the lock, they must fail.
#[test]
fn without_the_lock_lines_are_lost() {
    let kind = Kind::Unlocked;
    let (found, _) = lines_written_at_once(kind, false);
    let written = kind.writers() * kind.writes();
    remark(&format!("{} of {written} lines kept", found.len()));
    assert!(found.len() < written, "nothing was lost");
}
