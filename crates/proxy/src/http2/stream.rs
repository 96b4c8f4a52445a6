//! A client's request on an HTTP/2 connection, as the byte stream that an exchange works with:
//! reading gives body bytes, heads and the end are said explicitly.

use std::{
    io,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::HeaderMap;
use http1::UnderscoreNames;

use crate::{
    http2::{head, io_error},
    limits::Limits,
    stream::Multiplexed,
};

/// How far the response has come.
enum Answer {
    Waiting(SendResponse<Bytes>),
    Sending(SendStream<Bytes>),
    Ended,
}

pub(crate) struct ClientStream {
    secure: bool,
    /// Whether names with an underscore pass in trailers; those of heads are the parser's matter.
    keep_underscore_names: bool,
    body: Body,
    answer: Answer,
    /// The last head said that it is the whole response.
    pub(crate) head_ended: bool,
}

/// What a peer sends, read no faster than it is used: the capacity of a piece is given back with
/// the read that follows it, so the peer's window bounds what waits here.
pub(super) struct Body {
    stream: RecvStream,
    piece: Bytes,
    unreleased: usize,
    ended: bool,
    trailers: Option<HeaderMap>,
}

impl Body {
    pub(super) fn new(stream: RecvStream) -> Self {
        Self { stream, piece: Bytes::new(), unreleased: 0, ended: false, trailers: None }
    }

    /// Whether everything was read, trailers included.
    pub(super) fn ended(&self) -> bool {
        self.piece.is_empty() && (self.ended || self.stream.is_end_stream())
    }

    pub(super) fn trailers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        head::trailers(self.trailers.as_ref())
    }

    /// Reads into `space`; 0 is the end.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.unreleased > 0 {
            let count = std::mem::take(&mut self.unreleased);
            self.stream.flow_control().release_capacity(count).map_err(io_error)?;
        }
        while self.piece.is_empty() {
            if self.ended {
                return Poll::Ready(Ok(0));
            }
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => return Poll::Ready(Err(io_error(error))),
                None => {
                    self.trailers = ready!(self.stream.poll_trailers(cx)).map_err(io_error)?;
                    self.ended = true;
                }
            }
        }
        let count = self.piece.len().min(space.len());
        let piece = self.piece.split_to(count);
        if let Some(space) = space.get_mut(..count) {
            space.copy_from_slice(&piece);
        }
        self.unreleased = count;
        Poll::Ready(Ok(count))
    }
}

/// Sends some of `bytes`, as much as the peer's window takes. `last` ends the stream with them.
pub(super) fn poll_send(
    stream: &mut SendStream<Bytes>,
    cx: &mut Context<'_>,
    bytes: &[u8],
    last: bool,
) -> Poll<io::Result<usize>> {
    stream.reserve_capacity(bytes.len());
    let mut capacity = stream.capacity();
    while capacity == 0 {
        match ready!(stream.poll_capacity(cx)) {
            Some(Ok(more)) => capacity = more,
            Some(Err(error)) => return Poll::Ready(Err(io_error(error))),
            None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
    let piece = bytes.get(..capacity).unwrap_or(bytes);
    let ends = last && piece.len() == bytes.len();
    stream.send_data(Bytes::copy_from_slice(piece), ends).map_err(io_error)?;
    Poll::Ready(Ok(piece.len()))
}

/// Ends a stream, with trailers if there are any.
pub(super) fn finish(
    stream: &mut SendStream<Bytes>,
    trailers: Option<HeaderMap>,
) -> io::Result<()> {
    match trailers {
        Some(trailers) => stream.send_trailers(trailers),
        None => stream.send_data(Bytes::new(), true),
    }
    .map_err(io_error)
}

impl ClientStream {
    pub(super) fn new(
        secure: bool,
        body: RecvStream,
        answer: SendResponse<Bytes>,
        limits: &Limits,
    ) -> Self {
        Self {
            secure,
            keep_underscore_names: limits.head.underscore_names == UnderscoreNames::Allow,
            body: Body::new(body),
            answer: Answer::Waiting(answer),
            head_ended: false,
        }
    }

    /// Whether the connection is protected.
    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether the whole request was read.
    pub(crate) fn ended(&self) -> bool {
        self.body.ended()
    }

    /// Trailers of the request, when it ended.
    pub(crate) fn trailers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let keep = self.keep_underscore_names;
        self.body.trailers().filter(move |(name, _)| keep || !name.contains(&b'_'))
    }

    /// Sends an interim head.
    pub(crate) fn send_interim(&mut self, lines: &[u8]) -> io::Result<()> {
        let Answer::Waiting(answer) = &mut self.answer else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let response = head::to_response(lines).ok_or(io::ErrorKind::InvalidData)?;
        answer.send_informational(response).map_err(io_error)
    }

    /// Sends the final head; `ends` when nothing follows.
    pub(crate) fn send_head(&mut self, lines: &[u8], ends: bool) -> io::Result<()> {
        let Answer::Waiting(answer) = &mut self.answer else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let response = head::to_response(lines).ok_or(io::ErrorKind::InvalidData)?;
        let stream = answer.send_response(response, ends).map_err(io_error)?;
        self.head_ended = ends;
        self.answer = if ends { Answer::Ended } else { Answer::Sending(stream) };
        Ok(())
    }

    /// Ready when the client gave the request up.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.answer {
            Answer::Waiting(answer) => answer.poll_reset(cx).map(|_| ()),
            Answer::Sending(stream) => stream.poll_reset(cx).map(|_| ()),
            Answer::Ended => Poll::Pending,
        }
    }

    /// Cuts a response that did not come to its end.
    pub(crate) fn abort(&mut self, reason: Reason) {
        match &mut self.answer {
            Answer::Waiting(answer) => answer.send_reset(reason),
            Answer::Sending(stream) => stream.send_reset(reason),
            Answer::Ended => {}
        }
    }
}

impl Multiplexed for ClientStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        self.body.poll_read(cx, space)
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        last: bool,
    ) -> Poll<io::Result<usize>> {
        let Answer::Sending(stream) = &mut self.answer else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let sent = ready!(poll_send(stream, cx, bytes, last))?;
        if last && sent == bytes.len() {
            self.answer = Answer::Ended;
        }
        Poll::Ready(Ok(sent))
    }

    /// The head may have been the whole response already.
    fn finish<'a>(
        &mut self,
        trailers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> io::Result<()> {
        match &mut self.answer {
            Answer::Ended => Ok(()),
            Answer::Waiting(_) => Err(io::ErrorKind::InvalidInput.into()),
            Answer::Sending(stream) => {
                finish(stream, head::to_trailers(trailers))?;
                self.answer = Answer::Ended;
                Ok(())
            }
        }
    }
}
