//! Weighted backends of a rule, and single backends of filters.

use api::{BackendObjectReference, BackendRef};
use ir::{Action, Backend, FailReason, Filter, Target};

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Target as StatusTarget};
use crate::refs::{Refusal, Resolution};
use crate::routes::Pass;

/// Largest weight that the API admits.
const WEIGHT_MAX: u32 = 1_000_000;

/// The target of a reference, with findings about it. `effect` says what becomes of traffic.
pub(crate) fn target(
    pass: &mut Pass<'_>,
    field: &str,
    reference: &BackendObjectReference,
    effect: &str,
) -> Target {
    let inputs = pass.inputs;
    match inputs.resolution(reference) {
        Some(Resolution::Reached(cluster)) => Target::Cluster(cluster.clone()),
        Some(Resolution::Unknown(cluster, message, hint)) => {
            pass.aside(Code::OutsideSnapshot, field, message.clone());
            if let Some(finding) = pass.findings.last_mut() {
                finding.hint.clone_from(hint);
            }
            Target::Cluster(cluster.clone())
        }
        Some(Resolution::Refused(refusal)) => {
            refused(pass, field, refusal, effect);
            Target::Fail(FailReason::InvalidBackend)
        }
        // Every reference of the route was gathered; one that was not could not be reached.
        None => Target::Fail(FailReason::InvalidBackend),
    }
}

fn refused(pass: &mut Pass<'_>, field: &str, refusal: &Refusal, effect: &str) {
    let origin = pass.origin(field);
    let mut finding =
        Diagnostic::new(refusal.code, origin, StatusTarget::Route, refusal.message.clone());
    finding.hint.clone_from(&refusal.hint);
    finding.related.clone_from(&refusal.related);
    finding.effect = Some(effect.to_owned());
    pass.findings.push(finding);
}

/// One entry of `backendRefs`. `filters` are its lowered filters, `None` when they were refused.
/// The weight counts whatever becomes of the target.
pub(crate) fn backend(
    pass: &mut Pass<'_>,
    field: &str,
    reference: &BackendRef,
    filters: Option<Vec<Filter>>,
) -> Backend {
    let effect = pass.route.share_effect();
    let origin = pass.origin(field);
    let weight = reference.weight();
    if weight > WEIGHT_MAX {
        let message = format!("weight {weight} is above {WEIGHT_MAX}; it counts as {WEIGHT_MAX}");
        pass.aside(Code::InvalidValue, &format!("{field}.weight"), message);
    }
    let target = match pass.broken(field) {
        Some((path, message)) => {
            pass.report(Code::InvalidValue, &path, message, Some(effect));
            Target::Fail(FailReason::InvalidBackend)
        }
        None => target(pass, field, &reference.object, effect),
    };
    let (filters, target) = match filters {
        Some(filters) => (filters, target),
        None => (Vec::new(), Target::Fail(FailReason::UnsupportedRule)),
    };
    Backend { origin, weight: weight.min(WEIGHT_MAX), target, filters, persistence: None }
}

/// The action of a rule with these backends.
pub(crate) fn forward(backends: Vec<Backend>) -> Action {
    if backends.iter().all(|backend| backend.weight == 0) {
        Action::Fail(FailReason::NoBackends)
    } else {
        Action::Forward(backends)
    }
}
