//! Both sides of HTTP/2 over bytes in memory, for the fuzz targets: the same settings, the same
//! translation of heads and the same reading of bodies as over a socket, without one.

use std::task::{Context, Poll, Waker};

use ::http2::{Connection, ErrorCode, Role};

use crate::{
    http2::{
        head::{self, Asked},
        shared::config,
    },
    limits::Limits,
};

/// Most of a body that is looked at.
const BODY_MOST: usize = 1 << 20;

/// A message that came out of a connection.
#[derive(Debug, Default)]
pub struct Message {
    /// The head as HTTP/1.1 lines; `None` when it was refused before there were any.
    pub head: Option<Vec<u8>>,
    /// Bytes of its body that were read.
    pub body: usize,
    /// The trailers that would be passed on.
    pub trailers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether it came to its end.
    pub whole: bool,
}

/// What a connection made of its input.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The requests of a client, or the interim and final answers of a backend.
    pub messages: Vec<Message>,
    /// Bytes that we sent.
    pub sent: usize,
}

/// A connection whose peer sends pieces of an input.
struct Peer {
    connection: Connection,
    sent: usize,
}

impl Peer {
    fn new(role: Role, limits: &Limits) -> Self {
        Self { connection: Connection::new(role, config(role, limits)), sent: 0 }
    }

    fn take(&mut self, piece: &[u8], second: usize) {
        self.connection.receive(piece, u64::try_from(second).unwrap_or(u64::MAX));
        self.drain();
    }

    fn drain(&mut self) {
        let sent = self.connection.output().len();
        self.sent = self.sent.saturating_add(sent);
        self.connection.advance(sent);
    }

    /// Reads what there is of a body; true when nothing more comes.
    fn read(&mut self, id: u32, message: &mut Message) -> bool {
        let cx = Context::from_waker(Waker::noop());
        let mut space = [0; 4096];
        while message.body < BODY_MOST {
            match self.connection.poll_data(id, &cx, &mut space) {
                Poll::Ready(Ok(0)) => {
                    message.whole = true;
                    let trailers = self.connection.take_trailers(id).unwrap_or_default();
                    let passed = trailers.iter().filter(|(name, _)| http1::may_be_trailer(name));
                    message.trailers =
                        passed.map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
                    return true;
                }
                Poll::Ready(Ok(count)) => message.body = message.body.saturating_add(count),
                Poll::Ready(Err(_)) => return true,
                Poll::Pending => return false,
            }
        }
        true
    }
}

/// A client's connection, preface included, that ends with `input`.
pub fn client(input: &[u8], piece: usize) -> Outcome {
    let limits = Limits::default();
    let mut peer = Peer::new(Role::Server, &limits);
    let mut open: Vec<(u32, Message)> = Vec::new();
    let mut messages = Vec::new();
    for (second, bytes) in input.chunks(piece.max(1)).enumerate() {
        peer.take(bytes, second);
        while let Some(accepted) = peer.connection.accept() {
            let mut lines = Vec::new();
            let key = || "dGhlIHNhbXBsZSBub25jZQ==".to_owned();
            let read = accepted.request.and_then(|request| {
                head::read_request(&request, accepted.ends, key, &limits, &mut lines).ok()
            });
            let head = read.map(|()| lines);
            open.push((accepted.stream, Message { head, ..Message::default() }));
        }
        for (id, mut message) in std::mem::take(&mut open) {
            if !peer.read(id, &mut message) {
                open.push((id, message));
                continue;
            }
            let answer = b"HTTP/1.1 200 OK\r\n\r\n";
            let block = |block: &mut ::http2::Block<'_>| head::write_response(answer, block);
            // A client that is gone takes no answer.
            peer.connection.send_head(id, block, true, true).ok();
            peer.connection.release(id, ErrorCode::CANCEL);
            messages.push(message);
        }
        peer.drain();
    }
    messages.extend(open.into_iter().map(|(_, message)| message));
    Outcome { messages, sent: peer.sent }
}

/// A backend's connection, from its SETTINGS on, that ends with `input`; one GET was sent.
pub fn backend(input: &[u8], piece: usize) -> Outcome {
    let limits = Limits::default();
    let mut peer = Peer::new(Role::Client, &limits);
    let lines = b"GET / HTTP/1.1\r\nhost: a.example\r\n\r\n";
    let asked = Asked::read(lines, false, false);
    let opened = asked.and_then(|asked| {
        peer.connection.open(|block| asked.write(block), true, asked.answer()).ok()
    });
    let Some(id) = opened else { return Outcome::default() };
    let interims = usize::try_from(limits.interim_responses).unwrap_or(usize::MAX);
    let mut messages: Vec<Message> = Vec::new();
    let mut answered = false;
    for (second, bytes) in input.chunks(piece.max(1)).enumerate() {
        peer.take(bytes, second);
        while !answered && messages.len() <= interims {
            let cx = Context::from_waker(Waker::noop());
            let Poll::Ready(Ok(response)) = peer.connection.poll_response(id, &cx) else { break };
            answered = !response.is_interim();
            let mut lines = Vec::new();
            head::read_response(&response, &mut lines);
            messages.push(Message { head: Some(lines), ..Message::default() });
        }
        if answered && messages.last_mut().is_some_and(|message| peer.read(id, message)) {
            break;
        }
    }
    peer.drain();
    Outcome { messages, sent: peer.sent }
}
