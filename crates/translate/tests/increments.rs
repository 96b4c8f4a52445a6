//! An updated translation is the translation: whatever was edited before, in whatever order.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod common;

use api::ObjectName;
use proptest::prelude::*;
use translate::{AddressPool, Capabilities, Settings, Snapshot, Translator, translate};

/// Variants of a few objects that refer to each other; an edit puts one in or takes it out.
fn variants() -> Vec<Vec<String>> {
    let gateway = |name: &str, listeners: &str, more: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{ name: {name} }}\n\
             spec:\n  gatewayClassName: portcullis\n  {more}\n  listeners: {listeners}\n"
        )
    };
    let route = |kind: &str, name: &str, namespace: &str, spec: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\n\
             metadata: {{ name: {name}, namespace: {namespace} }}\nspec: {spec}\n"
        )
    };
    let service = |name: &str, namespace: &str, ports: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{ name: {name}, namespace: {namespace} }}\n\
             spec: {{ ports: {ports} }}\n"
        )
    };
    let http = "{ name: http, port: 80, protocol: HTTP }";
    let open =
        "{ name: http, port: 80, protocol: HTTP, allowedRoutes: { namespaces: { from: All } } }";
    let chosen = "{ name: http, port: 80, protocol: HTTP, allowedRoutes: { namespaces: { from: Selector, selector: { matchLabels: { team: a } } } } }";
    let to = |backend: &str| {
        format!(
            "{{ parentRefs: [{{ name: web, namespace: default }}], rules: [{{ backendRefs: [{backend}] }}] }}"
        )
    };
    vec![
        vec![
            "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: { name: portcullis }\nspec: { controllerName: portcullis.dev/gateway-controller }\n".into(),
            "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: { name: portcullis }\nspec: { controllerName: example.com/other }\n".into(),
        ],
        vec![
            gateway("web", &format!("[{http}]"), ""),
            gateway("web", &format!("[{open}]"), "allowedListeners: { namespaces: { from: All } }"),
            gateway("web", &format!("[{chosen}, {{ name: b, port: 81, protocol: TCP }}]"), ""),
            gateway("web", "[{ name: http, port: 80, protocol: HTTP, hostname: a.example.com }, { name: two, port: 80, protocol: HTTP, hostname: a.example.com }]", ""),
        ],
        vec![gateway("second", &format!("[{http}]"), ""), gateway("second", "[{ name: t, port: 81, protocol: TCP }]", "")],
        vec![
            route("HTTPRoute", "one", "default", &to("{ name: app, port: 80 }")),
            route("HTTPRoute", "one", "default", "{ parentRefs: [{ name: web, sectionName: two }, { kind: ListenerSet, name: set }], hostnames: [a.example.com], rules: [{ backendRefs: [{ name: app, port: 81 }] }] }"),
            route("HTTPRoute", "one", "default", &to("{ name: app, namespace: other, port: 80, weight: 3 }, { name: app, port: 80 }")),
        ],
        vec![
            route("HTTPRoute", "two", "other", &to("{ name: app, port: 80 }")),
            route("HTTPRoute", "two", "other", "{ parentRefs: [{ name: web, namespace: default }], rules: [{ filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: app, namespace: default, port: 80 } } }], backendRefs: [] }] }"),
        ],
        vec![route("TCPRoute", "tcp", "default", "{ parentRefs: [{ name: web }, { name: second }], rules: [{ backendRefs: [{ name: app, port: 80 }] }] }")],
        vec![route("TCPRoute", "tcp-late", "default", "{ parentRefs: [{ name: second }], rules: [{ backendRefs: [{ name: app, port: 80 }] }] }")],
        vec![service("app", "default", "[{ port: 80 }]"), service("app", "default", "[{ port: 81, appProtocol: https }, { port: 80, appProtocol: kubernetes.io/h2c }]")],
        vec![service("app", "other", "[{ port: 80 }]")],
        vec![
            route("ReferenceGrant", "grant", "other", "{ from: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default }], to: [{ group: '', kind: Service }] }"),
            route("ReferenceGrant", "grant", "other", "{ from: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default }], to: [{ group: '', kind: Service, name: another }] }"),
        ],
        vec!["apiVersion: v1\nkind: Namespace\nmetadata: { name: other, labels: { team: a } }\n".into(), "apiVersion: v1\nkind: Namespace\nmetadata: { name: other }\n".into()],
        vec![route("ListenerSet", "set", "default", "{ parentRef: { name: web }, listeners: [{ name: more, port: 82, protocol: HTTP }] }")],
        vec![route("BackendTLSPolicy", "secure", "default", "{ targetRefs: [{ group: '', kind: Service, name: app }], validation: { hostname: a.b, wellKnownCACertificates: System } }")],
    ]
}

