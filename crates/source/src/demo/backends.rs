//! Backends that routes send traffic to and that have no endpoint.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{
    BackendObjectReference, EndpointSlice, Gateway, HttpRouteFilter, L4RouteRule, Listener,
    ListenerSet, ObjectName, ParentReference, Resource as _, Route, Service, ServiceType, TlsMode,
    XBackend, XBackendType,
};
use translate::ObjectRef;

use super::{DemoBackend, DemoOwner, Planner, Speaks};

/// Endpoints of a backend that keeps sessions.
const SESSION_ENDPOINTS: u8 = 3;

/// A reference to a backend, and what a route wants there.
struct Wanted {
    /// The route, in words.
    route: String,
    /// The route's namespace.
    local: Arc<str>,
    reference: BackendObjectReference,
    speaks: Speaks,
    sessions: bool,
}

/// What is known of a backend so far.
struct Found {
    speaks: Speaks,
    sessions: bool,
    why: String,
}

impl Planner<'_> {
    /// Services and XBackends that routes send or mirror traffic to, and that have no endpoint.
    pub(super) fn backends(&mut self, slices: &[Arc<EndpointSlice>]) {
        let known = owners(slices);
        let mut found: BTreeMap<(DemoOwner, u16), Found> = BTreeMap::new();
        for wanted in self.wanted() {
            let Some((owner, port)) = self.lacking(&wanted) else { continue };
            if known.contains(&owner) {
                continue;
            }
            let speaks = self.spoken(&owner, port, wanted.speaks);
            let sessions = wanted.sessions || self.has_sessions(&owner);
            let why = format!("{} sends {} to it", wanted.route, traffic(&speaks));
            let entry = found.entry((owner, port)).or_insert_with(|| Found {
                speaks: speaks.clone(),
                sessions,
                why,
            });
            entry.sessions |= sessions;
            merge(&mut entry.speaks, speaks);
        }
        for ((owner, port), Found { speaks, sessions, why }) in found {
            let endpoints = if sessions { SESSION_ENDPOINTS } else { 1 };
            let backend = DemoBackend { owner, port, speaks, endpoints };
            let (object, what) = self.in_words(&backend);
            self.stand_in(object, what, why);
            self.plan.backends.push(backend);
        }
    }

    fn in_words(&self, backend: &DemoBackend) -> (ObjectRef, String) {
        let name = backend.owner.name();
        let (object, missing) = match &backend.owner {
            DemoOwner::Service(_) => (
                ObjectRef::new("", Service::KIND, &name.namespace, &name.name),
                !self.snapshot.services.contains_key(name),
            ),
            DemoOwner::XBackend(_) => (
                ObjectRef::new(XBackend::GROUP, XBackend::KIND, &name.namespace, &name.name),
                false,
            ),
        };
        let kind = if backend.speaks == Speaks::Udp { "UDP echo backend" } else { "echo backend" };
        let many = match backend.endpoints {
            1 => String::new(),
            many => format!(" with {many} endpoints"),
        };
        let tls = match &backend.speaks {
            Speaks::Tls(names) => format!(" with TLS for {}", names.join(", ")),
            Speaks::Http | Speaks::Udp => String::new(),
        };
        let article = if backend.speaks == Speaks::Udp { "a" } else { "an" };
        let what = match (missing, &backend.owner) {
            (true, _) => format!("a Service with {article} {kind}{many}{tls}"),
            (false, DemoOwner::Service(_)) => {
                format!("{article} {kind}{many}{tls}, because the Service has no endpoint,")
            }
            (false, DemoOwner::XBackend(_)) => {
                format!("{article} {kind}{many}{tls}, because the XBackend has no endpoint,")
            }
        };
        (object, format!("{what} on port {}", backend.port))
    }

    /// The backend and port that a reference means, unless they are none of ours to make up.
    fn lacking(&self, wanted: &Wanted) -> Option<(DemoOwner, u16)> {
        let reference = &wanted.reference;
        let name = reference.object_name(&wanted.local);
        if (reference.group(), reference.kind()) == (XBackend::GROUP, XBackend::KIND) {
            let spec = &self.snapshot.x_backends.get(&name)?.spec;
            let selects = spec.r#type == XBackendType::EndpointSelector;
            return selects.then_some((DemoOwner::XBackend(name), spec.port.number));
        }
        let port = reference.port?;
        if !reference.group().is_empty() || reference.kind() != Service::KIND {
            return None;
        }
        let lacking = self.snapshot.services.get(&name).is_none_or(|service| {
            let external = service.spec.r#type() == ServiceType::ExternalName;
            !external && service.spec.port(port).is_some()
        });
        lacking.then_some((DemoOwner::Service(name), port))
    }

    /// What a backend speaks: TLS where a policy says that it is reached so.
    fn spoken(&self, owner: &DemoOwner, port: u16, wanted: Speaks) -> Speaks {
        let mut names: BTreeSet<Arc<str>> = BTreeSet::new();
        let name = owner.name();
        let validations = match owner {
            DemoOwner::XBackend(_) => {
                let backend = self.snapshot.x_backends.get(name);
                let tls = backend.and_then(|backend| backend.spec.tls.as_ref());
                tls.and_then(|tls| tls.validation.as_ref()).into_iter().collect::<Vec<_>>()
            }
            DemoOwner::Service(_) => {
                let service = self.snapshot.services.get(name);
                let section = service
                    .and_then(|service| service.spec.port(port))
                    .and_then(|port| port.name.clone());
                let policies = self.snapshot.backend_tls_policies.iter();
                policies
                    .filter(|(policy, _)| policy.namespace == name.namespace)
                    .filter(|(_, policy)| {
                        policy.spec.target_refs.iter().any(|target| {
                            target.group.is_empty()
                                && &*target.kind == Service::KIND
                                && target.name == name.name
                                && (target.section_name.is_none() || target.section_name == section)
                        })
                    })
                    .map(|(_, policy)| &policy.spec.validation)
                    .collect()
            }
        };
        for validation in validations {
            names.insert(Arc::clone(&validation.hostname));
            names
                .extend(validation.subject_alt_names.iter().filter_map(|one| one.hostname.clone()));
        }
        names.retain(|name| !name.is_empty());
        let tls = !names.is_empty() && wanted == Speaks::Http;
        if tls { Speaks::Tls(names.into_iter().collect()) } else { wanted }
    }

    /// Whether the backend itself, or a policy for it, keeps sessions.
    fn has_sessions(&self, owner: &DemoOwner) -> bool {
        let name = owner.name();
        match owner {
            DemoOwner::XBackend(_) => {
                let backend = self.snapshot.x_backends.get(name);
                backend.is_some_and(|backend| backend.spec.session_persistence.is_some())
            }
            DemoOwner::Service(_) => {
                self.snapshot.x_backend_traffic_policies.iter().any(|(policy, object)| {
                    let mut targets = object.spec.target_refs.iter();
                    policy.namespace == name.namespace
                        && object.spec.session_persistence.is_some()
                        && targets.any(|one| &*one.kind == Service::KIND && one.name == name.name)
                })
            }
        }
    }

    /// Every reference to a backend.
    fn wanted(&self) -> Vec<Wanted> {
        let mut found = Vec::new();
        self.listeners(&mut found);
        self.http(&mut found);
        self.grpc(&mut found);
        for (name, route) in &self.snapshot.tls_routes {
            let speaks = if self.passes_through(&**route) {
                let names: BTreeSet<Arc<str>> = route.spec.hostnames.iter().cloned().collect();
                Speaks::Tls(names.into_iter().collect())
            } else {
                Speaks::Http
            };
            layer4("TLSRoute", name, &route.spec.rules, &speaks, &mut found);
        }
        for (name, route) in &self.snapshot.tcp_routes {
            layer4("TCPRoute", name, &route.spec.rules, &Speaks::Http, &mut found);
        }
        for (name, route) in &self.snapshot.udp_routes {
            layer4("UDPRoute", name, &route.spec.rules, &Speaks::Udp, &mut found);
        }
        found
    }

    /// The services that filters of listeners ask.
    fn listeners(&self, found: &mut Vec<Wanted>) {
        let gateways = self.snapshot.gateways.iter();
        let gateways = gateways.map(|(name, one)| (Gateway::KIND, name, &one.spec.listeners));
        let sets = self.snapshot.listener_sets.iter();
        let sets = sets.map(|(name, one)| (ListenerSet::KIND, name, &one.spec.listeners));
        for (kind, name, listeners) in gateways.chain(sets) {
            let filters = listeners.iter().filter_map(|listener| listener.filters.as_ref());
            let auths = filters.flat_map(|filters| &filters.requests);
            for auth in auths.filter_map(|filter| filter.external_auth.as_ref()) {
                found.push(wanted(kind, name, &auth.backend_ref, Speaks::Http, false));
            }
        }
    }

    fn http(&self, found: &mut Vec<Wanted>) {
        for (name, route) in &self.snapshot.http_routes {
            for rule in &route.spec.rules {
                let sessions = rule.session_persistence.is_some();
                let mut add = |reference: &BackendObjectReference| {
                    found.push(wanted("HTTPRoute", name, reference, Speaks::Http, sessions));
                };
                asked(&rule.filters).for_each(&mut add);
                for backend in &rule.backend_refs {
                    add(&backend.backend.object);
                    asked(&backend.filters).for_each(&mut add);
                }
            }
        }
    }

    fn grpc(&self, found: &mut Vec<Wanted>) {
        for (name, route) in &self.snapshot.grpc_routes {
            for rule in &route.spec.rules {
                let sessions = rule.session_persistence.is_some();
                let filters = rule.filters.iter().filter_map(|one| one.request_mirror.as_ref());
                let backends = rule.backend_refs.iter().map(|one| &one.backend.object);
                for reference in backends.chain(filters.map(|mirror| &mirror.backend_ref)) {
                    found.push(wanted("GRPCRoute", name, reference, Speaks::Http, sessions));
                }
            }
        }
    }

    /// Whether the TLS of a route's clients ends at its backends.
    fn passes_through<R: Route>(&self, route: &R) -> bool {
        let local = route.meta().namespace();
        route.parent_refs().iter().any(|parent| {
            let fits = |listener: &&Listener| means(parent, listener);
            if parent.kind() == Gateway::KIND {
                let gateway = self.snapshot.gateways.get(&parent.object_name(local));
                let mut listeners = gateway.iter().flat_map(|one| &one.spec.listeners);
                listeners.find(|one| fits(one) && passes(one)).is_some()
            } else {
                let set = self.snapshot.listener_sets.get(&parent.object_name(local));
                let mut listeners = set.iter().flat_map(|one| &one.spec.listeners);
                listeners.find(|one| fits(one) && passes(one)).is_some()
            }
        })
    }
}

