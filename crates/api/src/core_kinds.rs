//! Kinds of Kubernetes itself: Namespace, Service, Secret, ConfigMap, ClusterTrustBundle.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::decode::{Decode, Decoder};
use crate::meta::ObjectMeta;
use crate::object_macro::object;
use crate::open_enum::open_enum;
use crate::shape::Shape;

object! {
    /// A namespace; only its labels matter to us.
    pub struct Namespace {
        metadata: ObjectMeta = "metadata",
    }
}

object! {
    /// A Service: a name and ports for a set of endpoints.
    pub struct Service {
        metadata: ObjectMeta = "metadata",
        spec: ServiceSpec = "spec",
    }
}

object! {
    /// The part of a Service's spec that we read.
    pub struct ServiceSpec {
        r#type: Option<ServiceType> = "type",
        ports: Vec<ServicePort> = "ports",
        selector: BTreeMap<Arc<str>, Arc<str>> = "selector",
        /// `None` (the text) for a headless Service.
        cluster_ip: Option<Arc<str>> = "clusterIP",
        cluster_ips: Vec<Arc<str>> = "clusterIPs",
        external_name: Option<Arc<str>> = "externalName",
        publish_not_ready_addresses: Option<bool> = "publishNotReadyAddresses",
        traffic_distribution: Option<Arc<str>> = "trafficDistribution",
        ip_families: Vec<Arc<str>> = "ipFamilies",
    }
}

impl ServiceSpec {
    /// The type; ClusterIP when absent.
    #[must_use]
    pub fn r#type(&self) -> ServiceType {
        self.r#type.clone().unwrap_or(ServiceType::ClusterIp)
    }

    /// Whether the Service has no address of its own.
    #[must_use]
    pub fn is_headless(&self) -> bool {
        self.cluster_ip.as_deref() == Some("None")
    }

    /// The port with this number.
    #[must_use]
    pub fn port(&self, number: u16) -> Option<&ServicePort> {
        self.ports.iter().find(|port| port.port == number)
    }
}

open_enum! {
    /// How a Service is reached.
    pub enum ServiceType {
        ClusterIp = "ClusterIP",
        NodePort = "NodePort",
        LoadBalancer = "LoadBalancer",
        ExternalName = "ExternalName",
    }
}

object! {
    /// A port of a Service.
    pub struct ServicePort {
        /// Absent only when the Service has a single port.
        name: Option<Arc<str>> = "name",
        protocol: Option<TransportProtocol> = "protocol",
        app_protocol: Option<Arc<str>> = "appProtocol",
        port: u16 = "port",
        /// Absent: the same as `port`.
        target_port: Option<IntOrString> = "targetPort",
        node_port: Option<u16> = "nodePort",
    }
}

impl ServicePort {
    /// The name; empty when absent, as EndpointSlice ports write it.
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

open_enum! {
    /// The transport of a port.
    pub enum TransportProtocol {
        Tcp = "TCP",
        Udp = "UDP",
        Sctp = "SCTP",
    }
}

/// A port by number or by the name that the pod gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntOrString {
    /// A port number.
    Int(u16),
    /// A container port's name.
    String(Arc<str>),
}

impl Default for IntOrString {
    fn default() -> Self {
        Self::Int(0)
    }
}

impl Decode for IntOrString {
    fn decode(value: &Value, decoder: &mut Decoder) -> Option<Self> {
        if let Some(text) = value.as_str() {
            return Some(Self::String(text.into()));
        }
        u16::decode(value, decoder).map(Self::Int)
    }

    fn shape() -> Shape {
        Shape::IntegerOrString
    }
}

impl Serialize for IntOrString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Int(number) => serializer.serialize_u16(*number),
            Self::String(text) => serializer.serialize_str(text),
        }
    }
}

