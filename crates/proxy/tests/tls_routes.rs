//! TLS routes: passed through or terminated, chosen by server name, mixed on one port.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use common::{Config, L4Kind, Plane, https, secured, terminate, tls_policy, to};
use ir::{Backend, BackendProtocol, Protocol, Target};
use proxy::{AccessLog, Limits, Reason};
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};
use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};
use testkit::{
    DEADLINE,
    certs::{Authority, server_config},
    eventually,
    raw::Client,
    recorder::Recorder,
    stream_echo::TcpEcho,
    tls_front::TlsFront,
};

/// `pass.example` is passed through to a TLS backend, `stream.example` is terminated to a stream,
/// `web.example` is HTTPS; all on one port.
struct Mixed {
    plane: Plane,
    config: Config,
    authority: Authority,
    echo: TcpEcho,
    front: TlsFront,
    _recorder: Recorder,
}

impl Mixed {
    fn start() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let plane = Plane::with(limits, AccessLog::Off, 1);
        let authority = Authority::new("mixed");
        let (echo, recorder) = (TcpEcho::start("plain"), Recorder::start());
        let backend = server_config(&authority.issue(&["*.pass.example"]), None);
        let front = TlsFront::start(echo.addr(), backend);
        let mut config = Config::new();
        for (name, host, protocol) in [
            ("pass", "*.pass.example", Protocol::TlsPassthrough),
            ("stream", "stream.example", terminate(&["stream"])),
            ("web", "web.example", https(&["web"])),
        ] {
            config.add_certificate(name, &authority.issue(&[host]), &[host]);
            config.listener(name, plane.number(), Some(host), protocol);
        }
        config.service("front", &[front.addr()]);
        config.service("echo", &[echo.addr()]);
        config.service("app", &[recorder.addr()]);
        config.l4_route(L4Kind::Tls, "pass", "pass", &["*.pass.example"], &[("front", 1)]);
        config.l4_route(L4Kind::Tls, "stream", "stream", &["stream.example"], &[("echo", 1)]);
        config.route_on(&["web"], "web", &[], vec![to("/", "app")]);
        plane.apply(&mut config);
        Self { plane, config, authority, echo, front, _recorder: recorder }
    }

    fn talk(&self, name: &str, text: &str) -> io::Result<String> {
        talk(&self.plane, &self.authority.client_config(), name, text)
    }

    /// The connection is closed before any byte of TLS.
    fn is_closed_silently(&self, name: &str) {
        let error = self.talk(name, "x").unwrap_err();
        let alert = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
        assert!(!alert, "{error:?}");
    }
}

/// Shakes hands, sends, ends its side, reads to the end.
fn talk(plane: &Plane, config: &Arc<ClientConfig>, name: &str, text: &str) -> io::Result<String> {
    let tcp = TcpStream::connect(plane.address())?;
    tcp.set_read_timeout(Some(DEADLINE))?;
    let server = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    let session = ClientConnection::new(Arc::clone(config), server).map_err(io::Error::other)?;
    let mut tls = StreamOwned::new(session, tcp);
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock)?;
    }
    tls.write_all(text.as_bytes())?;
    tls.conn.send_close_notify();
    tls.flush()?;
    let mut answer = String::new();
    tls.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn one_port_passes_through_terminates_and_serves_https_by_server_name() {
    let mixed = Mixed::start();
    assert_eq!(mixed.talk("a.pass.example", "one").unwrap(), "oneEND plain");
    assert_eq!(mixed.front.shown()[0].server_name.as_deref(), Some("a.pass.example"));
    assert_eq!(mixed.talk("stream.example", "two").unwrap(), "twoEND plain");
    let config = mixed.authority.client_config();
    let mut web = Client::connect_tls(mixed.plane.address(), "web.example", &config).unwrap();
    assert_eq!(web.get("web.example", "/").status, 200);
    assert_eq!(mixed.echo.accepted(), 2);
    assert_eq!(mixed.front.shown().len(), 1);
}

