//! What a route's status says: parents that do not fit, backends that cannot be used, grants.

use crate::kit::{World, conditions};

const WEB: &str = "
@Gateway infra/web
spec:
  gatewayClassName: portcullis
  listeners: [{name: http, port: 80, protocol: HTTP}]
";

const BACKENDS: &[&str] = &["infra/one", "infra/two", "shop/three"];

/// A route in `infra` with `rules`.
fn route(name: &str, rules: &str) -> String {
    format!("@HTTPRoute infra/{name}\nspec:\n  parentRefs: [{{name: web}}]\n  rules:\n{rules}")
}

/// Checks the conditions of the route's first parent and the outcome of one request.
fn check_backend(rules: &str, reason: &str, request: &str, expected: &str) {
    let world = World::start(BACKENDS, &format!("{WEB}{}", route("r", rules)));
    let resolved = format!("ResolvedRefs={reason}");
    conditions(&world.parent("infra/r", 0), &["Accepted=True/Accepted", &resolved]);
    assert_eq!(world.listener("infra/web", "http")["attachedRoutes"], 1);
    world.table("infra/web", 80, &[(request, expected)]);
}

/// Upstream: HTTPRouteInvalidBackendRefUnknownKind.
#[test]
fn a_backend_of_an_unknown_kind_is_an_invalid_kind_and_answers_500() {
    check_backend(
        "    - backendRefs: [{group: unknown.example, kind: Nonsense, name: one, port: 8080}]\n",
        "False/InvalidKind",
        "GET a.example /",
        "500",
    );
}

/// Upstream: HTTPRouteInvalidNonExistentBackendRef.
#[test]
fn a_missing_backend_is_not_found_and_answers_500() {
    check_backend(
        "    - backendRefs: [{name: nobody, port: 8080}]\n",
        "False/BackendNotFound",
        "GET a.example /",
        "500",
    );
}

/// Upstream: HTTPRouteInvalidCrossNamespaceBackendRef.
#[test]
fn a_backend_of_another_namespace_needs_a_grant() {
    for name in ["three", "missing"] {
        check_backend(
            &format!("    - backendRefs: [{{name: {name}, namespace: shop, port: 8080}}]\n"),
            "False/RefNotPermitted",
            "GET a.example /",
            "500",
        );
    }
}

/// Upstream: HTTPRouteNoBackendRefs.
#[test]
fn a_rule_without_backends_answers_500() {
    for rules in ["    - {}\n", "    - backendRefs: []\n", "    - matches: [{path: {value: /}}]\n"]
    {
        check_backend(rules, "True/ResolvedRefs", "GET a.example /", "500");
    }
}

/// Upstream: HTTPRoutePartiallyInvalidViaInvalidReferenceGrant.
#[test]
fn a_rule_without_its_grant_fails_alone() {
    let rules = "    - matches: [{path: {value: /denied}}]
      backendRefs: [{name: three, namespace: shop, port: 8080}]
    - matches: [{path: {value: /fine}}]
      backendRefs: [{name: one, port: 8080}]
";
    let grant = "@ReferenceGrant shop/wrong
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: elsewhere}]
  to: [{group: '', kind: Service, name: three}]
";
    let world = World::start(BACKENDS, &format!("{WEB}{}{grant}", route("r", rules)));
    conditions(
        &world.parent("infra/r", 0),
        &["Accepted=True/Accepted", "ResolvedRefs=False/RefNotPermitted"],
    );
    world.table(
        "infra/web",
        80,
        &[("GET a.example /denied", "500"), ("GET a.example /fine", "one")],
    );
}

const CROSS: &str = "    - backendRefs: [{name: three, namespace: shop, port: 8080}]\n";

const GRANT: &str = "@ReferenceGrant shop/grant
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: infra}]
  to: [{group: '', kind: Service, name: three}]
";

