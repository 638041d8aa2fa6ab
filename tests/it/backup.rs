//! `backup`: one encrypted file from which everything comes back, on another machine too, and nothing is lost by trying.
#![cfg(unix)]

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::support::{Ended, Home, private_file};

const KEY: &str = "sk-proj-MadeUpForTheTestsOne0123456789abcdefXYZ";
const OTHER: &str = "sk-ant-api03-MadeUpForTheTestsTwo0123456789abcdefXYZ";
const PASSPHRASE: &str = "correct horse battery staple\n";

/// A home with a key, usage, a client and settings.
fn filled() -> Home {
    let home = Home::new();
    home.config("[vault]\nmaster_key = \"key-file\"\n[budget]\ndaily_limit = 5.0\n");
    private_file(&home.beside("passphrase"), PASSPHRASE.as_bytes());
    add(&home, "openai", KEY);
    track(&home, 3);
    ok(&home, &["client", "add", "editor", "--json"]);
    home
}

fn add(home: &Home, provider: &str, key: &str) {
    let added = home.run_with(home.command(["add", provider, "--stdin"]), key);
    assert_eq!(added.code, Some(0), "{added:?}");
}

fn track(home: &Home, requests: usize) {
    for _ in 0..requests {
        ok(home, &["track", "openai", "gpt-4o-mini", "1000", "500"]);
    }
}

fn ok(home: &Home, arguments: &[&str]) -> Ended {
    let ended = home.run(arguments);
    assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
    for key in [KEY, OTHER] {
        assert!(!ended.stdout.contains(key) && !ended.stderr.contains(key), "{ended:?}");
    }
    ended
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// A backup of `home`, by the passphrase in the file beside it.
fn backup(home: &Home, name: &str) -> PathBuf {
    let file = home.beside(name);
    let secret = home.beside("passphrase");
    ok(
        home,
        &[
            "backup",
            "create",
            text(&file),
            "--passphrase-file",
            text(&secret),
            "--json",
        ],
    );
    file
}

/// `home` with the passphrase of `other` beside it.
fn restore(home: &Home, file: &Path, options: &[&str]) -> Ended {
    let secret = home.beside("passphrase");
    private_file(&secret, PASSPHRASE.as_bytes());
    let named = [
        "backup",
        "restore",
        text(file),
        "--passphrase-file",
        text(&secret),
        "--json",
    ];
    home.run([&named, options].concat())
}

/// The secrets as a command gets them.
fn secrets(home: &Home) -> BTreeSet<String> {
    let shown = home.run(["run", "--", "printenv"]);
    let values = shown.stdout.lines().filter_map(|line| Some(line.split_once('=')?.1));
    values
        .filter(|value| value.contains("MadeUpForTheTests"))
        .map(str::to_owned)
        .collect()
}

fn totals(home: &Home) -> serde_json::Value {
    ok(home, &["usage", "--json"]).json()["totals"].clone()
}

fn last_action(home: &Home) -> String {
    let trail = ok(home, &["audit", "--json"]).json();
    let entries = trail["entries"].as_array().expect("entries").clone();
    let mut actions = entries
        .iter()
        .map(|entry| entry["action"].as_str().unwrap_or_default().to_owned());
    actions.rfind(|action| action == "restore_backup").unwrap_or_default()
}

#[test]
fn everything_comes_back_on_another_machine() {
    let home = filled();
    let file = backup(&home, "all.akb");
    let bytes = fs::read(&file).expect("a file");
    for secret in [KEY, "gpt-4o-mini", "editor"] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);

    let elsewhere = Home::new();
    let restored = restore(&elsewhere, &file, &[]);
    assert_eq!(restored.code, Some(0), "{restored:?}");
    assert_eq!(restored.json()["slots"][0]["kind"], "key-file");
    assert_eq!(secrets(&elsewhere), BTreeSet::from([KEY.to_owned()]));
    assert_eq!(totals(&elsewhere), totals(&home));
    assert_eq!(totals(&elsewhere)["requests"], 3);
    let clients = ok(&elsewhere, &["client", "list", "--json"]);
    assert!(clients.stdout.contains("editor"), "{clients:?}");
    let budget = ok(&elsewhere, &["budget", "--json"]).json();
    assert_eq!(
        budget["daily"]["limit_usd"]
            .to_string()
            .trim_matches('"')
            .parse::<f32>(),
        Ok(5.0)
    );
    ok(&elsewhere, &["audit", "--verify"]);
    assert_eq!(last_action(&elsewhere), "restore_backup", "the trail goes on");
    add(&elsewhere, "anthropic", OTHER);
    ok(&elsewhere, &["audit", "--verify"]);
    track(&elsewhere, 1);
}

