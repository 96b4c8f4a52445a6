//! A connection: what it is made of, and its life from the first byte to the last.

use std::collections::VecDeque;

use crate::{
    budget::Budget,
    code::{ErrorCode, StreamError},
    fields::Fields,
    flow::Credit,
    frame::{self, MOST_31_BITS},
    hpack::{Decoder, Encoder, TABLE_SIZE},
    limits::{BYTES_PER_WAKE, FORGOTTEN_MOST, SPARE_MOST},
    message::Request,
    receive::Input,
    settings::{Config, FIRST_WINDOW, PeerSettings, Role},
    stream::{Half, Stream, Streams},
};

/// What the PING says that finds out which requests came before our GOAWAY.
pub(crate) const LEAVING: [u8; 8] = *b"leaving\0";

/// A connection of HTTP/2 without its transport: [`Connection::receive`] takes what came,
/// [`Connection::output`] is what is to be sent.
///
/// A stream is named by its identifier. Who opened or accepted one holds it until
/// [`Connection::release`]; the functions of a stream that nobody holds do nothing, or fail with
/// [`StreamError::Closed`].
#[derive(Debug)]
pub struct Connection {
    pub(crate) role: Role,
    pub(crate) config: Config,
    pub(crate) input: Input,
    pub(crate) decoder: Decoder,
    pub(crate) encoder: Encoder,
    pub(crate) peer: PeerSettings,
    /// The peer's first SETTINGS came.
    pub(crate) settled: bool,
    /// The peer knows our settings.
    pub(crate) acknowledged: bool,
    pub(crate) streams: Streams,
    /// The newest stream that began, whoever opened it.
    pub(crate) newest: u32,
    /// Requests that nobody took yet.
    pub(crate) accepted: VecDeque<Accepted>,
    /// Streams of a client that we reset.
    pub(crate) forgotten: VecDeque<u32>,
    /// Requests that were refused before the client knew how many it may have.
    pub(crate) refused_early: u32,
    pub(crate) credit: Credit,
    /// Bytes that we may send of all bodies.
    pub(crate) window: i64,
    pub(crate) budget: Budget,
    pub(crate) out: Vec<u8>,
    /// Bytes of `out` that the transport took.
    pub(crate) written: usize,
    /// Streams wait for a window or for room.
    pub(crate) blocked: bool,
    /// Where the turns of those streams begin.
    pub(crate) turn: u32,
    pub(crate) leaving: Leaving,
    /// The peer said GOAWAY.
    pub(crate) left: bool,
    pub(crate) failed: Option<ErrorCode>,
    /// Memory of fields that were used.
    pub(crate) spare: Vec<Fields>,
}

/// A request that has come.
#[derive(Debug)]
pub struct Accepted {
    /// Its stream.
    pub stream: u32,
    /// Its head; `None` where it is larger than [`Config::header_list`] allows.
    pub request: Option<Request>,
    /// No content follows.
    pub ends: bool,
}

/// How far we are with leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    No,
    /// The peer was told, and may not have heard (RFC 9113 6.8).
    Announced,
    /// Nothing behind this stream is taken.
    At(u32),
}

impl Connection {
    /// A connection that begins; what it says first is in [`Connection::output`].
    #[must_use]
    pub fn new(role: Role, config: Config) -> Self {
        let mut out = Vec::new();
        if role == Role::Client {
            out.extend_from_slice(frame::PREFACE);
        }
        config.write(role, &mut out);
        let connection_window = config.connection_window.clamp(FIRST_WINDOW, MOST_31_BITS);
        if connection_window > FIRST_WINDOW {
            frame::write_window(&mut out, 0, connection_window - FIRST_WINDOW);
        }
        Self {
            role,
            config,
            input: Input::new(role),
            decoder: Decoder::new(TABLE_SIZE),
            encoder: Encoder::new(),
            peer: PeerSettings::new(&config),
            settled: false,
            acknowledged: false,
            streams: Streams::default(),
            newest: 0,
            accepted: VecDeque::new(),
            forgotten: VecDeque::new(),
            refused_early: 0,
            credit: Credit::new(connection_window),
            window: i64::from(FIRST_WINDOW),
            budget: Budget::default(),
            out,
            written: 0,
            blocked: false,
            turn: 0,
            leaving: Leaving::No,
            left: false,
            failed: None,
            spare: Vec::new(),
        }
    }

