//! A controller that starts anew beside proxies that are there already.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "cluster/fake.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod fake;

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use controller::{
    Cluster, Counters, LeaseOptions, Options, Remote, RemoteOptions, View, provision,
};
use fake::Fake;
use link::{Client, ClientOptions, ProxyName};
use serde_json::{Value, json};
use testkit::ports::Port;
use tokio::sync::{oneshot, watch};
use translate::{Capabilities, Placement, Settings};

async fn cluster() -> Fake {
    let fake = Fake::start().await;
    fake.put(json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": "default", "labels": { "kubernetes.io/metadata.name": "default" } },
    }));
    fake.put(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": { "name": "portcullis" },
        "spec": { "controllerName": translate::settings::CONTROLLER_NAME },
    }));
    fake.put(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": { "name": "web", "namespace": "default" },
        "spec": {
            "gatewayClassName": "portcullis",
            "listeners": [{ "name": "http", "port": 80, "protocol": "HTTP" }],
        },
    }));
    fake
}

struct Running {
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

/// Runs a controller of provisioned Gateways beside the test. Must be called inside a `LocalSet`.
async fn start(fake: &Fake, listen: SocketAddr, identity: &str) -> Running {
    let cluster = Cluster::at(&fake.url).unwrap();
    let options = RemoteOptions {
        listen,
        namespace: "system".to_owned(),
        provision: provision::Settings {
            controller_name: translate::settings::CONTROLLER_NAME.to_owned(),
            image: "localhost/portcullis:test".to_owned(),
            image_pull_policy: None,
            controller: listen.to_string(),
        },
    };
    let plane = Remote::start(cluster.client(), options).await.unwrap();
    let options = Options {
        settings: Settings {
            placement: Placement::Provisioned,
            capabilities: Capabilities::ALL,
            ..Settings::default()
        },
        lease: Some(LeaseOptions {
            namespace: "system".to_owned(),
            name: "lease".to_owned(),
            identity: identity.to_owned(),
            address: None,
        }),
    };
    let (stop, stopped) = oneshot::channel();
    let task = tokio::task::spawn_local(async move {
        let view = watch::Sender::new(View::default());
        let stop = async {
            let _asked = stopped.await;
        };
        let counters = Arc::new(Counters::default());
        controller::run(cluster, options, plane, counters, view, stop).await.unwrap();
    });
    Running { stop, task }
}

/// The data of the authority's Secret and of the Gateway's.
fn secrets(fake: &Fake) -> [Value; 2] {
    let places = [("system", "portcullis-link-authority"), ("default", "web-portcullis")];
    places.map(|(namespace, name)| {
        fake.with(|state| state.get("secrets", namespace, name).unwrap()["data"].clone())
    })
}

/// A proxy with the identity that the cluster would mount.
fn proxy(fake: &Fake, folder: &std::path::Path, controller: SocketAddr) -> Client {
    let [_, identity] = secrets(fake);
    for (name, value) in identity.as_object().unwrap() {
        let bytes = base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap());
        std::fs::write(folder.join(name), bytes.unwrap()).unwrap();
    }
    let options = ClientOptions {
        controllers: vec![controller.to_string()],
        identity: folder.to_owned(),
        proxy: ProxyName::new("pod").unwrap(),
        state: None,
    };
    Client::start(options).unwrap()
}

async fn holds_something(client: &mut Client) {
    let update = tokio::time::timeout(testkit::DEADLINE, client.next()).await;
    assert!(!update.expect("a configuration in time").ir.listeners.is_empty());
}

#[test]
fn identities_outlive_the_controller_that_issued_them() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let fake = cluster().await;
        let port = Port::free();
        let listen = SocketAddr::from(([127, 0, 0, 1], port.number()));
        let first = start(&fake, listen, "first").await;
        fake.until("the Deployment", |state| {
            state.get("deployments", "default", "web-portcullis").is_some()
        })
        .await;
        let before = secrets(&fake);
        let folder = tempfile::tempdir().unwrap();
        let mut pod = proxy(&fake, folder.path(), listen);
        holds_something(&mut pod).await;
        first.stop.send(()).unwrap();
        first.task.await.unwrap();

        let written = |fake: &Fake| {
            fake.with(|state| state.get("deployments", "default", "web-portcullis").cloned())
        };
        let version = written(&fake).unwrap()["metadata"]["resourceVersion"].clone();
        let second = start(&fake, listen, "second").await;
        // All is looked at once more, and then written as the new controller's.
        fake.until("the second controller", |state| {
            let now = state.get("deployments", "default", "web-portcullis").unwrap();
            now["metadata"]["resourceVersion"] != version
        })
        .await;
        // The proxy comes back as who it was; the new leader has more to tell.
        let mut status = pod.status();
        let back = status.wait_for(|status| status.connections >= 2);
        tokio::time::timeout(testkit::DEADLINE, back).await.expect("in time").unwrap();
        assert_eq!(secrets(&fake), before);
        second.stop.send(()).unwrap();
        second.task.await.unwrap();
    });
}
