//! Messages on their way in: read ahead, so that what a client has taken back is never begun.

use std::{collections::VecDeque, io, pin::Pin, task::Poll};

use bytes::BytesMut;
use rmcp::{
    RoleServer,
    model::{ClientNotification, ClientRequest, JsonRpcMessage, RequestId},
    service::RxJsonRpcMessage,
};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::io::poll_read_buf;

use super::message::{self, Incoming};

/// The longest line that is read.
const MAX_LINE: usize = 16 << 20;
/// How many bytes of lines may be read ahead.
const MAX_AHEAD: usize = 256 << 10;
/// How much room a read gets.
const CHUNK: usize = 8 << 10;

/// What has been read and not yet been handed over.
pub(super) struct Inbox<R> {
    reader: R,
    /// The bytes of lines that are not whole yet.
    bytes: BytesMut,
    /// How many of `bytes` are known to hold no line end.
    scanned: usize,
    /// Whether the line that is being read is too long already.
    is_discarding: bool,
    has_ended: bool,
    /// Pings, which wait for no call.
    pings: VecDeque<Incoming>,
    queue: VecDeque<(usize, Incoming)>,
    /// The length of all lines in `queue`.
    ahead: usize,
}

impl<R: AsyncRead + Unpin> Inbox<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            bytes: BytesMut::new(),
            scanned: 0,
            is_discarding: false,
            has_ended: false,
            pings: VecDeque::new(),
            queue: VecDeque::new(),
            ahead: 0,
        }
    }

    /// Takes in what is there already, without waiting for more.
    pub(super) async fn read_ahead(&mut self) {
        std::future::poll_fn(|context| {
            while !self.has_ended && self.ahead < MAX_AHEAD {
                self.bytes.reserve(CHUNK);
                match poll_read_buf(Pin::new(&mut self.reader), context, &mut self.bytes) {
                    Poll::Ready(read) => self.take_in(&read),
                    Poll::Pending => break,
                }
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Waits for more.
    pub(super) async fn read(&mut self) {
        self.bytes.reserve(CHUNK);
        let read = self.reader.read_buf(&mut self.bytes).await;
        self.take_in(&read);
    }

    /// Whether nothing will come after what was taken in.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether something waits to be handed over.
    pub(super) fn is_empty(&self) -> bool {
        self.pings.is_empty() && self.queue.is_empty()
    }

    pub(super) fn next(&mut self) -> Option<Incoming> {
        if let Some(ping) = self.pings.pop_front() {
            return Some(ping);
        }
        let (length, incoming) = self.queue.pop_front()?;
        self.ahead -= length;
        Some(incoming)
    }

    /// Puts messages before all others, in their order.
    pub(super) fn put_first(&mut self, messages: Vec<Incoming>) {
        for message in messages.into_iter().rev() {
            self.queue.push_front((0, message));
        }
    }

    fn take_in(&mut self, read: &io::Result<usize>) {
        match read {
            Ok(0) | Err(_) => {
                self.has_ended = true;
                // The last line may have no end.
                let line = self.bytes.split();
                if !self.is_discarding {
                    self.line(&line);
                }
            }
            Ok(_) => self.lines(),
        }
    }

    /// Takes whole lines out of what was read.
    fn lines(&mut self) {
        while let Some(at) = memchr::memchr(b'\n', self.bytes.get(self.scanned..).unwrap_or_default()) {
            let line = self.bytes.split_to(self.scanned + at + 1);
            self.scanned = 0;
            if std::mem::take(&mut self.is_discarding) {
                continue;
            }
            self.line(&line);
        }
        self.scanned = self.bytes.len();
        if self.bytes.len() > MAX_LINE {
            if !self.is_discarding {
                self.push(0, message::too_long());
            }
            self.is_discarding = true;
        }
        if self.is_discarding {
            self.bytes = BytesMut::new();
            self.scanned = 0;
        }
    }

    fn line(&mut self, line: &[u8]) {
        if let Some(incoming) = message::read(line) {
            self.push(line.len(), incoming);
        }
    }

    fn push(&mut self, length: usize, incoming: Incoming) {
        match &incoming {
            Incoming::Message(JsonRpcMessage::Request(request))
                if matches!(request.request, ClientRequest::PingRequest(_)) =>
            {
                self.pings.push_back(incoming);
                return;
            }
            Incoming::Message(JsonRpcMessage::Notification(notification)) => {
                if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                    && self.take_back(id)
                {
                    return;
                }
            }
            Incoming::Message(_) | Incoming::Refused(_) | Incoming::Batch(_) => {}
        }
        self.ahead += length;
        self.queue.push_back((length, incoming));
    }

    /// Drops the request with that id, if it has not been handed over.
    fn take_back(&mut self, id: &RequestId) -> bool {
        let is_it = |message: &RxJsonRpcMessage<RoleServer>| match message {
            JsonRpcMessage::Request(request) => {
                request.id == *id && !matches!(request.request, ClientRequest::InitializeRequest(_))
            }
            JsonRpcMessage::Response(_) | JsonRpcMessage::Notification(_) | JsonRpcMessage::Error(_) => false,
        };
        let at = self
            .queue
            .iter()
            .position(|(_, incoming)| matches!(incoming, Incoming::Message(message) if is_it(message)));
        let Some((length, _)) = at.and_then(|at| self.queue.remove(at)) else {
            return false;
        };
        self.ahead -= length;
        true
    }
}
