//! Listeners that a ListenerSet adds to a Gateway.

use testkit::certs::Authority;

use crate::kit::{World, conditions, kinds, secret};

const BACKENDS: &[&str] = &["infra/one", "infra/two", "infra/three", "shop/four"];

const GOOD: &[&str] = &["Accepted=True/Accepted", "Programmed=True/Programmed"];

/// A Gateway with one listener for `gateway.example` that admits sets as `allowed` says.
fn gateway(allowed: &str) -> String {
    format!(
        "@Gateway infra/web
spec:
  gatewayClassName: portcullis
  allowedListeners: {allowed}
  listeners:
    - {{name: own, port: 80, protocol: HTTP, hostname: gateway.example, allowedRoutes: {{namespaces: {{from: All}}}}}}
"
    )
}

const ALL: &str = "{namespaces: {from: All}}";

/// A set of the Gateway; `name` may carry a creation time.
fn set(name: &str, listeners: &str) -> String {
    format!(
        "@ListenerSet {name}\nspec:\n  parentRef: {{name: web, namespace: infra}}\n  listeners: [{listeners}]\n"
    )
}

fn http(name: &str, hostname: &str) -> String {
    format!("{{name: {name}, port: 80, protocol: HTTP, hostname: {hostname}}}")
}

/// A route whose parents are these references and whose only path is its name.
fn route(name: &str, parents: &str, backend: &str) -> String {
    let (_, path) = name.split_once('/').expect("namespace/name");
    format!(
        "@HTTPRoute {name}
spec:
  parentRefs: [{parents}]
  rules: [{{matches: [{{path: {{value: /{path}}}}}], backendRefs: [{{name: {backend}, port: 8080}}]}}]
"
    )
}

fn to_set(name: &str) -> String {
    format!("{{group: gateway.networking.k8s.io, kind: ListenerSet, {name}}}")
}

/// Checks which sets are admitted, and how many of them the Gateway counts.
fn check_admission(allowed: Option<&str>, rows: &[(&str, bool)]) {
    let mut objects = match allowed {
        Some(allowed) => gateway(allowed),
        None => gateway("x").replace("  allowedListeners: x\n", ""),
    };
    objects.push_str(
        "@Namespace infra team=edge\n@Namespace shop team=blue\n@Namespace lab team=red\n",
    );
    for (name, _) in rows {
        objects.push_str(&set(name, &http("more", &format!("{}.example", name.replace('/', "-")))));
    }
    let world = World::start(BACKENDS, &objects);
    for (name, admitted) in rows {
        let status = world.status("ListenerSet", name);
        if *admitted {
            conditions(&status, GOOD);
            conditions(&world.listener_of("ListenerSet", name, "more"), GOOD);
        } else {
            conditions(&status, &["Accepted=False/NotAllowed", "Programmed=False/NotAllowed"]);
        }
    }
    let status = world.status("Gateway", "infra/web");
    conditions(&status, GOOD);
    assert_eq!(status["attachedListenerSets"], rows.iter().filter(|(_, good)| *good).count());
    assert_eq!(world.listener_names("Gateway", "infra/web"), ["own"]);
}

/// Upstream: ListenerSetDefaultNotAllowed, ListenerSetAllowedNamespaceNone.
#[test]
fn no_set_is_admitted_by_default_or_from_none() {
    let rows = [("infra/set", false), ("shop/set", false)];
    check_admission(None, &rows);
    check_admission(Some("{namespaces: {from: None}}"), &rows);
}

/// Upstream: ListenerSetAllowedNamespaceSame, ListenerSetAllowedNamespaceSelector.
#[test]
fn sets_of_the_same_or_of_selected_namespaces_are_admitted() {
    check_admission(
        Some("{namespaces: {from: Same}}"),
        &[("infra/set", true), ("shop/set", false)],
    );
    check_admission(
        Some("{namespaces: {from: Selector, selector: {matchLabels: {team: blue}}}}"),
        &[("infra/set", false), ("shop/set", true), ("lab/set", false)],
    );
    check_admission(Some(ALL), &[("infra/set", true), ("shop/set", true)]);
}

