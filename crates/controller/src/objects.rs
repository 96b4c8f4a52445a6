//! The objects of the cluster, as the input of translation.
//!
//! The files' `source::Store` is not used here: an API server has validated these objects, and
//! keeps the last good one itself, so there are no texts, places or verdicts to hold, and objects
//! come one by one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{
    ClusterTrustBundle, EndpointSlice, GATEWAY_GROUP, GATEWAY_X_GROUP, KindInfo, Object,
    ObjectName, Resource as _, conversion,
};
use kube::api::{ApiResource, DynamicObject, PartialObjectMeta};
use serde_json::{Map, Value};
use translate::{ObjectRef, Snapshot, snapshot::Issues};

use crate::{
    discovery::ServedKind,
    watch::{self, Change, KindKey, News},
};

/// An object as the API server showed it.
#[derive(Debug)]
pub enum Seen {
    Whole(Box<Item>),
    /// Of a kind that is read on demand: its name and resource version.
    Name(ObjectName, Arc<str>),
}

impl Seen {
    /// The name of an object of which the rest is read on demand.
    pub fn name(object: &PartialObjectMeta<DynamicObject>) -> Option<Self> {
        let version = object.metadata.resource_version.as_deref().unwrap_or_default();
        Some(Self::Name(watch::name(&object.metadata)?, version.into()))
    }

    fn object_name(&self) -> ObjectName {
        match self {
            Self::Whole(item) => item.object.name(),
            Self::Name(name, _) => name.clone(),
        }
    }
}

/// An object, split into what it asks for and what others wrote about it.
#[derive(Debug)]
pub struct Item {
    object: Object,
    issues: Issues,
    /// Only of kinds that have a status of ours.
    live: Option<Live>,
    /// Objects of kinds that are read on demand.
    references: Vec<ObjectRef>,
}

/// What is at the API server beside what the object asks for.
#[derive(Clone, Debug)]
pub struct Live {
    pub resource: ApiResource,
    pub uid: Arc<str>,
    pub resource_version: Arc<str>,
    pub generation: i64,
    /// `Null` when there is none.
    pub status: Value,
}

impl Live {
    /// Reads it from an object.
    pub fn read(value: &mut Value, resource: &ApiResource) -> Self {
        let status = value.as_object_mut().and_then(|object| object.shift_remove("status"));
        let text = |name: &str| {
            value.pointer(&format!("/metadata/{name}")).and_then(Value::as_str).unwrap_or_default()
        };
        Self {
            resource: resource.clone(),
            uid: text("uid").into(),
            resource_version: text("resourceVersion").into(),
            generation: value
                .pointer("/metadata/generation")
                .and_then(Value::as_i64)
                .unwrap_or_default(),
            status: status.unwrap_or_default(),
        }
    }

    /// Whether this was read before `other`. The versions of one object can be compared as
    /// numbers (KEP-5504); where they are none, the one that comes later counts.
    pub fn is_older_than(&self, other: &Self) -> bool {
        let number = |live: &Self| live.resource_version.parse::<u64>().ok();
        match (number(self), number(other)) {
            (Some(own), Some(other_number)) => self.uid == other.uid && own < other_number,
            _ => false,
        }
    }
}

impl Item {
    /// Reads an object in whatever version it is served.
    pub fn read(object: DynamicObject, kind: &ServedKind) -> Option<Seen> {
        let mut value = watch::to_value(object, kind)?;
        let live = Live::read(&mut value, &kind.resource);
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            forget(metadata, kind.info);
        }
        let (value, _) = conversion::to_newest(&value);
        let decoded = Object::decode(&value);
        let name = decoded.object.name();
        if name.name.is_empty() {
            return None;
        }
        let (group, kind) = newest(kind.info);
        let reference = object_ref(group, kind, &name);
        let has_status = [GATEWAY_GROUP, GATEWAY_X_GROUP].contains(&group)
            && kind != "ReferenceGrant"
            && kind != "XMesh";
        let references = source::references(&value, &reference)
            .into_iter()
            .filter_map(|reference| on_demand(reference.target))
            .collect();
        Some(Seen::Whole(Box::new(Self {
            object: decoded.object,
            issues: decoded.issues.into(),
            live: has_status.then_some(live),
            references,
        })))
    }
}

