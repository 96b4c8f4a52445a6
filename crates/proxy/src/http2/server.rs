//! A client's HTTP/2 connection: one task drives it, each request is a task of its own.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    server::{Builder, SendResponse},
};
use http::Request;
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
        frames::Meter,
        head::{self, Refusal},
        stream::ClientStream,
        tasks::Seat,
        websocket,
        wire::Wire,
    },
    limits::Limits,
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

type H2 = h2::server::Connection<Wire<Stream>, Bytes>;

/// What the tasks of one connection share.
struct Session {
    worker: Rc<Worker>,
    port: Rc<PortState>,
    peer: SocketAddr,
    /// The peer's address as text: every request tells it.
    peer_text: String,
    tls_listener: Option<Rc<TlsContext>>,
    secure: bool,
    /// Requests in progress.
    streams: Cell<usize>,
    /// Bytes of their heads.
    heads: Cell<usize>,
    /// Requests that were refused for their form.
    glitches: Cell<u32>,
    driver: RefCell<Option<Waker>>,
}

/// Counts a request in progress until dropped.
struct InProgress(Rc<Session>);

impl InProgress {
    fn new(session: &Rc<Session>) -> Self {
        session.streams.set(session.streams.get().saturating_add(1));
        Self(Rc::clone(session))
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get().saturating_sub(1));
        if let Some(driver) = self.0.driver.take() {
            driver.wake();
        }
    }
}

/// Counts the bytes of a head in progress until dropped.
struct HeldHead<'a> {
    session: &'a Session,
    bytes: usize,
}

impl Session {
    /// Room for one more head; `None` when those in progress take it all.
    fn hold_head(&self, bytes: usize) -> Option<HeldHead<'_>> {
        let all = self.heads.get().saturating_add(bytes);
        if all > self.worker.limits.http2_heads {
            return None;
        }
        self.heads.set(all);
        Some(HeldHead { session: self, bytes })
    }
}

impl Drop for HeldHead<'_> {
    fn drop(&mut self) {
        let heads = &self.session.heads;
        heads.set(heads.get().saturating_sub(self.bytes));
    }
}

/// What the driver waits for; decides which limit applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    Preface,
    HeaderBlock,
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
    let session = Rc::new(Session {
        secure: stream.is_tls(),
        worker: Rc::clone(&worker),
        port,
        peer,
        peer_text: peer.ip().to_string(),
        tls_listener,
        streams: Cell::new(0),
        heads: Cell::new(0),
        glitches: Cell::new(0),
        driver: RefCell::new(None),
    });
    let wire = Wire::of_client(Rc::clone(&worker), stream, replay);
    timer.arm(worker.limits.head_timeout);
    if let Some(h2) = handshake(&worker, &wire, &timer).await {
        let wire = wire.clone();
        let mut driver = Driver { h2, session, wire, timer, open, waits: None, left: None };
        poll_fn(|cx| driver.poll(cx)).await;
        let Driver { h2, wire, timer, open, .. } = driver;
        drop(h2);
        timer.arm(LINGER);
        wire.linger(&timer).await;
        drop(open);
    }
}

