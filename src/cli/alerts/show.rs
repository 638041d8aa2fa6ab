//! `alerts list`, `test`, `history` and `flush`.

use std::{process::ExitCode, time::Duration};

use clap::ArgMatches;
use serde_json::{Value, json};

use super::super::{
    command::{Session, exit, wait},
    console::Console,
};
use crate::{
    alerts::{Destination, SendVerdict},
    domain::{AlertKind, AlertSeverity, utc_text},
    error::{ExitCode as Ending, Result},
    services::alerts,
    storage::ledger::{AlertState, MessageState},
    tools::view::{Block, Cell, Column, Tone, View, ago},
};

pub(super) fn list(session: &Session) -> Result<ExitCode> {
    let app = &session.app;
    let config = app.settings().required()?;
    let secrets = wait(async { Ok(alerts::stored_secrets(app).await) })?;
    let dead = app.ledger().dead_destinations()?;
    let muted = app.ledger().muted_alerts(app.now())?;
    let why_dead = |destination: &Destination| {
        let found = dead.iter().find(|(name, _)| name == destination.name.as_str());
        found.map(|(_, why)| why.as_str())
    };
    let masked = |destination: &Destination| {
        let needs = destination.channel.secret().is_some();
        needs.then(|| secrets.get(&destination.secret).map(|record| record.masked.as_str()))
    };
    if session.console.is_json() {
        let destinations = config.alerts.iter().map(|destination| {
            json!({
                "name": destination.name.as_str(),
                "kind": destination.channel.as_str(),
                "masked": masked(destination).flatten(),
                "min_severity": destination.min_severity.as_str(),
                "kinds": destination.kinds.as_ref().map(|kinds| kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>()),
                "digest": destination.digest.map(AlertKind::as_str),
                "given_up": why_dead(destination),
            })
        });
        let destinations: Vec<Value> = destinations.collect();
        let muted: Vec<Value> = muted
            .iter()
            .map(|(kind, until)| json!({ "kind": kind.as_str(), "until": utc_text(*until) }))
            .collect();
        Console::json(&json!({ "destinations": destinations, "muted": muted }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut view = View::default();
    if config.alerts.is_empty() {
        view = View::line(Tone::Plain, "No destinations yet").and(Block::Hint(
            "`api-keys alerts add slack NAME` adds one; so do discord, teams, ntfy, telegram, pagerduty, webhook, email, desktop and command".to_owned(),
        ));
    } else {
        let rows = config.alerts.iter().map(|destination| {
            let (tone, state) = match (why_dead(destination), masked(destination)) {
                (Some(why), _) => (Tone::Bad, format!("given up: {why}")),
                (None, Some(None)) => (Tone::Attention, "no secret, or the vault is locked".to_owned()),
                (None, _) => (Tone::Good, "in use".to_owned()),
            };
            vec![
                Cell::new(Tone::Plain, destination.name.as_str()),
                Cell::new(Tone::Plain, destination.channel.as_str()),
                Cell::new(Tone::Faint, masked(destination).flatten().unwrap_or_default()),
                Cell::new(Tone::Plain, destination.min_severity.as_str()),
                Cell::new(tone, state),
            ]
        });
        view = view.and(Block::table(
            [
                Column::new("DESTINATION"),
                Column::new("KIND"),
                Column::new("SECRET").rank(2),
                Column::new("AT LEAST").rank(1),
                Column::new("STATE").wrapped(),
            ],
            rows.collect(),
        ));
    }
    for (kind, until) in muted {
        view = view.and(Block::Hint(format!(
            "{} is muted until {}",
            kind.as_str(),
            utc_text(until)
        )));
    }
    session.console.view(&view)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn test(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let app = &session.app;
    let destinations = match matches.get_one::<String>("destination") {
        Some(name) => vec![alerts::expect(app, name)?],
        None => app.settings().required()?.alerts.clone(),
    };
    let mut results = Vec::new();
    for destination in &destinations {
        results.push((destination.name.to_string(), wait(alerts::test(app, destination))?));
    }
    tell(session, &results, "No destinations yet")
}

pub(super) fn flush(session: &Session, patience: Duration) -> Result<ExitCode> {
    let app = &session.app;
    let attempts = wait(async {
        if !app.settings().required()?.alerts.is_empty() {
            alerts::look(app).await;
        }
        alerts::flush(app, patience).await
    })?;
    let results: Vec<_> = attempts
        .into_iter()
        .map(|attempt| (attempt.destination, attempt.verdict))
        .collect();
    tell(session, &results, "Nothing to send")
}

/// Says what came of each attempt.
fn tell(session: &Session, results: &[(String, SendVerdict)], none: &str) -> Result<ExitCode> {
    let is_good = results.iter().all(|(_, verdict)| *verdict == SendVerdict::Accepted);
    if session.console.is_json() {
        let results = results.iter().map(|(name, verdict)| {
            json!({ "destination": name, "accepted": *verdict == SendVerdict::Accepted, "result": verdict.as_text() })
        });
        Console::json(&json!({ "results": results.collect::<Vec<Value>>() }))?;
    } else if results.is_empty() {
        session.console.view(&View::line(Tone::Plain, none))?;
    } else {
        let lines = results.iter().map(|(name, verdict)| {
            let tone = if *verdict == SendVerdict::Accepted {
                Tone::Good
            } else {
                Tone::Bad
            };
            Block::Line(tone, format!("{name}: {}", verdict.as_text()))
        });
        session.console.view(&lines.fold(View::default(), View::and))?;
    }
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        exit(Ending::Failed)
    })
}

pub(super) fn history(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let app = &session.app;
    let number = matches.get_one::<u32>("number").copied().unwrap_or(20);
    let history = app.ledger().alert_history(number)?;
    if session.console.is_json() {
        let alerts: Vec<Value> = history.iter().map(about).collect();
        Console::json(&json!({ "alerts": alerts }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if history.is_empty() {
        session.console.view(&View::line(Tone::Plain, "No alerts yet"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let now = app.now();
    let rows = history.iter().map(|alert| {
        let tone = match (alert.is_firing, alert.severity) {
            (false, _) | (true, AlertSeverity::Info) => Tone::Plain,
            (true, AlertSeverity::Warning) => Tone::Attention,
            (true, AlertSeverity::Critical) => Tone::Bad,
        };
        let sent: Vec<String> = alert
            .messages
            .iter()
            .map(|message| format!("{} {}", message.destination, message.state))
            .collect();
        let state = if alert.is_firing {
            alert.severity.as_str()
        } else {
            "resolved"
        };
        vec![
            Cell::new(Tone::Faint, ago(alert.last_at, now)),
            Cell::new(tone, state),
            Cell::new(Tone::Plain, alert.text.as_str()),
            Cell::new(Tone::Faint, sent.join(", ")),
        ]
    });
    let columns = [
        Column::new("LAST"),
        Column::new("STATE"),
        Column::new("ALERT").wrapped(),
        Column::new("SENT").wrapped().rank(1),
    ];
    session
        .console
        .view(&View::default().and(Block::table(columns, rows.collect())))?;
    Ok(ExitCode::SUCCESS)
}

fn about(alert: &AlertState) -> Value {
    let message = |message: &MessageState| {
        json!({
            "destination": message.destination,
            "at": utc_text(message.made_at),
            "state": message.state,
            "attempts": message.attempts,
            "result": message.result,
        })
    };
    json!({
        "kind": alert.kind.as_str(),
        "subject": alert.subject,
        "severity": alert.severity.as_str(),
        "state": if alert.is_firing { "firing" } else { "resolved" },
        "first_at": utc_text(alert.first_at),
        "last_at": utc_text(alert.last_at),
        "count": alert.count,
        "text": alert.text,
        "command": alert.command,
        "messages": alert.messages.iter().map(message).collect::<Vec<Value>>(),
    })
}
