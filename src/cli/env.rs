//! `env`: the variables by which programs find the gateway.

use std::{
    fmt::{self, Write},
    process::ExitCode,
};

use clap::{Arg, ArgAction, ArgMatches, ValueEnum, value_parser};
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
    domain::{Label, Secret},
    error::{Code, Error, Result},
    services::{
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
    if session.console.is_json() {
        return json(base, &name, key.as_ref()).map(|()| ExitCode::SUCCESS);
    }
    let format = matches.get_one("format").copied().unwrap_or(EnvFormat::Shell);
    let mut text = Zeroizing::new(String::with_capacity(2048));
    format
        .write(&mut text, base, &name, key.as_ref())
        .map_err(|_| Error::new(Code::Internal, "a text could not be written"))?;
    Console::raw(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn json(base: &str, name: &Label, key: Option<&Secret>) -> Result<()> {
    let mut variables = Map::new();
    for (name, value) in sdks::addresses(base) {
        variables.insert(name.to_owned(), value.into());
    }
    if let Some(key) = key {
        for name in sdks::keys() {
            // EXPOSE: shown once to the person who ran the command with `--new`
            variables.insert(name.to_owned(), key.expose().into());
        }
    }
    Console::json(&json!({"client": name.as_str(), "gateway": base, "variables": Value::Object(variables)}))
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
    fn write(self, text: &mut String, base: &str, name: &Label, key: Option<&Secret>) -> fmt::Result {
        for (name, value) in sdks::addresses(base) {
            self.line(text, name, &value)?;
        }
        if let Some(key) = key {
            for name in sdks::keys() {
                // EXPOSE: shown once to the person who ran the command with `--new`
                self.line(text, name, key.expose())?;
            }
            return Ok(());
        }
        // At the end, where it hides nothing from a shell that sees all of it as one line.
        let keys: Vec<&str> = sdks::keys().collect();
        writeln!(text, "# {}:", keys.join(", "))?;
        writeln!(
            text,
            "# the key of {name}, which was shown when it was added. For a new client and its key:"
        )?;
        writeln!(text, "# api-keys env --client NAME --new")
    }

    /// Neither an address nor a key has a character that needs more than these quotes: see [`base`].
    fn line(self, text: &mut String, name: &str, value: &str) -> fmt::Result {
        match self {
            Self::Shell => writeln!(text, "export {name}='{value}';"),
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
