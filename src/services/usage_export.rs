//! Every record of some days as lines of text, for spreadsheets and scripts.

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    app::App,
    domain::{Billing, Label, RecordedCost, Span, Task, UsageRecord, Usd},
    error::{Code, Error, Result},
    storage::ledger::{Exported, Filter},
};

/// How many bytes are gathered before they are printed.
const CHUNK: usize = 1 << 16;

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportFormat {
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

/// Gives the records of `span` to `print`, a chunk of text at a time.
pub fn export(
    app: &App,
    span: Span,
    filter: &Filter,
    format: ExportFormat,
    print: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut printer = Printer {
        format,
        buffer: Vec::with_capacity(CHUNK),
        has_begun: false,
        print,
    };
    app.ledger()
        .export(span, filter, |exported| printer.row(&Row::of(exported)))?;
    printer.flush()
}

/// Writes rows in one of the formats, a chunk at a time.
struct Printer<'p> {
    format: ExportFormat,
    buffer: Vec<u8>,
    has_begun: bool,
    print: &'p mut dyn FnMut(&[u8]) -> Result<()>,
}

impl Printer<'_> {
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
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<()> {
        (self.print)(&self.buffer)?;
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
