//! The second pure step: what only running tells, laid over the statuses of translation.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ir::{BindAddress, BindFailure, ListenerId, ObjectRef, PortKey, Transport};

use crate::Translation;
use crate::code::Code;
use crate::condition::ConditionType;
use crate::diagnostic::{Diagnostic, Target};
use crate::gateways::listener::{Family, ListenerWork};
use crate::gateways::{GatewayWork, SetWork};
use crate::kinds::{at, whole};
use crate::plan::{AddressRequest, Reach};
use crate::status::{
    AddressValue, GatewayAddress, ListenerStatus, Status, StatusBody, Statuses, denies,
    gateway_conditions, listener_conditions, listener_set_conditions,
};

/// What the data plane reported about one port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PortFact {
    /// Not bound yet.
    #[default]
    Pending,
    Bound,
    Failed(BindFailure),
}

/// What only running tells. The default knows nothing: everything is pending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub ports: BTreeMap<PortKey, PortFact>,
    /// The data plane serves the revision of this translation.
    pub acknowledged: bool,
    /// Shown as the addresses of Gateways that listen on every address of the machine.
    pub machine_addresses: Vec<IpAddr>,
    /// For Gateways that have pods of their own, instead of all the above.
    pub gateways: BTreeMap<Arc<ObjectRef>, GatewayFacts>,
}

/// What running tells about one Gateway that has pods of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayFacts {
    pub ports: BTreeMap<PortKey, PortFact>,
    /// Every ready pod serves the revision of this translation, and there is one.
    pub acknowledged: bool,
    /// Why what the Gateway needs cannot be made; a sentence.
    pub obstacle: Option<String>,
    /// One for each of the plan's requests, in their order.
    pub addresses: Vec<AddressFact>,
}

/// What became of a requested address. Reasons are sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressFact {
    Given(Vec<GivenAddress>),
    /// None was given, or none yet.
    NotAssigned(String),
    /// The one that was asked for by value is not to be had.
    NotUsable(String),
}

/// An address as the cluster reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GivenAddress {
    Ip(IpAddr),
    Hostname(Arc<str>),
}

impl Facts {
    /// The facts in a data plane's acknowledgement.
    pub fn from_ack(ack: &ir::Ack) -> Self {
        let fact = |port: &ir::PortAck| {
            let fact = match &port.result {
                Ok(()) => PortFact::Bound,
                Err(reason) => PortFact::Failed(reason.clone()),
            };
            (port.key, fact)
        };
        Self { ports: ack.ports.iter().map(fact).collect(), acknowledged: true, ..Self::default() }
    }
}

/// A Gateway's status before running tells the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GatewayFrame {
    object: Arc<ObjectRef>,
    generation: i64,
    addresses: Vec<BindAddress>,
    /// Empty unless it has pods of its own.
    requests: Vec<AddressRequest>,
    listeners: Vec<ListenerFrame>,
    sets: Vec<SetFrame>,
    attached_listener_sets: u32,
    findings: Vec<Diagnostic>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct SetFrame {
    object: Arc<ObjectRef>,
    generation: i64,
    listeners: Vec<ListenerFrame>,
    findings: Vec<Diagnostic>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct ListenerFrame {
    name: Arc<str>,
    origin: ir::Origin,
    supported_kinds: Vec<&'static str>,
    attached_routes: u32,
    accepted: bool,
    /// Empty when it cannot serve.
    ports: Vec<PortKey>,
    findings: Vec<Diagnostic>,
}

impl GatewayFrame {
    pub(crate) fn new(work: &GatewayWork<'_>, attached: &BTreeMap<ListenerId, u32>) -> Self {
        let frames = |listeners: &[ListenerWork<'_>]| -> Vec<ListenerFrame> {
            listeners.iter().map(|l| ListenerFrame::new(l, &work.addresses, attached)).collect()
        };
        let set = |set: &SetWork<'_>| SetFrame {
            object: Arc::clone(&set.object),
            generation: set.set.metadata.generation(),
            listeners: frames(&set.listeners),
            findings: set.findings.clone(),
        };
        let sets = work.sets.iter().filter(|set| set.is_accepted()).count();
        Self {
            object: Arc::clone(&work.object),
            generation: work.gateway.metadata.generation(),
            addresses: work.addresses.clone(),
            requests: work.requests.clone(),
            listeners: frames(&work.listeners),
            sets: work.sets.iter().map(set).collect(),
            attached_listener_sets: u32::try_from(sets).unwrap_or(u32::MAX),
            findings: work.findings.clone(),
        }
    }
}

