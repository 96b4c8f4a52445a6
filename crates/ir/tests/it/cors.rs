//! Cross-origin requests, sentence by sentence.

use std::sync::Arc;

use ir::{
    Cors, CorsOrigin, Filter, HostPattern, Overlay,
    exec::{Edge, Flow, LocalResponse, apply_request_filters, apply_response_filters, cors_grant},
};

use crate::support::{Request, field, get, object, origin, prefix, text};

fn list(items: &[&str]) -> Vec<Arc<str>> {
    items.iter().map(|item| Arc::from(*item)).collect()
}

fn allowed(scheme: &str, host: &str, port: Option<u16>) -> CorsOrigin {
    let host = (host != "*").then(|| HostPattern::new(host));
    CorsOrigin::Origin { scheme: scheme.into(), host, port }
}

fn cors(allow_origins: Vec<CorsOrigin>) -> Cors {
    Cors {
        origin: origin(&object("HTTPRoute", "r"), "spec.rules[0].filters[0].cors"),
        allow_origins,
        allow_credentials: false,
        allow_methods: list(&["GET", "OPTIONS"]),
        allow_headers: list(&["x-header-1", "x-header-2"]),
        expose_headers: list(&["x-header-3", "x-header-4"]),
        max_age: 3600,
    }
}

fn preflight(origin: &str) -> Request {
    let request = get("/").method("OPTIONS").with("Origin", origin);
    request.with("Access-Control-Request-Method", "PUT")
}

fn answered(cors: Cors, request: &Request) -> Option<LocalResponse> {
    let edge = Edge { scheme: "http", host: "a", listener_port: 80 };
    let filters = [Filter::Cors(cors)];
    let mut overlay = Overlay::default();
    match apply_request_filters(&filters, &prefix("/"), request, &edge, &mut overlay) {
        Ok(Flow::Respond(response)) => Some(response),
        Ok(Flow::Continue) => None,
        Err(error) => panic!("{error}"),
    }
}

fn value<'r>(response: &'r LocalResponse, name: &str) -> Option<&'r str> {
    let mut fields = response.fields.iter();
    fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
}

fn origin_allowed(allowed: CorsOrigin, origin: &str) -> bool {
    let response = answered(cors(vec![allowed]), &preflight(origin)).expect("a preflight");
    let echoed = value(&response, "access-control-allow-origin");
    assert!(echoed.is_none() || echoed == Some(origin));
    assert_eq!(response.status, if echoed.is_some() { 200 } else { 403 });
    echoed.is_some()
}

#[test]
fn an_origin_is_compared_by_scheme_host_and_port_with_defaults() {
    let foo = || allowed("https", "www.foo.com", None);
    assert!(origin_allowed(foo(), "https://www.foo.com"));
    assert!(origin_allowed(foo(), "https://www.foo.com:443"));
    assert!(origin_allowed(foo(), "HTTPS://WWW.foo.com"));
    assert!(!origin_allowed(foo(), "http://www.foo.com"));
    assert!(!origin_allowed(foo(), "https://www.foo.com:8443"));
    assert!(!origin_allowed(foo(), "https://foo.com"));
    assert!(!origin_allowed(foo(), "https://evil.com/www.foo.com"));
    assert!(!origin_allowed(foo(), "null"));
    let with_port = || allowed("http", "foo.com", Some(8080));
    assert!(origin_allowed(with_port(), "http://foo.com:8080"));
    assert!(!origin_allowed(with_port(), "http://foo.com"));
    assert!(origin_allowed(allowed("http", "foo.com", Some(80)), "http://foo.com"));
}

#[test]
fn a_wildcard_stands_for_any_labels_to_its_left() {
    let bar = || allowed("https", "*.bar.com", None);
    assert!(origin_allowed(bar(), "https://www.bar.com"));
    assert!(origin_allowed(bar(), "https://xpto.www.bar.com"));
    assert!(!origin_allowed(bar(), "https://bar.com"));
    assert!(!origin_allowed(bar(), "https://foobar.com"));
    assert!(!origin_allowed(bar(), "http://www.bar.com"));
    assert!(origin_allowed(allowed("https", "*", None), "https://any.thing"));
    assert!(!origin_allowed(allowed("https", "*", None), "http://any.thing"));
    assert!(origin_allowed(CorsOrigin::Any, "http://any.thing:12345"));
    assert!(!origin_allowed(CorsOrigin::Any, "http://a, http://b"));
}

