//! Header modifiers, rewrites, redirects, mirrors.

use std::sync::Arc;

use ir::{
    Filter, Fraction, HeaderModifier, Match, Overlay, PathModifier, Redirect, Rewrite,
    exec::{Edge, FilterError, Flow, apply_request_filters, apply_response_filters, redirect},
};

use crate::support::{Request, exact, field, get, object, origin, prefix, text};

const EDGE: Edge<'_> = Edge { scheme: "http", host: "example.org", listener_port: 80 };

fn place() -> ir::Origin {
    origin(&object("HTTPRoute", "r"), "spec.rules[0].filters[0]")
}

fn applied(filters: &[Filter], matched: &Match, request: &Request) -> Overlay {
    let mut overlay = Overlay::default();
    let flow = apply_request_filters(filters, matched, request, &EDGE, &mut overlay);
    assert_eq!(flow, Ok(Flow::Continue));
    overlay
}

fn lines(overlay: &Overlay) -> Vec<String> {
    let line = |(name, value): (&str, &[u8])| format!("{name}: {}", String::from_utf8_lossy(value));
    overlay.fields().map(line).collect()
}

fn rewrite(path: PathModifier) -> Filter {
    Filter::Rewrite(Rewrite { origin: place(), hostname: None, path: Some(path) })
}

fn rewritten(prefix_matched: &str, replacement: &str, path: &str) -> Result<String, FilterError> {
    let filter = rewrite(PathModifier::ReplacePrefix(replacement.into()));
    let mut overlay = Overlay::default();
    let matched = prefix(prefix_matched);
    apply_request_filters(&[filter], &matched, &get(path), &EDGE, &mut overlay)?;
    Ok(overlay.path().expect("a path").to_owned())
}

#[test]
fn a_prefix_is_replaced_as_the_table_of_the_api_says() {
    let cases = [
        ("/foo", "/xyz", "/foo/bar", "/xyz/bar"),
        ("/foo", "/xyz/", "/foo/bar", "/xyz/bar"),
        ("/foo/", "/xyz", "/foo/bar", "/xyz/bar"),
        ("/foo/", "/xyz/", "/foo/bar", "/xyz/bar"),
        ("/foo", "/xyz", "/foo", "/xyz"),
        ("/foo", "/xyz/", "/foo", "/xyz"),
        ("/foo", "/xyz", "/foo/", "/xyz/"),
        ("/foo", "", "/foo/bar", "/bar"),
        ("/foo", "", "/foo/", "/"),
        ("/foo", "", "/foo", "/"),
        ("/foo", "/", "/foo/bar", "/bar"),
        ("/foo", "/", "/foo/", "/"),
        ("/foo", "/", "/foo", "/"),
        ("/", "/xyz", "/", "/xyz/"),
        ("/", "/xyz", "/bar", "/xyz/bar"),
        ("/foo", "xyz", "/foo/bar", "/xyz/bar"),
        ("/foo", "/a b", "/foo/c%20d", "/a%20b/c%20d"),
    ];
    for (matched, replacement, path, expected) in cases {
        let result = rewritten(matched, replacement, path);
        assert_eq!(result.as_deref(), Ok(expected), "{matched} {replacement} {path}");
    }
}

#[test]
fn a_replaced_prefix_is_never_left() {
    // A view must give canonical paths; one that does not is caught all the same.
    for path in ["/foo/../secret", "/foo/%2e%2e/secret", "/foo/a/../../../x"] {
        assert_eq!(rewritten("/foo", "/xyz", path), Err(FilterError::LeavesPrefix), "{path}");
    }
    assert_eq!(rewritten("/foo", "/a/../..", "/foo"), Err(FilterError::LeavesPrefix));
    assert_eq!(FilterError::LeavesPrefix.status(), 400);
}

#[test]
fn a_replaced_prefix_needs_a_prefix() {
    let filter = rewrite(PathModifier::ReplacePrefix("/x".into()));
    let mut overlay = Overlay::default();
    let result = apply_request_filters(&[filter], &exact("/a"), &get("/a"), &EDGE, &mut overlay);
    assert_eq!(result, Err(FilterError::NotPrefix));
    assert_eq!(FilterError::NotPrefix.status(), 500);
}

