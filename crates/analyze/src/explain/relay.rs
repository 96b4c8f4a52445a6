//! Connections and datagrams that a route passes on without reading a request.

use std::sync::Arc;

use ir::{
    Backend, L4Considered, L4Entry, ListenerTable, Protocol, RouteKind, Target, Verdict, explain_l4,
};

use super::decide::{blank, place};
use super::share::percent;
use super::{Decision, Options, Other, Reach, RelayShare, Relayed, Section, words};

/// What becomes of a connection or flow that belongs to the listener.
pub(super) fn section(
    table: &ir::Table,
    listener: &ListenerTable,
    sni: Option<&str>,
    options: &Options<'_>,
) -> Section {
    let considered = explain_l4(listener, sni);
    let mut section = match listener.l4_for(sni) {
        Some(entry) => blank(Decision::Relayed(relayed(table, listener, entry, sni, options))),
        None => blank(Decision::Unread { why: missed(listener, sni) }),
    };
    section.listener = Some(place(&listener.listener, table));
    let losers = considered.iter().filter(|one| one.verdict != Verdict::Won);
    section.others = losers.map(|one| other(listener, one)).collect();
    section
}

fn missed(listener: &ListenerTable, sni: Option<&str>) -> String {
    let name = &listener.listener.id.name;
    match sni {
        Some(sni) => {
            format!("no TLSRoute of listener {name} is for \"{sni}\", so the connection is closed")
        }
        None => format!("no route is attached to listener {name}"),
    }
}

fn relayed(
    table: &ir::Table,
    listener: &ListenerTable,
    entry: &L4Entry,
    sni: Option<&str>,
    options: &Options<'_>,
) -> Relayed {
    let how = match &listener.listener.protocol {
        Protocol::TlsPassthrough => "TLS passes through without being ended here",
        Protocol::TlsTerminate(_) => "TLS is ended here, and its bytes pass on",
        Protocol::Udp => "datagrams of one client go to one endpoint",
        Protocol::Tcp | Protocol::Http | Protocol::Https(_) => "bytes pass on unread",
    };
    let won = explain_l4(listener, sni).into_iter().find(|one| one.verdict == Verdict::Won);
    let shares = entry.route.backends.iter().zip(&entry.backends).map(|(backend, share)| {
        let cluster = share.cluster.and_then(|index| table.cluster(index));
        RelayShare {
            origin: backend.origin.clone(),
            weight: backend.weight,
            percent: percent(backend.weight, entry.total_weight),
            backend: cluster.map(ToString::to_string).ok_or_else(|| refusal(backend)),
            reach: cluster.map(|cluster| Reach::new(table, &cluster.0, None)),
            endpoints: cluster.zip(options.endpoints).map(|(cluster, map)| {
                map.get(&cluster.endpoints_key()).map_or(0, |set| set.endpoints.len())
            }),
        }
    });
    Relayed {
        route: Arc::clone(&entry.route.object),
        host: won.and_then(|won| won.host),
        origin: entry.route.origin.clone(),
        how,
        shares: shares.collect(),
    }
}

fn refusal(backend: &Backend) -> String {
    match &backend.target {
        Target::Fail(reason) => words::fail(*reason).to_owned(),
        Target::Cluster(_) => "it cannot be reached".to_owned(),
    }
}

fn other(listener: &ListenerTable, considered: &L4Considered) -> Other {
    let L4Considered { entry, host, verdict } = considered;
    Other {
        route: Arc::clone(&entry.route.object),
        rule: 0,
        rule_name: None,
        match_origin: entry.route.origin.clone(),
        conditions: host.as_ref().map_or_else(|| "every name".to_owned(), ToString::to_string),
        host: host.clone(),
        listener: Arc::clone(&listener.listener.id.name),
        verdict: verdict.clone(),
        why: match verdict {
            Verdict::Won => String::new(),
            Verdict::Outranked(rank) => words::outranked(*rank).to_owned(),
            Verdict::Failed(predicate) => words::failed(RouteKind::Http, predicate),
        },
    }
}
