//! A price explained: its rates, source, start date and announced changes.

use jiff::{Timestamp, civil::Date};
use serde_json::{Map, Value, json};

use crate::{
    app::App,
    catalog::{DatedPrice, Days, Hours, Model, Origin},
    domain::{Billionths, Capability, ExtraRates, Price, Rate, Rates, Service, ServiceRates, Tier},
    error::Result,
    services::{
        price_lookup::{self, Priced, Pricing},
        price_updates,
    },
    tools::view::{Block, Cell, Column, Tone, View, count},
};

/// What is known of the price of the model that `name` means: for programs and for people.
pub(super) fn explain(app: &App, name: &str) -> Result<(Value, View)> {
    let asked = price_updates::named(app, name)?;
    let (catalog, config, now) = (app.catalog()?, app.settings().current(), app.now());
    let pricing = price_lookup::price_of(&catalog, &config, &asked, now);
    let found = catalog.find(&asked);
    let model = found.map(|found| found.model);
    let mut result = json!({
        "model": model.map_or(&asked, |model| &model.id).to_string(),
        "asked": asked.to_string(),
        "matched": found.map(|found| found.matched.as_str()),
    });
    let mut view = View::default();
    if let (Value::Object(result), Some(model)) = (&mut result, model) {
        result.extend(facts(model, now));
        view = view.and(headline(model, now));
    }
    match &pricing {
        Pricing::Priced(priced) => {
            let others = model.map(|model| other_times(model, priced)).unwrap_or_default();
            let hours = model.and_then(|model| model.dated_price_at(now)).map(hours_json);
            insert(&mut result, "price", price_json(&priced.price, priced));
            insert(&mut result, "hours", hours.unwrap_or_else(|| json!([])));
            let dated = |keep: fn(Option<Date>, Option<Date>) -> bool| {
                others
                    .iter()
                    .filter(|dated| keep(dated.from, priced.from))
                    .map(|dated| dated_json(dated))
                    .collect::<Vec<_>>()
            };
            insert(&mut result, "before", json!(dated(|from, now| from < now)));
            insert(&mut result, "next", json!(dated(|from, now| from > now)));
            view = people(view, priced, model, &others);
        }
        Pricing::Unpriced(why) => {
            insert(&mut result, "price", Value::Null);
            insert(&mut result, "unpriced", json!(why.as_str()));
            view = view.and(Block::Line(Tone::Attention, format!("Not priced: {}", why.as_str())));
        }
    }
    if let Some(model) = model.filter(|model| !model.not_costed.is_empty()) {
        let words = model.not_costed.join("; ");
        view = view.and(Block::Line(Tone::Faint, format!("Not included: {words}")));
    }
    insert(&mut result, "version", json!(catalog.digest()));
    Ok((result, view))
}

fn insert(result: &mut Value, name: &str, value: Value) {
    if let Value::Object(result) = result {
        result.insert(name.to_owned(), value);
    }
}

fn facts(model: &Model, now: Timestamp) -> Map<String, Value> {
    let can = |can: Capability| model.can(can) == Some(true);
    let facts = json!({
        "kind": model.kind,
        "status": model.status,
        "served": model.is_served_at(now),
        "retires_on": model.retires_on,
        "aliases": model.aliases,
        "context_window": model.context_window,
        "max_input": model.max_input,
        "max_output": model.max_output,
        "capabilities": model.capabilities.map(|_| Capability::ALL.into_iter().filter(|it| can(*it)).collect::<Vec<_>>()),
        "not_costed": model.not_costed,
        "compared": model.compared,
        "pinned": model.pinned,
    });
    match facts {
        Value::Object(facts) => facts,
        _ => Map::new(),
    }
}

fn price_json(price: &Price, priced: &Priced) -> Value {
    let mut result = by_service(&price.offered);
    insert(&mut result, "tiers", tiers(price));
    insert(&mut result, "from", json!(priced.from));
    insert(&mut result, "origin", json!(priced.origin.map(Origin::as_str)));
    insert(&mut result, "source", json!(priced.source));
    insert(&mut result, "as_of", json!(priced.as_of));
    result
}

fn dated_json(dated: &DatedPrice) -> Value {
    let mut result = by_service(&dated.price.offered);
    insert(&mut result, "tiers", tiers(&dated.price));
    insert(&mut result, "from", json!(dated.from));
    insert(&mut result, "source", json!(dated.source));
    result
}

