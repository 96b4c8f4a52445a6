//! A client's HTTP/2 connection: one task drives it, each request is a task of its own.

use std::{
    cell::Cell,
    future::poll_fn,
    net::SocketAddr,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use ::http2::{ErrorCode, Request, Role};
use http1::Parse;

use crate::{
    accept::{Open, PortState},
    http::{
        attempt,
        connection::{self, Connection},
        local::{self, Answer},
        record::Record,
        scratch::Scratch,
    },
    http2::{
        head::{self, Refusal},
        shared::{Handle, Shared},
        stream::ClientStream,
        tasks::Seat,
        websocket,
        wire::{Turn, Wire, count_received},
    },
    observe::{metrics::count, reason::Reason as Why},
    pressure::{Held, Pressure},
    stream::Stream,
    timer::Slot,
    tls::accept::TlsContext,
    worker::Worker,
};

/// How long a client may take to confirm our GOAWAY.
const GOODBYE: Duration = Duration::from_secs(5);
/// Longest time between two looks at a connection that only its streams concern.
const BUSY: Duration = Duration::from_secs(3600);
/// How long a closed connection is read, so that what we said last is not lost to a reset.
const LINGER: Duration = Duration::from_secs(1);

/// Requests in progress on a connection from which on, without memory, further ones are refused
/// and not answered.
const ANSWERED_AT_LAST: usize = 2;

/// What the tasks of one connection share.
struct Session {
    worker: Rc<Worker>,
    port: Rc<PortState>,
    peer: SocketAddr,
    /// The peer's address as text: every request tells it.
    peer_text: String,
    tls_listener: Option<Rc<TlsContext>>,
    secure: bool,
    shared: Rc<Shared>,
    /// Bytes of the heads of requests in progress.
    heads: Cell<usize>,
    /// Requests that were refused for their form.
    glitches: Cell<u32>,
}

/// Counts the bytes of a head in progress until dropped.
struct HeldHead {
    session: Rc<Session>,
    bytes: usize,
}

impl HeldHead {
    /// Room for one more head; `None` when those in progress take it all.
    fn take(session: &Rc<Session>, bytes: usize) -> Option<Self> {
        let all = session.heads.get().saturating_add(bytes);
        if all > session.worker.limits.http2_heads {
            return None;
        }
        session.heads.set(all);
        Some(Self { session: Rc::clone(session), bytes })
    }
}

impl Drop for HeldHead {
    fn drop(&mut self) {
        let heads = &self.session.heads;
        heads.set(heads.get().saturating_sub(self.bytes));
    }
}

/// What the driver waits for; decides which limit applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    Preface,
    /// With the number of the block.
    HeaderBlock(u64),
    Idle,
    Busy,
    Goodbye,
    /// With the bytes that the socket took so far.
    Write(u64),
}

/// Serves a connection that negotiated HTTP/2, or whose first bytes, in `replay`, are its preface.
pub(crate) async fn serve(connection: Connection, replay: Vec<u8>) {
    let Connection { worker, stream, port, timer, peer, tls_listener, open, .. } = connection;
    count(&worker.counters.totals.http2_connections);
    let shared = Shared::new(&worker, Role::Server);
    let session = Rc::new(Session {
        secure: stream.is_tls(),
        worker: Rc::clone(&worker),
        port,
        peer,
        peer_text: peer.ip().to_string(),
        tls_listener,
        shared: Rc::clone(&shared),
        heads: Cell::new(0),
        glitches: Cell::new(0),
    });
    shared.with(|connection| connection.receive(&replay, worker.clock.second()));
    drop(replay);
    let wire = Wire::new(stream);
    let mut driver = Driver { session, wire, timer, open, waits: None, left: false };
    driver.session.begin_all();
    poll_fn(|cx| driver.poll(cx)).await;
    if let Some(code) = shared.look(::http2::Connection::failure) {
        tracing::debug!(%code, "a client's connection failed");
        if code == ErrorCode::ENHANCE_YOUR_CALM {
            count(&worker.counters.totals.http2_abuses);
        }
    }
    shared.with(::http2::Connection::close);
    let Driver { mut wire, timer, open, session, .. } = driver;
    drop(session);
    timer.arm(LINGER);
    wire.linger(&timer, &shared).await;
    drop(open);
}

struct Driver {
    session: Rc<Session>,
    wire: Wire<Stream>,
    timer: Slot,
    open: Option<Open>,
    waits: Option<Waits>,
    /// The client was told that no further request is taken.
    left: bool,
}

