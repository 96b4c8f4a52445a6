//! From texts to objects: what is taken, refused, kept and said.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may end by a panic")]

use source::{Contents, Load, ObjectState, Settings, SourceIssue, Store};
use translate::{Code, ObjectRef, Severity};

const GROUP: &str = "gateway.networking.k8s.io";

fn route(name: &str, port: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: {name}\n\
         spec:\n  parentRefs:\n  - name: gw\n  rules:\n  - backendRefs:\n    - name: cart\n      \
         port: {port}\n"
    )
}

fn http_route(name: &str) -> ObjectRef {
    ObjectRef::new(GROUP, "HTTPRoute", "default", name)
}

fn load(store: &mut Store, texts: &[(&str, &str)]) -> Load {
    store.load(Contents::from_texts(texts.iter().copied()))
}

fn fresh(texts: &[(&str, &str)]) -> (Store, Load) {
    let mut store = Store::new(Settings::default());
    let load = load(&mut store, texts);
    (store, load)
}

fn codes(issues: &[SourceIssue]) -> Vec<Code> {
    issues.iter().map(|issue| issue.code).collect()
}

fn generation(store: &Store, object: &ObjectRef) -> Option<i64> {
    store.object(object).and_then(|object| object.meta().generation)
}

#[test]
fn a_valid_object_is_served_with_defaults_in_namespace_default() {
    let (store, load) = fresh(&[("a.yaml", &route("shop", "8080"))]);
    assert_eq!(load.issues, []);
    assert!(load.changed);
    let snapshot = store.snapshot();
    let (name, route) = snapshot.http_routes.first_key_value().expect("the route");
    assert_eq!(name.to_string(), "default/shop");
    assert_eq!(route.metadata.generation, Some(1));
    assert_eq!(route.metadata.creation_timestamp, None);
    // The API server's default for a rule without matches.
    assert_eq!(route.spec.rules[0].matches.len(), 1);
    let (_, namespace) = snapshot.namespaces.first_key_value().expect("the namespace");
    assert_eq!(namespace.metadata.labels["kubernetes.io/metadata.name"], "default".into());
}

#[test]
fn an_object_that_becomes_invalid_stays_as_it_was_and_heals() {
    let good = route("shop", "8080");
    let (mut store, _) = fresh(&[("a.yaml", &good)]);
    let before = store.snapshot();

    let broken = load(&mut store, &[("a.yaml", &route("shop", "80800"))]);
    assert!(!broken.changed);
    assert_eq!(codes(&broken.issues), [Code::KeptLastGood, Code::SchemaViolation]);
    assert_eq!(store.snapshot(), before);
    assert_eq!(store.state(&http_route("shop")), Some(ObjectState::LastGood));
    let at = broken.issues[1].place.to_string();
    assert_eq!(at, "a.yaml:11:13");
    assert_eq!(broken.issues[1].field, "spec.rules[0].backendRefs[0].port");

    let healed = load(&mut store, &[("a.yaml", &route("shop", "8081"))]);
    assert!(healed.changed);
    assert_eq!(healed.issues, []);
    assert_eq!(generation(&store, &http_route("shop")), Some(2));
    assert_eq!(store.state(&http_route("shop")), Some(ObjectState::Current));
}

#[test]
fn an_object_that_was_never_valid_is_left_out() {
    let (store, load) = fresh(&[("a.yaml", &route("shop", "0"))]);
    assert_eq!(codes(&load.issues), [Code::SchemaViolation]);
    assert!(store.snapshot().http_routes.is_empty());
    assert_eq!(store.state(&http_route("shop")), None);
}