/// Upstream: ListenerSetHTTPRouting.
#[test]
fn routes_reach_the_listeners_of_the_parent_that_they_name() {
    let objects = [
        &gateway(ALL),
        &set(
            "infra/first",
            &format!("{}, {}", http("a", "a.first.example"), http("b", "b.first.example")),
        ),
        &set(
            "infra/second",
            &format!("{}, {}", http("a", "a.second.example"), http("own", "own.second.example")),
        ),
        &route("infra/gateway", "{name: web}", "one"),
        &route("infra/whole", &to_set("name: first"), "two"),
        &route("infra/section", &to_set("name: second, sectionName: a"), "three"),
    ]
    .map(String::as_str)
    .concat();
    let world = World::start(BACKENDS, &objects);
    for (name, listeners) in [("infra/first", ["a", "b"]), ("infra/second", ["a", "own"])] {
        conditions(&world.status("ListenerSet", name), GOOD);
        assert_eq!(world.listener_names("ListenerSet", name), listeners);
    }
    let attached = |set: &str, listener: &str| {
        let listener = world.listener_of("ListenerSet", set, listener);
        assert_eq!(kinds(&listener), ["HTTPRoute", "GRPCRoute"]);
        listener["attachedRoutes"].clone()
    };
    assert_eq!(attached("infra/first", "a"), 1);
    assert_eq!(attached("infra/first", "b"), 1);
    assert_eq!(attached("infra/second", "a"), 1);
    assert_eq!(attached("infra/second", "own"), 0);
    assert_eq!(world.listener("infra/web", "own")["attachedRoutes"], 1);
    assert_eq!(world.status("Gateway", "infra/web")["attachedListenerSets"], 2);
    for route in ["infra/gateway", "infra/whole", "infra/section"] {
        conditions(
            &world.parent(route, 0),
            &["Accepted=True/Accepted", "ResolvedRefs=True/ResolvedRefs"],
        );
    }
    world.table(
        "infra/web",
        80,
        &[
            ("GET gateway.example /gateway", "one"),
            ("GET gateway.example /whole", "404"),
            ("GET a.first.example /gateway", "404"),
            ("GET a.first.example /whole", "two"),
            ("GET b.first.example /whole", "two"),
            ("GET a.first.example /section", "404"),
            ("GET a.second.example /section", "three"),
            ("GET own.second.example /section", "404"),
            ("GET own.second.example /gateway", "404"),
            ("GET nobody.example /gateway", "404"),
        ],
    );
}

/// Upstream: ListenerSetAllowedRoutesNamespaces.
#[test]
fn the_namespace_of_the_set_decides_which_routes_are_its_own() {
    let listener = |name: &str, from: &str| {
        format!(
            "{{name: {name}, port: 80, protocol: HTTP, hostname: {name}.example, allowedRoutes: {{namespaces: {from}}}}}"
        )
    };
    let listeners = [
        listener("same", "{from: Same}"),
        listener("every", "{from: All}"),
        listener("chosen", "{from: Selector, selector: {matchLabels: {team: edge}}}"),
    ];
    let parent = to_set("name: set, namespace: shop");
    let section = |name: &str| to_set(&format!("name: set, namespace: shop, sectionName: {name}"));
    let objects = [
        "@Namespace infra team=edge\n@Namespace shop team=blue\n",
        &gateway(ALL),
        &set("shop/set", &listeners.join(", ")),
        &route("shop/near", &parent, "four"),
        &route("infra/far", &parent, "one"),
        &route(
            "infra/sections",
            &format!("{}, {}, {}", section("same"), section("every"), section("chosen")),
            "two",
        ),
    ]
    .concat();
    let world = World::start(BACKENDS, &objects);
    conditions(&world.parent("shop/near", 0), &["Accepted=True/Accepted"]);
    conditions(&world.parent("infra/far", 0), &["Accepted=True/Accepted"]);
    conditions(&world.parent("infra/sections", 0), &["Accepted=False/NotAllowedByListeners"]);
    conditions(&world.parent("infra/sections", 1), &["Accepted=True/Accepted"]);
    conditions(&world.parent("infra/sections", 2), &["Accepted=True/Accepted"]);
    for (name, routes) in [("same", 1), ("every", 3), ("chosen", 2)] {
        assert_eq!(
            world.listener_of("ListenerSet", "shop/set", name)["attachedRoutes"],
            routes,
            "{name}"
        );
    }
    world.table(
        "infra/web",
        80,
        &[
            ("GET same.example /near", "four"),
            ("GET same.example /far", "404"),
            ("GET same.example /sections", "404"),
            ("GET every.example /near", "four"),
            ("GET every.example /far", "one"),
            ("GET every.example /sections", "two"),
            ("GET chosen.example /near", "404"),
            ("GET chosen.example /far", "one"),
        ],
    );
}

