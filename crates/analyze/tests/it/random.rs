//! Random tables and requests over small sets of hosts, paths, headers: collisions are likely.

use std::sync::Arc;

use analyze::Request;
use ir::{
    Action, Attachment, BindAddress, ConnectionSettings, FailReason, FieldName, HeaderMatch,
    HostPattern, HttpRoute, HttpSettings, IrSet, Listener, ListenerId, Match, ObjectRef, Origin,
    PathMatch, Pattern, Protocol, QueryMatch, Revision, RouteKind, Rule, Table, Timeouts,
    ValueMatch, assemble,
};
use proptest::prelude::*;

const LISTENERS: [&str; 5] = ["*", "*.a.test", "x.a.test", "*.x.a.test", "b.test"];
const HOSTS: [&str; 6] = ["*", "*.a.test", "x.a.test", "*.x.a.test", "y.x.a.test", "b.test"];
const ASKED: [&str; 6] = ["x.a.test", "y.x.a.test", "z.a.test", "a.test", "b.test", "c.test"];
const PATHS: [&str; 7] = ["", "/p", "/p/q", "/pq", "/p/q/r", "/s", "/p//q"];
const PATTERNS: [&str; 7] = [".*", "/.*", "/p.*", "/p/.*", "/p/[a-z]", "/(p|s)", "/p/q"];
const VALUES: [&str; 3] = ["one", "two", ""];
const VALUE_PATTERNS: [&str; 4] = [".*", "^one$", "o", "t.o"];

fn one_of(choices: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    proptest::sample::select(choices)
}

fn path() -> impl Strategy<Value = PathMatch> {
    prop_oneof![
        3 => one_of(&PATHS).prop_map(|path| PathMatch::Prefix(path.into())),
        2 => one_of(&PATHS).prop_map(|path| {
            PathMatch::Exact(if path.is_empty() { "/" } else { path }.into())
        }),
        2 => one_of(&PATTERNS).prop_map(|text| PathMatch::Regex(Pattern::whole(text).unwrap())),
    ]
}

fn value() -> impl Strategy<Value = ValueMatch> {
    prop_oneof![
        one_of(&VALUES).prop_map(|text| ValueMatch::Exact(text.into())),
        one_of(&VALUE_PATTERNS).prop_map(|text| ValueMatch::Regex(Pattern::search(text).unwrap())),
    ]
}

fn header() -> impl Strategy<Value = HeaderMatch> {
    (one_of(&["x-a", "X-B"]), value())
        .prop_map(|(name, value)| HeaderMatch { name: FieldName::new(name).unwrap(), value })
}

fn query() -> impl Strategy<Value = QueryMatch> {
    (one_of(&["q", "r"]), value()).prop_map(|(name, value)| QueryMatch { name: name.into(), value })
}

fn matched() -> impl Strategy<Value = Match> {
    (
        path(),
        proptest::option::weighted(0.2, one_of(&["GET", "POST"])),
        proptest::collection::vec(header(), 0..3),
        proptest::collection::vec(query(), 0..2),
    )
        .prop_map(|(path, method, headers, query)| Match {
            origin: origin("any"),
            path,
            method: method.map(Into::into),
            headers,
            query,
        })
}

fn object(kind: &str, name: &str) -> Arc<ObjectRef> {
    Arc::new(ObjectRef::new("gateway.networking.k8s.io", kind, "default", name))
}

fn origin(name: &str) -> Origin {
    Origin::new(object("HTTPRoute", name), "spec")
}

fn host(text: &str) -> Option<HostPattern> {
    (text != "*").then(|| HostPattern::new(text))
}

fn id(hostname: &str) -> ListenerId {
    ListenerId { owner: object("Gateway", "web"), name: hostname.into() }
}

fn listener(hostname: &str) -> Listener {
    Listener {
        id: id(hostname),
        origin: origin("web"),
        gateway: object("Gateway", "web"),
        addresses: vec![BindAddress::Any],
        port: 80,
        bind_port: 80,
        protocol: Protocol::Http,
        hostname: host(hostname),
        http: HttpSettings::default(),
        connection: ConnectionSettings::default(),
        filters: Vec::new(),
    }
}

fn rule(index: u32, matches: Vec<Match>) -> Arc<Rule> {
    Arc::new(Rule {
        origin: origin("rule"),
        index,
        name: None,
        matches,
        filters: Vec::new(),
        action: Action::Fail(FailReason::NoBackends),
        timeouts: Timeouts::default(),
        retry: None,
    })
}

/// Hosts of a route, its listeners, its age and its rules.
type RouteParts = (Vec<&'static str>, Vec<&'static str>, Option<i64>, Vec<Vec<Match>>);

fn route_parts() -> impl Strategy<Value = RouteParts> {
    (
        proptest::sample::subsequence(HOSTS.to_vec(), 1..3),
        proptest::sample::subsequence(LISTENERS.to_vec(), 1..4),
        proptest::option::of(0_i64..3),
        proptest::collection::vec(proptest::collection::vec(matched(), 1..3), 1..4),
    )
}

pub(crate) fn table() -> impl Strategy<Value = Table> {
    (
        proptest::sample::subsequence(LISTENERS.to_vec(), 1..=LISTENERS.len()),
        proptest::collection::vec(route_parts(), 1..5),
    )
        .prop_map(|(listeners, routes)| {
            assemble(&set(&listeners, routes), Revision::default(), None)
        })
}

fn set(listeners: &[&str], routes: Vec<RouteParts>) -> IrSet {
    let mut set = IrSet::default();
    for hostname in listeners {
        set.listeners.insert(id(hostname), Arc::new(listener(hostname)));
    }
    for (number, (hosts, wanted, created, rules)) in routes.into_iter().enumerate() {
        let attachments: Vec<Attachment> = wanted
            .iter()
            .filter(|name| listeners.contains(name))
            .filter_map(|name| {
                let own = host(name);
                let fits = |text: &&&str| match (host(text), &own) {
                    (Some(host), Some(own)) => host.intersects(own),
                    (None, _) | (_, None) => true,
                };
                let hosts: Vec<_> = hosts.iter().filter(fits).map(|text| host(text)).collect();
                (!hosts.is_empty()).then(|| Attachment { listener: id(name), hosts })
            })
            .collect();
        if attachments.is_empty() {
            continue;
        }
        let object = object("HTTPRoute", &format!("r{number}"));
        let rules = rules.into_iter().zip(0..).map(|(matches, index)| rule(index, matches));
        let route = HttpRoute {
            object: Arc::clone(&object),
            kind: RouteKind::Http,
            created,
            attachments,
            rules: rules.collect(),
        };
        set.http_routes.insert(object, Arc::new(route));
    }
    set
}

pub(crate) fn request() -> impl Strategy<Value = Request> {
    (
        one_of(&ASKED),
        one_of(&["/", "/p", "/p/q", "/p/q/r", "/p/z", "/pq", "/s", "/p/../s", "/p//q", "/%70"]),
        one_of(&["", "?q=one", "?q=two&r=one", "?r="]),
        one_of(&["GET", "POST"]),
        proptest::collection::vec((one_of(&["x-a", "x-b"]), one_of(&VALUES)), 0..3),
    )
        .prop_map(|(host, path, query, method, headers)| {
            let request = Request::from_url(&format!("http://{host}{path}{query}")).unwrap();
            let request = request.with_method(method).unwrap();
            headers.into_iter().fold(request, |request, (name, value)| {
                request.with_header(&format!("{name}: {value}")).unwrap()
            })
        })
}
