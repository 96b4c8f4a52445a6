//! Sessions pin an endpoint (GEP-1619), and hints of zones prefer some.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use common::{Config, Plane, backend, cluster, rule};
use ir::{
    Action, Cluster, ClusterId, CookieLifetime, Endpoint, EndpointState, FieldName, Locality,
    ObjectRef, Origin, SessionPersistence, SessionPlace, Target,
};
use proxy::{AccessLog, Limits, Proxy, ProxyConfig};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use testkit::{raw::Response, recorder::Recorder};

fn persistence(place: SessionPlace) -> SessionPersistence {
    SessionPersistence {
        origin: Origin::new(Arc::new(ObjectRef::new("", "", "", "")), ""),
        name: FieldName::new("sticky").unwrap(),
        place,
        absolute_timeout: None,
        idle_timeout: None,
    }
}

fn cookie() -> SessionPlace {
    SessionPlace::Cookie { path: "/app".into(), lifetime: CookieLifetime::Session }
}

struct World {
    plane: Plane,
    config: Config,
    recorders: Vec<Recorder>,
}

fn world(persistence: SessionPersistence) -> World {
    let plane = Plane::start();
    let recorders: Vec<_> = (0..4).map(|index| Recorder::named(&format!("r{index}"))).collect();
    let mut config = Config::http(plane.number());
    let addresses: Vec<_> = recorders.iter().map(Recorder::addr).collect();
    config.service("app", &addresses);
    let mut target = backend("app", 1);
    target.persistence = Some(Arc::new(persistence));
    config.route("all", vec![rule("/", Action::Forward(vec![target]))]);
    plane.apply(&mut config);
    World { plane, config, recorders }
}

impl World {
    fn get(&self, fields: &str) -> Response {
        let mut client = self.plane.client();
        client.send(format!("GET /app HTTP/1.1\r\nhost: a\r\n{fields}\r\n"));
        client.response("GET")
    }
}

fn name(response: &Response) -> String {
    response.json()["backend"].as_str().unwrap().to_owned()
}

/// `name=value` of the cookie that was set.
fn pair(response: &Response) -> String {
    let line = response.field("set-cookie").unwrap();
    line.split(';').next().unwrap().to_owned()
}

#[test]
fn a_cookie_brings_the_client_back_to_its_endpoint() {
    let world = world(persistence(cookie()));
    let first = world.get("");
    let line = first.field("set-cookie").unwrap();
    assert!(line.ends_with("; Path=/app; HttpOnly; SameSite=Strict"), "{line}");
    let fields = format!("cookie: other=1; {}; last=2\r\n", pair(&first));
    for _ in 0..8 {
        let again = world.get(&fields);
        assert_eq!(name(&again), name(&first));
        assert_eq!(again.field("set-cookie"), None, "the client knows it already");
    }
    let seen = world.recorders.iter().flat_map(Recorder::requests);
    assert!(seen.filter(|request| request.field("cookie").is_some()).count() >= 8);
}

#[test]
fn without_a_session_clients_are_spread() {
    let world = world(persistence(cookie()));
    let names: BTreeSet<_> = (0..8).map(|_| name(&world.get(""))).collect();
    assert_eq!(names.len(), 4);
}

#[test]
fn a_header_does_the_same_for_clients_without_cookies() {
    let world = world(persistence(SessionPlace::Header));
    let first = world.get("");
    let fields = format!("sticky: {}\r\n", first.field("sticky").unwrap());
    for _ in 0..8 {
        assert_eq!(name(&world.get(&fields)), name(&first));
    }
}

#[test]
fn a_session_whose_endpoint_is_gone_is_given_another() {
    let mut world = world(persistence(cookie()));
    let first = world.get("");
    let fields = format!("cookie: {}\r\n", pair(&first));
    let left: Vec<_> = world
        .recorders
        .iter()
        .enumerate()
        .filter(|(index, _)| format!("r{index}") != name(&first))
        .map(|(_, recorder)| recorder.addr())
        .collect();
    world.config.service("app", &left);
    world.plane.runtime.block_on(world.plane.handle.endpoints(&world.config.endpoints));
    let moved = world.get(&fields);
    assert_ne!(name(&moved), name(&first));
    let fields = format!("cookie: {}\r\n", pair(&moved));
    for _ in 0..8 {
        assert_eq!(name(&world.get(&fields)), name(&moved));
    }
}

