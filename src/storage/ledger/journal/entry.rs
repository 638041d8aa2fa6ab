//! One entry: a frame around a record.
//!
//! ```text
//! length of the payload (u32, little-endian) · CRC-32 of all that follows (u32) · entry (u64) · state (u8) · payload
//! ```
//! The payload is the record as JSON; there is none where a request was canceled.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{
    Billing, OwnCost, RecordedCost, RequestOutcome, Service, Task, TokenCounts, Tokens, UsageRecord, UsageSource, Usd,
};

/// The bytes before a payload.
pub(super) const HEAD: usize = 4 + 4 + 8 + 1;
/// The longest payload that is believed.
const MAX_PAYLOAD_BYTES: usize = 1 << 20;

/// A request in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryId(pub(super) u64);

/// What is known of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryState {
    /// It is under way; the payload is what is recorded should the process die.
    Open,
    Ended,
    /// It reached no provider.
    Canceled,
}

/// An entry as it was read.
#[derive(Debug)]
pub(super) struct JournalEntry<'a> {
    pub(super) id: EntryId,
    pub(super) state: EntryState,
    pub(super) payload: &'a [u8],
    /// Its length with the frame.
    pub(super) length: usize,
}

/// Adds the frame of an entry to `bytes`.
pub(super) fn frame(id: EntryId, state: EntryState, payload: &[u8], bytes: &mut Vec<u8>) {
    let state = match state {
        EntryState::Open => 1,
        EntryState::Ended => 2,
        EntryState::Canceled => 3,
    };
    bytes.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    let checksum_at = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&id.0.to_le_bytes());
    bytes.push(state);
    bytes.extend_from_slice(payload);
    let checksum = crc32fast::hash(&bytes[checksum_at + 4..]);
    bytes[checksum_at..checksum_at + 4].copy_from_slice(&checksum.to_le_bytes());
}

/// The entry that `bytes` begin with, if it is whole.
pub(super) fn read(bytes: &[u8]) -> Option<JournalEntry<'_>> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (checksum, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let checked = rest.get(..HEAD - 8 + length).filter(|_| length <= MAX_PAYLOAD_BYTES)?;
    if crc32fast::hash(checked) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let (id, rest) = checked.split_first_chunk()?;
    let (state, payload) = rest.split_first()?;
    Some(JournalEntry {
        id: EntryId(u64::from_le_bytes(*id)),
        state: match state {
            1 => EntryState::Open,
            2 => EntryState::Ended,
            3 => EntryState::Canceled,
            _ => return None,
        },
        payload,
        length: HEAD + length,
    })
}

/// The bases of a cost that have names.
const LOWER_BOUND: &str = "lower_bound";
const STATED: &str = "stated";

/// A [`UsageRecord`] as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredEntry<'a> {
    /// Milliseconds since 1970.
    at: i64,
    provider: Cow<'a, str>,
    model: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tags: Option<Cow<'a, str>>,
    source: Cow<'a, str>,
    service: Cow<'a, str>,
    /// Input, output, cache reads, cache writes, those for an hour, reasoning.
    tokens: [u64; 6],
    success: bool,
    status: Option<u16>,
    latency_ms: Option<u32>,
    /// Nano-dollars, where the cost is known.
    cost: Option<i64>,
    /// Whether the tokens are an estimate.
    estimated: bool,
    /// How the cost is known, where it is neither computed nor estimated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    basis: Option<Cow<'a, str>>,
    /// Nano-dollars that our prices make of it, beside a stated cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    own_cost: Option<i64>,
    price: Option<Cow<'a, str>>,
    request_id: Option<Cow<'a, str>>,
    /// The provider's own id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upstream_id: Option<Cow<'a, str>>,
    /// Whether a plan covers it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    planned: bool,
}

