//! The hidden Services of XBackends: when one is made, changed and removed.

#![allow(clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use api::Object;
use controller::selectors::{Order, orders};
use ir::{EndpointMap, EndpointsKey, ObjectRef};
use serde_json::{Value, json};
use translate::Snapshot;

fn x_backend(kind: &str) -> Value {
    json!({
        "apiVersion": "gateway.networking.x-k8s.io/v1alpha1", "kind": "XBackend",
        "metadata": { "name": "cart.v1", "namespace": "shop", "uid": "u1" },
        "spec": {
            "type": kind, "port": { "number": 8080 },
            "endpointSelector": { "matchLabels": { "app": "cart" } },
            "externalHostname": { "hostname": "cart.example" },
        },
    })
}

fn service(controller: &str, owner: &str, app: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "cart-v1-x7", "namespace": "shop", "uid": "s1",
            "labels": { "portcullis.dev/x-backend-of": controller },
            "ownerReferences": [{
                "apiVersion": "gateway.networking.x-k8s.io/v1alpha1", "kind": "XBackend",
                "name": "cart.v1", "uid": owner,
            }],
        },
        "spec": {
            "clusterIP": "None", "selector": { "old": "x", "app": app },
            "ports": [{ "port": 8080, "targetPort": 8080 }],
        },
    })
}

/// Orders for these objects, by the name of the Service, when the XBackend is in use.
fn of(objects: &[Value]) -> Vec<(String, Order)> {
    let mut snapshot = Snapshot::default();
    for object in objects {
        let decoded = Object::decode(object);
        snapshot.insert(&decoded.object, &decoded.issues);
    }
    let backend = ObjectRef::new("gateway.networking.x-k8s.io", "XBackend", "shop", "cart.v1");
    let key = EndpointsKey { backend: Arc::new(backend), port: 8080 };
    let endpoints: EndpointMap = [(key, Arc::default())].into_iter().collect();
    let orders = orders(&snapshot, &endpoints, "us");
    orders.into_iter().map(|(service, order)| (service.to_string(), order)).collect()
}

fn is_make(orders: &[(String, Order)]) -> bool {
    matches!(orders, [(_, Order::Make { .. })])
}

#[test]
fn a_used_x_backend_gets_a_headless_service_that_is_owned_by_it() {
    let orders = of(&[x_backend("EndpointSelector")]);
    let [(name, Order::Make { service })] = &orders[..] else { panic!("{orders:?}") };
    assert!(name.starts_with("shop/cart-v1-"), "{name}");
    assert_eq!(format!("shop/{}", service["metadata"]["name"].as_str().unwrap_or_default()), *name);
    assert_eq!(service["metadata"]["labels"]["portcullis.dev/x-backend-of"], "us");
    assert_eq!(service["metadata"]["ownerReferences"][0]["uid"], "u1");
    assert_eq!(service["spec"]["clusterIP"], "None");
    assert_eq!(service["spec"]["selector"], json!({ "app": "cart" }));
}

#[test]
fn services_of_an_earlier_x_backend_or_of_another_controller_do_not_count() {
    let earlier = of(&[x_backend("EndpointSelector"), service("us", "u0", "cart")]);
    assert!(is_make(&earlier), "{earlier:?}");
    let other = of(&[x_backend("EndpointSelector"), service("them", "u1", "cart")]);
    assert!(is_make(&other), "{other:?}");
}

#[test]
fn a_service_that_selects_other_pods_is_changed_and_labels_that_are_gone_are_removed() {
    let orders = of(&[x_backend("EndpointSelector"), service("us", "u1", "basket")]);
    let [(name, Order::Repair { patch })] = &orders[..] else { panic!("{orders:?}") };
    assert_eq!(name, "shop/cart-v1-x7");
    assert_eq!(patch["metadata"]["uid"], "s1");
    assert_eq!(patch["spec"]["selector"], json!({ "old": null, "app": "cart" }));
}

#[test]
fn the_service_of_an_x_backend_that_selects_no_pods_any_longer_is_removed() {
    let orders = of(&[x_backend("ExternalHostname"), service("us", "u1", "cart")]);
    let [(name, Order::Remove { uid })] = &orders[..] else { panic!("{orders:?}") };
    assert_eq!((name.as_str(), &**uid), ("shop/cart-v1-x7", "s1"));
}
