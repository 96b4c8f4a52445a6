//! Which TLSRoute, TCPRoute or UDPRoute takes a connection.

use std::sync::Arc;

use ir::{
    BackendProtocol, Cluster, ClusterId, IrSet, L4Route, ListenerTable, Protocol, Revision, Table,
    Target, assemble,
};

use crate::support::{attachment, backend, listener, object, origin, set};

fn l4(name: &str, created: Option<i64>, hosts: &[&str]) -> L4Route {
    let object = object("TLSRoute", name);
    L4Route {
        origin: origin(&object, "spec.rules[0]"),
        object,
        created,
        attachments: vec![attachment("l4", hosts)],
        backends: vec![backend(name, 1)],
        passthrough: None,
    }
}

fn set_of(protocol: Protocol, routes: Vec<L4Route>) -> IrSet {
    let mut l4 = listener("l4", "*", 9000);
    l4.protocol = protocol;
    let mut set = set(vec![l4, listener("web", "*", 80)], vec![]);
    set.l4_routes =
        routes.into_iter().map(|route| (Arc::clone(&route.object), Arc::new(route))).collect();
    set
}

fn table(protocol: Protocol, routes: Vec<L4Route>) -> Table {
    assemble(&set_of(protocol, routes), Revision::default(), None)
}

fn only(table: &Table) -> &ListenerTable {
    table.listeners.iter().find(|table| &*table.listener.id.name == "l4").expect("the listener")
}

fn taken<'t>(table: &'t Table, sni: Option<&str>) -> &'t str {
    only(table).l4_for(sni).map_or("none", |entry| &*entry.object().name)
}

#[test]
fn the_longest_hostname_of_a_route_that_takes_the_sni_wins_before_age() {
    let routes = vec![
        l4("wide", Some(1), &["*.com"]),
        l4("wild", Some(2), &["*.a.com", "b.com"]),
        l4("exact", Some(3), &["x.a.com"]),
    ];
    let table = table(Protocol::TlsPassthrough, routes);
    assert_eq!(taken(&table, Some("x.a.com")), "exact");
    assert_eq!(taken(&table, Some("y.x.a.com")), "wild");
    assert_eq!(taken(&table, Some("b.com")), "wild");
    assert_eq!(taken(&table, Some("a.com")), "wide");
    assert_eq!(taken(&table, Some("a.org")), "none");
    assert_eq!(taken(&table, None), "none");
}

#[test]
fn of_equal_hostnames_the_older_route_then_the_first_name_wins() {
    let routes = vec![
        l4("a-ageless", None, &["a.com"]),
        l4("b", Some(5), &["a.com"]),
        l4("c", Some(5), &["a.com"]),
    ];
    let table = table(Protocol::TlsPassthrough, routes);
    assert_eq!(taken(&table, Some("a.com")), "b");
    let order: Vec<&str> = only(&table).l4().map(|entry| &*entry.object().name).collect();
    assert_eq!(order, ["b", "c", "a-ageless"]);
}

#[test]
fn a_tcp_listener_serves_the_oldest_route_without_asking_for_a_name() {
    let table = table(Protocol::Tcp, vec![l4("a", Some(2), &["*"]), l4("b", Some(1), &["*"])]);
    assert_eq!(taken(&table, None), "b");
}

#[test]
fn backends_share_by_weight_and_a_failing_one_keeps_its_share() {
    let mut route = l4("r", None, &["*"]);
    route.backends = vec![backend("a", 1), backend("none", 3), backend("idle", 0)];
    route.backends[1].target = Target::Fail(ir::FailReason::InvalidBackend);
    let table = table(Protocol::Udp, vec![route]);
    let entry = only(&table).l4_for(None).expect("the route");
    let part = u64::MAX / 4;
    assert_eq!([0, part + 9, u64::MAX].map(|random| entry.pick(random)), [0, 1, 1].map(Some));
    assert!(entry.backends[0].cluster.is_some() && entry.backends[1].cluster.is_none());
    assert_eq!(table.l4(entry.index).map(|same| Arc::ptr_eq(same, entry)), Some(true));
}

#[test]
fn nothing_is_picked_where_no_backend_has_a_weight() {
    let mut route = l4("r", None, &["*"]);
    route.backends = vec![backend("a", 0)];
    let table = table(Protocol::Tcp, vec![route]);
    assert_eq!(only(&table).l4_for(None).and_then(|entry| entry.pick(7)), None);
}

#[test]
fn an_unchanged_listener_is_shared_and_a_changed_route_is_not() {
    let before = table(Protocol::Tcp, vec![l4("r", Some(1), &["*"])]);
    let again = set_of(Protocol::Tcp, vec![l4("r", Some(1), &["*"])]);
    let again = assemble(&again, Revision::default(), Some(&before));
    assert!(Arc::ptr_eq(&before.listeners[0], &again.listeners[0]));
    let mut changed = l4("r", Some(1), &["*"]);
    changed.backends[0].weight = 2;
    let changed = set_of(Protocol::Tcp, vec![changed]);
    let changed = assemble(&changed, Revision::default(), Some(&before));
    assert_eq!(changed.l4[0].total_weight, 2);
    assert!(!Arc::ptr_eq(&before.listeners[0], &changed.listeners[0]));
}

#[test]
fn a_passthrough_listener_takes_the_targets_for_it_and_a_terminating_one_those_of_the_backends() {
    let service = || Arc::new(ir::ObjectRef::new("", "Service", "default", "secured"));
    let passed = Cluster::new(service(), 443, BackendProtocol::Tcp);
    let mut route = l4("r", None, &["*"]);
    route.passthrough = Some(vec![Target::Cluster(ClusterId(Arc::new(passed)))]);
    let name = |protocol| {
        let table = table(protocol, vec![route.clone()]);
        let entry = Arc::clone(only(&table).l4_for(None).expect("the route"));
        let cluster = entry.backends[0].cluster.and_then(|index| table.cluster(index));
        cluster.expect("a cluster").0.backend.name.to_string()
    };
    assert_eq!(name(Protocol::TlsPassthrough), "secured");
    assert_eq!(name(Protocol::TlsTerminate(ir::TlsTermination::default())), "r");
}
