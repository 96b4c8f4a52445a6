//! What single frames do to a connection, without a peer that keeps to the rules.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod common;

use common::cx;
use std::task::{Context, Poll, Waker};

use http2::{Answer, Config, Connection, ErrorCode, Response, Role, StreamError, hpack};

/// One stream takes the window of its connection.
const CONFIG: Config = Config { connection_window: 65_535, ..common::CONFIG };
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Kind, stream and payload of what a connection says; it is taken from its output.
fn said(connection: &mut Connection) -> Vec<(u8, u32, Vec<u8>)> {
    let bytes = connection.output().to_vec();
    connection.advance(bytes.len());
    let (mut rest, mut frames) = (&bytes[..], Vec::new());
    while let Some((head, behind)) = rest.split_first_chunk::<9>() {
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        frames.push((head[3], stream, behind[..length].to_vec()));
        rest = &behind[length..];
    }
    frames
}

/// By how much the window of the connection was opened.
fn opened(connection: &mut Connection) -> u32 {
    said(connection)
        .iter()
        .filter(|(kind, stream, _)| *kind == WINDOW_UPDATE && *stream == 0)
        .map(|(_, _, by)| u32::from_be_bytes(by[..].try_into().unwrap()))
        .sum()
}

fn block(encoder: &mut hpack::Encoder, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    fields
        .iter()
        .for_each(|(name, value)| encoder.add(name.as_bytes(), value.as_bytes(), &mut out));
    out
}

const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":authority", "a.example"), (":path", "/")];

/// A server that has heard the preface and settings of a client.
fn server() -> Connection {
    let mut server = Connection::new(Role::Server, CONFIG);
    server.receive(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0);
    server.receive(&frame(4, 0, 0, &[]), 0);
    server.receive(&frame(4, 1, 0, &[]), 0);
    said(&mut server);
    server
}

fn post(server: &mut Connection, id: u32, flags: u8) {
    let block = block(&mut hpack::Encoder::new(), &POST);
    server.receive(&frame(HEADERS, END_HEADERS | flags, id, &block), 0);
}

/// A client that has sent a GET, or a HEAD, as stream 1.
fn client(answer: Answer) -> Connection {
    let mut client = Connection::new(Role::Client, CONFIG);
    client.receive(&frame(4, 0, 0, &[]), 0);
    let fields = |block: &mut http2::Block<'_>| block.field(b":method", b"GET");
    assert_eq!(client.open(fields, true, answer), Ok(1));
    let all = client.output().len();
    client.advance(all);
    client
}

fn answer(client: &mut Connection, fields: &[(&str, &str)], flags: u8) {
    let block = block(&mut hpack::Encoder::new(), fields);
    client.receive(&frame(HEADERS, END_HEADERS | flags, 1, &block), 0);
}

fn response(client: &mut Connection) -> Result<Response, StreamError> {
    let Poll::Ready(response) = client.poll_response(1, &cx()) else { panic!("no response") };
    response
}

#[test]
fn what_is_no_content_leaves_its_room_to_others() {
    let mut server = server();
    post(&mut server, 1, 0);
    let id = server.accept().unwrap().stream;
    // 200 times a frame of 1,000 bytes, of which one is content: more than the windows hold.
    let padded = [&[255][..], b"x", &[0; 255]].concat();
    let mut content = 0;
    for _ in 0..1000 {
        server.receive(&frame(DATA, PADDED, id, &padded), 0);
        let Poll::Ready(Ok(count)) = server.poll_data(id, &cx(), &mut [0; 64]) else { break };
        content += count;
    }
    assert_eq!(content, 1000);
    assert_eq!(server.failure(), None);
    let opened = opened(&mut server);
    assert!((257_000 - 65_535..=257_000).contains(&opened), "{opened}");
}

#[test]
fn late_frames_of_a_stream_that_we_reset_change_nothing_but_the_tables() {
    let mut server = server();
    let mut encoder = hpack::Encoder::new();
    let head = block(&mut encoder, &POST);
    server.receive(&frame(HEADERS, END_HEADERS, 1, &head), 0);
    let id = server.accept().unwrap().stream;
    server.release(id, ErrorCode::CANCEL);
    assert_eq!(said(&mut server), [(RST_STREAM, 1, vec![0, 0, 0, 8])]);
    for _ in 0..100 {
        server.receive(&frame(DATA, 0, 1, &[0; 1000]), 0);
    }
    let trailers = block(&mut encoder, &[("x-trailer", "kept")]);
    server.receive(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers), 0);
    assert_eq!(server.failure(), None);
    assert!(
        said(&mut server).iter().all(|(kind, stream, _)| (*kind, *stream) == (WINDOW_UPDATE, 0))
    );
    let next = block(&mut encoder, &[&POST[..], &[("x-trailer", "kept")]].concat());
    server.receive(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &next), 0);
    let request = server.accept().unwrap().request.unwrap();
    assert_eq!(request.fields().next(), Some((&b"x-trailer"[..], &b"kept"[..])));
}

