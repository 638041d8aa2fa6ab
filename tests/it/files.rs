//! Files and folders that are not what they should be, and what the process closes off.
#![cfg(unix)]

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown, symlink},
        process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use crate::support::{Ended, Home, outside::remark, private_folder};

const KEY: &str = "sk-proj-MadeUpForTheTests0123456789abcdefXYZW";
const NOBODY: u32 = 65534;
const FILES: [&str; 4] = ["vault.json", "anchor.json", "audit.jsonl", "vault.lock"];

/// A way to spoil the file at a path; `false` where this user cannot.
type Spoil = fn(&Path) -> bool;

fn home_with_a_key() -> Home {
    let home = Home::new();
    let made = home.run(["vault", "init", "--master-key", "key-file"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let added = add(&home, "default");
    assert_eq!(added.code, Some(0), "{added:?}");
    home
}

fn add(home: &Home, label: &str) -> Ended {
    let command = home.command(["add", "openai", "--label", label, "--stdin", "--json"]);
    home.run_with(command, KEY)
}

/// Every file below the home with its contents.
fn contents(home: &Home) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(home.path())
        .expect("a folder")
        .map(|entry| {
            let path = entry.expect("readable").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let regular = fs::symlink_metadata(&path).expect("there").is_file();
            (
                name,
                if regular {
                    fs::read(&path).expect("readable")
                } else {
                    Vec::new()
                },
            )
        })
        .collect();
    found.sort();
    found
}

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("there").mode() & 0o777
}

#[test]
fn nothing_but_our_own_private_files_is_used_and_the_error_says_which_and_why() {
    let spoils: [(&str, Spoil); 7] = [
        ("is a symbolic link", |path| {
            let beside = path.with_extension("moved");
            fs::rename(path, &beside).expect("moved");
            symlink(beside, path).is_ok()
        }),
        ("is a pipe", |path| {
            fs::remove_file(path).expect("removed");
            mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).is_ok()
        }),
        ("is a device", |path| {
            fs::remove_file(path).expect("removed");
            let zero = makedev(1, 5);
            mknodat(CWD, path, FileType::CharacterDevice, Mode::RUSR | Mode::WUSR, zero).is_ok()
        }),
        ("is a folder", |path| {
            fs::remove_file(path).expect("removed");
            fs::create_dir(path).is_ok()
        }),
        ("belongs to another user", |path| {
            chown(path, Some(NOBODY), None).is_ok()
        }),
        ("can be read or written by other users", |path| {
            fs::set_permissions(path, Permissions::from_mode(0o640)).is_ok()
        }),
        ("can be read or written by other users", |path| {
            fs::set_permissions(path, Permissions::from_mode(0o602)).is_ok()
        }),
    ];
    let start = home_with_a_key();
    for name in FILES {
        for (why, spoil) in spoils {
            let home = copy_of(&start);
            if !spoil(&home.path().join(name)) {
                remark(&format!("only the superuser can make {name}: {why}"));
                continue;
            }
            let before = contents(&home);
            let begun = Instant::now();
            let ended = add(&home, "second");
            assert_eq!(ended.code, Some(1), "{name} {why}: {ended:?}");
            assert_eq!(ended.error_code(), "unsafe_file", "{name} {why}: {ended:?}");
            let message = ended.json()["error"]["message"].as_str().expect("a message").to_owned();
            assert!(
                message.contains(name) && message.contains(why),
                "{name} {why}: {message}"
            );
            assert!(begun.elapsed() < Duration::from_secs(20), "{name} {why}");
            assert!(!ended.stderr.contains(KEY) && !ended.stdout.contains(KEY), "{ended:?}");
            // A refusal is noted in the trail where there is one; nothing else changes.
            let without_trail = |files: Vec<(String, Vec<u8>)>| -> Vec<_> {
                files.into_iter().filter(|(name, _)| name != "audit.jsonl").collect()
            };
            assert_eq!(without_trail(contents(&home)), without_trail(before), "{name} {why}");
        }
    }
}

#[test]
fn a_file_that_is_far_too_long_is_refused_unread() {
    let home = home_with_a_key();
    let vault = fs::OpenOptions::new()
        .write(true)
        .open(home.path().join("vault.json"))
        .expect("a vault");
    vault.set_len(1 << 40).expect("a sparse file");
    let begun = Instant::now();
    let ended = home.run(["list", "--json"]);
    assert_ne!(ended.code, Some(0), "{ended:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{ended:?}");
}

#[test]
fn files_and_folders_are_private_from_the_first_byte_under_any_umask() {
    for umask in ["000", "022", "777"] {
        let home = Home::new();
        for arguments in [
            "vault init --master-key key-file",
            "vault add-slot recovery",
            "vault rekey",
        ] {
            let program = home.command(arguments.split(' '));
            let mut shell = Command::new("sh");
            shell
                .arg("-c")
                .arg(format!("umask {umask}; exec \"$0\" \"$@\""))
                .arg(program.get_program())
                .args(program.get_args())
                .env_clear()
                .envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
            let ended = home.run_with(shell, "");
            assert_eq!(ended.code, Some(0), "umask {umask}: {ended:?}");
        }
        assert_eq!(mode_of(&home.path()), 0o700, "umask {umask}");
        for (name, _) in contents(&home) {
            assert_eq!(mode_of(&home.path().join(&name)), 0o600, "umask {umask}: {name}");
        }
    }
}

