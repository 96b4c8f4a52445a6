//! XBackend (GEP-4894): a backend that its consumer describes, in the namespace of its routes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::{
    BackendObjectReference, BackendProtocol as Wanted, ObjectName, XBackend, XBackendTls,
    XBackendTlsMode, XBackendType,
};
use ir::{BackendProtocol, Certificate, CertificateId, Cluster, ClusterId, ObjectRef, UpstreamTls};

use crate::certificate::{self, Store};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Target};
use crate::hint::nearest;
use crate::kinds::{RouteType, at, object_ref, whole};
use crate::policy::Users;
use crate::policy::upstream::{self, Asked};
use crate::refs::{self, Reached, Refusal, Resolution};
use crate::session::{self, Session};
use crate::status::{AncestorStatus, Status, StatusBody, Statuses, backend_conditions};
use crate::world::World;

/// Names that are the cluster's own: traffic inside goes to Services, which have grants.
const CLUSTER_DOMAINS: &[&str] = &["cluster.local", "svc"];

/// What an XBackend means, whoever refers to it.
pub(crate) struct Meaning {
    port: u16,
    /// `None` is what the route says.
    protocol: Option<Wanted>,
    tls: Option<Arc<UpstreamTls>>,
    session: Option<Session>,
}

/// Why an XBackend cannot be used: code, field and message.
type Problem = (Code, String, String);

pub(crate) fn is_one(reference: &BackendObjectReference) -> bool {
    (reference.group(), reference.kind()) == (api::GATEWAY_X_GROUP, "XBackend")
}

/// Follows a reference from a route or filter in namespace `from.namespace`.
pub(crate) fn follow(
    world: &World<'_>,
    from: &ObjectRef,
    reference: &BackendObjectReference,
    route: RouteType,
) -> Result<Resolution, Refusal> {
    let name = reference.object_name(&from.namespace);
    if name.namespace != from.namespace {
        let message = format!(
            "XBackend {name} is in another namespace, which no ReferenceGrant can permit; make one \
             in namespace {}",
            from.namespace
        );
        return Err(Refusal::new(Code::RefNotPermitted, message));
    }
    if reference.port.is_some() {
        let message = format!("XBackend {name} has its own port; remove port from the reference");
        return Err(Refusal::new(Code::BackendPortForbidden, message));
    }
    let object = object_ref::<XBackend>(&name);
    let Some(backend) = world.snapshot.x_backends.get(&name) else {
        return missing(world, &object, &name, route);
    };
    let meaning = read(world, &object, backend).map_err(|(_, field, message)| {
        let text = format!("XBackend {name} cannot be used: {message}");
        let mut refusal = Refusal::new(Code::BackendNotUsable, text);
        refusal.related.push((at(&object, &field), "the reason is here".to_owned()));
        refusal.backend = Some(Arc::clone(&object));
        refusal
    })?;
    let protocol = protocol(&meaning, route).map_err(|what| {
        let text = format!("XBackend {name} speaks {what}, which {} cannot", route.as_str());
        let mut refusal = Refusal::new(Code::UnsupportedAppProtocol, text);
        refusal.backend = Some(Arc::clone(&object));
        refusal
    })?;
    let outlier = refs::outlier(&backend.metadata);
    let cluster =
        Cluster { tls: meaning.tls, outlier, ..Cluster::new(object, meaning.port, protocol) };
    Ok(Resolution::Reached(Reached {
        cluster: ClusterId(Arc::new(cluster)),
        own_session: meaning.session,
        policy_session: None,
    }))
}

