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

use api_keys::storage::{
    files::{Folder, Written},
    lock,
};

use crate::support::outside::{tell, this_test};

const WRITER: &str = "API_KEYS_TEST_WRITER";
const FOLDER: &str = "API_KEYS_TEST_FOLDER";
const RECORDS: &str = "records";
const WRITERS: usize = 8;
const WRITES: usize = 50;

/// Does nothing unless a test below started it: then adds its records, one by one, each read-change-replace.
#[test]
fn a_child_writes() {
    let (Ok(writer), Ok(path)) = (std::env::var(WRITER), std::env::var(FOLDER)) else {
        return;
    };
    let (name, locking) = writer.split_once(' ').expect("a name, and whether to lock");
    let folder = Folder::open(Path::new(&path))
        .expect("a private folder")
        .expect("there");
    let first: usize = std::env::var("API_KEYS_TEST_FIRST")
        .expect("set")
        .parse()
        .expect("a number");
    for number in first..WRITES {
        let held = (locking == "locked")
            .then(|| lock::acquire(&folder, "lock", Duration::from_mins(1)).expect("the lock is free in time"));
        let (mut bytes, _) = folder.read(RECORDS, 1 << 20).expect("readable").expect("there");
        bytes.extend_from_slice(format!("{name}-{number}\n").as_bytes());
        let written = folder.replace(RECORDS, &bytes).expect("writable");
        assert!(matches!(written, Written::Durable));
        drop(held);
        tell(&number.to_string());
    }
}

/// Lets all writers write at once, and returns the records that were acknowledged and the ones found.
fn write_at_once(locking: &str, killing: bool) -> (BTreeSet<String>, BTreeSet<String>, usize) {
    let home = tempfile::tempdir().expect("a temporary folder");
    let path = home.path().join("data");
    let folder = Folder::create(&path).expect("a private folder");
    assert!(matches!(folder.replace(RECORDS, b""), Ok(Written::Durable)));
    let mut acknowledged = BTreeSet::new();
    let mut kills = 0;
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let path = &path;
                scope.spawn(move || {
                    let (mut first, mut kills) = (0, 0);
                    while first < WRITES {
                        // Killed for the last time, a writer may finish.
                        let alive = killing.then(|| chance(20) + 1);
                        let reached = one_life(path, writer, locking, first, alive);
                        kills += usize::from(reached < WRITES);
                        first = reached;
                    }
                    (writer, kills)
                })
            })
            .collect();
        for writer in writers {
            let (writer, killed) = writer.join().expect("the writer's thread");
            kills += killed;
            acknowledged.extend((0..WRITES).map(|number| format!("{writer}-{number}")));
        }
    });
    let (bytes, _) = folder.read(RECORDS, 1 << 20).expect("readable").expect("there");
    let found = String::from_utf8(bytes.to_vec()).expect("text");
    (acknowledged, found.lines().map(str::to_owned).collect(), kills)
}

/// One process's life: it is killed a moment after `alive` acknowledged records. Returns how many there are now.
fn one_life(folder: &Path, writer: usize, locking: &str, first: usize, alive: Option<u64>) -> usize {
    let mut child = this_test("concurrency::a_child_writes")
        .env(WRITER, format!("{writer} {locking}"))
        .env(FOLDER, folder)
        .env("API_KEYS_TEST_FIRST", first.to_string())
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

#[test]
fn under_the_lock_nothing_acknowledged_is_lost_whoever_is_killed() {
    let (acknowledged, found, kills) = write_at_once("locked", true);
    let lost: Vec<_> = acknowledged.difference(&found).collect();
    assert!(
        lost.is_empty(),
        "{} of {} lost: {lost:?}",
        lost.len(),
        acknowledged.len()
    );
    assert_eq!(found.len(), WRITERS * WRITES);
    assert!(kills >= WRITERS, "{kills} kills");
}

/// The test above could pass because nothing ever happens at the same time: without the lock, it must fail.
#[test]
fn without_the_lock_records_are_lost() {
    let (acknowledged, found, _) = write_at_once("unlocked", false);
    assert!(acknowledged.difference(&found).count() > 0, "nothing was lost");
}
