//! UDP routes: flows, replies, limits, and endpoints that come and go.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use common::{Config, L4Kind, Plane};
use ir::{BindAddress, Protocol};
use proxy::{AccessLog, Limits, Reason};
use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::Duration,
};
use testkit::{DEADLINE, eventually, stream_echo::UdpEcho};

fn client(address: SocketAddr) -> UdpSocket {
    let socket = match address {
        SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)),
        SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)),
    };
    let socket = socket.unwrap();
    socket.connect(address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

/// One datagram and its answer.
fn ask(socket: &UdpSocket, payload: &[u8]) -> Vec<u8> {
    socket.send(payload).unwrap();
    let mut space = vec![0u8; 65_536];
    let length = socket.recv(&mut space).unwrap();
    space.truncate(length);
    space
}

/// Whether a datagram sent behind the awaited ones comes back: nothing else did before it.
fn is_silent(socket: &UdpSocket) -> bool {
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let silent = socket.recv(&mut [0u8; 16]).is_err();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    silent
}

/// A data plane with a UDP listener and one route to these Services.
fn udp(limits: Limits, workers: usize, services: &[(&str, u32)]) -> (Plane, Config) {
    let plane = Plane::with(limits, AccessLog::Off, workers);
    let mut config = Config::new();
    config.listener("dns", plane.number(), None, Protocol::Udp);
    config.l4_route(L4Kind::Udp, "dns", "all", &[], services);
    (plane, config)
}

fn simple(limits: Limits) -> (Plane, Config, UdpEcho) {
    let (plane, mut config) = udp(limits, 1, &[("a", 1)]);
    let echo = UdpEcho::start("a");
    config.service("a", &[echo.addr()]);
    plane.apply(&mut config);
    (plane, config, echo)
}

#[test]
fn each_client_gets_its_own_answers() {
    let (plane, mut config) = udp(Limits::default(), 2, &[("a", 1)]);
    let echo = UdpEcho::start("a");
    config.service("a", &[echo.addr()]);
    plane.apply(&mut config);
    let clients: Vec<_> = (0..20).map(|_| client(plane.address())).collect();
    for round in 0..3 {
        for (number, socket) in clients.iter().enumerate() {
            let payload = format!("{round} of {number}");
            assert_eq!(ask(socket, payload.as_bytes()), format!("a:{payload}").as_bytes());
        }
    }
    let series = plane.metrics().l4.remove(0);
    assert_eq!((series.begun, series.open, series.failed), (20, 20, 0));
    assert!(series.received > 0 && series.sent > series.received);
    assert_eq!(plane.total("udp_datagrams_received"), 60);
    assert_eq!(plane.total("udp_datagrams_sent"), 60);
}

#[test]
fn empty_and_large_datagrams_pass() {
    let (plane, _config, _echo) = simple(Limits::default());
    let socket = client(plane.address());
    assert_eq!(ask(&socket, b""), b"a:");
    let large = vec![b'x'; 60_000];
    assert_eq!(ask(&socket, &large), [b"a:", &large[..]].concat());
    assert_eq!(ask(&socket, b"x"), b"a:x");
}

#[test]
fn flows_are_spread_by_weight_and_stay_where_they_are() {
    let (plane, mut config) = udp(Limits::default(), 1, &[("a", 7), ("b", 3), ("c", 0)]);
    let echoes: Vec<_> = ["a", "b", "c"].map(UdpEcho::start).into_iter().collect();
    for (name, echo) in ["a", "b", "c"].iter().zip(&echoes) {
        config.service(name, &[echo.addr()]);
    }
    plane.apply(&mut config);
    let mut counts = [0, 0, 0];
    for _ in 0..200 {
        let socket = client(plane.address());
        let first = ask(&socket, b"1");
        assert_eq!(ask(&socket, b"1"), first);
        counts[usize::from(first[0] - b'a')] += 1;
    }
    assert!((100..180).contains(&counts[0]) && counts[2] == 0, "{counts:?}");
}

#[test]
fn a_reply_leaves_from_the_address_that_was_asked() {
    let plane = Plane::start();
    let echo = UdpEcho::start("a");
    let mut config = Config::new();
    config.listener("dns", plane.number(), None, Protocol::Udp);
    config.edit_listener("dns", |listener| listener.addresses = vec![BindAddress::Any]);
    config.l4_route(L4Kind::Udp, "dns", "all", &[], &[("a", 1)]);
    config.service("a", &[echo.addr()]);
    plane.apply(&mut config);
    let asked = ["127.0.0.1", "127.0.0.9", "::1"].map(|ip| ip.parse().unwrap());
    for ip in asked {
        // A connected socket takes answers from there alone.
        let socket = client(SocketAddr::new(ip, plane.number()));
        assert_eq!(ask(&socket, b"x"), b"a:x", "{ip}");
    }
    // One client asks two addresses: two flows.
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    for ip in &asked[..2] {
        let to = SocketAddr::new(*ip, plane.number());
        socket.send_to(b"y", to).unwrap();
        let (length, from) = socket.recv_from(&mut [0u8; 16]).unwrap();
        assert_eq!((length, from), (3, to));
    }
}

#[test]
fn a_flow_ends_when_it_idles() {
    let limits = Limits { udp_idle: Duration::from_millis(200), ..Limits::default() };
    let (plane, _config, _echo) = simple(limits);
    let socket = client(plane.address());
    ask(&socket, b"x");
    eventually("the end of the flow", || (plane.metrics().l4.first()?.open == 0).then_some(()));
    assert_eq!(ask(&socket, b"y"), b"a:y");
    assert_eq!(plane.metrics().l4[0].begun, 2);
}

#[test]
fn an_endpoint_that_does_not_listen_is_left_for_another() {
    let (plane, mut config) = udp(Limits::default(), 1, &[("a", 1)]);
    let dead = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let echo = UdpEcho::start("a");
    config.service("a", &[dead, echo.addr()]);
    plane.apply(&mut config);
    for _ in 0..4 {
        let socket = client(plane.address());
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        eventually("an answer", || {
            socket.send(b"x").unwrap();
            socket.recv(&mut [0u8; 16]).ok()
        });
    }
    assert!(plane.reason(Reason::ConnectRefused) > 0);
}

#[test]
fn a_flow_leaves_an_endpoint_that_is_gone_and_a_route_that_changed() {
    let (plane, mut config, _a) = simple(Limits::default());
    let (other, b) = (UdpEcho::start("other"), UdpEcho::start("b"));
    let socket = client(plane.address());
    assert_eq!(ask(&socket, b"1"), b"a:1");
    config.service("a", &[other.addr()]);
    plane.apply(&mut config);
    assert_eq!(ask(&socket, b"2"), b"other:2");
    config.service("b", &[b.addr()]);
    config.l4_route(L4Kind::Udp, "dns", "all", &[], &[("b", 1)]);
    plane.apply(&mut config);
    assert_eq!(ask(&socket, b"3"), b"b:3");
    config.set.l4_routes.clear();
    plane.apply(&mut config);
    socket.send(b"4").unwrap();
    eventually("the drop", || (plane.reason(Reason::NoRoute) == 1).then_some(()));
}

#[test]
fn a_table_that_changes_elsewhere_leaves_flows_alone() {
    let (plane, mut config, echo) = simple(Limits::default());
    let socket = client(plane.address());
    ask(&socket, b"x");
    config.l4_route(L4Kind::Udp, "dns", "younger", &[], &[("b", 1)]);
    plane.apply(&mut config);
    ask(&socket, b"x");
    assert_eq!(plane.metrics().l4[0].begun, 1);
    assert_eq!(echo.received(), 2);
}

#[test]
fn the_number_of_flows_is_bounded_and_forged_clients_go_first() {
    let limits = Limits { udp_flows: 10, ..Limits::default() };
    let (plane, _config, _echo) = simple(limits);
    let honest = client(plane.address());
    for _ in 0..2 {
        ask(&honest, b"x");
    }
    for _ in 0..100 {
        ask(&client(plane.address()), b"once");
    }
    let series = plane.metrics().l4.remove(0);
    assert_eq!(series.open, 10);
    assert_eq!(plane.total("flows_evicted"), series.begun - 10);
    ask(&honest, b"x");
    assert_eq!(plane.metrics().l4[0].begun, series.begun, "the honest client kept its flow");
}

#[test]
fn one_source_has_only_so_many_flows() {
    let limits = Limits { udp_flows_per_source: 3, ..Limits::default() };
    let (plane, _config, _echo) = simple(limits);
    let clients: Vec<_> = (0..3).map(|_| client(plane.address())).collect();
    for socket in &clients {
        ask(socket, b"x");
    }
    let fourth = client(plane.address());
    fourth.send(b"x").unwrap();
    eventually("the drop", || (plane.reason(Reason::Shed) == 1).then_some(()));
    assert!(is_silent(&fourth));
    ask(&clients[0], b"x");
}

/// A client that has sent one datagram to a backend of ten replies each, where four are allowed.
fn stormy() -> (Plane, UdpEcho, UdpSocket) {
    let limits = Limits { udp_replies: 4, ..Limits::default() };
    let (plane, mut config) = udp(limits, 1, &[("a", 1)]);
    let storm = UdpEcho::answering("a", 10);
    config.service("a", &[storm.addr()]);
    plane.apply(&mut config);
    let socket = client(plane.address());
    socket.send(b"x").unwrap();
    (plane, storm, socket)
}

#[test]
fn a_client_that_never_answers_gets_only_so_many_replies() {
    let (plane, _storm, socket) = stormy();
    eventually("the drops", || (plane.total("datagrams_dropped") == 6).then_some(()));
    let mut space = [0u8; 16];
    for _ in 0..4 {
        assert_eq!(socket.recv(&mut space).unwrap(), 3);
    }
    assert!(is_silent(&socket));
    socket.send(b"y").unwrap();
    for _ in 0..10 {
        assert_eq!(socket.recv(&mut space).unwrap(), 3);
    }
}

#[test]
fn a_client_that_answers_gets_as_many_replies_as_there_are() {
    let (_plane, _storm, socket) = stormy();
    let mut space = [0u8; 16];
    socket.recv(&mut space).unwrap();
    // Only who got the reply at that address can know when to send this.
    socket.send(b"y").unwrap();
    eventually("the storm behind the answer", || {
        (socket.recv(&mut space).unwrap() == 3 && &space[..3] == b"a:y").then_some(())
    });
    for _ in 1..10 {
        assert_eq!(socket.recv(&mut space).unwrap(), 3);
        assert_eq!(&space[..3], b"a:y");
    }
}

#[test]
fn a_datagram_from_a_port_of_ours_does_not_go_round() {
    let (plane, mut config, echo) = simple(Limits::default());
    // A second UDP port, and a socket that speaks from it as a forger would.
    let other = testkit::ports::Port::free();
    config.listener("second", other.number(), None, Protocol::Udp);
    plane.apply(&mut config);
    let forged = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
    forged.set_reuse_port(true).unwrap();
    forged.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, other.number())).into()).unwrap();
    forged.send_to(b"loop", &plane.address().into()).unwrap();
    eventually("the drop", || (plane.total("datagrams_dropped") == 1).then_some(()));
    assert_eq!(echo.received(), 0);
}

#[test]
fn a_removed_listener_ends_its_flows_and_frees_its_port() {
    let (plane, mut config, _echo) = simple(Limits::default());
    let socket = client(plane.address());
    ask(&socket, b"x");
    config.remove_listener("dns");
    plane.apply(&mut config);
    eventually("the free port", || UdpSocket::bind(plane.address()).ok());
    assert_eq!(plane.drain(Duration::ZERO, DEADLINE), 0);
}

#[test]
fn a_port_of_another_process_is_not_shared() {
    let (plane, mut config) = udp(Limits::default(), 1, &[("a", 1)]);
    let holder = UdpSocket::bind(plane.address()).unwrap();
    let update = config.update();
    let ack = plane.runtime.block_on(plane.handle.apply(update));
    assert!(ack.ports[0].result.is_err());
    drop(holder);
    plane.apply(&mut config);
}