impl Driver {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.timer.expired() && self.time_is_up() {
            return Poll::Ready(());
        }
        let session = Rc::clone(&self.session);
        session.shared.listen(cx);
        if !self.left && self.should_leave() {
            self.leave();
        }
        let turn = self.turn(cx);
        session.shared.rest();
        if turn.is_ready() {
            return Poll::Ready(());
        }
        self.arm();
        Poll::Pending
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Session { worker, shared, .. } = &*self.session;
        let session = &self.session;
        let turn = self.wire.turn(cx, worker, shared, |bytes| {
            count_received(worker, bytes);
            session.begin_all();
        });
        match turn {
            Err(error) => {
                tracing::debug!(%error, "a client's connection failed");
                Poll::Ready(())
            }
            Ok(Turn::Ended) => Poll::Ready(()),
            Ok(Turn::Behind) => Poll::Pending,
            Ok(Turn::Drained) if self.is_over() => Poll::Ready(()),
            Ok(Turn::Drained) => Poll::Pending,
        }
    }

    /// Whether the connection failed, or we left it and nothing is in progress.
    fn is_over(&self) -> bool {
        self.session
            .shared
            .look(|connection| connection.failure().is_some() || connection.is_done())
    }

    fn should_leave(&self) -> bool {
        let session = &self.session;
        connection::is_ending(&session.worker, &session.port, self.open.as_ref())
    }

    fn leave(&mut self) {
        self.left = true;
        self.session.shared.with(::http2::Connection::leave);
    }

    /// Whether the limit that passed ends the connection.
    fn time_is_up(&mut self) -> bool {
        match self.waits {
            Some(Waits::Preface | Waits::HeaderBlock(_) | Waits::Goodbye | Waits::Write(_)) => true,
            Some(Waits::Idle) => {
                self.leave();
                false
            }
            Some(Waits::Busy) | None => {
                self.waits = None;
                false
            }
        }
    }

    fn waits(&self) -> Waits {
        self.session.shared.look(|connection| {
            if !connection.output().is_empty() {
                Waits::Write(self.wire.sent())
            } else if let Some(block) = connection.open_block() {
                Waits::HeaderBlock(block)
            } else if connection.stream_count() > 0 {
                Waits::Busy
            } else if self.left {
                Waits::Goodbye
            } else if connection.is_settled() {
                Waits::Idle
            } else {
                Waits::Preface
            }
        })
    }

    fn arm(&mut self) {
        let waits = self.waits();
        if self.waits == Some(waits) {
            return;
        }
        self.waits = Some(waits);
        let limits = &self.session.worker.limits;
        self.timer.arm(match waits {
            Waits::Preface | Waits::HeaderBlock(_) => limits.head_timeout,
            Waits::Idle => self.session.worker.keep_alive(),
            Waits::Busy => BUSY,
            Waits::Goodbye => GOODBYE,
            Waits::Write(_) => limits.write_idle,
        });
    }
}

impl Session {
    /// Begins the requests that came.
    fn begin_all(self: &Rc<Self>) {
        while let Some(accepted) = self.shared.with(::http2::Connection::accept) {
            self.begin(accepted);
        }
        if self.glitches.get() > self.worker.limits.http2_glitches {
            self.shared.with(|connection| connection.fail(ErrorCode::ENHANCE_YOUR_CALM));
        }
    }

    fn begin(self: &Rc<Self>, accepted: ::http2::Accepted) {
        let ::http2::Accepted { stream, request, ends } = accepted;
        let handle = Handle::new(Rc::clone(&self.shared), stream);
        // Before its task begins: tasks of all connections may begin after all were read.
        let held = Held::take(&self.worker);
        let short = self.worker.peers.memory.pressure() >= Pressure::Requests;
        let streams = self.shared.look(::http2::Connection::stream_count);
        // A client that takes no answer would make us hold them all.
        let silent = (short || held.is_none()) && streams > ANSWERED_AT_LAST;
        let head = HeldHead::take(self, request.as_ref().map_or(0, Request::size));
        let Some(head) = head.filter(|_| !silent) else {
            count(&self.worker.counters.totals.shed);
            handle.abort(ErrorCode::REFUSED_STREAM);
            return;
        };
        let accepted = Accepted { head, handle, request, ends, held };
        if let Some(accepted) = self.worker.http2_tasks.hand(accepted) {
            // In a box: the runtime moves a task's whole future when it ends.
            let serving = serve_requests(Rc::clone(&self.worker), accepted);
            tokio::task::spawn_local(Box::pin(serving));
        }
    }
}

