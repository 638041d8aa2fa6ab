//! What a process has noted in its journal, and is in the ledger once its process is gone.

use std::{fs, path::PathBuf, thread};

use super::*;
use api_keys::storage::ledger::{Encoded, Journal, Position};

const HOLDER: [u8; 8] = [7; 8];
const NAME: &str = "0707070707070707";

/// A request of a gateway, which is known by `name` where it has one.
fn named(name: &str) -> UsageRecord {
    UsageRecord {
        source: UsageSource::Gateway,
        client: Some("editor".to_owned()),
        request_id: (!name.is_empty()).then(|| name.to_owned()),
        ..request()
    }
}

/// What is known of a request that is under way, by its first `input` tokens.
fn so_far(name: &str, input: u64) -> UsageRecord {
    UsageRecord {
        tokens: Tokens::new(TokenCounts {
            input,
            ..TokenCounts::default()
        })
        .unwrap(),
        outcome: RequestOutcome {
            success: false,
            status_code: None,
            latency_ms: None,
        },
        cost: RecordedCost::Estimated {
            cost: Usd::from_nano(3),
            price: "of that day".to_owned(),
        },
        ..named(name)
    }
}

fn encoded(record: &UsageRecord) -> Encoded {
    Encoded::new(record)
}

/// Begins and ends a request, and returns the place behind.
fn whole(journal: &mut Journal, record: &UsageRecord) -> Position {
    let id = journal.begin(encoded(&so_far("", 1))).unwrap();
    journal.end(Some(id), &encoded(record)).unwrap()
}

fn recorded(ledger: &Ledger) -> Vec<UsageRecord> {
    exported(ledger).into_iter().map(|exported| exported.record).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("data/journal")).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn segment(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("data/journal/{NAME}-{number:08}.journal"))
}

/// Puts a segment of a process that is gone beside the ledger.
fn put_segment(folder: &Path, holder: u64, bytes: &[u8]) {
    let journals = folder.join("data/journal");
    crate::support::private_folder(&journals);
    put_file(&journals.join(format!("{holder:016x}-00000001.journal")), bytes);
}

#[test]
fn what_has_ended_is_recorded_once_and_what_was_under_way_as_an_estimated_failure() {
    let (home, ledger) = ledger();
    let mut journal = ledger.journal(HOLDER);
    let open = journal.begin(encoded(&so_far("req_open", 1))).unwrap();
    let ended = journal.begin(encoded(&so_far("req_ended", 1))).unwrap();
    let canceled = journal.begin(encoded(&so_far("req_canceled", 1))).unwrap();
    let silent = journal.begin(encoded(&so_far("req_silent", 9))).unwrap();
    // An answer that is nearly there says that it succeeds; it did not.
    let update = UsageRecord {
        outcome: request().outcome,
        ..so_far("req_open", 5)
    };
    journal.update(open, encoded(&update));
    journal.end(Some(ended), &encoded(&named("req_ended"))).unwrap();
    journal.end(None, &encoded(&named("req_attempt"))).unwrap();
    journal.cancel(canceled);
    assert_ne!(silent, open);
    lease(&ledger, NAME, (40, &[]), 0);
    assert_eq!(ledger.replay().unwrap(), 0, "its process lives");
    assert_eq!(recorded(&ledger), []);
    drop(journal);

    replay(&home, &ledger);
    let lost = UsageRecord {
        outcome: RequestOutcome {
            success: false,
            ..request().outcome
        },
        ..so_far("req_open", 5)
    };
    let expected = [named("req_ended"), named("req_attempt"), lost, so_far("req_silent", 9)];
    assert_eq!(recorded(&ledger), expected);
    assert_eq!(total(&ledger), sum(&expected));
    assert_eq!(
        ledger.spent(None, &[span(0, DAY)], at(1)).unwrap()[0].reserved,
        Usd::ZERO
    );
    assert_eq!(names(home.path()), [""; 0]);
    assert_eq!(ledger.replay().unwrap(), 0);
    assert_eq!(ledger.damaged_journals().unwrap(), [""; 0]);
    expect_whole(&ledger);
}

