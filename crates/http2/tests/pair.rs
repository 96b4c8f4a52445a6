//! A client and a server of this crate, joined by bytes in memory that come in pieces of any size.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by a panic"
)]

mod common;

use common::{CONFIG, cx};
use std::task::Poll;

use http2::{Accepted, Answer, Config, Connection, ErrorCode, Response, Role, StreamError};
use proptest::prelude::*;

/// Both sides, and how many bytes come at once.
struct Pair {
    client: Connection,
    server: Connection,
    step: usize,
}

impl Pair {
    fn new(step: usize) -> Self {
        Self::with(step, CONFIG)
    }

    fn with(step: usize, server: Config) -> Self {
        let client = Connection::new(Role::Client, CONFIG);
        let mut pair = Self { client, server: Connection::new(Role::Server, server), step };
        pair.pump();
        pair
    }

    /// Carries bytes until neither side has any.
    fn pump(&mut self) {
        while carry(&mut self.client, &mut self.server, self.step)
            | carry(&mut self.server, &mut self.client, self.step)
        {}
    }

    fn get(&mut self, path: &str) -> u32 {
        self.client.open(|block| request(block, path), true, Answer::Usual).unwrap()
    }

    fn post(&mut self) -> u32 {
        self.client.open(|block| request(block, "/"), false, Answer::Usual).unwrap()
    }

    fn accept(&mut self) -> Accepted {
        self.pump();
        self.server.accept().unwrap()
    }

    fn response(&mut self, id: u32) -> Result<Response, StreamError> {
        self.pump();
        match self.client.poll_response(id, &cx()) {
            Poll::Ready(response) => response,
            Poll::Pending => panic!("no response"),
        }
    }

    /// Sends all of `content` while the other side reads; gives what it read.
    fn upload(&mut self, id: u32, content: &[u8]) -> Vec<u8> {
        let (mut sent, mut read) = (0, Vec::new());
        let mut space = vec![0; 10_000];
        loop {
            if sent < content.len()
                && let Poll::Ready(count) = self.client.poll_send(id, &cx(), &content[sent..], true)
            {
                sent += count.unwrap();
            }
            self.pump();
            match self.server.poll_data(id, &cx(), &mut space) {
                Poll::Ready(Ok(0)) => return read,
                Poll::Ready(count) => read.extend(&space[..count.unwrap()]),
                Poll::Pending => assert!(sent < content.len(), "the end is missing"),
            }
        }
    }
}

fn carry(from: &mut Connection, to: &mut Connection, step: usize) -> bool {
    let bytes = from.output().to_vec();
    from.advance(bytes.len());
    bytes.chunks(step).for_each(|piece| to.receive(piece, 0));
    !bytes.is_empty()
}

fn request(block: &mut http2::Block<'_>, path: &str) {
    block.field(b":method", b"POST");
    block.field(b":scheme", b"http");
    block.field(b":authority", b"a.example");
    block.field(b":path", path.as_bytes());
    block.field(b"X-Mixed", b"1");
}

fn status(code: &'static [u8]) -> impl FnOnce(&mut http2::Block<'_>) {
    move |block| block.field(b":status", code)
}

#[test]
fn a_request_and_its_answer_cross_however_the_bytes_are_split() {
    for step in [1, 2, 3, 7, 9, 10, 64, 100_000] {
        let mut pair = Pair::new(step);
        let id = pair.get("/x");
        let accepted = pair.accept();
        assert_eq!((accepted.stream, accepted.ends), (id, true));
        let request = accepted.request.unwrap();
        assert_eq!(request.path(), Some(&b"/x"[..]));
        assert_eq!(request.fields().next(), Some((&b"x-mixed"[..], &b"1"[..])));
        pair.server.send_head(id, status(b"103"), false, false).unwrap();
        pair.server.send_head(id, status(b"200"), true, false).unwrap();
        assert_eq!(pair.server.poll_send(id, &cx(), b"content", false), Poll::Ready(Ok(7)));
        pair.server.finish(id, |block| block.field(b"x-sum", b"7")).unwrap();
        assert_eq!(pair.response(id).unwrap().status(), 103);
        assert_eq!(pair.response(id).unwrap().status(), 200);
        let mut space = [0; 64];
        assert_eq!(pair.client.poll_data(id, &cx(), &mut space), Poll::Ready(Ok(7)));
        assert_eq!(&space[..7], b"content");
        assert_eq!(pair.client.poll_data(id, &cx(), &mut space), Poll::Ready(Ok(0)));
        let trailers = pair.client.take_trailers(id).unwrap();
        assert_eq!(trailers.get(0), Some((&b"x-sum"[..], &b"7"[..])));
        pair.client.release(id, ErrorCode::CANCEL);
        pair.server.release(id, ErrorCode::CANCEL);
        assert!(pair.client.output().is_empty() && pair.server.output().is_empty());
    }
}

#[test]
fn content_beyond_the_windows_waits_until_it_is_read() {
    let content: Vec<u8> = (0..400_000u32).map(|at| (at % 251) as u8).collect();
    for config in [
        CONFIG,
        Config { window: 1000, ..CONFIG },
        Config { connection_window: 65_535, ..CONFIG },
        Config { output: 100, ..CONFIG },
    ] {
        let mut pair = Pair::with(5000, config);
        let id = pair.post();
        pair.accept();
        assert_eq!(pair.upload(id, &content), content);
    }
}

