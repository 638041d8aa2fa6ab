//! `scan`: every key in the files is found, and none of them is shown.
#![cfg(unix)]

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::support::{
    Ended, Home,
    outside::{installed, remark},
};

const STORED: &str = "sk-proj-StoredInTheVault0123456789abcdefWXYZ";
const ODD: &str = "my.own+key/with=signs~0123456789QRST";
const OTHER: &str = "sk-ant-api03-NotStoredAnywhere0123456789abcdef";
const TOKEN: &str = "ghp_0123456789abcdefghijABCDEFGHIJ012345";

fn with_keys() -> Home {
    let home = Home::new();
    home.config("[providers.mine]\nkind = \"openai-compatible\"\nbase_url = \"http://127.0.0.1:9/v1\"\n");
    for (name, key) in [("openai", STORED), ("mine", ODD)] {
        let added = home.run_with(home.command(["add", name, "--stdin"]), key);
        assert_eq!(added.code, Some(0), "{added:?}");
    }
    home
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, text).expect("written");
}

fn scan(home: &Home, arguments: &[&str]) -> Ended {
    let ended = home.run([&["scan"], arguments].concat());
    for key in [STORED, ODD, OTHER, TOKEN] {
        let core = &key[8..20];
        assert!(
            !ended.stdout.contains(core) && !ended.stderr.contains(core),
            "{ended:?}"
        );
    }
    ended
}

fn findings(ended: &Ended) -> Vec<(String, u64, bool)> {
    let json = ended.json();
    let one = |finding: &Value| {
        let file = Path::new(finding["file"].as_str().expect("text"))
            .file_name()
            .expect("a name");
        (
            file.to_string_lossy().into_owned(),
            finding["line"].as_u64().expect("a number"),
            finding["is_stored"].as_bool().expect("yes or no"),
        )
    };
    json["findings"].as_array().expect("a list").iter().map(one).collect()
}

#[test]
fn stored_keys_and_others_are_found_with_file_and_line_and_never_shown() {
    let home = with_keys();
    let folder = home.beside("project");
    write(&folder.join(".env"), &format!("A=1\nOPENAI_API_KEY={STORED}\n"));
    write(
        &folder.join("b/chat.jsonl"),
        &format!("{{\"text\":\"ok\"}}\n{{\"text\":\"it is:\\n{STORED}\\nand\\t{OTHER}\"}}\n"),
    );
    write(
        &folder.join("c.sh"),
        &format!("curl -H 'x-key: {ODD}' x\n\n\ngit clone https://{TOKEN}@github.com/a/b\n"),
    );
    write(&folder.join("d.txt"), "sk-ant-... and sk-your-api-key-here\n");
    write(&folder.join("node_modules/e.js"), STORED);
    let ended = scan(&home, &["--json", folder.to_str().expect("text")]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(
        findings(&ended),
        [
            (".env".to_owned(), 2, true),
            ("chat.jsonl".to_owned(), 2, true),
            ("chat.jsonl".to_owned(), 2, false),
            ("c.sh".to_owned(), 1, true),
            ("c.sh".to_owned(), 4, false),
        ],
        "{ended:?}"
    );
    let shown = scan(&home, &[folder.to_str().expect("text")]);
    assert!(
        shown.stdout.contains("the stored key openai:default") && shown.stderr.contains("`api-keys rotate openai"),
        "{shown:?}"
    );
    let listed = home.run(["list", "--json"]).json();
    assert!(
        listed["keys"]
            .as_array()
            .expect("keys")
            .iter()
            .all(|key| key["exposed"] == true),
        "{listed}"
    );
    assert_eq!(home.run(["audit", "--verify"]).code, Some(0));
}

#[test]
fn where_there_is_nothing_the_exit_code_says_so() {
    let home = with_keys();
    let folder = home.beside("clean");
    write(&folder.join("a.txt"), "nothing here\n");
    let ended = scan(&home, &[folder.to_str().expect("text")]);
    assert_eq!(
        (ended.code, ended.stdout.trim()),
        (Some(0), "0 keys found in 1 file"),
        "{ended:?}"
    );
    let missing = scan(&home, &["--json", "/nonexistent/folder"]);
    assert_eq!(missing.json()["unread"][0], "/nonexistent/folder");
}

#[test]
fn a_key_at_any_place_of_a_long_file_is_found_once() {
    let home = with_keys();
    let folder = home.beside("long");
    let line = format!("{}\n", "x".repeat(99));
    // Around the borders of the parts that a file is read in.
    for (number, before) in [0, 10_484, 10_485, 10_486, 10_567, 10_568, 10_650, 30_000]
        .into_iter()
        .enumerate()
    {
        for (shift, key) in [(0, STORED), (37, OTHER)] {
            let text = format!(
                "{}{}{key}\n{}",
                line.repeat(before),
                " ".repeat(shift),
                line.repeat(11_000)
            );
            write(&folder.join(format!("{number}-{shift}")), &text);
        }
    }
    let ended = scan(&home, &["--json", folder.to_str().expect("text")]);
    let found = findings(&ended);
    assert_eq!(found.len(), 16, "{found:?}");
    for (name, line, is_stored) in found {
        let number: usize = name.split('-').next().expect("a number").parse().expect("a number");
        let before = [0, 10_484, 10_485, 10_486, 10_567, 10_568, 10_650, 30_000][number];
        assert_eq!((line, is_stored), (before + 1, name.ends_with("-0")), "{name}");
    }
}

#[test]
fn only_what_git_would_commit_is_looked_at() {
    if !installed(&["git"]) {
        return;
    }
    let home = with_keys();
    let tree = home.beside("tree");
    write(&tree.join("old.txt"), &format!("one\n{OTHER}\n"));
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.current_dir(&tree)
            .args(["-c", "user.name=test", "-c", "user.email=test@example.com"])
            .args(arguments);
        assert!(git.output().expect("git").status.success(), "{arguments:?}");
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "first"]);
    let staged = || {
        let mut command = home.command(["scan", "--staged", "--json"]);
        command.current_dir(&tree);
        home.run_with(command, "")
    };
    assert_eq!(staged().code, Some(0), "what is committed already is not looked at");
    write(&tree.join("new \u{e9}.txt"), &format!("a\nb\n{STORED}\n"));
    write(&tree.join("old.txt"), &format!("one\n{OTHER}\nthree\n++ {TOKEN}\n"));
    assert_eq!(staged().code, Some(0), "what is not staged is not looked at");
    git(&["add", "."]);
    let ended = staged();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let found = findings(&ended);
    remark(&format!("{found:?}"));
    assert_eq!(found.len(), 2, "{ended:?}");
    assert!(found.contains(&("new \u{e9}.txt".to_owned(), 3, true)), "{found:?}");
    assert!(found.contains(&("old.txt".to_owned(), 4, false)), "{found:?}");
}