impl ListenerFrame {
    fn new(
        work: &ListenerWork<'_>,
        addresses: &[BindAddress],
        attached: &BTreeMap<ListenerId, u32>,
    ) -> Self {
        let transport = match work.shape.map(crate::gateways::listener::Shape::family) {
            Some(Family::Udp) => Transport::Udp,
            Some(Family::Http | Family::Tls | Family::Tcp) | None => Transport::Tcp,
        };
        let port =
            |address: &BindAddress| PortKey { address: *address, port: work.bind_port, transport };
        let ports =
            if work.can_serve() { addresses.iter().map(port).collect() } else { Vec::new() };
        Self {
            name: Arc::clone(&work.id.name),
            origin: work.origin.clone(),
            supported_kinds: work.supported.iter().map(|route| route.as_str()).collect(),
            attached_routes: attached.get(&work.id).copied().unwrap_or_default(),
            accepted: work.is_accepted(),
            ports,
            findings: work.findings.clone(),
        }
    }

    fn find(&self, code: Code, message: String) -> Diagnostic {
        Diagnostic::new(
            code,
            self.origin.clone(),
            Target::Listener(Arc::clone(&self.name)),
            message,
        )
    }
}

/// How the listeners of one object fare.
#[derive(Default)]
struct Tally {
    failed: Vec<String>,
    /// Why failed ones did whose addresses are of no use on this machine.
    not_local: Vec<String>,
    /// Ports that failed on some of their addresses.
    partly: Vec<String>,
    pending: usize,
}

/// What is known of the process or pods that serve one Gateway.
#[derive(Clone, Copy)]
struct Running<'a> {
    ports: &'a BTreeMap<PortKey, PortFact>,
    acknowledged: bool,
}

fn run_listeners(
    listeners: &[ListenerFrame],
    facts: Running<'_>,
    found: &mut Vec<Diagnostic>,
) -> Tally {
    let mut tally = Tally::default();
    for listener in listeners.iter().filter(|listener| !listener.ports.is_empty()) {
        let state = |port: &PortKey| facts.ports.get(port).unwrap_or(&PortFact::Pending);
        let failures: Vec<String> = listener
            .ports
            .iter()
            .filter_map(|port| match state(port) {
                PortFact::Failed(reason) => Some(format!("{port} cannot be bound: {reason}")),
                PortFact::Pending | PortFact::Bound => None,
            })
            .collect();
        let waiting = listener.ports.iter().any(|port| *state(port) == PortFact::Pending);
        if failures.len() == listener.ports.len() {
            tally.failed.push(listener.name.to_string());
            let not_local = |port| *state(port) == PortFact::Failed(BindFailure::NotLocal);
            if listener.ports.iter().all(not_local) {
                tally.not_local.extend(failures.iter().cloned());
            }
            found.push(listener.find(Code::PortUnavailable, failures.join("; ")));
            continue;
        }
        tally.partly.extend(failures);
        if waiting || !facts.acknowledged {
            tally.pending = tally.pending.saturating_add(1);
            let message = "the data plane has not confirmed the listener yet".to_owned();
            found.push(listener.find(Code::ProgrammingPending, message));
        }
    }
    tally
}

fn judge_gateway(frame: &GatewayFrame, tally: &Tally, own: &Tally) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut find = |code, message: String| {
        found.push(Diagnostic::new(code, whole(&frame.object), Target::Gateway, message));
    };
    let good = frame.listeners.iter().filter(|listener| listener.accepted).count();
    if own.failed.len() == good && !own.not_local.is_empty() {
        find(Code::AddressNotUsable, own.not_local.join("; "));
    } else if !own.failed.is_empty() && own.failed.len() == good {
        find(Code::GatewayPortsUnavailable, "no port of the Gateway can be bound".to_owned());
    } else if !own.failed.is_empty() {
        let names = own.failed.join(", ");
        find(Code::SomeListenersInvalid, format!("the port of listener {names} cannot be bound"));
    }
    if !tally.partly.is_empty() {
        find(Code::AddressNotUsable, tally.partly.join("; "));
    }
    if tally.pending > 0 {
        find(Code::GatewayPending, "the data plane has not confirmed the Gateway yet".to_owned());
    }
    found
}

