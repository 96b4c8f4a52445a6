//! Tables.

use super::{Lines, action, host, list};
use crate::{BackendEntry, ClusterIndex, L4Entry, ListenerTable, PortKind, RuleEntry, Table};

/// Ports, listeners, rules and clusters as workers see them; matches in order of precedence.
pub fn dump_table(table: &Table) -> String {
    let Table {
        revision,
        ports,
        listeners,
        rules,
        l4,
        clusters,
        certificates,
        trust_bundles,
        routes: _,
    } = table;
    let mut out = Lines::default();
    out.line(0, format_args!("revision: {revision}"));
    for (key, port) in ports {
        let kind = match port.kind {
            PortKind::Http => "http",
            PortKind::Tls => "tls",
            PortKind::Tcp => "tcp",
            PortKind::Udp => "udp",
        };
        let positions = list(port.listeners().map(|listener| listener.index.0));
        out.line(0, format_args!("port {key}: {kind}, listeners {positions}"));
    }
    for listener in listeners {
        dump_listener(listener, &mut out);
    }
    for entry in rules {
        dump_entry(entry, &mut out);
    }
    for entry in l4 {
        dump_l4_entry(entry, &mut out);
    }
    for (position, id) in clusters.iter().enumerate() {
        out.line(0, format_args!("cluster {position}: {}", action::cluster(&id.0)));
    }
    for id in certificates.keys() {
        out.line(0, format_args!("certificate {}", id.0));
    }
    for id in trust_bundles.keys() {
        out.line(0, format_args!("trust bundle {}", id.0));
    }
    out.text
}

fn dump_listener(table: &ListenerTable, out: &mut Lines) {
    let ListenerTable { index, listener, first_rule, routes, l4: _, l4_hosts: _, auths } = table;
    let hostname = host(listener.hostname.as_ref());
    out.line(0, format_args!("listener {}: {}, host {hostname}", index.0, listener.id));
    dump_positions("auths", auths, 1, out);
    for bucket in routes.ordered_buckets("") {
        out.line(1, format_args!("host {}:", host(bucket.host.as_ref())));
        for slot in &bucket.paths.slots {
            let rule = first_rule.saturating_add(slot.rule);
            out.line(2, format_args!("rule {rule} match {}", slot.matched));
        }
    }
}

fn dump_entry(entry: &RuleEntry, out: &mut Lines) {
    let RuleEntry { index, listener, route, rule, backends, total_weight, mirrors, auths } = entry;
    let (index, listener, object, number) = (index.0, listener.0, &route.object, rule.index);
    out.line(0, format_args!("rule {index}: listener {listener}, {object} rule {number}"));
    dump_shares(backends, *total_weight, out);
    dump_positions("mirrors", mirrors, 1, out);
    dump_positions("auths", auths, 1, out);
}

fn dump_l4_entry(entry: &L4Entry, out: &mut Lines) {
    let L4Entry { index, listener, route, backends, total_weight } = entry;
    let (index, listener, object) = (index.0, listener.0, &route.object);
    out.line(0, format_args!("l4 {index}: listener {listener}, {object}"));
    dump_shares(backends, *total_weight, out);
}

fn dump_shares(backends: &[BackendEntry], total_weight: u64, out: &mut Lines) {
    for BackendEntry { weight_end, cluster, mirrors, auths } in backends {
        let cluster = position(*cluster);
        out.line(1, format_args!("until {weight_end} of {total_weight}: cluster {cluster}"));
        dump_positions("mirrors", mirrors, 2, out);
        dump_positions("auths", auths, 2, out);
    }
}

fn dump_positions(what: &str, list: &[Option<ClusterIndex>], depth: usize, out: &mut Lines) {
    if !list.is_empty() {
        let positions = super::list(list.iter().copied().map(position));
        out.line(depth, format_args!("{what}: {positions}"));
    }
}

fn position(cluster: Option<ClusterIndex>) -> String {
    cluster.map_or_else(|| "none".to_owned(), |cluster| cluster.0.to_string())
}