#[derive(Clone, Debug)]
struct Edit {
    object: usize,
    variant: Option<usize>,
    settings: usize,
}

fn settings(choice: usize) -> Settings {
    let pool = AddressPool::Network("127.0.0.0/28".parse().unwrap());
    match choice % 8 {
        0 => Settings { capabilities: Capabilities::ALL, ..Settings::default() },
        1 => Settings { addresses: vec![pool], ..Settings::default() },
        2 => Settings { port_offset: 8000, ..Settings::default() },
        _ => Settings::default(),
    }
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = (0..variants().len(), prop::option::weighted(0.8, 0..4_usize), 0..8_usize)
        .prop_map(|(object, variant, settings)| Edit { object, variant, settings });
    prop::collection::vec(edit, 1..24)
}

fn apply(snapshot: &mut Snapshot, pool: &[Vec<api::Object>], edit: &Edit) {
    let Some(variants) = pool.get(edit.object) else { return };
    match edit.variant {
        Some(choice) => snapshot.insert(&variants[choice % variants.len()], &[]),
        None => {
            let object = &variants[0];
            snapshot.remove(object.group(), object.kind(), &object.name());
        }
    }
}

fn pool() -> Vec<Vec<api::Object>> {
    let read = |text: &String| common::objects(text).remove(0).object;
    variants().iter().map(|variants| variants.iter().map(read).collect()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_edits_translates_as_its_last_snapshot(edits in edits()) {
        let pool = pool();
        let mut snapshot = Snapshot::default();
        for variants in &pool {
            snapshot.insert(&variants[0], &[]);
        }
        let mut translator = Translator::default();
        for edit in &edits {
            apply(&mut snapshot, &pool, edit);
            let settings = settings(edit.settings);
            let updated = translator.update(&snapshot, &settings);
            let full = translate(&snapshot, &settings);
            prop_assert_eq!(ir::dump(&updated.ir), ir::dump(&full.ir));
            prop_assert_eq!(updated, full);
        }
    }
}

fn full_snapshot() -> Snapshot {
    let mut snapshot = Snapshot::default();
    for variants in pool() {
        snapshot.insert(&variants[0], &[]);
    }
    snapshot
}

#[test]
fn an_edit_lowers_only_the_routes_it_concerns() {
    let settings = Settings::default();
    let mut snapshot = full_snapshot();
    let mut translator = Translator::default();
    translator.update(&snapshot, &settings);
    assert_eq!(translator.lowered_routes(), 4);
    translator.update(&snapshot, &settings);
    assert_eq!(translator.lowered_routes(), 0);
    // A route: itself.
    let pool = pool();
    snapshot.insert(&pool[3][2], &[]);
    translator.update(&snapshot, &settings);
    assert_eq!(translator.lowered_routes(), 1);
    // A grant that a route needs: that route.
    snapshot.remove(
        "gateway.networking.k8s.io",
        "ReferenceGrant",
        &ObjectName::new("other", "grant"),
    );
    translator.update(&snapshot, &settings);
    assert_eq!(translator.lowered_routes(), 1);
    // Labels of a Gateway that no route looks at: none.
    let gateway = snapshot.gateways.get(&ObjectName::new("default", "web")).unwrap();
    let mut gateway = (**gateway).clone();
    gateway.metadata.labels.insert("a".into(), "b".into());
    snapshot.insert(&gateway.into(), &[]);
    translator.update(&snapshot, &settings);
    assert_eq!(translator.lowered_routes(), 0);
}

#[test]
fn an_unchanged_route_keeps_its_entity() {
    let settings = settings(1);
    let mut snapshot = full_snapshot();
    let mut translator = Translator::default();
    let first = translator.update(&snapshot, &settings);
    snapshot.insert(&pool()[4][1], &[]);
    let second = translator.update(&snapshot, &settings);
    let name = ir::ObjectRef::new("gateway.networking.k8s.io", "HTTPRoute", "default", "one");
    let entity =
        |translation: &translate::Translation| translation.ir.http_routes.get(&name).cloned();
    let (Some(before), Some(after)) = (entity(&first), entity(&second)) else {
        panic!("the route must be served");
    };
    assert!(std::sync::Arc::ptr_eq(&before, &after));
}
