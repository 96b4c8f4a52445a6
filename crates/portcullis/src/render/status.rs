//! Statuses as a table, one line for each condition.

use std::{collections::BTreeMap, sync::Arc};

use ir::ObjectRef;
use serde_json::{Value, json};
use translate::{
    merge::merge,
    status::{Condition, Status, StatusBody, Statuses},
};

use super::{counted, table_text};

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

/// Statuses in JSON, by object.
pub(crate) type Shown = BTreeMap<Arc<ObjectRef>, Value>;

/// Each object with its status exactly as it would be written to a cluster that holds what was
/// `shown` before: what has not changed keeps its time.
pub(crate) fn json(
    statuses: &Statuses,
    shown: &mut Shown,
    controller_name: &str,
    now: &str,
) -> Value {
    let mut before = std::mem::take(shown);
    for (object, status) in statuses {
        let live = before.remove(object).unwrap_or(Value::Null);
        shown.insert(Arc::clone(object), merge(&live, status, controller_name, now));
    }
    let items: Vec<Value> = shown
        .iter()
        .map(|(object, status)| {
            let mut metadata = BTreeMap::from([("name", object.name.to_string())]);
            if !object.namespace.is_empty() {
                metadata.insert("namespace", object.namespace.to_string());
            }
            json!({
                "kind": &*object.kind,
                "metadata": metadata,
                "status": status,
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
                let routes = usize::try_from(listener.attached_routes).unwrap_or(usize::MAX);
                let part = format!("listener {} ({})", listener.name, counted(routes, "route"));
                (part, listener.conditions.as_slice())
            }))
            .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use source::{Contents, Store};

    use super::*;

    #[test]
    fn what_has_not_changed_keeps_its_time() {
        let class = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\n\
                     metadata: {name: c}\nspec: {controllerName: portcullis.dev/gateway-controller}\n";
        let mut store = Store::new(source::Settings::default());
        store.load(Contents::from_texts([("a.yaml", class)]));
        let translation = translate::translate(&store.snapshot(), &translate::Settings::default());
        let statuses = translate::finish(&translation, &translate::Facts::default());
        let mut shown = Shown::new();
        let mut ask = |now: &str| json(&statuses, &mut shown, "c", now).to_string();
        let first = ask("2026-01-01T00:00:00Z");
        assert!(first.contains("2026-01-01T00:00:00Z"), "{first}");
        assert_eq!(ask("2027-01-01T00:00:00Z"), first);
    }
}