#[test]
fn whoever_opens_the_ledger_next_finds_what_a_process_that_is_gone_used() {
    let (home, ledger) = ledger();
    let mut journal = ledger.journal(HOLDER);
    whole(&mut journal, &named("req_1"));
    drop(journal);
    let all = || total(&Ledger::new(home.path().join("data"))).requests;
    while all() == 0 {
        assert_eq!(names(home.path()).len(), 1, "another test starts a child");
    }
    assert_eq!(all(), 1);
}

/// A process that was killed after the ledger had taken over a part, before the segment was removed.
#[test]
fn what_is_in_the_ledger_by_its_position_is_not_recorded_again() {
    let (home, ledger) = ledger();
    let mut journal = ledger.journal(HOLDER);
    // Nothing but the position tells them apart.
    whole(&mut journal, &named(""));
    let position = whole(&mut journal, &named(""));
    whole(&mut journal, &named(""));
    let folded = Fold {
        ended: &[&named(""), &named("")],
        position: Some(position),
        ..fold(NAME)
    };
    ledger.fold(&folded, at(0)).unwrap();
    drop(journal);
    replay(&home, &ledger);
    assert_eq!(total(&ledger).requests, 3);
    expect_whole(&ledger);
}

#[test]
fn a_replay_that_was_killed_before_the_files_were_removed_is_not_repeated() {
    let (home, ledger) = ledger();
    let mut journal = ledger.journal(HOLDER);
    whole(&mut journal, &named(""));
    journal.begin(encoded(&so_far("", 2))).unwrap();
    drop(journal);
    let bytes = fs::read(segment(home.path(), 1)).unwrap();
    replay(&home, &ledger);
    assert_eq!(total(&ledger).requests, 2);
    put_file(&segment(home.path(), 1), &bytes);
    let sql = rusqlite::Connection::open(ledger.path()).unwrap();
    sql.execute("INSERT INTO journal VALUES (?1, 4294967295, 0)", [NAME])
        .unwrap();
    replay(&home, &ledger);
    assert_eq!(total(&ledger).requests, 2);
    assert_eq!(names(home.path()), [""; 0]);
    let rows = sql.query_row("SELECT count(*) FROM journal", [], |row| row.get::<_, u64>(0));
    assert_eq!(rows.unwrap(), 0);
}

#[test]
fn a_torn_last_entry_is_ignored_and_everything_before_it_counts() {
    let (home, ledger) = ledger();
    let mut journal = ledger.journal(HOLDER);
    let before = whole(&mut journal, &named(""));
    let after = journal.end(None, &encoded(&named(""))).unwrap();
    let bytes = fs::read(segment(home.path(), 1)).unwrap();
    let range = usize::try_from(before.offset).unwrap()..usize::try_from(after.offset).unwrap();
    let mut holders = 0;
    for cut in range.clone() {
        holders += 1;
        put_segment(home.path(), holders, &bytes[..cut]);
        holders += 1;
        let mut zeros = bytes[..range.end + 100].to_vec();
        zeros[cut..].fill(0);
        put_segment(home.path(), holders, &zeros);
    }
    assert_eq!(ledger.replay().unwrap() as u64, holders);
    assert_eq!(ledger.damaged_journals().unwrap(), [""; 0]);
    let sum = total(&ledger);
    assert_eq!((sum.requests, sum.errors), (holders, 0));
    drop(journal);
}

