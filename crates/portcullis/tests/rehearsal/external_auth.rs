//! Filters that ask another service: ExternalAuth of rules (GEP-1494) and of listeners (GEP-5224).
//! No upstream test is about them yet, though the feature GatewayListenerFilters has a name.

use serde_json::Value;
use testkit::recorder::Reply;

use crate::kit::{World, conditions, outcome, received};

const BACKENDS: &[&str] = &["default/one", "default/two", "default/auth", "other/auth"];

const AUTH: &str = "{type: ExternalAuth, externalAuth: {protocol: HTTP, \
                    backendRef: {name: auth, port: 8080}, http: {path: /check, \
                    allowedResponseHeaders: [x-tenant]}}}";

fn gateway(filters: &str) -> String {
    format!(
        "
@Gateway default/web
spec:
  gatewayClassName: portcullis
  listeners:
    - {{name: http, port: 80, protocol: HTTP, filters: {{requests: [{filters}]}}}}
    - {{name: open, port: 8080, protocol: HTTP}}
@HTTPRoute default/tenants
spec:
  parentRefs: [{{name: web}}]
  rules:
    - matches: [{{headers: [{{name: x-tenant, value: gold}}]}}]
      backendRefs: [{{name: two, port: 8080}}]
    - backendRefs: [{{name: one, port: 8080}}]
"
    )
}

fn listener(world: &World) -> Value {
    world.listener("default/web", "http")
}

#[test]
fn a_filter_of_a_listener_refuses_requests_and_chooses_routes() {
    let world = World::start(BACKENDS, &gateway(AUTH));
    let fine = ["Accepted=True/Accepted", "ResolvedRefs=True/ResolvedRefs"];
    conditions(&listener(&world), &fine);
    world.backend("auth").always(Reply::status(200, &[("x-tenant", "gold")], ""));
    let answer = world.ask("default/web", 80, "GET a.example / x-tenant:iron");
    assert_eq!(outcome(&answer), "two");
    assert_eq!(received(&answer, "x-tenant").as_deref(), Some("gold"));
    assert_eq!(outcome(&world.ask("default/web", 8080, "GET a.example /")), "one");
    world.backend("auth").always(Reply::status(401, &[("www-authenticate", "Basic")], "who?"));
    let answer = world.ask("default/web", 80, "GET a.example /nowhere");
    assert_eq!((answer.status, answer.text().as_str()), (401, "who?"));
    assert_eq!(answer.field("www-authenticate"), Some("Basic"));
}

#[test]
fn a_filter_of_a_listener_that_cannot_ask_refuses_every_request() {
    let missing = AUTH.replace("name: auth", "name: gone");
    let world = World::start(BACKENDS, &gateway(&missing));
    conditions(
        &listener(&world),
        &["Accepted=True/Accepted", "ResolvedRefs=False/InvalidListenerFilterRef"],
    );
    assert_eq!(world.ask("default/web", 80, "GET a.example /").status, 500);
    assert_eq!(outcome(&world.ask("default/web", 8080, "GET a.example /")), "one");

    let foreign = AUTH.replace("name: auth", "name: auth, namespace: other");
    let world = World::start(BACKENDS, &gateway(&foreign));
    conditions(&listener(&world), &["ResolvedRefs=False/RefNotPermitted"]);
    assert_eq!(world.ask("default/web", 80, "GET a.example /").status, 500);
    world.write(
        "grant",
        "@ReferenceGrant other/auth
spec:
  from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: default}]
  to: [{group: \"\", kind: Service, name: auth}]
",
    );
    world.wait_for("default/web", 80, "GET a.example /", "one");
    conditions(&listener(&world), &["ResolvedRefs=True/ResolvedRefs"]);
}

#[test]
fn a_listener_with_a_filter_that_is_not_known_is_not_served() {
    let extension = "{type: ExtensionRef, extensionRef: {group: a.example, kind: Wasm, name: w}}";
    let world = World::start(BACKENDS, &gateway(extension));
    conditions(&listener(&world), &["Accepted=False/UnsupportedValue", "Programmed=False/Invalid"]);
    assert_eq!(outcome(&world.ask("default/web", 8080, "GET a.example /")), "one");
}

#[test]
fn a_filter_of_a_rule_asks_for_that_rule_alone() {
    let objects = format!(
        "
@Gateway default/web
spec:
  gatewayClassName: portcullis
  listeners: [{{name: http, port: 80, protocol: HTTP}}]
@HTTPRoute default/r
spec:
  parentRefs: [{{name: web}}]
  rules:
    - matches: [{{path: {{value: /admin}}}}]
      filters: [{AUTH}]
      backendRefs: [{{name: one, port: 8080}}]
    - backendRefs: [{{name: two, port: 8080}}]
"
    );
    let world = World::start(BACKENDS, &objects);
    conditions(
        &world.parent("default/r", 0),
        &["Accepted=True/Accepted", "ResolvedRefs=True/ResolvedRefs"],
    );
    assert_eq!(outcome(&world.ask("default/web", 80, "GET a.example /admin/x?y")), "one");
    let asked = world.backend("auth").wait_for(1).remove(0);
    assert_eq!(asked.target, "/check/admin/x?y");
    world.backend("auth").always(Reply::status(403, &[], "no"));
    world.table("default/web", 80, &[("GET a.example /admin", "403"), ("GET a.example /", "two")]);
}
