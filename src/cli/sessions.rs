//! `usage sessions`: what each session of a client or an agent used.

use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::json;

use super::{command::Session, console::Console};
use crate::{
    domain::{Span, last_days, utc_text},
    error::Result,
    services::{
        usage_report::{MAX_DAYS, MAX_GROUPS},
        usage_views::TotalsView,
    },
    storage::ledger::{Filter, SessionUsage},
    tools::{
        usage_cells,
        view::{Block, Cell, Column, Tone, View, ago},
    },
};

const SESSIONS: &str = "sessions";

/// The subcommand of `usage`.
pub(super) fn subcommand(command: Command) -> Command {
    command.args_conflicts_with_subcommands(true).subcommand(
        Command::new(SESSIONS)
            .about("Show what each session used, latest first")
            .arg(
                Arg::new("days")
                    .long("days")
                    .value_name("DAYS")
                    .default_value("7")
                    .value_parser(value_parser!(u16).range(1..=i64::from(MAX_DAYS)))
                    .help("How many days back, today included"),
            )
            .arg(
                Arg::new("agent")
                    .long("agent")
                    .value_name("AGENT")
                    .help("Only sessions of this program, such as claude-code"),
            ),
    )
}

/// Shows the sessions, if that was requested.
pub(super) fn run(session: &Session, matches: &ArgMatches) -> Option<Result<ExitCode>> {
    match matches.subcommand() {
        Some((SESSIONS, matches)) => Some(show(session, matches).map(|()| ExitCode::SUCCESS)),
        _ => None,
    }
}

fn show(session: &Session, matches: &ArgMatches) -> Result<()> {
    let app = &session.app;
    let days = matches.get_one::<u16>("days").copied().unwrap_or(1);
    let calendar = last_days(days, app.now(), &app.settings().current().budget.time_zone);
    let span = Span {
        from: calendar.first().map_or(app.now(), |(_, day)| day.from),
        to: calendar.last().map_or(app.now(), |(_, day)| day.to),
    };
    let filter = Filter {
        agent: matches.get_one::<String>("agent").cloned(),
        ..Filter::default()
    };
    let mut sessions = app.ledger().sessions(span, &filter)?;
    let omitted = sessions.len().saturating_sub(MAX_GROUPS);
    sessions.truncate(MAX_GROUPS);
    if session.console.is_json() {
        let told: Vec<_> = sessions.iter().map(told).collect();
        return Console::json(&json!({"days": days, "sessions": told, "sessions_omitted": omitted}));
    }
    if sessions.is_empty() {
        let said = "No requests of sessions are recorded in these days";
        return session.console.view(
            &View::line(Tone::Plain, said).and(Block::Hint("`api-keys import logs` reads agents' logs".to_owned())),
        );
    }
    let has_plan = sessions.iter().any(|it| it.totals.plan_requests > 0);
    let head = [
        Column::new("SESSION"),
        Column::new("AGENT"),
        Column::new("PROJECT").rank(2),
        Column::new("LAST").rank(1),
    ];
    let rows = sessions
        .iter()
        .map(|it| {
            let text = |text: &Option<String>| Cell::from(text.as_deref().unwrap_or("–"));
            let mut row = vec![
                it.session.as_str().into(),
                text(&it.agent),
                text(&it.project),
                ago(it.last, app.now()).as_str().into(),
            ];
            row.extend(usage_cells::cells(&TotalsView::from(&it.totals), has_plan));
            row
        })
        .collect();
    let mut view = View::default().and(Block::table(
        head.into_iter().chain(usage_cells::columns(has_plan)),
        rows,
    ));
    if omitted > 0 {
        view = view.and(Block::Line(Tone::Faint, format!("and {omitted} earlier ones")));
    }
    session.console.view(&view)
}

fn told(session: &SessionUsage) -> serde_json::Value {
    let mut told = json!({
        "session": session.session,
        "agent": session.agent,
        "project": session.project,
        "models": session.models,
        "first": utc_text(session.first),
        "last": utc_text(session.last),
    });
    if let (Some(told), Ok(serde_json::Value::Object(totals))) = (
        told.as_object_mut(),
        serde_json::to_value(TotalsView::from(&session.totals)),
    ) {
        told.extend(totals);
    }
    told
}
