//! Ledger files that are not what was written: refused, explained, and left as they are.

use std::fs;

use super::*;
use api_keys::{
    error::{Code, Error},
    storage::ledger::Dimension,
};

/// A ledger with some records, closed; and its bytes.
fn written(home: &TempDir, name: &str) -> Vec<u8> {
    let folder = home.path().join(name);
    let ledger = Ledger::new(&folder);
    let records: Vec<_> = (0..200)
        .map(|number| UsageRecord {
            request_id: Some(format!("{name}, number {number}")),
            ..request()
        })
        .collect();
    record_all(&ledger, &records);
    drop(ledger);
    assert!(!folder.join("ledger.db-wal").exists());
    bytes(&folder)
}

/// Meets the ledger in `folder` as a reader, as a writer and as who looks after it; returns the errors.
///
/// Fails where the file was changed.
fn refusals(folder: &Path) -> Vec<Error> {
    let before = bytes(folder);
    let ledger = Ledger::new(folder);
    let read = ledger.totals(always(), &Filter::default()).map(drop);
    let written = ledger.record(&request()).map(drop);
    let checked = ledger.check(Depth::Whole).map(drop);
    let pruned = ledger.prune(at(DAY)).map(drop);
    drop(ledger);
    assert_eq!(bytes(folder), before, "left as it is");
    [read, written, checked, pruned]
        .into_iter()
        .filter_map(|done| done.err().map(Error::from))
        .collect()
}

/// Expects everybody to be refused with `code`, and a hint.
fn expect_refused(folder: &Path, code: Code, context: &str) {
    let refusals = refusals(folder);
    assert_eq!(refusals.len(), 4, "{context}: {refusals:?}");
    for refusal in refusals {
        assert_eq!(refusal.code(), code, "{context}: {refusal:?}");
        assert!(refusal.hint_text().is_some_and(|hint| !hint.is_empty()), "{context}");
        assert!(refusal.message().contains("ledger.db"), "{context}: {refusal:?}");
    }
}

#[test]
fn what_is_no_database_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data");
    let good = written(&home, "good");
    for (what, contents) in [
        ("text", b"Dear diary, today I used many tokens.\n".repeat(500)),
        ("a line", b"not a database".to_vec()),
        ("zeros", vec![0; 8192]),
        ("a header and nothing else", good[..100].to_vec()),
        ("half a page", good[..2048].to_vec()),
    ] {
        put(&folder, &contents);
        expect_refused(&folder, Code::LedgerDamaged, what);
    }
}

#[test]
fn a_ledger_that_was_cut_short_is_refused_or_found_out() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data");
    let good = written(&home, "good");
    for pages in 1..good.len() / 4096 {
        put(&folder, &good[..pages * 4096]);
        expect_refused(&folder, Code::LedgerDamaged, &format!("{pages} pages"));
    }
}

/// A page that was overwritten is met by whoever needs it, and by the check in any case.
#[test]
fn every_overwritten_page_is_found_by_the_check() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data");
    let good = written(&home, "good");
    for page in 0..good.len() / 4096 {
        let mut bad = good.clone();
        bad[page * 4096..(page + 1) * 4096].fill(0xa5);
        put(&folder, &bad);
        for depth in [Depth::Usual, Depth::Whole] {
            let found = Ledger::new(&folder).check(depth);
            assert!(
                matches!(found, Err(LedgerError::Damaged { .. })),
                "page {page}: {found:?}"
            );
        }
    }
}

/// Holding the indexes of a million records against them takes ten seconds, so it is left to those who ask for it.
#[test]
fn of_a_large_ledger_the_indexes_are_held_against_the_records_where_that_is_asked_for() {
    let (home, ledger) = ledger();
    let folder = home.path().join("data");
    // Each time anew: what was written last is in the file itself only once it is closed.
    let look = |depth| {
        Ledger::new(&folder)
            .check(depth)
            .map(|found| found.unwrap().with_indexes)
    };
    ledger.record(&request()).unwrap();
    assert!(
        look(Depth::Usual).unwrap(),
        "a small one is inspected whole in any case"
    );
    let large = UsageRecord {
        request_id: Some("long ".repeat(4 << 20)),
        ..request()
    };
    ledger.record(&large).unwrap();
    drop(ledger);
    assert!(!look(Depth::Usual).unwrap());
    assert!(look(Depth::Whole).unwrap());
    let sql = rusqlite::Connection::open(folder.join("ledger.db")).unwrap();
    let elsewhere = "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = \
                     'CREATE UNIQUE INDEX record_request ON record (provider, request_id) WHERE request_id IS NULL' \
                     WHERE name = 'record_request'";
    sql.execute_batch(elsewhere).unwrap();
    drop(sql);
    assert!(look(Depth::Usual).is_ok());
    let found = look(Depth::Whole);
    assert!(matches!(found, Err(LedgerError::Damaged { .. })), "{found:?}");
}

