//! Which rule a request takes.

use crate::kit::{World, conditions, outcome};

/// Upstream: HTTPRouteSimpleSameNamespace.
#[test]
fn a_route_in_the_namespace_of_its_gateway_serves() {
    let world = World::web("    - backendRefs: [{name: one, port: 8080}]\n");
    conditions(
        &world.parent("default/r", 0),
        &["Accepted=True/Accepted", "ResolvedRefs=True/ResolvedRefs"],
    );
    world.table("default/web", 80, &[("GET a.example /", "one"), ("POST b.example /x?y=z", "one")]);
}

/// Upstream: HTTPRouteMatching.
#[test]
fn a_prefix_or_a_header_selects_the_second_backend() {
    let world = World::web(
        "    - matches: [{path: {value: /}}, {headers: [{name: release, value: stable}]}]
      backendRefs: [{name: one, port: 8080}]
    - matches: [{path: {value: /beta}}, {headers: [{name: release, value: beta}]}]
      backendRefs: [{name: two, port: 8080}]
",
    );
    world.table(
        "default/web",
        80,
        &[
            ("GET a.example /", "one"),
            ("GET a.example /shop", "one"),
            ("GET a.example / release:stable", "one"),
            ("GET a.example /beta", "two"),
            ("GET a.example /beta/", "two"),
            ("GET a.example /beta/shop", "two"),
            ("GET a.example / release:beta", "two"),
            ("GET a.example /betatest", "one"),
            ("GET a.example /Beta", "one"),
            ("GET a.example /shop/beta", "one"),
        ],
    );
}

/// Upstream: HTTPRouteExactPathMatching.
#[test]
fn exact_paths_match_byte_for_byte() {
    let world = World::web(
        "    - matches: [{path: {type: Exact, value: /left}}]
      backendRefs: [{name: one, port: 8080}]
    - matches: [{path: {type: Exact, value: /right}}]
      backendRefs: [{name: two, port: 8080}]
",
    );
    world.table(
        "default/web",
        80,
        &[
            ("GET a.example /left", "one"),
            ("GET a.example /right", "two"),
            ("GET a.example /right?x=/left", "two"),
            ("GET a.example /", "404"),
            ("GET a.example /left/more", "404"),
            ("GET a.example /right/", "404"),
            ("GET a.example /Right", "404"),
        ],
    );
}

/// Upstream: HTTPRoutePathMatchOrder.
#[test]
fn exact_beats_the_longer_prefix_which_beats_the_shorter_in_any_order() {
    let world = World::web(
        "    - matches: [{path: {value: /}}]
      backendRefs: [{name: one, port: 8080}]
    - matches: [{path: {value: /match/prefix}}]
      backendRefs: [{name: two, port: 8080}]
    - matches: [{path: {value: /match/prefix/one/more/}}]
      backendRefs: [{name: three, port: 8080}]
    - matches: [{path: {type: Exact, value: /match/prefix/one}}, {path: {type: Exact, value: /match}}]
      backendRefs: [{name: four, port: 8080}]
",
    );
    world.table(
        "default/web",
        80,
        &[
            ("GET a.example /match", "four"),
            ("GET a.example /match/", "one"),
            ("GET a.example /match/prefix", "two"),
            ("GET a.example /match/prefix/one", "four"),
            ("GET a.example /match/prefix/one/any", "two"),
            ("GET a.example /match/prefix/one/more", "three"),
            ("GET a.example /match/prefix/one/more/path", "three"),
            ("GET a.example /match/prefixed", "one"),
        ],
    );
}

/// Upstream: HTTPRouteHeaderMatching.
#[test]
fn headers_of_a_match_are_anded_and_matches_are_ored() {
    let world = World::web(
        "    - matches: [{headers: [{name: version, value: one}]}]
      backendRefs: [{name: one, port: 8080}]
    - matches: [{headers: [{name: version, value: two}]}]
      backendRefs: [{name: two, port: 8080}]
    - matches: [{headers: [{name: version, value: two}, {name: Tint, value: orange}]}]
      backendRefs: [{name: one, port: 8080}]
    - matches: [{headers: [{name: tint, value: blue}]}, {headers: [{name: tint, value: green}]}]
      backendRefs: [{name: three, port: 8080}]
    - matches: [{headers: [{name: Tint, value: Red}]}, {headers: [{name: tint, value: yellow}]}]
      backendRefs: [{name: two, port: 8080}]
",
    );
    world.table(
        "default/web",
        80,
        &[
            ("GET a.example / version:one", "one"),
            ("GET a.example / VERSION:two", "two"),
            ("GET a.example / version:two tint:orange", "one"),
            ("GET a.example / TINT:blue", "three"),
            ("GET a.example / tint:green", "three"),
            ("GET a.example / tint:Red", "two"),
            ("GET a.example / tint:yellow", "two"),
            ("GET a.example / tint:red", "404"),
            ("GET a.example / tint:purple", "404"),
            ("GET a.example / tint:orange", "404"),
            ("GET a.example / some:thing", "404"),
            ("GET a.example /", "404"),
            ("GET a.example / version:two tint:blue", "two"),
        ],
    );
}

