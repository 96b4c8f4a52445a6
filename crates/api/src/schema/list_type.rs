//! Lists whose entries must differ: in their keys (`map`) or as a whole (`set`).

use super::{
    digest::{ListType, Node},
    go_text,
    violation::{Violation, ViolationKind},
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Reports entries that occur twice, everywhere below `path`.
pub(super) fn check(value: &Value, node: &Node, path: &str, errors: &mut Vec<Violation>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let child = match node.properties.get(key) {
                    Some(_) if path.is_empty() => key.clone(),
                    Some(_) => format!("{path}.{key}"),
                    None => format!("{path}[{key}]"),
                };
                if let Some(schema) = node.entry(key) {
                    check(value, schema, &child, errors);
                }
            }
        }
        Value::Array(items) => {
            match node.list_type {
                ListType::Atomic => {}
                ListType::Set => duplicates(items.iter().map(go_text::json), path, errors),
                ListType::Map => map_keys(items, node, path, errors),
            }
            let Some(schema) = &node.items else { return };
            for (index, item) in items.iter().enumerate() {
                check(item, schema, &format!("{path}[{index}]"), errors);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn map_keys(items: &[Value], node: &Node, path: &str, errors: &mut Vec<Violation>) {
    for (index, item) in items.iter().enumerate() {
        if !matches!(item, Value::Object(_) | Value::Null) {
            errors.push(Violation::new(
                &format!("{path}[{index}]"),
                ViolationKind::Invalid,
                Some(go_text::value(item)),
                "must be an object for an array of list-type map",
            ));
            return;
        }
    }
    let keys = items.iter().map(|item| {
        let of = |name: &String| Some((name.clone(), item.get(name)?.clone()));
        go_text::json(&Value::Object(node.map_keys.iter().filter_map(of).collect::<Map<_, _>>()))
    });
    duplicates(keys, path, errors);
}

/// Reports the second of equal entries, and none after it.
fn duplicates(entries: impl Iterator<Item = String>, path: &str, errors: &mut Vec<Violation>) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (index, entry) in entries.enumerate() {
        let times = seen.entry(entry.clone()).or_default();
        if *times == 1 {
            let path = format!("{path}[{index}]");
            errors.push(Violation::new(&path, ViolationKind::Duplicate, Some(entry), ""));
        }
        *times = times.saturating_add(1);
    }
}
