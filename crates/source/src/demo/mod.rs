//! `--demo`: stand-ins for what the files refer to and do not hold, so that they can be tried.
//!
//! Nothing is made for a name that is probably misspelt, and nothing ever without the flag. The
//! caller starts the backends, makes the certificates, and prints every stand-in.

mod backends;
mod gateways;
mod trust;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use api::{
    ConfigMap, EndpointSlice, Gateway, Object, ObjectMeta, ObjectName, Secret, SecretData,
    ServicePort, TransportProtocol, near,
};
use translate::{ObjectRef, Snapshot};

use crate::backend::{self, PlainEndpoint};

/// The class of Gateways that are made up.
const CLASS: &str = "portcullis";

/// The key under which a ConfigMap holds authorities.
const AUTHORITY_KEY: &str = "ca.crt";

/// Something that is made up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StandIn {
    pub object: ObjectRef,
    /// What was made, such as `a Gateway with a listener on port 80`.
    pub what: String,
    /// Why, such as `HTTPRoute default/shop names it`.
    pub why: String,
}

/// A backend that the caller has to start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DemoBackend {
    pub owner: DemoOwner,
    pub port: u16,
    pub speaks: Speaks,
    /// How many endpoints it has: 1, or more where a session has to choose among them.
    pub endpoints: u8,
}

/// The object whose endpoints a backend stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DemoOwner {
    Service(ObjectName),
    XBackend(ObjectName),
}

impl DemoOwner {
    #[must_use]
    pub fn name(&self) -> &ObjectName {
        match self {
            Self::Service(name) | Self::XBackend(name) => name,
        }
    }
}

/// What a backend understands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Speaks {
    /// HTTP/1.1 and HTTP/2 in plaintext.
    Http,
    /// The same within TLS, with a certificate for these names, sorted.
    Tls(Vec<Arc<str>>),
    /// Each datagram is sent back.
    Udp,
}

/// A certificate that the caller has to make.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DemoCertificate {
    pub secret: ObjectName,
    /// The names it must be good for, sorted; never empty.
    pub hostnames: Vec<Arc<str>>,
}

/// A certificate chain and its key, both as PEM.
#[derive(Clone)]
pub struct DemoKeyPair {
    pub certificate: String,
    pub key: String,
}

/// Everything that has to be made up for a snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DemoPlan {
    pub stand_ins: Vec<StandIn>,
    pub backends: Vec<DemoBackend>,
    /// Of listeners, and of Gateways towards their backends.
    pub certificates: Vec<DemoCertificate>,
    /// ConfigMaps that hold the authority of the demo.
    pub authorities: Vec<ObjectName>,
    /// Stand-ins that need nothing from the caller.
    pub objects: Vec<Object>,
}

/// What the caller made for a plan.
#[derive(Clone, Default)]
pub struct DemoSupplies {
    /// Where each backend is.
    pub addresses: BTreeMap<DemoBackend, Vec<SocketAddr>>,
    /// By the Secret that they are for.
    pub key_pairs: BTreeMap<ObjectName, DemoKeyPair>,
    /// The authority that issued all certificates, as PEM.
    pub authority: String,
}

/// What must be made up so that the routes of `snapshot` can be tried.
///
/// `slices` are the endpoints that are known. `controller_name` is that of our GatewayClass.
pub fn plan(snapshot: &Snapshot, slices: &[Arc<EndpointSlice>], controller_name: &str) -> DemoPlan {
    let mut planner = Planner { snapshot, controller_name, plan: DemoPlan::default() };
    planner.gateways();
    planner.classes();
    planner.backends(slices);
    planner.certificates();
    planner.authorities();
    planner.parameters();
    planner.plan.stand_ins.sort();
    planner.plan
}

