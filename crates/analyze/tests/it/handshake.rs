//! TLS ports: the server name chooses the listener before there is a request.

use std::sync::Arc;

use analyze::{
    Request,
    explain::{Decision, Explained, Options},
};
use ir::{
    Action, Attachment, BindAddress, ConnectionSettings, FailReason, HostPattern, HttpRoute,
    HttpSettings, IrSet, Listener, ListenerId, Match, ObjectRef, Origin, PathMatch, Protocol,
    Revision, RouteKind, Rule, Table, Timeouts, TlsTermination, assemble,
};

fn origin(kind: &str, field: &str) -> Origin {
    Origin::new(
        Arc::new(ObjectRef::new("gateway.networking.k8s.io", kind, "default", "web")),
        field,
    )
}

fn https() -> Protocol {
    Protocol::Https(TlsTermination::default())
}

/// Listeners on port 443, each with a route for everything.
fn table(listeners: &[(&str, Protocol)]) -> Table {
    let mut set = IrSet::default();
    let mut attachments = Vec::new();
    for (hostname, protocol) in listeners {
        let gateway = origin("Gateway", "spec.listeners[0]");
        let id = ListenerId { owner: Arc::clone(&gateway.object), name: (*hostname).into() };
        let listener = Listener {
            id: id.clone(),
            gateway: Arc::clone(&gateway.object),
            origin: gateway,
            addresses: vec![BindAddress::Any],
            port: 443,
            bind_port: 10443,
            protocol: protocol.clone(),
            hostname: Some(HostPattern::new(hostname)),
            http: HttpSettings::default(),
            connection: ConnectionSettings::default(),
            filters: Vec::new(),
        };
        set.listeners.insert(id.clone(), Arc::new(listener));
        attachments.push(Attachment { listener: id, hosts: vec![None] });
    }
    let rule = Rule {
        origin: origin("HTTPRoute", "spec.rules[0]"),
        index: 0,
        name: None,
        matches: vec![Match {
            origin: origin("HTTPRoute", "spec.rules[0].matches[0]"),
            path: PathMatch::Prefix("".into()),
            method: None,
            headers: Vec::new(),
            query: Vec::new(),
        }],
        filters: Vec::new(),
        action: Action::Fail(FailReason::NoBackends),
        timeouts: Timeouts::default(),
        retry: None,
    };
    let object = origin("HTTPRoute", "").object;
    let route = HttpRoute {
        object: Arc::clone(&object),
        kind: RouteKind::Http,
        created: None,
        attachments,
        rules: vec![Arc::new(rule)],
    };
    set.http_routes.insert(object, Arc::new(route));
    assemble(&set, Revision::default(), None)
}

fn explain(table: &Table, url: &str, sni: Option<&str>) -> Explained {
    let request = Request::from_url(url).unwrap().with_sni(sni.map(str::to_owned));
    analyze::explain(table, &request, &Options::default())
}

fn why(explained: &Explained) -> (Option<u16>, String) {
    match &explained.sections[0].decision {
        Decision::Forwarded { .. } => (Some(200), String::new()),
        Decision::Answered { answer, .. } | Decision::Refused { answer, .. } => {
            (Some(answer.status), answer.why.clone())
        }
        Decision::Relayed(relayed) => (None, relayed.how.to_owned()),
        Decision::Unread { why } => (None, why.clone()),
    }
}

#[test]
fn the_server_name_is_the_host_unless_another_is_given() {
    let table = table(&[("a.test", https()), ("b.test", https())]);
    assert_eq!(why(&explain(&table, "https://a.test/", None)).0, Some(500));
    let misdirected = why(&explain(&table, "https://b.test/", Some("a.test")));
    assert_eq!(misdirected.0, Some(421));
    assert_eq!(
        misdirected.1,
        "the handshake for \"a.test\" chose listener a.test, but host b.test belongs to listener b.test"
    );
}

#[test]
fn a_server_name_that_no_listener_takes_ends_before_the_request() {
    let table = table(&[("a.test", https())]);
    let (status, why) = why(&explain(&table, "https://c.test/", None));
    assert_eq!(status, None);
    assert_eq!(why, "no listener takes the server name \"c.test\" (they take a.test)");
}

#[test]
fn passed_through_tls_and_plain_http_are_not_read() {
    let table = table(&[("a.test", Protocol::TlsPassthrough)]);
    let closed = why(&explain(&table, "https://a.test/", None)).1;
    assert_eq!(
        closed,
        "no TLSRoute of listener a.test is for \"a.test\", so the connection is closed"
    );
    assert!(why(&explain(&table, "http://a.test:443/", None)).1.contains("expects TLS"));
}

#[test]
fn the_bound_port_is_not_the_listeners_port() {
    let table = table(&[("a.test", https())]);
    assert_eq!(
        explain(&table, "https://a.test:10443/", None).nothing.as_deref(),
        Some("port 10443 is where port 443 of the listener is bound; ask with port 443")
    );
}

#[test]
fn connect_and_trace_are_never_routed() {
    let table = table(&[("a.test", https())]);
    let request = Request::from_url("https://a.test/").unwrap().with_method("TRACE").unwrap();
    let explained = analyze::explain(&table, &request, &Options::default());
    assert_eq!(why(&explained).0, Some(405));
}