/// What the hint says is done to the letter, by the shell of whatever system this is.
#[cfg(unix)]
#[test]
fn what_can_be_read_of_a_damaged_ledger_is_got_out_as_the_hint_says() {
    if !crate::support::outside::installed(&["sqlite3", "sed"]) {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("it is here");
    let good = written(&home, "it is here");
    let before = exported(&Ledger::new(&folder)).len();
    let in_the_middle = good.len() / 4096 / 2;
    let mut got_out = 0;
    for page in in_the_middle..in_the_middle + 3 {
        let mut bad = good.clone();
        bad[page * 4096..(page + 1) * 4096].fill(0xa5);
        put(&folder, &bad);
        let damage = Ledger::new(&folder).check(Depth::Usual).unwrap_err();
        let damage = Error::from(damage);
        let command = damage.hint_text().unwrap().split('`').nth(1).unwrap();
        let shell = std::process::Command::new("sh")
            .args(["-c", command])
            .current_dir(home.path())
            .output()
            .unwrap();
        assert!(shell.status.success(), "{shell:?}");
        let recovered = home.path().join("recovered.db");
        put(&folder, &fs::read(&recovered).unwrap());
        fs::remove_file(&recovered).unwrap();
        let ledger = Ledger::new(&folder);
        got_out = got_out.max(exported(&ledger).len());
        assert!(ledger.record(&request()).is_ok(), "it is written on");
    }
    assert!(got_out > before / 2, "{got_out} of {before}");
}

/// Such as when its pages were damaged: what was got out is a database without a fault.
#[test]
fn a_table_that_was_lost_is_found_by_the_check() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data");
    let good = written(&home, "good");
    for lost in [
        "DELETE FROM total",
        "DELETE FROM total WHERE width = 96",
        "DELETE FROM rollup",
        "DELETE FROM total; DELETE FROM rollup",
        "DELETE FROM meta",
        "UPDATE meta SET records = 0",
        "DELETE FROM name",
        "DELETE FROM name WHERE text = 'chat'",
        "DELETE FROM series",
        "DELETE FROM series; DELETE FROM record",
    ] {
        put(&folder, &good);
        assert!(Ledger::new(&folder).check(Depth::Usual).is_ok());
        let sql = rusqlite::Connection::open(folder.join("ledger.db")).unwrap();
        sql.execute_batch(lost).unwrap();
        drop(sql);
        let found = Ledger::new(&folder).check(Depth::Usual);
        assert!(matches!(found, Err(LedgerError::Damaged { .. })), "{lost}: {found:?}");
    }
}

#[test]
fn another_programs_database_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data");
    for (what, statements) in [
        ("tables", "CREATE TABLE theirs (x)"),
        ("an id of its own", "PRAGMA application_id = 1; PRAGMA user_version = 1"),
        ("a version without our id", "PRAGMA user_version = 1"),
        ("our tables without our id", "CREATE TABLE meta (ledger)"),
    ] {
        let file = home.path().join("theirs.db");
        let _ = fs::remove_file(&file);
        rusqlite::Connection::open(&file)
            .unwrap()
            .execute_batch(statements)
            .unwrap();
        put(&folder, &fs::read(&file).unwrap());
        expect_refused(&folder, Code::LedgerDamaged, what);
    }
}

