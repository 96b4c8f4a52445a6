//! XBackendTrafficPolicy, and BackendLBPolicy before it: retry budgets and sessions of a Service.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use api::{ObjectName, RequestRate, RetryConstraint, XBackendTrafficPolicy};
use ir::{ObjectRef, RetryBudget};

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Target};
use crate::hint::nearest;
use crate::kinds::{at, object_ref, seniority, service_ref};
use crate::policy::{Users, ancestors};
use crate::session::{self, Session};
use crate::settings::{Capabilities, Settings};
use crate::snapshot::Snapshot;
use crate::status::Statuses;
use crate::world::World;

/// Shortest and longest interval of a budget that the API admits.
const INTERVALS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3600);

/// What the policies ask for, by the Service they target.
pub(crate) struct Traffic<'a> {
    by_service: BTreeMap<ObjectName, Claim<'a>>,
}

/// The policy that decides about a Service: the oldest.
struct Claim<'a> {
    policy: &'a ObjectName,
    age: (i64, &'a ObjectName),
    wanted: Arc<Wanted>,
}

/// What one policy asks for; nothing when it is not valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) retry_budget: Option<RetryBudget>,
    pub(crate) session: Option<Session>,
}

impl<'a> Traffic<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot, settings: &Settings) -> Self {
        let mut by_service: BTreeMap<ObjectName, Claim<'a>> = BTreeMap::new();
        for (name, policy) in &snapshot.x_backend_traffic_policies {
            let object = object_ref::<XBackendTrafficPolicy>(name);
            let broken = issues(snapshot, &object).next().is_some();
            let wanted = read(&object, policy, settings.capabilities);
            let wanted = Arc::new(wanted.ok().filter(|_| !broken).unwrap_or_default());
            let age = seniority(&policy.metadata, name);
            for target in &policy.spec.target_refs {
                if (&*target.group, &*target.kind) != ("", "Service") {
                    continue;
                }
                let service =
                    ObjectName::new(Arc::clone(&name.namespace), Arc::clone(&target.name));
                let first = by_service.get(&service).is_none_or(|other| age < other.age);
                if first {
                    let wanted = Arc::clone(&wanted);
                    by_service.insert(service, Claim { policy: name, age, wanted });
                }
            }
        }
        Self { by_service }
    }

    /// What is asked for traffic to a Service.
    pub(crate) fn wanted(&self, service: &ObjectName) -> Option<&Arc<Wanted>> {
        self.by_service.get(service).map(|claim| &claim.wanted)
    }
}

fn issues<'s>(
    snapshot: &'s Snapshot,
    object: &ObjectRef,
) -> impl Iterator<Item = &'s api::DecodeIssue> {
    let issues = snapshot.issues.get(object).map_or(&[][..], |issues| issues);
    issues.iter().filter(|issue| issue.is_under("spec"))
}

/// Code, field and message.
type Problem = (Code, String, String);

fn read(
    object: &Arc<ObjectRef>,
    policy: &XBackendTrafficPolicy,
    capabilities: Capabilities,
) -> Result<Wanted, Problem> {
    let unserved = |field: &str, what: &str| {
        let message = format!("{what} not served yet; the policy has no effect");
        (Code::PolicyKindNotServed, field.to_owned(), message)
    };
    let spec = &policy.spec;
    let retry_budget = match &spec.retry_constraint {
        Some(_) if !capabilities.retries => {
            return Err(unserved("spec.retryConstraint", "retries are"));
        }
        Some(constraint) => Some(budget(constraint)?),
        None => None,
    };
    let field = "spec.sessionPersistence";
    let session = match &spec.session_persistence {
        Some(_) if !capabilities.session_persistence => {
            return Err(unserved(field, "session persistence is"));
        }
        Some(wanted) => Some(
            session::lower(at(object, field), wanted)
                .map_err(|problem| (Code::PolicyInvalid, problem.below(field), problem.message))?,
        ),
        None => None,
    };
    Ok(Wanted { retry_budget, session })
}

