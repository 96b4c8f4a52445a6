//! What `serve` prints once it serves: listeners, routes, where to look, and a line to paste.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use anyhow::Result;
use ir::{
    Action, Attachment, Backend, BindAddress, FailReason, HostPattern, HttpRoute, IrSet, L4Route,
    Listener, Match, ObjectRef, PathMatch, Protocol, RouteKind, Rule, Target,
};
use serde_json::json;

use super::{Engine, Options};
use crate::{cli::OutputFormat, config::Config, limits::BANNER_RULES_MAX, render::table_text};

/// Where the process itself can be asked.
pub(crate) struct Addresses {
    pub(crate) health: SocketAddr,
    pub(crate) admin: SocketAddr,
}

pub(crate) fn banner(
    engine: &Engine,
    options: &Options,
    config: &Config,
    addresses: &Addresses,
) -> Result<String> {
    let lines = stand_ins(engine);
    Ok(match options.format {
        OutputFormat::Json => json(engine, addresses, &lines).to_string() + "\n",
        OutputFormat::Text => text(engine, config, addresses, &lines),
    })
}

fn stand_ins(engine: &Engine) -> Vec<String> {
    engine.demo().map(|demo| demo.lines().to_vec()).unwrap_or_default()
}

fn text(engine: &Engine, config: &Config, addresses: &Addresses, stand_ins: &[String]) -> String {
    let ir = engine.ir();
    let mut out = format!("Portcullis {}\n\n", env!("CARGO_PKG_VERSION"));
    if !stand_ins.is_empty() {
        out.push_str("Stand-ins for what is not there (--demo):\n");
        for line in stand_ins {
            out.push_str(&format!("  {line}\n"));
        }
        out.push('\n');
    }
    if ir.listeners.is_empty() {
        out.push_str("No listener serves yet: `portcullis status` says why.\n\n");
    } else {
        out.push_str(&listeners(engine));
        out.push('\n');
        out.push_str(&routes(ir));
        out.push('\n');
    }
    out.push_str(&format!(
        "Metrics  http://{}/metrics\nAdmin    http://{}/\n",
        addresses.health, addresses.admin
    ));
    if config.port_offset.value > 0 {
        out.push_str(&format!("Ports    bound {} above those written\n", config.port_offset.value));
    }
    if let Some(line) = curl(ir) {
        out.push_str(&format!("\nTry it:  {line}\n"));
    }
    out.push('\n');
    out
}

fn listeners(engine: &Engine) -> String {
    let ir = engine.ir();
    let rows = ir.listeners.values().map(|listener| {
        let at_it = |attachments: &[Attachment]| {
            attachments.iter().any(|attachment| attachment.listener == listener.id)
        };
        let http = ir.http_routes.values().filter(|route| at_it(&route.attachments)).count();
        let l4 = ir.l4_routes.values().filter(|route| at_it(&route.attachments)).count();
        let hostname = listener.hostname.as_ref().map_or("*".to_owned(), ToString::to_string);
        let shown = |address: &BindAddress| {
            let refused = engine.is_refused(*address, listener.bind_port);
            let note = if refused { " (not bound)" } else { "" };
            place(*address, listener.bind_port) + note
        };
        let places: Vec<String> = listener.addresses.iter().map(shown).collect();
        vec![
            format!("{}/{}", listener.id.owner.namespace, listener.id.owner.name),
            listener.id.name.to_string(),
            places.join(", "),
            protocol(&listener.protocol).to_owned(),
            hostname,
            http.saturating_add(l4).to_string(),
        ]
    });
    let headings = ["GATEWAY", "LISTENER", "ADDRESS", "PROTOCOL", "HOSTNAME", "ROUTES"];
    table_text(&headings, rows)
}

fn routes(ir: &IrSet) -> String {
    let name = |object: &ObjectRef| format!("{}/{}", object.namespace, object.name);
    let http = ir.http_routes.values().flat_map(|route| {
        route.rules.iter().map(move |rule| {
            vec![name(&route.object), rule_name(rule), matches(rule), action(rule)]
        })
    });
    let l4 = ir.l4_routes.values().map(|route| {
        vec![name(&route.object), "0".to_owned(), connections(route), targets(&route.backends)]
    });
    let all: Vec<Vec<String>> = http.chain(l4).collect();
    let rows = all.iter().take(BANNER_RULES_MAX).cloned();
    if all.is_empty() {
        return "No route is attached: `portcullis status` says why.\n".to_owned();
    }
    let mut text = table_text(&["ROUTE", "RULE", "MATCH", "TO"], rows);
    let hidden = all.len().saturating_sub(BANNER_RULES_MAX);
    if hidden > 0 {
        text.push_str(&format!("... and {hidden} more rules\n"));
    }
    text
}

pub(crate) fn rule_name(rule: &Rule) -> String {
    rule.name.as_ref().map_or_else(|| rule.index.to_string(), ToString::to_string)
}

fn matches(rule: &Rule) -> String {
    let Some(first) = rule.matches.first() else { return "nothing".to_owned() };
    let mut text = first.path.to_string();
    if let Some(method) = &first.method {
        text = format!("{method} {text}");
    }
    let conditions = first.headers.len().saturating_add(first.query.len());
    if conditions > 0 {
        let word = if conditions == 1 { "condition" } else { "conditions" };
        text.push_str(&format!(" +{conditions} {word}"));
    }
    let more = rule.matches.len().saturating_sub(1);
    if more > 0 {
        text.push_str(&format!(" or {more} more"));
    }
    text
}

