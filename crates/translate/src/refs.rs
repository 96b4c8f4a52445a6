//! Backends: the one way from a reference to what it means, for every kind of route and filter.

use std::sync::Arc;

use api::{
    BackendObjectReference, ObjectName, Service, ServicePort, ServiceType, TransportProtocol,
};
use ir::{BackendProtocol, Balance, Cluster, ClusterId, Locality, ObjectRef, Origin};

use crate::code::Code;
use crate::grants::Reference;
use crate::hint::nearest;
use crate::kinds::{RouteType, at, service_ref};
use crate::session::Session;
use crate::world::World;
use crate::x_backend;

/// Annotation of a Service: how requests are spread over its endpoints.
pub const LOAD_BALANCING: &str = "portcullis.dev/load-balancing";

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
}

impl Refusal {
    pub(crate) fn new(code: Code, message: String) -> Self {
        Self { code, message, hint: None, related: Vec::new(), backend: None }
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
    if let Some(mut refusal) = world.secured.refusal(&name, service_port) {
        refusal.backend = Some(service_ref(&name));
        return Err(refusal);
    }
    let protocol = protocol(world, &name, service_port, route)?;
    let wanted = world.traffic.wanted(&name);
    let cluster = Cluster {
        balance: balance(service).unwrap_or_default(),
        retry_budget: wanted.and_then(|wanted| wanted.retry_budget),
        locality: locality(service),
        ..Cluster::new(service_ref(&name), port, protocol)
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
    let plain_h2 = ["kubernetes.io/h2c", "h2c", "http2", "grpc"];
    let secured = ["https", "tls", "kubernetes.io/https", "kubernetes.io/wss", "wss", "grpcs"];
    match route {
        RouteType::Tcp | RouteType::Tls | RouteType::Udp => Ok(default_protocol(route)),
        RouteType::Http | RouteType::Grpc if secured.contains(&app) => Err(refused(&format!(
            "has appProtocol {app}, which needs TLS towards the backend; that is not served yet"
        ))),
        RouteType::Http if app == "kubernetes.io/ws" && !capabilities.websocket => {
            Err(refused("has appProtocol kubernetes.io/ws, which is not served"))
        }
        RouteType::Http if plain_h2.contains(&app) && !capabilities.h2c_backends => Err(refused(
            &format!("has appProtocol {app}, but HTTP/2 to backends is not served yet"),
        )),
        RouteType::Http if plain_h2.contains(&app) => Ok(BackendProtocol::Http2),
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
/// plane to know, by zones; that of nodes is not looked at.
fn locality(service: &Service) -> Locality {
    match service.spec.traffic_distribution.as_deref() {
        Some("PreferClose" | "PreferSameZone" | "PreferSameNode") => Locality::PreferZone,
        Some(_) | None => Locality::Any,
    }
}

/// Findings about the annotations of Services.
pub(crate) fn service_settings(world: &World<'_>) -> Vec<crate::Diagnostic> {
    let mut findings = Vec::new();
    for (name, service) in &world.snapshot.services {
        let Some(value) = service.metadata.annotations.get(LOAD_BALANCING) else { continue };
        if parse_balance(value).is_none() {
            let origin = at(&service_ref(name), &format!("metadata.annotations[{LOAD_BALANCING}]"));
            let message =
                format!("\"{value}\" is not a way to balance; use round-robin or least-request");
            findings.push(
                crate::Diagnostic::new(
                    Code::ServiceSettingInvalid,
                    origin,
                    crate::Target::Nothing,
                    message,
                )
                .with_effect("round-robin is used"),
            );
        }
    }
    findings
}
