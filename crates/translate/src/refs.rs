//! Backends: the one way from a reference to what it means, for every kind of route and filter.

use std::sync::Arc;

use api::{
    BackendObjectReference, ObjectMeta, ObjectName, Service, ServicePort, ServiceType,
    TransportProtocol, XBackend,
};
use ir::{
    BackendProtocol, Balance, Cluster, ClusterId, Locality, ObjectRef, Origin, Outlier,
    ProxyProtocol, UpstreamTls,
};

use crate::code::Code;
use crate::grants::Reference;
use crate::hint::nearest;
use crate::kinds::{RouteType, at, object_ref, service_ref};
use crate::session::Session;
use crate::world::World;
use crate::x_backend;

/// Annotation of a Service: how requests are spread over its endpoints.
pub const LOAD_BALANCING: &str = "portcullis.dev/load-balancing";

/// Annotation of a Service: the header that tells its endpoints who the client is.
pub const PROXY_PROTOCOL: &str = "portcullis.dev/proxy-protocol";

/// Annotation of a Service or XBackend: after how many failed attempts in a row an endpoint gets a
/// pause, or `off`.
pub const OUTLIER_EJECTION: &str = "portcullis.dev/outlier-ejection";

/// What a reference to a backend means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    Reached(Reached),
    /// It leads out of an open snapshot: taken as it is written. With what to say, and a hint.
    Unknown(ClusterId, String, Option<String>),
    Refused(Refusal),
}

/// A backend that can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) cluster: ClusterId,
    /// What the backend itself asks for; wins over what a rule asks for.
    pub(crate) own_session: Option<Session>,
    /// What a policy asks for; counts when nothing else does.
    pub(crate) policy_session: Option<Session>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    pub(crate) related: Vec<(Origin, String)>,
    /// The backend, when it exists and may be used but not reached.
    pub(crate) backend: Option<Arc<ObjectRef>>,
    /// Where a listener that passes TLS through sends connections all the same.
    pub(crate) passthrough: Option<ClusterId>,
}

impl Refusal {
    pub(crate) fn new(code: Code, message: String) -> Self {
        Self { code, message, hint: None, related: Vec::new(), backend: None, passthrough: None }
    }
}

/// Follows a reference from a route in the order that reveals nothing: kind, permission,
/// existence, then properties. The namespace that counts is that of `from`, always.
pub(crate) fn resolve_backend(
    world: &World<'_>,
    from: &ObjectRef,
    reference: &BackendObjectReference,
    route: RouteType,
) -> Resolution {
    match follow(world, from, reference, route) {
        Ok(resolution) => resolution,
        Err(refusal) => Resolution::Refused(refusal),
    }
}

fn follow(
    world: &World<'_>,
    from: &ObjectRef,
    reference: &BackendObjectReference,
    route: RouteType,
) -> Result<Resolution, Refusal> {
    let (group, kind) = (reference.group(), reference.kind());
    if x_backend::is_one(reference) && world.settings.capabilities.x_backends {
        return x_backend::follow(world, from, reference, route);
    }
    if (group, kind) != ("", "Service") {
        return Err(wrong_kind(group, kind));
    }
    let name = reference.object_name(&from.namespace);
    let service = world.snapshot.services.get(&name);
    let unknown = service.is_none() && world.snapshot.open;
    let permitted = world.grants.permitted(Reference {
        from_group: &from.group,
        from_kind: &from.kind,
        from_namespace: &from.namespace,
        to_group: group,
        to_kind: kind,
        to_namespace: &name.namespace,
        to_name: &name.name,
    });
    if !permitted && !unknown {
        return Err(not_permitted(from, &name));
    }
    let port = reference.port.ok_or_else(|| {
        let message = format!("the reference to Service {name} has no port; add port");
        Refusal::new(Code::BackendPortMissing, message)
    })?;
    let Some(service) = service else {
        if unknown {
            let protocol = default_protocol(route);
            let message = format!("Service {name} is not among the objects that were read");
            let cluster = Cluster::new(service_ref(&name), port, protocol);
            let cluster = ClusterId(Arc::new(cluster));
            return Ok(Resolution::Unknown(cluster, message, near_service(world, &name)));
        }
        let mut refusal =
            Refusal::new(Code::BackendNotFound, format!("Service {name} does not exist"));
        refusal.hint = near_service(world, &name);
        return Err(refusal);
    };
    let service_port = usable_port(service, &name, port)?;
    let tls = upstream_tls(world, service, &name, service_port, route)?;
    let protocol = protocol(world, &name, service_port, route, tls.is_some())?;
    let wanted = world.traffic.wanted(&name);
    let cluster = Cluster {
        tls,
        retry_budget: wanted.and_then(|wanted| wanted.retry_budget),
        ..plain(service, &name, port, protocol)
    };
    Ok(Resolution::Reached(Reached {
        cluster: ClusterId(Arc::new(cluster)),
        own_session: None,
        policy_session: wanted.and_then(|wanted| wanted.session.clone()),
    }))
}

