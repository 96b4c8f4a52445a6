//! HTTP/2 by its sections: what RFC 9113 and RFC 7541 ask of a server, one frame sequence each. The
//! cases are those of h2spec's groups `generic`, `http2` and `hpack`; a case that stands in
//! `http2_hardening.rs` or `http2.rs` already is not repeated.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod common;

use common::{Plane, plain};
use testkit::h2::{Frame, RawH2, block, flag, kind};

const HOST: &str = "a.example";
const END: u8 = flag::END_HEADERS | flag::END_STREAM;
const NO_ERROR: u32 = 0;
const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE_ERROR: u32 = 6;
const COMPRESSION_ERROR: u32 = 9;

/// What a peer hears of what it sent.
#[derive(Clone, Copy, Debug)]
enum Heard {
    /// A response with status 200 on stream 1.
    Served,
    /// The acknowledgement of a PING with payload `!`.
    Pong,
    /// RST_STREAM, or the end of the connection, with one of these codes.
    Stream(&'static [u32]),
    /// GOAWAY with one of these codes, and the end of the connection.
    Goaway(&'static [u32]),
}

struct Case {
    name: &'static str,
    frames: Vec<Frame>,
    heard: Heard,
}

fn case(name: &'static str, frames: Vec<Frame>, heard: Heard) -> Case {
    Case { name, frames, heard }
}

fn fields(method: &str) -> Vec<u8> {
    block(&[(":method", method), (":scheme", "http"), (":authority", HOST), (":path", "/")])
}

/// HEADERS of a whole GET.
fn get(stream: u32) -> Frame {
    Frame::new(kind::HEADERS, END, stream, fields("GET"))
}

/// HEADERS of a POST whose body follows.
fn post(stream: u32) -> Frame {
    Frame::new(kind::HEADERS, flag::END_HEADERS, stream, fields("POST"))
}

/// HEADERS that END_HEADERS does not end, of a GET.
fn open_block(stream: u32) -> Frame {
    Frame::new(kind::HEADERS, flag::END_STREAM, stream, fields("GET"))
}

fn ping() -> Frame {
    Frame::new(kind::PING, 0, 0, [b'!'; 8])
}

fn priority(stream: u32, on: u32, weight: u8) -> Frame {
    Frame::new(kind::PRIORITY, 0, stream, [&on.to_be_bytes()[..], &[weight]].concat())
}

fn reset(stream: u32, code: u32) -> Frame {
    Frame::new(kind::RST_STREAM, 0, stream, code.to_be_bytes())
}

fn window(stream: u32, by: u32) -> Frame {
    Frame::new(kind::WINDOW_UPDATE, 0, stream, by.to_be_bytes())
}

fn settings(values: &[(u16, u32)]) -> Frame {
    let mut payload = Vec::new();
    for (id, value) in values {
        payload.extend(id.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    Frame::new(kind::SETTINGS, 0, 0, payload)
}

/// Sends frames with one write.
fn sent(raw: &mut RawH2, frames: &[Frame]) {
    let bytes: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
    // It may be closed by what it read already.
    raw.write(&bytes);
}

fn check(plane: &Plane, case: &Case) {
    let mut raw = RawH2::connect(plane.address());
    sent(&mut raw, &case.frames);
    let name = case.name;
    if matches!(case.heard, Heard::Pong) {
        raw.send(&ping());
    }
    match case.heard {
        Heard::Served => {
            let answer = raw.find(|frame| {
                matches!(frame.kind, kind::GOAWAY | kind::RST_STREAM)
                    || frame.kind == kind::HEADERS && frame.stream == 1
            });
            let answer = answer.unwrap_or_else(|| panic!("no answer: {name}"));
            assert_eq!(answer.kind, kind::HEADERS, "{name}: {answer:?}");
            assert_eq!(answer.payload.first(), Some(&0x88), "{name}: status 200");
        }
        Heard::Pong => {
            let pong = raw.find(|frame| {
                frame.kind == kind::GOAWAY
                    || frame.kind == kind::PING && frame.flags & flag::ACK != 0
            });
            let pong = pong.unwrap_or_else(|| panic!("no answer: {name}"));
            assert_eq!((pong.kind, &*pong.payload), (kind::PING, &[b'!'; 8][..]), "{name}");
        }
        Heard::Stream(codes) => {
            let end = raw.find(|frame| matches!(frame.kind, kind::GOAWAY | kind::RST_STREAM));
            let end = end.unwrap_or_else(|| panic!("neither reset nor GOAWAY: {name}"));
            assert!(codes.contains(&end.code()), "{name}: {end:?}");
        }
        Heard::Goaway(codes) => {
            let end = raw.find(|frame| frame.kind == kind::GOAWAY);
            let end = end.unwrap_or_else(|| panic!("no GOAWAY: {name}"));
            assert!(codes.contains(&end.code()), "{name}: {end:?}");
            assert_eq!(raw.find(|_| false), None, "{name}: the connection ends");
        }
    }
}

fn check_all(cases: Vec<Case>) {
    let (plane, _recorder) = plain();
    for case in &cases {
        check(&plane, case);
    }
    assert_eq!(plane.get(HOST, "/").status, 200, "nobody else is disturbed");
}

#[test]
fn frames_that_a_server_must_take_are_taken() {
    let padded = |kind_of, flags: u8, stream, payload: &[u8]| {
        let payload = [&[6][..], payload, &[0; 6]].concat();
        Frame::new(kind_of, flags | flag::PADDED, stream, payload)
    };
    let with_priority = [&[0, 0, 0, 0, 255][..], &fields("GET")].concat();
    let half = fields("GET");
    let (one, other) = half.split_at(9);
    let (two, three) = other.split_at(9);
    let begin = |piece: &[u8]| Frame::new(kind::HEADERS, flag::END_STREAM, 1, piece);
    let go_on = |flags, piece: &[u8]| Frame::new(kind::CONTINUATION, flags, 1, piece);
    let trailers = Frame::new(kind::HEADERS, END, 1, block(&[("x-trailer", "1")]));
    let served = |name, frames| case(name, frames, Heard::Served);
    check_all(vec![
        served("HEADERS", vec![get(1)]),
        served("HEAD", vec![Frame::new(kind::HEADERS, END, 1, fields("HEAD"))]),
        served("DATA", vec![post(1), Frame::data(1, "x", true)]),
        served(
            "several DATA",
            vec![post(1), Frame::data(1, "x", false), Frame::data(1, "y", true)],
        ),
        served("padded DATA", vec![post(1), padded(kind::DATA, flag::END_STREAM, 1, b"body")]),
        served("DATA of 16 KiB", vec![post(1), Frame::data(1, vec![b'x'; 16_384], true)]),
        served("trailers", vec![post(1), Frame::data(1, "x", false), trailers]),
        served("padded HEADERS", vec![padded(kind::HEADERS, END, 1, &fields("GET"))]),
        served(
            "HEADERS with priority",
            vec![Frame::new(kind::HEADERS, END | flag::PRIORITY, 1, with_priority)],
        ),
        served("PRIORITY on an idle stream", vec![priority(1, 0, 0), get(1)]),
        served("weight 256", vec![priority(1, 0, 255), get(1)]),
        served("a dependency", vec![priority(3, 1, 15), get(1)]),
        served("an exclusive dependency", vec![priority(3, 1 | 1 << 31, 15), get(1)]),
        served("PRIORITY for a later stream first", vec![priority(5, 0, 15), get(1)]),
        served("SETTINGS", vec![settings(&[(3, 100)]), get(1)]),
        served("settings that nobody knows", vec![settings(&[(0xff, 1)]), get(1)]),
        served("a window of the connection", vec![window(0, 1), get(1)]),
        served("a window of a stream", vec![get(1), window(1, 1)]),
        served("CONTINUATION", vec![begin(one), go_on(flag::END_HEADERS, other)]),
        served(
            "several CONTINUATION",
            vec![begin(one), go_on(0, two), go_on(0, b""), go_on(flag::END_HEADERS, three)],
        ),
        served("a frame that nobody knows", vec![Frame::new(0x42, 0xff, 0, "odd"), get(1)]),
        served(
            "flags that nobody knows",
            vec![Frame::new(kind::HEADERS, END | 0xd2 & !0x28, 1, half)],
        ),
    ]);
}

#[test]
fn a_connection_outlives_what_a_peer_may_say() {
    let pong = |name, frames| case(name, frames, Heard::Pong);
    let goaway = |code: u32| Frame::new(kind::GOAWAY, 0, 0, [[0; 4], code.to_be_bytes()].concat());
    check_all(vec![
        pong("PING", vec![]),
        pong("an acknowledgement that nobody waits for", vec![ack()]),
        pong("a reset with a code that nobody knows", vec![post(1), reset(1, 0xff)]),
        pong("a reset of a stream that is half closed", vec![get(1), reset(1, 8)]),
        pong("a window of a stream that is half closed", vec![get(1), window(1, 100)]),
        pong("PRIORITY on a stream that is half closed", vec![get(1), priority(1, 0, 0)]),
        pong("PRIORITY on a closed stream", vec![post(1), reset(1, 8), priority(1, 0, 0)]),
        pong("GOAWAY with a code that nobody knows", vec![goaway(0xff)]),
        pong("a large frame that nobody knows", vec![Frame::new(0x42, 0, 0, vec![0; 16_384])]),
        pong("settings are acknowledged", vec![settings(&[(4, 100), (4, 1)])]),
    ]);
}

fn ack() -> Frame {
    Frame::new(kind::PING, flag::ACK, 0, [b'?'; 8])
}

#[test]
fn settings_are_acknowledged_and_a_reserved_bit_is_ignored() {
    let (plane, _recorder) = plain();
    let mut raw = RawH2::connect(plane.address());
    raw.find(|frame| frame.kind == kind::SETTINGS && frame.flags & flag::ACK != 0).unwrap();
    let mut bytes = ping().bytes();
    bytes[5] |= 0x80;
    raw.write(&bytes);
    raw.find(|frame| frame.kind == kind::PING && frame.flags & flag::ACK != 0).unwrap();
}

#[test]
fn the_first_frame_is_settings_and_a_preface_that_is_none_is_refused() {
    let (plane, _recorder) = plain();
    let mut raw = RawH2::silent(plane.address());
    raw.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let first = raw.read().unwrap();
    assert_eq!((first.kind, first.flags, first.stream), (kind::SETTINGS, 0, 0));
    // A preface that breaks off in its second half; anything else is a request of HTTP/1.1.
    let mut raw = RawH2::silent(plane.address());
    raw.write(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
    assert!(raw.find(|frame| frame.kind == kind::HEADERS).is_none());
    // Another frame in the place of SETTINGS (RFC 9113 3.4).
    let mut raw = RawH2::silent(plane.address());
    raw.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    raw.send(&ping());
    assert_eq!(raw.find(|frame| frame.kind == kind::GOAWAY).unwrap().code(), PROTOCOL_ERROR);
}

#[test]
fn frames_in_a_state_that_has_no_place_for_them_are_errors() {
    const GONE: &[u32] = &[STREAM_CLOSED, PROTOCOL_ERROR];
    const PROTOCOL: &[u32] = &[PROTOCOL_ERROR];
    let go_on = Frame::new(kind::CONTINUATION, flag::END_HEADERS, 1, "");
    let more = || Frame::data(1, "x", true);
    let closed = || vec![post(1), Frame::data(1, "x", true)];
    let reset_first = || vec![post(1), reset(1, 8)];
    let then = |mut frames: Vec<Frame>, frame: Frame| {
        frames.push(frame);
        frames
    };
    check_all(vec![
        case("idle: DATA", vec![more()], Heard::Goaway(PROTOCOL)),
        case("idle: RST_STREAM", vec![reset(1, 8)], Heard::Goaway(PROTOCOL)),
        case("idle: WINDOW_UPDATE", vec![window(1, 100)], Heard::Goaway(PROTOCOL)),
        case("idle: CONTINUATION", vec![go_on.clone()], Heard::Goaway(PROTOCOL)),
        case("half closed: DATA", vec![get(1), more()], Heard::Stream(GONE)),
        case("half closed: HEADERS", vec![get(1), get(1)], Heard::Stream(GONE)),
        case("half closed: CONTINUATION", vec![get(1), go_on.clone()], Heard::Goaway(PROTOCOL)),
        case("reset: DATA", then(reset_first(), more()), Heard::Stream(GONE)),
        case("reset: HEADERS", then(reset_first(), get(1)), Heard::Stream(GONE)),
        case("reset: CONTINUATION", then(reset_first(), go_on.clone()), Heard::Goaway(PROTOCOL)),
        case("closed: DATA", then(closed(), more()), Heard::Stream(GONE)),
        case("closed: HEADERS", then(closed(), get(1)), Heard::Stream(GONE)),
        case("closed: CONTINUATION", then(closed(), go_on), Heard::Goaway(PROTOCOL)),
        case("a smaller identifier", vec![get(5), get(3)], Heard::Goaway(GONE)),
        case("a second head that ends nothing", vec![post(1), post(1)], Heard::Stream(PROTOCOL)),
        case("a dependency on itself", vec![priority(1, 1, 0)], Heard::Stream(PROTOCOL)),
    ]);
}

#[test]
fn a_block_of_fields_is_interrupted_by_nothing() {
    const PROTOCOL: &[u32] = &[PROTOCOL_ERROR];
    let whole = || Frame::new(kind::CONTINUATION, flag::END_HEADERS, 1, "");
    let go_on = || Frame::new(kind::CONTINUATION, 0, 1, "");
    let by = |frame: Frame| vec![open_block(1), frame];
    check_all(vec![
        case("PRIORITY", by(priority(1, 0, 0)), Heard::Goaway(PROTOCOL)),
        case("HEADERS of another stream", by(get(3)), Heard::Goaway(PROTOCOL)),
        case("DATA", by(Frame::data(1, "x", true)), Heard::Goaway(PROTOCOL)),
        case("PING", by(ping()), Heard::Goaway(PROTOCOL)),
        case("a frame that nobody knows", by(Frame::new(0x42, 0, 0, "")), Heard::Goaway(PROTOCOL)),
        case(
            "CONTINUATION of another stream",
            by(Frame::new(kind::CONTINUATION, flag::END_HEADERS, 3, "")),
            Heard::Goaway(PROTOCOL),
        ),
        case(
            "PING behind CONTINUATION",
            vec![open_block(1), go_on(), ping()],
            Heard::Goaway(PROTOCOL),
        ),
        case(
            "CONTINUATION behind the end of the block",
            vec![open_block(1), whole(), whole()],
            Heard::Goaway(PROTOCOL),
        ),
        case(
            "CONTINUATION behind DATA",
            vec![post(1), Frame::data(1, "x", false), whole()],
            Heard::Goaway(PROTOCOL),
        ),
    ]);
}

#[test]
fn sizes_beyond_what_was_agreed_on_are_errors() {
    const SIZE: &[u32] = &[FRAME_SIZE_ERROR];
    const PROTOCOL: &[u32] = &[PROTOCOL_ERROR];
    let large = vec![b'x'; 16_385];
    let padding = |kind_of, flags: u8| {
        let payload = [&[255][..], &fields("GET")].concat();
        Frame::new(kind_of, flags | flag::PADDED, 1, payload)
    };
    check_all(vec![
        case("DATA", vec![post(1), Frame::data(1, &large, true)], Heard::Stream(SIZE)),
        case("HEADERS", vec![Frame::new(kind::HEADERS, END, 1, &large)], Heard::Goaway(SIZE)),
        case(
            "PRIORITY",
            vec![Frame::new(kind::PRIORITY, 0, 1, [0, 0, 0, 0])],
            Heard::Stream(&[FRAME_SIZE_ERROR, PROTOCOL_ERROR]),
        ),
        case("PRIORITY of the connection", vec![priority(0, 1, 0)], Heard::Goaway(PROTOCOL)),
        case("padding of DATA", vec![post(1), padding(kind::DATA, 1)], Heard::Goaway(PROTOCOL)),
        case("padding of HEADERS", vec![padding(kind::HEADERS, END)], Heard::Goaway(PROTOCOL)),
        case("frames of 2^24", vec![settings(&[(5, 1 << 24)])], Heard::Goaway(PROTOCOL)),
    ]);
}

#[test]
fn windows_beyond_their_size_are_errors() {
    const FLOW: &[u32] = &[FLOW_CONTROL_ERROR];
    const MOST: u32 = (1 << 31) - 1;
    check_all(vec![
        case("of the connection", vec![window(0, MOST), window(0, MOST)], Heard::Goaway(FLOW)),
        case("of a stream", vec![post(1), window(1, MOST), window(1, MOST)], Heard::Stream(FLOW)),
        case(
            "by settings",
            vec![settings(&[(4, 1 << 31)])],
            Heard::Goaway(&[FLOW_CONTROL_ERROR, PROTOCOL_ERROR]),
        ),
        case("0 for a stream", vec![post(1), window(1, 0)], Heard::Stream(&[PROTOCOL_ERROR])),
    ]);
}

/// A client whose window is `size`, behind a request whose answer is larger.
fn narrow(plane: &Plane, size: u32) -> RawH2 {
    let mut raw = RawH2::connect(plane.address());
    sent(&mut raw, &[settings(&[(4, size)]), get(1)]);
    raw.find(|frame| frame.kind == kind::HEADERS && frame.stream == 1).unwrap();
    raw
}

#[test]
fn a_response_keeps_to_the_window_whatever_becomes_of_it() {
    let (plane, _recorder) = plain();
    let data = |frame: &Frame| frame.kind == kind::DATA && frame.stream == 1;
    let mut raw = narrow(&plane, 1);
    assert_eq!(raw.find(data).unwrap().payload.len(), 1);
    // A larger first window opens streams that are there (RFC 9113 6.9.2).
    sent(&mut raw, &[settings(&[(4, 4)])]);
    assert_eq!(raw.find(data).unwrap().payload.len(), 3);
    // A smaller one makes it negative: what opens next pays that first.
    sent(&mut raw, &[settings(&[(4, 1)]), window(1, 2), ping(), window(1, 2)]);
    let next = raw.find(|frame| data(frame) || frame.kind == kind::PING).unwrap();
    assert_eq!(next.kind, kind::PING, "the window was below zero");
    assert_eq!(raw.find(data).unwrap().payload.len(), 1);
}

#[test]
fn a_window_of_nothing_gets_the_head_alone() {
    let (plane, _recorder) = plain();
    let mut raw = narrow(&plane, 0);
    sent(&mut raw, &[ping()]);
    let next = raw.find(|frame| matches!(frame.kind, kind::DATA | kind::PING)).unwrap();
    assert_eq!(next.kind, kind::PING);
    sent(&mut raw, &[window(1, 100_000)]);
    assert!(raw.outcome(1).is_some_and(|end| end.kind == kind::DATA));
}

/// One field in each form of RFC 7541 section 6.
fn forms() -> Vec<(&'static str, Vec<u8>)> {
    // "user-agent" is index 58; "x-t" and "v" also in Huffman codes (RFC 7541 appendix B).
    let huffman_name = [0x83, 0xf2, 0xb2, 0x7f];
    let huffman_value = [0x81, 0xef];
    let plain_name = [&[3][..], b"x-t"].concat();
    let plain_value = [1, b'v'];
    let two = |first: &[u8], name: &[u8], value: &[u8]| [first, name, value].concat();
    vec![
        ("indexed", vec![0x90]),
        ("with indexing, indexed name", two(&[0x40 | 58], &[], &plain_value)),
        ("with indexing, indexed name, Huffman", two(&[0x40 | 58], &[], &huffman_value)),
        ("with indexing, new name", two(&[0x40], &plain_name, &plain_value)),
        ("with indexing, new name, Huffman", two(&[0x40], &huffman_name, &huffman_value)),
        ("without indexing, indexed name", two(&[0x0f, 58 - 15], &[], &plain_value)),
        ("without indexing, indexed name, Huffman", two(&[0x0f, 58 - 15], &[], &huffman_value)),
        ("without indexing, new name", two(&[0x00], &plain_name, &plain_value)),
        ("without indexing, new name, Huffman", two(&[0x00], &huffman_name, &huffman_value)),
        ("never indexed, indexed name", two(&[0x1f, 58 - 15], &[], &plain_value)),
        ("never indexed, indexed name, Huffman", two(&[0x1f, 58 - 15], &[], &huffman_value)),
        ("never indexed, new name", two(&[0x10], &plain_name, &plain_value)),
        ("never indexed, new name, Huffman", two(&[0x10], &huffman_name, &huffman_value)),
    ]
}

#[test]
fn fields_are_read_in_every_form_of_their_compression() {
    let (plane, recorder) = plain();
    let forms = forms();
    for (name, form) in &forms {
        let block = [fields("GET"), form.clone()].concat();
        let frames = vec![Frame::new(kind::HEADERS, END, 1, block)];
        check(&plane, &case(name, frames, Heard::Served));
    }
    for (name, sizes) in [("a size", &[0x20][..]), ("two sizes", &[0x20, 0x3f, 0xe1, 0x1f])] {
        let frames = vec![Frame::new(kind::HEADERS, END, 1, [sizes, &fields("GET")].concat())];
        check(&plane, &case(name, frames, Heard::Served));
    }
    let requests = recorder.wait_for(forms.len() + 2);
    for (request, (name, _)) in requests.iter().zip(&forms).skip(1) {
        let field = if name.contains("indexed name") { "user-agent" } else { "x-t" };
        assert_eq!(request.field(field), Some("v"), "{name}");
    }
    assert_eq!(requests[0].field("accept-encoding"), Some("gzip, deflate"));
}

#[test]
fn compression_that_breaks_its_rules_ends_the_connection() {
    const BROKEN: &[u32] = &[COMPRESSION_ERROR];
    let cases: [(&str, &[u8]); 7] = [
        ("index 0", &[0x80]),
        ("an index beyond the tables", &[0xc6]),
        ("a size behind a field", &[0x20]),
        ("a size beyond the agreed one", &[0x3f, 0xe2, 0x1f, 0x82]),
        (
            "padding of a Huffman code beyond seven bits",
            &[0x00, 0x83, 0xf2, 0xb2, 0x7f, 0x82, 0xef, 0xff],
        ),
        ("padding of a Huffman code with zeros", &[0x00, 0x83, 0xf2, 0xb2, 0x7f, 0x81, 0xee]),
        (
            "the end of strings in a Huffman code",
            &[0x00, 0x83, 0xf2, 0xb2, 0x7f, 0x84, 0xff, 0xff, 0xff, 0xff],
        ),
    ];
    let broken = |bytes: &[u8]| {
        let first = bytes.first() == Some(&0x3f);
        let block = if first { bytes.to_vec() } else { [&fields("GET"), bytes].concat() };
        vec![Frame::new(kind::HEADERS, END, 1, block)]
    };
    let cases = cases.iter().map(|(name, bytes)| case(name, broken(bytes), Heard::Goaway(BROKEN)));
    check_all(cases.collect());
}

#[test]
fn goaway_without_an_error_ends_a_connection_well() {
    let (plane, _recorder) = plain();
    let mut raw = RawH2::connect(plane.address());
    sent(&mut raw, &[get(1), Frame::new(kind::GOAWAY, 0, 0, [0; 8])]);
    assert!(raw.outcome(1).is_some_and(|end| end.kind != kind::RST_STREAM));
    raw.half_close();
    let last = raw.find(|frame| frame.kind == kind::GOAWAY);
    assert!(last.is_none_or(|last| last.code() == NO_ERROR));
}
