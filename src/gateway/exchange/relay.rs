//! A response that is passed on as it arrives, while its usage is read.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::time::Instant;

use crate::{
    domain::Usd,
    gateway::{
        accounting::booking::{Booking, Ending},
        tasks::Tasks,
    },
    providers::{Failure, UpstreamBody, UsageReader},
};

/// How long a stream is read on for its counts after the client has gone.
const DRAINING: Duration = Duration::from_secs(10);

/// A stream on its way through.
pub(super) struct Relay {
    /// What is read already and not yet passed on.
    pub(super) held: VecDeque<Bytes>,
    /// Until it has ended.
    pub(super) flow: Option<Flow>,
    /// Why the provider broke off, until the client has seen all that came before.
    pub(super) broken: Option<io::Error>,
    /// Where a stream is read on whose client has gone.
    pub(super) tasks: Tasks,
}

/// A response that is still arriving, and what it will be paid from.
pub(super) struct Flow {
    pub(super) body: UpstreamBody,
    pub(super) reader: UsageReader,
    pub(super) status: u16,
    /// Whether it is what was asked for: no error, and nothing that stands in between.
    pub(super) is_answer: bool,
    pub(super) retry_after: Option<Duration>,
    /// Until it is settled.
    pub(super) booking: Option<Booking>,
}

/// How a response came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Complete,
    /// The provider, or the client, broke off.
    Broken,
}

impl Flow {
    /// Reads a chunk, and returns what of it may be passed on: what a client may take for the end only when what was used
    /// is recorded.
    fn pass(&mut self, chunk: Bytes) -> Bytes {
        let passed = self.reader.pass(chunk);
        self.account();
        passed
    }

    /// Records what was used where the response is complete, else notes it now and then.
    pub(super) fn account(&mut self) {
        if self.reader.is_complete() {
            self.settle(End::Complete);
        } else if let Some(mut booking) = self.booking.take() {
            let input = booking.input();
            booking.note(|| self.ending(End::Broken, input));
            self.booking = Some(booking);
        }
    }

    /// Takes note of the provider's end of the response; returns what was kept back, and what the request cost.
    pub(super) fn finish(&mut self) -> (Bytes, Option<Usd>) {
        let rest = self.reader.finish();
        (rest, self.settle(End::Complete))
    }

    /// Records what the response has used, unless that was done, and says what it cost, where that is known.
    pub(super) fn settle(&mut self, end: End) -> Option<Usd> {
        let booking = self.booking.take()?;
        let ending = self.ending(end, booking.input());
        booking.settle(ending)
    }

    /// What is known of the response to a prompt of about so many tokens, should it end so.
    pub(super) fn ending(&self, end: End, input: u64) -> Ending {
        let meter = self.reader.meter();
        // A provider that says no, before the first word, has used nothing but what it tells.
        let is_refused = !self.is_answer || meter.is_error() && !meter.has_content();
        let stated = meter.tokens().filter(|_| end == End::Complete || is_refused);
        Ending {
            success: end == End::Complete && self.is_answer && !meter.is_error(),
            status: Some(self.status),
            tokens: match stated {
                Some(tokens) => tokens,
                None if is_refused => meter.tokens_of_refusal(),
                None => meter.tokens_so_far(input),
            },
            is_estimated: stated.is_none() && !is_refused,
            service: meter.service(),
            retry_after: self.retry_after,
        }
    }

    /// Reads on for the counts at the end, for a while, and records the response as far as it came.
    async fn drain(mut self, tasks: Tasks) {
        let until = Instant::now() + DRAINING;
        while self.booking.is_some() {
            let next = tokio::select! {
                next = tokio::time::timeout_at(until, self.body.next()) => next,
                () = tasks.given_up() => Ok(Some(Err(Failure::BrokenOff))),
            };
            match next {
                Ok(Some(Ok(chunk))) => drop(self.pass(chunk)),
                Ok(None) => drop(self.finish()),
                Ok(Some(Err(_))) | Err(_) => drop(self.settle(End::Broken)),
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
            match std::task::ready!(flow.body.poll_next(context)) {
                Some(Ok(chunk)) => {
                    let passed = flow.pass(chunk);
                    self.held.extend((!passed.is_empty()).then_some(passed));
                }
                Some(Err(why)) => {
                    flow.settle(End::Broken);
                    self.flow = None;
                    let message = format!("the provider {}", why.message());
                    self.broken = Some(io::Error::new(io::ErrorKind::ConnectionAborted, message));
                    // What was passed on may not have been sent yet, and goes with the connection if this fails now.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                None => {
                    let (rest, _) = flow.finish();
                    self.flow = None;
                    self.held.extend((!rest.is_empty()).then_some(rest));
                }
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

impl Body for Relay {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.poll(context)
            .map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }
}
