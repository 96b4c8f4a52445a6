//! Every kind with every field set: what is read is written again.

use api::shape::Shape;
use api::*;
use serde_json::{Map, Value, json};

/// A value with every field of the shape set.
fn full(shape: &Shape, name: &str) -> Value {
    match shape {
        Shape::Any => json!({ "some": "value" }),
        Shape::Boolean => json!(true),
        Shape::Integer => json!(7),
        Shape::IntegerOrString => json!("http"),
        Shape::List(element) => json!([full(element, name), full(element, name)]),
        Shape::Map(value) => json!({ "some.domain/key": full(value, name) }),
        Shape::Object(fields) => {
            let entry = |(name, shape): &(&str, Shape)| ((*name).to_owned(), full(shape, name));
            Value::Object(fields.iter().map(entry).collect::<Map<_, _>>())
        }
        Shape::String if name.ends_with("Timestamp") || name.ends_with("Time") => {
            json!("2026-10-29T08:00:00Z")
        }
        // Valid as base64, too.
        Shape::String => json!("text"),
    }
}

/// The object with every field set, as Kubernetes would send it.
fn full_object<T: Resource>() -> Value {
    let mut object = Map::new();
    let api_version = if T::GROUP.is_empty() {
        T::VERSION.to_owned()
    } else {
        format!("{}/{}", T::GROUP, T::VERSION)
    };
    object.insert("apiVersion".to_owned(), json!(api_version));
    object.insert("kind".to_owned(), json!(T::KIND));
    if let Value::Object(fields) = full(&T::shape(), "") {
        object.extend(fields);
    }
    Value::Object(object)
}

fn assert_written_as_read<T: Resource>() {
    let written = full_object::<T>();
    let decoded = Object::decode(&written);
    assert_eq!(decoded.issues, [], "{}", T::KIND);
    assert_eq!(decoded.conversion, None, "{}", T::KIND);
    assert_eq!(decoded.object.kind(), T::KIND);
    assert_eq!(decoded.object.group(), T::GROUP);
    assert_eq!(decoded.object.to_value(), written, "{}", T::KIND);
}

#[test]
fn every_field_of_every_kind_is_written_as_it_was_read() {
    assert_written_as_read::<GatewayClass>();
    assert_written_as_read::<Gateway>();
    assert_written_as_read::<GatewayParameters>();
    assert_written_as_read::<EnvoyProxy>();
    assert_written_as_read::<HttpRoute>();
    assert_written_as_read::<GrpcRoute>();
    assert_written_as_read::<TlsRoute>();
    assert_written_as_read::<TcpRoute>();
    assert_written_as_read::<UdpRoute>();
    assert_written_as_read::<ListenerSet>();
    assert_written_as_read::<BackendTlsPolicy>();
    assert_written_as_read::<ReferenceGrant>();
    assert_written_as_read::<XBackend>();
    assert_written_as_read::<XBackendTrafficPolicy>();
    assert_written_as_read::<XMesh>();
    assert_written_as_read::<XTelemetryPolicy>();
    assert_written_as_read::<Namespace>();
    assert_written_as_read::<Service>();
    assert_written_as_read::<EndpointSlice>();
    assert_written_as_read::<Endpoints>();
    assert_written_as_read::<ConfigMap>();
    assert_written_as_read::<ClusterTrustBundle>();
}

/// The field path of a place in `value`, and the place itself as a JSON pointer, for every place
/// below `value` (the first element of each list).
fn places(value: &Value, path: &str, pointer: &str, found: &mut Vec<(String, String)>) {
    if let Some(map) = value.as_object() {
        for (name, value) in map {
            let path = match (path.is_empty(), name.contains('/')) {
                (true, _) => name.clone(),
                (false, true) => format!("{path}[{name}]"),
                (false, false) => format!("{path}.{name}"),
            };
            let pointer = format!("{pointer}/{}", name.replace('/', "~1"));
            places(value, &path, &pointer, found);
            found.push((path, pointer));
        }
    } else if let Some(first) = value.as_array().and_then(|elements| elements.first()) {
        let (path, pointer) = (format!("{path}[0]"), format!("{pointer}/0"));
        places(first, &path, &pointer, found);
        found.push((path, pointer));
    }
}

#[test]
fn a_wrong_type_in_any_field_is_reported_there_and_nowhere_else() {
    fn check<T: Resource>() {
        let good = full_object::<T>();
        let mut found = Vec::new();
        places(&good, "", "", &mut found);
        for (path, pointer) in found {
            if path == "apiVersion" || path == "kind" {
                continue;
            }
            let mut bad = good.clone();
            // No field of any kind takes a fraction.
            *bad.pointer_mut(&pointer).unwrap() = json!(1.5);
            let decoded = Object::decode(&bad);
            let issues: Vec<_> = decoded.issues.iter().map(|issue| &issue.path).collect();
            assert_eq!(issues, [&path], "{}", T::KIND);
            assert_eq!(decoded.issues_under("metadata").count() == 1, path.starts_with("metadata"));
        }
    }
    check::<Gateway>();
    check::<ListenerSet>();
    check::<HttpRoute>();
    check::<GrpcRoute>();
    check::<TlsRoute>();
    check::<BackendTlsPolicy>();
    check::<XBackend>();
    check::<XBackendTrafficPolicy>();
    check::<XTelemetryPolicy>();
    check::<GatewayClass>();
    check::<ReferenceGrant>();
    check::<Service>();
    check::<EndpointSlice>();
    check::<Endpoints>();
    check::<Secret>();
    check::<ConfigMap>();
}