/// Takes away what changes without a meaning.
fn forget(metadata: &mut Map<String, Value>, info: &KindInfo) {
    metadata.shift_remove("resourceVersion");
    metadata.shift_remove("selfLink");
    // Written at each change of a pod, and up to 256 KiB long.
    if info.kind == "EndpointSlice" {
        metadata.shift_remove("annotations");
        metadata.shift_remove("generation");
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.shift_remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

/// Group and kind under which objects of a kind are known here.
fn newest(info: &KindInfo) -> (&'static str, &'static str) {
    info.replaced_by.unwrap_or((info.group, info.kind))
}

fn object_ref(group: &str, kind: &str, name: &ObjectName) -> ObjectRef {
    ObjectRef {
        group: group.into(),
        kind: kind.into(),
        namespace: Arc::clone(&name.namespace),
        name: Arc::clone(&name.name),
    }
}

/// The reference, if it is to an object that is read on demand.
fn on_demand(reference: ObjectRef) -> Option<ObjectRef> {
    match (&*reference.group, &*reference.kind) {
        ("", "Secret" | "ConfigMap") => Some(reference),
        (ClusterTrustBundle::GROUP, ClusterTrustBundle::KIND) => {
            Some(ObjectRef { namespace: "".into(), ..reference })
        }
        _ => None,
    }
}

/// What changed since it was last asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Dirty {
    pub snapshot: bool,
    pub endpoints: bool,
    /// Objects whose status, or whose generation, is another one.
    pub live: BTreeSet<ObjectRef>,
}

impl Dirty {
    pub fn is_empty(&self) -> bool {
        !self.snapshot && !self.endpoints && self.live.is_empty()
    }
}

#[derive(Debug)]
struct Known {
    object: Object,
    issues: Issues,
    references: Vec<ObjectRef>,
}

/// All objects that matter.
#[derive(Debug, Default)]
pub struct Objects {
    snapshot: Snapshot,
    slices: BTreeMap<ObjectName, Arc<EndpointSlice>>,
    known: BTreeMap<ObjectRef, Known>,
    live: BTreeMap<ObjectRef, Live>,
    names: BTreeMap<KindKey, BTreeSet<ObjectName>>,
    /// How often each object of a kind that is read on demand is referred to.
    wanted: BTreeMap<ObjectRef, usize>,
    /// Resource versions of such objects, as the watch tells, and as they were read.
    versions: BTreeMap<ObjectRef, Arc<str>>,
    fetched: BTreeMap<ObjectRef, Arc<str>>,
    dirty: Dirty,
}

impl Objects {
    /// Takes in what a watch told.
    pub fn apply(&mut self, change: Change) {
        let Change { kind, news } = change;
        match news {
            News::All(all) => {
                let names: BTreeSet<ObjectName> = all.iter().map(Seen::object_name).collect();
                let before = self.names.get(&kind).cloned().unwrap_or_default();
                for gone in before.difference(&names) {
                    self.remove(kind, gone);
                }
                for seen in all {
                    self.put(kind, seen);
                }
            }
            News::Applied(seen) => self.put(kind, *seen),
            News::Deleted(name) => self.remove(kind, &name),
            News::Unreadable | News::Gone => {
                for gone in self.names.get(&kind).cloned().unwrap_or_default() {
                    self.remove(kind, &gone);
                }
            }
        }
    }

    fn put(&mut self, kind: KindKey, seen: Seen) {
        self.names.entry(kind).or_default().insert(seen.object_name());
        match seen {
            Seen::Whole(item) => self.put_item(*item),
            Seen::Name(name, version) => {
                let reference = object_ref(kind.0, kind.1, &name);
                self.versions.insert(reference, version);
            }
        }
    }

    fn put_item(&mut self, item: Item) {
        let Item { object, issues, live, references } = item;
        let reference = object_ref(object.group(), object.kind(), &object.name());
        if let Object::EndpointSlice(slice) = &object {
            let name = slice.metadata.object_name();
            let same = self.slices.get(&name).is_some_and(|known| known == slice);
            if !same {
                self.slices.insert(name, Arc::clone(slice));
                self.dirty.endpoints = true;
            }
            return;
        }
        if let Some(live) = live {
            self.put_live(&reference, live);
        }
        let known = self.known.get(&reference);
        if known.is_some_and(|known| known.object == object && known.issues == issues) {
            return;
        }
        self.snapshot.insert(&object, &issues);
        self.dirty.snapshot = true;
        for target in &references {
            let count = self.wanted.entry(target.clone()).or_default();
            *count = count.saturating_add(1);
        }
        let before = self.known.insert(reference, Known { object, issues, references });
        if let Some(before) = before {
            self.unwant(&before.references);
        }
    }

    /// What was read or written last, whichever is newer.
    pub fn put_live(&mut self, reference: &ObjectRef, live: Live) {
        let before = self.live.get(reference);
        if before.is_some_and(|before| live.is_older_than(before)) {
            return;
        }
        let same = before.is_some_and(|before| {
            before.status == live.status
                && before.generation == live.generation
                && before.uid == live.uid
        });
        if !same {
            self.dirty.live.insert(reference.clone());
        }
        self.live.insert(reference.clone(), live);
    }

    fn remove(&mut self, kind: KindKey, name: &ObjectName) {
        if let Some(names) = self.names.get_mut(&kind) {
            names.remove(name);
        }
        if kind.1 == "EndpointSlice" {
            self.dirty.endpoints |= self.slices.remove(name).is_some();
            return;
        }
        let info = api::kinds::find(kind.0, kind.1);
        let (group, kind) = info.map_or(kind, newest);
        let reference = object_ref(group, kind, name);
        self.versions.remove(&reference);
        self.live.remove(&reference);
        if self.fetched.remove(&reference).is_some() {
            self.snapshot.remove(group, kind, name);
            self.dirty.snapshot = true;
        }
        if let Some(known) = self.known.remove(&reference) {
            self.snapshot.remove(group, kind, name);
            self.dirty.snapshot = true;
            self.unwant(&known.references);
        }
    }

    /// Objects that nobody refers to any longer are forgotten.
    fn unwant(&mut self, references: &[ObjectRef]) {
        for target in references {
            let Some(count) = self.wanted.get_mut(target) else { continue };
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.wanted.remove(target);
                if self.fetched.remove(target).is_some() {
                    let name =
                        ObjectName::new(Arc::clone(&target.namespace), Arc::clone(&target.name));
                    self.snapshot.remove(&target.group, &target.kind, &name);
                    self.dirty.snapshot = true;
                }
            }
        }
    }

    /// Objects that are referred to, there, and not read in their present version.
    pub fn to_fetch(&self) -> Vec<ObjectRef> {
        let stale = |reference: &&ObjectRef| {
            let version = self.versions.get(*reference);
            version.is_some() && version != self.fetched.get(*reference)
        };
        self.wanted.keys().filter(stale).cloned().collect()
    }

    /// Takes in an object that was read on demand, or that it is gone. `version` is the one that
    /// was read.
    pub fn put_fetched(
        &mut self,
        reference: &ObjectRef,
        found: Option<(Object, Issues, Arc<str>)>,
    ) {
        if !self.wanted.contains_key(reference) {
            return;
        }
        let name = ObjectName::new(Arc::clone(&reference.namespace), Arc::clone(&reference.name));
        self.dirty.snapshot = true;
        match found {
            Some((object, issues, version)) => {
                self.snapshot.insert(&object, &issues);
                // The watch may be behind.
                self.versions.insert(reference.clone(), Arc::clone(&version));
                self.fetched.insert(reference.clone(), version);
            }
            None => {
                self.versions.remove(reference);
                self.fetched.remove(reference);
                self.snapshot.remove(&reference.group, &reference.kind, &name);
            }
        }
    }

    /// What changed since the last call.
    pub fn take_dirty(&mut self) -> Dirty {
        std::mem::take(&mut self.dirty)
    }

    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    pub fn slices(&self) -> Vec<Arc<EndpointSlice>> {
        self.slices.values().cloned().collect()
    }

    pub fn live(&self, reference: &ObjectRef) -> Option<&Live> {
        self.live.get(reference)
    }

    /// The objects that have a status of ours.
    pub fn with_status(&self) -> impl Iterator<Item = &ObjectRef> {
        self.live.keys()
    }

    /// The identity of an object, for those who refer to it.
    pub fn uid(&self, reference: &ObjectRef) -> Option<Arc<str>> {
        self.known.get(reference)?.object.meta().uid.clone()
    }

    /// How many objects are held.
    pub fn len(&self) -> usize {
        self.known.len().saturating_add(self.slices.len()).saturating_add(self.fetched.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Reads an object that something refers to.
pub fn read_fetched(
    object: DynamicObject,
    kind: &ServedKind,
) -> Option<(Object, Issues, Arc<str>)> {
    let version: Arc<str> = object.metadata.resource_version.as_deref()?.into();
    match Item::read(object, kind)? {
        Seen::Whole(item) => Some((item.object, item.issues, version)),
        Seen::Name(..) => None,
    }
}
