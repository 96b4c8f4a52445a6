//! Filters that change heads: redirects, rewrites, header modifiers.

use testkit::{raw::Response, recorder::Reply};

use crate::kit::{World, conditions, outcome, received};

const BACKENDS: &[&str] = &["default/one", "default/two", "default/three"];

fn web(rules: &str) -> World {
    let objects = format!(
        "
@Gateway default/web
spec:
  gatewayClassName: portcullis
  listeners:
    - {{name: http, port: 80, protocol: HTTP}}
    - {{name: alt, port: 8080, protocol: HTTP}}
@HTTPRoute default/r
spec:
  parentRefs: [{{name: web}}]
  rules:
{rules}"
    );
    let world = World::start(BACKENDS, &objects);
    conditions(
        &world.parent("default/r", 0),
        &["Accepted=True/Accepted", "ResolvedRefs=True/ResolvedRefs"],
    );
    world
}

/// A rule for `prefix` that redirects as `redirect` says.
fn redirect(prefix: &str, redirect: &str) -> String {
    format!(
        "    - matches: [{{path: {{value: {prefix}}}}}]
      filters: [{{type: RequestRedirect, requestRedirect: {{{redirect}}}}}]
"
    )
}

/// Checks status and Location of `GET HOST PATH`.
fn check_redirects(world: &World, port: u16, rows: &[(&str, u16, &str)]) {
    for (request, status, location) in rows {
        let response = world.ask("default/web", port, &format!("GET {request}"));
        assert_eq!(response.status, *status, "{request}");
        assert_eq!(response.field("location"), Some(*location), "{request} on {port}");
    }
}

/// Upstream: HTTPRouteRedirectHostAndStatus, HTTPRoute303Redirect, HTTPRoute307Redirect, HTTPRoute308Redirect.
#[test]
fn a_redirect_answers_with_the_host_and_the_status_that_it_names() {
    let mut rules = redirect("/plain", "hostname: other.example");
    for status in [301, 302, 303, 307, 308] {
        rules.push_str(&redirect(
            &format!("/s{status}"),
            &format!("hostname: other.example, statusCode: {status}"),
        ));
        let path =
            format!("path: {{type: ReplaceFullPath, replaceFullPath: /new}}, statusCode: {status}");
        rules.push_str(&redirect(&format!("/p{status}"), &path));
    }
    let world = web(&rules);
    check_redirects(
        &world,
        80,
        &[
            ("a.example /plain", 302, "http://other.example/plain"),
            ("a.example /plain/x?y=z", 302, "http://other.example/plain/x?y=z"),
            ("a.example /s301", 301, "http://other.example/s301"),
            ("a.example /s302", 302, "http://other.example/s302"),
            ("a.example /s303", 303, "http://other.example/s303"),
            ("a.example /s307", 307, "http://other.example/s307"),
            ("a.example /s308", 308, "http://other.example/s308"),
            ("a.example /p303", 303, "http://a.example/new"),
            ("a.example /p307/more", 307, "http://a.example/new"),
            ("a.example /p308", 308, "http://a.example/new"),
        ],
    );
    let post = world.ask("default/web", 80, "POST a.example /s307 content-length:0");
    assert_eq!((post.status, post.field("location")), (307, Some("http://other.example/s307")));
    assert!(world.backend("one").requests().is_empty());
}

/// Upstream: HTTPRouteRedirectPath.
#[test]
fn a_redirect_replaces_the_prefix_or_the_whole_path() {
    let prefix = |to: &str| format!("path: {{type: ReplacePrefixMatch, replacePrefixMatch: {to}}}");
    let full = |to: &str| format!("path: {{type: ReplaceFullPath, replaceFullPath: {to}}}");
    let world = web(&[
        redirect("/old", &prefix("/new")),
        redirect("/full", &full("/all-new")),
        redirect("/prefix-host", &format!("hostname: b.example, {}", prefix("/moved"))),
        redirect("/prefix-status", &format!("statusCode: 301, {}", prefix("/moved"))),
        redirect("/full-host", &format!("hostname: b.example, {}", full("/moved"))),
        redirect("/full-status", &format!("statusCode: 301, {}", full("/moved"))),
        redirect("/strip", &prefix("/")),
    ]
    .concat());
    check_redirects(
        &world,
        80,
        &[
            ("a.example /old/lemon", 302, "http://a.example/new/lemon"),
            ("a.example /old", 302, "http://a.example/new"),
            ("a.example /old/", 302, "http://a.example/new/"),
            ("a.example /old/x?q=1", 302, "http://a.example/new/x?q=1"),
            ("a.example /full/path/of/it", 302, "http://a.example/all-new"),
            ("a.example /prefix-host/x", 302, "http://b.example/moved/x"),
            ("a.example /prefix-status/x", 301, "http://a.example/moved/x"),
            ("a.example /full-host/x", 302, "http://b.example/moved"),
            ("a.example /full-status/x", 301, "http://a.example/moved"),
            ("a.example /strip/x", 302, "http://a.example/x"),
            ("a.example /strip", 302, "http://a.example/"),
        ],
    );
}

