//! The ledger: what is recorded is counted, once, and shared.

use std::path::Path;

use api_keys::{
    domain::{
        Billing, Label, NewAlert, OwnCost, RecordedCost, RequestOutcome, Service, Span, Tags, Task, TokenCounts,
        Tokens, UsageRecord, UsageSource, Usd, Window,
    },
    storage::ledger::{
        Depth, Exported, Filter, Fold, LeaseChange, LeaseState, Ledger, LedgerError, Recorded, SpendingLimit, Totals,
    },
};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

mod alerts;
mod contract;
mod damage;
#[cfg(target_os = "linux")]
mod faults;
mod golden;
mod interleavings;
mod journal;
mod laws;
mod life;
mod money;
mod shared;

/// The time in these tests: noon of a day.
const NOON: &str = "2026-11-24T12:00:00Z";
const DAY: i64 = 86_400;

/// An empty ledger in a folder of its own.
fn ledger() -> (TempDir, Ledger) {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(home.path().join("data"));
    (home, ledger)
}

/// A time, in seconds after noon.
fn at(seconds: i64) -> Timestamp {
    NOON.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

/// From one time to another, in seconds after noon.
fn span(from: i64, to: i64) -> Span {
    Span {
        from: at(from),
        to: at(to),
    }
}

/// A hundred days around noon.
pub(crate) fn always() -> Span {
    span(-50 * DAY, 50 * DAY)
}

fn cost(nano: i64) -> RecordedCost {
    RecordedCost::Computed {
        cost: Usd::from_nano(nano),
        price: "of that day".to_owned(),
    }
}

/// A successful request at noon that cost ten nano-dollars.
pub(crate) fn request() -> UsageRecord {
    UsageRecord {
        at: at(0),
        model: "anthropic/claude-made-up".parse().unwrap(),
        label: Some(Label::default()),
        task: Some(Task::Chat),
        project: Some("a project".to_owned()),
        session: Some("a session".to_owned()),
        client: None,
        agent: None,
        tags: Tags::default(),
        billing: Billing::Billed,
        upstream_id: None,
        source: UsageSource::Reported,
        service: Service::Standard,
        tokens: Tokens::new(TokenCounts {
            input: 100,
            output: 20,
            cache_read: 30,
            cache_write: 10,
            cache_write_1h: 5,
            reasoning: 7,
        })
        .unwrap(),
        outcome: RequestOutcome {
            success: true,
            status_code: Some(200),
            latency_ms: Some(1234),
        },
        cost: cost(10),
        request_id: None,
    }
}

/// Records all of `records` at once.
fn record_all<'a>(ledger: &Ledger, records: impl IntoIterator<Item = &'a UsageRecord>) -> Vec<Recorded> {
    let ended: Vec<_> = records.into_iter().collect();
    let fold = Fold {
        ended: &ended,
        ..fold("somebody")
    };
    ledger.fold(&fold, at(0)).unwrap().recorded
}

/// Nothing to be done yet, by the process `holder`.
fn fold(holder: &str) -> Fold<'_> {
    Fold {
        holder,
        ended: &[],
        position: None,
        leases: &[],
        budgets: &[],
        until: at(60),
    }
}

/// A budget of `most` nano-dollars for a day from noon.
fn limit(most: i64) -> SpendingLimit {
    SpendingLimit {
        span: span(0, DAY),
        of_client: false,
        most: Usd::from_nano(most),
        unpriced: Usd::ZERO,
    }
}

/// A new lease within `limits`, of nothing yet.
fn new_lease(limits: &[SpendingLimit]) -> LeaseChange<'_> {
    LeaseChange {
        id: None,
        client: None,
        limits,
        keep: Usd::ZERO,
        asks: &[],
        slice: Usd::ZERO,
    }
}

/// Asks at some second for a new lease of exactly `amount` nano-dollars, which the process `holder` gives up a minute after
/// noon.
fn lease(ledger: &Ledger, holder: &str, (amount, limits): (i64, &[SpendingLimit]), second: i64) -> LeaseState {
    let change = LeaseChange {
        asks: &[Usd::from_nano(amount)],
        ..new_lease(limits)
    };
    let fold = Fold {
        leases: &[change],
        ..fold(holder)
    };
    ledger.fold(&fold, at(second)).unwrap().leases.remove(0)
}

/// Replays what processes that are gone have left in `home`, all of it.
///
/// A child that another test starts at this moment holds every lock of this process until it runs its own program.
fn replay(home: &TempDir, ledger: &Ledger) {
    let since = std::time::Instant::now();
    let is_left = || {
        let names = std::fs::read_dir(home.path().join("data/journal"))
            .into_iter()
            .flatten();
        names
            .flatten()
            .any(|name| name.path().extension().is_some_and(|ending| ending == "journal"))
    };
    loop {
        ledger.replay().unwrap();
        if !is_left() {
            return;
        }
        assert!(since.elapsed().as_secs() < 10, "a journal is held by a process");
        std::thread::yield_now();
    }
}

/// The alert of a budget of which `percent` is spent, in the window that began at `start`.
fn budget_alert(budget: &str, start: Timestamp, percent: u8) -> NewAlert {
    let window = Window::ALL
        .into_iter()
        .find(|window| window.as_str() == budget)
        .unwrap();
    let (spent, limit) = (Usd::from_nano(i64::from(percent)), Usd::from_nano(100));
    NewAlert::of_budget(window, start, percent, (spent, limit))
}

/// The alerts that the ledger in `folder` knows of: budget, start of the window, highest threshold, and when the first was given.
fn alerts_of(folder: &Path) -> Vec<(String, Timestamp, u8, Timestamp)> {
    let sql = rusqlite::Connection::open(folder.join("ledger.db")).unwrap();
    let mut statement = sql
        .prepare("SELECT subject, window_start, level, first_at FROM alert ORDER BY first_at, id")
        .unwrap();
    let time = |row: &rusqlite::Row<'_>, column| {
        Timestamp::from_millisecond(row.get(column)?).map_err(|_| rusqlite::Error::InvalidQuery)
    };
    let rows = statement.query_map([], |row| Ok((row.get(0)?, time(row, 1)?, row.get(2)?, time(row, 3)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

/// What all of `records` come to, added up one by one.
fn sum<'a>(records: impl IntoIterator<Item = &'a UsageRecord>) -> Totals {
    records.into_iter().fold(Totals::default(), |mut sum, record| {
        sum += Totals::of(record);
        sum
    })
}

/// What everything in the ledger comes to.
pub(crate) fn total(ledger: &Ledger) -> Totals {
    ledger.totals(always(), &Filter::default()).unwrap()
}

/// Every record of the ledger.
pub(crate) fn exported(ledger: &Ledger) -> Vec<Exported> {
    let mut all = Vec::new();
    let keep = |exported: &Exported| {
        all.push(exported.clone());
        Ok::<_, LedgerError>(())
    };
    ledger.export(always(), &Filter::default(), keep).unwrap();
    all
}

/// Fails unless the ledger is whole.
pub(crate) fn expect_whole(ledger: &Ledger) {
    assert!(ledger.check(Depth::Whole).unwrap().is_some());
}

/// The bytes of the ledger's file in `folder`.
fn bytes(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("ledger.db")).unwrap()
}

/// Puts `bytes` in place of the ledger in `folder`, with nothing beside it.
fn put(folder: &Path, bytes: &[u8]) {
    crate::support::private_folder(folder);
    for name in ["ledger.db-wal", "ledger.db-shm"] {
        let _ = std::fs::remove_file(folder.join(name));
    }
    put_file(&folder.join("ledger.db"), bytes);
}

fn put_file(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}
