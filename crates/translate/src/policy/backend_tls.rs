//! BackendTLSPolicy: which Services must be reached by TLS, and what becomes of each policy.
//!
//! A Service with a policy is never reached in plaintext, whatever is wrong with the policy.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::{BackendTlsPolicy, ObjectName, ServicePort};
use ir::{ObjectRef, UpstreamTls};

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Target};
use crate::hint::nearest;
use crate::kinds::{at, object_ref, seniority, service_ref, whole};
use crate::policy::Users;
use crate::policy::upstream::{self, Asked, Find};
use crate::refs::Refusal;
use crate::snapshot::Snapshot;
use crate::status::{AncestorStatus, Status, StatusBody, Statuses, ancestor_conditions};
use crate::world::World;

/// Policies by the Service they target.
pub(crate) struct Secured<'a> {
    by_service: BTreeMap<ObjectName, Vec<Claim<'a>>>,
    /// Policies that were lowered already; `None` cannot be given.
    lowered: RefCell<BTreeMap<&'a ObjectName, Option<Arc<UpstreamTls>>>>,
}

struct Claim<'a> {
    policy: &'a ObjectName,
    age: (i64, &'a ObjectName),
    /// A port's name; `None` is the whole Service.
    section: Option<&'a str>,
}

impl<'a> Secured<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot) -> Self {
        let mut by_service: BTreeMap<ObjectName, Vec<Claim<'a>>> = BTreeMap::new();
        for (name, policy) in &snapshot.backend_tls_policies {
            for target in &policy.spec.target_refs {
                if (&*target.group, &*target.kind) != ("", "Service") {
                    continue;
                }
                let service =
                    ObjectName::new(Arc::clone(&name.namespace), Arc::clone(&target.name));
                by_service.entry(service).or_default().push(Claim {
                    policy: name,
                    age: seniority(&policy.metadata, name),
                    section: target.section_name.as_deref().filter(|section| !section.is_empty()),
                });
            }
        }
        Self { by_service, lowered: RefCell::default() }
    }

    /// How a port of a Service must be reached; `None` when no policy targets it. The policy for
    /// the port comes before that for the Service, and among equals the oldest counts: one that
    /// cannot be given is never replaced by another, or by plaintext.
    pub(crate) fn upstream(
        &self,
        world: &World<'a>,
        service: &ObjectName,
        port: &ServicePort,
    ) -> Option<Result<Arc<UpstreamTls>, Refusal>> {
        let claims = self.by_service.get(service)?;
        let named = claims.iter().filter(|claim| claim.section == Some(port.name()));
        let all_ports = claims.iter().filter(|claim| claim.section.is_none());
        let first = named.min_by(|a, b| a.age.cmp(&b.age));
        let claim = first.or_else(|| all_ports.min_by(|a, b| a.age.cmp(&b.age)))?;
        let served = world.settings.capabilities.backend_tls;
        let tls = if served { self.lowered(world, claim.policy) } else { None };
        Some(tls.ok_or_else(|| {
            let code = if served { Code::BackendPolicyUnusable } else { Code::BackendNeedsTls };
            let message = format!(
                "BackendTLSPolicy {} asks for TLS to Service {service}, which cannot be given",
                claim.policy
            );
            let mut refusal = Refusal::new(code, message);
            let policy = object_ref::<BackendTlsPolicy>(claim.policy);
            refusal.related.push((whole(&policy), "the policy is here".to_owned()));
            refusal
        }))
    }

    fn lowered(&self, world: &World<'a>, name: &'a ObjectName) -> Option<Arc<UpstreamTls>> {
        if let Some(known) = self.lowered.borrow().get(name) {
            return known.clone();
        }
        let policy = world.snapshot.backend_tls_policies.get(name)?;
        let object = object_ref::<BackendTlsPolicy>(name);
        let tls = lower(world, &object, policy, &mut |_, _, _, _| {}).map(Arc::new);
        self.lowered.borrow_mut().insert(name, tls.clone());
        tls
    }

    /// The policy that has the same target and comes first.
    fn winner(
        &self,
        service: &ObjectName,
        section: Option<&str>,
        own: &ObjectName,
    ) -> Option<&'a ObjectName> {
        let claims = self.by_service.get(service)?;
        let same = claims.iter().filter(|claim| claim.section == section);
        let first = same.min_by(|a, b| a.age.cmp(&b.age))?;
        (first.policy != own).then_some(first.policy)
    }
}

