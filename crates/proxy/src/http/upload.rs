//! The request's way up: from the client's bytes to the backend.

use std::task::{Context, Poll};

use http1::{BodyDecoder, BodyEvent, BodyFraming};

use crate::{
    http::{
        exchange::{Exchange, FRAMED_AHEAD, Fault, Upload},
        scratch::Scratch,
    },
    stream::{Multiplexed as _, Stream},
    upstream::stream::UpstreamStream,
};

/// Trailers of a request that ended, from whichever protocol it came.
fn trailers<'a>(
    client: &'a Stream,
    body: &'a BodyDecoder,
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let http2 = match client {
        Stream::Plain(_) | Stream::Tls(_) => None,
        Stream::Http2(client) => Some(client.trailers()),
    };
    body.trailers().chain(http2.into_iter().flatten())
}

impl Exchange<'_, '_> {
    pub(super) fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        if self.upstream.is_http2() && !self.open_stream()? {
            self.state.upload = Upload::Abandoned;
            return Ok(());
        }
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
                let sent = match &mut *self.upstream {
                    UpstreamStream::Http2(stream) => {
                        let mut trailers =
                            trailers(&self.connection.stream, &self.scratch.request_body);
                        let last = self.flow.encoded && trailers.next().is_none();
                        stream.poll_send(cx, bytes, last)
                    }
                    upstream @ (UpstreamStream::Plain(_) | UpstreamStream::Tls(_)) => {
                        upstream.poll_write(cx, bytes)
                    }
                };
                match sent {
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
                    self.finish_stream();
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
        let chunked =
            self.scratch.request.framing() == BodyFraming::Chunked && !self.upstream.is_http2();
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
                    if !self.connection.stream.http2().is_some_and(|client| client.ended()) {
                        return Ok(());
                    }
                    self.end_request(chunked)?;
                }
                Ok(BodyEvent::End { consumed }) => {
                    input.consume(consumed);
                    self.end_request(chunked)?;
                }
            }
        }
        Ok(())
    }

    fn end_request(&mut self, chunked: bool) -> Result<(), Fault> {
        let Scratch { request_body, to_upstream, .. } = &mut *self.scratch;
        if chunked {
            let trailers = trailers(&self.connection.stream, request_body);
            if http1::write_last_chunk(&mut to_upstream.bytes, trailers).is_err() {
                return Err(Fault::BadBody(http1::BodyErrorReason::Truncated));
            }
        }
        self.flow.encoded = true;
        for tee in &mut *self.tees {
            tee.end(trailers(&self.connection.stream, request_body));
        }
        Ok(())
    }

    /// Ends the request to an HTTP/2 backend.
    fn finish_stream(&mut self) {
        if let UpstreamStream::Http2(stream) = &mut *self.upstream {
            let trailers = trailers(&self.connection.stream, &self.scratch.request_body);
            if stream.finish(trailers).is_err() {
                self.state.upload = Upload::Abandoned;
            }
        }
    }

    /// Sends the head to an HTTP/2 backend, once; false when its connection takes none.
    fn open_stream(&mut self) -> Result<bool, Fault> {
        let Some(stream) = self.upstream.http2() else { return Ok(true) };
        if stream.is_open() {
            return Ok(true);
        }
        let Scratch { request, to_upstream, .. } = &mut *self.scratch;
        let head = to_upstream.bytes.get(..self.flow.head).unwrap_or_default();
        let sent = stream.send_head(head, !request.framing().has_body());
        to_upstream.sent = self.flow.head;
        match sent {
            Ok(()) => Ok(true),
            Err(_) if stream.failure().is_some() => Ok(false),
            Err(_) => Err(Fault::Unsayable),
        }
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
            // The end of its request; it may still read.
            Poll::Ready(Ok(0)) if self.connection.stream.is_http2() => Ok(true),
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
        match self.connection.poll_left(cx, &mut self.scratch.input) {
            Poll::Ready(()) => Err(Fault::ClientGone),
            Poll::Pending => Ok(()),
        }
    }
}