/// The payload for `record`.
pub(super) fn encode(record: &UsageRecord) -> Vec<u8> {
    fn borrowed(text: Option<&String>) -> Option<Cow<'_, str>> {
        text.map(|text| Cow::Borrowed(text.as_str()))
    }
    let tokens = &record.tokens;
    let stored = StoredEntry {
        at: record.at.as_millisecond(),
        provider: record.model.provider.as_str().into(),
        model: record.model.model.as_str().into(),
        label: record.label.as_ref().map(|label| label.as_str().into()),
        task: record.task.map(|task| task.as_str().into()),
        project: borrowed(record.project.as_ref()),
        session: borrowed(record.session.as_ref()),
        client: borrowed(record.client.as_ref()),
        agent: borrowed(record.agent.as_ref()),
        tags: record.tags.text().map(Cow::Borrowed),
        source: record.source.as_str().into(),
        service: record.service.as_str().into(),
        tokens: [
            tokens.input(),
            tokens.output(),
            tokens.cache_read(),
            tokens.cache_write(),
            tokens.cache_write_1h(),
            tokens.reasoning(),
        ],
        success: record.outcome.success,
        status: record.outcome.status_code,
        latency_ms: record.outcome.latency_ms,
        cost: record.cost.usd().map(Usd::nano),
        estimated: matches!(record.cost, RecordedCost::Estimated { .. }),
        basis: match record.cost {
            RecordedCost::LowerBound { .. } => Some(LOWER_BOUND.into()),
            RecordedCost::Stated { .. } => Some(STATED.into()),
            RecordedCost::Computed { .. } | RecordedCost::Estimated { .. } | RecordedCost::Unpriced => None,
        },
        own_cost: match &record.cost {
            RecordedCost::Stated { own, .. } => own.as_ref().map(|own| own.cost.nano()),
            RecordedCost::Computed { .. }
            | RecordedCost::Estimated { .. }
            | RecordedCost::LowerBound { .. }
            | RecordedCost::Unpriced => None,
        },
        price: record.cost.price().map(Cow::Borrowed),
        request_id: borrowed(record.request_id.as_ref()),
        upstream_id: borrowed(record.upstream_id.as_ref()),
        planned: record.billing == Billing::Plan,
    };
    // Numbers and texts can always be written.
    serde_json::to_vec(&stored).unwrap_or_default()
}

/// The record in `payload`; nothing where this version cannot read it.
pub(super) fn decode(payload: &[u8]) -> Option<UsageRecord> {
    fn one_of<T: Copy>(all: &[T], spell: fn(T) -> &'static str, text: &str) -> Option<T> {
        all.iter().copied().find(|one| spell(*one) == text)
    }
    let stored: StoredEntry<'_> = serde_json::from_slice(payload).ok()?;
    let [input, output, cache_read, cache_write, cache_write_1h, reasoning] = stored.tokens;
    let price = stored.price.unwrap_or_default().into_owned();
    let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
    Some(UsageRecord {
        at: Timestamp::from_millisecond(stored.at).ok()?,
        model: format!("{}/{}", stored.provider, stored.model).parse().ok()?,
        label: stored.label.map(|label| label.parse()).transpose().ok()?,
        task: match stored.task {
            Some(task) => Some(one_of(&Task::ALL, Task::as_str, &task)?),
            None => None,
        },
        project: owned(stored.project),
        session: owned(stored.session),
        client: owned(stored.client),
        agent: owned(stored.agent),
        tags: stored.tags.and_then(|tags| tags.parse().ok()).unwrap_or_default(),
        source: one_of(&UsageSource::ALL, UsageSource::as_str, &stored.source)?,
        service: one_of(&Service::ALL, Service::as_str, &stored.service)?,
        tokens: Tokens::new(TokenCounts {
            input,
            output,
            cache_read,
            cache_write,
            cache_write_1h,
            reasoning,
        })
        .ok()?,
        outcome: RequestOutcome {
            success: stored.success,
            status_code: stored.status,
            latency_ms: stored.latency_ms,
        },
        cost: match stored.cost.map(Usd::from_nano) {
            Some(cost) if stored.basis.as_deref() == Some(STATED) => RecordedCost::Stated {
                cost,
                own: stored.own_cost.map(|own| OwnCost {
                    cost: Usd::from_nano(own),
                    price,
                }),
            },
            Some(cost) if stored.basis.as_deref() == Some(LOWER_BOUND) => RecordedCost::LowerBound { cost, price },
            Some(cost) if stored.estimated => RecordedCost::Estimated { cost, price },
            Some(cost) => RecordedCost::Computed { cost, price },
            None => RecordedCost::Unpriced,
        },
        billing: if stored.planned { Billing::Plan } else { Billing::Billed },
        request_id: owned(stored.request_id),
        upstream_id: owned(stored.upstream_id),
    })
}