/// Findings and statuses of all policies. `users` are the Gateways that send traffic to a Service.
pub(crate) fn judge(
    world: &World<'_>,
    users: &Users,
    findings: &mut Vec<Diagnostic>,
    statuses: &mut Statuses,
) {
    for (name, policy) in &world.snapshot.backend_tls_policies {
        let own = judge_one(world, name, policy);
        let ancestors: BTreeSet<&Arc<ObjectRef>> = policy
            .spec
            .target_refs
            .iter()
            .filter_map(|target| {
                let service =
                    ObjectName::new(Arc::clone(&name.namespace), Arc::clone(&target.name));
                users.get(&service_ref(&service))
            })
            .flatten()
            .collect();
        if !ancestors.is_empty() {
            let concerning: Vec<&Diagnostic> = own.iter().collect();
            let ancestors = ancestors
                .into_iter()
                .map(|ancestor| AncestorStatus {
                    ancestor: Arc::clone(ancestor),
                    conditions: ancestor_conditions(ancestor, &concerning),
                })
                .collect();
            let status = Status {
                observed_generation: policy.metadata.generation(),
                body: StatusBody::Policy { ancestors },
            };
            statuses.insert(object_ref::<BackendTlsPolicy>(name), Arc::new(status));
        }
        findings.extend(own);
    }
}

fn judge_one(world: &World<'_>, name: &ObjectName, policy: &BackendTlsPolicy) -> Vec<Diagnostic> {
    let object = object_ref::<BackendTlsPolicy>(name);
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut find = |code, field: &str, message: String, hint: Option<String>| {
        found.push(
            Diagnostic::new(code, at(&object, field), Target::Policy, message).with_hint(hint),
        );
    };
    for issue in world.issues(&object).filter(|issue| !is_part(&issue.path)) {
        find(Code::PolicyInvalid, &issue.path, issue.message.clone(), None);
    }
    for (index, target) in policy.spec.target_refs.iter().enumerate() {
        let field = format!("spec.targetRefs[{index}]");
        if let Err((code, message, hint)) = judge_target(world, name, target) {
            find(code, &field, message, hint);
        }
    }
    lower(world, &object, policy, &mut find);
    if !world.settings.capabilities.backend_tls {
        let message = "TLS towards backends is not served yet; the targets answer 500 instead of \
                       being reached in plaintext";
        find(Code::PolicyNotServed, "spec", message.to_owned(), None);
    }
    found
}

fn judge_target(
    world: &World<'_>,
    name: &ObjectName,
    target: &api::PolicyTargetReference,
) -> Result<(), (Code, String, Option<String>)> {
    if (&*target.group, &*target.kind) != ("", "Service") {
        let message = format!("kind {} cannot be a target; use a Service", target.kind);
        return Err((Code::PolicyInvalid, message, None));
    }
    let service_name = ObjectName::new(Arc::clone(&name.namespace), Arc::clone(&target.name));
    let Some(service) = world.snapshot.services.get(&service_name) else {
        if world.snapshot.open {
            return Ok(());
        }
        let neighbours = world.snapshot.services.keys();
        let neighbours = neighbours.filter(|other| other.namespace == name.namespace);
        let hint = nearest(&target.name, neighbours.map(|other| &*other.name));
        return Err((
            Code::PolicyTargetNotFound,
            format!("Service {service_name} does not exist"),
            hint,
        ));
    };
    let section = target.section_name.as_deref().filter(|section| !section.is_empty());
    if let Some(section) = section
        && !service.spec.ports.iter().any(|port| port.name() == section)
    {
        let hint = nearest(section, service.spec.ports.iter().map(ServicePort::name));
        let message = format!("Service {service_name} has no port with the name {section}");
        return Err((Code::PolicyTargetNotFound, message, hint));
    }
    match world.secured.winner(&service_name, section, name) {
        Some(winner) => {
            let message = format!("BackendTLSPolicy {winner} has the same target and comes first");
            Err((Code::PolicyConflicted, message, None))
        }
        None => Ok(()),
    }
}

/// Whether a field says how the targets are reached.
fn is_part(field: &str) -> bool {
    field.starts_with("spec.validation") || field.starts_with("spec.options")
}

fn lower(
    world: &World<'_>,
    object: &Arc<ObjectRef>,
    policy: &BackendTlsPolicy,
    find: &mut Find<'_>,
) -> Option<UpstreamTls> {
    let broken: Vec<_> = world.issues(object).filter(|issue| is_part(&issue.path)).collect();
    for issue in &broken {
        find(Code::PolicyInvalid, &issue.path, issue.message.clone(), None);
    }
    let asked = Asked {
        origin: whole(object),
        validation: &policy.spec.validation,
        field: "spec.validation",
        options: &policy.spec.options,
        options_field: "spec.options",
    };
    upstream::lower(world, &asked, find).filter(|_| broken.is_empty())
}
