//! Rules: matches, filters, action.

use super::{Lines, at, list, tls};
use crate::{
    Action, AuthProtocol, Backend, BackendProtocol, Balance, Cluster, CookieLifetime, Cors,
    CorsOrigin, ExternalAuth, FailReason, Filter, Fraction, HeaderMatch, HeaderModifier, Locality,
    Match, Mirror, ObjectRef, Outlier, PathModifier, ProxyProtocol, QueryMatch, Redirect, Retry,
    RetryBudget, Rewrite, Rule, SessionPersistence, SessionPlace, Target, Timeouts, ValueMatch,
};

pub(super) fn dump_rule(rule: &Rule, object: &ObjectRef, out: &mut Lines) {
    let Rule { origin, index, name, matches, filters, action, timeouts, retry } = rule;
    let name = name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    out.line(1, format_args!("rule {index}{name}: {}", at(origin, object)));
    for matched in matches {
        dump_match(matched, object, out);
    }
    dump_filters(filters, object, 2, out);
    match action {
        Action::Forward(backends) => dump_backends(backends, object, 2, out),
        Action::Redirect(redirect) => dump_redirect(redirect, object, out),
        Action::Fail(reason) => out.line(2, format_args!("fail: {}", fail(*reason))),
    }
    let Timeouts { request, backend_request } = timeouts;
    if let Some(request) = request {
        out.line(2, format_args!("timeout: {request:?}"));
    }
    if let Some(backend_request) = backend_request {
        out.line(2, format_args!("backend timeout: {backend_request:?}"));
    }
    if let Some(Retry { attempts, codes, backoff }) = retry {
        let backoff = backoff.map(|backoff| format!(" after {backoff:?}")).unwrap_or_default();
        out.line(2, format_args!("retry: {attempts} times on {}{backoff}", list(codes)));
    }
}

fn dump_match(matched: &Match, object: &ObjectRef, out: &mut Lines) {
    let Match { origin, path, method, headers, query } = matched;
    let mut text = format!("match: {path}");
    if let Some(method) = method {
        text.push_str(&format!(", method {method}"));
    }
    for HeaderMatch { name, value: wanted } in headers {
        text.push_str(&format!(", header {name} {}", value(wanted)));
    }
    for QueryMatch { name, value: wanted } in query {
        text.push_str(&format!(", query {name} {}", value(wanted)));
    }
    out.line(2, format_args!("{text} {}", at(origin, object)));
}

fn value(wanted: &ValueMatch) -> String {
    match wanted {
        ValueMatch::Exact(text) => format!("= {text:?}"),
        ValueMatch::Regex(pattern) => format!("~ {:?}", pattern.text()),
    }
}

pub(super) fn dump_filters(filters: &[Filter], object: &ObjectRef, depth: usize, out: &mut Lines) {
    for filter in filters {
        match filter {
            Filter::Cors(cors) => dump_cors(cors, object, depth, out),
            Filter::Mirror(Mirror { origin, target: to, share }) => {
                let Fraction { numerator, denominator } = share;
                let (to, place) = (target(to), at(origin, object));
                let text = format!("mirror: {numerator}/{denominator} to {to} {place}");
                out.line(depth, text);
            }
            Filter::ExternalAuth(auth) => out.line(depth, external_auth(auth, object)),
            Filter::RequestHeaders(modifier) => dump_headers("request", modifier, depth, out),
            Filter::ResponseHeaders(modifier) => dump_headers("response", modifier, depth, out),
            Filter::Rewrite(Rewrite { origin, hostname, path }) => {
                let mut text = "rewrite:".to_owned();
                if let Some(hostname) = hostname {
                    text.push_str(&format!(" host {hostname}"));
                }
                text.push_str(&path_modifier(path.as_ref()));
                out.line(depth, format_args!("{text} {}", at(origin, object)));
            }
        }
    }
}

fn external_auth(auth: &ExternalAuth, object: &ObjectRef) -> String {
    let ExternalAuth { origin, target: to, protocol, allowed_headers, body_max } = auth;
    let mut text = match protocol {
        AuthProtocol::Grpc => "auth: by gRPC".to_owned(),
        AuthProtocol::Http { .. } => "auth: by HTTP".to_owned(),
    };
    text.push_str(&format!(" to {}", target(to)));
    if !allowed_headers.is_empty() {
        text.push_str(&format!(", shows {}", list(allowed_headers)));
    }
    if *body_max > 0 {
        text.push_str(&format!(", bodies up to {body_max} bytes"));
    }
    if let AuthProtocol::Http { path_prefix, allowed_response_headers } = protocol {
        if !path_prefix.is_empty() {
            text.push_str(&format!(", below {path_prefix}"));
        }
        if !allowed_response_headers.is_empty() {
            text.push_str(&format!(", takes {}", list(allowed_response_headers)));
        }
    }
    format!("{text} {}", at(origin, object))
}

fn dump_headers(side: &str, modifier: &HeaderModifier, depth: usize, out: &mut Lines) {
    let HeaderModifier { set, add, remove } = modifier;
    for (name, value) in set {
        out.line(depth, format_args!("{side} header: set {name}: {value}"));
    }
    for (name, value) in add {
        out.line(depth, format_args!("{side} header: add {name}: {value}"));
    }
    for name in remove {
        out.line(depth, format_args!("{side} header: remove {name}"));
    }
}

