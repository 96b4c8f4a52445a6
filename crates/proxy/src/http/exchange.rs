//! One attempt of one exchange: a state machine that moves bytes both ways at once.
//!
//! The request body goes up while the response may already come down; each side stops reading
//! when the other does not take what was read, so memory is bounded by the two buffers.

use std::{
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http1::BodyFraming;

use crate::{
    buffer::Buffer,
    http::{
        connection::Connection, mirror::Tee, record::Record, request::Plan, response::Framing,
        scratch::Scratch,
    },
    observe::{metrics::count, reason::Reason},
    pressure::Pressure,
    upstream::stream::UpstreamStream,
    worker::Worker,
};

/// Bytes that are framed ahead of a write.
pub(super) const FRAMED_AHEAD: usize = 64 * 1024;

/// How an attempt ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Complete,
    /// The backend switched protocols; the answer was sent.
    Upgraded,
}

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    ClientGone,
    BadBody(http1::BodyErrorReason),
    /// A deadline; the reason names it.
    Expired(Reason),
    /// The backend closed before the end of its response.
    UpstreamClosed,
    UpstreamProtocol(&'static str),
    /// The rule retries the status that the backend answered with; nothing was passed on.
    Retry,
    /// A rewrite gave the head a part that HTTP/2 cannot carry.
    Unsayable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upload {
    Sending,
    Done,
    /// The backend takes no more; its response decides.
    Abandoned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Download {
    Head,
    Body,
    Flushing(End),
}

/// What the attempt waits for; decides which idle limit applies.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waiting {
    pub(super) client_read: bool,
    pub(super) client_write: bool,
}

pub(crate) struct Exchange<'a, 't> {
    pub(crate) connection: &'a mut Connection,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) worker: &'a Worker,
    pub(crate) upstream: &'a mut UpstreamStream,
    pub(crate) plan: &'a Plan<'t>,
    pub(crate) record: &'a mut Record<'t>,
    pub(crate) tees: &'a mut Vec<Tee>,
    pub(crate) flow: &'a mut Flow,
    /// Of the rule's whole request, and of this attempt.
    pub(crate) request_deadline: Option<Instant>,
    pub(crate) attempt_deadline: Option<Instant>,
    pub(super) state: State,
}

/// What outlives an attempt: how far the request body has come.
#[derive(Default)]
pub(crate) struct Flow {
    /// Everything sent so far is still in `to_upstream`.
    pub(crate) replayable: bool,
    /// The whole request is in `to_upstream`.
    pub(crate) encoded: bool,
    /// Bytes of the response were written to the client.
    pub(crate) answered: bool,
    /// The rule retries some status codes, and has retries left for it.
    pub(crate) retries_codes: bool,
    /// The connection to the client ends after this exchange.
    pub(crate) close: bool,
    /// The upstream connection may be used again.
    pub(crate) reusable: bool,
    /// Bytes of the request body that came, and how long they were waited for.
    pub(super) body_bytes: u64,
    pub(super) body_waited: Duration,
    /// The last attempt was made in HTTP/2.
    http2: bool,
    /// Size of the request head at the front of `to_upstream`.
    pub(super) head: usize,
    /// Request bytes at the front of the input that are decoded and not written yet.
    pub(super) direct_up: usize,
}

impl Flow {
    /// `head` is the size of the head that is in `to_upstream`.
    pub(crate) fn new(head: usize) -> Self {
        Self { replayable: true, head, ..Self::default() }
    }

    /// Whether what was kept of the request can be sent to this backend: an endpoint may have
    /// chosen another protocol than the one before, and chunks are framed for HTTP/1.1 alone.
    pub(crate) fn fits(&mut self, upstream: &UpstreamStream, scratch: &Scratch) -> bool {
        let before = std::mem::replace(&mut self.http2, upstream.is_http2());
        let begun = scratch.to_upstream.bytes.len() > self.head;
        !begun || before == self.http2 || scratch.request.framing() != BodyFraming::Chunked
    }

    /// Drops request bytes that the decoder passed but nobody wrote, so that the input stands
    /// where the decoder stands: what follows must never be read as part of another message.
    pub(crate) fn abandon(&mut self, input: &mut Buffer) {
        input.consume(std::mem::take(&mut self.direct_up));
    }
}

pub(super) struct State {
    pub(super) upload: Upload,
    pub(super) download: Download,
    pub(super) framing: Framing,
    /// Response bytes at the front of `from_upstream` that are decoded and not written yet.
    pub(super) direct_down: usize,
    pub(super) interims: u32,
    pub(super) waiting: Waiting,
    pub(super) moved: bool,
    /// The last read from the backend filled the buffer, so the next one may be larger.
    pub(super) filled: bool,
    /// Since when the client does not take all that waits for it, and what it took since.
    pub(super) behind: Option<(Instant, u64)>,
    /// Since when the client owes a part of its body.
    pub(super) waits_since: Option<Instant>,
}

/// How long a client is waited for that moved so many bytes and was `waited` for already: no more
/// than `idle`, and beyond a first `idle` in all only as long as it moves `rate` bytes a second.
fn patience(idle: Duration, rate: u32, moved: u64, waited: Duration) -> Duration {
    let earned = Duration::from_secs(moved / u64::from(rate.max(1)));
    idle.min(idle.saturating_add(earned).saturating_sub(waited))
}

impl<'a, 't> Exchange<'a, 't> {
    #[expect(clippy::too_many_arguments, reason = "each is borrowed from another owner")]
    pub(crate) fn new(
        connection: &'a mut Connection,
        scratch: &'a mut Scratch,
        worker: &'a Worker,
        upstream: &'a mut UpstreamStream,
        plan: &'a Plan<'t>,
        record: &'a mut Record<'t>,
        tees: &'a mut Vec<Tee>,
        flow: &'a mut Flow,
        deadlines: (Option<Instant>, Option<Instant>),
    ) -> Self {
        scratch.from_upstream.clear();
        let initial = worker.limits.buffer_initial;
        scratch.from_upstream.grow(initial, initial);
        scratch.to_client.clear();
        scratch.to_upstream.sent = 0;
        scratch.response.reset();
        Self {
            connection,
            scratch,
            worker,
            upstream,
            plan,
            record,
            tees,
            flow,
            request_deadline: deadlines.0,
            attempt_deadline: deadlines.1,
            state: State {
                upload: Upload::Sending,
                download: Download::Head,
                framing: Framing::Identity,
                direct_down: 0,
                interims: 0,
                waiting: Waiting::default(),
                moved: true,
                filled: false,
                behind: None,
                waits_since: None,
            },
        }
    }

    /// Moves whatever can be moved.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<End, Fault>> {
        if self.connection.timer.expired() {
            return Poll::Ready(Err(Fault::Expired(self.expired())));
        }
        self.state.waiting = Waiting::default();
        if let Some(since) = self.state.waits_since.take() {
            let waited = self.worker.clock.now().saturating_duration_since(since);
            self.flow.body_waited = self.flow.body_waited.saturating_add(waited);
        }
        if self.state.upload == Upload::Sending
            && let Err(fault) = self.poll_upload(cx)
        {
            return Poll::Ready(Err(fault));
        }
        match self.poll_download(cx) {
            Err(fault) => return Poll::Ready(Err(fault)),
            Ok(Some(end)) => {
                self.settle(end);
                return Poll::Ready(Ok(end));
            }
            Ok(None) => {}
        }
        if self.is_given_up() {
            count(&self.worker.counters.totals.shed);
            return Poll::Ready(Err(Fault::Expired(Reason::Shed)));
        }
        // An HTTP/1.1 client that is still to send its body is watched by reading that.
        if (self.state.upload != Upload::Sending || self.connection.stream.is_http2())
            && let Err(fault) = self.poll_client(cx)
        {
            return Poll::Ready(Err(fault));
        }
        self.arm();
        Poll::Pending
    }

    /// How long the next part of the body may take: no more than `body_idle`, and less the longer a
    /// body that trickles was waited for already.
    fn body_patience(&self) -> Duration {
        let limits = &self.worker.limits;
        patience(limits.body_idle, limits.body_rate, self.flow.body_bytes, self.flow.body_waited)
    }

    /// How long the client may take nothing: no more than `write_idle`, and less the longer a client
    /// that takes a little at a time was waited for already.
    fn write_patience(&self) -> Duration {
        let limits = &self.worker.limits;
        let Some((since, taken)) = self.state.behind else { return limits.write_idle };
        let waited = self.worker.clock.now().saturating_duration_since(since);
        patience(limits.write_idle, limits.write_rate, taken, waited)
    }

    fn arm(&mut self) {
        if self.state.waiting.client_read {
            self.state.waits_since = Some(self.worker.clock.now());
        }
        if !std::mem::take(&mut self.state.moved) {
            return;
        }
        let limits = &self.worker.limits;
        let idle = if self.state.waiting.client_write {
            self.write_patience()
        } else if self.state.waiting.client_read && !self.scratch.names.grpc {
            self.body_patience()
        } else {
            limits.response_idle
        };
        let deadline = match (self.request_deadline, self.attempt_deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        };
        self.connection.timer.arm_until(idle, deadline);
    }

    /// Whether the response is cut for want of memory: it is held, and the client does not take it.
    fn is_given_up(&self) -> bool {
        self.state.waiting.client_write
            && self.worker.peers.memory.pressure() == Pressure::Connections
    }

    fn expired(&self) -> Reason {
        let now = self.worker.clock.now();
        let passed = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if passed(self.request_deadline) {
            Reason::RequestTimeout
        } else if passed(self.attempt_deadline) {
            Reason::BackendTimeout
        } else if self.state.waiting.client_write {
            Reason::WriteTimeout
        } else if self.state.waiting.client_read {
            Reason::BodyTimeout
        } else {
            Reason::BackendTimeout
        }
    }

    /// Whether the connections can be used again.
    fn settle(&mut self, end: End) {
        let uploaded = self.state.upload == Upload::Done;
        self.flow.reusable = end == End::Complete
            && uploaded
            && !self.upstream.is_http2()
            && self.scratch.response.keep_alive()
            && self.scratch.from_upstream.is_empty();
    }

    /// Whether a byte of a response was received in this attempt.
    pub(crate) fn heard(&self) -> bool {
        self.state.download != Download::Head
            || self.state.interims > 0
            || !self.scratch.from_upstream.is_empty()
    }
}