#[test]
fn a_damaged_middle_is_kept_and_told_and_counted_up_to_there() {
    let (home, ledger) = ledger();
    let mut journal = ledger.journal(HOLDER);
    let before = journal.end(None, &encoded(&named(""))).unwrap();
    let after = journal.end(None, &encoded(&named(""))).unwrap();
    let last = journal.end(None, &encoded(&named(""))).unwrap();
    let bytes = fs::read(segment(home.path(), 1)).unwrap();
    let bytes = &bytes[..usize::try_from(last.offset).unwrap() + 100];
    let mut holders = 0;
    for place in usize::try_from(before.offset).unwrap()..usize::try_from(after.offset).unwrap() {
        let mut damaged = bytes.to_vec();
        damaged[place] ^= 1 << (place % 8);
        put_segment(home.path(), holders, &damaged);
        holders += 1;
    }
    assert_eq!(ledger.replay().unwrap() as u64, holders);
    assert_eq!(total(&ledger).requests, holders);
    let kept = ledger.damaged_journals().unwrap();
    assert_eq!(kept.len() as u64, holders);
    assert_eq!(kept[0], "journal/0000000000000000-00000001.journal.damaged");
    assert_eq!(ledger.replay().unwrap(), 0, "once");
    assert_eq!(total(&ledger).requests, holders);
    drop(journal);
}

#[test]
fn a_journal_that_cannot_be_opened_is_not_in_the_way_of_others() {
    let (home, ledger) = ledger();
    let mut journal = ledger.journal(HOLDER);
    whole(&mut journal, &named("req_1"));
    drop(journal);
    fs::create_dir(home.path().join("data/journal/0000000000000000-00000001.journal")).unwrap();
    while total(&ledger).requests == 0 {
        ledger.replay().unwrap_err();
    }
    assert_eq!(total(&ledger).requests, 1);
}

#[test]
fn several_who_replay_at_once_record_once() {
    let (home, ledger) = ledger();
    let mut journal = ledger.journal(HOLDER);
    for _ in 0..50 {
        whole(&mut journal, &named(""));
        journal.begin(encoded(&so_far("", 1))).unwrap();
    }
    drop(journal);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| replay(&home, &Ledger::new(home.path().join("data"))));
        }
    });
    assert_eq!((total(&ledger).requests, total(&ledger).errors), (100, 50));
    expect_whole(&ledger);
}

/// A request so long that few fill a segment.
fn long(record: UsageRecord) -> UsageRecord {
    UsageRecord {
        session: Some("s".repeat(50_000)),
        ..record
    }
}

#[test]
fn requests_under_way_go_along_from_segment_to_segment_and_none_is_lost_or_twice() {
    for folds in [false, true] {
        let (home, ledger) = ledger();
        let mut journal = ledger.journal(HOLDER);
        let first = journal.begin(encoded(&so_far("", 1))).unwrap();
        let second = journal.begin(encoded(&so_far("", 2))).unwrap();
        let mut spare = None;
        for number in 0..250 {
            let position = whole(&mut journal, &long(named("")));
            // One is made ahead of time, and comes too late now and then.
            if let Some(segment) = spare.take().filter(|_| number % 40 == 0) {
                journal.set_spare(segment);
            }
            if spare.is_none()
                && let Some(next) = journal.next_segment()
            {
                spare = Some(next.make().unwrap());
            }
            if folds {
                let folded = Fold {
                    ended: &[&long(named(""))],
                    position: Some(position),
                    ..fold(NAME)
                };
                ledger.fold(&folded, at(0)).unwrap();
                for segment in journal.folded(position) {
                    segment.remove(journal.folder());
                }
            }
        }
        journal.end(Some(second), &encoded(&named(""))).unwrap();
        assert!(names(home.path()).len() > 1);
        assert_ne!(first, second);
        drop(spare);
        drop(journal);
        replay(&home, &ledger);
        assert_eq!((total(&ledger).requests, total(&ledger).errors), (252, 1), "{folds}");
        assert_eq!(ledger.damaged_journals().unwrap(), [""; 0]);
        assert_eq!(names(home.path()), [""; 0]);
        expect_whole(&ledger);
    }
}

