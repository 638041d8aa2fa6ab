//! `scan`: keys where they do not belong.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    process::{Command, ExitCode},
};

use clap::{Arg, ArgAction, ArgMatches, ValueHint, value_parser};
use serde_json::json;

use super::{
    caller::Terminal,
    command::{CommandDef, Run, Session, wait},
    console::Console,
    help::HelpSection,
};
use crate::{
    error::{Code, Error, Result},
    services::scan::{self, LeakFinding, Needles, Scanned},
    tools::view::{Block, Tone, View},
};

pub(super) const COMMAND: CommandDef = CommandDef {
    name: "scan",
    section: HelpSection::Keys,
    define: |command| {
        command
            .about("Find leaked keys in transcripts, .env files and shell histories")
            .long_about(
                "Find leaked keys: the stored ones, by keyed fingerprints, and anything else with the prefix of a key or token\n\n\
                 Without PATH: this folder, the transcripts of agents, and shell histories. No value is shown. A stored key that is found is marked as exposed. \
                 Exits with 1 if something was found, so it works as a pre-commit hook: `api-keys scan --staged`.",
            )
            .arg(
                Arg::new("paths")
                    .value_name("PATH")
                    .value_parser(value_parser!(PathBuf))
                    .value_hint(ValueHint::AnyPath)
                    .num_args(0..)
                    .help("Files and folders to scan"),
            )
            .arg(
                Arg::new("staged")
                    .long("staged")
                    .action(ArgAction::SetTrue)
                    .conflicts_with("paths")
                    .help("Scan only the lines that git would commit"),
            )
    },
    run: Run::With(run),
};

fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let app = &session.app;
    let (needles, closed) = wait(scan::needles(app))?;
    if let Some(why) = closed {
        let remark = format!("{why}, so stored keys are only found by how they begin");
        session.console.remark(&Block::Warning(remark));
    }
    let is_staged = matches.get_flag("staged");
    let scanned = if is_staged {
        staged(&needles)?
    } else {
        let named: Vec<PathBuf> = matches.get_many("paths").into_iter().flatten().cloned().collect();
        let places = if named.is_empty() {
            scan::usual_places(&app.settings().machine()?)
        } else {
            named
        };
        scan::scan_files(&needles, &places)
    };
    let stored: BTreeSet<_> = scanned
        .findings
        .iter()
        .filter_map(|(_, finding)| finding.stored)
        .collect();
    report(session, &scanned)?;
    // What is only staged can still be taken back.
    if !is_staged && !stored.is_empty() {
        let caller = Terminal::new(session, matches);
        if let Err(why) = wait(scan::mark_exposed(app, &caller, &stored)) {
            let remark = format!("the keys could not be marked as exposed: {why}");
            session.console.remark(&Block::Warning(remark));
        }
    }
    Ok(if scanned.findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn report(session: &Session, scanned: &Scanned) -> Result<()> {
    if session.console.is_json() {
        let findings: Vec<_> = scanned
            .findings
            .iter()
            .map(|(path, finding)| {
                let LeakFinding {
                    line,
                    what,
                    masked,
                    provider,
                    label,
                    stored,
                    advice,
                } = finding;
                json!({
                    "file": scan::shown(path),
                    "line": line,
                    "what": what,
                    "masked": masked,
                    "provider": provider,
                    "label": label,
                    "is_stored": stored.is_some(),
                    "advice": advice,
                })
            })
            .collect();
        let unread: Vec<String> = scanned.unread.iter().map(|path| scan::shown(path)).collect();
        return Console::json(&json!({
            "findings": findings,
            "files": scanned.files,
            "bytes": scanned.bytes,
            "unread": unread,
        }));
    }
    let mut view = View::default();
    for (path, finding) in &scanned.findings {
        let tone = if finding.stored.is_some() {
            Tone::Bad
        } else {
            Tone::Attention
        };
        let said = format!(
            "{}:{}  {} {}",
            scan::shown(path),
            finding.line,
            finding.what,
            finding.masked
        );
        view = view
            .and(Block::Line(tone, said))
            .and(Block::Hint(finding.advice.clone()));
    }
    let s = |count: usize| if count == 1 { "" } else { "s" };
    let (found, files) = (scanned.findings.len(), scanned.files);
    let summary = format!("{found} key{} found in {files} file{}", s(found), s(files));
    let tone = if found == 0 { Tone::Good } else { Tone::Plain };
    view = view.and(Block::Line(tone, summary));
    for path in &scanned.unread {
        view = view.and(Block::Warning(format!("{} could not be read", scan::shown(path))));
    }
    session.console.view(&view)
}

/// What is in the lines that git would commit.
fn staged(needles: &Needles) -> Result<Scanned> {
    let failed = |why: &str| {
        Error::new(
            Code::CommandFailed,
            format!("git could not list the staged changes: {why}"),
        )
        .hint("run it in a git working tree, or scan whole files without `--staged`")
    };
    let output = Command::new("git")
        .args([
            "-c",
            "core.quotepath=off",
            "diff",
            "--cached",
            "--unified=0",
            "--no-color",
        ])
        .args(["--no-ext-diff", "--no-textconv", "--no-prefix", "--diff-filter=ACMR"])
        .output()
        .map_err(|why| failed("it could not be started").caused_by(why))?;
    if !output.status.success() {
        return Err(failed("it ended with an error"));
    }
    Ok(added_lines(needles, &output.stdout))
}

/// The findings in what a diff adds.
fn added_lines(needles: &Needles, diff: &[u8]) -> Scanned {
    let mut scanned = Scanned::default();
    let (mut path, mut line, mut in_head) = (PathBuf::new(), 0, true);
    for text in diff.split(|byte| *byte == b'\n') {
        if text.starts_with(b"diff --git ") {
            in_head = true;
        } else if let Some(name) = text.strip_prefix(b"+++ ").filter(|_| in_head) {
            path = PathBuf::from(String::from_utf8_lossy(name).trim_matches('"').trim_end());
            scanned.files += 1;
        } else if let Some(hunk) = text.strip_prefix(b"@@ ") {
            in_head = false;
            line = first_line(hunk).unwrap_or(1);
        } else if let Some(added) = text.strip_prefix(b"+").filter(|_| !in_head) {
            scanned.bytes += u64::try_from(added.len()).unwrap_or_default();
            let findings = scan::scan_text(needles, added, line);
            scanned
                .findings
                .extend(findings.into_iter().map(|finding| (path.clone(), finding)));
            line += 1;
        }
    }
    scanned
}

/// The first added line of a hunk: `-1,2 +3,4 @@`.
fn first_line(hunk: &[u8]) -> Option<usize> {
    let hunk = std::str::from_utf8(hunk.split(|byte| *byte == b'@').next()?).ok()?;
    let added = hunk.split(' ').find_map(|part| part.strip_prefix('+'))?;
    added.split(',').next()?.parse().ok()
}
