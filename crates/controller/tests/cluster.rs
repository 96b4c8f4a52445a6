//! The controller against an API server, by what it writes there and what it publishes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "cluster/fake.rs"]
mod fake;
#[path = "cluster/plane.rs"]
mod plane;

use std::sync::Arc;

use controller::{Cluster, Counters, LeaseOptions, Options, View, provision};
use fake::{Fake, State};
use http::Method;
use plane::{Plane, Published};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use translate::Settings;

const OURS: &str = translate::settings::CONTROLLER_NAME;
const GROUP: &str = "gateway.networking.k8s.io";

fn class() -> Value {
    json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": "GatewayClass",
        "metadata": { "name": "portcullis" }, "spec": { "controllerName": OURS },
    })
}

fn gateway(listeners: &Value) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": "Gateway",
        "metadata": { "name": "edge", "namespace": "default" },
        "spec": { "gatewayClassName": "portcullis", "listeners": listeners },
    })
}

fn route(name: &str, path: &str) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": "HTTPRoute",
        "metadata": { "name": name, "namespace": "default" },
        "spec": {
            "parentRefs": [{ "group": GROUP, "kind": "Gateway", "name": "edge" }],
            "rules": [{ "matches": [{ "path": { "type": "PathPrefix", "value": path } }] }],
        },
    })
}

async fn cluster() -> Fake {
    let fake = Fake::start().await;
    fake.put(json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": "default", "labels": { "kubernetes.io/metadata.name": "default" } },
    }));
    fake.put(class());
    fake.put(gateway(&json!([{ "name": "http", "port": 80, "protocol": "HTTP" }])));
    fake
}

struct Running {
    published: Published,
    counters: Arc<Counters>,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

/// Runs a controller beside the test. Must be called inside a `LocalSet`.
fn start(fake: &Fake, identity: &str) -> Running {
    let plane = Plane::default();
    let published = plane.published.clone();
    let counters = Arc::new(Counters::default());
    let (stop, stopped) = oneshot::channel();
    let (url, identity) = (fake.url.clone(), identity.to_owned());
    let own_counters = Arc::clone(&counters);
    let task = tokio::task::spawn_local(async move {
        let cluster = Cluster::at(&url).unwrap();
        let options = Options {
            settings: Settings::default(),
            lease: Some(LeaseOptions {
                namespace: "system".to_owned(),
                name: "lease".to_owned(),
                identity,
                address: None,
            }),
        };
        let view = watch::Sender::new(View::default());
        let stop = async {
            let _asked = stopped.await;
        };
        controller::run(cluster, options, plane, own_counters, view, stop).await.unwrap();
    });
    Running { published, counters, stop: Some(stop), task }
}

impl Running {
    async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.task.await.unwrap();
    }
}

fn local(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

/// Our entry in the status of a route.
fn entry<'s>(state: &'s State, route: &str) -> Option<&'s Value> {
    let parents = state.get("httproutes", "default", route)?["status"]["parents"].as_array()?;
    parents.iter().find(|parent| parent["controllerName"] == OURS)
}

fn is_true(conditions: &Value, kind: &str) -> bool {
    let conditions = conditions.as_array();
    conditions
        .is_some_and(|all| all.iter().any(|one| one["type"] == kind && one["status"] == "True"))
}

fn foreign() -> Value {
    json!({
        "parentRef": { "group": GROUP, "kind": "Gateway", "name": "theirs" },
        "controllerName": "example.net/other",
        "conditions": [{
            "type": "Accepted", "status": "True", "reason": "Odd", "message": "kept",
            "observedGeneration": 7, "lastTransitionTime": "2020-02-02T02:02:02Z",
        }],
    })
}

