//! New revisions while traffic flows.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use common::{Config, Plane, plain, to};
use ir::{Filter, HeaderModifier, Protocol};
use proxy::{AccessLog, Limits};
use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};
use testkit::{
    gate::Gate,
    ports::Port,
    raw::Client,
    recorder::{Recorder, Reply},
};

/// Everything goes to `service`, and the answer is marked with the same name.
fn marked(config: &mut Config, service: &str) {
    let mark = |name| {
        let value = (ir::FieldName::new(name).unwrap(), ir::FieldValue::new(service).unwrap());
        HeaderModifier { set: vec![value], ..HeaderModifier::default() }
    };
    let filters = vec![
        Filter::RequestHeaders(mark("x-request-mark")),
        Filter::ResponseHeaders(mark("x-response-mark")),
    ];
    config.route("all", vec![common::with_filters(to("/", service), filters)]);
}

#[test]
fn under_load_each_response_belongs_to_exactly_one_revision_and_none_is_lost() {
    let plane = Plane::with(Limits::default(), AccessLog::Off, 2);
    let (blue, green) = (Recorder::named("blue"), Recorder::named("green"));
    let mut config = Config::http(plane.number());
    config.service("blue", &[blue.addr()]);
    config.service("green", &[green.addr()]);
    // Both stay in use, so that neither pool ends with a revision.
    config.route("both", vec![to("/blue", "blue"), to("/green", "green")]);
    marked(&mut config, "blue");
    plane.apply(&mut config);
    let stop = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicUsize::new(0));
    let address = plane.address();
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
            thread::spawn(move || {
                let mut client = Client::connect(address);
                while !stop.load(Ordering::Relaxed) {
                    let response = client.get("a", "/");
                    assert_eq!(response.status, 200);
                    let echo = response.json();
                    let marks = echo["headers"].as_array().unwrap().iter();
                    let mark = marks.filter(|pair| pair[0] == "x-request-mark").count();
                    assert_eq!(mark, 1);
                    assert_eq!(
                        Some(echo["backend"].as_str().unwrap()),
                        response.field("x-response-mark")
                    );
                    served.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 0..100usize {
        marked(&mut config, if round % 2 == 0 { "green" } else { "blue" });
        plane.apply(&mut config);
        let goal = served.load(Ordering::Relaxed) + 4;
        testkit::eventually("requests between swaps", || {
            let dead = clients.iter().any(thread::JoinHandle::is_finished);
            (dead || served.load(Ordering::Relaxed) >= goal).then_some(())
        });
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    assert!(blue.connections() + green.connections() <= 16, "pools outlive revisions");
}

/// The table names one service at a time, so that each swap removes the other with its endpoints.
#[test]
fn a_service_that_leaves_with_a_revision_is_never_missed_by_the_revision_before() {
    let plane = Plane::with(Limits::default(), AccessLog::Off, 2);
    let (blue, green) = (Recorder::named("blue"), Recorder::named("green"));
    let config = |name: &str, backend: &Recorder| {
        let mut config = Config::http(plane.number());
        config.service(name, &[backend.addr()]);
        config.route("all", vec![to("/", name)]);
        config
    };
    let mut configs = [config("blue", &blue), config("green", &green)];
    plane.apply(&mut configs[0]);
    let stop = Arc::new(AtomicBool::new(false));
    let address = plane.address();
    let clients: Vec<_> = (0..2)
        .map(|_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let mut client = Client::connect(address);
                while !stop.load(Ordering::Relaxed) {
                    let response = client.get("a", "/");
                    assert_eq!(response.status, 200, "{}", response.text());
                }
            })
        })
        .collect();
    for round in 1..200usize {
        plane.apply(&mut configs[round % 2]);
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
}

#[test]
fn a_request_in_flight_keeps_its_revision() {
    let (plane, recorder) = plain();
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    marked(&mut config, "app");
    plane.apply(&mut config);
    let gate = Gate::new();
    recorder.script(Reply::new().wait(&gate).then_echo());
    let mut client = plane.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    recorder.wait_for_heads(1);
    config.set.http_routes.clear();
    plane.apply(&mut config);
    gate.open();
    let response = client.response("GET");
    assert_eq!((response.status, response.field("x-response-mark")), (200, Some("app")));
    assert_eq!(client.get("a", "/").status, 404);
}

#[test]
fn a_new_listener_opens_its_port_and_a_removed_one_closes_it() {
    let (plane, recorder) = plain();
    let second = Port::free();
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    config.listener("second", second.number(), None, Protocol::Http);
    config.route_on(&["web", "second"], "all", &[], vec![to("/", "app")]);
    plane.apply(&mut config);
    let address = std::net::SocketAddr::new(common::LOCALHOST, second.number());
    let mut idle = Client::connect(address);
    assert_eq!(idle.get("a", "/").status, 200);
    let gate = Gate::new();
    recorder.script(Reply::new().wait(&gate).then_echo());
    let mut busy = Client::connect(address);
    busy.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    recorder.wait_for_heads(2);
    let mut other = plane.client();
    assert_eq!(other.get("a", "/").status, 200);
    config.remove_listener("second");
    config.route("all", vec![to("/", "app")]);
    plane.apply(&mut config);
    assert!(idle.is_closed_by_peer());
    gate.open();
    let response = busy.response("GET");
    assert_eq!((response.status, response.field("connection")), (200, Some("close")));
    assert_eq!(other.get("a", "/").status, 200, "its neighbour noticed nothing");
    testkit::eventually("the port to close", || {
        std::net::TcpStream::connect(address).is_err().then_some(())
    });
}

#[test]
fn a_port_is_free_again_once_the_revision_without_it_is_acknowledged() {
    let (plane, recorder) = plain();
    let second = Port::free();
    let address = std::net::SocketAddr::new(common::LOCALHOST, second.number());
    for round in 0..20 {
        let mut config = Config::http(plane.number());
        config.service("app", &[recorder.addr()]);
        config.listener("second", second.number(), None, Protocol::Http);
        config.route_on(&["web", "second"], "all", &[], vec![to("/", "app")]);
        plane.apply(&mut config);
        assert_eq!(testkit::raw::get(address, "a", "/").status, 200, "round {round}");
        config.remove_listener("second");
        plane.apply(&mut config);
        let refused = std::net::TcpStream::connect(address).map(drop);
        assert!(refused.is_err(), "round {round}: connected to a port that is not served");
    }
}

#[test]
fn a_port_that_another_process_holds_is_reported_and_the_rest_serves() {
    let (plane, recorder) = plain();
    let taken = TcpListener::bind((common::LOCALHOST, 0)).unwrap();
    let number = taken.local_addr().unwrap().port();
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    config.listener("taken", number, None, Protocol::Http);
    config.route_on(&["web", "taken"], "all", &[], vec![to("/", "app")]);
    let ack = plane.runtime.block_on(plane.handle.apply(config.update()));
    let failed: Vec<_> = ack.ports.iter().filter(|port| port.result.is_err()).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].key.port, number);
    assert_eq!(failed[0].result, Err(ir::BindFailure::InUse));
    assert_eq!(plane.get("a", "/").status, 200);
    drop(taken);
    plane.apply(&mut config);
    let address = std::net::SocketAddr::new(common::LOCALHOST, number);
    assert_eq!(testkit::raw::get(address, "a", "/").status, 200);
}

#[test]
fn an_idle_connection_survives_every_revision() {
    let (plane, recorder) = plain();
    let mut client = plane.client();
    assert_eq!(client.get("a", "/").status, 200);
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    for _ in 0..5 {
        marked(&mut config, "app");
        plane.apply(&mut config);
    }
    assert_eq!(client.get("a", "/").field("x-response-mark"), Some("app"));
    assert_eq!(recorder.connections(), 1);
}

#[test]
fn an_address_of_another_machine_is_told_from_a_port_in_use() {
    let plane = Plane::start();
    let mut config = Config::http(plane.number());
    config.edit_listener("web", |listener| {
        // Kept for documentation (RFC 5737): nobody's.
        listener.addresses = vec![ir::BindAddress::Ip("192.0.2.1".parse().unwrap())];
    });
    let ack = plane.runtime.block_on(plane.handle.apply(config.update()));
    assert_eq!(ack.ports[0].result, Err(ir::BindFailure::NotLocal));
}
