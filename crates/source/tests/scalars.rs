//! Scalars and keys mean what kubectl takes them for: golden tables made with its YAML library.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may end by a panic")]

use source::yaml;

fn rows(table: &str) -> impl Iterator<Item = (&str, &str)> {
    table.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t'))
}

fn field(text: &str) -> Option<serde_json::Value> {
    let reading = yaml::read(text);
    assert_eq!(reading.documents.len() + reading.problems.len(), 1, "{text}: {reading:?}");
    reading.documents.into_iter().next().map(|document| document.value)
}

#[test]
fn every_scalar_of_the_table_means_what_kubectl_reads() {
    let mut wrong = Vec::new();
    for (scalar, expected) in rows(include_str!("golden/scalars.tsv")) {
        let found = field(&format!("a: {scalar}")).map(|value| value["a"].clone());
        let expected: Option<serde_json::Value> = match expected {
            "ERROR" => None,
            json => Some(serde_json::from_str(json).expect("the table holds JSON")),
        };
        if found != expected && !same_number(found.as_ref(), expected.as_ref()) {
            wrong.push(format!("{scalar}: found {found:?}, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Zero has one meaning with any sign, and the largest integers pass through floats in the table.
fn same_number(a: Option<&serde_json::Value>, b: Option<&serde_json::Value>) -> bool {
    let number = |v: Option<&serde_json::Value>| v.and_then(serde_json::Value::as_f64);
    match (number(a), number(b)) {
        (Some(a), Some(b)) => (a - b).abs() <= a.abs() * 1e-15,
        _ => false,
    }
}

#[test]
fn every_key_of_the_table_is_spelled_as_kubectl_spells_it() {
    for (key, expected) in rows(include_str!("golden/keys.tsv")) {
        let found = field(&format!("{key}: 1"));
        let found = found.as_ref().and_then(|v| v.as_object()).and_then(|m| m.keys().next());
        assert_eq!(found.map_or("ERROR", String::as_str), expected, "{key}");
    }
}