#[test]
fn a_draining_endpoint_keeps_its_sessions() {
    let mut world = world(persistence(cookie()));
    let first = world.get("");
    let states: Vec<_> = world
        .recorders
        .iter()
        .enumerate()
        .map(|(index, recorder)| {
            let draining = format!("r{index}") == name(&first);
            let state = if draining { EndpointState::Draining } else { EndpointState::Ready };
            (recorder.addr(), state)
        })
        .collect();
    world.config.service_states("app", &states);
    world.plane.runtime.block_on(world.plane.handle.endpoints(&world.config.endpoints));
    assert_eq!(name(&world.get(&format!("cookie: {}\r\n", pair(&first)))), name(&first));
    for _ in 0..8 {
        assert_ne!(name(&world.get("")), name(&first));
    }
}

#[test]
fn a_permanent_cookie_says_how_long_it_lasts_and_a_forged_or_late_one_is_replaced() {
    let mut timed =
        persistence(SessionPlace::Cookie { path: "/".into(), lifetime: CookieLifetime::Permanent });
    timed.absolute_timeout = Some(Duration::from_secs(3600));
    let world = world(timed);
    let first = world.get("");
    let line = first.field("set-cookie").unwrap();
    assert!(line.ends_with("; Max-Age=3600"), "{line}");
    assert_eq!(name(&world.get(&format!("cookie: {}\r\n", pair(&first)))), name(&first));
    let token = pair(&first).split(['=', '.']).nth(1).unwrap().to_owned();
    for late in [format!("{token}.1.1"), token.clone(), "x".to_owned(), format!("{token}.z.z")] {
        let replaced = world.get(&format!("cookie: sticky={late}\r\n"));
        assert!(replaced.field("set-cookie").is_some(), "{late}");
    }
}

/// An endpoint with the zones and nodes that its slice hints.
type Hinted<'a> = (&'a Recorder, &'a [&'a str], &'a [&'a str]);

/// A data plane on node `east-1` in zone `east`, with one Service that prefers endpoints nearby.
fn near(locality: Locality, endpoints: &[Hinted<'_>]) -> Plane {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let handle = Proxy::start(ProxyConfig {
        workers: 1,
        limits: Limits::default(),
        access_log: AccessLog::Off,
        zone: Some("east".into()),
        node: Some("east-1".into()),
    });
    let port = testkit::ports::Port::free();
    let plane = Plane { handle: Arc::new(handle.unwrap()), runtime, port };
    let mut config = Config::http(plane.number());
    let prefers = ClusterId(Arc::new(Cluster { locality, ..(*cluster("app").0).clone() }));
    let mut target = backend("app", 1);
    target.target = Target::Cluster(prefers.clone());
    config.route("all", vec![rule("/", Action::Forward(vec![target]))]);
    let names = |list: &[&str]| list.iter().map(|name| Arc::from(*name)).collect();
    let mut endpoints: Vec<_> = endpoints
        .iter()
        .map(|(recorder, zones, nodes)| {
            Arc::new(Endpoint {
                address: recorder.addr(),
                identity: recorder.addr().to_string().into(),
                zone: zones.first().map(|zone| Arc::from(*zone)),
                for_zones: names(zones),
                for_nodes: names(nodes),
                state: EndpointState::Ready,
            })
        })
        .collect();
    endpoints.sort_by_key(|endpoint| endpoint.address);
    let set = ir::EndpointSet { endpoints };
    config.endpoints.insert(prefers.endpoints_key(), Arc::new(set));
    plane.apply(&mut config);
    plane
}

#[track_caller]
fn always(plane: &Plane, name: &str) {
    for _ in 0..6 {
        assert_eq!(plane.get("a", "/").json()["backend"], name);
    }
}

#[test]
fn endpoints_for_the_own_zone_come_first_and_others_when_they_fail() {
    let (east, west) = (Recorder::named("east"), Recorder::named("west"));
    let endpoints: [Hinted<'_>; 2] = [(&east, &["east"], &["x"]), (&west, &["west"], &["east-1"])];
    let plane = near(Locality::PreferZone, &endpoints);
    always(&plane, "east");
    east.stop();
    assert_eq!(plane.get("a", "/").json()["backend"], "west");
}

#[test]
fn endpoints_for_the_own_node_come_first_and_those_for_the_zone_where_there_are_none() {
    let (here, there) = (Recorder::named("here"), Recorder::named("there"));
    let endpoints: [Hinted<'_>; 2] =
        [(&here, &["west"], &["east-1"]), (&there, &["east"], &["east-2"])];
    let plane = near(Locality::PreferNode, &endpoints);
    always(&plane, "here");
    here.stop();
    assert_eq!(plane.get("a", "/").json()["backend"], "there");

    let (here, there) = (Recorder::named("here"), Recorder::named("there"));
    let endpoints: [Hinted<'_>; 2] =
        [(&here, &["west"], &["west-1"]), (&there, &["east"], &["east-2"])];
    always(&near(Locality::PreferNode, &endpoints), "there");
}
