//! TCP routes: bytes both ways, ends, limits, failures, and who the client is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use common::{Config, L4Kind, Plane, https, tcp_cluster};
use ir::{Backend, BackendProtocol, ClusterId, Protocol, ProxyProtocol, Target};
use proxy::{AccessLog, Limits, Reason};
use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};
use testkit::{DEADLINE, certs::Authority, eventually, stream_echo::TcpEcho};

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// What one connection sees: sends, ends its side, reads to the end.
fn talk(address: SocketAddr, text: &str) -> std::io::Result<String> {
    let mut stream = connect(address);
    stream.write_all(text.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A data plane with a TCP listener and one route to these Services.
fn tcp(limits: Limits, services: &[(&str, u32)]) -> (Plane, Config) {
    let plane = Plane::with(limits, AccessLog::Off, 1);
    let mut config = Config::new();
    config.listener("db", plane.number(), None, Protocol::Tcp);
    config.l4_route(L4Kind::Tcp, "db", "all", &[], services);
    (plane, config)
}

fn simple(limits: Limits) -> (Plane, Config, TcpEcho) {
    let (plane, mut config) = tcp(limits, &[("a", 1)]);
    let echo = TcpEcho::start("a");
    config.service("a", &[echo.addr()]);
    plane.apply(&mut config);
    (plane, config, echo)
}

#[test]
fn bytes_go_both_ways_and_each_side_ends_on_its_own() {
    let (plane, _config, echo) = simple(Limits::default());
    assert_eq!(talk(plane.address(), "hello").unwrap(), "helloEND a");
    assert_eq!(talk(plane.address(), "").unwrap(), "END a");
    assert_eq!(echo.accepted(), 2);
    let series = eventually("both ends", || {
        plane.metrics().l4.first().filter(|series| series.open == 0).cloned()
    });
    assert_eq!((series.begun, series.failed), (2, 0));
    assert_eq!((series.received, series.sent), (5, 15));
    assert_eq!(series.labels.route, "TCPRoute shop/all");
    assert_eq!(series.labels.backend, "shop/a:80");
}

#[test]
fn a_large_stream_arrives_byte_for_byte() {
    let (plane, _config, _echo) = simple(Limits::default());
    let sent: Vec<u8> =
        (0..6_000_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let mut writing = connect(plane.address());
    let mut reading = writing.try_clone().unwrap();
    let expected = sent.clone();
    let reader = std::thread::spawn(move || {
        let mut got = Vec::new();
        reading.read_to_end(&mut got).unwrap();
        assert_eq!(got.len(), expected.len() + 5);
        assert!(got.starts_with(&expected));
    });
    for piece in sent.chunks(100_003) {
        writing.write_all(piece).unwrap();
    }
    writing.shutdown(Shutdown::Write).unwrap();
    reader.join().unwrap();
}

#[test]
fn a_side_that_does_not_read_holds_the_other_back() {
    let (plane, mut config) = tcp(Limits::default(), &[("a", 1)]);
    let backend = testkit::ports::listener();
    config.service("a", &[backend.local_addr().unwrap()]);
    plane.apply(&mut config);
    let mut client = connect(plane.address());
    client.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let (mut deaf, _) = backend.accept().unwrap();
    let piece = vec![7u8; 1 << 20];
    let mut sent = 0usize;
    // Kernel buffers take some megabytes; what is behind them would be ours.
    let blocked = loop {
        match client.write(&piece) {
            Ok(count) => sent += count,
            Err(error) => break error,
        }
        assert!(sent < 200 << 20, "nothing holds the client back");
    };
    assert_eq!(blocked.kind(), ErrorKind::WouldBlock);
    drop(client);
    let mut received = 0usize;
    let mut space = vec![0u8; 1 << 20];
    while let Ok(count @ 1..) = deaf.read(&mut space) {
        received += count;
    }
    assert_eq!(received, sent);
}

#[test]
fn connections_are_spread_by_weight_and_none_goes_to_weight_0() {
    let (plane, mut config) = tcp(Limits::default(), &[("a", 7), ("b", 3), ("c", 0)]);
    let echoes: Vec<_> = ["a", "b", "c"].map(TcpEcho::start).into_iter().collect();
    for (name, echo) in ["a", "b", "c"].iter().zip(&echoes) {
        config.service(name, &[echo.addr()]);
    }
    plane.apply(&mut config);
    for _ in 0..200 {
        talk(plane.address(), "x").unwrap();
    }
    let counts: Vec<_> = echoes.iter().map(TcpEcho::accepted).collect();
    assert_eq!(counts.iter().sum::<usize>(), 200);
    assert!((100..180).contains(&counts[0]), "{counts:?}");
    assert_eq!(counts[2], 0);
}

#[test]
fn the_oldest_route_of_a_listener_gets_all_connections() {
    let (plane, mut config) = tcp(Limits::default(), &[("a", 1)]);
    config.l4_route(L4Kind::Tcp, "db", "younger", &[], &[("b", 1)]);
    let (a, b) = (TcpEcho::start("a"), TcpEcho::start("b"));
    config.service("a", &[a.addr()]);
    config.service("b", &[b.addr()]);
    plane.apply(&mut config);
    for _ in 0..5 {
        assert_eq!(talk(plane.address(), "").unwrap(), "END a");
    }
}

#[test]
fn a_share_without_a_backend_is_reset_and_the_rest_is_served() {
    let (plane, mut config) = tcp(Limits::default(), &[("a", 1), ("!", 1), ("empty", 1)]);
    let echo = TcpEcho::start("a");
    config.service("a", &[echo.addr()]);
    plane.apply(&mut config);
    let (mut served, mut reset) = (0, 0);
    for _ in 0..60 {
        match talk(plane.address(), "") {
            Ok(answer) => {
                assert_eq!(answer, "END a");
                served += 1;
            }
            Err(error) => {
                assert!(
                    [ErrorKind::ConnectionReset, ErrorKind::NotConnected].contains(&error.kind()),
                    "{error}"
                );
                reset += 1;
            }
        }
    }
    assert!(served > 5 && reset > 20, "{served} served, {reset} reset");
    assert!(plane.reason(Reason::InvalidBackend) > 0);
    assert!(plane.reason(Reason::NoEndpoint) > 0);
}

#[test]
fn a_dead_endpoint_is_passed_over() {
    let (plane, mut config) = tcp(Limits::default(), &[("a", 1)]);
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let echo = TcpEcho::start("a");
    config.service("a", &[dead, echo.addr()]);
    plane.apply(&mut config);
    for _ in 0..6 {
        assert_eq!(talk(plane.address(), "x").unwrap(), "xEND a");
    }
    config.service("a", &[dead]);
    plane.apply(&mut config);
    assert!(talk(plane.address(), "x").is_err());
    assert_eq!(plane.reason(Reason::ConnectRefused), 1);
}

#[test]
fn a_reset_is_passed_on_as_a_reset() {
    let (plane, mut config) = tcp(Limits::default(), &[("a", 1)]);
    let backend = testkit::ports::listener();
    config.service("a", &[backend.local_addr().unwrap()]);
    plane.apply(&mut config);
    let reset = |stream: TcpStream| {
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    };
    let is_reset = |mut stream: TcpStream| {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let error = stream.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    };
    // A byte shows that the relay stands: a reset before would be a failed connect.
    let relayed = || {
        let mut client = connect(plane.address());
        let (mut peer, _) = backend.accept().unwrap();
        client.write_all(b"x").unwrap();
        peer.read_exact(&mut [0u8]).unwrap();
        (client, peer)
    };
    let (client, peer) = relayed();
    reset(peer);
    is_reset(client);
    let (client, peer) = relayed();
    reset(client);
    is_reset(peer);
    eventually("the reasons", || {
        let both = [Reason::ClientGone, Reason::UpstreamReset].map(|reason| plane.reason(reason));
        (both == [1, 1]).then_some(())
    });
}

#[test]
fn a_silent_connection_ends_after_the_idle_limit() {
    let limits = Limits { tunnel_idle: Duration::from_millis(100), ..Limits::default() };
    let (plane, _config, _echo) = simple(limits);
    let mut client = connect(plane.address());
    client.write_all(b"x").unwrap();
    let mut space = [0u8; 8];
    assert_eq!(client.read(&mut space).unwrap(), 1);
    assert_eq!(client.read(&mut space).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(plane.reason(Reason::IdleTimeout), 1);
}

#[test]
fn a_side_that_takes_nothing_for_too_long_ends_the_connection_whatever_it_sends() {
    let limits = Limits { tunnel_write_idle: Duration::from_millis(200), ..Limits::default() };
    let (plane, mut config) = tcp(limits, &[("a", 1)]);
    let backend = testkit::ports::listener();
    config.service("a", &[backend.local_addr().unwrap()]);
    plane.apply(&mut config);
    let mut client = connect(plane.address());
    let (mut deaf, _) = backend.accept().unwrap();
    let mut writer = client.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        let piece = vec![7u8; 1 << 20];
        while writer.write(&piece).is_ok() {}
    });
    let until = std::time::Instant::now() + DEADLINE;
    // The other direction never idles.
    while deaf.write_all(b"x").is_ok() && client.read_exact(&mut [0u8; 1]).is_ok() {
        assert!(std::time::Instant::now() < until, "the connection lasts");
    }
    writing.join().unwrap();
    assert_eq!(plane.reason(Reason::Stalled), 1);
}

#[test]
fn a_listener_has_as_many_connections_as_it_may() {
    let (plane, mut config, _echo) = simple(Limits::default());
    config.edit_listener("db", |listener| listener.connection.connections_max = Some(2));
    plane.apply(&mut config);
    let mut held: Vec<_> = (0..2).map(|_| connect(plane.address())).collect();
    for client in &mut held {
        client.write_all(b"x").unwrap();
        assert_eq!(client.read(&mut [0u8; 8]).unwrap(), 1);
    }
    assert!(talk(plane.address(), "x").is_err());
    assert_eq!(plane.reason(Reason::Shed), 1);
    drop(held.pop());
    eventually("a place", || talk(plane.address(), "x").ok());
    config.edit_listener("db", |listener| listener.connection.connections_max = None);
    plane.apply(&mut config);
    let more: Vec<_> = (0..4).map(|_| talk(plane.address(), "").unwrap()).collect();
    assert_eq!(more.len(), 4);
}

#[test]
fn a_connection_outlives_its_route_and_its_listener() {
    let (plane, mut config, _echo) = simple(Limits::default());
    let mut client = connect(plane.address());
    client.write_all(b"one").unwrap();
    let mut space = [0u8; 3];
    client.read_exact(&mut space).unwrap();
    config.remove_listener("db");
    config.set.l4_routes.clear();
    plane.apply(&mut config);
    eventually("the closed port", || TcpStream::connect(plane.address()).err());
    client.write_all(b"two").unwrap();
    client.read_exact(&mut space).unwrap();
    assert_eq!(&space, b"two");
    drop(client);
    assert_eq!(plane.drain(Duration::ZERO, DEADLINE), 0);
}

#[test]
fn a_port_can_change_what_it_carries() {
    let (plane, mut config, _echo) = simple(Limits::default());
    assert_eq!(talk(plane.address(), "x").unwrap(), "xEND a");
    let authority = Authority::new("any");
    config.add_certificate("c", &authority.issue(&["a.example"]), &["a.example"]);
    let recorder = testkit::recorder::Recorder::start();
    config.service("app", &[recorder.addr()]);
    config.route_on(&["db"], "web", &[], vec![common::to("/", "app")]);
    for round in 0..2 {
        config.edit_listener("db", |listener| listener.protocol = Protocol::Http);
        plane.apply(&mut config);
        assert_eq!(plane.get("a.example", "/").status, 200, "round {round}");
        config.edit_listener("db", |listener| listener.protocol = https(&["c"]));
        plane.apply(&mut config);
        let tls = authority.client_config();
        let mut client =
            testkit::raw::Client::connect_tls(plane.address(), "a.example", &tls).unwrap();
        assert_eq!(client.get("a.example", "/").status, 200, "round {round}");
        config.edit_listener("db", |listener| listener.protocol = Protocol::Tcp);
        plane.apply(&mut config);
        assert_eq!(talk(plane.address(), "x").unwrap(), "xEND a", "round {round}");
    }
}

/// A data plane whose TCP clients must come through a proxy in `networks`.
fn behind_a_proxy(network: &str) -> (Plane, TcpEcho) {
    let limits = Limits { handshake_timeout: Duration::from_millis(200), ..Limits::default() };
    behind_a_proxy_with(limits, network)
}

fn behind_a_proxy_with(limits: Limits, network: &str) -> (Plane, TcpEcho) {
    let (plane, mut config, echo) = simple(limits);
    config.edit_listener("db", |listener| {
        listener.connection.proxy_protocol = true;
        listener.http.trusted_peers.networks = vec![network.parse().unwrap()];
    });
    plane.apply(&mut config);
    (plane, echo)
}

#[test]
fn a_trusted_proxy_says_who_the_client_is() {
    let (plane, _echo) = behind_a_proxy("127.0.0.0/8");
    for header in [
        &b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\r\n"[..],
        b"PROXY UNKNOWN\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc6\x33\x64\x01\x13\x88\x01\xbb",
        b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00",
    ] {
        let mut stream = connect(plane.address());
        for byte in header {
            stream.write_all(&[*byte]).unwrap();
        }
        stream.write_all(b"payload").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "payloadEND a");
        assert_eq!(
            talk(
                plane.address(),
                &[std::str::from_utf8(header).unwrap_or("PROXY UNKNOWN\r\n"), "x"].concat()
            )
            .unwrap(),
            "xEND a"
        );
    }
}

#[test]
fn the_share_of_a_client_is_counted_for_the_client_that_the_proxy_names() {
    let limits = Limits { connections_per_source: Some(1), ..Limits::default() };
    let (plane, _echo) = behind_a_proxy_with(limits, "127.0.0.0/8");
    let begin = |client: &str| {
        let mut stream = connect(plane.address());
        write!(stream, "PROXY TCP4 {client} 198.51.100.1 5000 443\r\nx").unwrap();
        let mut space = [0u8; 1];
        stream.read_exact(&mut space).ok().map(|()| stream)
    };
    let held = [begin("192.0.2.1"), begin("192.0.2.2"), begin("192.0.2.3")];
    assert!(held.iter().all(Option::is_some), "three clients behind one proxy");
    assert!(begin("192.0.2.2").is_none(), "a second connection of one client");
    assert_eq!(plane.total("connections_refused"), 1);
    drop(held);
    eventually("the place that was given back", || begin("192.0.2.2"));
}

#[test]
fn a_header_that_is_missing_bad_late_or_not_trusted_closes() {
    let (plane, echo) = behind_a_proxy("127.0.0.0/8");
    for bytes in ["GET / HTTP/1.1\r\n\r\n", "PROXY TCP4 1.2.3.4\r\n", "PROXY TC"] {
        let mut stream = connect(plane.address());
        stream.write_all(bytes.as_bytes()).unwrap();
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        assert!(answer.is_empty(), "{bytes:?}");
    }
    let (stranger, other) = behind_a_proxy("10.0.0.0/8");
    assert!(talk(stranger.address(), "PROXY UNKNOWN\r\nx").map_or(true, |text| text.is_empty()));
    assert_eq!(echo.accepted() + other.accepted(), 0);
    assert_eq!(plane.reason(Reason::ProxyHeader), 3);
    assert_eq!(stranger.reason(Reason::ProxyHeader), 1);
}

#[test]
fn an_endpoint_is_told_who_the_client_is() {
    for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
        let (plane, mut config) = tcp(Limits::default(), &[]);
        let cluster =
            ir::Cluster { proxy_protocol: Some(version), ..tcp_cluster("a", BackendProtocol::Tcp) };
        let target = Target::Cluster(ClusterId(Arc::new(cluster)));
        let backends = vec![Backend { target, ..common::backend("", 1) }];
        config.l4_route_to(L4Kind::Tcp, "db", "all", &[], backends);
        let echo = TcpEcho::start("a");
        config.service("a", &[echo.addr()]);
        plane.apply(&mut config);
        let mut stream = connect(plane.address());
        let (us, them) = (stream.local_addr().unwrap(), plane.address());
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let expected = match version {
            ProxyProtocol::V1 => {
                format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\n", us.port(), them.port())
                    .into_bytes()
            }
            ProxyProtocol::V2 => {
                let mut bytes =
                    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x7f\0\0\x01\x7f\0\0\x01".to_vec();
                bytes.extend(us.port().to_be_bytes());
                bytes.extend(them.port().to_be_bytes());
                bytes
            }
        };
        assert_eq!(answer, [&expected[..], b"END a"].concat());
    }
}

