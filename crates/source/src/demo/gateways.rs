//! Gateways that routes name, and the classes of Gateways.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{
    AllowedRoutes, FromNamespaces, GATEWAY_GROUP, Gateway, GatewayClass, GatewayClassSpec,
    GatewaySpec, Listener, ListenerTlsConfig, Namespace, ObjectMeta, ObjectName, ParentReference,
    Resource as _, Route, RouteNamespaces, SecretObjectReference,
};
use translate::ObjectRef;

use super::{CLASS, Planner, is_slip, metadata};

/// What the routes that name a missing Gateway ask of it.
#[derive(Default)]
struct Wanted {
    /// Section names and ports, as the parent references give them.
    sections: BTreeSet<(Option<Arc<str>>, Option<u16>)>,
    hostnames: BTreeSet<Arc<str>>,
    why: String,
}

impl Planner<'_> {
    /// Gateways that HTTP and gRPC routes name, where none has nearly that name.
    pub(super) fn gateways(&mut self) {
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
    pub(super) fn classes(&mut self) {
        let mut wanted: BTreeMap<Arc<str>, String> = BTreeMap::new();
        for gateway in self.all_gateways() {
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
