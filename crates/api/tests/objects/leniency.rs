//! One bad field never costs the object, and never moves its neighbours.

use api::*;
use serde_json::{Value, json};

fn http_route(spec: Value) -> (std::sync::Arc<HttpRoute>, Vec<(String, String)>) {
    let decoded = Object::decode(&json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "r", "namespace": "apps"},
        "spec": spec,
    }));
    let Object::HttpRoute(route) = decoded.object else { panic!("not an HTTPRoute") };
    (route, decoded.issues.into_iter().map(|issue| (issue.path, issue.message)).collect())
}

fn issue(path: &str, message: &str) -> (String, String) {
    (path.to_owned(), message.to_owned())
}

#[test]
fn a_field_of_the_wrong_type_is_absent_and_named() {
    let (route, issues) = http_route(json!({
        "hostnames": "a.example.com",
        "rules": [{"name": 5, "timeouts": {"request": 10}, "backendRefs": [{"name": "a", "port": "80"}]}],
    }));
    assert_eq!(
        issues,
        [
            issue("spec.hostnames", "expected list, found string"),
            issue("spec.rules[0].name", "expected string, found number"),
            issue("spec.rules[0].backendRefs[0].port", "expected integer, found string"),
            issue("spec.rules[0].timeouts.request", "expected string, found number"),
        ]
    );
    assert_eq!(&*route.spec.rules[0].backend_refs[0].backend.object.name, "a");
    assert_eq!(route.spec.rules[0].backend_refs[0].backend.object.port, None);
}

#[test]
fn an_unusable_element_keeps_its_place_in_the_list() {
    let (route, issues) = http_route(json!({
        "rules": [{"name": "first"}, "oops", null, {"name": "last"}],
    }));
    assert_eq!(
        issues,
        [
            issue("spec.rules[1]", "expected object, found string"),
            issue("spec.rules[2]", "expected object, found null"),
        ]
    );
    assert_eq!(route.spec.rules.len(), 4);
    assert_eq!(route.spec.rules[3].name.as_deref(), Some("last"));
}

#[test]
fn numbers_out_of_range_and_fractions_are_refused() {
    let (_, issues) = http_route(json!({
        "rules": [{"backendRefs": [
            {"name": "a", "port": 65536}, {"name": "b", "weight": -1}, {"name": "c", "weight": 1.5},
        ]}],
    }));
    let refs = "spec.rules[0].backendRefs";
    assert_eq!(
        issues,
        [
            issue(&format!("{refs}[0].port"), "65536 is not between 0 and 65535"),
            issue(&format!("{refs}[1].weight"), "-1 is not between 0 and 4294967295"),
            issue(&format!("{refs}[2].weight"), "expected integer, found a fraction"),
        ]
    );
}

#[test]
fn missing_required_fields_are_named_and_null_counts_as_missing() {
    let (_, issues) =
        http_route(json!({"rules": [{"backendRefs": [{"name": null, "port": null}]}]}));
    assert_eq!(issues, [issue("spec.rules[0].backendRefs[0].name", "required field is missing")]);
}

#[test]
fn unknown_enum_values_are_kept() {
    let (route, issues) = http_route(json!({
        "rules": [{"matches": [{"path": {"type": "Glob", "value": "/*"}}], "filters": [{"type": "Turbo"}]}],
    }));
    assert_eq!(issues, []);
    let rule = &route.spec.rules[0];
    assert_eq!(rule.matches[0].path.as_ref().unwrap().r#type().as_str(), "Glob");
    assert_eq!(rule.filters[0].r#type, FilterType::Other("Turbo".into()));
    let written = Object::HttpRoute(route.clone()).to_value();
    assert_eq!(written.pointer("/spec/rules/0/filters/0/type"), Some(&json!("Turbo")));
}

#[test]
fn an_object_of_another_type_altogether_still_has_an_outcome() {
    for value in [json!(null), json!([]), json!("text"), json!({}), json!({"kind": 5})] {
        let decoded = Object::decode(&value);
        assert!(matches!(decoded.object, Object::Other(_)));
    }
    let decoded = Object::decode(&json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": "x", "spec": 3,
    }));
    let paths: Vec<_> = decoded.issues.iter().map(|issue| issue.path.as_str()).collect();
    assert_eq!(paths, ["metadata", "spec"]);
}

#[test]
fn unknown_kinds_keep_what_was_written() {
    let value = json!({
        "apiVersion": "example.com/v2", "kind": "Widget",
        "metadata": {"name": "w", "namespace": "n"}, "spec": {"size": 1},
    });
    let object = Object::decode(&value).object;
    assert_eq!((object.group(), object.kind()), ("example.com", "Widget"));
    assert_eq!(object.name(), ObjectName::new("n", "w"));
    assert_eq!(object.to_value(), value);
}

#[test]
fn issues_are_bounded() {
    let rules: Vec<_> = (0..1000).collect();
    let (route, issues) = http_route(json!({"rules": rules}));
    assert_eq!(route.spec.rules.len(), 1000);
    assert_eq!(issues.len(), api::limits::ISSUES_MAX + 1);
}

#[test]
fn issues_know_the_fields_they_are_under() {
    let issue =
        DecodeIssue { path: "spec.rules[1].matches[0].path".to_owned(), message: String::new() };
    assert!(issue.is_under(""));
    assert!(issue.is_under("spec.rules[1]"));
    assert!(issue.is_under("spec.rules"));
    assert!(issue.is_under("spec.rules[1].matches[0].path"));
    assert!(!issue.is_under("spec.rules[1].mat"));
    assert!(!issue.is_under("spec.rules[10]"));
}

#[test]
fn secrets_are_never_shown() {
    let decoded = Object::decode(&json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"},
        "type": "kubernetes.io/tls",
        "data": {"tls.key": "aHVudGVy\nMg==", "bad": "%%%", "both": "b2xk"},
        "stringData": {"both": "hunter2"},
    }));
    assert_eq!(decoded.issues.len(), 1);
    assert_eq!(decoded.issues[0].path, "data[bad]");
    let shown = format!("{decoded:?}{}", decoded.object.to_value());
    assert!(!shown.contains("hunter2") && !shown.contains("%%%") && !shown.contains("aHVudGVy"));
    let Object::Secret(secret) = decoded.object else { panic!("not a Secret") };
    assert_eq!(secret.r#type(), "kubernetes.io/tls");
    assert_eq!(secret.value("tls.key"), Some(&b"hunter2"[..]));
    assert_eq!(secret.value("both"), Some(&b"hunter2"[..]));
    assert_eq!(secret.value("bad"), None);
}
