//! Stand-ins: made for what is missing, never for what is misspelt.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may end by a panic")]

use std::net::SocketAddr;

use source::{
    Contents, Settings, Store,
    demo::{self, DemoKeyPair, DemoPlan, DemoSupplies, Speaks},
};

const CONTROLLER: &str = "portcullis.dev/gateway-controller";

fn store(text: &str) -> Store {
    let mut store = Store::new(Settings::default());
    let load = store.load(Contents::from_texts([("a.yaml", text)]));
    assert_eq!(load.issues, [], "{text}");
    store
}

fn plan(text: &str) -> DemoPlan {
    let store = store(text);
    demo::plan(&store.snapshot(), store.endpoint_slices(), CONTROLLER)
}

fn said(plan: &DemoPlan) -> Vec<String> {
    plan.stand_ins.iter().map(|one| format!("{}: {} ({})", one.object, one.what, one.why)).collect()
}

fn route(name: &str, parents: &str, backends: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}}}\n\
         spec:\n  hostnames: [shop.example]\n  parentRefs: {parents}\n  rules:\n  \
         - backendRefs: {backends}\n    filters:\n    - type: RequestMirror\n      requestMirror: \
         {{backendRef: {{name: shadow, port: 80}}}}\n---\n"
    )
}

const GATEWAY: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n\
    metadata: {name: public-gateway}\nspec:\n  gatewayClassName: any\n  listeners:\n  \
    - {name: https, port: 443, protocol: HTTPS, hostname: a.example, tls: {certificateRefs: [{name: cert}]}}\n---\n";

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: cart}\n\
    spec: {ports: [{port: 8080}]}\n---\n";

#[test]
fn a_route_alone_gets_everything_it_needs() {
    let text = route("shop", "[{name: gw}]", "[{name: cart, port: 8080}]");
    let plan = plan(&text);
    let expected = [
        "Service default/cart: a Service with an echo backend on port 8080 (HTTPRoute default/shop sends requests to it)",
        "Service default/shadow: a Service with an echo backend on port 80 (HTTPRoute default/shop sends requests to it)",
        "Gateway default/gw: a Gateway with a listener on port 80 (HTTPRoute default/shop names it)",
        "GatewayClass portcullis: a GatewayClass of this controller (Gateway default/gw names it)",
    ];
    assert_eq!(said(&plan), expected);

    let store = store(&text);
    let (mut snapshot, mut slices) = (store.snapshot(), store.endpoint_slices().to_vec());
    let address: SocketAddr = "127.0.0.1:9".parse().expect("an address");
    let addresses = plan.backends.iter().map(|backend| (backend.clone(), vec![address])).collect();
    let supplies = DemoSupplies { addresses, ..DemoSupplies::default() };
    plan.apply(&mut snapshot, &mut slices, &supplies);
    assert_eq!(snapshot.gateways.len(), 1);
    assert_eq!(snapshot.gateway_classes.len(), 1);
    assert_eq!(snapshot.services.len(), 2);
    assert_eq!(slices.len(), 2);
    assert_eq!(
        demo::plan(&snapshot, &slices, CONTROLLER),
        DemoPlan::default(),
        "nothing is lacking"
    );
}

#[test]
fn a_name_that_is_nearly_that_of_a_gateway_is_left_to_the_diagnostics() {
    for parents in ["[{name: public-gatewy}]", "[{name: public-gateway, namespace: other}]"] {
        let text = GATEWAY.to_owned() + &route("shop", parents, "[{name: cart, port: 80}]");
        assert!(!said(&plan(&text)).iter().any(|one| one.starts_with("Gateway ")), "{parents}");
    }
    let text =
        GATEWAY.to_owned() + &route("shop", "[{name: internal}]", "[{name: cart, port: 80}]");
    assert!(said(&plan(&text)).iter().any(|one| one.starts_with("Gateway default/internal")));
}

#[test]
fn a_service_without_endpoints_gets_a_backend_for_the_ports_it_has() {
    let text = SERVICE.to_owned()
        + &route("shop", "[{name: gw}]", "[{name: cart, port: 8080}, {name: cart, port: 99}]");
    let ports: Vec<_> =
        plan(&text).backends.iter().map(|one| (one.owner.name().to_string(), one.port)).collect();
    assert_eq!(ports, [("default/cart".to_owned(), 8080), ("default/shadow".to_owned(), 80)]);
    let annotated = text.replace(
        "{name: cart}\nspec: {ports",
        "{name: cart, annotations: {portcullis.dev/endpoints: '127.0.0.1:1'}}\nspec: {ports",
    );
    assert_eq!(plan(&annotated).backends.len(), 1);
}

#[test]
fn a_missing_certificate_is_made_for_the_names_of_its_listener() {
    let plan = plan(GATEWAY);
    assert_eq!(plan.certificates.len(), 1);
    let hostnames: Vec<&str> = plan.certificates[0].hostnames.iter().map(|name| &**name).collect();
    assert_eq!(hostnames, ["a.example", "localhost"]);
    let mut snapshot = store(GATEWAY).snapshot();
    let pair = DemoKeyPair { certificate: "C".to_owned(), key: "K".to_owned() };
    let key_pairs = [(plan.certificates[0].secret.clone(), pair)].into_iter().collect();
    let supplies = DemoSupplies { key_pairs, ..DemoSupplies::default() };
    plan.apply(&mut snapshot, &mut Vec::new(), &supplies);
    let secret = snapshot.secrets.values().next().expect("the Secret");
    assert_eq!(secret.value("tls.key"), Some(&b"K"[..]));
}