#[test]
fn statuses_are_written_and_those_of_others_are_kept() {
    local(async {
        let fake = cluster().await;
        let mut object = route("mine", "/");
        object["status"] = json!({ "parents": [foreign()] });
        fake.put(object);
        let _running = start(&fake, "one");
        fake.until("our entry", |state| entry(state, "mine").is_some()).await;
        fake.until("Programmed", |state| {
            let gateway = state.get("gateways", "default", "edge").unwrap();
            is_true(&gateway["status"]["conditions"], "Programmed")
                && gateway["status"]["listeners"][0]["attachedRoutes"] == 1
        })
        .await;
        fake.with(|state| {
            let status = &state.get("httproutes", "default", "mine").unwrap()["status"];
            assert_eq!(status["parents"][0], foreign());
            let ours = entry(state, "mine").unwrap();
            assert!(is_true(&ours["conditions"], "Accepted"));
            assert_eq!(ours["conditions"][0]["observedGeneration"], 1);
            let class = state.get("gatewayclasses", "", "portcullis").unwrap();
            assert!(is_true(&class["status"]["conditions"], "Accepted"));
        });
    });
}

#[test]
fn an_entry_that_somebody_adds_while_we_write_survives() {
    local(async {
        let fake = cluster().await;
        let running = start(&fake, "one");
        running.published.until(|ir| !ir.listeners.is_empty()).await;
        fake.until("Programmed", |state| {
            let gateway = state.get("gateways", "default", "edge").unwrap();
            is_true(&gateway["status"]["conditions"], "Programmed")
        })
        .await;
        // Between our reading and our writing, another controller writes its own.
        fake.with(|state| state.put(route("contested", "/")));
        fake.before_status(|state| {
            if state.get("httproutes", "default", "contested").is_some() {
                let status = json!({ "parents": [foreign()] });
                state.set_status("httproutes", "default", "contested", status);
            }
        });
        fake.until("both entries", |state| {
            let status = &state.get("httproutes", "default", "contested").unwrap()["status"];
            entry(state, "contested").is_some() && status["parents"][0] == foreign()
        })
        .await;
        assert!(running.counters.status_conflicts.get() > 0);
    });
}

#[test]
fn what_has_not_changed_is_not_written() {
    local(async {
        let fake = cluster().await;
        fake.put(route("quiet", "/"));
        let running = start(&fake, "one");
        fake.until("our entry", |state| entry(state, "quiet").is_some()).await;
        let writes = fake.with(|state| state.count(&Method::PATCH, "/httproutes/quiet/status"));
        // A label changes nothing of what we say.
        let mut labelled =
            fake.with(|state| state.get("httproutes", "default", "quiet").unwrap().clone());
        labelled["metadata"]["labels"] = json!({ "team": "a" });
        fake.put(labelled);
        // What comes after it is written, so it was looked at before.
        fake.put(route("loud", "/loud"));
        fake.until("the later entry", |state| entry(state, "loud").is_some()).await;
        assert!(running.counters.status_writes.get() > 0);
        fake.with(|state| {
            assert_eq!(state.count(&Method::PATCH, "/httproutes/quiet/status"), writes);
        });
    });
}

#[test]
fn our_entry_goes_when_a_route_leaves_us() {
    local(async {
        let fake = cluster().await;
        fake.put(route("leaving", "/"));
        let _running = start(&fake, "one");
        fake.until("our entry", |state| entry(state, "leaving").is_some()).await;
        fake.with(|state| {
            let mut object = state.get("httproutes", "default", "leaving").unwrap().clone();
            object["spec"]["parentRefs"][0]["name"] = "theirs".into();
            object["status"]["parents"].as_array_mut().unwrap().push(foreign());
            state.put(object);
        });
        fake.until("no entry of ours", |state| {
            let status = &state.get("httproutes", "default", "leaving").unwrap()["status"];
            status["parents"] == json!([foreign()])
        })
        .await;
    });
}