#[test]
fn a_server_name_that_no_listener_or_route_takes_is_closed_before_any_answer() {
    let mut mixed = Mixed::start();
    for name in ["pass.example", "other.example", "x.stream.example", "127.0.0.1"] {
        mixed.is_closed_silently(name);
    }
    // The listener takes it, no route does.
    mixed.config.l4_route(L4Kind::Tls, "pass", "pass", &["a.pass.example"], &[("front", 1)]);
    mixed.plane.apply(&mut mixed.config);
    mixed.is_closed_silently("b.pass.example");
    assert_eq!(mixed.talk("a.pass.example", "x").unwrap(), "xEND plain");
    assert_eq!(mixed.plane.reason(Reason::NoRoute), 1);
}

#[test]
fn a_backend_that_cannot_be_served_closes_before_any_answer() {
    let mut mixed = Mixed::start();
    for (listener, name) in [("pass", "a.pass.example"), ("stream", "stream.example")] {
        mixed.config.l4_route(L4Kind::Tls, listener, listener, &[], &[("!", 1)]);
        mixed.plane.apply(&mut mixed.config);
        mixed.is_closed_silently(name);
    }
    assert_eq!(mixed.plane.reason(Reason::InvalidBackend), 2);
    mixed.config.l4_route(L4Kind::Tls, "pass", "pass", &[], &[("nothing", 1)]);
    mixed.plane.apply(&mut mixed.config);
    mixed.is_closed_silently("a.pass.example");
    assert_eq!(mixed.plane.reason(Reason::NoEndpoint), 1);
}

#[test]
fn the_longest_hostname_of_the_routes_wins() {
    let mut mixed = Mixed::start();
    let other = TcpEcho::start("exact");
    let backend = server_config(&mixed.authority.issue(&["a.pass.example"]), None);
    let exact = TlsFront::start(other.addr(), backend);
    mixed.config.service("exact", &[exact.addr()]);
    mixed.config.l4_route(L4Kind::Tls, "pass", "zz", &["a.pass.example"], &[("exact", 1)]);
    mixed.plane.apply(&mut mixed.config);
    assert_eq!(mixed.talk("a.pass.example", "").unwrap(), "END exact");
    assert_eq!(mixed.talk("b.pass.example", "").unwrap(), "END plain");
}

#[test]
fn a_hello_in_small_pieces_is_understood_and_passed_on_unchanged() {
    let mixed = Mixed::start();
    let server = ServerName::try_from("a.pass.example").unwrap();
    let config = mixed.authority.client_config();
    let mut session = ClientConnection::new(config, server).unwrap();
    let mut hello = Vec::new();
    session.write_tls(&mut hello).unwrap();
    let mut tcp = TcpStream::connect(mixed.plane.address()).unwrap();
    tcp.set_nodelay(true).unwrap();
    tcp.set_read_timeout(Some(DEADLINE)).unwrap();
    // As several records, byte by byte.
    for fragment in hello[5..].chunks(50) {
        let mut record = vec![22, 3, 1];
        record.extend(u16::try_from(fragment.len()).unwrap().to_be_bytes());
        record.extend(fragment);
        for byte in record {
            tcp.write_all(&[byte]).unwrap();
        }
    }
    while session.is_handshaking() {
        session.complete_io(&mut tcp).unwrap();
    }
    eventually("the handshake", || (mixed.front.shown().len() == 1).then_some(()));
}

#[test]
fn a_hello_that_is_too_large_too_slow_or_none_is_closed() {
    let limits = Limits { handshake_timeout: Duration::from_millis(150), ..Limits::default() };
    let mixed = Mixed::with(limits);
    let large = [vec![22, 3, 1, 0x40, 0, 1, 0, 0x7f, 0xff], vec![0; 40_000]].concat();
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[22, 3, 1, 0, 80, 1], &large] {
        let mut tcp = TcpStream::connect(mixed.plane.address()).unwrap();
        tcp.set_read_timeout(Some(DEADLINE)).unwrap();
        drop(tcp.write_all(bytes));
        let mut answer = Vec::new();
        drop(tcp.read_to_end(&mut answer));
        assert!(answer.is_empty());
    }
    assert_eq!(mixed.plane.total("handshake_errors"), 3);
    assert_eq!(mixed.echo.accepted(), 0);
}

