//! What the ledger costs, beside a bare SQLite commit on the same disk (that of `TMPDIR`):
//! `cargo bench --bench ledger -- 100000 1000000`.
//!
//! Each number is a size to measure reading at, in records over a year; 10,000,000 take 3 GB and some minutes.
//!
//! No criterion: its crates would be built with every check of all targets, to tell apart what these figures show anyway.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "a measurement says what it found, and stops at what it does not expect"
)]

use std::{
    env, fs, iter,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use api_keys::{
    domain::{
        Billing, Label, RecordedCost, RequestOutcome, Service, Span, Tags, Task, TokenCounts, Tokens, UsageRecord,
        UsageSource, Usd, Window, last_days,
    },
    storage::ledger::{Depth, Dimension, Filter, Fold, LeaseChange, LeaseId, Ledger, SpendingLimit},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

/// Set for a process that only writes: the folder, and how many records.
const WRITER: &str = "API_KEYS_BENCH_WRITER";
const YEAR: SignedDuration = SignedDuration::from_hours(365 * 24);
const WRITES: usize = 3_000;

/// How many different combinations of model, task, project and key the requests of a quarter of an hour have at most.
#[derive(Debug, Clone, Copy)]
enum Variety {
    /// One person's work: ten.
    Person,
    /// Nothing has to do with anything: 1,680.
    Chaos,
}

fn main() {
    if let Ok(task) = env::var(WRITER) {
        let (count, folder) = task.split_once(' ').unwrap();
        return write(Path::new(folder), count.parse().unwrap());
    }
    let sizes: Vec<u64> = env::args().filter_map(|argument| argument.parse().ok()).collect();
    writing();
    for size in sizes {
        for variety in [Variety::Person, Variety::Chaos] {
            reading(size, variety);
        }
    }
}

/// Durable records, by one process and by four; each run beside the floor, so that both meet the same disk and load.
fn writing() {
    for _ in 0..3 {
        let home = folder();
        say("a bare commit of one row", floor(home.path()));
        let ledger = Ledger::new(home.path().join("one"));
        let records = requests(WRITES as u64, Variety::Person);
        ledger.record(&request(0, Variety::Person)).unwrap();
        say(
            "record",
            records.map(|record| timed(|| ledger.record(&record).unwrap())),
        );
        let limits = [limit()];
        let lease = |id: Option<LeaseId>, asks: &[Usd]| {
            let change = LeaseChange {
                id,
                client: None,
                limits: &limits,
                keep: Usd::ZERO,
                asks,
                slice: Usd::ZERO,
            };
            let fold = Fold {
                leases: &[change],
                ..fold()
            };
            ledger.fold(&fold, now()).unwrap().leases[0].id
        };
        let take = || {
            let before = Instant::now();
            let id = lease(None, &[Usd::from_nano(1)]);
            let took = before.elapsed();
            lease(id, &[]);
            took
        };
        say("lease", iter::repeat_with(take).take(WRITES));
        for processes in [1, 4] {
            let folder = home.path().join(format!("of {processes}"));
            Ledger::new(&folder).record(&request(0, Variety::Person)).unwrap();
            let before = Instant::now();
            let children: Vec<_> = (0..processes)
                .map(|_| {
                    Command::new(env::current_exe().unwrap())
                        .env(WRITER, format!("{WRITES} {}", folder.display()))
                        .spawn()
                        .unwrap()
                })
                .collect();
            for mut child in children {
                assert!(child.wait().unwrap().success());
            }
            let rate = (processes * WRITES) as f64 / before.elapsed().as_secs_f64();
            println!("{processes} writing: {rate:.0} records a second");
        }
    }
}

fn write(folder: &Path, count: u64) {
    let ledger = Ledger::new(folder);
    let records = requests(count, Variety::Person);
    say(
        "  record, of those",
        records.map(|record| timed(|| ledger.record(&record).unwrap())),
    );
}

fn reading(size: u64, variety: Variety) {
    let home = folder();
    println!("\n{size} records, {variety:?}");
    let ledger = Ledger::new(home.path());
    let before = Instant::now();
    let mut requests = requests(size, variety);
    loop {
        let batch: Vec<_> = requests.by_ref().take(10_000).collect();
        if batch.is_empty() {
            break;
        }
        let fold = Fold {
            ended: &batch.iter().collect::<Vec<_>>(),
            ..fold()
        };
        ledger.fold(&fold, now()).unwrap();
    }
    println!(
        "{:<32}{:>10.1} µs each",
        "written at once",
        before.elapsed().as_secs_f64() * 1e6 / size as f64
    );
    drop(ledger);
    let bytes = fs::metadata(home.path().join("ledger.db")).unwrap().len();
    println!("{:<32}{:>10} bytes each", "on the disk", bytes / size);

    let zone = TimeZone::get("America/New_York").unwrap();
    let (day, month) = (Window::Day.around(now(), &zone), Window::Month.around(now(), &zone));
    let days: Vec<Span> = last_days(30, now(), &zone).into_iter().map(|(_, day)| day).collect();
    let thirty_days = Span {
        from: days[0].from,
        to: days[29].to,
    };
    let all = Filter::default();
    let budget = |ledger: &Ledger| drop(ledger.spent(None, &[day, month], now()).unwrap());
    let repeated = |what, run: &dyn Fn(&Ledger)| {
        let ledger = Ledger::new(home.path());
        run(&ledger);
        say(what, iter::repeat_with(|| timed(|| run(&ledger))).take(50));
    };
    let anew = || timed(|| budget(&Ledger::new(home.path())));
    say("open, and check the budget", iter::repeat_with(anew).take(50));
    repeated("check the budget", &budget);
    repeated("30 days by provider", &|ledger| {
        ledger.grouped(thirty_days, &all, Dimension::Provider).unwrap();
    });
    repeated("30 days by model", &|ledger| {
        ledger.grouped(thirty_days, &all, Dimension::Model).unwrap();
    });
    repeated("30 days by day", &|ledger| {
        ledger.windows(&days, &all).unwrap();
    });
    repeated("30 days by day and provider", &|ledger| {
        ledger.grouped_over(&days, &all, Dimension::Provider).unwrap();
    });
    repeated("30 days by quarter", &|ledger| {
        ledger.quarters(thirty_days, &all).unwrap();
    });
    repeated("outcomes of the last day", &|ledger| {
        ledger.outcomes(now() - SignedDuration::from_hours(24)).unwrap();
    });
    let fresh = std::cell::Cell::new(size);
    repeated("record", &|ledger| {
        fresh.set(fresh.get() + 1);
        ledger.record(&request(fresh.get(), variety)).unwrap();
    });
    for (what, depth) in [("check it", Depth::Usual), ("check it all", Depth::Whole)] {
        let check = timed(|| Ledger::new(home.path()).check(depth).unwrap());
        println!("{what:<32}{:>10.1} s", check.as_secs_f64());
    }
}

/// Commits of one row with nothing around them.
fn floor(folder: &Path) -> Vec<Duration> {
    let sql = rusqlite::Connection::open(folder.join("floor.db")).unwrap();
    sql.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))
        .unwrap();
    sql.execute_batch("PRAGMA synchronous = FULL; CREATE TABLE row (x INTEGER)")
        .unwrap();
    let insert = || {
        sql.prepare_cached("INSERT INTO row VALUES (1)")
            .unwrap()
            .execute([])
            .unwrap()
    };
    (0..WRITES).map(|_| timed(insert)).collect()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn timed<T>(run: impl FnOnce() -> T) -> Duration {
    let before = Instant::now();
    run();
    before.elapsed()
}

fn say(what: &str, times: impl IntoIterator<Item = Duration>) {
    let mut times: Vec<_> = times.into_iter().collect();
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    println!(
        "{what:<32}{:>10.3} ms p50 {:>10.3} ms p99 {:>10.3} ms best {:>10.3} ms worst",
        at(50),
        at(99),
        at(0),
        at(100)
    );
}

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

/// Nothing to be done yet.
fn fold() -> Fold<'static> {
    Fold {
        holder: "bench",
        ended: &[],
        position: None,
        leases: &[],
        budgets: &[],
        until: now() + SignedDuration::from_mins(1),
    }
}

