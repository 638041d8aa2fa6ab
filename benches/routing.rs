//! What a route costs, and what of it the decision: `cargo bench --bench routing`.
//!
//! Two worlds: four providers with a key each and the built-in models, and twenty providers with fifty models and five
//! keys each. The ledger's tail is full in both. The median of many rounds, one after the other.
//!
//! No criterion: its crates would be built with every check of all targets, to tell apart what these figures show anyway.

#![expect(clippy::print_stdout, reason = "the figures are the answer")]

use std::{
    fmt::Write as _,
    future::Future,
    hint::black_box,
    path::Path,
    pin::Pin,
    time::{Duration, Instant},
};

use api_keys::{
    app::{App, Clock},
    domain::{
        Billing, ModelRef, RecordedCost, RequestOutcome, Secret, Service, Tags, Task, Tokens, UsageRecord, UsageSource,
    },
    error::{Code, Error, Result},
    services::{
        caller::{Caller, CallerKind, Question},
        keys::{self, NewKey},
        routing::{self, RouteQuery, RoutingSnapshot, Wanted, decide},
    },
    settings::{Environment, Settings},
};
use jiff::{SignedDuration, Timestamp};

const ROUNDS: usize = 400;
/// As many as routing looks back at.
const REQUESTS: i64 = 2_000;

/// A caller that cannot be asked.
struct Silent;

impl Caller for Silent {
    fn kind(&self) -> CallerKind {
        CallerKind::Mcp {
            client: "bench".to_owned(),
        }
    }

    fn ask<'a>(&'a self, _: Question) -> Pin<Box<dyn Future<Output = Result<Secret>> + Send + 'a>> {
        Box::pin(async { Err(Error::new(Code::KeyRequired, "not interactive")) })
    }

    fn progress(&self, _: usize, _: usize, _: &str) {}
}

fn main() {
    let usual = "[vault]\nmaster_key = \"key-file\"\n[providers.local]\nenabled = false\n";
    let four: Vec<String> = ["anthropic", "openai", "google", "mistral"]
        .map(|provider| format!("{provider}:default"))
        .to_vec();
    measure("4 providers × 1 key, built-in models", usual, &four);

    let mut many = usual.to_owned();
    let mut prices = String::new();
    let mut keys = Vec::new();
    for provider in 0..20 {
        let name = format!("provider-{provider}");
        let models: Vec<String> = (0..50).map(|model| format!("\"model-{model}\"")).collect();
        let _ = writeln!(
            many,
            "[providers.{name}]\nkind = \"openai-compatible\"\nbase_url = \"https://{name}.example/v1\"\nmodels = [{}]",
            models.join(", ")
        );
        for model in 0..50 {
            let price = (provider + model) % 17;
            let _ = writeln!(
                prices,
                "[[prices]]\nmodel = \"{name}/model-{model}\"\ninput = {price}.5\noutput = {price}"
            );
        }
        keys.extend((0..5).map(|key| format!("{name}:key-{key}")));
    }
    measure("20 providers × 50 models × 5 keys", &(many + &prices), &keys);
}

fn measure(what: &str, config: &str, keys: &[String]) {
    let folder = tempfile::tempdir().expect("a folder");
    let app = world(folder.path(), config, keys);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    println!("{what}");
    let wanted = Wanted::of(Task::CodeGeneration);
    show("a route, all of it", || {
        let _ = black_box(runtime.block_on(routing::route(&app, &wanted)));
    });
    show("of that, the state", || {
        let _ = black_box(runtime.block_on(RoutingSnapshot::of(&app)));
    });
    let state = runtime.block_on(RoutingSnapshot::of(&app)).expect("a state");
    let policy = state.policy(Task::CodeGeneration);
    show("of that, the candidates", || {
        black_box(state.supplies(Task::CodeGeneration, None, false));
    });
    let supplies = state.supplies(Task::CodeGeneration, None, false);
    let ask = RouteQuery::of(Task::CodeGeneration);
    show("of that, the decision", || {
        black_box(decide(&policy, &supplies, &ask, state.now));
    });
    let decision = decide(&policy, &supplies, &ask, state.now);
    println!("  {} candidates", decision.considered.len());
}

/// A home with `config`, a key for each of `keys`, and a ledger whose tail is full.
fn world(folder: &Path, config: &str, keys: &[String]) -> App {
    let home = folder.join("home");
    std::fs::create_dir(&home).expect("a folder");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).expect("a private folder");
    }
    std::fs::write(home.join("config.toml"), config).expect("a file");
    let home = home.to_string_lossy().into_owned();
    let settings = Settings::open(&Environment::of([("API_KEYS_HOME", home.as_str())])).expect("a home");
    let app = App::new(settings, Clock::System);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    for key in keys {
        let (provider, label) = key.split_once(':').expect("both");
        let new = NewKey {
            provider: app.settings().current().provider(provider).expect("configured"),
            label: label.parse().expect("a label"),
            description: None,
            expires_at: None,
            source: keys::NewSecretSource::Argument(Secret::new(&format!("abcdefghij0123456789-{provider}-{label}"))),
        };
        runtime.block_on(keys::add(&app, &Silent, new)).expect("added");
    }
    for number in 0..REQUESTS {
        let key = &keys[usize::try_from(number).unwrap_or_default() % keys.len()];
        let (provider, label) = key.split_once(':').expect("both");
        let record = UsageRecord {
            at: Timestamp::now() - SignedDuration::from_secs(REQUESTS - number),
            model: format!("{provider}/model-{}", number % 50)
                .parse::<ModelRef>()
                .expect("a model"),
            label: label.parse().ok(),
            task: Some(Task::Chat),
            project: None,
            session: None,
            client: None,
            agent: None,
            tags: Tags::default(),
            billing: Billing::Billed,
            upstream_id: None,
            source: UsageSource::Reported,
            service: Service::Standard,
            tokens: Tokens::default(),
            outcome: RequestOutcome {
                success: true,
                status_code: Some(200),
                latency_ms: u32::try_from(300 + number % 900).ok(),
            },
            cost: RecordedCost::Unpriced,
            request_id: None,
        };
        app.ledger().record(&record).expect("recorded");
    }
    app
}

fn show(what: &str, work: impl Fn()) {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let from = Instant::now();
            work();
            from.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!(
        "  {what:<24} median {:>10.2?}   fastest {:>10.2?}",
        times[ROUNDS / 2],
        times[0]
    );
}
