//! `statusline`: today's spending, the budget and what needs attention, in one line for a client's status line.
//!
//! Drawn again and again, so nothing slow is asked: no keychain, no provider, no person.

use std::{
    io::{self, IsTerminal, stdin},
    process::ExitCode,
    thread,
};

use serde_json::json;

use super::{
    command::{CommandDef, Run, Session, wait},
    console::{Console, SEPARATOR},
    help::HelpSection,
};
use crate::{
    app::App,
    domain::{HealthState, KeyRecord, Usd},
    error::Result,
    services::{
        budget_status, health, keys,
        usage_views::{BudgetReport, BudgetView},
        vault,
    },
    storage::vault::{SlotKind, VaultStatus},
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
                "Print one line for a client's status line: today's spending, the budget, keys that need attention\n\n\
                 For Claude Code, in ~/.claude/settings.json: \"statusLine\": {\"type\": \"command\", \"command\": \"api-keys \
                 statusline\"}. Keys are checked only where a key file opens the vault; the keychain is never asked.",
            )
    },
    run: Run::With(|session, _| run(session)),
};

fn run(session: &Session) -> Result<ExitCode> {
    drain();
    let app = &session.app;
    let problem = app.settings().problem().map(|problem| problem.to_string());
    let mut report = BudgetReport::from(&budget_status::check(app)?);
    // Which limits an unreadable file would set is unknown.
    report.enabled &= problem.is_none();
    let attention = needing_attention(app)?;
    if session.console.is_json() {
        Console::json(&json!({
            "today_usd": report.daily.spent_usd,
            "month_usd": report.monthly.spent_usd,
            "percent": report.enabled.then_some(report.daily.percent),
            "keys_needing_attention": attention,
            "problem": problem,
        }))?;
    } else {
        let plain = app.settings().environment().is_set("NO_COLOR");
        session
            .console
            .status(&parts(&report, attention, problem.is_some()), plain)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The most columns of the line: clients cut what is longer.
const MAX_COLUMNS: usize = 80;

/// What the line consists of: with bars where there is room for them.
fn parts(report: &BudgetReport, attention: Option<usize>, is_broken: bool) -> Vec<(Tone, String)> {
    let width = |parts: &[(Tone, String)]| {
        let texts = parts.iter().map(|(_, text)| text.chars().count());
        texts.sum::<usize>() + SEPARATOR.chars().count() * parts.len().saturating_sub(1)
    };
    let mut shown = Vec::new();
    for form in [MeterForm::Bars, MeterForm::Words, MeterForm::Short] {
        shown = form.parts(report, attention, is_broken);
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
    if !quick || wait(vault::open_unasked(app)).is_err() {
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

/// Discards what the client writes about its session, without waiting for it.
fn drain() {
    if !stdin().is_terminal() {
        thread::spawn(|| io::copy(&mut stdin().lock(), &mut io::sink()));
    }
}
