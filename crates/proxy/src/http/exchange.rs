//! One attempt of one exchange: a state machine that moves bytes both ways at once.
//!
//! The request body goes up while the response may already come down; each side stops reading
//! when the other does not take what was read, so memory is bounded by the two buffers.

use std::{
    task::{Context, Poll},
    time::Instant,
};

use http1::{Asked, BodyEvent, BodyFraming, Parse, Version};
use ir::exec::apply_response_filters;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::{
    http::{
        connection::Connection,
        forward::is_h2c,
        mirror::Tee,
        record::Record,
        request::Plan,
        response::{self, Framing, Shape},
        scratch::Scratch,
    },
    observe::reason::Reason,
    worker::Worker,
};

/// Bytes that are copied to save a write; larger pieces are written from where they lie.
const COALESCE: usize = 16 * 1024;
/// Bytes that are framed ahead of a write.
const FRAMED_AHEAD: usize = 64 * 1024;

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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upload {
    Sending,
    Done,
    /// The backend takes no more; its response decides.
    Abandoned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Download {
    Head,
    Body,
    Flushing(End),
}

/// What the attempt waits for; decides which idle limit applies.
#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    client_read: bool,
    client_write: bool,
}

pub(crate) struct Exchange<'a, 't> {
    pub(crate) connection: &'a mut Connection,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) worker: &'a Worker,
    pub(crate) upstream: &'a mut TcpStream,
    pub(crate) plan: &'a Plan<'t>,
    pub(crate) record: &'a mut Record<'t>,
    pub(crate) tees: &'a mut Vec<Tee>,
    pub(crate) flow: &'a mut Flow,
    /// Of the rule's whole request, and of this attempt.
    pub(crate) request_deadline: Option<Instant>,
    pub(crate) attempt_deadline: Option<Instant>,
    state: State,
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
    /// The connection to the client ends after this exchange.
    pub(crate) close: bool,
    /// The upstream connection may be used again.
    pub(crate) reusable: bool,
    /// Request bytes at the front of the input that are decoded and not written yet.
    direct_up: usize,
}

impl Flow {
    pub(crate) fn new() -> Self {
        Self { replayable: true, ..Self::default() }
    }
}

struct State {
    upload: Upload,
    download: Download,
    framing: Framing,
    /// Response bytes at the front of `from_upstream` that are decoded and not written yet.
    direct_down: usize,
    interims: u32,
    waiting: Waiting,
    moved: bool,
}

