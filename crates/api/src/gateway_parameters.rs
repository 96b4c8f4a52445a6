//! GatewayParameters, our own kind: what is generated for a Gateway in a cluster. And EnvoyProxy,
//! of which we read what means the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::core_kinds::ServiceType;
use crate::decode::{Decode, Decoder};
use crate::meta::ObjectMeta;
use crate::object_macro::object;
use crate::open_enum::open_enum;
use crate::shape::Shape;

object! {
    /// How the pods and Services of a Gateway are made. A field of the Gateway's own parameters
    /// wins over the same field of its class's.
    pub struct GatewayParameters {
        metadata: ObjectMeta = "metadata",
        spec: GatewayParametersSpec = "spec",
    }
}

object! {
    /// What the author of parameters asks for.
    pub struct GatewayParametersSpec {
        /// Addresses and networks (CIDR) that the Gateway may ask for and have; empty means any.
        address_pool: Vec<Arc<str>> = "addressPool",
        autoscaling: Option<Autoscaling> = "autoscaling",
        disruption_budget: Option<DisruptionBudget> = "disruptionBudget",
        drain: Option<DrainTimes> = "drain",
        image: Option<Arc<str>> = "image",
        image_pull_policy: Option<Arc<str>> = "imagePullPolicy",
        /// Names of Secrets in the Gateway's namespace.
        image_pull_secrets: Vec<Arc<str>> = "imagePullSecrets",
        logging: Option<ProxyLogging> = "logging",
        pod: Option<PodParameters> = "pod",
        replicas: Option<u32> = "replicas",
        resources: Option<ResourceRequirements> = "resources",
        routing: Option<Routing> = "routing",
        service: Option<ServiceParameters> = "service",
        /// Threads that carry traffic in each pod.
        workers: Option<u32> = "workers",
    }
}

open_enum! {
    /// How backends are reached.
    pub enum Routing {
        /// By the addresses of their pods.
        Endpoints = "Endpoints",
        /// By the ClusterIP of their Service.
        Service = "Service",
    }
}

object! {
    /// Bounds of a HorizontalPodAutoscaler.
    pub struct Autoscaling {
        min_replicas: Option<u32> = "minReplicas",
        max_replicas: u32 = "maxReplicas",
        /// Percent of the requested CPU.
        target_cpu_utilization: Option<u32> = "targetCPUUtilization",
    }
}

object! {
    /// How many pods may be away on purpose; one of the two.
    pub struct DisruptionBudget {
        min_available: Option<NumberOrText> = "minAvailable",
        max_unavailable: Option<NumberOrText> = "maxUnavailable",
    }
}

object! {
    /// How a pod ends; durations of GEP-2257.
    pub struct DrainTimes {
        min: Option<Arc<str>> = "min",
        deadline: Option<Arc<str>> = "deadline",
    }
}

object! {
    /// What the proxy writes.
    pub struct ProxyLogging {
        level: Option<Arc<str>> = "level",
        /// Json or Text.
        format: Option<Arc<str>> = "format",
        /// Stdout or Off.
        access_log: Option<Arc<str>> = "accessLog",
    }
}

object! {
    /// Where pods run and what they carry.
    pub struct PodParameters {
        labels: BTreeMap<Arc<str>, Arc<str>> = "labels",
        annotations: BTreeMap<Arc<str>, Arc<str>> = "annotations",
        node_selector: BTreeMap<Arc<str>, Arc<str>> = "nodeSelector",
        tolerations: Vec<Toleration> = "tolerations",
        /// As in the spec of a pod.
        affinity: Option<Json> = "affinity",
        /// As in the spec of a pod.
        topology_spread_constraints: Vec<Json> = "topologySpreadConstraints",
        priority_class_name: Option<Arc<str>> = "priorityClassName",
    }
}

object! {
    /// A taint that pods put up with.
    pub struct Toleration {
        key: Option<Arc<str>> = "key",
        operator: Option<Arc<str>> = "operator",
        value: Option<Arc<str>> = "value",
        effect: Option<Arc<str>> = "effect",
        toleration_seconds: Option<i64> = "tolerationSeconds",
    }
}

object! {
    /// What the proxy's container asks for.
    pub struct ResourceRequirements {
        requests: BTreeMap<Arc<str>, NumberOrText> = "requests",
        limits: BTreeMap<Arc<str>, NumberOrText> = "limits",
    }
}

object! {
    /// The Services in front of the pods.
    pub struct ServiceParameters {
        r#type: Option<ServiceType> = "type",
        labels: BTreeMap<Arc<str>, Arc<str>> = "labels",
        annotations: BTreeMap<Arc<str>, Arc<str>> = "annotations",
        external_traffic_policy: Option<Arc<str>> = "externalTrafficPolicy",
        load_balancer_class: Option<Arc<str>> = "loadBalancerClass",
        load_balancer_source_ranges: Vec<Arc<str>> = "loadBalancerSourceRanges",
        allocate_load_balancer_node_ports: Option<bool> = "allocateLoadBalancerNodePorts",
        ip_family_policy: Option<Arc<str>> = "ipFamilyPolicy",
        ip_families: Vec<Arc<str>> = "ipFamilies",
    }
}

object! {
    /// Envoy Gateway's parameters. Which of its fields mean something here is decided in
    /// `translate`, field by field.
    pub struct EnvoyProxy {
        metadata: ObjectMeta = "metadata",
        spec: Option<Json> = "spec",
    }
}

/// A number or a text, kept as written: quantities, percentages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NumberOrText {
    /// A whole number.
    Number(i64),
    /// Any text.
    Text(Arc<str>),
}

impl Default for NumberOrText {
    fn default() -> Self {
        Self::Number(0)
    }
}

impl Decode for NumberOrText {
    fn decode(value: &Value, decoder: &mut Decoder) -> Option<Self> {
        if let Some(text) = value.as_str() {
            return Some(Self::Text(text.into()));
        }
        i64::decode(value, decoder).map(Self::Number)
    }

    fn shape() -> Shape {
        Shape::IntegerOrString
    }
}

impl Serialize for NumberOrText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

/// A value that is handed on as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Json(pub Value);

impl Decode for Json {
    fn decode(value: &Value, _: &mut Decoder) -> Option<Self> {
        Some(Self(value.clone()))
    }

    fn shape() -> Shape {
        Shape::Any
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
