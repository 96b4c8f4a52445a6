//! Where the pods behind a Service are: EndpointSlice, and its forerunner Endpoints.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core_kinds::TransportProtocol;
use crate::meta::ObjectMeta;
use crate::object_macro::object;
use crate::open_enum::open_enum;

/// The label by which an EndpointSlice names its Service.
pub const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

object! {
    /// Some of the endpoints of a Service (`discovery.k8s.io/v1`).
    pub struct EndpointSlice {
        metadata: ObjectMeta = "metadata",
        address_type: EndpointAddressType = "addressType",
        endpoints: Vec<Endpoint> = "endpoints",
        ports: Vec<EndpointPort> = "ports",
    }
}

impl EndpointSlice {
    /// The Service this slice belongs to.
    #[must_use]
    pub fn service_name(&self) -> Option<&str> {
        self.metadata.labels.get(SERVICE_NAME_LABEL).map(|name| &**name)
    }
}

open_enum! {
    /// What the addresses of a slice are.
    pub enum EndpointAddressType {
        Ipv4 = "IPv4",
        Ipv6 = "IPv6",
        Fqdn = "FQDN",
    }
}

object! {
    /// One backend. Its addresses are interchangeable; use the first.
    pub struct Endpoint {
        addresses: Vec<Arc<str>> = "addresses",
        conditions: Option<EndpointConditions> = "conditions",
        hostname: Option<Arc<str>> = "hostname",
        node_name: Option<Arc<str>> = "nodeName",
        zone: Option<Arc<str>> = "zone",
        target_ref: Option<TargetRef> = "targetRef",
        hints: Option<EndpointHints> = "hints",
        deprecated_topology: BTreeMap<Arc<str>, Arc<str>> = "deprecatedTopology",
    }
}

impl Endpoint {
    /// Whether new requests may go here; an unknown state counts as ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
    }

    /// Whether the endpoint still answers, terminating or not; unknown: as `ready`.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        let serving = self.conditions.as_ref().and_then(|conditions| conditions.serving);
        serving.unwrap_or_else(|| self.is_ready())
    }

    /// Whether the endpoint is shutting down; unknown counts as no.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        self.conditions.as_ref().and_then(|conditions| conditions.terminating).unwrap_or(false)
    }
}

object! {
    /// The state of an endpoint.
    pub struct EndpointConditions {
        ready: Option<bool> = "ready",
        serving: Option<bool> = "serving",
        terminating: Option<bool> = "terminating",
    }
}

object! {
    /// The object behind an endpoint, a Pod as a rule.
    pub struct TargetRef {
        kind: Option<Arc<str>> = "kind",
        namespace: Option<Arc<str>> = "namespace",
        name: Option<Arc<str>> = "name",
        uid: Option<Arc<str>> = "uid",
    }
}

object! {
    /// Who should use an endpoint, for traffic that stays near.
    pub struct EndpointHints {
        for_zones: Vec<HintName> = "forZones",
        for_nodes: Vec<HintName> = "forNodes",
    }
}

object! {
    /// A zone or node.
    pub struct HintName {
        name: Arc<str> = "name",
    }
}

object! {
    /// A port of every endpoint in a slice or subset.
    pub struct EndpointPort {
        /// The Service port's name; absent or empty when it has none.
        name: Option<Arc<str>> = "name",
        protocol: Option<TransportProtocol> = "protocol",
        /// Absent: any port.
        port: Option<u16> = "port",
        app_protocol: Option<Arc<str>> = "appProtocol",
    }
}

impl EndpointPort {
    /// The name; empty when absent.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// The transport; TCP when absent.
    #[must_use]
    pub fn protocol(&self) -> TransportProtocol {
        self.protocol.clone().unwrap_or(TransportProtocol::Tcp)
    }
}

object! {
    /// All endpoints of the Service of the same name (core `v1`, superseded by EndpointSlice).
    pub struct Endpoints {
        metadata: ObjectMeta = "metadata",
        subsets: Vec<EndpointSubset> = "subsets",
    }
}

object! {
    /// Addresses that all have the same ports.
    pub struct EndpointSubset {
        addresses: Vec<EndpointAddress> = "addresses",
        not_ready_addresses: Vec<EndpointAddress> = "notReadyAddresses",
        ports: Vec<EndpointPort> = "ports",
    }
}

object! {
    /// An address of a subset.
    pub struct EndpointAddress {
        ip: Arc<str> = "ip",
        hostname: Option<Arc<str>> = "hostname",
        node_name: Option<Arc<str>> = "nodeName",
        target_ref: Option<TargetRef> = "targetRef",
    }
}
