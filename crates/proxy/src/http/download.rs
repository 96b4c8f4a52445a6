//! The response's way down: from the backend's bytes to the client.

use std::task::{Context, Poll};

use http1::{Asked, BodyEvent, Parse, Version};
use ir::exec::apply_response_filters;

use crate::http::{
    exchange::{Download, End, Exchange, FRAMED_AHEAD, Fault, Upload},
    forward::is_h2c,
    response::{self, Framing, Shape},
    scratch::Scratch,
};

/// Bytes that are copied to save a write; larger pieces are written from where they lie.
const COALESCE: usize = 16 * 1024;

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
        if !buffer.has_space() {
            buffer.grow(limits.buffer_initial, limits.buffer_largest);
        }
        match self.upstream.poll_read(cx, buffer.space()) {
            Poll::Pending => Ok(false),
            Poll::Ready(Err(_)) => Err(Fault::UpstreamClosed),
            Poll::Ready(Ok(0)) => self.upstream_ended(),
            Poll::Ready(Ok(read)) => {
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
        let session = self.plan.session.as_ref();
        if rule.is_empty() && backend.is_empty() && session.is_none() {
            return;
        }
        overlay.clear();
        if !backend.is_empty() {
            apply_response_filters(backend, None, overlay);
        }
        apply_response_filters(rule, self.plan.cors.as_ref(), overlay);
        if let Some(session) = session {
            session.tell(&self.scratch.names.session, overlay);
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
}
