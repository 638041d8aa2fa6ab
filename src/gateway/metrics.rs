//! What the gateway has done, as Prometheus text with the names of OpenTelemetry's GenAI conventions.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::domain::{UsageRecord, Usd};

/// Upper bounds of the buckets for tokens, as the conventions advise.
const TOKENS: [u64; 14] = [
    1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864,
];
/// Upper bounds of the buckets for durations, in milliseconds, as the conventions advise.
const MILLISECONDS: [u64; 14] = [
    10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 5_120, 10_240, 20_480, 40_960, 81_920,
];
/// The most series of one metric: a client can name models without end.
const MAX_SERIES: usize = 1_000;

/// Counters, kept for as long as the process lives.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    refused: Mutex<BTreeMap<u16, u64>>,
    /// How often a response was looked for in the cache, and was not there, and was.
    looked_up: [AtomicU64; 2],
    series: Mutex<BTreeMap<MetricLabels, Sums>>,
}

/// The labels that measurements are grouped by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct MetricLabels {
    operation: &'static str,
    provider: String,
    model: String,
    /// Nothing for success.
    error: Option<String>,
}

#[derive(Debug, Default)]
struct Sums {
    input: Histogram,
    output: Histogram,
    duration: Histogram,
    first_chunk: Histogram,
    cost: Usd,
}

/// Counts by bucket; one for each value, in the smallest bucket that it fits in.
#[derive(Debug, Default)]
struct Histogram {
    buckets: [u64; 14],
    beyond: u64,
    sum: u64,
}

impl Metrics {
    /// Counts a request that was sent to a provider.
    pub(super) fn count(&self, operation: &'static str, record: &UsageRecord, took: Duration) {
        let error = (!record.outcome.success).then(|| {
            let status = record.outcome.status_code;
            status.map_or_else(|| "unreachable".to_owned(), |status| status.to_string())
        });
        self.with(operation, record, error, |sums| {
            sums.input.add(&TOKENS, record.tokens.input());
            sums.output.add(&TOKENS, record.tokens.output());
            sums.duration.add(&MILLISECONDS, milliseconds(took));
            sums.cost = sums.cost + record.cost.usd().unwrap_or_default();
        });
    }

    /// Counts how long a stream's first chunk took.
    pub(super) fn count_first_chunk(&self, operation: &'static str, record: &UsageRecord, took: Duration) {
        self.with(operation, record, None, |sums| {
            sums.first_chunk.add(&MILLISECONDS, milliseconds(took));
        });
    }