#[test]
fn nothing_is_replaced_unasked_and_what_was_there_is_kept() {
    let home = filled();
    let file = backup(&home, "old.akb");
    add(&home, "anthropic", OTHER);
    track(&home, 2);
    let before = fs::read(home.path().join("vault.json")).expect("a vault");
    let refused = restore(&home, &file, &[]);
    assert_eq!(
        (refused.code, refused.error_code().as_str()),
        (Some(1), "restore_refused")
    );
    assert_eq!(fs::read(home.path().join("vault.json")).expect("a vault"), before);

    let restored = restore(&home, &file, &["--replace", "--yes"]);
    assert_eq!(restored.code, Some(0), "{restored:?}");
    let kept = PathBuf::from(restored.json()["kept"].as_str().expect("a folder"));
    assert_eq!(fs::read(kept.join("vault.json")).expect("the old vault"), before);
    assert_eq!(secrets(&home), BTreeSet::from([KEY.to_owned()]));
    assert_eq!(totals(&home)["requests"], 3);
    // The vault is one that can be written, and the newest one for its anchor.
    add(&home, "anthropic", OTHER);
    let trail = ok(&home, &["audit", "--all", "--json"]);
    assert!(
        trail.stdout.matches("add_key").count() >= 3,
        "the entries since the backup stay: {trail:?}"
    );
    ok(&home, &["audit", "--verify"]);
    assert_eq!(ok(&home, &["vault", "status", "--json"]).json()["standing"], "current");
}

#[test]
fn a_folder_of_its_own_is_restored_into() {
    let home = filled();
    let file = backup(&home, "all.akb");
    let into = home.beside("other-home");
    let restored = restore(&home, &file, &["--into", text(&into)]);
    assert_eq!(restored.code, Some(0), "{restored:?}");
    let mut command = home.command(["list", "--json"]);
    command.env("API_KEYS_HOME", &into);
    let listed = home.run_with(command, "");
    assert_eq!(listed.json()["total_count"], 1, "{listed:?}");
    assert_eq!(secrets(&home).len(), 1, "the other one is left alone");
}

#[test]
fn one_part_is_restored_and_the_others_stay() {
    let home = filled();
    let file = backup(&home, "old.akb");
    add(&home, "anthropic", OTHER);
    track(&home, 2);
    home.config("[vault]\nmaster_key = \"key-file\"\n[budget]\ndaily_limit = 7.0\n");

    let restored = restore(&home, &file, &["--only", "ledger", "--replace", "--yes"]);
    assert_eq!(restored.code, Some(0), "{restored:?}");
    assert_eq!(totals(&home)["requests"], 3);
    assert_eq!(secrets(&home).len(), 2);

    let restored = restore(&home, &file, &["--only", "config", "--replace", "--yes"]);
    assert_eq!(restored.code, Some(0), "{restored:?}");
    let config = fs::read_to_string(home.path().join("config.toml")).expect("settings");
    assert!(config.contains("daily_limit = 5.0"));
    assert_eq!(secrets(&home).len(), 2);

    let restored = restore(&home, &file, &["--only", "vault", "--replace", "--yes"]);
    assert_eq!(restored.code, Some(0), "{restored:?}");
    assert_eq!(secrets(&home), BTreeSet::from([KEY.to_owned()]));
    ok(&home, &["audit", "--verify"]);
    add(&home, "anthropic", OTHER);
    assert_eq!(totals(&home)["requests"], 3);
}

#[test]
fn verifying_says_what_is_newer_and_satisfies_the_doctor() {
    let home = filled();
    let backup_of = |home: &Home| ok(home, &["doctor", "--offline", "--json"]).json();
    let state = |report: &serde_json::Value| {
        let findings = report["findings"].as_array().expect("findings").clone();
        let found = findings.into_iter().find(|finding| finding["check"] == "backup");
        found.expect("a finding")["state"].as_str().expect("text").to_owned()
    };
    assert_eq!(state(&backup_of(&home)), "notice");
    let file = backup(&home, "all.akb");
    assert_eq!(state(&backup_of(&home)), "notice", "it is not verified yet");
    let secret = home.beside("passphrase");
    let verify = [
        "backup",
        "verify",
        text(&file),
        "--passphrase-file",
        text(&secret),
        "--json",
    ];
    let verified = ok(&home, &verify).json();
    assert_eq!(
        (&verified["ok"], &verified["secrets"]),
        (&true.into(), &1.into()),
        "{verified}"
    );
    assert_eq!(verified["newer_here"].as_array().map(Vec::len), Some(0), "{verified}");
    assert_eq!(state(&backup_of(&home)), "ok");
    add(&home, "anthropic", OTHER);
    track(&home, 2);
    let verified = ok(&home, &verify).json();
    assert_eq!(
        verified["newer_here"],
        serde_json::json!(["the vault was changed once since", "2 more requests are recorded here"])
    );
    let listed = ok(
        &home,
        &["backup", "list", text(file.parent().expect("a folder")), "--json"],
    )
    .json();
    assert!(listed["backups"][0]["verified_at"].is_string(), "{listed}");
}

