//! The plain way: requests in, responses out, whatever their framing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use std::{
    io::{Read as _, Write as _},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use common::{Config, Plane, plain, to};
use testkit::{
    gate::Gate,
    recorder::{Recorder, Reply},
    wire::Framing,
};

#[test]
fn a_request_reaches_the_backend_and_its_response_the_client() {
    let (plane, recorder) = plain();
    let mut client = plane.client();
    for path in ["/a", "/b?c=d"] {
        let response = client.get("shop.example", path);
        assert_eq!(response.status, 200);
        assert_eq!(response.json()["path"], path);
        assert_eq!(response.json()["host"], "shop.example");
    }
    let requests = recorder.wait_for(2);
    assert_eq!(requests[1].connection, 0, "the upstream connection is reused");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (plane, _recorder) = plain();
    let mut client = plane.client();
    let one = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: a.example\r\n\r\n");
    client.send([one("/1"), one("/2"), one("/3")].concat());
    for path in ["/1", "/2", "/3"] {
        assert_eq!(client.response("GET").json()["path"], path);
    }
}

#[test]
fn a_pipelined_request_behind_a_body_is_served_by_its_own_route() {
    let (plane, recorder) = plain();
    let other = Recorder::named("other");
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    config.service("other", &[other.addr()]);
    config.route("all", vec![to("/", "app"), to("/other", "other")]);
    plane.apply(&mut config);
    let mut client = plane.client();
    client.send(
        "POST /a HTTP/1.1\r\nhost: a.example\r\ncontent-length: 3\r\n\r\nabcGET /other HTTP/1.1\r\nhost: a.example\r\n\r\n",
    );
    assert_eq!(client.response("POST").json()["backend"], "backend");
    assert_eq!(client.response("GET").json()["backend"], "other");
    assert_eq!(recorder.requests()[0].text(), "abc");
}

