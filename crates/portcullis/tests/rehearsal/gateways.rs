//! What the status of a Gateway and its listeners says.

use serde_json::Value;

use crate::kit::{World, conditions, kinds};

const BACKENDS: &[&str] = &["infra/one"];

fn gateway(name: &str, listeners: &str) -> String {
    format!(
        "@Gateway infra/{name}\nspec:\n  gatewayClassName: portcullis\n  listeners:\n{listeners}"
    )
}

const ROUTE: &str = "@HTTPRoute infra/r
spec:
  parentRefs: [{name: web}]
  rules: [{backendRefs: [{name: one, port: 8080}]}]
";

fn status(world: &World) -> Option<Value> {
    world.find("Gateway", "infra/web")
}

/// Upstream: GatewayClassObservedGenerationBump.
#[test]
fn a_changed_class_is_observed() {
    let class = |text: &str| {
        format!(
            "@GatewayClass more\nspec: {{controllerName: portcullis.dev/gateway-controller, description: {text}}}\n"
        )
    };
    let world = World::start(&[], &class("old"));
    let status = |world: &World| world.find("GatewayClass", "more");
    conditions(&world.status("GatewayClass", "more"), &["Accepted=True/Accepted"]);
    world.replace(&class("new"));
    world.wait_conditions(status, 2, &["Accepted=True/Accepted"]);
}

/// Upstream: GatewayObservedGenerationBump.
#[test]
fn a_changed_gateway_is_observed_in_every_condition() {
    let one = "    - {name: http, port: 80, protocol: HTTP}\n";
    let two = format!("{one}    - {{name: alt, port: 80, protocol: HTTP, hostname: a.example}}\n");
    let world = World::start(BACKENDS, &gateway("web", one));
    conditions(
        &world.status("Gateway", "infra/web"),
        &["Accepted=True/Accepted", "Programmed=True/Programmed"],
    );
    world.replace(&gateway("web", &two));
    world.wait_conditions(status, 2, &["Accepted=True/Accepted", "Programmed=True/Programmed"]);
    for name in ["http", "alt"] {
        let listener = |world: &World| {
            let status = status(world)?;
            let all = status["listeners"].as_array()?.clone();
            all.into_iter().find(|one| one["name"] == name)
        };
        let expected = [
            "Accepted=True/Accepted",
            "Programmed=True/Programmed",
            "ResolvedRefs=True/ResolvedRefs",
        ];
        world.wait_conditions(listener, 2, &expected);
    }
}

/// Upstream: GatewayModifyListeners.
#[test]
fn listeners_come_and_go_and_their_status_with_them() {
    let http = "    - {name: http, port: 80, protocol: HTTP, hostname: a.example}\n";
    let more = "    - {name: more, port: 8080, protocol: HTTP}\n";
    let world = World::start(BACKENDS, &format!("{}{ROUTE}", gateway("web", http)));
    assert_eq!(world.listener_names("Gateway", "infra/web"), ["http"]);
    world.table("infra/web", 80, &[("GET a.example /", "one"), ("GET b.example /", "404")]);

    world.replace(&format!("{}{ROUTE}", gateway("web", &format!("{http}{more}"))));
    world.wait_conditions(status, 2, &["Programmed=True/Programmed"]);
    assert_eq!(world.listener_names("Gateway", "infra/web"), ["http", "more"]);
    for name in ["http", "more"] {
        let listener = world.listener("infra/web", name);
        assert_eq!(listener["attachedRoutes"], 1, "{name}");
        assert_eq!(kinds(&listener), ["HTTPRoute", "GRPCRoute"]);
    }
    world.table("infra/web", 8080, &[("GET b.example /", "one")]);

    world.replace(&format!("{}{ROUTE}", gateway("web", more)));
    world.wait_conditions(status, 3, &["Programmed=True/Programmed"]);
    assert_eq!(world.listener_names("Gateway", "infra/web"), ["more"]);
    assert_eq!(world.listener("infra/web", "more")["attachedRoutes"], 1);
    world.table("infra/web", 8080, &[("GET a.example /", "one")]);
    let closed = std::net::TcpStream::connect(world.socket("infra/web", 80));
    assert!(closed.is_err(), "the port of the removed listener is still open");
}