#[test]
fn content_beyond_a_window_ends_the_stream_or_the_connection() {
    let mut large = Connection::new(Role::Server, Config { connection_window: 1 << 20, ..CONFIG });
    large.receive(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0);
    large.receive(&[frame(4, 0, 0, &[]), frame(4, 1, 0, &[])].concat(), 0);
    said(&mut large);
    let mut small = server();
    for (server, kind) in [(&mut large, RST_STREAM), (&mut small, GOAWAY)] {
        post(server, 1, 0);
        (0..5).for_each(|_| server.receive(&frame(DATA, 0, 1, &[0; 16_000]), 0));
        let last = said(server).pop().unwrap();
        assert_eq!(last.0, kind);
        assert_eq!(last.2.last(), Some(&3), "FLOW_CONTROL_ERROR");
    }
}

#[test]
fn a_peer_that_takes_no_answers_is_not_heard() {
    let mut server = server();
    let pings = frame(6, 0, 0, &[0; 8]).repeat(500);
    let mut heard = 0;
    // Content excuses the pings.
    post(&mut server, 1, 0);
    let id = server.accept().unwrap().stream;
    while server.wants_input() {
        server.receive(&pings, heard);
        heard += 10;
        assert!(heard < 1000, "it is heard for ever");
    }
    assert_eq!(server.failure(), None);
    assert!(server.output().len() < 2 * CONFIG.output + pings.len());
    let all = server.output().len();
    server.advance(all);
    assert!(server.wants_input());
    server.release(id, ErrorCode::CANCEL);
}

#[test]
fn an_answer_keeps_its_promise() {
    let status = (":status", "200");
    let mut head = client(Answer::Empty);
    answer(&mut head, &[status, ("content-length", "5")], END_STREAM);
    assert_eq!(response(&mut head).unwrap().content_length(), Some(5));
    for (promise, sent) in [("5", "abc"), ("2", "abc")] {
        let mut get = client(Answer::Usual);
        answer(&mut get, &[status, ("content-length", promise)], 0);
        get.receive(&frame(DATA, END_STREAM, 1, sent.as_bytes()), 0);
        assert!(response(&mut get).is_ok());
        let broken = Poll::Ready(StreamError::Broken(ErrorCode::PROTOCOL_ERROR));
        assert_eq!(get.poll_failed(1, &cx()), broken, "{promise} and {sent}");
    }
    let mut none = client(Answer::Usual);
    answer(&mut none, &[status, ("content-length", "5")], END_STREAM);
    assert_eq!(response(&mut none).err(), Some(StreamError::Broken(ErrorCode::PROTOCOL_ERROR)));
}

#[test]
fn interim_answers_that_nobody_reads_are_bounded() {
    let mut client = client(Answer::Usual);
    for _ in 0..40 {
        answer(&mut client, &[(":status", "103")], 0);
    }
    let calm = Poll::Ready(StreamError::Broken(ErrorCode::ENHANCE_YOUR_CALM));
    assert_eq!(client.poll_failed(1, &cx()), calm);
    assert_eq!(client.failure(), None);
}

#[test]
fn goaway_fails_what_the_server_did_not_take() {
    let mut client = client(Answer::Usual);
    let fields = |block: &mut http2::Block<'_>| block.field(b":method", b"GET");
    assert_eq!(client.open(fields, true, Answer::Usual), Ok(3));
    client.receive(&frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]), 0);
    assert_eq!(client.poll_failed(3, &cx()), Poll::Ready(StreamError::Refused));
    assert!(client.poll_failed(1, &cx()).is_pending());
    answer(&mut client, &[(":status", "204")], END_STREAM);
    assert_eq!(response(&mut client).unwrap().status(), 204);
    assert!(!client.is_open());
}

#[test]
fn a_header_block_is_open_until_its_end() {
    let mut server = server();
    let head = block(&mut hpack::Encoder::new(), &POST);
    let whole = frame(HEADERS, 0, 1, &head);
    assert_eq!(server.open_block(), None);
    server.receive(&whole[..12], 0);
    let begun = server.open_block();
    assert!(begun.is_some());
    server.receive(&whole[12..], 0);
    assert_eq!(server.open_block(), begun, "CONTINUATION is missing");
    server.receive(&frame(9, END_HEADERS, 1, &[]), 0);
    assert_eq!(server.open_block(), None);
    server.receive(&frame(HEADERS, 0, 3, &[0x80])[..10], 0);
    assert_ne!(server.open_block(), begun, "another one");
}

#[test]
fn requests_that_are_taken_back_unseen_leave_no_trace() {
    let mut server = server();
    for number in 0..50 {
        let id = number * 2 + 1;
        let head = block(&mut hpack::Encoder::new(), &POST);
        let once = [
            frame(HEADERS, END_HEADERS, id, &head),
            frame(DATA, 0, id, &[0; 16_000]),
            frame(RST_STREAM, 0, id, &[0, 0, 0, 8]),
        ];
        server.receive(&once.concat(), 0);
        assert!(server.accept().is_none());
    }
    assert_eq!(server.failure(), None);
    let opened = opened(&mut server);
    assert!((800_000 - 65_535..=800_000).contains(&opened), "{opened}");
}

