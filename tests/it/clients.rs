//! `setup` and the settings of MCP clients: found, shown, changed after a yes, and nothing else disturbed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    cli::without_terminal,
    support::{Ended, Home},
};

const KEY: &str = "sk-proj-MadeUpForTheTests0123456789abcdefXYZW";

/// Settings with things in them that are the user's own.
const JSON: &str = "{\n  // mine\n  \"theme\": \"dark\",\n  \"mcpServers\": {\n    \"git\": {\"command\": \"git-mcp\", \"env\": \
                    {\"TOKEN\": \"sk-secret\"}} // keep\n  }\n}\n";
const SERVERS: &str = "{\n\t\"servers\": {},\n\t\"inputs\": [],\n}\n";
const TOML: &str = "model = \"x\" # mine\n\n[mcp_servers.git]\ncommand = \"git-mcp\"\n\n[tui]\nnotifications = true\n";

/// Every client's settings below the home folder, and what is in them before.
const CLIENTS: &[(&str, &str, &str)] = &[
    ("claude-code", ".claude.json", JSON),
    ("claude-desktop", ".config/Claude/claude_desktop_config.json", JSON),
    ("vscode", ".config/Code/User/mcp.json", SERVERS),
    ("cursor", ".cursor/mcp.json", JSON),
    ("codex", ".codex/config.toml", TOML),
    ("gemini", ".gemini/settings.json", JSON),
];

fn write(home: &Home, file: &str, text: &str) -> PathBuf {
    let path = home.beside(file);
    fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    fs::write(&path, text).expect("a file");
    path
}

fn with_all_clients() -> Home {
    let home = Home::new();
    for (_, file, text) in CLIENTS {
        write(&home, file, text);
    }
    home
}

/// `setup` with `arguments` where no person can be asked.
fn setup(home: &Home, arguments: &[&str]) -> Ended {
    let mut command = home.command(["setup"].iter().chain(arguments));
    without_terminal(&mut command);
    home.run_with(command, "")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("text")
}

/// Everything below the home folder that is not ours, by path.
fn everything(home: &Home) -> Vec<(PathBuf, Vec<u8>)> {
    fn collect(folder: &Path, into: &mut Vec<(PathBuf, Vec<u8>)>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                collect(&path, into);
            } else {
                into.push((path.clone(), fs::read(&path).expect("readable")));
            }
        }
    }
    let mut found = Vec::new();
    collect(&home.beside(""), &mut found);
    found.retain(|(path, _)| !path.starts_with(home.path()));
    found.sort();
    found
}

fn row<'a>(said: &'a Value, client: &str) -> &'a Value {
    let rows = said["clients"].as_array().expect("clients");
    rows.iter().find(|row| row["client"] == client).expect("the client")
}