#[test]
fn a_preflight_is_answered_here_with_everything_a_browser_asks() {
    let mut filter = cors(vec![allowed("https", "www.foo.com", None)]);
    filter.allow_credentials = true;
    let response = answered(filter, &preflight("https://www.foo.com")).expect("a preflight");
    assert_eq!(response.status, 200);
    let expected = [
        ("access-control-allow-origin", "https://www.foo.com"),
        ("access-control-allow-methods", "GET, OPTIONS"),
        ("access-control-allow-headers", "x-header-1, x-header-2"),
        ("access-control-expose-headers", "x-header-3, x-header-4"),
        ("access-control-max-age", "3600"),
        ("access-control-allow-credentials", "true"),
        ("vary", "Origin"),
    ];
    for (name, wanted) in expected {
        assert_eq!(value(&response, name), Some(wanted), "{name}");
    }
}

#[test]
fn what_is_no_preflight_goes_to_the_backend() {
    let filter = || cors(vec![CorsOrigin::Any]);
    assert_eq!(answered(filter(), &preflight("http://a.b").method("PUT")), None);
    assert_eq!(answered(filter(), &get("/").method("OPTIONS").with("Origin", "http://a.b")), None);
    let without_origin = get("/").method("OPTIONS").with("Access-Control-Request-Method", "PUT");
    assert_eq!(answered(filter(), &without_origin), None);
}

#[test]
fn without_credentials_the_header_is_absent() {
    let response = answered(cors(vec![CorsOrigin::Any]), &preflight("http://a.b")).expect("one");
    assert_eq!(value(&response, "access-control-allow-credentials"), None);
}

#[test]
fn a_wildcard_echoes_the_method_and_the_headers_that_were_asked_for() {
    for credentials in [true, false] {
        let mut filter = cors(vec![CorsOrigin::Any]);
        filter.allow_credentials = credentials;
        filter.allow_methods = list(&["*"]);
        filter.allow_headers = list(&["*"]);
        let request = preflight("http://a.b").with("Access-Control-Request-Headers", "x-1, x-2");
        let response = answered(filter, &request).expect("a preflight");
        assert_eq!(value(&response, "access-control-allow-origin"), Some("http://a.b"));
        assert_eq!(value(&response, "access-control-allow-methods"), Some("PUT"));
        assert_eq!(value(&response, "access-control-allow-headers"), Some("x-1, x-2"));
    }
}

#[test]
fn a_wildcard_that_was_not_asked_for_is_omitted_with_credentials() {
    for credentials in [true, false] {
        let mut filter = cors(vec![CorsOrigin::Any]);
        filter.allow_credentials = credentials;
        filter.allow_headers = list(&["*"]);
        filter.expose_headers = list(&["*"]);
        let response = answered(filter, &preflight("http://a.b")).expect("a preflight");
        let star = if credentials { None } else { Some("*") };
        assert_eq!(value(&response, "access-control-allow-headers"), star);
        assert_eq!(value(&response, "access-control-expose-headers"), star);
    }
}

fn response_fields(filter: Cors, request: &Request) -> (Overlay, Vec<String>) {
    let filters = [Filter::Cors(filter)];
    let grant = cors_grant(&filters, request).expect("a CORS filter");
    let mut overlay = Overlay::default();
    overlay.add(&field("Access-Control-Allow-Origin"), &text("https://from.a.filter"));
    apply_response_filters(&filters, Some(&grant), &mut overlay);
    let line = |(name, value): (&str, &[u8])| format!("{name}: {}", String::from_utf8_lossy(value));
    let lines = overlay.fields().map(line).collect();
    (overlay, lines)
}

#[test]
fn the_gateways_fields_replace_those_of_the_backend() {
    let mut filter = cors(vec![allowed("https", "*.foo.com", None)]);
    filter.allow_credentials = true;
    let request = get("/").with("Origin", "https://other.foo.com");
    let (overlay, lines) = response_fields(filter, &request);
    let expected = [
        "Vary: Origin",
        "Access-Control-Allow-Origin: https://other.foo.com",
        "Access-Control-Allow-Credentials: true",
        "Access-Control-Expose-Headers: x-header-3, x-header-4",
    ];
    assert_eq!(lines, expected);
    assert!(!overlay.keeps(b"access-control-allow-origin"));
    assert!(!overlay.keeps(b"access-control-allow-methods"));
    assert!(overlay.keeps(b"vary"));
}

#[test]
fn a_response_to_another_origin_carries_no_cors_field() {
    let filter = cors(vec![allowed("https", "www.foo.com", None)]);
    let (overlay, lines) = response_fields(filter.clone(), &get("/").with("Origin", "http://evil"));
    assert_eq!(lines, ["Vary: Origin"]);
    assert!(!overlay.keeps(b"access-control-allow-origin"));
    let (_, lines) = response_fields(filter, &get("/"));
    assert_eq!(lines, ["Vary: Origin"]);
}

#[test]
fn without_a_filter_nothing_is_granted() {
    assert_eq!(cors_grant(&[], &get("/").with("Origin", "http://a")), None);
}