fn budget(constraint: &RetryConstraint) -> Result<RetryBudget, Problem> {
    let field = "spec.retryConstraint";
    let budget = constraint.budget.clone().unwrap_or_default();
    let rate: RequestRate = constraint.min_retry_rate.clone().unwrap_or_default();
    let percent = u8::try_from(budget.percent()).ok().filter(|percent| *percent <= 100);
    let percent = percent.ok_or_else(|| {
        let message = format!("percent {} is above 100", budget.percent());
        (Code::PolicyInvalid, format!("{field}.budget.percent"), message)
    })?;
    let interval = interval(budget.interval(), &format!("{field}.budget.interval"))?;
    let min_interval = self::interval(rate.interval(), &format!("{field}.minRetryRate.interval"))?;
    Ok(RetryBudget { percent, interval, min_retries: rate.count(), min_interval })
}

fn interval(text: &str, field: &str) -> Result<Duration, Problem> {
    let invalid = |message: String| (Code::PolicyInvalid, field.to_owned(), message);
    let interval = api::duration::parse(text).map_err(|error| invalid(error.to_string()))?;
    if INTERVALS.contains(&interval) {
        Ok(interval)
    } else {
        Err(invalid(format!("the interval {text} is not between 1s and 1h")))
    }
}

/// Findings and statuses of all policies.
pub(crate) fn judge(
    world: &World<'_>,
    users: &Users,
    findings: &mut Vec<Diagnostic>,
    statuses: &mut Statuses,
) {
    for (name, policy) in &world.snapshot.x_backend_traffic_policies {
        let object = object_ref::<XBackendTrafficPolicy>(name);
        let own = judge_one(world, name, &object, policy);
        let targets = policy.spec.target_refs.iter();
        let services = targets.map(|target| {
            service_ref(&ObjectName::new(Arc::clone(&name.namespace), Arc::clone(&target.name)))
        });
        let gateways: BTreeSet<&Arc<ObjectRef>> =
            services.filter_map(|service| users.get(&service)).flatten().collect();
        ancestors(&object, policy.metadata.generation(), gateways, &own, statuses);
        findings.extend(own);
    }
}

fn judge_one(
    world: &World<'_>,
    name: &ObjectName,
    object: &Arc<ObjectRef>,
    policy: &XBackendTrafficPolicy,
) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut find = |code, field: &str, message: String, hint: Option<String>| {
        let finding = Diagnostic::new(code, at(object, field), Target::Policy, message);
        found.push(finding.with_hint(hint));
    };
    for issue in issues(world.snapshot, object) {
        find(Code::PolicyInvalid, &issue.path, issue.message.clone(), None);
    }
    if let Err((code, field, message)) = read(object, policy, world.settings.capabilities) {
        find(code, &field, message, None);
    }
    for (index, target) in policy.spec.target_refs.iter().enumerate() {
        let field = format!("spec.targetRefs[{index}]");
        if let Err((code, message, hint)) = judge_target(world, name, target) {
            find(code, &field, message, hint);
        }
    }
    found
}

fn judge_target(
    world: &World<'_>,
    name: &ObjectName,
    target: &api::LocalObjectReference,
) -> Result<(), (Code, String, Option<String>)> {
    if (&*target.group, &*target.kind) != ("", "Service") {
        let message = format!("kind {} cannot be a target; use a Service", target.kind);
        return Err((Code::PolicyInvalid, message, None));
    }
    let service = ObjectName::new(Arc::clone(&name.namespace), Arc::clone(&target.name));
    let snapshot = world.snapshot;
    if !snapshot.services.contains_key(&service) && !snapshot.open {
        let neighbours = snapshot.services.keys();
        let neighbours = neighbours.filter(|other| other.namespace == name.namespace);
        let hint = nearest(&target.name, neighbours.map(|other| &*other.name));
        let message = format!("Service {service} does not exist");
        return Err((Code::PolicyTargetNotFound, message, hint));
    }
    match world.traffic.by_service.get(&service).map(|claim| claim.policy) {
        Some(winner) if winner != name => {
            let message =
                format!("XBackendTrafficPolicy {winner} has the same target and comes first");
            Err((Code::PolicyConflicted, message, None))
        }
        Some(_) | None => Ok(()),
    }
}
