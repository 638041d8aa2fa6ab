//! Processes that change the same keys at once: what each was told, and what undo brings back afterwards, is as if they
//! had gone one after the other.
#![cfg(unix)]

use std::{
    collections::BTreeSet,
    fmt,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use api_keys::{
    app::{App, Clock},
    domain::{KeyRecord, Label, ProviderId, Secret},
    error::Result,
    services::{
        keys::{self, NewKey, NewSecretSource},
        rotation::{self, Rotation},
        undo::{self, Undone},
        vault_access,
    },
    settings::{Environment, Settings},
    storage::vault::{NewSlot, SlotKind},
};
use jiff::SignedDuration;

use crate::{
    keys::wait,
    support::{
        Home,
        caller::Silent,
        outside::{remark, tell, this_test},
    },
};

const RACER: &str = "API_KEYS_TEST_RACER";
/// How often each pair races; 100 for a thorough look, which takes minutes.
const ROUNDS: &str = "API_KEYS_TEST_ROUNDS";
const LABELS: [&str; 2] = ["default", "work"];

/// What a process is asked to do; a key is known by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Add { label: usize, key: u32 },
    Remove { label: usize },
    Rotate { label: usize, key: u32 },
    Undo { label: Option<usize> },
    Rekey,
}

/// Which of them; the label and the key are drawn.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Add,
    Remove,
    Rotate,
    Undo,
    Rekey,
}

const KINDS: [Kind; 5] = [Kind::Add, Kind::Remove, Kind::Rotate, Kind::Undo, Kind::Rekey];

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add { label, key } => write!(f, "add {label} {key}"),
            Self::Remove { label } => write!(f, "remove {label}"),
            Self::Rotate { label, key } => write!(f, "rotate {label} {key}"),
            Self::Undo { label: Some(label) } => write!(f, "undo {label}"),
            Self::Undo { label: None } => f.write_str("undo"),
            Self::Rekey => f.write_str("rekey"),
        }
    }
}

impl Op {
    fn parse(line: &str) -> Self {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |word: &str| word.parse::<usize>().expect("a number");
        let key = |word: &str| word.parse::<u32>().expect("a number");
        match words[..] {
            ["add", label, number_of_key] => Self::Add {
                label: number(label),
                key: key(number_of_key),
            },
            ["remove", label] => Self::Remove { label: number(label) },
            ["rotate", label, number_of_key] => Self::Rotate {
                label: number(label),
                key: key(number_of_key),
            },
            ["undo", label] => Self::Undo {
                label: Some(number(label)),
            },
            ["undo"] => Self::Undo { label: None },
            ["rekey"] => Self::Rekey,
            _ => panic!("not an operation: {line}"),
        }
    }

    /// Does it in this process; what a person would be told.
    fn run(self, app: &App) -> Result<String> {
        let provider = app.settings().current().provider("openai")?;
        let label = |label: usize| LABELS[label].parse::<Label>().expect("a label");
        let given = |key: u32| NewSecretSource::Argument(Secret::new(&secret(key)));
        match self {
            Self::Add { label: of, key } => {
                let new = NewKey {
                    provider,
                    label: label(of),
                    description: None,
                    expires_at: None,
                    source: given(key),
                };
                let added = wait(keys::add(app, &Silent, new))?;
                Ok(format!("added, replaced: {}", added.replaced))
            }
            Self::Remove { label: of } => {
                let (record, _) = wait(keys::remove(app, &Silent, "openai", &label(of)))?;
                Ok(format!("removed {}", active(&record)))
            }
            Self::Rotate { label: of, key } => {
                let ask = Rotation {
                    provider,
                    label: label(of),
                    grace: SignedDuration::from_hours(24),
                    expires_at: None,
                };
                let rotated = wait(rotation::rotate(app, &Silent, ask, given(key)))?;
                Ok(format!("rotated from {}", number_of(&rotated.previous.masked)))
            }
            Self::Undo { label: of } => {
                let openai: ProviderId = "openai".parse().expect("a provider");
                let named = of.map(label);
                let key = named.as_ref().map(|label| (&openai, label));
                let (record, undone, _) = wait(undo::undo(app, &Silent, key))?;
                let what = match undone {
                    Undone::Removal => "removal",
                    Undone::Secret => "secret",
                };
                Ok(format!("undone {what} {}", active(&record)))
            }
            Self::Rekey => {
                wait(vault_access::open(app, &Silent))?;
                let kinds = [SlotKind::KeyFile];
                let done = app.vault().rekey(app.now(), "test", &kinds, &[NewSlot::KeyFile])?;
                drop(done.into_inner());
                Ok("rekeyed".to_owned())
            }
        }
    }
}

