//! Endpoints from Services and EndpointSlices.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::Arc;

use api::{EndpointSlice, Object, ObjectName, Service};
use ir::EndpointState;
use translate::endpoints::{Names, resolve, wanted};
use translate::{BackendAddresses, Settings, endpoint_map, translate};

fn read(text: &str) -> (Service, Vec<Arc<EndpointSlice>>) {
    let mut service = None;
    let mut slices = Vec::new();
    for decoded in common::objects(text) {
        match decoded.object {
            Object::Service(object) => service = Some((*object).clone()),
            Object::EndpointSlice(slice) => slices.push(slice),
            _ => panic!("only Services and EndpointSlices"),
        }
    }
    (service.unwrap(), slices)
}

fn service(spec: &str) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata: {{ name: app }}\nspec: {spec}\n")
}

fn slice(name: &str, rest: &str) -> String {
    format!(
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{ name: {name}, \
         labels: {{ kubernetes.io/service-name: app }} }}\n{rest}"
    )
}

fn addresses(text: &str, port: u16) -> Vec<String> {
    shown(text, port, BackendAddresses::Anywhere)
}

fn shown(text: &str, port: u16, allowed: BackendAddresses) -> Vec<String> {
    let (service, slices) = read(text);
    let slices: Vec<&Arc<EndpointSlice>> = slices.iter().collect();
    let set = resolve(&service, port, &slices, allowed);
    let state = |state| if state == EndpointState::Ready { "" } else { " draining" };
    set.endpoints.iter().map(|e| format!("{}{}", e.address, state(e.state))).collect()
}

const PORT: &str = "ports: [{ name: http, port: 8080 }]\n";

#[test]
fn ready_endpoints_serve_and_terminating_ones_that_still_serve_are_a_last_resort() {
    let text = service("{ ports: [{ name: http, port: 80 }] }")
        + &slice(
            "s",
            &format!(
                "addressType: IPv4\n{PORT}endpoints:\n\
                 - {{ addresses: [10.0.0.3] }}\n\
                 - {{ addresses: [10.0.0.1], conditions: {{ ready: true }} }}\n\
                 - {{ addresses: [10.0.0.2], conditions: {{ ready: false, serving: true, terminating: true }} }}\n\
                 - {{ addresses: [10.0.0.4], conditions: {{ ready: false }} }}\n\
                 - {{ addresses: [10.0.0.5], conditions: {{ ready: false, serving: false, terminating: true }} }}\n"
            ),
        );
    assert_eq!(addresses(&text, 80), ["10.0.0.1:8080", "10.0.0.2:8080 draining", "10.0.0.3:8080"]);
}

#[test]
fn the_port_is_found_by_its_name_and_its_number_is_that_of_the_slice() {
    let text = service(
        "{ ports: [{ name: http, port: 80, targetPort: web }, { name: admin, port: 81 }] }",
    ) + &slice(
        "s",
        "addressType: IPv4\nports: [{ name: admin, port: 9000 }, { name: http, port: 8443 }]\nendpoints: [{ addresses: [10.0.0.1] }]\n",
    );
    assert_eq!(addresses(&text, 80), ["10.0.0.1:8443"]);
    assert_eq!(addresses(&text, 81), ["10.0.0.1:9000"]);
    assert!(addresses(&text, 82).is_empty());
}

#[test]
fn a_service_with_one_port_without_a_name_has_slices_without_a_name() {
    let text = service("{ clusterIP: None, ports: [{ port: 80 }] }")
        + &slice(
            "s",
            "addressType: IPv4\nports: [{ name: '', port: 3000 }]\nendpoints: [{ addresses: [10.0.0.1] }]\n",
        );
    assert_eq!(addresses(&text, 80), ["10.0.0.1:3000"]);
}

#[test]
fn udp_and_tcp_ports_of_one_name_are_different_ports() {
    let text = service("{ ports: [{ name: dns, port: 53, protocol: UDP }] }")
        + &slice(
            "s",
            "addressType: IPv4\nports: [{ name: dns, port: 5353, protocol: TCP }, { name: dns, port: 5354, protocol: UDP }]\nendpoints: [{ addresses: [10.0.0.1] }]\n",
        );
    assert_eq!(addresses(&text, 53), ["10.0.0.1:5354"]);
}

