//! Endpoints, straight from Services and EndpointSlices: they change far more often than routes
//! and never pass through translation.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use api::{EndpointAddressType, EndpointSlice, IntOrString, ObjectName, Service, ServicePort};
use ir::{
    Action, Endpoint, EndpointMap, EndpointSet, EndpointState, EndpointsKey, Filter, IrSet, Target,
};

use crate::settings::BackendAddresses;
use crate::snapshot::ObjMap;

/// The endpoints that the clusters of `set` need.
pub fn wanted(set: &IrSet) -> BTreeSet<EndpointsKey> {
    let mut keys = BTreeSet::new();
    let mut add = |target: &Target| match target {
        Target::Cluster(cluster) => {
            keys.insert(cluster.endpoints_key());
        }
        Target::Fail(_) => {}
    };
    for rule in set.http_routes.values().flat_map(|route| &route.rules) {
        mirrors(&rule.filters, &mut add);
        if let Action::Forward(backends) = &rule.action {
            for backend in backends {
                add(&backend.target);
                mirrors(&backend.filters, &mut add);
            }
        }
    }
    for backend in set.l4_routes.values().flat_map(|route| &route.backends) {
        add(&backend.target);
    }
    keys
}

fn mirrors(filters: &[Filter], add: &mut impl FnMut(&Target)) {
    for filter in filters {
        match filter {
            Filter::Mirror(mirror) => add(&mirror.target),
            Filter::Cors(_)
            | Filter::RequestHeaders(_)
            | Filter::ResponseHeaders(_)
            | Filter::Rewrite(_) => {}
        }
    }
}

/// The endpoints of every cluster of `set`. A Service that is gone has an empty set of endpoints.
/// `slices` may be those of all Services, in any order.
pub fn endpoint_map(
    set: &IrSet,
    services: &ObjMap<Service>,
    slices: &[Arc<EndpointSlice>],
    addresses: BackendAddresses,
) -> EndpointMap {
    let mut by_service: BTreeMap<(&str, &str), Vec<&Arc<EndpointSlice>>> = BTreeMap::new();
    for slice in slices {
        if let Some(service) = slice.service_name() {
            by_service.entry((slice.metadata.namespace(), service)).or_default().push(slice);
        }
    }
    let endpoints = |key: &EndpointsKey| {
        let (namespace, name) = (Arc::clone(&key.backend.namespace), Arc::clone(&key.backend.name));
        let service = services.get(&ObjectName::new(namespace, name))?;
        let own = by_service.get(&(&*key.backend.namespace, &*key.backend.name));
        Some(resolve(service, key.port, own.map_or(&[][..], Vec::as_slice), addresses))
    };
    wanted(set)
        .into_iter()
        .map(|key| {
            let set = endpoints(&key).unwrap_or_default();
            (key, Arc::new(set))
        })
        .collect()
}

/// The endpoints of one port of a Service.
///
/// A slice's port is the one with the name of the Service's port; its number is what the pods
/// listen on. Ready endpoints get traffic, terminating ones that still serve are kept as a last
/// resort, others are left out. A pod that is listed with an address of each family counts once,
/// with the family the Service names first. Slices of another namespace and slices without
/// addresses do not count.
pub fn resolve(
    service: &Service,
    port: u16,
    slices: &[&Arc<EndpointSlice>],
    addresses: BackendAddresses,
) -> EndpointSet {
    let Some(service_port) = service.spec.port(port) else { return EndpointSet::default() };
    let primary_is_v6 = service.spec.ip_families.first().is_some_and(|family| &**family == "IPv6");
    let mut slices: Vec<&EndpointSlice> = slices
        .iter()
        .map(|slice| &***slice)
        .filter(|slice| slice.metadata.namespace() == service.metadata.namespace())
        .collect();
    slices.sort_by_key(|slice| {
        let is_v6 = slice.address_type == EndpointAddressType::Ipv6;
        (is_v6 != primary_is_v6, Arc::clone(&slice.metadata.name))
    });
    let mut found: BTreeMap<SocketAddr, Endpoint> = BTreeMap::new();
    let mut pods: BTreeSet<Arc<str>> = BTreeSet::new();
    for slice in slices {
        let Some(number) = slice_port(slice, service_port) else { continue };
        let mut here: Vec<Arc<str>> = Vec::new();
        for endpoint in &slice.endpoints {
            let Some(lowered) = lower(service, slice, endpoint, number, addresses) else {
                continue;
            };
            let uid = endpoint.target_ref.as_ref().and_then(|target| target.uid.clone());
            if uid.as_ref().is_some_and(|uid| pods.contains(uid)) {
                continue;
            }
            here.extend(uid);
            let better = found.get(&lowered.address).is_none_or(|old| lowered.state < old.state);
            if better {
                found.insert(lowered.address, lowered);
            }
        }
        pods.extend(here);
    }
    EndpointSet { endpoints: found.into_values().map(Arc::new).collect() }
}

/// The number that the endpoints of a slice listen on for a port of the Service.
fn slice_port(slice: &EndpointSlice, port: &ServicePort) -> Option<u16> {
    let own = slice
        .ports
        .iter()
        .find(|own| own.name() == port.name() && own.protocol() == port.protocol())?;
    let number = own.port.unwrap_or(match &port.target_port {
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(_)) | None => port.port,
    });
    (number > 0).then_some(number)
}

fn lower(
    service: &Service,
    slice: &EndpointSlice,
    endpoint: &api::Endpoint,
    port: u16,
    addresses: BackendAddresses,
) -> Option<Endpoint> {
    let text = endpoint.addresses.first()?;
    let ip: IpAddr = text.parse().ok()?;
    let fits = match &slice.address_type {
        EndpointAddressType::Ipv4 => ip.is_ipv4(),
        EndpointAddressType::Ipv6 => ip.is_ipv6(),
        EndpointAddressType::Fqdn | EndpointAddressType::Other(_) => false,
    };
    let allowed = match addresses {
        BackendAddresses::Anywhere => !ip.is_unspecified(),
        BackendAddresses::Restricted => is_routable(ip),
    };
    let publish = service.spec.publish_not_ready_addresses.unwrap_or_default();
    let state = if endpoint.is_ready() || publish {
        EndpointState::Ready
    } else if endpoint.is_terminating() && endpoint.is_serving() {
        EndpointState::Draining
    } else {
        return None;
    };
    let uid = endpoint.target_ref.as_ref().and_then(|target| target.uid.clone());
    (fits && allowed).then(|| Endpoint {
        address: SocketAddr::new(ip, port),
        identity: uid.unwrap_or_else(|| format!("{}/{text}", slice.metadata.name).into()),
        zone: endpoint.zone.clone(),
        for_zones: Vec::new(),
        state,
    })
}

/// Not loopback, link-local, unspecified, multicast or broadcast: those are the proxy's own.
pub fn is_routable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            !(ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_broadcast()
                || ip.octets().first() == Some(&0))
        }
        IpAddr::V6(ip) => match ip.to_ipv4() {
            Some(inner) => is_routable(IpAddr::V4(inner)),
            None => {
                !(ip.is_loopback()
                    || ip.is_unspecified()
                    || ip.is_multicast()
                    || ip.is_unicast_link_local())
            }
        },
    }
}
