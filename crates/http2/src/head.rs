//! Field blocks that are whole: requests, answers and trailers, and what they do to their streams.

use crate::{
    code::{ErrorCode, Fault, StreamError},
    connection::{Accepted, Connection},
    fields::Fields,
    hpack::Decoded,
    limits::RESPONSES_MOST,
    message::{self, Malformed, Request, Response},
    settings::Role,
    stream::{Answer, Half},
};

impl Connection {
    /// Takes a whole field block. Whatever becomes of it, HPACK's table follows it.
    pub(crate) fn fields(
        &mut self,
        id: u32,
        block: &[u8],
        ends: bool,
        odd: bool,
    ) -> Result<(), Fault> {
        let mut fields = self.spare.pop().unwrap_or_else(Fields::usual);
        let decoded = self
            .decoder
            .decode(block, self.config.header_list, &mut fields)
            .map_err(|_| Fault::Connection(ErrorCode::COMPRESSION_ERROR))?;
        let whole = decoded == Decoded::Whole;
        if odd && !(self.role == Role::Server && id > self.newest) {
            return Err(Fault::Stream(id, ErrorCode::PROTOCOL_ERROR));
        }
        if !self.is_idle(id) {
            return self.more_fields(id, fields, whole, ends);
        }
        if self.role == Role::Client || id.is_multiple_of(2) {
            return Err(Fault::PROTOCOL);
        }
        self.request(id, fields, whole, ends, odd)
    }

    fn request(
        &mut self,
        id: u32,
        fields: Fields,
        whole: bool,
        ends: bool,
        odd: bool,
    ) -> Result<(), Fault> {
        let behind = self.is_behind_goaway(id);
        self.newest = id;
        let full = self.is_full();
        if behind || full {
            // Before it has read our settings, a client cannot know how many it may have.
            let early = !self.acknowledged && self.refused_early < self.config.resets;
            if early {
                self.refused_early = self.refused_early.saturating_add(1);
            } else {
                self.budget.reset();
            }
            self.write_reset(id, ErrorCode::REFUSED_STREAM);
            return Ok(());
        }
        let malformed = Fault::Stream(id, ErrorCode::PROTOCOL_ERROR);
        if odd {
            return Err(malformed);
        }
        let request = match whole.then(|| Request::read(fields)).transpose() {
            Ok(request) => request,
            Err(Malformed) => return Err(malformed),
        };
        let promised = request.as_ref().and_then(Request::content_length);
        let mut stream = self.begin(id);
        stream.promised = promised;
        stream.receiving = Half::Body;
        if ends {
            stream.end_receiving()?;
        }
        self.budget.request();
        self.streams.insert(stream);
        self.accepted.push_back(Accepted { stream: id, request, ends });
        Ok(())
    }

    /// As many streams are in progress as may be.
    fn is_full(&self) -> bool {
        let most = usize::try_from(self.config.streams).unwrap_or(usize::MAX);
        let open = || self.streams.iter().filter(|stream| !stream.is_over()).count();
        self.streams.len() >= most && open() >= most
    }

    /// An answer, or trailers.
    fn more_fields(
        &mut self,
        id: u32,
        fields: Fields,
        whole: bool,
        ends: bool,
    ) -> Result<(), Fault> {
        let malformed = Fault::Stream(id, ErrorCode::PROTOCOL_ERROR);
        let Some(stream) = self.streams.get_mut(id) else {
            self.budget.control();
            let late = self.is_forgotten(id);
            return if late { Ok(()) } else { Err(Fault::Connection(ErrorCode::STREAM_CLOSED)) };
        };
        if stream.receiving == Half::Ended || matches!(stream.error, Some(StreamError::Reset(_))) {
            return Err(Fault::Stream(id, ErrorCode::STREAM_CLOSED));
        }
        if stream.error.is_some() {
            return Ok(());
        }
        if !whole {
            return Err(Fault::Stream(id, ErrorCode::ENHANCE_YOUR_CALM));
        }
        if stream.receiving == Half::Body {
            if !ends || message::check_trailers(&fields).is_err() {
                return Err(malformed);
            }
            stream.trailers = (!fields.is_empty()).then_some(fields);
            return stream.end_receiving();
        }
        let Ok(response) = Response::read(fields) else { return Err(malformed) };
        if !response.is_interim() {
            stream.receiving = Half::Body;
            stream.promised = match (stream.answer, response.status()) {
                (Answer::Empty, _) | (_, 204 | 304) => Some(0),
                (Answer::Tunnel, 200..=299) => None,
                (Answer::Usual | Answer::Tunnel, _) => response.content_length(),
            };
        }
        if ends && (response.is_interim() || stream.promised.is_some_and(|bytes| bytes > 0)) {
            return Err(malformed);
        }
        let waiting: usize = stream.responses.iter().map(Response::size).sum();
        if stream.responses.len() >= RESPONSES_MOST || waiting > self.config.header_list {
            return Err(Fault::Stream(id, ErrorCode::ENHANCE_YOUR_CALM));
        }
        stream.responses.push_back(response);
        stream.wake();
        if ends { stream.end_receiving() } else { Ok(()) }
    }
}
