//! HTTP/2 connections to one endpoint, each shared by many requests of one worker.
//!
//! A connection is driven by a task of its own: the one exception to the rule that one task owns
//! both sockets of an exchange.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    rc::{Rc, Weak},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use ::http2::{ErrorCode, Role, StreamError};

use crate::{
    http2::{
        backend::BackendStream,
        head::Asked,
        shared::{Handle, Shared},
        wire::{Turn, Wire},
    },
    limits::Limits,
    timer::Slot,
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

/// One connection. Its driver ends when this is dropped and nothing is in progress.
pub(crate) struct Link {
    shared: Rc<Shared>,
    secure: bool,
    /// Requests that have a place; each opens a stream.
    streams: Cell<usize>,
    most: usize,
    /// Takes no more requests.
    closed: Cell<bool>,
    /// A request found no place because the endpoint does not take what was sent.
    passed_over: Cell<bool>,
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
        let soon = self.connecting.get() || links.iter().any(|link| !link.is_settled());
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

    /// The endpoint said how many streams it takes. Before, one request goes ahead: more might be
    /// held back on this connection although another one could carry them.
    fn is_settled(&self) -> bool {
        self.closed.get() || self.shared.look(::http2::Connection::is_settled)
    }

    pub(super) fn poll_extended(&self, cx: &mut Context<'_>) -> Poll<Option<bool>> {
        if !self.is_settled() {
            self.waiting.0.borrow_mut().push(cx.waker().clone());
            return Poll::Pending;
        }
        let extended = self.shared.look(::http2::Connection::takes_extended_connect);
        Poll::Ready((extended || !self.closed.get()).then_some(extended))
    }

    fn has_room(&self) -> bool {
        let (most, takes) =
            self.shared.look(|connection| (connection.peer_streams(), connection.takes_requests()));
        if !takes {
            self.passed_over.set(true);
        }
        takes && self.streams.get() < if self.is_settled() { most.min(self.most) } else { 1 }
    }

    /// False once the endpoint said GOAWAY, or the connection ended.
    fn is_usable(&self) -> bool {
        !self.closed.get() && self.shared.look(::http2::Connection::is_open)
    }

    /// Sends the head of a request.
    pub(super) fn open(&self, asked: &Asked<'_>, ends: bool) -> Result<Handle, StreamError> {
        let opened = self
            .shared
            .with(|connection| connection.open(|block| asked.write(block), ends, asked.answer()));
        let id = opened.inspect_err(|_| self.closed.set(true))?;
        Ok(Handle::new(Rc::clone(&self.shared), id))
    }

    /// An answer broke the protocol: what is in progress goes on, and nothing is begun any more.
    pub(super) fn distrust(&self) {
        self.closed.set(true);
        self.waiting.wake();
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

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.wake_driver();
    }
}

/// Begins HTTP/2 on a new connection and takes the first place on it. Others find it at the
/// endpoint.
pub(crate) fn start(
    worker: &Rc<Worker>,
    entry: &EndpointEntry,
    socket: UpstreamStream,
) -> Box<BackendStream> {
    let limits = &worker.limits;
    let secure = socket.is_secure();
    let shared = Shared::new(worker, Role::Client);
    let link = Rc::new(Link {
        shared: Rc::clone(&shared),
        secure,
        streams: Cell::new(0),
        most: usize::try_from(limits.http2_streams).unwrap_or(usize::MAX),
        closed: Cell::new(false),
        passed_over: Cell::new(false),
        idle_since: Cell::new(None),
        waiting: Rc::clone(&entry.http2.waiting),
    });
    if !entry.closed.get() {
        entry.http2.links.borrow_mut().push(Rc::clone(&link));
        worker.deadlines.nudge();
    }
    let driver = Driver {
        worker: Rc::clone(worker),
        shared,
        wire: Wire::new(socket),
        link: Rc::downgrade(&link),
        waiting: Rc::clone(&link.waiting),
        places: None,
        written: None,
    };
    tokio::task::spawn_local(Box::pin(driver.run()));
    Box::new(BackendStream::new(link))
}

/// Reads and writes a connection until it ends.
struct Driver {
    worker: Rc<Worker>,
    shared: Rc<Shared>,
    wire: Wire<UpstreamStream>,
    link: Weak<Link>,
    waiting: Rc<Waiting>,
    /// Streams that the endpoint takes, once it has said; who waits for a place heard of it.
    places: Option<usize>,
    /// Bytes that the socket had taken when it took no more.
    written: Option<u64>,
}

impl Driver {
    async fn run(mut self) {
        let timer = poll_fn(|cx| Poll::Ready(self.worker.slot(cx))).await;
        let outcome = poll_fn(|cx| self.poll(cx, &timer)).await;
        match outcome {
            Ok(()) => self.wire.end().await,
            Err(error) => tracing::debug!(%error, "a connection to an endpoint failed"),
        }
        if let Some(code) = self.shared.look(::http2::Connection::failure) {
            tracing::debug!(%code, "a connection to an endpoint ended");
        }
        self.shared.with(::http2::Connection::close);
        if let Some(link) = self.link.upgrade() {
            link.closed.set(true);
        }
        self.waiting.wake();
    }

    fn poll(&mut self, cx: &mut Context<'_>, timer: &Slot) -> Poll<io::Result<()>> {
        self.shared.listen(cx);
        let polled = self.turn(cx, timer);
        self.shared.rest();
        polled
    }

    fn turn(&mut self, cx: &mut Context<'_>, timer: &Slot) -> Poll<io::Result<()>> {
        if self.is_over() {
            self.shared.with(|connection| connection.fail(ErrorCode::NO_ERROR));
        }
        let turn = self.wire.turn(cx, &self.worker, &self.shared, |_| {})?;
        self.look_at_places();
        match turn {
            Turn::Ended => return Poll::Ready(Ok(())),
            Turn::Drained if self.shared.look(|connection| connection.failure().is_some()) => {
                return Poll::Ready(Ok(()));
            }
            Turn::Drained => {
                self.written = None;
                let link = self.link.upgrade();
                if link.is_some_and(|link| link.passed_over.take()) {
                    self.waiting.wake();
                }
            }
            Turn::Behind if self.written != Some(self.wire.sent()) => {
                self.written = Some(self.wire.sent());
                timer.arm(self.worker.limits.write_idle);
            }
            Turn::Behind if timer.expired() => return Poll::Ready(Ok(())),
            Turn::Behind => {}
        }
        if self.is_over() && self.shared.look(|connection| connection.failure().is_none()) {
            // The peer's last words ended what was in progress.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Lets who waits for a place look when there may be more of them, or never any.
    fn look_at_places(&mut self) {
        let places = self.shared.look(|connection| match connection.is_open() {
            true => connection.is_settled().then(|| connection.peer_streams()),
            false => Some(0),
        });
        if self.places != places {
            self.places = places;
            self.waiting.wake();
        }
    }

    /// Nothing is in progress, and nobody can begin anything.
    fn is_over(&self) -> bool {
        let (open, streams) =
            self.shared.look(|connection| (connection.is_open(), connection.stream_count()));
        streams == 0 && (!open || self.link.strong_count() == 0)
    }
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
