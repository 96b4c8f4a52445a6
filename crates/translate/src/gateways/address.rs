//! Which addresses a Gateway listens on: those it asks for, else one from the pool.
//!
//! Gateways are never merged: two that use one port need different addresses, and the older keeps
//! its own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use api::{AddressType, GatewaySpecAddress};
use ipnet::IpNet;
use ir::{BindAddress, Transport};

use crate::code::Code;
use crate::gateways::GatewayWork;
use crate::gateways::listener::Family;
use crate::limits::NETWORK_ADDRESSES_MAX;
use crate::settings::AddressPool;
use crate::world::World;

/// Who has which address, by port.
#[derive(Default)]
struct Taken {
    ports: BTreeMap<(u16, Transport), BTreeMap<BindAddress, String>>,
    /// Addresses that some accepted Gateway asks for, by port.
    named: BTreeSet<(u16, Transport, BindAddress)>,
}

impl Taken {
    /// The Gateway that has the address, or one that overlaps with it, on one of the ports.
    fn holder(&self, address: BindAddress, ports: &BTreeSet<(u16, Transport)>) -> Option<&str> {
        ports.iter().find_map(|port| {
            let held = self.ports.get(port)?;
            let overlapping = match address {
                BindAddress::Any => held.values().next(),
                BindAddress::Ip(_) => held.get(&address).or_else(|| held.get(&BindAddress::Any)),
            };
            overlapping.map(String::as_str)
        })
    }

    fn is_named(&self, address: BindAddress, ports: &BTreeSet<(u16, Transport)>) -> bool {
        ports.iter().any(|(port, transport)| self.named.contains(&(*port, *transport, address)))
    }

    fn take(&mut self, address: BindAddress, ports: &BTreeSet<(u16, Transport)>, gateway: &str) {
        for port in ports {
            self.ports.entry(*port).or_default().insert(address, gateway.to_owned());
        }
    }
}

/// Gives addresses to Gateways: first to those that have one, then to the others, both in their
/// order, which is by age. Nobody is given an address that another Gateway names while one is
/// left that nobody names.
pub(crate) fn assign(world: &World<'_>, works: &mut [GatewayWork<'_>]) {
    let mut taken = Taken { named: named(works), ..Taken::default() };
    let (holders, newcomers): (Vec<_>, Vec<_>) =
        works.iter_mut().partition(|work| !held(world, work).is_empty());
    for work in holders.into_iter().chain(newcomers) {
        check_types(work);
        if !work.is_accepted() {
            continue;
        }
        let ports = ports(work);
        let wanted = wanted(work);
        for (index, wanted) in &wanted {
            let field = format!("spec.addresses[{index}]");
            match wanted {
                Some(value) => choose(world, work, &mut taken, &ports, value, &field),
                None => give(world, work, &mut taken, &ports, &field),
            }
        }
        if work.gateway.spec.addresses.is_empty() {
            give(world, work, &mut taken, &ports, "spec.addresses");
        }
        say_unsatisfied(work);
    }
}

