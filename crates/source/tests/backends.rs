//! Endpoints by annotation and by `--backend`.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may end by a panic")]

use source::{BackendOverride, Contents, Load, Settings, Store};
use translate::Code;

fn service(ports: &str, annotation: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: cart\n  annotations:\n    \
         portcullis.dev/endpoints: \"{annotation}\"\nspec:\n  ports: {ports}\n"
    )
}

fn load(backends: &[&str], text: &str) -> (Store, Load) {
    let backends = backends.iter().map(|one| one.parse().expect("a backend")).collect();
    let mut store = Store::new(Settings { backends, open: false });
    let load = store.load(Contents::from_texts([("a.yaml", text)]));
    (store, load)
}

/// Each slice as `name port=addresses:port`.
fn slices(store: &Store) -> Vec<String> {
    let slices = store.endpoint_slices().iter().map(|slice| {
        assert!(slice.service_name().is_some());
        let ports: Vec<_> = slice
            .ports
            .iter()
            .map(|port| format!("{}:{}", port.name(), port.port.unwrap_or_default()))
            .collect();
        let addresses: Vec<_> =
            slice.endpoints.iter().map(|endpoint| endpoint.addresses.join("+")).collect();
        format!("{} {} {}", slice.metadata.name, ports.join(","), addresses.join(","))
    });
    slices.collect()
}

#[test]
fn an_annotation_names_the_endpoints_of_a_service() {
    let text = service(
        "[{port: 80}]",
        "127.0.0.1:8081, 127.0.0.2:8081,127.0.0.1:9000,[::1]:8081,localhost:8082",
    );
    let (store, load) = load(&[], &text);
    assert_eq!(load.issues, []);
    let expected = [
        "cart :8081 127.0.0.1,127.0.0.2",
        "cart-2 :9000 127.0.0.1",
        "cart-3 :8081 ::1",
        "cart-4 :8082 127.0.0.1",
    ];
    assert_eq!(slices(&store), expected);
}

#[test]
fn an_annotation_may_name_ports_by_name_or_number() {
    let ports = "[{name: http, port: 80}, {name: admin, port: 90}]";
    let (store, load) = load(&[], &service(ports, "http=10.0.0.1:8080,90=10.0.0.1:9090"));
    assert_eq!(load.issues, []);
    assert_eq!(slices(&store), ["cart http:8080 10.0.0.1", "cart-2 admin:9090 10.0.0.1"]);
}

#[test]
fn a_bad_annotation_is_said_at_its_place_and_names_no_endpoint() {
    for (ports, annotation, words) in [
        ("[{port: 80}]", "127.0.0.1", "`127.0.0.1` has no port"),
        ("[{port: 80}]", "backend:8080", "`backend` in `backend:8080` is no IP address"),
        ("[{port: 80}]", "127.0.0.1:0", "`0` in `127.0.0.1:0` is no port"),
        ("[{port: 80}]", "web=127.0.0.1:1", "has no port `web`; its ports are: 80"),
        ("[{name: a, port: 80}, {name: b, port: 81}]", "127.0.0.1:1", "several ports (a, b)"),
    ] {
        let (store, load) = load(&[], &service(ports, annotation));
        assert_eq!(load.issues.len(), 1, "{annotation}: {:?}", load.issues);
        let issue = &load.issues[0];
        assert_eq!(issue.code, Code::ServiceSettingInvalid);
        assert!(issue.message.contains(words), "{issue}");
        assert_eq!(issue.place.to_string(), "a.yaml:6:31");
        assert_eq!(slices(&store), [""; 0]);
        assert_eq!(store.snapshot().services.len(), 1, "the Service itself is good");
    }
}

#[test]
fn a_backend_override_replaces_what_the_files_say() {
    let ports = "[{name: http, port: 80}, {name: admin, port: 90}]";
    let text = service(ports, "http=10.0.0.1:8080,admin=10.0.0.1:9090");
    let (store, _) = load(&["cart=127.0.0.1:7000"], &text);
    assert_eq!(slices(&store), ["cart http:7000 127.0.0.1", "cart-2 admin:7000 127.0.0.1"]);
    let (store, _) = load(&["default/cart:80=127.0.0.1:7000"], &text);
    assert_eq!(slices(&store), ["cart-2 admin:9090 10.0.0.1", "cart http:7000 127.0.0.1"]);
}