#[test]
fn a_watch_that_is_too_old_begins_again_and_nothing_that_stays_is_lost_in_between() {
    local(async {
        let fake = cluster().await;
        fake.put(route("stays", "/stays"));
        fake.put(route("goes", "/goes"));
        let running = start(&fake, "one");
        running.published.until(|ir| ir.http_routes.len() == 2).await;
        fake.with(|state| {
            state.delete("httproutes", "default", "goes");
            state.put(route("comes", "/comes"));
            state.compact();
        });
        let name =
            |ir: &ir::IrSet, name: &str| ir.http_routes.keys().any(|object| &*object.name == name);
        running.published.until(|ir| name(ir, "comes") && !name(ir, "goes")).await;
        let all = running.published.all();
        let after = all.iter().skip_while(|ir| !name(ir, "stays"));
        assert!(after.clone().count() > 1);
        assert!(after.into_iter().all(|ir| name(ir, "stays")));
    });
}

#[test]
fn a_server_without_streaming_lists_is_listed() {
    local(async {
        let fake = cluster().await;
        fake.without_streaming_lists();
        fake.put(route("first", "/"));
        let running = start(&fake, "one");
        running.published.until(|ir| ir.http_routes.len() == 1).await;
        fake.put(route("second", "/second"));
        running.published.until(|ir| ir.http_routes.len() == 2).await;
    });
}

#[test]
fn an_old_version_of_a_kind_is_read_where_the_new_one_is_not_served() {
    local(async {
        let fake = cluster().await;
        fake.put(json!({
            "apiVersion": format!("{GROUP}/v1alpha2"), "kind": "TCPRoute",
            "metadata": { "name": "old", "namespace": "default" },
            "spec": { "parentRefs": [{ "group": GROUP, "kind": "Gateway", "name": "edge" }], "rules": [
                { "backendRefs": [{ "group": "", "kind": "Service", "name": "s", "port": 1 }] },
            ] },
        }));
        let _running = start(&fake, "one");
        fake.until("our entry", |state| {
            let route = state.get("tcproutes", "default", "old").unwrap();
            route["status"]["parents"][0]["controllerName"] == OURS
        })
        .await;
        fake.with(|state| {
            let end = "/v1alpha2/namespaces/default/tcproutes/old/status";
            assert_eq!(state.count(&Method::PATCH, end), 1);
        });
    });
}

#[test]
fn only_secrets_that_something_refers_to_are_read() {
    local(async {
        let fake = cluster().await;
        for name in ["used", "unused"] {
            fake.put(json!({
                "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
                "metadata": { "name": name, "namespace": "default" },
                "data": { "tls.crt": "bm9uZQ==", "tls.key": "bm9uZQ==" },
            }));
        }
        fake.put(gateway(&json!([
            { "name": "http", "port": 80, "protocol": "HTTP" },
            { "name": "https", "port": 443, "protocol": "HTTPS", "tls": {
                "certificateRefs": [{ "group": "", "kind": "Secret", "name": "used" }],
            }},
        ])));
        let _running = start(&fake, "one");
        // It is there, and it is no certificate: that is known only to who has read it.
        fake.until("the verdict", |state| {
            let listeners =
                &state.get("gateways", "default", "edge").unwrap()["status"]["listeners"];
            let conditions = listeners[1]["conditions"].as_array();
            conditions
                .is_some_and(|all| all.iter().any(|one| one["reason"] == "InvalidCertificateRef"))
        })
        .await;
        fake.with(|state| {
            assert_eq!(state.count(&Method::GET, "/secrets/used"), 1);
            assert_eq!(state.count(&Method::GET, "/secrets/unused"), 0);
        });
    });
}

/// Who leads.
fn holder(state: &State) -> Option<String> {
    let lease = state.get("leases", "system", "lease")?;
    lease["spec"]["holderIdentity"].as_str().map(str::to_owned)
}

