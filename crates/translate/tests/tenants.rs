//! What a tenant may not reach or exhaust through objects of its own.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod common;

use translate::endpoints::is_routable;
use translate::{Code, Settings, translate};

#[test]
fn the_deny_list_covers_the_proxy_and_its_machine_in_every_notation() {
    for ip in [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "0.1.2.3",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "febf::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "::169.254.169.254",
    ] {
        assert!(!is_routable(ip.parse().unwrap()), "{ip}");
    }
    for ip in ["10.0.0.1", "192.168.1.1", "100.64.0.1", "2001:db8::1", "fd00::1", "::ffff:10.0.0.1"]
    {
        assert!(is_routable(ip.parse().unwrap()), "{ip}");
    }
}

fn with_pattern(pattern: &str) -> String {
    let fixture = std::fs::read_to_string("tests/fixtures/web.yaml").unwrap();
    format!(
        "{fixture}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{ name: r }}\nspec: {{ parentRefs: [{{ name: web }}], rules: [{{ matches: [{{ path: {{ type: RegularExpression, value: '{pattern}' }} }}], backendRefs: [{{ name: app, port: 80 }}] }}] }}\n"
    )
}

#[test]
fn an_expression_that_compiles_to_too_much_is_refused_and_a_slow_looking_one_is_not() {
    let rules = |pattern: &str| {
        let translation =
            translate(&common::snapshot(&with_pattern(pattern)), &Settings::default());
        let rules: usize = translation.ir.http_routes.values().map(|route| route.rules.len()).sum();
        let refused = translation.diagnostics.iter().any(|one| one.code == Code::MatchDropped);
        (rules, refused)
    };
    // Kilobytes of pattern, gigabytes of program.
    for pattern in ["/(a{1000}){1000}", "/(((x{100}){100}){100}){100}", "/\\pL{1000}{100}"] {
        assert_eq!(rules(pattern), (0, true), "{pattern}");
    }
    // Exponential in a backtracking matcher, linear here.
    assert_eq!(rules("/(a+)+b"), (1, false));
}

#[test]
fn expressions_of_a_namespace_have_a_budget_and_room_that_is_given_back_is_used() {
    let fixture = std::fs::read_to_string("tests/fixtures/web.yaml").unwrap();
    let route = |namespace: &str, name: &str, year: u32| {
        format!(
            "\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{ name: {name}, namespace: {namespace}, creationTimestamp: '{year}-01-01T00:00:00Z' }}\nspec: {{ parentRefs: [{{ name: web, namespace: default }}], rules: [{{ matches: [{{ path: {{ type: RegularExpression, value: '/{name}/[a-z]{{500}}' }} }}] }}] }}\n"
        )
    };
    let text = [
        fixture.replace(
            "port: 80, protocol: HTTP",
            "port: 80, protocol: HTTP, allowedRoutes: { namespaces: { from: All } }",
        ),
        route("default", "c-oldest", 2020),
        route("default", "b-middle", 2021),
        route("default", "a-youngest", 2022),
        route("other", "neighbour", 2023),
    ]
    .concat();
    let mut snapshot = common::snapshot(&text);
    let one = {
        let pattern = ir::Pattern::whole("/c-oldest/[a-z]{500}").unwrap();
        pattern.memory()
    };
    let settings = Settings { namespace_patterns_bytes_max: one * 5 / 2, ..Settings::default() };
    let refused = |translation: &translate::Translation| {
        let found = translation.diagnostics.iter();
        let found = found.filter(|one| one.code == Code::PatternBudgetExceeded);
        found.map(|one| one.origin.object.name.to_string()).collect::<Vec<_>>()
    };
    let mut translator = translate::Translator::default();
    let first = translator.update(&snapshot, &settings);
    assert_eq!(refused(&first), ["a-youngest"], "the neighbour's namespace is its own");
    assert_eq!(first, translate(&snapshot, &settings));

    let middle = api::ObjectName::new("default", "b-middle");
    snapshot.remove("gateway.networking.k8s.io", "HTTPRoute", &middle);
    let second = translator.update(&snapshot, &settings);
    assert!(refused(&second).is_empty());
    assert_eq!(translator.lowered_routes(), 1, "only the route that now fits");
    assert_eq!(second, translate(&snapshot, &settings));
}