fn missing(
    world: &World<'_>,
    object: &Arc<ObjectRef>,
    name: &ObjectName,
    route: RouteType,
) -> Result<Resolution, Refusal> {
    let neighbours = world.snapshot.x_backends.keys();
    let neighbours = neighbours.filter(|other| other.namespace == name.namespace);
    let hint = nearest(&name.name, neighbours.map(|other| &*other.name));
    if world.snapshot.open {
        let message = format!("XBackend {name} is not among the objects that were read");
        let protocol = crate::refs::default_protocol(route);
        let cluster = Cluster::new(Arc::clone(object), 0, protocol);
        return Ok(Resolution::Unknown(ClusterId(Arc::new(cluster)), message, hint));
    }
    let mut refusal =
        Refusal::new(Code::BackendNotFound, format!("XBackend {name} does not exist"));
    refusal.hint = hint;
    Err(refusal)
}

/// What a route of this kind speaks to the backend; an error names what it cannot.
fn protocol(meaning: &Meaning, route: RouteType) -> Result<BackendProtocol, &'static str> {
    let secured = meaning.tls.is_some();
    // With TLS the peers agree on a version; without, HTTP/1.1 is what every server speaks.
    let http = if secured { BackendProtocol::Negotiated } else { BackendProtocol::Http1 };
    match (route, &meaning.protocol) {
        (RouteType::Udp, _) => Err("TCP"),
        (RouteType::Tcp | RouteType::Tls, _) => Ok(BackendProtocol::Tcp),
        (RouteType::Http | RouteType::Grpc, Some(Wanted::Tcp)) => Err("TCP"),
        (RouteType::Grpc, Some(Wanted::Http11)) => Err("HTTP/1.1"),
        (RouteType::Grpc, Some(Wanted::Wss)) => Err("WebSocket"),
        (RouteType::Grpc, _) => Ok(BackendProtocol::Http2),
        (RouteType::Http, None | Some(Wanted::Http | Wanted::Mcp)) => Ok(http),
        (RouteType::Http, Some(Wanted::Http11 | Wanted::Wss)) => Ok(BackendProtocol::Http1),
        (RouteType::Http, Some(Wanted::Http2 | Wanted::H2c | Wanted::Grpc)) => {
            Ok(BackendProtocol::Http2)
        }
        // Refused by `read`.
        (RouteType::Http, Some(Wanted::Other(_))) => Err("an unknown protocol"),
    }
}

/// Checks an XBackend by itself.
fn read(
    world: &World<'_>,
    object: &Arc<ObjectRef>,
    backend: &XBackend,
) -> Result<Meaning, Problem> {
    let invalid = |field: &str, message: String| (Code::XBackendInvalid, field.to_owned(), message);
    if let Some(issue) = world.issues(object).next() {
        return Err(invalid(&issue.path, issue.message.clone()));
    }
    let spec = &backend.spec;
    match &spec.r#type {
        XBackendType::EndpointSelector => {
            let labels = spec.endpoint_selector.as_ref().map(|selector| &selector.match_labels);
            if labels.is_none_or(BTreeMap::is_empty) {
                let message = "type EndpointSelector needs endpointSelector.matchLabels";
                return Err(invalid("spec.endpointSelector", message.to_owned()));
            }
        }
        XBackendType::ExternalHostname => external(backend)?,
        XBackendType::Other(other) => {
            let message = format!(
                "the type \"{other}\" is not known; use EndpointSelector or ExternalHostname"
            );
            return Err(invalid("spec.type", message));
        }
    }
    if spec.port.number == 0 {
        return Err(invalid("spec.port.number", "port 0 cannot be connected to".to_owned()));
    }
    let tls = tls(world, object, backend)?;
    let protocol = spec.protocol.clone();
    let needs_tls = matches!(protocol, Some(Wanted::Http2 | Wanted::Wss));
    match &protocol {
        Some(Wanted::Other(other)) => {
            let message = format!("the protocol \"{other}\" is not known");
            return Err(invalid("spec.protocol", message));
        }
        Some(wanted) if needs_tls && tls.is_none() => {
            return Err(invalid("spec.protocol", format!("protocol {wanted} needs tls")));
        }
        Some(Wanted::H2c) if tls.is_some() => {
            let message = "protocol H2C is without tls; use HTTP2".to_owned();
            return Err(invalid("spec.protocol", message));
        }
        Some(wanted) if !speaks(world, wanted) => {
            return Err(invalid(
                "spec.protocol",
                format!("protocol {wanted} is not served to backends yet"),
            ));
        }
        Some(_) | None => {}
    }
    let session = session(world, object, backend)?;
    Ok(Meaning { port: spec.port.number, protocol, tls, session })
}