/// Upstream: HTTPRouteMethodMatching.
#[test]
fn a_method_alone_and_with_others_selects_after_the_path_and_before_headers() {
    let world = World::web(
        "    - matches: [{method: POST}]
      backendRefs: [{name: one, port: 8080}]
    - matches: [{method: GET}]
      backendRefs: [{name: two, port: 8080}]
    - matches: [{method: GET, path: {value: /both}}]
      backendRefs: [{name: one, port: 8080}]
    - matches: [{method: PUT, headers: [{name: version, value: one}]}]
      backendRefs: [{name: two, port: 8080}]
    - matches: [{path: {value: /all}, headers: [{name: version, value: two}], method: POST}]
      backendRefs: [{name: three, port: 8080}]
    - matches: [{path: {value: /longest}}, {method: PATCH}]
      backendRefs: [{name: four, port: 8080}]
    - matches: [{method: PATCH, path: {value: /long}}, {headers: [{name: version, value: four}]}]
      backendRefs: [{name: one, port: 8080}]
",
    );
    world.table(
        "default/web",
        80,
        &[
            ("POST a.example / content-length:0", "one"),
            ("GET a.example /", "two"),
            ("GET a.example /both", "one"),
            ("PUT a.example / version:one content-length:0", "two"),
            ("POST a.example /all version:two content-length:0", "three"),
            ("PATCH a.example /longest version:four content-length:0", "four"),
            ("PATCH a.example /long version:four content-length:0", "one"),
            ("PATCH a.example / version:four content-length:0", "four"),
            ("DELETE a.example / version:four", "one"),
            ("PUT a.example / content-length:0", "404"),
            ("HEAD a.example /", "404"),
            ("DELETE a.example /", "404"),
        ],
    );
}

/// Upstream: HTTPRouteQueryParamMatching.
#[test]
fn query_parameters_are_matched_by_case_and_rank_below_path_and_headers() {
    let world = World::web(
        "    - matches: [{queryParams: [{name: animal, value: whale}]}]
      backendRefs: [{name: one, port: 8080}]
    - matches: [{queryParams: [{name: animal, value: dolphin}]}]
      backendRefs: [{name: two, port: 8080}]
    - matches: [{queryParams: [{name: animal, value: dolphin}, {name: tint, value: blue}]}]
      backendRefs: [{name: three, port: 8080}]
    - matches: [{queryParams: [{name: ANIMAL, value: Whale}]}]
      backendRefs: [{name: three, port: 8080}]
    - matches: [{path: {value: /path}, queryParams: [{name: animal, value: whale}]}]
      backendRefs: [{name: two, port: 8080}]
    - matches: [{headers: [{name: version, value: one}], queryParams: [{name: animal, value: whale}]}]
      backendRefs: [{name: four, port: 8080}]
    - matches: [{headers: [{name: version, value: two}]}, {path: {value: /longer}}]
      backendRefs: [{name: one, port: 8080}]
",
    );
    world.table(
        "default/web",
        80,
        &[
            ("GET a.example /?animal=whale", "one"),
            ("GET a.example /?animal=dolphin", "two"),
            ("GET a.example /?animal=dolphin&tint=blue", "three"),
            ("GET a.example /?tint=blue&other=x&animal=dolphin", "three"),
            ("GET a.example /?ANIMAL=Whale", "three"),
            ("GET a.example /path?animal=whale", "two"),
            ("GET a.example /?animal=whale version:one", "four"),
            ("GET a.example /?animal=dolphin version:two", "one"),
            ("GET a.example /longer?animal=dolphin&tint=blue", "one"),
            ("GET a.example /?animal=shark", "404"),
            ("GET a.example /?Animal=whale", "404"),
            ("GET a.example /?tint=blue", "404"),
            ("GET a.example /", "404"),
            ("GET a.example /animal=whale", "404"),
            ("GET a.example /?animal=wh%61le", "one"),
        ],
    );
}

