//! HTTPS listeners: certificates, the references to them, the host that belongs to a connection.

use testkit::certs::{Authority, Issued};

use crate::kit::{World, ask_tls, conditions, outcome, secret};

const BACKENDS: &[&str] = &["infra/one", "infra/two", "infra/three"];

const TRUE: &[&str] =
    &["Accepted=True/Accepted", "ResolvedRefs=True/ResolvedRefs", "Programmed=True/Programmed"];

fn gateway(name: &str, references: &str) -> String {
    format!(
        "@Gateway infra/{name}
spec:
  gatewayClassName: portcullis
  listeners: [{{name: https, port: 443, protocol: HTTPS, tls: {{certificateRefs: [{references}]}}}}]
"
    )
}

/// Checks that the listener of `gateway` has no usable certificate, for this reason.
fn check_unresolved(world: &World, gateway: &str, reason: &str) {
    let listener = world.listener(gateway, "https");
    conditions(&listener, &[&format!("ResolvedRefs=False/{reason}"), "Programmed=False/Invalid"]);
}

/// Upstream: GatewayInvalidTLSConfiguration.
#[test]
fn a_certificate_that_is_no_certificate_is_an_invalid_reference() {
    let malformed = Issued { cert_pem: "no certificate".to_owned(), key_pem: "no key".to_owned() };
    let objects = [
        secret("infra/malformed", &malformed),
        secret("infra/good", &Authority::new("a").issue(&["a.example"])),
        gateway("missing", "{name: nowhere}"),
        gateway("group", "{group: other.example, name: good}"),
        gateway("kind", "{kind: ConfigMap, name: good}"),
        gateway("data", "{name: malformed}"),
        gateway("fine", "{name: good}"),
    ];
    let world = World::start(BACKENDS, &objects.concat());
    for name in ["missing", "group", "kind", "data"] {
        check_unresolved(&world, &format!("infra/{name}"), "InvalidCertificateRef");
    }
    conditions(&world.listener("infra/fine", "https"), TRUE);
}

/// Upstream: GatewaySecretMissingReferenceGrant, GatewaySecretInvalidReferenceGrant, GatewaySecretReferenceGrantAllInNamespace, GatewaySecretReferenceGrantSpecific.
#[test]
fn a_certificate_of_another_namespace_needs_a_grant_for_this_gateway() {
    let authority = Authority::new("a");
    let grant = |kind: &str, from: &str, to: &str| {
        format!(
            "@ReferenceGrant vault/grant
spec:
  from: [{{group: gateway.networking.k8s.io, kind: {kind}, namespace: {from}}}]
  to: [{{group: '', kind: {to}}}]
"
        )
    };
    let objects = [
        secret("vault/cert", &authority.issue(&["a.example"])),
        gateway("existing", "{name: cert, namespace: vault}"),
        gateway("missing", "{name: nowhere, namespace: vault}"),
    ];
    let world = World::start(BACKENDS, &objects.concat());
    let listener =
        |world: &World| Some(world.find("Gateway", "infra/existing")?["listeners"][0].clone());
    let refused = &["ResolvedRefs=False/RefNotPermitted", "Programmed=False/Invalid"];
    for name in ["infra/existing", "infra/missing"] {
        check_unresolved(&world, name, "RefNotPermitted");
    }
    world.write("grant", &grant("Gateway", "infra", "Secret"));
    world.wait_conditions(listener, 1, TRUE);
    check_unresolved(&world, "infra/missing", "InvalidCertificateRef");
    world.write("grant", &grant("Gateway", "infra", "Secret, name: other"));
    world.wait_conditions(listener, 1, refused);
    world.write("grant", &grant("Gateway", "infra", "Secret, name: cert"));
    world.wait_conditions(listener, 1, TRUE);
    world.write("grant", &grant("HTTPRoute", "infra", "Secret, name: cert"));
    world.wait_conditions(listener, 1, refused);
    world.write("grant", &grant("Gateway", "infra", "Secret, name: cert"));
    world.wait_conditions(listener, 1, TRUE);
    world.write("grant", &grant("Gateway", "vault", "Secret"));
    world.wait_conditions(listener, 1, refused);
}

