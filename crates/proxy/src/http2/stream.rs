//! A client's request on an HTTP/2 connection, as the byte stream that an exchange works with:
//! reading gives body bytes, heads and the end are said explicitly.

use std::{
    io,
    task::{Context, Poll, ready},
};

use ::http2::{ErrorCode, Fields};
use http1::UnderscoreNames;

use crate::{
    http2::{head, shared::Handle},
    limits::Limits,
    stream::Multiplexed,
};

/// How far the response has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Waiting,
    Sending,
    Ended,
}

pub(crate) struct ClientStream {
    handle: Handle,
    secure: bool,
    /// Whether names with an underscore pass in trailers; those of heads are the parser's matter.
    keep_underscore_names: bool,
    body: Body,
    answer: Answer,
    /// The last head said that it is the whole response.
    pub(crate) head_ended: bool,
}

/// What a peer sends behind its head.
#[derive(Default)]
pub(super) struct Body {
    ended: bool,
    trailers: Option<Fields>,
}

impl Body {
    /// Whether everything was read, trailers included.
    pub(super) fn ended(&self, stream: &Handle) -> bool {
        self.ended || stream.is_read()
    }

    pub(super) fn trailers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let fields = self.trailers.iter().flat_map(Fields::iter);
        fields.filter(|(name, _)| http1::may_be_trailer(name))
    }

    /// Reads into `space`; 0 is the end.
    pub(super) fn poll_read(
        &mut self,
        stream: &Handle,
        cx: &Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Ok(0));
        }
        let count = ready!(stream.poll_data(cx, space))?;
        if count == 0 {
            self.ended = true;
            self.trailers = stream.take_trailers();
        }
        Poll::Ready(Ok(count))
    }
}

impl ClientStream {
    pub(super) fn new(handle: Handle, secure: bool, limits: &Limits) -> Self {
        Self {
            handle,
            secure,
            keep_underscore_names: limits.head.underscore_names == UnderscoreNames::Allow,
            body: Body::default(),
            answer: Answer::Waiting,
            head_ended: false,
        }
    }

    /// Whether the connection is protected.
    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether the whole request was read.
    pub(crate) fn ended(&self) -> bool {
        self.body.ended(&self.handle)
    }

    /// Trailers of the request, when it ended.
    pub(crate) fn trailers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let keep = self.keep_underscore_names;
        self.body.trailers().filter(move |(name, _)| keep || !name.contains(&b'_'))
    }

    /// Sends an interim head.
    pub(crate) fn send_interim(&mut self, lines: &[u8]) -> io::Result<()> {
        self.handle.send_head(|block| head::write_response(lines, block), false, false)
    }

    /// Sends the final head; `ends` when nothing follows.
    pub(crate) fn send_head(&mut self, lines: &[u8], ends: bool) -> io::Result<()> {
        self.handle.send_head(|block| head::write_response(lines, block), true, ends)?;
        self.head_ended = ends;
        self.answer = if ends { Answer::Ended } else { Answer::Sending };
        Ok(())
    }

    /// Ready when the client gave the request up.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.answer == Answer::Ended {
            return Poll::Pending;
        }
        self.handle.poll_failed(cx).map(drop)
    }

    /// Cuts a response that did not come to its end.
    pub(crate) fn abort(&mut self, code: ErrorCode) {
        self.handle.abort(code);
    }
}

impl Multiplexed for ClientStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        self.body.poll_read(&self.handle, cx, space)
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        last: bool,
    ) -> Poll<io::Result<usize>> {
        let sent = ready!(self.handle.poll_send(cx, bytes, last))?;
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
        if self.answer == Answer::Ended {
            return Ok(());
        }
        self.handle.finish(|block| head::write_trailers(trailers, block))?;
        self.answer = Answer::Ended;
        Ok(())
    }
}
