//! Which listener takes a request: hostnames, ports, Gateways with addresses of their own.

use crate::kit::{World, conditions};

const BACKENDS: &[&str] = &["default/one", "default/two", "default/three", "default/four"];

/// A route to `backend` for all paths, under `prefix`.
fn route(name: &str, parents: &str, hostnames: &str, backend: &str) -> String {
    format!(
        "@HTTPRoute default/{name}
spec:
  parentRefs: {parents}
  hostnames: {hostnames}
  rules: [{{backendRefs: [{{name: {backend}, port: 8080}}]}}]
"
    )
}

/// Upstream: HTTPRouteListenerHostnameMatching.
#[test]
fn a_request_takes_the_listener_with_the_most_specific_hostname() {
    let objects = [
        "
@Gateway default/web
spec:
  gatewayClassName: portcullis
  listeners:
    - {name: l1, port: 80, protocol: HTTP, hostname: bar.example}
    - {name: l2, port: 80, protocol: HTTP, hostname: foo.bar.example}
    - {name: l3, port: 80, protocol: HTTP, hostname: '*.bar.example'}
    - {name: l4, port: 80, protocol: HTTP, hostname: '*.foo.example'}
",
        &route("one", "[{name: web, sectionName: l1}]", "[]", "one"),
        &route("two", "[{name: web, sectionName: l2}]", "[]", "two"),
        &route(
            "three",
            "[{name: web, sectionName: l3}, {name: web, sectionName: l4}]",
            "[]",
            "three",
        ),
    ];
    let world = World::start(BACKENDS, &objects.concat());
    conditions(&world.parent("default/three", 1), &["Accepted=True/Accepted"]);
    assert_eq!(world.parent("default/three", 1)["parentRef"]["sectionName"], "l4");
    world.table(
        "default/web",
        80,
        &[
            ("GET bar.example /", "one"),
            ("GET foo.bar.example /", "two"),
            ("GET baz.bar.example /", "three"),
            ("GET boo.bar.example:8080 /", "three"),
            ("GET multiple.prefixes.bar.example /", "three"),
            ("GET multiple.prefixes.foo.example /", "three"),
            ("GET foo.example /", "404"),
            ("GET no.matching.host /", "404"),
            ("GET FOO.bar.EXAMPLE /", "two"),
        ],
    );
}

/// Upstream: GatewayHTTPListenerIsolation.
#[test]
fn no_request_falls_through_to_a_less_specific_listener() {
    let listeners = "
spec:
  gatewayClassName: portcullis
  listeners:
    - {name: any, port: 80, protocol: HTTP}
    - {name: wide, port: 80, protocol: HTTP, hostname: '*.example.com'}
    - {name: narrow, port: 80, protocol: HTTP, hostname: '*.foo.example.com'}
    - {name: exact, port: 80, protocol: HTTP, hostname: abc.foo.example.com}
";
    let mut objects = format!("@Gateway default/plain{listeners}@Gateway default/named{listeners}");
    let hosts = [
        ("any", "one", "[other.test, '*.example.com', '*.foo.example.com', abc.foo.example.com]"),
        ("wide", "two", "['*.example.com', '*.foo.example.com', abc.foo.example.com]"),
        ("narrow", "three", "['*.foo.example.com', abc.foo.example.com]"),
        ("exact", "four", "[abc.foo.example.com]"),
    ];
    for (section, backend, named) in hosts {
        for (gateway, hostnames) in [("plain", "[]"), ("named", named)] {
            objects.push_str(&format!(
                "@HTTPRoute default/{gateway}-{section}
spec:
  parentRefs: [{{name: {gateway}, sectionName: {section}}}]
  hostnames: {hostnames}
  rules:
    - matches: [{{path: {{value: /{section}}}}}]
      backendRefs: [{{name: {backend}, port: 8080}}]
"
            ));
        }
    }
    let world = World::start(BACKENDS, &objects);
    assert_ne!(world.socket("default/plain", 80), world.socket("default/named", 80));
    for gateway in ["default/plain", "default/named"] {
        for (host, serving, backend) in [
            ("other.test", "any", "one"),
            ("bar.example.com", "wide", "two"),
            ("bar.foo.example.com", "narrow", "three"),
            ("abc.foo.example.com", "exact", "four"),
        ] {
            for (section, _, _) in hosts {
                let expected = if section == serving { backend } else { "404" };
                let request = format!("GET {host} /{section}");
                world.table(gateway, 80, &[(&request, expected)]);
            }
        }
        for listener in ["any", "wide", "narrow", "exact"] {
            assert_eq!(world.listener(gateway, listener)["attachedRoutes"], 1, "{listener}");
        }
    }
}

