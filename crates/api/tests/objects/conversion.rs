//! Old versions and shapes are read in the newest one, and say so.

use api::*;
use serde_json::{Value, json};

fn object(api_version: &str, kind: &str, spec: Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "namespace": "n"}, "spec": spec})
}

fn moves(conversion: &Conversion) -> Vec<(&str, Option<&str>)> {
    conversion.notes.iter().map(|note| (note.path.as_str(), note.moved_to.as_deref())).collect()
}

#[test]
fn every_old_version_of_a_gateway_api_kind_is_read() {
    for info in KINDS.iter().filter(|info| is_gateway_group(info.group)) {
        for version in info.versions {
            let written = format!("{}/{}", info.group, version.name);
            let decoded = Object::decode(&object(&written, info.kind, json!({})));
            assert!(!matches!(decoded.object, Object::Other(_)), "{written} {}", info.kind);
            let newest = version.name == info.versions[0].name && info.replaced_by.is_none();
            assert_eq!(decoded.conversion.is_none(), newest, "{written} {}", info.kind);
        }
    }
}

#[test]
fn a_converted_object_names_both_versions() {
    let written =
        object("gateway.networking.k8s.io/v1alpha2", "GRPCRoute", json!({"hostnames": ["a.b"]}));
    let decoded = Object::decode(&written);
    let conversion = decoded.conversion.unwrap();
    assert_eq!(&*conversion.from_api_version, "gateway.networking.k8s.io/v1alpha2");
    assert_eq!(&*conversion.to_api_version, "gateway.networking.k8s.io/v1");
    assert_eq!(conversion.notes, []);
    let Object::GrpcRoute(route) = decoded.object else { panic!("not a GRPCRoute") };
    assert_eq!(&*route.hostnames()[0], "a.b");
}

#[test]
fn a_version_that_never_existed_is_not_guessed_at_but_its_shape_is_read() {
    let decoded = Object::decode(&object(
        "gateway.networking.k8s.io/v9",
        "Gateway",
        json!({"gatewayClassName": "c"}),
    ));
    assert_eq!(decoded.conversion, None);
    assert!(matches!(decoded.object, Object::Gateway(_)));
}

#[test]
fn the_first_backend_tls_policy_is_read_as_v1() {
    let decoded = Object::decode(&object(
        "gateway.networking.k8s.io/v1alpha2",
        "BackendTLSPolicy",
        json!({
            "targetRef": {"group": "", "kind": "Service", "name": "s", "namespace": "n", "sectionName": "p"},
            "tls": {
                "caCertRefs": [{"group": "", "kind": "ConfigMap", "name": "ca"}],
                "wellKnownCACerts": "System",
                "hostname": "s.example.com",
            },
        }),
    ));
    assert_eq!(decoded.issues, []);
    assert_eq!(
        moves(&decoded.conversion.unwrap()),
        [
            ("spec.targetRef", Some("spec.targetRefs[0]")),
            ("spec.targetRef.namespace", None),
            ("spec.tls", Some("spec.validation")),
            ("spec.tls.caCertRefs", Some("spec.validation.caCertificateRefs")),
            ("spec.tls.wellKnownCACerts", Some("spec.validation.wellKnownCACertificates")),
        ]
    );
    let Object::BackendTlsPolicy(policy) = decoded.object else { panic!("not a BackendTLSPolicy") };
    assert_eq!(&*policy.spec.target_refs[0].name, "s");
    assert_eq!(policy.spec.target_refs[0].section_name.as_deref(), Some("p"));
    let validation = &policy.spec.validation;
    assert_eq!(&*validation.ca_certificate_refs[0].name, "ca");
    assert_eq!(validation.well_known(), Some(&WellKnownCaCertificates::System));
    assert_eq!(&*validation.hostname, "s.example.com");
}