    /// Counts a request that was sent to no provider.
    pub(super) fn count_refused(&self, status: u16) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused.entry(status).or_default() += 1;
    }

    /// Counts a look into the cache.
    pub(super) fn count_looked_up(&self, is_found: bool) {
        self.looked_up[usize::from(is_found)].fetch_add(1, Ordering::Relaxed);
    }

    fn with(
        &self,
        operation: &'static str,
        record: &UsageRecord,
        error: Option<String>,
        change: impl FnOnce(&mut Sums),
    ) {
        let mut all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let mut series = MetricLabels {
            operation,
            provider: record.model.provider.to_string(),
            model: record.model.model.to_string(),
            error,
        };
        if all.len() >= MAX_SERIES && !all.contains_key(&series) {
            "other".clone_into(&mut series.model);
        }
        change(all.entry(series).or_default());
    }

    /// All of it, and how many requests are under way, and wait, as Prometheus reads it.
    pub(super) fn text(&self, (under_way, waiting): (usize, usize)) -> String {
        let mut text = String::new();
        let all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let mut histogram = |name: &str, help: &str, bounds: &[u64; 14], scale: u64, pick: &Pick<'_>| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} histogram");
            for (series, sums) in all.iter() {
                for (kind, values) in pick(sums) {
                    if values.count() > 0 {
                        values.write(&mut text, name, &series.labels(kind), bounds, scale);
                    }
                }
            }
        };
        histogram(
            "gen_ai_client_token_usage",
            "Tokens of a request.",
            &TOKENS,
            1,
            &|sums| vec![(Some("input"), &sums.input), (Some("output"), &sums.output)],
        );
        histogram(
            "gen_ai_client_operation_duration_seconds",
            "How long a request took, from the gateway to the provider and back.",
            &MILLISECONDS,
            1_000,
            &|sums| vec![(None, &sums.duration)],
        );
        histogram(
            "gen_ai_client_operation_time_to_first_chunk_seconds",
            "How long the first chunk of a stream took.",
            &MILLISECONDS,
            1_000,
            &|sums| vec![(None, &sums.first_chunk)],
        );
        let name = "api_keys_cost_usd_total";
        let _ = writeln!(
            text,
            "# HELP {name} What requests cost, where that is known.\n# TYPE {name} counter"
        );
        for (series, sums) in all.iter() {
            let _ = writeln!(text, "{name}{{{}}} {}", series.labels(None), sums.cost.digits());
        }
        let name = "api_keys_gateway_refused_total";
        let _ = writeln!(
            text,
            "# HELP {name} Requests refused before they were sent to a provider.\n# TYPE {name} counter"
        );
        for (status, count) in self.refused.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let _ = writeln!(text, "{name}{{status=\"{status}\"}} {count}");
        }
        let name = "api_keys_gateway_cache_requests_total";
        let _ = writeln!(
            text,
            "# HELP {name} Requests looked up in the cache.\n# TYPE {name} counter"
        );
        for (result, count) in ["miss", "hit"].iter().zip(&self.looked_up) {
            let _ = writeln!(text, "{name}{{result=\"{result}\"}} {}", count.load(Ordering::Relaxed));
        }
        for (name, help, count) in [
            (
                "under_way",
                "Requests to a provider whose response has not ended yet.",
                under_way,
            ),
            ("waiting", "Requests that wait for a key.", waiting),
        ] {
            let name = format!("api_keys_gateway_requests_{name}");
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {count}");
        }
        text
    }
}

/// Which histograms of the sums are written, and of which kind of token.
type Pick<'a> = dyn Fn(&Sums) -> Vec<(Option<&'static str>, &Histogram)> + 'a;

impl MetricLabels {
    fn labels(&self, token_type: Option<&str>) -> String {
        let mut labels = format!(
            "gen_ai_operation_name=\"{}\",gen_ai_provider_name=\"{}\",gen_ai_request_model=\"{}\"",
            self.operation,
            escaped(&self.provider),
            escaped(&self.model)
        );
        if let Some(kind) = token_type {
            let _ = write!(labels, ",gen_ai_token_type=\"{kind}\"");
        }
        if let Some(error) = &self.error {
            let _ = write!(labels, ",error_type=\"{error}\"");
        }
        labels
    }
}

impl Histogram {
    fn add(&mut self, bounds: &[u64; 14], value: u64) {
        self.sum += value;
        match bounds.iter().position(|bound| value <= *bound) {
            Some(at) => self.buckets[at] += 1,
            None => self.beyond += 1,
        }
    }

    fn count(&self) -> u64 {
        self.buckets.iter().sum::<u64>() + self.beyond
    }

    /// The bounds are written in units of which there are `scale` in one of theirs.
    fn write(&self, text: &mut String, name: &str, labels: &str, bounds: &[u64; 14], scale: u64) {
        let mut so_far = 0;
        for (bound, count) in bounds.iter().zip(self.buckets) {
            so_far += count;
            let _ = writeln!(
                text,
                "{name}_bucket{{{labels},le=\"{}\"}} {so_far}",
                scaled(*bound, scale)
            );
        }
        let count = self.count();
        let _ = writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}");
        let _ = writeln!(text, "{name}_sum{{{labels}}} {}", scaled(self.sum, scale));
        let _ = writeln!(text, "{name}_count{{{labels}}} {count}");
    }
}

fn scaled(value: u64, scale: u64) -> String {
    if scale == 1 {
        return value.to_string();
    }
    format!("{}.{:03}", value / scale, value % scale)
}

fn milliseconds(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
