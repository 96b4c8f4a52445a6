//! Endpoints without a cluster: the annotation on a Service, and `--backend`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use api::{
    Endpoint, EndpointAddressType, EndpointConditions, EndpointPort, EndpointSlice, Endpoints,
    Object, ObjectMeta, ObjectName, OwnerReference, Resource as _, SERVICE_NAME_LABEL, Service,
    ServicePort, ServiceSpec, TransportProtocol, XBackend,
};

use crate::limits;

/// The annotation by which a Service or an XBackend in a file names its endpoints:
/// `127.0.0.1:8081,127.0.0.1:8082`, or `http=127.0.0.1:8081,admin=127.0.0.1:9000` when the Service
/// has several ports.
pub const ENDPOINTS_ANNOTATION: &str = "portcullis.dev/endpoints";

/// `[NAMESPACE/]SERVICE[:PORT]=HOST:PORT`: a Service, or one port of it, is at this address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendOverride {
    pub service: ObjectName,
    /// The Service's port; all of its ports when absent.
    pub port: Option<u16>,
    pub address: SocketAddr,
}

/// Why a `--backend` cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackendOverrideError {
    #[error("`{0}` has no `=`; write [NAMESPACE/]SERVICE[:PORT]=HOST:PORT")]
    NoAddress(String),
    #[error("`{0}` names no Service; write [NAMESPACE/]SERVICE[:PORT]=HOST:PORT")]
    NoService(String),
    #[error("`{0}` is no port; a port is a number from 1 to 65535")]
    Port(String),
    #[error("{0}")]
    Address(String),
}

impl FromStr for BackendOverride {
    type Err = BackendOverrideError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (service, address) =
            text.split_once('=').ok_or_else(|| BackendOverrideError::NoAddress(text.to_owned()))?;
        let (service, port) = match service.split_once(':') {
            Some((service, port)) => {
                let number = port.parse().ok().filter(|port| *port > 0);
                (service, Some(number.ok_or_else(|| BackendOverrideError::Port(port.to_owned()))?))
            }
            None => (service, None),
        };
        let (namespace, name) = service.split_once('/').unwrap_or((DEFAULT_NAMESPACE, service));
        if namespace.is_empty() || name.is_empty() || name.contains('/') {
            return Err(BackendOverrideError::NoService(text.to_owned()));
        }
        let address = parse_address(address).map_err(BackendOverrideError::Address)?;
        Ok(Self { service: ObjectName::new(namespace, name), port, address })
    }
}

/// The namespace of objects that name none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// One endpoint and the Service port that it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlainEndpoint {
    /// The name or number of the Service port, as written; the Service's only port when absent.
    pub(crate) port: Option<String>,
    pub(crate) address: SocketAddr,
}

/// The EndpointSlices that the annotation of an object stands for; `None` without one. The error is
/// a message.
pub(crate) fn annotated(object: &Object) -> Option<Result<Vec<Arc<EndpointSlice>>, String>> {
    let written = object.meta().annotations.get(ENDPOINTS_ANNOTATION)?;
    let read = || parse_annotation(written);
    if let Object::Service(service) = object {
        Some(read().and_then(|endpoints| slices(service, &endpoints)))
    } else if let Object::XBackend(backend) = object {
        Some(read().and_then(|endpoints| x_backend_slices(backend, &endpoints)))
    } else {
        None
    }
}

/// Reads the annotation. The error is a message.
fn parse_annotation(text: &str) -> Result<Vec<PlainEndpoint>, String> {
    let mut endpoints = Vec::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let (port, address) = match entry.split_once('=') {
            Some((port, address)) => (Some(port.trim().to_owned()), address.trim()),
            None => (None, entry),
        };
        endpoints.push(PlainEndpoint { port, address: parse_address(address)? });
        if endpoints.len() > limits::MAX_ANNOTATED_ENDPOINTS {
            return Err(format!("more than {} endpoints", limits::MAX_ANNOTATED_ENDPOINTS));
        }
    }
    Ok(endpoints)
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse::<SocketAddr>()
        && address.port() > 0
    {
        return Ok(address);
    }
    let (host, port) = text
        .rsplit_once(':')
        .ok_or_else(|| format!("`{text}` has no port; write HOST:PORT, such as 127.0.0.1:8080"))?;
    let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
        format!("`{port}` in `{text}` is no port; a port is a number from 1 to 65535")
    })?;
    if host == "localhost" {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    Err(format!(
        "`{host}` in `{text}` is no IP address; names are not looked up, write an address such as \
         127.0.0.1 or [::1]"
    ))
}

