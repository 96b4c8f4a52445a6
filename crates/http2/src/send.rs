//! What is done with a stream: heads, content and ends, in both directions.

use std::task::{Context, Poll};

use crate::{
    code::StreamError,
    connection::Connection,
    fields::Fields,
    frame::{self, HEADER},
    hpack::Encoder,
    message::Response,
    stream::{Answer, Half},
};

/// A field block that is being written.
#[derive(Debug)]
pub struct Block<'a> {
    encoder: &'a mut Encoder,
    out: &'a mut Vec<u8>,
    begun: bool,
}

impl Block<'_> {
    /// Adds a field. Its name may be in any case; pseudo-header fields come first.
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        if !self.begun {
            self.begun = true;
            self.encoder.begin(self.out);
        }
        self.encoder.add(name, value, self.out);
    }
}

impl Connection {
    /// Opens a stream with the head of a request; gives its identifier. `ends` when no content
    /// follows.
    ///
    /// # Errors
    /// When the connection takes no more requests.
    pub fn open(
        &mut self,
        fields: impl FnOnce(&mut Block<'_>),
        ends: bool,
        answer: Answer,
    ) -> Result<u32, StreamError> {
        if !self.is_open() {
            return Err(StreamError::Refused);
        }
        let id = if self.newest == 0 { 1 } else { self.newest.saturating_add(2) };
        self.newest = id;
        let mut stream = self.begin(id);
        stream.answer = answer;
        stream.sending = if ends { Half::Ended } else { Half::Body };
        self.budget.request();
        self.streams.insert(stream);
        self.write_fields(id, fields, ends);
        Ok(id)
    }

    /// Sends the head of an answer; one that is not `last` is interim.
    ///
    /// # Errors
    /// When the stream ended, or had its head already.
    pub fn send_head(
        &mut self,
        id: u32,
        fields: impl FnOnce(&mut Block<'_>),
        last: bool,
        ends: bool,
    ) -> Result<(), StreamError> {
        let stream = self.streams.get_mut(id).ok_or(StreamError::Closed)?;
        if let Some(error) = stream.error {
            return Err(error);
        }
        if stream.sending != Half::Head {
            return Err(StreamError::Closed);
        }
        if last {
            stream.sending = if ends { Half::Ended } else { Half::Body };
        }
        self.write_fields(id, fields, last && ends);
        Ok(())
    }

    /// Ends our side with trailers, or without where there are none.
    ///
    /// # Errors
    /// When the stream ended, or has no head yet.
    pub fn finish(
        &mut self,
        id: u32,
        trailers: impl FnOnce(&mut Block<'_>),
    ) -> Result<(), StreamError> {
        let stream = self.streams.get_mut(id).ok_or(StreamError::Closed)?;
        if let Some(error) = stream.error {
            return Err(error);
        }
        if stream.sending != Half::Body {
            return Err(StreamError::Closed);
        }
        stream.sending = Half::Ended;
        if !self.write_fields(id, trailers, true) {
            frame::write_data(&mut self.out, id, &[], true);
        }
        Ok(())
    }

    /// Writes a field block; false where it has no field, and nothing was written.
    fn write_fields(&mut self, id: u32, fields: impl FnOnce(&mut Block<'_>), ends: bool) -> bool {
        let start = self.out.len();
        self.out.extend_from_slice(&[0; HEADER]);
        let mut block = Block { encoder: &mut self.encoder, out: &mut self.out, begun: false };
        fields(&mut block);
        if !block.begun {
            self.out.truncate(start);
            return false;
        }
        frame::frame_block(&mut self.out, start, id, ends);
        self.budget.head(self.out.len().saturating_sub(start));
        true
    }

    /// Sends some of `bytes`, as much as the windows and the output have room for; `last` ends our
    /// side with them.
    ///
    /// # Errors
    /// When the stream ended, or has no head yet.
    pub fn poll_send(
        &mut self,
        id: u32,
        cx: &Context<'_>,
        bytes: &[u8],
        last: bool,
    ) -> Poll<Result<usize, StreamError>> {
        let room = self.room();
        let Some(stream) = self.streams.get_mut(id) else {
            return Poll::Ready(Err(StreamError::Closed));
        };
        if let Some(error) = stream.error {
            return Poll::Ready(Err(error));
        }
        if stream.sending != Half::Body {
            return Poll::Ready(Err(StreamError::Closed));
        }
        let window = usize::try_from(stream.window.min(self.window)).unwrap_or(0);
        let count = bytes.len().min(room).min(window);
        if count == 0 && !bytes.is_empty() {
            stream.blocked = true;
            stream.wake_by(cx);
            self.blocked |= stream.window > 0;
            return Poll::Pending;
        }
        let sent = i64::try_from(count).unwrap_or(i64::MAX);
        stream.window = stream.window.saturating_sub(sent);
        self.window = self.window.saturating_sub(sent);
        let ends = last && count == bytes.len();
        if ends {
            stream.sending = Half::Ended;
        }
        let mut rest = bytes.get(..count).unwrap_or_default();
        while rest.len() > self.peer.payload {
            let (piece, more) = rest.split_at_checked(self.peer.payload).unwrap_or((rest, &[]));
            frame::write_data(&mut self.out, id, piece, false);
            rest = more;
        }
        if ends || !rest.is_empty() {
            frame::write_data(&mut self.out, id, rest, ends);
        }
        self.budget.content(count, count == bytes.len());
        self.wake_blocked();
        Poll::Ready(Ok(count))
    }

    /// Reads content into `space`; 0 is its end. What a read gave counts as used with the next one.
    ///
    /// # Errors
    /// When the stream ended before its time.
    pub fn poll_data(
        &mut self,
        id: u32,
        cx: &Context<'_>,
        space: &mut [u8],
    ) -> Poll<Result<usize, StreamError>> {
        let Some(stream) = self.streams.get_mut(id) else {
            return Poll::Ready(Err(StreamError::Closed));
        };
        let used = std::mem::take(&mut stream.in_use);
        let count = stream.inbox.take(space);
        stream.in_use = u32::try_from(count).unwrap_or(u32::MAX);
        let ended = stream.receiving == Half::Ended;
        let read = match stream.error {
            _ if count > 0 => Poll::Ready(Ok(count)),
            _ if ended => Poll::Ready(Ok(0)),
            Some(error) => Poll::Ready(Err(error)),
            None => {
                stream.wake_by(cx);
                Poll::Pending
            }
        };
        if used > 0 {
            let by = if stream.wants_more() { stream.credit.give(used) } else { None };
            if let Some(by) = by {
                frame::write_window(&mut self.out, id, by);
            }
            self.give_credit(used);
        }
        read
    }

    /// Whether all of the peer's content was read, and there are no trailers to take.
    #[must_use]
    pub fn is_read(&self, id: u32) -> bool {
        let stream = self.streams.get(id);
        stream.is_some_and(|stream| {
            let nothing_left = stream.inbox.is_empty() && stream.trailers.is_none();
            stream.receiving == Half::Ended && nothing_left
        })
    }

    /// The trailers that came behind the content.
    pub fn take_trailers(&mut self, id: u32) -> Option<Fields> {
        self.streams.get_mut(id)?.trailers.take()
    }

    /// The next head of an answer.
    ///
    /// # Errors
    /// When the stream ended before its time.
    pub fn poll_response(
        &mut self,
        id: u32,
        cx: &Context<'_>,
    ) -> Poll<Result<Response, StreamError>> {
        let Some(stream) = self.streams.get_mut(id) else {
            return Poll::Ready(Err(StreamError::Closed));
        };
        if let Some(response) = stream.responses.pop_front() {
            return Poll::Ready(Ok(response));
        }
        if let Some(error) = stream.error {
            return Poll::Ready(Err(error));
        }
        stream.wake_by(cx);
        Poll::Pending
    }

    /// Ready when the stream ended before its time.
    pub fn poll_failed(&mut self, id: u32, cx: &Context<'_>) -> Poll<StreamError> {
        let Some(stream) = self.streams.get_mut(id) else {
            return Poll::Ready(StreamError::Closed);
        };
        if let Some(error) = stream.error {
            return Poll::Ready(error);
        }
        stream.wake_by(cx);
        Poll::Pending
    }
}
