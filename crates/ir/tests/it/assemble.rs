//! Ports, and what a new table shares with the one before.

use std::{net::IpAddr, sync::Arc};

use ir::{BindAddress, HttpRoute, IrSet, PortKind, Protocol, Revision, Table, Transport, assemble};

use crate::support::{RouteExt, get, listener, listener_id, prefix, route, set, table_of, taken};

fn next(set: &IrSet, previous: &Table) -> Table {
    assemble(set, Revision { epoch: 0, sequence: 2 }, Some(previous))
}

fn plain(name: &str) -> HttpRoute {
    route(name, &[&format!("{name}.com")], vec![vec![prefix("/")]])
}

#[test]
fn a_listener_stands_in_one_port_for_each_address() {
    let mut http = listener("http", "*", 80);
    let loopback = BindAddress::Ip(IpAddr::from([127, 0, 0, 1]));
    http.addresses = vec![BindAddress::Any, loopback];
    http.bind_port = 8080;
    let mut udp = listener("udp", "*", 80);
    udp.protocol = Protocol::Udp;
    let table = table_of(vec![http, udp, listener("https", "*", 443)], vec![]);
    let ports: Vec<String> = table.ports.keys().map(ToString::to_string).collect();
    assert_eq!(ports, ["*:80/udp", "*:443/tcp", "*:8080/tcp", "127.0.0.1:8080/tcp"]);
    let kinds: Vec<PortKind> = table.ports.values().map(|port| port.kind).collect();
    assert_eq!(kinds, [PortKind::Udp, PortKind::Tls, PortKind::Http, PortKind::Http]);
    assert_eq!(table.ports.keys().next().map(|key| key.transport), Some(Transport::Udp));
}

#[test]
fn what_translation_should_have_refused_does_not_disturb_its_neighbours() {
    let mut tls = listener("b-other-kind", "*", 80);
    tls.protocol = Protocol::TlsPassthrough;
    let listeners = vec![listener("a", "*", 80), tls, listener("c-same-host", "*", 80)];
    let routes = vec![
        plain("r").attached("a", &["*"]),
        plain("lost").attached("nowhere", &["*"]),
        plain("hidden").attached("c-same-host", &["*"]),
    ];
    let table = table_of(listeners, routes);
    assert_eq!(taken(&table, &get("x/")), "r/0/0");
    let port = table.ports.values().next().expect("a port");
    assert_eq!(port.listeners().count(), 1);
}

#[test]
fn equal_inputs_are_shared_and_others_are_not() {
    let listeners = || vec![listener("http", "*", 80), listener("second", "b.com", 80)];
    let second = || plain("z").attached("second", &["*"]);
    let before = table_of(listeners(), vec![plain("a"), plain("b"), second()]);
    let changed = route("b", &["b.com", "c.com"], vec![vec![prefix("/")]]);
    let after = next(&set(listeners(), vec![plain("a"), changed, second()]), &before);
    assert_eq!(after.revision.to_string(), "0.2");
    let shared: Vec<bool> =
        before.rules.iter().zip(&after.rules).map(|(old, new)| Arc::ptr_eq(old, new)).collect();
    assert_eq!(shared, [true, false, true]);
    let shared: Vec<bool> = before
        .listeners
        .iter()
        .zip(&after.listeners)
        .map(|(old, new)| Arc::ptr_eq(old, new))
        .collect();
    assert_eq!(shared, [false, true]);
    assert_eq!(taken(&after, &get("c.com/")), "b/0/0");
    assert_eq!(taken(&before, &get("c.com/")), "404");
}

#[test]
fn a_route_that_is_gone_leaves_nothing_behind() {
    let listeners = || vec![listener("http", "*", 80)];
    let before = table_of(listeners(), vec![plain("a"), plain("b")]);
    let after = next(&set(listeners(), vec![plain("b")]), &before);
    assert_eq!(taken(&after, &get("a.com/")), "404");
    assert_eq!(taken(&after, &get("b.com/")), "b/0/0");
    assert_eq!(after.rules.len(), 1);
}

#[test]
fn a_listener_is_found_by_its_id_whatever_its_position() {
    let before = table_of(vec![listener("b", "*", 80)], vec![]);
    let after = table_of(vec![listener("a", "a.com", 80), listener("b", "*", 80)], vec![]);
    for table in [&before, &after] {
        let found = table.listener_by_id(&listener_id("b")).expect("a listener");
        assert_eq!(found.listener.id, listener_id("b"));
    }
    assert!(before.listener_by_id(&listener_id("a")).is_none());
}
