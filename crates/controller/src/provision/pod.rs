//! The Deployment of a Gateway's proxies.

use std::time::Duration;

use api::GatewayParametersSpec;
use serde_json::{Map, Value, json};

use super::desired::{Common, number_map, texts};
use super::object::{Kind, Object, some_map};
use super::{IDENTITY_DIR, STATE_DIR};

/// The port of `/livez`, `/readyz` and `/metrics`.
const METRICS_PORT: u16 = translate::plan::POD_PORTS[0];

/// The user that proxies run as: nobody in particular, and not root.
const USER: u32 = 65_532;

/// What the last good configuration may take of a pod's memory.
const STATE_SIZE: &str = "64Mi";

/// A pod that does not end by itself is killed this long after its own deadline. Both begin with the
/// preStop hook.
const GRACE: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(60);

pub(super) fn deployment(common: &Common<'_>) -> Object {
    let parameters = &common.plan.parameters;
    let replicas = match parameters.autoscaling {
        // The autoscaler's to say.
        Some(_) => None,
        None => Some(parameters.replicas.unwrap_or(1)),
    };
    let body = json!({ "spec": {
        "replicas": replicas,
        "revisionHistoryLimit": 2,
        "selector": { "matchLabels": common.selector() },
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 },
        },
        "template": { "metadata": template_metadata(common), "spec": pod(common) },
    } });
    common.plain(Kind::Deployment, &common.base, body)
}

fn template_metadata(common: &Common<'_>) -> Value {
    let pod = common.plan.parameters.pod.clone().unwrap_or_default();
    let mut labels = texts(&pod.labels);
    labels.extend(common.labels.clone());
    let mut annotations = std::collections::BTreeMap::from([
        ("prometheus.io/port".to_owned(), METRICS_PORT.to_string()),
        ("prometheus.io/scrape".to_owned(), "true".to_owned()),
    ]);
    annotations.extend(texts(&pod.annotations));
    annotations.extend(common.annotations.clone());
    json!({ "labels": labels, "annotations": annotations })
}

fn pod(common: &Common<'_>) -> Value {
    let parameters = &common.plan.parameters;
    let place = parameters.pod.clone().unwrap_or_default();
    let spread: Vec<Value> = if place.topology_spread_constraints.is_empty() {
        vec![json!({
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": { "matchLabels": common.selector() },
        })]
    } else {
        place.topology_spread_constraints.iter().map(|one| one.0.clone()).collect()
    };
    let pull: Vec<Value> =
        parameters.image_pull_secrets.iter().map(|name| json!({ "name": &**name })).collect();
    json!({
        "serviceAccountName": common.base,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": grace(parameters),
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "nodeSelector": some_map(texts(&place.node_selector)),
        "tolerations": (!place.tolerations.is_empty()).then(|| json!(place.tolerations)),
        "affinity": place.affinity.map(|affinity| affinity.0),
        "priorityClassName": place.priority_class_name.as_deref(),
        "topologySpreadConstraints": spread,
        "imagePullSecrets": (!pull.is_empty()).then_some(pull),
        "containers": [container(common)],
        "volumes": [
            { "name": "identity", "secret": { "secretName": common.base, "defaultMode": 0o440 } },
            { "name": "state", "emptyDir": { "medium": "Memory", "sizeLimit": STATE_SIZE } },
        ],
    })
}

fn grace(parameters: &GatewayParametersSpec) -> u64 {
    let deadline = parameters.drain.as_ref().and_then(|drain| drain.deadline.as_deref());
    let deadline = deadline.and_then(|text| api::duration::parse(text).ok()).unwrap_or(DEADLINE);
    deadline.saturating_add(GRACE).as_secs()
}

fn container(common: &Common<'_>) -> Value {
    let parameters = &common.plan.parameters;
    let own_image = parameters.image.is_some();
    let policy = parameters.image_pull_policy.as_deref();
    let policy =
        if own_image { policy } else { policy.or(common.settings.image_pull_policy.as_deref()) };
    let probe = |path: &str, period: u32, failures: u32| {
        json!({
            "httpGet": { "path": path, "port": "metrics" },
            "periodSeconds": period,
            "timeoutSeconds": 2,
            "failureThreshold": failures,
        })
    };
    json!({
        "name": "proxy",
        "image": parameters.image.as_deref().unwrap_or(&common.settings.image),
        "imagePullPolicy": policy,
        "args": arguments(common),
        "env": [
            {
                "name": "POD_NAME",
                "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } },
            },
            {
                "name": "PORTCULLIS_NODE",
                "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } },
            },
        ],
        "ports": [{ "name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP" }],
        "resources": resources(parameters),
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] },
            "readOnlyRootFilesystem": true,
        },
        // The proxy ends by itself once nobody needs it any longer, and the hook with it. SIGTERM
        // then finds it draining, and changes nothing.
        "lifecycle": { "preStop": { "exec": { "command": ["portcullis", "drain", "--wait"] } } },
        "startupProbe": probe("/livez", 1, 30),
        "livenessProbe": probe("/livez", 10, 3),
        "readinessProbe": probe("/readyz", 1, 3),
        "volumeMounts": [
            { "name": "identity", "mountPath": IDENTITY_DIR, "readOnly": true },
            { "name": "state", "mountPath": STATE_DIR },
        ],
    })
}

fn arguments(common: &Common<'_>) -> Vec<String> {
    let parameters = &common.plan.parameters;
    let mut arguments = vec![
        "proxy".to_owned(),
        format!("--controller={}", common.settings.controller),
        format!("--identity={IDENTITY_DIR}"),
        format!("--state-dir={STATE_DIR}"),
        // Both families: the kubelet asks at the pod's first address, whichever that is of.
        format!("--metrics-address=[::]:{METRICS_PORT}"),
    ];
    let logging = parameters.logging.clone().unwrap_or_default();
    let drain = parameters.drain.clone().unwrap_or_default();
    let format = logging.format.as_deref().unwrap_or("Json");
    arguments.push(format!("--log-format={}", format.to_ascii_lowercase()));
    if let Some(level) = &logging.level {
        arguments.push(format!("--log-level={level}"));
    }
    if logging.access_log.as_deref() == Some("Off") {
        arguments.push("--access-log=off".to_owned());
    }
    if let Some(min) = &drain.min {
        arguments.push(format!("--drain-min={min}"));
    }
    if let Some(deadline) = &drain.deadline {
        arguments.push(format!("--drain-deadline={deadline}"));
    }
    if let Some(workers) = parameters.workers {
        arguments.push(format!("--workers={workers}"));
    }
    arguments
}

fn resources(parameters: &GatewayParametersSpec) -> Value {
    let asked = parameters.resources.clone().unwrap_or_default();
    let mut requests =
        Map::from_iter([("cpu".to_owned(), json!("100m")), ("memory".to_owned(), json!("64Mi"))]);
    if let Value::Object(own) = number_map(&asked.requests) {
        requests.extend(own);
    }
    json!({ "requests": requests, "limits": number_map(&asked.limits) })
}
