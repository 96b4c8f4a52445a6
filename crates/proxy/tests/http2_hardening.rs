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
type Fields = &'static [(&'static str, &'static str)];
const PROTOCOL_ERROR: u32 = 1;
const FRAME_SIZE_ERROR: u32 = 6;
const COMPRESSION_ERROR: u32 = 9;
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

/// Sends one request and says how it ended: `Err` with the code of RST_STREAM or GOAWAY, `Ok`
/// with the response's head.
fn one(plane: &Plane, fields: &[(&str, &str)]) -> Result<Vec<u8>, Option<u32>> {
    let mut raw = RawH2::connect(plane.address());
    raw.send(&Frame::headers(1, fields, true));
    let answer = raw.find(|frame| {
        frame.kind == kind::GOAWAY || frame.stream == 1 && frame.kind != kind::WINDOW_UPDATE
    });
    match answer {
        Some(frame) if frame.kind == kind::HEADERS => Ok(frame.payload),
        Some(frame) => Err(Some(frame.code())),
        None => Err(None),
    }
}

/// Whether the response is a refusal: none of the tests' requests is answered with 200.
fn is_200(payload: &[u8]) -> bool {
    // Static table, index 8 (RFC 7541 appendix A), in the first field.
    payload.first() == Some(&0x88)
}

#[track_caller]
fn refused(cases: &[Vec<(&str, &str)>]) {
    let (plane, recorder) = plain();
    for fields in cases {
        match one(&plane, fields) {
            Ok(payload) => assert!(!is_200(&payload), "{fields:?} was served"),
            Err(code) => assert_eq!(code, Some(PROTOCOL_ERROR), "{fields:?}"),
        }
    }
    assert!(recorder.heads().is_empty(), "{:?}", recorder.heads());
    // Nobody else is disturbed.
    assert_eq!(plane.get(HOST, "/").status, 200);
}

#[test]
fn names_and_values_that_would_break_lines_are_refused() {
    let mut cases = Vec::new();
    for name in ["X-Upper", "x y", "x:y", "", "x\u{e9}", "x\r\ny", "x\0y"] {
        cases.push(get(&[(name, "1")]));
    }
    for value in ["a\r\nx-smuggled: 1", "a\nb", "a\rb", "a\0b"] {
        cases.push(get(&[("x-value", value)]));
    }
    refused(&cases);
}

#[test]
fn fields_of_the_connection_are_refused() {
    refused(&[
        get(&[("connection", "close")]),
        get(&[("keep-alive", "1")]),
        get(&[("upgrade", "websocket")]),
        get(&[("proxy-connection", "close")]),
        get(&[("transfer-encoding", "chunked")]),
        get(&[("te", "gzip")]),
    ]);
}

#[test]
fn pseudo_fields_that_are_missing_late_unknown_or_repeated_are_refused() {
    let without = |name: &str| get(&[]).into_iter().filter(|(n, _)| *n != name).collect();
    let late = vec![
        (":method", "GET"),
        ("x-early", "1"),
        (":scheme", "http"),
        (":authority", HOST),
        (":path", "/"),
    ];
    refused(&[
        without(":method"),
        without(":scheme"),
        without(":path"),
        get(&[(":path", "/again")]),
        get(&[(":method", "POST")]),
        get(&[(":authority", "b.example")]),
        get(&[(":unknown", "1")]),
        get(&[(":status", "200")]),
        late,
    ]);
}

#[test]
fn pseudo_fields_with_values_that_mean_nothing_are_refused() {
    let with = |name: &str, value: &'static str| {
        get(&[]).into_iter().map(|(n, v)| if n == name { (n, value) } else { (n, v) }).collect()
    };
    refused(&[
        with(":path", ""),
        with(":path", "x"),
        with(":path", "http://b.example/"),
        with(":path", "/a b"),
        with(":path", "/a\r\nx: y"),
        with(":path", "*"),
        with(":path", "/../up"),
        with(":method", "G ET"),
        with(":method", "GET\r\nx: y"),
        with(":method", ""),
        with(":method", "CONNECT"),
        with(":method", "TRACE"),
        with(":scheme", "ftp"),
        with(":scheme", "ht tp"),
        with(":authority", "a b"),
        with(":authority", "a.example/x"),
        with(":authority", "user@a.example"),
        with(":authority", "a.example:99999"),
        with(":authority", ""),
    ]);
}