#[test]
fn a_pod_with_two_families_counts_once_with_the_family_the_service_names_first() {
    let v4 = slice(
        "v4",
        &format!(
            "addressType: IPv4\n{PORT}endpoints: [{{ addresses: [10.0.0.1], targetRef: {{ kind: Pod, uid: u }} }}]\n"
        ),
    );
    let v6 = slice(
        "v6",
        &format!(
            "addressType: IPv6\n{PORT}endpoints: [{{ addresses: ['2001:db8::1'], targetRef: {{ kind: Pod, uid: u }} }}]\n"
        ),
    );
    let ports = "ports: [{ name: http, port: 80 }]";
    let first_v4 = service(&format!("{{ ipFamilies: [IPv4, IPv6], {ports} }}")) + &v4 + &v6;
    assert_eq!(addresses(&first_v4, 80), ["10.0.0.1:8080"]);
    let first_v6 = service(&format!("{{ ipFamilies: [IPv6, IPv4], {ports} }}")) + &v4 + &v6;
    assert_eq!(addresses(&first_v6, 80), ["[2001:db8::1]:8080"]);
}

#[test]
fn manual_slices_of_both_families_count_and_empty_ones_do_not_hurt() {
    let text = service("{ ports: [{ name: http, port: 80 }] }")
        + &slice(
            "a",
            &format!("addressType: IPv4\n{PORT}endpoints: [{{ addresses: [10.0.0.1] }}]\n"),
        )
        + &slice("b", &format!("addressType: IPv6\n{PORT}endpoints: []\n"))
        + &slice(
            "c",
            &format!("addressType: FQDN\n{PORT}endpoints: [{{ addresses: [a.example.com] }}]\n"),
        )
        + &slice(
            "d",
            &format!(
                "addressType: IPv4\n{PORT}endpoints: [{{ addresses: ['2001:db8::9'] }}, {{ addresses: [rubbish] }}, {{ addresses: [] }}]\n"
            ),
        );
    assert_eq!(addresses(&text, 80), ["10.0.0.1:8080"]);
}

#[test]
fn publish_not_ready_addresses_makes_every_address_ready() {
    let text = service("{ publishNotReadyAddresses: true, ports: [{ name: http, port: 80 }] }")
        + &slice(
            "s",
            &format!(
                "addressType: IPv4\n{PORT}endpoints: [{{ addresses: [10.0.0.1], conditions: {{ ready: false }} }}]\n"
            ),
        );
    assert_eq!(addresses(&text, 80), ["10.0.0.1:8080"]);
}

#[test]
fn an_address_is_listed_once_and_its_better_state_counts() {
    let text = service("{ ports: [{ name: http, port: 80 }] }")
        + &slice(
            "a",
            &format!(
                "addressType: IPv4\n{PORT}endpoints: [{{ addresses: [10.0.0.1], conditions: {{ ready: false, serving: true, terminating: true }} }}]\n"
            ),
        )
        + &slice(
            "b",
            &format!("addressType: IPv4\n{PORT}endpoints: [{{ addresses: [10.0.0.1] }}]\n"),
        );
    assert_eq!(addresses(&text, 80), ["10.0.0.1:8080"]);
}

#[test]
fn restricted_backends_are_never_our_own_addresses() {
    let text = service("{ ports: [{ name: http, port: 80 }] }")
        + &slice(
            "a",
            &format!(
                "addressType: IPv4\n{PORT}endpoints: [{{ addresses: [127.0.0.1] }}, {{ addresses: [169.254.169.254] }}, {{ addresses: [0.0.0.0] }}, {{ addresses: [10.0.0.1] }}]\n"
            ),
        )
        + &slice(
            "b",
            &format!(
                "addressType: IPv6\n{PORT}endpoints: [{{ addresses: ['::1'] }}, {{ addresses: ['fe80::1'] }}, {{ addresses: ['::ffff:127.0.0.1'] }}, {{ addresses: ['2001:db8::1'] }}]\n"
            ),
        );
    let routable = shown(&text, 80, BackendAddresses::Restricted);
    assert_eq!(routable, ["10.0.0.1:8080", "[2001:db8::1]:8080"]);
    assert!(shown(&text, 80, BackendAddresses::Anywhere).contains(&"127.0.0.1:8080".to_owned()));
}