#[test]
fn a_stream_that_is_not_read_holds_no_more_than_its_window() {
    let mut pair = Pair::new(100_000);
    let id = pair.post();
    pair.accept();
    let content = vec![b'x'; 1 << 20];
    let mut sent = 0;
    while let Poll::Ready(count) = pair.client.poll_send(id, &cx(), &content[sent..], true) {
        sent += count.unwrap();
        pair.pump();
    }
    assert_eq!(sent, 65_535);
    // Another one is not stopped by it.
    let other = pair.post();
    pair.accept();
    assert_eq!(pair.upload(other, b"small"), b"small");
}

#[test]
fn what_is_given_up_leaves_its_room_to_others() {
    let mut pair = Pair::with(9000, Config { connection_window: 65_535, ..CONFIG });
    for _ in 0..50 {
        let id = pair.post();
        pair.accept();
        let sent = pair.client.poll_send(id, &cx(), &[b'x'; 40_000], false);
        assert_eq!(sent, Poll::Ready(Ok(40_000)));
        pair.pump();
        pair.server.release(id, ErrorCode::CANCEL);
        pair.pump();
        let failed = pair.client.poll_failed(id, &cx());
        assert_eq!(failed, Poll::Ready(StreamError::Reset(ErrorCode::CANCEL)));
        pair.client.release(id, ErrorCode::CANCEL);
    }
}

#[test]
fn a_request_that_was_taken_back_is_not_served() {
    let mut pair = Pair::new(100_000);
    let id = pair.post();
    pair.client.release(id, ErrorCode::CANCEL);
    pair.pump();
    assert!(pair.server.accept().is_none());
    assert_eq!(pair.server.stream_count(), 0);
}

#[test]
fn an_answer_that_is_whole_ends_the_request_without_a_fault() {
    let mut pair = Pair::new(100_000);
    let id = pair.post();
    pair.accept();
    pair.server.send_head(id, status(b"413"), true, true).unwrap();
    pair.server.release(id, ErrorCode::CANCEL);
    assert_eq!(pair.response(id).unwrap().status(), 413);
    assert_eq!(pair.client.poll_data(id, &cx(), &mut [0]), Poll::Ready(Ok(0)));
    let failed = pair.client.poll_failed(id, &cx());
    assert_eq!(failed, Poll::Ready(StreamError::Reset(ErrorCode::NO_ERROR)));
}

#[test]
fn streams_beyond_the_limit_are_refused() {
    let mut pair = Pair::with(100, Config { streams: 2, ..CONFIG });
    assert_eq!(pair.client.peer_streams(), 2);
    let ids = [pair.post(), pair.post(), pair.post()];
    pair.pump();
    assert_eq!(pair.client.poll_failed(ids[2], &cx()), Poll::Ready(StreamError::Refused));
    assert!(pair.client.poll_failed(ids[1], &cx()).is_pending());
}

#[test]
fn leaving_serves_what_was_sent_before_it_was_heard() {
    let mut pair = Pair::new(100);
    pair.server.leave();
    let early = pair.get("/early");
    assert!(carry(&mut pair.client, &mut pair.server, 100));
    pair.pump();
    assert!(!pair.client.is_open());
    assert_eq!(pair.client.open(|_| {}, true, Answer::Usual), Err(StreamError::Refused));
    assert_eq!(pair.server.accept().unwrap().stream, early);
    assert!(!pair.server.is_done());
    pair.server.send_head(early, status(b"200"), true, true).unwrap();
    pair.server.release(early, ErrorCode::CANCEL);
    assert!(pair.server.is_done());
    assert_eq!(pair.response(early).unwrap().status(), 200);
}

#[test]
fn a_connection_that_ends_fails_its_streams() {
    let mut pair = Pair::new(100);
    let id = pair.get("/");
    pair.accept();
    pair.client.close();
    assert_eq!(pair.client.poll_response(id, &cx()), Poll::Ready(Err(StreamError::Closed)));
    pair.server.fail(ErrorCode::INTERNAL_ERROR);
    let sent = pair.server.send_head(id, status(b"200"), true, true);
    assert_eq!(sent, Err(StreamError::Closed));
}

#[test]
fn a_head_larger_than_allowed_is_told_and_the_table_follows_it() {
    let mut pair = Pair::new(100_000);
    let large = vec![b'x'; 40_000];
    let open = |block: &mut http2::Block<'_>| {
        request(block, "/");
        block.field(b"x-large", &large);
        block.field(b"x-behind", b"1");
    };
    let id = pair.client.open(open, true, Answer::Usual).unwrap();
    let accepted = pair.accept();
    assert_eq!((accepted.stream, accepted.request), (id, None));
    let next = pair.client.open(|block| request(block, "/next"), true, Answer::Usual).unwrap();
    let accepted = pair.accept();
    assert_eq!(accepted.stream, next);
    assert_eq!(accepted.request.unwrap().path(), Some(&b"/next"[..]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_of_nobody_end_in_a_fault_and_nothing_else(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        step in 1usize..200,
        client in any::<bool>(),
    ) {
        let role = if client { Role::Client } else { Role::Server };
        let mut connection = Connection::new(role, CONFIG);
        if !client {
            connection.receive(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0);
        }
        connection.receive(&[0, 0, 0, 4, 0, 0, 0, 0, 0], 0);
        bytes.chunks(step).for_each(|piece| connection.receive(piece, 0));
        while let Some(accepted) = connection.accept() {
            connection.release(accepted.stream, ErrorCode::CANCEL);
        }
        prop_assert!(connection.output().len() < 4096 + 20 * bytes.len());
    }
}
