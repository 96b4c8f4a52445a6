//! The Service in front of a Gateway's pods, one for each address that is asked for.

use std::collections::BTreeMap;

use api::ServiceType;
use ir::Transport;
use serde_json::{Value, json};
use translate::{AddressRequest, Reach};

use super::desired::Common;
use super::object::{Kind, Object};

/// The type of the Service that answers a request.
pub(super) fn service_type(common: &translate::Plan, request: &AddressRequest) -> ServiceType {
    match request.reach {
        Reach::Cluster => ServiceType::ClusterIp,
        Reach::Default | Reach::Named(_) | Reach::Unknown(_) => {
            let asked = common.parameters.service.as_ref().and_then(|own| own.r#type.clone());
            asked.unwrap_or(ServiceType::LoadBalancer)
        }
    }
}

pub(super) fn service(common: &Common<'_>, request: &AddressRequest, name: &str) -> Object {
    let own = common.plan.parameters.service.clone().unwrap_or_default();
    let kind = service_type(common.plan, request);
    let balanced = kind == ServiceType::LoadBalancer;
    let outside = balanced || kind == ServiceType::NodePort;
    let value = request.value.map(|ip| ip.to_string());
    let only = common.plan.only_address().map(|ip| ip.to_string());
    let in_cluster = kind == ServiceType::ClusterIp;
    let ranges = own.load_balancer_source_ranges;
    let body = json!({ "spec": {
        "type": kind.as_str(),
        "selector": common.selector(),
        "ports": ports(common),
        "clusterIP": value.as_deref().filter(|_| in_cluster),
        "loadBalancerIP": value.clone().or(only).filter(|_| balanced),
        "loadBalancerClass": own.load_balancer_class.as_deref().filter(|_| balanced),
        "loadBalancerSourceRanges": (balanced && !ranges.is_empty()).then(|| json!(ranges)),
        "allocateLoadBalancerNodePorts":
            own.allocate_load_balancer_node_ports.filter(|_| balanced),
        "externalTrafficPolicy": own.external_traffic_policy.as_deref().filter(|_| outside),
        "ipFamilyPolicy": own.ip_family_policy.as_deref(),
        "ipFamilies": (!own.ip_families.is_empty()).then(|| json!(own.ip_families)),
    } });
    common.object(Kind::Service, name, (&own.labels, &own.annotations), body)
}

fn ports(common: &Common<'_>) -> Vec<Value> {
    let ports: BTreeMap<(u16, Transport), u16> =
        common.plan.ports.iter().map(|p| ((p.port, p.transport), p.bind_port)).collect();
    let entry = |((port, transport), target): (&(u16, Transport), &u16)| {
        let protocol = match transport {
            Transport::Tcp => "TCP",
            Transport::Udp => "UDP",
        };
        json!({
            "name": format!("{}-{port}", protocol.to_ascii_lowercase()),
            "port": port,
            "protocol": protocol,
            "targetPort": target,
        })
    };
    ports.iter().map(entry).collect()
}