#[test]
fn an_object_without_any_field_reads_as_empty_and_says_what_is_missing() {
    let decoded =
        Object::decode(&json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway"}));
    let paths: Vec<_> = decoded.issues.iter().map(|issue| issue.path.as_str()).collect();
    assert_eq!(paths, ["metadata", "spec"]);
    assert_eq!(decoded.object.name().to_string(), "");
}

#[test]
fn a_gateway_reads_as_written() {
    let decoded = Object::decode(&json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {
            "name": "web", "namespace": "infra", "generation": 3,
            "creationTimestamp": "2026-01-02T03:04:05Z",
            "managedFields": [{"manager": "kubectl"}],
        },
        "spec": {
            "gatewayClassName": "portcullis",
            "listeners": [{
                "name": "https", "port": 443, "protocol": "HTTPS", "hostname": "*.example.com",
                "tls": {"certificateRefs": [{"name": "cert", "namespace": "certs"}]},
                "allowedRoutes": {"namespaces": {"from": "All"}, "kinds": [{"kind": "HTTPRoute"}]},
            }],
            "tls": {"frontend": {
                "default": {"validation": {"caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "ca"}]}},
                "perPort": [{"port": 8443, "tls": {}}],
            }},
        },
    }));
    assert_eq!(decoded.issues, []);
    let Object::Gateway(gateway) = decoded.object else { panic!("not a Gateway") };
    assert_eq!(gateway.metadata.object_name(), ObjectName::new("infra", "web"));
    assert_eq!(gateway.metadata.generation(), 3);
    let listener = &gateway.spec.listeners[0];
    assert_eq!((listener.port, &listener.protocol), (443, &ProtocolType::Https));
    assert_eq!(listener.routes_from(), FromNamespaces::All);
    assert_eq!(listener.allowed_kinds()[0].group(), "gateway.networking.k8s.io");
    let tls = listener.tls.as_ref().unwrap();
    assert_eq!(tls.mode(), TlsMode::Terminate);
    assert_eq!(tls.certificate_refs[0].object_name("infra"), ObjectName::new("certs", "cert"));
    assert_eq!(tls.certificate_refs[0].kind(), "Secret");
    assert_eq!(gateway.spec.allowed_listeners_from(), FromNamespaces::None);
    let validation = gateway.spec.frontend_validation(443).unwrap();
    assert_eq!(validation.mode(), FrontendValidationMode::AllowValidOnly);
    assert!(
        gateway.spec.frontend_validation(8443).is_none(),
        "an empty entry replaces the default"
    );
}

#[test]
fn references_apply_documented_defaults() {
    let decoded = Object::decode(&json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "r", "namespace": "apps"},
        "spec": {
            "parentRefs": [{"name": "web"}, {"name": "svc", "group": "", "kind": "Service"}],
            "rules": [{"matches": [{"path": {}, "headers": [{"name": "a", "value": "b"}]}],
                       "backendRefs": [{"name": "app", "port": 80}, {"name": "b", "weight": 0}]}],
        },
    }));
    let Object::HttpRoute(route) = decoded.object else { panic!("not an HTTPRoute") };
    let [gateway, service] = route.parent_refs() else { panic!("two parents") };
    assert_eq!((gateway.group(), gateway.kind()), ("gateway.networking.k8s.io", "Gateway"));
    assert_eq!(gateway.object_name("apps"), ObjectName::new("apps", "web"));
    assert_eq!((service.group(), service.kind()), ("", "Service"));
    let rule = &route.spec.rules[0];
    let path = rule.matches[0].path.as_ref().unwrap();
    assert_eq!((path.r#type(), path.value()), (PathMatchType::PathPrefix, "/"));
    assert_eq!(rule.matches[0].headers[0].r#type(), StringMatchType::Exact);
    let backend = &rule.backend_refs[0].backend;
    assert_eq!((backend.object.group(), backend.object.kind()), ("", "Service"));
    assert_eq!(backend.weight(), 1);
    assert_eq!(rule.backend_refs[1].backend.weight(), 0);
}

#[test]
fn statuses_are_written_in_the_form_of_kubernetes() {
    let condition = Condition {
        r#type: "Accepted".into(),
        status: ConditionStatus::True,
        observed_generation: Some(2),
        last_transition_time: Some(Timestamp::from_unix(0)),
        reason: "Accepted".into(),
        message: "".into(),
    };
    let status = GatewayStatus {
        listeners: vec![ListenerStatus { name: "http".into(), ..ListenerStatus::default() }],
        conditions: vec![condition],
        ..GatewayStatus::default()
    };
    assert_eq!(
        serde_json::to_value(status).unwrap(),
        json!({
            "conditions": [{
                "type": "Accepted", "status": "True", "observedGeneration": 2,
                "lastTransitionTime": "1970-01-01T00:00:00Z", "reason": "Accepted", "message": "",
            }],
            "listeners": [
                {"name": "http", "supportedKinds": [], "attachedRoutes": 0, "conditions": []},
            ],
        })
    );
    assert_eq!(serde_json::to_value(RouteStatus::default()).unwrap(), json!({"parents": []}));
    assert_eq!(serde_json::to_value(PolicyStatus::default()).unwrap(), json!({"ancestors": []}));
}