/// What Gateways ask for by value.
fn named(works: &[GatewayWork<'_>]) -> BTreeSet<(u16, Transport, BindAddress)> {
    let mut named = BTreeSet::new();
    for work in works.iter().filter(|work| work.is_accepted()) {
        let values = wanted(work).into_iter().filter_map(|(_, value)| value);
        let addresses: Vec<IpAddr> = values.filter_map(|value| value.parse().ok()).collect();
        for (port, transport) in ports(work) {
            named.extend(addresses.iter().map(|ip| (port, transport, bind_address(*ip))));
        }
    }
    named
}

fn bind_address(ip: IpAddr) -> BindAddress {
    if ip.is_unspecified() { BindAddress::Any } else { BindAddress::Ip(ip) }
}

fn check_types(work: &mut GatewayWork<'_>) {
    for (index, address) in work.gateway.spec.addresses.iter().enumerate() {
        let kind = address.r#type();
        if kind != AddressType::IpAddress {
            let message = format!("the address type \"{kind}\" is not supported; use IPAddress");
            work.find(
                Code::AddressTypeUnsupported,
                &format!("spec.addresses[{index}].type"),
                message,
            );
        }
    }
}

/// Whether an entry asks for an address that is reached from somewhere particular. Nobody here
/// knows from where an address is reached, so such an entry stays without one (GEP-5093).
fn is_particular(address: &GatewaySpecAddress) -> bool {
    address.routability.as_ref().is_some_and(|routability| !routability.as_str().is_empty())
}

fn say_unsatisfied(work: &mut GatewayWork<'_>) {
    let addresses = &work.gateway.spec.addresses;
    let unsatisfied = addresses.iter().enumerate().filter(|(_, address)| is_particular(address));
    let reasons: Vec<String> = unsatisfied
        .filter_map(|(index, address)| {
            let routability = address.routability.as_ref()?;
            Some(format!("routability {routability} of entry {index} cannot be satisfied"))
        })
        .collect();
    if reasons.is_empty() {
        return;
    }
    let reasons = reasons.join("; ");
    if work.addresses.is_empty() {
        work.find(Code::AddressNotAssigned, "spec.addresses", reasons.clone());
        work.find(Code::AddressesNotAssigned, "spec.addresses", reasons);
    } else {
        work.find(Code::AddressesPartlyAssigned, "spec.addresses", reasons);
    }
}

/// Positions and values of the addresses that can be given; `None` asks for any.
fn wanted(work: &GatewayWork<'_>) -> Vec<(usize, Option<String>)> {
    let addresses = work.gateway.spec.addresses.iter().enumerate();
    addresses
        .filter(|(_, address)| !is_particular(address))
        .map(|(index, address)| (index, address.value().map(str::to_owned)))
        .collect()
}

fn ports(work: &GatewayWork<'_>) -> BTreeSet<(u16, Transport)> {
    work.all_listeners()
        .filter(|listener| listener.is_accepted())
        .filter_map(|listener| {
            let transport = match listener.shape?.family() {
                Family::Http | Family::Tls | Family::Tcp => Transport::Tcp,
                Family::Udp => Transport::Udp,
            };
            Some((listener.bind_port, transport))
        })
        .collect()
}

fn choose(
    world: &World<'_>,
    work: &mut GatewayWork<'_>,
    taken: &mut Taken,
    ports: &BTreeSet<(u16, Transport)>,
    value: &str,
    field: &str,
) {
    let Ok(ip) = value.parse::<IpAddr>() else {
        let message = format!("\"{value}\" is not an IP address");
        work.find(Code::AddressNotUsable, field, message);
        return;
    };
    let allowed = world.settings.addresses.iter().any(|pool| match pool {
        AddressPool::Any => true,
        AddressPool::Ip(own) => *own == ip,
        AddressPool::Network(network) => network.contains(&ip),
    });
    if !allowed {
        let message =
            format!("address {ip} is not one this gateway may use; add it with --address");
        work.find(Code::AddressNotUsable, field, message);
        return;
    }
    let address = bind_address(ip);
    if let Some(holder) = taken.holder(address, ports) {
        let message = format!("the older {holder} has address {ip} on one of these ports");
        work.find(Code::AddressNotUsable, field, message);
        return;
    }
    take(work, taken, ports, address);
}

fn take(
    work: &mut GatewayWork<'_>,
    taken: &mut Taken,
    ports: &BTreeSet<(u16, Transport)>,
    address: BindAddress,
) {
    taken.take(address, ports, &work.object.to_string());
    if !work.addresses.contains(&address) {
        work.addresses.push(address);
    }
}

/// The addresses that the Gateway has now.
fn held<'w>(world: &World<'w>, work: &GatewayWork<'_>) -> &'w [BindAddress] {
    let name = work.gateway.metadata.object_name();
    world.settings.held.get(&name).map_or(&[], Vec::as_slice)
}

fn in_pool(pools: &[AddressPool], address: BindAddress) -> bool {
    pools.iter().any(|pool| match (pool, address) {
        (AddressPool::Any, BindAddress::Any) => true,
        (AddressPool::Ip(own), BindAddress::Ip(ip)) => *own == ip,
        (AddressPool::Network(network), BindAddress::Ip(ip)) => network.contains(&ip),
        (AddressPool::Any, BindAddress::Ip(_))
        | (AddressPool::Ip(_) | AddressPool::Network(_), BindAddress::Any) => false,
    })
}

/// The address that the Gateway has, else the first of the pool that is free on these ports.
fn give(
    world: &World<'_>,
    work: &mut GatewayWork<'_>,
    taken: &mut Taken,
    ports: &BTreeSet<(u16, Transport)>,
    field: &str,
) {
    let pools = &world.settings.addresses;
    let own = held(world, work).iter().copied().filter(|address| in_pool(pools, *address));
    let free = |address: &BindAddress| {
        taken.holder(*address, ports).is_none() && !work.addresses.contains(address)
    };
    let pool = || pools.iter().flat_map(|pool| candidates(*pool));
    let unnamed = |address: &BindAddress| free(address) && !taken.is_named(*address, ports);
    let mut own = own.filter(free);
    let free = own.next().or_else(|| pool().find(unnamed)).or_else(|| pool().find(free));
    if let Some(address) = free {
        take(work, taken, ports, address);
        return;
    }
    let holder = pools
        .iter()
        .flat_map(|pool| candidates(*pool))
        .find_map(|address| taken.holder(address, ports).map(str::to_owned));
    match holder {
        Some(holder) => {
            let message = format!(
                "the older {holder} has one of these ports, and no other address is left; give this \
                 Gateway spec.addresses or add --address"
            );
            work.find(Code::AddressNotUsable, field, message);
        }
        None => {
            let message = "there is no address to give; add --address";
            work.find(Code::AddressNotAssigned, field, message);
        }
    }
}

fn candidates(pool: AddressPool) -> Box<dyn Iterator<Item = BindAddress>> {
    match pool {
        AddressPool::Any => Box::new(std::iter::once(BindAddress::Any)),
        AddressPool::Ip(ip) => Box::new(std::iter::once(BindAddress::Ip(ip))),
        AddressPool::Network(network) => {
            let hosts: Box<dyn Iterator<Item = IpAddr>> = match network {
                IpNet::V4(network) => Box::new(network.hosts().map(IpAddr::V4)),
                IpNet::V6(network) => Box::new(network.hosts().map(IpAddr::V6)),
            };
            Box::new(hosts.take(NETWORK_ADDRESSES_MAX).map(BindAddress::Ip))
        }
    }
}
