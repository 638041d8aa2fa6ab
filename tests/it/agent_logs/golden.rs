//! Golden folders: what an agent wrote, for each trap in its logs, and what that comes to, calculated by hand.
//!
//! `tests/data/agent-logs/AGENT/CASE` has `expected.toml` and a folder of files for each of its steps, which is laid over
//! the one before. `{HOME}` in a file is the user's home. `NAME.sql` is run in the database `NAME`, which is in WAL mode and
//! keeps what was written in its WAL.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use api_keys::{
    agent_logs::AGENTS,
    app::{App, Clock},
    domain::{Span, Usd},
    services::log_import::{self, AgentImport, LogImport},
    settings::{Environment, Settings},
    storage::ledger::{Depth, Dimension, Filter, Totals},
};
use proptest::prelude::*;
use rusqlite::{Connection, config::DbConfig};
use serde::Deserialize;

use super::*;

/// When the files of the first step were written; those of each later one are a minute newer.
const WRITTEN: &str = "2026-11-20T12:00:00Z";

/// What a case says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    #[expect(dead_code, reason = "for people: what the agent does there")]
    about: String,
    /// Whether what its files say depends on the order in which they come: a reader needs another file that is there first.
    #[serde(default)]
    is_in_order: bool,
    steps: Vec<GoldenStep>,
}

/// What is recorded after a step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GoldenStep {
    /// What is deleted before the step's files are written.
    #[serde(default)]
    remove: Vec<String>,
    requests: u64,
    #[serde(default)]
    input: u64,
    #[serde(default)]
    output: u64,
    #[serde(default)]
    cache_read: u64,
    #[serde(default)]
    cache_write: u64,
    #[serde(default)]
    reasoning: u64,
    /// What it costs at API prices, in US dollars.
    usd: Option<String>,
    #[serde(default)]
    unpriced: u64,
    #[serde(default)]
    estimated: u64,
    #[serde(default)]
    lower_bound: u64,
    /// The requests of each; not compared where there are none.
    #[serde(default)]
    sessions: BTreeMap<String, u64>,
    #[serde(default)]
    projects: BTreeMap<String, u64>,
    #[serde(default)]
    models: BTreeMap<String, u64>,
    /// Entries that could not be read.
    #[serde(default)]
    unreadable: u64,
    /// Files that could not be read.
    #[serde(default)]
    faults: BTreeSet<String>,
}

/// A case, and where its files are.
#[derive(Debug)]
struct Case {
    agent: String,
    folder: PathBuf,
    golden: Golden,
}

/// A file of a step: its place below the user's home, and what is in it.
type GoldenFile = (String, Vec<u8>);

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/agent-logs")
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for agent in folders(&data()) {
        for folder in folders(&agent) {
            let expected = fs::read_to_string(folder.join("expected.toml")).unwrap();
            let golden = toml::from_str(&expected).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
            let agent = agent.file_name().unwrap().to_str().unwrap().to_owned();
            cases.push(Case { agent, folder, golden });
        }
    }
    cases
}

impl Case {
    /// The files of a step, in the order of their names.
    fn files(&self, step: usize, home: &Home) -> Vec<GoldenFile> {
        let root = self.folder.join((step + 1).to_string());
        let mut found = Vec::new();
        let mut open = vec![root.clone()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                    found.push((name, fs::read(&path).unwrap()));
                }
            }
        }
        for (_, bytes) in &mut found {
            if let Ok(text) = str::from_utf8(bytes)
                && text.contains("{HOME}")
            {
                *bytes = text.replace("{HOME}", home.beside("").to_str().unwrap()).into_bytes();
            }
        }
        found.sort();
        found
    }
}

fn write(home: &Home, (name, bytes): &GoldenFile, step: usize) {
    let path = home.beside(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let written = if let Some(database) = name.strip_suffix(".sql") {
        let path = home.beside(database);
        let sql = Connection::open(&path).unwrap();
        sql.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
            .unwrap();
        sql.pragma_update(None, "journal_mode", "wal").unwrap();
        sql.execute_batch(str::from_utf8(bytes).unwrap()).unwrap();
        vec![path, home.beside(&format!("{database}-wal"))]
    } else {
        fs::write(&path, bytes).unwrap();
        vec![path]
    };
    let at: SystemTime = WRITTEN.parse::<jiff::Timestamp>().unwrap().into();
    for path in written {
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(at + Duration::from_secs(60 * (step as u64 + 1)))
            .unwrap();
    }
}

/// The program in a home of its own, with the prices of these tests.
fn app(home: &Home) -> App {
    home.config(&fs::read_to_string(data().join("config.toml")).unwrap());
    let (own, user) = (home.path(), home.beside(""));
    let variables = [("API_KEYS_HOME", &own), ("HOME", &user)];
    let environment = Environment::of(variables.map(|(name, path)| (name, path.to_str().unwrap())));
    App::new(
        Settings::open(&environment).unwrap(),
        Clock::Fixed("2026-11-25T12:00:00Z".parse().unwrap()),
    )
}

fn import_all(app: &App) -> Vec<AgentImport> {
    let wanted = LogImport {
        agents: AGENTS.iter().collect(),
        is_dry: false,
        patience: Duration::from_secs(10),
    };
    log_import::import(app, &wanted, &mut |_| {}).unwrap().unwrap()
}

fn always() -> Span {
    Span {
        from: "2020-01-01T00:00:00Z".parse().unwrap(),
        to: "2030-01-01T00:00:00Z".parse().unwrap(),
    }
}

fn sums(app: &App) -> Totals {
    app.ledger().totals(always(), &Filter::default()).unwrap()
}

fn grouped(app: &App, by: Dimension) -> BTreeMap<String, u64> {
    let groups = app.ledger().grouped(always(), &Filter::default(), by).unwrap();
    let counted = groups.into_iter().filter(|(_, totals)| totals.requests > 0);
    counted
        .map(|(name, totals)| (name.unwrap_or_default(), totals.requests))
        .collect()
}

/// Fails where the sums are not those of `expected`.
fn expect_sums(app: &App, expected: &GoldenStep, case: &str) {
    let found = sums(app);
    let counts = |it: &GoldenStep| {
        [
            it.requests,
            it.input,
            it.output,
            it.cache_read,
            it.cache_write,
            it.reasoning,
            it.unpriced,
            it.estimated,
            it.lower_bound,
        ]
    };
    let found_counts = [
        found.requests,
        found.input_tokens,
        found.output_tokens,
        found.cache_read_tokens,
        found.cache_write_tokens,
        found.reasoning_tokens,
        found.plan_unpriced_requests,
        found.estimated_requests,
        found.lower_bound_requests,
    ];
    assert_eq!(found_counts, counts(expected), "{case}: {found:?}");
    if let Some(usd) = &expected.usd {
        assert_eq!(found.plan_cost.digits(), *usd, "{case}: US dollars");
    }
    assert_eq!(found.cost, Usd::ZERO, "{case}: nothing is billed");
    let models = grouped(app, Dimension::Model);
    assert!(
        expected.models.is_empty() || models == expected.models,
        "{case}: {models:?}"
    );
}

/// Every file below the user's home but our own, with its contents.
fn others(home: &Home) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![home.beside("")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.extend((path != home.path()).then_some(path));
            } else {
                let bytes = fs::read(&path).unwrap();
                found.insert(path, bytes);
            }
        }
    }
    found
}