#[test]
fn the_identity_is_the_pod_or_else_the_slice_and_address() {
    let text = service("{ ports: [{ name: http, port: 80 }] }")
        + &slice(
            "s",
            &format!(
                "addressType: IPv4\n{PORT}endpoints: [{{ addresses: [10.0.0.1], zone: z, targetRef: {{ uid: pod-uid }} }}, {{ addresses: [10.0.0.2] }}]\n"
            ),
        );
    let (service, slices) = read(&text);
    let slices: Vec<&Arc<EndpointSlice>> = slices.iter().collect();
    let set = resolve(&service, 80, &slices, BackendAddresses::Anywhere);
    let identities: Vec<&str> = set.endpoints.iter().map(|e| &*e.identity).collect();
    assert_eq!(identities, ["pod-uid", "s/10.0.0.2"]);
    assert_eq!(set.endpoints[0].zone.as_deref(), Some("z"));
}

#[test]
fn slices_of_another_namespace_do_not_count() {
    let text = service("{ ports: [{ name: http, port: 80 }] }")
        + &slice(
            "s",
            &format!("addressType: IPv4\n{PORT}endpoints: [{{ addresses: [10.0.0.1] }}]\n"),
        )
        .replace("name: s,", "name: s, namespace: elsewhere,");
    assert!(addresses(&text, 80).is_empty());
}

#[test]
fn every_cluster_of_the_ir_has_a_set_mirrors_included() {
    let fixture = std::fs::read_to_string("tests/fixtures/web.yaml").unwrap();
    let mut snapshot = common::snapshot(&fixture);
    common::add(
        &mut snapshot,
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: { name: r }\nspec: { parentRefs: [{ name: web }], rules: [{ filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: app, port: 8081 } } }], backendRefs: [{ name: app, port: 80 }] }] }\n",
    );
    let translation = translate(&snapshot, &Settings::default());
    let ports: Vec<u16> = wanted(&translation.ir).iter().map(|key| key.port).collect();
    assert_eq!(ports, [80, 8081]);
    let (_, slices) = read(
        &(service("{}")
            + &slice(
                "s",
                "addressType: IPv4\nports: [{ name: http, port: 8080 }]\nendpoints: [{ addresses: [10.0.0.1] }]\n",
            )),
    );
    let names = Names::new();
    let map = endpoint_map(&translation.ir, &snapshot, &slices, &names, BackendAddresses::Anywhere);
    let counts: Vec<usize> = map.values().map(|set| set.endpoints.len()).collect();
    assert_eq!(counts, [1, 0]);
}

const X_BACKENDS: &str = "
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: XBackend
metadata: { name: pods, uid: u1 }
spec: { type: EndpointSelector, port: { number: 8080 }, endpointSelector: { matchLabels: { app: a } } }
---
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: XBackend
metadata: { name: name }
spec: { type: ExternalHostname, port: { number: 443 }, externalHostname: { hostname: API.example.com } }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: x }
spec:
  parentRefs: [{ name: web }]
  rules:
  - backendRefs:
    - { group: gateway.networking.x-k8s.io, kind: XBackend, name: pods }
    - { group: gateway.networking.x-k8s.io, kind: XBackend, name: name }
";