/// Upstream: HTTPRouteHostnameIntersection.
#[test]
fn only_hosts_in_both_the_listener_and_the_route_are_served() {
    let objects = [
        "
@Gateway default/web
spec:
  gatewayClassName: portcullis
  listeners:
    - {name: l1, port: 80, protocol: HTTP, hostname: very.specific.example}
    - {name: l2, port: 80, protocol: HTTP, hostname: '*.wildcard.test'}
    - {name: l3, port: 80, protocol: HTTP, hostname: '*.another.test'}
@Gateway default/all
spec:
  gatewayClassName: portcullis
  listeners: [{name: any, port: 80, protocol: HTTP}]
",
        &route(
            "exact",
            "[{name: web, sectionName: l1}]",
            "[non.matching.example, '*.nonmatching.test', very.specific.example]",
            "one",
        ),
        &route("wild", "[{name: web, sectionName: l1}]", "['*.specific.example']", "two"),
        &route(
            "under",
            "[{name: web, sectionName: l2}]",
            "[non.matching.example, first.wildcard.test, second.wildcard.test]",
            "three",
        ),
        &route("same", "[{name: web, sectionName: l3}]", "['*.another.test']", "four"),
        &route("none", "[{name: web}]", "[specific.but.wrong.example, wildcard.test]", "one"),
        &route("anywhere", "[{name: all}]", "[first.wildcard.test]", "two"),
    ];
    let world = World::start(BACKENDS, &objects.concat());
    let accepted = ["Accepted=True/Accepted", "ResolvedRefs=True/ResolvedRefs"];
    for route in ["exact", "wild", "under", "same", "anywhere"] {
        conditions(&world.parent(&format!("default/{route}"), 0), &accepted);
    }
    conditions(
        &world.parent("default/none", 0),
        &["Accepted=False/NoMatchingListenerHostname", "ResolvedRefs=True/ResolvedRefs"],
    );
    for (listener, routes) in [("l1", 2), ("l2", 1), ("l3", 1)] {
        assert_eq!(world.listener("default/web", listener)["attachedRoutes"], routes, "{listener}");
    }
    let everywhere = [
        ("GET very.specific.example /", "one"),
        ("GET very.specific.example:1234 /", "one"),
        ("GET non.matching.example /", "404"),
        ("GET foo.nonmatching.test /", "404"),
        ("GET foo.specific.example /", "404"),
        ("GET first.wildcard.test /", "three"),
        ("GET second.wildcard.test:80 /", "three"),
        ("GET third.wildcard.test /", "404"),
        ("GET wildcard.test /", "404"),
        ("GET a.another.test /", "four"),
        ("GET a.b.another.test /", "four"),
        ("GET another.test /", "404"),
        ("GET specific.but.wrong.example /", "404"),
    ];
    world.table("default/web", 80, &everywhere);
    world.table(
        "default/all",
        80,
        &[
            ("GET first.wildcard.test /", "two"),
            ("GET second.wildcard.test /", "404"),
            ("GET very.specific.example /", "404"),
        ],
    );
}

/// Upstream: HTTPRouteListenerPortMatching.
#[test]
fn a_parents_port_and_section_choose_listeners() {
    let objects = [
        "
@Gateway default/web
spec:
  gatewayClassName: portcullis
  listeners:
    - {name: l1, port: 80, protocol: HTTP, hostname: foo.example}
    - {name: l2, port: 80, protocol: HTTP, hostname: bar.example}
    - {name: l3, port: 8080, protocol: HTTP, hostname: foo.example}
    - {name: l4, port: 8080, protocol: HTTP, hostname: bar.example}
    - {name: l5, port: 8090, protocol: HTTP, hostname: foo.example}
",
        &route("one", "[{name: web, port: 80}]", "[]", "one"),
        &route("two", "[{name: web, port: 8080, sectionName: l3}]", "[]", "two"),
        &route("three", "[{name: web, sectionName: l4}]", "[]", "three"),
    ];
    let world = World::start(BACKENDS, &objects.concat());
    let parent = world.parent("default/two", 0);
    conditions(&parent, &["Accepted=True/Accepted"]);
    assert_eq!(parent["parentRef"]["port"], 8080);
    assert_eq!(parent["parentRef"]["sectionName"], "l3");
    world.table("default/web", 80, &[("GET foo.example /", "one"), ("GET bar.example /", "one")]);
    world.table(
        "default/web",
        8080,
        &[("GET foo.example /", "two"), ("GET bar.example /", "three")],
    );
    world.table("default/web", 8090, &[("GET foo.example /", "404"), ("GET bar.example /", "404")]);
}