/// Three HTTPS listeners (exact, wildcard, another wildcard) and a route for each.
fn https(authority: &Authority) -> World {
    let mut objects = [
        secret("infra/exact", &authority.issue(&["second.example.org", "unknown.example.org"])),
        secret("infra/wild", &authority.issue(&["*.wildcard.org", "*.example.org"])),
        "
@Gateway infra/web
spec:
  gatewayClassName: portcullis
  listeners:
    - {name: exact, port: 443, protocol: HTTPS, hostname: second.example.org, tls: {certificateRefs: [{name: exact}]}}
    - {name: org, port: 443, protocol: HTTPS, hostname: '*.example.org', tls: {certificateRefs: [{name: wild}]}}
    - {name: wild, port: 443, protocol: HTTPS, hostname: '*.wildcard.org', tls: {certificateRefs: [{name: wild}]}}
"
        .to_owned(),
    ]
    .concat();
    for (section, backend) in [("exact", "one"), ("org", "two"), ("wild", "three")] {
        objects.push_str(&format!(
            "@HTTPRoute infra/{section}
spec:
  parentRefs: [{{name: web, sectionName: {section}}}]
  rules: [{{matches: [{{path: {{value: /}}}}], backendRefs: [{{name: {backend}, port: 8080}}]}}]
"
        ));
    }
    World::start(BACKENDS, &objects)
}

/// Upstream: HTTPRouteHTTPSListener.
#[test]
fn a_server_name_selects_the_certificate_and_the_listener() {
    let authority = Authority::new("a");
    let world = https(&authority);
    let socket = world.socket("infra/web", 443);
    for (listener, host, backend) in [
        ("exact", "second.example.org", "one"),
        ("org", "other.example.org", "two"),
        ("wild", "a.wildcard.org", "three"),
    ] {
        let status = world.listener("infra/web", listener);
        conditions(&status, TRUE);
        assert_eq!(status["attachedRoutes"], 1);
        let answer =
            ask_tls(socket, host, &authority, &format!("GET {host} /")).expect("a handshake");
        assert_eq!(outcome(&answer), backend, "{host}");
    }
    for listener in ["exact", "org"] {
        conditions(
            &world.listener("infra/web", listener),
            &["OverlappingTLSConfig=True/OverlappingCertificates"],
        );
    }
}

