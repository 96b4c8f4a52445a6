//! The matcher as the specification says it: one list, one filter, one sort.

use std::cmp::Reverse;

use ir::{
    HostPattern, HttpRoute, IrSet, Listener, Match, PathMatch, QueryMatch, RequestView, ValueMatch,
};

use crate::support::Request;

/// What [`crate::support::described`] says of the right answer. All listeners share one port.
pub(crate) fn taken(set: &IrSet, request: &Request) -> String {
    let Some(listener) = best_listener(set, &request.host) else {
        return "404 no listener".to_owned();
    };
    let mut candidates = Vec::new();
    for route in set.http_routes.values() {
        for host in route_hosts(route, listener) {
            for (rule, entry) in route.rules.iter().enumerate() {
                for (number, matched) in entry.matches.iter().enumerate() {
                    if host_takes(host, &request.host) && holds(matched, request) {
                        candidates.push((rank(host, matched, route, rule, number), route));
                    }
                }
            }
        }
    }
    candidates.sort_by(|a, b| a.0.cmp(&b.0));
    match candidates.first() {
        Some((rank, route)) => format!("{}/{}/{}", route.object.name, rank.4.3, rank.4.4),
        None => "404".to_owned(),
    }
}

/// The most specific hostname first: a name, the longer wildcard, none.
fn host_rank(host: Option<&HostPattern>) -> (u8, Reverse<usize>) {
    match host {
        Some(HostPattern::Exact(name)) => (0, Reverse(name.len())),
        Some(HostPattern::Wildcard(suffix)) => (1, Reverse(suffix.len())),
        None => (2, Reverse(0)),
    }
}

fn best_listener<'s>(set: &'s IrSet, host: &str) -> Option<&'s Listener> {
    set.listeners
        .values()
        .filter(|listener| host_takes(listener.hostname.as_ref(), host))
        .min_by_key(|listener| host_rank(listener.hostname.as_ref()))
        .map(|listener| &**listener)
}

fn route_hosts<'s>(
    route: &'s HttpRoute,
    listener: &'s Listener,
) -> impl Iterator<Item = Option<&'s HostPattern>> {
    let attached = route.attachments.iter().filter(|attached| attached.listener == listener.id);
    attached.flat_map(|attached| &attached.hosts).map(Option::as_ref)
}

fn host_takes(host: Option<&HostPattern>, name: &str) -> bool {
    match host {
        None => true,
        Some(HostPattern::Exact(exact)) => &**exact == name,
        Some(HostPattern::Wildcard(suffix)) => {
            let labels: Vec<&str> = name.split('.').collect();
            (1..labels.len()).any(|from| format!(".{}", labels[from..].join(".")) == **suffix)
        }
    }
}

type Rank<'s> = (
    (u8, Reverse<usize>),
    (u8, Reverse<(usize, usize)>),
    bool,
    (Reverse<usize>, Reverse<usize>),
    ((bool, Option<i64>), &'s str, &'s str, usize, usize),
);

fn rank<'s>(
    host: Option<&HostPattern>,
    matched: &Match,
    route: &'s HttpRoute,
    rule: usize,
    number: usize,
) -> Rank<'s> {
    let path = match &matched.path {
        PathMatch::Exact(_) => (0, Reverse((0, 0))),
        PathMatch::Regex(pattern) => (1, Reverse((pattern.text().chars().count(), 0))),
        PathMatch::Call(call) if call.service_chars > 0 => {
            (1, Reverse((call.service_chars as usize, call.method_chars as usize)))
        }
        PathMatch::Prefix(prefix) if !prefix.is_empty() => (2, Reverse((prefix.len(), 0))),
        PathMatch::Call(call) => (3, Reverse((call.method_chars as usize, 0))),
        PathMatch::Prefix(_) => (4, Reverse((0, 0))),
    };
    (
        host_rank(host),
        path,
        matched.method.is_none(),
        (Reverse(matched.headers.len()), Reverse(matched.query.len())),
        (
            (route.created.is_none(), route.created),
            &*route.object.namespace,
            &*route.object.name,
            rule,
            number,
        ),
    )
}

fn holds(matched: &Match, request: &Request) -> bool {
    path_holds(&matched.path, &request.path)
        && matched.method.as_ref().is_none_or(|method| **method == *request.method)
        && matched.headers.iter().all(|wanted| {
            request
                .header(wanted.name.as_str())
                .is_some_and(|value| value_holds(&wanted.value, &value))
        })
        && matched.query.iter().all(|wanted| query_holds(wanted, request))
}

fn path_holds(wanted: &PathMatch, path: &str) -> bool {
    match wanted {
        PathMatch::Exact(exact) => **exact == *path,
        PathMatch::Regex(pattern) => pattern.is_match(path),
        PathMatch::Call(call) => call.pattern.is_match(path),
        PathMatch::Prefix(prefix) => {
            let wanted: Vec<&str> = prefix.split('/').collect();
            let segments: Vec<&str> = path.split('/').collect();
            segments.starts_with(&wanted)
        }
    }
}

fn query_holds(wanted: &QueryMatch, request: &Request) -> bool {
    let query = request.query.clone().unwrap_or_default();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let found = pairs.find(|(name, _)| decoded(name) == wanted.name.as_bytes());
    found.is_some_and(|(_, value)| value_holds(&wanted.value, &decoded(value)))
}

fn decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let escape = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let digits = escape.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if let Some(digits) = digits {
            out.push(u8::from_str_radix(digits, 16).expect("hexadecimal"));
            at += 3;
            continue;
        }
        out.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
        at += 1;
    }
    out
}

fn value_holds(wanted: &ValueMatch, value: &[u8]) -> bool {
    match wanted {
        ValueMatch::Exact(exact) => exact.as_bytes() == value,
        ValueMatch::Regex(pattern) => {
            std::str::from_utf8(value).is_ok_and(|value| pattern.is_match(value))
        }
    }
}
