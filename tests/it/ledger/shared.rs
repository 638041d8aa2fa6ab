//! A ledger that several processes use at once.
#![cfg(unix)]

use std::{
    io::{BufRead, BufReader, Lines, Write},
    process::{Child, ChildStdout, Stdio},
    thread,
    time::Duration,
};

use super::*;
use crate::support::outside::{installed, remark, tell, this_test};
use api_keys::storage::ledger::Granted;

const FOLDER: &str = "API_KEYS_TEST_LEDGER_FOLDER";
const PROCESSES: usize = 4;
const EACH: usize = 16;
/// How many a budget is for, and for how much each.
const FIT: usize = 6;
const AMOUNT: i64 = 100;

/// Does nothing unless a test below started it: then asks for its part of a budget, in as many threads as it wants parts.
#[test]
fn a_child_leases() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let ledger = Ledger::new(folder);
    let holder = std::process::id().to_string();
    let limits = [limit(AMOUNT * 6 + AMOUNT / 2)];
    ledger.totals(always(), &Filter::default()).unwrap();
    tell("ready");
    let mut go = String::new();
    std::io::stdin().read_line(&mut go).unwrap();
    thread::scope(|scope| {
        for _ in 0..EACH {
            scope.spawn(|| match lease(&ledger, &holder, (AMOUNT, &limits), 1).asks[0] {
                Granted::Yes => tell("granted"),
                Granted::No { .. } => tell("refused"),
            });
        }
    });
    tell("done");
    // Until it is killed: whoever holds a lease may die with it.
    std::io::stdin().read_line(&mut go).unwrap();
}

/// The next thing that a child told.
fn told(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    lines
        .find_map(|line| line.unwrap().split_once("told: ").map(|(_, told)| told.to_owned()))
        .expect("the child tells more")
}

fn start(folder: &Path) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = this_test("ledger::shared::a_child_leases")
        .env(FOLDER, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

#[test]
fn of_64_leases_at_once_from_four_processes_as_many_are_granted_as_fit() {
    let (home, ledger) = ledger();
    let folder = home.path().join("data");
    ledger.record(&request()).unwrap();
    let mut children: Vec<_> = (0..PROCESSES).map(|_| start(&folder)).collect();
    for (_, lines) in &mut children {
        assert_eq!(told(lines), "ready");
    }
    for (child, _) in &mut children {
        child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    }
    let mut answers = Vec::new();
    for (_, lines) in &mut children {
        answers.extend((0..EACH).map(|_| told(lines)));
        assert_eq!(told(lines), "done");
    }
    assert_eq!(answers.len(), 64);
    assert_eq!(answers.iter().filter(|answer| *answer == "granted").count(), FIT);
    for (child, _) in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let reserved = |second| ledger.spent(None, &[span(0, DAY)], at(second)).unwrap()[0].reserved;
    assert_eq!(reserved(59), Usd::from_nano(AMOUNT * 6));
    assert_eq!(reserved(60), Usd::ZERO, "those of the dead end by themselves");
    expect_whole(&ledger);
}

/// Also the first ones, who make the ledger.
#[test]
fn threads_and_handles_that_begin_at_once_make_one_ledger() {
    let (home, _) = ledger();
    let folder = home.path().join("data");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let ledger = Ledger::new(&folder);
                for _ in 0..5 {
                    ledger.record(&request()).unwrap();
                }
            });
        }
    });
    let ledger = Ledger::new(&folder);
    assert_eq!(total(&ledger).requests, 40);
    expect_whole(&ledger);
}

#[test]
fn everything_of_a_ledger_is_private_from_the_first_byte_under_any_umask() {
    use std::os::unix::fs::PermissionsExt;

    for umask in ["000", "022", "777"] {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("made/data");
        let child = this_test("ledger::shared::a_child_leases");
        let mut child = std::process::Command::new("sh")
            .arg("-c")
            .arg(format!("umask {umask}; exec \"$0\" \"$@\""))
            .arg(child.get_program())
            .args(child.get_args())
            .env(FOLDER, &folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(told(&mut lines), "ready");
        child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
        while told(&mut lines) != "done" {}
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700, "umask {umask}");
        for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
            assert_eq!(mode(&folder.join(name)), 0o600, "umask {umask}: {name}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn while_a_writer_waits_for_another_process_others_read_and_it_says_how_long_it_waited() {
    let (_home, ledger) = ledger();
    ledger.record(&request()).unwrap();
    let other = rusqlite::Connection::open(ledger.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    thread::scope(|scope| {
        let writing = scope.spawn(|| ledger.record(&request()));
        for _ in 0..1_000 {
            assert_eq!(total(&ledger).requests, 1);
        }
        let patience = Duration::from_millis(20);
        let refused = ledger.with_patience(patience).record(&request());
        assert!(
            matches!(refused, Err(LedgerError::Busy { waited }) if waited >= patience),
            "{refused:?}"
        );
        other.execute_batch("ROLLBACK").unwrap();
        writing.join().unwrap().unwrap();
    });
    assert_eq!(total(&ledger).requests, 2);
}

/// Does nothing unless the test below started it: then records while a side file is not writable, and once it is.
#[test]
fn a_child_records_beside_a_file_of_the_wrong_mode() {
    let Ok(folder) = std::env::var(WRONG_MODE) else {
        return;
    };
    let ledger = Ledger::new(&folder);
    let failed = ledger.record(&request()).err().map(|why| why.to_string());
    for name in SIDE_FILES {
        set_mode(&Path::new(&folder).join(name), 0o600);
    }
    tell(&format!("{failed:?} {}", ledger.record(&request()).is_ok()));
}

const WRONG_MODE: &str = "API_KEYS_TEST_WRONG_MODE";
const SIDE_FILES: [&str; 2] = ["ledger.db-wal", "ledger.db-shm"];

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn a_side_file_that_was_not_writable_for_a_moment_does_no_lasting_harm() {
    if !installed(&["setpriv"]) {
        return;
    }
    for name in SIDE_FILES {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("data");
        let ledger = Ledger::new(&folder);
        ledger.record(&request()).unwrap();
        set_mode(&folder.join(name), 0o400);
        // Root may write whatever the mode says, unless it is taken from it.
        let this = this_test("ledger::shared::a_child_records_beside_a_file_of_the_wrong_mode");
        let mut child = std::process::Command::new("setpriv");
        if rustix::process::geteuid().is_root() {
            child.arg("--bounding-set=-dac_override,-dac_read_search");
        }
        child
            .arg(this.get_program())
            .args(this.get_args())
            .env(WRONG_MODE, &folder);
        let output = child.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        remark(&format!("{name}: {told}"));
        assert!(
            told.lines()
                .any(|line| line.contains("told: ") && line.ends_with(" true")),
            "{name}: {told}"
        );
        ledger.record(&request()).unwrap();
        expect_whole(&ledger);
    }
}
