//! Answers of our own: what is refused never reaches a backend.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use common::{Config, Plane, cluster, path_match, plain, rule, to};
use ir::{Action, FailReason, HostPattern, PathMatch, Target};
use proxy::{Limits, Reason};
use std::time::Duration;
use testkit::recorder::Recorder;

/// Sends bytes and gives the status of the answer.
fn status_of(plane: &Plane, bytes: &str) -> u16 {
    let mut client = plane.client();
    client.send(bytes);
    client.response("GET").status
}

#[test]
fn an_answer_of_ours_says_nothing_internal_but_carries_the_request_id() {
    let (plane, recorder) = plain();
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    config.route("some", vec![to("/api", "app")]);
    plane.apply(&mut config);
    let mut client = plane.client();
    let response = client.get("a.example", "/other");
    assert_eq!(response.status, 404);
    let id = response.field("x-request-id").unwrap().to_owned();
    assert_eq!(id.len(), 32);
    assert_eq!(response.text(), format!("404 Not Found\nrequest id: {id}\n"));
    assert!(response.field("date").is_some());
    assert_eq!(client.get("a.example", "/api/x").status, 200, "the connection lives on");
    assert_eq!(plane.reason(Reason::NoRoute), 1);
    assert_eq!(recorder.requests().len(), 1);
}