/// What keeps a Gateway with pods of its own from being reached.
fn judge_pods(frame: &GatewayFrame, pods: &GatewayFacts) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if frame.requests.is_empty() || is_refused(frame) {
        return found;
    }
    let mut find = |code, field: &str, message: String| {
        found.push(Diagnostic::new(code, at(&frame.object, field), Target::Gateway, message));
    };
    if let Some(obstacle) = &pods.obstacle {
        find(Code::ProvisioningFailed, "", obstacle.clone());
    }
    let facts: Vec<AddressFact> =
        frame.requests.iter().enumerate().map(|(at, request)| fact(request, pods, at)).collect();
    let given = facts.iter().filter(|fact| matches!(fact, AddressFact::Given(_))).count();
    let particular = frame.requests.iter().any(|request| request.reach != Reach::Default);
    for (request, fact) in frame.requests.iter().zip(&facts) {
        let field = match request.index {
            Some(index) => format!("spec.addresses[{index}]"),
            None => String::new(),
        };
        match fact {
            AddressFact::Given(_) => {}
            // What could be assigned is served; AddressesAssigned tells the rest.
            AddressFact::NotAssigned(_) if particular && given > 0 => {}
            AddressFact::NotAssigned(reason) => {
                find(Code::AddressNotAssigned, &field, reason.clone());
            }
            AddressFact::NotUsable(reason) => find(Code::AddressNotUsable, &field, reason.clone()),
        }
    }
    if particular {
        let reasons = facts.iter().filter_map(|fact| match fact {
            AddressFact::Given(_) => None,
            AddressFact::NotAssigned(reason) | AddressFact::NotUsable(reason) => {
                Some(reason.as_str())
            }
        });
        let reasons = reasons.collect::<Vec<_>>().join("; ");
        let (code, message) = match given {
            0 => (Code::AddressesNotAssigned, reasons),
            some if some < facts.len() => (Code::AddressesPartlyAssigned, reasons),
            _ => (Code::AddressesAssigned, "every address is assigned".to_owned()),
        };
        find(code, "spec.addresses", message);
    }
    found
}

/// What became of the request at position `at` of the frame's.
fn fact(request: &AddressRequest, pods: &GatewayFacts, at: usize) -> AddressFact {
    if let Reach::Unknown(value) = &request.reach {
        return AddressFact::NotAssigned(format!(
            "routability \"{value}\" cannot be satisfied; use Cluster or leave it out"
        ));
    }
    let waiting = || AddressFact::NotAssigned("its Service has no address yet".to_owned());
    match pods.addresses.get(at) {
        None => waiting(),
        Some(AddressFact::Given(given)) if given.is_empty() => waiting(),
        Some(fact) => fact.clone(),
    }
}

fn is_refused(frame: &GatewayFrame) -> bool {
    frame.findings.iter().any(|finding| denies(finding, ConditionType::Accepted))
}

fn judge_set(frame: &SetFrame, tally: &Tally) -> Vec<Diagnostic> {
    let origin = at(&frame.object, "spec.listeners");
    let make =
        |code, message: String| Diagnostic::new(code, origin.clone(), Target::ListenerSet, message);
    let good = frame.listeners.iter().filter(|listener| listener.accepted).count();
    let mut found = Vec::new();
    if !tally.failed.is_empty() && tally.failed.len() == good {
        found.push(make(
            Code::ListenerSetNoValidListener,
            "no port of the set can be bound".to_owned(),
        ));
    } else if !tally.failed.is_empty() {
        let names = tally.failed.join(", ");
        let message = format!("the port of listener {names} cannot be bound");
        found.push(make(Code::ListenerSetSomeInvalid, message));
    }
    let unserved = tally.pending > 0
        || (frame.findings.is_empty() && frame.listeners.iter().all(|l| l.ports.is_empty()));
    if unserved {
        let message = "the data plane has not confirmed the listeners yet".to_owned();
        found.push(make(Code::ListenerSetPending, message));
    }
    found
}

fn listener_statuses(listeners: &[ListenerFrame], found: &[Diagnostic]) -> Vec<ListenerStatus> {
    listeners
        .iter()
        .map(|listener| {
            let concerning: Vec<&Diagnostic> = listener.findings.iter().chain(found).collect();
            ListenerStatus {
                name: Arc::clone(&listener.name),
                supported_kinds: listener.supported_kinds.clone(),
                attached_routes: listener.attached_routes,
                conditions: listener_conditions(&listener.name, &concerning),
            }
        })
        .collect()
}

