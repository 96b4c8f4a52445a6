//! Listeners and hostnames: intersection, isolation, misdirected requests.

use crate::support::{
    RouteExt, attachment, exact, get, listener, prefix, route, table, table_of, taken,
    taken_with_sni,
};

#[test]
fn an_exact_hostname_precedes_wildcards_and_the_longer_wildcard_precedes() {
    let all = || vec![vec![prefix("/")]];
    let table = table(vec![
        route("any", &["*"], all()).created(1),
        route("com", &["*.com"], all()).created(2),
        route("example", &["*.example.com"], all()).created(3),
        route("exact", &["a.example.com"], all()).created(4),
    ]);
    assert_eq!(taken(&table, &get("a.example.com/")), "exact/0/0");
    assert_eq!(taken(&table, &get("b.example.com/")), "example/0/0");
    assert_eq!(taken(&table, &get("b.a.example.com/")), "example/0/0");
    assert_eq!(taken(&table, &get("example.com/")), "com/0/0");
    assert_eq!(taken(&table, &get("example.org/")), "any/0/0");
    assert_eq!(taken(&table, &get("[::1]/")), "any/0/0");
    assert_eq!(taken(&table, &get("/")), "any/0/0");
}

#[test]
fn a_wildcard_stands_for_labels_and_never_for_the_apex() {
    let table = table(vec![route("r", &["*.example.com"], vec![vec![prefix("/")]])]);
    assert_eq!(taken(&table, &get("a.b.example.com/")), "r/0/0");
    assert_eq!(taken(&table, &get("example.com/")), "404");
    assert_eq!(taken(&table, &get("badexample.com/")), "404");
}

#[test]
fn a_more_specific_hostname_precedes_a_longer_path() {
    let table = table(vec![
        route("wide", &["*.example.com"], vec![vec![exact("/a/b")]]).created(1),
        route("exact", &["a.example.com"], vec![vec![prefix("/a")]]).created(2),
    ]);
    assert_eq!(taken(&table, &get("a.example.com/a/b")), "exact/0/0");
}

#[test]
fn a_hostname_whose_rules_do_not_match_falls_through_to_the_wider_one() {
    let table = table(vec![
        route("wide", &["*.example.com"], vec![vec![prefix("/")]]),
        route("any", &["*"], vec![vec![prefix("/")]]),
        route("exact", &["a.example.com"], vec![vec![prefix("/only")]]),
    ]);
    assert_eq!(taken(&table, &get("a.example.com/only/x")), "exact/0/0");
    assert_eq!(taken(&table, &get("a.example.com/other")), "wide/0/0");
}

#[test]
fn precedence_goes_by_the_hostname_as_the_route_writes_it() {
    let listeners = vec![listener("http", "*.a.example.com", 80)];
    let table = table_of(
        listeners,
        vec![
            route("old", &["*.com"], vec![vec![exact("/long/path")]]).created(1),
            route("new", &["*.example.com"], vec![vec![prefix("/")]]).created(2),
        ],
    );
    assert_eq!(taken(&table, &get("x.a.example.com/long/path")), "new/0/0");
}

#[test]
fn a_request_goes_to_the_most_specific_listener_and_never_falls_through() {
    let listeners = vec![
        listener("a", "*", 80),
        listener("b", "*.example.com", 80),
        listener("c", "*.foo.example.com", 80),
        listener("d", "abc.foo.example.com", 80),
    ];
    let on = |name: &str, path: &str| {
        route(name, &["*"], vec![vec![prefix(path)]]).attached(name, &["*"])
    };
    let table =
        table_of(listeners, vec![on("a", "/a"), on("b", "/b"), on("c", "/c"), on("d", "/d")]);
    let hosts = [
        ("bar.com", "a"),
        ("bar.example.com", "b"),
        ("bar.foo.example.com", "c"),
        ("abc.foo.example.com", "d"),
    ];
    for (host, own) in hosts {
        for path in ["a", "b", "c", "d"] {
            let expected = if path == own { format!("{own}/0/0") } else { "404".to_owned() };
            assert_eq!(taken(&table, &get(&format!("{host}/{path}"))), expected, "{host}/{path}");
        }
    }
}

#[test]
fn a_host_that_no_listener_takes_is_not_found() {
    let listeners = vec![listener("http", "example.com", 80)];
    let table = table_of(listeners, vec![route("r", &["*"], vec![vec![prefix("/")]])]);
    assert_eq!(taken(&table, &get("example.com/")), "r/0/0");
    assert_eq!(taken(&table, &get("example.org/")), "404 no listener");
}

#[test]
fn a_request_for_a_host_of_another_listener_than_the_handshake_chose_is_misdirected() {
    let listeners = vec![
        listener("any", "*", 443),
        listener("second", "second-example.org", 443),
        listener("wide", "*.wildcard.org", 443),
        listener("fourth", "fourth-example.wildcard.org", 443),
    ];
    let on = |name: &str, host: &str| {
        route(name, &[host], vec![vec![prefix("/")]]).attached(name, &[host])
    };
    let routes = vec![
        on("any", "example.org"),
        on("second", "second-example.org"),
        on("wide", "*.wildcard.org"),
        on("fourth", "fourth-example.wildcard.org"),
    ];
    let table = table_of(listeners, routes);
    let cases = [
        ("example.org", "example.org", "any/0/0"),
        ("example.org", "second-example.org", "421"),
        ("example.org", "unknown-example.org", "404"),
        ("second-example.org", "second-example.org", "second/0/0"),
        ("second-example.org", "example.org", "421"),
        ("second-example.org", "unknown-example.org", "421"),
        ("third-example.wildcard.org", "third-example.wildcard.org", "wide/0/0"),
        ("third-example.wildcard.org", "fifth-example.wildcard.org", "wide/0/0"),
        ("third-example.wildcard.org", "fourth-example.wildcard.org", "421"),
        ("third-example.wildcard.org", "second-example.org", "421"),
        ("third-example.wildcard.org", "unknown-example.org", "421"),
        ("fourth-example.wildcard.org", "fourth-example.wildcard.org", "fourth/0/0"),
        ("fourth-example.wildcard.org", "fifth-example.wildcard.org", "421"),
        ("unknown-example.org", "example.org", "any/0/0"),
        ("unknown-example.org", "unknown-example.org", "404"),
    ];
    for (sni, host, expected) in cases {
        let request = get(&format!("{host}/x"));
        assert_eq!(taken_with_sni(&table, sni, &request), expected, "{sni} {host}");
    }
}

#[test]
fn a_host_that_no_listener_takes_is_not_found_on_tls_either() {
    let listeners = vec![listener("http", "example.com", 443)];
    let table = table_of(listeners, vec![route("r", &["*"], vec![vec![prefix("/")]])]);
    assert_eq!(taken_with_sni(&table, "example.com", &get("example.org/")), "404 no listener");
}

#[test]
fn a_route_on_two_listeners_serves_each_with_its_own_hosts() {
    let listeners = vec![listener("http", "*.a.com", 80), listener("other", "*.b.com", 80)];
    let mut both = route("r", &["x.a.com"], vec![vec![prefix("/")]]);
    both.attachments.push(attachment("other", &["x.b.com"]));
    let table = table_of(listeners, vec![both]);
    assert_eq!(taken(&table, &get("x.a.com/")), "r/0/0");
    assert_eq!(taken(&table, &get("x.b.com/")), "r/0/0");
    assert_eq!(taken(&table, &get("y.b.com/")), "404");
}
