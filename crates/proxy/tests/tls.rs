//! TLS termination: listener and certificate by server name.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use common::{Config, Plane, https, to};
use ir::{Certificate, CertificateId, Origin, PrivateKey};
use proxy::{AccessLog, Limits, Reason};
use rustls::HandshakeKind;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use std::{
    io::{Read as _, Write as _},
    sync::Arc,
    time::Duration,
};
use testkit::{
    certs::{Authority, Issued},
    raw::Client,
    recorder::Recorder,
};

struct Secure {
    plane: Plane,
    recorder: Recorder,
    authority: Authority,
    config: Config,
}

/// `*.shop.example` and `api.example` on one port, each with a listener.
fn secure() -> Secure {
    let plane = Plane::start();
    let recorder = Recorder::start();
    let authority = Authority::new("test");
    let mut config = Config::new();
    for (listener, name) in [("shop", "*.shop.example"), ("api", "api.example")] {
        config.add_certificate(listener, &authority.issue(&[name]), &[name]);
        config.listener(listener, plane.number(), Some(name), https(&[listener]));
    }
    config.service("app", &[recorder.addr()]);
    config.route_on(&["shop", "api"], "all", &[], vec![to("/", "app")]);
    plane.apply(&mut config);
    Secure { plane, recorder, authority, config }
}

fn connect(secure: &Secure, name: &str) -> std::io::Result<Client> {
    Client::connect_tls(secure.plane.address(), name, &secure.authority.client_config())
}

#[test]
fn a_request_over_tls_reaches_the_backend() {
    let secure = secure();
    let mut client = connect(&secure, "a.shop.example").unwrap();
    for _ in 0..2 {
        assert_eq!(client.get("a.shop.example", "/x").status, 200);
    }
    let request = secure.recorder.wait_for(2).remove(0);
    assert_eq!(request.field("x-forwarded-proto"), Some("https"));
    assert_eq!(secure.plane.total("tls_handshakes_total"), 1);
}