#[test]
fn a_full_path_is_replaced_and_what_a_path_cannot_hold_is_escaped() {
    for (full, expected) in
        [("/one", "/one"), ("", "/"), ("/a?b#c", "/a%3Fb%23c"), ("/é", "/%C3%A9")]
    {
        let filter = rewrite(PathModifier::ReplaceFull(full.into()));
        let overlay = applied(&[filter], &prefix("/"), &get("/x?q=1"));
        assert_eq!(overlay.path(), Some(expected));
    }
}

#[test]
fn headers_are_set_added_and_removed_whatever_their_case() {
    let modifier = HeaderModifier {
        set: vec![(field("X-Set"), text("set"))],
        add: vec![(field("X-Add"), text("added"))],
        remove: vec![field("X-Remove")],
    };
    let overlay = applied(&[Filter::RequestHeaders(modifier)], &prefix("/"), &get("/"));
    assert_eq!(lines(&overlay), ["X-Set: set", "X-Add: added"]);
    assert!(!overlay.keeps(b"x-set") && !overlay.keeps(b"x-remove"));
    assert!(overlay.keeps(b"x-add") && overlay.keeps(b"other"));
}

#[test]
fn later_filters_see_what_earlier_ones_did() {
    let set = |value: &str| HeaderModifier {
        set: vec![(field("X-A"), text(value))],
        ..HeaderModifier::default()
    };
    let add = HeaderModifier { add: vec![(field("x-a"), text("2"))], ..HeaderModifier::default() };
    let filters = [Filter::RequestHeaders(set("1")), Filter::RequestHeaders(add)];
    assert_eq!(lines(&applied(&filters, &prefix("/"), &get("/"))), ["X-A: 1", "x-a: 2"]);
    let filters = [filters[0].clone(), filters[1].clone(), Filter::RequestHeaders(set("3"))];
    assert_eq!(lines(&applied(&filters, &prefix("/"), &get("/"))), ["X-A: 3"]);
}

#[test]
fn a_header_filter_that_sets_or_adds_host_rewrites_the_hostname() {
    for add in [false, true] {
        let pair = vec![(field("HOST"), text("new.example"))];
        let modifier = match add {
            true => HeaderModifier { add: pair, ..HeaderModifier::default() },
            false => HeaderModifier { set: pair, ..HeaderModifier::default() },
        };
        let overlay = applied(&[Filter::RequestHeaders(modifier)], &prefix("/"), &get("a.com/"));
        assert_eq!(overlay.host(), Some("new.example"));
        assert_eq!(lines(&overlay), Vec::<String>::new());
    }
}

#[test]
fn a_hostname_rewrite_and_headers_work_in_one_rule() {
    let hostname = Some(Arc::from("one.example.org"));
    let filters = [
        Filter::Rewrite(Rewrite { origin: place(), hostname, path: None }),
        Filter::RequestHeaders(HeaderModifier {
            set: vec![(field("X-A"), text("1"))],
            ..HeaderModifier::default()
        }),
    ];
    let overlay = applied(&filters, &prefix("/"), &get("/"));
    assert_eq!((overlay.host(), overlay.path()), (Some("one.example.org"), None));
    assert_eq!(lines(&overlay), ["X-A: 1"]);
}

#[test]
fn each_side_runs_its_own_header_filters() {
    let modifier = |name: &str| HeaderModifier {
        set: vec![(field(name), text("1"))],
        ..HeaderModifier::default()
    };
    let filters = [
        Filter::RequestHeaders(modifier("X-Request")),
        Filter::ResponseHeaders(modifier("X-Response")),
    ];
    assert_eq!(lines(&applied(&filters, &prefix("/"), &get("/"))), ["X-Request: 1"]);
    let mut overlay = Overlay::default();
    apply_response_filters(&filters, None, &mut overlay);
    assert_eq!(lines(&overlay), ["X-Response: 1"]);
}

