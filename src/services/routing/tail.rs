//! What the last requests show of keys and models: how fast they answer, how busy they are, what is gone.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};

use crate::{
    domain::{Label, ModelRef, ProviderId},
    storage::ledger::{Asked, Past},
};

/// How far back requests count.
pub(super) const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);
/// How far back a model's absence is believed.
const ABSENCE_MAX_AGE: SignedDuration = SignedDuration::from_hours(1);
/// How many times in a row a provider must say that it has no such model.
const GONE_AFTER: u32 = 2;
/// How many answers a median is of at most.
const MAX_ANSWERS: usize = 50;
pub(super) const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// The last requests, by key and by model.
#[derive(Debug, Default)]
pub(super) struct RecentRequests<'p> {
    keys: Numbered<(&'p ProviderId, Option<&'p Label>), OfKey>,
    models: Numbered<&'p ModelRef, OfModel>,
}

/// Things by name, and by number for those who come again.
#[derive(Debug)]
struct Numbered<K, V> {
    numbers: BTreeMap<K, usize>,
    all: Vec<V>,
}

#[derive(Debug, Default)]
struct OfKey {
    /// When its requests of the last minute were made, newest first.
    times: Vec<Timestamp>,
    latencies: Vec<u32>,
}

#[derive(Debug, Default)]
struct OfModel {
    latencies: Vec<u32>,
    /// How often in a row, up to now, the provider said that it has no such model.
    missing: u32,
    is_there: bool,
}

impl<'p> RecentRequests<'p> {
    /// The tail of `past`, oldest first.
    pub(super) fn of(past: impl DoubleEndedIterator<Item = &'p Past>, now: Timestamp) -> Self {
        let mut tail = Self::default();
        let (a_minute_ago, long_ago) = (now - MINUTE, now - ABSENCE_MAX_AGE);
        let mut numbers: BTreeMap<*const Asked, (usize, usize)> = BTreeMap::new();
        for it in past.rev() {
            let (key, model) = *numbers.entry(Arc::as_ptr(&it.asked)).or_insert_with(|| {
                let Asked { model, label } = &*it.asked;
                let key = (&model.provider, label.as_ref());
                (tail.keys.number(key), tail.models.number(model))
            });
            let (key, model) = (&mut tail.keys.all[key], &mut tail.models.all[model]);
            if it.at > a_minute_ago {
                key.times.push(it.at);
            }
            if let (true, Some(latency)) = (it.outcome.success, it.outcome.latency_ms) {
                for latencies in [&mut key.latencies, &mut model.latencies] {
                    if latencies.len() < MAX_ANSWERS {
                        latencies.push(latency);
                    }
                }
            }
            let is_missing = it.outcome.status_code == Some(404);
            model.is_there |= !is_missing || it.at < long_ago;
            model.missing += u32::from(!model.is_there);
        }
        let of_keys = tail.keys.all.iter_mut().map(|key| &mut key.latencies);
        let of_models = tail.models.all.iter_mut().map(|model| &mut model.latencies);
        of_keys.chain(of_models).for_each(|latencies| latencies.sort_unstable());
        tail
    }

    /// When the requests of the last minute with each of `labels` were made, in no order.
    pub(super) fn times<'s>(
        &'s self,
        provider: &'s ProviderId,
        labels: impl IntoIterator<Item = Option<&'s Label>>,
    ) -> Vec<&'s [Timestamp]> {
        let of_keys = labels.into_iter().filter_map(|label| self.keys.get(&(provider, label)));
        of_keys.map(|key| key.times.as_slice()).collect()
    }

    /// The median of the key's last answers.
    pub(super) fn key_latency(&self, provider: &ProviderId, label: Option<&Label>) -> Option<u32> {
        percentile(&self.keys.get(&(provider, label))?.latencies, 50)
    }

    /// The median of the model's last answers.
    pub(super) fn model_latency(&self, model: &ModelRef) -> Option<u32> {
        percentile(&self.models.get(&model)?.latencies, 50)
    }

    /// Whether there are requests to the provider in it.
    pub(super) fn knows(&self, provider: &ProviderId) -> bool {
        let mut from = self.keys.numbers.range((provider, None)..);
        from.next().is_some_and(|((next, _), _)| *next == provider)
    }

    /// Whether the provider keeps saying that it has no such model.
    pub(super) fn is_gone(&self, model: &ModelRef) -> bool {
        self.models.get(&model).is_some_and(|it| it.missing >= GONE_AFTER)
    }
}

