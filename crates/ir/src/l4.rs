//! Why a TLSRoute, TCPRoute or UDPRoute takes a connection, or does not.

use std::sync::Arc;

use crate::{HostPattern, L4Entry, ListenerTable, Predicate, Rank, Verdict, index::takes};

/// One (route, hostname) that a connection could have taken.
#[derive(Clone, Debug)]
pub struct L4Considered {
    pub entry: Arc<L4Entry>,
    /// As written on the route; `None` takes every name.
    pub host: Option<HostPattern>,
    pub verdict: Verdict,
}

/// Every route of the listener with what became of it, the winner first; the winner is the one
/// that [`ListenerTable::l4_for`] says.
pub fn explain_l4(listener: &ListenerTable, sni: Option<&str>) -> Vec<L4Considered> {
    let name = sni.unwrap_or_default();
    let mut all: Vec<L4Considered> = Vec::new();
    for entry in listener.l4() {
        let id = &listener.listener.id;
        let attached = entry.route.attachments.iter().filter(|one| one.listener == *id);
        for host in attached.flat_map(|attached| &attached.hosts) {
            let verdict = if takes(host.as_ref(), name) {
                Verdict::Won
            } else {
                let got = name.to_owned();
                Verdict::Failed(Predicate::Host { wanted: host.clone(), got })
            };
            all.push(L4Considered { entry: Arc::clone(entry), host: host.clone(), verdict });
        }
    }
    let Some(winner) = listener.l4_for(sni) else { return all };
    // Stable, so that equals stay in the order of age.
    all.sort_by_key(|one| (one.verdict != Verdict::Won, specificity(one.host.as_ref())));
    let Some(first) = all.first() else { return all };
    debug_assert!(first.entry.index == winner.index, "the explanation agrees with the table");
    let (host, created) = (first.host.clone(), first.entry.route.created);
    for one in all.iter_mut().skip(1).filter(|one| one.verdict == Verdict::Won) {
        one.verdict = Verdict::Outranked(if one.host != host {
            Rank::Host
        } else if one.entry.route.created != created {
            Rank::Age
        } else {
            Rank::Name
        });
    }
    all
}

/// An exact name, then wildcards from the longest, then no name.
fn specificity(host: Option<&HostPattern>) -> (u8, std::cmp::Reverse<usize>) {
    use std::cmp::Reverse;
    match host {
        Some(HostPattern::Exact(name)) => (0, Reverse(name.len())),
        Some(HostPattern::Wildcard(suffix)) => (1, Reverse(suffix.len())),
        None => (2, Reverse(0)),
    }
}
