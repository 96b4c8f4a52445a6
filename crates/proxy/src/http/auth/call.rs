//! One question and its answer, over the connections of a cluster.

use std::{
    future::poll_fn,
    net::SocketAddr,
    rc::Rc,
    task::{Context, Poll},
    time::Instant,
};

use http1::{Asked, BodyDecoder, BodyEvent, BodyFraming, Known, Parse, ResponseHead};
use smallvec::SmallVec;

use super::{Failure, Message};
use crate::{
    buffer::Buffer,
    observe::metrics::count,
    stream::Multiplexed as _,
    timer::Slot,
    upstream::{
        balance,
        endpoints::{ClusterState, InFlight},
        health, pool,
        reach::Reach,
        stream::UpstreamStream,
    },
    worker::Worker,
};

const BUFFER: usize = 4096;

/// A whole answer.
pub(super) struct Reply {
    received: Buffer,
    head: ResponseHead,
    content: Vec<u8>,
    /// Of the trailers, where there were any.
    grpc_status: Option<Vec<u8>>,
}

impl Reply {
    pub(super) fn status(&self) -> u16 {
        self.head.status()
    }

    pub(super) fn head(&self) -> &ResponseHead {
        &self.head
    }

    /// What the head was parsed from.
    pub(super) fn bytes(&self) -> &[u8] {
        self.received.kept()
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.content
    }

    /// In the trailers, or in a head that is the whole answer.
    pub(super) fn grpc_status(&self) -> Option<&[u8]> {
        let head = || self.head.fields().value(Known::GrpcStatus, self.bytes());
        self.grpc_status.as_deref().or_else(head)
    }
}

/// Asks one endpoint after the other until one answers.
///
/// # Errors
/// When none does before the deadline, or the answer is none.
pub(super) async fn call(
    worker: &Rc<Worker>,
    cluster: &Rc<ClusterState>,
    message: Message,
    grpc: bool,
    deadline: Option<Instant>,
) -> Result<Reply, Failure> {
    let timer = poll_fn(|cx| Poll::Ready(worker.slot(cx))).await;
    let mut tried: SmallVec<[SocketAddr; 4]> = SmallVec::new();
    let mut fresh = false;
    let mut last = "auth_no_endpoint";
    let attempts = worker.limits.connect_attempts.saturating_add(1);
    for _ in 0..attempts {
        let Some(pick) = balance::pick(cluster, &worker.random, &tried) else { break };
        let entry = pick.entry();
        let reach = Reach {
            worker,
            timer: &timer,
            cluster,
            entry,
            client: None,
            fresh,
            websocket: false,
            deadline,
        };
        let (upstream, reused) = match reach.stream().await {
            Ok(reached) => reached,
            Err(_) => {
                hold_against(worker, cluster, &pick);
                tried.push(entry.endpoint.address);
                last = "auth_connect";
                continue;
            }
        };
        if grpc && !upstream.is_http2() {
            return Err("auth_protocol");
        }
        timer.arm_until(worker.limits.response_idle, deadline);
        let mut talk = Talk::new(&message, upstream, grpc);
        match talk.run(worker, &timer).await {
            Ok(()) => {
                health::succeeded(entry);
                return Ok(talk.finish(worker, cluster, &pick));
            }
            // A pooled connection that was dead: nothing was asked.
            Err(_) if reused && !talk.heard && !timer.expired() => {
                fresh = true;
                last = "auth_reset";
            }
            Err(failure) => {
                hold_against(worker, cluster, &pick);
                return Err(failure);
            }
        }
    }
    Err(last)
}

fn hold_against(worker: &Worker, cluster: &ClusterState, pick: &InFlight) {
    if health::failed(cluster, pick.entry()) {
        count(&worker.counters.totals.ejected);
    }
}

struct Talk<'m> {
    message: &'m Message,
    upstream: UpstreamStream,
    /// Of the message's bytes: head first, except over HTTP/2.
    sent: usize,
    sending: bool,
    received: Buffer,
    head: ResponseHead,
    body: Option<BodyDecoder>,
    content: Vec<u8>,
    grpc: bool,
    heard: bool,
    reusable: bool,
}

impl<'m> Talk<'m> {
    fn new(message: &'m Message, upstream: UpstreamStream, grpc: bool) -> Self {
        Self {
            message,
            upstream,
            sent: 0,
            sending: true,
            received: Buffer::default(),
            head: ResponseHead::new(),
            body: None,
            content: Vec::new(),
            grpc,
            heard: false,
            reusable: false,
        }
    }