impl<K: Ord, V: Default> Numbered<K, V> {
    /// The number of what is called `name`; it gets one if it has none.
    fn number(&mut self, name: K) -> usize {
        *self.numbers.entry(name).or_insert_with(|| {
            self.all.push(V::default());
            self.all.len() - 1
        })
    }

    fn get(&self, name: &K) -> Option<&V> {
        self.numbers.get(name).map(|number| &self.all[*number])
    }
}

impl<K, V> Default for Numbered<K, V> {
    fn default() -> Self {
        Self {
            numbers: BTreeMap::new(),
            all: Vec::new(),
        }
    }
}

/// The smallest of `sorted` that so many percent do not exceed.
pub(super) fn percentile(sorted: &[u32], percent: usize) -> Option<u32> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RequestOutcome;

    fn at(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000 + second)
    }

    fn past(second: i64, label: Option<&str>, status_code: u16, latency_ms: u32) -> Past {
        let asked = Asked {
            model: "openai/gpt".parse().expect("a model"),
            label: label.map(|label| label.parse().expect("a label")),
        };
        Past {
            id: 0,
            at: at(second),
            asked: Arc::new(asked),
            outcome: RequestOutcome {
                success: status_code == 200,
                status_code: Some(status_code),
                latency_ms: Some(latency_ms),
            },
        }
    }

    #[test]
    fn keys_are_as_busy_as_the_last_minute_was_and_as_fast_as_their_answers() {
        let all = [
            past(-90, Some("work"), 200, 100),
            past(-50, Some("work"), 200, 300),
            past(-40, None, 500, 9),
            past(-30, Some("work"), 200, 500),
        ];
        let tail = RecentRequests::of(all.iter(), at(0));
        let (provider, work): (ProviderId, Label) = ("openai".parse().expect("one"), "work".parse().expect("one"));
        assert_eq!(tail.times(&provider, [Some(&work)]), [[at(-30), at(-50)]]);
        let both = tail.times(&provider, [Some(&work), None]);
        assert_eq!(both.concat(), [at(-30), at(-50), at(-40)]);
        assert_eq!(tail.key_latency(&provider, Some(&work)), Some(300));
        assert_eq!(tail.key_latency(&provider, None), None, "a failure is no answer");
        assert_eq!(tail.model_latency(&all[0].asked.model), Some(300));
    }

    #[test]
    fn a_model_is_gone_when_the_provider_says_so_twice_in_a_row() {
        let gone = |all: &[Past]| RecentRequests::of(all.iter(), at(0)).is_gone(&all[0].asked.model);
        assert!(!gone(&[past(-9, None, 404, 1)]));
        assert!(gone(&[past(-9, None, 404, 1), past(-8, None, 404, 1)]));
        assert!(!gone(&[
            past(-9, None, 404, 1),
            past(-8, None, 404, 1),
            past(-7, None, 200, 1)
        ]));
        assert!(
            !gone(&[past(-3700, None, 404, 1), past(-3650, None, 404, 1)]),
            "an hour later it may be back"
        );
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        assert_eq!(percentile(&[], 50), None);
        let hundred: Vec<u32> = (1..=100).collect();
        for percent in [1, 50, 95, 100] {
            assert_eq!(percentile(&hundred, percent), u32::try_from(percent).ok());
        }
        assert_eq!(percentile(&[7], 95), Some(7));
    }
}
