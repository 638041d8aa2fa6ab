//! How programs come to use the gateway: by their environment, behind `run`, and as a service.
#![cfg(unix)]

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

use api_keys::{
    app::{App, Clock},
    error::Error,
    services::gateway_clients,
    settings::{Environment, Settings},
};

use super::*;
use crate::support::{Ended, outside};

/// Evaluates what `env` prints in a shell, and prints what that shell has then.
fn evaluated(home: &Home, arguments: &[&str], quoted: bool) -> Ended {
    let direct = home.command([&["env"], arguments].concat());
    let mut shell = Command::new("sh");
    let evaluate = if quoted {
        r#"eval "$("$0" "$@")""#
    } else {
        r#"eval $("$0" "$@")"#
    };
    shell
        .args(["-c", &format!("{evaluate}; env")])
        .arg(direct.get_program())
        .args(direct.get_args())
        .env_clear()
        .envs(direct.get_envs().filter_map(|(name, value)| Some((name, value?))));
    home.run_with(shell, "")
}

fn variable<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

#[test]
fn a_shell_learns_where_the_gateway_is_and_the_key_of_a_new_client() {
    let home = Home::new();
    let missing = home.run(["env", "--client", "editor", "--json"]);
    assert_eq!(missing.error_code(), "client_not_found");
    assert!(missing.stdout.contains("--new"), "{missing:?}");

    let new = evaluated(&home, &["--client", "editor", "--new"], true);
    for (name, value) in [
        ("OPENAI_BASE_URL", "http://127.0.0.1:8787/v1"),
        ("ANTHROPIC_BASE_URL", "http://127.0.0.1:8787"),
        ("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:8787/p/google"),
    ] {
        assert_eq!(variable(&new.stdout, name), Some(value), "{new:?}");
    }
    let key = variable(&new.stdout, "OPENAI_API_KEY").unwrap();
    assert!(key.starts_with("akc_"), "{key}");
    for name in ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "GEMINI_API_KEY"] {
        assert_eq!(variable(&new.stdout, name), Some(key));
    }
    let again = home.run(["env", "--client", "editor", "--new", "--json"]);
    assert_eq!(again.error_code(), "client_exists", "nobody's key is replaced");

    // Without quotes a shell sees one line.
    for quoted in [true, false] {
        let known = evaluated(&home, &["--client", "editor", "--gateway", "localhost:99"], quoted);
        assert_eq!(
            variable(&known.stdout, "OPENAI_BASE_URL"),
            Some("http://localhost:99/v1")
        );
        assert_eq!(variable(&known.stdout, "OPENAI_API_KEY"), None, "{known:?}");
    }
    let json = home.run(["env", "--client", "editor", "--json"]).json();
    assert_eq!(json["variables"]["OPENAI_BASE_URL"], "http://127.0.0.1:8787/v1");
    assert_eq!(json["variables"].get("OPENAI_API_KEY"), None);
    for (format, line) in [
        ("shell", "export OPENAI_BASE_URL='http://127.0.0.1:8787/v1';"),
        ("fish", "set -gx OPENAI_BASE_URL 'http://127.0.0.1:8787/v1';"),
        ("powershell", "$env:OPENAI_BASE_URL = 'http://127.0.0.1:8787/v1'"),
        ("dotenv", "OPENAI_BASE_URL='http://127.0.0.1:8787/v1'"),
    ] {
        let told = home.run(["env", "--client", "editor", "--format", format]);
        assert_eq!(told.stdout.lines().next(), Some(line));
        assert!(told.stdout.contains("# api-keys env --client NAME --new"), "{told:?}");
    }
    let preferred = home.run_with(
        {
            let mut command = home.command(["env", "--client", "editor"]);
            command.env("GOOGLE_API_KEY", "AIzaSomething");
            command
        },
        "",
    );
    assert!(preferred.stderr.contains("GOOGLE_API_KEY is set"), "{preferred:?}");
}

/// A command behind the gateway, whose first line of output has come.
struct Behind {
    child: Child,
    line: String,
}

