//! `--demo`: stand-ins for what the files refer to and do not hold, so that they can be tried.
//!
//! Nothing is made for a name that is probably misspelt, and nothing ever without the flag. The
//! caller starts the backends, makes the certificates, and prints every stand-in.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use api::{
    AllowedRoutes, BackendObjectReference, ConfigMap, EndpointSlice, FromNamespaces, GATEWAY_GROUP,
    Gateway, GatewayClass, GatewayClassSpec, GatewaySpec, HttpRouteFilter, Listener,
    ListenerTlsConfig, Namespace, Object, ObjectMeta, ObjectName, ParentReference, Resource as _,
    Route, RouteNamespaces, Secret, SecretData, SecretObjectReference, Service, ServiceType, near,
};
use translate::{ObjectRef, Snapshot};

use crate::backend::{self, PlainEndpoint};

/// The class of Gateways that are made up.
const CLASS: &str = "portcullis";

/// Something that is made up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StandIn {
    pub object: ObjectRef,
    /// What was made, such as `a Gateway with a listener on port 80`.
    pub what: String,
    /// Why, such as `HTTPRoute default/shop names it`.
    pub why: String,
}

/// A backend that the caller has to start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DemoBackend {
    pub service: ObjectName,
    pub port: u16,
}

/// A certificate that the caller has to make.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DemoCertificate {
    pub secret: ObjectName,
    /// The names it must be good for, sorted; never empty.
    pub hostnames: Vec<Arc<str>>,
}

/// A certificate chain and its key, both as PEM.
#[derive(Clone)]
pub struct DemoKeyPair {
    pub certificate: String,
    pub key: String,
}

/// Everything that has to be made up for a snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DemoPlan {
    pub stand_ins: Vec<StandIn>,
    pub backends: Vec<DemoBackend>,
    pub certificates: Vec<DemoCertificate>,
    /// Stand-ins that need nothing from the caller.
    pub objects: Vec<Object>,
}

/// What must be made up so that the routes of `snapshot` can be tried.
///
/// `slices` are the endpoints that are known. `controller_name` is that of our GatewayClass.
pub fn plan(snapshot: &Snapshot, slices: &[Arc<EndpointSlice>], controller_name: &str) -> DemoPlan {
    let mut planner = Planner { snapshot, controller_name, plan: DemoPlan::default() };
    planner.gateways();
    planner.classes();
    planner.backends(slices);
    planner.certificates();
    planner.parameters();
    planner.plan.stand_ins.sort();
    planner.plan
}

impl DemoPlan {
    /// Adds the stand-ins to a snapshot, and the endpoints of the backends to `slices`.
    ///
    /// A backend or certificate that the caller could not make is left out.
    pub fn apply(
        &self,
        snapshot: &mut Snapshot,
        slices: &mut Vec<Arc<EndpointSlice>>,
        addresses: &BTreeMap<DemoBackend, SocketAddr>,
        certificates: &BTreeMap<ObjectName, DemoKeyPair>,
    ) {
        for object in &self.objects {
            snapshot.insert(object, &[]);
        }
        for certificate in &self.certificates {
            if let Some(pair) = certificates.get(&certificate.secret) {
                snapshot.insert(&secret(&certificate.secret, pair), &[]);
            }
        }
        let mut wanted: BTreeMap<&ObjectName, Vec<(u16, SocketAddr)>> = BTreeMap::new();
        for one in &self.backends {
            if let Some(address) = addresses.get(one) {
                wanted.entry(&one.service).or_default().push((one.port, *address));
            }
        }
        for (name, ports) in wanted {
            if !snapshot.services.contains_key(name) {
                let numbers: Vec<u16> = ports.iter().map(|(port, _)| *port).collect();
                let service = backend::stand_in_service(name, &numbers);
                snapshot.insert(&Object::Service(Arc::new(service)), &[]);
            }
            let Some(service) = snapshot.services.get(name) else { continue };
            let endpoints: Vec<PlainEndpoint> = ports
                .iter()
                .map(|(port, address)| PlainEndpoint {
                    port: Some(port.to_string()),
                    address: *address,
                })
                .collect();
            // Fails only for a port that the Service does not have, and those were not planned.
            slices.extend(backend::slices(service, &endpoints).unwrap_or_default());
        }
    }
}

