//! A client's connection, HTTP/1.1 until shown otherwise: idle, reading a head, in an exchange, closing.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http1::{Parse, RequestError};
use tokio::net::TcpStream;

use crate::{
    accept::{Open, PortState},
    buffer::Buffer,
    http::{
        attempt,
        local::{self, Answer},
        record::Record,
        scratch::Scratch,
    },
    http2::server,
    l4::proxy_protocol::Hop,
    observe::{
        metrics::{count, count_bytes},
        reason::Reason,
    },
    pressure::{Held, Pressure},
    stream::Stream,
    timer::Slot,
    tls::accept::TlsContext,
    worker::{Phase, Worker},
};

/// How long a closing connection may still send.
const LINGER_CLOSE: Duration = Duration::from_secs(1);
/// How many bytes a closing connection may still send.
const LINGER_CLOSE_BYTES: usize = 256 * 1024;

/// What an idle connection holds. It must stay small: there are many of them.
pub(crate) struct Connection {
    pub(crate) worker: Rc<Worker>,
    pub(crate) stream: Stream,
    pub(crate) port: Rc<PortState>,
    pub(crate) timer: Slot,
    pub(crate) peer: SocketAddr,
    /// What the handshake was made for.
    pub(crate) tls_listener: Option<Rc<TlsContext>>,
    /// Whether a request was read on it.
    pub(crate) used: bool,
    /// `None` for one request of an HTTP/2 connection, which holds it.
    pub(crate) open: Option<Open>,
    /// The place of the request of HTTP/2 that it is.
    pub(crate) held: Option<Held>,
}

/// What follows an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    KeepAlive,
    Close,
}

enum Turn {
    /// Nothing came for a while: give the memory back and wait.
    Idle,
    Close,
    /// The client speaks HTTP/2, as these first bytes show.
    Http2(Vec<u8>),
}

enum Head {
    Complete(usize),
    Idle,
    Closed,
    Refused(RequestError),
    Http2,
    Timeout,
}

/// Serves a cleartext connection to its end.
pub(crate) async fn serve_plain(
    open: Open,
    worker: Rc<Worker>,
    port: Rc<PortState>,
    tcp: TcpStream,
    peer: SocketAddr,
) {
    let timer = poll_fn(|cx| Poll::Ready(worker.slot(cx))).await;
    serve(Connection {
        worker,
        stream: Stream::Plain(tcp),
        port,
        timer,
        peer,
        tls_listener: None,
        used: false,
        open: Some(open),
        held: None,
    })
    .await;
}

/// Serves a connection whose handshake is done.
pub(crate) async fn serve_tls(
    open: Open,
    worker: Rc<Worker>,
    port: Rc<PortState>,
    stream: Stream,
    peer: SocketAddr,
    context: TlsContext,
) {
    let timer = poll_fn(|cx| Poll::Ready(worker.slot(cx))).await;
    serve(Connection {
        worker,
        stream,
        port,
        timer,
        peer,
        tls_listener: Some(Rc::new(context)),
        used: false,
        open: Some(open),
        held: None,
    })
    .await;
}

/// Whether a connection is to take no further request.
pub(crate) fn is_ending(worker: &Worker, port: &PortState, open: Option<&Open>) -> bool {
    port.is_closed()
        || worker.phase() >= Phase::Draining
        || worker.pressure() >= Pressure::KeepAlive
        || open.is_some_and(Open::gives_way)
}

async fn serve(mut connection: Connection) {
    if connection.stream.negotiated_http2() {
        return Box::pin(server::serve(connection, Vec::new())).await;
    }
    // The first request may have come with the end of the handshake, and then the socket stays
    // silent.
    let mut waits = !connection.stream.is_tls();
    loop {
        connection.timer.arm(connection.worker.keep_alive());
        if waits && !poll_fn(|cx| connection.poll_wake(cx)).await {
            break;
        }
        waits = true;
        // Boxed so that the idle connection does not carry the size of the busy one; it lives
        // over many requests as long as they follow each other.
        match Box::pin(busy(&mut connection)).await {
            Turn::Idle => {}
            Turn::Close => break,
            Turn::Http2(preface) => {
                return Box::pin(server::serve(connection, preface)).await;
            }
        }
    }
}

