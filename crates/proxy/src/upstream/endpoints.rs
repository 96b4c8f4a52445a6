//! Endpoints as workers hold them: shared counters, and per worker the pooled connections.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use hashbrown::HashMap;
use ir::{ClusterId, Endpoint, EndpointMap, EndpointSet, EndpointState, EndpointsKey};

use crate::{tls::upstream::Security, upstream::pool::Idle};

/// One endpoint set with the counters that all workers share.
pub(crate) struct SharedSet {
    pub(crate) set: Arc<EndpointSet>,
    /// Requests in flight, parallel to the endpoints of `set`.
    pub(crate) gauges: Vec<Arc<AtomicUsize>>,
}

pub(crate) type SharedEndpoints = BTreeMap<EndpointsKey, Arc<SharedSet>>;

/// The next endpoints; sets that did not change and counters of endpoints that stay are kept.
pub(crate) fn share(map: &EndpointMap, previous: &SharedEndpoints) -> SharedEndpoints {
    map.iter()
        .map(|(key, set)| {
            let old = previous.get(key);
            let same = old.filter(|old| Arc::ptr_eq(&old.set, set) || old.set == *set);
            let shared = match same {
                Some(same) => Arc::clone(same),
                None => Arc::new(share_set(set, old.map(|old| &**old))),
            };
            (key.clone(), shared)
        })
        .collect()
}

fn share_set(set: &Arc<EndpointSet>, old: Option<&SharedSet>) -> SharedSet {
    let gauge_of = |endpoint: &Endpoint| {
        let old = old?;
        let mut known = old.set.endpoints.iter().zip(&old.gauges);
        known.find(|(other, _)| same_holder(other, endpoint)).map(|(_, gauge)| Arc::clone(gauge))
    };
    let gauges =
        set.endpoints.iter().map(|endpoint| gauge_of(endpoint).unwrap_or_default()).collect();
    SharedSet { set: Arc::clone(set), gauges }
}

fn same_holder(a: &Endpoint, b: &Endpoint) -> bool {
    a.address == b.address && a.identity == b.identity
}

/// One endpoint of one cluster in one worker: owns the idle connections to it.
pub(crate) struct EndpointEntry {
    pub(crate) endpoint: Arc<Endpoint>,
    /// Shared by all workers; counted only for clusters that balance by it.
    pub(crate) gauge: Arc<AtomicUsize>,
    pub(crate) in_flight: Cell<usize>,
    pub(crate) idle: RefCell<Vec<Idle>>,
    /// The endpoint or its last cluster is gone: connections are not kept.
    pub(crate) closed: Cell<bool>,
}

/// Ready endpoints, and those used when none is.
#[derive(Default)]
pub(crate) struct EndpointList {
    pub(crate) ready: Vec<Rc<EndpointEntry>>,
    pub(crate) draining: Vec<Rc<EndpointEntry>>,
    source: Option<Arc<SharedSet>>,
}

/// One cluster in one worker.
pub(crate) struct ClusterState {
    pub(crate) id: ClusterId,
    key: EndpointsKey,
    pub(crate) endpoints: RefCell<Rc<EndpointList>>,
    /// Round robin position.
    pub(crate) cursor: Cell<usize>,
    pub(crate) security: RefCell<Security>,
}

impl ClusterState {
    fn new(id: &ClusterId, start: usize) -> Self {
        Self {
            id: id.clone(),
            key: id.endpoints_key(),
            endpoints: RefCell::default(),
            cursor: Cell::new(start),
            security: RefCell::default(),
        }
    }

    fn refresh(&self, all: &SharedEndpoints) {
        let current = self.endpoints.borrow().clone();
        let source = all.get(&self.key);
        let unchanged = match (&current.source, source) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if unchanged {
            return;
        }
        let mut next = EndpointList { source: source.cloned(), ..EndpointList::default() };
        if let Some(shared) = source {
            for (endpoint, gauge) in shared.set.endpoints.iter().zip(&shared.gauges) {
                let entry = current.entry(endpoint).unwrap_or_else(|| entry(endpoint, gauge));
                match endpoint.state {
                    EndpointState::Ready => next.ready.push(entry),
                    EndpointState::Draining => next.draining.push(entry),
                }
            }
        }
        let next = Rc::new(next);
        for old in current.all() {
            if !next.all().any(|kept| Rc::ptr_eq(kept, old)) {
                old.close();
            }
        }
        self.endpoints.replace(next);
    }

    fn close(&self) {
        self.endpoints.borrow().all().for_each(|entry| entry.close());
    }
}

