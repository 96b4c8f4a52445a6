//! Endpoints, straight from Services, XBackends, EndpointSlices and the answers of DNS: they change
//! far more often than routes and never pass through translation.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use api::{
    EndpointAddressType, EndpointSlice, HintName, IntOrString, ObjectMeta, ObjectName,
    OwnerReference, Resource as _, Service, ServicePort, ServiceSpec, XBackend, XBackendType,
};
use ir::{
    Action, Endpoint, EndpointMap, EndpointSet, EndpointState, EndpointsKey, Filter, IrSet, Target,
};

use crate::settings::BackendAddresses;
use crate::snapshot::Snapshot;

/// The endpoints that the clusters of `set` need.
pub fn wanted(set: &IrSet) -> BTreeSet<EndpointsKey> {
    let mut keys = BTreeSet::new();
    let mut add = |target: &Target| match target {
        Target::Cluster(cluster) => {
            keys.insert(cluster.endpoints_key());
        }
        Target::Fail(_) => {}
    };
    for listener in set.listeners.values() {
        asked(&listener.filters, &mut add);
    }
    for rule in set.http_routes.values().flat_map(|route| &route.rules) {
        asked(&rule.filters, &mut add);
        if let Action::Forward(backends) = &rule.action {
            for backend in backends {
                add(&backend.target);
                asked(&backend.filters, &mut add);
            }
        }
    }
    for backend in set.l4_routes.values().flat_map(|route| &route.backends) {
        add(&backend.target);
    }
    keys
}

/// The targets that filters name.
fn asked(filters: &[Filter], add: &mut impl FnMut(&Target)) {
    for filter in filters {
        match filter {
            Filter::Mirror(mirror) => add(&mirror.target),
            Filter::ExternalAuth(auth) => add(&auth.target),
            Filter::Cors(_)
            | Filter::RequestHeaders(_)
            | Filter::ResponseHeaders(_)
            | Filter::Rewrite(_) => {}
        }
    }
}

/// What was found for host names: facts, like the answers of a data plane.
pub type Names = BTreeMap<Arc<str>, Vec<IpAddr>>;

/// The host names whose addresses [`endpoint_map`] needs: those of XBackends in use.
pub fn names(set: &IrSet, snapshot: &Snapshot) -> BTreeSet<Arc<str>> {
    let wanted = wanted(set);
    let backends = wanted.iter().filter_map(|key| x_backend(snapshot, key));
    backends.filter_map(|backend| external_name(backend)).collect()
}

fn x_backend<'s>(snapshot: &'s Snapshot, key: &EndpointsKey) -> Option<&'s Arc<XBackend>> {
    let is_one = (&*key.backend.group, &*key.backend.kind) == (XBackend::GROUP, XBackend::KIND);
    snapshot.x_backends.get(&object_name(key)).filter(|_| is_one)
}

fn external_name(backend: &XBackend) -> Option<Arc<str>> {
    match &backend.spec.r#type {
        XBackendType::ExternalHostname => {
            let external = backend.spec.external_hostname.as_ref()?;
            Some(external.hostname.to_ascii_lowercase().into())
        }
        XBackendType::EndpointSelector | XBackendType::Other(_) => None,
    }
}

fn object_name(key: &EndpointsKey) -> ObjectName {
    ObjectName::new(Arc::clone(&key.backend.namespace), Arc::clone(&key.backend.name))
}

/// The endpoints of every cluster of `set`. A backend that is gone has an empty set of endpoints.
/// `slices` may be those of all Services, in any order; `names` is what was found for [`names`].
pub fn endpoint_map(
    set: &IrSet,
    snapshot: &Snapshot,
    slices: &[Arc<EndpointSlice>],
    names: &Names,
    addresses: BackendAddresses,
) -> EndpointMap {
    let slices = Slices::new(snapshot, slices);
    let endpoints = |key: &EndpointsKey| {
        if let Some(backend) = x_backend(snapshot, key) {
            return Some(match external_name(backend) {
                Some(name) => resolved(&name, key.port, names, addresses),
                None => resolve_selected(backend, slices.of_x_backend(key), addresses),
            });
        }
        let service = snapshot.services.get(&object_name(key))?;
        Some(resolve(service, key.port, slices.of_service(key), addresses))
    };
    wanted(set)
        .into_iter()
        .map(|key| {
            let set = endpoints(&key).unwrap_or_default();
            (key, Arc::new(set))
        })
        .collect()
}

