//! Hostile clients and odd inputs that no other test of this crate sends: paths, protected fields,
//! upgrades, slow readers, floods.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod common;

use common::{Config, Plane, path_match, plain, rule, to, with_filters};
use ir::{Action, EscapedSlashes, Filter, Origin, PathMatch, PathModifier, Redirect, Rewrite};
use proxy::{AccessLog, Limits, Reason};
use std::{sync::Arc, time::Duration};
use testkit::{
    gate::Gate,
    raw::{Client, Response},
    recorder::{Recorder, Reply},
};

fn nowhere() -> Origin {
    Origin::new(Arc::new(ir::ObjectRef::new("", "", "", "")), "")
}

/// Sends `bytes` in each way on a connection of its own.
fn in_all_ways(plane: &Plane, bytes: &[u8]) -> [Client; 3] {
    let mut clients = [plane.client(), plane.client(), plane.client()];
    drop(clients[0].try_send(bytes));
    clients[1].send_bytewise(bytes);
    clients[2].send_split(bytes, 7);
    clients
}

/// The one answer to `bytes`, however they are sent.
fn answer(plane: &Plane, bytes: &str) -> Response {
    let mut answers = in_all_ways(plane, bytes.as_bytes()).map(|mut client| client.response("GET"));
    assert!(answers.iter().all(|one| one.status == answers[0].status), "{bytes:?}: {answers:?}");
    let [first, ..] = &mut answers;
    first.clone()
}

/// A plane with one rule, and the recorder `app` behind it.
fn serving(rule: ir::Rule, limits: Limits) -> (Plane, Recorder) {
    let plane = Plane::with(limits, AccessLog::Off, 1);
    let recorder = Recorder::start();
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    config.route("all", vec![rule]);
    plane.apply(&mut config);
    (plane, recorder)
}

// Paths.

