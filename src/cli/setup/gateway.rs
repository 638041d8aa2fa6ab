//! Agents that use the gateway from then on: shown what changes in their settings, changed after a yes each.

use std::{net::SocketAddr, path::PathBuf};

use clap::ArgMatches;
use serde_json::{Value, json};

use super::report::SetupReport;
use crate::{
    app::App,
    cli::{command::Session, console::YES, gateway::expect_gateway},
    domain::{Label, Secret},
    error::{Code, Error, Result},
    mcp_clients::{
        ClientKeyPlace, FilePlan, GATEWAY_AGENTS, GatewayAccess, GatewayAgent, GatewayPlan, GatewaySetup, Launch,
    },
    services::{
        agents::AGENTS,
        gateway_clients::{self, NewClient},
    },
    settings::Machine,
    storage::files::Folder,
    tools::view::Tone,
};

/// The file with the client key of an agent that reads one, in a private folder of ours.
const KEY_FILE: &str = "key";
/// The longest such file.
const MAX_KEY_FILE: u64 = 1024;

/// What is wanted of the agents.
struct GatewayWish {
    removes: bool,
    dry_run: bool,
    sure: bool,
    address: SocketAddr,
    named: Vec<&'static GatewayAgent>,
}

/// One agent, and what would be done.
struct AgentChange<'a> {
    setup: GatewaySetup<'a>,
    plan: GatewayPlan,
    /// Its client of the gateway.
    client: Label,
    needs_key: bool,
}

/// The names that `--client` takes for this.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    GATEWAY_AGENTS.iter().map(|agent| agent.id)
}

/// Shows, asks and changes, one agent after the other.
pub(super) fn run(session: &Session, matches: &ArgMatches, launch: &Launch, report: &mut SetupReport) -> Result<()> {
    let app = &session.app;
    let wish = GatewayWish::of(matches)?;
    let machine = app.settings().machine()?;
    let agents: Vec<&GatewayAgent> = if wish.named.is_empty() {
        GATEWAY_AGENTS.iter().filter(|agent| agent.is_here(&machine)).collect()
    } else {
        wish.named.clone()
    };
    let (mut rows, mut not_done) = (Vec::new(), false);
    for agent in &agents {
        let change = AgentChange::plan(app, &machine, agent, &wish, launch);
        rows.push(match change {
            Ok(change) => change.offer(app, &wish, report, &mut not_done)?,
            Err(error) => {
                report.step("Agent", &format!("{}: not changed", agent.title))?;
                if wish.sure && !wish.dry_run {
                    report.failure(&error);
                } else {
                    report.problem(&error);
                }
                let error = error.to_json().get("error").cloned().unwrap_or_default();
                row(agent, "refused", "error", error)
            }
        });
    }
    if not_done && !wish.dry_run {
        report.hint(format!(
            "no agent was changed; `{}` applies these changes",
            wish.command()
        ));
    }
    if agents.is_empty() {
        report.hint(format!(
            "no agent found whose settings can name the gateway: {}",
            names().collect::<Vec<_>>().join(", ")
        ));
    }
    if !wish.removes {
        say_of_others(&machine, report);
        if let Err(why) = expect_gateway(wish.address) {
            report.warning(why.message());
            report.hint(
                "agents need it whenever they run: `api-keys gateway install` starts it at login, `api-keys gateway` starts it now",
            );
        }
    }
    report.set("gateway", format!("http://{}", wish.address));
    report.set("agents", rows);
    Ok(())
}

/// Agents that are installed, and get to the gateway by `run` alone.
fn say_of_others(machine: &Machine, report: &SetupReport) {
    let others = AGENTS
        .iter()
        .filter(|agent| names().all(|id| id != agent.id) && machine.program(agent.program).is_some());
    for agent in others {
        report.hint(format!(
            "{} keeps no settings that name the gateway safely; start it with `api-keys run --gateway -- {}`",
            agent.title, agent.program
        ));
    }
}