fn action(rule: &Rule) -> String {
    match &rule.action {
        Action::Fail(reason) => format!("answers 500: {}", why(*reason)),
        Action::Redirect(redirect) => format!("redirect {}", redirect.status),
        Action::Forward(backends) => targets(backends),
    }
}

fn targets(backends: &[Backend]) -> String {
    let target = |backend: &Backend| match &backend.target {
        Target::Cluster(cluster) => cluster.to_string(),
        Target::Fail(reason) => format!("nobody: {}", why(*reason)),
    };
    match backends {
        [] => "nobody".to_owned(),
        [only] => target(only),
        several => {
            let shares =
                several.iter().map(|backend| format!("{} ({})", target(backend), backend.weight));
            shares.collect::<Vec<_>>().join(", ")
        }
    }
}

fn why(reason: FailReason) -> &'static str {
    match reason {
        FailReason::InvalidBackend => "the backend does not resolve",
        FailReason::NoBackends => "no backend has a weight above 0",
        FailReason::UnsupportedRule => "the rule cannot be served",
    }
}

/// The server names that a route takes.
fn connections(route: &L4Route) -> String {
    let hosts: BTreeSet<String> = route
        .attachments
        .iter()
        .flat_map(|attachment| &attachment.hosts)
        .map(|host| {
            host.as_ref().map_or_else(|| "every connection".to_owned(), ToString::to_string)
        })
        .collect();
    hosts.into_iter().collect::<Vec<_>>().join(", ")
}

fn protocol(protocol: &Protocol) -> &'static str {
    match protocol {
        Protocol::Http => "HTTP",
        Protocol::Https(_) => "HTTPS",
        Protocol::Tcp => "TCP",
        Protocol::TlsPassthrough | Protocol::TlsTerminate(_) => "TLS",
        Protocol::Udp => "UDP",
    }
}

fn place(address: BindAddress, port: u16) -> String {
    match address {
        BindAddress::Any => format!("*:{port}"),
        BindAddress::Ip(address) => SocketAddr::new(address, port).to_string(),
    }
}

/// A request that the first rule that forwards would take.
fn curl(ir: &IrSet) -> Option<String> {
    let mut candidates = ir.http_routes.values().flat_map(|route| {
        route.attachments.iter().filter_map(move |attachment| {
            let listener = ir.listeners.get(&attachment.listener)?;
            candidate(route, attachment, listener)
        })
    });
    candidates.next()
}

fn candidate(route: &HttpRoute, attachment: &Attachment, listener: &Listener) -> Option<String> {
    // curl makes no gRPC calls.
    if route.kind == RouteKind::Grpc {
        return None;
    }
    let (rule, matched) = route.rules.iter().find_map(|rule| {
        let simple = |matched: &&Match| {
            matched.headers.is_empty()
                && matched.query.is_empty()
                && !matches!(matched.path, PathMatch::Regex(_) | PathMatch::Call(_))
        };
        match &rule.action {
            Action::Forward(backends)
                if backends.iter().any(|one| matches!(one.target, Target::Cluster(_))) =>
            {
                Some((rule, rule.matches.iter().find(simple)?))
            }
            Action::Forward(_) | Action::Redirect(_) | Action::Fail(_) => None,
        }
    })?;
    debug_assert!(!rule.matches.is_empty(), "a rule has at least one match");
    let path = match &matched.path {
        PathMatch::Exact(path) => path.to_string(),
        PathMatch::Prefix(path) if path.is_empty() => "/".to_owned(),
        PathMatch::Prefix(path) => path.to_string(),
        PathMatch::Regex(_) | PathMatch::Call(_) => return None,
    };
    let host = attachment
        .hosts
        .iter()
        .find_map(|host| host.as_ref())
        .or(listener.hostname.as_ref())
        .map(example);
    let address = match listener.addresses.first()? {
        BindAddress::Any => IpAddr::from([127, 0, 0, 1]),
        BindAddress::Ip(address) => *address,
    };
    let place = SocketAddr::new(address, listener.bind_port);
    let method = matched.method.as_ref().map(|method| format!("-X {method} ")).unwrap_or_default();
    Some(match (&listener.protocol, host) {
        (Protocol::Https(_), Some(host)) => format!(
            "curl -k {method}--resolve {host}:{port}:{address} https://{host}:{port}{path}",
            port = listener.bind_port
        ),
        (Protocol::Https(_), None) => format!("curl -k {method}https://{place}{path}"),
        (_, Some(host)) => format!("curl {method}-H 'Host: {host}' http://{place}{path}"),
        (_, None) => format!("curl {method}http://{place}{path}"),
    })
}

/// A host that the pattern covers.
fn example(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Exact(name) => name.to_string(),
        HostPattern::Wildcard(suffix) => format!("www{suffix}"),
    }
}

fn json(engine: &Engine, addresses: &Addresses, stand_ins: &[String]) -> serde_json::Value {
    let ir = engine.ir();
    let listeners: Vec<_> = ir
        .listeners
        .values()
        .map(|listener| {
            let places: Vec<String> = listener
                .addresses
                .iter()
                .map(|address| place(*address, listener.bind_port))
                .collect();
            json!({
                "gateway": format!("{}/{}", listener.gateway.namespace, listener.gateway.name),
                "listener": &*listener.id.name,
                "port": listener.port,
                "addresses": places,
                "protocol": protocol(&listener.protocol),
                "hostname": listener.hostname.as_ref().map(ToString::to_string),
            })
        })
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "standIns": stand_ins,
        "listeners": listeners,
        "metrics": addresses.health.to_string(),
        "admin": addresses.admin.to_string(),
        "try": curl(ir),
    })
}