#[test]
fn a_backend_override_makes_the_service_that_is_missing() {
    let route = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: shop}\n\
                 spec: {rules: [{backendRefs: [{name: cart, port: 8080}, {name: cart, port: 8081}]}]}\n";
    let (store, load) = load(&["shop/cart=127.0.0.1:7000"], route);
    assert_eq!(load.issues, []);
    let snapshot = store.snapshot();
    let service = snapshot.services.values().next().expect("the Service");
    let ports: Vec<_> = service.spec.ports.iter().map(|port| port.port).collect();
    assert_eq!(ports, [8080, 8081]);
    assert_eq!(slices(&store).len(), 2);
}

#[test]
fn endpoint_slices_and_legacy_endpoints_of_the_files_are_taken() {
    let text = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
                metadata: {name: cart-x, labels: {kubernetes.io/service-name: cart}}\n\
                endpoints: [{addresses: [10.0.0.9]}]\nports: [{name: '', port: 8080}]\n---\n\
                apiVersion: v1\nkind: Endpoints\nmetadata: {name: old}\n\
                subsets: [{addresses: [{ip: 10.0.0.8}], ports: [{port: 80}]}]\n";
    let (store, report) = load(&[], text);
    assert_eq!(report.issues, []);
    assert_eq!(slices(&store), ["cart-x :8080 10.0.0.9", "old :80 10.0.0.8"]);
    let both = text.replace(
        "name: cart-x, labels: {kubernetes.io/service-name: cart}",
        "name: old-x, labels: {kubernetes.io/service-name: old}",
    );
    assert_eq!(slices(&load(&[], &both).0), ["old-x :8080 10.0.0.9"], "slices win");
    let annotated = format!("{text}---\n{}", service("[{port: 80}]", "127.0.0.1:1"));
    assert_eq!(slices(&load(&[], &annotated).0), ["cart :1 127.0.0.1", "old :80 10.0.0.8"]);
}

#[test]
fn backend_overrides_are_parsed() {
    let parse = |text: &str| text.parse::<BackendOverride>();
    let one = parse("shop/cart:8080=localhost:80").expect("a backend");
    assert_eq!((one.service.to_string().as_str(), one.port), ("shop/cart", Some(8080)));
    assert_eq!(one.address.to_string(), "127.0.0.1:80");
    assert_eq!(parse("cart=[::1]:80").expect("a backend").service.to_string(), "default/cart");
    for (text, words) in [
        ("cart", "has no `=`"),
        ("=1.2.3.4:5", "names no Service"),
        ("a/b/c=1.2.3.4:5", "names no Service"),
        ("cart:x=1.2.3.4:5", "`x` is no port"),
        ("cart=1.2.3.4", "has no port"),
        ("cart=host:80", "is no IP address"),
    ] {
        let error = parse(text).expect_err(text).to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn an_annotation_names_the_endpoints_of_an_x_backend_which_then_owns_them() {
    let backend = |annotation: &str| {
        format!(
            "apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: XBackend\nmetadata:\n  name: cart\n  \
             annotations:\n    portcullis.dev/endpoints: \"{annotation}\"\nspec:\n  type: EndpointSelector\n  \
             port: {{ number: 8080 }}\n  endpointSelector: {{ matchLabels: {{ app: cart }} }}\n"
        )
    };
    let (store, load) = load(&[], &backend("127.0.0.1:9001, [::1]:9001"));
    assert_eq!(load.issues, []);
    let owned: Vec<String> = store
        .endpoint_slices()
        .iter()
        .map(|slice| {
            assert_eq!(slice.service_name(), None);
            let owner = &slice.metadata.owner_references[0];
            let addresses = &slice.endpoints[0].addresses;
            format!("{} {} {:?}", owner.kind, owner.name, addresses)
        })
        .collect();
    assert_eq!(owned, ["XBackend cart [\"127.0.0.1\"]", "XBackend cart [\"::1\"]"]);

    let (_, refused) = load_one(&backend("http=127.0.0.1:9001"));
    assert_eq!(refused.issues.len(), 1);
    assert_eq!(refused.issues[0].code, Code::ServiceSettingInvalid);
}

fn load_one(text: &str) -> (Store, Load) {
    load(&[], text)
}
