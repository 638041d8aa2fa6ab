//! A response that is passed on as it arrives, while its usage is read.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};
use jiff::Timestamp;
use tokio::time::Instant;

use super::{asked_model::AskedModel, key_filter::KeyFilter};
use crate::{
    domain::{RequestOutcome, Usd},
    gateway::{
        accounting::booking::{Booking, Ending},
        tasks::Tasks,
    },
    providers::{self, Failure, Framing, ProviderDef, Refused, UpstreamBody, UsageReader},
    translation::AnswerTranslator,
};

/// How long a stream is read on for its counts after the client has gone.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A stream on its way to the client.
pub(super) struct Relay {
    /// Chunks that may be passed on.
    pub(super) ready: VecDeque<Bytes>,
    /// Until it has ended.
    pub(super) flow: Option<Flow>,
    /// Why the provider's stream ended early, until the client has all that came before.
    pub(super) failed: Option<io::Error>,
    /// Where a stream is read on whose client has gone.
    pub(super) tasks: Tasks,
}

/// A response that is still arriving, and the booking that it is paid from.
pub(super) struct Flow {
    pub(super) body: UpstreamBody,
    pub(super) reader: UsageReader,
    pub(super) key_filter: KeyFilter,
    /// Where the client speaks another format than the provider.
    pub(super) answer: Option<AnswerTranslator>,
    /// Where the response is to name the model as the request did.
    pub(super) asked: Option<AskedModel>,
    pub(super) def: &'static ProviderDef,
    pub(super) began_at: Timestamp,
    pub(super) status: u16,
    /// What the response refuses, where it has a status for that or was read whole; the reader knows of streams.
    pub(super) refused: Option<Refused>,
    /// Whether it is the requested response: no error, and no page of a proxy.
    pub(super) is_usable: bool,
    pub(super) retry_after: Option<Duration>,
    /// Until it is settled.
    pub(super) booking: Option<Booking>,
}

/// How a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamEnd {
    Complete,
    /// The provider ended it early.
    Broken,
    /// The client closed the connection, and the rest did not come in time.
    Abandoned,
}

/// The beginning of a body, and why it was read no further.
pub(super) struct BodyStart {
    pub(super) bytes: Bytes,
    pub(super) stopped: Stopped,
}

/// How far a body is read before any of it is passed on.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadUntil {
    /// About how many bytes, at most.
    pub(super) limit: usize,
    pub(super) deadline: Option<Instant>,
    pub(super) what: Extent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    All,
    /// All of it, unless it turns out to be a stream.
    Value,
    /// Until it is known how it is framed.
    Framing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    AtEnd,
    /// Where that was requested, before the end.
    AtExtent,
    /// More may follow.
    AtLimit,
    Failed(Failure),
}

impl Flow {
    /// Reads the body on after `start`, as far as `until` says.
    pub(super) async fn read(&mut self, start: Bytes, until: ReadUntil) -> BodyStart {
        let mut first = start;
        // Most bodies are one chunk, which need not be copied.
        let mut rest = BytesMut::new();
        let mut add = |chunk: Bytes| {
            if first.is_empty() {
                first = chunk;
            } else if !chunk.is_empty() {
                if rest.is_empty() {
                    rest.extend_from_slice(&first);
                }
                rest.extend_from_slice(&chunk);
            }
            first.len().max(rest.len())
        };
        let mut length = 0;
        let stopped = loop {
            if length > until.limit {
                break Stopped::AtLimit;
            }
            let next = match until.deadline {
                Some(deadline) => tokio::time::timeout_at(deadline, self.body.next()).await,
                None => Ok(self.body.next().await),
            };
            match next {
                Ok(Some(Ok(chunk))) => length = add(self.reader.pass(chunk)),
                Ok(None) => {
                    add(self.reader.finish());
                    break Stopped::AtEnd;
                }
                Ok(Some(Err(failure))) => break Stopped::Failed(failure),
                Err(_) => break Stopped::AtLimit,
            }
            let framing = self.reader.framing();
            let is_enough = match until.what {
                Extent::All => false,
                Extent::Value => framing.is_stream() || framing == Framing::Unread,
                Extent::Framing => self.reader.is_decided(),
            };
            if is_enough {
                break Stopped::AtExtent;
            }
        };
        BodyStart {
            bytes: if rest.is_empty() { first } else { rest.freeze() },
            stopped,
        }
    }

    /// Reads a chunk, and returns what of it may be passed on: what a client may take for the end only when what was used
    /// is recorded.
    fn pass(&mut self, chunk: Bytes) -> Bytes {
        let passed = self.reader.pass(chunk);
        self.account();
        self.for_client(passed)
    }

    /// The chunk as the client gets it: without the key, in its own format.
    pub(super) fn for_client(&mut self, chunk: Bytes) -> Bytes {
        let filtered = self.key_filter.pass(chunk);
        self.in_its_format(filtered)
    }

    fn in_its_format(&mut self, filtered: Bytes) -> Bytes {
        let answer = match &mut self.answer {
            Some(answer) => answer.pass(&filtered).into(),
            None => filtered,
        };
        self.named(answer)
    }

    fn named(&mut self, answer: Bytes) -> Bytes {
        match &mut self.asked {
            Some(asked) => asked.pass(&answer).into(),
            None => answer,
        }
    }