/// While it is made, requests may fill the current one: both must not have the same name.
#[test]
fn a_segment_made_ahead_of_time_that_comes_too_late_is_in_nobodys_way() {
    let (home, ledger) = ledger();
    let mut journal = ledger.journal(HOLDER);
    let mut requests = 0;
    let next = loop {
        whole(&mut journal, &long(named("")));
        requests += 1;
        if let Some(next) = journal.next_segment() {
            break next;
        }
    };
    while names(home.path()).len() == 1 {
        whole(&mut journal, &long(named("")));
        requests += 1;
    }
    let late = next.make().unwrap();
    journal.set_spare(late);
    assert_eq!(names(home.path()).len(), 2);
    drop(journal);
    replay(&home, &ledger);
    assert_eq!(total(&ledger).requests, requests);
}

#[test]
fn a_journal_that_is_closed_leaves_nothing_and_can_be_written_on() {
    let (home, ledger) = ledger();
    let mut journal = ledger.journal(HOLDER);
    let position = whole(&mut journal, &named("req_1"));
    let folded = Fold {
        ended: &[&named("req_1")],
        position: Some(position),
        ..fold(NAME)
    };
    ledger.fold(&folded, at(0)).unwrap();
    lease(&ledger, NAME, (40, &[]), 0);
    journal.remove();
    ledger.close_journal(NAME).unwrap();
    assert_eq!(names(home.path()), [""; 0]);
    assert_eq!(
        ledger.spent(None, &[span(0, DAY)], at(1)).unwrap()[0].reserved,
        Usd::ZERO
    );
    // Somebody was late.
    assert!(whole(&mut journal, &named("req_2")) > position);
    drop(journal);
    replay(&home, &ledger);
    assert_eq!(total(&ledger).requests, 2);
}

#[test]
fn a_file_that_a_killed_process_did_not_finish_is_removed() {
    let (home, ledger) = ledger();
    let mut journal = ledger.journal(HOLDER);
    whole(&mut journal, &named("req_1"));
    put_file(&home.path().join("data/journal/.0707.1.api-keys-tmp"), &[0; 100]);
    assert_eq!(ledger.replay().unwrap(), 0);
    assert_eq!(names(home.path()), [format!("{NAME}-00000001.journal")]);
    drop(journal);
}

#[cfg(unix)]
mod processes {
    use std::{
        io::{BufRead, BufReader},
        process::{Command, Stdio},
    };

    use super::*;
    use crate::support::outside::{tell, this_test};

    const FOLDER: &str = "API_KEYS_TEST_JOURNAL_FOLDER";

    /// Does nothing unless a test below started it: then books requests until it is killed.
    #[test]
    fn a_child_books() {
        let Ok(folder) = std::env::var(FOLDER) else {
            return;
        };
        let ledger = Ledger::new(folder);
        let mut journal = ledger.journal(HOLDER);
        lease(&ledger, NAME, (40, &[]), 0);
        journal.begin(encoded(&so_far("req_open", 3))).unwrap();
        for number in 0.. {
            whole(&mut journal, &named(&format!("req_{number}")));
            tell(&number.to_string());
        }
    }

