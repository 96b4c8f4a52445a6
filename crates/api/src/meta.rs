//! Object metadata and names.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::object_macro::object;
use crate::timestamp::Timestamp;

/// Namespace and name: what a snapshot's objects of one kind are keyed by.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// Empty for objects of cluster scope.
    pub namespace: Arc<str>,
    /// The name within the namespace.
    pub name: Arc<str>,
}

impl ObjectName {
    /// A name in a namespace (empty for cluster scope).
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

/// `namespace/name`, or only the name for cluster scope.
impl fmt::Display for ObjectName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            formatter.write_str(&self.name)
        } else {
            write!(formatter, "{}/{}", self.namespace, self.name)
        }
    }
}

object! {
    /// The part of `metadata` that we read; managedFields are passed over.
    pub struct ObjectMeta {
        name: Arc<str> = "name",
        namespace: Option<Arc<str>> = "namespace",
        labels: BTreeMap<Arc<str>, Arc<str>> = "labels",
        annotations: BTreeMap<Arc<str>, Arc<str>> = "annotations",
        generation: Option<i64> = "generation",
        creation_timestamp: Option<Timestamp> = "creationTimestamp",
        deletion_timestamp: Option<Timestamp> = "deletionTimestamp",
        uid: Option<Arc<str>> = "uid",
        resource_version: Option<Arc<str>> = "resourceVersion",
        finalizers: Vec<Arc<str>> = "finalizers",
        owner_references: Vec<OwnerReference> = "ownerReferences",
    }
}

impl ObjectMeta {
    /// Namespace and name; the namespace is empty when the object has none.
    #[must_use]
    pub fn object_name(&self) -> ObjectName {
        ObjectName {
            namespace: self.namespace.clone().unwrap_or_default(),
            name: self.name.clone(),
        }
    }

    /// The namespace, empty when the object has none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }

    /// The generation that a status observed; 0 in files, where nobody counts.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.generation.unwrap_or_default()
    }
}

object! {
    /// The object that owns this one, for garbage collection.
    pub struct OwnerReference {
        api_version: Arc<str> = "apiVersion",
        kind: Arc<str> = "kind",
        name: Arc<str> = "name",
        uid: Arc<str> = "uid",
        controller: Option<bool> = "controller",
        block_owner_deletion: Option<bool> = "blockOwnerDeletion",
    }
}
