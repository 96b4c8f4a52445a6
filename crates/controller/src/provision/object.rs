//! Objects of the cluster as JSON, and the kinds that are generated.

use serde_json::{Map, Value, json};

/// A kind that we make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    ServiceAccount,
    Secret,
    Deployment,
    Service,
    PodDisruptionBudget,
    HorizontalPodAutoscaler,
}

/// Every kind, in the order in which objects are made.
pub const KINDS: [Kind; 6] = [
    Kind::ServiceAccount,
    Kind::Secret,
    Kind::Deployment,
    Kind::Service,
    Kind::PodDisruptionBudget,
    Kind::HorizontalPodAutoscaler,
];

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceAccount => "ServiceAccount",
            Self::Secret => "Secret",
            Self::Deployment => "Deployment",
            Self::Service => "Service",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::HorizontalPodAutoscaler => "HorizontalPodAutoscaler",
        }
    }

    /// Group (empty for core) and version.
    pub fn group_version(self) -> (&'static str, &'static str) {
        match self {
            Self::ServiceAccount | Self::Secret | Self::Service => ("", "v1"),
            Self::Deployment => ("apps", "v1"),
            Self::PodDisruptionBudget => ("policy", "v1"),
            Self::HorizontalPodAutoscaler => ("autoscaling", "v2"),
        }
    }

    pub fn plural(self) -> &'static str {
        match self {
            Self::ServiceAccount => "serviceaccounts",
            Self::Secret => "secrets",
            Self::Deployment => "deployments",
            Self::Service => "services",
            Self::PodDisruptionBudget => "poddisruptionbudgets",
            Self::HorizontalPodAutoscaler => "horizontalpodautoscalers",
        }
    }
}

/// An object to be, with the fields that we decide.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
    /// The whole object.
    pub value: Value,
}

impl Object {
    pub(super) fn new(
        kind: Kind,
        namespace: &str,
        name: &str,
        metadata: &Map<String, Value>,
        body: Value,
    ) -> Self {
        let (group, version) = kind.group_version();
        let mut whole = Map::new();
        whole.insert("apiVersion".into(), api::resource::api_version(group, version).into());
        whole.insert("kind".into(), kind.as_str().into());
        let mut meta = Map::new();
        meta.insert("namespace".into(), namespace.into());
        meta.insert("name".into(), name.into());
        meta.extend(metadata.clone());
        whole.insert("metadata".into(), meta.into());
        if let Value::Object(body) = body {
            whole.extend(body);
        }
        Self { kind, namespace: namespace.into(), name: name.into(), value: whole.into() }
    }
}

/// `{}` without the fields that are null.
pub(super) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Value::Array(list) => list.into_iter().map(without_nulls).collect(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}

/// A map, or null when it is empty.
pub(super) fn some_map<V: Into<Value> + Clone>(
    entries: impl IntoIterator<Item = (String, V)>,
) -> Value {
    let map: Map<String, Value> =
        entries.into_iter().map(|(key, value)| (key, value.into())).collect();
    if map.is_empty() { Value::Null } else { json!(map) }
}