#[test]
fn parameters_of_path_segments_and_odd_escapes_are_opaque() {
    let (plane, recorder) = plain();
    for (sent, forwarded) in [
        ("/a..;/b", "/a..;/b"),
        ("/..;/b", "/..;/b"),
        ("/;x=/../b", "/b"),
        ("/a;v=1/./b", "/a;v=1/b"),
        ("/a%0d%0aset-cookie:%20x", "/a%0D%0Aset-cookie:%20x"),
        ("/%c0%ae%c0%ae/b", "/%C0%AE%C0%AE/b"),
        ("/a%5c..%5cb", "/a%5C..%5Cb"),
        ("/%252e%252e/b", "/%252e%252e/b"),
        ("/%2e%2e%2fb", "/..%2Fb"),
        ("/a//b/", "/a/b/"),
    ] {
        let before = recorder.requests().len();
        let head = format!("GET {sent} HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(answer(&plane, &head).status, 200, "{sent}");
        for request in &recorder.wait_for(before + 3)[before..] {
            assert_eq!(request.target, forwarded, "{sent}");
        }
    }
}

#[test]
fn paths_that_climb_above_the_root_or_cannot_be_read_are_400() {
    let (plane, recorder) = plain();
    for path in ["/..", "/../x", "/a/../../x", "/%2e%2E/x", "/%00", "/a%", "/%g0", "/%2", "/x%zz?y"]
    {
        let response = answer(&plane, &format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
        assert_eq!(response.status, 400, "{path}");
    }
    assert!(recorder.heads().is_empty());
}

#[test]
fn a_listener_may_refuse_escaped_slashes_and_keep_empty_segments() {
    let plane = Plane::start();
    let recorder = Recorder::start();
    let mut config = Config::http(plane.number());
    config.edit_listener("web", |listener| {
        listener.http.escaped_slashes = EscapedSlashes::Reject;
        listener.http.keep_empty_segments = true;
    });
    config.service("app", &[recorder.addr()]);
    config.route("all", vec![to("/", "app")]);
    plane.apply(&mut config);
    for path in ["/a%2fb", "/a%2Fb", "/a%5cb", "/%2f"] {
        let response = answer(&plane, &format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
        assert_eq!(response.status, 400, "{path}");
    }
    assert!(recorder.heads().is_empty());
    assert_eq!(plane.get("a", "//a//b").json()["path"], "//a//b");
}

#[test]
fn a_replaced_prefix_is_never_left_by_what_the_client_sends() {
    let mut rewriting = to("/api", "app");
    rewriting.matches = vec![path_match(PathMatch::Prefix("/api".into()))];
    let filter = Filter::Rewrite(Rewrite {
        origin: nowhere(),
        hostname: None,
        path: Some(PathModifier::ReplacePrefix("/v1/public".into())),
    });
    let (plane, recorder) = serving(with_filters(rewriting, vec![filter]), Limits::default());
    for (sent, forwarded) in [
        ("/api", Some("/v1/public")),
        ("/api/", Some("/v1/public/")),
        ("/api/x", Some("/v1/public/x")),
        ("/api/../secret", None),
        ("/api/%2e%2e/secret", None),
        ("/api../secret", None),
        ("/api%2e%2e/secret", None),
        ("/apix", None),
        ("/api/x/../../secret", None),
        ("/api%2f..%2fsecret", None),
    ] {
        let before = recorder.requests().len();
        let response = answer(&plane, &format!("GET {sent} HTTP/1.1\r\nhost: a\r\n\r\n"));
        let paths: Vec<String> =
            recorder.requests()[before..].iter().map(|request| request.target.clone()).collect();
        match forwarded {
            Some(path) => assert_eq!(paths, [path, path, path], "{sent}"),
            None => assert!(response.status == 404 && paths.is_empty(), "{sent}: {paths:?}"),
        }
    }
}

#[test]
fn a_redirect_never_splits_its_answer() {
    let redirect = Redirect {
        origin: nowhere(),
        scheme: None,
        hostname: Some("new.example".into()),
        path: None,
        port: None,
        status: 302,
    };
    let (plane, recorder) = serving(rule("/", Action::Redirect(redirect)), Limits::default());
    let response =
        answer(&plane, "GET /a%0d%0aset-cookie:%20x?b%0d%0ac HTTP/1.1\r\nhost: a.example\r\n\r\n");
    let location = response.field("location").unwrap();
    assert!(location.ends_with("/a%0D%0Aset-cookie:%20x?b%0d%0ac"), "{location}");
    assert_eq!(response.field("set-cookie"), None);
    assert!(recorder.heads().is_empty());
}

// Fields.

#[test]
fn connection_cannot_list_protected_fields_away() {
    let (plane, recorder) = plain();
    answer(
        &plane,
        "GET / HTTP/1.1\r\nhost: a\r\nauthorization: secret\r\ncookie: c\r\nx-own: 1\r\nconnection: close, host, authorization, x-forwarded-for, x-real-ip, x-request-id, cookie, x-own\r\n\r\n",
    );
    for request in recorder.wait_for(3) {
        assert_eq!(request.field("host"), Some("a"));
        assert_eq!(request.field("authorization"), Some("secret"));
        assert_eq!(request.field("cookie"), Some("c"));
        assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(request.field("x-real-ip"), Some("127.0.0.1"));
        assert!(request.field("x-request-id").is_some());
        assert_eq!(request.field("x-own"), None);
    }
}

#[test]
fn names_with_underscores_cannot_pose_as_fields_of_ours() {
    let (plane, recorder) = plain();
    answer(
        &plane,
        "GET / HTTP/1.1\r\nhost: a\r\nX_Forwarded_For: 6.6.6.6\r\nX_Request_Id: mine\r\nContent_Length: 9\r\n\r\n",
    );
    for request in recorder.wait_for(3) {
        assert!(request.head.fields.iter().all(|(name, _)| !name.contains('_')), "{request:?}");
    }
}

#[test]
fn a_name_of_a_mebibyte_is_431_long_before_its_end() {
    let (plane, recorder) = plain();
    let mut client = plane.client();
    client.send(format!("GET / HTTP/1.1\r\nhost: a\r\n{}", "x".repeat(70 * 1024)));
    assert_eq!(client.response("GET").status, 431);
    drop(client.try_send(&vec![b'x'; 1 << 20]));
    assert!(client.is_closed_by_peer());
    assert!(recorder.heads().is_empty());
}

// Upgrades and tunnels.

#[test]
fn an_upgrade_that_no_backend_accepts_stays_http_whatever_it_looks_like() {
    let key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let version = "sec-websocket-version: 13\r\n";
    for (start, fields, body) in [
        ("GET /ws HTTP/1.1", format!("sec-websocket-version: 7\r\n{key}"), ""),
        ("GET /ws HTTP/1.1", version.to_owned(), ""),
        ("POST /ws HTTP/1.1", format!("{version}{key}content-length: 5\r\n"), "hello"),
        ("GET /ws HTTP/1.1", format!("{version}{key}content-length: 5\r\n"), "hello"),
        ("GET /ws HTTP/1.0", format!("{version}{key}"), ""),
    ] {
        for status in [200, 426] {
            let (plane, recorder) = plain();
            recorder.on_path("/ws", Reply::status(status, &[], "no"));
            let head = format!(
                "{start}\r\nhost: a\r\nconnection: upgrade, keep-alive\r\nupgrade: websocket\r\n{fields}\r\n{body}"
            );
            for mut client in in_all_ways(&plane, head.as_bytes()) {
                assert_eq!(client.response("GET").status, status, "{head:?}");
                let next = client.get("a", "/next");
                assert_eq!(next.json()["path"], "/next", "{head:?}");
            }
            assert_eq!(recorder.wait_for(6).len(), 6, "{head:?}");
        }
    }
}

#[test]
fn a_request_behind_an_unknown_upgrade_is_judged_on_its_own() {
    let (plane, recorder) = plain();
    let bytes = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: foo\r\n\r\nGET /../admin HTTP/1.1\r\nhost: a\r\n\r\n";
    for mut client in in_all_ways(&plane, bytes.as_bytes()) {
        assert_eq!(client.response("GET").status, 200);
        assert_eq!(client.response("GET").status, 400);
    }
    assert_eq!(recorder.requests().len(), 3);
}

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn tunnel(plane: &Plane, recorder: &Recorder) -> Client {
    recorder.script(Reply::upgrade_echo("websocket"));
    let mut client = plane.client();
    client.send(UPGRADE);
    assert!(client.read_head().unwrap().start.starts_with("HTTP/1.1 101"));
    client.send("ping");
    assert_eq!(client.read_exact(4), b"ping");
    client
}

#[test]
fn an_idle_tunnel_is_closed() {
    let limits = Limits { tunnel_idle: Duration::from_millis(100), ..Limits::default() };
    let (plane, recorder) = serving(to("/", "app"), limits);
    let mut client = tunnel(&plane, &recorder);
    assert!(client.is_closed_by_peer());
    recorder.wait_for_open(0);
}

#[test]
fn a_tunnel_ends_at_the_deadline_of_a_drain() {
    let (plane, recorder) = plain();
    let mut client = tunnel(&plane, &recorder);
    assert_eq!(plane.drain(Duration::ZERO, Duration::from_millis(100)), 1);
    assert!(client.is_closed_by_peer());
}

// Bodies, answers and the connections they belong to.

#[test]
fn an_answer_before_the_body_of_expect_never_makes_a_request_of_it() {
    let plane = Plane::start();
    let mut config = Config::http(plane.number());
    config.route("none", vec![to("/api", "nobody")]);
    plane.apply(&mut config);
    let smuggled = "GET /api HTTP/1.1\r\nhost: a\r\n\r\n";
    let bytes = format!(
        "POST /no HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n{smuggled}",
        smuggled.len()
    );
    for mut client in in_all_ways(&plane, bytes.as_bytes()) {
        let refusal = client.response("POST");
        assert_eq!((refusal.status, refusal.field("connection")), (404, Some("close")));
        assert!(client.is_closed_by_peer());
    }
    assert_eq!(plane.reason(Reason::NoEndpoint), 0, "the body was never read as a request");
}

#[test]
fn bytes_behind_a_response_without_a_body_never_reach_another_client() {
    let evil = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    for (method, head) in [
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
    ] {
        let (plane, recorder) = plain();
        recorder.script(Reply::raw(format!("{head}{evil}")));
        let mut client = plane.client();
        client.send(format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n"));
        client.response(method);
        let next = plane.get("a", "/next");
        assert_eq!(next.json()["path"], "/next", "{method} {head:?}");
        let requests = recorder.wait_for(2);
        assert_ne!(requests[0].connection, requests[1].connection, "{method} {head:?}");
    }
}

#[test]
fn a_late_answer_to_a_request_that_timed_out_is_dropped() {
    let gate = Gate::new();
    let mut limited = to("/", "app");
    limited.timeouts.request = Some(Duration::from_millis(50));
    let (plane, recorder) = serving(limited, Limits::default());
    recorder.script(Reply::status(200, &[], "late").held_by(&gate));
    let mut client = plane.client();
    assert_eq!(client.get("a", "/slow").status, 504);
    gate.open();
    recorder.wait_for_open(0);
    assert_eq!(client.get("a", "/next").json()["path"], "/next");
}

#[test]
fn a_client_that_never_reads_is_closed() {
    let limits = Limits { write_idle: Duration::from_millis(200), ..Limits::default() };
    let (plane, recorder) = serving(to("/", "app"), limits);
    recorder.script(Reply::status(200, &[], vec![b'x'; 64 << 20]));
    let mut client = plane.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    recorder.wait_for_heads(1);
    testkit::eventually("the connection to be closed", || {
        (plane.handle.connections() == 0).then_some(())
    });
    recorder.wait_for_open(0);
    assert!(client.read_response("GET").is_err(), "the body is cut, never ended");
}

#[test]
fn many_connections_that_stop_in_their_head_end_at_its_deadline_and_disturb_nobody() {
    let limits = Limits { head_timeout: Duration::from_millis(300), ..Limits::default() };
    let (plane, recorder) = serving(to("/", "app"), limits);
    let mut slow: Vec<_> = (0..200).map(|_| plane.client()).collect();
    for client in &mut slow {
        client.send("GET / HTTP/1.1\r\nhost: a\r\nx:");
    }
    assert_eq!(plane.get("a", "/").status, 200);
    for client in &mut slow {
        assert_eq!(client.response("GET").status, 408);
        assert!(client.is_closed_by_peer());
    }
    assert_eq!(plane.reason(Reason::HeadTimeout), 200);
    assert_eq!(recorder.requests().len(), 1);
}

// Metrics.

#[test]
fn metric_series_stop_at_their_limit_and_requests_do_not() {
    let limits = Limits { metric_series: 3, ..Limits::default() };
    let plane = Plane::with(limits, AccessLog::Off, 1);
    let recorder = Recorder::start();
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    for number in 0..20 {
        config.route(&format!("r{number}"), vec![to(&format!("/{number}"), "app")]);
    }
    plane.apply(&mut config);
    let mut client = plane.client();
    for number in 0..20 {
        assert_eq!(client.get("a", &format!("/{number}")).status, 200);
    }
    plane.apply(&mut config);
    assert_eq!(client.get("a", "/1").status, 200);
    assert!(plane.metrics().series.len() <= 3, "{:?}", plane.metrics().series.len());
}
