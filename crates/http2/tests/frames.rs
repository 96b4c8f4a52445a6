//! What single frames do to a connection, without a peer that keeps to the rules.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

use std::task::{Context, Poll, Waker};

use http2::{Config, Connection, ErrorCode, Response, Role, StreamError, hpack};

const CONFIG: Config = Config {
    streams: 100,
    window: 65_535,
    connection_window: 65_535,
    header_list: 32 << 10,
    output: 64 << 10,
    resets: 200,
    control_frames: 1000,
};
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

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
fn client(is_head: bool) -> Connection {
    let mut client = Connection::new(Role::Client, CONFIG);
    client.receive(&frame(4, 0, 0, &[]), 0);
    let fields = |block: &mut http2::Block<'_>| block.field(b":method", b"GET");
    assert_eq!(client.open(fields, true, is_head), Ok(1));
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
    let opened: u32 = said(&mut server)
        .iter()
        .filter(|(kind, stream, _)| *kind == WINDOW_UPDATE && *stream == 0)
        .map(|(_, _, by)| u32::from_be_bytes(by[..].try_into().unwrap()))
        .sum();
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
    assert!(server.output().len() < CONFIG.output + pings.len());
    let all = server.output().len();
    server.advance(all);
    assert!(server.wants_input());
    server.release(id, ErrorCode::CANCEL);
}

#[test]
fn an_answer_keeps_its_promise() {
    let status = (":status", "200");
    let mut head = client(true);
    answer(&mut head, &[status, ("content-length", "5")], END_STREAM);
    assert_eq!(response(&mut head).unwrap().content_length(), Some(5));
    for (promise, sent) in [("5", "abc"), ("2", "abc")] {
        let mut get = client(false);
        answer(&mut get, &[status, ("content-length", promise)], 0);
        get.receive(&frame(DATA, END_STREAM, 1, sent.as_bytes()), 0);
        assert!(response(&mut get).is_ok());
        let broken = Poll::Ready(StreamError::Broken(ErrorCode::PROTOCOL_ERROR));
        assert_eq!(get.poll_failed(1, &cx()), broken, "{promise} and {sent}");
    }
    let mut none = client(false);
    answer(&mut none, &[status, ("content-length", "5")], END_STREAM);
    assert_eq!(response(&mut none).err(), Some(StreamError::Broken(ErrorCode::PROTOCOL_ERROR)));
}

#[test]
fn interim_answers_that_nobody_reads_are_bounded() {
    let mut client = client(false);
    for _ in 0..40 {
        answer(&mut client, &[(":status", "103")], 0);
    }
    let calm = Poll::Ready(StreamError::Broken(ErrorCode::ENHANCE_YOUR_CALM));
    assert_eq!(client.poll_failed(1, &cx()), calm);
    assert_eq!(client.failure(), None);
}

#[test]
fn goaway_fails_what_the_server_did_not_take() {
    let mut client = client(false);
    let fields = |block: &mut http2::Block<'_>| block.field(b":method", b"GET");
    assert_eq!(client.open(fields, true, false), Ok(3));
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