/// Reads the preface and sends our settings.
async fn handshake(worker: &Worker, wire: &Wire<Stream>, timer: &Slot) -> Option<H2> {
    let mut handshake = pin!(builder(&worker.limits).handshake(wire.clone()));
    poll_fn(|cx| {
        let shaken = handshake.as_mut().poll(cx);
        if let Poll::Ready(Err(_)) = wire.poll_drain(cx) {
            return Poll::Ready(None);
        }
        match shaken {
            Poll::Ready(shaken) => Poll::Ready(shaken.ok()),
            Poll::Pending if timer.expired() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

pub(super) fn builder(limits: &Limits) -> Builder {
    let mut builder = Builder::new();
    let header_list = u32::try_from(limits.http2_header_list).unwrap_or(u32::MAX);
    let resets = usize::try_from(limits.http2_resets).unwrap_or(usize::MAX);
    builder
        .initial_window_size(limits.http2_window)
        .initial_connection_window_size(limits.http2_connection_window)
        .max_concurrent_streams(limits.http2_streams)
        .max_header_list_size(header_list)
        .max_send_buffer_size(limits.http2_send_buffer)
        .max_local_error_reset_streams(Some(resets))
        .enable_connect_protocol();
    builder
}

struct Driver {
    h2: H2,
    session: Rc<Session>,
    wire: Wire<Stream>,
    timer: Slot,
    open: Option<Open>,
    waits: Option<Waits>,
    left: Option<Left>,
}

/// That no further request is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// GOAWAY was said, requests in progress go on.
    Politely,
    /// The client is thrown out.
    AtOnce,
}

impl Driver {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.timer.expired() && self.time_is_up() {
            return Poll::Ready(());
        }
        self.session.driver.replace(Some(cx.waker().clone()));
        if self.left.is_none() && self.should_leave() {
            self.left = Some(Left::Politely);
            self.h2.graceful_shutdown();
        }
        loop {
            match self.h2.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, answer)))) => self.begin(request, answer),
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "a client's connection ended");
                    return Poll::Ready(());
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => {
                    let fault = self.fault().filter(|_| self.left != Some(Left::AtOnce));
                    let Some(reason) = fault else { break };
                    count(&self.session.worker.counters.totals.http2_abuses);
                    self.left = Some(Left::AtOnce);
                    self.h2.abrupt_shutdown(reason);
                }
            }
        }
        if let Poll::Ready(Err(_)) = self.wire.poll_drain(cx) {
            return Poll::Ready(());
        }
        self.arm();
        Poll::Pending
    }

    fn should_leave(&self) -> bool {
        let session = &self.session;
        connection::is_ending(&session.worker, &session.port, self.open.as_ref())
    }

    /// Why the client is thrown out.
    fn fault(&self) -> Option<Reason> {
        let odd = self.session.glitches.get() > self.session.worker.limits.http2_glitches;
        let odd = odd.then_some(Reason::ENHANCE_YOUR_CALM);
        self.wire.with_meter(Meter::fault).or(odd)
    }

    /// Whether the limit that passed ends the connection.
    fn time_is_up(&mut self) -> bool {
        match self.waits {
            Some(Waits::Preface | Waits::HeaderBlock | Waits::Goodbye | Waits::Write(_)) => true,
            Some(Waits::Idle) => {
                self.left = Some(Left::Politely);
                self.h2.graceful_shutdown();
                false
            }
            Some(Waits::Busy) | None => {
                self.waits = None;
                false
            }
        }
    }

    fn waits(&self) -> Waits {
        let (sent, pending) = self.wire.progress();
        let (in_block, settled) = self.wire.with_meter(|meter| (meter.in_block(), meter.settled()));
        if pending {
            Waits::Write(sent)
        } else if in_block {
            Waits::HeaderBlock
        } else if self.session.streams.get() > 0 {
            Waits::Busy
        } else if self.left.is_some() {
            Waits::Goodbye
        } else if settled {
            Waits::Idle
        } else {
            Waits::Preface
        }
    }

    fn arm(&mut self) {
        let waits = self.waits();
        if self.waits == Some(waits) {
            return;
        }
        self.waits = Some(waits);
        let limits = &self.session.worker.limits;
        self.timer.arm(match waits {
            Waits::Preface | Waits::HeaderBlock => limits.head_timeout,
            Waits::Idle => self.session.worker.keep_alive(),
            Waits::Busy => BUSY,
            Waits::Goodbye => GOODBYE,
            Waits::Write(_) => limits.write_idle,
        });
    }

    fn begin(&self, request: Request<RecvStream>, mut answer: SendResponse<Bytes>) {
        let session = Rc::clone(&self.session);
        // Before its task begins: tasks of all connections may begin after all were read.
        let held = Held::take(&session.worker);
        let short = session.worker.peers.memory.pressure() >= Pressure::Requests;
        if (short || held.is_none()) && session.streams.get() >= ANSWERED_AT_LAST {
            // A client that takes no answer would make us hold them all.
            count(&session.worker.counters.totals.shed);
            answer.send_reset(Reason::REFUSED_STREAM);
            return;
        }
        let request = Accepted { progress: InProgress::new(&session), request, answer, held };
        if let Some(request) = session.worker.http2_tasks.hand(request) {
            // In a box: the runtime moves a task's whole future when it ends.
            let serving = serve_requests(Rc::clone(&session.worker), request);
            tokio::task::spawn_local(Box::pin(serving));
        }
    }
}

