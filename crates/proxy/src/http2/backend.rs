//! One request on an HTTP/2 connection to an endpoint, as the byte stream that an exchange works
//! with: reading gives the response's heads as HTTP/1.1 lines and then its body.

use std::{
    io,
    rc::Rc,
    task::{Context, Poll, ready},
};

use ::http2::{ErrorCode, StreamError};

use crate::{
    http2::{
        head::{self, Asked},
        pool::Link,
        shared::Handle,
        stream::Body,
    },
    stream::Multiplexed,
};

/// Why a request came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The endpoint did not look at it: refused, or beyond the last stream of its GOAWAY. Safe to
    /// send again, whatever the method (RFC 9113 8.7).
    Refused,
    /// The endpoint looked at it and gave it up.
    Reset,
    /// The connection ended early.
    Closed,
    /// The endpoint broke the protocol.
    Protocol,
}

/// Holds a place on the connection until it is dropped.
pub(crate) struct BackendStream {
    link: Rc<Link>,
    /// The request is an upgrade to WebSocket, and goes as one.
    websocket: bool,
    open: Option<Open>,
    failure: Option<Failure>,
}

struct Open {
    stream: Handle,
    send_ended: bool,
    /// The final head came; what follows is its body.
    answered: bool,
    /// The answer to an upgrade that was asked for; until then the request has no end.
    accept: Option<String>,
    /// Head lines that were not read yet.
    lines: Vec<u8>,
    lines_read: usize,
    body: Body,
}

impl BackendStream {
    pub(super) fn new(link: Rc<Link>) -> Self {
        link.add_stream();
        Self { link, websocket: false, open: None, failure: None }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(crate) fn failure(&self) -> Option<Failure> {
        self.failure
    }

    /// Whether the endpoint takes extended CONNECT (RFC 8441), once it has said; `None` when the
    /// connection ended before.
    pub(crate) fn poll_extended(&self, cx: &mut Context<'_>) -> Poll<Option<bool>> {
        self.link.poll_extended(cx)
    }

    /// Sends the upgrade to WebSocket in the head that follows as an extended CONNECT.
    pub(crate) fn ask_websocket(&mut self) {
        self.websocket = true;
    }

    pub(crate) fn is_websocket(&self) -> bool {
        self.websocket
    }

    /// Whether the head was the whole response.
    pub(crate) fn ended_at_head(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.answered && open.body.ended(&open.stream))
    }

    /// Sends the head, as our serialiser wrote it; `ends` when no body follows.
    ///
    /// # Errors
    /// When the connection takes no more requests, which [`BackendStream::failure`] then says, or
    /// the head cannot be said in HTTP/2.
    pub(crate) fn send_head(&mut self, lines: &[u8], ends: bool) -> io::Result<()> {
        let asked = Asked::read(lines, self.link.is_secure(), self.websocket)
            .ok_or(io::ErrorKind::InvalidData)?;
        let accept = match self.websocket {
            true => Some(asked.accept().ok_or(io::ErrorKind::InvalidData)?),
            false => None,
        };
        let ends = ends && !self.websocket;
        match self.link.open(&asked, ends) {
            Ok(stream) => {
                self.open = Some(Open {
                    stream,
                    send_ended: ends,
                    answered: false,
                    accept,
                    lines: Vec::new(),
                    lines_read: 0,
                    body: Body::default(),
                });
                Ok(())
            }
            Err(error) => {
                self.failure = Some(Failure::Refused);
                Err(io::Error::new(io::ErrorKind::ConnectionReset, error))
            }
        }
    }

    /// Trailers of the response, when it ended.
    pub(crate) fn trailers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.open.iter().flat_map(|open| open.body.trailers())
    }

    fn failed(&mut self, error: io::Error) -> io::Error {
        let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<StreamError>());
        let failure = match cause {
            Some(StreamError::Refused) => Failure::Refused,
            // Larger than our bounds, which the endpoint does not know.
            Some(StreamError::Broken(ErrorCode::ENHANCE_YOUR_CALM)) => Failure::Protocol,
            Some(StreamError::Broken(_)) => {
                self.link.distrust();
                Failure::Protocol
            }
            Some(StreamError::Reset(_)) => Failure::Reset,
            Some(StreamError::Closed) | None => Failure::Closed,
        };
        self.failure.get_or_insert(failure);
        error
    }
}

impl Multiplexed for BackendStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        let Some(open) = &mut self.open else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let read = open.poll_read(cx, space);
        read.map_err(|error| self.failed(error))
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        last: bool,
    ) -> Poll<io::Result<usize>> {
        let Some(open) = &mut self.open else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let sent = ready!(open.stream.poll_send(cx, bytes, last))?;
        open.send_ended |= last && sent == bytes.len();
        Poll::Ready(Ok(sent))
    }

    /// An upgrade that the endpoint has not judged yet does not end.
    fn finish<'a>(
        &mut self,
        trailers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> io::Result<()> {
        match &mut self.open {
            Some(open) if !open.send_ended && open.accept.is_none() => {
                open.send_ended = true;
                open.stream.finish(|block| head::write_trailers(trailers, block))
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Open {
    fn poll_read(&mut self, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let rest = self.lines.get(self.lines_read..).unwrap_or_default();
            if !rest.is_empty() {
                let count = rest.len().min(space.len());
                let piece = rest.get(..count).unwrap_or_default();
                if let Some(space) = space.get_mut(..count) {
                    space.copy_from_slice(piece);
                }
                self.lines_read = self.lines_read.saturating_add(count);
                return Poll::Ready(Ok(count));
            }
            if self.answered {
                return self.body.poll_read(&self.stream, cx, space);
            }
            ready!(self.poll_head(cx))?;
        }
    }

    /// Reads the next head into `lines`.
    fn poll_head(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let response = ready!(self.stream.poll_response(cx))?;
        self.lines.clear();
        self.lines_read = 0;
        self.answered = !response.is_interim();
        match self.accept.take_if(|_| self.answered) {
            Some(accept) if (200..300).contains(&response.status()) => {
                head::read_switch(&response, &accept, &mut self.lines);
            }
            refused => {
                if refused.is_some() {
                    self.send_ended = true;
                    if self.stream.finish(|_| {}).is_err() {
                        tracing::debug!("a refused websocket was reset");
                    }
                }
                head::read_response(&response, &mut self.lines);
            }
        }
        self.stream.reuse(response.into_fields());
        Poll::Ready(Ok(()))
    }
}

impl Drop for BackendStream {
    fn drop(&mut self) {
        self.link.remove_stream();
    }
}