/// The EndpointSlices of a Service whose endpoints are named plainly. The error is a message.
pub(crate) fn slices(
    service: &Service,
    endpoints: &[PlainEndpoint],
) -> Result<Vec<Arc<EndpointSlice>>, String> {
    let mut slices: Vec<EndpointSlice> = Vec::new();
    for endpoint in endpoints {
        let port = service_port(service, endpoint.port.as_deref())?;
        add(&mut slices, service, port, endpoint.address);
    }
    Ok(slices.into_iter().map(Arc::new).collect())
}

/// The EndpointSlices of an XBackend whose endpoints are named plainly: it owns them, as a cluster
/// would have it. The error is a message.
pub(crate) fn x_backend_slices(
    backend: &XBackend,
    endpoints: &[PlainEndpoint],
) -> Result<Vec<Arc<EndpointSlice>>, String> {
    if endpoints.iter().any(|endpoint| endpoint.port.is_some()) {
        return Err("an XBackend has one port; write the addresses alone".to_owned());
    }
    let metadata = &backend.metadata;
    let port = ServicePort { port: backend.spec.port.number, ..ServicePort::default() };
    let ports = vec![port.clone()];
    let spec = ServiceSpec { ports, ..ServiceSpec::default() };
    let stand_in = Service { metadata: metadata.clone(), spec };
    let mut slices: Vec<EndpointSlice> = Vec::new();
    for endpoint in endpoints {
        add(&mut slices, &stand_in, &port, endpoint.address);
    }
    let owner = OwnerReference {
        api_version: format!("{}/{}", XBackend::GROUP, XBackend::VERSION).into(),
        kind: XBackend::KIND.into(),
        name: Arc::clone(&metadata.name),
        uid: metadata.uid.clone().unwrap_or_default(),
        ..OwnerReference::default()
    };
    for slice in &mut slices {
        slice.metadata.labels.clear();
        slice.metadata.owner_references = vec![owner.clone()];
    }
    Ok(slices.into_iter().map(Arc::new).collect())
}

/// The EndpointSlices of an override, for each port that it is about.
pub(crate) fn override_slices(
    service: &Service,
    overrides: &[&BackendOverride],
) -> Vec<Arc<EndpointSlice>> {
    let mut slices: Vec<EndpointSlice> = Vec::new();
    for port in &service.spec.ports {
        for one in overrides.iter().filter(|one| one.port.is_none_or(|number| number == port.port))
        {
            add(&mut slices, service, port, one.address);
        }
    }
    slices.into_iter().map(Arc::new).collect()
}

/// Legacy Endpoints as the EndpointSlices that a cluster would mirror them to: one for each subset
/// and address family.
pub(crate) fn mirrored(endpoints: &Endpoints) -> Vec<Arc<EndpointSlice>> {
    let service = &endpoints.metadata.name;
    let mut slices: Vec<EndpointSlice> = Vec::new();
    for subset in &endpoints.subsets {
        for family in [EndpointAddressType::Ipv4, EndpointAddressType::Ipv6] {
            let ready = subset.addresses.iter().map(|address| (address, true));
            let others = subset.not_ready_addresses.iter().map(|address| (address, false));
            let of_family = |ip: &str| ip.contains(':') == (family == EndpointAddressType::Ipv6);
            let found: Vec<Endpoint> = ready
                .chain(others)
                .filter(|(address, _)| of_family(&address.ip))
                .map(|(address, ready)| Endpoint {
                    addresses: vec![Arc::clone(&address.ip)],
                    conditions: Some(EndpointConditions {
                        ready: Some(ready),
                        ..EndpointConditions::default()
                    }),
                    hostname: address.hostname.clone(),
                    node_name: address.node_name.clone(),
                    target_ref: address.target_ref.clone(),
                    ..Endpoint::default()
                })
                .collect();
            if !found.is_empty() {
                let metadata =
                    slice_metadata(service, endpoints.metadata.namespace.clone(), slices.len());
                let ports = subset.ports.clone();
                slices.push(EndpointSlice {
                    metadata,
                    address_type: family,
                    endpoints: found,
                    ports,
                });
            }
        }
    }
    slices.into_iter().map(Arc::new).collect()
}

