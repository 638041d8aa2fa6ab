//! Cached responses that are given again without asking a provider: to the same client, for the very same request.
//!
//! Only where a response is the same each time anyway: embeddings, and texts at temperature 0, whole and counted. Off
//! unless the configuration says otherwise, and kept in memory alone. A response that is given again is in no ledger.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use hashlink::LruCache;
use hyper::{
    HeaderMap,
    header::{self, HeaderName},
};
use tokio::time::Instant;

use super::{
    http::headers,
    request::{client_request::ClientRequest, fields::BodyFields, prepared_request::PreparedRequest},
};
use crate::{settings, storage};

/// The most responses that are kept, however small they are.
const MAX_RESPONSES: usize = 100_000;
/// What a response takes besides its body, in bytes, about.
const OVERHEAD: usize = 512;
/// What of a response's head is kept: that without which its body cannot be read.
const KEPT: [HeaderName; 2] = [header::CONTENT_TYPE, header::CONTENT_ENCODING];
/// Headers of a request that change nothing about the response.
const BESIDE_THE_POINT: [&str; 8] = [
    "cache-control",
    "pragma",
    "user-agent",
    "idempotency-key",
    "x-client-request-id",
    "x-request-id",
    "traceparent",
    "tracestate",
];
/// The beginning of what the official libraries say of themselves.
const OF_LIBRARIES: &str = "x-stainless-";

/// The responses that are kept, the one that was used last at the end.
pub(super) struct ResponseCache {
    kept: Mutex<LruCache<CacheKey, CachedResponse>>,
    /// What they take together; changed only while `kept` is held.
    bytes: AtomicUsize,
}

/// All that a response depends on, as a hash.
type CacheKey = [u8; 32];

/// A request whose response may be kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cacheable {
    key: CacheKey,
    /// Whether an older response will do.
    takes_older: bool,
}

/// A response that is kept.
#[derive(Debug, Clone)]
pub(super) struct CachedResponse {
    since: Instant,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl ResponseCache {
    /// The request as it can be found again; nothing where no response to it is kept.
    pub(super) fn cacheable(
        &self,
        request: &ClientRequest,
        fields: &BodyFields<'_>,
        prepared: &PreparedRequest,
    ) -> Option<Cacheable> {
        if !request.config.gateway.cache.enabled {
            self.forget_all();
            return None;
        }
        let says = |word: &str| {
            let values = request.headers.get_all(header::CACHE_CONTROL).iter();
            let mut words = values
                .filter_map(|value| value.to_str().ok())
                .flat_map(|value| value.split(','));
            words.any(|said| said.trim().eq_ignore_ascii_case(word))
        };
        if !fields.has_one_answer(&request.call.endpoint) || says("no-store") {
            return None;
        }
        Some(Cacheable {
            key: key(request, prepared),
            takes_older: !says("no-cache"),
        })
    }

    /// The response to `request` that is kept, if it is young enough.
    pub(super) fn response(&self, request: Cacheable, cache: &settings::CacheConfig) -> Option<CachedResponse> {
        let mut kept = self.kept();
        let found = kept.get(&request.key).filter(|_| request.takes_older)?;
        if found.since.elapsed() < cache.ttl {
            return Some(found.clone());
        }
        let old = kept.remove(&request.key)?;
        self.bytes.fetch_sub(old.size(), Ordering::Relaxed);
        None
    }

    /// Keeps the response to `request`, and drops what was not used for the longest time where it would be too much.
    pub(super) fn keep(&self, request: Cacheable, headers: &HeaderMap, body: &Bytes, cache: &settings::CacheConfig) {
        if body.len() >= cache.max_size {
            return;
        }
        let response = CachedResponse {
            since: Instant::now(),
            headers: KEPT
                .into_iter()
                .filter_map(|name| headers.get(&name).cloned().map(|value| (name, value)))
                .collect(),
            // A copy without the spare capacity.
            body: Bytes::copy_from_slice(body),
        };
        let size = response.size();
        let mut kept = self.kept();
        let before = kept.insert(request.key, response).map_or(0, |before| before.size());
        let mut bytes = self.bytes.load(Ordering::Relaxed) + size - before;
        while bytes > cache.max_size || kept.len() > MAX_RESPONSES {
            let Some((_, oldest)) = kept.remove_lru() else { break };
            bytes -= oldest.size();
        }
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    fn forget_all(&self) {
        if self.bytes.load(Ordering::Relaxed) > 0 {
            self.kept().clear();
            self.bytes.store(0, Ordering::Relaxed);
        }
    }

    fn kept(&self) -> MutexGuard<'_, LruCache<CacheKey, CachedResponse>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ResponseCache {
    fn default() -> Self {
        Self {
            kept: Mutex::new(LruCache::new_unbounded()),
            bytes: AtomicUsize::new(0),
        }
    }
}

impl fmt::Debug for ResponseCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl CachedResponse {
    /// How long it is kept already.
    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    fn size(&self) -> usize {
        self.body.len() + OVERHEAD
    }
}

/// A client that was removed and added again has another hash, and finds nothing of its predecessor's.
fn key(request: &ClientRequest, prepared: &PreparedRequest) -> CacheKey {
    let client = String::from(request.client.key_hash.clone());
    let passing = headers::for_provider(&request.headers);
    let mut passing: Vec<_> = passing
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .filter(|(name, _)| !BESIDE_THE_POINT.contains(name) && !name.starts_with(OF_LIBRARIES))
        .collect();
    passing.sort_unstable();
    let mut parts: Vec<&[u8]> = vec![
        client.as_bytes(),
        prepared.provider.id.as_str().as_bytes(),
        prepared.provider.base_url.as_bytes(),
        request.call.path.as_bytes(),
        &prepared.body,
    ];
    parts.extend(passing.into_iter().flat_map(|(name, value)| [name.as_bytes(), value]));
    storage::digest(&parts)
}