fn limit() -> SpendingLimit {
    SpendingLimit {
        span: Window::Month.around(now(), &TimeZone::UTC),
        of_client: false,
        most: Usd::MAX,
        unpriced: Usd::ZERO,
    }
}

/// Requests over a year up to now, evenly.
fn requests(count: u64, variety: Variety) -> impl Iterator<Item = UsageRecord> {
    (0..count).map(move |number| {
        let apart = YEAR.as_secs() * 1000 / i64::try_from(count).unwrap();
        let back = i64::try_from(count - number).unwrap() * apart;
        UsageRecord {
            at: now() - SignedDuration::from_millis(back),
            ..request(number, variety)
        }
    })
}

fn request(number: u64, variety: Variety) -> UsageRecord {
    let chance = mixed(number ^ (u64::from(std::process::id()) << 40));
    let pick = match variety {
        Variety::Person => chance % 10,
        Variety::Chaos => chance % 1680,
    };
    let models = [
        "anthropic/one",
        "anthropic/two",
        "openai/one",
        "openai/two",
        "google/one",
        "local/one",
    ];
    let of = |list: u64, rest: u64| usize::try_from(rest % list).unwrap();
    UsageRecord {
        at: now(),
        model: models[of(6, pick)].parse().unwrap(),
        label: Some(Label::default()),
        task: Some(Task::ALL[of(7, pick / 6)]),
        project: Some(format!("project-{}", pick / 42)),
        session: Some(format!("session-{}", number / 50)),
        client: None,
        agent: None,
        tags: Tags::default(),
        billing: Billing::Billed,
        upstream_id: None,
        source: UsageSource::Reported,
        service: Service::Standard,
        tokens: Tokens::new(TokenCounts {
            input: 10_000 + chance % 50_000,
            output: 300 + chance % 1_000,
            cache_read: 8_000,
            cache_write: 1_000,
            cache_write_1h: 0,
            reasoning: 100,
        })
        .unwrap(),
        outcome: RequestOutcome {
            success: !chance.is_multiple_of(50),
            status_code: Some(200),
            latency_ms: Some(500 + u32::try_from(chance % 3_000).unwrap()),
        },
        cost: RecordedCost::Computed {
            cost: Usd::from_nano(i64::try_from(chance % 100_000_000).unwrap()),
            price: "2026-11-24".to_owned(),
        },
        request_id: Some(format!("req_{:016x}{:016x}", chance, mixed(chance))),
    }
}

/// Another number for each number, without a visible order.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
