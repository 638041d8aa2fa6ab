//! What holds for any records in any order.

use std::{collections::BTreeMap, fs};

use proptest::prelude::*;

use super::*;
use api_keys::{
    domain::{Window, last_days, months_of},
    storage::ledger::Dimension,
};
use jiff::tz::TimeZone;

fn maybe(words: &'static [&'static str]) -> impl Strategy<Value = Option<String>> {
    prop::option::of(prop::sample::select(words)).prop_map(|word| word.map(str::to_owned))
}

fn tokens() -> impl Strategy<Value = Tokens> {
    (0..1_000_000_u64, 0..1_000_000_u64, 0..1000_u64, 0..1000_u64).prop_map(|(input, output, read, write)| {
        Tokens::new(TokenCounts {
            input: input + read + write,
            output,
            cache_read: read,
            cache_write: write,
            cache_write_1h: write / 2,
            reasoning: output / 3,
        })
        .unwrap()
    })
}

fn record() -> impl Strategy<Value = UsageRecord> {
    let about = (
        prop::sample::select(&["anthropic/a", "anthropic/b", "openai/a", "local/c"][..]),
        maybe(&["default", "work"]),
        prop::option::of(prop::sample::select(&Task::ALL[..])),
        maybe(&["default", "one", "two"]),
        maybe(&["editor", "one"]),
        // Those of logs come in another way: see `agent_logs`.
        prop::sample::select(&[UsageSource::Reported, UsageSource::Gateway][..]),
        maybe(&["codex", "one"]),
        prop::sample::select(&["", "a=1", "a=1,b=2", "b=2"][..]),
    );
    let happened = (
        // Ten days around noon, to the millisecond.
        -5 * DAY * 1000..5 * DAY * 1000,
        tokens(),
        any::<bool>(),
        prop::option::of(0..1_000_000_000_i64),
        prop::option::weighted(0.3, 0..8_u8),
        prop::sample::select(&[Billing::Billed, Billing::Plan][..]),
    );
    (about, happened).prop_map(
        |(
            (model, label, task, project, client, source, agent, tags),
            (moment, tokens, success, nano, request_id, billing),
        )| {
            UsageRecord {
                at: at(0) + SignedDuration::from_millis(moment),
                model: model.parse().unwrap(),
                label: label.map(|label| label.parse().unwrap()),
                task,
                project,
                client,
                agent,
                tags: tags.parse().unwrap(),
                source,
                tokens,
                outcome: RequestOutcome {
                    success,
                    ..request().outcome
                },
                cost: nano.map_or(RecordedCost::Unpriced, cost),
                billing,
                request_id: request_id.map(|number| format!("req_{number}")),
                ..request()
            }
        },
    )
}

/// Those that count: of each provider the first of a name.
fn counted(records: &[UsageRecord]) -> Vec<UsageRecord> {
    let mut seen = Vec::new();
    let mut counted = Vec::new();
    for record in records {
        let name = record
            .request_id
            .clone()
            .map(|request_id| (record.model.provider.clone(), request_id));
        if name.is_none() || !seen.contains(&name) {
            seen.push(name);
            counted.push(record.clone());
        }
    }
    counted
}

fn value(record: &UsageRecord, by: Dimension) -> Option<String> {
    let provider = record.model.provider.to_string();
    match by {
        Dimension::Provider => Some(provider),
        Dimension::Model => Some(record.model.to_string()),
        Dimension::Task => record.task.map(|task| task.as_str().to_owned()),
        Dimension::Project => record.project.clone(),
        Dimension::Key => Some(match &record.label {
            Some(label) => format!("{provider}:{label}"),
            None => provider,
        }),
        Dimension::Client => record.client.clone(),
        Dimension::Source => Some(record.source.as_str().to_owned()),
        Dimension::Agent => record.agent.clone(),
        // In groups of their own: see `life`.
        Dimension::Tag | Dimension::Session => None,
    }
}

fn within(span: Span) -> impl Fn(&&UsageRecord) -> bool {
    move |record| span.from <= record.at && record.at < span.to
}

fn filters() -> impl Strategy<Value = Filter> {
    (
        maybe(&["anthropic", "openai", "groq"]),
        maybe(&["editor", "one", "none"]),
        maybe(&["a=1", "b=2", "c=3"]),
        maybe(&["codex", "none"]),
        prop::sample::subsequence(&UsageSource::ALL[..], 0..=2),
    )
        .prop_map(|(provider, client, tag, agent, sources)| Filter {
            provider: provider.map(|provider| provider.parse().unwrap()),
            client,
            tag,
            agent,
            sources,
        })
}

fn lets_through(filter: &Filter, record: &UsageRecord) -> bool {
    filter.provider.as_ref().is_none_or(|it| *it == record.model.provider)
        && (filter.client.is_none() || filter.client == record.client)
        && (filter.tag.as_deref())
            .is_none_or(|tag| record.tags.text().unwrap_or_default().split(',').any(|it| it == tag))
        && (filter.agent.is_none() || filter.agent == record.agent)
        && (filter.sources.is_empty() || filter.sources.contains(&record.source))
}

fn zones() -> impl Strategy<Value = TimeZone> {
    prop::sample::select(&["UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"][..])
        .prop_map(|name| TimeZone::get(name).unwrap())
}

/// What happens to a ledger.
#[derive(Debug, Clone)]
enum Step {
    Record(Vec<UsageRecord>),
    /// So many more than are looked back at.
    RecordMany(u16),
    /// So many seconds after noon.
    Prune(i64),
    /// Another one, or the one from before, is put in its place.
    Exchange,
}

