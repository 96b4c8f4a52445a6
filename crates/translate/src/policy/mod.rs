//! Policies: objects that change how others are treated.

pub(crate) mod backend_tls;

use api::{XBackendTrafficPolicy, XTelemetryPolicy};

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Target};
use crate::kinds::{object_ref, whole};
use crate::snapshot::Snapshot;

/// Findings about policies of kinds that have no effect yet.
pub(crate) fn not_served(snapshot: &Snapshot) -> Vec<Diagnostic> {
    let traffic =
        snapshot.x_backend_traffic_policies.keys().map(object_ref::<XBackendTrafficPolicy>);
    let telemetry = snapshot.x_telemetry_policies.keys().map(object_ref::<XTelemetryPolicy>);
    traffic
        .chain(telemetry)
        .map(|object| {
            let message =
                format!("{} is not served yet; what it asks for does not happen", object.kind);
            Diagnostic::new(Code::PolicyKindNotServed, whole(&object), Target::Nothing, message)
        })
        .collect()
}
