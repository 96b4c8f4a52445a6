//! HTTP/2 connections to one endpoint, each shared by many requests of one worker.
//!
//! A connection is driven by a task of its own: the one exception to the rule that one task owns
//! both sockets of an exchange.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    io,
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::{
    SendStream,
    client::{Builder, Connection, ResponseFuture, SendRequest},
};
use http::Request;

use crate::{
    http2::{backend::BackendStream, frames::Meter, io_error, wire::Wire},
    limits::Limits,
    upstream::{
        endpoints::{EndpointEntry, Upstreams},
        stream::UpstreamStream,
    },
    worker::Worker,
};

/// The connections of one endpoint.
#[derive(Default)]
pub(crate) struct Links {
    links: RefCell<Vec<Rc<Link>>>,
    connecting: Cell<bool>,
    waiting: Rc<Waiting>,
}

/// Requests that wait for a place on a connection.
#[derive(Default)]
struct Waiting(RefCell<Vec<Waker>>);

impl Waiting {
    fn wake(&self) {
        self.0.take().into_iter().for_each(Waker::wake);
    }
}

/// One connection.
pub(crate) struct Link {
    send: RefCell<SendRequest<Bytes>>,
    secure: bool,
    streams: Cell<usize>,
    most: usize,
    /// The endpoint said how many streams it takes. Before, one request goes ahead: more might be
    /// held back on this connection although another one could carry them.
    settled: Cell<bool>,
    /// Takes no more requests.
    closed: Cell<bool>,
    idle_since: Cell<Option<Instant>>,
    waiting: Rc<Waiting>,
}

/// What a request does next.
pub(crate) enum Take<'a> {
    Stream(Box<BackendStream>),
    /// Opens a connection; others wait for it until this is dropped.
    Connect(Connecting<'a>),
}

/// The right to open a connection.
pub(crate) struct Connecting<'a>(&'a Links);

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        self.0.connecting.set(false);
        self.0.waiting.wake();
    }
}

impl Links {
    /// A place on a connection, or the right to open one. Pending while another request opens one,
    /// or all that may be open are full.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>, limits: &Limits) -> Poll<Take<'_>> {
        self.links.borrow_mut().retain(|link| link.is_usable());
        let links = self.links.borrow();
        if let Some(link) = links.iter().find(|link| link.has_room()) {
            return Poll::Ready(Take::Stream(Box::new(BackendStream::new(Rc::clone(link)))));
        }
        let soon = self.connecting.get() || links.iter().any(|link| !link.settled.get());
        if !soon && links.len() < limits.http2_connections {
            self.connecting.set(true);
            return Poll::Ready(Take::Connect(Connecting(self)));
        }
        self.waiting.0.borrow_mut().push(cx.waker().clone());
        Poll::Pending
    }

    /// Whether a connection is open.
    pub(crate) fn any(&self) -> bool {
        !self.links.borrow().is_empty()
    }

    /// Connections without a request.
    pub(crate) fn idle(&self) -> usize {
        self.links.borrow().iter().filter(|link| link.streams.get() == 0).count()
    }

    /// Lets requests in flight end, and takes no more.
    pub(crate) fn close(&self) {
        self.links.take().iter().for_each(|link| link.closed.set(true));
        self.waiting.wake();
    }
}

impl Link {
    pub(super) fn is_secure(&self) -> bool {
        self.secure
    }

    pub(super) fn poll_extended(&self, cx: &mut Context<'_>) -> Poll<Option<bool>> {
        if !self.settled.get() {
            self.waiting.0.borrow_mut().push(cx.waker().clone());
            return Poll::Pending;
        }
        let extended = self.send.borrow().is_extended_connect_protocol_enabled();
        Poll::Ready((extended || !self.closed.get()).then_some(extended))
    }

    fn has_room(&self) -> bool {
        let most = self.send.borrow().current_max_send_streams().min(self.most);
        self.streams.get() < if self.settled.get() { most } else { 1 }
    }

    /// False once the endpoint said GOAWAY, or the connection ended.
    fn is_usable(&self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(Err(_)) = self.send.borrow_mut().poll_ready(&mut context) {
            self.closed.set(true);
        }
        !self.closed.get()
    }

    pub(super) fn send_request(
        &self,
        request: Request<()>,
        ends: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let sent = self.send.borrow_mut().send_request(request, ends);
        if sent.is_err() {
            self.closed.set(true);
        }
        sent
    }

