//! Texts of sets and tables.

use std::{sync::Arc, time::Duration};

use ir::{
    Certificate, CertificateId, Filter, HeaderModifier, PathModifier, PrivateKey, Retry, Revision,
    Rewrite, Timeouts, assemble, dump, dump_table,
};

use crate::support::{
    MatchExt, RouteExt, field, get, listener, object, origin, prefix, route, rule, set, taken, text,
};

fn sample() -> ir::IrSet {
    let mut rich = rule(vec![prefix("/a").method("GET").header("x", "1").query_regex("q", "^a")]);
    rich.name = Some("first".into());
    rich.origin = origin(&object("HTTPRoute", "r"), "spec.rules[0]");
    rich.timeouts = Timeouts { request: Some(Duration::from_secs(5)), backend_request: None };
    rich.retry = Some(Retry { attempts: 2, codes: vec![503], backoff: None });
    let path = Some(PathModifier::ReplacePrefix("/b".into()));
    let place = origin(&object("HTTPRoute", "r"), "spec.rules[0].filters[1]");
    rich.filters = vec![
        Filter::RequestHeaders(HeaderModifier {
            set: vec![(field("X-A"), text("1"))],
            ..HeaderModifier::default()
        }),
        Filter::Rewrite(Rewrite { origin: place, hostname: None, path }),
    ];
    let mut route = route("r", &["*.a.com"], vec![]).created(7);
    route.rules = vec![Arc::new(rich)];
    let mut set = set(vec![listener("http", "*", 80)], vec![route]);
    let id = CertificateId("abc".into());
    let certificate = Certificate {
        id: id.clone(),
        origin: origin(&object("Secret", "s"), ""),
        chain: vec![Arc::from(&b"chain"[..])],
        key: Arc::new(PrivateKey::new(b"canary-key".to_vec())),
        names: vec![],
    };
    set.certificates.insert(id, Arc::new(certificate));
    set
}

#[test]
fn a_set_prints_every_field_that_is_set() {
    let expected = "\
Gateway default/web listener http: @ spec.listeners[0]
  addresses: [any]
  port: 80
  protocol: HTTP
  hostname: any
HTTPRoute default/r: http
  created: 7
  attached: Gateway default/web listener http for [*.a.com]
  rule 0 first: @ spec.rules[0]
    match: PathPrefix /a, method GET, header x = \"1\", query q ~ \"^a\" @ HTTPRoute default/any spec.rules[0].matches[0]
    request header: set X-A: 1
    rewrite: prefix /b @ spec.rules[0].filters[1]
    forward: 1 to Service default/backend:8080 http/1.1 @ HTTPRoute default/any spec.rules[0].backendRefs[0]
    timeout: 5s
    retry: 2 times on [503]
certificate abc: Secret default/s
  names: []
  chain: 1 certificates
";
    assert_eq!(dump(&sample()), expected);
}

#[test]
fn a_table_prints_ports_rules_and_clusters() {
    let table = assemble(&sample(), Revision { epoch: 3, sequence: 9 }, None);
    let expected = "\
revision: 3.9
port *:80/tcp: http, listeners [0]
listener 0: Gateway default/web listener http, host any
  host *.a.com:
    rule 0 match 0
rule 0: listener 0, HTTPRoute default/r rule 0
  until 1 of 1: cluster 0
cluster 0: Service default/backend:8080 http/1.1
certificate abc
";
    assert_eq!(dump_table(&table), expected);
    assert_eq!(taken(&table, &get("x.a.com/a?q=a").with("x", "1")), "r/0/0");
}

#[test]
fn no_text_holds_a_key() {
    let set = sample();
    let table = assemble(&set, Revision::default(), None);
    for text in [dump(&set), dump_table(&table), format!("{set:?}"), format!("{table:?}")] {
        assert!(!text.contains("canary") && !text.contains("99, 97, 110, 97, 114, 121"));
    }
}
