//! The experimental channel: XBackend, sessions on it, default Gateways, policies. No upstream test
//! is about them yet.

use testkit::{
    certs::{Authority, server_config},
    tls_front::TlsFront,
};

use crate::kit::{World, conditions, outcome, secret};

const GATEWAY: &str = "
@Gateway default/web
spec:
  gatewayClassName: portcullis
  defaultScope: All
  listeners: [{name: http, port: 80, protocol: HTTP}]
";

/// An XBackend as a document; `annotation` names its endpoints.
fn x_backend(name: &str, annotation: &str, spec: &str) -> String {
    format!(
        "---
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: XBackend
metadata:
  name: {name}
  namespace: default
  annotations: {{portcullis.dev/endpoints: \"{annotation}\"}}
spec: {spec}
"
    )
}

fn to(path: &str, backend: &str) -> String {
    format!(
        "    - matches: [{{path: {{value: {path}}}}}]
      backendRefs: [{{group: gateway.networking.x-k8s.io, kind: XBackend, name: {backend}}}]
"
    )
}

#[test]
fn an_x_backend_is_reached_and_keeps_a_client_at_its_endpoint() {
    let world = World::start(&["default/one", "default/two"], GATEWAY);
    let addresses = format!("{},{}", world.backend("one").addr(), world.backend("two").addr());
    let pods = x_backend(
        "pods",
        &addresses,
        "{type: EndpointSelector, port: {number: 8080}, endpointSelector: {matchLabels: {app: a}}, \
         sessionPersistence: {type: Cookie, cookie: {}}}",
    );
    let route = format!(
        "@HTTPRoute default/r\nspec:\n  parentRefs: [{{name: web}}]\n  rules:\n{}",
        to("/pods", "pods")
    );
    world.write("x", &format!("{pods}{route}"));
    let accepted = ["Accepted=True/Accepted"];
    let ancestor = |world: &World| {
        let status = world.find("XBackend", "default/pods")?;
        Some(status["ancestors"][0].clone())
    };
    world.wait_conditions(ancestor, 1, &accepted);

    let first = world.ask("default/web", 80, "GET a.example /pods");
    let cookie = first.field("set-cookie").expect("a cookie").to_owned();
    assert!(cookie.starts_with("portcullis-"), "{cookie}");
    let own = outcome(&first);
    let pair = cookie.split(';').next().expect("name and value").to_owned();
    let request = format!("GET a.example /pods cookie:{pair}");
    for _ in 0..20 {
        assert_eq!(outcome(&world.ask("default/web", 80, &request)), own);
    }
}

#[test]
fn an_x_backend_is_reached_by_the_addresses_of_its_name() {
    let world = World::start(&["default/one"], GATEWAY);
    let port = world.backend("one").addr().port();
    let spec = format!(
        "{{type: ExternalHostname, port: {{number: {port}}}, externalHostname: {{hostname: localhost}}}}"
    );
    let name = x_backend("name", "", &spec)
        .replace("  annotations: {portcullis.dev/endpoints: \"\"}\n", "");
    let route = format!(
        "@HTTPRoute default/r\nspec:\n  parentRefs: [{{name: web}}]\n  rules:\n{}",
        to("/name", "name")
    );
    world.write("x", &format!("{name}{route}"));
    world.wait_for("default/web", 80, "GET a.example /name", "one");
}

#[test]
fn an_x_backend_of_mode_client_and_server_is_shown_our_certificate_and_must_show_its_own() {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let ours = clients.issue(&["gateway.example"]);
    let world = World::start(&["default/one"], GATEWAY);
    let issued = servers.issue(&["api.example"]);
    let config = server_config(&issued, Some(&clients.cert_pem()));
    let front = TlsFront::start(world.backend("one").addr(), config);
    let backend = |name: &str, mode: &str, trusted: &Authority| {
        let pem = trusted.cert_pem();
        let tls = format!(
            "{{mode: {mode}, validation: {{hostname: api.example, caCertificateRefs: \
             [{{group: '', kind: ConfigMap, name: {name}}}]}}}}"
        );
        let spec = "{type: EndpointSelector, port: {number: 443}, \
                    endpointSelector: {matchLabels: {app: a}}, tls: TLS}";
        let spec = spec.replace("TLS", &tls);
        let pem = pem.trim_end().replace('\n', "\n    ");
        let trust = format!("@ConfigMap default/{name}\ndata:\n  ca.crt: |\n    {pem}\n");
        x_backend(name, &front.addr().to_string(), &spec) + &trust
    };
    let mutual = "ClientAndServer, clientCertificateRef: {name: ours}";
    let objects = [
        backend("mutual", mutual, &servers),
        backend("silent", "ServerOnly", &servers),
        backend("doubting", mutual, &clients),
        secret("default/ours", &ours),
        "@HTTPRoute default/r\nspec:\n  parentRefs: [{name: web}]\n  rules:\n".to_owned(),
        to("/mutual", "mutual") + &to("/silent", "silent") + &to("/doubting", "doubting"),
    ];
    world.write("x", &objects.concat());
    world.wait_for("default/web", 80, "GET a.example /mutual", "one");
    let shown = front.shown();
    let own = ours.chain().remove(0).to_vec();
    assert_eq!(shown.last().and_then(|shown| shown.certificate.clone()), Some(own));
    for path in ["/silent", "/doubting"] {
        let answer = world.ask("default/web", 80, &format!("GET a.example {path}"));
        assert_eq!(answer.status, 502, "{path}");
    }
    assert_eq!(world.backend("one").heads().len(), 1, "nothing else reached it");
}

#[test]
fn a_route_without_parents_attaches_to_the_default_gateway() {
    let objects = format!(
        "{GATEWAY}@HTTPRoute default/r
spec:
  useDefaultGateways: All
  rules: [{{backendRefs: [{{name: one, port: 8080}}]}}]
"
    );
    let world = World::start(&["default/one"], &objects);
    conditions(&world.status("Gateway", "default/web"), &["DefaultGateway=True/DefaultGateway"]);
    let parent = world.parent("default/r", 0);
    assert_eq!(parent["parentRef"]["name"], "web");
    conditions(&parent, &["Accepted=True/Accepted"]);
    assert_eq!(outcome(&world.ask("default/web", 80, "GET a.example /")), "one");
}

#[test]
fn a_policy_for_a_service_says_whether_it_counts() {
    let objects = format!(
        "{GATEWAY}@HTTPRoute default/r
spec:
  parentRefs: [{{name: web}}]
  rules: [{{backendRefs: [{{name: one, port: 8080}}]}}]
---
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: XBackendTrafficPolicy
metadata: {{name: budget, namespace: default, creationTimestamp: \"2020-01-01T00:00:00Z\"}}
spec:
  targetRefs: [{{group: \"\", kind: Service, name: one}}]
  retryConstraint: {{budget: {{percent: 10}}}}
---
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: XBackendTrafficPolicy
metadata: {{name: later, namespace: default, creationTimestamp: \"2021-01-01T00:00:00Z\"}}
spec:
  targetRefs: [{{group: \"\", kind: Service, name: one}}]
  retryConstraint: {{budget: {{percent: 90}}}}
---
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: XTelemetryPolicy
metadata: {{name: traces, namespace: default}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: web}}]
  tracing: {{mode: Enabled, provider: {{backendRef: {{name: one, port: 8080}}}}}}
"
    );
    let world = World::start(&["default/one"], &objects);
    let ancestor = |kind: &str, name: &str| world.status(kind, name)["ancestors"][0].clone();
    let budget = ancestor("XBackendTrafficPolicy", "default/budget");
    assert_eq!(budget["ancestorRef"]["name"], "web");
    conditions(&budget, &["Accepted=True/Accepted"]);
    let later = ancestor("XBackendTrafficPolicy", "default/later");
    conditions(&later, &["Accepted=False/Conflicted"]);
    let traces = ancestor("XTelemetryPolicy", "default/traces");
    conditions(&traces, &["Accepted=False/Invalid", "ResolvedRefs=True/ResolvedRefs"]);
}