/// Upstream: ListenerSetHostnameConflict.
#[test]
fn the_gateway_and_then_the_older_set_win_a_hostname() {
    let objects = [
        &gateway(ALL),
        &set(
            "infra/young 2022-01-01",
            &format!("{}, {}", http("taken", "old.example"), http("free", "young.example")),
        ),
        &set(
            "infra/old 2020-01-01",
            &format!("{}, {}", http("mine", "old.example"), http("gateways", "gateway.example")),
        ),
        &set("infra/lost 2023-01-01", &http("gone", "gateway.example")),
        &route("infra/own", "{name: web}", "one"),
        &route("infra/old", &to_set("name: old"), "two"),
        &route("infra/young", &to_set("name: young"), "three"),
        &route("infra/lost", &to_set("name: lost"), "three"),
    ]
    .map(String::as_str)
    .concat();
    let world = World::start(BACKENDS, &objects);
    let lost = &[
        "Accepted=False/HostnameConflict",
        "Conflicted=True/HostnameConflict",
        "Programmed=False/HostnameConflict",
    ];
    let listener = |set: &str, name: &str| world.listener_of("ListenerSet", set, name);
    conditions(&listener("infra/old", "mine"), GOOD);
    conditions(&listener("infra/old", "gateways"), lost);
    conditions(&listener("infra/young", "taken"), lost);
    conditions(&listener("infra/young", "free"), GOOD);
    conditions(&listener("infra/lost", "gone"), lost);
    for set in ["infra/old", "infra/young"] {
        conditions(&world.status("ListenerSet", set), &["Accepted=True/ListenersNotValid"]);
    }
    conditions(
        &world.status("ListenerSet", "infra/lost"),
        &["Accepted=False/ListenersNotValid", "Programmed=False/ListenersNotValid"],
    );
    let status = world.status("Gateway", "infra/web");
    conditions(&status, GOOD);
    assert_eq!(status["attachedListenerSets"], 2);
    conditions(&world.listener("infra/web", "own"), GOOD);
    world.table(
        "infra/web",
        80,
        &[
            ("GET gateway.example /own", "one"),
            ("GET gateway.example /old", "404"),
            ("GET gateway.example /lost", "404"),
            ("GET old.example /old", "two"),
            ("GET old.example /young", "404"),
            ("GET young.example /young", "three"),
        ],
    );
}

/// Upstream: ListenerSetProtocolConflict.
#[test]
fn the_first_protocol_of_a_port_wins() {
    let tls = |name: &str, port: u16| {
        format!(
            "{{name: {name}, port: {port}, protocol: HTTPS, hostname: s.example, tls: {{certificateRefs: [{{name: cert}}]}}}}"
        )
    };
    let objects = [
        &gateway(ALL),
        &secret("infra/cert", &Authority::new("a").issue(&["s.example"])),
        &set("infra/old 2020-01-01", "{name: plain, port: 8080, protocol: HTTP}"),
        &set(
            "infra/young 2021-01-01",
            &format!("{}, {}, {}", tls("own", 80), tls("olds", 8080), tls("free", 443)),
        ),
        &set("infra/lost 2022-01-01", &tls("none", 80)),
    ]
    .map(String::as_str)
    .concat();
    let world = World::start(BACKENDS, &objects);
    let lost = &[
        "Accepted=False/ProtocolConflict",
        "Conflicted=True/ProtocolConflict",
        "Programmed=False/ProtocolConflict",
    ];
    conditions(&world.status("ListenerSet", "infra/old"), GOOD);
    for name in ["own", "olds"] {
        conditions(&world.listener_of("ListenerSet", "infra/young", name), lost);
    }
    conditions(&world.listener_of("ListenerSet", "infra/young", "free"), GOOD);
    conditions(&world.status("ListenerSet", "infra/young"), &["Accepted=True/ListenersNotValid"]);
    conditions(
        &world.status("ListenerSet", "infra/lost"),
        &["Accepted=False/ListenersNotValid", "Programmed=False/ListenersNotValid"],
    );
    assert_eq!(world.status("Gateway", "infra/web")["attachedListenerSets"], 2);
}

