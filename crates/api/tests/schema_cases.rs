//! The tables in `tests/schema/`: what an API server says to each object, word for word.
//!
//! A file has a base object and cases; a case changes fields of the base by JSON pointer (`null`
//! removes) and lists the errors that kube-apiserver 1.36 gives, in any order, and the unknown
//! fields that it drops. `update` judges the change of the base object into the changed one.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests: a wrong table must fail loudly"
)]

use api::schema::{
    Channel, RuleInfo, UnknownFields, Validator, Verdict, ViolationKind, distinct_rules,
};
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path};

struct Case {
    file: String,
    name: String,
    object: Value,
    verdict: Verdict,
    errors: Vec<String>,
    unknown: Vec<String>,
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let texts = value.and_then(Value::as_array).into_iter().flatten();
    let mut texts: Vec<String> = texts.map(|text| text.as_str().unwrap().to_owned()).collect();
    texts.sort();
    texts
}

fn changed(base: &Value, change: &Value) -> Value {
    let mut object = base.clone();
    for (pointer, value) in change.as_object().unwrap() {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        // Parents that the base lacks are made, as in `/status/addresses`.
        let mut place = &mut object;
        for part in parent.split('/').skip(1) {
            place = match place {
                Value::Array(items) => &mut items[part.parse::<usize>().unwrap()],
                other => {
                    let entry = other.as_object_mut().unwrap().entry(part);
                    entry.or_insert_with(|| Value::Object(serde_json::Map::new()))
                }
            };
        }
        match place {
            Value::Array(items) => items[key.parse::<usize>().unwrap()] = value.clone(),
            Value::Object(map) if value.is_null() => {
                map.remove(key);
            }
            Value::Object(map) => {
                map.insert(key.to_owned(), value.clone());
            }
            _ => panic!("{pointer} leads nowhere"),
        }
    }
    object
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema");
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let table: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let file = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let base = &table["base"];
        for case in table["cases"].as_array().unwrap() {
            let channel = match case["channel"].as_str() {
                Some("standard") => Channel::Standard,
                _ => Channel::Experimental,
            };
            let validator = Validator { channel, unknown_fields: UnknownFields::Warn };
            let mut object = changed(base, &case["change"]);
            let verdict = if case["update"].as_bool() == Some(true) {
                validator.validate_update(&mut object, base)
            } else {
                validator.validate(&mut object)
            };
            cases.push(Case {
                file: file.clone(),
                name: case["case"].as_str().unwrap().to_owned(),
                object,
                verdict,
                errors: texts(case.get("errors")),
                unknown: texts(case.get("unknown")),
            });
        }
    }
    cases
}

#[test]
fn every_case_gets_the_words_of_the_api_server() {
    let mut wrong = Vec::new();
    for case in cases() {
        let mut errors: Vec<String> = case.verdict.errors.iter().map(ToString::to_string).collect();
        errors.sort();
        let mut unknown: Vec<String> = case
            .verdict
            .warnings
            .iter()
            .filter(|warning| warning.kind == ViolationKind::UnknownField)
            .map(|warning| warning.path.clone())
            .filter(|path| !path.starts_with("metadata."))
            .collect();
        unknown.sort();
        if errors != case.errors || unknown != case.unknown {
            wrong.push(format!(
                "{}: {}\n  expected {:#?} {:?}\n  got {errors:#?} {unknown:?}",
                case.file, case.name, case.errors, case.unknown
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Rules that no object can break, with the reason.
const UNBREAKABLE: &[(&str, &str)] = &[(
    "type must be one of ['Exact', 'PathPrefix', 'RegularExpression']",
    "the enum of the same field refuses every other type first, and rules are not evaluated then",
)];

#[test]
fn every_rule_has_a_case_that_breaks_it_and_a_kind_that_passes() {
    let mut broken: BTreeSet<(String, String)> = BTreeSet::new();
    let mut passing: BTreeSet<String> = BTreeSet::new();
    for case in cases() {
        let kind = case.object["kind"].as_str().unwrap().to_owned();
        if case.verdict.is_admitted() {
            passing.insert(kind.clone());
        }
        for error in &case.verdict.errors {
            broken.insert((kind.clone(), error.detail.clone()));
        }
    }
    let mut missing = BTreeSet::new();
    for channel in [Channel::Standard, Channel::Experimental] {
        for (RuleInfo { rule, message, .. }, kinds) in distinct_rules(channel) {
            if UNBREAKABLE.iter().any(|(unbreakable, _)| *unbreakable == message) {
                continue;
            }
            // An evaluation that fails names the rule at the end of its text.
            let is_broken = |kind: &&str| {
                broken.iter().any(|(broken_kind, text)| {
                    broken_kind == kind && text.ends_with(message.trim())
                })
            };
            if !kinds.iter().any(is_broken) || !kinds.iter().any(|kind| passing.contains(*kind)) {
                missing.insert(format!("{kinds:?} {message}: {rule}"));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "rules without a case:\n{}",
        missing.into_iter().collect::<Vec<_>>().join("\n")
    );
}
