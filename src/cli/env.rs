//! `env`: the variables by which programs find the gateway.

use std::{
    fmt::{self, Write},
    process::ExitCode,
};

use clap::{Arg, ArgAction, ArgMatches, ValueEnum, builder::PossibleValuesParser, value_parser};
use serde_json::{Map, Value, json};
use url::{Origin, Url};
use zeroize::Zeroizing;

use super::{
    client,
    command::{CommandDef, Run, Session},
    console::Console,
    gateway,
    help::HelpSection,
};
use crate::{
    app::App,
    domain::{Label, Secret},
    error::{Code, Error, Result},
    services::{
        agents::{AGENTS, AgentProgram},
        gateway_clients::{self, NewClient},
        sdks,
    },
    tools::view::Block,
};

pub(super) const COMMAND: CommandDef = CommandDef {
    name: "env",
    section: HelpSection::Gateway,
    define: |command| {
        command
            .about("Print environment variables that point programs to the gateway")
            .long_about(
                "Print environment variables that point programs to the gateway, for the SDKs of OpenAI, Anthropic and Google: `eval \"$(api-keys env --client NAME --new)\"`\n\n\
                 A client key is shown only when it is created. Without --new only the addresses are printed, with a comment where the key belongs.",
            )
            .arg(
                Arg::new("client")
                    .long("client")
                    .value_name("NAME")
                    .required(true)
                    .help("Name of the client"),
            )
            .arg(
                Arg::new("new")
                    .long("new")
                    .action(ArgAction::SetTrue)
                    .help("Create the client and print its key once; `api-keys client add` can also set limits"),
            )
            .arg(
                Arg::new("for")
                    .long("for")
                    .value_name("AGENT")
                    .value_parser(PossibleValuesParser::new(AGENTS.iter().map(|agent| agent.id)))
                    .help("Print what this agent needs besides"),
            )
            .arg(
                Arg::new("format")
                    .long("format")
                    .value_name("FORMAT")
                    .value_parser(value_parser!(EnvFormat))
                    .default_value("shell")
                    .help("Shell or file format"),
            )
            .arg(
                Arg::new("gateway")
                    .long("gateway")
                    .value_name("ADDRESS:PORT")
                    .value_parser(base)
                    .default_value(gateway::LISTEN)
                    .help("Address of the gateway"),
            )
    },
    run: Run::With(run),
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EnvFormat {
    Shell,
    Fish,
    Powershell,
    Dotenv,
}

fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let app = &session.app;
    let base = matches
        .get_one::<String>("gateway")
        .map(String::as_str)
        .unwrap_or_default();
    let name = client::name(matches, "client")?;
    let key = if matches.get_flag("new") {
        let new = NewClient::named(name.clone());
        Some(gateway_clients::add(app, new)?.1)
    } else {
        expect(session, &name)?;
        None
    };
    for name in sdks::PREFERRED {
        if app.settings().environment().is_set(name) {
            session.console.remark(&Block::Warning(format!(
                "{name} is set, and some SDKs prefer it: unset it"
            )));
        }
    }
    let agent = matches.get_one::<String>("for").and_then(|id| AgentProgram::named(id));
    let variables = Variables::of(app, base, agent)?;
    if session.console.is_json() {
        return json(base, &name, key.as_ref(), &variables).map(|()| ExitCode::SUCCESS);
    }
    let format = matches.get_one("format").copied().unwrap_or(EnvFormat::Shell);
    let mut text = Zeroizing::new(String::with_capacity(2048));
    format
        .write(&mut text, &name, key.as_ref(), &variables)
        .map_err(|_| Error::new(Code::Internal, "a text could not be written"))?;
    Console::raw(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// What a program needs to find the gateway.
struct Variables {
    addresses: Vec<(&'static str, String)>,
    keys: Vec<&'static str>,
    /// What must not be set.
    without: &'static [&'static str],
    /// The program, and what its command line must begin with.
    command: Option<(&'static str, Vec<String>)>,
}

impl Variables {
    /// What `agent` needs, or any program that uses the libraries.
    fn of(app: &App, base: &str, agent: Option<&'static AgentProgram>) -> Result<Self> {
        let without = agent.map_or(&[][..], |agent| agent.without);
        let mut addresses = sdks::addresses(base);
        let mut keys: Vec<&str> = sdks::keys().filter(|name| !without.contains(name)).collect();
        let mut command = None;
        if let Some(agent) = agent {
            addresses.extend(agent.addresses(base));
            let file = agent.write_settings(app, base)?;
            addresses.extend(file.map(|(name, path)| (name, path.to_string_lossy().into_owned())));
            keys.extend(agent.keys());
            let arguments = agent.arguments(base);
            command = (!arguments.is_empty()).then_some((agent.program, arguments));
        }
        Ok(Self {
            addresses,
            keys,
            without,
            command,
        })
    }
}

fn json(base: &str, name: &Label, key: Option<&Secret>, found: &Variables) -> Result<()> {
    let mut variables = Map::new();
    for (name, value) in &found.addresses {
        variables.insert((*name).to_owned(), value.as_str().into());
    }
    if let Some(key) = key {
        for name in &found.keys {
            // EXPOSE: shown once to the person who ran the command with `--new`
            variables.insert((*name).to_owned(), key.expose().into());
        }
    }
    let mut result = json!({"client": name.as_str(), "gateway": base, "variables": Value::Object(variables)});
    if !found.without.is_empty() {
        result["unset"] = json!(found.without);
    }
    if let Some((_, arguments)) = &found.command {
        result["arguments"] = json!(arguments);
    }
    Console::json(&result)
}

/// Fails where there is no client of that name.
fn expect(session: &Session, name: &Label) -> Result<()> {
    let now = session.app.now();
    let clients = session.app.clients().list()?;
    if clients
        .iter()
        .any(|known| known.name == *name && !known.is_expired(now))
    {
        return Ok(());
    }
    Err(
        Error::new(Code::ClientNotFound, format!("no client {name}")).hint(format!(
            "`--new` creates it; so does `api-keys client add {name}`, which can also set limits"
        )),
    )
}

impl EnvFormat {
    fn write(self, text: &mut String, name: &Label, key: Option<&Secret>, variables: &Variables) -> fmt::Result {
        for name in variables.without {
            match self {
                Self::Shell => writeln!(text, "unset {name};")?,
                Self::Fish => writeln!(text, "set -e {name};")?,
                Self::Powershell => writeln!(text, "Remove-Item Env:{name} -ErrorAction Ignore")?,
                Self::Dotenv => {}
            }
        }
        for (name, value) in &variables.addresses {
            self.line(text, name, value)?;
        }
        if let Some((program, arguments)) = &variables.command {
            self.function(text, program, arguments)?;
        }
        if let Some(key) = key {
            for name in &variables.keys {
                // EXPOSE: shown once to the person who ran the command with `--new`
                self.line(text, name, key.expose())?;
            }
            return Ok(());
        }
        // At the end, where it hides nothing from a shell that sees all of it as one line.
        writeln!(text, "# {}:", variables.keys.join(", "))?;
        writeln!(
            text,
            "# the key of {name}, which was shown when it was added. For a new client and its key:"
        )?;
        writeln!(text, "# api-keys env --client NAME --new")
    }

    /// A program's command line with what it must begin with; a file has no commands.
    fn function(self, text: &mut String, program: &str, arguments: &[String]) -> fmt::Result {
        let quoted: Vec<String> = arguments.iter().map(|argument| format!("'{argument}'")).collect();
        let quoted = quoted.join(" ");
        match self {
            Self::Shell => writeln!(text, "{program}() {{ command {program} {quoted} \"$@\"; }};"),
            Self::Fish => writeln!(text, "function {program}; command {program} {quoted} $argv; end;"),
            Self::Powershell => writeln!(
                text,
                "function {program} {{ & (Get-Command {program} -CommandType Application)[0] {quoted} @args }}"
            ),
            Self::Dotenv => writeln!(text, "# start it as: {program} {quoted}"),
        }
    }

    /// Neither an address nor a key has a character that needs more than these quotes: see [`base`].
    fn line(self, text: &mut String, name: &str, value: &str) -> fmt::Result {
        match self {
            Self::Shell => writeln!(text, "export {name}='{}';", value.replace('\'', r"'\''")),
            Self::Fish => writeln!(text, "set -gx {name} '{value}';"),
            Self::Powershell => writeln!(text, "$env:{name} = '{value}'"),
            Self::Dotenv => writeln!(text, "{name}='{value}'"),
        }
    }
}

/// The gateway's base URL: scheme, host and port, in characters that every shell leaves alone between quotes.
fn base(text: &str) -> std::result::Result<String, &'static str> {
    const RULE: &str = "must be an address with a port, such as 127.0.0.1:8787 or https://gateway.example:443";
    let url = if text.contains("://") {
        text.to_owned()
    } else if text.contains(':') {
        format!("http://{text}")
    } else {
        return Err(RULE);
    };
    let url = Url::parse(&url).map_err(|_| RULE)?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '/' | '[' | ']');
    match url.origin() {
        Origin::Tuple(scheme, ..) if is_bare && matches!(scheme.as_str(), "http" | "https") => {
            Some(url.origin().ascii_serialization())
                .filter(|base| base.chars().all(is_plain))
                .ok_or(RULE)
        }
        _ => Err(RULE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_and_nothing_else() {
        for (text, wanted) in [
            ("127.0.0.1:8787", "http://127.0.0.1:8787"),
            ("[::1]:8787", "http://[::1]:8787"),
            ("localhost:1", "http://localhost:1"),
            ("https://gateway.example", "https://gateway.example"),
        ] {
            assert_eq!(base(text).as_deref(), Ok(wanted), "{text}");
        }
        for text in [
            "8787",
            "host",
            "http://a'b:1",
            "http://user:pw@host:1",
            "host:1/path",
            "host:1?x",
            "ftp://host:1",
            "a b:1",
            "$(id):1",
            "`id`:1",
        ] {
            assert!(base(text).is_err(), "{text}");
        }
    }
}
