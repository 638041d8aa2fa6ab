//! Batches, which revision 2025-03-26 has: several messages in one line, and their answers in one.

use std::io;

use rmcp::model::{ClientRequest, JsonRpcMessage, RequestId};
use serde_json::value::RawValue;

use super::message::{self, Incoming, ToClient};

/// How many messages a batch may have: their answers are kept until all are there.
const MAX_MESSAGES: usize = 256;

/// The batches whose answers are not all there.
#[derive(Default)]
pub(super) struct Batches(Vec<RequestBatch>);

struct RequestBatch {
    /// The requests without an answer.
    awaited: Vec<RequestId>,
    answers: Vec<Vec<u8>>,
}

/// What became of a message to the client.
pub(super) enum BatchAnswer {
    /// It belongs to no batch.
    No,
    /// Others of its batch are not there yet.
    Kept,
    /// All answers of its batch, as one line.
    Last(Vec<u8>),
}

impl Batches {
    /// The messages of a batch, and what is answered at once.
    pub(super) fn open(&mut self, line: &[u8]) -> (Vec<Incoming>, Option<Vec<u8>>) {
        let refused = |why| (vec![Incoming::Refused(message::invalid(why))], None);
        let Ok(parts) = serde_json::from_slice::<Vec<&RawValue>>(line) else {
            return (message::read_one(line).into_iter().collect(), None);
        };
        if parts.is_empty() {
            return refused("the batch is empty");
        }
        if parts.len() > MAX_MESSAGES {
            return refused("a batch may have at most 256 messages");
        }
        let mut batch = RequestBatch {
            awaited: Vec::new(),
            answers: Vec::new(),
        };
        let mut messages = Vec::new();
        for part in parts {
            match message::read_one(part.get().as_bytes()) {
                Some(Incoming::Message(JsonRpcMessage::Request(request))) => {
                    let why = if matches!(request.request, ClientRequest::InitializeRequest(_)) {
                        Some("`initialize` cannot be part of a batch")
                    } else if batch.awaited.contains(&request.id) || self.awaits(&request.id) {
                        Some("another request of the batch has the same id")
                    } else {
                        None
                    };
                    if let Some(why) = why {
                        batch.keep(&message::invalid(why));
                    } else {
                        batch.awaited.push(request.id.clone());
                        messages.push(Incoming::Message(JsonRpcMessage::Request(request)));
                    }
                }
                Some(Incoming::Refused(answer)) => batch.keep(&answer),
                Some(other) => messages.push(other),
                None => {}
            }
        }
        let answered = batch.line();
        if answered.is_none() && !batch.awaited.is_empty() {
            self.0.push(batch);
        }
        (messages, answered)
    }

    /// Takes in an answer to a request of a batch.
    pub(super) fn take(&mut self, answer: &ToClient) -> BatchAnswer {
        let id = match answer {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
        };
        let Some(at) = id.and_then(|id| self.0.iter().position(|batch| batch.awaited.contains(id))) else {
            return BatchAnswer::No;
        };
        if let Some(batch) = self.0.get_mut(at) {
            batch.keep(answer);
        }
        id.and_then(|id| self.forget(id))
            .map_or(BatchAnswer::Kept, BatchAnswer::Last)
    }

    /// Waits no longer for an answer; the line of its batch, if it was the last one.
    pub(super) fn forget(&mut self, id: &RequestId) -> Option<Vec<u8>> {
        let at = self.0.iter().position(|batch| batch.awaited.contains(id))?;
        let batch = self.0.get_mut(at)?;
        batch.awaited.retain(|awaited| awaited != id);
        if !batch.awaited.is_empty() {
            return None;
        }
        self.0.remove(at).line()
    }

    fn awaits(&self, id: &RequestId) -> bool {
        self.0.iter().any(|batch| batch.awaited.contains(id))
    }
}

impl RequestBatch {
    fn keep(&mut self, answer: &ToClient) {
        let mut written = Vec::new();
        // Our own messages can be written.
        if message::write(answer, &mut written).is_ok() {
            self.answers.push(written);
        }
    }

    /// All answers as one line, once they are there; nothing where there are none.
    fn line(&self) -> Option<Vec<u8>> {
        if !self.awaited.is_empty() || self.answers.is_empty() {
            return None;
        }
        let mut line = vec![b'['];
        line.extend(self.answers.join(&b','));
        line.push(b']');
        Some(line)
    }
}

/// Writes what is a line already.
pub(super) fn as_it_is(line: Vec<u8>) -> impl FnOnce(&mut Vec<u8>) -> io::Result<()> {
    move |bytes| {
        bytes.extend(line);
        Ok(())
    }
}
