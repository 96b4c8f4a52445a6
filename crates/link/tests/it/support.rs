//! A server, clients and small configurations.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use ir::{
    Ack, Action, Attachment, Backend, BackendProtocol, BindAddress, BindFailure, Cluster,
    ClusterId, ConnectionSettings, Endpoint, EndpointMap, EndpointSet, EndpointState, Gateway,
    HttpRoute, HttpSettings, IrSet, Listener, ListenerId, Match, ObjectRef, Origin, PathMatch,
    PortAck, PortKey, Protocol, Revision, RouteKind, Rule, Target, Timeouts, Transport,
};
use link::{
    Authority, Client, ClientOptions, Config, Event, GatewayUid, Identity, Lifetimes, ProxyName,
    Role, Server, ServerOptions, Update,
};
use tokio::sync::mpsc;

pub(crate) fn uid(name: &str) -> GatewayUid {
    GatewayUid::new(name).expect("a uid")
}

pub(crate) fn authority() -> Authority {
    Authority::new(SystemTime::now(), Lifetimes::default()).expect("an authority")
}

pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A leading server and its events.
pub(crate) async fn leader(authority: &Authority) -> (Server, mpsc::Receiver<Event>) {
    server_at(loopback(), authority, Role::Leader).await
}

pub(crate) async fn server_at(
    listen: SocketAddr,
    authority: &Authority,
    role: Role,
) -> (Server, mpsc::Receiver<Event>) {
    let authority = authority.clone();
    let options = ServerOptions { listen, authority, role };
    Server::start(options).await.expect("a free port")
}

/// A folder with an identity and one for the last good configuration.
pub(crate) struct Pod {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) name: &'static str,
}

impl Pod {
    pub(crate) fn new(name: &'static str, identity: &Identity) -> Self {
        let pod = Self { folder: tempfile::tempdir().expect("a folder"), name };
        std::fs::create_dir(pod.state()).expect("a folder");
        pod.give(identity);
        pod
    }