/// Statuses and findings of one Gateway and its sets.
pub(crate) fn run(
    frame: &GatewayFrame,
    facts: &Facts,
    statuses: &mut Statuses,
    findings: &mut Vec<Diagnostic>,
) {
    let unknown = GatewayFacts::default();
    let pods = facts.gateways.get(&frame.object).unwrap_or(&unknown);
    let running = if frame.requests.is_empty() {
        Running { ports: &facts.ports, acknowledged: facts.acknowledged }
    } else {
        Running { ports: &pods.ports, acknowledged: pods.acknowledged }
    };
    let mut own_found = Vec::new();
    let own = run_listeners(&frame.listeners, running, &mut own_found);
    let mut tally = Tally { pending: own.pending, partly: own.partly.clone(), ..Tally::default() };
    for set in &frame.sets {
        let mut found = Vec::new();
        let set_tally = run_listeners(&set.listeners, running, &mut found);
        tally.pending = tally.pending.saturating_add(set_tally.pending);
        tally.partly.extend(set_tally.partly.iter().cloned());
        found.extend(judge_set(set, &set_tally));
        let concerning: Vec<&Diagnostic> = set.findings.iter().chain(&found).collect();
        let body = StatusBody::ListenerSet {
            conditions: listener_set_conditions(&concerning),
            listeners: listener_statuses(&set.listeners, &found),
        };
        let status = Status { observed_generation: set.generation, body };
        statuses.insert(Arc::clone(&set.object), Arc::new(status));
        findings.extend(found);
    }
    own_found.extend(judge_gateway(frame, &tally, &own));
    own_found.extend(judge_pods(frame, pods));
    let concerning: Vec<&Diagnostic> = frame.findings.iter().chain(&own_found).collect();
    let body = StatusBody::Gateway {
        conditions: gateway_conditions(&concerning),
        addresses: addresses(frame, facts, pods),
        listeners: listener_statuses(&frame.listeners, &own_found),
        attached_listener_sets: frame.attached_listener_sets,
    };
    let status = Status { observed_generation: frame.generation, body };
    statuses.insert(Arc::clone(&frame.object), Arc::new(status));
    findings.extend(own_found);
}

fn addresses(frame: &GatewayFrame, facts: &Facts, pods: &GatewayFacts) -> Vec<GatewayAddress> {
    if is_refused(frame) {
        return Vec::new();
    }
    if !frame.requests.is_empty() {
        return pod_addresses(frame, pods);
    }
    let mut shown: Vec<IpAddr> = Vec::new();
    for address in &frame.addresses {
        match address {
            BindAddress::Ip(_) if is_lost(frame, facts, *address) => {}
            BindAddress::Ip(ip) => shown.push(*ip),
            BindAddress::Any => shown.extend(&facts.machine_addresses),
        }
    }
    shown.dedup();
    shown.into_iter().map(GatewayAddress::from).collect()
}

/// Those of the Services, in the order of the requests. Once a Gateway says from where it must
/// be reachable, each address says so, and each request has exactly one (GEP-5093).
fn pod_addresses(frame: &GatewayFrame, pods: &GatewayFacts) -> Vec<GatewayAddress> {
    let particular = frame.requests.iter().any(|request| request.reach != Reach::Default);
    let mut shown: Vec<GatewayAddress> = Vec::new();
    for (at, request) in frame.requests.iter().enumerate() {
        let AddressFact::Given(given) = fact(request, pods, at) else { continue };
        let most = if particular { 1 } else { given.len() };
        for address in given.into_iter().take(most) {
            let value = match address {
                GivenAddress::Ip(ip) => AddressValue::Ip(ip),
                GivenAddress::Hostname(name) => AddressValue::Hostname(name),
            };
            let routability =
                particular.then(|| request.reach.routability().unwrap_or_default().into());
            let address = GatewayAddress { value, routability };
            if !shown.contains(&address) {
                shown.push(address);
            }
        }
    }
    shown
}

/// Whether no port could be bound on an address.
fn is_lost(frame: &GatewayFrame, facts: &Facts, address: BindAddress) -> bool {
    let listeners = frame.listeners.iter().chain(frame.sets.iter().flat_map(|set| &set.listeners));
    let mut ports =
        listeners.flat_map(|l| &l.ports).filter(|port| port.address == address).peekable();
    let failed = |port: &PortKey| matches!(facts.ports.get(port), Some(PortFact::Failed(_)));
    ports.peek().is_some() && ports.all(failed)
}

/// All statuses with what running tells: `Programmed=True` exactly for what is bound in an
/// acknowledged revision, `PortUnavailable` where the system refused, addresses as they are.
pub fn finish(translation: &Translation, facts: &Facts) -> Statuses {
    let mut statuses = translation.statuses.clone();
    for frame in &translation.frames {
        run(frame, facts, &mut statuses, &mut Vec::new());
    }
    statuses
}

/// What running found, for the same listing as the findings of translation.
pub fn runtime_diagnostics(translation: &Translation, facts: &Facts) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for frame in &translation.frames {
        run(frame, facts, &mut Statuses::new(), &mut findings);
    }
    findings
}