impl<'a, 't> Exchange<'a, 't> {
    #[expect(clippy::too_many_arguments, reason = "each is borrowed from another owner")]
    pub(crate) fn new(
        connection: &'a mut Connection,
        scratch: &'a mut Scratch,
        worker: &'a Worker,
        upstream: &'a mut TcpStream,
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
            },
        }
    }

    /// Moves whatever can be moved.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<End, Fault>> {
        if self.connection.timer.expired() {
            return Poll::Ready(Err(Fault::Expired(self.expired())));
        }
        self.state.waiting = Waiting::default();
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
        if self.state.upload != Upload::Sending
            && let Err(fault) = self.poll_client(cx)
        {
            return Poll::Ready(Err(fault));
        }
        self.arm();
        Poll::Pending
    }

    fn arm(&mut self) {
        if !std::mem::take(&mut self.state.moved) {
            return;
        }
        let limits = &self.worker.limits;
        let idle = if self.state.waiting.client_write {
            limits.write_idle
        } else if self.state.waiting.client_read {
            limits.body_idle
        } else {
            limits.response_idle
        };
        let deadline = match (self.request_deadline, self.attempt_deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        };
        self.connection.timer.arm_until(idle, deadline);
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
            && self.scratch.response.keep_alive()
            && self.scratch.from_upstream.is_empty();
    }

    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        loop {
            self.encode_request()?;
            let pending = self.scratch.to_upstream.pending();
            let direct = pending.is_empty();
            let bytes = if direct {
                self.scratch.input.unread().get(..self.flow.direct_up).unwrap_or_default()
            } else {
                pending
            };
            if !bytes.is_empty() {
                match std::pin::Pin::new(&mut *self.upstream).poll_write(cx, bytes) {
                    Poll::Ready(Ok(0) | Err(_)) => {
                        self.state.upload = Upload::Abandoned;
                        return Ok(());
                    }
                    Poll::Ready(Ok(written)) => {
                        self.state.moved = true;
                        if direct {
                            self.scratch.input.consume(written);
                            self.flow.direct_up = self.flow.direct_up.saturating_sub(written);
                        } else {
                            self.scratch.to_upstream.advance(written);
                        }
                        continue;
                    }
                    Poll::Pending => return Ok(()),
                }
            }
            if !self.flow.replayable {
                self.scratch.to_upstream.clear();
            }
            if self.flow.encoded {
                self.state.upload = Upload::Done;
                return Ok(());
            }
            if !self.fill_input(cx)? {
                self.state.waiting.client_read = true;
                return Ok(());
            }
        }
    }

    /// Frames what was received of the request body.
    fn encode_request(&mut self) -> Result<(), Fault> {
        let limits = &self.worker.limits;
        let chunked = self.scratch.request.framing() == BodyFraming::Chunked;
        while !self.flow.encoded
            && self.flow.direct_up == 0
            && self.scratch.to_upstream.pending().len() < FRAMED_AHEAD
        {
            let Scratch { input, request_body, to_upstream, .. } = &mut *self.scratch;
            match request_body.decode(input.unread(), &limits.head) {
                Err(error) => return Err(Fault::BadBody(error.reason)),
                Ok(BodyEvent::Data { start, end }) => {
                    let data = input.unread().get(start..end).unwrap_or_default();
                    self.record.add_received(data.len());
                    self.tees.iter_mut().for_each(|tee| tee.push(data));
                    let fits = to_upstream.bytes.len().saturating_add(data.len()) <= limits.replay;
                    self.flow.replayable &= fits;
                    if chunked {
                        http1::write_chunk(&mut to_upstream.bytes, data);
                        input.consume(end);
                    } else if self.flow.replayable {
                        to_upstream.bytes.extend_from_slice(data);
                        input.consume(end);
                    } else {
                        self.flow.direct_up = end;
                    }
                }
                Ok(BodyEvent::NeedMore) => {
                    let count = input.len();
                    input.consume(count);
                    return Ok(());
                }
                Ok(BodyEvent::End { consumed }) => {
                    input.consume(consumed);
                    if chunked {
                        let trailers = request_body.trailers();
                        if http1::write_last_chunk(&mut to_upstream.bytes, trailers).is_err() {
                            return Err(Fault::BadBody(http1::BodyErrorReason::Truncated));
                        }
                    }
                    self.flow.encoded = true;
                    self.tees.iter_mut().for_each(|tee| tee.end(request_body));
                }
            }
        }
        Ok(())
    }

    /// Reads from the client; false when nothing came.
    fn fill_input(&mut self, cx: &mut Context<'_>) -> Result<bool, Fault> {
        let limits = &self.worker.limits;
        let input = &mut self.scratch.input;
        if !input.has_space() {
            input.grow(limits.buffer_initial, limits.buffer_largest);
        }
        match self.connection.stream.poll_read(cx, input.space()) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(0) | Err(_)) => Err(Fault::ClientGone),
            Poll::Ready(Ok(read)) => {
                input.filled(read);
                self.connection.received(read);
                self.state.moved = true;
                if !input.has_space() {
                    input.grow(limits.buffer_initial, limits.buffer_largest);
                }
                Ok(true)
            }
        }
    }

    /// Notices a client that went away, and takes a little of what it sends next.
    fn poll_client(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        while self.scratch.input.has_space() {
            match self.connection.stream.poll_read(cx, self.scratch.input.space()) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0) | Err(_)) => return Err(Fault::ClientGone),
                Poll::Ready(Ok(read)) => {
                    self.scratch.input.filled(read);
                    self.connection.received(read);
                }
            }
        }
        Ok(())
    }

    fn poll_download(&mut self, cx: &mut Context<'_>) -> Result<Option<End>, Fault> {
        loop {
            match self.state.download {
                Download::Head => {
                    if self.read_response_head()? {
                        continue;
                    }
                    self.write_client(cx)?;
                    if !self.fill_from_upstream(cx)? {
                        return Ok(None);
                    }
                }
                Download::Body => {
                    let need_more = self.encode_response()?;
                    if !self.write_client(cx)? {
                        return Ok(None);
                    }
                    if need_more
                        && self.state.download == Download::Body
                        && !self.fill_from_upstream(cx)?
                    {
                        return Ok(None);
                    }
                }
                Download::Flushing(end) => {
                    return Ok(self.write_client(cx)?.then_some(end));
                }
            }
        }
    }

    /// Reads from the backend; false when nothing came.
    fn fill_from_upstream(&mut self, cx: &mut Context<'_>) -> Result<bool, Fault> {
        let limits = &self.worker.limits;
        let buffer = &mut self.scratch.from_upstream;
        if !buffer.has_space() {
            buffer.grow(limits.buffer_initial, limits.buffer_largest);
        }
        let mut space = tokio::io::ReadBuf::new(buffer.space());
        let upstream = std::pin::Pin::new(&mut *self.upstream);
        match upstream.poll_read(cx, &mut space) {
            Poll::Pending => Ok(false),
            Poll::Ready(Err(_)) => Err(Fault::UpstreamClosed),
            Poll::Ready(Ok(())) if space.filled().is_empty() => self.upstream_ended(),
            Poll::Ready(Ok(())) => {
                let read = space.filled().len();
                buffer.filled(read);
                self.state.moved = true;
                if !buffer.has_space() {
                    buffer.grow(limits.buffer_initial, limits.buffer_largest);
                }
                Ok(true)
            }
        }
    }

    fn upstream_ended(&mut self) -> Result<bool, Fault> {
        if self.state.download != Download::Body
            || self.scratch.response_body.end_of_input().is_err()
        {
            return Err(Fault::UpstreamClosed);
        }
        self.end_response()?;
        Ok(true)
    }

    /// Parses what was received of the head; false when it is not complete.
    fn read_response_head(&mut self) -> Result<bool, Fault> {
        let limits = &self.worker.limits.head;
        let Scratch { input, request, response, from_upstream, .. } = &mut *self.scratch;
        if from_upstream.is_empty() {
            return Ok(false);
        }
        let upgrade = request.upgrade().map(|value| value.of(input.kept()));
        let upgrade = upgrade.filter(|value| !is_h2c(value));
        let asked = Asked { method: request.method(), upgrade };
        match response.parse(from_upstream.unread(), asked, limits) {
            Ok(Parse::Partial) => Ok(false),
            Ok(Parse::Http2Preface) => Err(Fault::UpstreamProtocol("preface")),
            Err(error) => Err(Fault::UpstreamProtocol(error.reason.label())),
            Ok(Parse::Complete { head_len }) => {
                if response.is_interim() {
                    self.pass_interim(head_len)?;
                } else {
                    self.begin_response(head_len)?;
                }
                Ok(true)
            }
        }
    }

    fn pass_interim(&mut self, head_len: usize) -> Result<(), Fault> {
        self.state.interims = self.state.interims.saturating_add(1);
        if self.state.interims > self.worker.limits.interim_responses {
            return Err(Fault::UpstreamProtocol("interim_responses"));
        }
        let Scratch { request, response, from_upstream, to_client, .. } = &mut *self.scratch;
        let bytes = from_upstream.unread();
        if request.version() == Version::Http11
            && response::write_interim(&mut to_client.bytes, response, bytes).is_err()
        {
            return Err(Fault::UpstreamProtocol("interim"));
        }
        from_upstream.consume(head_len);
        Ok(())
    }

    /// Writes the final head for the client.
    fn begin_response(&mut self, head_len: usize) -> Result<(), Fault> {
        let now = self.worker.clock.now();
        self.record.first_byte = Some(now.saturating_duration_since(self.record.start));
        self.record.status = self.scratch.response.status();
        self.apply_filters();
        let close = self.must_close();
        let Scratch { request, response, from_upstream, to_client, response_overlay, .. } =
            &mut *self.scratch;
        let bytes = from_upstream.unread();
        let out = &mut to_client.bytes;
        let version = request.version();
        let (framing, ends_by_close) = response::framing_for(response.framing(), version);
        self.flow.close |= close || ends_by_close;
        let written = if response.status() == 101 {
            response::write_switch(out, response, bytes, response_overlay)
        } else if response.fields().has(http1::Known::Date) {
            let shape = Shape { client: version, close: self.flow.close, date: "" };
            response::write_head(out, response, bytes, response_overlay, &shape)
        } else {
            self.worker.log.http_date(now, |date| {
                let shape = Shape { client: version, close: self.flow.close, date };
                response::write_head(out, response, bytes, response_overlay, &shape)
            })
        };
        if written.is_err() {
            return Err(Fault::UpstreamProtocol("head"));
        }
        from_upstream.consume(head_len);
        self.state.framing = framing;
        self.scratch.response_body.start_response(self.scratch.response.framing());
        self.state.download = if self.scratch.response.status() == 101 {
            Download::Flushing(End::Upgraded)
        } else {
            Download::Body
        };
        Ok(())
    }

    fn apply_filters(&mut self) {
        let overlay = &mut self.scratch.response_overlay;
        let rule = &self.plan.found.entry.rule.filters;
        let backend = &self.plan.backend.filters;
        if rule.is_empty() && backend.is_empty() {
            return;
        }
        overlay.clear();
        if !backend.is_empty() {
            apply_response_filters(backend, None, overlay);
        }
        apply_response_filters(rule, self.plan.cors.as_ref(), overlay);
    }

    /// Whether the client's connection ends with this response, as far as is known at its head.
    fn must_close(&self) -> bool {
        let request = &self.scratch.request;
        let unread = match self.state.upload {
            Upload::Done => false,
            Upload::Sending | Upload::Abandoned => {
                let drain = u64::try_from(self.worker.limits.drain_body).unwrap_or(u64::MAX);
                self.scratch.request_body.remaining().is_none_or(|left| left > drain)
                    || request.expect_continue()
            }
        };
        !request.keep_alive() || unread || self.connection.is_last()
    }

    /// Frames what was received of the body; true when more must be read.
    fn encode_response(&mut self) -> Result<bool, Fault> {
        loop {
            let Scratch { response_body, from_upstream, to_client, .. } = &mut *self.scratch;
            if self.state.direct_down > 0 || to_client.pending().len() >= FRAMED_AHEAD {
                return Ok(false);
            }
            match response_body.decode(from_upstream.unread(), &self.worker.limits.head) {
                Err(error) => return Err(Fault::UpstreamProtocol(error.reason.label())),
                Ok(BodyEvent::Data { start, end }) => {
                    let data = from_upstream.unread().get(start..end).unwrap_or_default();
                    match self.state.framing {
                        Framing::Chunked => {
                            http1::write_chunk(&mut to_client.bytes, data);
                            from_upstream.consume(end);
                        }
                        Framing::Identity
                            if to_client.bytes.len().saturating_add(data.len()) <= COALESCE =>
                        {
                            to_client.bytes.extend_from_slice(data);
                            from_upstream.consume(end);
                        }
                        Framing::Identity => {
                            from_upstream.consume(start);
                            self.state.direct_down = end.saturating_sub(start);
                        }
                    }
                }
                Ok(BodyEvent::NeedMore) => {
                    let count = from_upstream.len();
                    from_upstream.consume(count);
                    return Ok(true);
                }
                Ok(BodyEvent::End { consumed }) => {
                    from_upstream.consume(consumed);
                    self.end_response()?;
                    return Ok(false);
                }
            }
        }
    }

    fn end_response(&mut self) -> Result<(), Fault> {
        let Scratch { response_body, to_client, .. } = &mut *self.scratch;
        if self.state.framing == Framing::Chunked
            && http1::write_last_chunk(&mut to_client.bytes, response_body.trailers()).is_err()
        {
            return Err(Fault::UpstreamProtocol("trailers"));
        }
        self.state.download = Download::Flushing(End::Complete);
        Ok(())
    }

    /// Writes what is ready for the client; true when nothing is left.
    fn write_client(&mut self, cx: &mut Context<'_>) -> Result<bool, Fault> {
        loop {
            let Scratch { from_upstream, to_client, .. } = &mut *self.scratch;
            let pending = to_client.pending();
            let direct = pending.is_empty();
            let bytes = if direct {
                from_upstream.unread().get(..self.state.direct_down).unwrap_or_default()
            } else {
                pending
            };
            if bytes.is_empty() {
                to_client.clear();
                return match self.connection.stream.poll_flush(cx) {
                    Poll::Ready(Ok(())) => Ok(true),
                    Poll::Ready(Err(_)) => Err(Fault::ClientGone),
                    Poll::Pending => {
                        self.state.waiting.client_write = true;
                        Ok(false)
                    }
                };
            }
            match self.connection.stream.poll_write(cx, bytes) {
                Poll::Ready(Ok(0) | Err(_)) => return Err(Fault::ClientGone),
                Poll::Ready(Ok(written)) => {
                    self.state.moved = true;
                    // An interim answer still lets another final one follow.
                    self.flow.answered |= self.state.download != Download::Head;
                    self.record.add_sent(written);
                    if direct {
                        from_upstream.consume(written);
                        self.state.direct_down = self.state.direct_down.saturating_sub(written);
                    } else {
                        to_client.advance(written);
                    }
                }
                Poll::Pending => {
                    self.state.waiting.client_write = true;
                    return Ok(false);
                }
            }
        }
    }

    /// Whether a byte of a response was received in this attempt.
    pub(crate) fn heard(&self) -> bool {
        self.state.download != Download::Head
            || self.state.interims > 0
            || !self.scratch.from_upstream.is_empty()
    }
}