#[test]
fn http_behind_a_proxy_sees_the_client_it_names() {
    let plane = Plane::start();
    let recorder = testkit::recorder::Recorder::start();
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    config.route("all", vec![common::to("/", "app")]);
    config.edit_listener("web", |listener| {
        listener.connection.proxy_protocol = true;
        listener.http.trusted_peers.networks = vec!["127.0.0.1/32".parse().unwrap()];
    });
    plane.apply(&mut config);
    let mut client = plane.client();
    client.send("PROXY TCP4 192.0.2.7 198.51.100.1 5000 80\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(client.response("GET").status, 200);
    assert_eq!(recorder.wait_for(1)[0].field("x-forwarded-for"), Some("192.0.2.7"));
}

#[test]
fn the_access_log_tells_where_a_connection_went() {
    let folder = testkit::folder::Folder::new();
    let log = folder.path().join("log");
    let plane = Plane::with(Limits::default(), AccessLog::File(log.clone()), 1);
    let mut config = Config::new();
    config.listener("db", plane.number(), None, Protocol::Tcp);
    config.l4_route(L4Kind::Tcp, "db", "all", &[], &[("a", 1)]);
    let echo = TcpEcho::start("a");
    config.service("a", &[echo.addr()]);
    plane.apply(&mut config);
    talk(plane.address(), "hello").unwrap();
    assert_eq!(plane.drain(Duration::ZERO, DEADLINE), 0);
    let text = std::fs::read_to_string(log).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(line["protocol"], "tcp");
    assert_eq!(line["gateway"], "infra/edge");
    assert_eq!(line["listener"], "db");
    assert_eq!(line["route"], "TCPRoute shop/all");
    assert_eq!(line["backend"], "shop/a:80");
    assert_eq!(line["endpoint"], echo.addr().to_string());
    assert_eq!((line["bytes_in"].as_u64(), line["bytes_out"].as_u64()), (Some(5), Some(10)));
    assert_eq!(line.get("reason"), None);
}