/// The hours of the day with rates of their own.
fn hours_json(dated: &DatedPrice) -> Value {
    let result = |hours: &Hours| json!({"at": at_hours(hours), "standard": rates(&hours.rates)});
    dated.hours.iter().map(result).collect()
}

fn tiers(price: &Price) -> Value {
    let tier = |tier: &Tier| {
        let mut result = by_service(&tier.offered);
        insert(&mut result, "from_input_tokens", json!(tier.from_input_tokens));
        result
    };
    price.tiers.iter().map(tier).collect()
}

/// US dollars per million tokens, by service.
fn by_service(offered: &ServiceRates) -> Value {
    offered
        .each()
        .map(|(service, of_it)| (service.as_str().to_owned(), rates(of_it)))
        .collect()
}

fn rates(rates: &Rates) -> Value {
    let mut result = json!({"input": rates.input, "output": rates.output});
    for (name, rate) in [
        ("cache_read", rates.cache_read),
        ("cache_write", rates.cache_write),
        ("cache_write_1h", rates.cache_write_1h),
        ("reasoning", rates.reasoning),
        ("audio_input", rates.extra.audio_input),
        ("audio_cache_read", rates.extra.audio_cache_read),
        ("image_input", rates.extra.image_input),
        ("audio_output", rates.extra.audio_output),
        ("image_output", rates.extra.image_output),
        ("citations", rates.extra.citations),
        ("characters", rates.extra.characters),
        ("per_1000_searches", rates.extra.searches.map(of_a_thousand)),
    ] {
        if let Some(rate) = rate {
            insert(&mut result, name, json!(rate));
        }
    }
    if let Some(fees) = rates.extra.requests {
        let [low, medium, high] = fees.map(of_a_thousand);
        let by_context = json!({"low": low, "medium": medium, "high": high});
        insert(&mut result, "per_1000_requests", by_context);
    }
    result
}

/// What a thousand cost, of what a million do.
fn of_a_thousand(of_a_million: Rate) -> Rate {
    Rate::from(Billionths(of_a_million.per_million().0 / 1_000))
}

/// What the standard service charges beside text, in words.
fn beside_text(rates: &ExtraRates) -> Vec<String> {
    let per_million = [
        ("sound as input", rates.audio_input),
        ("cached sound", rates.audio_cache_read),
        ("images as input", rates.image_input),
        ("sound as output", rates.audio_output),
        ("images as output", rates.image_output),
        ("citations", rates.citations),
    ];
    let known = per_million.into_iter().filter_map(|(of, rate)| Some((of, rate?)));
    let mut words: Vec<String> = known
        .map(|(of, rate)| format!("{of}: ${} per million tokens", rate.per_million()))
        .collect();
    if let Some(rate) = rates.characters {
        words.push(format!("text: ${} per million characters", rate.per_million()));
    }
    if let Some(fee) = rates.searches.map(of_a_thousand) {
        words.push(format!("web searches: ${} per 1,000", fee.per_million()));
    }
    if let Some(fees) = rates.requests {
        let [low, medium, high] = fees.map(|fee| of_a_thousand(fee).per_million());
        words.push(format!(
            "requests: ${low}, ${medium} or ${high} per 1,000, by how much of the web they draw on"
        ));
    }
    words
}

/// The model's prices of other dates than the one in force.
fn other_times<'m>(model: &'m Model, priced: &Priced) -> Vec<&'m DatedPrice> {
    model.prices.iter().filter(|dated| dated.from != priced.from).collect()
}

fn headline(model: &Model, now: Timestamp) -> Block {
    let mut words = vec![model.kind.as_str().to_owned()];
    if let Some(window) = model.context_window {
        words.push(format!("{} tokens of context", count(window)));
    }
    if let Some(most) = model.max_output {
        words.push(format!("{} of output", count(most)));
    }
    let status = model.status.as_str();
    match model.retires_on {
        Some(day) if !model.is_served_at(now) => words.push(format!("retired on {day}")),
        Some(day) => words.push(format!("{status}, retires on {day}")),
        None => words.push(status.to_owned()),
    }
    let tone = if model.is_served_at(now) && model.retires_on.is_none() {
        Tone::Plain
    } else {
        Tone::Attention
    };
    Block::Line(tone, format!("{}: {}", model.id, words.join(", ")))
}

