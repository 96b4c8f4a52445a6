//! Random sets and requests over small alphabets, so that they meet often.

use ir::{HttpRoute, IrSet, Listener, Match};
use proptest::{
    collection::vec,
    prelude::{Strategy, any},
    sample::{select, subsequence},
};

use crate::support::{
    MatchExt, Request, attachment, exact, listener, prefix, regex, route, set, settings,
};

const HOSTS: [&str; 9] =
    ["*", "a.com", "b.a.com", "c.b.a.com", "*.a.com", "*.b.a.com", "*.com", "other.org", "*.org"];
const NAMES: [&str; 10] = [
    "a.com",
    "b.a.com",
    "c.b.a.com",
    "d.c.b.a.com",
    "x.a.com",
    "com",
    "x.com",
    "other.org",
    "",
    "[::1]",
];
const PATHS: [&str; 12] = [
    "/",
    "/a",
    "/a/",
    "/a/b",
    "/a/b/",
    "/a/b/c",
    "/ab",
    "/b",
    "/b/a",
    "/a//b",
    "/%2F",
    "/a/b/c/d/e",
];
const PATTERNS: [&str; 9] =
    ["/a", "/a/.*", "/.*", "/[ab]", "/[ab]/?.*", "/(a|b)/b", ".*", "/a/b", "/a/b/c/[^/]+/.*"];
const METHODS: [&str; 3] = ["GET", "POST", "get"];
const QUERIES: [&str; 7] = ["q=1", "q=2&q=1", "q=1&r=2", "r=2", "q=%31", "%71=1&r=+", "q&&a=b&q=1"];

fn conditions() -> impl Strategy<Value = (Option<&'static str>, Vec<u8>, Vec<u8>)> {
    let method = proptest::option::weighted(0.3, select(&METHODS[..]));
    (method, subsequence(vec![0_u8, 1, 2], 0..3), subsequence(vec![0_u8, 1, 2], 0..2))
}

fn matches() -> impl Strategy<Value = Match> {
    let path =
        (0..10_u8, select(&PATHS[..]), select(&PATTERNS[..])).prop_map(|(kind, path, pattern)| {
            match kind {
                0..=2 => exact(path),
                3..=6 => prefix(path),
                _ => regex(pattern),
            }
        });
    (path, conditions()).prop_map(|(mut matched, (method, headers, query))| {
        if let Some(method) = method {
            matched = matched.method(method);
        }
        for number in headers {
            matched = match number {
                0 => matched.header("X-A", "1"),
                1 => matched.header("x-b", "1, 2"),
                _ => matched.header_regex("X-C", "^[0-9]$"),
            };
        }
        for number in query {
            matched = match number {
                0 => matched.query("q", "1"),
                1 => matched.query("r", "2"),
                _ => matched.query_regex("r", "^[ 2]$"),
            };
        }
        matched
    })
}

/// Hosts on the first and on the second listener, rules, age, on which listeners.
type Draft = (Vec<&'static str>, Vec<&'static str>, Vec<Vec<Match>>, Option<i64>, [bool; 2]);

fn routes() -> impl Strategy<Value = Vec<HttpRoute>> {
    let rules = vec(vec(matches(), 1..4), 0..4);
    let hosts = || subsequence(HOSTS.to_vec(), 1..4);
    let age = proptest::option::weighted(0.7, 0_i64..3);
    let one = (hosts(), hosts(), rules, age, any::<[bool; 2]>());
    vec(one, 0..8).prop_map(|list| list.into_iter().zip(0..).map(build_route).collect())
}

fn build_route(((hosts, others, rules, age, on), number): (Draft, usize)) -> HttpRoute {
    let mut built = route(&format!("r{number}"), &hosts, rules);
    built.created = age;
    let second = attachment("second", &others);
    match on {
        [true, true] => built.attachments.push(second),
        [false, true] => built.attachments = vec![second],
        [true, false] | [false, false] => {}
    }
    built
}

fn listeners() -> impl Strategy<Value = Vec<Listener>> {
    subsequence(HOSTS.to_vec(), 1..4).prop_map(|hosts| {
        let names = ["http", "second", "third"];
        let build = |(name, host): (&str, &str)| {
            let mut listener = listener(name, host, 80);
            listener.http = settings();
            listener
        };
        names.into_iter().zip(hosts).map(build).collect()
    })
}

pub(crate) fn sets() -> impl Strategy<Value = IrSet> {
    (listeners(), routes()).prop_map(|(listeners, routes)| set(listeners, routes))
}

pub(crate) fn requests() -> impl Strategy<Value = Request> {
    let query = proptest::option::weighted(0.6, select(&QUERIES[..]));
    let headers = subsequence(vec![0_u8, 1, 2, 3, 4], 0..5);
    let head = (select(&METHODS[..]), select(&NAMES[..]), select(&PATHS[..]));
    (head, query, headers).prop_map(|((method, host, path), query, headers)| {
        let request = Request {
            method: method.to_owned(),
            host: host.to_owned(),
            path: path.to_owned(),
            query: query.map(str::to_owned),
            headers: Vec::new(),
        };
        headers.into_iter().fold(request, |request, number| match number {
            0 => request.with("x-a", "1"),
            1 => request.with("X-B", "1"),
            2 => request.with("x-B", "2"),
            3 => request.with("x-c", "7"),
            _ => request.with("x-c", "77"),
        })
    })
}