fn wrong_kind(group: &str, kind: &str) -> Refusal {
    let full = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
    let message = format!("{full} cannot be a backend; refer to a Service");
    Refusal::new(Code::InvalidBackendKind, message)
}

fn not_permitted(from: &ObjectRef, name: &ObjectName) -> Refusal {
    let message = format!(
        "no ReferenceGrant in namespace {} permits {} of namespace {} to refer to Service {}",
        name.namespace, from.kind, from.namespace, name.name
    );
    Refusal::new(Code::RefNotPermitted, message)
}

fn near_service(world: &World<'_>, name: &ObjectName) -> Option<String> {
    let neighbours = world
        .snapshot
        .services
        .keys()
        .filter(|other| other.namespace == name.namespace)
        .map(|other| &*other.name);
    nearest(&name.name, neighbours)
}

fn usable_port<'a>(
    service: &'a Arc<Service>,
    name: &ObjectName,
    port: u16,
) -> Result<&'a ServicePort, Refusal> {
    if service.spec.r#type() == ServiceType::ExternalName {
        let message = format!("Service {name} is of type ExternalName, which is never a backend");
        return Err(Refusal::new(Code::ExternalNameBackend, message));
    }
    service.spec.port(port).ok_or_else(|| {
        let ports: Vec<String> = service.spec.ports.iter().map(|p| p.port.to_string()).collect();
        let message = format!("Service {name} has no port {port}");
        let mut refusal = Refusal::new(Code::BackendPortNotFound, message);
        refusal.hint = (!ports.is_empty()).then(|| format!("its ports are {}", ports.join(", ")));
        refusal
    })
}

pub(crate) fn default_protocol(route: RouteType) -> BackendProtocol {
    match route {
        RouteType::Http => BackendProtocol::Http1,
        RouteType::Grpc => BackendProtocol::Http2,
        RouteType::Tcp | RouteType::Tls => BackendProtocol::Tcp,
        RouteType::Udp => BackendProtocol::Udp,
    }
}

/// Asking for a protocol we cannot speak is refused; names we do not know are passed over, as the
/// API allows.
fn protocol(
    world: &World<'_>,
    name: &ObjectName,
    port: &ServicePort,
    route: RouteType,
    has_tls: bool,
) -> Result<BackendProtocol, Refusal> {
    let capabilities = &world.settings.capabilities;
    let refused = |what: &str| {
        let number = port.port;
        let message = format!("port {number} of Service {name} {what}");
        Refusal::new(Code::UnsupportedAppProtocol, message)
    };
    let wanted =
        if route == RouteType::Udp { TransportProtocol::Udp } else { TransportProtocol::Tcp };
    if port.protocol() != wanted {
        return Err(refused(&format!(
            "is of protocol {}, but a {} needs {wanted}",
            port.protocol(),
            route.as_str()
        )));
    }
    let app = port.app_protocol.as_deref().unwrap_or_default();
    let http2 = ["kubernetes.io/h2c", "h2c", "http2", "grpc", "grpcs"];
    let websocket = ["kubernetes.io/ws", "kubernetes.io/wss", "wss"];
    let secured = ["https", "tls", "kubernetes.io/https", "kubernetes.io/wss", "wss", "grpcs"];
    match route {
        RouteType::Tcp | RouteType::Tls | RouteType::Udp => Ok(default_protocol(route)),
        RouteType::Http | RouteType::Grpc if secured.contains(&app) && !has_tls => {
            Err(refused(&format!(
                "has appProtocol {app}, but no BackendTLSPolicy says how to verify the backend"
            )))
        }
        RouteType::Http if websocket.contains(&app) && !capabilities.websocket => {
            Err(refused(&format!("has appProtocol {app}, which is not served")))
        }
        RouteType::Http if http2.contains(&app) && !capabilities.h2c_backends => Err(refused(
            &format!("has appProtocol {app}, but HTTP/2 to backends is not served yet"),
        )),
        RouteType::Http if http2.contains(&app) => Ok(BackendProtocol::Http2),
        RouteType::Http if has_tls && capabilities.h2c_backends && !websocket.contains(&app) => {
            Ok(BackendProtocol::Negotiated)
        }
        RouteType::Http | RouteType::Grpc => Ok(default_protocol(route)),
    }
}

/// What the annotation of the Service asks for; `None` when it is absent or not understood.
fn balance(service: &Service) -> Option<Balance> {
    service.metadata.annotations.get(LOAD_BALANCING).and_then(|text| parse_balance(text))
}

pub(crate) fn parse_balance(text: &str) -> Option<Balance> {
    match text {
        "round-robin" => Some(Balance::RoundRobin),
        "least-request" => Some(Balance::LeastRequest),
        _ => None,
    }
}

