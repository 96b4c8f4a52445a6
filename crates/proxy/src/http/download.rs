//! The response's way down: from the backend's bytes to the client.

use std::task::{Context, Poll};

use http1::{Asked, BodyDecoder, BodyEvent, BodyFraming, Parse, Version};
use ir::exec::apply_response_filters;

use crate::{
    http::{
        exchange::{Download, End, Exchange, FRAMED_AHEAD, Fault, Upload},
        forward::is_h2c,
        response::{self, Framing, Shape},
        scratch::Scratch,
    },
    http2::backend::Failure,
    stream::{Multiplexed as _, Stream},
    upstream::stream::UpstreamStream,
};

/// Bytes that are copied to save a write; larger pieces are written from where they lie.
const COALESCE: usize = 16 * 1024;

/// Trailers of a response that ended, from whichever protocol it came.
fn trailers<'a>(
    upstream: &'a UpstreamStream,
    body: &'a BodyDecoder,
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let http2 = match upstream {
        UpstreamStream::Plain(_) | UpstreamStream::Tls(_) => None,
        UpstreamStream::Http2(stream) => Some(stream.trailers()),
    };
    body.trailers().chain(http2.into_iter().flatten())
}

impl Exchange<'_, '_> {
    pub(super) fn poll_download(&mut self, cx: &mut Context<'_>) -> Result<Option<End>, Fault> {
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
        // Not before it is to be read into: a client that takes nothing must not cost more.
        if std::mem::take(&mut self.state.filled) || !buffer.has_space() {
            buffer.grow(limits.buffer_initial, limits.buffer_largest);
        }
        match self.upstream.poll_read(cx, buffer.space()) {
            Poll::Pending => Ok(false),
            Poll::Ready(Err(_)) => Err(match self.upstream.http2().and_then(|s| s.failure()) {
                Some(Failure::Protocol) => Fault::UpstreamProtocol("http2"),
                Some(Failure::Closed | Failure::Reset | Failure::Refused) | None => {
                    Fault::UpstreamClosed
                }
            }),
            Poll::Ready(Ok(0)) => self.upstream_ended(),
            Poll::Ready(Ok(read)) => {
                buffer.filled(read);
                self.state.moved = true;
                self.state.filled = !buffer.has_space();
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
        let upgrade = upgrade.filter(|value| !is_h2c(value) && self.upstream.may_switch());
        let asked = Asked { method: request.method(), upgrade };
        match response.parse(from_upstream.unread(), asked, limits) {
            Ok(Parse::Partial) => Ok(false),
            Ok(Parse::Http2Preface) => Err(Fault::UpstreamProtocol("preface")),
            Err(error) => Err(Fault::UpstreamProtocol(error.reason.label())),
            Ok(Parse::Complete { head_len }) => {
                if response.is_interim() {
                    self.pass_interim(head_len)?;
                } else if self.wants_retry() {
                    return Err(Fault::Retry);
                } else {
                    self.begin_response(head_len)?;
                }
                Ok(true)
            }
        }
    }

    /// Whether the final response at hand is dropped for another attempt.
    fn wants_retry(&self) -> bool {
        let status = self.scratch.response.status();
        let retry = self.plan.found.entry.rule.retry.as_ref();
        self.flow.retries_codes
            && self.flow.replayable
            && !self.flow.answered
            && retry.is_some_and(|retry| retry.codes.contains(&status))
            && self.plan.cluster.budget.take(self.worker.clock.now())
    }

    fn pass_interim(&mut self, head_len: usize) -> Result<(), Fault> {
        self.state.interims = self.state.interims.saturating_add(1);
        if self.state.interims > self.worker.limits.interim_responses {
            return Err(Fault::UpstreamProtocol("interim_responses"));
        }
        let Scratch { request, response, from_upstream, to_client, .. } = &mut *self.scratch;
        let bytes = from_upstream.unread();
        if let Some(client) = self.connection.stream.http2() {
            let mut lines = Vec::new();
            if response::write_interim(&mut lines, response, bytes).is_err() {
                return Err(Fault::UpstreamProtocol("interim"));
            }
            client.send_interim(&lines).map_err(|_| Fault::ClientGone)?;
        } else if request.version() == Version::Http11
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
        let (mut framing, ends_by_close) = response::framing_for(response.framing(), version);
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
        let announced = response.framing();
        // On HTTP/2 the stream's end is the body's, whatever the length said; the codec compares them.
        let until_end = self.upstream.is_http2() && announced != BodyFraming::None;
        let decoded = if until_end { BodyFraming::UntilClose } else { announced };
        if let Some(client) = self.connection.stream.http2() {
            framing = Framing::Identity;
            let ends = !announced.has_body() && response.status() != 101
                || self.upstream.http2().is_some_and(|stream| stream.ended_at_head());
            let lines = std::mem::take(out);
            let sent = client.send_head(&lines, ends);
            *out = lines;
            out.clear();
            sent.map_err(|_| Fault::ClientGone)?;
            self.flow.answered = true;
        }
        self.state.framing = framing;
        self.scratch.response_body.start_response(decoded);
        self.state.download = if self.scratch.response.status() == 101 {
            Download::Flushing(End::Upgraded)
        } else {
            Download::Body
        };
        Ok(())
    }

    fn apply_filters(&mut self) {
        let Scratch { response_overlay: overlay, added, names, .. } = &mut *self.scratch;
        let rule = &self.plan.found.entry.rule.filters;
        let backend = &self.plan.backend.filters;
        let session = self.plan.session.as_ref();
        if rule.is_empty() && backend.is_empty() && session.is_none() && added.is_empty() {
            return;
        }
        overlay.clear();
        if !backend.is_empty() {
            apply_response_filters(backend, None, overlay);
        }
        apply_response_filters(rule, self.plan.cors.as_ref(), overlay);
        if let Some(session) = session {
            session.tell(&names.session, overlay);
        }
        for (name, value) in added {
            overlay.add(name, value);
        }
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
            && http1::write_last_chunk(&mut to_client.bytes, trailers(self.upstream, response_body))
                .is_err()
        {
            return Err(Fault::UpstreamProtocol("trailers"));
        }
        self.state.download = Download::Flushing(End::Complete);
        Ok(())
    }

    /// Ends the response to an HTTP/2 client once all of it was sent.
    fn finish_client(&mut self) -> Result<bool, Fault> {
        if self.state.download == Download::Flushing(End::Complete)
            && let Some(client) = self.connection.stream.http2()
        {
            let trailers = trailers(self.upstream, &self.scratch.response_body);
            client.finish(trailers).map_err(|_| Fault::ClientGone)?;
        }
        Ok(true)
    }

    /// Writes what is ready for the client; true when nothing is left.
    fn write_client(&mut self, cx: &mut Context<'_>) -> Result<bool, Fault> {
        loop {
            let Scratch { from_upstream, to_client, response_body, .. } = &mut *self.scratch;
            let pending = to_client.pending();
            let direct = pending.is_empty();
            let bytes = if direct {
                from_upstream.unread().get(..self.state.direct_down).unwrap_or_default()
            } else {
                pending
            };
            if bytes.is_empty() {
                self.state.behind = None;
                to_client.clear();
                if self.connection.stream.is_http2() {
                    return self.finish_client();
                }
                return match self.connection.stream.poll_flush(cx) {
                    Poll::Ready(Ok(())) => Ok(true),
                    Poll::Ready(Err(_)) => Err(Fault::ClientGone),
                    Poll::Pending => {
                        self.state.waiting.client_write = true;
                        Ok(false)
                    }
                };
            }
            let sent = match &mut self.connection.stream {
                Stream::Http2(client) => {
                    let last = self.state.download == Download::Flushing(End::Complete)
                        && !(direct && self.state.direct_down > bytes.len())
                        && trailers(self.upstream, response_body).next().is_none();
                    client.poll_send(cx, bytes, last)
                }
                stream @ (Stream::Plain(_) | Stream::Tls(_)) => stream.poll_write(cx, bytes),
            };
            match sent {
                Poll::Ready(Ok(0) | Err(_)) => return Err(Fault::ClientGone),
                Poll::Ready(Ok(written)) => {
                    self.state.moved = true;
                    if let Some((_, taken)) = &mut self.state.behind {
                        *taken = taken.saturating_add(u64::try_from(written).unwrap_or(0));
                    }
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
                    let now = || (self.worker.clock.now(), 0);
                    self.state.behind.get_or_insert_with(now);
                    return Ok(false);
                }
            }
        }
    }
}
