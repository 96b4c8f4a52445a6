//! What it takes to serve each Gateway by pods of its own: the input of whoever provisions them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use api::{GatewayParametersSpec, Routing};
use ipnet::IpNet;
use ir::{ObjectRef, Transport};

/// Ports that a proxy's pod needs for itself: metrics and health, and the admin endpoint.
pub const POD_PORTS: [u16; 2] = [9180, 9181];

/// The first port that any process may bind.
const UNPRIVILEGED: u16 = 1024;

/// Ports of listeners that a pod cannot bind are moved to this one plus their own number: above
/// what Linux uses for outgoing connections.
const MOVED: u16 = 61_440;

/// The plan for one Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub gateway: Arc<ObjectRef>,
    pub class: Arc<str>,
    /// At least one: a Gateway that asks for no address needs one all the same. Entries of
    /// `spec.addresses` that can never be satisfied are left out.
    pub addresses: Vec<AddressRequest>,
    /// At least one: those of every accepted listener, whether it can serve at the moment or not.
    pub ports: BTreeSet<PlannedPort>,
    /// Those of the class with those of the Gateway laid over them.
    pub parameters: Arc<GatewayParametersSpec>,
}

impl Plan {
    /// How the Gateway's backends are reached.
    pub fn routing(&self) -> Routing {
        self.parameters.routing.clone().unwrap_or(Routing::Endpoints)
    }

    /// Whether an address that was given may answer the request.
    pub fn permits(&self, request: &AddressRequest, ip: IpAddr) -> bool {
        // Addresses within the cluster are never of the pool that the world is served from.
        request.reach == Reach::Cluster || in_pool(&self.parameters.address_pool, ip)
    }

    /// The address of a pool that has no other.
    pub fn only_address(&self) -> Option<IpAddr> {
        match self.parameters.address_pool.as_slice() {
            [only] => only.parse().ok(),
            _ => None,
        }
    }
}

/// Whether a pool holds an address. An empty one holds all.
pub(crate) fn in_pool(pool: &[Arc<str>], ip: IpAddr) -> bool {
    let covers = |entry: &Arc<str>| {
        entry.parse::<IpAddr>().is_ok_and(|own| own == ip)
            || entry.parse::<IpNet>().is_ok_and(|network| network.contains(&ip))
    };
    pool.is_empty() || pool.iter().any(covers)
}

/// A port from outside to the pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlannedPort {
    /// The listener's.
    pub port: u16,
    pub transport: Transport,
    /// The pod's.
    pub bind_port: u16,
}

/// One address that a Gateway asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRequest {
    /// Its position in `spec.addresses`; `None` when the Gateway asks for nothing.
    pub index: Option<usize>,
    /// `None` is any address.
    pub value: Option<IpAddr>,
    pub reach: Reach,
}

/// From where an address must be reachable (GEP-5093).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// As the parameters say.
    Default,
    /// As the parameters say, and status repeats this value.
    Named(Arc<str>),
    /// From inside the cluster: the address of a Service of type ClusterIP.
    Cluster,
    /// A value that means nothing here; no other address may take its place.
    Unknown(Arc<str>),
}

impl Reach {
    /// The value of `routability` in status.
    pub fn routability(&self) -> Option<&str> {
        match self {
            Self::Default => None,
            Self::Named(value) | Self::Unknown(value) => Some(value),
            Self::Cluster => Some("Cluster"),
        }
    }
}

/// The port that a pod binds for each port of the Gateway's listeners.
///
/// A port that an ordinary process can bind and a proxy does not need for itself stays what it
/// is. The others move to 61440 plus their own number, or to the next port that is free of
/// listeners: only a Gateway that listens up there as well makes that differ.
pub fn bind_ports(ports: &BTreeSet<u16>) -> BTreeMap<u16, u16> {
    let stays = |port: u16| port >= UNPRIVILEGED && !POD_PORTS.contains(&port);
    let mut taken: BTreeSet<u16> = ports.iter().copied().filter(|port| stays(*port)).collect();
    let mut bound: BTreeMap<u16, u16> = taken.iter().map(|port| (*port, *port)).collect();
    for port in ports.iter().copied().filter(|port| !stays(*port)) {
        let first = MOVED.saturating_add(port % UNPRIVILEGED);
        let free = (first..=u16::MAX).chain(UNPRIVILEGED..first);
        let free = free.filter(|port| stays(*port)).find(|port| !taken.contains(port));
        if let Some(free) = free {
            taken.insert(free);
            bound.insert(port, free);
        }
    }
    bound
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{POD_PORTS, bind_ports};

    #[test]
    fn ports_stay_unless_a_pod_cannot_bind_them() {
        let ports = BTreeSet::from([80, 443, 8080, 9180, 61_520]);
        let bound: Vec<_> = bind_ports(&ports).into_iter().collect();
        let moved = [(80, 61_521), (443, 61_883), (8080, 8080), (9180, 62_428), (61_520, 61_520)];
        assert_eq!(bound, moved);
    }

    #[test]
    fn as_many_ports_as_there_are_listeners_never_collide() {
        let ports: BTreeSet<u16> = (1..=4000).chain(60_000..=64_000).collect();
        let bound = bind_ports(&ports);
        assert_eq!(bound.len(), ports.len());
        let distinct: BTreeSet<u16> = bound.values().copied().collect();
        assert_eq!(distinct.len(), ports.len());
        assert!(distinct.iter().all(|port| *port >= 1024 && !POD_PORTS.contains(port)));
    }
}