#[test]
fn a_recovery_code_opens_it_and_is_shown_once() {
    let home = filled();
    let (file, secret) = (home.beside("coded.akb"), home.beside("passphrase"));
    let made = ok(
        &home,
        &[
            "backup",
            "create",
            text(&file),
            "--passphrase-file",
            text(&secret),
            "--recovery-code",
            "--verify",
            "--json",
        ],
    );
    let made = made.json();
    assert_eq!(made["verified"], true);
    let code = made["recovery_code"].as_str().expect("a code").to_owned();
    let elsewhere = Home::new();
    let restored = elsewhere.command(["backup", "restore", text(&file), "--recovery", "--stdin"]);
    let restored = elsewhere.run_with(restored, &code);
    assert_eq!(restored.code, Some(0), "{restored:?}");
    assert_eq!(secrets(&elsewhere), BTreeSet::from([KEY.to_owned()]));
}

#[test]
fn what_is_no_whole_backup_is_refused_and_nothing_is_made_of_it() {
    let home = filled();
    let file = backup(&home, "all.akb");
    let bytes = fs::read(&file).expect("a backup");
    let elsewhere = Home::new();
    let broken = elsewhere.beside("broken.akb");
    let mut flipped = bytes.clone();
    let middle = bytes.len() / 2;
    flipped[middle] ^= 1;
    for (contents, code) in [
        (&bytes[..bytes.len() - 1], "backup_damaged"),
        (&bytes[..bytes.len() / 2], "backup_damaged"),
        (flipped.as_slice(), "backup_damaged"),
        (b"not a backup".as_slice(), "backup_damaged"),
    ] {
        fs::write(&broken, contents).expect("written");
        let refused = restore(&elsewhere, &broken, &[]);
        assert_eq!(refused.error_code(), code, "{refused:?}");
        assert!(!elsewhere.path().exists(), "nothing is put in place");
    }
    private_file(&elsewhere.beside("wrong"), b"another passphrase\n");
    let wrong = elsewhere.beside("wrong");
    let refused = elsewhere.run([
        "backup",
        "restore",
        text(&file),
        "--passphrase-file",
        text(&wrong),
        "--json",
    ]);
    assert_eq!(
        (refused.code, refused.error_code().as_str()),
        (Some(3), "wrong_passphrase")
    );
    let left: Vec<_> = fs::read_dir(elsewhere.path().parent().expect("a folder"))
        .expect("a folder")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn old_backups_are_pruned_and_other_files_left_alone() {
    let home = filled();
    let folder = home.beside("backups");
    fs::create_dir(&folder).expect("a folder");
    let file = backup(&home, "backups/one.akb");
    fs::copy(&file, folder.join("two.akb")).expect("copied");
    fs::write(folder.join("broken.akb"), "no").expect("written");
    fs::write(folder.join("notes.txt"), "mine").expect("written");
    let prune = [
        "backup",
        "prune",
        text(&folder),
        "--keep-daily",
        "1",
        "--keep-weekly",
        "1",
        "--json",
    ];
    let dry = ok(&home, &[&prune[..], &["--dry-run"]].concat()).json();
    assert_eq!(dry["deleted"].as_array().map(Vec::len), Some(1), "{dry}");
    assert!(folder.join("two.akb").exists());
    ok(&home, &[&prune[..], &["--yes"]].concat());
    let left: BTreeSet<_> = fs::read_dir(&folder)
        .expect("a folder")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("text"))
        .collect();
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(left.contains("broken.akb") && left.contains("notes.txt"));
}

/// Kills and full disks at the calls that write: the old state stays, or the new one is there whole.
#[cfg(target_os = "linux")]
mod faults {
    use super::*;
    use crate::{files::copy_of, support::strace};

    /// Calls that change something on the disk.
    const WRITING: &str =
        "write,pwrite64,fsync,fdatasync,openat,rename,renameat,renameat2,mkdir,unlink,unlinkat,ftruncate";
    /// The same without `write`, by which threads also wake each other: a failure there would be no disk's.
    const FAILING: &str = "pwrite64,fsync,fdatasync,openat,rename,renameat,renameat2,mkdir,unlink,unlinkat,ftruncate";
    /// How many faults of each kind are tried, spread over all calls.
    const FAULTS: usize = 9;