#[test]
fn what_is_terminated_can_be_encrypted_again() {
    let mut mixed = Mixed::start();
    let inner = Authority::new("inner");
    let issued = inner.issue(&["inner.example"]);
    let front = TlsFront::start(mixed.echo.addr(), server_config(&issued, None));
    let id = mixed.config.add_bundle(&inner.cert_pem());
    let encrypted = |name: &str, ids: Vec<ir::TrustBundleId>| {
        let cluster = secured("inner", BackendProtocol::Tcp, tls_policy(name, ids));
        vec![Backend { target: Target::Cluster(cluster), ..common::backend("", 1) }]
    };
    mixed.config.service("inner", &[front.addr()]);
    let backends = encrypted("inner.example", vec![id.clone()]);
    mixed.config.l4_route_to(L4Kind::Tls, "stream", "stream", &[], backends);
    mixed.plane.apply(&mut mixed.config);
    assert_eq!(mixed.talk("stream.example", "x").unwrap(), "xEND plain");
    assert_eq!(front.shown()[0].server_name.as_deref(), Some("inner.example"));
    assert_eq!(front.shown()[0].alpn, None);
    let backends = encrypted("wrong.example", vec![id]);
    mixed.config.l4_route_to(L4Kind::Tls, "stream", "stream", &[], backends);
    mixed.plane.apply(&mut mixed.config);
    assert!(mixed.talk("stream.example", "x").is_err());
    assert_eq!(mixed.plane.reason(Reason::UpstreamTlsHandshake), 1);
    assert_eq!(mixed.echo.accepted(), 1);
}

#[test]
fn a_stream_that_is_cut_is_not_taken_for_the_whole() {
    let mut mixed = Mixed::start();
    let backend = testkit::ports::listener();
    mixed.config.service("echo", &[backend.local_addr().unwrap()]);
    mixed.plane.apply(&mut mixed.config);
    let config = mixed.authority.client_config();
    let client = Client::connect_tls(mixed.plane.address(), "stream.example", &config).unwrap();
    let (mut peer, _) = backend.accept().unwrap();
    // Closes without TLS's own end.
    drop(client);
    peer.set_read_timeout(Some(DEADLINE)).unwrap();
    let error = peer.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn a_renewed_certificate_serves_new_streams_and_keeps_old_ones() {
    let mut mixed = Mixed::start();
    let config = mixed.authority.client_config();
    let connect =
        |plane: &Plane| Client::connect_tls(plane.address(), "stream.example", &config).unwrap();
    let mut old = connect(&mixed.plane);
    let before = old.peer_certificate();
    let renewed = mixed.authority.issue(&["stream.example"]);
    mixed.config.add_certificate("stream-2", &renewed, &["stream.example"]);
    mixed.config.edit_listener("stream", |listener| listener.protocol = terminate(&["stream-2"]));
    mixed.plane.apply(&mut mixed.config);
    old.send("still here");
    assert_eq!(old.read_exact(10), b"still here");
    assert_ne!(connect(&mixed.plane).peer_certificate(), before);
}

#[test]
fn counters_name_the_route_and_its_backend() {
    let mixed = Mixed::start();
    mixed.talk("a.pass.example", "x").unwrap();
    mixed.talk("stream.example", "xyz").unwrap();
    let series = eventually("both ends", || {
        let series = mixed.plane.metrics().l4;
        (series.len() == 2 && series.iter().all(|one| one.open == 0)).then_some(series)
    });
    assert_eq!(series[0].labels.listener, "pass");
    assert!(series[0].received > 200, "the hello counts: {}", series[0].received);
    assert_eq!((series[1].labels.listener.as_str(), series[1].received), ("stream", 3));
    let text = proxy::render_prometheus(&mixed.plane.metrics());
    assert!(text.contains("portcullis_l4_begun_total{gateway=\"infra/edge\",listener=\"stream\",route=\"TLSRoute shop/stream\",rule=\"0\",backend=\"shop/echo:80\"} 1"), "{text}");
}
