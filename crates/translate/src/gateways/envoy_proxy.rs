//! Envoy Gateway's EnvoyProxy as parameters of ours: what means the same is taken, the rest named.

use serde_json::{Map, Value};

/// Where a field of EnvoyProxy's spec goes. Everything below a field goes with it.
const SAME: &[(&str, &str)] = &[
    ("concurrency", "workers"),
    ("provider.kubernetes.envoyDeployment.container.resources", "resources"),
    ("provider.kubernetes.envoyDeployment.pod.affinity", "pod.affinity"),
    ("provider.kubernetes.envoyDeployment.pod.annotations", "pod.annotations"),
    ("provider.kubernetes.envoyDeployment.pod.labels", "pod.labels"),
    ("provider.kubernetes.envoyDeployment.pod.nodeSelector", "pod.nodeSelector"),
    ("provider.kubernetes.envoyDeployment.pod.priorityClassName", "pod.priorityClassName"),
    ("provider.kubernetes.envoyDeployment.pod.tolerations", "pod.tolerations"),
    (
        "provider.kubernetes.envoyDeployment.pod.topologySpreadConstraints",
        "pod.topologySpreadConstraints",
    ),
    ("provider.kubernetes.envoyDeployment.replicas", "replicas"),
    ("provider.kubernetes.envoyHpa.maxReplicas", "autoscaling.maxReplicas"),
    ("provider.kubernetes.envoyHpa.minReplicas", "autoscaling.minReplicas"),
    ("provider.kubernetes.envoyPDB.maxUnavailable", "disruptionBudget.maxUnavailable"),
    ("provider.kubernetes.envoyPDB.minAvailable", "disruptionBudget.minAvailable"),
    (
        "provider.kubernetes.envoyService.allocateLoadBalancerNodePorts",
        "service.allocateLoadBalancerNodePorts",
    ),
    ("provider.kubernetes.envoyService.annotations", "service.annotations"),
    ("provider.kubernetes.envoyService.externalTrafficPolicy", "service.externalTrafficPolicy"),
    ("provider.kubernetes.envoyService.labels", "service.labels"),
    ("provider.kubernetes.envoyService.loadBalancerClass", "service.loadBalancerClass"),
    (
        "provider.kubernetes.envoyService.loadBalancerSourceRanges",
        "service.loadBalancerSourceRanges",
    ),
    ("provider.kubernetes.envoyService.type", "service.type"),
    ("shutdown.drainTimeout", "drain.deadline"),
    ("shutdown.minDrainDuration", "drain.min"),
];

/// The spec of GatewayParameters that means the same, and the fields that mean nothing here.
pub(crate) fn convert(spec: &Value) -> (Value, Vec<String>) {
    let mut converted = Converted::default();
    converted.walk("", spec);
    (Value::Object(converted.spec), converted.ignored)
}

#[derive(Default)]
struct Converted {
    spec: Map<String, Value>,
    ignored: Vec<String>,
}

impl Converted {
    fn walk(&mut self, path: &str, value: &Value) {
        if let Some((_, target)) = SAME.iter().find(|(own, _)| *own == path) {
            self.put(target, value.clone());
            return;
        }
        if self.special(path, value) {
            return;
        }
        match value.as_object() {
            Some(map) if !map.is_empty() => {
                for (key, value) in map {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.walk(&path, value);
                }
            }
            Some(_) => {}
            None => self.ignored.push(format!("spec.{path}")),
        }
    }

    /// Fields whose values are written in another way; `true` when it was one.
    fn special(&mut self, path: &str, value: &Value) -> bool {
        let text = value.as_str();
        match (path, text) {
            ("provider.type", Some("Kubernetes")) => {}
            ("ipFamily", Some(family @ ("IPv4" | "IPv6"))) => {
                self.put("service.ipFamilyPolicy", "SingleStack".into());
                self.put("service.ipFamilies", vec![Value::from(family)].into());
            }
            ("ipFamily", Some("DualStack")) => {
                self.put("service.ipFamilyPolicy", "PreferDualStack".into());
            }
            ("routingType", Some("Service")) => self.put("routing", "Service".into()),
            ("routingType", Some("Endpoint")) => self.put("routing", "Endpoints".into()),
            ("logging.level.default", Some(level)) => {
                let level = if matches!(level, "critical" | "off") { "error" } else { level };
                self.put("logging.level", level.into());
            }
            ("telemetry.accessLog.disable", None) => {
                let written = if value.as_bool() == Some(true) { "Off" } else { "Stdout" };
                self.put("logging.accessLog", written.into());
            }
            ("provider.kubernetes.envoyDeployment.pod.imagePullSecrets", None) => {
                let names = value.as_array().into_iter().flatten();
                let names: Vec<Value> = names.filter_map(|one| one.get("name").cloned()).collect();
                self.put("imagePullSecrets", names.into());
            }
            _ => return false,
        }
        true
    }

    fn put(&mut self, target: &str, value: Value) {
        let (holder, field) = target.split_once('.').unwrap_or(("", target));
        if holder.is_empty() {
            self.spec.insert(field.to_owned(), value);
            return;
        }
        let holder = self.spec.entry(holder).or_insert_with(|| Value::Object(Map::new()));
        if let Some(map) = holder.as_object_mut() {
            map.insert(field.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::convert;

    #[test]
    fn what_means_the_same_is_taken_and_the_rest_is_named() {
        let (spec, ignored) = convert(&json!({
            "provider": {"type": "Kubernetes", "kubernetes": {
                "envoyDeployment": {
                    "replicas": 3,
                    "pod": {"labels": {"a": "b"}, "imagePullSecrets": [{"name": "pull"}]},
                    "container": {"image": "envoy:1", "resources": {"limits": {"cpu": 2}}},
                },
                "envoyService": {"type": "NodePort", "loadBalancerIP": "10.0.0.1"},
            }},
            "ipFamily": "DualStack",
            "logging": {"level": {"default": "warn", "router": "debug"}},
            "shutdown": {"drainTimeout": "30s"},
            "telemetry": {"accessLog": {"disable": true}},
        }));
        assert_eq!(
            spec,
            json!({
                "replicas": 3,
                "pod": {"labels": {"a": "b"}},
                "imagePullSecrets": ["pull"],
                "resources": {"limits": {"cpu": 2}},
                "service": {"type": "NodePort", "ipFamilyPolicy": "PreferDualStack"},
                "logging": {"level": "warn", "accessLog": "Off"},
                "drain": {"deadline": "30s"},
            })
        );
        assert_eq!(
            ignored,
            [
                "spec.provider.kubernetes.envoyDeployment.container.image",
                "spec.provider.kubernetes.envoyService.loadBalancerIP",
                "spec.logging.level.router",
            ]
        );
    }
}
