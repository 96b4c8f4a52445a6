//! A controller within the test, and proxies as processes.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::Command,
    sync::{Arc, mpsc},
    time::SystemTime,
};

use ir::{Ack, Revision};
use link::{Authority, Config, Event, GatewayUid, Lifetimes, Role, Server, ServerOptions};
use source::{Contents, Store};
use testkit::{DEADLINE, eventually, ports::Port, process::Process, raw::get};
use translate::{AddressPool, Settings};

use crate::support::{OFFSET, binary, own_address};

/// A server of the link on a runtime of its own, and the translation of YAML for it.
pub(crate) struct Controller {
    authority: Authority,
    running: Option<Running>,
    address: SocketAddr,
}

struct Running {
    server: Arc<Server>,
    events: mpsc::Receiver<Event>,
    stop: tokio::sync::oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Controller {
    pub(crate) fn start() -> Self {
        let authority = Authority::new(SystemTime::now(), Lifetimes::default());
        let authority = authority.expect("an authority");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let running = Running::start(any, &authority);
        let address = running.server.local_addr();
        Self { authority, running: Some(running), address }
    }

    /// At the address it had.
    pub(crate) fn restart(&mut self) {
        self.running = Some(Running::start(self.address, &self.authority));
    }

    pub(crate) fn stop(&mut self) {
        let Running { server, stop, thread, .. } = self.running.take().expect("a running server");
        drop(server);
        stop.send(()).expect("a running server");
        thread.join().expect("the server");
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("a running server")
    }

    /// A proxy of the Gateway, started, that ends at once when it is asked to.
    pub(crate) fn pod(&self, gateway: &str) -> Pod {
        self.pod_that_drains(gateway, "0s")
    }

    /// A proxy of the Gateway, started, with its `--drain-min`.
    pub(crate) fn pod_that_drains(&self, gateway: &str, drain_min: &'static str) -> Pod {
        let gateway = GatewayUid::new(gateway).expect("a uid");
        let identity = self.authority.issue(&gateway, SystemTime::now()).expect("an identity");
        let folder = tempfile::tempdir().expect("a folder");
        for (name, bytes) in identity.to_secret() {
            std::fs::write(folder.path().join(name), bytes).expect("a file");
        }
        std::fs::create_dir(folder.path().join("state")).expect("a folder");
        let ports = (Port::free(), Port::free());
        let at = |port: &Port| SocketAddr::from(([127, 0, 0, 1], port.number()));
        let (health, admin) = (at(&ports.0), at(&ports.1));
        let controller = self.address;
        let place = Place { gateway, folder, health, admin, controller, drain_min, _ports: ports };
        Pod { process: place.start(), address: own_address(), health, place }
    }

    /// The objects as the pod's configuration, in epoch 1.
    pub(crate) fn publish(&self, pod: &Pod, sequence: u64, texts: &[&str]) {
        let revision = Revision { epoch: 1, sequence };
        let config = config(&pod.address, revision, texts);
        self.running().server.publish(&pod.place.gateway, config).expect("published");
    }

    /// The Gateway of the pod is gone.
    pub(crate) fn retract(&self, pod: &Pod) {
        self.running().server.retract(&pod.place.gateway);
    }

    /// Only the endpoints of the objects.
    pub(crate) fn publish_endpoints(&self, pod: &Pod, texts: &[&str]) {
        let config = config(&pod.address, Revision::default(), texts);
        let server = &self.running().server;
        server.publish_endpoints(&pod.place.gateway, config.endpoints).expect("published");
    }

    /// The next event that `wanted` takes.
    #[track_caller]
    pub(crate) fn event(&self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.running().events.recv_timeout(DEADLINE);
            let event = event.unwrap_or_else(|_| panic!("waited too long for {what}"));
            if wanted(&event) {
                return event;
            }
        }
    }