    fn with_fault(home: &Home, arguments: &[&str], fault: &str) -> Ended {
        let log = home.beside("strace.log");
        let command = strace::command(
            &home.command(arguments),
            &log,
            &["-f", "-e", &format!("trace={WRITING}"), "-e", fault],
        );
        home.run_with(command, "")
    }

    /// How many writing calls it makes without a fault.
    fn calls(home: &Home, arguments: &[&str]) -> usize {
        let ended = with_fault(home, arguments, "signal=none");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        fs::read_to_string(home.beside("strace.log"))
            .expect("a log")
            .lines()
            .count()
    }

    fn faults(calls: usize) -> impl Iterator<Item = String> {
        (0..FAULTS).flat_map(move |at| {
            let when = 1 + at * calls.saturating_sub(1) / (FAULTS - 1);
            [
                format!("inject={WRITING}:signal=KILL:when={when}"),
                format!("inject={FAILING}:error=ENOSPC:when={when}"),
            ]
        })
    }

    #[test]
    fn a_restore_leaves_the_old_home_or_the_new_one() {
        if !strace::can_trace_files() {
            return;
        }
        let home = filled();
        let file = backup(&home, "old.akb");
        add(&home, "anthropic", OTHER);
        let bytes = fs::read(&file).expect("a backup");
        let start = |home: &Home| {
            let copy = copy_of(home);
            fs::write(copy.beside("old.akb"), &bytes).expect("written");
            private_file(&copy.beside("passphrase"), PASSPHRASE.as_bytes());
            copy
        };
        let arguments = |home: &Home| {
            let (file, secret) = (home.beside("old.akb"), home.beside("passphrase"));
            [
                "backup",
                "restore",
                text(&file),
                "--passphrase-file",
                text(&secret),
                "--replace",
                "--yes",
                "--json",
            ]
            .map(str::to_owned)
        };
        let first = start(&home);
        let own = arguments(&first);
        let calls = calls(&first, &own.each_ref().map(String::as_str));
        let (mut old, mut new) = (0, 0);
        for fault in faults(calls) {
            let copy = start(&home);
            let own = arguments(&copy);
            let ended = with_fault(&copy, &own.each_ref().map(String::as_str), &fault);
            let found = secrets(&copy);
            match found.len() {
                2 => old += 1,
                1 => new += 1,
                _ => panic!("{found:?} after {fault}: {ended:?}"),
            }
            assert!(ended.code != Some(0) || found.len() == 1, "{fault}: {ended:?}");
            // The next one works, whatever is left of the one before.
            let again = restore(&copy, &copy.beside("old.akb"), &["--replace", "--yes"]);
            assert_eq!(again.code, Some(0), "{again:?} after {fault}");
            assert_eq!(secrets(&copy).len(), 1, "{fault}");
        }
        assert!(old > 0 && new > 0, "{old} of the old, {new} of the new");
    }

    #[test]
    fn a_backup_is_whole_or_not_there() {
        if !strace::can_trace_files() {
            return;
        }
        let home = filled();
        let arguments = |home: &Home| {
            let (file, secret) = (home.beside("new.akb"), home.beside("passphrase"));
            private_file(&secret, PASSPHRASE.as_bytes());
            [
                "backup",
                "create",
                text(&file),
                "--passphrase-file",
                text(&secret),
                "--json",
            ]
            .map(str::to_owned)
        };
        let first = copy_of(&home);
        let own = arguments(&first);
        let calls = calls(&first, &own.each_ref().map(String::as_str));
        for fault in faults(calls) {
            let copy = copy_of(&home);
            let own = arguments(&copy);
            let ended = with_fault(&copy, &own.each_ref().map(String::as_str), &fault);
            let file = copy.beside("new.akb");
            if file.exists() {
                let secret = copy.beside("passphrase");
                ok(
                    &copy,
                    &["backup", "verify", text(&file), "--passphrase-file", text(&secret)],
                );
            } else {
                assert_ne!(ended.code, Some(0), "{fault}");
                backup(&copy, "new.akb");
            }
            assert_eq!(secrets(&copy).len(), 1, "{fault}");
            let left: Vec<_> = fs::read_dir(copy.path())
                .expect("a folder")
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .filter(|name| name.starts_with(".backup"))
                .collect();
            assert!(left.is_empty(), "{left:?} after {fault}");
        }
    }
}