impl GatewayWish {
    fn of(matches: &ArgMatches) -> Result<Self> {
        let named = matches.get_many::<String>("client").into_iter().flatten();
        let named = named.map(|name| {
            let found = GATEWAY_AGENTS
                .iter()
                .find(|agent| agent.id == name || agent.program == name);
            found.ok_or_else(|| {
                Error::new(
                    Code::InvalidArgument,
                    format!("{name} has no settings that name the gateway"),
                )
                .hint(format!("with `--gateway`: {}", names().collect::<Vec<_>>().join(", ")))
            })
        });
        Ok(Self {
            removes: matches.get_flag("remove"),
            dry_run: matches.get_flag("dry-run"),
            sure: matches.get_flag(YES),
            address: matches
                .get_one::<SocketAddr>("gateway")
                .copied()
                .ok_or_else(|| Error::new(Code::Internal, "`--gateway` has no address"))?,
            named: named.collect::<Result<_>>()?,
        })
    }

    /// The command that does it without asking.
    fn command(&self) -> String {
        let removes = if self.removes { " --remove" } else { "" };
        let named = self.named.iter().map(|agent| format!(" --client {}", agent.id));
        format!("api-keys setup --gateway{removes} --yes{}", named.collect::<String>())
    }
}

impl<'a> AgentChange<'a> {
    fn plan(
        app: &App,
        machine: &'a Machine,
        agent: &'static GatewayAgent,
        wish: &GatewayWish,
        launch: &Launch,
    ) -> Result<Self> {
        let client: Label = format!("agent-{}", agent.id).parse()?;
        let folder = app.settings().paths().data_folder().join("agents").join(agent.id);
        let access = GatewayAccess {
            base: format!("http://{}", wish.address),
            helper: Launch {
                arguments: ["client", "key", client.as_str()].map(str::to_owned).to_vec(),
                ..launch.clone()
            },
            key_file: folder.join(KEY_FILE),
        };
        let setup = GatewaySetup::new(agent, machine, access, folder);
        let opens = |key: Option<Secret>| {
            key.is_some_and(|key| gateway_clients::authenticate(app, &key).is_ok_and(|it| it.name == client))
        };
        let needs_key = !match agent.key {
            ClientKeyPlace::Command => gateway_clients::exists(app, &client)?,
            ClientKeyPlace::OwnFile => opens(key_in_file(app, agent)?),
            ClientKeyPlace::Settings => opens(setup.key()?),
        };
        let plan = if wish.removes {
            setup.plan_undo()?
        } else {
            setup.plan(!needs_key)?
        };
        Ok(Self {
            setup,
            plan,
            client,
            needs_key,
        })
    }

    /// Shows what would change, and changes it after a yes; returns what `--json` says of it.
    fn offer(self, app: &App, wish: &GatewayWish, report: &mut SetupReport, not_done: &mut bool) -> Result<Value> {
        let agent = self.setup.agent;
        for left in &self.plan.left {
            report.warning(&format!("{left} was changed since and is left alone"));
        }
        let is_known = gateway_clients::exists(app, &self.client)?;
        let nothing = self.plan.files.is_empty() && if wish.removes { !is_known } else { !self.needs_key };
        if nothing {
            let said = if wish.removes { "not set up" } else { "uses the gateway" };
            report.step("Agent", &format!("{}: {said}", agent.title))?;
            return Ok(row(agent, "unchanged", "files", json!([])));
        }
        let (sign, tone, back) = if wish.removes {
            ('-', Tone::Bad, '+')
        } else {
            ('+', Tone::Good, '-')
        };
        for FilePlan {
            file,
            lines,
            before,
            holds_key,
        } in &self.plan.files
        {
            report.step("Agent", &format!("{}: {}", agent.title, file.display()))?;
            for line in before {
                report.line(Tone::Plain, &format!("        {back} {line}"))?;
            }
            for line in lines {
                report.line(tone, &format!("        {sign} {line}"))?;
            }
            if *holds_key {
                report.hint(format!(
                    "{} cannot ask for a client key, so its key is in this file, which only you may read; it opens nothing but this gateway",
                    agent.title
                ));
            }
        }
        if !wish.removes {
            if let Some(note) = agent.note {
                report.hint(note);
            }
            let environment = app.settings().environment();
            for name in agent.prefers.iter().filter(|name| environment.is_set(name)) {
                report.hint(format!("{name} is set here, and {} prefers it: unset it", agent.title));
            }
        }
        let question = if wish.removes {
            format!("Take the gateway out of the settings of {}?", agent.title)
        } else {
            format!("Make {} use the gateway from now on?", agent.title)
        };
        if wish.dry_run || !(wish.sure || report.agrees(&question)) {
            *not_done = true;
            return Ok(row(agent, "would_change", "files", self.files()));
        }
        let done = if wish.removes { self.undo(app) } else { self.apply(app) };
        if let Err(error) = done {
            report.failure(&error);
            let error = error.to_json().get("error").cloned().unwrap_or_default();
            return Ok(row(agent, "refused", "error", error));
        }
        let backups: Vec<String> = self
            .plan
            .files
            .iter()
            .map(|plan| format!("{}.api-keys-backup", plan.file.display()))
            .filter(|file| PathBuf::from(file).exists())
            .collect();
        let backups = if backups.is_empty() {
            String::new()
        } else {
            format!("; backup: {}", backups.join(", "))
        };
        let said = if wish.removes {
            format!(
                "{} no longer uses the gateway, and its client {} is gone",
                agent.title, self.client
            )
        } else {
            format!("{} uses the gateway, as the client {}", agent.title, self.client)
        };
        report.step("Done", &format!("{said}{backups}"))?;
        Ok(row(agent, "changed", "files", self.files()))
    }

