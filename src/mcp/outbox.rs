//! Messages on their way out, in the order in which they were made.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

use super::caller::lock;

/// How many messages may wait to be written before no more requests are read.
const MAX_WAITING: usize = 64;

/// Where messages wait until the client reads them; each write takes along what others have put in meanwhile.
pub(super) struct Outbox<W>(Arc<OutboxState<W>>);

struct OutboxState<W> {
    pending: Mutex<PendingLines>,
    writer: tokio::sync::Mutex<W>,
    /// Messages that are not written yet.
    waiting: AtomicUsize,
    written: Notify,
    /// Cancelled once the client no longer reads.
    unread: CancellationToken,
}

/// Whole lines, and how many.
#[derive(Default)]
struct PendingLines {
    bytes: Vec<u8>,
    lines: usize,
}

impl<W> Clone for Outbox<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: AsyncWrite + Unpin + Send> Outbox<W> {
    /// Cancels `unread` when the client no longer reads.
    pub(super) fn new(writer: W, unread: CancellationToken) -> Self {
        Self(Arc::new(OutboxState {
            pending: Mutex::default(),
            writer: tokio::sync::Mutex::new(writer),
            waiting: AtomicUsize::new(0),
            written: Notify::new(),
            unread,
        }))
    }

    /// Puts in what `write` writes as one line; [`Self::flush`] sends it.
    pub(super) fn put(&self, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<()> {
        if self.0.unread.is_cancelled() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut pending = lock(&self.0.pending);
        let before = pending.bytes.len();
        if let Err(why) = write(&mut pending.bytes) {
            pending.bytes.truncate(before);
            return Err(why);
        }
        pending.bytes.push(b'\n');
        pending.lines += 1;
        self.0.waiting.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Writes what waits.
    pub(super) async fn flush(self) -> io::Result<()> {
        let shared = &*self.0;
        let mut writer = shared.writer.lock().await;
        let PendingLines { bytes, lines } = std::mem::take(&mut *lock(&shared.pending));
        let outcome = async {
            if !bytes.is_empty() {
                writer.write_all(&bytes).await?;
                writer.flush().await?;
            }
            Ok(())
        };
        let outcome = outcome.await;
        shared.waiting.fetch_sub(lines, Ordering::AcqRel);
        shared.written.notify_waiters();
        if outcome.is_err() {
            shared.unread.cancel();
        }
        outcome
    }

    /// Returns once few enough messages wait that more requests may be read.
    pub(super) async fn has_room(&self) {
        loop {
            let written = self.0.written.notified();
            if self.0.waiting.load(Ordering::Acquire) <= MAX_WAITING {
                return;
            }
            written.await;
        }
    }

    /// Returns once the client no longer reads.
    pub(super) async fn is_unread(&self) {
        self.0.unread.cancelled().await;
    }
}
