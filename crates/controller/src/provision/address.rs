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
            let (given, foreign): (Vec<_>, Vec<_>) =
                given(service, &kind, nodes).into_iter().partition(|address| match address {
                    GivenAddress::Ip(ip) => plan.permits(request, *ip),
                    // What it stands for is not known.
                    GivenAddress::Hostname(_) => true,
                });
            match foreign.first() {
                Some(GivenAddress::Ip(ip)) if given.is_empty() && request.value.is_none() => {
                    AddressFact::NotAssigned(format!(
                        "Service {name} was given {ip}, which is not in the addressPool of the parameters"
                    ))
                }
                Some(_) | None => judge(&name, request.value, given, &kind),
            }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};
    use translate::{AddressFact, AddressRequest, GivenAddress, Plan, Reach};

    use super::facts;

    fn plan(reach: Reach) -> Plan {
        let parameters = api::GatewayParametersSpec {
            address_pool: vec!["203.0.113.0/24".into(), "2001:db8::7".into()],
            ..api::GatewayParametersSpec::default()
        };
        Plan {
            gateway: Arc::new(ir::ObjectRef::new("", "Gateway", "shop", "web")),
            class: "portcullis".into(),
            addresses: vec![AddressRequest { index: None, value: None, reach }],
            ports: std::collections::BTreeSet::new(),
            parameters: Arc::new(parameters),
        }
    }

    fn fact(reach: Reach, service: &Value) -> AddressFact {
        facts("web", &plan(reach), |_| Some(service), &[]).remove(0)
    }

    #[test]
    fn what_is_given_from_outside_the_pool_is_no_address_of_the_gateway() {
        let balanced = |addresses: &[&str]| {
            let given: Vec<_> = addresses.iter().map(|ip| json!({ "ip": ip })).collect();
            fact(Reach::Default, &json!({ "status": { "loadBalancer": { "ingress": given } } }))
        };
        let given = |ip: &str| GivenAddress::Ip(ip.parse().unwrap());
        let both = balanced(&["203.0.113.9", "2001:db8::7"]);
        assert_eq!(both, AddressFact::Given(vec![given("203.0.113.9"), given("2001:db8::7")]));
        let one = balanced(&["198.51.100.1", "203.0.113.9"]);
        assert_eq!(one, AddressFact::Given(vec![given("203.0.113.9")]));
        let AddressFact::NotAssigned(why) = balanced(&["198.51.100.1"]) else {
            panic!("an address from elsewhere is taken");
        };
        assert!(why.contains("198.51.100.1, which is not in the addressPool"), "{why}");
        let AddressFact::NotAssigned(why) = balanced(&[]) else { panic!("there is no address") };
        assert!(why.contains("no address yet"), "{why}");
    }

    #[test]
    fn addresses_within_the_cluster_are_of_no_pool() {
        let service = json!({ "spec": { "clusterIPs": ["10.96.0.7"] } });
        let given = AddressFact::Given(vec![GivenAddress::Ip("10.96.0.7".parse().unwrap())]);
        assert_eq!(fact(Reach::Cluster, &service), given);
    }
}
