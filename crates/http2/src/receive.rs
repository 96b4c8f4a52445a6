//! What comes: bytes into frames, frames into what they mean for the connection and its streams.

use crate::{
    code::{ErrorCode, Fault, StreamError},
    connection::{Connection, LEAVING, Leaving},
    flow,
    frame::{self, FrameHeader, HEADER, PAYLOAD_MOST, PREFACE, flag, kind},
    limits::BLOCK_SLACK,
    settings::{FIRST_WINDOW, Role},
    stream::Half,
};

/// Where the bytes that come next belong.
#[derive(Debug)]
pub(crate) struct Input {
    /// What is left of the client's preface.
    preface: &'static [u8],
    /// A frame of which not all has come, with its header. Content is never gathered here.
    partial: Vec<u8>,
    content: Option<Content>,
    block: Option<Block>,
    /// Header blocks that began.
    blocks: u64,
}

/// The payload of a DATA frame, which is passed on as it comes.
#[derive(Clone, Copy, Debug)]
struct Content {
    stream: u32,
    /// The first byte says how much padding there is.
    padded: bool,
    left: usize,
    padding: usize,
    ends: bool,
}

/// A field block that CONTINUATION goes on with.
#[derive(Debug)]
struct Block {
    stream: u32,
    ends: bool,
    /// The stream was made to depend on itself.
    odd: bool,
    bytes: Vec<u8>,
}

impl Input {
    pub(crate) fn new(role: Role) -> Self {
        Self {
            preface: if role == Role::Server { PREFACE } else { &[] },
            partial: Vec::new(),
            content: None,
            block: None,
            blocks: 0,
        }
    }

    pub(crate) fn open_block(&self) -> Option<u64> {
        let begun = FrameHeader::read(&self.partial);
        let open = begun.is_some_and(|header| header.kind == kind::HEADERS);
        (open || self.block.is_some()).then_some(self.blocks)
    }
}

impl Connection {
    /// Takes bytes that came; `second` is the present. Requests that they hold are found with
    /// [`Connection::accept`]. What the peer does wrong is answered in the output, and
    /// [`Connection::failure`] tells whether the connection outlives it.
    pub fn receive(&mut self, input: &[u8], second: u64) {
        if self.failed.is_some() {
            return;
        }
        self.budget.tick(second);
        let taken = self.take(input);
        let taken = taken.and_then(|()| self.budget.check(self.role, &self.config));
        if let Err(code) = taken {
            self.fail(code);
        }
    }

    fn take(&mut self, mut input: &[u8]) -> Result<(), ErrorCode> {
        input = self.take_preface(input)?;
        while !input.is_empty() {
            input = match self.input.content {
                Some(content) => self.take_content(content, input)?,
                None => self.take_frame(input)?,
            };
        }
        Ok(())
    }

