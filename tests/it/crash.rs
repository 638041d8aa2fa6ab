//! A process killed, a full disk, a failing disk, at every call to the file system that a change makes.
//!
//! Afterwards the vault opens and holds exactly what it held before or exactly what it should hold now, and the command
//! had said which; the next change works and leaves nothing behind.
#![cfg(target_os = "linux")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    files::copy_of,
    support::{Ended, Home, outside::remark, strace},
};

const OLD_KEY: &str = "sk-proj-MadeUpForTheTestsOld0123456789abcdefXYZ";
const NEW_KEY: &str = "sk-ant-api03-MadeUpForTheTestsNew0123456789abcdefXYZ";
const ROTATED_KEY: &str = "sk-proj-MadeUpForTheTestsRot0123456789abcdefXYZ";
const LAST_KEY: &str = "gsk_MadeUpForTheTestsEnd0123456789abcdefXYZABCDEFGHIJKLM";
/// What all of them have in them.
const MARK: &str = "MadeUpForTheTests";

/// How a command says that the change is made and may not survive a power cut.
const UNCONFIRMED: &str = "the disk did not confirm it";
const UNANSWERED: &str = "the answer could not be written";

/// Calls that change nothing on the disk. Killed before one of them is killed before the next one that does.
const READING: [&str; 9] = [
    "access",
    "fstat",
    "getdents64",
    "newfstatat",
    "read",
    "readlink",
    "stat",
    "statx",
    "lstat",
];
/// Calls whose failure nobody looks at, or that cannot fail on a file.
const HARMLESS: [&str; 4] = ["close", "fcntl", "lseek", "execve"];

/// One call to the file system, as strace can find it again: by thread, it is the how many-th of its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    name: String,
    count: usize,
    /// Counted are only calls on the folder itself and on names in it, or else all.
    on_folder: bool,
}

/// The calls that a change makes, all in one thread.
struct Calls {
    calls: BTreeSet<Call>,
    /// The change is made by another thread than the main one.
    in_thread: bool,
}

/// A fault in strace's words, at one call.
struct Fault {
    words: String,
    on_folder: bool,
}

/// A change that is to be whole or not at all.
struct Change {
    /// What is there before.
    before: fn(&Home),
    arguments: &'static [&'static str],
    input: &'static str,
    /// The keys that the vault holds before, and after; `None` for no vault.
    old: Option<&'static [&'static str]>,
    new: Option<&'static [&'static str]>,
}

const MAKE_VAULT: Change = Change {
    before: |_| {},
    arguments: &["vault", "init", "--master-key", "key-file"],
    input: "",
    old: None,
    new: Some(&[]),
};

const ADD_KEY: Change = Change {
    before: vault_with_a_key,
    arguments: &["add", "anthropic", "--stdin"],
    input: NEW_KEY,
    old: Some(&[OLD_KEY]),
    new: Some(&[NEW_KEY, OLD_KEY]),
};

/// Two commits, with a provider asked in between that nobody is at home at.
const ROTATE_KEY: Change = Change {
    before: |home| {
        home.config("[providers.openai]\nbase_url = \"http://127.0.0.1:1/v1\"\n");
        vault_with_a_key(home);
    },
    arguments: &["rotate", "openai", "--stdin"],
    input: ROTATED_KEY,
    old: Some(&[OLD_KEY]),
    new: Some(&[ROTATED_KEY]),
};

const REKEY: Change = Change {
    before: vault_with_a_key,
    arguments: &["vault", "rekey"],
    input: "",
    old: Some(&[OLD_KEY]),
    new: Some(&[OLD_KEY]),
};

#[test]
fn making_the_vault_survives_a_fault_at_every_call() {
    survives(&MAKE_VAULT);
}

#[test]
fn adding_a_key_survives_a_fault_at_every_call() {
    survives(&ADD_KEY);
}

#[test]
fn rotating_a_key_survives_a_fault_at_every_call() {
    survives(&ROTATE_KEY);
}

#[test]
fn replacing_the_vaults_key_survives_a_fault_at_every_call() {
    survives(&REKEY);
}