fn secret(key: u32) -> String {
    format!("sk-made-up-for-the-races-{key:04}")
}

fn number_of(masked: &str) -> u32 {
    let digits: String = masked.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number in {masked}"))
}

fn active(record: &KeyRecord) -> u32 {
    number_of(&record.active().expect("a secret in use").masked)
}

/// What there should be: the same rules, for one process.
#[derive(Debug, Clone, Default)]
struct Model {
    keys: Vec<ModelKey>,
    clock: u32,
}

#[derive(Debug, Clone)]
struct ModelKey {
    label: usize,
    active: u32,
    /// The secrets that it had, and when each was put away.
    retired: Vec<(u32, u32)>,
    removed: Option<u32>,
}

/// A state without ids and times: for each key its label, secret, former secrets in the order of undo, and removal.
type Shape = BTreeSet<(usize, u32, Vec<(usize, u32)>, Option<usize>)>;

impl ModelKey {
    fn previous(&self) -> Option<(u32, u32)> {
        self.retired.iter().copied().max_by_key(|(_, at)| *at)
    }

    fn last_change(&self) -> Option<u32> {
        self.removed.or_else(|| Some(self.previous()?.1))
    }
}

impl Model {
    fn live(&mut self, label: usize) -> Option<&mut ModelKey> {
        self.keys
            .iter_mut()
            .find(|key| key.label == label && key.removed.is_none())
    }

    /// What one process is told that does `op` alone.
    fn apply(&mut self, op: Op) -> String {
        self.clock += 1;
        let now = self.clock;
        let missing = || "refused: key_not_found".to_owned();
        match op {
            Op::Add { label, key } => {
                let replaced = self.live(label).map(|live| {
                    live.retired.push((live.active, now));
                    live.active = key;
                });
                if replaced.is_none() {
                    self.keys.push(ModelKey {
                        label,
                        active: key,
                        retired: Vec::new(),
                        removed: None,
                    });
                }
                format!("added, replaced: {}", replaced.is_some())
            }
            Op::Remove { label } => self.live(label).map_or_else(missing, |live| {
                live.removed = Some(now);
                format!("removed {}", live.active)
            }),
            Op::Rotate { label, key } => self.live(label).map_or_else(missing, |live| {
                let before = std::mem::replace(&mut live.active, key);
                live.retired.push((before, now));
                format!("rotated from {before}")
            }),
            Op::Undo { label } => self.undo(label, now),
            Op::Rekey => "rekeyed".to_owned(),
        }
    }

    fn undo(&mut self, label: Option<usize>, now: u32) -> String {
        let candidates = (0..self.keys.len()).filter(|at| label.is_none_or(|label| self.keys[*at].label == label));
        let last = candidates
            .filter(|at| self.keys[*at].last_change().is_some())
            .max_by_key(|at| self.keys[*at].last_change());
        let Some(last) = last else {
            return "refused: nothing_to_undo".to_owned();
        };
        let of = self.keys[last].label;
        if self.keys[last].removed.is_some() {
            match (self.live(of), label) {
                (Some(_), None) => return "refused: label_taken".to_owned(),
                (Some(taken), Some(_)) => taken.removed = Some(now),
                (None, _) => {}
            }
            self.keys[last].removed = None;
            return format!("undone removal {}", self.keys[last].active);
        }
        let key = &mut self.keys[last];
        let (previous, _) = key.previous().expect("it has changed");
        key.retired.retain(|(secret, _)| *secret != previous);
        key.retired.push((std::mem::replace(&mut key.active, previous), now));
        format!("undone secret {previous}")
    }

    fn shape(&self) -> Shape {
        let keys = self.keys.iter();
        shape(keys.map(|key| (key.label, key.active, key.retired.clone(), key.removed)))
    }
}