#[test]
fn every_client_found_is_registered_with_and_proven_and_let_alone_the_second_time() {
    let home = with_all_clients();
    let ended = setup(&home, &["--yes", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let said = ended.json();
    for (client, file, before) in CLIENTS {
        let row = row(&said, client);
        assert_eq!(row["state"], "changed", "{row}");
        assert_eq!(
            row["server"]["vault"], "unlocked",
            "started through what was written: {row}"
        );
        let after = read(&home.beside(file));
        let mut lines = after.lines().map(|line| line.trim_end_matches(','));
        for line in before.lines().map(|line| line.trim_end_matches(',')) {
            // The last server's line gets a comma before its remark.
            let line = line.replace("}} //", "}}, //");
            assert!(
                lines.any(|kept| kept == line || kept.replace("{}", "{") == line.replace("{}", "{")),
                "{client}: {line:?} is gone or moved in {after}"
            );
        }
        assert!(
            after.contains("API_KEYS_HOME"),
            "{client} finds the same files: {after}"
        );
        assert_eq!(read(&home.beside(&format!("{file}.api-keys-backup"))), *before);
    }
    let once = everything(&home);
    let ended = setup(&home, &["--yes", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for (client, ..) in CLIENTS {
        assert_eq!(row(&ended.json(), client)["state"], "unchanged");
    }
    assert_eq!(everything(&home), once);
    let ended = setup(&home, &["--remove", "--yes"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for (client, file, before) in CLIENTS {
        let bare = |text: &str| text.replace(',', "").split_whitespace().collect::<String>();
        assert_eq!(bare(&read(&home.beside(file))), bare(before), "{client}");
    }
    assert!(home.path().join("vault.json").exists(), "the vault stays");
    let ended = setup(&home, &["--remove", "--yes", "--json"]);
    assert_eq!(row(&ended.json(), "cursor")["state"], "unchanged");
}

/// A client does not hand on what a shell has.
#[test]
fn a_vault_that_only_this_shell_opens_is_told_to_be_locked_for_clients() {
    let home = Home::new();
    home.config("[vault]\nmaster_key = \"passphrase\"\npassphrase_env = \"VAULT_WORDS\"\n");
    let setup = |arguments: &[&str]| {
        let mut command = home.command([&["setup", "--yes", "--client", "codex"], arguments].concat());
        without_terminal(&mut command);
        command.env("VAULT_WORDS", "correct horse battery staple");
        home.run_with(command, "")
    };
    let ended = setup(&[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stdout.contains("the server cannot open the vault: it is locked"),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("env_vars = [\"VAULT_WORDS\"]"), "{ended:?}");
    assert_eq!(setup(&["--json"]).json()["vault"]["state"], "locked");
}

#[test]
fn without_a_yes_nothing_is_touched_and_the_command_is_told() {
    let home = with_all_clients();
    let before = everything(&home);
    let ended = setup(&home, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("`api-keys setup --yes`"), "{ended:?}");
    assert!(
        ended.stdout.contains("+ \"api-keys\": {") && ended.stdout.contains("+ [mcp_servers.api-keys]"),
        "{ended:?}"
    );
    assert!(
        !ended.stdout.contains("sk-secret") && !ended.stdout.contains("git-mcp"),
        "{ended:?}"
    );
    let ended = setup(&home, &["--client", "codex", "--remove"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(everything(&home), before);
}

#[test]
fn a_dry_run_shows_everything_and_changes_nothing() {
    let home = with_all_clients();
    let before = everything(&home);
    let ended = setup(&home, &["--dry-run", "--yes", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let said = ended.json();
    let row = row(&said, "codex");
    assert_eq!(row["state"], "would_change");
    assert!(
        row["change"]
            .as_str()
            .is_some_and(|change| change.contains("[mcp_servers.api-keys]")),
        "{row}"
    );
    assert_eq!(everything(&home), before);
    assert!(!home.path().exists(), "no vault was made");
}

#[test]
fn only_the_clients_that_are_named_are_changed_found_or_not() {
    let home = Home::new();
    let ended = setup(&home, &["--yes", "--json", "--client", "gemini", "--client", "cursor"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let said = ended.json();
    assert_eq!(said["clients"].as_array().map(Vec::len), Some(2));
    let written: Value = serde_json::from_str(&read(&home.beside(".cursor/mcp.json"))).expect("JSON");
    let entry = &written["mcpServers"]["api-keys"];
    assert_eq!(entry["args"], json!(["serve"]));
    assert_eq!(entry["command"], env!("CARGO_BIN_EXE_api-keys"));
    assert!(home.beside(".gemini/settings.json").exists());
    assert!(!home.beside(".codex").exists() && !home.beside(".claude.json").exists());
    let ended = setup(&home, &["--client", "emacs"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("cursor"), "the choices are named: {ended:?}");
}

#[test]
fn a_machine_without_clients_is_told_the_ways() {
    let home = Home::new();
    let ended = setup(&home, &["--yes"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stderr.contains("claude mcp add") && ended.stderr.contains("--client NAME"),
        "{ended:?}"
    );
}

#[test]
fn the_budget_that_is_in_force_is_told() {
    let home = Home::new();
    let ended = setup(&home, &["--yes"]);
    assert!(ended.stdout.contains("$10.00 a day and $100.00 a month"), "{ended:?}");
    home.config("[vault]\nmaster_key = \"key-file\"\n[budget]\nenabled = false\n");
    let ended = setup(&home, &["--yes"]);
    assert!(ended.stdout.contains("limits are off"), "{ended:?}");
    assert_eq!(setup(&home, &["--yes", "--json"]).json()["budget"]["enabled"], false);
}

#[test]
fn a_project_gets_what_works_for_everybody_in_it() {
    let home = Home::new();
    let program = Path::new(env!("CARGO_BIN_EXE_api-keys"));
    let arguments = [
        "setup",
        "--project",
        "--yes",
        "--client",
        "claude-code",
        "--client",
        "vscode",
        "--client",
        "codex",
    ];
    let mut command = home.command(arguments);
    let path = std::env::join_paths([program.parent().expect("a folder")]).expect("a path");
    command.env("PATH", path);
    let ended = home.run_with(command, "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for (file, table) in [(".mcp.json", "mcpServers"), (".vscode/mcp.json", "servers")] {
        let written: Value = serde_json::from_str(&read(&home.beside(file))).expect("JSON");
        assert_eq!(
            written[table]["api-keys"],
            json!({"type": "stdio", "command": "api-keys", "args": ["serve"]})
        );
    }
    assert!(read(&home.beside(".codex/config.toml")).contains("command = \"api-keys\""));
    // Where the program is not on the PATH, that shows at once.
    let other = Home::new();
    let ended = setup(&other, &["--project", "--yes", "--client", "cursor", "--json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(row(&ended.json(), "cursor")["error"]["code"], "command_failed");
    let ended = setup(&other, &["--project", "--yes", "--client", "claude-desktop", "--json"]);
    assert_eq!(ended.error_code(), "invalid_argument", "{ended:?}");
}

/// Settings that are none: what is wrong, whose they are and where, their text, and the code it is told with.
const UNFIT: &[(&str, &str, &str, &str, &str)] = &[
    (
        "broken JSON",
        "cursor",
        ".cursor/mcp.json",
        "{\"mcpServers\": {",
        "client_config_invalid",
    ),
    (
        "broken JSON with comments",
        "vscode",
        ".config/Code/User/mcp.json",
        "{\n  // \n  \"servers\": ]\n}",
        "client_config_invalid",
    ),
    (
        "broken TOML",
        "codex",
        ".codex/config.toml",
        "model = \n",
        "client_config_invalid",
    ),
    (
        "no table",
        "gemini",
        ".gemini/settings.json",
        "{\"mcpServers\": [1]}",
        "client_config_invalid",
    ),
    (
        "no object",
        "claude-code",
        ".claude.json",
        "\"sk-secret\"",
        "client_config_invalid",
    ),
    (
        "no text",
        "cursor",
        ".cursor/mcp.json",
        "latin-1",
        "client_config_invalid",
    ),
    ("huge", "claude-code", ".claude.json", "", "storage_failed"),
    ("read-only", "cursor", ".cursor/mcp.json", "{}", "storage_failed"),
    ("a link", "cursor", ".cursor/mcp.json", "{}", "unsafe_file"),
    ("a folder", "cursor", ".cursor/mcp.json", "", "unsafe_file"),
    (
        "the same name, another server",
        "codex",
        ".codex/config.toml",
        "[mcp_servers.api-keys]\ncommand = \"npx\"\nargs = [\"other\"]\n",
        "server_name_taken",
    ),
    (
        "the same name, a server by address",
        "vscode",
        ".config/Code/User/mcp.json",
        "{\"servers\": {\"api-keys\": {\"type\": \"http\", \"url\": \"https://example.com\"}}}",
        "server_name_taken",
    ),
];

#[test]
fn settings_that_cannot_be_changed_safely_are_told_and_left_alone() {
    for (what, client, file, text, code) in UNFIT {
        let home = Home::new();
        let path = write(&home, file, text);
        match *what {
            "huge" => fs::write(&path, format!("{{\"a\": \"{}\"}}", "x".repeat(33 << 20))).expect("written"),
            "no text" => fs::write(&path, b"{\n\"a\": \"\xff\"}").expect("written"),
            "read-only" => {
                let mut permissions = fs::metadata(&path).expect("there").permissions();
                permissions.set_readonly(true);
                fs::set_permissions(&path, permissions).expect("mine");
            }
            "a link" => {
                let target = write(&home, "dotfiles/mcp.json", text);
                fs::remove_file(&path).expect("there");
                #[cfg(unix)]
                std::os::unix::fs::symlink(target, &path).expect("a link");
            }
            "a folder" => {
                fs::remove_file(&path).expect("there");
                fs::create_dir(&path).expect("a folder");
            }
            _ => {}
        }
        let before = everything(&home);
        let ended = setup(&home, &["--yes", "--json", "--client", client]);
        assert_eq!(ended.code, Some(1), "{what}: {ended:?}");
        let said = ended.json();
        let error = &row(&said, client)["error"];
        assert_eq!(error["code"], *code, "{what}: {error}");
        assert!(
            error["hint"].as_str().is_some_and(|hint| hint.len() > 20),
            "{what}: {error}"
        );
        assert!(!ended.stdout.contains("sk-secret"), "{what}: {ended:?}");
        assert!(everything(&home) == before, "{what}: something was changed");
        assert!(
            home.path().join("vault.json").exists(),
            "{what}: the rest of the work is done"
        );
    }
}

#[test]
fn an_entry_of_another_copy_is_updated_after_a_yes_and_keeps_what_a_user_added() {
    let home = Home::new();
    let old = "{\"mcpServers\": {\"api-keys\": {\"command\": \"/old/bin/api-keys\", \"args\": [\"serve\"], \"timeout\": 9, \
               \"env\": {\"API_KEYS_HOME\": \"/old\", \"MINE\": \"sk-secret\"}}}}";
    let path = write(&home, ".cursor/mcp.json", old);
    let toml = write(
        &home,
        ".codex/config.toml",
        "[mcp_servers.api-keys] # ours\ncommand = \"/old/bin/api-keys\"\nargs = [\"serve\"]\nstartup_timeout_sec = 5 # slow\n",
    );
    let ended = setup(&home, &["--client", "cursor"]);
    assert!(ended.stdout.contains("- starts /old/bin/api-keys"), "{ended:?}");
    assert!(!ended.stdout.contains("sk-secret"), "{ended:?}");
    assert_eq!(read(&path), old, "not without a yes");
    let ended = setup(&home, &["--yes", "--client", "cursor", "--client", "codex"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let entry = serde_json::from_str::<Value>(&read(&path)).expect("JSON")["mcpServers"]["api-keys"].clone();
    assert_eq!(entry["command"], env!("CARGO_BIN_EXE_api-keys"));
    assert_eq!(entry["env"], json!({"MINE": "sk-secret", "API_KEYS_HOME": home.path()}));
    assert_eq!(entry["timeout"], 9);
    let text = read(&toml);
    assert!(
        text.starts_with("[mcp_servers.api-keys] # ours\n") && text.contains("startup_timeout_sec = 5 # slow"),
        "{text}"
    );
    assert!(!text.contains("/old/bin"), "{text}");
    let said = setup(&home, &["--yes", "--json", "--client", "cursor", "--client", "codex"]).json();
    assert_eq!(
        (&row(&said, "cursor")["state"], &row(&said, "codex")["state"]),
        (&json!("unchanged"), &json!("unchanged"))
    );
}

#[test]
fn what_a_project_got_is_removed_even_where_the_clients_are_not_installed() {
    let home = Home::new();
    let all = [
        "--client", "cursor", "--client", "vscode", "--client", "codex", "--client", "gemini",
    ];
    let mut arguments = vec!["--project", "--yes"];
    arguments.extend(all);
    setup(&home, &arguments);
    assert!(read(&home.beside(".vscode/mcp.json")).contains("api-keys"));
    // In the home folder a project's file is the user's too: elsewhere nothing hints at the client.
    for file in [
        ".cursor/mcp.json",
        ".vscode/mcp.json",
        ".codex/config.toml",
        ".gemini/settings.json",
    ] {
        write(&home, &format!("project/{file}"), &read(&home.beside(file)));
        fs::remove_dir_all(home.beside(file).parent().expect("a folder")).expect("there");
    }
    let mut command = home.command(["setup", "--project", "--remove", "--yes"]);
    without_terminal(&mut command);
    command.current_dir(home.beside("project"));
    let ended = home.run_with(command, "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for file in [
        ".cursor/mcp.json",
        ".vscode/mcp.json",
        ".codex/config.toml",
        ".gemini/settings.json",
    ] {
        assert!(
            !read(&home.beside(&format!("project/{file}"))).contains("api-keys"),
            "{file}"
        );
    }
}

#[test]
fn a_plugin_beside_an_entry_is_reported_as_two_servers() {
    let home = Home::new();
    write(
        &home,
        ".claude/settings.json",
        "{\"enabledPlugins\": {\"other@x\": true, \"api-keys@api-keys\": true}}",
    );
    let ended = setup(&home, &["--yes", "--client", "claude-code"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("plugin api-keys@api-keys"), "{ended:?}");
    let found = findings(&home);
    assert!(
        found.iter().any(|it| it["message"]
            .as_str()
            .is_some_and(|said| said.contains("has this server twice"))),
        "{found:?}"
    );
    write(
        &home,
        ".claude/settings.json",
        "{\"enabledPlugins\": {\"api-keys@api-keys\": false}}",
    );
    assert!(!setup(&home, &["--yes"]).stderr.contains("plugin"));
}

#[test]
fn an_entry_that_is_not_ours_is_not_taken_out() {
    let home = Home::new();
    let path = home.beside(".cursor/mcp.json");
    fs::create_dir(home.beside(".cursor")).expect("a folder");
    let other = "{\"mcpServers\": {\"api-keys\": {\"command\": \"npx\", \"args\": [\"other\"]}}}";
    fs::write(&path, other).expect("written");
    let ended = setup(&home, &["--remove", "--yes", "--client", "cursor"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("not registered in"), "{ended:?}");
    assert_eq!(read(&path), other);
}

#[test]
fn taking_out_speaks_of_nothing_that_is_put_in() {
    let home = Home::new();
    let ended = setup(&home, &["--remove", "--yes"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stderr.contains("nothing to remove") && !ended.stderr.contains("claude mcp add"),
        "{ended:?}"
    );
    write(&home, ".cursor/mcp.json", "{");
    let ended = setup(&home, &["--remove", "--yes"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("`api-keys setup --remove --client cursor`") && !ended.stderr.contains("put it in"),
        "{ended:?}"
    );
}

#[test]
fn what_stands_in_the_way_of_all_slash_commands_is_told_once_with_its_way_out() {
    let home = Home::new();
    write(&home, ".claude.json", "{}");
    write(&home, ".claude/commands", "a file");
    let ended = setup(&home, &["--yes"]);
    assert_eq!(
        ended.stderr.matches("could not open the folder").count(),
        1,
        "{ended:?}"
    );
    assert!(!ended.stderr.contains("API_KEYS_HOME"), "{ended:?}");
    let folder = home.beside(".claude/commands");
    assert!(
        ended.stderr.contains(&format!("make {} a folder", folder.display())),
        "{ended:?}"
    );
}

/// The superuser may write everywhere.
#[cfg(unix)]
#[test]
fn a_folder_of_slash_commands_that_is_read_only_is_told_once() {
    use std::os::unix::fs::PermissionsExt;

    if rustix::process::geteuid().is_root() {
        return;
    }
    let home = Home::new();
    write(&home, ".claude.json", "{}");
    let folder = home.beside(".claude/commands");
    fs::create_dir_all(&folder).expect("a folder");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).expect("mine");
    let ended = setup(&home, &["--yes"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let said = format!("no permission for {}: ", folder.display());
    assert_eq!(ended.stderr.matches(&said).count(), 1, "{ended:?}");
    assert!(!ended.stderr.contains("API_KEYS_HOME"), "{ended:?}");
}

#[test]
fn a_client_that_is_named_twice_is_one() {
    let home = Home::new();
    let said = setup(&home, &["--yes", "--json", "--client", "codex", "--client", "codex"]).json();
    assert_eq!(said["clients"].as_array().map(Vec::len), Some(1), "{said}");
}

#[test]
fn what_a_user_adds_to_the_entry_stays_and_counts_as_registered() {
    let home = Home::new();
    assert_eq!(setup(&home, &["--yes", "--client", "cursor"]).code, Some(0));
    let path = home.beside(".cursor/mcp.json");
    let text = read(&path).replace(
        "\"args\": [\"serve\"],",
        "\"args\": [\"serve\"],\n      \"disabled\": true,",
    );
    let text = text.replace("\"env\": {", "\"env\": {\n        \"API_KEYS_LOG\": \"debug\",");
    fs::write(&path, &text).expect("written");
    let ended = setup(&home, &["--yes", "--json", "--client", "cursor"]);
    assert_eq!(row(&ended.json(), "cursor")["state"], "unchanged", "{ended:?}");
    assert_eq!(read(&path), text);
}

#[cfg(unix)]
#[test]
fn files_keep_their_mode_and_folders_may_be_links() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let home = Home::new();
    let real = write(&home, "dotfiles/cursor/mcp.json", "{}");
    symlink(home.beside("dotfiles/cursor"), home.beside(".cursor")).expect("a link");
    for mode in [0o640, 0o604] {
        fs::set_permissions(&real, fs::Permissions::from_mode(mode)).expect("mine");
        for way in [&["--yes", "--client", "cursor"][..], &["--remove", "--yes"]] {
            assert_eq!(setup(&home, way).code, Some(0));
            for file in [real.clone(), home.beside("dotfiles/cursor/mcp.json.api-keys-backup")] {
                let found = fs::metadata(&file).expect("there").permissions().mode() & 0o777;
                assert_eq!(found, mode, "{}", file.display());
            }
        }
    }
}

#[test]
fn the_lock_of_claude_code_is_waited_for_and_never_broken() {
    let home = Home::new();
    let path = write(&home, ".claude.json", "{}");
    let lock = home.beside(".claude.json.lock");
    fs::create_dir(&lock).expect("a lock");
    let ended = setup(&home, &["--yes", "--json"]);
    assert_eq!(row(&ended.json(), "claude-code")["error"]["code"], "busy", "{ended:?}");
    assert_eq!(read(&path), "{}");
    assert!(lock.exists());
    assert!(!home.beside(".claude/commands").exists(), "they need the server");
    fs::remove_dir(&lock).expect("mine");
    assert_eq!(setup(&home, &["--yes"]).code, Some(0));
    assert!(!lock.exists(), "given back");
}

/// A project folder with keys lying around, and an environment with one more.
fn with_loose_keys(home: &Home, arguments: &[&str]) -> Command {
    write(
        home,
        ".env",
        &format!(
            "OPENAI_API_KEY=\"{KEY}\"\nANTHROPIC_API_KEY=your-key-here\nSOME_TOKEN=sk-proj-NotOfAnyProvider0123456789\n"
        ),
    );
    let mut command = home.command(["setup"].iter().chain(arguments));
    command.env(
        "GROQ_API_KEY",
        "gsk_MadeUpForTheTests0123456789abcdefXYZW0123456789abcdef",
    );
    command
}

#[test]
fn keys_that_lie_around_are_named_with_their_commands_and_never_shown_or_taken() {
    let home = Home::new();
    for arguments in [&["--yes"][..], &["--yes", "--json"], &["--dry-run"]] {
        let mut command = with_loose_keys(&home, arguments);
        without_terminal(&mut command);
        let ended = home.run_with(command, "");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(said.contains("api-keys add openai --from-env-file .env"), "{said}");
        assert!(said.contains("api-keys add groq --env-var GROQ_API_KEY"), "{said}");
        assert!(
            !said.contains("add anthropic --from-env-file"),
            "a placeholder is no key: {said}"
        );
        assert!(
            !said.contains("MadeUp") && !said.contains("SOME_TOKEN") && !said.contains("NotOf"),
            "{said}"
        );
    }
    assert_eq!(home.run(["list", "--json"]).json()["total_count"], 0);
    // The command that was told works, and what is stored is not offered again.
    let ended = home.run(["add", "openai", "--from-env-file", ".env"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains(".env still contains the key"), "{ended:?}");
    let ended = home.run_with(with_loose_keys(&home, &["--json"]), "");
    let offers = ended.json()["offers"].clone();
    assert_eq!(offers.as_array().map(Vec::len), Some(1), "{offers}");
    assert_eq!(offers[0]["provider"], "groq");
}

#[test]
fn a_file_without_the_variable_and_no_file_are_told_apart() {
    let home = Home::new();
    write(&home, ".env", "OPENAI_API_KEY=\n");
    for (path, code) in [
        (".env", "variable_missing"),
        ("nothing", "storage_failed"),
        ("/dev/zero", "unsafe_file"),
    ] {
        let ended = home.run(["add", "openai", "--json", "--from-env-file", path]);
        assert_eq!(ended.error_code(), code, "{ended:?}");
    }
}

fn findings(home: &Home) -> Vec<Value> {
    let ended = home.run(["doctor", "--offline", "--json"]);
    let found = ended.json()["findings"].as_array().cloned().expect("findings");
    found
        .into_iter()
        .filter(|finding| finding["check"] == "client")
        .collect()
}

#[test]
fn doctor_starts_what_the_clients_would_start_and_names_each_mend() {
    let home = with_all_clients();
    let found = findings(&home);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (&found[0]["state"], &found[0]["mend"]),
        (&json!("notice"), &json!("`api-keys setup` registers the server"))
    );

    assert_eq!(
        setup(&home, &["--yes", "--client", "cursor", "--client", "codex"]).code,
        Some(0)
    );
    let other = "{\"mcpServers\": {\"api-keys\": {\"command\": \"sh\", \"args\": [\"serve\"]}}}";
    write(&home, ".gemini/settings.json", other);
    write(&home, ".config/Claude/claude_desktop_config.json", "{");
    let found = findings(&home);
    let of = |title: &str| {
        let says = |finding: &&Value| finding["message"].as_str().is_some_and(|said| said.contains(title));
        found.iter().find(says).unwrap_or_else(|| panic!("{title}: {found:?}"))
    };
    assert_eq!(of("Cursor: api-keys")["state"], "ok");
    assert_eq!(of("Codex: api-keys")["state"], "ok");
    assert_eq!(of("Gemini CLI has a server")["state"], "notice");
    assert!(
        of("Gemini CLI")["mend"].as_str().is_some_and(
            |mend| mend.contains("rename or remove it") && mend.contains("`api-keys setup --client gemini`")
        )
    );
    assert_eq!(
        of("claude_desktop_config.json cannot be changed safely")["state"],
        "wrong"
    );
    assert_eq!(of("not registered with Claude Code, VS Code")["state"], "ok");
    // An entry that still looks right, of a program that is gone.
    let text = read(&home.beside(".cursor/mcp.json")).replace(env!("CARGO_BIN_EXE_api-keys"), "/gone/api-keys");
    fs::write(home.beside(".cursor/mcp.json"), text).expect("written");
    write(&home, ".config/Claude/claude_desktop_config.json", "{}");
    let ended = home.run(["doctor", "--offline"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("Cursor starts /gone/api-keys"), "{ended:?}");
    assert!(
        ended.stderr.contains("`api-keys setup --client cursor` updates it"),
        "{ended:?}"
    );
}

/// A project may be anybody's: with variables our own program would run what is not ours, with all that it may see.
#[cfg(unix)]
#[test]
fn doctor_starts_nothing_that_a_project_leads_it_to_by_variables() {
    use std::os::unix::fs::PermissionsExt;

    let home = Home::new();
    let program = Path::new(env!("CARGO_BIN_EXE_api-keys"));
    let touched = home.beside("touched");
    let evil = write(&home, "project/evil/api-keys", "");
    fs::write(&evil, format!("#!/bin/sh\ntouch '{}'\n", touched.display())).expect("written");
    fs::set_permissions(&evil, fs::Permissions::from_mode(0o700)).expect("mine");
    fs::create_dir(home.beside(".cursor")).expect("a folder");
    let doctor = |environment: Value| {
        let server = json!({"command": "api-keys", "args": ["serve"], "env": environment});
        write(
            &home,
            "project/.cursor/mcp.json",
            &json!({"mcpServers": {"api-keys": server}}).to_string(),
        );
        let mut command = home.command(["doctor", "--offline", "--json"]);
        command.env("PATH", program.parent().expect("a folder"));
        command.current_dir(home.beside("project"));
        let found = home.run_with(command, "").json()["findings"].clone();
        let found = found.as_array().expect("findings").clone();
        found
            .into_iter()
            .find(|finding| {
                finding["message"]
                    .as_str()
                    .is_some_and(|said| said.starts_with("Cursor: "))
            })
            .expect("a finding of the project")
    };
    for environment in [json!({"PATH": "./evil"}), json!({"LD_PRELOAD": "./evil.so"})] {
        let finding = doctor(environment);
        assert_eq!(finding["state"], "notice", "{finding}");
        assert!(
            finding["message"]
                .as_str()
                .is_some_and(|said| said.ends_with("it was not started")),
            "{finding}"
        );
        assert!(!touched.exists(), "{finding}");
    }
    assert_eq!(doctor(json!({}))["state"], "ok");
    // What is the user's own is started with its variables, and is the program that was found.
    let entry = json!({"command": "api-keys", "args": ["serve"], "env": {
        "PATH": home.beside("project/evil"), "API_KEYS_HOME": home.path(),
    }});
    write(
        &home,
        ".cursor/mcp.json",
        &json!({"mcpServers": {"api-keys": entry}}).to_string(),
    );
    fs::remove_dir_all(home.beside("project/.cursor")).expect("there");
    let mut command = home.command(["doctor", "--offline", "--json"]);
    command.env("PATH", program.parent().expect("a folder"));
    let ended = home.run_with(command, "");
    assert!(ended.stdout.contains("Cursor: api-keys"), "{ended:?}");
    assert!(!touched.exists());
}

#[test]
fn slash_commands_are_installed_kept_current_and_taken_away_unless_somebody_changed_them() {
    let home = Home::new();
    write(&home, ".claude.json", "{}");
    let file = |name: &str| home.beside(&format!(".claude/commands/{name}.md"));
    let run = |arguments: &[&str]| {
        let ended = setup(&home, arguments);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended
    };
    run(&["--yes"]);
    let current = ["api-config", "api-usage", "api-costs"].map(|name| (name, read(&file(name))));
    for (name, text) in &current {
        assert!(text.starts_with("---\ndescription: "), "{name}: {text}");
    }
    // One of an older version, one that somebody changed, one that is gone.
    let older = read(&home.beside(".claude/commands/api-usage.md"));
    let (body, mark) = older.rsplit_once("\n<!-- ").expect("a mark");
    let body = format!("{body}\nA sentence of an older version.");
    let sum = body.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let (words, _) = mark.rsplit_once(": ").expect("a sum");
    fs::write(file("api-usage"), format!("{body}\n<!-- {words}: {sum:016x} -->\n")).expect("written");
    fs::write(file("api-config"), "mine\n").expect("written");
    fs::remove_file(file("api-costs")).expect("there");
    let found = findings(&home);
    assert!(
        found.iter().any(|finding| finding["state"] == "notice"
            && finding["message"] == "Claude Code has outdated or missing slash commands: /api-usage, /api-costs"),
        "{found:?}"
    );
    let ended = run(&["--yes"]);
    assert!(ended.stderr.contains("api-config.md was changed by hand"), "{ended:?}");
    assert!(
        ended
            .stdout
            .contains("slash commands for Claude Code: /api-usage, /api-costs"),
        "{ended:?}"
    );
    for (name, text) in &current[1..] {
        assert_eq!(read(&file(name)), *text);
    }
    assert_eq!(read(&file("api-config")), "mine\n");
    run(&["--remove", "--yes"]);
    assert!(!file("api-usage").exists() && !file("api-costs").exists());
    assert_eq!(read(&file("api-config")), "mine\n");
}

#[test]
fn a_projects_slash_commands_go_into_its_own_folder() {
    let home = Home::new();
    let ended = setup(&home, &["--project", "--dry-run", "--client", "claude-code"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let place = home.beside(".claude/commands/api-usage.md");
    assert!(ended.stdout.contains(&format!("+ {}", place.display())), "{ended:?}");
    assert!(!place.exists());
}

/// `setup --gateway` with `arguments`, where nothing can be asked.
fn setup_gateway(home: &Home, arguments: &[&str]) -> Ended {
    let mut all = vec!["--gateway=127.0.0.1:1"];
    all.extend(arguments);
    setup(home, &all)
}

/// Every agent's settings, and what is in them before.
const AGENTS: &[(&str, &str, &str)] = &[
    (
        "claude-code",
        ".claude/settings.json",
        "{\n  // mine\n  \"env\": {\"A\": \"sk-secret\"}\n}\n",
    ),
    (
        "codex",
        ".codex/config.toml",
        "model = \"x\" # mine\nmodel_provider = \"azure\"\n\n[tui]\nx = 1\n",
    ),
    (
        "opencode",
        ".config/opencode/opencode.jsonc",
        "{\n  \"provider\": {\n    \"mine\": {}\n  } // mine\n}\n",
    ),
    (
        "gemini-cli",
        ".gemini/settings.json",
        "{\n  \"security\": {\n    \"auth\": {\n      \"selectedType\": \"oauth-personal\"\n    }\n  }\n}\n",
    ),
];

fn with_all_agents() -> Home {
    let home = Home::new();
    for (_, file, text) in AGENTS {
        write(&home, file, text);
    }
    home
}

fn agent<'a>(said: &'a Value, id: &str) -> &'a Value {
    let rows = said["agents"].as_array().expect("agents");
    rows.iter().find(|row| row["agent"] == id).expect("the agent")
}

#[test]
fn agents_use_the_gateway_after_a_yes_and_are_as_before_once_it_is_taken_back() {
    let home = with_all_agents();
    let before = everything(&home);
    let ended = setup_gateway(&home, &["--dry-run"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("model_provider = \"azure\""), "{ended:?}");
    assert!(!ended.stdout.contains("sk-secret"), "{ended:?}");
    let ended = setup_gateway(&home, &[]);
    assert!(ended.stderr.contains("`api-keys setup --gateway --yes`"), "{ended:?}");
    assert_eq!(everything(&home), before, "not without a yes");
    let ended = setup_gateway(&home, &["--yes", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for (id, file, text) in AGENTS {
        assert_eq!(agent(&ended.json(), id)["state"], "changed");
        let after = read(&home.beside(file));
        assert!(after.contains("mine") == text.contains("mine"), "{after}");
        assert_eq!(read(&home.beside(&format!("{file}.api-keys-backup"))), *text);
    }
    let env = home.beside(".gemini/.env");
    let key = read(&env);
    assert!(key.contains("GEMINI_API_KEY=akc_"), "{key}");
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&env).expect("there").permissions()) & 0o777,
        0o600
    );
    for file in [
        ".claude/settings.json",
        ".codex/config.toml",
        ".config/opencode/opencode.jsonc",
    ] {
        assert!(!read(&home.beside(file)).contains("akc_"), "{file}");
    }
    let once = everything(&home);
    let said = setup_gateway(&home, &["--yes", "--json"]).json();
    assert!(
        AGENTS.iter().all(|(id, ..)| agent(&said, id)["state"] == "unchanged"),
        "{said}"
    );
    assert_eq!(everything(&home), once);
    let ended = setup_gateway(&home, &["--remove", "--yes"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for (_, file, text) in AGENTS {
        let dense = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(dense(&read(&home.beside(file))), dense(text), "{file}");
    }
    assert!(!env.exists(), "made by us, and empty");
    assert!(home.run(["client", "list"]).stdout.contains("No clients yet"));
    let said = setup_gateway(&home, &["--remove", "--yes", "--json"]).json();
    assert!(
        AGENTS.iter().all(|(id, ..)| agent(&said, id)["state"] == "unchanged"),
        "{said}"
    );
}

#[test]
fn the_gateways_address_and_program_follow_when_they_move() {
    let home = with_all_agents();
    assert_eq!(setup_gateway(&home, &["--yes"]).code, Some(0));
    let ended = setup(&home, &["--gateway=127.0.0.1:2", "--yes", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for (id, file, _) in AGENTS {
        assert_eq!(agent(&ended.json(), id)["state"], "changed");
        assert!(!read(&home.beside(file)).contains("127.0.0.1:1/"), "{file}");
    }
    // What was there before the first time comes back, not what was there before the last.
    assert_eq!(setup_gateway(&home, &["--remove", "--yes"]).code, Some(0));
    assert!(read(&home.beside(".gemini/settings.json")).contains("oauth-personal"));
    assert!(read(&home.beside(".codex/config.toml")).contains("azure"));
}

#[test]
fn an_agent_that_has_an_address_or_key_of_its_own_is_left_alone() {
    for (id, file, text) in [
        (
            "claude-code",
            ".claude/settings.json",
            "{\"env\": {\"ANTHROPIC_BASE_URL\": \"https://sk-secret@proxy.example\"}}",
        ),
        (
            "claude-code",
            ".claude/settings.json",
            "{\"env\": {\"ANTHROPIC_AUTH_TOKEN\": \"sk-secret\"}}",
        ),
        (
            "claude-code",
            ".claude/settings.json",
            "{\"apiKeyHelper\": \"echo sk-secret\"}",
        ),
        (
            "codex",
            ".codex/config.toml",
            "[model_providers.api-keys]\nname = \"sk-secret\"\n",
        ),
        (
            "opencode",
            ".config/opencode/opencode.json",
            "{\"provider\": {\"openai\": {\"options\": {\"apiKey\": \"sk-secret\"}}}}",
        ),
        ("gemini-cli", ".gemini/.env", "export GEMINI_API_KEY='sk-secret'\n"),
        ("gemini-cli", ".gemini/.env", "GOOGLE_API_KEY=sk-secret\n"),
    ] {
        let home = Home::new();
        write(&home, file, text);
        let before = everything(&home);
        let ended = setup_gateway(&home, &["--yes", "--json", "--client", id]);
        assert_eq!(ended.code, Some(1), "{text}: {ended:?}");
        assert_eq!(
            agent(&ended.json(), id)["error"]["code"],
            "setting_taken",
            "{text}: {ended:?}"
        );
        assert!(!ended.stdout.contains("sk-secret"), "{ended:?}");
        assert_eq!(everything(&home), before, "{text}");
        assert!(home.run(["client", "list"]).stdout.contains("No clients yet"), "{text}");
    }
}

#[test]
fn what_was_changed_by_hand_since_stays_when_the_gateway_is_taken_back() {
    let home = with_all_agents();
    assert_eq!(setup_gateway(&home, &["--yes"]).code, Some(0));
    let path = home.beside(".claude/settings.json");
    fs::write(&path, read(&path).replace("http://127.0.0.1:1", "http://mine.example")).expect("written");
    let ended = setup_gateway(&home, &["--remove", "--yes"]);
    assert!(ended.stderr.contains("env.ANTHROPIC_BASE_URL"), "{ended:?}");
    let text = read(&path);
    assert!(
        text.contains("mine.example") && !text.contains("apiKeyHelper"),
        "{text}"
    );
}

#[test]
fn a_client_key_for_an_hour_is_printed_to_the_program_that_asks() {
    let home = Home::new();
    assert_eq!(home.run(["client", "key", "editor"]).code, Some(1));
    assert_eq!(home.run(["client", "add", "editor"]).code, Some(0));
    let (one, other) = (
        home.run(["client", "key", "editor"]).stdout,
        home.run(["client", "key", "editor"]).stdout,
    );
    assert!(
        one.starts_with("akc_") && one.lines().count() == 1 && one != other,
        "{one}"
    );
    assert!(!read(&home.path().join("clients.json")).contains(one.trim()));
}