#[test]
fn a_request_may_arrive_byte_by_byte() {
    let (plane, recorder) = plain();
    let mut client = plane.client();
    client.send_bytewise(
        b"POST /x HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    );
    assert_eq!(client.response("POST").status, 200);
    assert_eq!(recorder.wait_for(1)[0].text(), "abcde");
}

#[test]
fn a_body_of_known_length_is_forwarded_with_that_length() {
    let (plane, recorder) = plain();
    for size in [0usize, 1, 1000, 20_000, 70_000, 3_000_000] {
        let body = "x".repeat(size);
        let mut client = plane.client();
        client.send(format!(
            "POST / HTTP/1.1\r\nhost: a.example\r\ncontent-length: 00{size}\r\n\r\n{body}"
        ));
        assert_eq!(client.response("POST").status, 200);
        let request = recorder.requests().pop().unwrap();
        assert_eq!(request.framing, Framing::Length(size as u64));
        assert_eq!(request.body.content.len(), size);
    }
}

#[test]
fn a_chunked_body_keeps_its_trailers_but_not_its_extensions() {
    let (plane, recorder) = plain();
    let mut client = plane.client();
    client.send(
        "POST / HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nx-sum: 1\r\nhost: evil\r\n\r\n",
    );
    assert_eq!(client.response("POST").status, 200);
    let request = recorder.wait_for(1).remove(0);
    assert_eq!(request.text(), "abc");
    assert_eq!(request.body.trailers, [("x-sum".to_owned(), "1".to_owned())]);
    assert!(!request.body.raw.windows(3).any(|bytes| bytes == b"a=b"));
}

#[test]
fn responses_of_every_framing_and_size_arrive_whole() {
    let (plane, recorder) = plain();
    let mut client = plane.client();
    for size in [0usize, 5, 16_000, 100_000, 800_000] {
        let body = "y".repeat(size);
        recorder.script(Reply::status(200, &[], &body));
        let response = client.get("a.example", "/");
        assert_eq!(response.framing, Framing::Length(size as u64));
        assert_eq!(response.body.content.len(), size);
        let head = format!("head{body}");
        recorder.script(Reply::chunked(200, &[], &[&head, "tail"], &[("x-sum", "1")]));
        let response = client.get("a.example", "/");
        assert_eq!(response.framing, Framing::Chunked);
        assert_eq!(response.body.content.len(), size + 8);
        assert_eq!(response.body.trailers, [("x-sum".to_owned(), "1".to_owned())]);
        recorder.script(Reply::until_close(200, &[], &body));
        let response = client.get("a.example", "/");
        assert_eq!(response.framing, Framing::Chunked, "the client's connection outlives it");
        assert_eq!(response.body.content.len(), size);
    }
}

#[test]
fn an_http_1_0_client_gets_no_chunks() {
    let (plane, recorder) = plain();
    recorder.script(Reply::chunked(200, &[], &["abc", "de"], &[]));
    let mut client = plane.client();
    client.send("GET / HTTP/1.0\r\nhost: a.example\r\n\r\n");
    let response = client.response("GET");
    assert_eq!(response.framing, Framing::UntilClose);
    assert_eq!(response.text(), "abcde");
    let mut client = plane.client();
    client.send("GET / HTTP/1.0\r\nhost: a.example\r\nconnection: keep-alive\r\n\r\n");
    let response = client.response("GET");
    assert_eq!(response.field("connection"), Some("keep-alive"));
    assert_eq!(client.get("a.example", "/again").status, 200);
}

#[test]
fn responses_without_a_body_leave_the_connection_usable() {
    let (plane, recorder) = plain();
    let mut client = plane.client();
    recorder.script(Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"));
    client.send("HEAD / HTTP/1.1\r\nhost: a.example\r\n\r\n");
    assert_eq!(client.response("HEAD").field("content-length"), Some("1000"));
    recorder.script(Reply::raw("HTTP/1.1 204 No Content\r\n\r\n"));
    let response = client.get("a.example", "/");
    assert_eq!(response.status, 204);
    assert_eq!(response.field("content-length"), None);
    recorder
        .script(Reply::raw("HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\netag: x\r\n\r\n"));
    let response = client.get("a.example", "/");
    assert_eq!((response.status, response.field("content-length")), (304, Some("9")));
    assert_eq!(client.get("a.example", "/").status, 200);
    assert_eq!(recorder.connections(), 1);
}

#[test]
fn a_client_that_asks_to_close_is_closed() {
    let (plane, _recorder) = plain();
    let mut client = plane.client();
    client.send("GET / HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n");
    assert_eq!(client.response("GET").field("connection"), Some("close"));
    assert!(client.is_closed_by_peer());
}

#[test]
fn interim_responses_are_passed_on_before_the_final_one() {
    let (plane, recorder) = plain();
    recorder.script(Reply::new().read_body().interim(103, &[("link", "</a>")]).then_echo());
    let mut client = plane.client();
    let response = client.get("a.example", "/");
    assert_eq!(response.status, 200);
    assert_eq!(response.interim.len(), 1);
    assert_eq!(response.interim[0].field("link"), Some("</a>"));
}

#[test]
fn a_client_that_expects_100_sends_its_body_when_the_backend_said_so() {
    let (plane, recorder) = plain();
    recorder.script(Reply::new().interim(100, &[]).read_body().then_echo());
    let mut client = plane.client();
    client.send(
        "POST / HTTP/1.1\r\nhost: a.example\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n",
    );
    let head = client.read_head().unwrap();
    assert!(head.start.starts_with("HTTP/1.1 100"));
    client.send("abc");
    assert_eq!(client.response("POST").json()["body"], "abc");
}

#[test]
fn a_final_answer_instead_of_100_closes_the_connection() {
    let (plane, recorder) = plain();
    recorder.script(Reply::new().bytes("HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n"));
    let mut client = plane.client();
    client.send(
        "POST / HTTP/1.1\r\nhost: a.example\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n",
    );
    let response = client.response("POST");
    assert_eq!((response.status, response.field("connection")), (401, Some("close")));
    assert!(client.is_closed_by_peer());
    recorder.wait_for_open(0);
}

#[test]
fn a_response_may_come_while_the_body_is_still_sent() {
    let (plane, recorder) = plain();
    let gate = Gate::new();
    recorder.script(
        Reply::new()
            .bytes("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
            .wait(&gate)
            .read_body()
            .bytes("0\r\n\r\n"),
    );
    let mut client = plane.client();
    client.send("POST / HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\n");
    client.send("3\r\nabc\r\n");
    let head = client.read_head().unwrap();
    assert!(head.start.starts_with("HTTP/1.1 200"));
    client.send("2\r\nde\r\n0\r\n\r\n");
    gate.open();
    assert!(client.read_to_end().starts_with(b"3\r\none\r\n0\r\n\r\n"));
    assert_eq!(recorder.wait_for(1)[0].text(), "abcde");
}

/// More than twice what the kernel keeps for the two connections of a download.
const LARGE: usize = 96 << 20;

#[test]
fn memory_is_bounded_while_a_client_does_not_read() {
    let plane = Plane::start();
    let (small, large) = (Recorder::start(), testkit::ports::listener());
    let mut config = Config::http(plane.number());
    config.service("small", &[small.addr()]);
    config.service("large", &[large.local_addr().unwrap()]);
    config.route("all", vec![to("/large", "large"), to("/", "small")]);
    plane.apply(&mut config);
    let taken = Arc::new(AtomicUsize::new(0));
    let backend = std::thread::spawn({
        let taken = Arc::clone(&taken);
        move || {
            let (mut stream, _) = large.accept().unwrap();
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n").unwrap();
            let piece = vec![b'z'; 1 << 16];
            for _ in 0..LARGE / piece.len() {
                stream.write_all(&piece).unwrap();
                taken.fetch_add(piece.len(), Ordering::Relaxed);
            }
        }
    });
    let mut slow = plane.client();
    slow.send("GET /large HTTP/1.1\r\nhost: a.example\r\n\r\n");
    let held = testkit::eventually("the backend to wait", || {
        let before = taken.load(Ordering::Relaxed);
        // Another client of the same worker is served meanwhile.
        assert_eq!(plane.get("a.example", "/small").status, 200);
        (before > 0 && before == taken.load(Ordering::Relaxed)).then_some(before)
    });
    assert!(held < LARGE / 2, "{held} bytes were taken for a client that reads none");
    assert_eq!(slow.response("GET").body.content.len(), LARGE);
    backend.join().unwrap();
}

#[test]
fn two_workers_serve_one_port() {
    let plane = Plane::with(proxy::Limits::default(), proxy::AccessLog::Off, 2);
    let recorder = Recorder::start();
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    config.route("all", vec![to("/", "app")]);
    plane.apply(&mut config);
    let mut clients: Vec<_> = (0..100).map(|_| plane.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("a.example", "/").status, 200);
    }
    assert_eq!(plane.handle.connections(), 100);
    assert_eq!(plane.metrics().workers, 2);
}

#[test]
fn a_body_that_the_backend_did_not_take_never_becomes_a_request() {
    let (plane, recorder) = plain();
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n".repeat(1800);
    let body = smuggled.get(..60_000).unwrap();
    for early in [
        Reply::new().bytes("HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n").close(),
        Reply::new().bytes("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").reset(),
        Reply::new().close(),
        Reply::new().bytes("nonsense\r\n\r\n").reset(),
    ] {
        recorder.script(early);
        let mut client = plane.client();
        client.send("POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 60000\r\n\r\n");
        let before = recorder.heads().len();
        client.send(body);
        let Ok(response) = client.read_response("POST") else { continue };
        assert!([200, 413, 502].contains(&response.status), "{}", response.status);
        if response.field("connection").is_none() {
            assert_eq!(client.get("a", "/next").json()["path"], "/next");
        }
        assert!(recorder.heads().len() <= before + 2);
    }
    assert!(recorder.heads().iter().all(|request| request.target != "/smuggled"));
}
