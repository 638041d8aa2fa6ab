//! `usage --export`: every record of the requested days, for spreadsheets and scripts.

use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command, ValueEnum, value_parser};
use jiff::Timestamp;
use serde::Serialize;

use super::{command::Session, console::Console};
use crate::{
    domain::{Billing, Label, RecordedCost, Span, Task, UsageRecord, Usd, last_days},
    error::{Code, Error, Result},
    storage::ledger::{Exported, Filter},
};

const EXPORT: &str = "export";
/// How many bytes are gathered before they are printed.
const CHUNK: usize = 1 << 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    Csv,
    Jsonl,
}

/// One record as it is exported; the columns are API.
#[derive(Debug, Serialize)]
struct Row<'a> {
    id: u64,
    at: Timestamp,
    provider: &'a str,
    model: &'a str,
    label: Option<&'a str>,
    task_type: Option<&'a str>,
    project: Option<&'a str>,
    session: Option<&'a str>,
    client: Option<&'a str>,
    source: &'a str,
    service: &'a str,
    input_tokens: u64,
    output_tokens: u64,
    cache_read_tokens: u64,
    cache_write_tokens: u64,
    reasoning_tokens: u64,
    /// Empty where it is unknown
    cost_usd: Option<Usd>,
    /// Whether the tokens, and so the cost, are an estimate: the provider did not say
    estimated: bool,
    success: bool,
    status_code: Option<u16>,
    latency_ms: Option<u32>,
    request_id: Option<&'a str>,
    /// The part of `cache_write_tokens` that is kept for an hour
    cache_write_1h_tokens: u64,
    /// `computed` from the tokens, `estimated`, a `lower_bound`, or the `provider`'s own statement
    cost_source: Option<&'static str>,
    /// What our own prices make of the tokens, also beside the provider's statement
    own_cost_usd: Option<Usd>,
    /// The program that made the request
    agent: Option<&'a str>,
    /// `name=value` pairs, with commas between them
    tags: Option<&'a str>,
    /// What it would cost at API prices, where a plan covers it; `cost_usd` is empty then
    plan_cost_usd: Option<Usd>,
    /// The provider's own id of the request
    upstream_id: Option<&'a str>,
}

/// The option that makes `usage` an export.
pub(super) fn option(command: Command) -> Command {
    command.arg(
        Arg::new(EXPORT)
            .long(EXPORT)
            .value_name("FORMAT")
            .value_parser(value_parser!(ExportFormat))
            .conflicts_with("group_by")
            .help("Print every record instead of sums"),
    )
}

/// Prints the records, if that was requested.
pub(super) fn run(session: &Session, matches: &ArgMatches) -> Option<Result<ExitCode>> {
    let format = *matches.try_get_one::<ExportFormat>(EXPORT).ok().flatten()?;
    Some(export(session, matches, format).map(|()| ExitCode::SUCCESS))
}

fn export(session: &Session, matches: &ArgMatches, format: ExportFormat) -> Result<()> {
    let app = &session.app;
    let settings = app.settings().required()?;
    let provider = matches
        .get_one::<String>("provider")
        .map(|name| settings.provider(name))
        .transpose()?;
    let days = matches.get_one::<u16>("days").copied().unwrap_or(1);
    let days = last_days(days, app.now(), &settings.budget.time_zone);
    let (Some((_, first)), Some((_, last))) = (days.first(), days.last()) else {
        return Ok(());
    };
    let span = Span {
        from: first.from,
        to: last.to,
    };
    let filter = Filter {
        provider: provider.map(|provider| provider.id),
        tag: matches.get_one::<String>("tag").cloned(),
        ..Filter::default()
    };
    let mut printer = Printer::new(format);
    app.ledger()
        .export(span, &filter, |exported| printer.row(&Row::of(exported)))?;
    printer.print()
}

/// Writes rows in one of the formats, a chunk at a time.
struct Printer {
    format: ExportFormat,
    buffer: Vec<u8>,
    has_begun: bool,
}

impl Printer {
    fn new(format: ExportFormat) -> Self {
        Self {
            format,
            buffer: Vec::with_capacity(CHUNK),
            has_begun: false,
        }
    }

    fn row(&mut self, row: &Row<'_>) -> Result<()> {
        match self.format {
            ExportFormat::Csv => {
                let mut csv = csv::WriterBuilder::new()
                    .has_headers(!self.has_begun)
                    .from_writer(&mut self.buffer);
                csv.serialize(row).map_err(unwritten)?;
                csv.flush().map_err(unwritten)?;
            }
            ExportFormat::Jsonl => {
                serde_json::to_writer(&mut self.buffer, row).map_err(unwritten)?;
                self.buffer.push(b'\n');
            }
        }
        self.has_begun = true;
        if self.buffer.len() > CHUNK {
            self.print()
        } else {
            Ok(())
        }
    }

    fn print(&mut self) -> Result<()> {
        Console::raw(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<'a> Row<'a> {
    fn of(exported: &'a Exported) -> Self {
        let UsageRecord {
            at,
            model,
            label,
            task,
            project,
            session,
            client,
            agent,
            tags,
            source,
            service,
            tokens,
            outcome,
            cost,
            billing,
            request_id,
            upstream_id,
        } = &exported.record;
        let is_planned = *billing == Billing::Plan;
        Self {
            id: exported.id,
            at: *at,
            provider: model.provider.as_str(),
            model: model.model.as_str(),
            label: label.as_ref().map(Label::as_str),
            task_type: task.map(Task::as_str),
            project: project.as_deref(),
            session: session.as_deref(),
            client: client.as_deref(),
            source: source.as_str(),
            service: service.as_str(),
            input_tokens: tokens.input(),
            output_tokens: tokens.output(),
            cache_read_tokens: tokens.cache_read(),
            cache_write_tokens: tokens.cache_write(),
            reasoning_tokens: tokens.reasoning(),
            cost_usd: cost.usd().filter(|_| !is_planned),
            estimated: matches!(cost, RecordedCost::Estimated { .. }),
            success: outcome.success,
            status_code: outcome.status_code,
            latency_ms: outcome.latency_ms,
            request_id: request_id.as_deref(),
            cache_write_1h_tokens: tokens.cache_write_1h(),
            cost_source: cost.basis(),
            own_cost_usd: cost.own().filter(|_| !is_planned),
            agent: agent.as_deref(),
            tags: tags.text(),
            plan_cost_usd: cost.usd().filter(|_| is_planned),
            upstream_id: upstream_id.as_deref(),
        }
    }
}

fn unwritten(why: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(Code::Internal, "a record could not be written").caused_by(why)
}
