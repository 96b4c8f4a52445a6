//! One listener by itself: protocol, TLS, hostname, kinds and namespaces of routes.

use std::sync::Arc;

use api::{FromNamespaces, GATEWAY_GROUP, Gateway, LabelSelector, Listener, ProtocolType, TlsMode};
use ir::{
    CertificateId, ClientValidation, Filter, HostPattern, ListenerId, ObjectRef, Origin, TlsOptions,
};

use crate::certificate::{self, Store};
use crate::code::Code;
use crate::condition::ConditionType;
use crate::diagnostic::{Diagnostic, Target};
use crate::gateways::{Certificates, frontend, listener_filters};
use crate::kinds::{RouteType, at};
use crate::settings::Capabilities;
use crate::status::denies;
use crate::tls_options;
use crate::world::World;

/// What a listener does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Http,
    Https,
    TlsPassthrough,
    TlsTerminate,
    Tcp,
    Udp,
}

/// Listeners of one family can share a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    Http,
    Tls,
    Tcp,
    Udp,
}

impl Shape {
    pub(crate) fn family(self) -> Family {
        match self {
            Self::Http => Family::Http,
            Self::Https | Self::TlsPassthrough | Self::TlsTerminate => Family::Tls,
            Self::Tcp => Family::Tcp,
            Self::Udp => Family::Udp,
        }
    }

    pub(crate) fn terminates(self) -> bool {
        match self {
            Self::Https | Self::TlsTerminate => true,
            Self::Http | Self::TlsPassthrough | Self::Tcp | Self::Udp => false,
        }
    }

    /// The kinds of routes it can carry, in the order of status.
    fn routes(self, capabilities: Capabilities) -> Vec<RouteType> {
        match self {
            Self::Http | Self::Https if capabilities.grpc => vec![RouteType::Http, RouteType::Grpc],
            Self::Http | Self::Https => vec![RouteType::Http],
            Self::TlsPassthrough | Self::TlsTerminate => vec![RouteType::Tls],
            Self::Tcp => vec![RouteType::Tcp],
            Self::Udp => vec![RouteType::Udp],
        }
    }
}

/// Which namespaces routes may come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NamespaceRule {
    All,
    Same,
    Selector(LabelSelector),
    Nothing,
}

/// The object that holds a listener.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) object: &'a Arc<ObjectRef>,
    /// A ListenerSet rather than the Gateway itself.
    pub(crate) from_set: bool,
}

pub(crate) struct ListenerWork<'a> {
    pub(crate) spec: &'a Listener,
    pub(crate) id: ListenerId,
    pub(crate) origin: Origin,
    pub(crate) from_set: bool,
    /// `None` when the protocol or mode is not served.
    pub(crate) shape: Option<Shape>,
    pub(crate) hostname: Option<HostPattern>,
    pub(crate) supported: Vec<RouteType>,
    pub(crate) namespaces: NamespaceRule,
    pub(crate) certificates: Vec<CertificateId>,
    pub(crate) client_validation: Option<Arc<ClientValidation>>,
    pub(crate) tls_options: TlsOptions,
    /// Run on every request, in this order.
    pub(crate) filters: Vec<Filter>,
    /// What these filters ask, as far as it exists and may be used.
    pub(crate) filter_backends: Vec<Arc<ObjectRef>>,
    pub(crate) findings: Vec<Diagnostic>,
    pub(crate) bind_port: u16,
}

impl ListenerWork<'_> {
    pub(crate) fn find(&mut self, code: Code, field: &str, message: impl Into<String>) {
        let whole = field.is_empty();
        let origin = if whole { self.origin.clone() } else { self.origin.child(field) };
        let target = Target::Listener(Arc::clone(&self.id.name));
        self.findings.push(Diagnostic::new(code, origin, target, message));
    }

    pub(crate) fn is_accepted(&self) -> bool {
        !self.findings.iter().any(|finding| denies(finding, ConditionType::Accepted))
    }

    pub(crate) fn can_serve(&self) -> bool {
        self.is_accepted()
            && !self.findings.iter().any(|finding| denies(finding, ConditionType::Programmed))
    }
}

