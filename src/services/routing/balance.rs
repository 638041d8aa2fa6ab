//! Which of several equals takes a request.
//!
//! Requests of one session stay with one key: its provider has their prompt cached, which is worth more than an even
//! load. The key is found by rendezvous hashing, so that where one is out only its own sessions move. Requests without
//! a session go where most of the quota is left, then to the fastest.

use jiff::Timestamp;

use super::supply::{KeySupply, Supply};
use crate::{domain::Label, providers::Provider};

/// What an unknown quota counts as, in requests per minute.
const UNKNOWN_QUOTA: u32 = 60;

/// How an equal ranks for a request: less is better.
pub(super) type Share = (u64, u32);

impl Supply {
    /// Its key for the request; nothing where none can be used.
    pub fn key_for(&self, session: Option<&str>, now: Timestamp) -> Option<&KeySupply> {
        let usable = self.keys.iter().filter(|key| key.obstacle(now).is_none());
        usable.min_by_key(|key| {
            let parts = [self.provider.as_str(), key.label.as_str()];
            (
                key.exposed,
                share(session, &parts, key.weight, key.load(), key.latency_ms),
                &key.label,
            )
        })
    }

    /// How the provider ranks among those of equal rank.
    pub(super) fn share(&self, session: Option<&str>, now: Timestamp) -> Share {
        let best = self.key_for(None, now);
        let load = best.map_or(u64::MAX, KeySupply::load) / u64::from(self.weight.max(1));
        let latency = best.and_then(|key| key.latency_ms);
        share(session, &[self.provider.as_str()], self.weight, load, latency)
    }
}

impl KeySupply {
    /// The part of its quota that the last minute took, in millionths, by weight.
    fn load(&self) -> u64 {
        let quota = u64::from(self.limit.unwrap_or(UNKNOWN_QUOTA).max(1)) * u64::from(self.weight.max(1));
        u64::from(self.used) * 1_000_000 / quota
    }
}

fn share(session: Option<&str>, parts: &[&str], weight: u32, load: u64, latency_ms: Option<u32>) -> Share {
    match session {
        Some(session) => (u64::MAX - rendezvous(session, parts, weight), 0),
        None => (load, latency_ms.unwrap_or_default()),
    }
}

/// How the key of `provider` with that label ranks for a session: less is better.
pub fn affinity(session: &str, provider: &Provider, label: &Label) -> u64 {
    let weight = provider.keys.get(label).map_or(1, |key| key.weight);
    u64::MAX - rendezvous(session, &[provider.id.as_str(), label.as_str()], weight)
}

/// The highest of `weight` tickets that `parts` draw for `session`.
fn rendezvous(session: &str, parts: &[&str], weight: u32) -> u64 {
    let seed = parts.iter().fold(hash(0, session), |seed, part| hash(seed, part));
    (0..weight.max(1))
        .map(|ticket| mixed(seed ^ u64::from(ticket)))
        .max()
        .unwrap_or_default()
}

/// FNV-1a: the same in every process and on every machine.
fn hash(seed: u64, text: &str) -> u64 {
    let bytes = text.bytes().chain([0]);
    bytes.fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The finalizer of SplitMix64: every bit of the input tells on every bit of the output.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{domain::Health, services::routing::Verdict};

    fn key(label: &str, weight: u32) -> KeySupply {
        KeySupply {
            label: label.parse().expect("a label"),
            obstacle: None,
            health: Health::default(),
            restored_at: None,
            weight,
            exposed: false,
            used: 0,
            limit: None,
            eases_at: None,
            latency_ms: None,
        }
    }

    fn supply(keys: Vec<KeySupply>) -> Supply {
        Supply {
            provider: "openai".parse().expect("a provider"),
            obstacle: None,
            keys,
            weight: 1,
            offers: Vec::new(),
            hidden: 0,
        }
    }

    fn chosen(supply: &Supply, session: Option<&str>) -> String {
        supply
            .key_for(session, Timestamp::UNIX_EPOCH)
            .expect("usable")
            .label
            .to_string()
    }

    #[test]
    fn without_a_session_the_key_with_most_quota_left_takes_it_then_the_fastest() {
        let mut all = supply(vec![key("a", 1), key("b", 1), key("c", 1)]);
        assert_eq!(chosen(&all, None), "a");
        all.keys[0].used = 10;
        all.keys[1].latency_ms = Some(900);
        all.keys[2].latency_ms = Some(300);
        assert_eq!(chosen(&all, None), "c");
        all.keys[2].used = 20;
        all.keys[2].limit = Some(6_000);
        all.keys[1].used = 1;
        assert_eq!(chosen(&all, None), "c", "20 of 6,000 is less than 1 of 60");
        all.keys[2].obstacle = Some(Verdict::NoCredit);
        assert_eq!(chosen(&all, None), "b");
    }

    #[test]
    fn a_key_that_was_sent_through_a_chat_is_used_where_no_other_is() {
        let mut all = supply(vec![key("a", 1), key("b", 1)]);
        all.keys[0].exposed = true;
        all.keys[1].used = 50;
        for session in [None, Some("one"), Some("two"), Some("three")] {
            assert_eq!(chosen(&all, session), "b");
        }
        all.keys[1].obstacle = Some(Verdict::NoCredit);
        assert_eq!(chosen(&all, None), "a");
    }

    #[test]
    fn sessions_stay_with_their_key_and_only_those_of_a_lost_key_move() {
        let before = supply(vec![key("a", 1), key("b", 1), key("c", 2)]);
        let mut after = before.clone();
        after.keys[1].obstacle = Some(Verdict::NoCredit);
        let mut count = BTreeMap::<String, u32>::new();
        for session in (0..4_000).map(|number| format!("session-{number}")) {
            let first = chosen(&before, Some(&session));
            assert_eq!(chosen(&before, Some(&session)), first);
            if first != "b" {
                assert_eq!(chosen(&after, Some(&session)), first);
            }
            *count.entry(first).or_default() += 1;
        }
        for (label, expected) in [("a", 1_000), ("b", 1_000), ("c", 2_000)] {
            let found = count[label];
            assert!(
                found.abs_diff(expected) < 150,
                "{label} has {found} of about {expected}"
            );
        }
    }
}
