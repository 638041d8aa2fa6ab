//! A process killed, a full disk, a failing disk, at every call to the file system that changes the ledger.
//!
//! Afterwards the ledger opens, is whole, and holds the record exactly if the writer said so or was killed before it
//! could; the same record again counts once.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::Stdio,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::*;
use crate::support::{
    outside::{remark, tell, this_test},
    strace,
};
use api_keys::error::Error;

const FOLDER: &str = "API_KEYS_TEST_FAULTY_FOLDER";

/// Calls that change what is on the disk, or ask for it to be.
const CHANGING: [&str; 9] = [
    "fchmod",
    "fdatasync",
    "fsync",
    "ftruncate",
    "mkdir",
    "openat",
    "pwrite64",
    "unlink",
    "write",
];
/// Those that can meet a full disk.
const FILLING: [&str; 4] = ["mkdir", "openat", "pwrite64", "write"];

/// What is there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    /// A ledger with a WAL that a killed process left.
    Crash,
}

fn named(name: &str) -> UsageRecord {
    UsageRecord {
        request_id: Some(name.to_owned()),
        ..request()
    }
}

/// Does nothing unless a test below started it: then adds one record.
#[test]
fn a_child_records() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    match Ledger::new(folder).record(&named("new")) {
        Ok(_) => tell("recorded"),
        Err(why) => tell(&format!("failed: {:?}", Error::from(why))),
    }
}

#[test]
fn making_a_ledger_survives_a_fault_at_every_call() {
    survives(Before::Nothing);
}

#[test]
fn recording_after_a_crash_survives_a_fault_at_every_call() {
    survives(Before::Crash);
}

fn survives(before: Before) {
    if !strace::can_trace_files() {
        return;
    }
    let (_home, folder) = prepared(before);
    let (said, log) = recorded_under_strace(&folder, &[]);
    assert_eq!(said.as_deref(), Some("recorded"), "{log}");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in log.lines() {
        let call = line
            .split_once(' ')
            .and_then(|(_, call)| call.trim_start().split_once('('));
        if let Some((name, _)) = call.filter(|(name, _)| CHANGING.contains(name)) {
            *counts.entry(name).or_default() += 1;
        }
    }
    assert!(
        counts.values().sum::<usize>() > 8,
        "only these calls were seen: {counts:?}"
    );
    let faults: Vec<String> = counts
        .iter()
        .flat_map(|(name, count)| (1..=*count).map(move |at| (*name, at)))
        .flat_map(|(name, at)| {
            let full = FILLING.contains(&name).then_some("error=ENOSPC");
            let faults = ["error=EIO", "signal=KILL"].into_iter().chain(full);
            faults.map(move |fault| format!("inject={name}:{fault}:when={at}"))
        })
        .collect();
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<BTreeMap<&str, usize>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = one_fault(before, fault);
                    *outcomes
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .entry(outcome)
                        .or_default() += 1;
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    remark(&format!("{before:?}: {counts:?}, {outcomes:?}"));
    assert!(
        outcomes.contains_key("failed") && outcomes.contains_key("killed"),
        "{outcomes:?}"
    );
}

/// Records with one fault; checks what is left; returns how it ended.
fn one_fault(before: Before, fault: &str) -> &'static str {
    let (_home, folder) = prepared(before);
    let (said, log) = recorded_under_strace(&folder, &["-e", fault]);
    let context = || format!("{before:?} with {fault}: {said:?}\n{log}");
    let outcome = match said.as_deref() {
        None => "killed",
        Some("recorded") => "recorded",
        Some(_) => "failed",
    };
    let ledger = Ledger::new(&folder);
    let found: Vec<_> = names(&ledger, &context);
    let old = if before == Before::Nothing { &[][..] } else { &["old"] };
    let new = [old, &["new"]].concat();
    let expected: &[&[&str]] = match outcome {
        "killed" => &[old, &new],
        "recorded" => &[&new],
        _ => &[old],
    };
    assert!(
        expected.iter().any(|names| *names == found),
        "{found:?} after {}",
        context()
    );
    if let Err(why) = ledger.record(&named("new")) {
        panic!("{why} after {}", context());
    }
    assert_eq!(names(&ledger, &context), new, "{}", context());
    assert_eq!(total(&ledger).requests, new.len() as u64, "{}", context());
    expect_whole(&ledger);
    outcome
}

fn names(ledger: &Ledger, context: &dyn Fn() -> String) -> Vec<String> {
    let mut names = Vec::new();
    let exported = ledger.export(always(), &Filter::default(), |exported| {
        names.extend(exported.record.request_id.clone());
        Ok::<_, LedgerError>(())
    });
    assert!(exported.is_ok(), "{exported:?} after {}", context());
    names
}

/// A folder of its own with what is there before.
fn prepared(before: Before) -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data");
    if before == Before::Nothing {
        return (home, folder);
    }
    let origin = home.path().join("origin");
    let ledger = Ledger::new(&origin);
    ledger.record(&named("old")).unwrap();
    put(&folder, &bytes(&origin));
    put_file(
        &folder.join("ledger.db-wal"),
        &fs::read(origin.join("ledger.db-wal")).unwrap(),
    );
    (home, folder)
}

/// Lets a child record; returns what it said, if it could, and strace's log of the calls that have to do with the ledger.
fn recorded_under_strace(folder: &Path, more: &[&str]) -> (Option<String>, String) {
    let log = folder.with_extension("log");
    let mut child = this_test("ledger::faults::a_child_records");
    child.env(FOLDER, folder);
    let calls = format!("trace={}", CHANGING.join(","));
    let names = ["", "ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db-journal"];
    let paths = names.map(|name| folder.join(name).components().as_path().display().to_string());
    let mut options = vec!["-f", "-e", &calls];
    options.extend(paths.iter().flat_map(|path| ["-P", path]));
    options.extend(more);
    let mut command = strace::command(&child, &log, &options);
    let ended = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout)
        .lines()
        .find_map(|line| line.split_once("told: ").map(|(_, said)| said.to_owned()));
    (said, fs::read_to_string(log).unwrap())
}
