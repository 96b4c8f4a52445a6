//! Mirrored requests: tasks of their own behind a bounded copy of the body.

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::poll_fn,
    io,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use http1::{Asked, BodyDecoder, BodyEvent, BodyFraming, Method, Parse, ResponseHead};
use ir::{ClusterIndex, Mirror};

use crate::{
    buffer::Buffer,
    http::{connection::Connection, request::Plan, scratch::Scratch},
    observe::metrics::count,
    timer::Slot,
    upstream::{
        balance,
        connect::{Dial, connect},
        endpoints::ClusterState,
        stream::UpstreamStream,
    },
    worker::Worker,
};

/// Without a byte in either direction.
const IDLE: Duration = Duration::from_secs(30);

/// What the exchange has copied and the mirror has not sent yet.
#[derive(Default)]
struct Backlog {
    pieces: VecDeque<Vec<u8>>,
    bytes: usize,
    ended: bool,
    /// It lagged too far, or the request ended early: the mirror gives up.
    dropped: bool,
    waker: Option<Waker>,
}

/// The exchange's end of a mirror. Dropping it before the body ended gives the mirror up.
pub(crate) struct Tee {
    backlog: Rc<RefCell<Backlog>>,
    chunked: bool,
    most: usize,
}

impl Tee {
    pub(crate) fn push(&self, data: &[u8]) {
        let mut piece = Vec::with_capacity(data.len().saturating_add(16));
        if self.chunked {
            http1::write_chunk(&mut piece, data);
        } else {
            piece.extend_from_slice(data);
        }
        self.add(piece);
    }

    pub(crate) fn end<'a>(&self, trailers: impl Iterator<Item = (&'a [u8], &'a [u8])>) {
        let mut last = Vec::new();
        if self.chunked && http1::write_last_chunk(&mut last, trailers).is_err() {
            return;
        }
        self.add(last);
        self.backlog.borrow_mut().ended = true;
    }

    fn add(&self, piece: Vec<u8>) {
        let mut backlog = self.backlog.borrow_mut();
        backlog.bytes = backlog.bytes.saturating_add(piece.len());
        if backlog.bytes > self.most {
            backlog.dropped = true;
            backlog.pieces.clear();
        } else if !backlog.dropped {
            backlog.pieces.push_back(piece);
        }
        if let Some(waker) = backlog.waker.take() {
            waker.wake();
        }
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        let mut backlog = self.backlog.borrow_mut();
        if !backlog.ended {
            backlog.dropped = true;
        }
        if let Some(waker) = backlog.waker.take() {
            waker.wake();
        }
    }
}

/// Starts the mirrors of a request whose head is in `scratch.to_upstream`.
pub(crate) fn start(
    worker: &Rc<Worker>,
    connection: &Connection,
    scratch: &Scratch,
    plan: &Plan<'_>,
) -> Vec<Tee> {
    let entry = plan.found.entry;
    let rule = ir::exec::mirrors(&entry.rule.filters).zip(&entry.mirrors);
    let backend_mirrors = entry.backends.get(plan.position).map(|backend| &backend.mirrors);
    let backend =
        ir::exec::mirrors(&plan.backend.filters).zip(backend_mirrors.into_iter().flatten());
    let mut tees = Vec::new();
    for (mirror, cluster) in rule.chain(backend) {
        tees.extend(start_one(worker, connection, scratch, mirror, *cluster));
    }
    tees
}

fn start_one(
    worker: &Rc<Worker>,
    connection: &Connection,
    scratch: &Scratch,
    mirror: &Mirror,
    cluster: Option<ClusterIndex>,
) -> Option<Tee> {
    if !mirror.share.hit(worker.random.next()) || scratch.request.upgrade().is_some() {
        return None;
    }
    let table = connection.worker.table()?;
    let index = usize::try_from(cluster?.0).ok()?;
    let cluster = Rc::clone(table.clusters.get(index)?);
    if worker.mirrors.get() >= worker.limits.mirrors {
        count(&worker.counters.totals.mirror_drops);
        return None;
    }
    worker.mirrors.set(worker.mirrors.get().saturating_add(1));
    let backlog = Rc::new(RefCell::new(Backlog::default()));
    backlog.borrow_mut().pieces.push_back(scratch.to_upstream.bytes.clone());
    let tee = Tee {
        backlog: Rc::clone(&backlog),
        chunked: scratch.request.framing() == BodyFraming::Chunked,
        most: worker.limits.mirror_backlog,
    };
    let method = scratch.request.method();
    let worker = Rc::clone(worker);
    tokio::task::spawn_local(async move {
        let sent = send(&worker, &cluster, &backlog, method).await;
        worker.mirrors.set(worker.mirrors.get().saturating_sub(1));
        let totals = &worker.counters.totals;
        count(if sent.is_ok() { &totals.mirrored } else { &totals.mirror_drops });
    });
    Some(tee)
}