    async fn run(&mut self, worker: &Worker, timer: &Slot) -> Result<(), Failure> {
        if let Some(stream) = self.upstream.http2() {
            let ends = self.message.body.is_empty();
            stream.send_head(&self.message.head, ends).map_err(|_| "auth_reset")?;
            self.sent = self.message.head.len();
        }
        self.received.grow(BUFFER, BUFFER);
        poll_fn(|cx| {
            if timer.expired() {
                return Poll::Ready(Err("auth_timeout"));
            }
            if let Poll::Ready(Err(failure)) = self.poll_send(cx) {
                return Poll::Ready(Err(failure));
            }
            self.poll_receive(cx, worker)
        })
        .await
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        const RESET: Failure = "auth_reset";
        let Message { head, body, .. } = self.message;
        while self.sending {
            let rest = match self.sent.checked_sub(head.len()) {
                None => head.get(self.sent..).unwrap_or_default(),
                Some(sent) => body.get(sent..).unwrap_or_default(),
            };
            if rest.is_empty() {
                self.sending = false;
                if let Some(stream) = self.upstream.http2() {
                    stream.finish(std::iter::empty()).map_err(|_| RESET)?;
                }
                break;
            }
            match self.upstream.poll_write(cx, rest) {
                Poll::Pending => return Poll::Pending,
                // It may have answered all the same.
                Poll::Ready(Ok(0) | Err(_)) => self.sending = false,
                Poll::Ready(Ok(written)) => self.sent = self.sent.saturating_add(written),
            }
        }
        self.upstream.poll_flush(cx).map_err(|_| RESET)
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>, worker: &Worker) -> Poll<Result<(), Failure>> {
        loop {
            if !self.received.has_space() {
                self.received.grow(BUFFER, worker.limits.head.head_bytes.saturating_mul(2));
            }
            let count = match self.upstream.poll_read(cx, self.received.space()) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(Err("auth_reset")),
                Poll::Ready(Ok(count)) => count,
            };
            if count == 0 {
                let whole = self.body.as_ref().is_some_and(|body| body.end_of_input().is_ok());
                return Poll::Ready(if whole { Ok(()) } else { Err("auth_reset") });
            }
            self.heard = true;
            self.received.filled(count);
            if self.read(worker)? {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Uses what was received; true at the end of the answer.
    fn read(&mut self, worker: &Worker) -> Result<bool, Failure> {
        const PROTOCOL: Failure = "auth_protocol";
        let limits = &worker.limits.head;
        loop {
            let Some(body) = &mut self.body else {
                let asked = Asked { method: self.message.method, upgrade: None };
                match self.head.parse(self.received.unread(), asked, limits) {
                    Ok(Parse::Complete { head_len }) if self.head.is_interim() => {
                        self.received.consume(head_len);
                        self.received.release();
                        if self.received.is_empty() {
                            return Ok(false);
                        }
                    }
                    Ok(Parse::Complete { head_len }) => {
                        self.received.keep(head_len);
                        self.body = Some(self.decoder());
                    }
                    Ok(Parse::Partial | Parse::Http2Preface) => return Ok(false),
                    Err(_) => return Err(PROTOCOL),
                }
                continue;
            };
            match body.decode(self.received.unread(), limits).map_err(|_| PROTOCOL)? {
                BodyEvent::Data { start, end } => {
                    let data = self.received.unread().get(start..end).unwrap_or_default();
                    if self.content.len().saturating_add(data.len()) > worker.limits.auth_answer {
                        return Err("auth_answer_too_large");
                    }
                    self.content.extend_from_slice(data);
                    self.received.consume(end);
                }
                BodyEvent::NeedMore => {
                    let count = self.received.len();
                    self.received.consume(count);
                    return Ok(false);
                }
                BodyEvent::End { consumed } => {
                    self.received.consume(consumed);
                    self.reusable = self.received.is_empty()
                        && self.head.keep_alive()
                        && !self.sending
                        && !self.upstream.is_http2();
                    return Ok(true);
                }
            }
        }
    }

    fn decoder(&self) -> BodyDecoder {
        let mut body = BodyDecoder::new();
        let framing = self.head.framing();
        let until_end = self.upstream.is_http2() && (framing != BodyFraming::None || self.grpc);
        body.start_response(if until_end { BodyFraming::UntilClose } else { framing });
        body
    }

    fn finish(mut self, worker: &Rc<Worker>, cluster: &ClusterState, pick: &InFlight) -> Reply {
        let status = self.upstream.http2().and_then(|stream| {
            let mut trailers = stream.trailers();
            trailers.find(|(name, _)| *name == b"grpc-status").map(|(_, value)| value.to_vec())
        });
        if self.reusable && cluster.id.0.proxy_protocol.is_none() {
            let most = worker.limits.pool_per_endpoint;
            pool::give(pick.entry(), self.upstream, worker.clock.now(), most);
            worker.deadlines.nudge();
        }
        let Self { received, head, content, .. } = self;
        Reply { received, head, content, grpc_status: status }
    }
}
