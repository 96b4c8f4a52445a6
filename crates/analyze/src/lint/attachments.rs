//! What is only seen when routes, listeners and backends are put together.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::ObjectName;
use ir::{
    Action, EndpointMap, HostPattern, HttpRoute, IrSet, ListenerId, Origin, Protocol, RouteKind,
    Target,
};
use translate::{Code, Snapshot};

use super::{Finding, visit};

/// Routes of two namespaces that share a hostname at a listener.
pub(super) fn hostnames(set: &IrSet, snapshot: &Snapshot, out: &mut Vec<Finding>) {
    let mut users: BTreeMap<(&ListenerId, &HostPattern), Vec<&Arc<HttpRoute>>> = BTreeMap::new();
    for route in set.http_routes.values() {
        for attachment in &route.attachments {
            for host in attachment.hosts.iter().flatten() {
                users.entry((&attachment.listener, host)).or_default().push(route);
            }
        }
    }
    let mut reported: BTreeSet<(Origin, Arc<str>)> = BTreeSet::new();
    for ((listener, host), mut routes) in users {
        routes.sort_by_key(|route| (route.created.is_none(), route.created, &route.object));
        let Some((first, rest)) = routes.split_first() else { continue };
        for route in rest {
            if route.object.namespace == first.object.namespace {
                continue;
            }
            let origin =
                Origin::new(Arc::clone(&route.object), hostname_field(snapshot, route, host));
            if !reported.insert((origin.clone(), Arc::clone(&first.object.namespace))) {
                continue;
            }
            let message = format!(
                "{host} at {listener} is also a hostname of {}; for the same match the older route wins",
                first.object
            );
            let other =
                Origin::new(Arc::clone(&first.object), hostname_field(snapshot, first, host));
            out.push(
                Finding::new(Code::HostnameAcrossNamespaces, origin, message)
                    .with_related(other, "this route is older"),
            );
        }
    }
}

/// The hostname as the route's object has it.
pub(super) fn hostname_field(
    snapshot: &Snapshot,
    route: &HttpRoute,
    host: &HostPattern,
) -> Arc<str> {
    let name = ObjectName::new(Arc::clone(&route.object.namespace), Arc::clone(&route.object.name));
    let hostnames: &[Arc<str>] = match route.kind {
        RouteKind::Http => {
            snapshot.http_routes.get(&name).map_or(&[], |route| &route.spec.hostnames)
        }
        RouteKind::Grpc => {
            snapshot.grpc_routes.get(&name).map_or(&[], |route| &route.spec.hostnames)
        }
    };
    let position = hostnames.iter().position(|text| HostPattern::new(text) == *host);
    position.map_or_else(|| "spec".into(), |index| format!("spec.hostnames[{index}]").into())
}

/// Only for a whole configuration.
pub(super) fn idle_listeners(set: &IrSet, out: &mut Vec<Finding>) {
    let http = set.http_routes.values().flat_map(|route| &route.attachments);
    let l4 = set.l4_routes.values().flat_map(|route| &route.attachments);
    let used: BTreeSet<&ListenerId> = http.chain(l4).map(|one| &one.listener).collect();
    for (id, listener) in &set.listeners {
        if !used.contains(id) {
            let message = format!("no route is attached to listener {}", id.name);
            let effect = match listener.protocol {
                Protocol::Http | Protocol::Https(_) => "each request answers 404",
                Protocol::TlsPassthrough | Protocol::TlsTerminate(_) | Protocol::Tcp => {
                    "each connection is closed"
                }
                Protocol::Udp => "each datagram is dropped",
            };
            out.push(
                Finding::new(Code::ListenerWithoutRoutes, listener.origin.clone(), message)
                    .with_effect(effect),
            );
        }
    }
}

/// Only for a whole configuration.
pub(super) fn endpoints(set: &IrSet, endpoints: &EndpointMap, out: &mut Vec<Finding>) {
    let rules = set.http_routes.values().flat_map(|route| &route.rules);
    let http = rules.flat_map(|rule| match &rule.action {
        Action::Forward(backends) => backends.as_slice(),
        Action::Redirect(_) | Action::Fail(_) => &[],
    });
    let l4 = set.l4_routes.values().flat_map(|route| &route.backends);
    for backend in http.chain(l4) {
        let Target::Cluster(cluster) = &backend.target else { continue };
        let known = endpoints.get(&cluster.endpoints_key());
        if backend.weight > 0 && known.is_none_or(|known| known.endpoints.is_empty()) {
            let message = format!("{} port {} has no endpoint", cluster.0.backend, cluster.0.port);
            let service = visit::at(&cluster.0.backend, "");
            out.push(
                Finding::new(Code::NoEndpoints, backend.origin.clone(), message)
                    .with_related(service, "the Service is here")
                    .with_effect("this share answers 503"),
            );
        }
    }
}
