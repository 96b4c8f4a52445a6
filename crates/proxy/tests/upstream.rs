//! Backends that fail, lie, hang or vanish.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use common::{Config, Plane, backend, cluster_balanced, plain, rule, to};
use ir::{Action, Balance, EndpointState, Retry, Target, Timeouts};
use proxy::{AccessLog, Limits, Reason};
use std::{net::SocketAddr, time::Duration};
use testkit::{
    gate::Gate,
    ports::Port,
    recorder::{Recorder, Reply, hostile},
};

fn closed_address(port: &Port) -> SocketAddr {
    SocketAddr::new(common::LOCALHOST, port.number())
}

#[test]
fn a_bad_response_is_502_or_cut_and_its_connection_never_reused() {
    for (name, reply) in hostile() {
        let (plane, recorder) = plain();
        recorder.script(reply);
        let mut client = plane.client();
        client.send("POST /bad HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx");
        match client.read_response("POST") {
            Ok(response) => assert_eq!(response.status, 502, "{name}"),
            // The head was fine and passed on: the client sees the end of its connection, and
            // never the end of the body.
            Err(error) => assert!(error.to_string().contains("ended within"), "{name}: {error}"),
        }
        let response = plane.get("a", "/good");
        assert_eq!((response.status, &response.json()["path"]), (200, &"/good".into()), "{name}");
        let requests = recorder.requests();
        assert_eq!(requests.len(), 2, "{name}: tried once only");
        assert_ne!(requests[0].connection, requests[1].connection, "{name}");
    }
}

#[test]
fn bytes_behind_a_response_end_its_connection() {
    let (plane, recorder) = plain();
    recorder.script(Reply::raw(
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
    ));
    let mut client = plane.client();
    assert_eq!(client.get("a", "/1").text(), "ok");
    assert_eq!(client.get("a", "/2").json()["path"], "/2");
    assert_eq!(recorder.wait_for(2)[1].connection, 1);
}

#[test]
fn a_refused_connect_goes_to_another_endpoint() {
    let plane = Plane::start();
    let dead = Port::free();
    let recorder = Recorder::start();
    let mut config = Config::http(plane.number());
    config.service("app", &[closed_address(&dead), recorder.addr()]);
    config.service("dead", &[closed_address(&dead)]);
    let mut strict = to("/strict", "app");
    strict.retry = Some(Retry { attempts: 0, codes: Vec::new(), backoff: None });
    config.route("all", vec![to("/", "app"), to("/dead", "dead"), strict]);
    plane.apply(&mut config);
    // Fewer than end in an ejection, which would spare the strict rule.
    for _ in 0..3 {
        assert_eq!(plane.get("a", "/").status, 200);
    }
    assert_eq!(plane.get("a", "/dead").status, 503);
    assert_eq!(plane.reason(Reason::ConnectRefused), 1);
    let statuses: Vec<u16> = (0..4).map(|_| plane.get("a", "/strict").status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 503).count(), 2, "{statuses:?}");
}

