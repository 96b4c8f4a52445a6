//! Who may refer to what across namespaces: the one answer for every kind and every field.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::{ObjectName, ReferenceGrant};

use crate::snapshot::Snapshot;

/// A reference from an object in one namespace to an object in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    pub from_group: &'a str,
    pub from_kind: &'a str,
    pub from_namespace: &'a str,
    pub to_group: &'a str,
    pub to_kind: &'a str,
    pub to_namespace: &'a str,
    pub to_name: &'a str,
}

/// ReferenceGrants by their namespace, which is that of the targets.
pub struct Grants<'a> {
    by_namespace: BTreeMap<&'a str, Vec<&'a Arc<ReferenceGrant>>>,
}

impl<'a> Grants<'a> {
    pub fn new(snapshot: &'a Snapshot) -> Self {
        let mut by_namespace: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (name, grant) in &snapshot.reference_grants {
            by_namespace.entry(&name.namespace).or_default().push(grant);
        }
        Self { by_namespace }
    }

    /// Whether the reference is permitted: always within a namespace, else by a grant in the
    /// target's namespace whose group, kind and namespace are exactly those of the referring
    /// object, and whose group and kind, and name if it has one, are exactly those of the target.
    pub fn permitted(&self, reference: Reference<'_>) -> bool {
        reference.from_namespace == reference.to_namespace || self.granted(reference)
    }

    fn granted(&self, reference: Reference<'_>) -> bool {
        let target = ObjectName::new(reference.to_namespace, reference.to_name);
        let grants = self.by_namespace.get(reference.to_namespace);
        grants.into_iter().flatten().any(|grant| {
            grant.permits(
                (reference.from_group, reference.from_kind),
                reference.from_namespace,
                (reference.to_group, reference.to_kind),
                &target,
            )
        })
    }
}

/// Whether `snapshot` permits the reference; builds the index anew, so for single questions.
pub fn permitted(snapshot: &Snapshot, reference: Reference<'_>) -> bool {
    Grants::new(snapshot).permitted(reference)
}