#[test]
fn one_of_two_controllers_writes_and_the_other_takes_over_when_it_ends() {
    local(async {
        let fake = cluster().await;
        let first = start(&fake, "first");
        fake.until("the first leads", |state| holder(state).as_deref() == Some("first")).await;
        let second = start(&fake, "second");
        second.published.until(|ir| !ir.listeners.is_empty()).await;
        fake.until("Programmed", |state| {
            let gateway = state.get("gateways", "default", "edge").unwrap();
            is_true(&gateway["status"]["conditions"], "Programmed")
        })
        .await;
        assert_eq!(second.counters.status_writes.get(), 0, "a follower writes nothing");
        first.stop().await;
        fake.until("the second leads", |state| holder(state).as_deref() == Some("second")).await;
        fake.put(route("later", "/"));
        fake.until("our entry", |state| entry(state, "later").is_some()).await;
        fake.with(|state| {
            let lease = state.get("leases", "system", "lease").unwrap();
            assert_eq!(lease["spec"]["leaseTransitions"], 2, "each leader has its epoch");
        });
        second.stop().await;
        fake.with(|state| assert_eq!(holder(state), None, "the lease is given up"));
    });
}

#[test]
fn what_users_must_know_is_told_once_as_an_event() {
    local(async {
        let fake = cluster().await;
        let mut broken = route("broken", "/");
        broken["spec"]["rules"][0]["backendRefs"] =
            json!([{ "group": "", "kind": "Service", "name": "missing", "port": 80 }]);
        fake.put(broken);
        let running = start(&fake, "one");
        fake.until("an event", |state| {
            state.count(&Method::POST, "/namespaces/default/events") > 0
        })
        .await;
        let told = fake.with(|state| state.count(&Method::POST, "/namespaces/default/events"));
        fake.put(route("other", "/other"));
        fake.until("the later entry", |state| entry(state, "other").is_some()).await;
        fake.with(|state| {
            assert_eq!(state.count(&Method::POST, "/namespaces/default/events"), told);
        });
        assert_eq!(running.counters.events_dropped.get(), 0);
    });
}

#[test]
fn another_controller_takes_over_when_the_leader_is_gone_without_a_word() {
    local(async {
        let fake = cluster().await;
        let first = start(&fake, "first");
        fake.until("the first leads", |state| holder(state).as_deref() == Some("first")).await;
        let second = start(&fake, "second");
        second.published.until(|ir| !ir.listeners.is_empty()).await;
        first.task.abort();
        fake.until("the second leads", |state| holder(state).as_deref() == Some("second")).await;
        fake.put(route("later", "/"));
        fake.until("our entry", |state| entry(state, "later").is_some()).await;
    });
}

#[test]
fn kinds_that_come_later_are_read() {
    local(async {
        let fake = cluster().await;
        fake.with(|state| state.unserved.insert("tcproutes"));
        let running = start(&fake, "one");
        running.published.until(|ir| !ir.listeners.is_empty()).await;
        fake.with(|state| state.unserved.clear());
        fake.put(json!({
            "apiVersion": format!("{GROUP}/v1alpha2"), "kind": "TCPRoute",
            "metadata": { "name": "late", "namespace": "default" },
            "spec": { "parentRefs": [{ "group": GROUP, "kind": "Gateway", "name": "edge" }], "rules": [
                { "backendRefs": [{ "group": "", "kind": "Service", "name": "s", "port": 1 }] },
            ] },
        }));
        fake.until("our entry", |state| {
            let route = state.get("tcproutes", "default", "late").unwrap();
            route["status"]["parents"][0]["controllerName"] == OURS
        })
        .await;
    });
}

