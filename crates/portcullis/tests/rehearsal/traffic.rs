//! What happens to a request once its rule is known: shares, mirrors, timeouts, upgrades, kinds of Services.

use std::net::SocketAddr;

use testkit::{
    eventually,
    gate::Gate,
    raw::Client,
    recorder::{Recorder, Reply},
};

use crate::kit::{World, ask, conditions, outcome};

/// Upstream: HTTPRouteWeight.
#[test]
fn requests_are_shared_by_weight() {
    let world = World::web(
        "    - backendRefs:
        - {name: one, port: 8080, weight: 70}
        - {name: two, port: 8080, weight: 30}
        - {name: three, port: 8080, weight: 0}
",
    );
    for _ in 0..500 {
        assert_eq!(world.ask_fast("default/web", "GET a.example /").status, 200);
    }
    let one = world.backend("one").requests().len();
    let two = world.backend("two").requests().len();
    assert_eq!(one + two, 500, "the third has no share");
    // Six standard deviations of a fair draw are 61 requests.
    assert!((285..=415).contains(&one), "70 % of 500 are 350, not {one}");
}

/// Upstream: HTTPRouteRequestMirror, HTTPRouteRequestMultipleMirrors.
#[test]
fn mirrors_get_a_copy_with_the_changed_headers_and_the_answer_is_the_backends() {
    let world = World::web(
        "    - matches: [{path: {value: /mirror}}]
      filters: [{type: RequestMirror, requestMirror: {backendRef: {name: two, port: 8080}}}]
      backendRefs: [{name: one, port: 8080}]
    - matches: [{path: {value: /several}}]
      filters:
        - {type: RequestMirror, requestMirror: {backendRef: {name: two, port: 8080}}}
        - {type: RequestMirror, requestMirror: {backendRef: {name: three, port: 8080}}}
      backendRefs: [{name: one, port: 8080}]
    - matches: [{path: {value: /modified}}]
      filters:
        - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-set, value: by-rule}], remove: [x-gone]}}
        - {type: RequestMirror, requestMirror: {backendRef: {name: two, port: 8080}}}
      backendRefs: [{name: one, port: 8080}]
",
    );
    conditions(
        &world.parent("default/r", 0),
        &["Accepted=True/Accepted", "ResolvedRefs=True/ResolvedRefs"],
    );
    world.backend("three").always(Reply::status(500, &[], "no"));
    world.table(
        "default/web",
        80,
        &[
            ("GET a.example /mirror?q=1", "one"),
            ("GET a.example /several", "one"),
            ("GET a.example /modified x-set:client x-gone:1", "one"),
        ],
    );
    let copies = world.backend("two").wait_for(3);
    let copy = |path: &str| copies.iter().find(|one| one.target.starts_with(path)).expect("a copy");
    assert_eq!(copy("/mirror").target, "/mirror?q=1");
    assert_eq!(copy("/mirror").method, "GET");
    assert_eq!(copy("/modified").field("x-set"), Some("by-rule"));
    assert_eq!(copy("/modified").field("x-gone"), None);
    assert_eq!(world.backend("three").wait_for(1)[0].target, "/several");
    assert_eq!(world.backend("one").requests().len(), 3);
}

/// Upstream: HTTPRouteRequestPercentageMirror.
#[test]
fn a_share_of_the_requests_is_mirrored() {
    let rule = |path: &str, share: &str| {
        format!(
            "    - matches: [{{path: {{value: {path}}}}}]
      filters: [{{type: RequestMirror, requestMirror: {{backendRef: {{name: two, port: 8080}}, {share}}}}}]
      backendRefs: [{{name: one, port: 8080}}]
"
        )
    };
    let world = World::web(
        &[
            rule("/percent", "percent: 20"),
            rule("/fraction", "fraction: {numerator: 1, denominator: 2}"),
            rule("/default", "fraction: {numerator: 35}"),
            rule("/all", "percent: 100"),
            rule("/none", "percent: 0"),
        ]
        .concat(),
    );
    for path in ["/percent", "/fraction", "/default", "/none"] {
        for _ in 0..500 {
            assert_eq!(
                outcome(&world.ask_fast("default/web", &format!("GET a.example {path}"))),
                "one"
            );
        }
    }
    let copies = |path: &str| {
        let all = world.backend("two").requests();
        all.iter().filter(|one| one.target.starts_with(path)).count()
    };
    for (path, share) in [("/percent", 100_usize), ("/fraction", 250), ("/default", 175)] {
        // Copies arrive on their own time; six standard deviations are 54 to 67 requests.
        eventually(&format!("copies of {path}"), || (copies(path) + 70 >= share).then_some(()));
        assert!(copies(path) <= share + 70, "{path}: {} copies", copies(path));
    }
    world.table("default/web", 80, &[("GET a.example /all", "one")]);
    eventually("the copy", || (copies("/all") == 1).then_some(()));
    assert_eq!(copies("/none"), 0);
}