    /// The next request of a client. Its stream is held from now on.
    pub fn accept(&mut self) -> Option<Accepted> {
        self.accepted.pop_front()
    }

    /// What is to be sent.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.out.get(self.written..).unwrap_or_default()
    }

    /// Whether the peer takes what is sent. What bodies may add to the output does not count: they
    /// fill it whenever there are any.
    fn is_taken(&self) -> bool {
        self.output().len() < self.config.output.saturating_mul(2)
    }

    /// Whether more is to be received now: a peer that takes none of our answers gets no further
    /// ones.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.failed.is_none() && self.is_taken()
    }

    /// Says that the transport took `bytes` of the output.
    pub fn advance(&mut self, bytes: usize) {
        self.written = self.written.saturating_add(bytes).min(self.out.len());
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        } else if self.written >= self.config.output {
            self.out.drain(..self.written);
            self.written = 0;
        }
        self.wake_blocked();
    }

    /// Takes the memory of the output, when there is none to send.
    pub fn take_buffer(&mut self) -> Option<Vec<u8>> {
        (self.out.is_empty() && self.out.capacity() > 0).then(|| std::mem::take(&mut self.out))
    }

    /// Gives memory for the output, when there is none.
    pub fn lend_buffer(&mut self, buffer: impl FnOnce() -> Vec<u8>) {
        if self.out.capacity() == 0 {
            self.out = buffer();
        }
    }

    /// Gives the memory of fields back.
    pub fn reuse(&mut self, mut fields: Fields) {
        let kept = !self.streams.is_empty() && self.spare.len() < SPARE_MOST;
        if kept && fields.is_usual() {
            fields.clear();
            self.spare.push(fields);
        }
    }

    /// Bytes that bodies may add to the output.
    pub(crate) fn room(&self) -> usize {
        self.config.output.saturating_sub(self.output().len())
    }

    /// Lets streams that wait for the connection try again: as many as there is something for, each
    /// time another one first. Those that wait for their own window have to wait on.
    pub(crate) fn wake_blocked(&mut self) {
        let window = usize::try_from(self.window).unwrap_or(0).min(self.room());
        if !self.blocked || window == 0 {
            return;
        }
        let mut most = window.div_ceil(BYTES_PER_WAKE);
        let (mut last, mut blocked) = (None, false);
        self.streams.each_from(self.turn, |stream| {
            if !stream.blocked || stream.window <= 0 {
                return;
            }
            if most == 0 {
                blocked = true;
                return;
            }
            most = most.saturating_sub(1);
            stream.blocked = false;
            last = Some(stream.id);
            stream.wake();
        });
        self.blocked = blocked;
        if let Some(last) = last {
            self.turn = last.saturating_add(1);
        }
    }

    /// Whether the peer's first SETTINGS came.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// Whether the peer takes extended CONNECT (RFC 8441).
    #[must_use]
    pub fn takes_extended_connect(&self) -> bool {
        self.peer.extended_connect
    }

    /// Streams that we may have in progress.
    #[must_use]
    pub fn peer_streams(&self) -> usize {
        usize::try_from(self.peer.streams.min(self.config.streams)).unwrap_or(usize::MAX)
    }

    /// The number of header blocks that began, while one of them has not ended.
    #[must_use]
    pub fn open_block(&self) -> Option<u64> {
        self.input.open_block()
    }

    /// Streams that somebody holds.
    #[must_use]
    pub fn stream_count(&self) -> usize {
        self.streams.len()
    }

    /// Whether a request can be sent now: the peer takes what others have sent.
    #[must_use]
    pub fn takes_requests(&self) -> bool {
        self.is_open() && self.is_taken()
    }

    /// Whether new requests can be sent, now or later.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.failed.is_none() && !self.left && self.newest < MOST_31_BITS - 1
    }

    /// Why the connection failed: it is to be closed once its output was sent.
    #[must_use]
    pub fn failure(&self) -> Option<ErrorCode> {
        self.failed
    }

    /// Whether we left, or a client did, and nothing is in progress any more.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let left = self.left && self.role == Role::Server;
        (left || matches!(self.leaving, Leaving::At(_))) && self.streams.is_empty()
    }

    /// Says that no further request is taken. Those that the peer sent before it heard of this are
    /// served (RFC 9113 6.8).
    pub fn leave(&mut self) {
        if self.leaving == Leaving::No && self.failed.is_none() {
            self.leaving = Leaving::Announced;
            frame::write_goaway(&mut self.out, MOST_31_BITS, ErrorCode::NO_ERROR);
            frame::write_ping(&mut self.out, 0, &LEAVING);
        }
    }

    /// The peer has heard that we leave.
    pub(crate) fn left_behind(&mut self) {
        if self.leaving == Leaving::Announced {
            self.leaving = Leaving::At(self.newest);
            frame::write_goaway(&mut self.out, self.newest, ErrorCode::NO_ERROR);
        }
    }

    /// Ends the connection: says so once, and fails all streams.
    pub fn fail(&mut self, code: ErrorCode) {
        if self.failed.is_some() {
            return;
        }
        let last = if self.role == Role::Server { self.newest } else { 0 };
        frame::write_goaway(&mut self.out, last, code);
        self.end(StreamError::Broken(code), code);
    }

    /// The transport is gone.
    pub fn close(&mut self) {
        if self.failed.is_none() {
            self.end(StreamError::Closed, ErrorCode::NO_ERROR);
        }
    }

    fn end(&mut self, error: StreamError, code: ErrorCode) {
        self.failed = Some(code);
        self.accepted.clear();
        self.input = Input::new(Role::Client);
        for stream in self.streams.iter_mut().filter(|stream| stream.receiving != Half::Ended) {
            stream.fail(error);
        }
        for stream in self.streams.iter_mut() {
            stream.fail(StreamError::Closed);
        }
    }

    /// Resets a stream, whose frames may still come.
    pub(crate) fn write_reset(&mut self, id: u32, code: ErrorCode) {
        frame::write_reset(&mut self.out, id, code);
        if self.role == Role::Client || self.forgotten.contains(&id) {
            return;
        }
        if self.forgotten.len() >= FORGOTTEN_MOST {
            self.forgotten.pop_front();
        }
        self.forgotten.push_back(id);
    }

    /// Whether a stream that nobody holds was given up by us, so that the peer may not know yet. All
    /// streams to a server were ours.
    pub(crate) fn is_forgotten(&self, id: u32) -> bool {
        self.role == Role::Client || self.forgotten.contains(&id)
    }

    /// Ends the holding of a stream. Where it did not come to its end, it is reset with `code`, or
    /// without a fault where the answer is whole and only the rest of the request is not wanted.
    pub fn release(&mut self, id: u32, code: ErrorCode) {
        let Some(stream) = self.forget(id) else { return };
        if !stream.is_over() && self.failed.is_none() {
            let answered = self.role == Role::Server && stream.sending == Half::Ended;
            self.write_reset(id, if answered { ErrorCode::NO_ERROR } else { code });
        }
        if self.streams.is_empty() {
            // An idle connection holds what it must.
            self.spare = Vec::new();
            self.accepted = VecDeque::new();
        }
        // It may have been its turn.
        self.wake_blocked();
    }

    /// Removes a stream; what it held of the connection's window is there for others.
    pub(crate) fn forget(&mut self, id: u32) -> Option<Stream> {
        let stream = self.streams.remove(id)?;
        let unread = u32::try_from(stream.inbox.len()).unwrap_or(u32::MAX);
        self.give_credit(unread.saturating_add(stream.in_use));
        Some(stream)
    }

    /// Bytes of bodies that the connection's window has room for again.
    pub(crate) fn give_credit(&mut self, bytes: u32) {
        if let Some(by) = self.credit.give(bytes) {
            frame::write_window(&mut self.out, 0, by);
        }
    }

    /// A stream that begins.
    pub(crate) fn begin(&self, id: u32) -> Stream {
        Stream::new(id, Credit::new(self.config.window), i64::from(self.peer.window))
    }
}