/// Upstream: HTTPRouteReferenceGrant.
#[test]
fn a_grant_opens_a_backend_and_its_removal_closes_it_at_once() {
    let world = World::start(BACKENDS, &format!("{WEB}{}", route("r", CROSS)));
    let parent = |world: &World| Some(world.find("HTTPRoute", "infra/r")?["parents"][0].clone());
    conditions(&world.parent("infra/r", 0), &["ResolvedRefs=False/RefNotPermitted"]);
    world.table("infra/web", 80, &[("GET a.example /", "500")]);
    world.write("grant", GRANT);
    world.wait_for("infra/web", 80, "GET a.example /", "three");
    world.wait_conditions(parent, 1, &["ResolvedRefs=True/ResolvedRefs"]);
    world.remove("grant");
    world.wait_for("infra/web", 80, "GET a.example /", "500");
    world.wait_conditions(
        parent,
        1,
        &["ResolvedRefs=False/RefNotPermitted", "Accepted=True/Accepted"],
    );
    // A grant without a name covers every Service of its namespace.
    world.write("grant", &GRANT.replace(", name: three", ""));
    world.wait_for("infra/web", 80, "GET a.example /", "three");
}

/// Upstream: HTTPRouteInvalidReferenceGrant.
#[test]
fn grants_that_nearly_fit_open_nothing() {
    let mut objects = format!("{WEB}{}", route("r", CROSS));
    let edits = [
        ("HTTPRoute, namespace: infra", "HTTPRoute, namespace: shop"),
        ("kind: HTTPRoute", "kind: Gateway"),
        ("kind: HTTPRoute", "kind: httproute"),
        ("{group: gateway.networking.k8s.io, kind", "{group: '', kind"),
        ("kind: Service", "kind: Secret"),
        ("{group: '', kind: Service", "{group: apps, kind: Service"),
        ("name: three", "name: other"),
        ("@ReferenceGrant shop/", "@ReferenceGrant infra/"),
        ("@ReferenceGrant shop/", "@ReferenceGrant other/"),
    ];
    for (index, (from, to)) in edits.iter().enumerate() {
        assert!(GRANT.contains(from), "{from}");
        objects.push_str(&GRANT.replace(from, to).replace("/grant", &format!("/grant-{index}")));
    }
    let world = World::start(BACKENDS, &objects);
    conditions(
        &world.parent("infra/r", 0),
        &["Accepted=True/Accepted", "ResolvedRefs=False/RefNotPermitted"],
    );
    world.table("infra/web", 80, &[("GET a.example /", "500")]);
}

/// Upstream: HTTPRouteInvalidCrossNamespaceParentRef.
#[test]
fn a_listener_takes_no_routes_of_other_namespaces_unless_told() {
    let objects = format!(
        "{WEB}@HTTPRoute shop/r
spec:
  parentRefs: [{{name: web, namespace: infra}}]
  rules: [{{backendRefs: [{{name: three, port: 8080}}]}}]
"
    );
    let world = World::start(BACKENDS, &objects);
    let parent = world.parent("shop/r", 0);
    conditions(
        &parent,
        &["Accepted=False/NotAllowedByListeners", "ResolvedRefs=True/ResolvedRefs"],
    );
    let echo = serde_json::json!({
        "group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "infra", "name": "web",
    });
    assert_eq!(parent["parentRef"], echo);
    assert_eq!(world.listener("infra/web", "http")["attachedRoutes"], 0);
    world.table("infra/web", 80, &[("GET a.example /", "404")]);
}

