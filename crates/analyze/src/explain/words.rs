//! Matches, verdicts and filters in words.

use ir::{
    AuthProtocol, CallMatch, FailReason, Filter, Fraction, HeaderModifier, Match, PathMatch,
    PathModifier, Predicate, Rank, Retry, RouteKind, Target, Timeouts, ValueMatch,
};

use super::reach::time;

/// All conditions of a match in one line, in the words of the route's kind.
pub(crate) fn conditions(kind: RouteKind, matched: &Match) -> String {
    let mut text = path(kind, &matched.path);
    if let Some(method) = &matched.method {
        text.push_str(&format!(", method {method}"));
    }
    for header in &matched.headers {
        text.push_str(&format!(", header {} {}", header.name, wanted(&header.value)));
    }
    for query in &matched.query {
        text.push_str(&format!(", query {} {}", query.name, wanted(&query.value)));
    }
    text
}

fn path(kind: RouteKind, path: &PathMatch) -> String {
    match kind {
        RouteKind::Http => path.to_string(),
        RouteKind::Grpc => call(path),
    }
}

/// What a GRPCRoute asks of the path of a call, `/service/method`.
fn call(path: &PathMatch) -> String {
    match path {
        PathMatch::Exact(path) => {
            let named = path.strip_prefix('/').unwrap_or(path);
            let (service, method) = named.split_once('/').unwrap_or((named, ""));
            format!("service {service}, method {method}")
        }
        PathMatch::Prefix(path) if path.is_empty() => "every call".to_owned(),
        PathMatch::Prefix(path) => format!("service {}", path.strip_prefix('/').unwrap_or(path)),
        PathMatch::Regex(pattern) => format!("call ~ \"{}\"", pattern.text()),
        PathMatch::Call(call) => called(call),
    }
}

/// The parts of `/(?:service)/(?:method)`.
fn called(call: &CallMatch) -> String {
    let text = call.pattern.text();
    let parts = text.strip_prefix("/(?:").and_then(|text| text.strip_suffix(')'));
    let Some((service, method)) = parts.and_then(|parts| parts.split_once(")/(?:")) else {
        return format!("call ~ \"{text}\"");
    };
    let part = |name: &str, text: &str| {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if plain { format!("{name} {text}") } else { format!("{name} ~ \"{text}\"") }
    };
    let mut parts = Vec::new();
    if call.service_chars > 0 {
        parts.push(part("service", service));
    }
    if call.method_chars > 0 {
        parts.push(part("method", method));
    }
    parts.join(", ")
}

/// How long a request may take; `None` when nothing bounds it.
pub(super) fn timeouts(timeouts: Timeouts) -> Option<String> {
    let whole = timeouts.request.map(|most| format!("{} for the request", time(most)));
    let each = timeouts.backend_request.map(|most| format!("{} for each attempt", time(most)));
    let parts: Vec<String> = whole.into_iter().chain(each).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// What follows an attempt that failed.
pub(super) fn retry(retry: &Retry) -> String {
    if retry.attempts == 0 {
        return "never, not even when no connection is made".to_owned();
    }
    let codes: Vec<String> = retry.codes.iter().map(u16::to_string).collect();
    let after = match codes.as_slice() {
        [] => String::new(),
        codes => format!(" after {}", codes.join(", ")),
    };
    let pause = retry.backoff.map(|pause| format!("; the first pause is {}", time(pause)));
    format!(
        "up to {} more{after}, or when no connection is made; for idempotent methods also when one \
         is lost or an attempt takes too long{}",
        retry.attempts,
        pause.unwrap_or_default()
    )
}

fn wanted(value: &ValueMatch) -> String {
    match value {
        ValueMatch::Exact(text) => format!("= \"{text}\""),
        ValueMatch::Regex(pattern) => format!("~ \"{}\"", pattern.text()),
    }
}

/// Why a condition does not hold.
pub(super) fn failed(kind: RouteKind, predicate: &Predicate) -> String {
    match predicate {
        Predicate::Listener => "the request belongs to another listener".to_owned(),
        Predicate::Host { wanted: Some(wanted), got } => format!("host {got} is not {wanted}"),
        Predicate::Host { wanted: None, got } => format!("host {got} is not taken"),
        Predicate::Path { wanted, got } if kind == RouteKind::Grpc => {
            format!("call {got} is not of {}", call(wanted))
        }
        Predicate::Path { wanted, got } => match wanted {
            PathMatch::Exact(path) => format!("path {got} is not {path}"),
            PathMatch::Prefix(prefix) => format!("path {got} is not below {prefix}"),
            PathMatch::Regex(pattern) | PathMatch::Call(CallMatch { pattern, .. }) => {
                format!("path {got} does not match {pattern} as a whole")
            }
        },
        Predicate::Method { wanted, got } => format!("method {got} is not {wanted}"),
        Predicate::Header { name, wanted, got } => {
            value_failed("header", name.as_str(), wanted, got.as_deref())
        }
        Predicate::Query { name, wanted, got } => {
            value_failed("query parameter", name, wanted, got.as_deref())
        }
    }
}

fn value_failed(what: &str, name: &str, wanted: &ValueMatch, got: Option<&str>) -> String {
    let got = got.map_or_else(|| "is absent".to_owned(), |got| format!("is \"{got}\""));
    match wanted {
        ValueMatch::Exact(text) => format!("{what} {name} {got}, wanted \"{text}\""),
        ValueMatch::Regex(pattern) => {
            format!("{what} {name} {got}, wanted a value that matches {pattern}")
        }
    }
}

/// Why a match that holds comes after the winner.
pub(super) fn outranked(rank: Rank) -> &'static str {
    match rank {
        Rank::Host => "its hostname is less specific",
        Rank::Path => "its path is less specific",
        Rank::Method => "it names no method",
        Rank::Headers => "it has fewer header conditions",
        Rank::Query => "it has fewer query conditions",
        Rank::Age => "its route is younger",
        Rank::Name => "its route comes later by namespace and name",
        Rank::Rule => "it comes later in the route",
        Rank::Match => "it comes later in the rule",
    }
}