    pub(super) fn add_stream(&self) {
        self.streams.set(self.streams.get().saturating_add(1));
        self.idle_since.set(None);
    }

    pub(super) fn remove_stream(&self) {
        self.streams.set(self.streams.get().saturating_sub(1));
        self.waiting.wake();
    }
}

/// Begins HTTP/2 on a new connection and takes the first place on it. Others find it at the
/// endpoint.
///
/// # Errors
/// When the preface cannot be written.
pub(crate) async fn start(
    worker: &Rc<Worker>,
    entry: &EndpointEntry,
    socket: UpstreamStream,
) -> io::Result<Box<BackendStream>> {
    let limits = &worker.limits;
    let secure = socket.is_secure();
    let wire = Wire::of_endpoint(Rc::clone(worker), socket);
    let (send, connection) = builder(limits).handshake(wire.clone()).await.map_err(io_error)?;
    let link = Rc::new(Link {
        send: RefCell::new(send),
        secure,
        streams: Cell::new(0),
        most: usize::try_from(limits.http2_streams).unwrap_or(usize::MAX),
        settled: Cell::new(false),
        closed: Cell::new(false),
        idle_since: Cell::new(None),
        waiting: Rc::clone(&entry.http2.waiting),
    });
    if !entry.closed.get() {
        entry.http2.links.borrow_mut().push(Rc::clone(&link));
        worker.deadlines.nudge();
    }
    let weak = Rc::downgrade(&link);
    let worker = Rc::clone(worker);
    tokio::task::spawn_local(async move {
        drive(&worker, connection, wire, &weak).await;
        if let Some(link) = weak.upgrade() {
            link.closed.set(true);
            link.settled.set(true);
            link.waiting.wake();
        }
    });
    Ok(Box::new(BackendStream::new(link)))
}

/// The connection's window is that of all its streams together: a client that reads slowly must
/// not stop the responses of others.
pub(super) fn builder(limits: &Limits) -> Builder {
    let mut builder = Builder::new();
    let header_list = u32::try_from(limits.http2_header_list).unwrap_or(u32::MAX);
    let streams = usize::try_from(limits.http2_streams).unwrap_or(usize::MAX);
    builder
        .enable_push(false)
        .initial_window_size(limits.http2_window)
        .initial_connection_window_size(limits.http2_window.saturating_mul(limits.http2_streams))
        .initial_max_send_streams(streams)
        .max_header_list_size(header_list)
        .max_send_buffer_size(limits.http2_send_buffer);
    builder
}

async fn drive(
    worker: &Rc<Worker>,
    mut connection: Connection<Wire<UpstreamStream>, Bytes>,
    wire: Wire<UpstreamStream>,
    link: &Weak<Link>,
) {
    let timer = poll_fn(|cx| Poll::Ready(worker.slot(cx))).await;
    let mut written = (0, false);
    let mut settled = false;
    poll_fn(|cx| {
        let ended = Pin::new(&mut connection).poll(cx);
        if !settled && wire.with_meter(Meter::settled) {
            settled = true;
            if let Some(link) = link.upgrade() {
                link.settled.set(true);
                link.waiting.wake();
            }
        }
        if let Poll::Ready(Err(error)) = wire.poll_drain(cx) {
            tracing::debug!(%error, "a connection to an endpoint failed");
            return Poll::Ready(());
        }
        if let Poll::Ready(ended) = ended {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection to an endpoint ended");
            }
            return Poll::Ready(());
        }
        if wire.with_meter(Meter::fault).is_some() {
            return Poll::Ready(());
        }
        let progress = wire.progress();
        if progress != written {
            written = progress;
            timer.arm(worker.limits.write_idle);
        } else if progress.1 && timer.expired() {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

/// Closes connections that idled too long. Returns how many remain.
pub(crate) fn sweep(upstreams: &Upstreams, now: Instant, longest: Duration) -> usize {
    let mut remaining = 0usize;
    upstreams.for_each(|cluster| {
        for entry in cluster.endpoints.borrow().all() {
            let mut links = entry.http2.links.borrow_mut();
            links.retain(|link| {
                if link.streams.get() > 0 {
                    return true;
                }
                let since = link.idle_since.get().unwrap_or(now);
                link.idle_since.set(Some(since));
                link.is_usable() && now.saturating_duration_since(since) < longest
            });
            remaining = remaining.saturating_add(links.len());
        }
    });
    remaining
}
