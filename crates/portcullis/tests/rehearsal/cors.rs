//! The CORS filter: preflights answered by the gateway, fields added to actual answers.

use testkit::raw::Response;

use crate::kit::{World, conditions, outcome};

fn world() -> World {
    let rules = [
        (
            "/exact",
            "allowOrigins: ['https://www.foo.example', 'https://*.bar.example', 'http://port.example:8080'], allowMethods: [GET, OPTIONS], allowHeaders: [x-one, X-Two], exposeHeaders: [x-seen, x-also], maxAge: 3600",
        ),
        (
            "/credentials",
            "allowOrigins: ['https://www.foo.example'], allowCredentials: true, allowMethods: [GET], allowHeaders: [x-one]",
        ),
        ("/star", "allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*']"),
        (
            "/star-credentials",
            "allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*'], exposeHeaders: ['*'], allowCredentials: true",
        ),
        (
            "/without",
            "allowOrigins: ['https://www.foo.example'], allowCredentials: false, allowMethods: [GET]",
        ),
    ];
    let mut text = String::from(
        "
@Gateway default/web
spec:
  gatewayClassName: portcullis
  listeners: [{name: http, port: 80, protocol: HTTP}]
@HTTPRoute default/r
spec:
  parentRefs: [{name: web}]
  rules:
",
    );
    for (path, cors) in rules {
        text.push_str(&format!(
            "    - matches: [{{path: {{value: {path}}}}}]
      filters: [{{type: CORS, cors: {{{cors}}}}}]
      backendRefs: [{{name: one, port: 8080}}]
"
        ));
    }
    let world = World::start(&["default/one"], &text);
    conditions(&world.parent("default/r", 0), &["Accepted=True/Accepted"]);
    world
}

const FOO: &str = "origin:https://www.foo.example";

fn preflight(world: &World, path: &str, origin: &str, more: &str) -> Response {
    let request =
        format!("OPTIONS a.example {path} origin:{origin} access-control-request-method:GET{more}");
    world.ask("default/web", 80, &request)
}

/// A list field as a sorted set, in lower case.
fn set(response: &Response, name: &str) -> Vec<String> {
    let mut all: Vec<String> = response
        .head
        .all(name)
        .flat_map(|value| value.split(','))
        .map(|item| item.trim().to_ascii_lowercase())
        .collect();
    all.sort();
    all
}

/// Upstream: HTTPRouteCORS, the preflights of allowed origins.
#[test]
fn a_preflight_of_an_allowed_origin_is_answered_by_the_gateway() {
    let world = world();
    for origin in [
        "https://www.foo.example",
        "https://www.bar.example",
        "https://a.b.bar.example",
        "http://port.example:8080",
        "https://www.foo.example:443",
    ] {
        let response =
            preflight(&world, "/exact", origin, " access-control-request-headers:x-one,_x-two");
        assert!(matches!(response.status, 200 | 204), "{origin}: {}", response.status);
        assert_eq!(response.field("access-control-allow-origin"), Some(origin));
        assert_eq!(set(&response, "access-control-allow-methods"), ["get", "options"]);
        assert_eq!(set(&response, "access-control-allow-headers"), ["x-one", "x-two"]);
        assert_eq!(response.field("access-control-max-age"), Some("3600"));
        assert_eq!(set(&response, "access-control-expose-headers"), ["x-also", "x-seen"]);
        assert_eq!(response.field("access-control-allow-credentials"), None);
        assert!(set(&response, "vary").contains(&"origin".to_owned()), "{origin}");
    }
    assert!(world.backend("one").requests().is_empty());
}

