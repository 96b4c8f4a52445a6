//! Tables written by hand, and a data plane that serves them.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a fixture reports a broken test by a panic")]

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use ir::{
    Action, Attachment, Backend, BackendProtocol, Balance, BindAddress, Cluster, ClusterId,
    ConnectionSettings, Endpoint, EndpointMap, EndpointSet, EndpointState, Filter, Gateway,
    HostPattern, HttpRoute, HttpSettings, IrSet, Listener, ListenerId, Match, ObjectRef, Origin,
    PathMatch, Protocol, Revision, RouteKind, Rule, Target, Timeouts, Update,
};
use proxy::{AccessLog, Limits, Proxy, ProxyConfig, ProxyHandle};
use testkit::ports::Port;
use tokio::runtime::Runtime;

pub mod corpus;
pub mod grpc;
mod l4;
mod tls;

#[allow(unused_imports, reason = "not every test uses every helper")]
pub use l4::{L4Kind, tcp_cluster};
#[allow(unused_imports, reason = "not every test uses every helper")]
pub use tls::{https, secured, terminate, tls_policy};

pub const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// One Gateway with its routes and endpoints, in the making.
pub struct Config {
    pub set: IrSet,
    pub endpoints: EndpointMap,
    pub gateway: Arc<ObjectRef>,
    sequence: u64,
}

impl Config {
    /// A Gateway `infra/edge` without listeners.
    pub fn new() -> Self {
        let gateway =
            Arc::new(ObjectRef::new("gateway.networking.k8s.io", "Gateway", "infra", "edge"));
        let mut set = IrSet::default();
        set.gateways.insert(
            Arc::clone(&gateway),
            Arc::new(Gateway {
                object: Arc::clone(&gateway),
                class: "portcullis".into(),
                listeners: Vec::new(),
                client_certificate: None,
            }),
        );
        Self { set, endpoints: EndpointMap::new(), gateway, sequence: 0 }
    }

    /// A Gateway with the HTTP listener `web` on a port.
    pub fn http(port: u16) -> Self {
        let mut config = Self::new();
        config.listener("web", port, None, Protocol::Http);
        config
    }

    pub fn listener_id(&self, name: &str) -> ListenerId {
        ListenerId { owner: Arc::clone(&self.gateway), name: name.into() }
    }

    pub fn listener(&mut self, name: &str, port: u16, host: Option<&str>, protocol: Protocol) {
        let id = self.listener_id(name);
        let listener = Listener {
            id: id.clone(),
            origin: Origin::new(Arc::clone(&self.gateway), "spec.listeners[0]"),
            gateway: Arc::clone(&self.gateway),
            addresses: vec![BindAddress::Ip(LOCALHOST)],
            port,
            bind_port: port,
            protocol,
            hostname: host.map(HostPattern::new),
            http: HttpSettings::default(),
            connection: ConnectionSettings::default(),
            filters: Vec::new(),
        };
        self.set.listeners.insert(id.clone(), Arc::new(listener));
        self.edit_gateway(|gateway| gateway.listeners.push(id));
    }

    fn edit_gateway(&mut self, edit: impl FnOnce(&mut Gateway)) {
        let entry = self.set.gateways.get_mut(&self.gateway).unwrap();
        let mut gateway = (**entry).clone();
        edit(&mut gateway);
        *entry = Arc::new(gateway);
    }

    pub fn edit_listener(&mut self, name: &str, edit: impl FnOnce(&mut Listener)) {
        let id = self.listener_id(name);
        let entry = self.set.listeners.get_mut(&id).unwrap();
        let mut listener = (**entry).clone();
        edit(&mut listener);
        *entry = Arc::new(listener);
    }

    pub fn remove_listener(&mut self, name: &str) {
        let id = self.listener_id(name);
        self.set.listeners.remove(&id);
        self.edit_gateway(|gateway| gateway.listeners.retain(|other| *other != id));
    }

