//! Endpoints as workers hold them: shared counters, and per worker the pooled connections.

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
};

use hashbrown::HashMap;
use ir::{ClusterId, Endpoint, EndpointMap, EndpointSet, EndpointState, EndpointsKey, Locality};

use crate::{
    http::retry::Budget,
    http2::pool::Links,
    tls::upstream::Security,
    upstream::{health::Health, pool::Idle, session},
};

/// One endpoint set with the counters that all workers share.
pub(crate) struct SharedSet {
    pub(crate) set: Arc<EndpointSet>,
    /// Parallel to the endpoints of `set`.
    pub(crate) health: Vec<Arc<Health>>,
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
    let health_of = |endpoint: &Endpoint| {
        let old = old?;
        let mut known = old.set.endpoints.iter().zip(&old.health);
        known.find(|(other, _)| same_holder(other, endpoint)).map(|(_, health)| Arc::clone(health))
    };
    let health =
        set.endpoints.iter().map(|endpoint| health_of(endpoint).unwrap_or_default()).collect();
    SharedSet { set: Arc::clone(set), health }
}

fn same_holder(a: &Endpoint, b: &Endpoint) -> bool {
    a.address == b.address && a.identity == b.identity
}

/// One endpoint of one cluster in one worker: owns the idle connections to it.
pub(crate) struct EndpointEntry {
    pub(crate) endpoint: Arc<Endpoint>,
    /// Shared by all workers.
    pub(crate) health: Arc<Health>,
    pub(crate) in_flight: Cell<usize>,
    pub(crate) idle: RefCell<Vec<Idle>>,
    pub(crate) http2: Links,
    /// The endpoint or its last cluster is gone: connections are not kept.
    pub(crate) closed: Cell<bool>,
    token: OnceCell<String>,
}

/// Endpoints in the order of preference.
#[derive(Default)]
pub(crate) struct EndpointList {
    pub(crate) ready: Vec<Rc<EndpointEntry>>,
    /// Ready too, but meant for clients of other zones or nodes.
    pub(crate) elsewhere: Vec<Rc<EndpointEntry>>,
    /// Used when none is ready.
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
    /// Of the retries by this worker.
    pub(crate) budget: Budget,
}

impl ClusterState {
    fn new(id: &ClusterId, start: usize, workers: usize) -> Self {
        Self {
            id: id.clone(),
            key: id.endpoints_key(),
            endpoints: RefCell::default(),
            cursor: Cell::new(start),
            security: RefCell::default(),
            budget: Budget::new(id.0.retry_budget, workers),
        }
    }

    fn refresh(&self, all: &SharedEndpoints, place: &Place) {
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
            let hints = place.hints(self.id.0.locality, &shared.set);
            for (endpoint, health) in shared.set.endpoints.iter().zip(&shared.health) {
                let entry = current.entry(endpoint).unwrap_or_else(|| entry(endpoint, health));
                let here = hints.as_ref().is_none_or(|hints| hints.hold_for(endpoint));
                match endpoint.state {
                    EndpointState::Ready if here => next.ready.push(entry),
                    EndpointState::Ready => next.elsewhere.push(entry),
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
        self.ready.iter().chain(&self.elsewhere).chain(&self.draining)
    }

    fn entry(&self, endpoint: &Endpoint) -> Option<Rc<EndpointEntry>> {
        self.all().find(|entry| same_holder(&entry.endpoint, endpoint)).cloned()
    }
}

/// Where this data plane runs, as far as it was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    pub(crate) zone: Option<Arc<str>>,
    pub(crate) node: Option<Arc<str>>,
}

/// The hints that are followed.
enum Hints<'p> {
    Zone(&'p str),
    Node(&'p str),
}

impl Place {
    /// The nearest hints that a cluster wants and that can be followed: every ready endpoint has
    /// some, and one is for here. Otherwise traffic would miss endpoints that nobody placed yet
    /// (Kubernetes, topology aware routing).
    fn hints(&self, wanted: Locality, set: &EndpointSet) -> Option<Hints<'_>> {
        let node = self.node.as_deref().map(Hints::Node);
        let zone = self.zone.as_deref().map(Hints::Zone);
        let (node, zone) = match wanted {
            Locality::Any => (None, None),
            Locality::PreferZone => (None, zone),
            Locality::PreferNode => (node, zone),
        };
        let ready = || set.endpoints.iter().filter(|one| one.state == EndpointState::Ready);
        let followed = |hints: &Hints<'_>| {
            ready().all(|one| !hints.of(one).is_empty()) && ready().any(|one| hints.hold_for(one))
        };
        [node, zone].into_iter().flatten().find(followed)
    }
}

impl Hints<'_> {
    fn of<'e>(&self, endpoint: &'e Endpoint) -> &'e [Arc<str>] {
        match self {
            Self::Zone(_) => &endpoint.for_zones,
            Self::Node(_) => &endpoint.for_nodes,
        }
    }

    fn hold_for(&self, endpoint: &Endpoint) -> bool {
        let (Self::Zone(here) | Self::Node(here)) = self;
        self.of(endpoint).iter().any(|known| **known == **here)
    }
}

fn entry(endpoint: &Arc<Endpoint>, health: &Arc<Health>) -> Rc<EndpointEntry> {
    Rc::new(EndpointEntry {
        endpoint: Arc::clone(endpoint),
        health: Arc::clone(health),
        in_flight: Cell::new(0),
        idle: RefCell::default(),
        http2: Links::default(),
        closed: Cell::new(false),
        token: OnceCell::new(),
    })
}

impl EndpointEntry {
    /// How sessions name the endpoint.
    pub(crate) fn token(&self) -> &str {
        self.token.get_or_init(|| session::token(&self.endpoint))
    }

    fn close(&self) {
        self.closed.set(true);
        self.idle.take();
        self.http2.close();
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
            entry.health.in_flight.fetch_add(1, Ordering::Relaxed);
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
            self.entry.health.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// All clusters of a worker.
#[derive(Default)]
pub(crate) struct Upstreams {
    clusters: RefCell<HashMap<ClusterId, Rc<ClusterState>>>,
    endpoints: RefCell<Arc<SharedEndpoints>>,
    place: Place,
    workers: usize,
}

impl Upstreams {
    pub(crate) fn new(place: Place, workers: usize) -> Self {
        Self { place, workers, ..Self::default() }
    }

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
                        let state = Rc::new(ClusterState::new(id, start(), self.workers));
                        state.refresh(&endpoints, &self.place);
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
            state.refresh(&endpoints, &self.place);
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
    /// Paused after failures in a row.
    pub ejected: bool,
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
                    idle: entry.as_ref().map_or(0, |entry| {
                        entry.idle.borrow().len().saturating_add(entry.http2.idle())
                    }),
                    ejected: entry.as_ref().is_some_and(|entry| entry.health.is_ejected()),
                });
            }
        }
        all
    }
}