/// What `trafficDistribution` of the Service asks for. Which endpoints are near is for the data
/// plane to know.
fn locality(service: &Service) -> Locality {
    match service.spec.traffic_distribution.as_deref() {
        Some("PreferClose" | "PreferSameZone") => Locality::PreferZone,
        Some("PreferSameNode") => Locality::PreferNode,
        Some(_) | None => Locality::Any,
    }
}

/// A port of a Service with what its annotations say, without TLS.
fn plain(service: &Service, name: &ObjectName, port: u16, protocol: BackendProtocol) -> Cluster {
    Cluster {
        balance: balance(service).unwrap_or_default(),
        locality: locality(service),
        proxy_protocol: proxy_protocol(service).filter(|_| protocol != BackendProtocol::Udp),
        outlier: outlier(&service.metadata),
        ..Cluster::new(service_ref(name), port, protocol)
    }
}

/// TLS to a port, as policies ask for it; datagrams have none.
fn upstream_tls(
    world: &World<'_>,
    service: &Service,
    name: &ObjectName,
    port: &ServicePort,
    route: RouteType,
) -> Result<Option<Arc<UpstreamTls>>, Refusal> {
    if route == RouteType::Udp {
        return Ok(None);
    }
    match world.secured.upstream(world, name, port) {
        None => Ok(None),
        Some(Ok(tls)) => Ok(Some(tls)),
        Some(Err(mut refusal)) => {
            refusal.backend = Some(service_ref(name));
            if route == RouteType::Tls {
                let cluster = plain(service, name, port.port, BackendProtocol::Tcp);
                refusal.passthrough = Some(ClusterId(Arc::new(cluster)));
            }
            Err(refusal)
        }
    }
}

fn proxy_protocol(service: &Service) -> Option<ProxyProtocol> {
    service.metadata.annotations.get(PROXY_PROTOCOL).and_then(|text| parse_proxy_protocol(text))
}

fn parse_proxy_protocol(text: &str) -> Option<ProxyProtocol> {
    match text {
        "v1" => Some(ProxyProtocol::V1),
        "v2" => Some(ProxyProtocol::V2),
        _ => None,
    }
}

/// What the annotation asks for; the default when it is absent or not understood.
pub(crate) fn outlier(metadata: &ObjectMeta) -> Outlier {
    let wanted = metadata.annotations.get(OUTLIER_EJECTION).and_then(|text| parse_outlier(text));
    wanted.unwrap_or_default()
}

fn parse_outlier(text: &str) -> Option<Outlier> {
    let consecutive_failures = match text {
        "off" => None,
        number => Some(number.parse().ok().filter(|count| *count > 0)?),
    };
    Some(Outlier { consecutive_failures, ..Outlier::default() })
}

/// Findings about the annotations of Services and XBackends.
pub(crate) fn service_settings(world: &World<'_>) -> Vec<crate::Diagnostic> {
    let mut findings = Vec::new();
    for (name, service) in &world.snapshot.services {
        let mut find = |key: &str, message: String, effect: &str| {
            let origin = at(&service_ref(name), &format!("metadata.annotations[{key}]"));
            let code = Code::ServiceSettingInvalid;
            let finding = crate::Diagnostic::new(code, origin, crate::Target::Nothing, message);
            findings.push(finding.with_effect(effect));
        };
        let annotation = |key: &str| service.metadata.annotations.get(key);
        if let Some(value) = annotation(LOAD_BALANCING).filter(|v| parse_balance(v).is_none()) {
            let message =
                format!("\"{value}\" is not a way to balance; use round-robin or least-request");
            find(LOAD_BALANCING, message, "round-robin is used");
        }
        let wrong = annotation(PROXY_PROTOCOL).filter(|v| parse_proxy_protocol(v).is_none());
        if let Some(value) = wrong {
            let message = format!("\"{value}\" is no version of the PROXY protocol; use v1 or v2");
            find(PROXY_PROTOCOL, message, "no PROXY header is sent");
        }
        findings.extend(outlier_finding(&service_ref(name), &service.metadata));
    }
    for (name, backend) in &world.snapshot.x_backends {
        findings.extend(outlier_finding(&object_ref::<XBackend>(name), &backend.metadata));
    }
    findings
}

fn outlier_finding(object: &Arc<ObjectRef>, metadata: &ObjectMeta) -> Option<crate::Diagnostic> {
    let value = metadata.annotations.get(OUTLIER_EJECTION)?;
    if parse_outlier(value).is_some() {
        return None;
    }
    let shown: String = value.chars().take(64).flat_map(char::escape_debug).collect();
    let message = format!("\"{shown}\" is neither off nor a number of failures above 0");
    let origin = at(object, &format!("metadata.annotations[{OUTLIER_EJECTION}]"));
    let code = Code::ServiceSettingInvalid;
    let finding = crate::Diagnostic::new(code, origin, crate::Target::Nothing, message);
    let most = Outlier::default().consecutive_failures.unwrap_or_default();
    Some(finding.with_effect(format!("an endpoint gets a pause after {most} failures in a row")))
}