/// A request that is to be served.
pub(crate) struct Accepted {
    head: HeldHead,
    handle: Handle,
    request: Option<Request>,
    ends: bool,
    held: Option<Held>,
}

/// Serves `first`, and then what this task is handed.
async fn serve_requests(worker: Rc<Worker>, first: Accepted) {
    let mut timer = poll_fn(|cx| Poll::Ready(worker.slot(cx))).await;
    let seat = Rc::new(Seat::default());
    let mut next = Some(first);
    while let Some(accepted) = next {
        timer = serve_request(accepted, timer).await;
        timer.disarm();
        if !worker.http2_tasks.wait(&seat, worker.limits.scratch_kept) {
            break;
        }
        next = poll_fn(|cx| seat.poll_request(cx)).await;
    }
}

/// Gives the timer back.
async fn serve_request(accepted: Accepted, timer: Slot) -> Slot {
    let Accepted { head, handle, request, ends, held } = accepted;
    let session = &*head.session;
    let worker = &session.worker;
    let mut scratch = worker.scratch.take();
    scratch.names.peer.clear();
    scratch.names.peer.push_str(&session.peer_text);
    let is_head = request.as_ref().is_some_and(|request| request.method() == b"HEAD");
    let read = match request {
        Some(request) => {
            let read = read_head(worker, &request, ends, &mut scratch);
            handle.reuse(request.into_fields());
            read
        }
        None => Err((Why::HeadTooLarge, "fields")),
    };
    let client = ClientStream::new(handle, session.secure, &worker.limits);
    let mut connection = Connection {
        worker: Rc::clone(worker),
        stream: Stream::Http2(Box::new(client)),
        port: Rc::clone(&session.port),
        timer,
        peer: session.peer,
        tls_listener: session.tls_listener.clone(),
        used: true,
        open: None,
        held,
    };
    match read {
        Ok(()) => {
            attempt::serve(&mut connection, &mut scratch).await;
        }
        Err((reason, detail)) => {
            session.glitches.set(session.glitches.get().saturating_add(1));
            refuse(&mut connection, &mut scratch, reason, detail, is_head).await;
        }
    }
    if let Stream::Http2(client) = &mut connection.stream {
        client.abort(ErrorCode::INTERNAL_ERROR);
    }
    worker.scratch.give(scratch, &worker.limits);
    connection.timer
}

/// Puts the head into `scratch.input`, read by the parser of HTTP/1.1.
fn read_head(
    worker: &Worker,
    request: &Request,
    ends: bool,
    scratch: &mut Scratch,
) -> Result<(), (Why, &'static str)> {
    let Scratch { input, request: parsed, to_upstream, names, .. } = scratch;
    let limits = &worker.limits;
    names.clear();
    to_upstream.clear();
    let key = || websocket::key(&worker.random);
    head::read_request(request, ends, key, limits, &mut to_upstream.bytes).map_err(|refusal| {
        match refusal {
            Refusal::Malformed(detail) => (Why::BadHead, detail),
            Refusal::TooManyFields => (Why::HeadTooLarge, "fields"),
            Refusal::Protocol => (Why::NotImplemented, "protocol"),
        }
    })?;
    input.load(&to_upstream.bytes);
    to_upstream.clear();
    match parsed.parse(input.unread(), &limits.head) {
        Ok(Parse::Complete { head_len }) => {
            input.keep(head_len);
            Ok(())
        }
        Ok(Parse::Partial | Parse::Http2Preface) => Err((Why::BadHead, "")),
        Err(error) => Err((Why::of_head_error(error.status), error.reason.label())),
    }
}

/// Answers a head that is not served, and logs it.
async fn refuse(
    connection: &mut Connection,
    scratch: &mut Scratch,
    reason: Why,
    detail: &'static str,
    is_head: bool,
) {
    let worker = Rc::clone(&connection.worker);
    connection.count_request();
    let mut record = Record::new(worker.clock.now());
    record.detail = detail;
    let method = if is_head { http1::Method::Head } else { http1::Method::Other };
    let shape = local::Shape { method, ..local::Shape::default() };
    scratch.response_overlay.clear();
    local::write(&worker, scratch, &Answer::of(reason), &mut record, shape);
    local::send(connection, scratch, &mut record).await;
    record.finish_unread(&worker, connection, scratch);
}
