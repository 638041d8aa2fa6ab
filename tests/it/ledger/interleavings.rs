//! What holds whatever processes do, in any order, and whenever they are killed.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use api_keys::storage::ledger::{Encoded, EntryId, Granted, Journal, LeaseId, Position};

/// What all processes together may spend.
const MOST: i64 = 2_000;
const HOLDERS: usize = 3;

/// What a process does.
#[derive(Debug, Clone)]
enum Step {
    /// Leases so much for one request, and begins it where that was granted.
    Begin(i64),
    /// What is here and below is about one of the requests under way.
    Update(usize),
    /// It costs that part of what was leased for it, in percent.
    End(usize, u64),
    Cancel(usize),
    /// Has what has ended recorded.
    Fold,
    /// The same twice: the first answer was lost.
    FoldTwice,
    Kill,
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let step = prop_oneof![
        6 => (1..400_i64).prop_map(Step::Begin),
        2 => any::<usize>().prop_map(Step::Update),
        5 => (any::<usize>(), 0..=100_u64).prop_map(|(which, part)| Step::End(which, part)),
        1 => any::<usize>().prop_map(Step::Cancel),
        2 => Just(Step::Fold),
        1 => Just(Step::FoldTwice),
        1 => Just(Step::Kill),
    ];
    prop::collection::vec((0..HOLDERS, step), 0..60)
}

/// A request that its process works on.
struct UnderWay {
    entry: EntryId,
    amount: i64,
    /// What was noted of it last.
    noted: UsageRecord,
}

struct Process {
    journal: Journal,
    lease: Option<LeaseId>,
    under_way: Vec<UnderWay>,
    /// What is in the journal, and not in the ledger.
    ended: Vec<UsageRecord>,
    position: Option<Position>,
}

impl Process {
    fn start(ledger: &Ledger, number: u8) -> Self {
        Self {
            journal: ledger.journal([number; 8]),
            lease: None,
            under_way: Vec::new(),
            ended: Vec::new(),
            position: None,
        }
    }

    /// Has everything recorded that has ended, and leases what is asked for, where it fits.
    fn fold(&mut self, ledger: &Ledger, asks: &[Usd]) -> bool {
        let limits = [limit(MOST)];
        let change = LeaseChange {
            id: self.lease,
            keep: Usd::from_nano(self.under_way.iter().map(|request| request.amount).sum()),
            asks,
            ..new_lease(&limits)
        };
        let fold = Fold {
            ended: &self.ended.iter().collect::<Vec<_>>(),
            position: self.position,
            leases: &[change],
            ..fold(self.journal.holder())
        };
        let state = ledger.fold(&fold, at(1)).unwrap().leases.remove(0);
        self.lease = state.id;
        state.asks == [Granted::Yes]
    }
}

fn with_cost(name: &str, nano: i64, success: bool) -> UsageRecord {
    UsageRecord {
        source: UsageSource::Gateway,
        outcome: RequestOutcome {
            success,
            ..request().outcome
        },
        cost: cost(nano),
        request_id: Some(name.to_owned()),
        ..request()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn each_request_is_recorded_once_and_exactly_and_no_budget_is_passed(steps in steps()) {
        let (home, ledger) = ledger();
        let mut started = 0;
        let mut start = || {
            started += 1;
            Process::start(&ledger, started)
        };
        let mut processes: Vec<Process> = (0..HOLDERS).map(|_| start()).collect();
        // What must be in the ledger in the end, by its request id.
        let mut expected: BTreeMap<String, UsageRecord> = BTreeMap::new();
        for (number, (which, step)) in steps.into_iter().enumerate() {
            let process = &mut processes[which];
            let count = process.under_way.len();
            match step {
                Step::Begin(amount) => {
                    if process.fold(&ledger, &[Usd::from_nano(amount)]) {
                        let name = format!("req_{number}");
                        let noted = with_cost(&name, amount / 3, false);
                        let entry = process.journal.begin(Encoded::new(&noted)).unwrap();
                        expected.insert(name, noted.clone());
                        process.under_way.push(UnderWay { entry, amount, noted });
                    }
                    process.ended.clear();
                }
                Step::Update(of) if count > 0 => {
                    let request = &mut process.under_way[of % count];
                    let name = request.noted.request_id.clone().unwrap();
                    request.noted = with_cost(&name, request.amount / 2, false);
                    // A stream in which all has been well so far.
                    let noted = with_cost(&name, request.amount / 2, true);
                    process.journal.update(request.entry, Encoded::new(&noted));
                    expected.insert(name, request.noted.clone());
                }
                Step::End(of, part) if count > 0 => {
                    let request = process.under_way.swap_remove(of % count);
                    let name = request.noted.request_id.unwrap();
                    let record = with_cost(&name, Usd::from_nano(request.amount).scaled(part, 100).nano(), true);
                    process.position = Some(process.journal.end(Some(request.entry), &Encoded::new(&record)).unwrap());
                    process.ended.push(record.clone());
                    expected.insert(name, record);
                }
                Step::Cancel(of) if count > 0 => {
                    let request = process.under_way.swap_remove(of % count);
                    process.journal.cancel(request.entry);
                    expected.remove(&request.noted.request_id.unwrap());
                }
                Step::Fold => {
                    process.fold(&ledger, &[]);
                    process.ended.clear();
                }
                Step::FoldTwice => {
                    process.fold(&ledger, &[]);
                    process.fold(&ledger, &[]);
                    process.ended.clear();
                }
                Step::Kill => {
                    processes[which] = start();
                    ledger.replay().unwrap();
                }
                Step::Update(_) | Step::End(..) | Step::Cancel(_) => {}
            }
            let spent = ledger.spent(None, &[span(0, DAY)], at(1)).unwrap()[0];
            prop_assert!(spent.recorded + spent.reserved <= Usd::from_nano(MOST), "{:?}", spent);
        }
        drop(processes);
        replay(&home, &ledger);
        let kept: Vec<UsageRecord> = exported(&ledger).into_iter().map(|exported| exported.record).collect();
        let by_name = |record: &UsageRecord| (record.request_id.clone().unwrap(), record.clone());
        let counted: BTreeMap<_, _> = kept.iter().map(by_name).collect();
        prop_assert_eq!(kept.len(), counted.len());
        prop_assert_eq!(&counted, &expected);
        prop_assert_eq!(total(&ledger), sum(&kept));
        let spent = ledger.spent(None, &[span(0, DAY)], at(1)).unwrap()[0];
        prop_assert_eq!((spent.recorded, spent.reserved), (sum(&kept).cost, Usd::ZERO));
        ledger.check(Depth::Whole).unwrap();
    }
}
