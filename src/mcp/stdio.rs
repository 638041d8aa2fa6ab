//! Standard input and output as the protocol's transport.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use rmcp::{
    RoleServer,
    model::{ClientRequest, GetMeta, JsonRpcMessage, ProtocolVersion},
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::{StdioReader, StdioWriter, Transport, async_rw::AsyncRwTransport, stdio_pipes},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

/// Lines of JSON in both directions; tells when the client has hung up.
pub(super) struct JsonLines<R: AsyncRead, W: AsyncWrite> {
    framed: AsyncRwTransport<RoleServer, R, W>,
    gone: CancellationToken,
    /// Whether the client has chosen a lifecycle.
    begun: bool,
}

impl<R, W> JsonLines<R, W>
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    /// Cancels `gone` when the input ends.
    pub(super) fn new(reader: R, writer: W, gone: CancellationToken) -> Self {
        Self {
            framed: AsyncRwTransport::new_server(reader, writer),
            gone,
            begun: false,
        }
    }
}

impl<R, W> Transport<RoleServer> for JsonLines<R, W>
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        self.framed.send(item)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let Some(message) = self.framed.receive().await else {
                // Those who wait for a person must learn it now: the library gives them five seconds.
                self.gone.cancel();
                return None;
            };
            let request = match &message {
                JsonRpcMessage::Request(request) => Some(&request.request),
                _ => None,
            };
            self.begun |= request.is_some_and(begins);
            // Until the session has begun, the library gives up on whatever is not a request.
            if self.begun || request.is_some() {
                return Some(message);
            }
        }
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        self.framed.close().await
    }
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

/// Where requests come from.
pub(super) enum Reader {
    Standard(StdioReader),
    #[cfg(unix)]
    Socket(tokio::net::UnixStream),
}

/// Where answers go.
pub(super) enum OutputStream {
    Standard(StdioWriter),
    #[cfg(unix)]
    Socket(tokio::net::UnixStream),
}

/// Both streams, without a thread between them and us where the system allows it.
///
/// Clients on Node give a server sockets, most others pipes; what remains is read on a thread.
pub(super) fn streams() -> (Reader, OutputStream) {
    #[cfg(unix)]
    if let (Some(reader), Some(writer)) = (socket(&io::stdin()), socket(&io::stdout())) {
        return (Reader::Socket(reader), OutputStream::Socket(writer));
    }
    let (reader, writer) = stdio_pipes();
    (Reader::Standard(reader), OutputStream::Standard(writer))
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

impl AsyncWrite for OutputStream {
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