/// How the endpoints are reached by TLS, if they are.
fn tls(
    world: &World<'_>,
    object: &Arc<ObjectRef>,
    backend: &XBackend,
) -> Result<Option<Arc<UpstreamTls>>, Problem> {
    let invalid = |field: &str, message: String| (Code::XBackendInvalid, field.to_owned(), message);
    let Some(tls) = &backend.spec.tls else { return Ok(None) };
    match &tls.mode {
        XBackendTlsMode::None => return Ok(None),
        XBackendTlsMode::ServerOnly if world.settings.capabilities.backend_tls => {}
        XBackendTlsMode::ClientAndServer if shows_certificates(world) => {}
        mode @ (XBackendTlsMode::ServerOnly | XBackendTlsMode::ClientAndServer) => {
            let message = format!("tls mode {mode} is not served yet");
            return Err(invalid("spec.tls.mode", message));
        }
        XBackendTlsMode::Other(other) => {
            let message = format!("the tls mode \"{other}\" is not known");
            return Err(invalid("spec.tls.mode", message));
        }
    }
    let identity = if tls.mode == XBackendTlsMode::ClientAndServer {
        identity(world, object, tls)?
    } else {
        None
    };
    let field = "spec.tls.validation";
    let Some(validation) = &tls.validation else {
        let message = format!("tls mode {} needs validation", tls.mode);
        return Err(invalid(field, message));
    };
    let options = BTreeMap::new();
    let origin = at(object, "spec.tls");
    let asked = Asked { origin, validation, field, options: &options, options_field: "" };
    let mut first: Option<Problem> = None;
    let lowered = upstream::lower(world, &asked, &mut |_, field, message, _| {
        first.get_or_insert_with(|| invalid(field, message));
    });
    match (lowered, first) {
        (Some(tls), _) => Ok(Some(Arc::new(UpstreamTls { client_certificate: identity, ..tls }))),
        (None, Some(problem)) => Err(problem),
        (None, None) => Err(invalid(field, "the validation cannot be used".to_owned())),
    }
}

fn shows_certificates(world: &World<'_>) -> bool {
    let capabilities = &world.settings.capabilities;
    capabilities.backend_tls && capabilities.backend_client_certificate
}

/// The certificate that is shown to the backend; `None` when the reference leads out of an open
/// snapshot.
fn identity(
    world: &World<'_>,
    object: &Arc<ObjectRef>,
    tls: &XBackendTls,
) -> Result<Option<CertificateId>, Problem> {
    let field = "spec.tls.clientCertificateRef";
    let invalid = |message: String| (Code::XBackendInvalid, field.to_owned(), message);
    if tls.client_certificate_ref.is_none() {
        let message = "tls mode ClientAndServer needs clientCertificateRef";
        return Err(invalid(message.to_owned()));
    }
    match world.identities.get(object) {
        Some(Ok(Some(certificate))) => Ok(Some(certificate.id.clone())),
        Some(Err(refusal)) => Err(invalid(refusal.message.clone())),
        Some(Ok(None)) | None => Ok(None),
    }
}

/// The client certificates that XBackends name, by XBackend.
pub(crate) type Identities = BTreeMap<Arc<ObjectRef>, Result<Option<Arc<Certificate>>, Refusal>>;

