//! Explanations as data; their text is in the golden files.

use analyze::{
    Request,
    explain::{Decision, GatewayName, Options, ShareOutcome},
};

use crate::support::{BASE, route, world};

fn request(url: &str) -> Request {
    Request::from_url(url).unwrap()
}

const PLAIN: &str = "  rules: [{ backendRefs: [{ name: cart, port: 8080 }] }]";

#[test]
fn shares_are_percentages_of_all_weights_and_failing_shares_count() {
    let spec = "  rules: [{ backendRefs: [{ name: cart, port: 8080, weight: 8 }, { name: gone, port: 8080 }, { name: shop, port: 8080 }, { name: shop, port: 8080, weight: 0 }] }]";
    let world = world(&format!("{BASE}{}", route("one", spec)));
    let explained = world.explain(&request("http://a.test/"), false);
    let Decision::Forwarded { shares, .. } = &explained.sections[0].decision else {
        panic!("{explained:#?}")
    };
    let percents: Vec<f64> = shares.iter().map(|share| share.percent).collect();
    assert_eq!(percents, [80.0, 10.0, 10.0, 0.0]);
    let ShareOutcome::Answered(answer) = &shares[1].outcome else { panic!("{shares:#?}") };
    assert_eq!(answer.status, 500);
    assert!(explained.is_routed());
}

#[test]
fn forwarding_headers_of_a_stranger_are_not_matched_and_those_of_a_trusted_peer_are() {
    let spec = "  rules:\n  - matches: [{ headers: [{ name: X-Forwarded-Proto, value: https }] }]\n    backendRefs: [{ name: cart, port: 8080 }]";
    let base = BASE.replace(
        "metadata: { name: web }",
        "metadata: { name: web, annotations: { portcullis.dev/trusted-proxies: 10.0.0.0/8 } }",
    );
    let world = world(&format!("{base}{}", route("one", spec)));
    let asked = |ip: &str| {
        let request = request("http://a.test/").with_header("X-Forwarded-Proto: https").unwrap();
        world.explain(&request.with_client_ip(ip.parse().unwrap()), false)
    };
    assert!(asked("10.1.2.3").is_routed());
    let stranger = asked("192.0.2.1");
    assert!(!stranger.is_routed());
    let hints = &stranger.sections[0].hints;
    assert!(hints[0].contains("192.0.2.1 is not a trusted proxy"), "{hints:?}");
}

#[test]
fn each_gateway_on_the_port_has_a_section_and_one_can_be_chosen() {
    let second = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: second }
spec:
  gatewayClassName: portcullis
  addresses: [{ value: 127.0.0.2 }]
  listeners: [{ name: http, port: 80, protocol: HTTP }]
---
";
    let base = BASE
        .replace("  gatewayClassName", "  addresses: [{ value: 127.0.0.1 }]\n  gatewayClassName");
    let world = world(&format!("{base}{second}{}", route("one", PLAIN)));
    let both = world.explain(&request("http://a.test/"), false);
    let names: Vec<_> = both.sections.iter().map(|one| one.gateway.name.to_string()).collect();
    assert_eq!(names, ["web", "second"]);
    let options =
        Options { gateway: Some(GatewayName::new("default/second")), ..Options::default() };
    let one = analyze::explain(&world.table, &request("http://a.test/"), &options);
    assert_eq!(one.sections.len(), 1);
    assert!(!one.is_routed());
    let by_address = request("http://127.0.0.2/").with_header("Host: a.test").unwrap();
    let one = world.explain(&by_address, false);
    assert_eq!(&*one.sections[0].gateway.name, "second");
}

#[test]
fn a_port_without_listener_says_which_ports_there_are() {
    let world = world(BASE);
    let explained = world.explain(&request("http://a.test:8080/"), false);
    assert_eq!(
        explained.nothing.as_deref(),
        Some("nothing listens on port 8080; listeners have 80")
    );
    let json = explained.to_json();
    assert_eq!(json["message"], "nothing listens on port 8080; listeners have 80");
}

#[test]
fn the_json_form_names_rule_backend_and_losers() {
    let spec = "  rules:\n  - { name: main, matches: [{ path: { value: /a } }], backendRefs: [{ name: cart, port: 8080 }] }\n  - { matches: [{ path: { value: / } }], backendRefs: [{ name: shop, port: 8080 }] }\n  - { matches: [{ path: { value: /a }, method: POST }], backendRefs: [{ name: shop, port: 8080 }] }";
    let world = world(&format!("{BASE}{}", route("one", spec)));
    let json = world.explain(&request("http://a.test/a/b?c=d"), true).to_json();
    let section = &json["gateways"][0];
    assert_eq!(section["outcome"], "forwarded");
    assert_eq!(section["rule"]["name"], "main");
    assert_eq!(section["rule"]["origin"]["field"], "spec.rules[0]");
    assert_eq!(section["backends"][0]["backend"], "default/cart:8080");
    assert_eq!(section["backends"][0]["request"]["target"], "/a/b?c=d");
    assert_eq!(section["backends"][0]["endpoints"], 1);
    let verdicts: Vec<_> =
        section["others"].as_array().unwrap().iter().map(|o| &o["verdict"]).collect();
    assert_eq!(verdicts[0]["outrankedBy"], "path");
    assert_eq!(verdicts[1]["failed"], "method");
}
