//! `statusline`: today's spending, the budget and what needs attention, in one line for a client's status line.
//!
//! Drawn again and again, so it waits for nothing slow: no keychain, no provider, no person.

use std::{
    io::{IsTerminal, Read, stdin},
    process::ExitCode,
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    command::{CommandDef, Run, Session, wait},
    console::{Console, SEPARATOR},
    help::HelpSection,
};
use crate::{
    app::App,
    domain::{HealthState, KeyRecord, Span, Usd, utc_text},
    error::Result,
    services::{
        budget_status, health, keys, log_import,
        usage_blocks::{self, UsageBlock},
        usage_views::{BudgetReport, BudgetView},
        vault_access,
    },
    storage::{
        ledger::{Filter, SessionUsage, Totals},
        vault::{SlotKind, VaultStatus},
    },
    tools::{
        attention,
        view::{self, Tone},
    },
};

pub(super) const COMMAND: CommandDef = CommandDef {
    name: "statusline",
    section: HelpSection::Usage,
    define: |command| {
        command
            .about("Print today's spending and alerts in one line, for a status line")
            .long_about(
                "Print one line for a client's status line: today's spending, the session's and the open five-hour window's cost, the budget, keys that need attention\n\n\
                 For Claude Code, in ~/.claude/settings.json: \"statusLine\": {\"type\": \"command\", \"command\": \"api-keys \
                 statusline\"}. Keys are checked only where a key file opens the vault; the keychain is never asked. Amounts after ≈ are at API prices: a plan covers them.",
            )
    },
    run: Run::With(|session, _| run(session)),
};