/// Upstream: ListenerSetReferenceGrant.
#[test]
fn a_certificate_grant_must_name_the_set_and_not_its_gateway() {
    let tls = "{name: tls, port: 443, protocol: HTTPS, hostname: s.example, tls: {certificateRefs: [{name: cert, namespace: vault}]}}";
    let grant = |kind: &str, namespace: &str| {
        format!(
            "@ReferenceGrant vault/grant
spec:
  from: [{{group: gateway.networking.k8s.io, kind: {kind}, namespace: {namespace}}}]
  to: [{{group: '', kind: Secret, name: cert}}]
"
        )
    };
    let objects = [
        &gateway(ALL),
        &secret("vault/cert", &Authority::new("a").issue(&["s.example"])),
        &set("shop/set", tls),
    ]
    .map(String::as_str)
    .concat();
    let world = World::start(BACKENDS, &format!("{objects}{}", grant("Gateway", "infra")));
    let refused = &["ResolvedRefs=False/RefNotPermitted", "Programmed=False/Invalid"];
    let listener =
        |world: &World| Some(world.find("ListenerSet", "shop/set")?["listeners"][0].clone());
    conditions(&world.listener_of("ListenerSet", "shop/set", "tls"), refused);
    let status = world.status("ListenerSet", "shop/set");
    let reasons: Vec<_> =
        status["conditions"].as_array().into_iter().flatten().map(|one| &one["reason"]).collect();
    assert!(reasons.iter().any(|one| *one == "ListenersNotValid"), "{reasons:?}");
    world.replace(&format!("{objects}{}", grant("ListenerSet", "shop")));
    world.wait_conditions(
        listener,
        1,
        &["ResolvedRefs=True/ResolvedRefs", "Programmed=True/Programmed"],
    );
    conditions(&world.status("ListenerSet", "shop/set"), GOOD);
    world.replace(&format!("{objects}{}", grant("ListenerSet", "infra")));
    world.wait_conditions(listener, 1, refused);
}

/// Upstream: ListenerSetDualParentRefIndependence, ListenerSetRouteStatusScopedToParentRef, ListenerSetGatewayParentSectionNameNotFound.
#[test]
fn parents_are_judged_apart_and_only_declared_ones_have_a_status() {
    let objects = [
        &gateway(ALL),
        &set("infra/set", &http("more", "more.example")),
        &route("infra/both", &format!("{{name: web}}, {}", to_set("name: set")), "one"),
        &route(
            "infra/half",
            &format!("{{name: web, sectionName: none}}, {}", to_set("name: set")),
            "two",
        ),
        &route("infra/astray", "{name: web, sectionName: more}", "three"),
        &route("infra/gateway", "{name: web}", "one"),
        &route("infra/alone", &to_set("name: set"), "two"),
    ]
    .map(String::as_str)
    .concat();
    let world = World::start(BACKENDS, &objects);
    let count = |route: &str| world.status("HTTPRoute", route)["parents"].as_array().map(Vec::len);
    for (route, parents) in [
        ("infra/both", &["Accepted=True/Accepted", "Accepted=True/Accepted"][..]),
        ("infra/half", &["Accepted=False/NoMatchingParent", "Accepted=True/Accepted"]),
        ("infra/astray", &["Accepted=False/NoMatchingParent"]),
        ("infra/gateway", &["Accepted=True/Accepted"]),
        ("infra/alone", &["Accepted=True/Accepted"]),
    ] {
        assert_eq!(count(route), Some(parents.len()), "{route}");
        for (index, expected) in parents.iter().enumerate() {
            conditions(&world.parent(route, index), &[expected, "ResolvedRefs=True/ResolvedRefs"]);
        }
    }
    assert_eq!(world.parent("infra/both", 0)["parentRef"]["kind"], "Gateway");
    assert_eq!(world.parent("infra/both", 1)["parentRef"]["kind"], "ListenerSet");
    world.table(
        "infra/web",
        80,
        &[
            ("GET gateway.example /both", "one"),
            ("GET more.example /both", "one"),
            ("GET gateway.example /half", "404"),
            ("GET more.example /half", "two"),
            ("GET gateway.example /astray", "404"),
            ("GET more.example /astray", "404"),
            ("GET more.example /gateway", "404"),
            ("GET gateway.example /alone", "404"),
            ("GET more.example /alone", "two"),
        ],
    );
}