/// Upstream: HTTPRouteRedirectPort, HTTPRouteRedirectScheme and the plain listeners of HTTPRouteRedirectPortAndScheme.
#[test]
fn a_redirects_port_follows_the_filter_then_the_scheme_then_the_listener() {
    let world = web(&[
        redirect("/nothing", "hostname: b.example"),
        redirect("/port", "port: 8083"),
        redirect("/port-host", "port: 8083, hostname: b.example"),
        redirect("/port-status", "port: 8083, statusCode: 301"),
        redirect("/port-80", "port: 80"),
        redirect("/https", "scheme: https"),
        redirect("/http", "scheme: http"),
        redirect("/https-host", "scheme: https, hostname: b.example"),
        redirect("/https-status", "scheme: https, statusCode: 301"),
        redirect("/https-443", "scheme: https, port: 443"),
        redirect("/https-80", "scheme: https, port: 80"),
        redirect("/https-8443", "scheme: https, port: 8443"),
        redirect("/http-80", "scheme: http, port: 80"),
        redirect("/http-8080", "scheme: http, port: 8080"),
    ]
    .concat());
    check_redirects(
        &world,
        80,
        &[
            ("a.example /nothing", 302, "http://b.example/nothing"),
            ("a.example /port", 302, "http://a.example:8083/port"),
            ("a.example /port-host", 302, "http://b.example:8083/port-host"),
            ("a.example /port-status", 301, "http://a.example:8083/port-status"),
            ("a.example /port-80", 302, "http://a.example/port-80"),
            ("a.example /https", 302, "https://a.example/https"),
            ("a.example:1234 /https", 302, "https://a.example/https"),
            ("a.example /http", 302, "http://a.example/http"),
            ("a.example /https-host", 302, "https://b.example/https-host"),
            ("a.example /https-status", 301, "https://a.example/https-status"),
            ("a.example /https-443", 302, "https://a.example/https-443"),
            ("a.example /https-80", 302, "https://a.example:80/https-80"),
            ("a.example /https-8443", 302, "https://a.example:8443/https-8443"),
            ("a.example /http-80", 302, "http://a.example/http-80"),
            ("a.example /http-8080", 302, "http://a.example:8080/http-8080"),
        ],
    );
    check_redirects(
        &world,
        8080,
        &[
            ("a.example /nothing", 302, "http://b.example:8080/nothing"),
            ("a.example:1234 /nothing", 302, "http://b.example:8080/nothing"),
            ("a.example /port", 302, "http://a.example:8083/port"),
            ("a.example /port-80", 302, "http://a.example/port-80"),
            ("a.example /https", 302, "https://a.example/https"),
            ("a.example /http", 302, "http://a.example/http"),
            ("a.example /https-443", 302, "https://a.example/https-443"),
            ("a.example /https-8443", 302, "https://a.example:8443/https-8443"),
            ("a.example /http-80", 302, "http://a.example/http-80"),
            ("a.example /http-8080", 302, "http://a.example:8080/http-8080"),
        ],
    );
}

const MODIFIERS: &str = "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Set, value: set}], add: [{name: X-Add, value: added}], remove: [X-Gone]}}";

