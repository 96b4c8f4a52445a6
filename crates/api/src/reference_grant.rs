//! ReferenceGrant.

use std::sync::Arc;

use crate::meta::{ObjectMeta, ObjectName};
use crate::object_macro::object;

object! {
    /// Lets objects of other namespaces refer to objects of this one.
    pub struct ReferenceGrant {
        metadata: ObjectMeta = "metadata",
        spec: ReferenceGrantSpec = "spec",
    }
}

object! {
    /// Each of `from` may refer to each of `to`.
    pub struct ReferenceGrantSpec {
        from: Vec<ReferenceGrantFrom> = "from" always,
        to: Vec<ReferenceGrantTo> = "to" always,
    }
}

object! {
    /// Who may refer.
    pub struct ReferenceGrantFrom {
        /// Empty for the core group.
        group: Arc<str> = "group",
        kind: Arc<str> = "kind",
        namespace: Arc<str> = "namespace",
    }
}

object! {
    /// What may be referred to.
    pub struct ReferenceGrantTo {
        /// Empty for the core group.
        group: Arc<str> = "group",
        kind: Arc<str> = "kind",
        /// Absent or empty: every object of the kind.
        name: Option<Arc<str>> = "name",
    }
}

impl ReferenceGrant {
    /// Whether objects (group, kind) in `namespace` may refer to `target` of kind (group, kind).
    #[must_use]
    pub fn permits(
        &self,
        from: (&str, &str),
        namespace: &str,
        to: (&str, &str),
        target: &ObjectName,
    ) -> bool {
        let named = |entry: &ReferenceGrantTo| {
            entry.name.as_deref().is_none_or(|name| name.is_empty() || *name == *target.name)
        };
        self.metadata.namespace() == &*target.namespace
            && self.spec.from.iter().any(|entry| {
                (&*entry.group, &*entry.kind, &*entry.namespace) == (from.0, from.1, namespace)
            })
            && self.spec.to.iter().any(|entry| (&*entry.group, &*entry.kind) == to && named(entry))
    }
}
