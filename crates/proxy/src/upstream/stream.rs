//! The byte stream to an endpoint.

use std::task::{Context, Waker};

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::{
    http2::backend::BackendStream,
    stream::{Channel, Session},
};

/// A connection to an endpoint.
pub(crate) type UpstreamStream = Channel<TlsStream<TcpStream>, BackendStream>;

impl Session for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }

    fn agreed(&self) -> Option<&[u8]> {
        self.get_ref().1.alpn_protocol()
    }
}

impl UpstreamStream {
    /// Whether the endpoint neither closed the connection nor sent anything unasked. Looks at the
    /// readiness that the event loop noted; a system call only where TLS has something to say of
    /// its own (session tickets).
    pub(crate) fn is_quiet(&mut self) -> bool {
        if self.is_http2() {
            return false;
        }
        let mut context = Context::from_waker(Waker::noop());
        if self.poll_read_ready(&mut context).is_pending() {
            return true;
        }
        self.is_secure() && self.poll_read(&mut context, &mut [0u8; 1]).is_pending()
    }

    /// Whether the connection is protected; for a request of HTTP/2 its connection knows.
    pub(crate) fn is_secure(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether the protocol can be switched: HTTP/2 knows WebSocket alone.
    pub(crate) fn may_switch(&self) -> bool {
        match self {
            Self::Plain(_) | Self::Tls(_) => true,
            Self::Http2(stream) => stream.is_websocket(),
        }
    }
}
