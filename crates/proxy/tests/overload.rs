//! A process near its bounds gives things up in order, and takes them back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use common::{Config, Plane, to, with_filters};
use ir::{FieldName, FieldValue, Filter, HeaderModifier};
use proxy::{AccessLog, Limits, Reason};
use std::time::{Duration, Instant};
use testkit::{
    gate::Gate,
    h2::{Frame, RawH2, kind},
    recorder::{Recorder, Reply},
};

const LIMIT: Duration = Duration::from_secs(30);

fn serve(limits: Limits) -> (Plane, Recorder) {
    let plane = Plane::with(limits, AccessLog::Off, 1);
    let recorder = Recorder::start();
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    let mark = (FieldName::new("x-served").unwrap(), FieldValue::new("yes").unwrap());
    let modifier = HeaderModifier { set: vec![mark], ..HeaderModifier::default() };
    let marked = with_filters(to("/", "app"), vec![Filter::ResponseHeaders(modifier)]);
    config.route("all", vec![marked]);
    plane.apply(&mut config);
    (plane, recorder)
}

fn fields(method: &str) -> [(&str, &str); 4] {
    [(":method", method), (":scheme", "http"), (":authority", "a"), (":path", "/")]
}

fn path(path: &str) -> [(&str, &str); 4] {
    [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", path)]
}

fn wait_until(what: &str, mut reached: impl FnMut() -> bool) {
    let until = Instant::now() + LIMIT;
    while !reached() {
        assert!(Instant::now() < until, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn without_memory_requests_and_connections_are_refused_until_there_is_some_again() {
    const SPARE: usize = 1 << 30;
    let memory = Some(resident() + SPARE);
    // To fill the memory may take long, and half a head waits for it.
    let limits = Limits { memory, head_timeout: LIMIT, ..Limits::default() };
    let (plane, recorder) = serve(limits);
    let (mut idle, mut busy) = (plane.client(), plane.client());
    assert_eq!(idle.get("a", "/").status, 200);
    assert_eq!(busy.get("a", "/").field("x-served"), Some("yes"));
    recorder.on_path("/large", Reply::status(200, &[], vec![b'x'; 100_000]));
    let mut stalled = RawH2::connect(plane.address());
    // SETTINGS_INITIAL_WINDOW_SIZE of 0.
    stalled.send(&Frame::new(kind::SETTINGS, 0, 0, [0, 4, 0, 0, 0, 0]));
    let large = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/large")];
    stalled.send(&Frame::headers(1, &large, true));
    assert!(stalled.find(|frame| frame.kind == kind::HEADERS).is_some());
    // Half a head: the connection is not idle, so it is not closed. Nor is one with a stream.
    busy.send("GET / HTTP/1.1\r\n");
    let mut streams = RawH2::connect(plane.address());
    streams.send(&Frame::headers(1, &fields("POST"), false));
    recorder.wait_for_heads(4);
    let hoard = vec![1u8; SPARE];
    wait_until("pressure", || plane.total("memory_pressure") == 3);
    assert!(idle.is_closed_by_peer(), "an idle connection is given up");
    assert!(stalled.find(|frame| frame.kind == kind::RST_STREAM).is_some(), "it takes no answer");
    busy.send("host: a\r\n\r\n");
    let refused = busy.response("GET");
    assert_eq!((refused.status, refused.field("connection")), (503, Some("close")));
    assert_eq!(refused.field("x-served"), None, "nothing of the answer before is left in it");
    assert!(streams.find(|frame| frame.kind == kind::GOAWAY).is_some(), "no more are wanted");
    streams.send(&Frame::headers(3, &fields("GET"), true));
    let refused = streams.find(|frame| frame.stream == 3).unwrap();
    assert_eq!(refused.kind, kind::HEADERS, "a stream that comes all the same is answered");
    assert_eq!((plane.reason(Reason::Shed), plane.total("requests_shed")), (3, 3));
    streams.send(&Frame::data(1, "x", true));
    assert!(streams.outcome(1).is_some_and(|end| end.kind != kind::RST_STREAM), "what runs ends");
    assert!(plane.client().is_closed_by_peer(), "a new connection is closed");
    assert_eq!(recorder.requests().len(), 4, "nothing more reached the backend");
    assert!(hoard.iter().step_by(1 << 20).all(|byte| *byte == 1));
    drop(hoard);
    wait_until("relief", || plane.total("memory_pressure") == 0);
    assert_eq!(plane.get("a", "/").status, 200);
}

#[test]
fn no_more_requests_are_in_progress_than_there_is_room_for() {
    let (plane, recorder) = serve(Limits { requests: 2, ..Limits::default() });
    let gate = Gate::new();
    recorder.on_path("/held", Reply::echo().held_by(&gate));
    let (mut first, mut second) = (plane.client(), RawH2::connect(plane.address()));
    first.send("GET /held HTTP/1.1\r\nhost: a\r\n\r\n");
    second.send(&Frame::headers(1, &path("/held"), true));
    recorder.wait_for_heads(2);
    let refused = plane.get("a", "/");
    assert_eq!((refused.status, refused.field("connection")), (503, Some("close")));
    // A client that opens no window must not make us hold the refusal.
    let mut stalled = RawH2::connect(plane.address());
    stalled.send(&Frame::new(kind::SETTINGS, 0, 0, [0, 4, 0, 0, 0, 0]));
    stalled.send(&Frame::headers(1, &path("/"), true));
    let answer = stalled.find(|frame| frame.stream == 1).unwrap();
    assert_eq!((answer.kind, answer.status()), (kind::HEADERS, Some(503)));
    assert_eq!(answer.flags & 1, 1, "the whole answer: END_STREAM");
    assert_eq!(plane.total("requests_shed"), 2);
    gate.open();
    assert_eq!(first.response("GET").status, 200);
    let answer = second.find(|frame| frame.stream == 1).unwrap();
    assert_eq!((answer.kind, answer.status()), (kind::HEADERS, Some(200)));
    let served = || (plane.get("a", "/").status == 200).then_some(());
    testkit::eventually("room for a request", served);
}

#[test]
fn near_the_bound_of_connections_late_ones_give_way_and_those_before_stay() {
    let (plane, _recorder) = serve(Limits { connections: 10, ..Limits::default() });
    let mut kept: Vec<_> = (0..8).map(|_| plane.client()).collect();
    for client in &mut kept {
        assert_eq!(client.get("a", "/").field("connection"), None);
    }
    let mut last = plane.client();
    assert_eq!(last.get("a", "/").field("connection"), Some("close"));
    assert!(last.is_closed_by_peer());
    let _another = plane.client();
    let crowded = || (plane.total("connections_open") == 9).then_some(());
    testkit::eventually("another one", crowded);
    for client in &mut kept {
        let answer = client.get("a", "/");
        assert_eq!((answer.status, answer.field("connection")), (200, None));
    }
}

#[test]
fn a_client_that_takes_a_byte_at_a_time_is_not_waited_for_forever() {
    let limits =
        Limits { write_idle: Duration::from_millis(300), write_rate: 1000, ..Limits::default() };
    let (plane, recorder) = serve(limits);
    recorder.on_path("/large", Reply::status(200, &[], vec![b'x'; 100_000]));
    let mut client = RawH2::connect(plane.address());
    client.send(&Frame::new(kind::SETTINGS, 0, 0, [0, 4, 0, 0, 0, 0]));
    client.send(&Frame::headers(1, &path("/large"), true));
    let until = Instant::now() + LIMIT;
    // No pause between two bytes is as long as the idle limit, but all of them together are.
    while plane.reason(Reason::WriteTimeout) == 0 {
        assert!(Instant::now() < until, "the response lasts");
        client.send(&Frame::new(kind::WINDOW_UPDATE, 0, 1, [0, 0, 0, 1]));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(client.find(|frame| frame.kind == kind::RST_STREAM).is_some());
}

#[test]
fn the_kernel_takes_only_so_much_of_a_response_that_nobody_reads() {
    let limits = Limits { write_idle: Duration::from_millis(300), ..Limits::default() };
    let (plane, recorder) = serve(limits);
    recorder.on_path("/large", Reply::status(200, &[], vec![b'x'; 16 << 20]));
    let mut client = plane.client();
    client.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n");
    let cut = || (plane.reason(Reason::WriteTimeout) == 1).then_some(());
    testkit::eventually("the end of a response that is not read", cut);
    // With the client's own buffer, which it cannot know either; else it would be the whole.
    assert!(plane.total("downstream_sent_bytes") < 1 << 20);
}

#[test]
fn one_client_address_gets_no_more_than_its_share() {
    let limits = Limits { connections_per_source: Some(2), ..Limits::default() };
    let (plane, _recorder) = serve(limits);
    let (mut first, mut second) = (plane.client(), plane.client());
    assert_eq!((first.get("a", "/").status, second.get("a", "/").status), (200, 200));
    assert!(plane.client().is_closed_by_peer());
    assert_eq!(plane.total("connections_refused"), 1);
    drop(first);
    wait_until("the end of a connection", || plane.total("connections_open") == 1);
    assert_eq!(plane.client().get("a", "/").status, 200);
}

#[test]
fn a_body_that_trickles_is_not_waited_for_forever() {
    let limits =
        Limits { body_idle: Duration::from_millis(300), body_rate: 1000, ..Limits::default() };
    let (plane, _recorder) = serve(limits);
    let mut client = plane.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n");
    let until = Instant::now() + LIMIT;
    // No pause between two bytes is as long as the idle limit, but all of them together are.
    while client.is_silent(Duration::from_millis(20)) {
        assert!(Instant::now() < until, "the connection lasts");
        client.send("x");
    }
    assert_eq!(client.response("POST").status, 408);
    assert_eq!(plane.reason(Reason::BodyTimeout), 1);
}