#[test]
fn a_folder_open_to_readers_is_closed_and_one_open_to_writers_is_refused() {
    let home = home_with_a_key();
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).expect("changed");
    assert_eq!(home.run(["list", "--json"]).code, Some(0));
    assert_eq!(mode_of(&home.path()), 0o700);
    fs::set_permissions(home.path(), Permissions::from_mode(0o777)).expect("changed");
    let ended = home.run(["list", "--json"]);
    assert_eq!(ended.error_code(), "unsafe_file", "{ended:?}");
    assert_eq!(mode_of(&home.path()), 0o777, "nothing was changed");
}

/// The superuser may write anywhere, so this runs as somebody else where it can.
#[test]
fn a_folder_that_cannot_be_written_is_said_so_and_the_vault_stays_readable() {
    let home = home_with_a_key();
    let program = home.copy_of_program("api-keys-program");
    let superuser = rustix::process::geteuid().is_root();
    if superuser {
        for path in [home.beside(""), home.path()] {
            chown(path, Some(NOBODY), Some(NOBODY)).expect("given away");
        }
        for (name, _) in contents(&home) {
            chown(home.path().join(name), Some(NOBODY), Some(NOBODY)).expect("given away");
        }
    }
    fs::set_permissions(home.path(), Permissions::from_mode(0o500)).expect("changed");
    let before = contents(&home);
    let run = |arguments: &[&str], input: &str| {
        let plain = home.command(arguments);
        let mut command = Command::new(&program);
        command
            .args(plain.get_args())
            .env_clear()
            .envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .current_dir(home.beside(""));
        if superuser {
            command.uid(NOBODY).gid(NOBODY);
        }
        home.run_with(command, input)
    };
    let listed = run(&["list", "--json"], "");
    assert_eq!(listed.json()["total_count"], 1, "{listed:?}");
    let added = run(&["add", "openai", "--label", "second", "--stdin", "--json"], KEY);
    assert_eq!(added.error_code(), "storage_failed", "{added:?}");
    let vaults = |files: &[(String, Vec<u8>)]| -> Vec<_> {
        files
            .iter()
            .filter(|(name, _)| name != "audit.jsonl")
            .cloned()
            .collect()
    };
    assert_eq!(vaults(&contents(&home)), vaults(&before));
    fs::set_permissions(home.path(), Permissions::from_mode(0o700)).expect("changed");
    let added = run(&["add", "openai", "--label", "second", "--stdin", "--json"], KEY);
    assert_eq!(added.code, Some(0), "{added:?}");
}

/// While it serves, before it has read anything.
#[test]
#[cfg(target_os = "linux")]
fn the_process_leaves_no_core_and_nothing_for_debuggers_and_a_child_gets_its_own_limits_back() {
    let home = home_with_a_key();
    let mut serving = home.command(["serve"]);
    let mut child = serving
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let process = Path::new("/proc").join(child.id().to_string());
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let status = fs::read_to_string(process.join("status")).expect("a process");
        let limits = fs::read_to_string(process.join("limits")).unwrap_or_default();
        let umask = status
            .lines()
            .find_map(|line| line.strip_prefix("Umask:"))
            .map(str::trim);
        let core = limits.lines().find(|line| line.starts_with("Max core file size"));
        let core = core.and_then(|line| line.split_whitespace().nth(4));
        if umask == Some("0077") && core == Some("0") {
            break;
        }
        assert!(Instant::now() < deadline, "umask {umask:?}, core {core:?}");
        std::thread::yield_now();
    }
    drop(child.stdin.take());
    assert!(child.wait().expect("the program ends").success());

    let shown = {
        let plain = home.command(["run", "--", "sh", "-c", "umask; ulimit -S -c"]);
        let mut shell = Command::new("sh");
        shell
            .args([
                "-c",
                "umask 027; ulimit -S -c 0; ulimit -S -c \"$(ulimit -H -c)\"; ulimit -S -c; exec \"$0\" \"$@\"",
            ])
            .arg(plain.get_program())
            .args(plain.get_args())
            .env_clear()
            .envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        home.run_with(shell, "")
    };
    let lines: Vec<&str> = shown.stdout.lines().collect();
    let [core_before, umask, core] = lines[..] else {
        panic!("{shown:?}");
    };
    assert_eq!((umask, core), ("0027", core_before), "{shown:?}");
}

/// A home of the same files.
pub(crate) fn copy_of(start: &Home) -> Home {
    let home = Home::new();
    if start.path().is_dir() {
        private_folder(&home.path());
        for entry in fs::read_dir(start.path()).expect("a folder") {
            let entry = entry.expect("readable");
            fs::copy(entry.path(), home.path().join(entry.file_name())).expect("a copy");
        }
    }
    home
}