object! {
    /// A Secret. Its values never appear in Debug, and are written as `<redacted>`.
    pub struct Secret {
        metadata: ObjectMeta = "metadata",
        r#type: Option<Arc<str>> = "type",
        data: BTreeMap<Arc<str>, SecretData> = "data",
        /// Plain text that the API server merges into `data`; it wins.
        string_data: BTreeMap<Arc<str>, SecretText> = "stringData",
        immutable: Option<bool> = "immutable",
    }
}

impl Secret {
    /// The type; `Opaque` when absent.
    #[must_use]
    pub fn r#type(&self) -> &str {
        self.r#type.as_deref().unwrap_or("Opaque")
    }

    /// The value of `key`, from `stringData` or else from `data`.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&[u8]> {
        let text = self.string_data.get(key).map(|text| text.0.as_bytes());
        text.or_else(|| self.data.get(key).map(SecretData::bytes))
    }
}

/// Bytes that must not be shown; base64 in JSON.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretData(Arc<[u8]>);

impl SecretData {
    /// Wraps bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The bytes; whoever takes them sees that they are not logged.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Text that must not be shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretText(Arc<str>);

impl SecretText {
    /// The text; whoever takes it sees that it is not logged.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretData {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "<redacted, {} bytes>", self.0.len())
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "<redacted, {} bytes>", self.0.len())
    }
}

impl Serialize for SecretData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("<redacted>")
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("<redacted>")
    }
}

impl Decode for SecretData {
    fn decode(value: &Value, decoder: &mut Decoder) -> Option<Self> {
        decode_base64(value, decoder).map(|bytes| Self(bytes.into()))
    }

    fn shape() -> Shape {
        Shape::String
    }
}

impl Decode for SecretText {
    fn decode(value: &Value, decoder: &mut Decoder) -> Option<Self> {
        Arc::<str>::decode(value, decoder).map(Self)
    }

    fn shape() -> Shape {
        Shape::String
    }
}

object! {
    /// A ConfigMap: for us, where certificate authorities come from.
    pub struct ConfigMap {
        metadata: ObjectMeta = "metadata",
        data: BTreeMap<Arc<str>, Arc<str>> = "data",
        binary_data: BTreeMap<Arc<str>, BinaryData> = "binaryData",
        immutable: Option<bool> = "immutable",
    }
}

impl ConfigMap {
    /// The value of `key`, from `data` or else from `binaryData`.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&[u8]> {
        let text = self.data.get(key).map(|text| text.as_bytes());
        text.or_else(|| self.binary_data.get(key).map(|data| &*data.0))
    }
}

/// Bytes, base64 in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BinaryData(pub Arc<[u8]>);

impl Serialize for BinaryData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl Decode for BinaryData {
    fn decode(value: &Value, decoder: &mut Decoder) -> Option<Self> {
        decode_base64(value, decoder).map(|bytes| Self(bytes.into()))
    }

    fn shape() -> Shape {
        Shape::String
    }
}

/// Line breaks within base64 are passed over, as Go's decoder does.
fn decode_base64(value: &Value, decoder: &mut Decoder) -> Option<Vec<u8>> {
    let Some(text) = value.as_str() else {
        decoder.wrong_type("base64 string", value);
        return None;
    };
    let bytes = if text.contains(['\r', '\n']) {
        BASE64.decode(text.replace(['\r', '\n'], ""))
    } else {
        BASE64.decode(text)
    };
    if bytes.is_err() {
        decoder.issue("the value is not base64");
    }
    bytes.ok()
}

object! {
    /// Certificate authorities of the cluster (`certificates.k8s.io`).
    pub struct ClusterTrustBundle {
        metadata: ObjectMeta = "metadata",
        spec: ClusterTrustBundleSpec = "spec",
    }
}

object! {
    /// The authorities, and who signs with them.
    pub struct ClusterTrustBundleSpec {
        signer_name: Option<Arc<str>> = "signerName",
        /// PEM.
        trust_bundle: Arc<str> = "trustBundle",
    }
}
