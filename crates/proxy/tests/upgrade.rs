//! Upgrades: a tunnel only after 101, HTTP otherwise.

mod common;

use common::plain;
use testkit::recorder::Reply;

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[test]
fn a_websocket_is_a_tunnel_after_101() {
    let (plane, recorder) = plain();
    recorder.script(Reply::upgrade_echo("websocket"));
    let mut client = plane.client();
    client.send(UPGRADE);
    let head = client.read_head().unwrap();
    assert!(head.start.starts_with("HTTP/1.1 101"));
    assert_eq!(head.field("upgrade"), Some("websocket"));
    assert_eq!(head.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    for piece in ["hello", "world"] {
        client.send(piece);
        assert_eq!(client.read_exact(5), piece.as_bytes());
    }
    client.send("last").shutdown_write();
    assert_eq!(client.read_to_end(), b"last", "the half-close is passed on");
    assert_eq!(plane.total("tunnels"), 1);
}

#[test]
fn bytes_sent_with_the_upgrade_go_through_the_tunnel() {
    let (plane, recorder) = plain();
    recorder.script(Reply::upgrade_echo("websocket"));
    let mut client = plane.client();
    client.send(format!("{UPGRADE}early"));
    assert!(client.read_head().unwrap().start.starts_with("HTTP/1.1 101"));
    assert_eq!(client.read_exact(5), b"early");
}

#[test]
fn another_protocol_is_a_tunnel_too() {
    let (plane, recorder) = plain();
    recorder.script(Reply::upgrade_echo("chat/1"));
    let mut client = plane.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: chat/1\r\n\r\n");
    let head = client.read_head().unwrap();
    assert!(head.start.starts_with("HTTP/1.1 101"), "{}", head.start);
    assert_eq!(head.field("upgrade"), Some("chat/1"));
    client.send("hello");
    assert_eq!(client.read_exact(5), b"hello");
}

#[test]
fn without_a_101_the_connection_stays_http() {
    let (plane, recorder) = plain();
    recorder.script(Reply::status(426, &[("upgrade", "other")], "no"));
    let mut client = plane.client();
    client.send(format!("{UPGRADE}GET /second HTTP/1.1\r\nhost: a\r\n\r\n"));
    assert_eq!(client.response("GET").status, 426);
    assert_eq!(client.response("GET").json()["path"], "/second");
    assert_eq!(recorder.wait_for(2)[0].field("upgrade"), Some("websocket"));
}

#[test]
fn an_upgrade_to_http_2_is_not_passed_on() {
    let (plane, recorder) = plain();
    let mut client = plane.client();
    client.send(
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n",
    );
    assert_eq!(client.response("GET").status, 200);
    let request = recorder.wait_for(1).remove(0);
    for name in ["upgrade", "connection", "http2-settings"] {
        assert_eq!(request.field(name), None, "{name}");
    }
}

#[test]
fn a_101_for_another_protocol_is_502() {
    let (plane, recorder) = plain();
    recorder.script(Reply::raw(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n",
    ));
    let mut client = plane.client();
    client.send(UPGRADE);
    assert_eq!(client.response("GET").status, 502);
    recorder.wait_for_open(0);
}