/// The metadata of a slice that is made for a Service, after `before` others.
fn slice_metadata(service: &Arc<str>, namespace: Option<Arc<str>>, before: usize) -> ObjectMeta {
    let name = match before {
        0 => Arc::clone(service),
        more => format!("{service}-{}", more.saturating_add(1)).into(),
    };
    let labels = [(SERVICE_NAME_LABEL.into(), Arc::clone(service))];
    ObjectMeta { name, namespace, labels: labels.into_iter().collect(), ..ObjectMeta::default() }
}

/// A Service for an override that names one that does not exist.
pub(crate) fn stand_in_service(name: &ObjectName, ports: &[u16]) -> Service {
    let metadata = ObjectMeta {
        name: Arc::clone(&name.name),
        namespace: Some(Arc::clone(&name.namespace)),
        ..ObjectMeta::default()
    };
    let several = ports.len() > 1;
    let ports = ports
        .iter()
        .map(|port| ServicePort {
            name: several.then(|| format!("port-{port}").into()),
            port: *port,
            ..ServicePort::default()
        })
        .collect();
    Service { metadata, spec: ServiceSpec { ports, ..ServiceSpec::default() } }
}

fn service_port<'s>(service: &'s Service, wanted: Option<&str>) -> Result<&'s ServicePort, String> {
    let ports = &service.spec.ports;
    let names = || {
        let names: Vec<String> = ports
            .iter()
            .map(|port| match port.name() {
                "" => port.port.to_string(),
                name => name.to_owned(),
            })
            .collect();
        names.join(", ")
    };
    match wanted {
        None => match ports.as_slice() {
            [only] => Ok(only),
            [] => Err("the Service has no port; add one to spec.ports".to_owned()),
            [first, ..] => Err(format!(
                "the Service has several ports ({}); say which one is meant, such as {}=127.0.0.1:8080",
                names(),
                first.name()
            )),
        },
        Some(wanted) => ports
            .iter()
            .find(|port| port.name() == wanted || port.port.to_string() == wanted)
            .ok_or_else(|| {
                format!("the Service has no port `{wanted}`; its ports are: {}", names())
            }),
    }
}

/// Adds an endpoint to the slice that its family and ports allow, or to a new one.
fn add(
    slices: &mut Vec<EndpointSlice>,
    service: &Service,
    port: &ServicePort,
    address: SocketAddr,
) {
    let family = match address.ip() {
        IpAddr::V4(_) => EndpointAddressType::Ipv4,
        IpAddr::V6(_) => EndpointAddressType::Ipv6,
    };
    let ports = vec![EndpointPort {
        name: Some(port.name().into()),
        protocol: Some(port.protocol.clone().unwrap_or(TransportProtocol::Tcp)),
        port: Some(address.port()),
        app_protocol: port.app_protocol.clone(),
    }];
    let endpoint =
        Endpoint { addresses: vec![address.ip().to_string().into()], ..Endpoint::default() };
    let fitting =
        slices.iter_mut().find(|slice| slice.address_type == family && slice.ports == ports);
    if let Some(slice) = fitting {
        if !slice.endpoints.contains(&endpoint) {
            slice.endpoints.push(endpoint);
        }
        return;
    }
    let metadata =
        slice_metadata(&service.metadata.name, service.metadata.namespace.clone(), slices.len());
    slices.push(EndpointSlice { metadata, address_type: family, endpoints: vec![endpoint], ports });
}
