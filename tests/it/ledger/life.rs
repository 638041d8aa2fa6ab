//! What one process sees of its ledger.

use api_keys::{
    domain::{RecordedCost, Usd},
    storage::ledger::{Dimension, Exported, Filter, LedgerError, Recorded, Totals},
};

use super::{at, ledger, request, span};

const DAY: i64 = 86_400;

#[test]
fn reading_where_there_is_no_ledger_finds_nothing_and_makes_nothing() {
    let (home, ledger) = ledger();
    let everything = span(-DAY, DAY);
    assert_eq!(
        ledger.totals(everything, &Filter::default()).unwrap(),
        Totals::default()
    );
    assert_eq!(ledger.windows(&[everything; 2], &Filter::default()).unwrap().len(), 2);
    assert_eq!(
        ledger
            .grouped(everything, &Filter::default(), Dimension::Model)
            .unwrap(),
        []
    );
    assert_eq!(ledger.spent(None, &[everything], at(0)).unwrap().len(), 1);
    assert_eq!(ledger.outcomes(at(-DAY)).unwrap(), []);
    assert_eq!(ledger.health().unwrap(), []);
    assert_eq!(ledger.alerts(at(-DAY)).unwrap(), []);
    assert_eq!(ledger.check().unwrap(), None);
    assert_eq!(ledger.prune(at(DAY)).unwrap(), 0);
    assert_eq!(ledger.stamp(), ledger.stamp());
    assert!(!home.path().join("data").exists());
}

#[test]
fn a_record_is_counted_and_reads_back_as_it_was() {
    let (_home, ledger) = ledger();
    let record = request();
    let recorded = ledger.record(&record).unwrap();
    assert_eq!(
        recorded,
        Recorded {
            id: 1,
            duplicate: false,
            cost: Some(Usd::from_nano(10))
        }
    );
    let unpriced = api_keys::domain::UsageRecord {
        cost: RecordedCost::Unpriced,
        task: None,
        project: None,
        session: None,
        label: None,
        ..request()
    };
    ledger.record(&unpriced).unwrap();
    let totals = ledger.totals(span(0, 1), &Filter::default()).unwrap();
    assert_eq!(
        totals,
        Totals {
            requests: 2,
            errors: 0,
            input_tokens: 200,
            output_tokens: 40,
            cache_read_tokens: 60,
            cache_write_tokens: 20,
            reasoning_tokens: 14,
            cost: Usd::from_nano(10),
            unpriced_requests: 1,
        }
    );
    let mut exported = Vec::new();
    ledger
        .export(span(-DAY, DAY), &Filter::default(), |record| {
            exported.push(record.clone());
            Ok::<_, LedgerError>(())
        })
        .unwrap();
    assert_eq!(
        exported,
        [
            Exported { id: 1, record },
            Exported {
                id: 2,
                record: unpriced
            }
        ]
    );
}

#[test]
fn a_request_of_the_same_name_counts_once_for_its_provider() {
    let (_home, ledger) = ledger();
    let named = |provider: &str, nano| api_keys::domain::UsageRecord {
        model: format!("{provider}/m").parse().unwrap(),
        request_id: Some("req_1".to_owned()),
        cost: RecordedCost::Computed {
            cost: Usd::from_nano(nano),
            price: String::new(),
        },
        ..request()
    };
    let first = ledger.record(&named("openai", 5)).unwrap();
    let again = ledger.record(&named("openai", 7)).unwrap();
    assert_eq!(
        again,
        Recorded {
            duplicate: true,
            ..first
        }
    );
    let other = ledger.record(&named("google", 7)).unwrap();
    assert!(!other.duplicate);
    assert_eq!(
        ledger.totals(span(0, 1), &Filter::default()).unwrap().cost,
        Usd::from_nano(12)
    );
}
