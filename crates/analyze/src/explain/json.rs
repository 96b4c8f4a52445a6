//! The JSON form of an explanation.

use ir::{HostPattern, Origin, Predicate, Rank, Verdict};
use serde_json::{Map, Value, json};

use super::{
    Answer, Decision, Edit, Explained, ListenerPlace, Other, Reach, Relayed, Section, Sent, Share,
    ShareOutcome, Taken, reach::time,
};

pub(super) fn explained(explained: &Explained) -> Value {
    let request = &explained.request;
    json!({
        "request": {
            "method": request.method,
            "url": request.url(),
            "host": request.authority,
            "headers": pairs(&request.headers),
            "clientIp": request.client_ip.to_string(),
            "sni": request.sni,
        },
        "message": explained.nothing,
        "gateways": explained.sections.iter().map(section).collect::<Vec<_>>(),
    })
}

fn section(section: &Section) -> Value {
    let mut value = json!({
        "gateway": object_name(&section.gateway.namespace, &section.gateway.name),
        "sockets": section.sockets.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "listener": section.listener.as_ref().map(listener),
        "others": section.others.iter().map(other).collect::<Vec<_>>(),
        "hidden": {
            "paths": section.hidden.paths,
            "hosts": section.hidden.hosts,
            "listeners": section.hidden.listeners,
        },
        "hints": section.hints,
    });
    let (outcome, details) = match &section.decision {
        Decision::Forwarded { taken: rule, shares } => (
            "forwarded",
            json!({
                "rule": taken(rule),
                "backends": shares.iter().map(share).collect::<Vec<_>>(),
            }),
        ),
        Decision::Answered { taken: rule, answer: ours } => {
            ("answered", json!({ "rule": taken(rule), "answer": answer(ours) }))
        }
        Decision::Refused { answer: ours, closest } => {
            ("refused", json!({ "answer": answer(ours), "closest": closest.as_ref().map(other) }))
        }
        Decision::Relayed(route) => ("relayed", relayed(route)),
        Decision::Unread { why } => ("unread", json!({ "message": why })),
    };
    if let Value::Object(map) = &mut value {
        map.insert("outcome".to_owned(), outcome.into());
        if let Value::Object(details) = details {
            map.extend(details);
        }
    }
    value
}

fn listener(place: &ListenerPlace) -> Value {
    json!({
        "name": &*place.name,
        "protocol": place.protocol,
        "port": place.port,
        "hostname": place.hostname.as_ref().map(ToString::to_string),
        "clients": place.clients.as_ref().map(|clients| json!({
            "authorities": clients.authorities,
            "required": clients.required,
        })),
        "filters": place.filters,
        "origin": origin(&place.origin),
    })
}

fn taken(taken: &Taken) -> Value {
    json!({
        "route": taken.route.to_string(),
        "hostname": host(taken.host.as_ref()),
        "index": taken.rule,
        "name": taken.rule_name.as_deref(),
        "origin": origin(&taken.rule_origin),
        "match": { "conditions": taken.conditions, "origin": origin(&taken.match_origin) },
        "filters": taken.filters,
        "timeouts": {
            "request": taken.timeouts.request.map(time),
            "backendRequest": taken.timeouts.backend_request.map(time),
        },
        "retry": taken.retry.as_ref().map(|retry| json!({
            "attempts": retry.attempts,
            "codes": retry.codes,
            "backoff": retry.backoff.map(time),
        })),
    })
}

fn relayed(relayed: &Relayed) -> Value {
    let shares = relayed.shares.iter().map(|share| {
        json!({
            "origin": origin(&share.origin),
            "weight": share.weight,
            "percent": share.percent,
            "backend": share.backend.as_ref().ok(),
            "why": share.backend.as_ref().err(),
            "reach": share.reach.as_ref().map(Reach::to_json),
            "endpoints": share.endpoints,
        })
    });
    json!({
        "rule": {
            "route": relayed.route.to_string(),
            "hostname": host(relayed.host.as_ref()),
            "origin": origin(&relayed.origin),
        },
        "how": relayed.how,
        "backends": shares.collect::<Vec<_>>(),
    })
}

fn share(share: &Share) -> Value {
    let mut value = json!({
        "origin": origin(&share.origin),
        "weight": share.weight,
        "percent": share.percent,
        "filters": share.filters,
    });
    let details = match &share.outcome {
        ShareOutcome::Sent { backend, sent: request, reach, endpoints } => json!({
            "backend": backend,
            "reach": reach.to_json(),
            "endpoints": endpoints,
            "request": sent(request),
            "responseEdits": edits(&request.response),
        }),
        ShareOutcome::Answered(ours) => json!({ "answer": answer(ours) }),
    };
    if let (Value::Object(map), Value::Object(details)) = (&mut value, details) {
        map.extend(details);
    }
    value
}

fn sent(sent: &Sent) -> Value {
    json!({
        "method": sent.method,
        "target": sent.target,
        "host": sent.host,
        "headers": pairs(&sent.headers),
        "edits": edits(&sent.edits),
    })
}

fn edits(edits: &[Edit]) -> Vec<Value> {
    edits
        .iter()
        .map(|edit| match edit {
            Edit::Added { name, value } => json!({ "add": name, "value": value }),
            Edit::Removed { name } => json!({ "remove": name }),
        })
        .collect()
}

fn answer(answer: &Answer) -> Value {
    json!({ "status": answer.status, "headers": pairs(&answer.fields), "why": answer.why })
}

fn other(other: &Other) -> Value {
    json!({
        "route": other.route.to_string(),
        "listener": &*other.listener,
        "hostname": host(other.host.as_ref()),
        "index": other.rule,
        "name": other.rule_name.as_deref(),
        "match": { "conditions": other.conditions, "origin": origin(&other.match_origin) },
        "verdict": verdict(&other.verdict),
        "why": other.why,
    })
}

/// What decided against a rule, in one stable word.
fn verdict(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Won => json!({ "won": true }),
        Verdict::Outranked(rank) => json!({ "outrankedBy": rank_word(*rank) }),
        Verdict::Failed(predicate) => json!({ "failed": predicate_word(predicate) }),
    }
}

pub(super) fn rank_word(rank: Rank) -> &'static str {
    match rank {
        Rank::Host => "host",
        Rank::Path => "path",
        Rank::Method => "method",
        Rank::Headers => "headers",
        Rank::Query => "query",
        Rank::Age => "age",
        Rank::Name => "name",
        Rank::Rule => "rule",
        Rank::Match => "match",
    }
}

pub(super) fn predicate_word(predicate: &Predicate) -> &'static str {
    match predicate {
        Predicate::Listener => "listener",
        Predicate::Host { .. } => "host",
        Predicate::Path { .. } => "path",
        Predicate::Method { .. } => "method",
        Predicate::Header { .. } => "header",
        Predicate::Query { .. } => "query",
    }
}

pub(super) fn origin(origin: &Origin) -> Value {
    json!({ "object": origin.object.to_string(), "field": &*origin.field })
}

fn host(host: Option<&HostPattern>) -> String {
    host.map_or_else(|| "*".to_owned(), ToString::to_string)
}

fn object_name(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

/// Repeated names stay: a list, not a map.
fn pairs(fields: &[(String, String)]) -> Vec<Value> {
    fields
        .iter()
        .map(|(name, value)| {
            let mut pair = Map::new();
            pair.insert("name".to_owned(), name.as_str().into());
            pair.insert("value".to_owned(), value.as_str().into());
            Value::Object(pair)
        })
        .collect()
}
