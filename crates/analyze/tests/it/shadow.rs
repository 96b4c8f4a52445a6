//! Rules that never run.

use crate::support::{BASE, found, found_in_route, part, route, world};

const CODES: [&str; 3] = ["PC0801", "PC0802", "PC0809"];

fn backends() -> &'static str {
    "backendRefs: [{ name: cart, port: 8080 }]"
}

/// Rules of one route, each with one match.
fn rules(matches: &[&str]) -> String {
    let mut spec = "  rules:\n".to_owned();
    for matched in matches {
        spec.push_str(&format!("  - {{ matches: [{matched}], {} }}\n", backends()));
    }
    spec
}

#[track_caller]
fn dead(matches: &[&str]) -> Vec<String> {
    found_in_route(&rules(matches), &CODES)
}

#[test]
fn a_rule_behind_a_wider_one_of_the_same_path_is_shadowed() {
    let wide = "{ path: { value: /a } }";
    let narrow = "{ path: { value: /a }, headers: [{ name: x, value: v }] }";
    // More conditions rank first, so the order of writing does not matter here.
    assert_eq!(dead(&[wide, narrow]), [""; 0]);
    let regex =
        "{ path: { value: /a }, headers: [{ name: x, value: '.*', type: RegularExpression }] }";
    assert_eq!(dead(&[regex, narrow]), ["PC0801 spec.rules[1]"]);
    assert_eq!(dead(&[narrow, regex]), [""; 0]);
}

#[test]
fn an_expression_that_takes_a_subtree_shadows_the_prefixes_below() {
    let all = "{ path: { value: '/a.*', type: RegularExpression } }";
    let below = "{ path: { value: /a/b } }";
    let beside = "{ path: { value: /b } }";
    assert_eq!(dead(&[below, beside, all]), ["PC0801 spec.rules[0]"]);
}

#[test]
fn exact_paths_rank_before_everything_and_are_not_shadowed_by_prefixes() {
    let prefix = "{ path: { value: /a } }";
    let exact = "{ path: { value: /a/b, type: Exact } }";
    let deeper = "{ path: { value: /a/b/c } }";
    assert_eq!(dead(&[prefix, exact, deeper]), [""; 0]);
}

#[test]
fn the_same_match_twice_is_a_duplicate() {
    let one = "{ path: { value: /a }, method: GET }";
    assert_eq!(dead(&[one, one]), ["PC0809 spec.rules[1]"]);
    let twice = format!("  rules:\n  - {{ matches: [{one}, {one}], {} }}\n", backends());
    let found = found_in_route(&twice, &CODES);
    assert_eq!(found, ["PC0809 spec.rules[0].matches[1]"]);
}

#[test]
fn only_the_dead_match_of_a_rule_is_named_when_another_lives() {
    let spec = format!(
        "  rules:\n  - {{ matches: [{{ path: {{ value: /a }} }}], {b} }}\n  - {{ matches: [{{ path: {{ value: /a }} }}, {{ path: {{ value: /b }} }}], {b} }}\n",
        b = backends()
    );
    assert_eq!(found_in_route(&spec, &CODES), ["PC0809 spec.rules[1].matches[0]"]);
}

#[test]
fn the_older_route_shadows_the_younger_at_the_same_listener() {
    let spec = rules(&["{ path: { value: /a } }"]);
    let yaml = format!("{BASE}{}{}", route("aaa", &spec), route("bbb", &spec));
    let findings = world(&yaml).lint(false);
    assert_eq!(found(&findings, &CODES), ["PC0809 spec.rules[0]"]);
    let finding = findings.iter().find(|one| one.code.id() == "PC0809").unwrap();
    assert_eq!(&*finding.origin.object.name, "bbb");
    assert!(finding.message.contains("rule 1 of HTTPRoute default/aaa"), "{}", finding.message);
}

#[test]
fn routes_of_other_hosts_do_not_shadow() {
    let one = format!("  hostnames: [a.test]\n{}", rules(&["{ path: { value: /a } }"]));
    let two = format!("  hostnames: [b.test]\n{}", rules(&["{ path: { value: /a } }"]));
    let yaml = format!("{BASE}{}{}", route("aaa", &one), route("bbb", &two));
    assert_eq!(found(&world(&yaml).lint(false), &CODES), [""; 0]);
}

#[test]
fn a_listener_with_one_host_lets_an_exact_hostname_shadow_a_wildcard() {
    let base = BASE.replace("port: 80,", "port: 80, hostname: x.a.test,");
    let exact = format!("  hostnames: [x.a.test]\n{}", rules(&["{ path: { value: / } }"]));
    let wild = format!("  hostnames: ['*.a.test']\n{}", rules(&["{ path: { value: /a } }"]));
    let yaml = format!("{base}{}{}", route("aaa", &wild), route("bbb", &exact));
    assert_eq!(found(&world(&yaml).lint(false), &CODES), ["PC0801 spec.rules[0]"]);
}

#[test]
fn a_host_that_a_more_specific_listener_takes_gets_no_requests() {
    let base = BASE.replace(
        "  listeners:\n",
        "  listeners:\n  - { name: exact, port: 80, protocol: HTTP, hostname: x.a.test }\n",
    );
    let spec = format!("  hostnames: [x.a.test]\n{}", rules(&["{ path: { value: / } }"]));
    let only = |section: &str| {
        let yaml = route("one", &spec);
        yaml.replace("{ name: web }", &format!("{{ name: web{section} }}"))
    };
    let yaml = format!("{base}{}", only(", sectionName: http"));
    assert_eq!(found(&world(&yaml).lint(false), &CODES), ["PC0802 spec.hostnames[0]"]);
    let yaml = format!("{base}{}", only(""));
    assert_eq!(found(&world(&yaml).lint(false), &CODES), [""; 0]);
}

#[test]
fn a_path_that_no_request_has_is_unreachable() {
    assert_eq!(dead(&["{ path: { value: /a/b } }"]), [""; 0]);
    let base = BASE.replace(
        "metadata: { name: web }",
        "metadata: { name: web, annotations: { portcullis.dev/escaped-slashes: reject } }",
    );
    let spec = rules(&["{ path: { value: /a%5Cb, type: Exact } }", "{ path: { value: /c } }"]);
    let yaml = format!("{base}{}", route("one", &spec));
    assert_eq!(found(&world(&yaml).lint(false), &CODES), ["PC0802 spec.rules[0]"]);
}

#[test]
fn rules_of_a_route_without_its_gateway_are_looked_at_too() {
    let one = "{ path: { value: /a } }";
    let spec = rules(&[one, one]);
    let findings = part(&route("one", &spec)).lint(false);
    assert_eq!(found(&findings, &CODES), ["PC0809 spec.rules[1]"]);
    let single = rules(&[one]);
    let yaml = format!("{}{}", route("aaa", &single), route("bbb", &single));
    assert_eq!(found(&part(&yaml).lint(false), &CODES), ["PC0809 spec.rules[0]"]);
    let elsewhere = route("bbb", &single).replace("name: web", "name: other");
    let yaml = format!("{}{elsewhere}", route("aaa", &single));
    assert_eq!(found(&part(&yaml).lint(false), &CODES), [""; 0]);
}
