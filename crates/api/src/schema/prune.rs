//! Drops what the schema does not know, as the API server does before it validates.

use super::{
    digest::{Additional, Node},
    nearest::nearest,
};
use serde_json::Value;

/// A field that the schema does not know.
pub(super) struct Unknown {
    pub(super) path: String,
    /// The known field of the same object that it may have meant.
    pub(super) hint: Option<String>,
}

/// The fields that every object has and no schema has to list.
const ENVELOPE: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Drops unknown fields from an object and reports them, in the order of the document.
/// `metadata` has a schema of its own and is left alone.
pub(super) fn root(object: &mut Value, node: &Node, unknown: &mut Vec<Unknown>) {
    let Value::Object(map) = object else { return };
    entries(map, node, "", &ENVELOPE, unknown);
}

/// Drops unknown fields below `path`.
pub(super) fn below(value: &mut Value, node: &Node, path: &str, unknown: &mut Vec<Unknown>) {
    match value {
        Value::Object(map) => entries(map, node, path, &[], unknown),
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                let path = format!("{path}[{index}]");
                match &node.items {
                    Some(schema) => below(item, schema, &path, unknown),
                    None if node.preserve_unknown => {}
                    None => strangers(item, &path, unknown),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Drops every field of a value for which there is no schema at all.
fn strangers(value: &mut Value, path: &str, unknown: &mut Vec<Unknown>) {
    match value {
        Value::Object(map) => {
            unknown.extend(
                map.keys().map(|key| Unknown { path: format!("{path}.{key}"), hint: None }),
            );
            map.clear();
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                strangers(item, &format!("{path}[{index}]"), unknown);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn entries(
    map: &mut serde_json::Map<String, Value>,
    node: &Node,
    path: &str,
    kept: &[&str],
    unknown: &mut Vec<Unknown>,
) {
    map.retain(|key, value| {
        if kept.contains(&key.as_str()) {
            return true;
        }
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if let Some(schema) = node.entry(key) {
            below(value, schema, &path, unknown);
            return true;
        }
        if node.preserve_unknown || matches!(node.additional, Additional::Any) {
            return true;
        }
        let known = node.properties.keys().map(String::as_str);
        let hint = nearest(key, known).map(str::to_owned);
        unknown.push(Unknown { path, hint });
        false
    });
}