pub(crate) fn lower_all<'a>(
    world: &World<'a>,
    gateway: &'a Gateway,
    owner: Owner<'_>,
    listeners: &'a [Listener],
    store: &mut Store,
    certificates: &mut Certificates,
) -> Vec<ListenerWork<'a>> {
    let mut works: Vec<ListenerWork<'a>> = Vec::new();
    for (index, spec) in listeners.iter().enumerate() {
        let mut work = lower(world, owner, index, spec);
        if works.iter().any(|other| other.id == work.id) {
            // The API server would refuse the object; a second entry can have no status.
            continue;
        }
        let path = format!("spec.listeners[{index}]");
        for issue in world.issues(owner.object).filter(|issue| issue.is_under(&path)) {
            let field = issue.path.strip_prefix(&path).unwrap_or_default().trim_start_matches('.');
            work.find(Code::UnsupportedListenerField, field, issue.message.clone());
        }
        tls(world, &mut work, owner, store, certificates);
        frontend::check(world, gateway, &mut work);
        works.push(work);
    }
    works
}

fn lower<'a>(
    world: &World<'a>,
    owner: Owner<'_>,
    index: usize,
    spec: &'a Listener,
) -> ListenerWork<'a> {
    let mut work = ListenerWork {
        spec,
        id: ListenerId { owner: Arc::clone(owner.object), name: Arc::clone(&spec.name) },
        origin: at(owner.object, &format!("spec.listeners[{index}]")),
        from_set: owner.from_set,
        shape: None,
        hostname: None,
        supported: Vec::new(),
        namespaces: NamespaceRule::Nothing,
        certificates: Vec::new(),
        client_validation: None,
        tls_options: TlsOptions::default(),
        filters: Vec::new(),
        filter_backends: Vec::new(),
        findings: Vec::new(),
        bind_port: spec.port,
    };
    shape(&mut work, world.settings.capabilities);
    hostname(&mut work);
    kinds(&mut work, world.settings.capabilities);
    namespaces(&mut work);
    port(&mut work, world.settings.port_offset);
    listener_filters::lower(world, &mut work, owner.object);
    work
}

fn shape(work: &mut ListenerWork<'_>, capabilities: Capabilities) {
    let spec = work.spec;
    let mode = spec.tls.as_ref().map(api::ListenerTlsConfig::mode);
    let unserved =
        |what: &str| format!("listener {} asks for {what}, which is not served yet", spec.name);
    let shape = match (&spec.protocol, mode) {
        (ProtocolType::Http, _) => capabilities.http.then_some(Shape::Http),
        (ProtocolType::Https, None | Some(TlsMode::Terminate)) => {
            capabilities.https.then_some(Shape::Https)
        }
        (ProtocolType::Tls, Some(TlsMode::Passthrough)) if capabilities.tls_passthrough => {
            Some(Shape::TlsPassthrough)
        }
        (ProtocolType::Tls, None | Some(TlsMode::Terminate)) if capabilities.tls_terminate => {
            Some(Shape::TlsTerminate)
        }
        (ProtocolType::Tls, _) if !(capabilities.tls_passthrough || capabilities.tls_terminate) => {
            None
        }
        (ProtocolType::Https | ProtocolType::Tls, Some(mode)) => {
            let message = unserved(&format!("TLS mode {mode} with protocol {}", spec.protocol));
            work.find(Code::UnsupportedTlsMode, "tls.mode", message);
            return;
        }
        (ProtocolType::Tls, None) => {
            work.find(Code::UnsupportedTlsMode, "tls.mode", unserved("TLS mode Terminate"));
            return;
        }
        (ProtocolType::Tcp, _) => capabilities.tcp.then_some(Shape::Tcp),
        (ProtocolType::Udp, _) => capabilities.udp.then_some(Shape::Udp),
        (ProtocolType::Other(_), _) => None,
    };
    if shape.is_none() {
        let message = match &spec.protocol {
            ProtocolType::Other(other) => {
                format!("listener {} asks for protocol \"{other}\", which is not known", spec.name)
            }
            known @ (ProtocolType::Http
            | ProtocolType::Https
            | ProtocolType::Tls
            | ProtocolType::Tcp
            | ProtocolType::Udp) => unserved(&format!("protocol {known}")),
        };
        work.find(Code::UnsupportedProtocol, "protocol", message);
    }
    work.shape = shape;
    if let Some(Shape::Http | Shape::Tcp | Shape::Udp) = shape
        && spec.tls.is_some()
    {
        let message =
            format!("listener {} has tls, but protocol {} has none", spec.name, spec.protocol);
        work.find(Code::UnsupportedListenerField, "tls", message);
    }
}