fn check_modified(response: &Response, request: &str) {
    assert_eq!(response.status, 200, "{request}");
    assert_eq!(received(response, "x-set").as_deref(), Some("set"), "{request}");
    let added = received(response, "x-add").expect("the added field");
    assert_eq!(
        added.replace(", ", ","),
        if request.contains("x-add") { "before,added" } else { "added" }
    );
    assert_eq!(received(response, "x-gone"), None, "{request}");
}

/// Upstream: HTTPRouteRewriteHost.
#[test]
fn a_rewritten_host_is_what_the_backend_sees() {
    let world = web(&format!(
        "    - matches: [{{path: {{value: /one}}}}]
      filters: [{{type: URLRewrite, urlRewrite: {{hostname: one.rewritten.example}}}}]
      backendRefs: [{{name: one, port: 8080}}]
    - matches: [{{path: {{value: /two}}}}]
      filters: [{MODIFIERS}, {{type: URLRewrite, urlRewrite: {{hostname: two.rewritten.example}}}}]
      backendRefs: [{{name: two, port: 8080}}]
    - backendRefs: [{{name: three, port: 8080}}]
"
    ));
    for (request, backend, host) in [
        ("GET a.example /one", "one", "one.rewritten.example"),
        ("GET a.example /two x-gone:1 x-add:before x-set:old", "two", "two.rewritten.example"),
        ("GET a.example /", "three", "a.example"),
        ("GET a.example:1234 /", "three", "a.example:1234"),
    ] {
        let response = world.ask("default/web", 80, request);
        assert_eq!(outcome(&response), backend);
        assert_eq!(response.json()["host"], host, "{request}");
        if backend == "two" {
            check_modified(&response, request);
        }
    }
}

/// Upstream: HTTPRouteRewritePath, HTTPRouteBackendURLRewrite.
#[test]
fn a_path_is_rewritten_by_prefix_or_whole_by_the_rule_or_its_backend() {
    let rule = |prefix: &str, filters: &str, of_backend: &str| {
        format!(
            "    - matches: [{{path: {{value: {prefix}}}}}]
      filters: [{filters}]
      backendRefs: [{{name: one, port: 8080, filters: [{of_backend}]}}]
"
        )
    };
    let prefix = |to: &str| {
        format!(
            "{{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: {to}}}}}}}"
        )
    };
    let full = |to: &str| {
        format!(
            "{{type: URLRewrite, urlRewrite: {{path: {{type: ReplaceFullPath, replaceFullPath: {to}}}}}}}"
        )
    };
    let world = web(&[
        rule("/prefix/one", &prefix("/one"), ""),
        rule("/strip", &prefix("/"), ""),
        rule("/empty", &prefix("''"), ""),
        rule("/full", &full("/only"), ""),
        rule("/with/modifiers", &format!("{MODIFIERS}, {}", prefix("/p")), ""),
        rule("/full-modifiers", &format!("{MODIFIERS}, {}", full("/f")), ""),
        rule("/backend/prefix", "", &prefix("/b")),
        rule("/backend/full", "", &full("/bf")),
        rule("/backend/both", "", &format!("{MODIFIERS}, {}", full("/bm"))),
    ]
    .concat());
    for (path, seen) in [
        ("/prefix/one/two", "/one/two"),
        ("/prefix/one", "/one"),
        ("/prefix/one/", "/one/"),
        ("/prefix/one/x?q=/prefix/one", "/one/x?q=/prefix/one"),
        ("/strip/two", "/two"),
        ("/strip", "/"),
        ("/strip/", "/"),
        ("/empty", "/"),
        ("/empty/x", "/x"),
        ("/full/whatever", "/only"),
        ("/full?q=1", "/only?q=1"),
        ("/with/modifiers/x", "/p/x"),
        ("/full-modifiers/x", "/f"),
        ("/backend/prefix/x", "/b/x"),
        ("/backend/prefix", "/b"),
        ("/backend/full/x?y", "/bf?y"),
        ("/backend/both", "/bm"),
    ] {
        let request = format!("GET a.example {path} x-gone:1 x-add:before x-set:old");
        let response = world.ask("default/web", 80, &request);
        assert_eq!(response.json()["path"], seen, "{path}");
        if seen.starts_with("/p") || seen.starts_with("/f") || seen == "/bm" {
            check_modified(&response, &request);
        }
    }
}