    /// A route on the listener `web` for every host.
    pub fn route(&mut self, name: &str, rules: Vec<Rule>) {
        self.route_on(&["web"], name, &[], rules);
    }

    pub fn route_on(&mut self, listeners: &[&str], name: &str, hosts: &[&str], rules: Vec<Rule>) {
        let object =
            Arc::new(ObjectRef::new("gateway.networking.k8s.io", "HTTPRoute", "shop", name));
        let hosts: Vec<_> = if hosts.is_empty() {
            vec![None]
        } else {
            hosts.iter().map(|host| Some(HostPattern::new(host))).collect()
        };
        let attachments = listeners
            .iter()
            .map(|listener| Attachment {
                listener: self.listener_id(listener),
                hosts: hosts.clone(),
            })
            .collect();
        let rules = rules
            .into_iter()
            .enumerate()
            .map(|(index, mut rule)| {
                rule.index = u32::try_from(index).unwrap();
                rule.origin =
                    Origin::new(Arc::clone(&object), format!("spec.rules[{index}]").as_str());
                Arc::new(rule)
            })
            .collect();
        let route = HttpRoute {
            object: Arc::clone(&object),
            kind: RouteKind::Http,
            created: None,
            attachments,
            rules,
        };
        self.set.http_routes.insert(object, Arc::new(route));
    }

    /// Names the endpoints of the Service `shop/NAME`, all ready.
    pub fn service(&mut self, name: &str, addresses: &[SocketAddr]) {
        let all: Vec<_> =
            addresses.iter().map(|address| (*address, EndpointState::Ready)).collect();
        self.service_states(name, &all);
    }

    pub fn service_states(&mut self, name: &str, addresses: &[(SocketAddr, EndpointState)]) {
        let mut endpoints: Vec<_> = addresses
            .iter()
            .map(|(address, state)| {
                Arc::new(Endpoint {
                    address: *address,
                    identity: format!("pod-{address}").into(),
                    zone: None,
                    for_zones: Vec::new(),
                    for_nodes: Vec::new(),
                    state: *state,
                })
            })
            .collect();
        endpoints.sort_by_key(|endpoint| endpoint.address);
        let key = cluster(name).endpoints_key();
        self.endpoints.insert(key, Arc::new(EndpointSet { endpoints }));
    }

    pub fn update(&mut self) -> Update {
        self.sequence += 1;
        let revision = Revision { epoch: 1, sequence: self.sequence };
        Update {
            table: Arc::new(ir::assemble(&self.set, revision, None)),
            endpoints: Some(Arc::new(self.endpoints.clone())),
        }
    }
}

/// The Service `shop/NAME`, port 80, round robin.
pub fn cluster(name: &str) -> ClusterId {
    cluster_balanced(name, Balance::RoundRobin)
}

pub fn cluster_balanced(name: &str, balance: Balance) -> ClusterId {
    let service = Arc::new(ObjectRef::new("", "Service", "shop", name));
    ClusterId(Arc::new(Cluster { balance, ..Cluster::new(service, 80, BackendProtocol::Http1) }))
}

/// The same Service, whose endpoints speak HTTP/2.
pub fn cluster_http2(name: &str) -> ClusterId {
    let service = Arc::new(ObjectRef::new("", "Service", "shop", name));
    ClusterId(Arc::new(Cluster::new(service, 80, BackendProtocol::Http2)))
}

/// Everything under the prefix goes to the Service in HTTP/2.
pub fn to_http2(prefix: &str, service: &str) -> Rule {
    let target = Target::Cluster(cluster_http2(service));
    rule(prefix, Action::Forward(vec![Backend { target, ..backend(service, 1) }]))
}

fn nowhere() -> Origin {
    Origin::new(Arc::new(ObjectRef::new("", "", "", "")), "")
}

pub fn backend(name: &str, weight: u32) -> Backend {
    Backend {
        origin: nowhere(),
        weight,
        target: Target::Cluster(cluster(name)),
        filters: Vec::new(),
        persistence: None,
    }
}