/// Upstream: GatewayWithAttachedRoutes, GatewayWithAttachedRoutesWithPort8080.
#[test]
fn attached_routes_are_counted_by_listener_even_when_it_is_not_programmed() {
    let mut objects = String::new();
    for port in [80, 8080] {
        objects.push_str(&gateway(
            &format!("web-{port}"),
            &format!("    - {{name: http, port: {port}, protocol: HTTP}}\n"),
        ));
        objects.push_str(&gateway(
            &format!("host-{port}"),
            &format!("    - {{name: http, port: {port}, protocol: HTTP, hostname: a.example}}\n"),
        ));
        for (name, host) in [("fits", "a.example"), ("not", "b.example")] {
            objects.push_str(&format!(
                "@HTTPRoute infra/{name}-{port}
spec:
  parentRefs: [{{name: web-{port}}}, {{name: host-{port}}}]
  hostnames: [{host}]
  rules: [{{backendRefs: [{{name: one, port: 8080}}]}}]
"
            ));
        }
    }
    objects.push_str(&gateway(
        "unresolved",
        "    - {name: tls, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: missing}]}}\n",
    ));
    objects.push_str(&ROUTE.replace("name: web", "name: unresolved"));
    let world = World::start(BACKENDS, &objects);
    for port in [80, 8080] {
        assert_eq!(world.listener(&format!("infra/web-{port}"), "http")["attachedRoutes"], 2);
        assert_eq!(world.listener(&format!("infra/host-{port}"), "http")["attachedRoutes"], 1);
        let not = format!("infra/not-{port}");
        conditions(&world.parent(&not, 0), &["Accepted=True/Accepted"]);
        conditions(
            &world.parent(&not, 1),
            &["Accepted=False/NoMatchingListenerHostname", "ResolvedRefs=True/ResolvedRefs"],
        );
        world.table(
            &format!("infra/host-{port}"),
            port,
            &[("GET a.example /", "one"), ("GET b.example /", "404")],
        );
    }
    let listener = world.listener("infra/unresolved", "tls");
    assert_eq!(listener["attachedRoutes"], 1);
    conditions(
        &listener,
        &["ResolvedRefs=False/InvalidCertificateRef", "Programmed=False/Invalid"],
    );
    conditions(&world.parent("infra/r", 0), &["ResolvedRefs=True/ResolvedRefs"]);
}

/// Upstream: GatewayInvalidRouteKind.
#[test]
fn unsupported_route_kinds_are_said_and_only_supported_ones_are_listed() {
    let kind = |kinds: &str| {
        format!(
            "    - {{name: http, port: 80, protocol: HTTP, allowedRoutes: {{kinds: [{kinds}]}}}}\n"
        )
    };
    let objects = [
        gateway("only", &kind("{kind: Nonsense}")),
        gateway("mixed", &kind("{kind: Nonsense}, {kind: HTTPRoute}")),
        gateway("group", &kind("{group: other.example, kind: HTTPRoute}")),
    ];
    let world = World::start(BACKENDS, &objects.concat());
    for (name, supported) in [("only", &[][..]), ("mixed", &["HTTPRoute"]), ("group", &[])] {
        let listener = world.listener(&format!("infra/{name}"), "http");
        conditions(&listener, &["ResolvedRefs=False/InvalidRouteKinds"]);
        assert_eq!(kinds(&listener), supported, "{name}");
        assert_eq!(listener["attachedRoutes"], 0);
    }
}

/// Upstream: GatewayListenerUnsupportedProtocol.
#[test]
fn a_listener_with_an_unknown_protocol_fails_alone() {
    let bad = "    - {name: bad, port: 81, protocol: unknown.example/protocol}\n";
    let good = "    - {name: good, port: 80, protocol: HTTP}\n";
    let objects = [gateway("only", bad), gateway("web", &format!("{bad}{good}")), ROUTE.to_owned()];
    let world = World::start(BACKENDS, &objects.concat());
    for name in ["infra/only", "infra/web"] {
        let listener = world.listener(name, "bad");
        conditions(&listener, &["Accepted=False/UnsupportedProtocol", "Programmed=False/Invalid"]);
        assert!(kinds(&listener).is_empty());
        assert_eq!(listener["attachedRoutes"], 0);
    }
    conditions(
        &world.status("Gateway", "infra/only"),
        &["Accepted=False/ListenersNotValid", "Programmed=False/Invalid"],
    );
    conditions(&world.status("Gateway", "infra/web"), &["Accepted=True/ListenersNotValid"]);
    conditions(
        &world.listener("infra/web", "good"),
        &["Accepted=True/Accepted", "Programmed=True/Programmed"],
    );
    world.table("infra/web", 80, &[("GET a.example /", "one")]);
}

/// Upstream: GatewayInvalidParametersRef.
#[test]
fn parameters_that_do_not_exist_make_the_gateway_invalid() {
    let objects = "@Gateway infra/web
spec:
  gatewayClassName: portcullis
  infrastructure: {parametersRef: {group: other.example, kind: Nothing, name: none}}
  listeners: [{name: http, port: 80, protocol: HTTP}]
";
    let world = World::start(BACKENDS, objects);
    conditions(&world.status("Gateway", "infra/web"), &["Accepted=False/InvalidParameters"]);
}