/// Upstream: HTTPRouteHTTPSListenerDetectMisdirectedRequests, over HTTP/1.1.
#[test]
fn a_host_of_another_listener_is_421_and_of_none_404() {
    let authority = Authority::new("a");
    let world = https(&authority);
    let socket = world.socket("infra/web", 443);
    let mut wrong = String::new();
    for (server_name, host, expected) in [
        ("second.example.org", "second.example.org", "one"),
        ("second.example.org", "second.example.org:443", "one"),
        ("second.example.org", "other.example.org", "421"),
        ("second.example.org", "a.wildcard.org", "421"),
        ("second.example.org", "unknown.test", "404"),
        ("second.example.org", "example.org", "404"),
        ("other.example.org", "other.example.org", "two"),
        ("other.example.org", "third.example.org", "two"),
        ("other.example.org", "second.example.org", "421"),
        ("other.example.org", "a.wildcard.org", "421"),
        ("other.example.org", "unknown.test", "404"),
        ("a.wildcard.org", "b.wildcard.org", "three"),
        ("a.wildcard.org", "second.example.org", "421"),
        ("a.wildcard.org", "other.example.org", "421"),
        ("a.wildcard.org", "unknown.test", "404"),
    ] {
        let answer = ask_tls(socket, server_name, &authority, &format!("GET {host} /"));
        let got = outcome(&answer.expect("a handshake"));
        if got != expected {
            wrong.push_str(&format!("\n{server_name} with {host}: {got}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Upstream: the HTTPS listener of HTTPRouteRedirectPortAndScheme.
#[test]
fn redirects_from_https_leave_out_443() {
    let authority = Authority::new("a");
    let mut objects = secret("infra/cert", &authority.issue(&["a.example"]));
    objects.push_str(&gateway("web", "{name: cert}"));
    objects.push_str("@HTTPRoute infra/r\nspec:\n  parentRefs: [{name: web}]\n  rules:\n");
    let rows = [
        ("/nothing", "hostname: b.example", "https://b.example/nothing"),
        ("/http", "scheme: http", "http://a.example/http"),
        ("/http-80", "scheme: http, port: 80", "http://a.example/http-80"),
        ("/http-8080", "scheme: http, port: 8080", "http://a.example:8080/http-8080"),
        ("/https", "scheme: https", "https://a.example/https"),
        ("/https-443", "scheme: https, port: 443", "https://a.example/https-443"),
        ("/https-8443", "scheme: https, port: 8443", "https://a.example:8443/https-8443"),
        ("/port-443", "port: 443", "https://a.example/port-443"),
        ("/port-80", "port: 80", "https://a.example:80/port-80"),
    ];
    for (path, redirect, _) in rows {
        objects.push_str(&format!(
            "    - matches: [{{path: {{value: {path}}}}}]
      filters: [{{type: RequestRedirect, requestRedirect: {{{redirect}}}}}]
"
        ));
    }
    let world = World::start(BACKENDS, &objects);
    for (path, _, location) in rows {
        let socket = world.socket("infra/web", 443);
        let answer = ask_tls(socket, "a.example", &authority, &format!("GET a.example {path}"));
        let answer = answer.expect("a handshake");
        assert_eq!((answer.status, answer.field("location")), (302, Some(location)), "{path}");
    }
}

/// Upstream: GatewayInvalidTLSConfiguration and GatewayModifyListeners: what is not programmed takes no handshake, and a Secret that appears heals it.
#[test]
fn a_listener_without_its_certificate_takes_no_connection_until_the_secret_is_there() {
    let authority = Authority::new("a");
    let route = "@HTTPRoute infra/r
spec:
  parentRefs: [{name: web}]
  rules: [{backendRefs: [{name: one, port: 8080}]}]
";
    let plain = gateway("web", "{name: cert}")
        .replace("listeners: [", "listeners: [{name: http, port: 80, protocol: HTTP}, ");
    let world = World::start(BACKENDS, &format!("{plain}{route}"));
    check_unresolved(&world, "infra/web", "InvalidCertificateRef");
    world.table("infra/web", 80, &[("GET a.example /", "one")]);
    let socket = world.socket("infra/web", 443);
    if std::net::TcpStream::connect(socket).is_ok() {
        let answer = ask_tls(socket, "a.example", &authority, "GET a.example /");
        assert!(answer.is_err(), "a handshake without a certificate");
    }
    world.write("secret", &secret("infra/cert", &authority.issue(&["a.example"])));
    let listener =
        |world: &World| Some(world.find("Gateway", "infra/web")?["listeners"][1].clone());
    world.wait_conditions(listener, 1, TRUE);
    let answer = ask_tls(socket, "a.example", &authority, "GET a.example /").expect("a handshake");
    assert_eq!(outcome(&answer), "one");

    // A renewed certificate is served without a new listener.
    let renewed = Authority::new("b");
    world.write("secret", &secret("infra/cert", &renewed.issue(&["a.example"])));
    testkit::eventually("the renewed certificate", || {
        ask_tls(socket, "a.example", &renewed, "GET a.example /").ok().map(|_| ())
    });
    conditions(&world.listener("infra/web", "https"), TRUE);
}

/// Upstream: the suite's own certificates: self-signed leaves, a lone `*` among the names.
#[test]
fn a_listener_without_hostname_serves_any_name_with_a_self_signed_certificate() {
    let issued = testkit::certs::self_signed(&["abc.example", "*"]);
    let objects = [
        secret("infra/cert", &issued),
        gateway("web", "{name: cert}"),
        "@HTTPRoute infra/r
spec:
  parentRefs: [{name: web}]
  rules: [{backendRefs: [{name: one, port: 8080}]}]
"
        .to_owned(),
    ];
    let world = World::start(BACKENDS, &objects.concat());
    conditions(&world.listener("infra/web", "https"), TRUE);
    let config = testkit::certs::client_config(&issued.cert_pem);
    let mut client =
        testkit::raw::Client::connect_tls(world.socket("infra/web", 443), "abc.example", &config)
            .expect("a handshake");
    assert_eq!(outcome(&client.get("abc.example", "/")), "one");
}