    /// As a Secret that is mounted.
    pub(crate) fn give(&self, identity: &Identity) {
        for (name, bytes) in identity.to_secret() {
            std::fs::write(self.folder.path().join(name), bytes).expect("a file");
        }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn stored(&self) -> PathBuf {
        self.state().join("last-good.portcullis")
    }

    pub(crate) fn options(&self, controllers: &[SocketAddr]) -> ClientOptions {
        ClientOptions {
            controllers: controllers.iter().map(ToString::to_string).collect(),
            identity: self.folder.path().to_owned(),
            proxy: ProxyName::new(self.name).expect("a name"),
            state: Some(self.state()),
        }
    }

    pub(crate) fn start(&self, controllers: &[SocketAddr]) -> Client {
        Client::start(self.options(controllers)).expect("a client")
    }
}

pub(crate) fn issue(authority: &Authority, gateway: &str) -> Identity {
    authority.issue(&uid(gateway), SystemTime::now()).expect("an identity")
}

/// Fails after the deadline of the tests.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(testkit::DEADLINE, future).await;
    outcome.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

pub(crate) async fn next_update(client: &mut Client) -> Update {
    within("an update", client.next()).await
}

pub(crate) async fn next_event(events: &mut mpsc::Receiver<Event>) -> Event {
    within("an event", events.recv()).await.expect("a server")
}

/// The first event that `pick` takes.
pub(crate) async fn event<T>(
    events: &mut mpsc::Receiver<Event>,
    what: &str,
    pick: impl Fn(&Event) -> Option<T>,
) -> T {
    within(what, async {
        loop {
            let event = events.recv().await.expect("a server");
            if let Some(picked) = pick(&event) {
                return picked;
            }
        }
    })
    .await
}

/// Waits until the status of the client is as wanted.
pub(crate) async fn status(
    client: &Client,
    what: &str,
    wanted: impl Fn(&link::LinkStatus) -> bool,
) -> link::LinkStatus {
    let mut status = client.status();
    let found = within(what, status.wait_for(|status| wanted(status))).await;
    found.expect("a client").clone()
}

/// What a data plane answers that bound all its ports.
pub(crate) fn ack(update: &Update) -> Ack {
    let key = PortKey { address: BindAddress::Any, port: 80, transport: Transport::Tcp };
    let failed = PortKey { port: 81, ..key };
    Ack {
        revision: update.revision,
        ports: vec![
            PortAck { key, result: Ok(()) },
            PortAck { key: failed, result: Err(BindFailure::Other("a reason".to_owned())) },
        ],
    }
}

pub(crate) fn revision(epoch: u64, sequence: u64) -> Revision {
    Revision { epoch, sequence }
}

pub(crate) fn object(kind: &str, name: &str) -> Arc<ObjectRef> {
    Arc::new(ObjectRef::new("gateway.networking.k8s.io", kind, "default", name))
}

pub(crate) fn cluster(name: &str) -> ClusterId {
    let backend = Arc::new(ObjectRef::new("", "Service", "default", name));
    ClusterId(Arc::new(Cluster::new(backend, 8080, BackendProtocol::Http1)))
}

fn route(gateway: &Arc<ObjectRef>, name: &str, path: &str) -> Arc<HttpRoute> {
    let object = object("HTTPRoute", name);
    let origin = |field: &str| Origin::new(Arc::clone(&object), field);
    let backend = Backend {
        origin: origin("spec.rules[0].backendRefs[0]"),
        weight: 1,
        target: Target::Cluster(cluster(name)),
        filters: Vec::new(),
        persistence: None,
    };
    let matched = Match {
        origin: origin("spec.rules[0].matches[0]"),
        path: PathMatch::Prefix(path.into()),
        method: None,
        headers: Vec::new(),
        query: Vec::new(),
    };
    let rule = Rule {
        origin: origin("spec.rules[0]"),
        index: 0,
        name: None,
        matches: vec![matched],
        filters: Vec::new(),
        action: Action::Forward(vec![backend]),
        timeouts: Timeouts::default(),
        retry: None,
    };
    let listener = ListenerId { owner: Arc::clone(gateway), name: "http".into() };
    Arc::new(HttpRoute {
        object,
        kind: RouteKind::Http,
        created: Some(1_700_000_000),
        attachments: vec![Attachment { listener, hosts: vec![None] }],
        rules: vec![Arc::new(rule)],
    })
}

/// A Gateway with one listener and a route to a cluster of its own for each name and path.
pub(crate) fn gateway(name: &str, routes: &[(&str, &str)]) -> IrSet {
    let object = object("Gateway", name);
    let id = ListenerId { owner: Arc::clone(&object), name: "http".into() };
    let listener = Listener {
        id: id.clone(),
        origin: Origin::new(Arc::clone(&object), "spec.listeners[0]"),
        gateway: Arc::clone(&object),
        addresses: vec![BindAddress::Any],
        port: 80,
        bind_port: 10080,
        protocol: Protocol::Http,
        hostname: None,
        http: HttpSettings::default(),
        connection: ConnectionSettings::default(),
        filters: Vec::new(),
    };
    let gateway = Gateway {
        object: Arc::clone(&object),
        class: "portcullis".into(),
        listeners: vec![id.clone()],
        client_certificate: None,
    };
    let routes = routes.iter().map(|(name, path)| route(&object, name, path));
    IrSet {
        gateways: BTreeMap::from([(Arc::clone(&object), Arc::new(gateway))]),
        listeners: BTreeMap::from([(id, Arc::new(listener))]),
        http_routes: routes.map(|route| (Arc::clone(&route.object), route)).collect(),
        ..IrSet::default()
    }
}

/// One endpoint on this port for each cluster of the set.
pub(crate) fn endpoints(ir: &IrSet, port: u16) -> EndpointMap {
    let keys = ir.endpoint_keys().into_iter();
    keys.map(|key| {
        let endpoint = Endpoint {
            address: SocketAddr::from(([10, 0, 0, 1], port)),
            identity: format!("pod-{port}").into(),
            zone: None,
            for_zones: Vec::new(),
            for_nodes: Vec::new(),
            state: EndpointState::Ready,
        };
        (key, Arc::new(EndpointSet { endpoints: vec![Arc::new(endpoint)] }))
    })
    .collect()
}

pub(crate) fn config(revision: Revision, ir: &IrSet) -> Config {
    let endpoints = Arc::new(endpoints(ir, 8080));
    Config { revision, ir: Arc::new(ir.clone()), endpoints }
}

/// Waits until what is stored has changed from `before`; gives what it is.
pub(crate) fn stored(path: &Path, before: Option<&[u8]>) -> Vec<u8> {
    testkit::eventually("the stored configuration", || {
        std::fs::read(path).ok().filter(|bytes| Some(bytes.as_slice()) != before)
    })
}