fn steps() -> impl Strategy<Value = Vec<(bool, Step)>> {
    let step = prop_oneof![
        8 => prop::collection::vec(record(), 1..6).prop_map(Step::Record),
        1 => (0..300_u16).prop_map(Step::RecordMany),
        2 => (-5 * DAY..5 * DAY).prop_map(Step::Prune),
        1 => Just(Step::Exchange),
    ];
    prop::collection::vec((any::<bool>(), step), 1..12)
}

impl Step {
    fn take(&self, ledger: &Ledger, home: &Path) {
        match self {
            Self::Record(records) => drop(record_all(ledger, records)),
            Self::RecordMany(more) => {
                let many = (0..2_000 + i64::from(*more)).map(|number| UsageRecord {
                    at: at(number % 7 - number),
                    ..request()
                });
                record_all(ledger, &many.collect::<Vec<_>>());
            }
            Self::Prune(before) => drop(ledger.prune(at(*before)).unwrap()),
            Self::Exchange => {
                let [here, aside, between] = ["data", "aside", "between"].map(|name| home.join(name));
                for (from, to) in [(&here, &between), (&aside, &here), (&between, &aside)] {
                    if from.exists() {
                        fs::rename(from, to).unwrap();
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whoever keeps the last requests in memory sees what everybody else did meanwhile.
    #[test]
    fn the_last_requests_are_those_of_the_file_as_it_is_now(steps in steps(), since in -5 * DAY..5 * DAY) {
        let (home, ledger) = ledger();
        let other = Ledger::new(home.path().join("data"));
        for (is_here, step) in steps {
            step.take(if is_here { &ledger } else { &other }, home.path());
            let all = exported(&ledger);
            let newest = all.iter().skip(all.len().saturating_sub(2_000)).filter(|it| it.record.at >= at(since));
            let expected: Vec<_> = newest
                .map(|Exported { id, record }| (*id, record.at, &record.model, &record.label, record.outcome))
                .collect();
            for reader in [&ledger, &other] {
                let outcomes = reader.outcomes(at(since)).unwrap();
                let seen: Vec<_> = outcomes
                    .iter()
                    .map(|past| (past.id, past.at, &past.asked.model, &past.asked.label, past.outcome))
                    .collect();
                prop_assert_eq!(&seen, &expected);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Records, their sums, and the totals of any stretch, grouping and time zone are the same, told in any order, by one
    /// process or two.
    #[test]
    fn sums_are_the_sums_of_their_records(
        records in prop::collection::vec(record(), 1..40),
        batches in prop::collection::vec(1..8_usize, 40),
        (from, to) in (-480..480_i64, -480..480_i64),
        filter in filters(),
        zone in zones(),
    ) {
        let (home, ledger) = ledger();
        let other = Ledger::new(home.path().join("data"));
        let mut rest = &records[..];
        for (number, batch) in batches.into_iter().enumerate() {
            let (now, later) = rest.split_at(batch.min(rest.len()));
            let writer = if number % 2 == 0 { &ledger } else { &other };
            record_all(writer, now);
            rest = later;
        }
        let counted = counted(&records);
        let all = Filter::default();

        let kept: Vec<_> = exported(&other).into_iter().map(|exported| exported.record).collect();
        prop_assert_eq!(&kept, &counted);
        prop_assert_eq!(total(&ledger), sum(&counted));
        for by in Dimension::ALL.into_iter().filter(|by| !matches!(by, Dimension::Tag | Dimension::Session)) {
            let mut groups: BTreeMap<Option<String>, Totals> = BTreeMap::new();
            for record in counted.iter().filter(|record| lets_through(&filter, record)) {
                *groups.entry(value(record, by)).or_default() += Totals::of(record);
            }
            let found = other.grouped(always(), &filter, by).unwrap();
            prop_assert_eq!(found, groups.into_iter().collect::<Vec<_>>(), "{:?}", by);
        }

        // Any stretch of whole quarters of an hour.
        let stretch = span(from * 900, to * 900);
        let inside = counted.iter().filter(within(stretch)).filter(|record| lets_through(&filter, record));
        prop_assert_eq!(ledger.totals(stretch, &filter).unwrap(), sum(inside));

        // Days and months, which leave no gap.
        let days: Vec<Span> = last_days(14, at(7 * DAY), &zone).into_iter().map(|(_, day)| day).collect();
        let expected: Vec<_> = days.iter().map(|day| sum(counted.iter().filter(within(*day)))).collect();
        prop_assert_eq!(ledger.windows(&days, &all).unwrap(), expected);
        let whole = Span { from: days[0].from, to: days[13].to };
        let months: Vec<Span> = months_of(whole, &zone).into_iter().map(|(_, month)| month).collect();
        let by_month = ledger.windows(&months, &all).unwrap();
        let mut sum_of_months = Totals::default();
        for month in by_month {
            sum_of_months += month;
        }
        prop_assert_eq!(sum_of_months, sum(&counted));

        // Budgets see the same.
        for window in Window::ALL {
            let span = window.around(at(0), &zone);
            let mine = |record: &&UsageRecord| record.client.as_deref() == Some("one");
            let everybodys = sum(counted.iter().filter(within(span)));
            let clients = sum(counted.iter().filter(within(span)).filter(mine));
            for (client, expected) in [(None, everybodys), (Some("one"), clients)] {
                let spent = ledger.spent(client, &[span], at(0)).unwrap()[0];
                prop_assert_eq!((spent.recorded, spent.unpriced_requests), (expected.cost, expected.unpriced_requests));
            }
        }
        expect_whole(&other);

        // What is pruned stays counted.
        let old = counted.iter().filter(|record| record.at < at(0)).count();
        prop_assert_eq!(other.prune(at(0)).unwrap(), old as u64);
        prop_assert_eq!(total(&ledger), sum(&counted));
        prop_assert_eq!(exported(&ledger).len(), counted.len() - old);
        expect_whole(&ledger);
    }
}