async fn busy(connection: &mut Connection) -> Turn {
    let mut scratch = connection.worker.scratch.take();
    scratch.names.set_peer(connection.peer);
    let turn = requests(connection, &mut scratch).await;
    connection.worker.scratch.give(scratch, &connection.worker.limits);
    turn
}

async fn requests(connection: &mut Connection, scratch: &mut Scratch) -> Turn {
    // Without a request just served, nothing says that one will follow soon.
    let mut lingers = false;
    loop {
        scratch.input.release();
        match read_head(connection, scratch, lingers).await {
            Head::Complete(length) => scratch.input.keep(length),
            Head::Idle => return Turn::Idle,
            Head::Closed => return Turn::Close,
            Head::Timeout => {
                refuse(connection, scratch, Reason::HeadTimeout, "").await;
                return Turn::Close;
            }
            Head::Refused(error) => {
                let reason = Reason::of_head_error(error.status);
                refuse(connection, scratch, reason, error.reason.label()).await;
                return Turn::Close;
            }
            // By ALPN or by prior knowledge, and not after a request of HTTP/1.1 (RFC 9113 3.3).
            Head::Http2 if !connection.used && !connection.stream.is_tls() => {
                return Turn::Http2(scratch.input.unread().to_vec());
            }
            Head::Http2 => {
                refuse(connection, scratch, Reason::Http2Preface, "").await;
                return Turn::Close;
            }
        }
        connection.used = true;
        match attempt::serve(connection, scratch).await {
            After::KeepAlive => {
                let worker = &connection.worker;
                lingers = worker.scratch.has_room(&worker.limits);
            }
            After::Close => {
                connection.close(scratch).await;
                return Turn::Close;
            }
        }
    }
}

async fn read_head(connection: &mut Connection, scratch: &mut Scratch, lingers: bool) -> Head {
    let limits = Rc::clone(&connection.worker);
    let limits = &*limits.limits;
    scratch.input.grow(limits.buffer_initial, limits.buffer_initial);
    let mut timing_head = !scratch.input.is_empty();
    connection.timer.arm(if timing_head { limits.head_timeout } else { limits.linger });
    let mut parsed = 0usize;
    poll_fn(|cx| {
        loop {
            let length = scratch.input.len();
            if length > parsed {
                parsed = length;
                match scratch.request.parse(scratch.input.unread(), &limits.head) {
                    Ok(Parse::Complete { head_len }) => {
                        return Poll::Ready(Head::Complete(head_len));
                    }
                    Ok(Parse::Http2Preface) => return Poll::Ready(Head::Http2),
                    Ok(Parse::Partial) if timing_head => {}
                    Ok(Parse::Partial) => {
                        timing_head = true;
                        connection.timer.arm(limits.head_timeout);
                    }
                    Err(error) => return Poll::Ready(Head::Refused(error)),
                }
            }
            if !scratch.input.has_space() {
                scratch.input.grow(limits.buffer_initial, limits.head.head_bytes);
            }
            match connection.stream.poll_read(cx, scratch.input.space()) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Head::Closed),
                Poll::Ready(Ok(read)) => {
                    scratch.input.filled(read);
                    connection.received(read);
                }
                Poll::Pending if connection.timer.expired() && timing_head => {
                    return Poll::Ready(Head::Timeout);
                }
                Poll::Pending if timing_head => return Poll::Pending,
                Poll::Pending if connection.must_close() => return Poll::Ready(Head::Closed),
                Poll::Pending if lingers && !connection.timer.expired() => {
                    return Poll::Pending;
                }
                Poll::Pending => return Poll::Ready(Head::Idle),
            }
        }
    })
    .await
}