fn redirecting() -> Redirect {
    Redirect { origin: place(), scheme: None, hostname: None, path: None, port: None, status: 302 }
}

fn location(filter: &Redirect, matched: &Match, request: &Request, edge: &Edge<'_>) -> String {
    let response = redirect(filter, matched, request, edge).expect("a redirect");
    assert_eq!(response.status, filter.status);
    let [(name, value)] = &response.fields[..] else { panic!("one field: {response:?}") };
    assert_eq!(name, "Location");
    value.clone()
}

#[test]
fn the_port_of_a_redirect_follows_the_matrix_of_the_api() {
    let cases = [
        ("http", 80, None, None, "http://example.org/p"),
        ("http", 80, None, Some(80), "http://example.org/p"),
        ("http", 80, None, Some(8080), "http://example.org:8080/p"),
        ("http", 80, Some("https"), None, "https://example.org/p"),
        ("http", 80, Some("https"), Some(443), "https://example.org/p"),
        ("http", 80, Some("https"), Some(8443), "https://example.org:8443/p"),
        ("http", 8080, None, None, "http://example.org:8080/p"),
        ("http", 8080, None, Some(80), "http://example.org/p"),
        ("http", 8080, Some("https"), None, "https://example.org/p"),
        ("https", 443, None, None, "https://example.org/p"),
        ("https", 443, None, Some(443), "https://example.org/p"),
        ("https", 443, None, Some(8443), "https://example.org:8443/p"),
        ("https", 443, Some("http"), None, "http://example.org/p"),
        ("https", 443, Some("http"), Some(80), "http://example.org/p"),
        ("https", 443, Some("http"), Some(8080), "http://example.org:8080/p"),
        ("http", 80, None, Some(443), "http://example.org:443/p"),
    ];
    for (scheme, listener_port, new_scheme, port, expected) in cases {
        let edge = Edge { scheme, host: "example.org:1234", listener_port };
        let filter = Redirect { scheme: new_scheme.map(Arc::from), port, ..redirecting() };
        let found = location(&filter, &prefix("/"), &get("example.org/p"), &edge);
        assert_eq!(found, expected);
    }
}

#[test]
fn a_redirect_keeps_what_it_does_not_name() {
    let filter = Redirect { hostname: Some("other.org".into()), status: 301, ..redirecting() };
    let found = location(&filter, &prefix("/"), &get("example.org/a%2Fb?q=1&r"), &EDGE);
    assert_eq!(found, "http://other.org/a%2Fb?q=1&r");
}

#[test]
fn a_redirect_replaces_the_path_or_its_prefix() {
    let full = Redirect { path: Some(PathModifier::ReplaceFull("/new".into())), ..redirecting() };
    let found = location(&full, &prefix("/old"), &get("example.org/old/x?q"), &EDGE);
    assert_eq!(found, "http://example.org/new?q");
    let part = Redirect { path: Some(PathModifier::ReplacePrefix("/new".into())), ..redirecting() };
    let found = location(&part, &prefix("/old"), &get("example.org/old/x?q"), &EDGE);
    assert_eq!(found, "http://example.org/new/x?q");
}

#[test]
fn a_redirect_without_any_host_is_a_bad_request() {
    let result = redirect(&redirecting(), &prefix("/"), &get("/"), &EDGE);
    assert_eq!(result, Err(FilterError::NoHost));
    assert_eq!(FilterError::NoHost.status(), 400);
}

#[test]
fn a_fraction_hits_its_share_of_all_numbers() {
    let share = |numerator, denominator| {
        let fraction = Fraction { numerator, denominator };
        (0..1000_u64).filter(|number| fraction.hit(number * (u64::MAX / 999))).count()
    };
    assert_eq!(share(0, 100), 0);
    assert_eq!(share(100, 100), 1000);
    assert!((240..=260).contains(&share(25, 100)));
    assert!((1..=3).contains(&share(1, 500)));
}