/// Endpoints of the two XBackends, with `text` beside them and what DNS answers.
fn of_x_backends(text: &str, names: &Names, allowed: BackendAddresses) -> Vec<String> {
    let web = std::fs::read_to_string("tests/fixtures/web.yaml").unwrap();
    let snapshot = common::snapshot(&format!("{web}---{X_BACKENDS}---\n{text}"));
    let slices: Vec<Arc<EndpointSlice>> = common::objects(text)
        .into_iter()
        .filter_map(|decoded| match decoded.object {
            Object::EndpointSlice(slice) => Some(slice),
            _ => None,
        })
        .collect();
    let translation = translate(&snapshot, &Settings::default());
    let wanted = translate::endpoints::names(&translation.ir, &snapshot);
    assert_eq!(wanted.iter().map(|name| &**name).collect::<Vec<_>>(), ["api.example.com"]);
    let map = endpoint_map(&translation.ir, &snapshot, &slices, names, allowed);
    let all = map.iter().flat_map(|(key, set)| {
        set.endpoints.iter().map(|one| format!("{} {}", key.backend.name, one.address))
    });
    all.collect()
}

#[test]
fn an_x_backend_has_the_slices_of_the_service_that_it_owns() {
    let owned = |uid: &str| {
        format!(
            "
apiVersion: v1
kind: Service
metadata:
  name: pods-x7f2
  ownerReferences: [{{ apiVersion: gateway.networking.x-k8s.io/v1alpha1, kind: XBackend, name: pods, uid: {uid} }}]
spec: {{ clusterIP: None, ports: [{{ port: 8080 }}] }}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{ name: s, labels: {{ kubernetes.io/service-name: pods-x7f2 }} }}
addressType: IPv4
ports: [{{ name: '', port: 8080 }}]
endpoints: [{{ addresses: [10.0.0.1] }}]
"
        )
    };
    let names = Names::new();
    let anywhere = BackendAddresses::Anywhere;
    assert_eq!(of_x_backends(&owned("u1"), &names, anywhere), ["pods 10.0.0.1:8080"]);
    let another = of_x_backends(&owned("u2"), &names, anywhere);
    assert!(another.is_empty(), "an XBackend of the same name before this one: {another:?}");
}

#[test]
fn an_x_backend_has_the_addresses_of_its_name_as_far_as_they_are_allowed() {
    let addresses = ["203.0.113.7", "127.0.0.1", "169.254.169.254", "2001:db8::1"];
    let addresses = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
    let names: Names = [("api.example.com".into(), addresses)].into_iter().collect();
    let restricted = of_x_backends("", &names, BackendAddresses::Restricted);
    assert_eq!(restricted, ["name 203.0.113.7:443", "name [2001:db8::1]:443"]);
    assert_eq!(of_x_backends("", &names, BackendAddresses::Anywhere).len(), 4);
}

#[test]
fn the_service_for_the_pods_of_an_x_backend_is_headless_and_owned_by_it() {
    let snapshot = common::snapshot(X_BACKENDS);
    let service = |name: &str| {
        let name = ObjectName::new("default", name);
        translate::endpoints::selector_service(&snapshot.x_backends[&name])
    };
    let made = service("pods").unwrap();
    assert!(made.spec.is_headless());
    assert_eq!(made.spec.selector.get("app").map(|label| &**label), Some("a"));
    assert_eq!(made.spec.ports[0].port, 8080);
    assert_eq!(&*made.metadata.owner_references[0].uid, "u1");
    assert!(service("name").is_none());
}

#[test]
fn hints_of_a_slice_come_along() {
    let text = service("{ ports: [{ name: http, port: 80 }] }")
        + &slice(
            "s",
            &format!(
                "addressType: IPv4\n{PORT}endpoints:\n\
                 - {{ addresses: [10.0.0.1], zone: a, hints: {{ forZones: [{{ name: a }}, {{ name: b }}], forNodes: [{{ name: one }}] }} }}\n"
            ),
        );
    let (service, slices) = read(&text);
    let slices: Vec<&Arc<EndpointSlice>> = slices.iter().collect();
    let set = resolve(&service, 80, &slices, BackendAddresses::Anywhere);
    let zones: Vec<&str> = set.endpoints[0].for_zones.iter().map(|zone| &**zone).collect();
    assert_eq!(zones, ["a", "b"]);
    assert_eq!(&*set.endpoints[0].for_nodes[0], "one");
}
