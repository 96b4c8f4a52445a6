//! Secrets with certificates, ConfigMaps with authorities, and ConfigMaps with parameters.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{ConfigMap, Listener, ObjectName, Resource as _, Secret, SecretObjectReference};
use translate::ObjectRef;

use super::{DemoCertificate, Planner, is_slip, metadata};

/// Secrets that are wanted, each with the names it must be good for and why.
type Secrets = BTreeMap<ObjectName, (BTreeSet<Arc<str>>, String)>;

impl Planner<'_> {
    /// Secrets that listeners take their certificates from, and that Gateways show to backends.
    pub(super) fn certificates(&mut self) {
        let mut wanted = Secrets::new();
        for gateway in self.all_gateways() {
            let name = gateway.metadata.object_name();
            let why = format!("Gateway {name} names it");
            self.secrets(&name.namespace, &gateway.spec.listeners, &why, &mut wanted);
            let backend = gateway.spec.tls.as_ref().and_then(|tls| tls.backend.as_ref());
            let reference = backend.and_then(|one| one.client_certificate_ref.as_ref());
            if let Some(secret) = reference.and_then(|one| self.missing(&name.namespace, one)) {
                let (names, _) = wanted.entry(secret).or_insert_with(|| (BTreeSet::new(), why));
                names.insert(format!("{}.{}", name.name, name.namespace).into());
            }
        }
        for set in self.snapshot.listener_sets.values() {
            let why = format!("ListenerSet {} names it", set.metadata.object_name());
            self.secrets(set.metadata.namespace(), &set.spec.listeners, &why, &mut wanted);
        }
        for (secret, (hostnames, why)) in wanted {
            let object = ObjectRef::new("", Secret::KIND, &secret.namespace, &secret.name);
            let hostnames: Vec<Arc<str>> = hostnames.into_iter().collect();
            let what = format!("a certificate of the demo for {}", hostnames.join(", "));
            self.stand_in(object, what, why);
            self.plan.certificates.push(DemoCertificate { secret, hostnames });
        }
    }

    /// The Secret that a reference means, if there is none.
    fn missing(&self, local: &str, reference: &SecretObjectReference) -> Option<ObjectName> {
        let name = reference.object_name(local);
        let secret = reference.group().is_empty() && reference.kind() == Secret::KIND;
        (secret && !self.snapshot.secrets.contains_key(&name)).then_some(name)
    }

    /// ConfigMaps with the authorities that clients and backends are checked against.
    pub(super) fn authorities(&mut self) {
        let mut wanted: BTreeMap<ObjectName, String> = BTreeMap::new();
        for gateway in self.all_gateways() {
            let name = gateway.metadata.object_name();
            let frontend = gateway.spec.tls.as_ref().and_then(|tls| tls.frontend.as_ref());
            for validation in frontend.into_iter().flat_map(|frontend| {
                let ports = frontend.per_port.iter().map(|port| &port.tls);
                ports.chain([&frontend.default]).filter_map(|tls| tls.validation.as_ref())
            }) {
                for one in &validation.ca_certificate_refs {
                    if (&*one.group, &*one.kind) == ("", ConfigMap::KIND) {
                        let why = format!("Gateway {name} names it");
                        wanted.insert(one.object_name(&name.namespace), why);
                    }
                }
            }
        }
        for (name, policy) in &self.snapshot.backend_tls_policies {
            for one in &policy.spec.validation.ca_certificate_refs {
                if (&*one.group, &*one.kind) == ("", ConfigMap::KIND) {
                    let local = ObjectName::new(Arc::clone(&name.namespace), Arc::clone(&one.name));
                    wanted.insert(local, format!("BackendTLSPolicy {name} names it"));
                }
            }
        }
        for (name, why) in wanted {
            if self.has_config_map(&name) {
                continue;
            }
            let object = ObjectRef::new("", ConfigMap::KIND, &name.namespace, &name.name);
            self.stand_in(object, "the authority of the demo", why);
            self.plan.authorities.push(name);
        }
    }

    /// Whether there is such a ConfigMap, or one that is probably meant.
    fn has_config_map(&self, name: &ObjectName) -> bool {
        let known = self.snapshot.config_maps.keys();
        let mut near = known.filter(|other| other.namespace == name.namespace);
        near.any(|other| is_slip(&other.name, &name.name))
    }

    /// ConfigMaps that classes and Gateways take parameters from: empty ones, so that every
    /// parameter has its default.
    pub(super) fn parameters(&mut self) {
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
            if self.has_config_map(&name) {
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

    fn secrets(&self, namespace: &str, listeners: &[Listener], why: &str, wanted: &mut Secrets) {
        for listener in listeners {
            let references = listener.tls.iter().flat_map(|tls| &tls.certificate_refs);
            for name in references.filter_map(|reference| self.missing(namespace, reference)) {
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
        let tls = self.snapshot.tls_routes.values().flat_map(|route| &route.spec.hostnames);
        http.chain(grpc).chain(tls).cloned().collect()
    }
}