#[test]
fn a_connection_that_the_backend_closed_while_idle_costs_no_request() {
    let (plane, recorder) = plain();
    let mut client = plane.client();
    for _ in 0..3 {
        recorder.script(Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").close());
        assert_eq!(client.get("a", "/").status, 200);
        recorder.wait_for_open(0);
        client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx");
        assert_eq!(client.response("POST").status, 200);
    }
}

#[test]
fn a_reused_connection_that_dies_unheard_is_tried_again_for_idempotent_methods_only() {
    let (plane, recorder) = plain();
    let mut client = plane.client();
    assert_eq!(client.get("a", "/").status, 200);
    recorder.script(Reply::new().read_body().close());
    assert_eq!(client.get("a", "/again").status, 200);
    let targets: Vec<_> = recorder.wait_for(3).into_iter().map(|r| r.target).collect();
    assert_eq!(targets, ["/", "/again", "/again"]);
    recorder.script(Reply::new().read_body().close());
    client.send("POST /once HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx");
    assert_eq!(client.response("POST").status, 502);
    assert_eq!(recorder.requests().len(), 4);
}

#[test]
fn a_put_with_a_small_body_is_replayed_whole() {
    let (plane, recorder) = plain();
    let mut client = plane.client();
    assert_eq!(client.get("a", "/").status, 200);
    recorder.script(Reply::new().read_body().close());
    client.send(
        "PUT /p HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    );
    assert_eq!(client.response("PUT").json()["body"], "abc");
    assert_eq!(recorder.wait_for(3)[2].text(), "abc");
}

#[test]
fn timeouts_of_the_rule_answer_504() {
    let plane = Plane::start();
    let recorder = Recorder::start();
    recorder.always(Reply::new());
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    let timed = |prefix, request: Option<u64>, backend: Option<u64>| {
        let mut rule = to(prefix, "app");
        rule.timeouts = Timeouts {
            request: request.map(Duration::from_millis),
            backend_request: backend.map(Duration::from_millis),
        };
        rule
    };
    config.route(
        "timed",
        vec![timed("/request", Some(60), None), timed("/backend", Some(5000), Some(60))],
    );
    plane.apply(&mut config);
    assert_eq!(plane.get("a", "/request").status, 504);
    assert_eq!(plane.get("a", "/backend").status, 504);
    assert_eq!(plane.reason(Reason::RequestTimeout), 1);
    assert_eq!(plane.reason(Reason::BackendTimeout), 1);
    recorder.wait_for_open(0);
}

#[test]
fn a_timeout_within_the_response_cuts_the_connection() {
    let plane = Plane::start();
    let recorder = Recorder::start();
    recorder.script(Reply::new().bytes("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab"));
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    let mut rule = to("/", "app");
    rule.timeouts.request = Some(Duration::from_millis(80));
    config.route("timed", vec![rule]);
    plane.apply(&mut config);
    let mut client = plane.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(client.read_to_end().ends_with(b"\r\n\r\nab"));
    recorder.wait_for_open(0);
}

#[test]
fn a_client_that_stops_sending_its_body_is_408() {
    let limits = Limits { body_idle: Duration::from_millis(80), ..Limits::default() };
    let plane = Plane::with(limits, AccessLog::Off, 1);
    let recorder = Recorder::start();
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    config.route("all", vec![to("/", "app")]);
    plane.apply(&mut config);
    let mut client = plane.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nab");
    assert_eq!(client.response("POST").status, 408);
    assert!(client.is_closed_by_peer());
    recorder.wait_for_open(0);
}

#[test]
fn a_client_that_goes_away_aborts_the_upstream_request() {
    let (plane, recorder) = plain();
    recorder.script(Reply::new());
    let mut client = plane.client();
    client.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n");
    recorder.wait_for_heads(1);
    client.reset();
    recorder.wait_for_open(0);
    testkit::eventually("the reason", || (plane.reason(Reason::ClientGone) == 1).then_some(()));
    assert_eq!(plane.get("a", "/next").status, 200);
}

#[test]
fn ready_endpoints_are_preferred_and_draining_ones_are_the_last_resort() {
    let plane = Plane::start();
    let (ready, draining) = (Recorder::named("ready"), Recorder::named("draining"));
    let mut config = Config::http(plane.number());
    let states = [(ready.addr(), EndpointState::Ready), (draining.addr(), EndpointState::Draining)];
    config.service_states("app", &states);
    config.route("all", vec![to("/", "app")]);
    plane.apply(&mut config);
    for _ in 0..4 {
        assert_eq!(plane.get("a", "/").json()["backend"], "ready");
    }
    config.service_states("app", &[(draining.addr(), EndpointState::Draining)]);
    plane.runtime.block_on(plane.handle.endpoints(&config.endpoints));
    assert_eq!(plane.get("a", "/").json()["backend"], "draining");
    config.service_states("app", &[]);
    plane.runtime.block_on(plane.handle.endpoints(&config.endpoints));
    assert_eq!(plane.get("a", "/").status, 503);
}

#[test]
fn round_robin_takes_every_endpoint_in_turn() {
    let plane = Plane::start();
    let recorders: Vec<_> = (0..3).map(|_| Recorder::start()).collect();
    let mut config = Config::http(plane.number());
    let addresses: Vec<_> = recorders.iter().map(Recorder::addr).collect();
    config.service("app", &addresses);
    config.route("all", vec![to("/", "app")]);
    plane.apply(&mut config);
    for _ in 0..9 {
        assert_eq!(plane.get("a", "/").status, 200);
    }
    assert!(recorders.iter().all(|recorder| recorder.requests().len() == 3));
}

#[test]
fn least_request_avoids_the_busy_endpoint() {
    let plane = Plane::start();
    let (busy, free) = (Recorder::named("busy"), Recorder::named("free"));
    let gate = Gate::new();
    let mut config = Config::http(plane.number());
    config.service("app", &[busy.addr()]);
    let mut target = backend("app", 1);
    target.target = Target::Cluster(cluster_balanced("app", Balance::LeastRequest));
    config.route("all", vec![rule("/", Action::Forward(vec![target]))]);
    plane.apply(&mut config);
    busy.script(Reply::new().wait(&gate).then_echo());
    let mut waiting = plane.client();
    waiting.send("GET /held HTTP/1.1\r\nhost: a\r\n\r\n");
    busy.wait_for_heads(1);
    config.service("app", &[busy.addr(), free.addr()]);
    plane.runtime.block_on(plane.handle.endpoints(&config.endpoints));
    for _ in 0..8 {
        assert_eq!(plane.get("a", "/").json()["backend"], "free");
    }
    let states = plane.runtime.block_on(plane.handle.endpoints_state());
    let in_flight: Vec<_> = states.iter().map(|s| (s.endpoint.address, s.in_flight)).collect();
    assert!(in_flight.contains(&(busy.addr(), 1)), "{in_flight:?}");
    gate.open();
    assert_eq!(waiting.response("GET").status, 200);
}

#[test]
fn a_pool_is_not_shared_with_the_next_holder_of_an_address() {
    let plane = Plane::start();
    let recorder = Recorder::start();
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    config.route("all", vec![to("/", "app")]);
    plane.apply(&mut config);
    assert_eq!(plane.get("a", "/").status, 200);
    let sets: Vec<_> = config.endpoints.values().cloned().collect();
    let mut endpoint = (*sets[0].endpoints[0]).clone();
    endpoint.identity = "another pod".into();
    let key = common::cluster("app").endpoints_key();
    let set = ir::EndpointSet { endpoints: vec![endpoint.into()] };
    config.endpoints.insert(key, set.into());
    plane.runtime.block_on(plane.handle.endpoints(&config.endpoints));
    assert_eq!(plane.get("a", "/").status, 200);
    assert_eq!(recorder.wait_for(2)[1].connection, 1);
    recorder.wait_for_open(1);
}