impl EndpointList {
    pub(crate) fn all(&self) -> impl Iterator<Item = &Rc<EndpointEntry>> {
        self.ready.iter().chain(&self.draining)
    }

    fn entry(&self, endpoint: &Endpoint) -> Option<Rc<EndpointEntry>> {
        self.all().find(|entry| same_holder(&entry.endpoint, endpoint)).cloned()
    }
}

fn entry(endpoint: &Arc<Endpoint>, gauge: &Arc<AtomicUsize>) -> Rc<EndpointEntry> {
    Rc::new(EndpointEntry {
        endpoint: Arc::clone(endpoint),
        gauge: Arc::clone(gauge),
        in_flight: Cell::new(0),
        idle: RefCell::default(),
        closed: Cell::new(false),
    })
}

impl EndpointEntry {
    fn close(&self) {
        self.closed.set(true);
        self.idle.take();
    }
}

/// Counts one request at an endpoint until dropped.
pub(crate) struct InFlight {
    entry: Rc<EndpointEntry>,
    shared: bool,
}

impl InFlight {
    pub(crate) fn new(entry: Rc<EndpointEntry>, shared: bool) -> Self {
        entry.in_flight.set(entry.in_flight.get().saturating_add(1));
        if shared {
            entry.gauge.fetch_add(1, Ordering::Relaxed);
        }
        Self { entry, shared }
    }

    pub(crate) fn entry(&self) -> &Rc<EndpointEntry> {
        &self.entry
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.entry.in_flight.set(self.entry.in_flight.get().saturating_sub(1));
        if self.shared {
            self.entry.gauge.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// All clusters of a worker.
#[derive(Default)]
pub(crate) struct Upstreams {
    clusters: RefCell<HashMap<ClusterId, Rc<ClusterState>>>,
    endpoints: RefCell<Arc<SharedEndpoints>>,
}

impl Upstreams {
    /// The states of `ids` in order, each with its security; clusters that nobody names any more
    /// are closed.
    pub(crate) fn reconcile(
        &self,
        ids: &[ClusterId],
        securities: &[Security],
        start: impl Fn() -> usize,
    ) -> Vec<Rc<ClusterState>> {
        let endpoints = self.endpoints.borrow().clone();
        let mut old = self.clusters.take();
        let mut next = HashMap::with_capacity(ids.len());
        let states: Vec<_> = ids
            .iter()
            .zip(securities)
            .map(|(id, security)| {
                let state = match old.remove(id) {
                    Some(state) => state,
                    None => {
                        let state = Rc::new(ClusterState::new(id, start()));
                        state.refresh(&endpoints);
                        state
                    }
                };
                state.security.replace(security.clone());
                next.insert(id.clone(), Rc::clone(&state));
                state
            })
            .collect();
        old.drain().for_each(|(_, state)| state.close());
        self.clusters.replace(next);
        states
    }

    pub(crate) fn set_endpoints(&self, endpoints: Arc<SharedEndpoints>) {
        for state in self.sorted() {
            state.refresh(&endpoints);
        }
        self.endpoints.replace(endpoints);
    }

    /// Every cluster, in no particular order.
    pub(crate) fn for_each(&self, visit: impl FnMut(&Rc<ClusterState>)) {
        self.clusters.borrow().values().for_each(visit);
    }

    /// Every cluster, in a stable order.
    pub(crate) fn sorted(&self) -> Vec<Rc<ClusterState>> {
        let clusters = self.clusters.borrow();
        let mut states: Vec<_> = clusters.values().cloned().collect();
        states.sort_by(|a, b| a.id.cmp(&b.id));
        states
    }
}

/// One endpoint of one cluster, as the admin endpoint shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointStatus {
    pub cluster: ClusterId,
    pub endpoint: Arc<Endpoint>,
    /// Requests in flight.
    pub in_flight: usize,
    /// Pooled connections without a request.
    pub idle: usize,
}

impl Upstreams {
    /// Every endpoint of every cluster, in a stable order.
    pub(crate) fn status(&self) -> Vec<EndpointStatus> {
        let mut all = Vec::new();
        for cluster in self.sorted() {
            let list = cluster.endpoints.borrow().clone();
            let shared = list.source.iter().flat_map(|shared| &shared.set.endpoints);
            for endpoint in shared {
                let entry = list.entry(endpoint);
                all.push(EndpointStatus {
                    cluster: cluster.id.clone(),
                    endpoint: Arc::clone(endpoint),
                    in_flight: entry.as_ref().map_or(0, |entry| entry.in_flight.get()),
                    idle: entry.as_ref().map_or(0, |entry| entry.idle.borrow().len()),
                });
            }
        }
        all
    }
}