    fn take_preface<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], ErrorCode> {
        let count = self.input.preface.len().min(input.len());
        let (expected, left) = self.input.preface.split_at(count);
        let (came, rest) = input.split_at(count);
        if came != expected {
            return Err(ErrorCode::PROTOCOL_ERROR);
        }
        self.input.preface = left;
        Ok(rest)
    }

    /// Takes a frame, or what has come of one; gives what is behind it.
    fn take_frame<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], ErrorCode> {
        if self.input.partial.is_empty()
            && let Some(header) = FrameHeader::read(input)
        {
            let payload = input.get(HEADER..).unwrap_or_default();
            self.judge(&header)?;
            if header.kind == kind::DATA {
                self.begin_content(&header)?;
                return Ok(payload);
            }
            if let Some((payload, rest)) = payload.split_at_checked(header.length) {
                self.frame(&header, payload)?;
                return Ok(rest);
            }
            self.input.partial.extend_from_slice(input);
            return Ok(&[]);
        }
        self.gather(input)
    }

    fn gather<'a>(&mut self, mut input: &'a [u8]) -> Result<&'a [u8], ErrorCode> {
        let partial = &mut self.input.partial;
        if partial.len() < HEADER {
            let count = HEADER.saturating_sub(partial.len()).min(input.len());
            let (piece, rest) = input.split_at_checked(count).unwrap_or((input, &[]));
            partial.extend_from_slice(piece);
            input = rest;
            let Some(header) = FrameHeader::read(partial) else { return Ok(input) };
            self.judge(&header)?;
            if header.kind == kind::DATA {
                self.input.partial.clear();
                self.begin_content(&header)?;
                return Ok(input);
            }
        }
        let partial = &mut self.input.partial;
        let Some(header) = FrameHeader::read(partial) else { return Ok(input) };
        let whole = HEADER.saturating_add(header.length);
        let count = whole.saturating_sub(partial.len()).min(input.len());
        let (piece, rest) = input.split_at_checked(count).unwrap_or((input, &[]));
        partial.extend_from_slice(piece);
        if partial.len() == whole {
            let frame = std::mem::take(partial);
            self.frame(&header, frame.get(HEADER..).unwrap_or_default())?;
        }
        Ok(rest)
    }

    /// Judges a frame by its header alone.
    fn judge(&mut self, header: &FrameHeader) -> Result<(), ErrorCode> {
        if header.length > PAYLOAD_MOST {
            return Err(ErrorCode::FRAME_SIZE_ERROR);
        }
        let first = self.settled || (header.kind == kind::SETTINGS && !header.has(flag::ACK));
        let follows = match &self.input.block {
            Some(block) => header.kind == kind::CONTINUATION && header.stream == block.stream,
            None => header.kind != kind::CONTINUATION,
        };
        if !first || !follows {
            return Err(ErrorCode::PROTOCOL_ERROR);
        }
        self.input.blocks = self.input.blocks.wrapping_add(u64::from(header.kind == kind::HEADERS));
        match header.kind {
            // They count when it is known what they bring.
            kind::DATA | kind::HEADERS => {}
            kind::RST_STREAM => self.budget.reset(),
            // CONTINUATION, PRIORITY, SETTINGS, PING, GOAWAY, WINDOW_UPDATE and what nobody knows.
            _ => self.budget.control(),
        }
        Ok(())
    }

    /// Counts the content of a frame.
    fn count_content(&mut self, bytes: usize, ends: bool) {
        if bytes == 0 && !ends {
            self.budget.control();
        }
        self.budget.content(bytes, true);
    }

    /// What a fault of one stream means for the connection.
    fn settle(&mut self, outcome: Result<(), Fault>) -> Result<(), ErrorCode> {
        match outcome {
            Ok(()) => Ok(()),
            Err(Fault::Connection(code)) => Err(code),
            Err(Fault::Stream(id, code)) if self.is_idle(id) => Err(code),
            Err(Fault::Stream(id, code)) => {
                self.budget.reset();
                self.write_reset(id, code);
                self.drop_accepted(id);
                if let Some(stream) = self.streams.get_mut(id) {
                    stream.fail(StreamError::Broken(code));
                }
                Ok(())
            }
        }
    }

    /// Forgets a request that nobody took yet.
    fn drop_accepted(&mut self, id: u32) {
        if let Some(place) = self.accepted.iter().position(|accepted| accepted.stream == id) {
            self.accepted.remove(place);
            self.forget(id);
        }
    }

    /// No such stream has begun; those of even numbers never do, as nobody promises any.
    pub(crate) fn is_idle(&self, id: u32) -> bool {
        id > self.newest || id.is_multiple_of(2)
    }

    fn begin_content(&mut self, header: &FrameHeader) -> Result<(), ErrorCode> {
        if self.is_idle(header.stream) {
            return Err(ErrorCode::PROTOCOL_ERROR);
        }
        if !self.credit.take(header.length, 0) {
            return Err(ErrorCode::FLOW_CONTROL_ERROR);
        }
        let judged = self.judge_content(header);
        self.settle(judged)?;
        let content = Content {
            stream: header.stream,
            padded: header.has(flag::PADDED),
            left: header.length,
            padding: 0,
            ends: header.has(flag::END_STREAM),
        };
        if !content.padded {
            self.count_content(content.left, content.ends);
        } else if content.left == 0 {
            return Err(ErrorCode::PROTOCOL_ERROR);
        }
        self.go_on(content)
    }

    /// Says whether the stream takes more content.
    fn judge_content(&mut self, header: &FrameHeader) -> Result<(), Fault> {
        let id = header.stream;
        // A peer that has not read our settings yet may send as much as RFC 9113 6.9.2 says.
        let slack = if self.acknowledged { 0 } else { i64::from(FIRST_WINDOW) };
        let closed = Err(Fault::Stream(id, ErrorCode::STREAM_CLOSED));
        let Some(stream) = self.streams.get_mut(id) else {
            return if self.is_forgotten(id) { Ok(()) } else { closed };
        };
        match (stream.error, stream.receiving) {
            (Some(StreamError::Reset(_)), _) | (None, Half::Ended) => closed,
            (Some(_), _) => Ok(()),
            (None, Half::Head) => Err(Fault::Stream(id, ErrorCode::PROTOCOL_ERROR)),
            (None, Half::Body) if stream.credit.take(header.length, slack) => Ok(()),
            (None, Half::Body) => Err(Fault::Stream(id, ErrorCode::FLOW_CONTROL_ERROR)),
        }
    }

    /// Waits for more of the content, or ends it.
    fn go_on(&mut self, content: Content) -> Result<(), ErrorCode> {
        let over = content.left == 0 && content.padding == 0;
        self.input.content = (!over).then_some(content);
        if over && content.ends {
            let ended = match self.streams.get_mut(content.stream) {
                Some(stream) if stream.error.is_none() => stream.end_receiving(),
                _ => Ok(()),
            };
            return self.settle(ended);
        }
        Ok(())
    }

    fn take_content<'a>(
        &mut self,
        mut content: Content,
        mut input: &'a [u8],
    ) -> Result<&'a [u8], ErrorCode> {
        if content.padded
            && let Some((padding, rest)) = input.split_first()
        {
            content.padded = false;
            content.padding = usize::from(*padding);
            content.left = content.left.saturating_sub(1);
            if content.padding > content.left {
                return Err(ErrorCode::PROTOCOL_ERROR);
            }
            content.left = content.left.saturating_sub(content.padding);
            self.count_content(content.left, content.ends);
            self.waste(content, 1);
            input = rest;
        }
        let (piece, rest) = input.split_at(content.left.min(input.len()));
        if !piece.is_empty() {
            content.left = content.left.saturating_sub(piece.len());
            self.deliver(content.stream, piece)?;
        }
        let (padding, rest) = rest.split_at(content.padding.min(rest.len()));
        if !padding.is_empty() {
            content.padding = content.padding.saturating_sub(padding.len());
            self.waste(content, padding.len());
        }
        self.go_on(content)?;
        Ok(rest)
    }

    /// Puts content where its stream finds it.
    fn deliver(&mut self, id: u32, piece: &[u8]) -> Result<(), ErrorCode> {
        let kept = match self.streams.get_mut(id) {
            Some(stream) if stream.error.is_none() && stream.receiving == Half::Body => {
                let kept = stream.keep_promise(piece.len());
                if kept.is_ok() {
                    stream.inbox.put(piece);
                    stream.wake();
                    return Ok(());
                }
                kept
            }
            _ => Ok(()),
        };
        // Nobody will read it.
        self.give_credit(u32::try_from(piece.len()).unwrap_or(u32::MAX));
        self.settle(kept)
    }

    /// Gives back what is no content.
    fn waste(&mut self, content: Content, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.give_credit(bytes);
        let stream = self.streams.get_mut(content.stream).filter(|_| !content.ends);
        let by = stream.filter(|stream| stream.wants_more()).and_then(|s| s.credit.give(bytes));
        if let Some(by) = by {
            frame::write_window(&mut self.out, content.stream, by);
        }
    }

    fn frame(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), ErrorCode> {
        let of_stream = header.stream != 0;
        let misplaced = match header.kind {
            kind::HEADERS | kind::PRIORITY | kind::RST_STREAM | kind::CONTINUATION => !of_stream,
            kind::SETTINGS | kind::PING | kind::GOAWAY => of_stream,
            kind::PUSH_PROMISE => true,
            _ => false,
        };
        if misplaced {
            return Err(ErrorCode::PROTOCOL_ERROR);
        }
        let outcome = match header.kind {
            kind::HEADERS => self.headers(header, payload),
            kind::CONTINUATION => self.continuation(header, payload),
            kind::PRIORITY => self.priority(header.stream, payload),
            kind::RST_STREAM => self.reset(header.stream, payload),
            kind::SETTINGS => self.settings(header, payload),
            kind::PING => self.ping(header, payload),
            kind::GOAWAY => self.goaway(payload),
            kind::WINDOW_UPDATE => self.window_update(header.stream, payload),
            _ => Ok(()),
        };
        self.settle(outcome)
    }

    fn headers(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), Fault> {
        let mut fragment = payload;
        if header.has(flag::PADDED) {
            let (padding, rest) = fragment.split_first().ok_or(Fault::PROTOCOL)?;
            let length = rest.len().checked_sub(usize::from(*padding)).ok_or(Fault::PROTOCOL)?;
            fragment = rest.get(..length).unwrap_or_default();
        }
        let mut odd = false;
        if header.has(flag::PRIORITY) {
            let (priority, rest) = fragment.split_first_chunk::<5>().ok_or(Fault::SIZE)?;
            odd = depends_on(priority) == header.stream;
            fragment = rest;
        }
        let ends = header.has(flag::END_STREAM);
        if header.has(flag::END_HEADERS) {
            return self.fields(header.stream, fragment, ends, odd);
        }
        let bytes = fragment.to_vec();
        self.input.block = Some(Block { stream: header.stream, ends, odd, bytes });
        Ok(())
    }

    fn continuation(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), Fault> {
        let Some(block) = &mut self.input.block else { return Err(Fault::PROTOCOL) };
        block.bytes.extend_from_slice(payload);
        if block.bytes.len() > self.config.header_list.saturating_add(BLOCK_SLACK) {
            return Err(Fault::Connection(ErrorCode::ENHANCE_YOUR_CALM));
        }
        if !header.has(flag::END_HEADERS) {
            return Ok(());
        }
        match self.input.block.take() {
            Some(block) => self.fields(block.stream, &block.bytes, block.ends, block.odd),
            None => Ok(()),
        }
    }

    /// Priorities are read and not followed (RFC 9113 5.3.2).
    fn priority(&self, id: u32, payload: &[u8]) -> Result<(), Fault> {
        let Some(priority) = payload.as_array::<5>() else {
            return Err(Fault::Stream(id, ErrorCode::FRAME_SIZE_ERROR));
        };
        if depends_on(priority) == id {
            return Err(Fault::Stream(id, ErrorCode::PROTOCOL_ERROR));
        }
        Ok(())
    }

    fn reset(&mut self, id: u32, payload: &[u8]) -> Result<(), Fault> {
        let code = ErrorCode(number(payload)?);
        if self.is_idle(id) {
            return Err(Fault::PROTOCOL);
        }
        self.drop_accepted(id);
        let refused = self.role == Role::Client && code == ErrorCode::REFUSED_STREAM;
        if let Some(stream) = self.streams.get_mut(id) {
            stream.fail(if refused { StreamError::Refused } else { StreamError::Reset(code) });
        }
        Ok(())
    }

    fn settings(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), Fault> {
        if header.has(flag::ACK) {
            self.acknowledged = true;
            return if payload.is_empty() { Ok(()) } else { Err(Fault::SIZE) };
        }
        let before = i64::from(self.peer.window);
        self.peer.read(self.role, payload)?;
        self.settled = true;
        let by = i64::from(self.peer.window).saturating_sub(before);
        for stream in self.streams.iter_mut() {
            let overflow = Fault::Connection(ErrorCode::FLOW_CONTROL_ERROR);
            stream.window = flow::open(stream.window, by).ok_or(overflow)?;
        }
        if let Some((least, last)) = self.peer.table_size.take() {
            self.encoder.set_table_size(least);
            self.encoder.set_table_size(last);
        }
        frame::write_settings_ack(&mut self.out);
        if by > 0 {
            for stream in self.streams.iter_mut().filter(|stream| stream.blocked) {
                stream.blocked = false;
                stream.wake();
            }
        }
        Ok(())
    }

    fn ping(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), Fault> {
        let payload = payload.as_array::<8>().ok_or(Fault::SIZE)?;
        if !header.has(flag::ACK) {
            frame::write_ping(&mut self.out, flag::ACK, payload);
        } else if *payload == LEAVING {
            self.left_behind();
        }
        Ok(())
    }

    fn goaway(&mut self, payload: &[u8]) -> Result<(), Fault> {
        let ([one, two, three, four, _code @ ..], _) =
            payload.split_first_chunk::<8>().ok_or(Fault::SIZE)?;
        let last = u32::from_be_bytes([*one, *two, *three, *four]) & frame::MOST_31_BITS;
        self.left = true;
        if self.role == Role::Client {
            for stream in self.streams.iter_mut().filter(|stream| stream.id > last) {
                stream.fail(StreamError::Refused);
            }
        }
        Ok(())
    }

    fn window_update(&mut self, id: u32, payload: &[u8]) -> Result<(), Fault> {
        let by = i64::from(number(payload)? & frame::MOST_31_BITS);
        if id == 0 {
            if by == 0 {
                return Err(Fault::PROTOCOL);
            }
            let overflow = Fault::Connection(ErrorCode::FLOW_CONTROL_ERROR);
            self.window = flow::open(self.window, by).ok_or(overflow)?;
            self.wake_blocked();
            return Ok(());
        }
        if self.is_idle(id) {
            return Err(Fault::PROTOCOL);
        }
        if by == 0 {
            return Err(Fault::Stream(id, ErrorCode::PROTOCOL_ERROR));
        }
        let Some(stream) = self.streams.get_mut(id) else { return Ok(()) };
        let overflow = Fault::Stream(id, ErrorCode::FLOW_CONTROL_ERROR);
        stream.window = flow::open(stream.window, by).ok_or(overflow)?;
        if stream.blocked {
            stream.blocked = false;
            stream.wake();
        }
        Ok(())
    }

    /// Whether a stream is behind the last one that we take.
    pub(crate) fn is_behind_goaway(&self, id: u32) -> bool {
        matches!(self.leaving, Leaving::At(last) if id > last)
    }
}

/// The one number that a payload is.
fn number(payload: &[u8]) -> Result<u32, Fault> {
    payload.as_array::<4>().map(|bytes| u32::from_be_bytes(*bytes)).ok_or(Fault::SIZE)
}

/// The stream that another one depends on (RFC 9113 6.3).
fn depends_on(priority: &[u8; 5]) -> u32 {
    let [one, two, three, four, _] = *priority;
    u32::from_be_bytes([one, two, three, four]) & frame::MOST_31_BITS
}
