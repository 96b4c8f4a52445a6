//! HTTP/2 that no honest client sends: the answer, and what reached the backend.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use common::{Config, Plane, plain, to};
use proxy::{AccessLog, Limits};
use std::time::Duration;
use testkit::{
    h2::{Client, Frame, RawH2, block, flag, kind},
    recorder::Recorder,
};

const HOST: &str = "a.example";
const PROTOCOL_ERROR: u32 = 1;
const ENHANCE_YOUR_CALM: u32 = 11;

fn limited(limits: Limits) -> (Plane, Recorder) {
    let plane = Plane::with(limits, AccessLog::Off, 1);
    let recorder = Recorder::start();
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    config.route("all", vec![to("/", "app")]);
    plane.apply(&mut config);
    (plane, recorder)
}

/// The pseudo-header fields of a GET, then others.
fn get<'a>(others: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields =
        vec![(":method", "GET"), (":scheme", "http"), (":authority", HOST), (":path", "/")];
    fields.extend(others);
    fields
}

#[test]
fn endless_continuations_are_cut() {
    let (plane, _recorder) = plain();
    let mut raw = RawH2::connect(plane.address());
    raw.send(&Frame::new(kind::HEADERS, flag::END_STREAM, 1, block(&get(&[]))));
    let piece = block(&[("x-more", "1")]);
    for _ in 0..100_000 {
        if !raw.send(&Frame::new(kind::CONTINUATION, 0, 1, &piece)) {
            break;
        }
    }
    let goaway = raw.find(|frame| frame.kind == kind::GOAWAY);
    assert!(goaway.is_none_or(|frame| frame.code() == ENHANCE_YOUR_CALM));
    assert_eq!(plane.get(HOST, "/").status, 200);
}

#[test]
fn a_header_block_that_never_ends_is_cut_at_the_deadline() {
    let limits = Limits { head_timeout: Duration::from_millis(200), ..Limits::default() };
    let (plane, recorder) = limited(limits);
    for bytes in [&b"PRI * HT"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut raw = RawH2::silent(plane.address());
        raw.write(bytes);
        assert_eq!(raw.find(|frame| frame.kind == kind::HEADERS), None);
    }
    let mut raw = RawH2::connect(plane.address());
    raw.send(&Frame::new(kind::HEADERS, flag::END_STREAM, 1, block(&get(&[]))));
    assert_eq!(raw.find(|frame| frame.kind == kind::HEADERS), None);
    assert!(recorder.heads().is_empty());
}

/// Sends `make(n)` for growing `n` until the connection ends; gives the code of the GOAWAY.
fn flood(plane: &Plane, before: &[Frame], make: impl Fn(u32) -> Vec<Frame>) -> u32 {
    let mut raw = RawH2::connect(plane.address());
    for frame in before {
        raw.send(frame);
    }
    for number in 0..50_000 {
        let bytes: Vec<u8> = make(number).iter().flat_map(Frame::bytes).collect();
        if !raw.write(&bytes) {
            break;
        }
        if number % 500 == 499 && raw.has_goaway() {
            break;
        }
    }
    raw.find(|frame| frame.kind == kind::GOAWAY).unwrap().code()
}

#[test]
fn floods_of_frames_without_content_end_in_goaway() {
    let (plane, recorder) = plain();
    let post = || {
        let mut fields = get(&[]);
        fields[0].1 = "POST";
        Frame::headers(1, &fields, false)
    };
    let cases: [(&str, Vec<Frame>, Frame); 6] = [
        ("ping", vec![], Frame::new(kind::PING, 0, 0, [0; 8])),
        ("settings", vec![], Frame::new(kind::SETTINGS, 0, 0, b"")),
        ("priority", vec![], Frame::new(kind::PRIORITY, 0, 3, [0, 0, 0, 0, 16])),
        ("window", vec![], Frame::new(kind::WINDOW_UPDATE, 0, 0, [0, 0, 0, 1])),
        ("unknown", vec![], Frame::new(0x42, 0, 0, b"")),
        ("empty data", vec![post()], Frame::data(1, b"", false)),
    ];
    for (name, before, frame) in cases {
        let code = flood(&plane, &before, |_| vec![frame.clone()]);
        assert_eq!(code, ENHANCE_YOUR_CALM, "{name}");
    }
    assert!(recorder.requests().is_empty());
    assert!(plane.total("http2_abuses_total") >= 5);
}

#[test]
fn rapid_resets_end_in_goaway_before_they_cost_the_backend_much() {
    let (plane, recorder) = plain();
    let code = flood(&plane, &[], |number| {
        let stream = number * 2 + 1;
        vec![
            Frame::headers(stream, &get(&[]), true),
            Frame::new(kind::RST_STREAM, 0, stream, 8u32.to_be_bytes()),
        ]
    });
    assert_eq!(code, ENHANCE_YOUR_CALM);
    let reached = recorder.heads().len();
    assert!(reached <= 200, "{reached} cancelled requests reached the backend");
    assert_eq!(plane.get(HOST, "/").status, 200);
}