struct Planner<'s> {
    snapshot: &'s Snapshot,
    controller_name: &'s str,
    plan: DemoPlan,
}

/// What the routes that name a missing Gateway ask of it.
#[derive(Default)]
struct Wanted {
    /// Section names and ports, as the parent references give them.
    sections: BTreeSet<(Option<Arc<str>>, Option<u16>)>,
    hostnames: BTreeSet<Arc<str>>,
    why: String,
}

impl Planner<'_> {
    fn stand_in(&mut self, object: ObjectRef, what: impl Into<String>, why: impl Into<String>) {
        self.plan.stand_ins.push(StandIn { object, what: what.into(), why: why.into() });
    }

    /// Gateways that HTTP and gRPC routes name, where none has nearly that name.
    fn gateways(&mut self) {
        let mut wanted: BTreeMap<ObjectName, Wanted> = BTreeMap::new();
        for route in self.snapshot.http_routes.values() {
            self.parents(&**route, &mut wanted);
        }
        for route in self.snapshot.grpc_routes.values() {
            self.parents(&**route, &mut wanted);
        }
        let gateways = self.snapshot.gateways.values();
        let mut used: BTreeSet<u16> =
            gateways.flat_map(|one| &one.spec.listeners).map(|listener| listener.port).collect();
        let class = self.class();
        for (name, wanted) in wanted {
            let listeners = listeners(&name, &wanted, &mut used);
            let ports: Vec<String> = listeners.iter().map(|one| one.port.to_string()).collect();
            let what = match ports.as_slice() {
                [one] => format!("a Gateway with a listener on port {one}"),
                several => format!("a Gateway with listeners on ports {}", several.join(", ")),
            };
            let object = ObjectRef::new(GATEWAY_GROUP, Gateway::KIND, &name.namespace, &name.name);
            self.stand_in(object, what, wanted.why);
            let gateway = Gateway {
                metadata: ObjectMeta { generation: Some(1), ..metadata(&name) },
                spec: GatewaySpec {
                    gateway_class_name: Arc::clone(&class),
                    listeners,
                    ..GatewaySpec::default()
                },
                status: None,
            };
            self.plan.objects.push(gateway.into());
            if !self.snapshot.namespaces.contains_key(&ObjectName::new("", &*name.namespace)) {
                let cluster = ObjectName::new("", Arc::clone(&name.namespace));
                let mut metadata = metadata(&cluster);
                metadata.labels.insert("kubernetes.io/metadata.name".into(), name.namespace);
                self.plan.objects.push(Namespace { metadata }.into());
            }
        }
    }

    fn parents<R: Route>(&self, route: &R, wanted: &mut BTreeMap<ObjectName, Wanted>) {
        for parent in route.parent_refs() {
            let Some(name) = self.missing_gateway(parent, route.meta().namespace()) else {
                continue;
            };
            let wanted = wanted.entry(name).or_default();
            wanted.sections.insert((parent.section_name.clone(), parent.port));
            wanted.hostnames.extend(route.hostnames().iter().cloned());
            if wanted.why.is_empty() {
                wanted.why = format!("{} {} names it", R::KIND, route.meta().object_name());
            }
        }
    }

    /// The Gateway that a reference means, if there is none and no other is probably meant.
    fn missing_gateway(&self, parent: &ParentReference, local: &str) -> Option<ObjectName> {
        if parent.group() != GATEWAY_GROUP || parent.kind() != Gateway::KIND {
            return None;
        }
        let name = parent.object_name(local);
        let meant = self.snapshot.gateways.keys().any(|other| {
            let same_namespace = other.namespace == name.namespace;
            *other == name
                || (same_namespace && is_slip(&other.name, &name.name))
                || (!same_namespace && other.name == name.name)
        });
        (!meant).then_some(name)
    }

    /// A class of ours that exists, or the one that will be made.
    fn class(&self) -> Arc<str> {
        let ours =
            |class: &&Arc<GatewayClass>| &*class.spec.controller_name == self.controller_name;
        let existing = self.snapshot.gateway_classes.values().find(ours);
        existing.map_or_else(|| CLASS.into(), |class| Arc::clone(&class.metadata.name))
    }

    /// Classes that Gateways name, where none has nearly that name.
    fn classes(&mut self) {
        let mut wanted: BTreeMap<Arc<str>, String> = BTreeMap::new();
        let made: Vec<Arc<Gateway>> = self.plan.objects.iter().filter_map(as_gateway).collect();
        for gateway in self.snapshot.gateways.values().chain(&made) {
            let class = &gateway.spec.gateway_class_name;
            let classes = &self.snapshot.gateway_classes;
            let known = classes.keys().any(|known| is_slip(&known.name, class));
            if !class.is_empty() && !known {
                let why = || format!("Gateway {} names it", gateway.metadata.object_name());
                wanted.entry(Arc::clone(class)).or_insert_with(why);
            }
        }
        for (name, why) in wanted {
            let object = ObjectRef::new(GATEWAY_GROUP, GatewayClass::KIND, "", &name);
            self.stand_in(object, "a GatewayClass of this controller", why);
            let name = ObjectName::new("", name);
            let class = GatewayClass {
                metadata: ObjectMeta { generation: Some(1), ..metadata(&name) },
                spec: GatewayClassSpec {
                    controller_name: self.controller_name.into(),
                    ..GatewayClassSpec::default()
                },
                status: None,
            };
            self.plan.objects.push(class.into());
        }
    }

    /// Services that routes send or mirror requests to, and that have no endpoint.
    fn backends(&mut self, slices: &[Arc<EndpointSlice>]) {
        let with_endpoints: BTreeSet<ObjectName> = slices
            .iter()
            .filter_map(|slice| {
                let namespace = slice.metadata.namespace.clone().unwrap_or_default();
                Some(ObjectName::new(namespace, slice.service_name()?))
            })
            .collect();
        let mut wanted: BTreeMap<DemoBackend, String> = BTreeMap::new();
        for (route, local, reference) in self.backend_refs() {
            let Some(port) = reference.port else { continue };
            if !reference.group().is_empty() || reference.kind() != Service::KIND {
                continue;
            }
            let name = reference.object_name(&local);
            if with_endpoints.contains(&name) {
                continue;
            }
            let lacking = self.snapshot.services.get(&name).is_none_or(|service| {
                let external = service.spec.r#type() == ServiceType::ExternalName;
                !external && service.spec.port(port).is_some()
            });
            if lacking {
                let why = format!("{route} sends requests to it");
                wanted.entry(DemoBackend { service: name, port }).or_insert(why);
            }
        }
        for (backend, why) in wanted {
            let name = &backend.service;
            let object = ObjectRef::new("", Service::KIND, &name.namespace, &name.name);
            let missing = if self.snapshot.services.contains_key(name) {
                "an echo backend, because the Service has no endpoint,"
            } else {
                "a Service with an echo backend"
            };
            self.stand_in(object, format!("{missing} on port {}", backend.port), why);
            self.plan.backends.push(backend);
        }
    }

    /// Every reference to a backend, with its route and the route's namespace.
    fn backend_refs(&self) -> Vec<(String, Arc<str>, BackendObjectReference)> {
        let mut found = Vec::new();
        for (name, route) in &self.snapshot.http_routes {
            let mut add = |reference: &BackendObjectReference| {
                let route = format!("HTTPRoute {name}");
                found.push((route, Arc::clone(&name.namespace), reference.clone()));
            };
            for rule in &route.spec.rules {
                mirrors(&rule.filters).for_each(&mut add);
                for backend in &rule.backend_refs {
                    add(&backend.backend.object);
                    mirrors(&backend.filters).for_each(&mut add);
                }
            }
        }
        for (name, route) in &self.snapshot.grpc_routes {
            for rule in &route.spec.rules {
                let filters = rule.filters.iter().filter_map(|one| one.request_mirror.as_ref());
                let backends = rule.backend_refs.iter().map(|one| &one.backend.object);
                for reference in backends.chain(filters.map(|mirror| &mirror.backend_ref)) {
                    let route = format!("GRPCRoute {name}");
                    found.push((route, Arc::clone(&name.namespace), reference.clone()));
                }
            }
        }
        found
    }

    /// Secrets that listeners take their certificates from.
    fn certificates(&mut self) {
        let mut wanted: BTreeMap<ObjectName, (BTreeSet<Arc<str>>, String)> = BTreeMap::new();
        let made: Vec<Arc<Gateway>> = self.plan.objects.iter().filter_map(as_gateway).collect();
        for gateway in self.snapshot.gateways.values().chain(&made) {
            let why = format!("Gateway {} names it", gateway.metadata.object_name());
            self.secrets(gateway.metadata.namespace(), &gateway.spec.listeners, &why, &mut wanted);
        }
        for set in self.snapshot.listener_sets.values() {
            let why = format!("ListenerSet {} names it", set.metadata.object_name());
            self.secrets(set.metadata.namespace(), &set.spec.listeners, &why, &mut wanted);
        }
        for (secret, (hostnames, why)) in wanted {
            let object = ObjectRef::new("", Secret::KIND, &secret.namespace, &secret.name);
            let hostnames: Vec<Arc<str>> = hostnames.into_iter().collect();
            let what = format!("a self-signed certificate for {}", hostnames.join(", "));
            self.stand_in(object, what, why);
            self.plan.certificates.push(DemoCertificate { secret, hostnames });
        }
    }

    /// ConfigMaps that classes and Gateways take parameters from: empty ones, so that every
    /// parameter has its default.
    fn parameters(&mut self) {
        let mut wanted: BTreeMap<ObjectName, String> = BTreeMap::new();
        for (name, class) in &self.snapshot.gateway_classes {
            if let Some(one) = &class.spec.parameters_ref
                && (&*one.group, &*one.kind) == ("", ConfigMap::KIND)
                && let Some(namespace) = &one.namespace
            {
                let why = format!("GatewayClass {} names it", name.name);
                wanted.insert(ObjectName::new(Arc::clone(namespace), Arc::clone(&one.name)), why);
            }
        }
        for (name, gateway) in &self.snapshot.gateways {
            let infrastructure = gateway.spec.infrastructure.as_ref();
            if let Some(one) = infrastructure.and_then(|found| found.parameters_ref.as_ref())
                && (&*one.group, &*one.kind) == ("", ConfigMap::KIND)
            {
                let local = ObjectName::new(Arc::clone(&name.namespace), Arc::clone(&one.name));
                wanted.insert(local, format!("Gateway {name} names it"));
            }
        }
        for (name, why) in wanted {
            let known = self.snapshot.config_maps.keys();
            let mut near = known.filter(|other| other.namespace == name.namespace);
            if near.any(|other| is_slip(&other.name, &name.name)) {
                continue;
            }
            let object = ObjectRef::new("", ConfigMap::KIND, &name.namespace, &name.name);
            self.stand_in(
                object,
                "an empty ConfigMap, so that every parameter has its default",
                why,
            );
            let config_map = ConfigMap { metadata: metadata(&name), ..ConfigMap::default() };
            self.plan.objects.push(config_map.into());
        }
    }

    fn secrets(
        &self,
        namespace: &str,
        listeners: &[Listener],
        why: &str,
        wanted: &mut BTreeMap<ObjectName, (BTreeSet<Arc<str>>, String)>,
    ) {
        for listener in listeners {
            let references = listener.tls.iter().flat_map(|tls| &tls.certificate_refs);
            for reference in references {
                let name = reference.object_name(namespace);
                let secret = reference.group().is_empty() && reference.kind() == Secret::KIND;
                if !secret || self.snapshot.secrets.contains_key(&name) {
                    continue;
                }
                let why = || (BTreeSet::new(), why.to_owned());
                let (hostnames, _) = wanted.entry(name).or_insert_with(why);
                match listener.hostname() {
                    Some(hostname) => {
                        hostnames.insert(hostname.into());
                    }
                    None => hostnames.extend(self.route_hostnames()),
                }
                hostnames.insert("localhost".into());
            }
        }
    }

    fn route_hostnames(&self) -> BTreeSet<Arc<str>> {
        let http = self.snapshot.http_routes.values().flat_map(|route| &route.spec.hostnames);
        let grpc = self.snapshot.grpc_routes.values().flat_map(|route| &route.spec.hostnames);
        http.chain(grpc).cloned().collect()
    }
}