    #[test]
    fn every_request_that_a_killed_process_has_told_of_is_recorded_and_its_lease_is_free() {
        use std::os::unix::fs::PermissionsExt;
        for umask in ["000", "022", "777"] {
            let (home, ledger) = ledger();
            let child = this_test("ledger::journal::processes::a_child_books");
            let mut child = Command::new("sh")
                .arg("-c")
                .arg(format!("umask {umask}; exec \"$0\" \"$@\""))
                .arg(child.get_program())
                .args(child.get_args())
                .env(FOLDER, home.path().join("data"))
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let mut told = lines
                .by_ref()
                .filter_map(|line| Some(line.unwrap().split_once("told: ")?.1.parse::<u64>().unwrap()));
            let heard = told.by_ref().nth(99).unwrap();
            assert_eq!(ledger.replay().unwrap(), 0);
            assert_eq!(total(&ledger).requests, 0);
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&home.path().join("data/journal")), 0o700, "umask {umask}");
            assert_eq!(mode(&segment(home.path(), 1)), 0o600, "umask {umask}");
            child.kill().unwrap();
            let last = told.last().unwrap_or(heard);
            child.wait().unwrap();
            replay(&home, &ledger);
            let (records, mut failed): (Vec<_>, Vec<_>) =
                recorded(&ledger).into_iter().partition(|record| record.outcome.success);
            assert_eq!(failed.remove(0), so_far("req_open", 3));
            // It may have been killed between the begin and the end of the next one.
            assert!(failed.is_empty() || failed == [so_far("", 1)]);
            // The last one may have been recorded and not been told of.
            assert!([last + 1, last + 2].contains(&(records.len() as u64)), "{last}");
            for (number, record) in records.iter().enumerate() {
                assert_eq!(*record, named(&format!("req_{number}")));
            }
            assert_eq!(
                ledger.spent(None, &[span(0, DAY)], at(1)).unwrap()[0].reserved,
                Usd::ZERO
            );
            expect_whole(&ledger);
        }
    }

    /// Books requests until there is no room for one more; those that have begun can be ended.
    #[test]
    fn a_child_fills_the_disk() {
        let Ok(folder) = std::env::var(FULL) else {
            return;
        };
        let mut journal = Ledger::new(folder).journal(HOLDER);
        let mut under_way = Vec::new();
        let refused = loop {
            match journal.begin(encoded(&long(so_far("", 1)))) {
                Ok(id) => under_way.push(id),
                Err(why) => break why,
            }
        };
        assert!(refused.to_string().contains("no space"), "{refused}");
        let spent = long(named(""));
        for id in under_way.iter().rev() {
            // What is noted meanwhile takes no room away.
            journal.update(under_way[0], encoded(&long(so_far("", 2))));
            journal.end(Some(*id), &encoded(&spent)).unwrap();
        }
        drop(journal);
        tell(&under_way.len().to_string());
    }

    const FULL: &str = "API_KEYS_TEST_FULL_FOLDER";

    /// What a child said that ran under a shell, after `before`.
    fn full(before: &str, folder: &Path) -> String {
        let child = this_test("ledger::journal::processes::a_child_fills_the_disk");
        let ended = Command::new("sh")
            .arg("-c")
            .arg(format!("{before}; exec \"$0\" \"$@\""))
            .arg(child.get_program())
            .args(child.get_args())
            .env(FULL, folder)
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
        String::from_utf8(ended.stdout).unwrap()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn on_a_disk_that_is_really_full_every_request_that_has_begun_can_be_ended() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().display();
        let mount = format!("mount -t tmpfs -o size=24m none '{place}'");
        // The disk is gone with the processes that see it.
        let can = Command::new("unshare").args(["-m", "sh", "-c", &mount]).output();
        if !can.is_ok_and(|tried| tried.status.success()) {
            return crate::support::outside::remark("nothing was tested: no file system can be mounted here");
        }
        let inside = mount.replace('\'', "\"");
        let before = format!(r#"exec unshare -m sh -c '{inside} && exec "$0" "$@"' "$0" "$@""#);
        let said = full(&before, &home.path().join("data"));
        let (_, begun) = said.split_once("told: ").unwrap();
        assert!(begun.lines().next().unwrap().parse::<u64>().unwrap() > 40, "{begun}");
    }

    /// No file can be longer than the first segment here: the next one, which takes along what is under way, must be.
    #[test]
    fn where_the_disk_is_full_no_request_begins_and_every_one_that_has_begun_can_be_ended() {
        let (home, ledger) = ledger();
        // In units of 512 bytes, or 1,024 in some shells: more than one segment in both.
        let said = full("trap '' XFSZ; ulimit -f 8200", &home.path().join("data"));
        let (_, begun) = said.split_once("told: ").unwrap();
        let begun: u64 = begun.lines().next().unwrap().parse().unwrap();
        assert!(begun > 20, "{begun}");
        replay(&home, &ledger);
        let sum = total(&ledger);
        assert_eq!((sum.requests, sum.errors), (begun, 0));
    }
}