/// Upstream: HTTPRouteRequestHeaderModifier, HTTPRouteBackendRequestHeaderModifier.
#[test]
fn request_headers_are_set_added_and_removed_without_regard_to_case() {
    let several = "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Set-1, value: s1}, {name: x-set-2, value: s2}], add: [{name: X-Add-1, value: a1}, {name: X-Add-2, value: a2}], remove: [X-Gone-1, x-gone-2]}}";
    let mut rules = String::new();
    for (path, of_rule, of_backend) in [
        ("/rule", MODIFIERS, ""),
        ("/backend", "", MODIFIERS),
        ("/several", several, ""),
        ("/several-backend", "", several),
    ] {
        rules.push_str(&format!(
            "    - matches: [{{path: {{value: {path}}}}}]
      filters: [{of_rule}]
      backendRefs: [{{name: one, port: 8080, filters: [{of_backend}]}}]
"
        ));
    }
    let world = web(&rules);
    for path in ["/rule", "/backend"] {
        for fields in [
            "",
            " x-set:old X-ADD:before x-gone:1",
            " X-Set:a x-set:b X-GONE:1 x-gone:2 other:keep",
        ] {
            let request = format!("GET a.example {path}{fields}");
            check_modified(
                &world.ask("default/web", 80, &request.to_lowercase()),
                &request.to_lowercase(),
            );
        }
    }
    for path in ["/several", "/several-backend"] {
        let request =
            format!("GET a.example {path} x-set-1:0 x-add-1:0 x-gone-1:0 X-Gone-2:0 x-kept:0");
        let response = world.ask("default/web", 80, &request);
        let value = |name: &str| received(&response, name).map(|text| text.replace(", ", ","));
        for (name, expected) in [
            ("x-set-1", Some("s1")),
            ("x-set-2", Some("s2")),
            ("x-add-1", Some("0,a1")),
            ("x-add-2", Some("a2")),
            ("x-gone-1", None),
            ("x-gone-2", None),
            ("x-kept", Some("0")),
        ] {
            assert_eq!(value(name).as_deref(), expected, "{path} {name}");
        }
    }
}

/// Upstream: HTTPRouteRequestHeaderModifierBackendWeights.
#[test]
fn the_header_of_a_backend_goes_to_that_backend_alone() {
    let backend = |name: &str| {
        format!(
            "{{name: {name}, port: 8080, weight: 50, filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: chosen, value: {name}}}]}}}}]}}"
        )
    };
    let world = web(&format!("    - backendRefs: [{}, {}]\n", backend("one"), backend("two")));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let response = world.ask("default/web", 80, "GET a.example / chosen:client");
        let chosen = outcome(&response);
        assert_eq!(received(&response, "chosen").as_deref(), Some(chosen.as_str()));
        seen.insert(chosen);
    }
    assert_eq!(seen.len(), 2);
}

/// Upstream: HTTPRouteResponseHeaderModifier.
#[test]
fn response_headers_are_set_added_and_removed() {
    let world = web(
        "    - matches: [{path: {value: /changed}}]
      filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Set, value: new}], add: [{name: X-Add, value: more}, {name: x-fresh, value: f}], remove: [X-Gone, x-also]}}]
      backendRefs: [{name: one, port: 8080}]
    - backendRefs: [{name: one, port: 8080}]
",
    );
    let fields =
        [("x-set", "old"), ("X-Add", "first"), ("x-gone", "1"), ("X-Also", "2"), ("x-kept", "k")];
    world.backend("one").always(Reply::status(200, &fields, "{\"backend\":\"one\"}"));
    let response = world.ask("default/web", 80, "GET a.example /changed");
    let all = |name: &str| response.head.all(name).collect::<Vec<_>>().join(",").replace(", ", ",");
    for (name, expected) in [
        ("x-set", "new"),
        ("x-add", "first,more"),
        ("x-fresh", "f"),
        ("x-gone", ""),
        ("x-also", ""),
        ("x-kept", "k"),
    ] {
        assert_eq!(all(name), expected, "{name}");
    }
    let plain = world.ask("default/web", 80, "GET a.example /");
    assert_eq!(plain.field("x-set"), Some("old"));
    assert_eq!(plain.field("x-gone"), Some("1"));
}