/// Upstream: HTTPRouteRuleOrder.
#[test]
fn of_rules_with_the_same_matches_the_first_wins_even_without_its_backend() {
    let world = World::web(
        "    - matches: [{path: {value: /same}, headers: [{name: a, value: x}, {name: b, value: z}]}]
      backendRefs: [{name: one, port: 8080}]
    - matches: [{path: {value: /same}, headers: [{name: b, value: z}, {name: a, value: x}]}]
      backendRefs: [{name: two, port: 8080}]
    - matches: [{path: {value: /gone}, headers: [{name: a, value: x}]}]
      backendRefs: [{name: nobody, port: 8080}]
    - matches: [{path: {value: /gone}, headers: [{name: a, value: x}]}]
      backendRefs: [{name: two, port: 8080}]
",
    );
    world.table(
        "default/web",
        80,
        &[
            ("GET a.example /same b:z a:x", "one"),
            ("GET a.example /gone a:x", "500"),
            ("GET a.example /same b:z", "404"),
        ],
    );
}

/// Upstream: HTTPRouteNamedRule.
#[test]
fn rules_with_and_without_a_name_serve() {
    let world = World::web(
        "    - name: named
      matches: [{path: {value: /named}}]
      backendRefs: [{name: one, port: 8080}]
    - matches: [{path: {value: /nameless}}]
      backendRefs: [{name: two, port: 8080}]
",
    );
    world.table(
        "default/web",
        80,
        &[
            ("GET a.example /named", "one"),
            ("GET a.example /nameless", "two"),
            ("GET a.example /", "404"),
        ],
    );
}

/// Upstream: HTTPRouteMatchingAcrossRoutes.
#[test]
fn precedence_holds_across_routes_and_hostnames() {
    let world = World::start(
        &["default/one", "default/two"],
        "
@Gateway default/web
spec:
  gatewayClassName: portcullis
  listeners: [{name: http, port: 80, protocol: HTTP}]
@HTTPRoute default/first 2020-01-01
spec:
  parentRefs: [{name: web}]
  hostnames: [a.example, b.example]
  rules:
    - matches: [{path: {value: /}}, {headers: [{name: version, value: one}]}]
      backendRefs: [{name: one, port: 8080}]
@HTTPRoute default/second 2021-01-01
spec:
  parentRefs: [{name: web}]
  hostnames: [a.example]
  rules:
    - matches: [{path: {value: /v2}}, {headers: [{name: version, value: two}]}]
      backendRefs: [{name: two, port: 8080}]
",
    );
    for route in ["default/first", "default/second"] {
        conditions(&world.parent(route, 0), &["Accepted=True/Accepted"]);
    }
    assert_eq!(world.listener("default/web", "http")["attachedRoutes"], 2);
    world.table(
        "default/web",
        80,
        &[
            ("GET a.example /", "one"),
            ("GET a.example /example", "one"),
            ("GET a.example / version:one", "one"),
            ("GET a.example /v2", "two"),
            ("GET a.example:80 /v2/", "two"),
            ("GET A.example /v2/more", "two"),
            ("GET a.example / version:two", "two"),
            ("GET a.example /v2 version:one", "two"),
            ("GET b.example /v2", "one"),
            ("GET b.example / version:two", "one"),
            ("GET c.example /", "404"),
        ],
    );
}

/// Upstream: the tie of HTTPRouteMatchingAcrossRoutes, by age and then by name.
#[test]
fn equal_matches_go_to_the_older_route_and_then_to_the_first_name() {
    let route = |name: &str, backend: &str, path: &str| {
        format!(
            "@HTTPRoute default/{name}
spec:
  parentRefs: [{{name: web}}]
  rules: [{{matches: [{{path: {{value: {path}}}}}], backendRefs: [{{name: {backend}, port: 8080}}]}}]
"
        )
    };
    let objects = [
        "@Gateway default/web\nspec: {gatewayClassName: portcullis, listeners: [{name: http, port: 80, protocol: HTTP}]}\n",
        &route("zebra 2020-01-01", "one", "/age"),
        &route("ant 2021-01-01", "two", "/age"),
        &route("bee 2021-01-01", "one", "/name"),
        &route("asp 2021-01-01", "two", "/name"),
    ];
    let world = World::start(&["default/one", "default/two"], &objects.concat());
    world.table(
        "default/web",
        80,
        &[("GET a.example /age", "one"), ("GET a.example /name", "two")],
    );
    assert_eq!(outcome(&world.ask("default/web", 80, "GET a.example /")), "404");
}