fn hostname(work: &mut ListenerWork<'_>) {
    let Some(hostname) = work.spec.hostname() else { return };
    if let Some(Shape::Tcp | Shape::Udp) = work.shape {
        let message = format!("protocol {} knows no hostname; remove it", work.spec.protocol);
        work.find(Code::UnsupportedListenerField, "hostname", message);
    }
    match api::hostname::check(&hostname.to_ascii_lowercase()) {
        Ok(()) => work.hostname = Some(HostPattern::new(hostname)),
        Err(error) => {
            work.find(Code::UnsupportedListenerField, "hostname", error.to_string());
        }
    }
}

fn kinds(work: &mut ListenerWork<'_>, capabilities: Capabilities) {
    let possible = work.shape.map(|shape| shape.routes(capabilities)).unwrap_or_default();
    let wanted = work.spec.allowed_kinds();
    if wanted.is_empty() {
        work.supported = possible;
        return;
    }
    for (index, kind) in wanted.iter().enumerate() {
        let route = RouteType::from_name(&kind.kind).filter(|_| kind.group() == GATEWAY_GROUP);
        match route.filter(|route| possible.contains(route)) {
            Some(route) if !work.supported.contains(&route) => work.supported.push(route),
            Some(_) => {}
            None => {
                let names: Vec<&str> = possible.iter().map(|route| route.as_str()).collect();
                let able = if names.is_empty() { "no kind" } else { &names.join(" and ") };
                let group = kind.group();
                let full = if group == GATEWAY_GROUP {
                    kind.kind.to_string()
                } else {
                    format!("{}.{group}", kind.kind)
                };
                let message = format!(
                    "listener {} of protocol {} can carry {able}, not {full}",
                    work.spec.name, work.spec.protocol
                );
                work.find(
                    Code::InvalidRouteKinds,
                    &format!("allowedRoutes.kinds[{index}]"),
                    message,
                );
            }
        }
    }
}

fn namespaces(work: &mut ListenerWork<'_>) {
    match rule(&work.spec.routes_from(), work.spec.routes_selector()) {
        Ok(rule) => work.namespaces = rule,
        Err((code, message)) => {
            work.find(code, "allowedRoutes.namespaces", message);
        }
    }
}

/// Reads a choice of namespaces; an error is the finding about it.
pub(crate) fn rule(
    from: &FromNamespaces,
    selector: Option<&LabelSelector>,
) -> Result<NamespaceRule, (Code, String)> {
    match from {
        FromNamespaces::All => Ok(NamespaceRule::All),
        FromNamespaces::Same => Ok(NamespaceRule::Same),
        FromNamespaces::None => Ok(NamespaceRule::Nothing),
        FromNamespaces::Selector => match selector {
            None => {
                Err((Code::InvalidSelector, "from is Selector, but selector is missing".to_owned()))
            }
            Some(selector) => match selector.first_invalid() {
                Some(index) => Err((
                    Code::InvalidSelector,
                    format!(
                        "selector.matchExpressions[{index}] is not valid: In and NotIn need values, \
                         Exists and DoesNotExist have none"
                    ),
                )),
                None => Ok(NamespaceRule::Selector(selector.clone())),
            },
        },
        FromNamespaces::Other(other) => Err((
            Code::UnsupportedListenerField,
            format!("from \"{other}\" is not known; use Same, All or Selector"),
        )),
    }
}