#[test]
fn resets_that_we_are_made_to_send_count_too() {
    let (plane, _recorder) = plain();
    let broken: [fn(u32) -> Frame; 3] = [
        |stream| Frame::new(kind::WINDOW_UPDATE, 0, stream, [0, 0, 0, 0]),
        |stream| Frame::new(kind::WINDOW_UPDATE, 0, stream, [0x7f, 0xff, 0xff, 0xff]),
        |stream| Frame::data(stream, "behind the end", false),
    ];
    for make in broken {
        let code = flood(&plane, &[], |number| {
            let stream = number * 2 + 1;
            vec![Frame::headers(stream, &get(&[]), true), make(stream)]
        });
        assert!([ENHANCE_YOUR_CALM, PROTOCOL_ERROR, 5].contains(&code), "{code}");
    }
    assert_eq!(plane.get(HOST, "/").status, 200);
}

#[test]
fn malformed_requests_end_in_goaway() {
    let (plane, recorder) = plain();
    let code = flood(&plane, &[], |number| {
        vec![Frame::headers(number * 2 + 1, &get(&[("host", "other.example")]), true)]
    });
    assert_eq!(code, ENHANCE_YOUR_CALM);
    assert!(recorder.heads().is_empty());
}

#[test]
fn streams_beyond_the_limit_are_refused() {
    let limits = Limits { http2_streams: 3, ..Limits::default() };
    let (plane, recorder) = limited(limits);
    let mut raw = RawH2::connect(plane.address());
    let mut fields = get(&[]);
    fields[0].1 = "POST";
    for stream in [1, 3, 5, 7] {
        raw.send(&Frame::headers(stream, &fields, false));
    }
    let refused = raw.find(|frame| frame.kind == kind::RST_STREAM).unwrap();
    assert_eq!((refused.stream, refused.code()), (7, 7));
    for stream in [1, 3, 5] {
        raw.send(&Frame::data(stream, "x", true));
    }
    recorder.wait_for(3);
}

#[test]
fn heads_in_progress_are_bounded_together() {
    let (plane, recorder) = limited(Limits { http2_heads: 3 * 1024, ..Limits::default() });
    let mut raw = RawH2::connect(plane.address());
    let large = "v".repeat(1000);
    let mut fields = get(&[("x-large", &large)]);
    fields[0].1 = "POST";
    for stream in [1, 3, 5] {
        raw.send(&Frame::headers(stream, &fields, false));
    }
    let refused = raw.find(|frame| frame.kind == kind::RST_STREAM).unwrap();
    assert_eq!((refused.stream, refused.code()), (5, 7));
    raw.send(&Frame::data(1, "x", true));
    assert_ne!(raw.outcome(1).unwrap().kind, kind::RST_STREAM);
    raw.send(&Frame::headers(7, &fields, false));
    raw.send(&Frame::data(7, "x", true));
    let seventh = raw.outcome(7).unwrap();
    assert_ne!(seventh.kind, kind::RST_STREAM, "what the first one held is free again");
    assert_eq!(recorder.requests().len(), 2);
    assert_eq!(plane.total("requests_shed"), 1);
}

#[test]
fn an_idle_connection_is_told_goodbye() {
    let limits = Limits { keep_alive: Duration::from_millis(100), ..Limits::default() };
    let (plane, _recorder) = limited(limits);
    let mut raw = RawH2::connect(plane.address());
    raw.send(&Frame::headers(1, &get(&[]), true));
    let goodbye = raw.find(|frame| frame.kind == kind::GOAWAY).unwrap();
    assert_eq!(goodbye.code(), 0, "without an error");
    assert_eq!(raw.find(|_| false), None, "then the connection ends");
}

#[test]
fn a_body_that_stops_is_408_and_harms_no_other_stream() {
    let limits = Limits { body_idle: Duration::from_millis(100), ..Limits::default() };
    let (plane, recorder) = limited(limits);
    plane.run(async {
        let client = Client::connect(plane.address()).await;
        let (response, _stream) =
            client.open(client.request("POST", HOST, "/"), false).await.unwrap();
        assert_eq!(response.await.unwrap().status(), 408);
        assert_eq!(client.get(HOST, "/").await.unwrap().status, 200);
    });
    assert_eq!(plane.reason(proxy::Reason::BodyTimeout), 1);
    assert_eq!(recorder.wait_for(1).len(), 1, "the half request never becomes whole");
}

#[test]
fn a_client_that_ignores_our_goodbye_is_left_behind() {
    let limits = Limits { keep_alive: Duration::from_millis(100), ..Limits::default() };
    let (plane, _recorder) = limited(limits);
    let mut raw = RawH2::connect(plane.address());
    // It confirms nothing and keeps its side open.
    assert!(raw.find(|frame| frame.kind == kind::GOAWAY).is_some());
    assert_eq!(raw.find(|frame| frame.kind == kind::HEADERS), None);
}

#[test]
fn an_answer_that_finds_no_window_is_cut_and_harms_no_other() {
    let limits = Limits { write_idle: Duration::from_millis(200), ..Limits::default() };
    let (plane, recorder) = limited(limits);
    recorder.script(testkit::recorder::Reply::status(200, &[], "more than no window takes"));
    let mut raw = RawH2::connect(plane.address());
    raw.send(&Frame::new(kind::SETTINGS, 0, 0, [0, 4, 0, 0, 0, 0]));
    raw.send(&Frame::headers(1, &get(&[]), true));
    assert_eq!(raw.outcome(1).map(|frame| frame.kind), Some(kind::RST_STREAM));
    raw.send(&Frame::new(kind::PING, 0, 0, [7; 8]));
    assert!(raw.find(|frame| frame.kind == kind::PING).is_some());
}