impl Behind {
    fn start(home: &Home, options: &[&str], script: &str) -> Self {
        let mut command = home.command([&["run", "--gateway"], options, &["--", "sh", "-c", script]].concat());
        let mut child = command
            .env("OPENAI_API_KEY", KEY)
            .env("GROQ_API_KEY", "gsk_real")
            .env("API_KEYS_PASSPHRASE", "not for the command")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Self {
            child,
            line: line.trim_end().to_owned(),
        }
    }

    /// Closes its input and returns its code.
    fn end(mut self) -> Option<i32> {
        drop(self.child.stdin.take());
        self.child.wait().unwrap().code()
    }
}

const SHOW: &str =
    "echo $OPENAI_BASE_URL $OPENAI_API_KEY $ANTHROPIC_BASE_URL [$GROQ_API_KEY$API_KEYS_PASSPHRASE]; read x; exit 42";

fn clients(home: &Home) -> Vec<String> {
    let listed = home.run(["client", "list", "--json"]).json();
    let names = listed["clients"].as_array().unwrap().iter();
    names
        .map(|client| client["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_command_behind_the_gateway_has_a_key_of_its_own_for_as_long_as_it_runs() {
    let scene = Scene::new(StandIn::answering(Reply::json(200, &completion())));
    let behind = Behind::start(&scene.home, &[], SHOW);
    let words: Vec<String> = behind.line.split(' ').map(str::to_owned).collect();
    assert_eq!(words[3], "[]", "no provider's key, and nothing that opens the vault");
    let address = words[0].strip_prefix("http://").unwrap().strip_suffix("/v1").unwrap();
    assert_eq!(words[2], format!("http://{address}"));
    assert_ne!(address, scene.gateway.address, "one of its own");
    let served = Gateway {
        // Any process that may be killed.
        child: Command::new("true").spawn().unwrap(),
        address: address.to_owned(),
    };
    let answer = served.post("/v1/chat/completions", &words[1], &chat());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let asked = &scene.provider.requests()[0];
    assert_eq!(asked.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(clients(&scene.home), ["run-sh", "tester"]);
    let second = Behind::start(&scene.home, &[], SHOW);
    assert_eq!(clients(&scene.home), ["run-sh", "run-sh-2", "tester"]);
    assert_eq!(second.end(), Some(42));

    assert_eq!(behind.end(), Some(42), "the command's own code");
    assert_eq!(clients(&scene.home), ["tester"]);
    let after = scene.gateway.post("/v1/chat/completions", &words[1], &chat());
    assert_eq!(after.status, 401, "its key ended with it");
    assert_eq!(scene.home.totals(1)["cost_usd"], 0.00096);
}

#[test]
fn a_command_can_use_the_gateway_that_runs_and_only_some_providers() {
    let scene = Scene::new(StandIn::answering(Reply::json(200, &completion())));
    let there = format!("--gateway={}", scene.gateway.address);
    let mut command = scene
        .home
        .command(["run", &there, "-p", "anthropic", "--", "sh", "-c", SHOW]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(words[0], format!("http://{}/v1", scene.gateway.address));
    let refused = scene.gateway.post("/v1/chat/completions", words[1], &chat());
    assert_eq!(
        (refused.status, &refused.json()["error"]["code"]),
        (403, &json!("provider_not_allowed"))
    );
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(42));

    let run = |home: &Home, gateway: &str| home.run(["run", "--json", gateway, "--", "true"]);
    let nobody = run(&scene.home, "--gateway=127.0.0.1:1");
    assert_eq!(nobody.error_code(), "address_unavailable");
    assert!(nobody.stdout.contains("`api-keys gateway` starts one"), "{nobody:?}");
    let other = Home::new();
    let foreign = run(&other, &there);
    assert_eq!(foreign.error_code(), "address_unavailable");
    assert!(
        foreign.stdout.contains("uses other files than this command"),
        "{foreign:?}"
    );
    assert!(clients(&other).is_empty(), "nothing is left behind");
    let labelled = scene
        .home
        .run(["run", "--json", "--gateway", "-p", "openai:work", "--", "true"]);
    assert_eq!(labelled.error_code(), "invalid_argument");
}

#[test]
fn a_command_gets_the_keys_of_its_folders_label_also_through_the_gateway_that_runs() {
    let config = "[projects]\n\"**/acme\" = \"second\"\n";
    let scene = Scene::with(StandIn::answering(Reply::json(200, &completion())), config, &[], &[]);
    scene.home.key(&["openai", "--label", "second"], SECOND);
    let folder = scene.home.beside("acme");
    std::fs::create_dir_all(&folder).unwrap();
    let there = format!("--gateway={}", scene.gateway.address);
    for (folder, wanted) in [(folder.clone(), SECOND), (scene.home.beside(""), KEY)] {
        for gateway in [there.as_str(), "--gateway"] {
            let script = "curl -s $OPENAI_BASE_URL/chat/completions -H \"authorization: Bearer $OPENAI_API_KEY\" \
                          -d '{\"model\":\"openai/m\",\"messages\":[]}'";
            let mut command = scene.home.command(["run", gateway, "--", "sh", "-c", script]);
            command.current_dir(&folder);
            let ended = scene.home.run_with(command, "");
            assert_eq!(ended.code, Some(0), "{ended:?}");
            let shown = scene
                .provider
                .requests()
                .last()
                .unwrap()
                .header("authorization")
                .unwrap_or_default()
                .to_owned();
            assert_eq!(
                shown,
                format!("Bearer {wanted}"),
                "{gateway} in {}: {ended:?}",
                folder.display()
            );
        }
    }
}

#[test]
fn a_dry_run_shows_what_an_agent_gets_besides() {
    let home = Home::new();
    let dry = |arguments: &[&str]| home.run([&["run", "--gateway=127.0.0.1:9", "--dry-run"], arguments].concat());
    let codex = dry(&["--json", "--", "codex"]).json();
    assert_eq!(codex["agent"], "codex");
    let arguments = codex["arguments"].to_string();
    assert!(arguments.contains("http://127.0.0.1:9/v1"), "{arguments}");
    assert!(dry(&["--", "codex"]).stdout.contains("codex -c"));
    let gemini = dry(&["--json", "--", "gemini"]).json();
    let file = gemini["settings_file"].as_str().unwrap();
    assert!(
        file.ends_with("settings.json") && !std::path::Path::new(file).exists(),
        "{file}"
    );
    assert!(
        gemini["set"]
            .as_array()
            .unwrap()
            .contains(&json!("GEMINI_CLI_SYSTEM_SETTINGS_PATH"))
    );
    let claude = dry(&["--json", "--", "claude"]).json();
    assert!(!claude["set"].as_array().unwrap().contains(&json!("ANTHROPIC_API_KEY")));
}

#[test]
fn a_command_behind_the_gateway_ends_and_starts_as_it_does_without() {
    let home = Home::new();
    let told = Behind::start(
        &home,
        &[],
        "trap 'kill $!; exit 9' TERM; sleep 60 & echo ready; wait $!",
    );
    let id = told.child.id().to_string();
    assert!(
        Command::new("sh")
            .args(["-c", &format!("kill -TERM {id}")])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(told.end(), Some(9), "it heard the signal");

    let run = |script: &str| home.run(["run", "--gateway", "--", "sh", "-c", script]);
    assert_eq!(run("kill -KILL $$").code, Some(128 + 9), "as shells tell it");
    assert_eq!(home.run(["run", "--gateway", "--", "no-such-command"]).code, Some(127));
    assert!(clients(&home).is_empty());

    let mut direct = Command::new("sh");
    direct.args(["-c", "umask; ulimit -S -c; ulimit -S -n"]);
    let direct = home.run_with(direct, "").stdout;
    assert_eq!(
        run("umask; ulimit -S -c; ulimit -S -n").stdout,
        direct,
        "with the caller's own limits"
    );

    let mut dry = home.command(["run", "--gateway", "--dry-run", "--json"]);
    dry.env("GROQ_API_KEY", "gsk_real").env("OPENAI_API_KEY", KEY);
    let dry = home.run_with(dry, "").json();
    assert_eq!(dry["removed"], json!(["GROQ_API_KEY"]));
    assert!(dry["set"].as_array().unwrap().contains(&json!("OPENAI_API_KEY")));
}

#[test]
fn a_key_whose_time_is_over_opens_nothing_and_is_forgotten() {
    let scene = Scene::new(StandIn::answering(Reply::json(200, &completion())));
    let file = scene.home.path().join("clients.json");
    let mut stored: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    for (until, status) in [("2999-01-01T00:00:00Z", 200), ("2020-01-01T00:00:00Z", 401)] {
        stored["clients"][0]["expires_at"] = until.into();
        std::fs::write(&file, stored.to_string()).unwrap();
        assert_eq!(scene.chat(chat()).status, status, "{until}");
    }
    assert!(clients(&scene.home).is_empty());
    scene.home.client(&["tester"]);
    let stored: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(stored["clients"].as_array().map(Vec::len), Some(1));
    assert_eq!(stored["clients"][0].get("expires_at"), None);
}

const UNIT: &str = ".config/systemd/user/api-keys-gateway.service";

#[cfg(target_os = "linux")]
#[test]
fn a_service_file_is_written_for_systemd_and_nobody_elses_is_touched() {
    let home = Home::new();
    let file = home.beside(UNIT);
    let dry = home.run(["gateway", "install", "--dry-run"]);
    assert!(dry.stdout.contains("ExecStart=\"/") && !file.exists(), "{dry:?}");

    // No manager of the user's answers here: a test must not start a service for good.
    let install = || home.run(["gateway", "install", "--listen", "127.0.0.1:9999", "--json"]);
    let told = install().json();
    assert_eq!(told["left_to_run"][0], "systemctl --user daemon-reload", "{told}");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("\" gateway --listen 127.0.0.1:9999\n"), "{text}");
    assert!(
        text.contains(&format!("Environment=\"API_KEYS_HOME={}\"", home.path().display())),
        "{text}"
    );
    assert_eq!(install().code, Some(0), "again, after an update");
    let removed = home.run(["gateway", "uninstall", "--json"]).json();
    assert_eq!((&removed["removed"], file.exists()), (&json!(true), false));
    assert_eq!(home.run(["gateway", "uninstall", "--json"]).json()["removed"], false);

    std::fs::write(&file, "[Service]\nExecStart=/bin/true\n").unwrap();
    assert_eq!(install().error_code(), "unsafe_file");
    assert_eq!(home.run(["gateway", "uninstall", "--json"]).error_code(), "unsafe_file");
    assert!(std::fs::read_to_string(&file).unwrap().contains("/bin/true"));
}

#[cfg(target_os = "linux")]
#[test]
fn systemd_itself_finds_nothing_wrong_with_the_service_file() {
    if !outside::installed(&["systemd-analyze"]) {
        return;
    }
    let home = Home::new();
    // A name in which systemd would see more than a name.
    let program = home.copy_of_program("api %h $HOME keys");
    let plain = home.command(["gateway", "install"]);
    let mut install = Command::new(&program);
    install
        .args(plain.get_args())
        .env_clear()
        .envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let installed = home.run_with(install, "");
    assert_eq!(installed.code, Some(0), "{installed:?}");
    let runtime = home.beside("runtime");
    crate::support::private_folder(&runtime);
    let mut verify = Command::new("systemd-analyze");
    verify
        .args(["--user", "verify"])
        .arg(home.beside(UNIT))
        .env("HOME", home.beside(""))
        .env("XDG_RUNTIME_DIR", &runtime);
    let verified = home.run_with(verify, "");
    assert_eq!((verified.code, verified.stderr.as_str()), (Some(0), ""), "{verified:?}");
}

#[test]
fn a_vault_that_only_a_passphrase_opens_gets_no_service() {
    let home = Home::new();
    home.config("[vault]\nmaster_key = \"passphrase\"\n");
    let with_passphrase = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        command.env("API_KEYS_PASSPHRASE", "correct horse battery staple");
        home.run_with(command, KEY)
    };
    assert_eq!(with_passphrase(&["add", "openai", "--stdin"]).code, Some(0));
    // The passphrase of this shell's environment would not be there.
    let refused = with_passphrase(&["gateway", "install", "--json"]);
    assert_eq!((refused.code, refused.error_code().as_str()), (Some(3), "vault_locked"));
    assert!(refused.stdout.contains("add-slot key-file"), "{refused:?}");
    assert!(!home.beside(UNIT).exists());
    assert_eq!(with_passphrase(&["vault", "add-slot", "key-file"]).code, Some(0));
    assert_eq!(home.run(["gateway", "install"]).code, Some(0));
}

/// Everything of `home`, some minutes after noon.
fn after(home: &Home, minutes: i64) -> App {
    let environment = Environment::of([("API_KEYS_HOME", home.path().to_str().unwrap())]);
    let noon: jiff::Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    let at = noon + jiff::SignedDuration::from_mins(minutes);
    App::new(Settings::open(&environment).unwrap(), Clock::Fixed(at))
}

#[test]
fn the_key_of_a_command_lives_as_long_as_it_does_and_no_longer_than_somebody_wants() {
    let home = Home::new();
    let everything = std::collections::BTreeSet::new();
    let names = |app: &App| -> Vec<String> {
        let clients = app.clients().list().unwrap();
        clients.iter().map(|client| client.name.to_string()).collect()
    };
    let noon = after(&home, 0);
    let (mut client, key) = gateway_clients::add_for_command(&noon, "agent", &everything).unwrap();
    gateway_clients::renew(&after(&home, 40), &mut client).unwrap();
    assert!(
        gateway_clients::authenticate(&after(&home, 90), &key).is_ok(),
        "renewed"
    );
    assert!(
        gateway_clients::authenticate(&after(&home, 101), &key).is_err(),
        "and over"
    );

    // Forgotten while the machine slept.
    noon.clients()
        .change(|all| {
            all.clear();
            Ok::<_, Error>(())
        })
        .unwrap();
    gateway_clients::renew(&after(&home, 200), &mut client).unwrap();
    assert_eq!(names(&noon), ["run-agent"]);

    gateway_clients::remove(&noon, &client.name).unwrap();
    gateway_clients::renew(&after(&home, 240), &mut client).unwrap();
    assert!(names(&noon).is_empty(), "whoever removed it meant it");

    // Another command of that name came meanwhile.
    let (_, others) = gateway_clients::add_for_command(&after(&home, 400), "agent", &everything).unwrap();
    gateway_clients::renew(&after(&home, 400), &mut client).unwrap();
    assert!(gateway_clients::authenticate(&after(&home, 401), &others).is_ok());
    assert_eq!(names(&noon), ["run-agent"]);
}

#[test]
fn a_service_says_what_goes_wrong_without_being_asked() {
    let home = Home::new();
    home.config("[vault]\nmaster_key = \"key-file\"\n");
    let client = home.client(&["tester"]);
    let gateway = home.quiet_gateway();
    assert_eq!(gateway.get("/v1/models", &client).status, 200);
    assert_eq!(home.gateway_log(), "");
    home.config("[vault\n");
    let is_said = || {
        gateway.get("/v1/models", &client);
        home.gateway_log().contains("the configuration file is broken")
    };
    eventually(is_said, "it is in the log");
}

#[test]
fn there_is_no_gateway_without_client_keys() {
    let refused = Home::new().run(["gateway", "--no-auth", "--json"]);
    assert_eq!(
        (refused.code, refused.error_code().as_str()),
        (Some(2), "invalid_argument")
    );
    assert!(refused.stdout.contains("api-keys run --gateway"), "{refused:?}");
}

#[test]
fn a_vault_that_is_encrypted_anew_keeps_the_gateway_and_commands_going() {
    let scene = Scene::new(StandIn::start(|_| Reply::json(200, &completion())));
    let asked = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let sent: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut statuses = Vec::new();
                    while asked.load(Ordering::Relaxed) {
                        statuses.push(scene.chat(chat()).status);
                    }
                    statuses
                })
            })
            .collect();
        let mut failed = Vec::new();
        for round in 0..5 {
            failed.push(scene.home.run(["vault", "rekey", "--yes", "--json"]));
            // What is read afterwards is sealed with the new key only.
            let label = format!("round-{round}");
            scene
                .home
                .key(&["openai", "--label", &label], &format!("{SECOND}{round}"));
            failed.push(scene.home.run(["list", "--json"]));
            failed.push(
                scene
                    .home
                    .run(["remove", "openai", "--label", &label, "--yes", "--json"]),
            );
        }
        asked.store(false, Ordering::Relaxed);
        failed.retain(|ended| ended.code != Some(0));
        assert!(failed.is_empty(), "{failed:?}");
        for statuses in sent {
            let statuses = statuses.join().expect("no panic");
            assert!(
                statuses.len() > 5 && statuses.iter().all(|status| *status == 200),
                "{statuses:?}"
            );
        }
    });
}