#[test]
fn a_document_that_is_no_yaml_any_more_keeps_the_objects_of_its_file() {
    let both = route("one", "80") + "---\n" + &route("two", "80");
    let (mut store, _) = fresh(&[("a.yaml", &both), ("b.yaml", &route("three", "80"))]);
    let broken = both.replace("kind: HTTPRoute\nmetadata:\n  name: two", "kind: [HTTPRoute\n");
    let load_broken = load(&mut store, &[("a.yaml", &broken), ("b.yaml", "")]);
    assert_eq!(codes(&load_broken.issues), [Code::Syntax, Code::KeptLastGood]);
    assert_eq!(store.state(&http_route("one")), Some(ObjectState::Current));
    assert_eq!(store.state(&http_route("two")), Some(ObjectState::LastGood));
    assert_eq!(store.state(&http_route("three")), None, "its file was emptied");
    let healed = load(&mut store, &[("a.yaml", &route("one", "80"))]);
    assert_eq!(healed.issues, []);
    assert_eq!(store.state(&http_route("two")), None);
}

#[test]
fn a_file_that_cannot_be_read_keeps_its_objects() {
    let (mut store, _) = fresh(&[("dir/a.yaml", &route("one", "80"))]);
    let contents = Contents { unreadable: vec!["dir".into()], ..Contents::default() };
    assert!(!store.load(contents).changed);
    assert!(store.object(&http_route("one")).is_some());
    assert!(store.load(Contents::default()).changed);
    assert!(store.object(&http_route("one")).is_none());
}

#[test]
fn the_generation_counts_changes_of_the_spec_alone() {
    let (mut store, _) = fresh(&[("a.yaml", &route("shop", "80"))]);
    let labelled = route("shop", "80").replace("name: shop", "name: shop\n  labels: {a: b}");
    assert!(load(&mut store, &[("a.yaml", &labelled)]).changed);
    assert_eq!(generation(&store, &http_route("shop")), Some(1));
    load(&mut store, &[("a.yaml", &route("shop", "81"))]);
    assert_eq!(generation(&store, &http_route("shop")), Some(2));
    let commented = format!("# words\n{}", route("shop", "81"));
    assert!(!load(&mut store, &[("a.yaml", &commented)]).changed);
    assert_eq!(generation(&store, &http_route("shop")), Some(2));
    let given = route("shop", "82").replace("name: shop", "name: shop\n  generation: 40");
    load(&mut store, &[("a.yaml", &given)]);
    assert_eq!(generation(&store, &http_route("shop")), Some(40));
}

#[test]
fn an_object_that_did_not_change_is_the_same_pointer() {
    let texts = [("a.yaml", route("one", "80")), ("b.yaml", route("two", "80"))];
    let (mut store, _) = fresh(&[("a.yaml", &texts[0].1), ("b.yaml", &texts[1].1)]);
    let before = store.snapshot();
    let moved = format!("# moved\n---\n{}---\n{}", texts[1].1, texts[0].1);
    let loaded = load(&mut store, &[("c.yaml", &moved)]);
    assert!(!loaded.changed);
    let after = store.snapshot();
    for (name, route) in &before.http_routes {
        assert!(std::sync::Arc::ptr_eq(route, &after.http_routes[name]));
    }
    for (name, namespace) in &before.namespaces {
        assert!(std::sync::Arc::ptr_eq(namespace, &after.namespaces[name]));
    }
    let place = store.locate(&http_route("one"), "metadata.name").expect("it is in a file");
    assert_eq!((&*place.file, place.line), ("c.yaml", 18));
}

#[test]
fn the_second_definition_of_an_object_is_ignored_and_says_where_the_first_is() {
    let (store, load) =
        fresh(&[("a.yaml", &route("shop", "80")), ("b.yaml", &route("shop", "81"))]);
    assert_eq!(codes(&load.issues), [Code::DuplicateObject]);
    let issue = &load.issues[0];
    assert_eq!(&*issue.place.file, "b.yaml");
    assert_eq!(&*issue.related[0].0.file, "a.yaml");
    assert!(issue.message.contains("is defined before, at a.yaml:1:1"), "{issue}");
    let snapshot = store.snapshot();
    let (_, route) = snapshot.http_routes.first_key_value().expect("the route");
    assert_eq!(route.spec.rules[0].backend_refs[0].backend.object.port, Some(80));
}