#[test]
fn requests_beyond_the_limit_count_also_where_our_settings_were_not_heard() {
    let mut server = Connection::new(Role::Server, Config { streams: 1, ..CONFIG });
    server.receive(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0);
    server.receive(&frame(4, 0, 0, &[]), 0);
    post(&mut server, 1, 0);
    let mut refused = 0;
    while server.failure().is_none() {
        post(&mut server, 3 + 2 * refused, END_STREAM);
        refused += 1;
        assert!(refused < 1000, "it goes on for ever");
    }
    assert_eq!(server.failure(), Some(ErrorCode::ENHANCE_YOUR_CALM));
    assert!(refused > CONFIG.resets, "a client that could not know has some for nothing");
}

#[test]
fn an_answered_request_makes_room_for_another_one() {
    let mut server = Connection::new(Role::Server, Config { streams: 1, ..CONFIG });
    server.receive(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0);
    server.receive(&[frame(4, 0, 0, &[]), frame(4, 1, 0, &[])].concat(), 0);
    post(&mut server, 1, END_STREAM);
    let status = |block: &mut http2::Block<'_>| block.field(b":status", b"204");
    server.send_head(1, status, true, true).unwrap();
    post(&mut server, 3, END_STREAM);
    assert_eq!([server.accept(), server.accept()].map(|one| one.unwrap().stream), [1, 3]);
}

#[test]
fn a_server_may_reset_what_it_was_asked() {
    let mut client = client(Answer::Usual);
    let fields = |block: &mut http2::Block<'_>| block.field(b":method", b"GET");
    for _ in 0..=CONFIG.resets {
        let id = client.open(fields, true, Answer::Usual).unwrap();
        client.receive(&frame(RST_STREAM, 0, id, &[0, 0, 0, 2]), 0);
        client.release(id, ErrorCode::CANCEL);
    }
    assert_eq!(client.failure(), None);
}

#[test]
fn answers_that_come_too_late_harm_nobody() {
    let mut client = client(Answer::Usual);
    let fields = |block: &mut http2::Block<'_>| block.field(b":method", b"GET");
    let mut gone = Vec::new();
    for _ in 0..400 {
        let id = client.open(fields, true, Answer::Usual).unwrap();
        client.release(id, ErrorCode::CANCEL);
        gone.push(id);
        let all = client.output().len();
        client.advance(all);
    }
    for id in gone {
        client.receive(&frame(HEADERS, END_HEADERS, id, &[0x88]), 0);
        client.receive(&frame(DATA, END_STREAM, id, &[0; 100]), 0);
    }
    assert_eq!(client.failure(), None);
    assert!(client.poll_failed(1, &cx()).is_pending());
}

#[test]
fn padding_alone_is_no_content() {
    let mut server = server();
    post(&mut server, 1, 0);
    let mut sent = 0;
    while server.failure().is_none() {
        server.receive(&frame(DATA, PADDED, 1, &[0]), 0);
        sent += 1;
        assert!(sent < 10_000, "it goes on for ever");
    }
    assert_eq!(server.failure(), Some(ErrorCode::ENHANCE_YOUR_CALM));
}

/// Counts how often somebody is woken.
#[derive(Default)]
struct Count(std::sync::atomic::AtomicUsize);

impl std::task::Wake for Count {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn a_little_of_a_window_wakes_a_few() {
    let mut server = server();
    let count = std::sync::Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let cx = Context::from_waker(&waker);
    for number in 0..100 {
        post(&mut server, 1 + 2 * number, END_STREAM);
    }
    let status = |block: &mut http2::Block<'_>| block.field(b":status", b"200");
    let body = [0; 16_000];
    let (mut sent, mut id) = (0, 1);
    let send = |server: &mut Connection| {
        // Each one tries once, as a task that was woken does.
        let mut progress = 0;
        for number in 0..100 {
            if let Poll::Ready(Ok(count)) = server.poll_send(1 + 2 * number, &cx, &body, false) {
                progress += count;
            }
        }
        progress
    };
    while server.accept().is_some() {
        server.send_head(id, status, true, false).unwrap();
        id += 2;
    }
    while sent < 65_535 {
        sent += send(&mut server);
        let all = server.output().len();
        server.advance(all);
    }
    let woken = || count.0.load(std::sync::atomic::Ordering::Relaxed);
    for update in 1..=100 {
        let before = woken();
        server.receive(&frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0]), 0);
        assert_eq!(woken() - before, 1, "at update {update}");
        sent += send(&mut server);
        let all = server.output().len();
        server.advance(all);
    }
    assert_eq!(sent, 65_535 + 100 * 256, "nobody waits for what is there");
}
