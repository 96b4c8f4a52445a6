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
    stream::Multiplexed as _,
    timer::Slot,
    upstream::{balance, endpoints::ClusterState, reach::Reach, stream::UpstreamStream},
    worker::Worker,
};

/// Without a byte in either direction.
const IDLE: Duration = Duration::from_secs(30);

/// What the exchange has copied and the mirror has not sent yet.
#[derive(Default)]
struct Backlog {
    /// Head lines, as for a backend of HTTP/1.1.
    head: Vec<u8>,
    /// Content, without framing.
    pieces: VecDeque<Vec<u8>>,
    trailers: Vec<(Vec<u8>, Vec<u8>)>,
    bytes: usize,
    ended: bool,
    /// It lagged too far, or the request ended early: the mirror gives up.
    dropped: bool,
    waker: Option<Waker>,
}

/// The exchange's end of a mirror. Dropping it before the body ended gives the mirror up.
pub(crate) struct Tee {
    backlog: Rc<RefCell<Backlog>>,
    most: usize,
}

impl Tee {
    pub(crate) fn push(&self, data: &[u8]) {
        let mut backlog = self.backlog.borrow_mut();
        backlog.bytes = backlog.bytes.saturating_add(data.len());
        if backlog.bytes > self.most {
            backlog.dropped = true;
            backlog.pieces.clear();
        } else if !backlog.dropped {
            backlog.pieces.push_back(data.to_vec());
        }
        backlog.wake();
    }

    pub(crate) fn end<'a>(&self, trailers: impl Iterator<Item = (&'a [u8], &'a [u8])>) {
        let mut backlog = self.backlog.borrow_mut();
        backlog.trailers = trailers.map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        backlog.ended = true;
        backlog.wake();
    }
}

impl Backlog {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn trailers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.trailers.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        let mut backlog = self.backlog.borrow_mut();
        if !backlog.ended {
            backlog.dropped = true;
        }
        backlog.wake();
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
    let head = scratch.to_upstream.bytes.clone();
    let backlog = Rc::new(RefCell::new(Backlog { head, ..Backlog::default() }));
    let tee = Tee { backlog: Rc::clone(&backlog), most: worker.limits.mirror_backlog };
    let request = Request { method: scratch.request.method(), framing: scratch.request.framing() };
    let worker = Rc::clone(worker);
    tokio::task::spawn_local(async move {
        let sent = send(&worker, &cluster, &backlog, request).await;
        worker.mirrors.set(worker.mirrors.get().saturating_sub(1));
        let totals = &worker.counters.totals;
        count(if sent.is_ok() { &totals.mirrored } else { &totals.mirror_drops });
    });
    Some(tee)
}

/// What the response and the framing depend on.
#[derive(Clone, Copy)]
struct Request {
    method: Method,
    framing: BodyFraming,
}

/// Sends the copy and reads the response to its end, which nobody sees.
async fn send(
    worker: &Rc<Worker>,
    cluster: &ClusterState,
    backlog: &RefCell<Backlog>,
    request: Request,
) -> io::Result<()> {
    let pick = balance::pick(cluster, &worker.random, &[]).ok_or(io::ErrorKind::NotConnected)?;
    let timer = poll_fn(|cx| Poll::Ready(worker.slot(cx))).await;
    let entry = pick.entry();
    let reach = Reach {
        worker,
        timer: &timer,
        cluster,
        entry,
        client: None,
        fresh: true,
        websocket: false,
        deadline: None,
    };
    let reached = reach.stream().await;
    let (mut upstream, _) = reached.map_err(|error| io::Error::other(error.reason.as_str()))?;
    timer.arm(IDLE);
    let mut piece = std::mem::take(&mut backlog.borrow_mut().head);
    if let Some(stream) = upstream.http2() {
        stream.send_head(&piece, !request.framing.has_body())?;
        piece.clear();
    }
    let mut copy = Copy {
        piece,
        sent: 0,
        done: false,
        received: Buffer::default(),
        head: ResponseHead::new(),
        body: None,
        chunked: request.framing == BodyFraming::Chunked && !upstream.is_http2(),
        until_end: upstream.is_http2(),
        method: request.method,
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
    /// Pieces are framed as chunks.
    chunked: bool,
    /// The response ends with its stream.
    until_end: bool,
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
                        self.take(piece);
                    }
                    None if backlog.ended => self.end(upstream, &backlog)?,
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

    fn take(&mut self, piece: Vec<u8>) {
        self.sent = 0;
        if self.chunked {
            self.piece.clear();
            http1::write_chunk(&mut self.piece, &piece);
        } else {
            self.piece = piece;
        }
    }

    fn end(&mut self, upstream: &mut UpstreamStream, backlog: &Backlog) -> io::Result<()> {
        if let Some(stream) = upstream.http2() {
            self.done = true;
            return stream.finish(backlog.trailers());
        }
        // Once written, the last chunk is a piece, and then there is nothing more.
        self.done = !std::mem::take(&mut self.chunked);
        self.sent = 0;
        self.piece.clear();
        if !self.done {
            http1::write_last_chunk(&mut self.piece, backlog.trailers())
                .map_err(io::Error::other)?;
        }
        Ok(())
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
                            let framing = self.head.framing();
                            let until_end = self.until_end && framing != BodyFraming::None;
                            body.start_response(if until_end {
                                BodyFraming::UntilClose
                            } else {
                                framing
                            });
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