/// The address of a Service itself instead of those of its `pods`, so that whoever stands in
/// between (kube-proxy, a mesh) chooses the pod. `None` when the Service has no address, or no pods
/// to choose from.
pub fn through_service(service: &Service, port: u16, pods: &EndpointSet) -> Option<EndpointSet> {
    let spec = &service.spec;
    spec.port(port)?;
    if spec.is_headless() || pods.endpoints.is_empty() {
        return None;
    }
    let ip: IpAddr = spec.cluster_ip.as_deref()?.parse().ok()?;
    let name = format!("{}/{}", service.metadata.namespace(), service.metadata.name);
    let endpoint = Endpoint {
        address: SocketAddr::new(ip, port),
        identity: service.metadata.uid.clone().unwrap_or_else(|| name.into()),
        zone: None,
        for_zones: Vec::new(),
        for_nodes: Vec::new(),
        state: EndpointState::Ready,
    };
    Some(EndpointSet { endpoints: vec![Arc::new(endpoint)] })
}

/// EndpointSlices by the backend whose they are, each by namespace and name.
#[derive(Default)]
struct Slices<'a> {
    by_service: BTreeMap<(&'a str, &'a str), Vec<&'a Arc<EndpointSlice>>>,
    by_x_backend: BTreeMap<(&'a str, &'a str), Vec<&'a Arc<EndpointSlice>>>,
}

impl<'a> Slices<'a> {
    /// A slice is an XBackend's when the XBackend owns it, or owns the Service whose slice it is.
    fn new(snapshot: &'a Snapshot, slices: &'a [Arc<EndpointSlice>]) -> Self {
        let mut hidden: BTreeMap<(&str, &str), &str> = BTreeMap::new();
        for (name, service) in &snapshot.services {
            if let Some(owner) = owner(&service.metadata, snapshot) {
                hidden.insert((&*name.namespace, &*name.name), owner);
            }
        }
        let mut all = Self::default();
        for slice in slices {
            let namespace = slice.metadata.namespace();
            let service = slice.service_name();
            let owner = owner(&slice.metadata, snapshot)
                .or_else(|| hidden.get(&(namespace, service?)).copied());
            if let Some(owner) = owner {
                all.by_x_backend.entry((namespace, owner)).or_default().push(slice);
            } else if let Some(service) = service {
                all.by_service.entry((namespace, service)).or_default().push(slice);
            }
        }
        all
    }

    fn of_service<'k>(&'k self, key: &'k EndpointsKey) -> &'k [&'a Arc<EndpointSlice>] {
        let name = (&*key.backend.namespace, &*key.backend.name);
        self.by_service.get(&name).map_or(&[], Vec::as_slice)
    }

    fn of_x_backend<'k>(&'k self, key: &'k EndpointsKey) -> &'k [&'a Arc<EndpointSlice>] {
        let name = (&*key.backend.namespace, &*key.backend.name);
        self.by_x_backend.get(&name).map_or(&[], Vec::as_slice)
    }
}

/// The XBackend that owns an object. One that was made again under the same name is another one.
fn owner<'a>(meta: &'a ObjectMeta, snapshot: &Snapshot) -> Option<&'a str> {
    let mut references = meta.owner_references.iter();
    let reference = references.find(|owner| {
        let group = owner.api_version.split_once('/').map(|(group, _)| group);
        &*owner.kind == XBackend::KIND && group == Some(XBackend::GROUP)
    })?;
    let name = ObjectName::new(meta.namespace(), Arc::clone(&reference.name));
    let backend = snapshot.x_backends.get(&name)?;
    let other = backend
        .metadata
        .uid
        .as_ref()
        .is_some_and(|uid| !reference.uid.is_empty() && *uid != reference.uid);
    (!other).then_some(&*reference.name)
}

/// The headless Service by which a cluster finds the pods of an XBackend (GEP-4894): to be made
/// beside it under a name of the maker's, and owned by it. `None` for one that selects no pods.
pub fn selector_service(backend: &XBackend) -> Option<Service> {
    let selector = backend.spec.endpoint_selector.as_ref()?;
    let is_one = backend.spec.r#type == XBackendType::EndpointSelector;
    let number = backend.spec.port.number;
    let owner = OwnerReference {
        api_version: format!("{}/{}", XBackend::GROUP, XBackend::VERSION).into(),
        kind: XBackend::KIND.into(),
        name: Arc::clone(&backend.metadata.name),
        uid: backend.metadata.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: None,
    };
    let metadata = ObjectMeta {
        namespace: backend.metadata.namespace.clone(),
        owner_references: vec![owner],
        ..ObjectMeta::default()
    };
    let spec = ServiceSpec {
        cluster_ip: Some("None".into()),
        selector: selector.match_labels.clone(),
        ports: vec![ServicePort {
            port: number,
            target_port: Some(IntOrString::Int(number)),
            ..ServicePort::default()
        }],
        ..ServiceSpec::default()
    };
    is_one.then_some(Service { metadata, spec })
}