/// Upstream: HTTPRouteCORS, the preflights of other origins.
#[test]
fn a_preflight_of_another_origin_gets_no_permission() {
    let world = world();
    for origin in [
        "https://other.example",
        "http://www.foo.example",
        "https://www.foo.example:8443",
        "https://www.foo.example.evil.example",
        "https://bar.example",
        "http://port.example",
        "http://port.example:8081",
        "null",
    ] {
        let response = preflight(&world, "/exact", origin, "");
        assert!(matches!(response.status, 200 | 204 | 403), "{origin}: {}", response.status);
        for field in ["origin", "methods", "headers", "credentials"] {
            let name = format!("access-control-allow-{field}");
            assert_eq!(response.field(&name), None, "{origin}: {name}");
        }
    }
    assert!(world.backend("one").requests().is_empty());
}

/// Upstream: HTTPRouteCORS, wildcards with and without credentials.
#[test]
fn wildcards_are_echoed_when_credentials_are_allowed() {
    let world = world();
    let asked = " access-control-request-headers:x-any,_x-thing";
    let plain = preflight(&world, "/star", "https://any.example", asked);
    let allowed = plain.field("access-control-allow-origin");
    assert!(matches!(allowed, Some("*" | "https://any.example")), "{allowed:?}");
    let methods = set(&plain, "access-control-allow-methods");
    assert!(methods == ["*"] || methods == ["get"], "{methods:?}");
    let headers = set(&plain, "access-control-allow-headers");
    assert!(headers == ["*"] || headers == ["x-any", "x-thing"], "{headers:?}");
    assert_eq!(plain.field("access-control-allow-credentials"), None);
    assert_eq!(plain.field("access-control-max-age"), Some("5"));

    let echoed = preflight(&world, "/star-credentials", "https://any.example", asked);
    assert_eq!(echoed.field("access-control-allow-origin"), Some("https://any.example"));
    assert_eq!(set(&echoed, "access-control-allow-methods"), ["get"]);
    assert_eq!(set(&echoed, "access-control-allow-headers"), ["x-any", "x-thing"]);
    assert_eq!(echoed.field("access-control-allow-credentials"), Some("true"));
    assert_ne!(echoed.field("access-control-expose-headers"), Some("*"));

    let nothing = preflight(&world, "/star-credentials", "https://any.example", "");
    assert_eq!(nothing.field("access-control-allow-headers"), None, "none were asked for");

    let exact = preflight(&world, "/credentials", "https://www.foo.example", "");
    assert_eq!(exact.field("access-control-allow-credentials"), Some("true"));
    let without = preflight(&world, "/without", "https://www.foo.example", "");
    assert_eq!(without.field("access-control-allow-origin"), Some("https://www.foo.example"));
    assert_eq!(without.field("access-control-allow-credentials"), None);
}

/// Upstream: HTTPRouteCORS, actual requests.
#[test]
fn an_actual_request_reaches_the_backend_and_only_allowed_origins_get_the_fields() {
    let world = world();
    let get = |path: &str, field: &str| {
        let response = world.ask("default/web", 80, &format!("GET a.example {path} {field}"));
        assert_eq!(outcome(&response), "one", "{path} {field}");
        response
    };
    let allowed = get("/exact", FOO);
    assert_eq!(allowed.field("access-control-allow-origin"), Some("https://www.foo.example"));
    assert_eq!(set(&allowed, "access-control-expose-headers"), ["x-also", "x-seen"]);
    let credentials = get("/credentials", FOO);
    assert_eq!(credentials.field("access-control-allow-credentials"), Some("true"));
    assert_eq!(
        get("/star-credentials", FOO).field("access-control-allow-origin"),
        Some("https://www.foo.example")
    );
    let other = get("/exact", "origin:https://other.example");
    assert_eq!(other.field("access-control-allow-origin"), None);
    assert_eq!(other.field("access-control-expose-headers"), None);
    let none = get("/exact", "x-one:1");
    assert_eq!(none.field("access-control-allow-origin"), None);
    // OPTIONS without a request method is no preflight.
    let options = world.ask("default/web", 80, &format!("OPTIONS a.example /exact {FOO}"));
    assert_eq!(outcome(&options), "one");
}