fn survives(change: &Change) {
    if !strace::can_trace_files() {
        return;
    }
    let start = Home::new();
    (change.before)(&start);
    let Calls { calls, in_thread } = calls_of(change, &start);
    assert!(calls.len() > 30, "only these calls were seen: {calls:?}");
    let mut faults: Vec<Fault> = Vec::new();
    for Call { name, count, on_folder } in &calls {
        let mut add = |fault: String| {
            faults.push(Fault {
                words: format!("inject={name}:{fault}"),
                on_folder: *on_folder,
            });
        };
        add(format!("error=EIO:when={count}"));
        if !READING.contains(&name.as_str()) {
            add(format!("signal=KILL:when={count}"));
            add(format!("error=ENOSPC:when={count}"));
        }
        let next = Call {
            name: name.clone(),
            count: count + 1,
            on_folder: *on_folder,
        };
        if !in_thread && name == "write" && calls.contains(&next) {
            // A disk that is full stays full, also for the note that the change failed. Another thread would next wake the
            // main one by a write, which no disk can fail.
            add(format!("error=ENOSPC:when={count}..{}", count + 1));
        }
    }
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<BTreeMap<&str, usize>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = one_fault(change, &start, in_thread, fault);
                    let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
                    *outcomes.entry(outcome).or_default() += 1;
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    remark(&format!("{:?}: {} calls, {outcomes:?}", change.arguments, calls.len()));
    assert!(
        outcomes.contains_key("failed") && outcomes.contains_key("killed"),
        "{outcomes:?}"
    );
    assert!(outcomes.contains_key("unconfirmed"), "{outcomes:?}");
}

/// The calls of the change that have to do with our folder.
fn calls_of(change: &Change, start: &Home) -> Calls {
    let home = copy_of(start);
    let folder = home.path().to_str().expect("text").to_owned();
    let (ended, log) = traced(&home, change, true, None);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // Unlocking is done in a thread of its own, making a vault too: the thread that syncs files is the one to watch.
    let main = log.split(' ').next().expect("a thread").to_owned();
    let writing = log
        .lines()
        .find(|line| line.contains(" fsync("))
        .expect("a file is synced");
    let thread = writing.split(' ').next().expect("a thread").to_owned();
    let on_file = |arguments: &str| {
        let first = arguments.split(',').next().unwrap_or_default();
        first.contains(&format!("<{folder}/"))
    };
    let mut calls = counted(&log, &thread, false, on_file);
    let again = copy_of(start);
    let folder = again.path().to_str().expect("text").to_owned();
    let (ended, log) = traced(&again, change, true, Some(&folder));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let writing = log
        .lines()
        .find(|line| line.contains(" fsync("))
        .expect("the folder is synced");
    let in_thread = main != thread;
    let thread = writing.split(' ').next().expect("a thread").to_owned();
    calls.extend(counted(&log, &thread, true, |_| true));
    Calls { calls, in_thread }
}

/// The calls of `thread` in strace's log that are `wanted`, each with its count among all of its name.
fn counted(log: &str, thread: &str, on_folder: bool, wanted: impl Fn(&str) -> bool) -> BTreeSet<Call> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut calls = BTreeSet::new();
    for line in log.lines() {
        let Some((name, arguments)) = line
            .strip_prefix(thread)
            .and_then(|line| line.trim_start().split_once('('))
        else {
            continue;
        };
        let count = counts.entry(name).or_default();
        *count += 1;
        if wanted(arguments) && !HARMLESS.contains(&name) {
            calls.insert(Call {
                name: name.to_owned(),
                count: *count,
                on_folder,
            });
        }
    }
    calls
}