#[test]
fn lists_are_taken_apart_with_the_place_of_each_item() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata: {name: a}\n\
                - apiVersion: v1\n  kind: Service\n  metadata: {name: s, namespace: a}\n  spec:\n    ports: [{port: 80}]\n";
    let (store, load) = fresh(&[("a.yaml", text)]);
    assert_eq!(load.issues, []);
    let service = ObjectRef::new("", "Service", "a", "s");
    let place = store.locate(&service, "spec.ports[0].port").expect("it is in a file");
    assert_eq!(place.to_string(), "a.yaml:11:20");
    assert_eq!(store.locate(&service, "").expect("it is in a file").line, 7);
    let typed = "apiVersion: v1\nkind: NamespaceList\nitems:\n- metadata: {name: b}\n";
    let (store, _) = fresh(&[("a.yaml", typed)]);
    assert!(store.object(&ObjectRef::new("", "Namespace", "", "b")).is_some());
}

#[test]
fn old_versions_are_read_with_a_warning_at_the_version() {
    let old = route("shop", "80").replace("/v1", "/v1alpha2");
    let (store, load) = fresh(&[("a.yaml", &old)]);
    assert_eq!(codes(&load.issues), [Code::DeprecatedVersion]);
    let issue = &load.issues[0];
    assert_eq!(issue.place.to_string(), "a.yaml:1:13");
    assert!(issue.hint.as_deref().is_some_and(|hint| hint.contains("k8s.io/v1`")), "{issue}");
    assert!(store.object(&http_route("shop")).is_some());
    let (store, load) = fresh(&[("a.yaml", &route("shop", "80").replace("/v1", "/v9"))]);
    assert_eq!(codes(&load.issues), [Code::UnknownVersion]);
    assert!(store.object(&http_route("shop")).is_none());
}

#[test]
fn a_field_that_moved_between_versions_is_found_where_it_was_written() {
    let text = "apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: BackendTLSPolicy\n\
                metadata: {name: p}\nspec:\n  targetRef: {group: '', kind: Service, name: s}\n  \
                tls:\n    wellKnownCACerts: System\n    hostname: a.example\n";
    let (store, load) = fresh(&[("a.yaml", text)]);
    assert_eq!(codes(&load.issues), [Code::DeprecatedVersion], "{:?}", load.issues);
    let policy = ObjectRef::new(GROUP, "BackendTLSPolicy", "default", "p");
    let line = |field| store.locate(&policy, field).expect("it is in a file").line;
    assert_eq!(line("spec.validation.hostname"), 8);
    assert_eq!(line("spec.validation.wellKnownCACertificates"), 7);
    assert_eq!(line("spec.targetRefs[0].name"), 5);
}

#[test]
fn unknown_fields_are_a_warning_with_the_nearest_name() {
    let text = route("shop", "80").replace("port: 80", "prot: 80");
    let (_, load) = fresh(&[("a.yaml", &text)]);
    let issue =
        load.issues.iter().find(|issue| issue.code == Code::UnknownField).expect("a warning");
    assert_eq!(issue.hint.as_deref(), Some("did you mean `port`?"));
    assert_eq!(issue.severity, Severity::Warning);
    assert_eq!((issue.place.line, issue.place.column), (11, 7));
}

#[test]
fn kinds_that_are_misspelt_or_in_the_wrong_group_get_a_hint() {
    let (_, load) = fresh(&[("a.yaml", &route("shop", "80").replace("HTTPRoute", "HttpRuote"))]);
    assert_eq!(codes(&load.issues), [Code::UnknownKind]);
    let hint = load.issues[0].hint.as_deref().expect("a hint");
    assert!(hint.contains("`kind: HTTPRoute`"), "{hint}");
    let wrong = route("shop", "80").replace("gateway.networking", "networking");
    let (_, load) = fresh(&[("a.yaml", &wrong)]);
    assert_eq!(codes(&load.issues), [Code::UnknownKind]);
    // A kind of another project that happens to have the same name.
    let istio = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a}\n";
    let (store, load) = fresh(&[("a.yaml", istio)]);
    assert_eq!(load.issues, []);
    assert_eq!(store.snapshot().others.len(), 1);
}

