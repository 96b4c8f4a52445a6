//! The byte stream of a connection, whichever way it is protected.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use crate::{http2::stream::ClientStream, tls::replay::Replay, upstream::stream::reset_on_close};

/// A client's connection.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<Replay>>),
    /// One request of an HTTP/2 connection.
    Http2(Box<ClientStream>),
}

impl Stream {
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

    /// Ends our side; the peer may go on sending.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
            Self::Http2(stream) => Poll::Ready(stream.finish(std::iter::empty())),
        }
    }

    /// Ready when there may be something to read, or the client closed.
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => tcp.poll_read_ready(cx),
            Self::Tls(tls) => tls.get_ref().0.tcp().poll_read_ready(cx),
            Self::Http2(_) => Poll::Ready(Ok(())),
        }
    }

    /// Closing will reset the connection: what the client has is not the whole.
    pub(crate) fn reset(&mut self) {
        match self {
            Self::Plain(tcp) => reset_on_close(tcp),
            Self::Tls(tls) => reset_on_close(tls.get_ref().0.tcp()),
            // Dropping an unfinished stream resets it.
            Self::Http2(_) => {}
        }
    }

    /// The address that the client connected to.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Plain(tcp) => tcp.local_addr().ok(),
            Self::Tls(tls) => tls.get_ref().0.tcp().local_addr().ok(),
            Self::Http2(_) => None,
        }
    }

    pub(crate) fn is_tls(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(_) => true,
            Self::Http2(stream) => stream.is_secure(),
        }
    }

    pub(crate) fn http2(&mut self) -> Option<&mut ClientStream> {
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
            Self::Tls(tls) => tls.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }
}