    /// The next acknowledgement.
    #[track_caller]
    pub(crate) fn ack(&self) -> Ack {
        match self.event("an acknowledgement", |event| matches!(event, Event::Acked { .. })) {
            Event::Acked { ack, .. } => ack,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn rotate(&mut self) {
        self.authority = self.authority.rotate(SystemTime::now()).expect("an authority");
        self.running().server.set_authority(self.authority.clone()).expect("an authority");
    }

    pub(crate) fn retire(&mut self) {
        self.authority = self.authority.retire();
        self.running().server.set_authority(self.authority.clone()).expect("an authority");
    }
}

impl Running {
    fn start(listen: SocketAddr, authority: &Authority) -> Self {
        let options = ServerOptions { listen, authority: authority.clone(), role: Role::Leader };
        let (started, ready) = mpsc::channel();
        let (forward, events) = mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let (server, mut received) = Server::start(options).await.expect("a free port");
                let server = Arc::new(server);
                started.send(Arc::clone(&server)).expect("the test");
                let listening = async {
                    while let Some(event) = received.recv().await {
                        if forward.send(event).is_err() {
                            std::future::pending::<()>().await;
                        }
                    }
                };
                tokio::select! {
                    () = listening => {}
                    _ = stopped => {}
                }
                Arc::into_inner(server).expect("the last holder").stop().await;
            });
        });
        let server = ready.recv_timeout(DEADLINE).expect("a server");
        Self { server, events, stop, thread }
    }
}

fn config(address: &str, revision: Revision, texts: &[&str]) -> Config {
    let text = texts.join("---\n");
    let mut store = Store::new(source::Settings::default());
    store.load(Contents::from_texts([("all.yaml", text.as_str())]));
    let settings = Settings {
        addresses: vec![AddressPool::Ip(address.parse().expect("an address"))],
        port_offset: OFFSET,
        ..Settings::default()
    };
    let snapshot = store.snapshot();
    let set = translate::translate(&snapshot, &settings).ir;
    let gateway = set.gateways.keys().next().expect("a gateway");
    let slice = set.for_gateway(gateway);
    let endpoints = translate::endpoint_map(
        &slice,
        &snapshot,
        store.endpoint_slices(),
        &translate::endpoints::Names::new(),
        settings.backend_addresses,
    );
    Config { revision, ir: Arc::new(slice), endpoints: Arc::new(endpoints) }
}

/// What a Pod keeps when its container starts again.
struct Place {
    gateway: GatewayUid,
    folder: tempfile::TempDir,
    health: SocketAddr,
    admin: SocketAddr,
    controller: SocketAddr,
    drain_min: &'static str,
    _ports: (Port, Port),
}

impl Place {
    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn start(&self) -> Process {
        let mut command = Command::new(binary());
        command
            .arg("proxy")
            .args(["--controller", &self.controller.to_string()])
            .arg("--identity")
            .arg(self.folder.path())
            .arg("--state-dir")
            .arg(self.state())
            .args(["--metrics-address", &self.health.to_string()])
            .args(["--admin-address", &self.admin.to_string()])
            .args(["--workers", "2", "--drain-min", self.drain_min, "--drain-deadline", "1h"])
            .env("POD_NAME", "proxy-of-a-test");
        Process::start(&mut command)
    }
}

/// A running `portcullis proxy`.
pub(crate) struct Pod {
    pub(crate) process: Process,
    /// Where its Gateway is served.
    address: String,
    pub(crate) health: SocketAddr,
    place: Place,
}

impl Pod {
    pub(crate) fn wait_ready(&mut self) {
        self.process.wait_ready(self.health);
    }

    /// Waits until what serves is stored.
    pub(crate) fn wait_stored(&self) {
        let path = self.place.state().join("last-good.portcullis");
        eventually("the stored configuration", || path.exists().then_some(()));
    }

    /// Ends it at once, and starts it again.
    pub(crate) fn restart(&mut self) {
        self.process.signal("KILL");
        self.process.wait_exit(DEADLINE).expect("the end");
        self.process = self.place.start();
    }

    /// The socket of a listener, by the port in its object.
    pub(crate) fn listener(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address.parse().expect("an address"), port + OFFSET)
    }

    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.place.admin
    }

    /// What an admin path answers.
    #[track_caller]
    pub(crate) fn admin(&self, path: &str) -> serde_json::Value {
        let response = get(self.place.admin, "localhost", path);
        assert_eq!(response.status, 200, "{path}");
        response.json()
    }
}