    /// Records what was used where the response is complete, else notes it now and then.
    pub(super) fn account(&mut self) {
        if self.reader.is_complete() {
            self.settle(StreamEnd::Complete);
        } else if let Some(mut booking) = self.booking.take() {
            let input = booking.input();
            booking.note(|| self.ending(StreamEnd::Broken, input));
            self.booking = Some(booking);
        }
    }

    /// Records a response that has ended, and adds what was held back to `ready`.
    pub(super) fn finish(&mut self, ready: &mut VecDeque<Bytes>) {
        let rest = self.reader.finish();
        self.settle(StreamEnd::Complete);
        let rest = [self.for_client(rest), self.held_back()];
        let end = self.answer.as_mut().map(|answer| Bytes::from(answer.finish()));
        let end = [end.map(|end| self.named(end)), self.last_line()];
        let rest = rest.into_iter().chain(end.into_iter().flatten());
        ready.extend(rest.filter(|chunk| !chunk.is_empty()));
    }

    /// What was held back of the body, now that no more of it comes.
    fn held_back(&mut self) -> Bytes {
        let rest = self.key_filter.finish();
        self.in_its_format(rest)
    }

    /// The end of a stream that is no whole line.
    fn last_line(&mut self) -> Option<Bytes> {
        self.asked.as_mut().map(|asked| asked.finish().into())
    }

    /// Records what the response has used, unless that was done; returns what it cost, where that is known.
    pub(super) fn settle(&mut self, end: StreamEnd) -> Option<Usd> {
        let booking = self.booking.take()?;
        let ending = self.ending(end, booking.input());
        booking.settle(&ending)
    }

    /// What the response refuses, as far as it was read.
    pub(super) fn refused(&self) -> Option<Refused> {
        self.refused.or_else(|| {
            let error = self.reader.meter().error()?;
            providers::refusal_in(self.def, self.status, error, self.began_at)
        })
    }

    /// The record of a response that ends in this way, to a prompt of about `input` tokens.
    pub(super) fn ending(&self, end: StreamEnd, input: u64) -> Ending {
        let meter = self.reader.meter();
        let refused = self.refused();
        // What is refused before any text has used nothing but what is reported.
        let is_refused = !self.is_usable || meter.is_error() && !meter.has_content();
        // A connection may be closed in order in the middle of a response.
        let is_complete = end == StreamEnd::Complete && !meter.is_unfinished();
        let stated = meter.tokens().filter(|_| is_complete || is_refused);
        Ending {
            success: is_complete && self.is_usable && refused.is_none() && !meter.is_error(),
            status: Some(match (refused, end) {
                (Some(refused), _) => refused.status(),
                (None, StreamEnd::Abandoned) => RequestOutcome::CLIENT_CLOSED_REQUEST,
                (None, StreamEnd::Complete | StreamEnd::Broken) => self.status,
            }),
            tokens: match stated {
                Some(tokens) => tokens,
                None if is_refused => meter.tokens_of_refusal(),
                None => meter.tokens_so_far(input),
            },
            portions: stated.map(|_| meter.portions()).unwrap_or_default(),
            is_estimated: stated.is_none() && !(is_refused && meter.is_trusted()),
            extras: meter.extras(),
            stated_cost: meter.stated_cost(),
            service: meter.service(),
            retry_after: self.retry_after,
        }
    }

    /// Reads on for the counts at the end, for a while, and records the response as far as it came.
    async fn drain(mut self, tasks: Tasks) {
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        let mut dropped = VecDeque::new();
        while self.booking.is_some() {
            let next = tokio::select! {
                next = tokio::time::timeout_at(deadline, self.body.next()) => next,
                () = tasks.given_up() => Ok(Some(Err(Failure::BrokenOff))),
            };
            match next {
                Ok(Some(Ok(chunk))) => drop(self.pass(chunk)),
                Ok(None) => self.finish(&mut dropped),
                // Providers may end a stream early because its client has gone: that is no fault of the key.
                Ok(Some(Err(_))) | Err(_) => drop(self.settle(StreamEnd::Abandoned)),
            }
        }
    }
}

/// A response that the gateway stops to wait for: what was read of it is known.
impl Drop for Flow {
    fn drop(&mut self) {
        self.settle(StreamEnd::Abandoned);
    }
}

impl Relay {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(chunk)));
            }
            if let Some(why) = self.failed.take() {
                // The client sees that the stream was cut.
                return Poll::Ready(Some(Err(why)));
            }
            let Some(flow) = &mut self.flow else {
                return Poll::Ready(None);
            };
            match ready!(flow.body.poll_next(context)) {
                Some(Ok(chunk)) => {
                    let passed = flow.pass(chunk);
                    if !passed.is_empty() {
                        return Poll::Ready(Some(Ok(passed)));
                    }
                }
                Some(Err(why)) => {
                    flow.settle(StreamEnd::Broken);
                    let rest = [Some(flow.held_back()), flow.last_line()];
                    let rest = rest.into_iter().flatten().filter(|rest| !rest.is_empty());
                    self.ready.extend(rest);
                    self.flow = None;
                    let message = format!("the provider {}", why.message());
                    self.failed = Some(io::Error::new(io::ErrorKind::ConnectionAborted, message));
                    // What was passed on may not have been sent yet, and goes with the connection if this fails now.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                None => {
                    flow.finish(&mut self.ready);
                    self.flow = None;
                }
            }
        }
    }
}

/// A client that closes the connection.
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