/// Upstream: HTTPRouteMultipleGateways.
#[test]
fn a_route_of_one_gateway_is_unknown_to_the_other_on_the_same_port() {
    let gateway = "\nspec: {gatewayClassName: portcullis, listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]}\n";
    let path = |name: &str, parents: &str, backend: &str| {
        format!(
            "@HTTPRoute default/{name}
spec:
  parentRefs: {parents}
  rules: [{{matches: [{{path: {{value: /{name}}}}}], backendRefs: [{{name: {backend}, port: 8080}}]}}]
"
        )
    };
    let objects = [
        &format!("@Gateway default/left{gateway}@Gateway edge/right{gateway}"),
        &path("shared", "[{name: left}, {name: right, namespace: edge}]", "one"),
        &path("dedicated", "[{name: left}]", "two"),
        &path("other", "[{name: right, namespace: edge}]", "three"),
    ]
    .map(String::as_str)
    .concat();
    let world = World::start(BACKENDS, &objects);
    let parents = world.status("HTTPRoute", "default/shared")["parents"].clone();
    assert_eq!(parents.as_array().map(Vec::len), Some(2));
    assert_eq!(parents[1]["parentRef"]["namespace"], "edge");
    world.table(
        "default/left",
        80,
        &[
            ("GET a.example /shared", "one"),
            ("GET a.example /dedicated", "two"),
            ("GET a.example /other", "404"),
        ],
    );
    world.table(
        "edge/right",
        80,
        &[
            ("GET a.example /shared", "one"),
            ("GET a.example /dedicated", "404"),
            ("GET a.example /other", "three"),
        ],
    );
}

/// Upstream: HTTPRouteMultipleRoutesAttachmentSameHostnameIntersection.
#[test]
fn the_hostname_written_on_the_route_ranks_it_whatever_the_listener_leaves_of_it() {
    let rows = [
        ("exact", "'*.example.com'", "abc.example.com"),
        ("wide", "'*.com'", "'*.example.com'"),
        ("none", "", "'*.com'"),
        ("apex", "", "abc.example.com"),
    ];
    let mut objects = String::new();
    for (name, older, newer) in rows {
        objects.push_str(&format!(
            "@Gateway default/{name}
spec:
  gatewayClassName: portcullis
  listeners: [{{name: http, port: 80, protocol: HTTP, hostname: abc.example.com}}]
@HTTPRoute default/{name}-older 2020-01-01
spec:
  parentRefs: [{{name: {name}}}]
  hostnames: [{older}]
  rules:
    - matches: [{{path: {{value: /}}}}, {{path: {{value: /a/long/path}}}}, {{path: {{value: /fall}}, headers: [{{name: x, value: v}}]}}]
      backendRefs: [{{name: one, port: 8080}}]
@HTTPRoute default/{name}-newer 2022-01-01
spec:
  parentRefs: [{{name: {name}}}]
  hostnames: [{newer}]
  rules:
    - matches: [{{path: {{value: /a}}}}, {{path: {{type: Exact, value: /}}}}]
      backendRefs: [{{name: two, port: 8080}}]
"
        ));
    }
    let world = World::start(BACKENDS, &objects);
    for (name, _, _) in rows {
        let gateway = format!("default/{name}");
        assert_eq!(world.listener(&gateway, "http")["attachedRoutes"], 2);
        for route in ["older", "newer"] {
            conditions(
                &world.parent(&format!("{gateway}-{route}"), 0),
                &["Accepted=True/Accepted"],
            );
        }
        world.table(
            &gateway,
            80,
            &[
                ("GET abc.example.com /", "two"),
                ("GET abc.example.com /a/long/path", "two"),
                ("GET abc.example.com /fall x:v", "one"),
                ("GET abc.example.com /unmatched", "one"),
                ("GET xyz.example.com /", "404"),
            ],
        );
    }
}

/// Upstream: HTTPRouteCrossNamespace.
#[test]
fn a_selected_namespace_attaches_and_keeps_its_own_backends() {
    let world = World::start(
        &["shop/one", "infra/two"],
        "
@Namespace shop kind=backend
@Namespace other kind=frontend
@Gateway infra/web
spec:
  gatewayClassName: portcullis
  listeners:
    - name: http
      port: 80
      protocol: HTTP
      allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {kind: backend}}}}
@HTTPRoute shop/r
spec:
  parentRefs: [{name: web, namespace: infra}]
  rules: [{matches: [{path: {value: /shop}}], backendRefs: [{name: one, port: 8080}]}]
@HTTPRoute other/r
spec:
  parentRefs: [{name: web, namespace: infra}]
  rules: [{matches: [{path: {value: /other}}], backendRefs: [{name: one, port: 8080}]}]
",
    );
    conditions(
        &world.parent("shop/r", 0),
        &["Accepted=True/Accepted", "ResolvedRefs=True/ResolvedRefs"],
    );
    conditions(&world.parent("other/r", 0), &["Accepted=False/NotAllowedByListeners"]);
    assert_eq!(world.listener("infra/web", "http")["attachedRoutes"], 1);
    world.table(
        "infra/web",
        80,
        &[("GET a.example /shop", "one"), ("GET a.example /other", "404")],
    );
}
