//! Gateways, their listeners and the ListenerSets that add to them.
//!
//! The order of work: which classes are ours ([`class`]), each Gateway's listeners by themselves
//! ([`listener`]), ListenerSets ([`listener_set`]), conflicts and overlaps among the listeners of
//! one Gateway ([`conflict`]), addresses among all Gateways ([`address`]), and what is left to
//! serve ([`build`]).

pub(crate) mod address;
pub(crate) mod build;
pub(crate) mod class;
pub(crate) mod conflict;
pub(crate) mod envoy_proxy;
pub(crate) mod frontend;
pub(crate) mod listener;
mod listener_filters;
pub(crate) mod listener_set;
pub(crate) mod parameters;
pub(crate) mod provisioned;

use std::collections::BTreeMap;
use std::sync::Arc;

use api::{Gateway, GatewayDefaultScope, GatewayParametersSpec, ListenerSet, ObjectName};
use ir::{BindAddress, Certificate, CertificateId, ObjectRef};

use crate::certificate::Store;
use crate::code::Code;
use crate::condition::ConditionType;
use crate::diagnostic::{Diagnostic, Target};
use crate::edge::Edge;
use crate::kinds::{at, gateway_ref};
use crate::plan::AddressRequest;
use crate::settings::{Capabilities, Placement};
use crate::status::denies;
use crate::world::World;

use self::class::Classes;
use self::listener::ListenerWork;

/// A Gateway that is ours, on its way through the stages.
pub(crate) struct GatewayWork<'a> {
    pub(crate) name: &'a ObjectName,
    pub(crate) gateway: &'a Arc<Gateway>,
    pub(crate) object: Arc<ObjectRef>,
    pub(crate) findings: Vec<Diagnostic>,
    pub(crate) edge: Edge,
    pub(crate) listeners: Vec<ListenerWork<'a>>,
    /// In merge order.
    pub(crate) sets: Vec<SetWork<'a>>,
    pub(crate) addresses: Vec<BindAddress>,
    /// What it asks for, when it gets pods of its own.
    pub(crate) requests: Vec<AddressRequest>,
    pub(crate) parameters: Arc<GatewayParametersSpec>,
    /// Shown to backends that are reached by TLS.
    pub(crate) client_certificate: Option<CertificateId>,
}

/// A ListenerSet of a Gateway of ours.
pub(crate) struct SetWork<'a> {
    pub(crate) name: &'a ObjectName,
    pub(crate) set: &'a Arc<ListenerSet>,
    pub(crate) object: Arc<ObjectRef>,
    pub(crate) findings: Vec<Diagnostic>,
    /// Empty unless the Gateway admits the set.
    pub(crate) listeners: Vec<ListenerWork<'a>>,
}

/// Certificates that listeners and Gateways use.
pub(crate) type Certificates = BTreeMap<CertificateId, Arc<Certificate>>;

impl GatewayWork<'_> {
    pub(crate) fn find(&mut self, code: Code, field: &str, message: impl Into<String>) {
        let origin = at(&self.object, field);
        self.findings.push(Diagnostic::new(code, origin, Target::Gateway, message));
    }

    pub(crate) fn is_accepted(&self) -> bool {
        !self.findings.iter().any(|finding| denies(finding, ConditionType::Accepted))
    }

    /// Whether routes attach that name no Gateway but ask for default ones (GEP-3793).
    pub(crate) fn is_default(&self) -> bool {
        self.findings.iter().any(|finding| finding.code == Code::DefaultGateway)
    }

    /// Own listeners, then those of the sets in merge order.
    pub(crate) fn all_listeners(&self) -> impl Iterator<Item = &ListenerWork<'_>> {
        self.listeners.iter().chain(self.sets.iter().flat_map(|set| &set.listeners))
    }
}

impl SetWork<'_> {
    pub(crate) fn find(&mut self, code: Code, field: &str, message: impl Into<String>) {
        let origin = at(&self.object, field);
        self.findings.push(Diagnostic::new(code, origin, Target::ListenerSet, message));
    }

    pub(crate) fn is_accepted(&self) -> bool {
        !self.findings.iter().any(|finding| denies(finding, ConditionType::Accepted))
    }
}

/// What the stages hand on.
pub(crate) struct Gateways<'a> {
    /// Oldest first.
    pub(crate) works: Vec<GatewayWork<'a>>,
    pub(crate) certificates: Certificates,
    /// Findings about objects that get no status from us.
    pub(crate) asides: Vec<Diagnostic>,
}

pub(crate) fn lower<'a>(
    world: &World<'a>,
    classes: &Classes<'a>,
    store: &mut Store,
) -> Gateways<'a> {
    let mut certificates = Certificates::new();
    let mut asides = Vec::new();
    let mut works = Vec::new();
    for (name, gateway) in &world.snapshot.gateways {
        if classes.is_ours(&gateway.spec.gateway_class_name) {
            works.push(lower_gateway(world, classes, name, gateway, store, &mut certificates));
        } else if let Some(aside) = classes.aside(world, name, gateway) {
            asides.push(aside);
        }
    }
    works.sort_by(|a, b| {
        let age =
            |work: &GatewayWork<'a>| crate::kinds::seniority(&work.gateway.metadata, work.name);
        age(a).cmp(&age(b))
    });
    listener_set::attach(world, &mut works, store, &mut certificates, &mut asides);
    for work in &mut works {
        conflict::mark(work, world.settings.capabilities);
        judge(work);
    }
    match world.settings.placement {
        Placement::Shared => address::assign(world, &mut works),
        Placement::Provisioned => provisioned::assign(&mut works),
    }
    for work in &mut works {
        listener_set::judge(work);
        build::judge_serving(work);
        conflict::mark_overlaps(work, &certificates);
    }
    Gateways { works, certificates, asides }
}