#[test]
fn ambiguous_or_broken_requests_are_refused_and_reach_no_backend() {
    let (plane, recorder) = plain();
    let cases = [
        (
            "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
            400,
        ),
        (
            "GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n",
            400,
        ),
        ("GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a\r\ncontent-length: +3\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n", 501),
        ("GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding : chunked\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        ("GET / HTTP/1.1\nhost: a\n\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a, b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: u@a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a:99999\r\n\r\n", 400),
        ("GET /#x HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET * HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET c HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET /%zz HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET /%00 HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET /../../x HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET / HTTP/1.2\r\nhost: a\r\n\r\n", 505),
        ("GET / HTTP/1.1\r\nhost: a\r\nexpect: magic\r\ncontent-length: 1\r\n\r\n", 417),
        ("CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n", 405),
        ("TRACE / HTTP/1.1\r\nhost: a\r\n\r\n", 405),
    ];
    for (bytes, status) in cases {
        assert_eq!(status_of(&plane, bytes), status, "{bytes:?}");
    }
    assert!(recorder.heads().is_empty());
    assert_eq!(recorder.connections(), 0);
    assert_eq!(plane.reason(Reason::MethodNotAllowed), 2);
}

#[test]
fn http2_cannot_begin_behind_a_request_of_http1() {
    let (plane, _recorder) = plain();
    let mut client = plane.client();
    assert_eq!(client.get("a", "/").status, 200);
    let response = client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").response("GET");
    assert_eq!(response.status, 505);
    assert!(client.is_closed_by_peer());
    assert_eq!(plane.reason(Reason::Http2Preface), 1);
}

#[test]
fn limits_of_the_head_have_their_own_answers() {
    let (plane, _recorder) = plain();
    let long = "x".repeat(17 * 1024);
    assert_eq!(status_of(&plane, &format!("GET /{long} HTTP/1.1\r\nhost: a\r\n\r\n")), 414);
    let value = "x".repeat(33 * 1024);
    assert_eq!(status_of(&plane, &format!("GET / HTTP/1.1\r\nhost: a\r\nb: {value}\r\n\r\n")), 431);
    let many = "b: c\r\n".repeat(101);
    assert_eq!(status_of(&plane, &format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n")), 431);
    let large = format!("b: {}\r\n", "x".repeat(30 * 1024)).repeat(3);
    assert_eq!(status_of(&plane, &format!("GET / HTTP/1.1\r\nhost: a\r\n{large}\r\n")), 431);
    let fits = format!("b: {}\r\n", "x".repeat(30 * 1024)).repeat(2);
    assert_eq!(status_of(&plane, &format!("GET / HTTP/1.1\r\nhost: a\r\n{fits}\r\n")), 200);
}

#[test]
fn a_broken_chunk_aborts_the_upstream_request_and_is_400() {
    let (plane, recorder) = plain();
    let mut client = plane.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n");
    recorder.wait_for_heads(1);
    client.send("zz\r\n");
    let response = client.response("POST");
    assert_eq!((response.status, response.field("connection")), (400, Some("close")));
    recorder.wait_for_open(0);
    assert!(recorder.requests().is_empty(), "it never became a whole request");
    assert_eq!(plane.reason(Reason::BadBody), 1);
}

#[test]
fn a_refused_request_with_a_small_body_keeps_the_connection() {
    let (plane, recorder) = plain();
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    config.route("some", vec![to("/api", "app")]);
    plane.apply(&mut config);
    let mut client = plane.client();
    let smuggled = "GET /api HTTP/1.1\r\nhost: a\r\n\r\n";
    client.send(format!(
        "POST /no HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{smuggled}",
        smuggled.len()
    ));
    assert_eq!(client.response("POST").status, 404);
    assert_eq!(client.get("a", "/api/next").json()["path"], "/api/next");
    assert_eq!(recorder.requests().len(), 1, "the body never became a request");
    client.send("POST /no HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n");
    let response = client.response("POST");
    assert_eq!((response.status, response.field("connection")), (404, Some("close")));
    assert!(client.is_closed_by_peer());
}

#[test]
fn options_asterisk_is_answered_here() {
    let (plane, recorder) = plain();
    assert_eq!(status_of(&plane, "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n"), 200);
    assert!(recorder.heads().is_empty());
}

#[test]
fn failing_actions_and_backends_answer_500() {
    let plane = Plane::start();
    let mut config = Config::http(plane.number());
    let failing = |reason| {
        let mut backend = common::backend("none", 1);
        backend.target = Target::Fail(reason);
        backend
    };
    config.route(
        "fail",
        vec![
            rule("/rule", Action::Fail(FailReason::UnsupportedRule)),
            rule("/share", Action::Forward(vec![failing(FailReason::InvalidBackend)])),
            to("/empty", "nobody"),
        ],
    );
    plane.apply(&mut config);
    assert_eq!(plane.get("a", "/rule").status, 500);
    assert_eq!(plane.get("a", "/share").status, 500);
    assert_eq!(plane.get("a", "/empty").status, 503);
    assert_eq!(plane.reason(Reason::UnsupportedRule), 1);
    assert_eq!(plane.reason(Reason::InvalidBackend), 1);
    assert_eq!(plane.reason(Reason::NoEndpoint), 1);
}

#[test]
fn a_host_that_no_listener_serves_is_404() {
    let plane = Plane::start();
    let recorder = Recorder::start();
    let mut config = Config::http(plane.number());
    config.edit_listener("web", |listener| {
        listener.hostname = Some(HostPattern::new("*.shop.example"));
    });
    config.service("app", &[recorder.addr()]);
    config.route("all", vec![to("/", "app")]);
    plane.apply(&mut config);
    assert_eq!(plane.get("other.example", "/").status, 404);
    assert_eq!(plane.get("a.shop.example", "/").status, 200);
    assert_eq!(plane.get("A.Shop.Example.:8080", "/").status, 200);
    assert_eq!(plane.reason(Reason::NoListener), 1);
}

#[test]
fn the_matched_path_is_the_forwarded_path() {
    let plane = Plane::start();
    let (open, secret) = (Recorder::named("open"), Recorder::named("secret"));
    let mut config = Config::http(plane.number());
    config.service("open", &[open.addr()]);
    config.service("secret", &[secret.addr()]);
    let exact = |path: &str, service| {
        let mut rule = to("/", service);
        rule.matches = vec![path_match(PathMatch::Exact(path.into()))];
        rule
    };
    config.route("paths", vec![to("/", "open"), to("/admin", "secret"), exact("/x y", "secret")]);
    plane.apply(&mut config);
    for (sent, backend, path) in [
        ("/a/../admin/x", "secret", "/admin/x"),
        ("/%61dmin", "secret", "/admin"),
        ("/a/%2e%2e/admin", "secret", "/admin"),
        ("//admin", "secret", "/admin"),
        ("/adminx", "open", "/adminx"),
        ("/a%2fadmin", "open", "/a%2Fadmin"),
        ("/%2561dmin", "open", "/%2561dmin"),
        ("/?x=/../admin", "open", "/?x=/../admin"),
    ] {
        let response = plane.get("a.example", sent).json();
        assert_eq!((&response["backend"], &response["path"]), (&backend.into(), &path.into()));
    }
    assert_eq!(cluster("open").to_string(), "shop/open:80");
}

#[test]
fn an_absolute_target_wins_over_the_host_field() {
    let (plane, recorder) = plain();
    let mut client = plane.client();
    client.send("GET http://real.example:81/x?y HTTP/1.1\r\nhost: other.example\r\n\r\n");
    assert_eq!(client.response("GET").status, 200);
    let request = recorder.wait_for(1).remove(0);
    assert_eq!(request.target, "/x?y");
    assert_eq!(request.field("host"), Some("real.example:81"));
}

#[test]
fn a_head_that_never_ends_is_408() {
    let limits = Limits { head_timeout: Duration::from_millis(100), ..Limits::default() };
    let plane = Plane::with(limits, proxy::AccessLog::Off, 1);
    let mut config = Config::http(plane.number());
    plane.apply(&mut config);
    let mut client = plane.client();
    client.send("GET / HTTP/1.1\r\nhost:");
    assert_eq!(client.response("GET").status, 408);
    assert!(client.is_closed_by_peer());
    assert_eq!(plane.reason(Reason::HeadTimeout), 1);
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let limits = Limits {
        keep_alive: Duration::from_millis(100),
        linger: Duration::from_millis(20),
        ..Limits::default()
    };
    let plane = Plane::with(limits, proxy::AccessLog::Off, 1);
    let recorder = Recorder::start();
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    config.route("all", vec![to("/", "app")]);
    plane.apply(&mut config);
    let mut fresh = plane.client();
    let mut used = plane.client();
    assert_eq!(used.get("a", "/").status, 200);
    assert!(fresh.is_closed_by_peer());
    assert!(used.is_closed_by_peer());
}

#[test]
fn connections_beyond_the_cap_are_closed_and_counted() {
    let limits = Limits { connections: 3, ..Limits::default() };
    let plane = Plane::with(limits, proxy::AccessLog::Off, 1);
    let recorder = Recorder::start();
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    config.route("all", vec![to("/", "app")]);
    plane.apply(&mut config);
    let mut clients: Vec<_> = (0..3).map(|_| plane.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("a", "/").status, 200);
    }
    assert!(plane.client().is_closed_by_peer());
    assert_eq!(plane.total("connections_refused"), 1);
    drop(clients);
    testkit::eventually("room for a connection", || (plane.handle.connections() < 3).then_some(()));
    assert_eq!(plane.get("a", "/").status, 200);
}
