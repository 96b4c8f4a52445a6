//! From entities to the table that workers read.

mod l4;

use std::{
    collections::BTreeMap,
    hash::{Hash, Hasher},
    sync::Arc,
};

use crate::{
    Action, Attachment, Backend, BackendEntry, CertificateId, Cluster, ClusterId, ClusterIndex,
    Filter, HttpRoute, IrSet, Listener, ListenerId, ListenerIndex, ListenerTable, PortKey,
    PortKind, PortTable, Revision, Rule, RuleEntry, RuleIndex, Table, Target, UpstreamTls,
    exec::{auths, mirrors},
    index::{HashMap, HostIndex, RouteIndex},
};

/// Builds the table of a set. Parts of `previous` whose inputs are equal are shared with it; the
/// result is the same as without it.
///
/// Total: an attachment to a listener that is not in the set is left out, and so is a listener
/// that shares a socket with one of another kind, or a host with one before it (translation has
/// reported both).
pub fn assemble(set: &IrSet, revision: Revision, previous: Option<&Table>) -> Table {
    let routes = keep_equal_routes(set, previous);
    let by_listener = group_by_listener(set, &routes);
    let mut clusters = Clusters::default();
    let mut rules = Vec::new();
    let mut listeners = Vec::new();
    let (mut l4, l4_routes) = (Vec::new(), l4::group(set));
    for ((id, listener), routes) in set.listeners.iter().zip(by_listener) {
        let index = ListenerIndex(number(listeners.len()));
        let gateway = set.gateways.get(&listener.gateway);
        clusters.identity = gateway.and_then(|gateway| gateway.client_certificate.clone());
        let first_rule = number(rules.len());
        for route in &routes {
            for rule in &route.rules {
                let index_of_rule = RuleIndex(number(rules.len()));
                let key = (index_of_rule, index, route, rule);
                rules.push(rule_entry(key, &mut clusters, previous));
            }
        }
        let routes = route_index(id, routes, previous);
        let l4_routes = l4_routes.get(id).map_or(&[][..], Vec::as_slice);
        let (l4, l4_hosts) =
            l4::entries((index, &**listener), l4_routes, &mut l4, &mut clusters, previous);
        let listener = Arc::clone(listener);
        let auths = auth_clusters(&listener.filters, &mut clusters);
        let table = ListenerTable { index, listener, first_rule, routes, l4, l4_hosts, auths };
        listeners.push(keep_equal_listener(table, previous));
    }
    let ports = ports(&listeners, previous);
    Table {
        revision,
        ports,
        listeners,
        rules,
        l4,
        clusters: clusters.list,
        certificates: set.certificates.clone(),
        trust_bundles: set.trust_bundles.clone(),
        routes,
    }
}

/// The routes of the set, each replaced by an equal one of the previous table, so that everything
/// after this compares pointers.
fn keep_equal_routes(set: &IrSet, previous: Option<&Table>) -> Vec<Arc<HttpRoute>> {
    let mut known = previous.map(|table| table.routes.iter()).into_iter().flatten().peekable();
    set.http_routes
        .values()
        .map(|route| {
            if known.next_if(|old| Arc::ptr_eq(old, route)).is_some() {
                return Arc::clone(route);
            }
            while known.next_if(|old| old.object < route.object).is_some() {}
            match known.peek() {
                Some(old) if Arc::ptr_eq(old, route) || **old == *route => Arc::clone(old),
                Some(_) | None => Arc::clone(route),
            }
        })
        .collect()
}

/// For each listener of the set, in order: its routes, oldest first. Age without a timestamp comes
/// last; then namespace and name decide.
fn group_by_listener(set: &IrSet, routes: &[Arc<HttpRoute>]) -> Vec<Vec<Arc<HttpRoute>>> {
    let numbers: HashMap<&ListenerId, usize> = set.listeners.keys().zip(0..).collect();
    let mut lists: Vec<Vec<Arc<HttpRoute>>> = vec![Vec::new(); set.listeners.len()];
    // Neighbours mostly attach to the same listener.
    let mut latest: Option<(&ListenerId, usize)> = None;
    for route in routes {
        for Attachment { listener, .. } in &route.attachments {
            let position = match latest {
                Some((id, position)) if id == listener => Some(position),
                _ => numbers.get(listener).copied(),
            };
            let Some(position) = position else { continue };
            latest = Some((listener, position));
            if let Some(list) = lists.get_mut(position)
                && !list.last().is_some_and(|last| Arc::ptr_eq(last, route))
            {
                list.push(Arc::clone(route));
            }
        }
    }
    for list in &mut lists {
        list.sort_by(|a, b| {
            let age = |route: &HttpRoute| (route.created.is_none(), route.created);
            age(a)
                .cmp(&age(b))
                .then_with(|| a.object.namespace.cmp(&b.object.namespace))
                .then_with(|| a.object.name.cmp(&b.object.name))
                .then_with(|| a.object.cmp(&b.object))
        });
    }
    lists
}

fn rule_entry(
    (index, listener, route, rule): (RuleIndex, ListenerIndex, &Arc<HttpRoute>, &Arc<Rule>),
    clusters: &mut Clusters,
    previous: Option<&Table>,
) -> Arc<RuleEntry> {
    let mirrors = mirror_clusters(&rule.filters, clusters);
    let auths = auth_clusters(&rule.filters, clusters);
    let mut total_weight = 0_u64;
    let backends = match &rule.action {
        Action::Forward(backends) => backends
            .iter()
            .map(|backend| backend_entry(backend, &mut total_weight, clusters))
            .collect(),
        Action::Fail(_) | Action::Redirect(_) => Vec::new(),
    };
    let same = previous.and_then(|table| table.rule(index)).filter(|old| {
        old.listener == listener
            && Arc::ptr_eq(&old.route, route)
            && Arc::ptr_eq(&old.rule, rule)
            && old.backends == backends
            && old.mirrors == mirrors
            && old.auths == auths
    });
    same.cloned().unwrap_or_else(|| {
        let (route, rule) = (Arc::clone(route), Arc::clone(rule));
        Arc::new(RuleEntry { index, listener, route, rule, backends, total_weight, mirrors, auths })
    })
}

