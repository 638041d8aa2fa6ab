//! The body of an answer: whole, or passed on as it arrives while its use is read.

use std::{
    collections::VecDeque,
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::{
    accounts::{Booking, Ending},
    tasks::Tasks,
};
use crate::{
    domain::Usd,
    providers::{Failure, ReplyBody, UsageReader},
};

/// How long a stream is read on for its counts after the client has gone.
const DRAINING: Duration = Duration::from_secs(10);

/// What a client gets.
pub(super) enum Out {
    Whole(Option<Bytes>),
    Stream(Box<Relay>),
}

/// A stream on its way through.
pub(super) struct Relay {
    /// What is read already and not yet passed on.
    pub(super) held: VecDeque<Bytes>,
    /// Until it has ended.
    pub(super) flow: Option<Flow>,
    /// Why the provider broke off, until the client has seen all that came before.
    pub(super) broken: Option<io::Error>,
    /// Where a stream is read on that nobody takes any more.
    pub(super) tasks: Tasks,
}

/// An answer that is still arriving, and what it will be paid from.
pub(super) struct Flow {
    pub(super) body: ReplyBody,
    pub(super) reader: UsageReader,
    pub(super) status: u16,
    /// Whether it is what was asked for: no error, and nothing that stands in between.
    pub(super) is_answer: bool,
    pub(super) retry_after: Option<Duration>,
    pub(super) booking: Booking,
}

/// How an answer came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Complete,
    /// The provider, or the client, broke off.
    Broken,
}

impl Out {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes))
    }
}

impl Flow {
    /// Takes note of the provider's end of the answer; returns what was kept back, and what the request cost.
    pub(super) fn finish(mut self) -> (Bytes, Option<Usd>) {
        let rest = self.reader.finish();
        (rest, self.settle(End::Complete))
    }

    /// Records what the answer has used, and says what it cost, where that is known.
    pub(super) fn settle(self, end: End) -> Option<Usd> {
        let ending = self.ending(end);
        self.booking.settle(ending)
    }

    /// What is known of the answer, should it end so.
    pub(super) fn ending(&self, end: End) -> Ending {
        let meter = self.reader.meter();
        // A provider that says no, before the first word, has used nothing but what it tells.
        let is_refused = !self.is_answer || meter.is_error() && !meter.has_content();
        let told = meter.tokens().filter(|_| end == End::Complete || is_refused);
        Ending {
            success: end == End::Complete && self.is_answer && !meter.is_error(),
            status: Some(self.status),
            tokens: match told {
                Some(tokens) => tokens,
                None if is_refused => meter.tokens_of_refusal(),
                None => meter.tokens_so_far(self.booking.input()),
            },
            is_estimated: told.is_none() && !is_refused,
            service: meter.service(),
            retry_after: self.retry_after,
        }
    }

    /// Reads on for the counts at the end, for a while, and records the answer as far as it came.
    async fn drain(mut self, tasks: Tasks) {
        let until = Instant::now() + DRAINING;
        loop {
            let next = tokio::select! {
                next = tokio::time::timeout_at(until, self.body.next()) => next,
                () = tasks.given_up() => Ok(Some(Err(Failure::BrokenOff))),
            };
            match next {
                Ok(Some(Ok(piece))) => drop(self.reader.pass(piece)),
                Ok(None) => {
                    self.finish();
                    return;
                }
                Ok(Some(Err(_))) | Err(_) => {
                    self.settle(End::Broken);
                    return;
                }
            }
        }
    }
}

impl Relay {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            if let Some(held) = self.held.pop_front() {
                return Poll::Ready(Some(Ok(held)));
            }
            if let Some(why) = self.broken.take() {
                // The client sees a stream that was cut, as it was.
                return Poll::Ready(Some(Err(why)));
            }
            let Some(flow) = &mut self.flow else {
                return Poll::Ready(None);
            };
            let next = std::task::ready!(flow.body.poll_next(context));
            match (next, self.flow.take()) {
                (Some(Ok(piece)), Some(mut flow)) => {
                    let passed = flow.reader.pass(piece);
                    self.flow = Some(flow);
                    self.held.extend((!passed.is_empty()).then_some(passed));
                }
                (Some(Err(why)), Some(flow)) => {
                    flow.settle(End::Broken);
                    let said = format!("the provider {}", why.message());
                    self.broken = Some(io::Error::new(io::ErrorKind::ConnectionAborted, said));
                    // What was passed on may not have been sent yet, and goes with the connection if this fails now.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                (None, Some(flow)) => {
                    let (rest, _) = flow.finish();
                    self.held.extend((!rest.is_empty()).then_some(rest));
                }
                (_, None) => return Poll::Ready(None),
            }
        }
    }
}

/// A client that hangs up.
impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(flow) = self.flow.take() {
            self.tasks.spawn(flow.drain(self.tasks.clone()));
        }
    }
}

impl Body for Out {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(relay) => relay
                .poll(context)
                .map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Out {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole",
            Self::Stream(_) => "Stream",
        })
    }
}