/// Upstream: HTTPRouteTimeoutRequest, HTTPRouteTimeoutBackendRequest.
#[test]
fn a_timeout_answers_504_and_zero_disables_it() {
    let rule = |path: &str, timeouts: &str| {
        format!(
            "    - matches: [{{path: {{value: {path}}}}}]
      timeouts: {{{timeouts}}}
      backendRefs: [{{name: one, port: 8080}}]
"
        )
    };
    let world = World::web(
        &[
            rule("/request", "request: 500ms"),
            rule("/backend", "backendRequest: 500ms"),
            rule("/both", "request: 30s, backendRequest: 500ms"),
            rule("/never-request", "request: 0s"),
            rule("/never-backend", "backendRequest: 0s"),
        ]
        .concat(),
    );
    world.table(
        "default/web",
        80,
        &[
            ("GET a.example /request", "one"),
            ("GET a.example /backend", "one"),
            ("GET a.example /both", "one"),
            ("GET a.example /never-request", "one"),
            ("GET a.example /never-backend", "one"),
        ],
    );
    let gate = Gate::new();
    world.backend("one").always(Reply::echo().held_by(&gate));
    world.table(
        "default/web",
        80,
        &[
            ("GET a.example /request", "504"),
            ("GET a.example /backend", "504"),
            ("GET a.example /both", "504"),
        ],
    );
    let seen = world.backend("one").heads().len();
    let mut waiting = Vec::new();
    for path in ["/never-request", "/never-backend"] {
        let mut client = Client::connect(world.socket("default/web", 80));
        client.send(format!("GET {path} HTTP/1.1\r\nhost: a.example\r\n\r\n"));
        waiting.push(client);
    }
    world.backend("one").wait_for_heads(seen + 2);
    // Another timeout of half a second has run out before these are let go.
    world.table("default/web", 80, &[("GET a.example /request", "504")]);
    gate.open();
    for mut client in waiting {
        assert_eq!(client.response("GET").status, 200);
    }
}