/// The same of any kind of time: what counts is the order.
fn shape<T: Ord + Copy>(keys: impl Iterator<Item = (usize, u32, Vec<(u32, T)>, Option<T>)>) -> Shape {
    let keys: Vec<_> = keys.collect();
    let times: BTreeSet<T> = keys
        .iter()
        .flat_map(|(_, _, retired, removed)| retired.iter().map(|(_, at)| *at).chain(*removed))
        .collect();
    let rank = |at: T| times.range(..at).count();
    keys.into_iter()
        .map(|(label, active, retired, removed)| {
            let mut retired: Vec<_> = retired.into_iter().map(|(secret, at)| (rank(at), secret)).collect();
            retired.sort_unstable();
            (label, active, retired, removed.map(rank))
        })
        .collect()
}

/// The state of the vault in `home`, as a process that has just started sees it.
fn found(home: &Path) -> Shape {
    let app = app(home);
    wait(vault_access::open(&app, &Silent)).expect("the vault opens");
    let contents = app.vault().contents().expect("the vault is whole");
    let report = app.vault().verify_audit().expect("the audit trail is readable");
    assert_eq!(report.fault, None);
    shape(contents.keys.values().map(|record| {
        let retired = record
            .versions
            .iter()
            .filter_map(|version| Some((number_of(&version.masked), version.retired_at()?)));
        let label = LABELS.iter().position(|label| *label == record.label.as_str());
        (
            label.expect("one of ours"),
            active(record),
            retired.collect(),
            record.removed_at,
        )
    }))
}

fn app(home: &Path) -> App {
    let environment = Environment::of([("API_KEYS_HOME", home.to_str().expect("text"))]);
    App::new(Settings::open(&environment).expect("settings"), Clock::System)
}

/// A process that does what it is asked; a warm one keeps the vault open, a cold one opens it anew each time.
struct Racer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Racer {
    fn start(home: &Path, is_warm: bool) -> Self {
        let mut child = this_test("races::a_child_races")
            .env(RACER, if is_warm { "warm" } else { "cold" })
            .env("API_KEYS_TEST_FOLDER", home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the child starts");
        Self {
            input: child.stdin.take().expect("piped"),
            output: BufReader::new(child.stdout.take().expect("piped")),
            child,
        }
    }

    fn ask(&mut self, ops: &[Op]) {
        let lines: Vec<String> = ops.iter().map(Op::to_string).collect();
        writeln!(self.input, "{}", lines.join("\n")).expect("the child reads");
    }

    fn told(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).expect("text") > 0, "the child ended");
            if let Some((_, told)) = line.trim_end().split_once("told: ") {
                return told.to_owned();
            }
        }
    }

    fn end(mut self) {
        drop(self.input);
        std::io::copy(&mut self.output, &mut std::io::sink()).expect("the child ends");
        assert!(self.child.wait().expect("the child ends").success());
    }
}

/// Does nothing unless a test below started it: then does what it reads, line by line.
#[test]
fn a_child_races() {
    let (Ok(kind), Ok(home)) = (std::env::var(RACER), std::env::var("API_KEYS_TEST_FOLDER")) else {
        return;
    };
    let mut app = app(Path::new(&home));
    for line in std::io::stdin().lines() {
        if kind == "cold" {
            app = self::app(Path::new(&home));
        }
        let outcome = Op::parse(&line.expect("text")).run(&app);
        tell(&outcome.unwrap_or_else(|why| format!("refused: {}", why.code().as_str())));
    }
}

/// Numbers that look random; the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, below: usize) -> usize {
        // The constants of Knuth's MMIX.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % below as u64).expect("a small number")
    }
}

/// A vault with processes at work in it, and what is known of it.
struct Race {
    home: Home,
    racers: Vec<Racer>,
    model: Model,
    keys: u32,
    chance: Chance,
    labels: usize,
}

impl Race {
    fn new(racers: usize, labels: usize, seed: u64) -> Self {
        let home = Home::new();
        home.config("[vault]\nmaster_key = \"key-file\"\n[providers.openai]\nbase_url = \"http://127.0.0.1:9/v1\"\n");
        let racers = (0..racers)
            .map(|racer| Racer::start(&home.path(), racer % 2 == 0))
            .collect();
        let mut race = Self {
            home,
            racers,
            model: Model::default(),
            keys: 0,
            chance: Chance(seed),
            labels,
        };
        race.alone(Kind::Add);
        race
    }

