//! TLSRoutes, TCPRoutes and UDPRoutes of each listener. There are few, so nothing is indexed but
//! hostnames.

use std::{collections::BTreeMap, sync::Arc};

use super::{Clusters, number, share};
use crate::{
    Attachment, IrSet, L4Entry, L4Index, L4Route, Listener, ListenerId, ListenerIndex, Protocol,
    Table, Target, index::HostIndex,
};

/// For each listener: its routes, oldest first. Age without a timestamp comes last; then namespace
/// and name decide.
pub(super) fn group(set: &IrSet) -> BTreeMap<&ListenerId, Vec<&Arc<L4Route>>> {
    let mut lists: BTreeMap<&ListenerId, Vec<&Arc<L4Route>>> = BTreeMap::new();
    for route in set.l4_routes.values() {
        for Attachment { listener, .. } in &route.attachments {
            let list = lists.entry(listener).or_default();
            if !list.last().is_some_and(|last| Arc::ptr_eq(last, route)) {
                list.push(route);
            }
        }
    }
    for list in lists.values_mut() {
        list.sort_by(|a, b| {
            let age = |route: &L4Route| (route.created.is_none(), route.created);
            age(a)
                .cmp(&age(b))
                .then_with(|| a.object.namespace.cmp(&b.object.namespace))
                .then_with(|| a.object.name.cmp(&b.object.name))
                .then_with(|| a.object.cmp(&b.object))
        });
    }
    lists
}

/// Adds the entries of one listener to `all` and returns them with the index of their hostnames.
pub(super) fn entries(
    (listener, entity): (ListenerIndex, &Listener),
    routes: &[&Arc<L4Route>],
    all: &mut Vec<Arc<L4Entry>>,
    clusters: &mut Clusters,
    previous: Option<&Table>,
) -> (Vec<Arc<L4Entry>>, HostIndex) {
    let mut own = Vec::with_capacity(routes.len());
    let mut hosts = HostIndex::default();
    for (position, route) in (0_u32..).zip(routes) {
        let attached = route.attachments.iter().filter(|attached| attached.listener == entity.id);
        for host in attached.flat_map(|attached| &attached.hosts) {
            hosts.insert(host.as_ref(), position);
        }
        let mut total_weight = 0_u64;
        let passed = route.passthrough.as_deref().filter(|_| passes(entity)).unwrap_or_default();
        let backends = route
            .backends
            .iter()
            .enumerate()
            .map(|(position, backend)| {
                let target: &Target = passed.get(position).unwrap_or(&backend.target);
                share((backend, target), &mut total_weight, clusters)
            })
            .collect();
        let index = L4Index(number(all.len()));
        let route = Arc::clone(route);
        let entry = L4Entry { index, listener, route, backends, total_weight };
        let same = previous.and_then(|table| table.l4(index)).filter(|old| ***old == entry);
        let entry = same.cloned().unwrap_or_else(|| Arc::new(entry));
        all.push(Arc::clone(&entry));
        own.push(entry);
    }
    (own, hosts)
}

fn passes(listener: &Listener) -> bool {
    match listener.protocol {
        Protocol::TlsPassthrough => true,
        Protocol::Http
        | Protocol::Https(_)
        | Protocol::TlsTerminate(_)
        | Protocol::Tcp
        | Protocol::Udp => false,
    }
}
