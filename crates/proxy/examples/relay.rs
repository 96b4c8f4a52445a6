//! Relays one port to one backend, to measure the data plane alone:
//! `cargo run --release -p proxy --example relay -- 127.0.0.1:8080 127.0.0.1:9000 [access.log]`

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use ir::{
    Action, Attachment, Backend, BackendProtocol, BindAddress, Cluster, ClusterId,
    ConnectionSettings, Endpoint, EndpointMap, EndpointSet, EndpointState, Gateway, HttpRoute,
    HttpSettings, IrSet, Listener, ListenerId, Match, ObjectRef, Origin, PathMatch, Protocol,
    Revision, RouteKind, Rule, Target, Timeouts, Update,
};
use proxy::{AccessLog, Limits, Proxy, ProxyConfig};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let mut address = || -> Result<SocketAddr, Failure> {
        Ok(arguments.next().ok_or("usage: relay LISTEN BACKEND [LOG]")?.parse()?)
    };
    let (listen, backend) = (address()?, address()?);
    let access_log = match arguments.next() {
        Some(path) => AccessLog::File(PathBuf::from(path)),
        None => AccessLog::Off,
    };
    let config =
        ProxyConfig { workers: 1, limits: Limits::default(), access_log, zone: None, node: None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let handle = Proxy::start(config)?;
        for port in handle.apply(update(listen, backend)).await.ports {
            port.result?;
        }
        std::future::pending::<()>().await;
        Ok(())
    })
}

fn update(listen: SocketAddr, backend: SocketAddr) -> Update {
    let object = |kind, name| Arc::new(ObjectRef::new("example", kind, "default", name));
    let gateway = object("Gateway", "relay");
    let route = object("HTTPRoute", "relay");
    let id = ListenerId { owner: Arc::clone(&gateway), name: "http".into() };
    let at = Origin::new(Arc::clone(&route), "spec.rules[0]");
    let service = object("Service", "backend");
    let cluster = ClusterId(Arc::new(Cluster::new(service, 80, BackendProtocol::Http1)));
    let listener = Listener {
        id: id.clone(),
        origin: Origin::new(Arc::clone(&gateway), "spec.listeners[0]"),
        gateway: Arc::clone(&gateway),
        addresses: vec![BindAddress::Ip(listen.ip())],
        port: listen.port(),
        bind_port: listen.port(),
        protocol: Protocol::Http,
        hostname: None,
        http: HttpSettings::default(),
        connection: ConnectionSettings::default(),
        filters: Vec::new(),
    };
    let rule = Rule {
        origin: at.clone(),
        index: 0,
        name: None,
        matches: vec![Match {
            origin: at.clone(),
            path: PathMatch::Prefix("".into()),
            method: None,
            headers: Vec::new(),
            query: Vec::new(),
        }],
        filters: Vec::new(),
        action: Action::Forward(vec![Backend {
            origin: at,
            weight: 1,
            target: Target::Cluster(cluster.clone()),
            filters: Vec::new(),
            persistence: None,
        }]),
        timeouts: Timeouts::default(),
        retry: None,
    };
    let set = set_of(gateway, id, listener, route, rule);
    let endpoint = Endpoint {
        address: backend,
        identity: "backend".into(),
        zone: None,
        for_zones: Vec::new(),
        for_nodes: Vec::new(),
        state: EndpointState::Ready,
    };
    let endpoints = EndpointSet { endpoints: vec![Arc::new(endpoint)] };
    let map = EndpointMap::from([(cluster.endpoints_key(), Arc::new(endpoints))]);
    let revision = Revision { epoch: 1, sequence: 1 };
    Update { table: Arc::new(ir::assemble(&set, revision, None)), endpoints: Some(Arc::new(map)) }
}

fn set_of(
    gateway: Arc<ObjectRef>,
    id: ListenerId,
    listener: Listener,
    route: Arc<ObjectRef>,
    rule: Rule,
) -> IrSet {
    let mut set = IrSet::default();
    let listeners = vec![id.clone()];
    let class = "relay".into();
    set.gateways.insert(
        Arc::clone(&gateway),
        Arc::new(Gateway { object: gateway, class, listeners, client_certificate: None }),
    );
    let attachments = vec![Attachment { listener: id.clone(), hosts: vec![None] }];
    set.listeners.insert(id, Arc::new(listener));
    set.http_routes.insert(
        Arc::clone(&route),
        Arc::new(HttpRoute {
            object: route,
            kind: RouteKind::Http,
            created: None,
            attachments,
            rules: vec![Arc::new(rule)],
        }),
    );
    set
}