/// Whose endpoints are known.
fn owners(slices: &[Arc<EndpointSlice>]) -> BTreeSet<DemoOwner> {
    let mut owners = BTreeSet::new();
    for slice in slices {
        let namespace = slice.metadata.namespace.clone().unwrap_or_default();
        if let Some(service) = slice.service_name() {
            owners.insert(DemoOwner::Service(ObjectName::new(Arc::clone(&namespace), service)));
        }
        for owner in
            slice.metadata.owner_references.iter().filter(|one| &*one.kind == XBackend::KIND)
        {
            let name = ObjectName::new(Arc::clone(&namespace), Arc::clone(&owner.name));
            owners.insert(DemoOwner::XBackend(name));
        }
    }
    owners
}

/// Whether a parent reference means the listener.
fn means(parent: &ParentReference, listener: &Listener) -> bool {
    parent.section_name.as_ref().is_none_or(|name| *name == listener.name)
        && parent.port.is_none_or(|port| port == listener.port)
}

fn passes(listener: &Listener) -> bool {
    listener.tls.as_ref().is_some_and(|tls| tls.mode() == TlsMode::Passthrough)
}

fn layer4(
    kind: &str,
    name: &ObjectName,
    rules: &[L4RouteRule],
    speaks: &Speaks,
    found: &mut Vec<Wanted>,
) {
    for backend in rules.iter().flat_map(|rule| &rule.backend_refs) {
        found.push(wanted(kind, name, &backend.object, speaks.clone(), false));
    }
}

