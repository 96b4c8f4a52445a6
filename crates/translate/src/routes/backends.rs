//! Weighted backends of a rule, and single backends of filters.

use std::sync::Arc;

use api::{BackendObjectReference, BackendRef};
use ir::{Action, Backend, Cluster, ClusterId, FailReason, Filter, SessionPersistence, Target};

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Target as StatusTarget};
use crate::kinds::RouteType;
use crate::limits::WEIGHT_MAX;
use crate::refs::{Refusal, Resolution};
use crate::routes::Pass;
use crate::session::Session;

/// The target of a reference, with findings about it. `effect` says what becomes of traffic.
pub(crate) fn target(
    pass: &mut Pass<'_>,
    field: &str,
    reference: &BackendObjectReference,
    effect: &str,
) -> Target {
    let resolution = pass.inputs.resolution(reference);
    resolved(pass, field, resolution, effect)
}

/// The same for a reference that was followed.
pub(crate) fn resolved(
    pass: &mut Pass<'_>,
    field: &str,
    resolution: Option<&Resolution>,
    effect: &str,
) -> Target {
    match resolution {
        Some(Resolution::Reached(reached)) => Target::Cluster(reached.cluster.clone()),
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

/// The target of a reference where TLS goes through unopened, when it is another one than
/// elsewhere: what a policy asks of TLS to the backend is between client and backend there.
pub(crate) fn passed(
    pass: &Pass<'_>,
    field: &str,
    reference: &BackendObjectReference,
) -> Option<Target> {
    if pass.broken(field).is_some() {
        return None;
    }
    match pass.inputs.resolution(reference)? {
        Resolution::Reached(reached) => reached.cluster.0.tls.as_ref().map(|_| {
            let plain = Cluster { tls: None, ..(*reached.cluster.0).clone() };
            Target::Cluster(ClusterId(Arc::new(plain)))
        }),
        Resolution::Refused(refusal) => refusal.passthrough.clone().map(Target::Cluster),
        Resolution::Unknown(..) => None,
    }
}

/// As [`backend`], with a target that was found already.
pub(crate) fn aimed(
    pass: &mut Pass<'_>,
    field: &str,
    reference: &BackendRef,
    target: Target,
) -> Backend {
    let weight = weight(pass, field, reference);
    let origin = pass.origin(field);
    Backend { origin, weight, target, filters: Vec::new(), persistence: None }
}

fn weight(pass: &mut Pass<'_>, field: &str, reference: &BackendRef) -> u32 {
    let weight = reference.weight();
    if weight > WEIGHT_MAX {
        let message = format!("weight {weight} is above {WEIGHT_MAX}; it counts as {WEIGHT_MAX}");
        pass.aside(Code::InvalidValue, &format!("{field}.weight"), message);
    }
    weight.min(WEIGHT_MAX)
}

/// One entry of `backendRefs`. `filters` are its lowered filters, `None` when they were refused;
/// `session` is what the rule asks for. The weight counts whatever becomes of the target.
pub(crate) fn backend(
    pass: &mut Pass<'_>,
    field: &str,
    reference: &BackendRef,
    filters: Option<Vec<Filter>>,
    session: Option<&Session>,
) -> Backend {
    let effect = pass.route.share_effect();
    let origin = pass.origin(field);
    let weight = weight(pass, field, reference);
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
    let persistence = persistence(pass, field, &reference.object, session);
    Backend { origin, weight, target, filters, persistence }
}

/// The session that the backend keeps: its own, else the rule's, else that of a policy.
fn persistence(
    pass: &mut Pass<'_>,
    field: &str,
    reference: &BackendObjectReference,
    rule: Option<&Session>,
) -> Option<Arc<SessionPersistence>> {
    match pass.route {
        RouteType::Http | RouteType::Grpc => {}
        RouteType::Tcp | RouteType::Tls | RouteType::Udp => return None,
    }
    let inputs = pass.inputs;
    let Some(Resolution::Reached(reached)) = inputs.resolution(reference) else { return None };
    let backend = &reached.cluster.0.backend;
    if let Some(own) = &reached.own_session {
        if let Some(rule) = rule {
            let message = format!("{backend} has session persistence of its own, which counts");
            pass.aside(Code::SessionOverridden, field, message);
            if let Some(finding) = pass.findings.last_mut() {
                finding.related.push((rule.origin().clone(), "has no effect for it".to_owned()));
            }
        }
        return Some(own.at(backend));
    }
    rule.or(reached.policy_session.as_ref()).map(|session| session.at(backend))
}

/// Says when two backends of a rule would take each other's sessions away.
pub(crate) fn check_names(pass: &mut Pass<'_>, field: &str, backends: &[Backend]) {
    let served = || backends.iter().filter(|backend| backend.weight > 0).enumerate();
    for (position, backend) in served() {
        let (Some(session), Target::Cluster(cluster)) = (&backend.persistence, &backend.target)
        else {
            continue;
        };
        let other = served().take(position).find(|(_, other)| {
            other.persistence.as_ref().is_some_and(|o| o.name.as_str() == session.name.as_str())
                && matches!(&other.target, Target::Cluster(id) if id != cluster)
        });
        if other.is_some() {
            let message = format!(
                "backends of this rule share the session name {}; leave the name out, or give each \
                 its own",
                session.name
            );
            pass.aside(Code::SessionNameShared, field, message);
            if let Some(finding) = pass.findings.last_mut() {
                let effect = "a session begins anew when the weights choose another backend";
                finding.effect = Some(effect.to_owned());
            }
            return;
        }
    }
}

/// The action of a rule with these backends.
pub(crate) fn forward(backends: Vec<Backend>) -> Action {
    if backends.iter().all(|backend| backend.weight == 0) {
        Action::Fail(FailReason::NoBackends)
    } else {
        Action::Forward(backends)
    }
}