fn with_addresses(addresses: &str) -> String {
    format!(
        "@Gateway infra/web
spec:
  gatewayClassName: portcullis
  addresses: [{addresses}]
  listeners: [{{name: http, port: 80, protocol: HTTP}}]
{ROUTE}"
    )
}

/// Upstream: GatewayStaticAddresses.
#[test]
fn asked_addresses_are_refused_by_type_found_unusable_or_served() {
    let world =
        World::start(BACKENDS, &gateway("first", "    - {name: http, port: 80, protocol: HTTP}\n"));
    let usable = format!("{}.77", world.network);
    let ip = |value: &str| format!("{{type: IPAddress, value: {value}}}");
    let fake = "{type: test.example/fake-type, value: anything}";
    let unusable = ip("203.0.113.7");

    world.replace(&with_addresses(&format!("{}, {fake}, {unusable}", ip(&usable))));
    world.wait_conditions(status, 1, &["Accepted=False/UnsupportedAddress"]);

    world.replace(&with_addresses(&format!("{}, {unusable}", ip(&usable))));
    world.wait_conditions(
        status,
        2,
        &["Accepted=True/Accepted", "Programmed=False/AddressNotUsable"],
    );

    world.replace(&with_addresses(&ip(&usable)));
    world.wait_conditions(status, 3, &["Accepted=True/Accepted", "Programmed=True/Programmed"]);
    let addresses = world.status("Gateway", "infra/web")["addresses"].clone();
    assert_eq!(addresses, serde_json::json!([{"type": "IPAddress", "value": usable}]));
    world.wait_for("infra/web", 80, "GET a.example /", "one");
}

/// Upstream: GatewayOptionalAddressValue.
#[test]
fn an_address_without_value_is_chosen_for_the_gateway() {
    let world = World::start(BACKENDS, &with_addresses("{type: IPAddress}"));
    conditions(
        &world.status("Gateway", "infra/web"),
        &["Accepted=True/Accepted", "Programmed=True/Programmed"],
    );
    let socket = world.socket("infra/web", 80);
    assert!(socket.ip().to_string().starts_with(&world.network), "{socket}");
    world.table("infra/web", 80, &[("GET a.example /", "one")]);
}

/// Upstream: GatewayNameMaximumLength.
#[test]
fn a_name_of_253_characters_is_served() {
    let name =
        format!("{}.{}.{}.{}", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61));
    assert_eq!(name.len(), 253);
    let objects = format!(
        "{}{}",
        gateway(&name, "    - {name: http, port: 80, protocol: HTTP}\n"),
        ROUTE.replace("name: web", &format!("name: {name}"))
    );
    let world = World::start(BACKENDS, &objects);
    let full = format!("infra/{name}");
    conditions(
        &world.status("Gateway", &full),
        &["Accepted=True/Accepted", "Programmed=True/Programmed"],
    );
    world.table(&full, 80, &[("GET a.example /", "one")]);
}

/// Upstream: the conflicts of GatewayModifyListeners' objects: no member of a conflict wins.
#[test]
fn listeners_in_conflict_all_lose_and_their_neighbour_serves() {
    let world = World::start(
        BACKENDS,
        &format!(
            "{}{ROUTE}",
            gateway(
                "web",
                "    - {name: plain, port: 443, protocol: HTTP}
    - {name: tls, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: missing}]}}
    - {name: good, port: 80, protocol: HTTP}
"
            )
        ),
    );
    for name in ["plain", "tls"] {
        conditions(
            &world.listener("infra/web", name),
            &[
                "Accepted=False/ProtocolConflict",
                "Conflicted=True/ProtocolConflict",
                "Programmed=False/Invalid",
            ],
        );
    }
    conditions(&world.status("Gateway", "infra/web"), &["Accepted=True/ListenersNotValid"]);
    world.table("infra/web", 80, &[("GET a.example /", "one")]);
}

/// Upstream: the parallel phase of the suite, up to 46 Gateways at a time.
#[test]
fn many_gateways_share_a_port_each_on_an_address_of_its_own() {
    let mut objects = String::new();
    for index in 0..46 {
        objects.push_str(&gateway(
            &format!("web-{index}"),
            "    - {name: http, port: 80, protocol: HTTP}\n",
        ));
    }
    objects.push_str(&ROUTE.replace("name: web", "name: web-7"));
    let world = World::start(BACKENDS, &objects);
    let mut sockets = std::collections::BTreeSet::new();
    for index in 0..46 {
        let name = format!("infra/web-{index}");
        conditions(&world.status("Gateway", &name), &["Programmed=True/Programmed"]);
        let expected = if index == 7 { "one" } else { "404" };
        world.table(&name, 80, &[("GET a.example /", expected)]);
        sockets.insert(world.socket(&name, 80));
    }
    assert_eq!(sockets.len(), 46);
}
