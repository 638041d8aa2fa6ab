//! `usage --export`: every record of the requested days, for spreadsheets and scripts.

use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command, value_parser};

use super::{command::Session, console::Console};
use crate::{
    domain::{Span, last_days},
    error::Result,
    services::usage_export::{self, ExportFormat},
    storage::ledger::Filter,
};

const EXPORT: &str = "export";
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
    usage_export::export(app, span, &filter, format, &mut |chunk| Console::raw(chunk))
}
