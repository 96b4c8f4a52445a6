//! Drops nulls and fills defaults, in place, as the API server stores an object.

use super::digest::Node;
use serde_json::{Map, Value};

/// Removes nulls from objects where the schema takes neither null nor a default. In lists they stay, and are an error later.
pub(super) fn drop_nulls(value: &mut Value, node: &Node) {
    match value {
        Value::Object(map) => map.retain(|key, value| match node.entry(key) {
            Some(schema) if value.is_null() => schema.nullable || schema.default.is_some(),
            Some(schema) => {
                drop_nulls(value, schema);
                true
            }
            None => true,
        }),
        Value::Array(items) => {
            if let Some(schema) = &node.items {
                items.iter_mut().for_each(|item| drop_nulls(item, schema));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Fills every default whose field is absent, in objects that are there.
pub(super) fn fill(value: &mut Value, node: &Node) {
    if !node.has_defaults {
        return;
    }
    match value {
        Value::Object(map) => {
            fill_properties(map, node);
            for (key, value) in map.iter_mut() {
                if let Some(schema) = node.entry(key) {
                    if let (Value::Null, Some(default), false) =
                        (&*value, &schema.default, schema.nullable)
                    {
                        *value = default.clone();
                    }
                    fill(value, schema);
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = &node.items else { return };
            for item in items {
                if let (Value::Null, Some(default), false) =
                    (&*item, &schema.default, schema.nullable)
                {
                    *item = default.clone();
                }
                fill(item, schema);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn fill_properties(map: &mut Map<String, Value>, node: &Node) {
    for (name, property) in &node.properties {
        if let Some(default) = &property.default
            && !map.contains_key(name)
        {
            map.insert(name.clone(), default.clone());
        }
    }
}
