//! Conflicts and overlaps among the listeners of one Gateway, its ListenerSets included.

use std::collections::{BTreeMap, BTreeSet};

use ir::{HostPattern, Transport};

use crate::code::Code;
use crate::gateways::listener::{Family, ListenerWork, Shape};
use crate::gateways::{Certificates, GatewayWork};
use crate::settings::Capabilities;

/// What decides whether two listeners are in each other's way.
struct Claim<'w> {
    family: Family,
    shape: Shape,
    hostname: Option<&'w HostPattern>,
    name: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Clash {
    Protocol,
    Hostname,
}

fn transport(family: Family) -> Transport {
    match family {
        Family::Http | Family::Tls | Family::Tcp => Transport::Tcp,
        Family::Udp => Transport::Udp,
    }
}

fn claim<'w>(listener: &'w ListenerWork<'_>) -> Option<Claim<'w>> {
    let shape = listener.shape.filter(|_| listener.is_accepted())?;
    let name = if listener.from_set {
        format!("{} of {}", listener.id.name, listener.id.owner)
    } else {
        listener.id.name.to_string()
    };
    Some(Claim { family: shape.family(), shape, hostname: listener.hostname.as_ref(), name })
}

fn clash(one: &Claim<'_>, other: &Claim<'_>, capabilities: Capabilities) -> Option<Clash> {
    if one.family != other.family {
        return Some(Clash::Protocol);
    }
    let mixed = matches!(
        (one.shape, other.shape),
        (Shape::TlsPassthrough, Shape::TlsTerminate) | (Shape::TlsTerminate, Shape::TlsPassthrough)
    );
    if mixed && !capabilities.tls_mixed {
        return Some(Clash::Protocol);
    }
    (one.hostname == other.hostname).then_some(Clash::Hostname)
}

/// Within the Gateway every member of a conflict loses; across ListenerSets the first wins.
pub(crate) fn mark(work: &mut GatewayWork<'_>, capabilities: Capabilities) {
    let verdicts = within_gateway(&work.listeners, capabilities);
    for (listener, verdict) in work.listeners.iter_mut().zip(verdicts) {
        let Some((clash, others)) = verdict else { continue };
        let (port, protocol) = (listener.spec.port, &listener.spec.protocol);
        match clash {
            Clash::Protocol => {
                let message = format!(
                    "protocol {protocol} cannot share port {port} with listener {others}; use another port"
                );
                listener.find(Code::ProtocolConflict, "protocol", message);
            }
            Clash::Hostname => {
                let host = shown(listener.hostname.as_ref());
                let message = format!(
                    "port {port} and {host} are also those of listener {others}; change one of them"
                );
                listener.find(Code::HostnameConflict, "hostname", message);
            }
        }
    }
    mark_sets(work, capabilities);
}

fn shown(hostname: Option<&HostPattern>) -> String {
    hostname.map_or_else(|| "no hostname".to_owned(), |hostname| format!("hostname {hostname}"))
}

type Verdict = Option<(Clash, String)>;

