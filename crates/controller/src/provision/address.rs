//! From the status of Services to what became of requested addresses.

use std::collections::BTreeMap;
use std::net::IpAddr;

use api::ServiceType;
use serde_json::Value;
use translate::{AddressFact, GivenAddress, Plan, Reach};

use super::desired::services;
use super::name::base_name;
use super::service::service_type;

/// One fact for each request of the plan. `live` finds a Service of the Gateway by its name,
/// `nodes` are the addresses of the cluster's nodes.
pub(super) fn facts<'a>(
    gateway: &str,
    plan: &Plan,
    live: impl Fn(&str) -> Option<&'a Value>,
    nodes: &[IpAddr],
) -> Vec<AddressFact> {
    let base = base_name(gateway, &plan.class);
    let named = services(plan, &base);
    let mut names = named.into_iter();
    plan.addresses
        .iter()
        .map(|request| {
            if let Reach::Unknown(value) = &request.reach {
                return AddressFact::NotAssigned(format!("routability {value} is not known"));
            }
            let Some((_, name)) = names.next() else {
                return AddressFact::NotAssigned("it has no Service".to_owned());
            };
            let Some(service) = live(&name) else {
                return AddressFact::NotAssigned(format!("Service {name} is not there yet"));
            };
            let kind = service_type(plan, request);
            judge(&name, request.value, given(service, &kind, nodes), &kind)
        })
        .collect()
}

fn judge(
    name: &str,
    wanted: Option<IpAddr>,
    given: Vec<GivenAddress>,
    kind: &ServiceType,
) -> AddressFact {
    let who = match kind {
        ServiceType::LoadBalancer => "the load balancer",
        ServiceType::ClusterIp
        | ServiceType::NodePort
        | ServiceType::ExternalName
        | ServiceType::Other(_) => "the cluster",
    };
    match wanted {
        None if given.is_empty() => {
            AddressFact::NotAssigned(format!("{who} has given Service {name} no address yet"))
        }
        None => AddressFact::Given(given),
        Some(ip) if given.contains(&GivenAddress::Ip(ip)) => {
            AddressFact::Given(vec![GivenAddress::Ip(ip)])
        }
        Some(ip) => AddressFact::NotUsable(format!("{who} has not given {ip} to Service {name}")),
    }
}

fn given(service: &Value, kind: &ServiceType, nodes: &[IpAddr]) -> Vec<GivenAddress> {
    let list = |pointer: &str| {
        service.pointer(pointer).and_then(Value::as_array).map_or(&[][..], Vec::as_slice)
    };
    let ip = |value: &Value| value.as_str()?.parse().ok().map(GivenAddress::Ip);
    match kind {
        ServiceType::LoadBalancer => list("/status/loadBalancer/ingress")
            .iter()
            .filter_map(|entry| {
                let by_name = || {
                    let name = entry.get("hostname")?.as_str()?;
                    Some(GivenAddress::Hostname(name.into()))
                };
                entry.get("ip").and_then(ip).or_else(by_name)
            })
            .collect(),
        ServiceType::ClusterIp => list("/spec/clusterIPs").iter().filter_map(ip).collect(),
        ServiceType::NodePort => nodes.iter().copied().map(GivenAddress::Ip).collect(),
        ServiceType::ExternalName | ServiceType::Other(_) => Vec::new(),
    }
}

/// The addresses at which nodes are reached: external ones if any has one, else internal ones.
pub(super) fn of_nodes<'a>(nodes: impl Iterator<Item = &'a Value> + Clone) -> Vec<IpAddr> {
    let of = |wanted: &str| {
        let mut found: BTreeMap<IpAddr, ()> = BTreeMap::new();
        for node in nodes.clone() {
            let listed = node.pointer("/status/addresses").and_then(Value::as_array);
            for address in listed.into_iter().flatten() {
                let text = |name: &str| address.get(name).and_then(Value::as_str);
                if text("type") == Some(wanted)
                    && let Some(ip) = text("address").and_then(|text| text.parse().ok())
                {
                    found.insert(ip, ());
                }
            }
        }
        found.into_keys().collect::<Vec<_>>()
    };
    let external = of("ExternalIP");
    if external.is_empty() { of("InternalIP") } else { external }
}