impl DemoPlan {
    /// Adds the stand-ins to a snapshot, and the endpoints of the backends to `slices`.
    ///
    /// A backend or certificate that the caller could not make is left out.
    pub fn apply(
        &self,
        snapshot: &mut Snapshot,
        slices: &mut Vec<Arc<EndpointSlice>>,
        supplies: &DemoSupplies,
    ) {
        for object in &self.objects {
            snapshot.insert(object, &[]);
        }
        for certificate in &self.certificates {
            if let Some(pair) = supplies.key_pairs.get(&certificate.secret) {
                snapshot.insert(&secret(&certificate.secret, pair), &[]);
            }
        }
        for name in &self.authorities {
            let data = [(AUTHORITY_KEY.into(), supplies.authority.as_str().into())];
            let data = data.into_iter().collect();
            let config_map = ConfigMap { metadata: metadata(name), data, ..ConfigMap::default() };
            snapshot.insert(&config_map.into(), &[]);
        }
        let mut services: BTreeMap<&ObjectName, Vec<(&DemoBackend, SocketAddr)>> = BTreeMap::new();
        for one in &self.backends {
            let addresses = supplies.addresses.get(one).into_iter().flatten();
            match &one.owner {
                DemoOwner::Service(name) => {
                    let known = services.entry(name).or_default();
                    known.extend(addresses.map(|address| (one, *address)));
                }
                DemoOwner::XBackend(name) => {
                    let plain =
                        |address: &SocketAddr| PlainEndpoint { port: None, address: *address };
                    let endpoints: Vec<PlainEndpoint> = addresses.map(plain).collect();
                    if let Some(backend) = snapshot.x_backends.get(name) {
                        let found = backend::x_backend_slices(backend, &endpoints);
                        slices.extend(found.unwrap_or_default());
                    }
                }
            }
        }
        for (name, backends) in services {
            add_service(snapshot, slices, name, &backends);
        }
    }
}

fn add_service(
    snapshot: &mut Snapshot,
    slices: &mut Vec<Arc<EndpointSlice>>,
    name: &ObjectName,
    backends: &[(&DemoBackend, SocketAddr)],
) {
    if !snapshot.services.contains_key(name) {
        let mut ports: Vec<u16> = backends.iter().map(|(one, _)| one.port).collect();
        ports.dedup();
        let mut service = backend::stand_in_service(name, &ports);
        for port in &mut service.spec.ports {
            speak(port, backends);
        }
        snapshot.insert(&Object::Service(Arc::new(service)), &[]);
    }
    let Some(service) = snapshot.services.get(name) else { return };
    let endpoints: Vec<PlainEndpoint> = backends
        .iter()
        .map(|(one, address)| PlainEndpoint { port: Some(one.port.to_string()), address: *address })
        .collect();
    // Fails only for a port that the Service does not have, and those were not planned.
    slices.extend(backend::slices(service, &endpoints).unwrap_or_default());
}

/// Lets a made-up port say that its backend speaks UDP.
fn speak(port: &mut ServicePort, backends: &[(&DemoBackend, SocketAddr)]) {
    let udp =
        |(one, _): &(&DemoBackend, SocketAddr)| one.port == port.port && one.speaks == Speaks::Udp;
    if backends.iter().any(udp) {
        port.protocol = Some(TransportProtocol::Udp);
    }
}

struct Planner<'s> {
    snapshot: &'s Snapshot,
    controller_name: &'s str,
    plan: DemoPlan,
}

impl Planner<'_> {
    fn stand_in(&mut self, object: ObjectRef, what: impl Into<String>, why: impl Into<String>) {
        self.plan.stand_ins.push(StandIn { object, what: what.into(), why: why.into() });
    }

    /// The Gateways of the files, and those that are made up.
    fn all_gateways(&self) -> Vec<Arc<Gateway>> {
        let made = self.plan.objects.iter().filter_map(as_gateway);
        self.snapshot.gateways.values().cloned().chain(made).collect()
    }
}

fn as_gateway(object: &Object) -> Option<Arc<Gateway>> {
    if let Object::Gateway(gateway) = object { Some(Arc::clone(gateway)) } else { None }
}

fn metadata(name: &ObjectName) -> ObjectMeta {
    let namespace = Some(Arc::clone(&name.namespace)).filter(|namespace| !namespace.is_empty());
    ObjectMeta { name: Arc::clone(&name.name), namespace, ..ObjectMeta::default() }
}

fn secret(name: &ObjectName, pair: &DemoKeyPair) -> Object {
    let data = [("tls.crt", &pair.certificate), ("tls.key", &pair.key)];
    let data = data.map(|(key, pem)| (key.into(), SecretData::new(pem.as_bytes())));
    Secret {
        metadata: metadata(name),
        r#type: Some("kubernetes.io/tls".into()),
        data: data.into_iter().collect(),
        ..Secret::default()
    }
    .into()
}

/// Whether two names are equal or differ by a slip: one edit, two in long names.
fn is_slip(a: &str, b: &str) -> bool {
    let limit = if a.len().min(b.len()) < 6 { 1 } else { 2 };
    a == b || (a.len().min(b.len()) > 2 && near::distance(a, b).is_some_and(|edits| edits <= limit))
}