/// Whether an object of `namespace` is admitted by a rule that an object of `own` states.
pub(crate) fn admits(world: &World<'_>, rule: &NamespaceRule, own: &str, namespace: &str) -> bool {
    match rule {
        NamespaceRule::All => true,
        NamespaceRule::Same => own == namespace,
        NamespaceRule::Nothing => false,
        NamespaceRule::Selector(selector) => selector.matches(&world.namespace_labels(namespace)),
    }
}

fn port(work: &mut ListenerWork<'_>, offset: u16) {
    let port = work.spec.port;
    match port.checked_add(offset) {
        Some(bind_port) if port > 0 => work.bind_port = bind_port,
        Some(_) => {
            work.find(Code::UnsupportedListenerField, "port", "port 0 cannot be listened on");
        }
        None => {
            let message = format!("port {port} plus the offset {offset} exceeds 65535");
            work.find(Code::PortOutOfRange, "port", message);
        }
    }
}

fn options(work: &mut ListenerWork<'_>, terminates: bool) {
    let Some(written) = work.spec.tls.as_ref().map(|tls| &tls.options) else { return };
    if let Some(key) = written.keys().next().filter(|_| !terminates) {
        let message = format!("listener {} does not terminate TLS; remove {key}", work.spec.name);
        work.find(Code::TlsOptionUnsupported, &format!("tls.options[{key}]"), message);
        return;
    }
    match tls_options::parse(written) {
        Ok(options) => work.tls_options = options,
        Err(refused) => {
            for refused in refused {
                let field = format!("tls.options[{}]", refused.key);
                work.find(Code::TlsOptionUnsupported, &field, refused.message);
                if let Some(finding) = work.findings.last_mut() {
                    finding.hint = refused.hint;
                }
            }
        }
    }
}

fn tls<'a>(
    world: &World<'a>,
    work: &mut ListenerWork<'a>,
    owner: Owner<'_>,
    store: &mut Store,
    certificates: &mut Certificates,
) {
    let terminates = work.shape.is_some_and(Shape::terminates);
    let references = work.spec.tls.as_ref().map_or(&[][..], |tls| &tls.certificate_refs);
    options(work, terminates);
    if !terminates {
        return;
    }
    if references.is_empty() {
        let message =
            format!("listener {} terminates TLS and needs tls.certificateRefs", work.spec.name);
        work.find(Code::CertificateMissing, "tls.certificateRefs", message);
        return;
    }
    let mut usable = false;
    for (index, reference) in references.iter().enumerate() {
        match certificate::resolve(world, store, owner.object, reference) {
            Ok(Some(certificate)) => {
                usable = true;
                if !work.certificates.contains(&certificate.id) {
                    work.certificates.push(certificate.id.clone());
                }
                certificates.insert(certificate.id.clone(), certificate);
            }
            Ok(None) => {
                usable = true;
                let name = reference.object_name(&owner.object.namespace);
                let origin = work.origin.child(&format!("tls.certificateRefs[{index}]"));
                let message = format!("Secret {name} is not among the objects that were read");
                work.findings.push(Diagnostic::new(
                    Code::OutsideSnapshot,
                    origin,
                    Target::Nothing,
                    message,
                ));
            }
            Err(refusal) => {
                work.find(refusal.code, &format!("tls.certificateRefs[{index}]"), refusal.message);
                if let Some(finding) = work.findings.last_mut() {
                    finding.hint = refusal.hint;
                    finding.related = refusal.related;
                }
            }
        }
    }
    if !usable {
        let message = format!("listener {} has no usable certificate", work.spec.name);
        work.find(Code::NoUsableCertificate, "tls.certificateRefs", message);
    }
}