/// Upstream: HTTPRouteInvalidParentRefNotMatchingSectionName, HTTPRouteInvalidParentRefNotMatchingListenerPort, HTTPRouteInvalidParentRefSectionNameNotMatchingPort.
#[test]
fn a_parent_without_such_a_section_or_port_does_not_match() {
    for reference in [
        "{name: web, sectionName: https}",
        "{name: web, port: 81}",
        "{name: web, sectionName: http, port: 81}",
        "{name: web, sectionName: https, port: 80}",
    ] {
        let objects = format!(
            "{WEB}@HTTPRoute infra/r
spec:
  parentRefs: [{reference}]
  rules: [{{backendRefs: [{{name: one, port: 8080}}]}}]
"
        );
        let world = World::start(BACKENDS, &objects);
        let parents = world.status("HTTPRoute", "infra/r")["parents"].clone();
        assert_eq!(parents.as_array().map(Vec::len), Some(1));
        conditions(
            &parents[0],
            &["Accepted=False/NoMatchingParent", "ResolvedRefs=True/ResolvedRefs"],
        );
        assert_eq!(world.listener("infra/web", "http")["attachedRoutes"], 0, "{reference}");
        world.table("infra/web", 80, &[("GET a.example /", "404")]);
    }
}

/// Upstream: HTTPRouteDisallowedKind.
#[test]
fn a_listener_for_other_kinds_takes_no_http_route() {
    let objects = "
@Gateway infra/tls
spec:
  gatewayClassName: portcullis
  listeners:
    - {name: tls, port: 443, protocol: TLS, tls: {mode: Passthrough}, allowedRoutes: {kinds: [{kind: TLSRoute}]}}
@HTTPRoute infra/r
spec:
  parentRefs: [{name: tls}]
  rules: [{backendRefs: [{name: one, port: 8080}]}]
";
    let world = World::start(BACKENDS, objects);
    conditions(
        &world.parent("infra/r", 0),
        &["Accepted=False/NotAllowedByListeners", "ResolvedRefs=True/ResolvedRefs"],
    );
    assert_eq!(world.listener("infra/tls", "tls")["attachedRoutes"], 0);
}

/// Upstream: HTTPRouteObservedGenerationBump.
#[test]
fn a_changed_route_is_observed_and_served() {
    let rules = |backend: &str| format!("    - backendRefs: [{{name: {backend}, port: 8080}}]\n");
    let world = World::start(BACKENDS, &format!("{WEB}{}", route("r", &rules("one"))));
    conditions(&world.parent("infra/r", 0), &["Accepted=True/Accepted"]);
    world.table("infra/web", 80, &[("GET a.example /", "one")]);
    world.replace(&format!("{WEB}{}", route("r", &rules("two"))));
    let parent = |world: &World| Some(world.find("HTTPRoute", "infra/r")?["parents"][0].clone());
    world.wait_conditions(parent, 2, &["Accepted=True/Accepted", "ResolvedRefs=True/ResolvedRefs"]);
    world.table("infra/web", 80, &[("GET a.example /", "two")]);
    conditions(&world.status("Gateway", "infra/web"), &["Programmed=True/Programmed"]);
}

/// Upstream: HTTPRoutePreserveForeignStatus, the part of a folder: only own parents, and only of Gateways that are ours.
#[test]
fn a_parent_that_is_missing_or_not_ours_disturbs_no_other() {
    let objects = format!(
        "{WEB}@GatewayClass theirs
spec: {{controllerName: other.example/controller}}
@Gateway infra/foreign
spec:
  gatewayClassName: theirs
  listeners: [{{name: http, port: 80, protocol: HTTP}}]
@HTTPRoute infra/r
spec:
  parentRefs: [{{name: web}}, {{name: foreign}}, {{name: nowhere}}]
  rules: [{{backendRefs: [{{name: one, port: 8080}}]}}]
"
    );
    let world = World::start(BACKENDS, &objects);
    conditions(&world.parent("infra/r", 0), &["Accepted=True/Accepted"]);
    let status = world.status("HTTPRoute", "infra/r");
    let parents = status["parents"].as_array().expect("parents");
    let names: Vec<&str> =
        parents.iter().filter_map(|one| one["parentRef"]["name"].as_str()).collect();
    assert!(!names.contains(&"foreign"), "{names:?}");
    assert!(world.find("Gateway", "infra/foreign").is_none(), "it is another controller's");
    world.table("infra/web", 80, &[("GET a.example /", "one")]);
}
