//! The command prices and its subcommands.

use std::{path::PathBuf, process::ExitCode};

use clap::{Arg, ArgMatches, Command, ValueHint, value_parser};
use jiff::civil::Date;
use serde_json::{Value, json};

use super::explanation;
use crate::{
    catalog::{Model, sets::PriceChange},
    cli::{
        command::{CommandDef, Run, Session},
        console::Console,
        help::HelpSection,
    },
    domain::{ProviderId, Rate, Rates, Service},
    error::{Code, Error, Result},
    services::price_updates::{self, Update, Updated},
    tools::view::{Block, Cell, Column, Tone, View, count},
};

pub(in crate::cli) const COMMAND: CommandDef = CommandDef {
    name: "prices",
    section: HelpSection::Usage,
    define,
    run: Run::With(run),
};

/// How many changed prices are shown to people.
const MAX_SHOWN: usize = 20;

fn define(command: Command) -> Command {
    command
        .about("Show model prices and their sources, or update them")
        .subcommand_required(true)
        .subcommand(
            Command::new("show")
                .about("Explain the price of a model: source, start date, announced changes")
                .arg(
                    Arg::new("model")
                        .value_name("MODEL")
                        .required(true)
                        .help("provider/model, or the model alone if only one provider has it"),
                ),
        )
        .subcommand(
            Command::new("list").about("List the models with a known price").arg(
                Arg::new("provider")
                    .value_name("PROVIDER")
                    .help("Only the models of this provider"),
            ),
        )
        .subcommand(
            Command::new("update")
                .about("Load a public price set: LiteLLM's or genai-prices' JSON file, keeping newer prices and the other set")
                .arg(
                    Arg::new("from")
                        .long("from")
                        .value_name("FILE")
                        .value_parser(value_parser!(PathBuf))
                        .value_hint(ValueHint::FilePath)
                        .required(true)
                        .help("model_prices_and_context_window.json, data.json, or a file of quality figures"),
                )
                .arg(
                    Arg::new("as_of")
                        .long("as-of")
                        .value_name("DATE")
                        .value_parser(value_parser!(Date))
                        .help("Date of the file, as YYYY-MM-DD [default: when it was last modified]"),
                ),
        )
        .subcommand(Command::new("reset").about("Go back to the built-in prices"))
}

fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let (result, view) = match matches.subcommand() {
        Some(("show", matches)) => explanation::explain(&session.app, &text(matches, "model").unwrap_or_default())?,
        Some(("list", matches)) => list(session, text(matches, "provider").as_deref())?,
        Some(("update", matches)) => update(session, matches)?,
        Some(("reset", _)) => reset(session)?,
        _ => return Err(Error::new(Code::Internal, "a command was parsed that does not exist")),
    };
    if session.console.is_json() {
        Console::json(&result)?;
    } else {
        session.console.view(&view)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.get_one::<String>(name).cloned()
}

fn list(session: &Session, provider: Option<&str>) -> Result<(Value, View)> {
    let app = &session.app;
    let (catalog, now) = (app.catalog()?, app.now());
    let provider: Option<ProviderId> = match provider {
        Some(name) => Some(app.settings().current().provider(name)?.id),
        None => None,
    };
    let models: Vec<&Model> = match &provider {
        Some(provider) => catalog.models_of(provider).collect(),
        None => catalog.models().collect(),
    };
    let result: Vec<Value> = models
        .iter()
        .map(|model| {
            let price = model.price_at(now);
            json!({
                "model": model.id.to_string(),
                "kind": model.kind,
                "status": model.status,
                "input_per_million": price.as_ref().map(|price| price.offered.standard.input),
                "output_per_million": price.as_ref().map(|price| price.offered.standard.output),
                "context_window": model.context_window,
                "origin": model.dated_price_at(now).map(|dated| dated.origin.as_str()),
            })
        })
        .collect();
    let rows = models
        .iter()
        .map(|model| {
            let price = model.price_at(now);
            let rate = |of: fn(&Rates) -> String| {
                price
                    .as_ref()
                    .map(|price| of(&price.offered.standard))
                    .unwrap_or_default()
            };
            let status = if model.is_served_at(now) {
                model.status.as_str()
            } else {
                "retired"
            };
            vec![
                model.id.to_string().into(),
                model.kind.as_str().into(),
                Cell::number(rate(|rates| rates.input.per_million().to_string())),
                Cell::number(rate(|rates| rates.output.per_million().to_string())),
                Cell::number(model.context_window.map(count).unwrap_or_default()),
                Cell::new(tone_of(status), if status == "active" { "" } else { status }),
            ]
        })
        .collect();
    let view = if models.is_empty() {
        View::line(Tone::Plain, "No model of it has a known price")
    } else {
        View::default()
            .and(Block::table(
                [
                    Column::new("MODEL"),
                    Column::new("KIND").rank(2),
                    Column::new("INPUT"),
                    Column::new("OUTPUT"),
                    Column::new("CONTEXT").rank(1),
                    Column::new("STATUS").rank(3),
                ],
                rows,
            ))
            .and(Block::Line(
                Tone::Faint,
                format!("US dollars per million tokens; built in as of {}", catalog.as_of()),
            ))
    };
    Ok((
        json!({"models": result, "total_count": result.len(), "version": catalog.digest()}),
        view,
    ))
}

