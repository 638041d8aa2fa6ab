//! Who may see data: a ticket opens it once, and a token in a header from then on.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use data_encoding::BASE64URL_NOPAD;
use subtle::ConstantTimeEq;

use crate::{app::App, error::Result};

/// How many wrong tokens or tickets are answered at once; from then on each takes [`PENALTY`].
const MAX_WRONG: u32 = 5;
const PENALTY: Duration = Duration::from_secs(1);
/// The most tickets that can be open.
const MAX_TICKETS: usize = 8;

/// The token of this run, and the tickets that are open.
pub(super) struct Sessions {
    token: [u8; 32],
    tickets: Mutex<Vec<(String, Instant)>>,
    wrong: AtomicU32,
}

impl Sessions {
    pub(super) fn new(token: [u8; 32]) -> Self {
        Self {
            token,
            tickets: Mutex::default(),
            wrong: AtomicU32::new(0),
        }
    }

    /// A new ticket, good for `lifetime`.
    pub(super) fn ticket(&self, app: &App, lifetime: Duration) -> Result<String> {
        let ticket = BASE64URL_NOPAD.encode(&app.random::<24>()?);
        let mut tickets = self.tickets();
        if tickets.len() >= MAX_TICKETS {
            tickets.remove(0);
        }
        tickets.push((ticket.clone(), Instant::now() + lifetime));
        Ok(ticket)
    }

    /// The token, for a ticket that is open; it is used up by that.
    pub(super) async fn redeem(&self, ticket: &str) -> Option<String> {
        let is_good = {
            let now = Instant::now();
            let mut tickets = self.tickets();
            tickets.retain(|(_, until)| *until > now);
            let before = tickets.len();
            tickets.retain(|(known, _)| !bool::from(known.as_bytes().ct_eq(ticket.as_bytes())));
            tickets.len() < before
        };
        self.judged(is_good).await.then(|| BASE64URL_NOPAD.encode(&self.token))
    }

    /// Whether an `Authorization` header has the token.
    pub(super) async fn admits(&self, authorization: Option<&str>) -> bool {
        let token = authorization
            .and_then(|value| value.strip_prefix("Bearer "))
            .and_then(|token| BASE64URL_NOPAD.decode(token.as_bytes()).ok());
        let is_good = token.is_some_and(|token| bool::from(token.as_slice().ct_eq(&self.token)));
        self.judged(is_good).await
    }

    /// The same verdict, later where many were wrong before.
    async fn judged(&self, is_good: bool) -> bool {
        if !is_good && self.wrong.fetch_add(1, Ordering::Relaxed) >= MAX_WRONG {
            tokio::time::sleep(PENALTY).await;
        }
        is_good
    }

    fn tickets(&self) -> MutexGuard<'_, Vec<(String, Instant)>> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}