    fn draw(&mut self, kind: Kind) -> Op {
        let label = self.chance.below(self.labels);
        let mut fresh = || {
            self.keys += 1;
            self.keys
        };
        match kind {
            Kind::Add => Op::Add { label, key: fresh() },
            Kind::Remove => Op::Remove { label },
            Kind::Rotate => Op::Rotate { label, key: fresh() },
            Kind::Undo => Op::Undo {
                label: (self.chance.below(3) > 0).then_some(label),
            },
            Kind::Rekey => Op::Rekey,
        }
    }

    /// One process does one thing.
    fn alone(&mut self, kind: Kind) {
        let op = self.draw(kind);
        self.racers[0].ask(&[op]);
        let told = self.racers[0].told();
        assert_eq!(told, self.model.apply(op), "{op}");
    }

    /// Each process does what its list says, all at once.
    fn at_once(&mut self, kinds: &[Vec<Kind>]) {
        let ops: Vec<Vec<Op>> = kinds
            .iter()
            .map(|kinds| kinds.iter().map(|kind| self.draw(*kind)).collect())
            .collect();
        for (racer, ops) in self.racers.iter_mut().zip(&ops) {
            racer.ask(ops);
        }
        let history: Vec<Vec<(Op, String)>> = self
            .racers
            .iter_mut()
            .zip(&ops)
            .map(|(racer, ops)| ops.iter().map(|op| (*op, racer.told())).collect())
            .collect();
        let found = found(&self.home.path());
        let mut seen = BTreeSet::new();
        let order = in_some_order(&self.model, &history, &found, &mut seen);
        let Some(model) = order else {
            panic!(
                "no order of these explains what came of them\nbefore: {:?}\n{history:#?}\nafter: {found:?}",
                self.model.shape()
            );
        };
        self.model = model;
        // What is back afterwards is what would be had they gone one after the other.
        for _ in 0..self.chance.below(4) {
            self.alone(Kind::Undo);
        }
        assert_eq!(self::found(&self.home.path()), self.model.shape());
    }

    fn end(self) {
        self.racers.into_iter().for_each(Racer::end);
    }
}

/// What there is after the rest of `history` in the first order in which it can have happened.
fn in_some_order(
    model: &Model,
    history: &[Vec<(Op, String)>],
    found: &Shape,
    seen: &mut BTreeSet<(Vec<usize>, Shape)>,
) -> Option<Model> {
    if history.iter().all(Vec::is_empty) {
        return (model.shape() == *found).then(|| model.clone());
    }
    if !seen.insert((history.iter().map(Vec::len).collect(), model.shape())) {
        return None;
    }
    (0..history.len()).find_map(|next| {
        let ((op, told), _) = history[next].split_first()?;
        let mut after = model.clone();
        let gave_way = matches!(op, Op::Rotate { .. }) && told == "refused: busy";
        if !gave_way && after.apply(*op) != *told {
            return None;
        }
        let mut rest = history.to_vec();
        rest[next].remove(0);
        in_some_order(&after, &rest, found, seen)
    })
}

/// How often each race is run.
fn rounds(usual: usize) -> usize {
    std::env::var(ROUNDS).map_or(usual, |rounds| rounds.parse().expect("a number"))
}

#[test]
fn any_two_changes_at_once_end_as_if_one_had_come_after_the_other() {
    for (at, one) in KINDS.into_iter().enumerate() {
        for other in &KINDS[at..] {
            let mut race = Race::new(2, 1, at as u64);
            for _ in 0..rounds(3) {
                if race.chance.below(2) == 0 {
                    race.alone(Kind::Add);
                }
                race.at_once(&[vec![one], vec![*other]]);
            }
            race.end();
        }
    }
}

#[test]
fn changes_of_eight_processes_at_once_end_as_if_they_had_gone_one_after_the_other() {
    let mut race = Race::new(8, 2, 8);
    for round in 0..rounds(4) {
        race.alone(Kind::Add);
        let kinds: Vec<Vec<Kind>> = (0..8)
            .map(|_| (0..=round % 2).map(|_| KINDS[race.chance.below(5)]).collect())
            .collect();
        race.at_once(&kinds);
    }
    remark(&format!("{} keys were made", race.keys));
    race.end();
}
