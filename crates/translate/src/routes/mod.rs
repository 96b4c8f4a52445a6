//! Routes of all kinds: from what a route may read ([`inputs`]) to what it becomes.
//!
//! [`lower`] is a pure function of the route, its [`RouteInputs`] and the capabilities, so its
//! result can be kept as long as these are equal. [`attach`] decides about parents, the other
//! modules about rules.

pub(crate) mod attach;
pub(crate) mod backends;
pub(crate) mod filters;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod inputs;
pub(crate) mod l4;
pub(crate) mod matches;
pub(crate) mod modifiers;

use std::sync::Arc;

use api::{BackendObjectReference, Route};
use ir::{
    Attachment, HostPattern, HttpRoute, L4Route, ListenerId, ObjectRef, Origin, RouteKind, Rule,
};

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Target};
use crate::kinds::{RouteType, at, created};
use crate::settings::{Capabilities, Settings};
use crate::status::{ParentStatus, Status, StatusBody, parent_conditions};

use self::inputs::{ParentInput, RouteInputs};

/// What a route becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lowered {
    pub(crate) entity: Entity,
    /// Listeners that accepted the route, served or not, each once.
    pub(crate) accepted_by: Vec<ListenerId>,
    pub(crate) findings: Vec<Diagnostic>,
    /// `None` when no parent is ours.
    pub(crate) status: Option<Arc<Status>>,
    /// Backends that the route names, each once.
    pub(crate) backends: Vec<Arc<ObjectRef>>,
    /// What its regular expressions take in memory, whether they are served or not.
    pub(crate) pattern_bytes: usize,
}

/// The route in the IR; with attachments only to listeners that serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entity {
    Http(Arc<HttpRoute>),
    L4(Arc<L4Route>),
}

impl Lowered {
    pub(crate) fn object(&self) -> &Arc<ObjectRef> {
        match &self.entity {
            Entity::Http(entity) => &entity.object,
            Entity::L4(entity) => &entity.object,
        }
    }
}

/// What the rules of a route become.
pub(crate) enum Body {
    Http(RouteKind, Vec<Arc<Rule>>),
    /// Backends, and their targets for listeners that pass TLS through where these differ.
    L4(Origin, Vec<ir::Backend>, Option<Vec<ir::Target>>),
}

/// A kind of route.
pub(crate) trait Lower: Route + PartialEq {
    const TYPE: RouteType;

    /// Calls `visit` for every reference to a backend, filters included.
    fn visit_backends(&self, visit: &mut dyn FnMut(&BackendObjectReference));

    /// Calls `visit` for every service that filters ask by gRPC.
    fn visit_callees(&self, _visit: &mut dyn FnMut(&BackendObjectReference)) {}

    fn lower_rules(&self, pass: &mut Pass<'_>) -> Body;
}

/// The state of one route's lowering.
pub(crate) struct Pass<'i> {
    pub(crate) object: Arc<ObjectRef>,
    pub(crate) route: RouteType,
    pub(crate) inputs: &'i RouteInputs,
    pub(crate) capabilities: Capabilities,
    /// Listeners that accepted the route.
    pub(crate) accepted_by: Vec<ListenerId>,
    pub(crate) findings: Vec<Diagnostic>,
    /// Of the regular expressions that were compiled, kept or not.
    pub(crate) pattern_bytes: usize,
    pub(crate) pattern_bytes_max: usize,
}

impl Pass<'_> {
    pub(crate) fn origin(&self, field: &str) -> Origin {
        at(&self.object, field)
    }

    /// A finding for every parent of the route.
    pub(crate) fn find(&mut self, code: Code, field: &str, message: impl Into<String>) {
        self.report(code, field, message, None);
    }

    pub(crate) fn report(
        &mut self,
        code: Code,
        field: &str,
        message: impl Into<String>,
        effect: Option<&str>,
    ) {
        let mut finding = Diagnostic::new(code, self.origin(field), Target::Route, message);
        finding.effect = effect.map(str::to_owned);
        self.findings.push(finding);
    }

    /// A finding for lint and explain only.
    pub(crate) fn aside(&mut self, code: Code, field: &str, message: impl Into<String>) {
        let finding = Diagnostic::new(code, self.origin(field), Target::Nothing, message);
        self.findings.push(finding);
    }

    /// The first field at or under `field` that could not be decoded, and why.
    pub(crate) fn broken(&self, field: &str) -> Option<(String, String)> {
        let issue = self.inputs.issues.iter().find(|issue| issue.is_under(field))?;
        Some((issue.path.clone(), issue.message.clone()))
    }
}