pub fn path_match(path: PathMatch) -> Match {
    Match { origin: nowhere(), path, method: None, headers: Vec::new(), query: Vec::new() }
}

/// A rule for a path prefix (`/` is everything).
pub fn rule(prefix: &str, action: Action) -> Rule {
    Rule {
        origin: nowhere(),
        index: 0,
        name: None,
        matches: vec![path_match(PathMatch::Prefix(prefix.trim_end_matches('/').into()))],
        filters: Vec::new(),
        action,
        timeouts: Timeouts::default(),
        retry: None,
    }
}

/// Everything under the prefix goes to the Service.
pub fn to(prefix: &str, service: &str) -> Rule {
    rule(prefix, Action::Forward(vec![backend(service, 1)]))
}

pub fn with_filters(mut rule: Rule, filters: Vec<Filter>) -> Rule {
    rule.filters = filters;
    rule
}

/// A rule for a path prefix that sends everything to one cluster.
pub fn to_cluster(prefix: &str, cluster: ClusterId) -> Rule {
    let target = Target::Cluster(cluster);
    rule(prefix, Action::Forward(vec![Backend { target, ..backend("", 1) }]))
}

/// A running data plane with its own port.
pub struct Plane {
    pub handle: Arc<ProxyHandle>,
    pub runtime: Runtime,
    pub port: Port,
}

impl Plane {
    pub fn start() -> Self {
        Self::with(Limits::default(), AccessLog::Off, 1)
    }

    pub fn with(limits: Limits, access_log: AccessLog, workers: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let handle =
            Proxy::start(ProxyConfig { workers, limits, access_log, zone: None, node: None })
                .unwrap();
        Self { handle: Arc::new(handle), runtime: runtime.unwrap(), port: Port::free() }
    }

    pub fn number(&self) -> u16 {
        self.port.number()
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(LOCALHOST, self.number())
    }

    pub fn apply(&self, config: &mut Config) -> ir::Ack {
        let update = config.update();
        let ack = self.runtime.block_on(self.handle.apply(update));
        for port in &ack.ports {
            assert_eq!(port.result, Ok(()), "{}", port.key);
        }
        ack
    }

    pub fn client(&self) -> testkit::raw::Client {
        testkit::raw::Client::connect(self.address())
    }

    pub fn get(&self, host: &str, path: &str) -> testkit::raw::Response {
        testkit::raw::get(self.address(), host, path)
    }

    pub fn metrics(&self) -> proxy::MetricsSnapshot {
        self.runtime.block_on(self.handle.metrics_snapshot())
    }

    pub fn reason(&self, reason: proxy::Reason) -> u64 {
        let metrics = self.metrics();
        metrics.reasons.iter().find(|(known, _)| *known == reason).unwrap().1
    }

    pub fn total(&self, name: &str) -> u64 {
        self.metrics().totals.iter().find(|total| total.name.contains(name)).unwrap().value
    }

    /// Runs a test's async part, for as long as any wait may take.
    #[track_caller]
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        let bounded = async { tokio::time::timeout(testkit::DEADLINE, work).await };
        self.runtime.block_on(bounded).unwrap()
    }

    pub fn drain(&self, min: Duration, deadline: Duration) -> usize {
        self.runtime.block_on(self.handle.drain(min, deadline))
    }
}

/// A data plane that sends everything to one recorder, through Service `shop/app`.
/// Serves on a loopback port of the kernel's choice, in a thread of its own, until the test ends.
pub fn listening<F: Future<Output = ()>>(
    serve: impl FnOnce(tokio::net::TcpListener) -> F + Send + 'static,
) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            serve(tokio::net::TcpListener::from_std(listener).unwrap()).await;
        });
    });
    address
}

pub fn plain() -> (Plane, testkit::recorder::Recorder) {
    let plane = Plane::start();
    let recorder = testkit::recorder::Recorder::start();
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    config.route("all", vec![to("/", "app")]);
    plane.apply(&mut config);
    (plane, recorder)
}
