//! Each rule of lint: what it finds, and what it leaves alone.

use analyze::lint::version_fix;
use api::Object;
use ir::ObjectRef;
use serde_json::json;

use crate::support::{BASE, found, found_in_route, part, route, world};

const PLAIN: &str = "  rules: [{ backendRefs: [{ name: cart, port: 8080 }] }]";

const SESSION: &str = "  rules: [{ sessionPersistence: { type: Cookie, cookie: { name: a } }, backendRefs: [{ name: cart, port: 8080 }] }]";

fn with_filter(filter: &str) -> String {
    format!("  rules: [{{ filters: [{filter}], backendRefs: [{{ name: cart, port: 8080 }}] }}]")
}

#[test]
fn a_plain_configuration_has_no_findings() {
    let findings = world(&format!("{BASE}{}", route("one", PLAIN))).lint(true);
    assert_eq!(found(&findings, &["PC0801", "PC0803", "PC0806", "PC0808", "PC0811"]), [""; 0]);
    let loud: Vec<_> = findings.iter().filter(|one| one.code.id() != "PC0817").collect();
    assert!(loud.is_empty(), "{loud:#?}");
}

#[test]
fn variables_of_other_gateways_in_values_are_found() {
    let header = |value: &str| {
        with_filter(&format!(
            "{{ type: RequestHeaderModifier, requestHeaderModifier: {{ set: [{{ name: x, value: '{value}' }}] }} }}"
        ))
    };
    let field = "PC0803 spec.rules[0].filters[0].requestHeaderModifier.set[0].value";
    for value in ["${HOST}", "$request_uri", "%REQ(X-Id)%", "{{ .Host }}"] {
        assert_eq!(found_in_route(&header(value), &["PC0803"]), [field], "{value}");
    }
    for value in ["plain", "5 $", "50%", "$5"] {
        assert_eq!(found_in_route(&header(value), &["PC0803"]), [""; 0], "{value}");
    }
    let rewrite = with_filter(
        "{ type: URLRewrite, urlRewrite: { path: { type: ReplaceFullPath, replaceFullPath: '/new/$1' } } }",
    );
    assert_eq!(
        found_in_route(&rewrite, &["PC0803"]),
        ["PC0803 spec.rules[0].filters[0].urlRewrite.path.replaceFullPath"]
    );
}

#[test]
fn expressions_are_specific_to_an_implementation() {
    let spec = "  rules:\n  - matches: [{ path: { type: RegularExpression, value: /a/b }, headers: [{ name: x, value: v, type: RegularExpression }, { name: z, value: v }], queryParams: [{ name: q, value: v, type: RegularExpression }] }]\n    backendRefs: [{ name: cart, port: 8080 }]";
    assert_eq!(
        found_in_route(spec, &["PC0806"]),
        [
            "PC0806 spec.rules[0].matches[0].headers[0]",
            "PC0806 spec.rules[0].matches[0].path",
            "PC0806 spec.rules[0].matches[0].queryParams[0]",
        ]
    );
    assert_eq!(found_in_route(PLAIN, &["PC0806"]), [""; 0]);
}

#[test]
fn extensions_and_tls_options_are_specific_to_an_implementation() {
    let spec = with_filter(
        "{ type: ExtensionRef, extensionRef: { group: example.com, kind: Limit, name: x } }",
    );
    assert_eq!(
        found_in_route(&spec, &["PC0806"]),
        ["PC0806 spec.rules[0].filters[0].extensionRef"]
    );
    let tls = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: web }
spec:
  gatewayClassName: x
  listeners:
  - name: a
    port: 443
    protocol: HTTPS
    tls: { certificateRefs: [{ name: a }, { name: b }], options: { example.com/min: '1.3' } }
  - { name: b, port: 444, protocol: HTTPS, tls: { certificateRefs: [{ name: a }] } }
";
    assert_eq!(
        found(&part(tls).lint(false), &["PC0806"]),
        [
            "PC0806 spec.listeners[0].tls.certificateRefs",
            "PC0806 spec.listeners[0].tls.options[example.com/min]",
        ]
    );
}

#[test]
fn experimental_fields_and_kinds_are_noted() {
    assert_eq!(found_in_route(SESSION, &["PC0808"]), ["PC0808 spec.rules[0].sessionPersistence"]);
    assert_eq!(found_in_route(PLAIN, &["PC0808"]), [""; 0]);
}

#[test]
fn deprecated_fields_are_named_with_what_replaces_them() {
    assert_eq!(found_in_route(SESSION, &["PC0818"]), ["PC0818 spec.rules[0].sessionPersistence"]);
    assert_eq!(found_in_route(PLAIN, &["PC0818"]), [""; 0]);
}

#[test]
fn a_weight_of_zero_is_noted() {
    let spec = "  rules: [{ backendRefs: [{ name: cart, port: 8080, weight: 0 }, { name: shop, port: 8080 }] }]";
    assert_eq!(found_in_route(spec, &["PC0805"]), ["PC0805 spec.rules[0].backendRefs[0].weight"]);
}

#[test]
fn selectors_on_labels_that_tenants_may_set_are_warned_about() {
    let gateway = |selector: &str| {
        let yaml = BASE.replace("from: All", &format!("from: Selector, selector: {selector}"));
        found(&world(&yaml).lint(false), &["PC0807"])
    };
    let field = "PC0807 spec.listeners[0].allowedRoutes.namespaces.selector";
    assert_eq!(gateway("{ matchLabels: { team: shop } }"), [field]);
    assert_eq!(gateway("{ matchLabels: { kubernetes.io/metadata.name: shop } }"), [""; 0]);
    let by_expression = "{ matchExpressions: [{ key: kubernetes.io/metadata.name, operator: In, values: [a, b] }] }";
    assert_eq!(gateway(by_expression), [""; 0]);
    let by_exclusion = "{ matchExpressions: [{ key: kubernetes.io/metadata.name, operator: NotIn, values: [a] }] }";
    assert_eq!(gateway(by_exclusion), [field]);
}