#[test]
fn a_made_up_gateway_has_the_listeners_that_routes_name() {
    let text = route("a", "[{name: gw, sectionName: web}, {name: gw, sectionName: https}]", "[]")
        + &route("b", "[{name: gw}, {name: gw2, port: 8000}, {name: gw3}]", "[]");
    let plan = plan(&text);
    let gateways: Vec<_> =
        said(&plan).into_iter().filter(|one| one.starts_with("Gateway d")).collect();
    let expected = [
        "Gateway default/gw: a Gateway with listeners on ports 443, 80 (HTTPRoute default/a names it)",
        "Gateway default/gw2: a Gateway with a listener on port 8000 (HTTPRoute default/b names it)",
        "Gateway default/gw3: a Gateway with a listener on port 8080 (HTTPRoute default/b names it)",
    ];
    assert_eq!(gateways, expected);
    assert_eq!(plan.certificates.len(), 1, "for the https listener");
}

#[test]
fn names_at_the_edge_are_compared_without_harm() {
    let long = "x".repeat(63);
    let text = route("a", &format!("[{{name: {long}}}, {{name: a}}, {{name: b}}]"), "[]");
    assert_eq!(said(&plan(&text)).iter().filter(|one| one.starts_with("Gateway d")).count(), 3);
}

#[test]
fn missing_parameters_have_their_defaults_and_a_slip_is_left_alone() {
    let parameters = |name: &str| {
        GATEWAY.replace(
            "spec:",
            &format!("spec:\n  infrastructure: {{parametersRef: {{group: \"\", kind: ConfigMap, name: {name}}}}}"),
        )
    };
    let made = plan(&parameters("edge"));
    let names: Vec<&str> = made.objects.iter().map(api::Object::kind).collect();
    assert!(names.contains(&"ConfigMap"), "{names:?}");
    let there = parameters("edgee")
        + "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: edge}\ndata: {}\n";
    let made = plan(&there);
    assert!(made.objects.iter().all(|object| object.kind() != "ConfigMap"));
}

const L4: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n\
    metadata: {name: gw}\nspec:\n  gatewayClassName: any\n  listeners:\n  \
    - {name: through, port: 443, protocol: TLS, tls: {mode: Passthrough}}\n  \
    - {name: ends, port: 444, protocol: TLS, tls: {certificateRefs: [{name: cert}]}}\n---\n";

fn tls_route(section: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: TLSRoute\nmetadata: {{name: {section}}}\n\
         spec:\n  hostnames: [{section}.example]\n  parentRefs: [{{name: gw, sectionName: {section}}}]\n  \
         rules:\n  - backendRefs: [{{name: {section}, port: 443}}]\n---\n"
    )
}

#[test]
fn a_backend_speaks_what_the_route_brings_to_it() {
    let udp = "apiVersion: gateway.networking.k8s.io/v1\nkind: UDPRoute\nmetadata: {name: dns}\n\
        spec:\n  parentRefs: [{name: gw}]\n  rules:\n  - backendRefs: [{name: dns, port: 53}]\n---\n";
    let plan = plan(&(L4.to_owned() + &tls_route("through") + &tls_route("ends") + udp));
    let speaks: Vec<_> =
        plan.backends.iter().map(|one| (&*one.owner.name().name, one.speaks.clone())).collect();
    let through = Speaks::Tls(vec!["through.example".into()]);
    let expected = [("dns", Speaks::Udp), ("ends", Speaks::Http), ("through", through)];
    assert_eq!(speaks, expected);
}

#[test]
fn a_policy_gives_its_backend_a_certificate_and_the_authority() {
    let policy = "apiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\n\
        metadata: {name: cart}\nspec:\n  targetRefs: [{group: '', kind: Service, name: cart}]\n  \
        validation: {hostname: cart.example, caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}]}\n---\n";
    let text =
        SERVICE.to_owned() + policy + &route("shop", "[{name: gw}]", "[{name: cart, port: 8080}]");
    let plan = plan(&text);
    let expected = "Service default/cart: an echo backend with TLS for cart.example, because the \
        Service has no endpoint, on port 8080 (HTTPRoute default/shop sends requests to it)";
    let said = said(&plan);
    assert!(said.contains(&expected.to_owned()), "{said:#?}");
    let expected =
        "ConfigMap default/ca: the authority of the demo (BackendTLSPolicy default/cart names it)";
    assert!(said.contains(&expected.to_owned()), "{said:#?}");
    let mut snapshot = store(&text).snapshot();
    let supplies = DemoSupplies { authority: "PEM".to_owned(), ..DemoSupplies::default() };
    plan.apply(&mut snapshot, &mut Vec::new(), &supplies);
    let config_map = snapshot.config_maps.values().next().expect("the ConfigMap");
    assert_eq!(config_map.data.get("ca.crt").map(|text| &**text), Some("PEM"));
}

#[test]
fn a_backend_with_sessions_has_several_endpoints() {
    let text = route("shop", "[{name: gw}]", "[{name: cart, port: 80}]")
        .replace("    filters:", "    sessionPersistence: {cookie: {}}\n    filters:");
    let endpoints: Vec<_> = plan(&text)
        .backends
        .iter()
        .map(|one| (one.owner.name().to_string(), one.endpoints))
        .collect();
    assert_eq!(endpoints[0], ("default/cart".to_owned(), 3));
}