fn dump_cors(cors: &Cors, object: &ObjectRef, depth: usize, out: &mut Lines) {
    let Cors {
        origin,
        allow_origins,
        allow_credentials,
        allow_methods,
        allow_headers,
        expose_headers,
        max_age,
    } = cors;
    out.line(depth, format_args!("cors: {}", at(origin, object)));
    let origins = allow_origins.iter().map(|allowed| match allowed {
        CorsOrigin::Any => "*".to_owned(),
        CorsOrigin::Origin { scheme, host, port } => {
            let host = host.as_ref().map_or_else(|| "*".to_owned(), ToString::to_string);
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            format!("{scheme}://{host}{port}")
        }
    });
    let inner = depth.saturating_add(1);
    out.line(inner, format_args!("origins: {}", list(origins)));
    out.line(inner, format_args!("credentials: {allow_credentials}"));
    out.line(inner, format_args!("methods: {}", list(allow_methods)));
    out.line(inner, format_args!("headers: {}", list(allow_headers)));
    out.line(inner, format_args!("exposed: {}", list(expose_headers)));
    out.line(inner, format_args!("max age: {max_age}s"));
}

fn dump_redirect(redirect: &Redirect, object: &ObjectRef, out: &mut Lines) {
    let Redirect { origin, scheme, hostname, path, port, status } = redirect;
    let mut text = format!("redirect: {status}");
    if let Some(scheme) = scheme {
        text.push_str(&format!(" scheme {scheme}"));
    }
    if let Some(hostname) = hostname {
        text.push_str(&format!(" host {hostname}"));
    }
    if let Some(port) = port {
        text.push_str(&format!(" port {port}"));
    }
    text.push_str(&path_modifier(path.as_ref()));
    out.line(2, format_args!("{text} {}", at(origin, object)));
}

fn path_modifier(modifier: Option<&PathModifier>) -> String {
    match modifier {
        None => String::new(),
        Some(PathModifier::ReplaceFull(path)) => format!(" path {path}"),
        Some(PathModifier::ReplacePrefix(prefix)) => format!(" prefix {prefix}"),
    }
}

pub(super) fn dump_backends(
    backends: &[Backend],
    object: &ObjectRef,
    depth: usize,
    out: &mut Lines,
) {
    for Backend { origin, weight, target: to, filters, persistence } in backends {
        let place = at(origin, object);
        out.line(depth, format_args!("forward: {weight} to {} {place}", target(to)));
        dump_filters(filters, object, depth.saturating_add(1), out);
        if let Some(persistence) = persistence {
            dump_session(persistence, object, depth.saturating_add(1), out);
        }
    }
}

fn dump_session(session: &SessionPersistence, object: &ObjectRef, depth: usize, out: &mut Lines) {
    let SessionPersistence { origin, name, place, absolute_timeout, idle_timeout } = session;
    let mut text = match place {
        SessionPlace::Header => format!("session: header {name}"),
        SessionPlace::Cookie { path, lifetime } => {
            let lifetime = match lifetime {
                CookieLifetime::Session => "session",
                CookieLifetime::Permanent => "permanent",
            };
            format!("session: {lifetime} cookie {name} for {path}")
        }
    };
    if let Some(timeout) = absolute_timeout {
        text.push_str(&format!(", at most {timeout:?}"));
    }
    if let Some(timeout) = idle_timeout {
        text.push_str(&format!(", idle {timeout:?}"));
    }
    out.line(depth, format_args!("{text} {}", at(origin, object)));
}

pub(super) fn target(target: &Target) -> String {
    match target {
        Target::Cluster(id) => cluster(&id.0),
        Target::Fail(reason) => fail(*reason).to_owned(),
    }
}

pub(super) fn cluster(cluster: &Cluster) -> String {
    let Cluster {
        backend,
        port,
        protocol,
        tls,
        balance,
        proxy_protocol,
        outlier,
        retry_budget,
        locality,
    } = cluster;
    let protocol = match (protocol, tls) {
        (BackendProtocol::Http1, _) => "http/1.1",
        (BackendProtocol::Http2, Some(_)) => "h2",
        (BackendProtocol::Http2, None) => "h2c",
        (BackendProtocol::Negotiated, _) => "h2 or http/1.1",
        (BackendProtocol::Tcp, _) => "tcp",
        (BackendProtocol::Udp, _) => "udp",
    };
    let mut text = format!("{backend}:{port} {protocol}");
    match balance {
        Balance::RoundRobin => {}
        Balance::LeastRequest => text.push_str(" least request"),
    }
    if let Some(tls) = tls {
        text.push_str(&tls::upstream(tls));
    }
    match proxy_protocol {
        None => {}
        Some(ProxyProtocol::V1) => text.push_str(", PROXY v1"),
        Some(ProxyProtocol::V2) => text.push_str(", PROXY v2"),
    }
    if *outlier != Outlier::default() {
        text.push_str(&ejection(*outlier));
    }
    if let Some(budget) = retry_budget {
        let RetryBudget { percent, interval, min_retries, min_interval } = budget;
        text.push_str(&format!(
            ", retries {percent}% in {interval:?}, at least {min_retries} in {min_interval:?}"
        ));
    }
    match locality {
        Locality::Any => {}
        Locality::PreferZone => text.push_str(", own zone first"),
        Locality::PreferNode => text.push_str(", own node first"),
    }
    text
}

fn ejection(outlier: Outlier) -> String {
    let Outlier { consecutive_failures, ejection, max_percent } = outlier;
    consecutive_failures.map_or_else(
        || ", no ejection".to_owned(),
        |failures| {
            format!(", ejection after {failures} failures for {ejection:?}, at most {max_percent}%")
        },
    )
}

fn fail(reason: FailReason) -> &'static str {
    match reason {
        FailReason::InvalidBackend => "500 invalid backend",
        FailReason::NoBackends => "500 no backends",
        FailReason::UnsupportedRule => "500 unsupported rule",
    }
}
