//! A stream that says when the ledger has changed, and nothing of what is in it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, StreamBody};
use hyper::{
    StatusCode,
    body::{Bytes, Frame},
};

use super::{
    response::{Body, Endless, with_body},
    state::DashboardState,
};

/// How often the ledger is asked whether it has changed.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long the stream is silent at most.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A page that is being told what changes.
struct Watcher {
    state: Arc<DashboardState>,
    stamp: Option<String>,
    number: u64,
    last: Instant,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.state.watching.fetch_sub(1, Ordering::Relaxed);
        self.state.used();
    }
}

/// The stream for one page; it ends with its connection.
pub(super) fn response(state: &Arc<DashboardState>) -> hyper::Response<Body> {
    state.watching.fetch_add(1, Ordering::Relaxed);
    let watcher = Watcher {
        state: Arc::clone(state),
        stamp: None,
        number: 0,
        last: Instant::now(),
    };
    let events: Endless = Box::pin(futures_util::stream::unfold(watcher, |mut watcher| async {
        let text = watcher.next().await;
        Some((Ok(Frame::data(Bytes::from(text))), watcher))
    }));
    let body = StreamBody::new(events).boxed_unsync();
    with_body(StatusCode::OK, "text/event-stream", body)
}

impl Watcher {
    /// The next event, or a comment that keeps the connection alive.
    async fn next(&mut self) -> String {
        if self.stamp.is_none() {
            self.stamp = Some(self.state.app.ledger().stamp());
            return "retry: 3000\n\n".to_owned();
        }
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let stamp = Some(self.state.app.ledger().stamp());
            if stamp != self.stamp {
                self.stamp = stamp;
                self.last = Instant::now();
                self.number += 1;
                return format!("id: {}\nevent: changed\ndata: {{\"what\":\"ledger\"}}\n\n", self.number);
            }
            if self.last.elapsed() >= KEEP_ALIVE {
                self.last = Instant::now();
                return ": nothing new\n\n".to_owned();
            }
        }
    }
}