fn grant(from: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: ReferenceGrant\nmetadata: {{ name: g, namespace: other }}\nspec:\n  from: [{from}]\n  to: [{{ group: '', kind: Service }}]\n---\n"
    )
}

#[test]
fn a_grant_that_no_reference_needs_is_unused_in_a_whole_configuration() {
    let spec = "  rules: [{ backendRefs: [{ name: far, namespace: other, port: 8080 }] }]";
    let default = "{ group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default }";
    let stranger = "{ group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: stranger }";
    let lint = |from: &str, complete| {
        let yaml = format!("{BASE}{}{}", route("one", spec), grant(from));
        found(&world(&yaml).lint(complete), &["PC0804"])
    };
    assert_eq!(lint(default, true), [""; 0]);
    assert_eq!(lint(stranger, true), ["PC0804 "]);
    assert_eq!(lint(&format!("{default}, {stranger}"), true), ["PC0804 spec.from[1]"]);
    assert_eq!(lint(stranger, false), [""; 0]);
}

#[test]
fn routes_of_two_namespaces_with_one_hostname_are_warned_about() {
    let spec = format!("  hostnames: [shop.test]\n{PLAIN}");
    let other = |namespace: &str| {
        let there = route("two", &spec)
            .replace("{ name: two }", &format!("{{ name: two, namespace: {namespace} }}"))
            .replace("{ name: web }", "{ name: web, namespace: default }");
        let yaml = format!("{BASE}{}{there}", route("one", &spec));
        found(&world(&yaml).lint(false), &["PC0810"])
    };
    assert_eq!(other("team"), ["PC0810 spec.hostnames[0]"]);
    assert_eq!(other("default"), [""; 0]);
}

#[test]
fn idle_listeners_and_backends_are_reported_in_a_whole_configuration() {
    let empty = BASE.replace("127.0.0.1:9001", "");
    let base = empty.replace("  annotations: { portcullis.dev/endpoints: \"\" }\n", "");
    let yaml = format!("{base}{}", route("one", PLAIN));
    let codes = ["PC0811", "PC0817"];
    let backend = "PC0811 spec.rules[0].backendRefs[0]";
    assert_eq!(found(&world(&yaml).lint(true), &codes), [backend]);
    assert_eq!(found(&world(&yaml).lint(false), &codes), [""; 0]);
    assert_eq!(found(&world(BASE).lint(true), &codes), ["PC0817 spec.listeners[0]"]);
    assert_eq!(found(&world(BASE).lint(false), &codes), [""; 0]);
}

#[test]
fn an_old_version_of_the_same_shape_can_be_fixed_safely() {
    let object = |version: &str, kind: &str| {
        let value =
            json!({ "apiVersion": version, "kind": kind, "metadata": { "name": "x" }, "spec": {} });
        Object::decode(&value).conversion.expect("a conversion")
    };
    let named = ObjectRef::new("gateway.networking.k8s.io", "GRPCRoute", "default", "x");
    let old = object("gateway.networking.k8s.io/v1alpha2", "GRPCRoute");
    let fix = version_fix(&named, &old).expect("a fix");
    assert!(fix.safe);
    assert_eq!(fix.title, "write apiVersion gateway.networking.k8s.io/v1");
    assert_eq!(fix.edits.len(), 1);
    assert_eq!(&*fix.edits[0].origin.field, "apiVersion");
    let set = object("gateway.networking.x-k8s.io/v1alpha1", "XListenerSet");
    let fix = version_fix(&named, &set).expect("a fix");
    let fields: Vec<_> = fix.edits.iter().map(|edit| &*edit.origin.field).collect();
    assert_eq!(fields, ["apiVersion", "kind"]);
}

#[test]
fn an_old_version_of_another_shape_is_not_fixed() {
    let value = json!({
        "apiVersion": "gateway.networking.k8s.io/v1alpha2",
        "kind": "BackendTLSPolicy",
        "metadata": { "name": "x" },
        "spec": { "targetRef": { "group": "", "kind": "Service", "name": "a" }, "tls": { "hostname": "a" } },
    });
    let conversion = Object::decode(&value).conversion.expect("a conversion");
    let named = ObjectRef::new("gateway.networking.k8s.io", "BackendTLSPolicy", "default", "x");
    assert_eq!(version_fix(&named, &conversion), None);
}

#[test]
fn a_part_of_a_configuration_is_not_missing_the_rest() {
    let findings = part(&route("one", PLAIN)).lint(false);
    let loud: Vec<_> = findings.iter().filter(|one| one.level < analyze::Level::Note).collect();
    assert!(loud.is_empty(), "{loud:#?}");
}

#[test]
fn findings_are_sorted_and_each_is_there_once() {
    let rules = "{ backendRefs: [{ name: gone, port: 8080 }] }, ".repeat(11);
    let spec = format!("  rules: [{rules}]");
    let findings = world(&format!("{BASE}{}", route("one", &spec))).lint(false);
    let missing = found(&findings, &["PC0203"]);
    assert_eq!(missing.len(), 11);
    assert!(missing[9].contains("rules[9]") && missing[10].contains("rules[10]"), "{missing:?}");
}