/// Upstream: ListenerSetAllowedRoutesSupportedKinds, with HTTP listeners.
#[test]
fn a_sets_listener_says_which_kinds_it_takes() {
    let kind = |name: &str, kinds: &str| {
        format!(
            "{{name: {name}, port: 80, protocol: HTTP, hostname: {name}.example, allowedRoutes: {{kinds: [{kinds}]}}}}"
        )
    };
    let listeners = [
        kind("bad", "{kind: Nonsense}"),
        kind("mixed", "{kind: Nonsense}, {kind: HTTPRoute}"),
        kind("good", "{kind: HTTPRoute}"),
    ];
    let world = World::start(
        BACKENDS,
        &format!("{}{}", gateway(ALL), set("infra/set", &listeners.join(", "))),
    );
    for (name, supported, reason) in [
        ("bad", &[][..], "ResolvedRefs=False/InvalidRouteKinds"),
        ("mixed", &["HTTPRoute"], "ResolvedRefs=False/InvalidRouteKinds"),
        ("good", &["HTTPRoute"], "ResolvedRefs=True/ResolvedRefs"),
    ] {
        let listener = world.listener_of("ListenerSet", "infra/set", name);
        assert_eq!(kinds(&listener), supported, "{name}");
        conditions(&listener, &[reason]);
    }
}

/// Upstream: the observed generations and live changes that all ListenerSet tests wait for.
#[test]
fn a_set_comes_changes_and_goes_while_the_gateway_serves() {
    let own = route("infra/own", "{name: web}", "one");
    let world = World::start(BACKENDS, &format!("{}{own}", gateway(ALL)));
    let status = |world: &World| world.find("ListenerSet", "infra/set");
    let to_set = route("infra/more", &to_set("name: set"), "two");
    world.write("set", &format!("{}{to_set}", set("infra/set", &http("more", "more.example"))));
    world.wait_for("infra/web", 80, "GET more.example /more", "two");
    world.wait_conditions(status, 1, GOOD);
    assert_eq!(world.status("Gateway", "infra/web")["attachedListenerSets"], 1);

    let changed = format!("{}, {}", http("more", "other.example"), http("again", "again.example"));
    world.write("set", &format!("{}{to_set}", set("infra/set", &changed)));
    world.wait_conditions(status, 2, GOOD);
    assert_eq!(world.listener_names("ListenerSet", "infra/set"), ["more", "again"]);
    world.table(
        "infra/web",
        80,
        &[
            ("GET more.example /more", "404"),
            ("GET other.example /more", "two"),
            ("GET again.example /more", "two"),
            ("GET gateway.example /own", "one"),
        ],
    );

    world.remove("set");
    world.wait_for("infra/web", 80, "GET other.example /more", "404");
    testkit::eventually("no attached set", || {
        (world.find("Gateway", "infra/web")?["attachedListenerSets"] == 0).then_some(())
    });
    world.table("infra/web", 80, &[("GET gateway.example /own", "one")]);
}

/// Upstream: the effect of GatewayModifyListeners on sets: a Gateway that stops admitting them.
#[test]
fn a_gateway_that_stops_admitting_sets_stops_serving_them() {
    let rest = format!(
        "{}{}",
        set("infra/set", &http("more", "more.example")),
        route("infra/more", &to_set("name: set"), "two")
    );
    let world = World::start(BACKENDS, &format!("{}{rest}", gateway(ALL)));
    world.table("infra/web", 80, &[("GET more.example /more", "two")]);
    world.replace(&format!("{}{rest}", gateway("{namespaces: {from: None}}")));
    let status = |world: &World| world.find("ListenerSet", "infra/set");
    world.wait_conditions(status, 1, &["Accepted=False/NotAllowed", "Programmed=False/NotAllowed"]);
    world.wait_for("infra/web", 80, "GET more.example /more", "404");
    let parent = |world: &World| Some(world.find("HTTPRoute", "infra/more")?["parents"][0].clone());
    let accepted = testkit::eventually("the route's parent", || {
        let parent = parent(&world)?;
        let all = parent["conditions"].as_array()?.clone();
        all.into_iter().find(|one| one["type"] == "Accepted" && one["status"] != "True")
    });
    assert_eq!(accepted["status"], "False");
}
