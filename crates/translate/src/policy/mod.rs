//! Policies: objects that change how others are treated.

pub(crate) mod backend_tls;
pub(crate) mod telemetry;
pub(crate) mod traffic;
pub(crate) mod upstream;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ir::ObjectRef;

use crate::diagnostic::Diagnostic;
use crate::status::{AncestorStatus, Status, StatusBody, Statuses, ancestor_conditions};

/// The Gateways that send traffic to a backend, by backend.
pub(crate) type Users = BTreeMap<Arc<ObjectRef>, BTreeSet<Arc<ObjectRef>>>;

/// The status of a policy: one entry for each Gateway that it concerns, none without any.
pub(crate) fn ancestors(
    object: &Arc<ObjectRef>,
    observed_generation: i64,
    gateways: BTreeSet<&Arc<ObjectRef>>,
    findings: &[Diagnostic],
    statuses: &mut Statuses,
) {
    if gateways.is_empty() {
        return;
    }
    let concerning: Vec<&Diagnostic> = findings.iter().collect();
    let ancestors = gateways.into_iter().map(|ancestor| AncestorStatus {
        ancestor: Arc::clone(ancestor),
        conditions: ancestor_conditions(ancestor, &concerning),
    });
    let body = StatusBody::Policy { ancestors: ancestors.collect() };
    statuses.insert(Arc::clone(object), Arc::new(Status { observed_generation, body }));
}