/// Follows the references of all XBackends to client certificates.
pub(crate) fn identities(world: &World<'_>, store: &mut Store) -> Identities {
    let mut identities = Identities::new();
    if !shows_certificates(world) || !world.settings.capabilities.x_backends {
        return identities;
    }
    for (name, backend) in &world.snapshot.x_backends {
        let tls = backend.spec.tls.as_ref();
        let tls = tls.filter(|tls| tls.mode == XBackendTlsMode::ClientAndServer);
        if let Some(reference) = tls.and_then(|tls| tls.client_certificate_ref.as_ref()) {
            let object = object_ref::<XBackend>(name);
            let resolved = certificate::resolve(world, store, &object, reference);
            identities.insert(object, resolved);
        }
    }
    identities
}

fn speaks(world: &World<'_>, protocol: &Wanted) -> bool {
    let capabilities = &world.settings.capabilities;
    match protocol {
        Wanted::Http | Wanted::Http11 | Wanted::Mcp | Wanted::Tcp => true,
        Wanted::Http2 | Wanted::H2c | Wanted::Grpc => capabilities.h2c_backends,
        Wanted::Wss => capabilities.websocket,
        Wanted::Other(_) => false,
    }
}

fn external(backend: &XBackend) -> Result<(), Problem> {
    let field = "spec.externalHostname.hostname";
    let invalid = |message: String| Err((Code::XBackendInvalid, field.to_owned(), message));
    let Some(external) = &backend.spec.external_hostname else {
        return invalid("type ExternalHostname needs externalHostname.hostname".to_owned());
    };
    let hostname = external.hostname.to_ascii_lowercase();
    if let Err(error) = api::hostname::check_precise(&hostname) {
        return invalid(error.to_string());
    }
    let inside = CLUSTER_DOMAINS.iter().any(|domain| {
        hostname.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    });
    if inside {
        return invalid(format!("{hostname} is a name of the cluster; refer to the Service"));
    }
    Ok(())
}

fn session(
    world: &World<'_>,
    object: &Arc<ObjectRef>,
    backend: &XBackend,
) -> Result<Option<Session>, Problem> {
    let field = "spec.sessionPersistence";
    let invalid = |message: &str| (Code::XBackendInvalid, field.to_owned(), message.to_owned());
    let Some(wanted) = &backend.spec.session_persistence else { return Ok(None) };
    if backend.spec.r#type != XBackendType::EndpointSelector {
        return Err(invalid("sessionPersistence is for type EndpointSelector; remove it"));
    }
    if !world.settings.capabilities.session_persistence {
        return Err(invalid("sessionPersistence is not served yet; remove it"));
    }
    session::lower(at(object, field), wanted)
        .map(Some)
        .map_err(|problem| (Code::XBackendInvalid, problem.below(field), problem.message))
}

/// Findings and statuses of all XBackends. `users` are the Gateways that send traffic to a
/// backend.
pub(crate) fn judge(
    world: &World<'_>,
    users: &Users,
    findings: &mut Vec<Diagnostic>,
    statuses: &mut Statuses,
) {
    for (name, backend) in &world.snapshot.x_backends {
        let object = object_ref::<XBackend>(name);
        let mut own: Vec<Diagnostic> = Vec::new();
        if !world.settings.capabilities.x_backends {
            let message = "XBackend is not served yet; references to it are refused";
            own.push(Diagnostic::new(
                Code::XBackendInvalid,
                whole(&object),
                Target::Policy,
                message,
            ));
        } else if let Err((code, field, message)) = read(world, &object, backend) {
            own.push(Diagnostic::new(code, at(&object, &field), Target::Policy, message));
        }
        let none = BTreeSet::new();
        let gateways = users.get(&object).unwrap_or(&none);
        if !gateways.is_empty() {
            let concerning: Vec<&Diagnostic> = own.iter().collect();
            let ancestors = gateways.iter().map(|gateway| AncestorStatus {
                ancestor: Arc::clone(gateway),
                conditions: backend_conditions(gateway, &concerning),
            });
            let body = StatusBody::Backend { ancestors: ancestors.collect() };
            let status = Status { observed_generation: backend.metadata.generation(), body };
            statuses.insert(object, Arc::new(status));
        }
        findings.extend(own);
    }
}