fn backend_entry(backend: &Backend, total: &mut u64, clusters: &mut Clusters) -> BackendEntry {
    share((backend, &backend.target), total, clusters)
}

/// A backend's share, at the end of which stands another target than its own.
fn share(
    (backend, target): (&Backend, &Target),
    total: &mut u64,
    clusters: &mut Clusters,
) -> BackendEntry {
    *total = total.saturating_add(u64::from(backend.weight));
    BackendEntry {
        weight_end: *total,
        cluster: clusters.index(target),
        mirrors: mirror_clusters(&backend.filters, clusters),
        auths: auth_clusters(&backend.filters, clusters),
    }
}

fn mirror_clusters(filters: &[Filter], clusters: &mut Clusters) -> Vec<Option<ClusterIndex>> {
    mirrors(filters).map(|mirror| clusters.index(&mirror.target)).collect()
}

fn auth_clusters(filters: &[Filter], clusters: &mut Clusters) -> Vec<Option<ClusterIndex>> {
    auths(filters).map(|auth| clusters.index(&auth.target)).collect()
}

/// Clusters in the order in which they are first named.
#[derive(Default)]
struct Clusters {
    list: Vec<ClusterId>,
    known: HashMap<Key, ClusterIndex>,
    /// What the Gateway at hand shows to backends.
    identity: Option<CertificateId>,
}

/// Equal by everything, hashed by what tells most clusters apart.
#[derive(PartialEq, Eq)]
struct Key(Arc<Cluster>);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Cluster { backend, port, .. } = &*self.0;
        (&backend.namespace, &backend.name, port).hash(state);
    }
}

impl Clusters {
    fn index(&mut self, target: &Target) -> Option<ClusterIndex> {
        match target {
            Target::Cluster(id) => {
                let id = self.identified(id);
                Some(*self.known.entry(Key(Arc::clone(&id.0))).or_insert_with(|| {
                    self.list.push(id);
                    ClusterIndex(number(self.list.len().saturating_sub(1)))
                }))
            }
            Target::Fail(_) => None,
        }
    }

    /// The cluster with the certificate of the Gateway, where TLS has no other.
    fn identified(&self, id: &ClusterId) -> ClusterId {
        let (Some(identity), Some(tls)) = (&self.identity, &id.0.tls) else { return id.clone() };
        if tls.client_certificate.is_some() {
            return id.clone();
        }
        let tls = UpstreamTls { client_certificate: Some(identity.clone()), ..(**tls).clone() };
        ClusterId(Arc::new(Cluster { tls: Some(Arc::new(tls)), ..(*id.0).clone() }))
    }
}

fn route_index(
    id: &ListenerId,
    routes: Vec<Arc<HttpRoute>>,
    previous: Option<&Table>,
) -> Arc<RouteIndex> {
    let same = previous.and_then(|table| table.listener_by_id(id)).filter(|old| {
        let old = &old.routes.routes;
        old.len() == routes.len() && old.iter().zip(&routes).all(|(old, new)| Arc::ptr_eq(old, new))
    });
    match same {
        Some(old) => Arc::clone(&old.routes),
        None => Arc::new(RouteIndex::build(id, routes)),
    }
}

fn keep_equal_listener(new: ListenerTable, previous: Option<&Table>) -> Arc<ListenerTable> {
    let same = previous.and_then(|table| table.listener(new.index)).filter(|old| {
        old.first_rule == new.first_rule
            && Arc::ptr_eq(&old.routes, &new.routes)
            && old.auths == new.auths
            && old.l4.len() == new.l4.len()
            && old.l4.iter().zip(&new.l4).all(|(old, new)| Arc::ptr_eq(old, new))
            && (Arc::ptr_eq(&old.listener, &new.listener) || old.listener == new.listener)
    });
    same.cloned().unwrap_or_else(|| Arc::new(new))
}

fn ports(
    listeners: &[Arc<ListenerTable>],
    previous: Option<&Table>,
) -> BTreeMap<PortKey, Arc<PortTable>> {
    let mut ports: BTreeMap<PortKey, PortTable> = BTreeMap::new();
    for table in listeners {
        let Listener { addresses, bind_port, protocol, hostname, .. } = &*table.listener;
        let kind = PortKind::of(protocol);
        for address in addresses {
            let transport = kind.transport();
            let key = PortKey { address: *address, port: *bind_port, transport };
            let port = ports.entry(key).or_insert_with(|| PortTable {
                key,
                kind,
                listeners: Vec::new(),
                hosts: HostIndex::default(),
            });
            let next = number(port.listeners.len());
            if port.kind == kind && port.hosts.insert(hostname.as_ref(), next) == next {
                port.listeners.push(Arc::clone(table));
            }
        }
    }
    let keep = |port: PortTable| {
        let same = previous.and_then(|table| table.ports.get(&port.key)).filter(|old| {
            old.kind == port.kind
                && old.listeners.len() == port.listeners.len()
                && old.listeners.iter().zip(&port.listeners).all(|(a, b)| Arc::ptr_eq(a, b))
        });
        same.cloned().unwrap_or_else(|| Arc::new(port))
    };
    ports.into_iter().map(|(key, port)| (key, keep(port))).collect()
}

/// Positions fit: a set of 2^32 entities does not fit into memory.
fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
