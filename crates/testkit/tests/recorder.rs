//! The recorder and the raw client against each other.

use std::{io::Write as _, net::TcpStream, time::Duration};
use testkit::{
    certs::Authority,
    gate::Gate,
    raw::{self, Client},
    recorder::{Recorder, Reply, hostile},
    wire::{Framing, WireError},
};

const POST: &str = "POST /in?q=1 HTTP/1.1\r\nHost: a.example\r\nX-One: 1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 3\r\n\r\n";

#[test]
fn a_request_is_recorded_byte_for_byte_however_it_is_cut() {
    let backend = Recorder::named("shop/cart:80");
    let mut client = Client::connect(backend.addr());
    client.send(POST).response("POST");
    client.send_bytewise(POST.as_bytes()).response("POST");
    for seed in 0..20 {
        client.send_split(POST.as_bytes(), seed).response("POST");
    }
    let requests = backend.wait_for(22);
    assert!(requests.iter().all(|request| request.connection == 0));
    for request in requests {
        let sent = [request.head.raw.as_slice(), &request.body.raw].concat();
        assert_eq!(String::from_utf8(sent).unwrap(), POST);
        assert_eq!(request.body.trailers, [("x-sum".to_owned(), "3".to_owned())]);
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn the_echo_says_what_arrived_and_who_answered() {
    let backend = Recorder::named("shop/cart:80");
    let echo = Client::connect(backend.addr()).send(POST).response("POST").json();
    assert_eq!(echo["backend"], "shop/cart:80");
    assert_eq!(echo["path"], "/in?q=1");
    assert_eq!(echo["host"], "a.example");
    assert_eq!(echo["headers"][1], serde_json::json!(["X-One", "1"]));
    assert_eq!(echo["body"], "abc");
}

#[test]
fn a_gate_orders_events_without_sleeping() {
    let backend = Recorder::start();
    let gate = Gate::new();
    backend.script(Reply::status(200, &[], "late").held_by(&gate));
    let mut client = Client::connect(backend.addr());
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    backend.wait_for_heads(1);
    gate.wait_for_waiters(1);
    assert!(client.is_silent(Duration::from_millis(20)));
    gate.open();
    assert_eq!(client.response("GET").text(), "late");
}

#[test]
fn scripts_answer_early_dribble_and_speak_before_the_final_response() {
    let backend = Recorder::start();
    let early = Reply::new().bytes("HTTP/1.1 413 Big\r\ncontent-length: 0\r\n\r\n").close();
    backend.script(early);
    let mut client = Client::connect(backend.addr());
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n");
    assert_eq!(client.response("POST").status, 413);
    assert!(client.is_closed_by_peer());
    assert!(backend.requests().is_empty() && backend.heads().len() == 1);

    let slow = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc";
    backend.script(Reply::new().interim(103, &[("link", "</a>")]).read_body().dribble(slow, 1));
    let response = raw::get(backend.addr(), "a", "/");
    assert_eq!(response.text(), "abc");
    assert_eq!(response.interim[0].field("link"), Some("</a>"));

    backend.script(Reply::chunked(200, &[], &["ab", "c"], &[("x-t", "1")]));
    let response = raw::get(backend.addr(), "a", "/");
    assert_eq!((response.framing, response.body.chunks.len()), (Framing::Chunked, 2));
    backend.script(Reply::until_close(200, &[], "to the end"));
    assert_eq!(raw::get(backend.addr(), "a", "/").framing, Framing::UntilClose);
}

#[test]
fn a_reset_a_close_and_a_stop_are_seen_as_such() {
    let backend = Recorder::start();
    backend.script(Reply::new().read_body().reset()).script(Reply::new().read_body().close());
    let mut client = Client::connect(backend.addr());
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(matches!(client.read_response("GET"), Err(WireError::Cut(_))));
    let mut client = Client::connect(backend.addr());
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(matches!(client.read_response("GET"), Err(WireError::Closed)));
    backend.wait_for_open(0);
    let mut idle = Client::connect(backend.addr());
    assert_eq!(idle.get("a", "/").status, 200);
    backend.stop();
    assert!(idle.is_closed_by_peer());
    assert!(TcpStream::connect(backend.addr()).is_err());
}

#[test]
fn an_upgraded_connection_echoes_bytes_that_came_with_the_request_too() {
    let backend = Recorder::start();
    backend.on_path("/ws", Reply::upgrade_echo("websocket"));
    let mut client = Client::connect(backend.addr());
    client.send(
        "GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nearly",
    );
    assert_eq!(client.response("GET").status, 101);
    assert_eq!(client.read_exact(5), b"early");
    client.send([0, 255, 10]);
    assert_eq!(client.read_exact(3), [0, 255, 10]);
    client.shutdown_write();
    assert!(client.is_closed_by_peer());
}

#[test]
fn an_invalid_request_is_a_problem_that_is_reported() {
    let backend = Recorder::start();
    let mut stream = TcpStream::connect(backend.addr()).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n").unwrap();
    assert!(backend.wait_for_problem()[0].contains("2 host fields"));
}

#[test]
#[should_panic(expected = "invalid requests arrived")]
fn a_problem_that_nobody_asked_for_fails_the_test() {
    let backend = Recorder::start();
    let mut client = Client::connect(backend.addr());
    client.send("GET / HTTP/1.0\r\nhost: a\r\n\r\n");
    assert!(client.is_closed_by_peer());
}

#[test]
fn the_raw_client_refuses_every_hostile_response() {
    for (name, reply) in hostile() {
        let backend = Recorder::start();
        backend.script(reply);
        let mut client = Client::connect(backend.addr());
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let result = client.read_response("GET");
        // A 101 is well formed; that nobody asked for it is not the reader's to know.
        let expected = name == "a switch nobody asked for";
        assert_eq!(result.is_ok(), expected, "{name}: {result:?}");
    }
}

#[test]
fn a_tls_client_trusts_its_authority_and_nobody_else() {
    let authority = Authority::new("test authority");
    let issued = authority.issue(&["a.example", "*.b.example", "127.0.0.1"]);
    assert!(issued.cert_pem.starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(issued.key_pem.contains("PRIVATE KEY"));
    // No TLS speaks here: the handshake must end with an error in bounded time.
    let backend = Recorder::start();
    let config = authority.client_config();
    assert!(Client::connect_tls(backend.addr(), "a.example", &config).is_err());
    assert!(!backend.wait_for_problem().is_empty());
}