fn tone_of(status: &str) -> Tone {
    if status == "active" {
        Tone::Plain
    } else {
        Tone::Attention
    }
}

fn update(session: &Session, matches: &ArgMatches) -> Result<(Value, View)> {
    let path = matches.get_one::<PathBuf>("from").cloned().unwrap_or_default();
    let day = matches.get_one::<Date>("as_of").copied();
    let Updated {
        taken,
        set,
        replaced,
        beside,
        warnings,
    } = match price_updates::update(&session.app, &path, day)? {
        Update::Prices(updated) => *updated,
        Update::Figures(source) => {
            let view = View::line(Tone::Good, format!("Took figures of quality in: {source}"));
            return Ok((json!({"figures": source}), view));
        }
    };
    let skipped: serde_json::Map<String, Value> = taken
        .skipped
        .iter()
        .map(|(skip, count)| (skip.as_str().to_owned(), json!(count)))
        .collect();
    let rate = |rates: &Rates| json!({"input": rates.input, "output": rates.output});
    let result = json!({
        "set": set,
        "as_of": taken.overlay.as_of,
        "added": taken.added.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "changed": taken.changed.iter().map(|change| json!({
            "model": change.model.to_string(),
            "before": rate(&change.before),
            "after": rate(&change.after),
        })).collect::<Vec<_>>(),
        "changes": taken.changed.iter().flat_map(change_rows).collect::<Vec<_>>(),
        "unchanged": taken.unchanged,
        "older": taken.older.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "skipped": skipped,
        "replaced": replaced,
        "beside": beside,
        "warnings": warnings,
    });
    let mut view = View::line(
        Tone::Good,
        format!(
            "Took prices from {set} of {}: {} models new, {} changed, {} as known",
            taken.overlay.as_of,
            taken.added.len(),
            taken.changed.len(),
            taken.unchanged
        ),
    );
    if let Some(before) = replaced {
        view = view.and(Block::Line(Tone::Plain, format!("They replace those of {before}")));
    }
    for (other, day) in &beside {
        view = view.and(Block::Line(Tone::Plain, format!("Those from {other} of {day} stay")));
    }
    let rows: Vec<Vec<Cell>> = taken.changed.iter().flat_map(changed).collect();
    let more = rows.len().saturating_sub(MAX_SHOWN);
    if !rows.is_empty() {
        view = view.and(Block::table(
            ["CHANGED", "RATE", "US DOLLARS PER MILLION"],
            rows.into_iter().take(MAX_SHOWN).collect(),
        ));
    }
    if more > 0 {
        view = view.and(Block::Line(
            Tone::Faint,
            format!("and {more} more; `--json` lists them all"),
        ));
    }
    for (skip, count) in &taken.skipped {
        view = view.and(Block::Line(Tone::Faint, format!("Left out {count} {}", skip.as_str())));
    }
    view = warnings.into_iter().map(Block::Warning).fold(view, View::and);
    Ok((
        result,
        view.and(Block::Hint(
            "`api-keys prices reset` goes back to the built-in prices".to_owned(),
        )),
    ))
}

/// A row for each rate that changed.
fn changed(change: &PriceChange) -> impl Iterator<Item = Vec<Cell>> + '_ {
    let shown = |rate: Option<Rate>| rate.map_or("none".to_owned(), |rate| rate.per_million().to_string());
    change.rates.iter().map(move |it| {
        let mut of = it.rate.replace('_', " ");
        if it.service != Service::Standard {
            of = format!("{} {of}", it.service.as_str());
        }
        if let Some(start) = it.from_input_tokens {
            of = format!("{of}, prompts from {}", count(start));
        }
        if let Some(day) = it.from {
            of = format!("{of}, from {day}");
        }
        vec![
            change.model.to_string().into(),
            of.into(),
            Cell::new(Tone::Attention, format!("{} → {}", shown(it.before), shown(it.after))),
        ]
    })
}

/// The same for programs.
fn change_rows(change: &PriceChange) -> impl Iterator<Item = Value> + '_ {
    change.rates.iter().map(|it| {
        json!({
            "model": change.model.to_string(),
            "service": it.service.as_str(),
            "rate": it.rate,
            "from_input_tokens": it.from_input_tokens,
            "from": it.from,
            "before": it.before,
            "after": it.after,
        })
    })
}

fn reset(session: &Session) -> Result<(Value, View)> {
    let was_there = price_updates::reset(&session.app)?;
    let said = if was_there {
        "The built-in prices are in force again"
    } else {
        "The built-in prices were in force already"
    };
    Ok((json!({"reset": was_there}), View::line(Tone::Good, said)))
}
