//! Which objects an object names.

use std::sync::Arc;

use api::{GATEWAY_GROUP, SERVICE_NAME_LABEL, kinds};
use serde_json::{Map, Value};
use translate::ObjectRef;

/// One object named by another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    pub target: ObjectRef,
    /// The port of a Service, where one is named.
    pub port: Option<u16>,
}

/// Every reference of an object in the newest shape, sorted, each once.
pub fn references(object: &Value, from: &ObjectRef) -> Vec<Reference> {
    let mut found = Vec::new();
    if let Some(spec) = object.get("spec").and_then(Value::as_object) {
        in_map(spec, &from.namespace, &mut found);
    }
    match &*from.kind {
        "Endpoints" if from.group.is_empty() => {
            found.push(service(&from.name, &from.namespace));
        }
        "EndpointSlice" => {
            let labels = object.pointer("/metadata/labels");
            let name = labels.and_then(|labels| labels.get(SERVICE_NAME_LABEL));
            if let Some(name) = name.and_then(Value::as_str) {
                found.push(service(name, &from.namespace));
            }
        }
        _ => {}
    }
    found.sort();
    found.dedup();
    found
}

fn service(name: &str, namespace: &str) -> Reference {
    Reference { target: ObjectRef::new("", "Service", namespace, name), port: None }
}

fn in_map(map: &Map<String, Value>, namespace: &str, found: &mut Vec<Reference>) {
    for (key, value) in map {
        if key == "gatewayClassName" {
            if let Some(name) = value.as_str() {
                let target = ObjectRef::new(GATEWAY_GROUP, "GatewayClass", "", name);
                found.push(Reference { target, port: None });
            }
            continue;
        }
        if let Some((group, kind)) = defaults(key) {
            match value {
                Value::Array(items) => {
                    found.extend(items.iter().filter_map(|item| one(item, group, kind, namespace)));
                }
                Value::Object(_) => found.extend(one(value, group, kind, namespace)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        in_value(value, namespace, found);
    }
}

fn in_value(value: &Value, namespace: &str, found: &mut Vec<Reference>) {
    match value {
        Value::Object(map) => in_map(map, namespace, found),
        Value::Array(items) => items.iter().for_each(|item| in_value(item, namespace, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Group and kind that a reference field means when it names none; nothing for other fields.
fn defaults(field: &str) -> Option<(&'static str, &'static str)> {
    Some(match field {
        "parentRefs" | "parentRef" => (GATEWAY_GROUP, "Gateway"),
        "backendRefs" | "backendRef" => ("", "Service"),
        "certificateRefs" | "clientCertificateRef" => ("", "Secret"),
        "caCertificateRefs" => ("", "ConfigMap"),
        "targetRefs" | "targetRef" | "extensionRef" | "parametersRef" => ("", ""),
        _ => return None,
    })
}

fn one(value: &Value, group: &str, kind: &str, local: &str) -> Option<Reference> {
    let text = |field: &str| value.get(field).and_then(Value::as_str);
    let group = text("group").unwrap_or(group);
    let kind = text("kind").unwrap_or(kind);
    let cluster = kinds::find(group, kind).is_some_and(|info| info.scope == kinds::Scope::Cluster);
    let namespace = if cluster { "" } else { text("namespace").unwrap_or(local) };
    let port = value.get("port").and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok());
    let target = ObjectRef {
        group: group.into(),
        kind: kind.into(),
        namespace: namespace.into(),
        name: Arc::from(text("name")?),
    };
    Some(Reference { target, port })
}