#[test]
fn large_bodies_cross_tls_in_both_directions() {
    let secure = secure();
    let mut client = connect(&secure, "api.example").unwrap();
    let body = "t".repeat(700_000);
    client.send(format!(
        "POST / HTTP/1.1\r\nhost: api.example\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ));
    let response = client.response("POST");
    assert_eq!(response.json()["body"].as_str().map(str::len), Some(body.len()));
}

#[test]
fn a_server_name_without_a_listener_is_closed_without_an_alert() {
    let secure = secure();
    let error = connect(&secure, "other.example").map(drop).unwrap_err();
    let alert = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
    assert!(!alert, "{error:?}");
    assert_eq!(secure.plane.total("handshake_errors"), 1);
}

#[test]
fn a_host_of_another_listener_is_misdirected() {
    let secure = secure();
    let mut client = connect(&secure, "a.shop.example").unwrap();
    assert_eq!(client.get("api.example", "/").status, 421);
    assert_eq!(client.get("b.shop.example", "/").status, 200);
    assert_eq!(secure.plane.reason(Reason::Misdirected), 1);
}

#[test]
fn the_best_fitting_certificate_answers() {
    let mut secure = secure();
    let exact = secure.authority.issue(&["www.shop.example"]);
    secure.config.add_certificate("www", &exact, &["www.shop.example"]);
    secure.config.edit_listener("shop", |listener| listener.protocol = https(&["shop", "www"]));
    secure.plane.apply(&mut secure.config);
    let der = |issued: &Issued| {
        CertificateDer::from_pem_slice(issued.cert_pem.as_bytes()).unwrap().to_vec()
    };
    let www = connect(&secure, "www.shop.example").unwrap();
    assert_eq!(www.peer_certificate(), Some(der(&exact)));
    let other = connect(&secure, "other.shop.example").unwrap();
    assert_ne!(other.peer_certificate(), Some(der(&exact)));
}

#[test]
fn a_renewed_certificate_serves_new_handshakes_and_keeps_old_connections() {
    let mut secure = secure();
    let mut old = connect(&secure, "api.example").unwrap();
    assert_eq!(old.get("api.example", "/").status, 200);
    let before = old.peer_certificate();
    let renewed = secure.authority.issue(&["api.example"]);
    secure.config.add_certificate("api-2", &renewed, &["api.example"]);
    secure.config.edit_listener("api", |listener| listener.protocol = https(&["api-2"]));
    secure.plane.apply(&mut secure.config);
    assert_eq!(old.get("api.example", "/").status, 200);
    let new = connect(&secure, "api.example").unwrap();
    assert_ne!(new.peer_certificate(), before);
}

#[test]
fn a_connection_whose_listener_vanished_is_told_421_and_closed() {
    let mut secure = secure();
    let mut client = connect(&secure, "api.example").unwrap();
    assert_eq!(client.get("api.example", "/").status, 200);
    secure.config.remove_listener("api");
    secure.config.route_on(&["shop"], "all", &[], vec![to("/", "app")]);
    secure.plane.apply(&mut secure.config);
    let response = client.get("api.example", "/");
    assert_eq!((response.status, response.field("connection")), (421, Some("close")));
}

#[test]
fn what_is_no_tls_or_never_ends_is_closed() {
    let limits = Limits { handshake_timeout: Duration::from_millis(100), ..Limits::default() };
    let plane = Plane::with(limits, AccessLog::Off, 1);
    let authority = Authority::new("test");
    let mut config = Config::new();
    config.add_certificate("c", &authority.issue(&["a.example"]), &["a.example"]);
    config.listener("web", plane.number(), None, https(&["c"]));
    plane.apply(&mut config);
    let mut http = plane.client();
    http.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(http.is_closed_by_peer());
    let mut silent = plane.client();
    silent.send([22, 3, 1, 2, 0, 1]);
    assert!(silent.is_closed_by_peer());
    let large = [vec![22, 3, 1, 0x40, 0, 1, 0, 0x7f, 0xff], vec![0; 40_000]].concat();
    let mut flood = plane.client();
    let sent = flood.try_send(&large);
    assert!(sent.is_err() || flood.is_closed_by_peer());
}

#[test]
fn a_broken_certificate_stops_its_listener_and_no_other() {
    let mut secure = secure();
    let id = CertificateId("bad".into());
    let bad = Certificate {
        id: id.clone(),
        origin: Origin::new(Arc::new(ir::ObjectRef::new("", "Secret", "infra", "bad")), ""),
        chain: vec![Arc::from(&b"nonsense"[..])],
        key: Arc::new(PrivateKey::new(b"nonsense".to_vec())),
        names: Vec::new(),
    };
    secure.config.set.certificates.insert(id, Arc::new(bad));
    secure.config.edit_listener("api", |listener| listener.protocol = https(&["bad"]));
    secure.plane.apply(&mut secure.config);
    assert!(connect(&secure, "api.example").is_err());
    let mut client = connect(&secure, "a.shop.example").unwrap();
    assert_eq!(client.get("a.shop.example", "/").status, 200);
}

#[test]
fn so_many_handshakes_are_in_progress_and_one_more_is_closed_at_once() {
    let plane = Plane::with(Limits { handshakes: 2, ..Limits::default() }, AccessLog::Off, 1);
    let recorder = Recorder::start();
    let authority = Authority::new("test");
    let mut config = Config::new();
    config.add_certificate("c", &authority.issue(&["a.example"]), &["a.example"]);
    config.listener("web", plane.number(), None, https(&["c"]));
    config.service("app", &[recorder.addr()]);
    config.route("all", vec![to("/", "app")]);
    plane.apply(&mut config);
    let trust = authority.client_config();
    let connect = || Client::connect_tls(plane.address(), "a.example", &trust);
    let mut open = connect().unwrap();
    assert_eq!(open.get("a.example", "/").status, 200, "a handshake that is done does not count");
    let (first, second) = (plane.client(), plane.client());
    let begun = || (plane.total("connections_open") == 3).then_some(());
    testkit::eventually("two handshakes that do not go on", begun);
    assert!(plane.client().is_closed_by_peer());
    assert!(connect().is_err());
    assert_eq!(plane.total("connections_refused"), 2);
    assert_eq!(open.get("a.example", "/").status, 200, "who is in stays in");
    drop((first, second));
    let served = || connect().ok().map(|mut client| client.get("a.example", "/").status);
    assert_eq!(testkit::eventually("room for a handshake", served), 200);
}

#[test]
fn a_session_is_resumed_but_nothing_is_taken_before_its_handshake() {
    let secure = secure();
    let mut config = (*secure.authority.client_config()).clone();
    config.enable_early_data = true;
    config.resumption = rustls::client::Resumption::in_memory_sessions(8);
    let config = Arc::new(config);
    for resumed in [false, true] {
        let name = "api.example".try_into().unwrap();
        let mut session = rustls::ClientConnection::new(Arc::clone(&config), name).unwrap();
        // A server that takes early data says so with its tickets.
        assert!(session.early_data().is_none(), "resumed: {resumed}");
        let mut tcp = std::net::TcpStream::connect(secure.plane.address()).unwrap();
        let mut stream = rustls::Stream::new(&mut session, &mut tcp);
        stream.write_all(b"GET / HTTP/1.1\r\nhost: api.example\r\n\r\n").unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
        let kind = if resumed { HandshakeKind::Resumed } else { HandshakeKind::Full };
        assert_eq!(session.handshake_kind(), Some(kind));
    }
}
