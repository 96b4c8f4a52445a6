//! Addresses and ports of Gateways that get pods of their own: no Gateway is in another's way.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use api::{AddressRoutability, AddressType, GatewayParametersSpec, GatewaySpecAddress};
use ipnet::IpNet;
use ir::{BindAddress, Transport};

use crate::code::Code;
use crate::gateways::GatewayWork;
use crate::gateways::listener::Family;
use crate::plan::{AddressRequest, Plan, PlannedPort, Reach, bind_ports, in_pool};

/// A routability that means nothing and must be taken (GEP-5093, for tests).
const SENTINEL: &str = "testing.x-k8s.io/sentinel";

/// Every Gateway binds what it likes, on all addresses of its pods.
pub(crate) fn assign(works: &mut [GatewayWork<'_>]) {
    for work in works {
        bind(work);
        let addresses = &work.gateway.spec.addresses;
        let requests: Vec<_> = if addresses.is_empty() {
            vec![AddressRequest { index: None, value: None, reach: Reach::Default }]
        } else {
            let wanted: Vec<_> = addresses.iter().enumerate().collect();
            wanted.into_iter().filter_map(|(index, wanted)| request(work, index, wanted)).collect()
        };
        if !requests.is_empty() {
            work.addresses = vec![BindAddress::Any];
        }
        work.requests = requests;
    }
}

fn bind(work: &mut GatewayWork<'_>) {
    let accepted = work.all_listeners().filter(|listener| listener.is_accepted());
    let ports: BTreeSet<u16> = accepted.map(|listener| listener.spec.port).collect();
    let bound = bind_ports(&ports);
    let sets = work.sets.iter_mut().flat_map(|set| &mut set.listeners);
    for listener in work.listeners.iter_mut().chain(sets) {
        listener.bind_port = bound.get(&listener.spec.port).copied().unwrap_or(listener.bind_port);
    }
}

fn request(
    work: &mut GatewayWork<'_>,
    index: usize,
    wanted: &GatewaySpecAddress,
) -> Option<AddressRequest> {
    let field = format!("spec.addresses[{index}]");
    let kind = wanted.r#type();
    if kind != AddressType::IpAddress {
        let message = format!("the address type \"{kind}\" is not supported; use IPAddress");
        work.find(Code::AddressTypeUnsupported, &format!("{field}.type"), message);
        return None;
    }
    let reach = match &wanted.routability {
        None | Some(AddressRoutability::Default) => Reach::Default,
        Some(AddressRoutability::Cluster) => Reach::Cluster,
        Some(AddressRoutability::Other(value)) if **value == *SENTINEL => {
            Reach::Named(Arc::clone(value))
        }
        Some(AddressRoutability::Other(value)) => Reach::Unknown(Arc::clone(value)),
    };
    let value = match wanted.value() {
        None => None,
        Some(text) => match text.parse::<IpAddr>() {
            Ok(ip) if ip.is_unspecified() => None,
            Ok(ip) if reach == Reach::Cluster => Some(ip),
            Ok(ip) if in_pool(&work.parameters.address_pool, ip) => Some(ip),
            Ok(ip) => {
                let message = format!(
                    "address {ip} is not in the addressPool of the parameters; ask for one of {}",
                    work.parameters.address_pool.join(", ")
                );
                work.find(Code::AddressNotUsable, &field, message);
                return None;
            }
            Err(_) => {
                let message = format!("\"{text}\" is not an IP address");
                work.find(Code::AddressNotUsable, &field, message);
                return None;
            }
        },
    };
    Some(AddressRequest { index: Some(index), value, reach })
}

/// The plan for a Gateway; `None` while it is not accepted or has nothing to listen on, when what
/// was made for it before stays as it is.
pub(crate) fn plan(work: &GatewayWork<'_>) -> Option<Plan> {
    let port = |listener: &super::listener::ListenerWork<'_>| {
        let transport = match listener.shape?.family() {
            Family::Http | Family::Tls | Family::Tcp => Transport::Tcp,
            Family::Udp => Transport::Udp,
        };
        let port = listener.spec.port;
        Some(PlannedPort { port, transport, bind_port: listener.bind_port })
    };
    let accepted = work.all_listeners().filter(|listener| listener.is_accepted());
    let ports: BTreeSet<PlannedPort> = accepted.filter_map(port).collect();
    let possible = work.is_accepted() && !ports.is_empty() && !work.requests.is_empty();
    possible.then(|| Plan {
        gateway: Arc::clone(&work.object),
        class: Arc::clone(&work.gateway.spec.gateway_class_name),
        addresses: work.requests.clone(),
        ports,
        parameters: Arc::clone(&work.parameters),
    })
}

/// Whether the values of parameters make sense, beyond what the schema says.
pub(crate) fn check(spec: &GatewayParametersSpec) -> Result<(), String> {
    for entry in &spec.address_pool {
        if entry.parse::<IpAddr>().is_err() && entry.parse::<IpNet>().is_err() {
            return Err(format!("addressPool: \"{entry}\" is neither an address nor a network"));
        }
    }
    let ranges = spec.service.iter().flat_map(|service| &service.load_balancer_source_ranges);
    for entry in ranges {
        if entry.parse::<IpNet>().is_err() {
            return Err(format!(
                "service.loadBalancerSourceRanges: \"{entry}\" is not a network such as 10.0.0.0/8"
            ));
        }
    }
    let drain = spec.drain.clone().unwrap_or_default();
    let duration = |name: &str, text: &Option<Arc<str>>, default: u64| match text {
        None => Ok(std::time::Duration::from_secs(default)),
        Some(text) => api::duration::parse(text).map_err(|error| format!("drain.{name}: {error}")),
    };
    let (min, deadline) =
        (duration("min", &drain.min, 10)?, duration("deadline", &drain.deadline, 60)?);
    if min > deadline {
        return Err("drain.min is longer than drain.deadline".to_owned());
    }
    Ok(())
}
