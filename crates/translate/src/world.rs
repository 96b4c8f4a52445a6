//! Everything a pass may look things up in.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::{DecodeIssue, ObjectName};
use ir::ObjectRef;

use crate::grants::Grants;
use crate::policy::backend_tls::Secured;
use crate::policy::traffic::Traffic;
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::trust::Trust;
use crate::x_backend::Identities;

/// The label every namespace has, set by the API server to the namespace's own name.
pub(crate) const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

pub(crate) struct World<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) settings: &'a Settings,
    pub(crate) grants: Grants<'a>,
    pub(crate) secured: Secured<'a>,
    pub(crate) traffic: Traffic<'a>,
    pub(crate) trust: Trust<'a>,
    /// What XBackends show of us.
    pub(crate) identities: Identities,
}

impl<'a> World<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot, settings: &'a Settings) -> Self {
        Self {
            snapshot,
            settings,
            grants: Grants::new(snapshot),
            secured: Secured::new(snapshot),
            traffic: Traffic::new(snapshot, settings),
            trust: Trust::new(snapshot),
            identities: Identities::new(),
        }
    }

    /// Labels of a namespace. One that no object describes has only its name.
    pub(crate) fn namespace_labels(&self, namespace: &str) -> BTreeMap<Arc<str>, Arc<str>> {
        let object = self.snapshot.namespaces.get(&ObjectName::new("", namespace));
        let mut labels = object.map(|object| object.metadata.labels.clone()).unwrap_or_default();
        labels.insert(NAMESPACE_NAME_LABEL.into(), namespace.into());
        labels
    }

    /// What could not be decoded in the spec of an object.
    pub(crate) fn issues(&self, object: &ObjectRef) -> impl Iterator<Item = &'a DecodeIssue> {
        let issues = self.snapshot.issues.get(object).map_or(&[][..], |issues| issues);
        issues.iter().filter(|issue| !issue.is_under("status") && !issue.is_under("metadata"))
    }
}
