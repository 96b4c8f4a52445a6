//! Statuses as we would write them, and the projection of findings onto conditions.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use api::ParentReference;
use ir::ObjectRef;

use crate::condition::{
    BACKEND_BASELINE, CLASS_BASELINE, ConditionStatus, ConditionType, GATEWAY_BASELINE,
    LISTENER_BASELINE, LISTENER_SET_BASELINE, POLICY_BASELINE, ROUTE_BASELINE, Reason, Verdict,
    conditions,
};
use crate::diagnostic::{Diagnostic, Target};
use crate::limits::SENTENCES_MAX;

/// Our part of the status of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// `metadata.generation` of the object that was looked at; 0 in files, where nobody counts.
    pub observed_generation: i64,
    pub body: StatusBody,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusBody {
    GatewayClass {
        conditions: Vec<Condition>,
        /// Sorted.
        supported_features: Vec<&'static str>,
    },
    Gateway {
        conditions: Vec<Condition>,
        /// In the order they were asked for or given.
        addresses: Vec<GatewayAddress>,
        listeners: Vec<ListenerStatus>,
        attached_listener_sets: u32,
    },
    ListenerSet {
        conditions: Vec<Condition>,
        listeners: Vec<ListenerStatus>,
    },
    Route {
        parents: Vec<ParentStatus>,
    },
    Policy {
        ancestors: Vec<AncestorStatus>,
    },
    /// Of an XBackend.
    Backend {
        ancestors: Vec<AncestorStatus>,
    },
}

/// An address that a Gateway has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayAddress {
    pub value: AddressValue,
    /// From where it can be reached, when the Gateway asked for something particular.
    pub routability: Option<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressValue {
    Ip(IpAddr),
    Hostname(Arc<str>),
}

impl fmt::Display for GatewayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            AddressValue::Ip(ip) => write!(f, "{ip}")?,
            AddressValue::Hostname(name) => f.write_str(name)?,
        }
        match self.routability.as_deref() {
            None | Some("") => Ok(()),
            Some(routability) => write!(f, " ({routability})"),
        }
    }
}

