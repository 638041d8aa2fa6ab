//! Lines of JSON in both directions, as the library's transport.
//!
//! The library's own drops what it cannot read, knows no batches, begins every call that it has read and reads on
//! while the client does not read the answers.

use std::{future::Future, io};

use rmcp::{
    RoleServer,
    model::{ClientNotification, ClientRequest, GetMeta, JsonRpcMessage, ProtocolVersion, ServerResult},
    transport::Transport,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::{
    batches::{BatchAnswer, Batches, as_it_is},
    inbox::Inbox,
    message::{self, FromClient, Incoming, ToClient},
    outbox::Outbox,
};

/// What ends a session: each is cancelled once.
#[derive(Clone, Default)]
pub(super) struct Ends {
    /// The client has hung up: nothing will come any more.
    pub(super) gone: CancellationToken,
    /// The client no longer reads.
    pub(super) unread: CancellationToken,
    /// Calls end, whatever they wait for.
    pub(super) over: CancellationToken,
}

/// The conversation with one client.
pub(super) struct Lines<R, W> {
    inbox: Inbox<R>,
    outbox: Outbox<W>,
    batches: Batches,
    gone: CancellationToken,
    /// Whether the client has chosen a lifecycle.
    begun: bool,
    /// What was agreed upon in a handshake.
    revision: Option<ProtocolVersion>,
    /// Whether a message was just handed over and should be begun before the next one.
    handed_over: bool,
}

impl<R, W> Lines<R, W>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send + 'static,
{
    /// Cancels those of `ends` that come.
    pub(super) fn new(reader: R, writer: W, ends: Ends) -> Self {
        Self {
            inbox: Inbox::new(reader),
            outbox: Outbox::new(writer, ends.unread),
            batches: Batches::default(),
            gone: ends.gone,
            begun: false,
            revision: None,
            handed_over: false,
        }
    }

    /// Answers what goes no further than here.
    fn answer(&self, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) {
        if self.outbox.put(write).is_ok() {
            tokio::spawn(self.outbox.clone().flush());
        }
    }

    /// The message, if the library may have it.
    fn admitted(&mut self, message: FromClient) -> Option<FromClient> {
        if let JsonRpcMessage::Notification(notification) = &message
            && let ClientNotification::CancelledNotification(cancelled) = &notification.notification
            && let Some(id) = &cancelled.params.request_id
            && let Some(line) = self.batches.forget(id)
        {
            self.answer(as_it_is(line));
        }
        let request = match &message {
            JsonRpcMessage::Request(request) => Some(&request.request),
            JsonRpcMessage::Response(_) | JsonRpcMessage::Notification(_) | JsonRpcMessage::Error(_) => None,
        };
        self.begun |= request.is_some_and(begins);
        // Until the session has begun, the library gives up on whatever is not a request.
        (self.begun || request.is_some()).then_some(message)
    }

    /// Takes a batch apart, where the revision has them.
    fn open_batch(&mut self, line: &[u8]) {
        if self.revision != Some(ProtocolVersion::V_2025_03_26)
            && serde_json::from_slice::<&serde_json::value::RawValue>(line).is_ok()
        {
            let refused = message::invalid("batches belong to revision 2025-03-26 alone");
            return self.answer(written(refused));
        }
        let (messages, answered) = self.batches.open(line);
        self.inbox.put_first(messages);
        if let Some(line) = answered {
            self.answer(as_it_is(line));
        }
    }
}

impl<R, W> Transport<RoleServer> for Lines<R, W>
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    type Error = io::Error;

    fn send(&mut self, item: ToClient) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        if let JsonRpcMessage::Response(response) = &item
            && let ServerResult::InitializeResult(agreed) = &response.result
        {
            self.revision = Some(agreed.protocol_version.clone());
        }
        let put = match self.batches.take(&item) {
            BatchAnswer::No => self.outbox.put(written(item)),
            BatchAnswer::Kept => Ok(()),
            BatchAnswer::Last(line) => self.outbox.put(as_it_is(line)),
        };
        let outbox = self.outbox.clone();
        async move {
            put?;
            outbox.flush().await
        }
    }

    // The library drops this future whenever something else happens first: all that was read is in `self`.
    async fn receive(&mut self) -> Option<FromClient> {
        loop {
            if std::mem::take(&mut self.handed_over) {
                tokio::task::yield_now().await;
            }
            tokio::select! {
                biased;
                () = self.outbox.is_unread() => {
                    self.gone.cancel();
                    return None;
                }
                () = self.outbox.has_room() => {}
            }
            self.inbox.read_ahead().await;
            if self.inbox.has_ended() {
                // Those who wait for a person must learn it now, whatever else there is to answer.
                self.gone.cancel();
            }
            match self.inbox.next() {
                Some(Incoming::Message(message)) => {
                    if let Some(message) = self.admitted(message) {
                        self.handed_over = !self.inbox.is_empty();
                        return Some(message);
                    }
                }
                Some(Incoming::Refused(answer)) => self.answer(written(answer)),
                Some(Incoming::Batch(line)) => self.open_batch(&line),
                None if self.inbox.has_ended() => return None,
                None => tokio::select! {
                    () = self.inbox.read() => {}
                    () = self.outbox.is_unread() => {}
                },
            }
        }
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        self.outbox.clone().flush().await
    }
}

/// Writes `message` as JSON.
fn written(message: ToClient) -> impl FnOnce(&mut Vec<u8>) -> io::Result<()> {
    move |bytes| message::write(&message, bytes)
}

/// Whether the library takes `request` as the beginning of a session: probes are answered and forgotten.
fn begins(request: &ClientRequest) -> bool {
    match request {
        ClientRequest::InitializeRequest(_) => true,
        ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
        other => other
            .get_meta()
            .missing_required_keys(&ProtocolVersion::V_2026_07_28)
            .is_empty(),
    }
}
