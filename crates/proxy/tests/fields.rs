//! Fields on their way: hop by hop, forwarding, request ids.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use common::{Config, Plane, plain, to};
use ir::TrustedPeers;
use testkit::recorder::{Recorded, Recorder, Reply};

fn send(plane: &Plane, recorder: &Recorder, fields: &str) -> Recorded {
    let mut client = plane.client();
    client.send(format!("GET / HTTP/1.1\r\nhost: a.example:8080\r\n{fields}\r\n"));
    assert_eq!(client.response("GET").status, 200);
    recorder.requests().pop().unwrap()
}

fn trusting(trust: TrustedPeers) -> (Plane, Recorder) {
    let plane = Plane::start();
    let recorder = Recorder::start();
    let mut config = Config::http(plane.number());
    config.edit_listener("web", |listener| listener.http.trusted_peers = trust);
    config.service("app", &[recorder.addr()]);
    config.route("all", vec![to("/", "app")]);
    plane.apply(&mut config);
    (plane, recorder)
}

#[test]
fn hop_by_hop_fields_and_those_connection_lists_are_removed() {
    let (plane, recorder) = plain();
    let request = send(
        &plane,
        &recorder,
        "connection: close, x-secret, host, x-forwarded-for, authorization\r\nx-secret: 1\r\nkeep-alive: 5\r\nproxy-connection: x\r\nte: gzip\r\nauthorization: b\r\nx-kept: 2\r\nX_Under: 3\r\n",
    );
    for name in ["connection", "x-secret", "keep-alive", "proxy-connection", "te", "x_under"] {
        assert_eq!(request.field(name), None, "{name}");
    }
    assert_eq!(request.field("authorization"), Some("b"), "protected from removal");
    assert_eq!(request.field("host"), Some("a.example:8080"));
    assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.field("x-kept"), Some("2"));
}

#[test]
fn te_is_reduced_to_trailers() {
    let (plane, recorder) = plain();
    let request = send(&plane, &recorder, "connection: te\r\nte: gzip, trailers\r\n");
    assert_eq!(request.field("te"), Some("trailers"));
    assert_eq!(request.field("connection"), Some("te"));
}

#[test]
fn response_fields_that_belong_to_the_connection_are_removed() {
    let (plane, recorder) = plain();
    recorder.script(Reply::status(
        200,
        &[("connection", "x-inner"), ("x-inner", "1"), ("keep-alive", "2"), ("x-Kept", "3")],
        "",
    ));
    let response = plane.get("a", "/");
    assert_eq!(response.field("x-inner"), None);
    assert_eq!(response.field("keep-alive"), None);
    assert_eq!(response.field("x-kept"), Some("3"));
    assert!(response.field("date").is_some());
}

#[test]
fn forwarding_fields_of_a_stranger_are_replaced() {
    let (plane, recorder) = plain();
    let request = send(
        &plane,
        &recorder,
        "x-forwarded-for: 1.2.3.4\r\nx-forwarded-proto: https\r\nx-forwarded-host: evil\r\nx-forwarded-port: 1\r\nforwarded: for=1.2.3.4\r\nx-real-ip: 1.2.3.4\r\nx-request-id: mine\r\n",
    );
    let port = plane.number().to_string();
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "a.example:8080"),
        ("x-forwarded-port", &port),
        ("x-real-ip", "127.0.0.1"),
    ] {
        assert_eq!(request.head.all(name).collect::<Vec<_>>(), [value], "{name}");
    }
    assert_eq!(request.field("forwarded"), None);
    let id = request.field("x-request-id").unwrap();
    assert!(id.len() == 32 && id != "mine");
}

#[test]
fn forwarding_fields_of_a_trusted_peer_are_extended() {
    let networks = vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
    let (plane, recorder) = trusting(TrustedPeers { hops: 0, networks });
    let request = send(
        &plane,
        &recorder,
        "x-forwarded-for: 6.6.6.6, 203.0.113.7, 10.0.0.2\r\nx-forwarded-proto: https\r\nx-forwarded-host: front\r\nx-request-id: from-front\r\n",
    );
    for (name, value) in [
        ("x-forwarded-for", "6.6.6.6, 203.0.113.7, 10.0.0.2, 127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "front"),
        ("x-real-ip", "203.0.113.7"),
        ("x-request-id", "from-front"),
    ] {
        assert_eq!(request.head.all(name).collect::<Vec<_>>(), [value], "{name}");
    }
}

#[test]
fn a_hop_count_trusts_whoever_connects() {
    let (plane, recorder) = trusting(TrustedPeers { hops: 1, networks: Vec::new() });
    let request = send(&plane, &recorder, "x-forwarded-for: 6.6.6.6, 203.0.113.7\r\n");
    assert_eq!(request.field("x-real-ip"), Some("203.0.113.7"));
}

#[test]
fn values_with_high_bytes_pass_unchanged() {
    let (plane, recorder) = plain();
    let mut client = plane.client();
    client.send(b"GET / HTTP/1.1\r\nhost: a\r\nx-name:\xa0caf\xe9\xa0\r\n\r\n");
    assert_eq!(client.response("GET").status, 200);
    let request = recorder.wait_for(1).remove(0);
    assert_eq!(request.field("x-name"), Some("\u{a0}caf\u{e9}\u{a0}"));
}
