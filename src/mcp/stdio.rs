//! Standard input and output as the protocol's transport.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use rmcp::{
    RoleServer,
    model::JsonRpcMessage,
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::{StdioReader, StdioWriter, Transport, async_rw::AsyncRwTransport, stdio_pipes},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

/// Lines of JSON on standard input and output; tells when the client has hung up.
pub(super) struct Stdio {
    lines: AsyncRwTransport<RoleServer, Reader, Writer>,
    gone: CancellationToken,
    /// Whether a request has come: what arrives before has nothing to belong to.
    begun: bool,
}

impl Stdio {
    /// Takes over standard input and output; cancels `gone` when the input ends.
    pub(super) fn open(gone: CancellationToken) -> Self {
        let (reader, writer) = streams();
        Self {
            lines: AsyncRwTransport::new_server(reader, writer),
            gone,
            begun: false,
        }
    }
}

impl Transport<RoleServer> for Stdio {
    type Error = io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        self.lines.send(item)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let Some(message) = self.lines.receive().await else {
                // Those who wait for a person must learn it now: the library gives them five seconds.
                self.gone.cancel();
                return None;
            };
            self.begun |= matches!(message, JsonRpcMessage::Request(_));
            // The library would give up on a stray notification before the first request.
            if self.begun {
                return Some(message);
            }
        }
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        self.lines.close().await
    }
}

/// Where requests come from.
enum Reader {
    Standard(StdioReader),
    #[cfg(unix)]
    Socket(tokio::net::UnixStream),
}

/// Where answers go.
enum Writer {
    Standard(StdioWriter),
    #[cfg(unix)]
    Socket(tokio::net::UnixStream),
}

/// Both streams, without a thread between them and us where the system allows it.
///
/// Clients on Node give a server sockets, most others pipes; what remains is read on a thread.
fn streams() -> (Reader, Writer) {
    #[cfg(unix)]
    if let (Some(reader), Some(writer)) = (socket(&io::stdin()), socket(&io::stdout())) {
        return (Reader::Socket(reader), Writer::Socket(writer));
    }
    let (reader, writer) = stdio_pipes();
    (Reader::Standard(reader), Writer::Standard(writer))
}

/// The stream as a socket that does not block, if it is one.
#[cfg(unix)]
fn socket(stream: &impl std::os::fd::AsFd) -> Option<tokio::net::UnixStream> {
    use std::os::{fd::OwnedFd, unix::fs::FileTypeExt};

    let file = std::fs::File::from(stream.as_fd().try_clone_to_owned().ok()?);
    if !file.metadata().ok()?.file_type().is_socket() {
        return None;
    }
    let socket = std::os::unix::net::UnixStream::from(OwnedFd::from(file));
    socket.set_nonblocking(true).ok()?;
    tokio::net::UnixStream::from_std(socket).ok()
}

impl AsyncRead for Reader {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Standard(stream) => Pin::new(stream).poll_read(context, buffer),
            #[cfg(unix)]
            Self::Socket(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Writer {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Standard(stream) => Pin::new(stream).poll_write(context, bytes),
            #[cfg(unix)]
            Self::Socket(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Standard(stream) => Pin::new(stream).poll_flush(context),
            #[cfg(unix)]
            Self::Socket(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Standard(stream) => Pin::new(stream).poll_shutdown(context),
            #[cfg(unix)]
            Self::Socket(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