/// Endpoints at the addresses of a name. A name is trusted no further than an EndpointSlice is.
fn resolved(name: &str, port: u16, names: &Names, addresses: BackendAddresses) -> EndpointSet {
    let found = names.get(name).into_iter().flatten().copied();
    let found: BTreeSet<IpAddr> = found.filter(|ip| is_allowed(*ip, addresses)).collect();
    let endpoint = |ip: IpAddr| Endpoint {
        address: SocketAddr::new(ip, port),
        identity: format!("{name}/{ip}").into(),
        zone: None,
        for_zones: Vec::new(),
        for_nodes: Vec::new(),
        state: EndpointState::Ready,
    };
    EndpointSet { endpoints: found.into_iter().map(endpoint).map(Arc::new).collect() }
}

fn resolve_selected(
    backend: &XBackend,
    slices: &[&Arc<EndpointSlice>],
    addresses: BackendAddresses,
) -> EndpointSet {
    let port = ServicePort { port: backend.spec.port.number, ..ServicePort::default() };
    let view = View {
        namespace: backend.metadata.namespace(),
        primary_is_v6: false,
        publish_not_ready: false,
        port: &port,
        addresses,
    };
    view.resolve(slices)
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
    let Some(port) = service.spec.port(port) else { return EndpointSet::default() };
    let view = View {
        namespace: service.metadata.namespace(),
        primary_is_v6: service.spec.ip_families.first().is_some_and(|family| &**family == "IPv6"),
        publish_not_ready: service.spec.publish_not_ready_addresses.unwrap_or_default(),
        port,
        addresses,
    };
    view.resolve(slices)
}

/// How slices are looked at for one port of a backend.
struct View<'a> {
    namespace: &'a str,
    primary_is_v6: bool,
    publish_not_ready: bool,
    port: &'a ServicePort,
    addresses: BackendAddresses,
}

impl View<'_> {
    fn resolve(&self, slices: &[&Arc<EndpointSlice>]) -> EndpointSet {
        let mut slices: Vec<&EndpointSlice> = slices
            .iter()
            .map(|slice| &***slice)
            .filter(|slice| slice.metadata.namespace() == self.namespace)
            .collect();
        slices.sort_by_key(|slice| {
            let is_v6 = slice.address_type == EndpointAddressType::Ipv6;
            (is_v6 != self.primary_is_v6, Arc::clone(&slice.metadata.name))
        });
        let mut found: BTreeMap<SocketAddr, Endpoint> = BTreeMap::new();
        let mut pods: BTreeSet<Arc<str>> = BTreeSet::new();
        for slice in slices {
            let Some(number) = slice_port(slice, self.port) else { continue };
            let mut here: Vec<Arc<str>> = Vec::new();
            for endpoint in &slice.endpoints {
                let Some(lowered) = self.lower(slice, endpoint, number) else { continue };
                let uid = endpoint.target_ref.as_ref().and_then(|target| target.uid.clone());
                if uid.as_ref().is_some_and(|uid| pods.contains(uid)) {
                    continue;
                }
                here.extend(uid);
                let better =
                    found.get(&lowered.address).is_none_or(|old| lowered.state < old.state);
                if better {
                    found.insert(lowered.address, lowered);
                }
            }
            pods.extend(here);
        }
        EndpointSet { endpoints: found.into_values().map(Arc::new).collect() }
    }

    fn lower(
        &self,
        slice: &EndpointSlice,
        endpoint: &api::Endpoint,
        port: u16,
    ) -> Option<Endpoint> {
        let text = endpoint.addresses.first()?;
        let ip: IpAddr = text.parse().ok()?;
        let fits = match &slice.address_type {
            EndpointAddressType::Ipv4 => ip.is_ipv4(),
            EndpointAddressType::Ipv6 => ip.is_ipv6(),
            EndpointAddressType::Fqdn | EndpointAddressType::Other(_) => false,
        };
        let state = if endpoint.is_ready() || self.publish_not_ready {
            EndpointState::Ready
        } else if endpoint.is_terminating() && endpoint.is_serving() {
            EndpointState::Draining
        } else {
            return None;
        };
        let uid = endpoint.target_ref.as_ref().and_then(|target| target.uid.clone());
        let hints = endpoint.hints.as_ref();
        let names = |list: &[HintName]| list.iter().map(|hint| Arc::clone(&hint.name)).collect();
        (fits && is_allowed(ip, self.addresses)).then(|| Endpoint {
            address: SocketAddr::new(ip, port),
            identity: uid.unwrap_or_else(|| format!("{}/{text}", slice.metadata.name).into()),
            zone: endpoint.zone.clone(),
            for_zones: hints.map_or_else(Vec::new, |hints| names(&hints.for_zones)),
            for_nodes: hints.map_or_else(Vec::new, |hints| names(&hints.for_nodes)),
            state,
        })
    }
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

/// Whether an address may be a backend.
fn is_allowed(ip: IpAddr, addresses: BackendAddresses) -> bool {
    match addresses {
        BackendAddresses::Anywhere => !ip.is_unspecified(),
        BackendAddresses::Restricted => is_routable(ip),
    }
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