fn lower_gateway<'a>(
    world: &World<'a>,
    classes: &Classes<'a>,
    name: &'a ObjectName,
    gateway: &'a Arc<Gateway>,
    store: &mut Store,
    certificates: &mut Certificates,
) -> GatewayWork<'a> {
    let mut work = GatewayWork {
        name,
        gateway,
        object: gateway_ref(name),
        findings: Vec::new(),
        edge: Edge::default(),
        listeners: Vec::new(),
        sets: Vec::new(),
        addresses: Vec::new(),
        requests: Vec::new(),
        parameters: Arc::default(),
        client_certificate: None,
    };
    let broken: Vec<_> = world
        .issues(&work.object)
        .filter(|issue| !issue.is_under("spec.listeners") || issue.path == "spec.listeners")
        .collect();
    for issue in broken {
        work.find(Code::GatewayFieldInvalid, &issue.path, issue.message.clone());
    }
    parameters::apply(world, classes, &mut work);
    refuse_fields(world, &mut work);
    client_certificate(world, &mut work, store, certificates);
    work.listeners = listener::lower_all(
        world,
        gateway,
        listener::Owner { object: &work.object, from_set: false },
        &gateway.spec.listeners,
        store,
        certificates,
    );
    parameters::check_listener_names(&mut work);
    work
}

/// Fields of the Gateway as a whole that have no effect yet.
fn refuse_fields(world: &World<'_>, work: &mut GatewayWork<'_>) {
    let spec = &work.gateway.spec;
    let capabilities = world.settings.capabilities;
    default_scope(work, capabilities);
    if capabilities.frontend_client_certificates && frontend::is_insecure(spec) {
        let message = "clients without a valid certificate are let in (AllowInsecureFallback)";
        work.find(Code::InsecureFrontendValidation, "spec.tls.frontend", message);
    }
}

/// What the Gateway shows to backends. One that is not usable closes nothing: backends that insist
/// on it refuse the connection.
fn client_certificate(
    world: &World<'_>,
    work: &mut GatewayWork<'_>,
    store: &mut Store,
    certificates: &mut Certificates,
) {
    let spec = &work.gateway.spec;
    let reference = spec.tls.as_ref().and_then(|tls| tls.backend.as_ref());
    let Some(reference) = reference.and_then(|backend| backend.client_certificate_ref.as_ref())
    else {
        return;
    };
    let field = "spec.tls.backend.clientCertificateRef";
    match crate::certificate::resolve(world, store, &work.object, reference) {
        Err(refusal) => {
            let code = if refusal.code == Code::CertificateNotPermitted {
                Code::ClientCertificateNotPermitted
            } else {
                Code::ClientCertificateInvalid
            };
            work.find(code, field, refusal.message);
        }
        Ok(_) if !world.settings.capabilities.backend_client_certificate => {
            let message = "client certificates towards backends are not served yet; backends that \
                           need TLS answer 500 until they are";
            work.find(Code::UnsupportedGatewayField, field, message);
        }
        Ok(Some(certificate)) => {
            work.client_certificate = Some(certificate.id.clone());
            certificates.insert(certificate.id.clone(), certificate);
        }
        Ok(None) => {}
    }
}

fn default_scope(work: &mut GatewayWork<'_>, capabilities: Capabilities) {
    let field = "spec.defaultScope";
    match &work.gateway.spec.default_scope {
        None | Some(GatewayDefaultScope::None) => {}
        Some(GatewayDefaultScope::All) if capabilities.default_gateways => {
            let message = "routes with useDefaultGateways attach to this Gateway";
            work.find(Code::DefaultGateway, field, message);
        }
        Some(GatewayDefaultScope::All) => {
            let message = "spec.defaultScope is not served yet: name this Gateway in the parentRefs \
                           of routes";
            work.find(Code::UnsupportedGatewayField, field, message);
        }
        Some(GatewayDefaultScope::Other(other)) => {
            let message = format!("defaultScope \"{other}\" is not known; use All or None");
            work.find(Code::UnsupportedGatewayField, field, message);
        }
    }
}

/// What the listeners mean for the Gateway as a whole. Listeners of ListenerSets do not count.
fn judge(work: &mut GatewayWork<'_>) {
    let bad: Vec<String> = work
        .listeners
        .iter()
        .filter(|listener| !listener.is_accepted())
        .map(|listener| listener.id.name.to_string())
        .collect();
    if bad.len() == work.listeners.len() {
        let message = "no listener of the Gateway is valid; see the conditions of each";
        work.find(Code::NoValidListener, "spec.listeners", message);
    } else if !bad.is_empty() {
        let message = format!("not valid: listener {}; see the conditions of each", bad.join(", "));
        work.find(Code::SomeListenersInvalid, "spec.listeners", message);
    }
    let unresolved: Vec<String> = work
        .listeners
        .iter()
        .filter(|listener| {
            listener.findings.iter().any(|finding| denies(finding, ConditionType::ResolvedRefs))
        })
        .map(|listener| listener.id.name.to_string())
        .collect();
    if !unresolved.is_empty() {
        let message = format!(
            "references do not resolve in listener {}; see the conditions of each",
            unresolved.join(", ")
        );
        work.find(Code::ListenersNotResolved, "spec.listeners", message);
    }
}