    fn files(&self) -> Value {
        let files = self.plan.files.iter().map(|plan| {
            json!({"file": plan.file, "change": plan.lines.join("\n"), "before": plan.before, "holds_client_key": plan.holds_key})
        });
        files.collect()
    }

    fn apply(&self, app: &App) -> Result<()> {
        let mut key = None;
        if !gateway_clients::exists(app, &self.client)? {
            let new = NewClient {
                agent: Some(self.setup.agent.id.to_owned()),
                ..NewClient::named(self.client.clone())
            };
            key = Some(gateway_clients::add(app, new)?.1);
        }
        if self.needs_key && self.setup.agent.key != ClientKeyPlace::Command && key.is_none() {
            key = Some(gateway_clients::issue_key(app, &self.client, None)?.0);
        }
        match (self.setup.agent.key, &key) {
            (ClientKeyPlace::OwnFile, Some(key)) => {
                let folder = Folder::create(&folder(app, self.setup.agent))?;
                // EXPOSE: a private file, which the agent's settings name
                let _ = folder.replace(KEY_FILE, key.expose().as_bytes())?;
                self.setup.apply(None)
            }
            (ClientKeyPlace::Settings, Some(key)) => self.setup.apply(Some(key)),
            (ClientKeyPlace::Command, _) | (ClientKeyPlace::OwnFile | ClientKeyPlace::Settings, None) => {
                self.setup.apply(None)
            }
        }
    }

    fn undo(&self, app: &App) -> Result<()> {
        self.setup.undo()?;
        if let Some(folder) = Folder::open(&folder(app, self.setup.agent))? {
            folder.remove(KEY_FILE)?;
        }
        match gateway_clients::remove(app, &self.client) {
            Err(why) if why.code() != Code::ClientNotFound => Err(why),
            _ => Ok(()),
        }
    }
}

fn folder(app: &App, agent: &GatewayAgent) -> PathBuf {
    app.settings().paths().data_folder().join("agents").join(agent.id)
}

fn key_in_file(app: &App, agent: &GatewayAgent) -> Result<Option<Secret>> {
    let found = match Folder::open(&folder(app, agent))? {
        Some(folder) => folder.read(KEY_FILE, MAX_KEY_FILE)?,
        None => None,
    };
    Ok(found.and_then(|(bytes, _)| Some(Secret::new(str::from_utf8(&bytes).ok()?))))
}

fn row(agent: &GatewayAgent, state: &str, name: &str, value: Value) -> Value {
    let mut row = json!({
        "agent": agent.id,
        "title": agent.title,
        "state": state,
        "client_key": match agent.key {
            ClientKeyPlace::Command => "command",
            ClientKeyPlace::OwnFile => "private_file",
            ClientKeyPlace::Settings => "settings",
        },
    });
    row[name] = value;
    row
}