#[test]
fn trust_bundles_are_a_feature_where_the_cluster_has_them_and_are_read_when_referred_to() {
    local(async {
        let fake = cluster().await;
        for name in ["used", "unused"] {
            fake.put(json!({
                "apiVersion": "certificates.k8s.io/v1beta1", "kind": "ClusterTrustBundle",
                "metadata": { "name": name }, "spec": { "trustBundle": "none" },
            }));
        }
        fake.with(|state| state.unserved.insert("clustertrustbundles"));
        let claimed = |state: &State| {
            let class = state.get("gatewayclasses", "", "portcullis")?;
            let features = class["status"]["supportedFeatures"].as_array()?;
            Some(features.iter().any(|feature| feature["name"] == "ClusterTrustBundle"))
        };
        let _running = start(&fake, "one");
        fake.until("a claim without it", |state| claimed(state) == Some(false)).await;
        fake.with(|state| state.unserved.clear());
        fake.until("a claim with it", |state| claimed(state) == Some(true)).await;
        fake.put(json!({
            "apiVersion": format!("{GROUP}/v1"), "kind": "BackendTLSPolicy",
            "metadata": { "name": "trust", "namespace": "default" },
            "spec": {
                "targetRefs": [{ "group": "", "kind": "Service", "name": "s" }],
                "validation": { "hostname": "a.example", "caCertificateRefs": [{
                    "group": "certificates.k8s.io", "kind": "ClusterTrustBundle", "name": "used",
                }]},
            },
        }));
        fake.until("the read", |state| {
            state.count(&Method::GET, "/v1beta1/clustertrustbundles/used") == 1
        })
        .await;
        fake.with(|state| {
            assert_eq!(state.count(&Method::GET, "/v1beta1/clustertrustbundles/unused"), 0);
        });
    });
}

fn x_backend(name: &str) -> Value {
    json!({
        "apiVersion": "gateway.networking.x-k8s.io/v1alpha1", "kind": "XBackend",
        "metadata": { "name": name, "namespace": "default", "uid": format!("uid-of-{name}") },
        "spec": {
            "type": "EndpointSelector", "port": { "number": 8080 },
            "endpointSelector": { "matchLabels": { "app": name } },
        },
    })
}

fn route_to_x_backend(name: &str) -> Value {
    let mut route = route(name, &format!("/{name}"));
    route["spec"]["rules"][0]["backendRefs"] =
        json!([{ "group": "gateway.networking.x-k8s.io", "kind": "XBackend", "name": name }]);
    route
}

#[test]
fn the_pods_of_an_x_backend_are_found_by_a_service_of_its_own_and_no_other_is_touched() {
    local(async {
        let fake = cluster().await;
        let service = |name: &str| provision::owned_name(name, &format!("uid-of-{name}"));
        let foreign = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": service("taken"), "namespace": "default" },
            "spec": { "selector": { "app": "theirs" }, "ports": [{ "port": 1 }] },
        });
        fake.put(foreign.clone());
        for name in ["taken", "cart", "unused"] {
            fake.put(x_backend(name));
        }
        fake.put(route_to_x_backend("taken"));
        fake.put(route_to_x_backend("cart"));
        let _running = start(&fake, "one");
        let made =
            |state: &State, name: &str| state.get("services", "default", &service(name)).cloned();
        fake.until("the Service", |state| made(state, "cart").is_some()).await;
        fake.with(|state| {
            let made = made(state, "cart").unwrap();
            assert_eq!(made["metadata"]["ownerReferences"][0]["uid"], "uid-of-cart");
            assert_eq!(made["spec"]["clusterIP"], "None");
            assert_eq!(made["spec"]["selector"], json!({ "app": "cart" }));
        });
        // A new selector is followed, by the same Service.
        let mut changed = x_backend("cart");
        changed["spec"]["endpointSelector"]["matchLabels"] = json!({ "tier": "back" });
        fake.put(changed);
        fake.until("the new selector", |state| {
            made(state, "cart").unwrap()["spec"]["selector"] == json!({ "tier": "back" })
        })
        .await;
        fake.until("the try", |state| state.count(&Method::POST, "/default/services") >= 2).await;
        fake.with(|state| {
            assert_eq!(made(state, "taken").unwrap()["spec"], foreign["spec"]);
            assert_eq!(made(state, "unused"), None);
        });
    });
}