fn within_gateway(listeners: &[ListenerWork<'_>], capabilities: Capabilities) -> Vec<Verdict> {
    let claims: Vec<Option<Claim<'_>>> = listeners.iter().map(claim).collect();
    let mut ports: BTreeMap<(u16, Transport), Vec<usize>> = BTreeMap::new();
    for (index, (listener, claim)) in listeners.iter().zip(&claims).enumerate() {
        if let Some(claim) = claim {
            ports.entry((listener.spec.port, transport(claim.family))).or_default().push(index);
        }
    }
    let mut verdicts: Vec<Verdict> = listeners.iter().map(|_| None).collect();
    for indexes in ports.values() {
        for index in indexes {
            let Some(Some(own)) = claims.get(*index) else { continue };
            let mut protocol = Vec::new();
            let mut hostname = Vec::new();
            for other_index in indexes.iter().filter(|other| *other != index) {
                let Some(Some(other)) = claims.get(*other_index) else { continue };
                match clash(own, other, capabilities) {
                    Some(Clash::Protocol) => protocol.push(other.name.as_str()),
                    Some(Clash::Hostname) => hostname.push(other.name.as_str()),
                    None => {}
                }
            }
            let verdict = if !protocol.is_empty() {
                Some((Clash::Protocol, protocol.join(", ")))
            } else if !hostname.is_empty() {
                Some((Clash::Hostname, hostname.join(", ")))
            } else {
                None
            };
            if let Some(slot) = verdicts.get_mut(*index) {
                *slot = verdict;
            }
        }
    }
    verdicts
}

/// Listeners of sets, in merge order, against everything accepted before them.
fn mark_sets(work: &mut GatewayWork<'_>, capabilities: Capabilities) {
    let mut losers: Vec<(usize, usize, Clash, String)> = Vec::new();
    {
        let mut held: BTreeMap<(u16, Transport), Vec<Claim<'_>>> = BTreeMap::new();
        for listener in &work.listeners {
            if let Some(claim) = claim(listener) {
                held.entry((listener.spec.port, transport(claim.family))).or_default().push(claim);
            }
        }
        for (set_index, set) in work.sets.iter().enumerate() {
            for (index, listener) in set.listeners.iter().enumerate() {
                let Some(claim) = claim(listener) else { continue };
                let port = held.entry((listener.spec.port, transport(claim.family))).or_default();
                let earlier = port.iter().find_map(|other| {
                    clash(&claim, other, capabilities).map(|clash| (clash, other.name.clone()))
                });
                match earlier {
                    Some((clash, name)) => losers.push((set_index, index, clash, name)),
                    None => port.push(claim),
                }
            }
        }
    }
    for (set, index, clash, winner) in losers {
        let listener = work.sets.get_mut(set).and_then(|set| set.listeners.get_mut(index));
        let Some(listener) = listener else { continue };
        let port = listener.spec.port;
        match clash {
            Clash::Protocol => {
                let message = format!(
                    "listener {winner} has port {port} with another protocol and comes first; use another port"
                );
                listener.find(Code::ListenerSetProtocolConflict, "protocol", message);
            }
            Clash::Hostname => {
                let host = shown(listener.hostname.as_ref());
                let message = format!(
                    "listener {winner} has port {port} and {host} already and comes first; change one of them"
                );
                listener.find(Code::ListenerSetHostnameConflict, "hostname", message);
            }
        }
    }
}

/// Terminating listeners of one port whose hostnames or certificates cover a common host: clients
/// could use one connection for both (GEP-3567).
pub(crate) fn mark_overlaps(work: &mut GatewayWork<'_>, certificates: &Certificates) {
    let mut found: Vec<(usize, Code, String)> = Vec::new();
    {
        let all: Vec<&ListenerWork<'_>> = work.all_listeners().collect();
        let mut ports: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
        for (index, listener) in all.iter().enumerate() {
            if listener.is_accepted() && listener.shape.is_some_and(Shape::terminates) {
                ports.entry(listener.spec.port).or_default().push(index);
            }
        }
        for indexes in ports.values().filter(|indexes| indexes.len() > 1) {
            for index in indexes {
                let Some(own) = all.get(*index) else { continue };
                let others = indexes.iter().filter(|other| *other != index);
                let others: Vec<_> = others.filter_map(|other| all.get(*other)).collect();
                found.extend(
                    overlap(own, &others, certificates).map(|(code, text)| (*index, code, text)),
                );
            }
        }
    }
    let (own, sets) = (&mut work.listeners, &mut work.sets);
    let mut all: Vec<&mut ListenerWork<'_>> =
        own.iter_mut().chain(sets.iter_mut().flat_map(|set| &mut set.listeners)).collect();
    for (index, code, text) in found {
        if let Some(listener) = all.get_mut(index) {
            listener.find(code, "hostname", text);
        }
    }
}

fn overlap(
    own: &ListenerWork<'_>,
    others: &[&&ListenerWork<'_>],
    certificates: &Certificates,
) -> Option<(Code, String)> {
    let names = |listener: &ListenerWork<'_>| -> Vec<HostPattern> {
        let own = listener.certificates.iter().filter_map(|id| certificates.get(id));
        own.flat_map(|certificate| certificate.names.clone()).collect()
    };
    let own_names = names(own);
    let by_certificate: BTreeSet<&str> = others
        .iter()
        .filter(|other| {
            names(other).iter().any(|name| own_names.iter().any(|own| own.intersects(name)))
        })
        .map(|other| &*other.id.name)
        .collect();
    if !by_certificate.is_empty() {
        let list = by_certificate.into_iter().collect::<Vec<_>>().join(", ");
        let message =
            format!("the certificates cover hosts that those of listener {list} cover too");
        return Some((Code::OverlappingCertificates, message));
    }
    let by_hostname: BTreeSet<&str> = others
        .iter()
        .filter(|other| match (&own.hostname, &other.hostname) {
            (Some(own), Some(other)) => own.intersects(other),
            (None, _) | (_, None) => true,
        })
        .map(|other| &*other.id.name)
        .collect();
    (!by_hostname.is_empty()).then(|| {
        let list = by_hostname.into_iter().collect::<Vec<_>>().join(", ");
        (Code::OverlappingHostnames, format!("the hostname overlaps with that of listener {list}"))
    })
}
