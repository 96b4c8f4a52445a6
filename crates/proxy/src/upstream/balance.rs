//! Which endpoint serves an attempt.

use std::{net::SocketAddr, rc::Rc, sync::atomic::Ordering};

use ir::Balance;

use crate::{
    random::Random,
    upstream::endpoints::{ClusterState, EndpointEntry, InFlight},
};

/// Picks an endpoint that is not in `tried`: a ready one, else a draining one.
pub(crate) fn pick(
    cluster: &ClusterState,
    random: &Random,
    tried: &[SocketAddr],
) -> Option<InFlight> {
    let list = cluster.endpoints.borrow();
    let balance = cluster.id.0.balance;
    let candidates = if list.ready.is_empty() { &list.draining } else { &list.ready };
    let entry = match balance {
        Balance::RoundRobin => round_robin(cluster, candidates, tried),
        Balance::LeastRequest => least_request(random, candidates, tried),
    }?;
    Some(InFlight::new(Rc::clone(entry), balance == Balance::LeastRequest))
}

fn round_robin<'a>(
    cluster: &ClusterState,
    candidates: &'a [Rc<EndpointEntry>],
    tried: &[SocketAddr],
) -> Option<&'a Rc<EndpointEntry>> {
    for _ in 0..candidates.len() {
        let position = cluster.cursor.get();
        let position = if position >= candidates.len() {
            position.checked_rem(candidates.len())?
        } else {
            position
        };
        cluster.cursor.set(position.saturating_add(1));
        let entry = candidates.get(position)?;
        if tried.is_empty() || !tried.contains(&entry.endpoint.address) {
            return Some(entry);
        }
    }
    None
}

fn least_request<'a>(
    random: &Random,
    candidates: &'a [Rc<EndpointEntry>],
    tried: &[SocketAddr],
) -> Option<&'a Rc<EndpointEntry>> {
    let usable = |index: usize| {
        let entry = candidates.get(index)?;
        (!tried.contains(&entry.endpoint.address)).then_some(entry)
    };
    let first = random.below(candidates.len());
    let mut second = random.below(candidates.len().saturating_sub(1));
    if second >= first {
        second = second.saturating_add(1);
    }
    let load = |entry: &EndpointEntry| entry.gauge.load(Ordering::Relaxed);
    match (usable(first), usable(second)) {
        (Some(a), Some(b)) => Some(if load(a) <= load(b) { a } else { b }),
        (Some(one), None) | (None, Some(one)) => Some(one),
        (None, None) => candidates.iter().find(|entry| !tried.contains(&entry.endpoint.address)),
    }
}
