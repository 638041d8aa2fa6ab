//! The records of a page's period, for spreadsheets and scripts.

use super::query::PageQuery;
use crate::{
    app::App,
    domain::Span,
    error::{Code, Error, Result},
    services::usage_export::{self, ExportFormat},
};

/// The most bytes that a browser is given at once.
const MAX_BYTES: usize = 64 << 20;

/// Records as text.
pub(super) struct ExportedRows {
    pub(super) content_type: &'static str,
    pub(super) text: String,
}

pub(super) fn rows(app: &App, query: &PageQuery) -> Result<ExportedRows> {
    let zone = app.settings().current().budget.time_zone.clone();
    let days = query.period().days(app.now(), &zone);
    let span = Span {
        from: days.first().map_or(app.now(), |(_, day)| day.from),
        to: days.last().map_or(app.now(), |(_, day)| day.to),
    };
    let (format, content_type) = match query.text("format") {
        Some("jsonl") => (ExportFormat::Jsonl, "application/x-ndjson"),
        _ => (ExportFormat::Csv, "text/csv; charset=utf-8"),
    };
    let mut bytes = Vec::new();
    usage_export::export(app, span, &query.filter(), format, &mut |chunk| {
        if bytes.len() + chunk.len() > MAX_BYTES {
            return Err(Error::new(Code::RequestTooLarge, "that is too much for a page")
                .hint("choose a shorter period, or use `api-keys usage --export csv`"));
        }
        bytes.extend_from_slice(chunk);
        Ok(())
    })?;
    let text =
        String::from_utf8(bytes).map_err(|why| Error::new(Code::Internal, "a record is not text").caused_by(why))?;
    Ok(ExportedRows { content_type, text })
}