/// A request that is to be served.
pub(crate) struct Accepted {
    progress: InProgress,
    request: Request<RecvStream>,
    answer: SendResponse<Bytes>,
    held: Option<Held>,
}

/// Serves `first`, and then what this task is handed.
async fn serve_requests(worker: Rc<Worker>, first: Accepted) {
    let mut timer = poll_fn(|cx| Poll::Ready(worker.slot(cx))).await;
    let seat = Rc::new(Seat::default());
    let mut next = Some(first);
    while let Some(Accepted { progress, request, answer, held }) = next {
        timer = serve_request(&progress.0, timer, request, answer, held).await;
        timer.disarm();
        drop(progress);
        if !worker.http2_tasks.wait(&seat, worker.limits.scratch_kept) {
            break;
        }
        next = poll_fn(|cx| seat.poll_request(cx)).await;
    }
}

/// Gives the timer back.
async fn serve_request(
    session: &Session,
    timer: Slot,
    request: Request<RecvStream>,
    answer: SendResponse<Bytes>,
    place: Option<Held>,
) -> Slot {
    let worker = &session.worker;
    let (parts, body) = request.into_parts();
    let mut scratch = worker.scratch.take();
    scratch.names.peer.clear();
    scratch.names.peer.push_str(&session.peer_text);
    let read = read_head(worker, &parts, body.is_end_stream(), &mut scratch);
    let is_head = parts.method == http::Method::HEAD;
    drop(parts);
    let client = ClientStream::new(session.secure, body, answer, &worker.limits);
    let mut connection = Connection {
        worker: Rc::clone(worker),
        stream: Stream::Http2(Box::new(client)),
        port: Rc::clone(&session.port),
        timer,
        peer: session.peer,
        tls_listener: session.tls_listener.clone(),
        used: true,
        open: None,
        held: place,
    };
    let mut unanswered = Reason::INTERNAL_ERROR;
    let held = session.hold_head(scratch.input.kept().len());
    match read {
        Ok(()) if held.is_none() => {
            count(&worker.counters.totals.shed);
            unanswered = Reason::REFUSED_STREAM;
        }
        Ok(()) => {
            attempt::serve(&mut connection, &mut scratch).await;
        }
        Err((reason, detail)) => {
            session.glitches.set(session.glitches.get().saturating_add(1));
            refuse(&mut connection, &mut scratch, reason, detail, is_head).await;
        }
    }
    if let Stream::Http2(client) = &mut connection.stream {
        client.abort(unanswered);
    }
    drop(held);
    worker.scratch.give(scratch, &worker.limits);
    connection.timer
}

/// Puts the head into `scratch.input`, read by the parser of HTTP/1.1.
fn read_head(
    worker: &Worker,
    parts: &http::request::Parts,
    ends: bool,
    scratch: &mut Scratch,
) -> Result<(), (Why, &'static str)> {
    let Scratch { input, request, to_upstream, names, .. } = scratch;
    let limits = &worker.limits;
    names.clear();
    to_upstream.clear();
    let key = || websocket::key(&worker.random);
    head::read_request(parts, ends, key, limits, &mut to_upstream.bytes).map_err(|refusal| {
        match refusal {
            Refusal::Malformed(detail) => (Why::BadHead, detail),
            Refusal::TooManyFields => (Why::HeadTooLarge, "fields"),
            Refusal::Protocol => (Why::NotImplemented, "protocol"),
        }
    })?;
    input.load(&to_upstream.bytes);
    to_upstream.clear();
    match request.parse(input.unread(), &limits.head) {
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