fn as_gateway(object: &Object) -> Option<Arc<Gateway>> {
    if let Object::Gateway(gateway) = object { Some(Arc::clone(gateway)) } else { None }
}

fn mirrors(filters: &[HttpRouteFilter]) -> impl Iterator<Item = &BackendObjectReference> {
    filters.iter().filter_map(|filter| filter.request_mirror.as_ref()).map(|one| &one.backend_ref)
}

fn metadata(name: &ObjectName) -> ObjectMeta {
    let namespace = Some(Arc::clone(&name.namespace)).filter(|namespace| !namespace.is_empty());
    ObjectMeta { name: Arc::clone(&name.name), namespace, ..ObjectMeta::default() }
}

/// The listeners that the routes of a missing Gateway ask for, each on a port of its own.
fn listeners(gateway: &ObjectName, wanted: &Wanted, used: &mut BTreeSet<u16>) -> Vec<Listener> {
    let mut listeners: Vec<Listener> = Vec::new();
    let named: Vec<_> = wanted.sections.iter().filter(|(name, _)| name.is_some()).collect();
    for (section, port) in &wanted.sections {
        let covered = section.is_none()
            && (port.is_none() && !named.is_empty()
                || named.iter().any(|(_, named)| named.is_some() && named == port));
        if covered || section.as_ref().is_some_and(|s| listeners.iter().any(|l| l.name == *s)) {
            continue;
        }
        let https = *port == Some(443)
            || section.as_ref().is_some_and(|name| name.contains("https") || name.contains("tls"));
        let port = port.or_else(|| free_port(if https { 443 } else { 80 }, used));
        let Some(port) = port else { continue };
        used.insert(port);
        let name = section.clone().unwrap_or_else(|| format!("port-{port}").into());
        let reference = SecretObjectReference {
            name: format!("{}-demo-certificate", gateway.name).into(),
            ..SecretObjectReference::default()
        };
        let tls =
            ListenerTlsConfig { certificate_refs: vec![reference], ..ListenerTlsConfig::default() };
        let namespaces =
            RouteNamespaces { from: Some(FromNamespaces::All), ..RouteNamespaces::default() };
        listeners.push(Listener {
            name,
            port,
            protocol: if https { "HTTPS" } else { "HTTP" }.into(),
            tls: https.then_some(tls),
            allowed_routes: Some(AllowedRoutes {
                namespaces: Some(namespaces),
                ..AllowedRoutes::default()
            }),
            ..Listener::default()
        });
    }
    listeners
}

/// The well-known port, or one like it that no listener has.
fn free_port(first: u16, used: &BTreeSet<u16>) -> Option<u16> {
    let base = first.saturating_add(8000);
    std::iter::once(first).chain(base..=u16::MAX).find(|port| !used.contains(port))
}

fn secret(name: &ObjectName, pair: &DemoKeyPair) -> Object {
    let data = [("tls.crt", &pair.certificate), ("tls.key", &pair.key)];
    let data = data.map(|(key, pem)| (key.into(), SecretData::new(pem.as_bytes())));
    Secret {
        metadata: metadata(name),
        r#type: Some("kubernetes.io/tls".into()),
        data: data.into_iter().collect(),
        ..Secret::default()
    }
    .into()
}

/// Whether two names are equal or differ by a slip: one edit, two in long names.
fn is_slip(a: &str, b: &str) -> bool {
    let limit = if a.len().min(b.len()) < 6 { 1 } else { 2 };
    a == b || (a.len().min(b.len()) > 2 && near::distance(a, b).is_some_and(|edits| edits <= limit))
}
