//! XTelemetryPolicy (GEP-4768): judged, and said not to be applied where it asks for spans.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::{GATEWAY_GROUP, ObjectName, TelemetryMode, XTelemetryPolicy};
use ir::ObjectRef;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Target};
use crate::hint::nearest;
use crate::kinds::{GATEWAY, RouteType, at, gateway_ref, object_ref, seniority};
use crate::policy::ancestors;
use crate::refs::{Resolution, resolve_backend};
use crate::status::Statuses;
use crate::world::World;

/// Findings and statuses of all policies; `ours` are the Gateways that we serve.
pub(crate) fn judge(
    world: &World<'_>,
    ours: &BTreeSet<Arc<ObjectRef>>,
    findings: &mut Vec<Diagnostic>,
    statuses: &mut Statuses,
) {
    let policies = &world.snapshot.x_telemetry_policies;
    let mut first: BTreeMap<ObjectName, &ObjectName> = BTreeMap::new();
    let mut by_age: Vec<_> = policies.iter().collect();
    by_age.sort_by(|a, b| seniority(&a.1.metadata, a.0).cmp(&seniority(&b.1.metadata, b.0)));
    for (name, policy) in by_age {
        for target in &policy.spec.target_refs {
            let gateway = ObjectName::new(Arc::clone(&name.namespace), Arc::clone(&target.name));
            first.entry(gateway).or_insert(name);
        }
    }
    for (name, policy) in policies {
        let object = object_ref::<XTelemetryPolicy>(name);
        let mut own: Vec<Diagnostic> = Vec::new();
        let mut gateways: BTreeSet<&Arc<ObjectRef>> = BTreeSet::new();
        for (index, target) in policy.spec.target_refs.iter().enumerate() {
            let field = format!("spec.targetRefs[{index}]");
            let gateway = ObjectName::new(Arc::clone(&name.namespace), Arc::clone(&target.name));
            gateways.extend(ours.get(&gateway_ref(&gateway)));
            if let Some(problem) = judge_target(world, target, &gateway, &first, name) {
                let (code, message, hint) = problem;
                let finding = Diagnostic::new(code, at(&object, &field), Target::Policy, message);
                own.push(finding.with_hint(hint));
            }
        }
        own.extend(judge_tracing(world, &object, policy));
        // A policy for Gateways of other controllers is not our business.
        let foreign =
            gateways.is_empty() && own.iter().all(|f| f.code != Code::PolicyTargetNotFound);
        if !foreign {
            ancestors(&object, policy.metadata.generation(), gateways, &own, statuses);
            findings.extend(own);
        }
    }
}

fn judge_target(
    world: &World<'_>,
    target: &api::LocalObjectReference,
    gateway: &ObjectName,
    first: &BTreeMap<ObjectName, &ObjectName>,
    own: &ObjectName,
) -> Option<(Code, String, Option<String>)> {
    if (&*target.group, &*target.kind) != (GATEWAY_GROUP, GATEWAY) {
        let message = format!("kind {} cannot be a target; use a Gateway", target.kind);
        return Some((Code::PolicyInvalid, message, None));
    }
    let gateways = &world.snapshot.gateways;
    if !gateways.contains_key(gateway) {
        if world.snapshot.open {
            return None;
        }
        let neighbours = gateways.keys().filter(|other| other.namespace == gateway.namespace);
        let hint = nearest(&target.name, neighbours.map(|other| &*other.name));
        return Some((
            Code::PolicyTargetNotFound,
            format!("Gateway {gateway} does not exist"),
            hint,
        ));
    }
    let winner = first.get(gateway).filter(|winner| **winner != own)?;
    let message = format!("XTelemetryPolicy {winner} has the same target and comes first");
    Some((Code::PolicyConflicted, message, None))
}

fn judge_tracing(
    world: &World<'_>,
    object: &Arc<ObjectRef>,
    policy: &XTelemetryPolicy,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut find = |code, field: &str, message: String| {
        found.push(Diagnostic::new(code, at(object, field), Target::Policy, message));
    };
    for issue in world.issues(object) {
        find(Code::PolicyInvalid, &issue.path, issue.message.clone());
    }
    let tracing = &policy.spec.tracing;
    match tracing.mode() {
        // Without tracing of our own, both are what happens.
        TelemetryMode::Disabled | TelemetryMode::ImplementationDefault => {}
        TelemetryMode::Enabled => {
            let message = "spans are not made yet: the policy is not applied, and requests are \
                           served without tracing";
            find(Code::PolicyKindNotServed, "spec.tracing.mode", message.to_owned());
        }
        TelemetryMode::Other(other) => {
            let message = format!(
                "the mode \"{other}\" is not known; use Enabled, Disabled or ImplementationDefault"
            );
            find(Code::PolicyInvalid, "spec.tracing.mode", message);
        }
    }
    if let Some(provider) = &tracing.provider {
        let field = "spec.tracing.provider.backendRef";
        match resolve_backend(world, object, &provider.backend_ref, RouteType::Grpc) {
            Resolution::Refused(refusal) => find(refusal.code, field, refusal.message),
            Resolution::Reached(..) | Resolution::Unknown(..) => {}
        }
    }
    found
}