/// Lowers a route. Everything it may depend on is among the arguments.
pub(crate) fn lower<R: Lower>(
    object: Arc<ObjectRef>,
    route: &R,
    inputs: &RouteInputs,
    settings: &Settings,
) -> Lowered {
    let mut pass = Pass {
        object: Arc::clone(&object),
        route: R::TYPE,
        inputs,
        capabilities: settings.capabilities,
        accepted_by: Vec::new(),
        findings: Vec::new(),
        pattern_bytes: 0,
        pattern_bytes_max: settings.namespace_patterns_bytes_max,
    };
    let hosts = hostnames(&mut pass, route.hostnames());
    default_gateways(&mut pass, route);
    let attached = attach::attach(&mut pass, route.parent_refs(), hosts.as_deref());
    pass.accepted_by.clone_from(&attached.accepted);
    let body = route.lower_rules(&mut pass);
    let usable = !pass
        .findings
        .iter()
        .any(|finding| matches!(finding.code, Code::NoUsableRule | Code::NoUsableRuleFilters));
    let pattern_bytes = pass.pattern_bytes;
    let findings = pass.findings;
    let concerning: Vec<&Diagnostic> = findings.iter().collect();
    let parents: Vec<ParentStatus> = attached
        .parents
        .into_iter()
        .map(|(index, parent)| ParentStatus {
            index,
            parent,
            conditions: parent_conditions(index, &concerning),
        })
        .collect();
    let status = (!parents.is_empty()).then(|| {
        let observed_generation = route.meta().generation();
        Arc::new(Status { observed_generation, body: StatusBody::Route { parents } })
    });
    Lowered {
        entity: entity(object, created(route.meta()), attached.serving, body),
        accepted_by: if usable { attached.accepted } else { Vec::new() },
        findings,
        status,
        backends: inputs.used_backends(),
        pattern_bytes,
    }
}

/// Says what becomes of `spec.useDefaultGateways` where it does not attach the route.
fn default_gateways<R: Lower>(pass: &mut Pass<'_>, route: &R) {
    let field = "spec.useDefaultGateways";
    match route.use_default_gateways() {
        None | Some(api::GatewayDefaultScope::None) => {}
        Some(api::GatewayDefaultScope::All) if !pass.capabilities.default_gateways => {
            let message = "useDefaultGateways is not served; name the Gateways in parentRefs";
            pass.aside(Code::UnsupportedField, field, message);
        }
        Some(api::GatewayDefaultScope::All) if pass.inputs.defaults.is_empty() => {
            if !pass.inputs.parents.iter().any(|parent| matches!(parent, ParentInput::Ours(_))) {
                let message = "there is no default Gateway; set spec.defaultScope of one to All, \
                               or name Gateways in parentRefs";
                pass.aside(Code::NoDefaultGateway, field, message);
            }
        }
        Some(api::GatewayDefaultScope::All) => {}
        Some(api::GatewayDefaultScope::Other(other)) => {
            let message = format!("useDefaultGateways \"{other}\" is not known; use All or None");
            pass.aside(Code::UnknownValue, field, message);
        }
    }
}

fn entity(
    object: Arc<ObjectRef>,
    created: Option<i64>,
    attachments: Vec<Attachment>,
    body: Body,
) -> Entity {
    match body {
        Body::Http(kind, rules) => {
            Entity::Http(Arc::new(HttpRoute { object, kind, created, attachments, rules }))
        }
        Body::L4(origin, backends, passthrough) => {
            let route = L4Route { object, created, attachments, origin, backends, passthrough };
            Entity::L4(Arc::new(route))
        }
    }
}

/// The hostnames of the route; `None` when some were written but none can be used, which is not
/// the same as a route for every host.
fn hostnames(pass: &mut Pass<'_>, written: &[Arc<str>]) -> Option<Vec<HostPattern>> {
    if let Some((path, message)) = pass.broken("spec.hostnames").filter(|_| written.is_empty()) {
        pass.find(Code::NoUsableRule, &path, message);
        return None;
    }
    let mut hosts: Vec<HostPattern> = Vec::new();
    for (index, hostname) in written.iter().enumerate() {
        match api::hostname::check(&hostname.to_ascii_lowercase()) {
            Ok(()) => {
                let host = HostPattern::new(hostname);
                if !hosts.contains(&host) {
                    hosts.push(host);
                }
            }
            Err(error) => {
                let field = format!("spec.hostnames[{index}]");
                pass.report(
                    Code::InvalidValue,
                    &field,
                    error.to_string(),
                    Some("this hostname is passed over"),
                );
            }
        }
    }
    if hosts.is_empty() && !written.is_empty() {
        let message = "no hostname of the route is valid";
        pass.find(Code::NoUsableRule, "spec.hostnames", message);
        return None;
    }
    Some(hosts)
}
