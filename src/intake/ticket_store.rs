//! The tickets that can still be used, and the server that listens while one of them is open.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;

use super::ticket::Shared;
use crate::services::caller::Question;

#[derive(Debug, Default)]
pub(super) struct TicketStore {
    state: Mutex<TicketState>,
}

#[derive(Debug, Default)]
pub(super) struct TicketState {
    pub(super) tickets: Vec<Shared>,
    pub(super) listening: Option<PageListener>,
}

/// The socket that pages are served on.
#[derive(Debug)]
pub(super) struct PageListener {
    /// Host and port.
    pub(super) authority: String,
    pub(super) stop: CancellationToken,
}

impl TicketStore {
    /// The ticket that the path of a request names.
    pub(super) fn ticket(&self, path: &str) -> Option<Shared> {
        let token = path.strip_prefix('/')?;
        let token = data_encoding::HEXLOWER.decode(token.as_bytes()).ok()?;
        self.state()
            .tickets
            .iter()
            .find(|ticket| bool::from(ticket.token.as_slice().ct_eq(&token)))
            .cloned()
    }

    pub(super) fn close(&self, ticket: &Shared) {
        ticket.close();
        let mut state = self.state();
        state.tickets.retain(|other| !Arc::ptr_eq(other, ticket));
        state.stop_unless_open();
    }

    pub(super) fn close_all(&self) {
        let mut state = self.state();
        state.tickets.drain(..).for_each(|ticket| ticket.close());
        state.stop_unless_open();
    }

    /// Stops listening once nothing can be typed any more; a secret that waits to be fetched needs no socket.
    pub(super) fn stop_unless_open(&self) {
        self.state().stop_unless_open();
    }

    pub(super) fn state(&self) -> MutexGuard<'_, TicketState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TicketState {
    /// The page that is open for `question`, or holds its answer.
    pub(super) fn find(&self, question: &Question) -> Option<Shared> {
        self.tickets
            .iter()
            .find(|ticket| ticket.question() == question && ticket.is_live())
            .cloned()
    }

    fn stop_unless_open(&mut self) {
        self.tickets.retain(|ticket| ticket.is_live());
        if !self.tickets.iter().any(|ticket| ticket.is_open())
            && let Some(listening) = self.listening.take()
        {
            listening.stop.cancel();
        }
    }
}
