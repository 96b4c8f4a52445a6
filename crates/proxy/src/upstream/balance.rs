//! Which endpoint serves an attempt.
//!
//! Ready endpoints of the preferred zone come first, then ready ones elsewhere; draining ones only
//! when none is ready. Within that order an ejected endpoint is passed over, unless all are: a
//! cluster that looks wholly broken is tried rather than given up.

use std::{net::SocketAddr, rc::Rc, sync::atomic::Ordering};

use ir::Balance;

use crate::{
    random::Random,
    upstream::endpoints::{ClusterState, EndpointEntry, EndpointList, InFlight},
};

/// Picks an endpoint that is not in `tried`.
pub(crate) fn pick(
    cluster: &ClusterState,
    random: &Random,
    tried: &[SocketAddr],
) -> Option<InFlight> {
    let list = cluster.endpoints.borrow();
    let chooser = Chooser { cluster, random, tried };
    let entry = chooser.choose(&list)?;
    Some(in_flight(cluster, entry))
}

/// The endpoint that a session names, unless it is gone, ejected or in `tried`. A draining endpoint
/// keeps its sessions.
pub(crate) fn pinned(
    cluster: &ClusterState,
    token: &str,
    tried: &[SocketAddr],
) -> Option<InFlight> {
    let list = cluster.endpoints.borrow();
    let entry = list.all().find(|entry| entry.token() == token)?;
    let usable = !entry.health.is_ejected() && !tried.contains(&entry.endpoint.address);
    usable.then(|| in_flight(cluster, entry))
}

fn in_flight(cluster: &ClusterState, entry: &Rc<EndpointEntry>) -> InFlight {
    InFlight::new(Rc::clone(entry), cluster.id.0.balance == Balance::LeastRequest)
}

struct Chooser<'a> {
    cluster: &'a ClusterState,
    random: &'a Random,
    tried: &'a [SocketAddr],
}

impl Chooser<'_> {
    fn choose<'l>(&self, list: &'l EndpointList) -> Option<&'l Rc<EndpointEntry>> {
        let tiers = if list.ready.is_empty() && list.elsewhere.is_empty() {
            [list.draining.as_slice(), &[]]
        } else {
            [list.ready.as_slice(), &list.elsewhere]
        };
        [false, true]
            .into_iter()
            .find_map(|ejected_too| tiers.iter().find_map(|tier| self.balance(tier, ejected_too)))
    }

    fn balance<'l>(
        &self,
        candidates: &'l [Rc<EndpointEntry>],
        ejected_too: bool,
    ) -> Option<&'l Rc<EndpointEntry>> {
        match self.cluster.id.0.balance {
            Balance::RoundRobin => self.round_robin(candidates, ejected_too),
            Balance::LeastRequest => self.least_request(candidates, ejected_too),
        }
    }

    fn usable(&self, entry: &EndpointEntry, ejected_too: bool) -> bool {
        (self.tried.is_empty() || !self.tried.contains(&entry.endpoint.address))
            && (ejected_too || !entry.health.is_ejected())
    }

    fn round_robin<'l>(
        &self,
        candidates: &'l [Rc<EndpointEntry>],
        ejected_too: bool,
    ) -> Option<&'l Rc<EndpointEntry>> {
        let cursor = &self.cluster.cursor;
        for _ in 0..candidates.len() {
            let position = cursor.get();
            let position = if position >= candidates.len() {
                position.checked_rem(candidates.len())?
            } else {
                position
            };
            cursor.set(position.saturating_add(1));
            let entry = candidates.get(position)?;
            if self.usable(entry, ejected_too) {
                return Some(entry);
            }
        }
        None
    }

    fn least_request<'l>(
        &self,
        candidates: &'l [Rc<EndpointEntry>],
        ejected_too: bool,
    ) -> Option<&'l Rc<EndpointEntry>> {
        let usable =
            |index: usize| candidates.get(index).filter(|entry| self.usable(entry, ejected_too));
        let first = self.random.below(candidates.len());
        let mut second = self.random.below(candidates.len().saturating_sub(1));
        if second >= first {
            second = second.saturating_add(1);
        }
        let load = |entry: &EndpointEntry| entry.health.in_flight.load(Ordering::Relaxed);
        match (usable(first), usable(second)) {
            (Some(a), Some(b)) => Some(if load(a) <= load(b) { a } else { b }),
            (Some(one), None) | (None, Some(one)) => Some(one),
            (None, None) => candidates.iter().find(|entry| self.usable(entry, ejected_too)),
        }
    }
}
