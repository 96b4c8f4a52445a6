//! The request's way up: from the client's bytes to the backend.

use std::task::{Context, Poll};

use http1::{BodyEvent, BodyFraming};

use crate::http::{
    exchange::{Exchange, FRAMED_AHEAD, Fault, Upload},
    scratch::Scratch,
};

impl Exchange<'_, '_> {
    pub(super) fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
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
                match self.upstream.poll_write(cx, bytes) {
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
            match self.upstream.poll_flush(cx) {
                Poll::Ready(Ok(())) if self.flow.encoded => {
                    self.state.upload = Upload::Done;
                    return Ok(());
                }
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => {
                    self.state.upload = Upload::Abandoned;
                    return Ok(());
                }
                Poll::Pending => return Ok(()),
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
                    let bytes = u64::try_from(data.len()).unwrap_or(u64::MAX);
                    self.flow.body_bytes = self.flow.body_bytes.saturating_add(bytes);
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
    pub(super) fn poll_client(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
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
}