/// Makes the change with one fault; checks what is left; returns how the command ended.
fn one_fault(change: &Change, start: &Home, in_thread: bool, fault: &Fault) -> &'static str {
    let home = copy_of(start);
    let folder = home.path().to_str().expect("text").to_owned();
    let only = fault.on_folder.then_some(folder.as_str());
    let (ended, log) = traced_with(&home, change, in_thread, only, &["-e", &fault.words]);
    let context = || format!("{:?} with {}: {ended:?}\n{}", change.arguments, fault.words, tail(&log));
    let says = |words: &str| [&ended.stdout, &ended.stderr].iter().any(|said| said.contains(words));
    let outcome = match ended.code {
        None => "killed",
        Some(0) if says(UNCONFIRMED) => "unconfirmed",
        Some(0) if log.contains("(INJECTED)") => "done all the same",
        // What went wrong came after the change.
        Some(1) if says(UNANSWERED) => "done, and not answered",
        Some(0) => "not hit",
        Some(_) => "failed",
    };
    let found = keys(&home, &context);
    let expected: &[_] = match outcome {
        "killed" => &[change.old, change.new],
        "failed" => &[change.old],
        _ => &[change.new],
    };
    assert!(
        expected.iter().any(|keys| keys.map(owned) == found),
        "{found:?} after {}",
        context()
    );

    // The next one finds a folder to work in, tidies up, and the trail is whole.
    if found.is_none() {
        let made = home.run(["vault", "init", "--master-key", "key-file"]);
        assert_eq!(made.code, Some(0), "{made:?} after {}", context());
    }
    let mut expected = found.unwrap_or_default();
    let added = home.run_with(home.command(["add", "groq", "--stdin"]), LAST_KEY);
    assert_eq!(added.code, Some(0), "{added:?} after {}", context());
    expected.insert(LAST_KEY.to_owned());
    assert_eq!(secrets(&home, &context), expected, "{}", context());
    let verified = home.run(["audit", "--verify", "--json"]);
    assert_eq!(verified.code, Some(0), "{verified:?} after {}", context());
    check_folder(&home.path(), &context);
    outcome
}

/// Every key in the vault; `None` where there is no vault.
fn keys(home: &Home, context: &dyn Fn() -> String) -> Option<BTreeSet<String>> {
    let listed = home.run(["list", "--json"]);
    assert_eq!(listed.code, Some(0), "{listed:?} after {}", context());
    let listed = listed.json();
    if listed["vault"]["state"] == "absent" {
        return None;
    }
    assert_eq!(listed["vault"]["state"], "unlocked", "{}", context());
    let secrets = if listed["total_count"] == 0 {
        BTreeSet::new()
    } else {
        secrets(home, context)
    };
    assert_eq!(listed["total_count"], secrets.len(), "{}", context());
    Some(secrets)
}

/// The secrets as a command gets them.
fn secrets(home: &Home, context: &dyn Fn() -> String) -> BTreeSet<String> {
    let shown = home.run(["run", "--", "printenv"]);
    assert_eq!(shown.code, Some(0), "{shown:?} after {}", context());
    let values = shown.stdout.lines().filter_map(|line| Some(line.split_once('=')?.1));
    values.filter(|value| value.contains(MARK)).map(str::to_owned).collect()
}

/// Nothing half done lies about, and nothing is open to others.
fn check_folder(folder: &Path, context: &dyn Fn() -> String) {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("readable");
        let mode = entry.metadata().expect("readable").permissions().mode() & 0o777;
        let name = entry.file_name().into_string().expect("text");
        if name != "config.toml" {
            assert_eq!(mode, 0o600, "{name} after {}", context());
            names.insert(name);
        }
    }
    let is_key_file = |name: &String| Path::new(name).extension().is_some_and(|end| end == "key");
    let key_files = names.iter().filter(|name| is_key_file(name)).count();
    names.retain(|name| !is_key_file(name));
    let expected = ["anchor.json", "audit.jsonl", "vault.json", "vault.lock"];
    assert_eq!(key_files, 1, "{names:?} after {}", context());
    assert!(names.iter().eq(expected), "{names:?} after {}", context());
}

/// Runs the change under strace; its log has the paths behind the file descriptors.
fn traced(home: &Home, change: &Change, in_thread: bool, only: Option<&str>) -> (Ended, String) {
    traced_with(home, change, in_thread, only, &[])
}

fn traced_with(home: &Home, change: &Change, in_thread: bool, only: Option<&str>, more: &[&str]) -> (Ended, String) {
    let plain = home.command(change.arguments.iter().chain(&["--json"]));
    let log = home.beside("strace.log");
    let mut options = vec!["-y", "-e", "trace=%file,%desc"];
    if in_thread {
        options.push("-f");
    }
    if let Some(path) = only {
        options.extend(["-P", path]);
    }
    options.extend(more);
    let command = strace::command(&plain, &log, &options);
    let ended = home.run_with(command, change.input);
    (ended, fs::read_to_string(log).expect("strace's log"))
}

fn vault_with_a_key(home: &Home) {
    let made = home.run(["vault", "init", "--master-key", "key-file"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let added = home.run_with(home.command(["add", "openai", "--stdin"]), OLD_KEY);
    assert_eq!(added.code, Some(0), "{added:?}");
}

fn owned(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

/// The last calls before the end.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