impl From<IpAddr> for GatewayAddress {
    fn from(ip: IpAddr) -> Self {
        Self { value: AddressValue::Ip(ip), routability: None }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerStatus {
    pub name: Arc<str>,
    /// Kinds of group `gateway.networking.k8s.io`.
    pub supported_kinds: Vec<&'static str>,
    pub attached_routes: u32,
    pub conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentStatus {
    /// Position in `spec.parentRefs`.
    pub index: usize,
    /// As written, with group and kind filled in.
    pub parent: ParentReference,
    pub conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AncestorStatus {
    /// The Gateway.
    pub ancestor: Arc<ObjectRef>,
    pub conditions: Vec<Condition>,
}

/// A condition without its time: translation has no clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub kind: ConditionType,
    pub status: ConditionStatus,
    pub reason: Reason,
    pub message: String,
}

pub type Statuses = BTreeMap<Arc<ObjectRef>, Arc<Status>>;

/// Whether findings with this code make a condition differ from the baseline's True.
pub(crate) fn denies(diagnostic: &Diagnostic, condition: ConditionType) -> bool {
    conditions(diagnostic.code)
        .iter()
        .any(|(kind, status, _)| *kind == condition && *status == ConditionStatus::False)
}

pub(crate) fn class_conditions(findings: &[&Diagnostic]) -> Vec<Condition> {
    project(CLASS_BASELINE, findings, |target| *target == Target::Class)
}

pub(crate) fn gateway_conditions(findings: &[&Diagnostic]) -> Vec<Condition> {
    project(GATEWAY_BASELINE, findings, |target| *target == Target::Gateway)
}

pub(crate) fn listener_set_conditions(findings: &[&Diagnostic]) -> Vec<Condition> {
    project(LISTENER_SET_BASELINE, findings, |target| *target == Target::ListenerSet)
}

pub(crate) fn listener_conditions(name: &str, findings: &[&Diagnostic]) -> Vec<Condition> {
    project(
        LISTENER_BASELINE,
        findings,
        |target| matches!(target, Target::Listener(own) if **own == *name),
    )
}

/// Conditions of one parent. A route that is not accepted is not partially invalid as well.
pub(crate) fn parent_conditions(index: usize, findings: &[&Diagnostic]) -> Vec<Condition> {
    let mut conditions = project(ROUTE_BASELINE, findings, |target| {
        *target == Target::Route || *target == Target::RouteParent(index)
    });
    let accepted = conditions
        .iter()
        .any(|c| c.kind == ConditionType::Accepted && c.status == ConditionStatus::True);
    conditions.retain(|c| accepted || c.kind != ConditionType::PartiallyInvalid);
    conditions
}

pub(crate) fn ancestor_conditions(
    ancestor: &Arc<ObjectRef>,
    findings: &[&Diagnostic],
) -> Vec<Condition> {
    project(POLICY_BASELINE, findings, |target| concerns_ancestor(target, ancestor))
}

pub(crate) fn backend_conditions(
    ancestor: &Arc<ObjectRef>,
    findings: &[&Diagnostic],
) -> Vec<Condition> {
    project(BACKEND_BASELINE, findings, |target| concerns_ancestor(target, ancestor))
}

fn concerns_ancestor(target: &Target, ancestor: &Arc<ObjectRef>) -> bool {
    match target {
        Target::Policy => true,
        Target::PolicyAncestor(own) => own == ancestor,
        Target::Nothing
        | Target::Class
        | Target::Gateway
        | Target::ListenerSet
        | Target::Listener(_)
        | Target::Route
        | Target::RouteParent(_) => false,
    }
}

/// The baseline, changed by every finding that concerns the target.
///
/// A finding that contradicts the baseline wins over one that agrees with it; among equals the
/// first decides the reason, and all of them contribute their sentence.
fn project(
    baseline: &[(Verdict, &str)],
    findings: &[&Diagnostic],
    concerns: impl Fn(&Target) -> bool,
) -> Vec<Condition> {
    let mut found: BTreeMap<ConditionType, Vec<(ConditionStatus, Reason, &Diagnostic)>> =
        BTreeMap::new();
    for diagnostic in findings.iter().filter(|diagnostic| concerns(&diagnostic.target)) {
        for (kind, status, reason) in conditions(diagnostic.code) {
            found.entry(*kind).or_default().push((*status, *reason, diagnostic));
        }
    }
    let mut result = Vec::new();
    for ((kind, status, reason), message) in baseline {
        let condition = found.remove(kind).map(|verdicts| settle(*kind, *status, &verdicts));
        result.push(condition.flatten().unwrap_or_else(|| Condition {
            kind: *kind,
            status: *status,
            reason: *reason,
            message: (*message).to_owned(),
        }));
    }
    // Conditions without a baseline are written only while something is found.
    result.extend(
        found.iter().filter_map(|(kind, verdicts)| settle(*kind, ConditionStatus::False, verdicts)),
    );
    result.sort_by_key(|condition| condition.kind);
    result
}

fn settle(
    kind: ConditionType,
    baseline: ConditionStatus,
    verdicts: &[(ConditionStatus, Reason, &Diagnostic)],
) -> Option<Condition> {
    let rank = |status: ConditionStatus| match status {
        same if same == baseline => 2,
        ConditionStatus::Unknown => 1,
        ConditionStatus::True | ConditionStatus::False => 0,
    };
    let status = verdicts.iter().map(|(status, ..)| *status).min_by_key(|status| rank(*status))?;
    let agreeing: Vec<_> = verdicts.iter().filter(|(own, ..)| *own == status).collect();
    // "ListenersNotValid" says more than the plain "Accepted" of a side note.
    let reason = agreeing
        .iter()
        .map(|(_, reason, _)| *reason)
        .find(|reason| *reason != Reason::Accepted)
        .or_else(|| agreeing.first().map(|(_, reason, _)| *reason))?;
    let mut sentences: Vec<String> = Vec::new();
    for (_, _, diagnostic) in &agreeing {
        let field = &diagnostic.origin.field;
        let sentence = if field.is_empty() {
            diagnostic.sentence()
        } else {
            format!("{field}: {}", diagnostic.sentence())
        };
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }
    let more = sentences.len().saturating_sub(SENTENCES_MAX);
    sentences.truncate(SENTENCES_MAX);
    let mut message = sentences.join("; ");
    if more > 0 {
        message.push_str(&format!("; and {more} more"));
    }
    if kind == ConditionType::PartiallyInvalid {
        // The API asks for one of two beginnings (RouteConditionPartiallyInvalid).
        message.insert_str(0, "Dropped Rule: ");
    }
    Some(Condition { kind, status, reason, message })
}

impl Status {
    /// The conditions of the object itself; empty for routes and policies, which have them for
    /// each parent or ancestor.
    pub fn conditions(&self) -> &[Condition] {
        match &self.body {
            StatusBody::GatewayClass { conditions, .. }
            | StatusBody::Gateway { conditions, .. }
            | StatusBody::ListenerSet { conditions, .. } => conditions,
            StatusBody::Route { .. } | StatusBody::Policy { .. } | StatusBody::Backend { .. } => {
                &[]
            }
        }
    }

    /// The listeners, for Gateways and ListenerSets.
    pub fn listeners(&self) -> &[ListenerStatus] {
        match &self.body {
            StatusBody::Gateway { listeners, .. } | StatusBody::ListenerSet { listeners, .. } => {
                listeners
            }
            StatusBody::GatewayClass { .. }
            | StatusBody::Route { .. }
            | StatusBody::Policy { .. }
            | StatusBody::Backend { .. } => &[],
        }
    }
}