/// Sends the copy and reads the response to its end, which nobody sees.
async fn send(
    worker: &Rc<Worker>,
    cluster: &ClusterState,
    backlog: &RefCell<Backlog>,
    method: Method,
) -> io::Result<()> {
    let pick = balance::pick(cluster, &worker.random, &[]).ok_or(io::ErrorKind::NotConnected)?;
    let timer = poll_fn(|cx| Poll::Ready(worker.slot(cx))).await;
    let address = pick.entry().endpoint.address;
    let dial = Dial { cluster, address, client: None, deadline: None };
    let connected = connect(worker, &timer, &dial).await;
    let mut upstream = connected.map_err(|error| io::Error::other(error.reason.as_str()))?;
    timer.arm(IDLE);
    let mut copy = Copy {
        piece: Vec::new(),
        sent: 0,
        done: false,
        received: Buffer::default(),
        head: ResponseHead::new(),
        body: None,
        method,
    };
    poll_fn(|cx| copy.poll(cx, worker, &timer, &mut upstream, backlog)).await
}

struct Copy {
    piece: Vec<u8>,
    sent: usize,
    done: bool,
    received: Buffer,
    head: ResponseHead,
    body: Option<BodyDecoder>,
    method: Method,
}

impl Copy {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        timer: &Slot,
        upstream: &mut UpstreamStream,
        backlog: &RefCell<Backlog>,
    ) -> Poll<io::Result<()>> {
        if timer.expired() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if let Poll::Ready(Err(error)) = self.poll_send(cx, upstream, backlog) {
            return Poll::Ready(Err(error));
        }
        self.received.grow(4096, 4096);
        self.grow_for_head(worker);
        loop {
            let count = match upstream.poll_read(cx, self.received.space()) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(count)) => count,
            };
            if count == 0 {
                let whole = self.body.as_ref().is_some_and(|body| body.end_of_input().is_ok());
                return Poll::Ready(if whole {
                    Ok(())
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                });
            }
            timer.arm(IDLE);
            self.received.filled(count);
            if self.read(worker)? {
                return Poll::Ready(Ok(()));
            }
            self.grow_for_head(worker);
        }
    }

    fn grow_for_head(&mut self, worker: &Worker) {
        if !self.received.has_space() {
            self.received.grow(4096, worker.limits.head.head_bytes);
        }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        upstream: &mut UpstreamStream,
        backlog: &RefCell<Backlog>,
    ) -> Poll<io::Result<()>> {
        while !self.done {
            let rest = self.piece.get(self.sent..).unwrap_or_default();
            if rest.is_empty() {
                let mut backlog = backlog.borrow_mut();
                if backlog.dropped {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
                }
                match backlog.pieces.pop_front() {
                    Some(piece) => {
                        backlog.bytes = backlog.bytes.saturating_sub(piece.len());
                        self.piece = piece;
                        self.sent = 0;
                    }
                    None if backlog.ended => self.done = true,
                    None => {
                        backlog.waker = Some(cx.waker().clone());
                        return upstream.poll_flush(cx);
                    }
                }
                continue;
            }
            match upstream.poll_write(cx, rest) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(written)) => self.sent = self.sent.saturating_add(written),
            }
        }
        upstream.poll_flush(cx)
    }

    /// Uses what was received; true at the end of the response.
    fn read(&mut self, worker: &Worker) -> io::Result<bool> {
        let limits = &worker.limits.head;
        loop {
            let Some(body) = &mut self.body else {
                let asked = Asked { method: self.method, upgrade: None };
                let parsed = self.head.parse(self.received.unread(), asked, limits);
                match parsed.map_err(io::Error::other)? {
                    Parse::Complete { head_len } => {
                        self.received.consume(head_len);
                        if !self.head.is_interim() {
                            let mut body = BodyDecoder::new();
                            body.start_response(self.head.framing());
                            self.body = Some(body);
                        }
                    }
                    Parse::Partial | Parse::Http2Preface => return Ok(false),
                }
                if self.received.is_empty() && self.body.is_none() {
                    return Ok(false);
                }
                continue;
            };
            match body.decode(self.received.unread(), limits).map_err(io::Error::other)? {
                BodyEvent::Data { end, .. } => self.received.consume(end),
                BodyEvent::NeedMore => {
                    let count = self.received.len();
                    self.received.consume(count);
                    return Ok(false);
                }
                BodyEvent::End { .. } => return Ok(true),
            }
        }
    }
}
