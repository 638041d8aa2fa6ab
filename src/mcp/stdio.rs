//! Standard input and output, without a thread between them and us where the system allows it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use rmcp::transport::{StdioReader, StdioWriter, stdio_pipes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

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

/// Both streams.
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

/// Returns once standard output is no longer read, where the system reports that: only a pipe does without being written to.
pub(super) async fn output_is_closed() {
    #[cfg(target_os = "linux")]
    {
        use tokio::{io::Interest, net::unix::pipe};

        // Opened anew, as it must not block and the one that other programs share may.
        if let Ok(output) = pipe::OpenOptions::new().open_sender("/proc/self/fd/1")
            && output.ready(Interest::ERROR).await.is_ok()
        {
            return;
        }
    }
    std::future::pending::<()>().await;
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
