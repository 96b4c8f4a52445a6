//! The byte stream to a peer, whichever way it is protected and multiplexed.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use crate::{http2::stream::ClientStream, tls::replay::Replay};

/// A connection, or one request of an HTTP/2 connection, as bytes both ways.
pub(crate) enum Channel<T, R> {
    Plain(TcpStream),
    Tls(Box<T>),
    /// One request of an HTTP/2 connection.
    Http2(Box<R>),
}

/// A client's connection.
pub(crate) type Stream = Channel<TlsStream<Replay>, ClientStream>;

/// TLS over a socket.
pub(crate) trait Session: AsyncRead + AsyncWrite + Unpin {
    fn tcp(&self) -> &TcpStream;
    /// What the handshake agreed on (RFC 7301).
    fn agreed(&self) -> Option<&[u8]>;
}

impl Session for TlsStream<Replay> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0.tcp()
    }

    fn agreed(&self) -> Option<&[u8]> {
        self.get_ref().1.alpn_protocol()
    }
}

/// One request of an HTTP/2 connection.
pub(crate) trait Multiplexed {
    /// Reads what the peer sends; 0 is its end.
    fn poll_read(&mut self, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Sends some of `bytes`; `last` ends our side with them.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        last: bool,
    ) -> Poll<io::Result<usize>>;

    /// Ends our side with trailers, unless it ended.
    fn finish<'a>(
        &mut self,
        trailers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> io::Result<()>;
}

impl<T: Session, R: Multiplexed> Channel<T, R> {
    /// Reads into `space`; 0 is the end of the stream.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut target = ReadBuf::new(space);
        let read = match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, &mut target),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_read(cx, &mut target),
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
            Self::Tls(tls) => Pin::new(&mut **tls).poll_write(cx, bytes),
            Self::Http2(stream) => stream.poll_send(cx, bytes, false),
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) | Self::Http2(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_flush(cx),
        }
    }

    /// Ends our side; the peer may go on sending.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
            Self::Http2(stream) => Poll::Ready(stream.finish(std::iter::empty())),
        }
    }

    /// The socket, where it carries nothing else.
    fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(tcp) => Some(tcp),
            Self::Tls(tls) => Some(tls.tcp()),
            Self::Http2(_) => None,
        }
    }

    /// Ready when there may be something to read, or the peer closed.
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp().map_or(Poll::Ready(Ok(())), |tcp| tcp.poll_read_ready(cx))
    }

    /// Makes the kernel send RST in place of FIN when it closes: what the peer has is not the whole.
    /// A request of HTTP/2 is reset by dropping it unfinished.
    pub(crate) fn reset(&mut self) {
        let Some(tcp) = self.tcp() else { return };
        if let Err(error) = SockRef::from(tcp).set_linger(Some(Duration::ZERO)) {
            tracing::debug!(%error, "a connection is closed without a reset");
        }
    }

    /// Our own address, which the peer connected to where it is a client.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.tcp()?.local_addr().ok()
    }

    pub(crate) fn http2(&mut self) -> Option<&mut R> {
        match self {
            Self::Plain(_) | Self::Tls(_) => None,
            Self::Http2(stream) => Some(stream),
        }
    }

    pub(crate) fn is_http2(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    /// Whether the handshake chose HTTP/2.
    pub(crate) fn negotiated_http2(&self) -> bool {
        match self {
            Self::Plain(_) | Self::Http2(_) => false,
            Self::Tls(tls) => tls.agreed() == Some(b"h2"),
        }
    }
}

impl Stream {
    /// Whether the connection is protected.
    pub(crate) fn is_tls(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(_) => true,
            Self::Http2(stream) => stream.is_secure(),
        }
    }
}

impl<T: Session, R: Multiplexed> AsyncRead for Channel<T, R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // The socket writes into the space as it is: to make it ready first would touch all of it.
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, target),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_read(cx, target),
            Self::Http2(stream) => {
                let read = ready!(stream.poll_read(cx, target.initialize_unfilled()))?;
                target.advance(read);
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl<T: Session, R: Multiplexed> AsyncWrite for Channel<T, R> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_shutdown(cx)
    }
}
