//! Our status in a live one: nothing of others changes, and times change only with a status.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod common;

use serde_json::{Value, json};
use translate::{Settings, Snapshot, Status, merge, render, translate};

const CONTROLLER: &str = "portcullis.dev/gateway-controller";
const EARLIER: &str = "2026-01-01T00:00:00Z";
const NOW: &str = "2026-02-02T00:00:00Z";

fn objects(generation: i64, backend: &str) -> Snapshot {
    let fixture = std::fs::read_to_string("tests/fixtures/web.yaml").unwrap();
    let mut snapshot = common::snapshot(&fixture);
    common::add(
        &mut snapshot,
        &format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n\
             metadata: {{ name: app, generation: {generation} }}\nspec:\n  \
             parentRefs: [{{ name: web }}, {{ name: gone }}]\n  \
             rules: [{{ backendRefs: [{{ name: {backend}, port: 80 }}] }}]\n"
        ),
    );
    snapshot
}

fn status(generation: i64, backend: &str, kind: &str, name: &str) -> Status {
    let translation = translate(&objects(generation, backend), &Settings::default());
    let reference = ir::ObjectRef::new("gateway.networking.k8s.io", kind, "default", name);
    (**translation.statuses.get(&reference).unwrap()).clone()
}

fn route(generation: i64, backend: &str) -> Status {
    status(generation, backend, "HTTPRoute", "app")
}

fn find<'a>(conditions: &'a Value, kind: &str) -> &'a Value {
    conditions.as_array().unwrap().iter().find(|c| c["type"] == kind).unwrap()
}

#[test]
fn a_first_status_names_group_and_kind_of_the_parent_and_only_parents_that_are_ours() {
    let status = render(&route(3, "app"), CONTROLLER, NOW);
    let parents = status["parents"].as_array().unwrap();
    assert_eq!(parents.len(), 1);
    assert_eq!(
        parents[0]["parentRef"],
        json!({ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "web" })
    );
    assert_eq!(parents[0]["controllerName"], CONTROLLER);
    let accepted = find(&parents[0]["conditions"], "Accepted");
    assert_eq!(accepted["status"], "True");
    assert_eq!(accepted["observedGeneration"], 3);
    assert_eq!(accepted["lastTransitionTime"], NOW);
}

#[test]
fn a_status_that_is_written_already_stays_as_it_is() {
    let live = render(&route(3, "app"), CONTROLLER, EARLIER);
    assert_eq!(merge(&live, &route(3, "app"), CONTROLLER, NOW), live);
    let live = render(&status(3, "app", "Gateway", "web"), CONTROLLER, EARLIER);
    assert_eq!(merge(&live, &status(3, "app", "Gateway", "web"), CONTROLLER, NOW), live);
}

#[test]
fn a_time_changes_only_when_the_status_of_its_condition_does() {
    let live = render(&route(3, "app"), CONTROLLER, EARLIER);
    let merged = merge(&live, &route(4, "missing"), CONTROLLER, NOW);
    let conditions = &merged["parents"][0]["conditions"];
    assert_eq!(find(conditions, "Accepted")["lastTransitionTime"], EARLIER);
    assert_eq!(find(conditions, "Accepted")["observedGeneration"], 4);
    assert_eq!(find(conditions, "ResolvedRefs")["lastTransitionTime"], NOW);
    assert_eq!(find(conditions, "ResolvedRefs")["reason"], "BackendNotFound");
}

#[test]
fn entries_of_other_controllers_stay_where_and_as_they_are() {
    let foreign = json!({
        "parentRef": { "name": "elsewhere", "unknown": [1, { "a": null }] },
        "controllerName": "example.com/other",
        "conditions": [{ "type": "Accepted", "status": "True", "reason": "X", "message": "",
            "lastTransitionTime": "2025-05-05T05:05:05Z", "observedGeneration": 99 }],
    });
    let stale = json!({
        "parentRef": { "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "old" },
        "controllerName": CONTROLLER, "conditions": [],
    });
    let live = json!({ "parents": [stale, foreign], "other": "kept" });
    let merged = merge(&live, &route(3, "app"), CONTROLLER, NOW);
    assert_eq!(merged["other"], "kept");
    let parents = merged["parents"].as_array().unwrap();
    assert_eq!(parents.len(), 2, "the stale entry of ours is gone");
    assert_eq!(parents[0], foreign);
    assert_eq!(parents[1]["parentRef"]["name"], "web");
}

#[test]
fn foreign_conditions_of_gateways_and_listeners_stay_and_stale_ones_of_ours_go() {
    let foreign = json!({ "type": "example.com/Checked", "status": "True", "reason": "Fine",
        "message": "by hand", "lastTransitionTime": EARLIER, "observedGeneration": 1 });
    let stale = json!({ "type": "OverlappingTLSConfig", "status": "True",
        "reason": "OverlappingHostnames", "message": "", "lastTransitionTime": EARLIER });
    let pending = json!({ "type": "Accepted", "status": "Unknown", "reason": "Pending",
        "message": "Waiting for controller", "lastTransitionTime": "1970-01-01T00:00:00Z" });
    let live = json!({
        "conditions": [pending, foreign],
        "listeners": [
            { "name": "gone", "attachedRoutes": 7, "supportedKinds": [], "conditions": [] },
            { "name": "http", "attachedRoutes": 0, "supportedKinds": [], "conditions": [foreign, stale] },
        ],
    });
    let merged = merge(&live, &status(2, "app", "Gateway", "web"), CONTROLLER, NOW);
    assert_eq!(find(&merged["conditions"], "example.com/Checked"), &foreign);
    let accepted = find(&merged["conditions"], "Accepted");
    assert_eq!(
        (&accepted["status"], &accepted["lastTransitionTime"]),
        (&json!("True"), &json!(NOW))
    );
    assert_eq!(accepted["observedGeneration"], 2);
    let listeners = merged["listeners"].as_array().unwrap();
    assert_eq!(listeners.len(), 1, "the listener list is that of the spec");
    assert_eq!(listeners[0]["attachedRoutes"], 1);
    assert_eq!(
        listeners[0]["supportedKinds"],
        json!([
            { "group": "gateway.networking.k8s.io", "kind": "HTTPRoute" },
            { "group": "gateway.networking.k8s.io", "kind": "GRPCRoute" },
        ])
    );
    let kinds: Vec<&str> = listeners[0]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|condition| condition["type"].as_str().unwrap())
        .collect();
    let expected = ["example.com/Checked", "Accepted", "ResolvedRefs", "Programmed", "Conflicted"];
    assert_eq!(kinds, expected);
}

#[test]
fn an_empty_list_of_supported_kinds_is_written_as_one() {
    let translation = translate(
        &common::snapshot(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: { name: c }\nspec: { controllerName: portcullis.dev/gateway-controller }\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: { name: g }\nspec: { gatewayClassName: c, listeners: [{ name: x, port: 1, protocol: Strange }] }\n",
        ),
        &Settings::default(),
    );
    let reference = ir::ObjectRef::new("gateway.networking.k8s.io", "Gateway", "default", "g");
    let status = render(translation.statuses.get(&reference).unwrap(), CONTROLLER, NOW);
    assert_eq!(status["listeners"][0]["supportedKinds"], json!([]));
}

#[test]
fn a_status_of_a_newer_generation_is_not_overwritten() {
    let live = render(&route(9, "app"), CONTROLLER, EARLIER);
    assert_eq!(merge(&live, &route(8, "missing"), CONTROLLER, NOW), live);
}
