//! `client`: the programs that may use the gateway.

use std::{num::NonZeroU32, process::ExitCode};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::{Value, json};

use super::{
    command::{CommandDef, Run, Session},
    console::Console,
    help::HelpSection,
};
use crate::{
    domain::{Billionths, Label, ProviderId, Usd, utc_text},
    error::{Code, Error, Result},
    services::gateway_clients::{self, NewClient},
    storage::gateway_clients::GatewayClient,
    tools::view::{Block, Cell, Column, Tone, View},
};

pub(super) const COMMAND: CommandDef = CommandDef {
    name: "client",
    section: HelpSection::Gateway,
    define: |command| {
        let name = || Arg::new("name").required(true).help("Name of the client");
        let limit = |name: &'static str| Arg::new(name).long(name).value_name("USD").value_parser(amount);
        command
            .about("Add, list or remove clients of the gateway")
            .subcommand_required(true)
            .subcommand(
                Command::new("add")
                    .about("Add a client and show its key once")
                    .arg(name())
                    .arg(limit("daily-limit").help("Spending limit per day"))
                    .arg(limit("monthly-limit").help("Spending limit per month"))
                    .arg(
                        Arg::new("requests-per-minute")
                            .long("requests-per-minute")
                            .value_name("N")
                            .value_parser(value_parser!(u32).range(1..=1_000_000))
                            .help("Request limit per minute"),
                    )
                    .arg(
                        Arg::new("provider")
                            .long("provider")
                            .value_name("PROVIDER")
                            .action(ArgAction::Append)
                            .help("Allow only this provider; repeatable"),
                    )
                    .arg(
                        Arg::new("model")
                            .long("model")
                            .value_name("MODEL")
                            .action(ArgAction::Append)
                            .help("Allow only this model, such as openai/gpt-6-sol or anthropic/*; repeatable"),
                    ),
            )
            .subcommand(
                Command::new("key")
                    .about("Print a further key of a client, which works for an hour")
                    .long_about(
                        "Print a further key of a client, which works for an hour\n\n\
                         For programs that run a command to get their key, such as Claude Code (apiKeyHelper) and Codex (auth.command). \
                         `api-keys setup --gateway` sets them up.",
                    )
                    .arg(name()),
            )
            .subcommand(Command::new("list").about("List clients and their spending"))
            .subcommand(
                Command::new("remove")
                    .about("Remove a client and invalidate its key")
                    .arg(name()),
            )
    },
    run: Run::With(run),
};

fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    match matches.subcommand() {
        Some(("add", matches)) => add(session, matches),
        Some(("key", matches)) => key(session, matches),
        Some(("list", _)) => list(session),
        Some(("remove", matches)) => remove(session, matches),
        _ => Err(Error::new(Code::Internal, "`client` was parsed without a command")),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn add(session: &Session, matches: &ArgMatches) -> Result<()> {
    let limit = |name| matches.get_one::<Usd>(name).copied();
    let config = session.app.settings().required()?;
    let providers = matches.get_many::<String>("provider").into_iter().flatten();
    let new = NewClient {
        providers: providers
            .map(|name| Ok(config.provider(name)?.id))
            .collect::<Result<_>>()?,
        models: matches
            .get_many::<String>("model")
            .into_iter()
            .flatten()
            .cloned()
            .collect(),
        daily_limit: limit("daily-limit"),
        monthly_limit: limit("monthly-limit"),
        requests_per_minute: matches
            .get_one("requests-per-minute")
            .copied()
            .and_then(NonZeroU32::new),
        ..NewClient::named(name(matches, "name")?)
    };
    let (client, key) = gateway_clients::add(&session.app, new)?;
    // EXPOSE: shown once to the person who made it; nothing else knows it
    let key = key.expose();
    if session.console.is_json() {
        let mut result = about(&client);
        result["client_key"] = key.into();
        return Console::json(&result);
    }
    session.console.view(
        &View::line(Tone::Plain, key).and(Block::Hint(format!(
            "this is the key of {} and is not shown again; use it as the API key, with http://127.0.0.1:8787/v1 as the base URL (without /v1 for Anthropic's SDK)",
            client.name
        ))),
    )
}

fn key(session: &Session, matches: &ArgMatches) -> Result<()> {
    let name = name(matches, "name")?;
    let lifetime = gateway_clients::ISSUED_KEY_LIFETIME;
    let (key, expires_at) = gateway_clients::issue_key(&session.app, &name, Some(lifetime))?;
    // EXPOSE: printed for the program that asked for it; nothing else knows it
    let key = key.expose();
    if session.console.is_json() {
        return Console::json(
            &json!({"name": name.as_str(), "client_key": key, "expires_at": expires_at.map(utc_text)}),
        );
    }
    session.console.view(&View::line(Tone::Plain, key))
}

fn list(session: &Session) -> Result<()> {
    let clients = gateway_clients::list(&session.app)?;
    if session.console.is_json() {
        let result = clients.iter().map(|spending| {
            let mut result = about(&spending.client);
            result["spent_today_usd"] = spending.today.to_json();
            result["spent_this_month_usd"] = spending.this_month.to_json();
            result
        });
        return Console::json(&json!({ "clients": result.collect::<Vec<Value>>() }));
    }
    if clients.is_empty() {
        return session.console.view(
            &View::line(Tone::Plain, "No clients yet")
                .and(Block::Hint("`api-keys client add NAME` creates one".to_owned())),
        );
    }
    let of = |spent: Usd, limit: Option<Usd>| {
        Cell::number(limit.map_or_else(|| spent.to_string(), |limit| format!("{spent} of {limit}")))
    };
    session.console.view(
        &View::default().and(Block::table(
            [
                Column::new("CLIENT"),
                Column::new("PROVIDERS").wrapped().rank(1),
                Column::new("TODAY"),
                Column::new("THIS MONTH"),
                Column::new("PER MINUTE").rank(2),
                Column::new("ADDED").rank(3),
            ],
            clients
                .iter()
                .map(|spending| {
                    let client = &spending.client;
                    let providers: Vec<&str> = client.providers.iter().map(ProviderId::as_str).collect();
                    vec![
                        Cell::new(Tone::Plain, client.name.as_str()),
                        Cell::new(
                            Tone::Plain,
                            if providers.is_empty() {
                                "all".to_owned()
                            } else {
                                providers.join(", ")
                            },
                        ),
                        of(spending.today, client.daily_limit),
                        of(spending.this_month, client.monthly_limit),
                        Cell::number(match client.requests_per_minute {
                            Some(limit) => limit.to_string(),
                            None => "any".to_owned(),
                        }),
                        Cell::new(Tone::Faint, utc_text(client.created_at)),
                    ]
                })
                .collect(),
        )),
    )
}

fn remove(session: &Session, matches: &ArgMatches) -> Result<()> {
    let client = gateway_clients::remove(&session.app, &name(matches, "name")?)?;
    if session.console.is_json() {
        return Console::json(&json!({ "removed": true, "name": client.name.as_str() }));
    }
    session
        .console
        .view(&View::line(Tone::Plain, format!("Removed client {}", client.name)))
}

/// Everything about a client but its key.
fn about(client: &GatewayClient) -> Value {
    json!({
        "name": client.name.as_str(),
        "created_at": utc_text(client.created_at),
        "providers": client.providers.iter().map(ProviderId::as_str).collect::<Vec<_>>(),
        "models": client.models,
        "daily_limit_usd": client.daily_limit.map(Usd::to_json),
        "monthly_limit_usd": client.monthly_limit.map(Usd::to_json),
        "requests_per_minute": client.requests_per_minute,
        "expires_at": client.expires_at.map(utc_text),
    })
}

/// The client's name in the argument `id`.
pub(super) fn name(matches: &ArgMatches, id: &str) -> Result<Label> {
    let name = matches.get_one::<String>(id).map(String::as_str).unwrap_or_default();
    name.parse().map_err(|_| {
        Error::new(
            Code::InvalidArgument,
            "a client name must consist of letters, digits, dots, hyphens and underscores",
        )
        .hint("such as `api-keys client add editor`")
    })
}

fn amount(text: &str) -> std::result::Result<Usd, &'static str> {
    Billionths::parse(text)
        .map(Usd::from)
        .ok_or("must be an amount of US dollars, such as 5 or 0.50")
}
