//! A stable text of sets and tables, for golden files, comparison and the admin endpoint.
//!
//! It names every field that differs from its default, with the place in the object that it came
//! from (`@`), and never holds a key.

mod action;
mod table;
mod tls;

use std::fmt;

pub use table::dump_table;

use crate::{
    Attachment, BindAddress, Certificate, ConnectionSettings, EscapedSlashes, Gateway, HostPattern,
    HttpRoute, HttpSettings, IrSet, L4Route, Listener, ObjectRef, Origin, Protocol, RouteKind,
    TrustedPeers,
};

/// The whole set, in the order of its maps.
pub fn dump(set: &IrSet) -> String {
    let IrSet { gateways, listeners, http_routes, l4_routes, certificates, trust_bundles } = set;
    let mut out = Lines::default();
    gateways.values().for_each(|gateway| dump_gateway(gateway, &mut out));
    listeners.values().for_each(|listener| dump_listener(listener, &mut out));
    http_routes.values().for_each(|route| dump_http_route(route, &mut out));
    l4_routes.values().for_each(|route| dump_l4_route(route, &mut out));
    certificates.values().for_each(|certificate| dump_certificate(certificate, &mut out));
    trust_bundles.values().for_each(|bundle| tls::dump_trust_bundle(bundle, &mut out));
    out.text
}

/// Indented lines.
#[derive(Default)]
pub(super) struct Lines {
    text: String,
}

impl Lines {
    pub(super) fn line(&mut self, depth: usize, content: impl fmt::Display) {
        for _ in 0..depth {
            self.text.push_str("  ");
        }
        self.text.push_str(&content.to_string());
        self.text.push('\n');
    }
}

/// `@ field`, and the object too where it is another one than the text stands under.
pub(super) fn at(origin: &Origin, object: &ObjectRef) -> String {
    if *origin.object == *object { format!("@ {}", origin.field) } else { format!("@ {origin}") }
}

pub(super) fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    format!("[{}]", items.join(", "))
}

pub(super) fn host(host: Option<&HostPattern>) -> String {
    host.map_or_else(|| "any".to_owned(), ToString::to_string)
}

fn dump_gateway(gateway: &Gateway, out: &mut Lines) {
    let Gateway { object, class, listeners, client_certificate } = gateway;
    out.line(0, format_args!("{object}:"));
    out.line(1, format_args!("class: {class}"));
    for listener in listeners {
        out.line(1, format_args!("serves: {listener}"));
    }
    if let Some(id) = client_certificate {
        out.line(1, format_args!("shows to backends: {}", id.0));
    }
}

fn dump_listener(listener: &Listener, out: &mut Lines) {
    let Listener {
        id,
        origin,
        gateway,
        addresses,
        port,
        bind_port,
        protocol,
        hostname,
        http,
        connection,
        filters,
    } = listener;
    out.line(0, format_args!("{id}: {}", at(origin, &id.owner)));
    if *gateway != id.owner {
        out.line(1, format_args!("gateway: {gateway}"));
    }
    let addresses = addresses.iter().map(|address| match address {
        BindAddress::Any => "any".to_owned(),
        BindAddress::Ip(address) => address.to_string(),
    });
    out.line(1, format_args!("addresses: {}", list(addresses)));
    let bound = if bind_port == port { String::new() } else { format!(" bound as {bind_port}") };
    out.line(1, format_args!("port: {port}{bound}"));
    let (name, tls) = match protocol {
        Protocol::Http => ("HTTP", None),
        Protocol::Https(tls) => ("HTTPS", Some(tls)),
        Protocol::TlsPassthrough => ("TLS passthrough", None),
        Protocol::TlsTerminate(tls) => ("TLS terminate", Some(tls)),
        Protocol::Tcp => ("TCP", None),
        Protocol::Udp => ("UDP", None),
    };
    out.line(1, format_args!("protocol: {name}"));
    if let Some(tls) = tls {
        tls::dump_termination(tls, out);
    }
    out.line(1, format_args!("hostname: {}", host(hostname.as_ref())));
    dump_http_settings(http, out);
    let ConnectionSettings { proxy_protocol, connections_max } = connection;
    if *proxy_protocol {
        out.line(1, "PROXY protocol: accepted from trusted peers");
    }
    if let Some(max) = connections_max {
        out.line(1, format_args!("connections: at most {max}"));
    }
    action::dump_filters(filters, &id.owner, 1, out);
}

fn dump_http_settings(settings: &HttpSettings, out: &mut Lines) {
    let HttpSettings { trusted_peers, escaped_slashes, keep_empty_segments } = settings;
    let TrustedPeers { hops, networks } = trusted_peers;
    if *hops > 0 {
        out.line(1, format_args!("trusted hops: {hops}"));
    }
    if !networks.is_empty() {
        out.line(1, format_args!("trusted networks: {}", list(networks)));
    }
    match escaped_slashes {
        EscapedSlashes::Keep => {}
        EscapedSlashes::Reject => out.line(1, "escaped slashes: refused"),
    }
    if *keep_empty_segments {
        out.line(1, "empty path segments: kept");
    }
}

fn dump_http_route(route: &HttpRoute, out: &mut Lines) {
    let HttpRoute { object, kind, created, attachments, rules } = route;
    let kind = match kind {
        RouteKind::Grpc => "grpc",
        RouteKind::Http => "http",
    };
    out.line(0, format_args!("{object}: {kind}"));
    dump_attachments(*created, attachments, out);
    for rule in rules {
        action::dump_rule(rule, object, out);
    }
}

fn dump_l4_route(route: &L4Route, out: &mut Lines) {
    let L4Route { object, created, attachments, origin, backends, passthrough } = route;
    out.line(0, format_args!("{object}: {}", at(origin, object)));
    dump_attachments(*created, attachments, out);
    action::dump_backends(backends, object, 1, out);
    for target in passthrough.iter().flatten() {
        out.line(1, format_args!("passed through to {}", action::target(target)));
    }
}

fn dump_attachments(created: Option<i64>, attachments: &[Attachment], out: &mut Lines) {
    if let Some(created) = created {
        out.line(1, format_args!("created: {created}"));
    }
    for Attachment { listener, hosts } in attachments {
        let hosts = list(hosts.iter().map(|pattern| host(pattern.as_ref())));
        out.line(1, format_args!("attached: {listener} for {hosts}"));
    }
}

fn dump_certificate(certificate: &Certificate, out: &mut Lines) {
    let Certificate { id, origin, chain, key: _, names } = certificate;
    out.line(0, format_args!("certificate {}: {}", id.0, origin));
    out.line(1, format_args!("names: {}", list(names)));
    out.line(1, format_args!("chain: {} certificates", chain.len()));
}