fn wanted(
    kind: &str,
    route: &ObjectName,
    reference: &BackendObjectReference,
    speaks: Speaks,
    sessions: bool,
) -> Wanted {
    Wanted {
        route: format!("{kind} {route}"),
        local: Arc::clone(&route.namespace),
        reference: reference.clone(),
        speaks,
        sessions,
    }
}

fn traffic(speaks: &Speaks) -> &'static str {
    match speaks {
        Speaks::Http | Speaks::Tls(_) => "requests",
        Speaks::Udp => "datagrams",
    }
}

/// What a backend speaks that two routes want something of: TLS for the names of both, if any.
fn merge(known: &mut Speaks, other: Speaks) {
    match (known, other) {
        (Speaks::Tls(known), Speaks::Tls(other)) => {
            known.extend(other);
            known.sort();
            known.dedup();
        }
        (known, Speaks::Tls(other)) => *known = Speaks::Tls(other),
        (_, Speaks::Http | Speaks::Udp) => {}
    }
}

/// The backends that filters name.
fn asked(filters: &[HttpRouteFilter]) -> impl Iterator<Item = &BackendObjectReference> {
    filters.iter().flat_map(|filter| {
        let mirror = filter.request_mirror.as_ref().map(|one| &one.backend_ref);
        let auth = filter.external_auth.as_ref().map(|one| &one.backend_ref);
        mirror.into_iter().chain(auth)
    })
}