fn run(case: &Case) {
    let home = Home::new();
    let app = app(&home);
    for (number, expected) in case.golden.steps.iter().enumerate() {
        let name = format!("{} step {}", case.folder.display(), number + 1);
        for removed in &expected.remove {
            fs::remove_dir_all(home.beside(removed)).unwrap();
        }
        for file in case.files(number, &home) {
            write(&home, &file, number);
        }
        let before = others(&home);
        let reports = import_all(&app);
        assert!(before == others(&home), "{name}: another program's folder is as it was");
        for report in &reports {
            assert_eq!(report.agent.name, case.agent, "{name}: the logs are of one agent");
        }
        let unreadable: u64 = reports.iter().map(|report| report.unreadable).sum();
        assert_eq!(unreadable, expected.unreadable, "{name}: unreadable entries");
        let faults = reports.iter().flat_map(|report| &report.faults);
        let faults: BTreeSet<String> = faults
            .map(|(path, _)| path.strip_prefix(home.beside("")).unwrap().to_str().unwrap().to_owned())
            .collect();
        assert_eq!(faults, expected.faults, "{name}: files that cannot be read");
        expect_sums(&app, expected, &name);
        for (by, expected) in [
            (Dimension::Session, &expected.sessions),
            (Dimension::Project, &expected.projects),
        ] {
            assert!(
                expected.is_empty() || grouped(&app, by) == *expected,
                "{name}: {by:?}: {:?}",
                grouped(&app, by)
            );
        }
        for report in import_all(&app) {
            let imported = report.imported;
            assert_eq!(
                (imported.new, imported.updated, imported.taken_back),
                (0, 0, 0),
                "{name}: again"
            );
            assert_eq!(
                report.read,
                expected.faults.len(),
                "{name}: only what could not be read is read again"
            );
        }
        expect_sums(&app, expected, &format!("{name}, imported twice"));
        app.ledger().check(Depth::Whole).unwrap();
    }
}

#[test]
fn each_trap_comes_to_what_was_calculated_by_hand() {
    let cases = cases();
    let fails = |case: &&Case| std::panic::catch_unwind(|| run(case)).is_err();
    let failed: Vec<_> = cases.iter().filter(fails).map(|case| &case.folder).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    // Every agent has its folder.
    let with_cases: BTreeSet<&str> = cases.iter().map(|case| case.agent.as_str()).collect();
    assert_eq!(with_cases, AGENTS.iter().map(|agent| agent.name).collect());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn files_that_come_in_any_order_and_in_pieces_come_to_the_same(
        case in any::<prop::sample::Index>(),
        order in prop::collection::vec(any::<u32>(), 8),
        pieces in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 8),
    ) {
        // Those whose steps do not change what was there before.
        let mut cases = cases();
        cases.retain(|case| case.golden.steps.len() == 1 && !case.golden.is_in_order);
        let case = case.get(&cases);
        let home = Home::new();
        let app = app(&home);
        let mut files: Vec<(u32, GoldenFile)> = order.iter().copied().cycle().zip(case.files(0, &home)).collect();
        files.sort();
        for (step, ((_, file), (is_imported, cut))) in files.iter().zip(pieces.iter().cycle()).enumerate() {
            let (name, bytes) = file;
            if *is_imported {
                // Up to any byte of it; a database is whole or not there.
                if name.strip_suffix(".sql").is_none() {
                    write(&home, &(name.clone(), bytes[..cut.index(bytes.len())].to_vec()), 2 * step);
                }
                import_all(&app);
            }
            write(&home, file, 2 * step + 1);
        }
        import_all(&app);
        let expected = &case.golden.steps[0];
        let name = case.folder.display().to_string();
        expect_sums(&app, expected, &name);
        import_all(&app);
        expect_sums(&app, expected, &name);
        app.ledger().check(Depth::Whole).unwrap();
    }
}