#[test]
fn a_newer_ledger_is_refused_and_one_without_its_tables_is_damaged() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data");
    written(&home, "data");
    let change = |statements: &str| {
        let sql = rusqlite::Connection::open(folder.join("ledger.db")).unwrap();
        sql.execute_batch(statements).unwrap();
    };
    change("PRAGMA user_version = 99");
    expect_refused(&folder, Code::LedgerTooNew, "version 99");
    change("PRAGMA user_version = 1; ALTER TABLE rollup RENAME TO elsewhere");
    let ledger = Ledger::new(&folder);
    for refused in [
        ledger.record(&request()).map(drop),
        ledger.grouped(always(), &Filter::default(), Dimension::Model).map(drop),
    ] {
        assert!(matches!(refused, Err(LedgerError::Damaged { .. })), "{refused:?}");
    }
}

/// Such as when somebody puts another ledger in place and leaves the old one's WAL, which SQLite would play into it.
#[test]
fn a_wal_of_another_ledger_is_not_played_into_this_one() {
    let home = tempfile::tempdir().unwrap();
    let (ours, theirs) = (home.path().join("ours"), home.path().join("theirs"));
    let good = written(&home, "ours");
    written(&home, "theirs");
    let other = Ledger::new(&theirs);
    other.alert_once(&budget_alert("daily", at(0), 80), at(0)).unwrap();
    let wal = fs::read(theirs.join("ledger.db-wal")).unwrap();
    assert!(!wal.is_empty());
    put_file(&ours.join("ledger.db-wal"), &wal);
    let refusals = refusals(&ours);
    assert_eq!(refusals.len(), 4, "{refusals:?}");
    for refused in refusals {
        assert_eq!(refused.code(), Code::LedgerDamaged, "{refused:?}");
        assert!(refused.message().contains("another ledger"), "{refused:?}");
    }
    assert_eq!(fs::read(ours.join("ledger.db-wal")).unwrap(), wal);
    put(&ours, &good);
    assert_eq!(total(&Ledger::new(&ours)).requests, 200);

    // Garbage is no WAL at all: SQLite leaves it out.
    put_file(&ours.join("ledger.db-wal"), &vec![0x5a; 20_000]);
    assert_eq!(total(&Ledger::new(&ours)).requests, 200);
}

#[test]
fn a_wal_whose_ledger_is_gone_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data");
    let ledger = Ledger::new(&folder);
    ledger.record(&request()).unwrap();
    let wal = fs::read(folder.join("ledger.db-wal")).unwrap();
    let copy = home.path().join("copy");
    for contents in [None, Some(&b""[..])] {
        let _ = fs::remove_dir_all(&copy);
        crate::support::private_folder(&copy);
        put_file(&copy.join("ledger.db-wal"), &wal);
        if let Some(contents) = contents {
            put_file(&copy.join("ledger.db"), contents);
        }
        let left = Ledger::new(&copy);
        for refused in [
            left.record(&request()).map(drop),
            left.totals(always(), &Filter::default()).map(drop),
        ] {
            assert!(matches!(refused, Err(LedgerError::Damaged { .. })), "{refused:?}");
        }
        assert_eq!(fs::read(copy.join("ledger.db-wal")).unwrap(), wal);
    }
}

#[cfg(unix)]
#[test]
fn nothing_but_our_own_private_files_is_opened() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data");
    let good = written(&home, "good");
    let elsewhere = home.path().join("good/ledger.db");
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db-journal"] {
        let path = folder.join(name);
        let hazards: [(&str, &dyn Fn()); 5] = [
            ("a symbolic link", &|| symlink(&elsewhere, &path).unwrap()),
            ("a symbolic link to nothing", &|| symlink("nothing", &path).unwrap()),
            ("a pipe", &|| {
                let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
                assert!(made.success());
            }),
            ("a folder", &|| fs::create_dir(&path).unwrap()),
            ("open to others", &|| {
                fs::write(&path, &good).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            }),
        ];
        for (what, put_there) in hazards {
            let _ = fs::remove_dir_all(&folder);
            put(&folder, &good);
            let _ = fs::remove_file(&path);
            put_there();
            let ledger = Ledger::new(&folder);
            for refused in [
                ledger.record(&request()).map(drop),
                ledger.totals(always(), &Filter::default()).map(drop),
                ledger.check(Depth::Whole).map(drop),
            ] {
                let error = Error::from(refused.unwrap_err());
                assert_eq!(error.code(), Code::UnsafeFile, "{name}: {what}: {error:?}");
                assert!(error.message().contains(name), "{name}: {what}: {error:?}");
            }
        }
    }
    assert_eq!(bytes(&home.path().join("good")), good);
}