fn people(mut view: View, priced: &Priced, model: Option<&Model>, others: &[&DatedPrice]) -> View {
    if priced.origin.is_none() {
        return view.and(Block::Line(Tone::Good, format!("Costs nothing: it {}", priced.source)));
    }
    // The rates of the hour are shown as those of an hour, beside the usual ones.
    let usual = model.and_then(|model| model.prices.iter().find(|dated| dated.from == priced.from));
    let price = usual.map_or(&priced.price, |dated| &dated.price);
    let mut rows = rows(
        "now",
        Tone::Plain,
        price,
        usual.map(|dated| dated.hours.as_slice()).unwrap_or_default(),
    );
    for dated in others.iter().filter(|dated| dated.from > priced.from) {
        let when = dated.from.map(|day| format!("from {day}")).unwrap_or_default();
        rows.extend(self::rows(&when, Tone::Attention, &dated.price, &dated.hours));
    }
    view = view.and(Block::table(
        [
            Column::new("WHEN"),
            Column::new("FOR").wrapped(),
            Column::new("INPUT"),
            Column::new("OUTPUT"),
            Column::new("CACHE READ").rank(1),
            Column::new("CACHE WRITE").rank(2),
            Column::new("WRITE 1 H").rank(4),
            Column::new("REASONING").rank(3),
        ],
        rows,
    ));
    let since = priced.from.map(|day| format!(", since {day}")).unwrap_or_default();
    let as_of = priced.as_of.map(|day| format!(", as of {day}")).unwrap_or_default();
    let place = match priced.origin {
        Some(Origin::BuiltIn) => " (built in)",
        Some(Origin::Overlay) => " (from `prices update`)",
        Some(Origin::Config) | None => " (your own)",
    };
    view = view.and(Block::Line(
        Tone::Plain,
        format!(
            "US dollars per million tokens, by {}{as_of}{place}{since}",
            priced.source
        ),
    ));
    let beside = beside_text(&price.offered.standard.extra);
    if !beside.is_empty() {
        view = view.and(Block::Line(Tone::Plain, format!("Also charged: {}", beside.join("; "))));
    }
    let Some(model) = model else { return view };
    for (set, says) in &model.compared {
        if says != "agrees" {
            view = view.and(Block::Line(Tone::Attention, format!("{set} differs: {says}")));
        }
    }
    if let Some(why) = &model.pinned {
        view = view.and(Block::Line(Tone::Faint, format!("Chosen by hand: {why}")));
    }
    view
}

/// The lines of one price: by service, for long prompts, and at some hours.
fn rows(when: &str, tone: Tone, price: &Price, hours: &[Hours]) -> Vec<Vec<Cell>> {
    let mut lines: Vec<(String, Rates)> = Vec::new();
    let mut offer = |prompts: &str, offered: &ServiceRates| {
        for (service, rates) in offered.each() {
            let of = match (service, prompts) {
                (Service::Standard, prompts) => prompts.to_owned(),
                (service, "") => service.as_str().to_owned(),
                (service, prompts) => format!("{}, {prompts}", service.as_str()),
            };
            lines.push((of, *rates));
        }
    };
    offer("", &price.offered);
    for tier in &price.tiers {
        let prompts = format!("prompts from {}", count(tier.from_input_tokens));
        offer(&prompts, &tier.offered);
    }
    lines.extend(hours.iter().map(|hours| (at_hours(hours), hours.rates)));
    let cell = |rate: Option<Rate>| Cell::number(rate.map_or_else(String::new, |rate| rate.per_million().to_string()));
    lines
        .into_iter()
        .map(|(of, rates)| {
            vec![
                Cell::new(tone, when),
                of.into(),
                cell(Some(rates.input)),
                cell(Some(rates.output)),
                cell(rates.cache_read),
                cell(rates.cache_write),
                cell(rates.cache_write_1h),
                cell(rates.reasoning),
            ]
        })
        .collect()
}

fn at_hours(hours: &Hours) -> String {
    let time = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    let days = match hours.days {
        Days::Every => "",
        Days::MondayToFriday => ", Monday to Friday",
    };
    format!("{}–{} UTC{days}", time(hours.from_minute), time(hours.to_minute))
}