fn run(session: &Session) -> Result<ExitCode> {
    let client = said_by_client();
    let app = &session.app;
    log_import::refresh(app);
    let problem = app.settings().problem().map(|problem| problem.to_string());
    let mut report = BudgetReport::from(&budget_status::check(app)?);
    // Which limits an unreadable file would set is unknown.
    report.enabled &= problem.is_none();
    let attention = needing_attention(app)?;
    let agents = AgentUse::of(app, client.as_ref())?;
    if session.console.is_json() {
        Console::json(&json!({
            "today_usd": report.daily.spent_usd,
            "month_usd": report.monthly.spent_usd,
            "percent": report.enabled.then_some(report.daily.percent),
            "keys_needing_attention": attention,
            "session": agents.session.as_ref().map(|used| json!({
                "cost_usd": used.totals.cost,
                "plan_cost_usd": used.totals.plan_cost,
                "input_tokens": used.totals.input_tokens,
                "output_tokens": used.totals.output_tokens,
            })),
            "window": agents.window.as_ref().map(|block| json!({
                "agent": block.agent,
                "from": utc_text(block.from),
                "to": utc_text(block.to),
                "cost_usd": block.totals.cost,
                "plan_cost_usd": block.totals.plan_cost,
                "minutes_left": block.rate.map(|rate| rate.minutes_left),
                "plan_cost_usd_per_hour": block.rate.map(|rate| rate.plan_cost_per_hour),
                "projected_plan_cost_usd": block.rate.map(|rate| rate.projected_plan_cost),
            })),
            "problem": problem,
        }))?;
    } else {
        let plain = app.settings().environment().is_set("NO_COLOR");
        session
            .console
            .status(&parts(&report, &agents, attention, problem.is_some()), plain)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// How long a client has for what it writes, and how much of that is read.
const CLIENT_TIMEOUT: Duration = Duration::from_millis(50);
const MAX_SAID: u64 = 1 << 20;

/// The most columns of the line: clients cut what is longer.
const MAX_COLUMNS: usize = 80;

/// What the line consists of: with bars where there is room for them.
fn parts(report: &BudgetReport, agents: &AgentUse, attention: Option<usize>, is_broken: bool) -> Vec<(Tone, String)> {
    let width = |parts: &[(Tone, String)]| {
        let texts = parts.iter().map(|(_, text)| text.chars().count());
        texts.sum::<usize>() + SEPARATOR.chars().count() * parts.len().saturating_sub(1)
    };
    let mut shown = Vec::new();
    for form in [MeterForm::Bars, MeterForm::Words, MeterForm::Short] {
        shown = form.parts(report, attention, is_broken);
        // What the session is about stands behind today's spending.
        shown.splice(1..1, form.session_parts(agents));
        if width(&shown) <= MAX_COLUMNS {
            break;
        }
    }
    shown
}

/// How much the line says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MeterForm {
    Bars,
    Words,
    /// Without the limits, and without the commands that say more.
    Short,
}

impl MeterForm {
    fn parts(self, report: &BudgetReport, attention: Option<usize>, is_broken: bool) -> Vec<(Tone, String)> {
        let mut parts = Vec::new();
        let unpriced = if report.daily.unpriced_requests > 0 { "≥ " } else { "" };
        let today = format!("{unpriced}{} today", report.daily.spent_usd);
        if report.enabled && report.daily.limit_usd > Usd::ZERO {
            parts.push((tone(&report.daily), format!("{today} {}", self.gauge(&report.daily))));
        } else {
            parts.push((Tone::Plain, today));
        }
        if report.enabled && (report.monthly.alert || report.monthly.exceeded) {
            let month = format!(
                "{} this month {}",
                report.monthly.spent_usd,
                self.gauge(&report.monthly)
            );
            parts.push((tone(&report.monthly), month));
        }
        if is_broken {
            parts.push((Tone::Bad, self.with_command("config.toml is broken", "doctor")));
        }
        match attention {
            None | Some(0) => {}
            Some(1) => parts.push((Tone::Attention, self.with_command("1 key needs attention", "list"))),
            Some(count) => {
                let said = format!("{count} keys need attention");
                parts.push((Tone::Attention, self.with_command(&said, "list")));
            }
        }
        parts
    }

    /// What the session cost, and the window that is open; what a plan covers is marked, as it is not billed.
    fn session_parts(self, agents: &AgentUse) -> Vec<(Tone, String)> {
        let amount = |totals: &Totals| match (totals.cost, totals.plan_cost) {
            (cost, Usd::ZERO) => cost.to_string(),
            (Usd::ZERO, planned) => format!("≈{planned}"),
            (cost, planned) => format!("{cost} + ≈{planned}"),
        };
        let mut parts = Vec::new();
        if let Some(session) = &agents.session {
            parts.push((Tone::Plain, format!("{} session", amount(&session.totals))));
        }
        if let (Some(block), Self::Bars | Self::Words) = (&agents.window, self) {
            let left = block.rate.map_or(0, |rate| rate.minutes_left);
            let said = format!("{} in 5h, {}h{:02}m left", amount(&block.totals), left / 60, left % 60);
            parts.push((Tone::Plain, said));
        }
        parts
    }

    fn with_command(self, said: &str, command: &str) -> String {
        match self {
            Self::Bars | Self::Words => format!("{said}: api-keys {command}"),
            Self::Short => said.to_owned(),
        }
    }

    fn gauge(self, budget: &BudgetView) -> String {
        let nano = |amount: Usd| u64::try_from(amount.nano()).unwrap_or(0);
        let bar = match self {
            Self::Bars => view::bar(nano(budget.spent_usd), nano(budget.limit_usd)) + " ",
            Self::Words | Self::Short => String::new(),
        };
        let percent = budget.percent.unwrap_or_default();
        match self {
            Self::Bars | Self::Words => format!("{bar}{percent}% of {}", budget.limit_usd),
            Self::Short => format!("{percent}%"),
        }
    }
}

fn tone(budget: &BudgetView) -> Tone {
    if budget.exceeded {
        Tone::Bad
    } else if budget.alert {
        Tone::Attention
    } else {
        Tone::Good
    }
}

/// How many keys need a person: those that the vault knows of, if it opens at once, and those that providers refuse.
fn needing_attention(app: &App) -> Result<Option<usize>> {
    let quick = match app.vault().status()? {
        VaultStatus::Absent => return Ok(Some(0)),
        VaultStatus::Unlocked { .. } => true,
        VaultStatus::Locked { slots } => {
            let has = |kind| slots.iter().any(|slot| slot.kind == kind);
            has(SlotKind::KeyFile) && !has(SlotKind::Keychain)
        }
    };
    if !quick || wait(vault_access::open_unasked(app)).is_err() {
        return Ok(None);
    }
    let (now, troubles) = (app.now(), health::all(app)?);
    let is_out = |record: &KeyRecord| {
        let known = (record.provider.clone(), record.label.clone());
        let state = troubles
            .get(&known)
            .map(|it| it.state(health::restored_at(record), now));
        matches!(state, Some(HealthState::Out { .. }))
    };
    let records = keys::list(app)?;
    let needing = records
        .iter()
        .filter(|record| !attention(record, now).is_empty() || is_out(record));
    Ok(Some(needing.count()))
}

/// What is known of the agent that draws the line.
struct AgentUse {
    session: Option<SessionUsage>,
    /// The window that is open, of the session's agent, or else the one that began last.
    window: Option<UsageBlock>,
}

impl AgentUse {
    fn of(app: &App, client: Option<&Value>) -> Result<Self> {
        let id = client.and_then(|client| client["session_id"].as_str());
        let session = id.map(|id| app.ledger().session(id)).transpose()?.flatten();
        let agent = session.as_ref().and_then(|session| session.agent.clone());
        let now = app.now();
        let span = Span {
            from: now - usage_blocks::WINDOW,
            to: now,
        };
        let filter = Filter {
            agent,
            ..Filter::default()
        };
        let blocks = usage_blocks::blocks(app, span, &filter)?;
        let window = blocks
            .into_iter()
            .rfind(|block| block.rate.is_some() && block.agent.is_some());
        Ok(Self { session, window })
    }
}

/// What the client writes about its session, if it does so at once: it is not waited for.
fn said_by_client() -> Option<Value> {
    if stdin().is_terminal() {
        return None;
    }
    let (sender, said) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let read = stdin().lock().take(MAX_SAID).read_to_string(&mut text);
        // Whoever waited may have given up.
        let _ = sender.send(read.ok().and_then(|_| serde_json::from_str(&text).ok()));
    });
    said.recv_timeout(CLIENT_TIMEOUT).ok().flatten()
}