#[test]
fn old_session_persistence_is_read_in_the_new_shape() {
    let rules = json!({"rules": [
        {"sessionPersistence": {"sessionName": "sid", "idleTimeout": "5m", "absoluteTimeout": "1h",
                                "cookieConfig": {"lifetimeType": "Permanent"}}},
        {"sessionPersistence": {"sessionName": "x-sid", "type": "Header"}},
        {"sessionPersistence": {"cookie": {"name": "new"}}},
    ]});
    let decoded = Object::decode(&object("gateway.networking.k8s.io/v1", "HTTPRoute", rules));
    assert_eq!(decoded.issues, []);
    assert_eq!(
        moves(&decoded.conversion.unwrap()),
        [
            ("spec.rules[0].sessionPersistence.idleTimeout", None),
            (
                "spec.rules[0].sessionPersistence.cookieConfig",
                Some("spec.rules[0].sessionPersistence.cookie")
            ),
            (
                "spec.rules[0].sessionPersistence.sessionName",
                Some("spec.rules[0].sessionPersistence.cookie.name")
            ),
            (
                "spec.rules[1].sessionPersistence.sessionName",
                Some("spec.rules[1].sessionPersistence.header.name")
            ),
        ]
    );
    let Object::HttpRoute(route) = decoded.object else { panic!("not an HTTPRoute") };
    let persistence = |index: usize| route.spec.rules[index].session_persistence.clone().unwrap();
    let cookie = persistence(0).cookie.unwrap();
    assert_eq!(cookie.name.as_deref(), Some("sid"));
    assert_eq!(cookie.lifetime_type(), CookieLifetimeType::Permanent);
    assert_eq!(persistence(1).r#type(), SessionPersistenceType::Header);
    assert_eq!(&*persistence(1).header.unwrap().name, "x-sid");
    assert_eq!(persistence(2).cookie.unwrap().name.as_deref(), Some("new"));
}

#[test]
fn objects_in_the_newest_shape_are_not_copied() {
    let value = object("gateway.networking.k8s.io/v1", "HTTPRoute", json!({"rules": [{}]}));
    let (newest, conversion) = api::conversion::to_newest(&value);
    assert!(matches!(newest, std::borrow::Cow::Borrowed(_)));
    assert_eq!(conversion, None);
}

#[test]
fn retired_kinds_are_read_as_their_successors() {
    let decoded = Object::decode(&json!({
        "apiVersion": "gateway.networking.x-k8s.io/v1alpha1", "kind": "XListenerSet",
        "metadata": {"name": "x", "namespace": "n"},
        "spec": {"parentRef": {"name": "g"}, "listeners": [{"name": "l", "port": 80, "protocol": "HTTP"}]},
        "status": {"listeners": [{"name": "l", "port": 80, "attachedRoutes": 0}]},
    }));
    assert_eq!(decoded.issues, []);
    let conversion = decoded.conversion.unwrap();
    assert_eq!((&*conversion.from_kind, &*conversion.to_kind), ("XListenerSet", "ListenerSet"));
    assert_eq!(moves(&conversion), [("status.listeners[0].port", None)]);
    assert_eq!(decoded.object.kind(), "ListenerSet");
    assert_eq!(decoded.object.group(), "gateway.networking.k8s.io");

    let policy = object(
        "gateway.networking.k8s.io/v1alpha2",
        "BackendLBPolicy",
        json!({"targetRefs": [{"group": "", "kind": "Service", "name": "s"}], "sessionPersistence": {"sessionName": "sid"}}),
    );
    let Object::XBackendTrafficPolicy(policy) = Object::decode(&policy).object else {
        panic!("not read")
    };
    let persistence = policy.spec.session_persistence.clone().unwrap();
    assert_eq!(persistence.cookie.unwrap().name.as_deref(), Some("sid"));
}

#[test]
fn an_old_session_by_cookie_needs_no_name() {
    for written in [json!({"type": "Cookie"}), json!({}), json!({"absoluteTimeout": "1h"})] {
        let policy = object(
            "gateway.networking.k8s.io/v1alpha2",
            "BackendLBPolicy",
            json!({"targetRef": {"group": "", "kind": "Service", "name": "s"}, "sessionPersistence": written}),
        );
        let (newest, _) = api::conversion::to_newest(&policy);
        assert_eq!(newest["spec"]["sessionPersistence"]["cookie"], json!({}), "{written}");
        let verdict = api::schema::Validator::new().validate(&mut newest.into_owned());
        assert!(verdict.is_admitted(), "{written}");
    }
    let idle = json!({"rules": [{"sessionPersistence": {"type": "Cookie", "idleTimeout": "5m"}}]});
    let route = object("gateway.networking.k8s.io/v1", "HTTPRoute", idle);
    let (newest, _) = api::conversion::to_newest(&route);
    assert_eq!(newest["spec"]["rules"][0]["sessionPersistence"]["cookie"], json!({}));
}

#[test]
fn a_new_session_without_its_member_is_not_mended() {
    let rules = json!({"rules": [{"sessionPersistence": {"type": "Cookie"}}]});
    let route = object("gateway.networking.k8s.io/v1", "HTTPRoute", rules);
    let (newest, _) = api::conversion::to_newest(&route);
    assert_eq!(newest["spec"]["rules"][0]["sessionPersistence"], json!({"type": "Cookie"}));
}

#[test]
fn the_old_x_backend_reports_per_ancestor() {
    let decoded = Object::decode(&json!({
        "apiVersion": "gateway.networking.x-k8s.io/v1alpha1", "kind": "XBackend",
        "metadata": {"name": "x", "namespace": "n"},
        "spec": {"type": "ExternalHostname", "port": {"port": 443, "name": "https"}},
        "status": {"parents": [{"parentRef": {"name": "g"}, "controllerName": "a/b"}]},
    }));
    assert_eq!(decoded.issues, []);
    let Object::XBackend(backend) = decoded.object else { panic!("not an XBackend") };
    assert_eq!(backend.spec.port.number, 443);
    assert_eq!(&*backend.status.as_ref().unwrap().ancestors[0].ancestor_ref.name, "g");
}

#[test]
fn supported_features_are_read_as_objects_and_as_plain_names() {
    let decoded = Object::decode(&json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "c"},
        "spec": {"controllerName": "a/b"},
        "status": {"supportedFeatures": ["Old", {"name": "New"}, 5]},
    }));
    assert_eq!(decoded.issues.len(), 1);
    let Object::GatewayClass(class) = decoded.object else { panic!("not a GatewayClass") };
    let names: Vec<_> =
        class.status.as_ref().unwrap().supported_features.iter().map(|f| &*f.name).collect();
    assert_eq!(names, ["Old", "New", ""]);
}
