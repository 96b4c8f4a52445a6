//! JSON and SARIF.

use analyze::{Finding, Fix, findings_json, lint::Replacement, sarif};
use serde_json::json;
use translate::Code;

use crate::support::{BASE, World, route, world};

const REGEX: &str = "  rules:\n  - matches: [{ path: { type: RegularExpression, value: /a/b } }]\n    backendRefs: [{ name: gone, port: 8080 }]";

fn findings() -> (World, Vec<Finding>) {
    let world = world(&format!("{BASE}{}", route("one", REGEX)));
    let findings = world.lint(false);
    (world, findings)
}

#[test]
fn the_json_form_has_place_code_and_fingerprint() {
    let (world, findings) = findings();
    let json = findings_json(&findings, |origin| world.locate(origin));
    let list = json["findings"].as_array().unwrap();
    assert_eq!(list.len(), findings.len());
    let one = list.iter().find(|one| one["code"] == "PC0203").unwrap();
    assert_eq!(one["severity"], "error");
    assert_eq!(one["object"], "HTTPRoute default/one");
    assert_eq!(one["place"]["file"], "test.yaml");
    assert!(one["place"]["line"].as_u64().unwrap() > 30);
    assert!(one["fingerprint"].as_str().unwrap().starts_with("PC0203 HTTPRoute default/one "));
}

#[test]
fn the_sarif_form_is_what_code_scanning_reads() {
    let (world, mut findings) = findings();
    let first = findings[0].origin.clone();
    let edit = Replacement { origin: first.clone(), value: json!("v1") };
    let fix = Fix { title: "write v1".to_owned(), safe: true, edits: vec![edit] };
    findings.push(
        Finding::new(Code::DeprecatedVersion, first.clone(), "old")
            .with_fix(fix)
            .with_related(first, "x"),
    );
    let log = sarif(&findings, "0.1.0", |origin| world.locate(origin));
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), findings.len());
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let region = &result["locations"][0]["physicalLocation"]["region"];
        assert!(region["startLine"].as_u64().unwrap() >= 1);
    }
    let fixed = &results.last().unwrap()["fixes"][0]["artifactChanges"][0];
    assert_eq!(fixed["replacements"][0]["insertedContent"]["text"], "v1");
    let nowhere = sarif(&findings, "0.1.0", |_| None);
    let location = &nowhere["runs"][0]["results"][0]["locations"][0];
    assert!(location.get("physicalLocation").is_none());
    assert!(location["logicalLocations"][0]["fullyQualifiedName"].is_string());
}