#[test]
fn other_yaml_is_an_issue_and_milder_in_folders() {
    let compose = "services:\n  web: {image: x}\n";
    let (_, load) = fresh(&[("compose.yaml", compose)]);
    assert_eq!(codes(&load.issues), [Code::NotAnObject]);
    assert_eq!(load.issues[0].severity, Severity::Error);
    let in_folder = |name: &str| {
        let mut contents = Contents::from_texts([(name, compose)]);
        contents.files[0].named = false;
        Store::new(Settings::default()).load(contents).issues.remove(0)
    };
    assert_eq!(in_folder("x/compose.yaml").severity, Severity::Warning);
    assert_eq!(in_folder("x/values-prod.yaml").severity, Severity::Note);
    let (_, load) = fresh(&[("a.yaml", "kind: {{ .Values.kind }}\n")]);
    assert!(load.issues[0].hint.as_deref().is_some_and(|hint| hint.contains("helm template")));
    for text in
        ["- 1\n", "5\n", "kind: Gateway\n", "apiVersion: v1\n", "apiVersion: v1\nkind: Service\n"]
    {
        let (_, load) = fresh(&[("a.yaml", text)]);
        assert_eq!(load.issues.len(), 1, "{text}: {:?}", load.issues);
    }
}

#[test]
fn references_are_known_in_both_directions_and_follow_changes() {
    let (mut store, _) = fresh(&[("a.yaml", &route("shop", "80"))]);
    let cart = ObjectRef::new("", "Service", "default", "cart");
    let gateway = ObjectRef::new(GROUP, "Gateway", "default", "gw");
    let referrers = |store: &Store, target: &ObjectRef| -> Vec<ObjectRef> {
        store.references_to(target).cloned().collect()
    };
    assert_eq!(referrers(&store, &cart), [http_route("shop")]);
    assert_eq!(referrers(&store, &gateway), [http_route("shop")]);
    assert_eq!(store.references_from(&http_route("shop")).len(), 2);
    let text = route("shop", "80").replace("name: cart", "name: other\n      namespace: b");
    load(&mut store, &[("a.yaml", &text)]);
    assert_eq!(referrers(&store, &cart), []);
    let other = ObjectRef::new("", "Service", "b", "other");
    assert_eq!(referrers(&store, &other), [http_route("shop")]);
    load(&mut store, &[]);
    assert_eq!(referrers(&store, &other), []);
}

#[test]
fn cluster_objects_lose_their_namespace_and_namespaces_get_their_label() {
    let text = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\n\
                metadata: {name: c, namespace: x}\nspec: {controllerName: a.example/b}\n---\n\
                apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: a}}\n";
    let (store, load) = fresh(&[("a.yaml", text)]);
    assert_eq!(load.issues, []);
    assert!(store.object(&ObjectRef::new(GROUP, "GatewayClass", "", "c")).is_some());
    let snapshot = store.snapshot();
    let shop = snapshot.namespaces.values().find(|one| &*one.metadata.name == "shop");
    assert_eq!(shop.expect("the namespace").metadata.labels.len(), 2);
}

#[test]
fn locating_falls_back_to_what_exists() {
    let (store, _) = fresh(&[("a.yaml", &route("shop", "80"))]);
    let at = |field| store.locate(&http_route("shop"), field).map(|place| place.to_string());
    assert_eq!(at("spec.rules[0].matches[0].path").as_deref(), Some("a.yaml:9:5"));
    assert_eq!(at("status.parents").as_deref(), Some("a.yaml:1:1"));
    assert_eq!(store.locate(&http_route("nobody"), ""), None);
    assert!(store.text("a.yaml").is_some());
}

#[test]
fn a_policy_of_old_needs_no_name_for_its_session() {
    let policy = "apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: BackendLBPolicy\n\
                  metadata:\n  name: old\nspec:\n  targetRef: {group: '', kind: Service, name: app}\n  \
                  sessionPersistence: {type: Cookie}\n";
    let (store, load) = fresh(&[("a.yaml", policy)]);
    let errors = load.issues.iter().filter(|issue| issue.code.severity() == Severity::Error);
    assert_eq!(errors.count(), 0, "{:?}", load.issues);
    assert_eq!(store.snapshot().x_backend_traffic_policies.len(), 1);
}
