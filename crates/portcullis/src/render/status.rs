//! Statuses as a table, one line for each condition.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use translate::{
    merge,
    status::{Condition, Status, StatusBody, Statuses},
};

use super::table_text;

/// Kind, name, part (listener, parent, ancestor), condition, status, reason, message.
pub(crate) fn text(statuses: &Statuses) -> String {
    let mut rows = Vec::new();
    for (object, status) in statuses {
        let name = if object.namespace.is_empty() {
            object.name.to_string()
        } else {
            format!("{}/{}", object.namespace, object.name)
        };
        for (part, conditions) in parts(status) {
            for condition in conditions {
                rows.push(vec![
                    object.kind.to_string(),
                    name.clone(),
                    part.clone(),
                    condition.kind.as_str().to_owned(),
                    condition.status.as_str().to_owned(),
                    condition.reason.as_str().to_owned(),
                    condition.message.clone(),
                ]);
            }
        }
    }
    let headings = ["KIND", "NAME", "PART", "CONDITION", "STATUS", "REASON", "MESSAGE"];
    table_text(&headings, rows.into_iter())
}

/// Each object with its status exactly as it would be written to a cluster.
pub(crate) fn json(statuses: &Statuses, controller_name: &str, now: &str) -> Value {
    let items: Vec<Value> = statuses
        .iter()
        .map(|(object, status)| {
            let mut metadata = BTreeMap::from([("name", object.name.to_string())]);
            if !object.namespace.is_empty() {
                metadata.insert("namespace", object.namespace.to_string());
            }
            json!({
                "kind": &*object.kind,
                "metadata": metadata,
                "status": merge::render(status, controller_name, now),
            })
        })
        .collect();
    json!({ "items": items })
}

/// The parts of a status that have conditions of their own, each with a name.
fn parts(status: &Status) -> Vec<(String, &[Condition])> {
    match &status.body {
        StatusBody::Route { parents } => parents
            .iter()
            .map(|parent| {
                let reference = &parent.parent;
                let section = reference.section_name.as_ref();
                let section = section.map(|name| format!("/{name}")).unwrap_or_default();
                let port = reference.port.map(|port| format!(":{port}")).unwrap_or_default();
                (format!("parent {}{section}{port}", reference.name), parent.conditions.as_slice())
            })
            .collect(),
        StatusBody::Policy { ancestors } | StatusBody::Backend { ancestors } => ancestors
            .iter()
            .map(|entry| (format!("for {}", entry.ancestor), entry.conditions.as_slice()))
            .collect(),
        StatusBody::GatewayClass { .. }
        | StatusBody::Gateway { .. }
        | StatusBody::ListenerSet { .. } => {
            let own = std::iter::once((String::new(), status.conditions()));
            own.chain(status.listeners().iter().map(|listener| {
                let routes = listener.attached_routes;
                let part = format!("listener {} ({routes} routes)", listener.name);
                (part, listener.conditions.as_slice())
            }))
            .collect()
        }
    }
}
