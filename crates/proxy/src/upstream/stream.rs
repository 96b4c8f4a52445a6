//! The byte stream to an endpoint, whichever way it is protected.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use crate::http2::backend::BackendStream;

/// A connection to an endpoint.
pub(crate) enum UpstreamStream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// One request of an HTTP/2 connection.
    Http2(Box<BackendStream>),
}

impl UpstreamStream {
    /// Reads into `space`; 0 is the end of the stream.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut target = ReadBuf::new(space);
        let read = match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, &mut target),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, &mut target),
            Self::Http2(stream) => return stream.poll_read(cx, target.initialize_unfilled()),
        };
        read.map_ok(|()| target.filled().len())
    }

    /// Writes some of `bytes`; what TLS took may still have to be flushed.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
            Self::Http2(stream) => stream.poll_send(cx, bytes, false),
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) | Self::Http2(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    /// Ends our side; the endpoint may go on sending.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
            Self::Http2(stream) => Poll::Ready(stream.finish(std::iter::empty())),
        }
    }

    /// Closing will reset the connection: what the endpoint has is not the whole.
    pub(crate) fn reset(&mut self) {
        match self {
            Self::Plain(tcp) => reset_on_close(tcp),
            Self::Tls(tls) => reset_on_close(tls.get_ref().0),
            // Dropping an unfinished stream resets it.
            Self::Http2(_) => {}
        }
    }

    /// Whether the endpoint neither closed the connection nor sent anything unasked. Looks at the
    /// readiness that the event loop noted; a system call only where TLS has something to say of
    /// its own (session tickets).
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let ready = match self {
            Self::Plain(tcp) => tcp.poll_read_ready(&mut context),
            Self::Tls(tls) => tls.get_ref().0.poll_read_ready(&mut context),
            Self::Http2(_) => return false,
        };
        if ready.is_pending() {
            return true;
        }
        match self {
            Self::Plain(_) | Self::Http2(_) => false,
            Self::Tls(_) => self.poll_read(&mut context, &mut [0u8; 1]).is_pending(),
        }
    }

    /// Whether the connection is protected; for a request of HTTP/2 its connection knows.
    pub(crate) fn is_secure(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    pub(crate) fn http2(&mut self) -> Option<&mut BackendStream> {
        match self {
            Self::Plain(_) | Self::Tls(_) => None,
            Self::Http2(stream) => Some(stream),
        }
    }

    /// Whether the handshake chose HTTP/2.
    pub(crate) fn negotiated_http2(&self) -> bool {
        match self {
            Self::Plain(_) | Self::Http2(_) => false,
            Self::Tls(tls) => tls.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    pub(crate) fn is_http2(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    /// Whether the protocol can be switched: HTTP/2 knows WebSocket alone.
    pub(crate) fn may_switch(&self) -> bool {
        match self {
            Self::Plain(_) | Self::Tls(_) => true,
            Self::Http2(stream) => stream.is_websocket(),
        }
    }
}

/// Makes the kernel send RST in place of FIN.
pub(crate) fn reset_on_close(tcp: &TcpStream) {
    if let Err(error) = SockRef::from(tcp).set_linger(Some(Duration::ZERO)) {
        tracing::debug!(%error, "a connection is closed without a reset");
    }
}

impl AsyncRead for UpstreamStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, target),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, target),
            Self::Http2(stream) => {
                let read = ready!(stream.poll_read(cx, target.initialize_unfilled()))?;
                target.advance(read);
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for UpstreamStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, slices),
            Self::Http2(stream) => {
                let first = slices.iter().find(|slice| !slice.is_empty());
                stream.poll_send(cx, first.map_or(&[], |slice| slice), false)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(tcp) => tcp.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
            Self::Http2(_) => false,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_shutdown(cx)
    }
}