pub(super) fn filter(filter: &Filter) -> String {
    match filter {
        Filter::Cors(_) => "CORS".to_owned(),
        Filter::Mirror(mirror) => {
            let Fraction { numerator, denominator } = mirror.share;
            let to = match &mirror.target {
                Target::Cluster(cluster) => cluster.to_string(),
                Target::Fail(reason) => format!("nowhere, {}", fail(*reason)),
            };
            if numerator == denominator {
                format!("RequestMirror to {to}")
            } else {
                format!("RequestMirror of {numerator}/{denominator} to {to}")
            }
        }
        Filter::ExternalAuth(auth) => {
            let how = match &auth.protocol {
                AuthProtocol::Grpc => "gRPC",
                AuthProtocol::Http { .. } => "HTTP",
            };
            match &auth.target {
                Target::Cluster(cluster) => format!("ExternalAuth by {how} of {cluster}"),
                Target::Fail(reason) => format!("ExternalAuth by {how}: {}", fail(*reason)),
            }
        }
        Filter::RequestHeaders(modifier) => {
            format!("RequestHeaderModifier {}", header_modifier(modifier))
        }
        Filter::ResponseHeaders(modifier) => {
            format!("ResponseHeaderModifier {}", header_modifier(modifier))
        }
        Filter::Rewrite(rewrite) => {
            let host = rewrite.hostname.as_ref().map(|host| format!("host {host}"));
            let path = rewrite.path.as_ref().map(path_modifier);
            let parts: Vec<String> = host.into_iter().chain(path).collect();
            format!("URLRewrite {}", parts.join(", "))
        }
    }
}

fn path_modifier(modifier: &PathModifier) -> String {
    match modifier {
        PathModifier::ReplaceFull(path) => format!("ReplaceFullPath {path}"),
        PathModifier::ReplacePrefix(prefix) => format!("ReplacePrefixMatch {prefix}"),
    }
}

fn header_modifier(modifier: &HeaderModifier) -> String {
    let HeaderModifier { set, add, remove } = modifier;
    let set = set.iter().map(|(name, _)| format!("set {name}"));
    let add = add.iter().map(|(name, _)| format!("add {name}"));
    let remove = remove.iter().map(|name| format!("remove {name}"));
    set.chain(add).chain(remove).collect::<Vec<_>>().join(", ")
}

pub(super) fn fail(reason: FailReason) -> &'static str {
    match reason {
        FailReason::InvalidBackend => "the backend reference does not resolve",
        FailReason::NoBackends => "the rule has no backend with a weight above 0",
        FailReason::UnsupportedRule => "the rule has a filter or field that is not served",
    }
}