#[test]
fn a_second_name_for_the_host_is_refused() {
    refused(&[
        get(&[("host", "b.example")]),
        get(&[("host", HOST), ("host", HOST)]),
        vec![(":method", "GET"), (":scheme", "http"), (":path", "/")],
        vec![
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            ("host", HOST),
            ("host", "b.example"),
        ],
    ]);
}

#[test]
fn the_host_field_stands_in_for_the_authority() {
    let (plane, recorder) = plain();
    let fields = [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", HOST)];
    assert!(is_200(&one(&plane, &fields).unwrap()));
    assert_eq!(recorder.wait_for(1)[0].field("host"), Some(HOST));
}

#[test]
fn the_settings_of_an_upgrade_are_dropped() {
    let (plane, recorder) = plain();
    assert!(is_200(&one(&plane, &get(&[("http2-settings", "AAMAAABk")])).unwrap()));
    assert_eq!(recorder.wait_for(1)[0].field("http2-settings"), None);
}

#[test]
fn lengths_that_contradict_the_body_reset_the_stream_and_abort_the_backend_request() {
    let (plane, recorder) = plain();
    let whole: [(Fields, &[u8], bool); 7] = [
        (&[("content-length", "5")], b"abc", true),
        (&[("content-length", "2")], b"abc", true),
        (&[("content-length", "0")], b"abc", true),
        (&[("content-length", "5")], b"", false),
        (&[("content-length", "3"), ("content-length", "4")], b"abc", true),
        (&[("content-length", "+3")], b"abc", true),
        (&[("content-length", "3, 3")], b"abc", true),
    ];
    for (length, body, has_body) in whole {
        let mut raw = RawH2::connect(plane.address());
        let mut fields = get(length);
        fields[0].1 = "POST";
        raw.send(&Frame::headers(1, &fields, !has_body));
        if has_body {
            raw.send(&Frame::data(1, body, true));
        }
        let outcome = raw.outcome(1).unwrap();
        assert_eq!(
            (outcome.kind, outcome.code()),
            (kind::RST_STREAM, PROTOCOL_ERROR),
            "{length:?}"
        );
    }
    assert!(recorder.requests().is_empty(), "{:?}", recorder.requests());
}

#[test]
fn pseudo_fields_in_trailers_reach_nobody() {
    let (plane, recorder) = plain();
    let mut raw = RawH2::connect(plane.address());
    let mut fields = get(&[]);
    fields[0].1 = "POST";
    raw.send(&Frame::headers(1, &fields, false));
    raw.send(&Frame::data(1, "x", false));
    raw.send(&Frame::headers(1, &[(":path", "/evil")], true));
    raw.outcome(1).unwrap();
    let request = recorder.wait_for(1).remove(0);
    assert_eq!(request.target, "/");
    assert!(request.body.trailers.is_empty(), "{:?}", request.body.trailers);
}

#[test]
fn head_lists_are_limited_by_count_and_by_size() {
    let (plane, recorder) = plain();
    let many: Vec<_> = (0..101).map(|_| ("x-many", "1")).collect();
    let crumbs: Vec<_> = (0..101).map(|_| ("cookie", "a=1")).collect();
    let empty: Vec<_> = (0..4000).map(|_| ("a", "")).collect();
    let large = "v".repeat(8 * 1024);
    let heavy: Vec<_> = (0..5).map(|_| ("x-large", large.as_str())).collect();
    for others in [many, crumbs, empty, heavy] {
        let mut raw = RawH2::connect(plane.address());
        let fields = block(&get(&others));
        let mut pieces = fields.chunks(16_000).peekable();
        let mut kind_of = kind::HEADERS;
        while let Some(piece) = pieces.next() {
            let mut flags = if kind_of == kind::HEADERS { flag::END_STREAM } else { 0 };
            if pieces.peek().is_none() {
                flags |= flag::END_HEADERS;
            }
            raw.send(&Frame::new(kind_of, flags, 1, piece));
            kind_of = kind::CONTINUATION;
        }
        let answer =
            raw.find(|frame| matches!(frame.kind, kind::HEADERS | kind::RST_STREAM | kind::GOAWAY));
        let answer = answer.unwrap();
        assert!(answer.kind != kind::HEADERS || !is_200(&answer.payload));
    }
    assert!(recorder.heads().is_empty());
}

#[test]
fn broken_field_compression_ends_the_connection() {
    let (plane, recorder) = plain();
    let cases: [&[u8]; 5] = [
        // An index beyond the table; a size beyond the limit; an endless integer; an end of
        // string inside of a Huffman code; padding longer than seven bits.
        &[0xff, 0x20],
        &[0x3f, 0xe1, 0xff, 0x03],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00],
        &[0x00, 0x01, b'a', 0x82, 0x1f, 0xff],
    ];
    for payload in cases {
        let mut raw = RawH2::connect(plane.address());
        let flags = flag::END_HEADERS | flag::END_STREAM;
        raw.send(&Frame::new(kind::HEADERS, flags, 1, payload));
        let goaway = raw.find(|frame| frame.kind == kind::GOAWAY).unwrap();
        let code = goaway.code();
        assert!([COMPRESSION_ERROR, PROTOCOL_ERROR].contains(&code), "{code} for {payload:?}");
        assert_eq!(raw.find(|_| false), None);
    }
    assert!(recorder.heads().is_empty());
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
fn frames_of_a_wrong_size_or_place_end_the_connection() {
    let (plane, _recorder) = plain();
    let cases = [
        (Frame::new(kind::PING, 0, 0, [0; 7]), FRAME_SIZE_ERROR),
        (Frame::new(kind::PING, 0, 1, [0; 8]), PROTOCOL_ERROR),
        (Frame::new(kind::SETTINGS, 0, 0, [0; 5]), FRAME_SIZE_ERROR),
        (Frame::new(kind::SETTINGS, 0, 1, [0; 6]), PROTOCOL_ERROR),
        (Frame::new(kind::SETTINGS, flag::ACK, 0, [0; 6]), FRAME_SIZE_ERROR),
        (Frame::new(kind::RST_STREAM, 0, 1, [0; 3]), FRAME_SIZE_ERROR),
        (Frame::new(kind::RST_STREAM, 0, 0, [0; 4]), PROTOCOL_ERROR),
        (Frame::new(kind::RST_STREAM, 0, 1, [0; 4]), PROTOCOL_ERROR),
        (Frame::new(kind::DATA, 0, 0, b"x"), PROTOCOL_ERROR),
        (Frame::new(kind::HEADERS, 4, 0, block(&get(&[]))), PROTOCOL_ERROR),
        (Frame::new(kind::HEADERS, 4, 2, block(&get(&[]))), PROTOCOL_ERROR),
        (Frame::new(kind::CONTINUATION, 4, 1, b""), PROTOCOL_ERROR),
        (Frame::new(kind::GOAWAY, 0, 1, [0; 8]), PROTOCOL_ERROR),
        (Frame::new(kind::PUSH_PROMISE, 4, 1, [0; 8]), PROTOCOL_ERROR),
        (Frame::new(kind::WINDOW_UPDATE, 0, 0, [0; 3]), FRAME_SIZE_ERROR),
        (Frame::new(kind::WINDOW_UPDATE, 0, 0, [0; 4]), PROTOCOL_ERROR),
        (Frame::new(kind::SETTINGS, 0, 0, [0, 2, 0, 0, 0, 2]), PROTOCOL_ERROR),
        (Frame::new(kind::SETTINGS, 0, 0, [0, 4, 0x80, 0, 0, 0]), 3),
        (Frame::new(kind::SETTINGS, 0, 0, [0, 5, 0, 0, 0, 1]), PROTOCOL_ERROR),
    ];
    for (frame, code) in cases {
        let mut raw = RawH2::connect(plane.address());
        raw.send(&frame);
        let goaway = raw.find(|frame| frame.kind == kind::GOAWAY);
        let goaway = goaway.unwrap_or_else(|| panic!("no GOAWAY for {frame:?}"));
        let got = goaway.code();
        assert!([code, PROTOCOL_ERROR].contains(&got), "{got} for {frame:?}");
        assert_eq!(raw.find(|_| false), None, "{frame:?}");
    }
    assert_eq!(plane.get(HOST, "/").status, 200);
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
fn extended_connect_is_for_websocket_alone() {
    let (plane, recorder) = plain();
    let fields = [
        (":method", "CONNECT"),
        (":protocol", "connect-udp"),
        (":scheme", "http"),
        (":authority", HOST),
        (":path", "/"),
    ];
    let payload = one(&plane, &fields).unwrap();
    assert!(!is_200(&payload));
    assert!(recorder.heads().is_empty());
}
