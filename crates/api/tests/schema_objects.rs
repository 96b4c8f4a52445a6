//! Validation from outside: what becomes of an object, and what is said about it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests: a wrong table must fail loudly"
)]

use api::limits::VIOLATIONS_MAX;
use api::schema::{Channel, Coverage, UnknownFields, Validator, ViolationKind};
use serde_json::{Value, json};

fn route() -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "r"},
        "spec": {"parentRefs": [{"name": "gw"}], "rules": [{"backendRefs": [{"name": "web", "port": 80}]}]}})
}

#[test]
fn an_admitted_object_has_its_defaults_and_no_nulls() {
    let mut object = route();
    object["spec"]["hostnames"] = Value::Null;
    let verdict = Validator::new().validate(&mut object);
    assert!(verdict.is_admitted() && verdict.warnings.is_empty(), "{verdict:?}");
    assert_eq!(verdict.coverage, Coverage::Exact { served: true, deprecated: None });
    assert!(object["spec"].get("hostnames").is_none());
    assert_eq!(object["spec"]["parentRefs"][0]["group"], "gateway.networking.k8s.io");
    let rule = &object["spec"]["rules"][0];
    assert_eq!(rule["matches"], json!([{"path": {"type": "PathPrefix", "value": "/"}}]));
    assert_eq!(rule["backendRefs"][0]["weight"], 1);
}

#[test]
fn an_unknown_field_is_dropped_and_named_with_the_field_it_may_have_meant() {
    let mut object = route();
    object["spec"]["hostname"] = json!("a.example");
    object["metadata"]["lables"] = json!({});
    let verdict = Validator::new().validate(&mut object.clone());
    assert!(verdict.is_admitted());
    let found: Vec<_> = verdict
        .warnings
        .iter()
        .map(|w| (w.to_string(), w.path.as_str(), w.hint.as_deref()))
        .collect();
    assert_eq!(
        found,
        [
            ("unknown field \"spec.hostname\"".to_owned(), "spec.hostname", Some("hostnames")),
            ("unknown field \"metadata.lables\"".to_owned(), "metadata.lables", Some("labels")),
        ]
    );
    let strict = Validator { unknown_fields: UnknownFields::Refuse, ..Validator::new() };
    let verdict = strict.validate(&mut object);
    assert_eq!(verdict.errors.len(), 2);
    assert!(verdict.errors.iter().all(|error| error.kind == ViolationKind::UnknownField));
    assert!(object["spec"].get("hostname").is_none());
}

#[test]
fn a_field_of_the_experimental_channel_is_unknown_to_the_standard_one() {
    let mut object = route();
    object["spec"]["rules"][0]["sessionPersistence"] = json!({"type": "Header"});
    assert!(Validator::new().validate(&mut object).warnings.is_empty());
    assert_eq!(Validator::experimental_fields(&object), ["spec.rules[0].sessionPersistence"]);
    let standard = Validator { channel: Channel::Standard, ..Validator::new() };
    assert_eq!(standard.validate(&mut object).warnings[0].path, "spec.rules[0].sessionPersistence");
}

#[test]
fn a_version_that_is_gone_is_judged_by_one_of_the_same_shape_and_one_of_another_shape_is_not() {
    let mut object = route();
    object["apiVersion"] = json!("gateway.networking.k8s.io/v1alpha2");
    object["spec"]["rules"][0]["matches"] = json!([{"path": {"value": "a"}}]);
    let verdict = Validator::new().validate(&mut object);
    assert_eq!(verdict.coverage, Coverage::Substitute { version: "v1".to_owned() });
    assert_eq!(verdict.errors.len(), 1, "{verdict:?}");
    let mut object = json!({
        "apiVersion": "gateway.networking.k8s.io/v1alpha2", "kind": "BackendTLSPolicy",
        "metadata": {"name": "p"}, "spec": {"targetRef": {}}});
    let verdict = Validator::new().validate(&mut object);
    assert_eq!((verdict.coverage, verdict.errors.len()), (Coverage::Envelope, 0));
    let mut object = json!({"apiVersion": "x.example/v1", "kind": "Other", "spec": 1});
    assert_eq!(Validator::new().validate(&mut object).coverage, Coverage::Unknown);
}

#[test]
fn a_deprecated_version_carries_the_warning_of_the_api_server() {
    let mut object = json!({
        "apiVersion": "gateway.networking.k8s.io/v1alpha2", "kind": "TCPRoute",
        "metadata": {"name": "r"}, "spec": {"rules": [{"backendRefs": [{"name": "b", "port": 1}]}]}});
    let verdict = Validator::new().validate(&mut object);
    assert_eq!(verdict.warnings[0].kind, ViolationKind::Deprecated);
    assert!(verdict.warnings[0].message.contains("Please upgrade to v1."), "{verdict:?}");
}

#[test]
fn kubernetes_own_kinds_pass_as_they_are_written_and_their_slips_are_named() {
    let mut service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
                 "type": "LoadBalancer", "trafficDistribution": "PreferClose"},
        "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1", "ipMode": "VIP"}]}}});
    let verdict = Validator::new().validate(&mut service);
    assert!(verdict.is_admitted() && verdict.warnings.is_empty(), "{verdict:?}");
    assert_eq!(service["spec"]["ports"][0]["protocol"], "TCP");
    service["spec"]["ports"][0]["targetport"] = json!(1);
    service["spec"]["ports"][0]["port"] = json!("80");
    let verdict = Validator::new().validate(&mut service);
    assert_eq!(verdict.warnings[0].hint.as_deref(), Some("targetPort"));
    assert_eq!(verdict.errors[0].kind, ViolationKind::TypeInvalid);
    let mut slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": true, "serving": null},
                       "hints": {"forZones": [{"name": "a"}]}, "zone": "a"}],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]});
    let verdict = Validator::new().validate(&mut slice);
    assert!(verdict.is_admitted() && verdict.warnings.is_empty(), "{verdict:?}");
}

#[test]
fn an_object_with_very_many_errors_reports_a_bounded_number() {
    let mut object = route();
    object["spec"]["hostnames"] = json!(vec![1; 10_000]);
    let verdict = Validator::new().validate(&mut object);
    assert!(verdict.truncated);
    assert_eq!(verdict.errors.len(), VIOLATIONS_MAX);
}

#[test]
fn values_that_are_no_object_at_all_are_judged_without_a_panic() {
    for value in [json!(null), json!([]), json!("x"), json!({"kind": 1, "apiVersion": []})] {
        assert_eq!(Validator::new().validate(&mut value.clone()).coverage, Coverage::Unknown);
    }
    let mut object = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": 1, "spec": []});
    assert!(!Validator::new().validate(&mut object).is_admitted());
}
