//! What is added to the files' objects: namespaces, endpoints, and the Services of overrides.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{EndpointSlice, Namespace, Object, ObjectMeta, ObjectName, Resource as _, Service};
use translate::{ObjectRef, Snapshot};

use super::{Entry, Settings, admit::NAMESPACE_NAME_LABEL};
use crate::backend::{self, BackendOverride, DEFAULT_NAMESPACE};

/// The complete input of translation and of the endpoint table.
#[derive(Debug, Default)]
pub(super) struct Synthetic {
    pub(super) snapshot: Snapshot,
    pub(super) slices: Vec<Arc<EndpointSlice>>,
    built: bool,
}

type Entries = BTreeMap<ObjectRef, Entry>;
type Overrides<'s> = BTreeMap<&'s ObjectName, Vec<&'s BackendOverride>>;

impl Synthetic {
    /// Builds everything anew if something changed. True if the result differs.
    pub(super) fn rebuild(
        &mut self,
        written: &Snapshot,
        settings: &Settings,
        entries: &Entries,
        changed: bool,
    ) -> bool {
        if self.built && !changed {
            return false;
        }
        self.built = true;
        let mut next = written.clone();
        let mut overrides = Overrides::new();
        for one in &settings.backends {
            overrides.entry(&one.service).or_default().push(one);
        }
        for (name, overrides) in &overrides {
            if !next.services.contains_key(*name) {
                let made = backend::stand_in_service(name, &ports(name, overrides, entries));
                let service = kept(self.snapshot.services.get(*name), made);
                next.insert(&Object::Service(service), &[]);
            }
        }
        self.add_namespaces(&mut next, entries, &overrides);
        let slices = endpoints(&next, &overrides, entries);
        let differs = next != self.snapshot || slices != self.slices;
        self.snapshot = next;
        self.slices = slices;
        differs
    }

    /// A namespace that objects are in exists, as it would in a cluster that took them.
    fn add_namespaces(&self, next: &mut Snapshot, entries: &Entries, overrides: &Overrides<'_>) {
        let of_overrides = overrides.keys().map(|name| &*name.namespace);
        let names: BTreeSet<&str> = entries
            .keys()
            .map(|reference| &*reference.namespace)
            .filter(|namespace| !namespace.is_empty())
            .chain(of_overrides)
            .chain([DEFAULT_NAMESPACE])
            .collect();
        for name in names {
            let key = ObjectName::new("", name);
            if !next.namespaces.contains_key(&key) {
                let labels = [(NAMESPACE_NAME_LABEL.into(), name.into())];
                let metadata = ObjectMeta {
                    name: name.into(),
                    labels: labels.into_iter().collect(),
                    ..ObjectMeta::default()
                };
                let namespace = kept(self.snapshot.namespaces.get(&key), Namespace { metadata });
                next.insert(&Object::Namespace(namespace), &[]);
            }
        }
    }
}

/// The object there was, if it equals the one just made: an unchanged object is the same pointer.
fn kept<T: PartialEq>(old: Option<&Arc<T>>, made: T) -> Arc<T> {
    match old {
        Some(old) if **old == made => Arc::clone(old),
        Some(_) | None => Arc::new(made),
    }
}

/// The ports of a Service that only overrides name: theirs, and those that routes ask for.
fn ports(name: &ObjectName, overrides: &[&BackendOverride], entries: &Entries) -> Vec<u16> {
    let target = ObjectRef {
        group: "".into(),
        kind: Service::KIND.into(),
        namespace: Arc::clone(&name.namespace),
        name: Arc::clone(&name.name),
    };
    let mut ports: BTreeSet<u16> = overrides.iter().filter_map(|one| one.port).collect();
    if overrides.iter().any(|one| one.port.is_none()) {
        let references = entries.values().flat_map(|entry| &entry.references);
        let asked = references.filter(|one| one.target == target).filter_map(|one| one.port);
        ports.extend(asked);
    }
    ports.into_iter().collect()
}

/// Overrides win over annotations, annotations over EndpointSlices, those over Endpoints.
fn endpoints(
    next: &Snapshot,
    overrides: &Overrides<'_>,
    entries: &Entries,
) -> Vec<Arc<EndpointSlice>> {
    let annotated = |name: &ObjectName| {
        let service = ObjectRef::new("", Service::KIND, &name.namespace, &name.name);
        entries.get(&service).is_some_and(|entry| entry.slices.is_some())
    };
    let mut slices = Vec::new();
    let mut with_slices: BTreeSet<ObjectName> = BTreeSet::new();
    for entry in entries.values() {
        if let Object::EndpointSlice(slice) = &entry.object {
            let Some(service) = slice.service_name() else {
                // Of an XBackend that owns it, or nobody's.
                slices.push(Arc::clone(slice));
                continue;
            };
            let namespace = slice.metadata.namespace.clone().unwrap_or_default();
            let name = ObjectName::new(namespace, service);
            if !annotated(&name) {
                slices.extend(without_overridden(slice, &name, next, overrides));
            }
            with_slices.insert(name);
        } else if let Object::XBackend(_) = &entry.object {
            slices.extend(entry.slices.iter().flatten().cloned());
        } else if let Object::Service(service) = &entry.object {
            let name = service.metadata.object_name();
            for slice in entry.slices.iter().flatten() {
                slices.extend(without_overridden(slice, &name, next, overrides));
            }
        }
    }
    for entry in entries.values() {
        if let Object::Endpoints(endpoints) = &entry.object {
            let name = endpoints.metadata.object_name();
            if !annotated(&name) && !with_slices.contains(&name) {
                for slice in backend::mirrored(endpoints) {
                    slices.extend(without_overridden(&slice, &name, next, overrides));
                }
            }
        }
    }
    for (name, overrides) in overrides {
        if let Some(service) = next.services.get(*name) {
            slices.extend(backend::override_slices(service, overrides));
        }
    }
    slices
}

/// A slice without the ports that overrides are about; nothing if none is left.
fn without_overridden(
    slice: &Arc<EndpointSlice>,
    name: &ObjectName,
    next: &Snapshot,
    overrides: &Overrides<'_>,
) -> Option<Arc<EndpointSlice>> {
    let (Some(overrides), Some(service)) = (overrides.get(name), next.services.get(name)) else {
        return Some(Arc::clone(slice));
    };
    let overridden: BTreeSet<&str> = service
        .spec
        .ports
        .iter()
        .filter(|port| {
            overrides.iter().any(|one| one.port.is_none_or(|number| number == port.port))
        })
        .map(api::ServicePort::name)
        .collect();
    let mut rest = (**slice).clone();
    rest.ports.retain(|port| !overridden.contains(port.name()));
    if rest.ports.len() == slice.ports.len() {
        return Some(Arc::clone(slice));
    }
    (!rest.ports.is_empty()).then(|| Arc::new(rest))
}
