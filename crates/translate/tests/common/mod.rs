//! What the tests of this crate share: snapshots from YAML, and statuses as compact text.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fmt::Write as _;

use api::kinds::Scope;
use translate::{
    AddressPool, Capabilities, Condition, Settings, Snapshot, Status, StatusBody, Statuses,
};

/// Reads documents into a snapshot; objects without a namespace are in `default`.
pub(crate) fn snapshot(text: &str) -> Snapshot {
    let mut snapshot = Snapshot::default();
    add(&mut snapshot, text);
    snapshot
}

pub(crate) fn add(snapshot: &mut Snapshot, text: &str) {
    for object in objects(text) {
        snapshot.insert(&object.object, &object.issues);
    }
}

pub(crate) fn objects(text: &str) -> Vec<api::Decoded> {
    let reading = source::yaml::read(text);
    assert!(reading.problems.is_empty(), "test input must be YAML: {:?}", reading.problems);
    reading.documents.iter().map(|document| decode(&document.value)).collect()
}

fn decode(value: &serde_json::Value) -> api::Decoded {
    let mut value = value.clone();
    let text = |name: &str| value.get(name).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let cluster = api::kinds::find(group, &kind).is_some_and(|info| info.scope == Scope::Cluster);
    if let Some(metadata) = value.get_mut("metadata").and_then(|metadata| metadata.as_object_mut())
        && !cluster
    {
        metadata.entry("namespace").or_insert_with(|| "default".into());
    }
    api::Object::decode(&value)
}

/// Settings from `# key: value` lines of a golden file.
pub(crate) fn settings(directives: &[(&str, &str)]) -> Settings {
    let mut settings = Settings::default();
    for (key, value) in directives {
        match *key {
            "addresses" if *value == "none" => settings.addresses.clear(),
            "addresses" => settings.addresses = value.split(", ").map(pool).collect(),
            "placement" if *value == "provisioned" => {
                settings.placement = translate::Placement::Provisioned;
            }
            "pattern-budget" => {
                settings.namespace_patterns_bytes_max = value.parse().unwrap();
            }
            "port-offset" => settings.port_offset = value.parse().unwrap(),
            "class" => settings.class = Some((*value).to_owned()),
            "capabilities" if *value == "all" => settings.capabilities = Capabilities::ALL,
            "capabilities" if *value == "http" => {
                settings.capabilities = Capabilities { http: true, ..Capabilities::NONE };
            }
            "capabilities" if *value == "https" => {
                settings.capabilities =
                    Capabilities { http: true, https: true, ..Capabilities::NONE };
            }
            "capabilities" => panic!("unknown capabilities {value}"),
            _ => {}
        }
    }
    settings
}

fn pool(text: &str) -> AddressPool {
    match text {
        "any" => AddressPool::Any,
        network if network.contains('/') => AddressPool::Network(network.parse().unwrap()),
        ip => AddressPool::Ip(ip.parse().unwrap()),
    }
}

/// One line for each condition; the message only where it is more than the baseline's.
pub(crate) fn show(statuses: &Statuses, with_class: bool) -> String {
    let mut text = String::new();
    for (object, status) in statuses {
        if &*object.kind == "GatewayClass" && !with_class {
            continue;
        }
        writeln!(text, "{object}").unwrap();
        show_status(&mut text, status);
    }
    text
}

fn show_status(text: &mut String, status: &Status) {
    conditions(text, "", status.conditions());
    match &status.body {
        StatusBody::GatewayClass { supported_features, .. } => {
            writeln!(text, "  features {}", supported_features.join(" ")).unwrap();
        }
        StatusBody::Gateway { addresses, attached_listener_sets, .. } => {
            if !addresses.is_empty() {
                let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                writeln!(text, "  addresses [{}]", shown.join(", ")).unwrap();
            }
            if *attached_listener_sets > 0 {
                writeln!(text, "  attachedListenerSets {attached_listener_sets}").unwrap();
            }
        }
        StatusBody::ListenerSet { .. } => {}
        StatusBody::Route { parents } => {
            for parent in parents {
                let reference = &parent.parent;
                let section = reference.section_name.as_deref().unwrap_or("*");
                let port = reference.port.map(|port| format!(":{port}")).unwrap_or_default();
                writeln!(text, "  parent {} {}/{section}{port}", reference.kind(), reference.name)
                    .unwrap();
                conditions(text, "  ", &parent.conditions);
            }
        }
        StatusBody::Policy { ancestors } | StatusBody::Backend { ancestors } => {
            for ancestor in ancestors {
                writeln!(text, "  ancestor {}", ancestor.ancestor).unwrap();
                conditions(text, "  ", &ancestor.conditions);
            }
        }
    }
    for listener in status.listeners() {
        writeln!(
            text,
            "  listener {} routes={} kinds={}",
            listener.name,
            listener.attached_routes,
            listener.supported_kinds.join(",")
        )
        .unwrap();
        conditions(text, "  ", &listener.conditions);
    }
}

fn conditions(text: &mut String, indent: &str, conditions: &[Condition]) {
    for condition in conditions {
        let (kind, status, reason) = (condition.kind, condition.status, condition.reason);
        let plain = (status.as_str() == "True" && reason.as_str() == kind.as_str())
            || reason.as_str() == "NoConflicts"
            || reason.as_str() == "Pending";
        if plain && !condition.message.contains(" is \"") {
            writeln!(text, "{indent}  {kind} {status} {reason}").unwrap();
        } else {
            writeln!(text, "{indent}  {kind} {status} {reason}: {}", condition.message).unwrap();
        }
    }
}