/// Answers a head that is not served, and logs it.
async fn refuse(
    connection: &mut Connection,
    scratch: &mut Scratch,
    reason: Reason,
    detail: &'static str,
) {
    let worker = Rc::clone(&connection.worker);
    let mut record = Record::new(worker.clock.now());
    record.detail = detail;
    scratch.names.clear();
    scratch.response_overlay.clear();
    let answer = Answer::closing(reason);
    let mut shape = local::Shape::default();
    // The head was not read to its end, but an answer to HEAD never has a body.
    if scratch.input.unread().starts_with(b"HEAD ") {
        shape.method = http1::Method::Head;
    }
    local::write(&worker, scratch, &answer, &mut record, shape);
    local::send(connection, scratch, &mut record).await;
    record.finish_unread(&worker, connection, scratch);
    connection.close(scratch).await;
}

impl Connection {
    pub(crate) fn received(&self, bytes: usize) {
        // What HTTP/2 carries was counted where its frames arrived.
        if !self.stream.is_http2() {
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            count_bytes(&self.worker.counters.totals.downstream_in, bytes);
        }
    }

    /// Whether no further request may be read.
    pub(crate) fn must_close(&self) -> bool {
        self.port.is_closed() || self.worker.phase() == Phase::Closing
    }

    /// Whether the client is told that its next request needs another connection.
    pub(crate) fn is_last(&self) -> bool {
        is_ending(&self.worker, &self.port, self.open.as_ref())
    }

    /// Whether its request is refused for want of room.
    pub(crate) fn is_too_much(&self) -> bool {
        let worker = &self.worker;
        let memory = &worker.peers.memory;
        memory.pressure() >= Pressure::Requests
            || (self.held.is_none()
                && memory.pressure_of_requests(worker.index) >= Pressure::Requests)
    }

    /// Ready with true when the client sent something, with false when the wait is over.
    fn poll_wake(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.stream.poll_read_ready(cx).is_ready() {
            return Poll::Ready(true);
        }
        if self.timer.expired() || self.must_close() || self.is_given_up() {
            return Poll::Ready(false);
        }
        Poll::Pending
    }

    /// Whether the connection, idle after a request, is closed for want of memory.
    fn is_given_up(&self) -> bool {
        self.used && self.worker.peers.memory.pressure() >= Pressure::KeepAlive
    }

    /// Ends our side, then reads for a moment: closing with unread bytes would reset the
    /// connection and might destroy the answer before the client has read it.
    pub(crate) async fn close(&mut self, scratch: &mut Scratch) {
        self.timer.arm(LINGER_CLOSE);
        let ended: io::Result<()> = poll_fn(|cx| match self.stream.poll_shutdown(cx) {
            Poll::Pending if self.timer.expired() => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
            Poll::Ready(ended) => Poll::Ready(ended),
        })
        .await;
        if ended.is_err() {
            return;
        }
        let mut left = LINGER_CLOSE_BYTES;
        poll_fn(|cx| {
            loop {
                scratch.input.clear();
                match self.stream.poll_read(cx, scratch.input.space()) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                    Poll::Ready(Ok(read)) => {
                        left = left.saturating_sub(read);
                        if left == 0 {
                            return Poll::Ready(());
                        }
                    }
                    Poll::Pending if self.timer.expired() => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
    }

    /// Who the client is, for endpoints that are told by the PROXY protocol.
    pub(crate) fn hop(&self) -> Option<Hop> {
        let destination = self.stream.local_addr()?;
        Some(Hop { source: self.peer, destination })
    }

    /// Ready when the client left; takes a little of what it sends next.
    pub(crate) fn poll_left(&mut self, cx: &mut Context<'_>, input: &mut Buffer) -> Poll<()> {
        if let Some(client) = self.stream.http2() {
            return client.poll_gone(cx);
        }
        while input.has_space() {
            match ready!(self.stream.poll_read(cx, input.space())) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(read) => {
                    input.filled(read);
                    self.received(read);
                }
            }
        }
        Poll::Pending
    }

    /// Counts one request.
    pub(crate) fn count_request(&self) {
        count(&self.worker.counters.totals.requests);
    }
}