/// Upstream: HTTPRouteBackendProtocolWebSocket.
#[test]
fn a_websocket_passes_through_to_a_backend_that_names_the_protocol() {
    let chat = Recorder::named("chat");
    chat.always(Reply::upgrade_echo("websocket"));
    let world = World::web(&format!(
        "    - backendRefs: [{{name: chat, port: 80}}]
---
apiVersion: v1
kind: Service
metadata: {{name: chat, namespace: default, annotations: {{portcullis.dev/endpoints: '{}'}}}}
spec: {{ports: [{{port: 80, appProtocol: kubernetes.io/ws}}]}}
",
        chat.addr()
    ));
    conditions(&world.parent("default/r", 0), &["ResolvedRefs=True/ResolvedRefs"]);
    let mut client = Client::connect(world.socket("default/web", 80));
    client.send(
        "GET /chat HTTP/1.1\r\nhost: a.example\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let answer = client.response("GET");
    assert_eq!(answer.status, 101);
    assert_eq!(answer.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    let frame = b"\x81\x84\x01\x02\x03\x04pkmc";
    client.send(frame);
    assert_eq!(client.read_exact(frame.len()), frame);
}

fn slice(name: &str, service: &str, family: &str, addresses: &str, port: u16) -> String {
    format!(
        "@EndpointSlice default/{name} kubernetes.io/service-name={service}
addressType: {family}
ports: [{{name: web, port: {port}, protocol: TCP}}]
endpoints: {addresses}
"
    )
}

/// Upstream: HTTPRouteServiceTypes.
#[test]
fn services_without_a_selector_and_without_an_address_are_reached_by_their_slices() {
    let backend = Recorder::named("slices");
    let port = SocketAddr::port(&backend.addr());
    let ready = "[{addresses: [127.0.0.1], conditions: {ready: true}}]";
    let mut objects = String::new();
    let mut rules = String::new();
    for (name, spec) in [
        ("manual", "{ports: [{name: web, port: 8080, targetPort: 3000}]}"),
        (
            "headless",
            "{clusterIP: None, selector: {app: x}, ports: [{name: web, port: 8080, targetPort: web}]}",
        ),
        (
            "headless-manual",
            "{clusterIP: None, ports: [{name: web, port: 8080, targetPort: 3000}]}",
        ),
        ("unready", "{ports: [{name: web, port: 8080}]}"),
    ] {
        objects.push_str(&format!("@Service default/{name}\nspec: {spec}\n"));
        rules.push_str(&format!(
            "    - matches: [{{path: {{value: /{name}}}}}]\n      backendRefs: [{{name: {name}, port: 8080}}]\n"
        ));
        let endpoints = if name == "unready" {
            "[{addresses: [127.0.0.1], conditions: {ready: false, serving: false}}]"
        } else {
            ready
        };
        objects.push_str(&slice(&format!("{name}-4"), name, "IPv4", endpoints, port));
        objects.push_str(&slice(&format!("{name}-6"), name, "IPv6", "[]", port));
    }
    let world = World::web(&format!("{rules}{objects}"));
    conditions(
        &world.parent("default/r", 0),
        &["Accepted=True/Accepted", "ResolvedRefs=True/ResolvedRefs"],
    );
    let mut client = Client::connect(world.socket("default/web", 80));
    for (path, expected) in [
        ("/manual", "slices"),
        ("/headless", "slices"),
        ("/headless-manual", "slices"),
        ("/unready", "503"),
    ] {
        assert_eq!(
            outcome(&ask(&mut client, &format!("GET a.example {path}"))),
            expected,
            "{path}"
        );
    }
}

/// Upstream: the shares of invalid backends that HTTPRouteInvalidNonExistentBackendRef and its neighbours leave open.
#[test]
fn the_share_of_an_invalid_backend_answers_500_and_no_share_at_all_does_too() {
    let world = World::web(
        "    - matches: [{path: {value: /half}}]
      backendRefs: [{name: one, port: 8080}, {name: nobody, port: 8080}]
    - matches: [{path: {value: /zero}}]
      backendRefs: [{name: one, port: 8080, weight: 0}, {name: two, port: 8080, weight: 0}]
    - matches: [{path: {value: /unused}}]
      backendRefs: [{name: one, port: 8080}, {name: nobody, port: 8080, weight: 0}]
",
    );
    conditions(&world.parent("default/r", 0), &["ResolvedRefs=False/BackendNotFound"]);
    let mut failed = 0;
    for _ in 0..200 {
        match world.ask_fast("default/web", "GET a.example /half").status {
            200 => {}
            500 => failed += 1,
            other => panic!("{other}"),
        }
        assert_eq!(world.ask_fast("default/web", "GET a.example /unused").status, 200);
    }
    // Seven standard deviations of a fair draw of 200 are 50.
    assert!((50..=150).contains(&failed), "{failed} of 200");
    world.table("default/web", 80, &[("GET a.example /zero", "500")]);
}

/// Upstream: HTTPRouteRequestMirror with a mirror that cannot be used.
#[test]
fn a_mirror_without_its_backend_is_said_and_the_traffic_goes_on() {
    let world = World::web(
        "    - filters: [{type: RequestMirror, requestMirror: {backendRef: {name: nobody, port: 8080}}}]
      backendRefs: [{name: one, port: 8080}]
",
    );
    conditions(
        &world.parent("default/r", 0),
        &["Accepted=True/Accepted", "ResolvedRefs=False/BackendNotFound"],
    );
    world.table("default/web", 80, &[("GET a.example /", "one")]);
}
