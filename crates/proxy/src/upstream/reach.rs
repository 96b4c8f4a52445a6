//! A way to an endpoint for one request: a pooled connection, a place on a shared one, or a new
//! connection.

use std::{future::poll_fn, rc::Rc, task::Poll, time::Instant};

use ir::BackendProtocol;

use crate::{
    http2::pool::{self as links, Take},
    l4::proxy_protocol::Hop,
    observe::{metrics::count, reason::Reason},
    timer::Slot,
    upstream::{
        connect::{ConnectError, Dial, connect},
        endpoints::{ClusterState, EndpointEntry},
        pool,
        stream::UpstreamStream,
    },
    worker::Worker,
};

/// Where a request may go.
pub(crate) struct Reach<'a> {
    pub(crate) worker: &'a Rc<Worker>,
    /// The caller's; armed anew.
    pub(crate) timer: &'a Slot,
    pub(crate) cluster: &'a ClusterState,
    pub(crate) entry: &'a EndpointEntry,
    /// Told to endpoints by the PROXY protocol, where the connection is for this client alone.
    pub(crate) client: Option<Hop>,
    /// Idle connections of HTTP/1.1 are not taken.
    pub(crate) fresh: bool,
    /// The request is an upgrade to WebSocket.
    pub(crate) websocket: bool,
    pub(crate) deadline: Option<Instant>,
}

impl Reach<'_> {
    /// A stream to the endpoint that can carry the request, and whether its connection was open
    /// already.
    ///
    /// # Errors
    /// Those of [`connect()`], a timeout while every connection is full, and a WebSocket that an
    /// endpoint of HTTP/2 does not take.
    pub(crate) async fn stream(&self) -> Result<(UpstreamStream, bool), ConnectError> {
        let (mut stream, reused) = self.any().await?;
        if !self.websocket || self.ask_websocket(&mut stream).await? {
            return Ok((stream, reused));
        }
        drop(stream);
        match self.cluster.id.0.protocol {
            BackendProtocol::Negotiated => Ok((self.connect(true).await?, false)),
            BackendProtocol::Http1
            | BackendProtocol::Http2
            | BackendProtocol::Tcp
            | BackendProtocol::Udp => {
                Err(ConnectError { reason: Reason::WebsocketUnsupported, detail: "" })
            }
        }
    }

    /// Makes the stream one of a WebSocket; false when its endpoint takes none over HTTP/2.
    async fn ask_websocket(&self, stream: &mut UpstreamStream) -> Result<bool, ConnectError> {
        let Some(stream) = stream.http2() else { return Ok(true) };
        self.timer.arm_until(self.worker.limits.connect, self.deadline);
        let extended = poll_fn(|cx| match stream.poll_extended(cx) {
            Poll::Ready(extended) => Poll::Ready(Ok(extended)),
            Poll::Pending if self.timer.expired() => Poll::Ready(Err(self.late("settings"))),
            Poll::Pending => Poll::Pending,
        })
        .await?;
        let closed = ConnectError { reason: Reason::ConnectRefused, detail: "preface" };
        let extended = extended.ok_or(closed)?;
        if extended {
            stream.ask_websocket();
        }
        Ok(extended)
    }

    async fn any(&self) -> Result<(UpstreamStream, bool), ConnectError> {
        let totals = &self.worker.counters.totals;
        let shared = match self.cluster.id.0.protocol {
            BackendProtocol::Http2 => true,
            // Endpoints choose when they are connected to; most choose alike.
            BackendProtocol::Negotiated => self.entry.http2.any(),
            BackendProtocol::Http1 | BackendProtocol::Tcp | BackendProtocol::Udp => false,
        };
        if shared {
            return self.place().await;
        }
        if !self.fresh
            && let Some(stream) = pool::take(self.entry)
        {
            count(&totals.reused);
            return Ok((stream, true));
        }
        let stream = self.connect(false).await?;
        if stream.negotiated_http2() {
            return Ok((self.begin_http2(stream), false));
        }
        Ok((stream, false))
    }

    /// `http1` offers no other protocol.
    async fn connect(&self, http1: bool) -> Result<UpstreamStream, ConnectError> {
        let alone = match self.cluster.id.0.protocol {
            BackendProtocol::Http1 | BackendProtocol::Tcp | BackendProtocol::Udp => true,
            BackendProtocol::Http2 | BackendProtocol::Negotiated => false,
        };
        let dial = Dial {
            cluster: self.cluster,
            address: self.entry.endpoint.address,
            client: self.client.filter(|_| alone || http1),
            http1,
            deadline: self.deadline,
        };
        connect(self.worker, self.timer, &dial).await
    }

    /// A place on an HTTP/2 connection.
    async fn place(&self) -> Result<(UpstreamStream, bool), ConnectError> {
        let limits = &self.worker.limits;
        self.timer.arm_until(limits.connect, self.deadline);
        let taken = poll_fn(|cx| match self.entry.http2.poll_take(cx, limits) {
            Poll::Ready(taken) => Poll::Ready(Some(taken)),
            Poll::Pending if self.timer.expired() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await;
        match taken {
            Some(Take::Stream(stream)) => {
                count(&self.worker.counters.totals.reused);
                Ok((UpstreamStream::Http2(stream), true))
            }
            Some(Take::Connect(connecting)) => {
                let socket = self.connect(false).await?;
                let stream = self.begin_http2(socket);
                // Those who wait find the connection now.
                drop(connecting);
                Ok((stream, false))
            }
            None => Err(self.late("streams")),
        }
    }

    /// Whose time is up: the request's, or that of getting to the endpoint.
    fn late(&self, detail: &'static str) -> ConnectError {
        let now = self.worker.clock.now();
        let late = self.deadline.is_some_and(|deadline| deadline <= now);
        let reason = if late { Reason::RequestTimeout } else { Reason::ConnectTimeout };
        ConnectError { reason, detail }
    }

    fn begin_http2(&self, socket: UpstreamStream) -> UpstreamStream {
        UpstreamStream::Http2(links::start(self.worker, self.entry, socket))
    }
}
