//! Parameters of classes and Gateways: GatewayParameters, a ConfigMap, or Envoy Gateway's
//! EnvoyProxy; and annotations of ours.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::schema::Validator;
use api::{
    ENVOY_GATEWAY_GROUP, GatewayClass, GatewayParametersSpec, ObjectName, PORTCULLIS_GROUP, decode,
};
use serde_json::{Value, json};

use crate::code::Code;
use crate::edge::{ANNOTATION_PREFIX, EDGE_KEYS, Edge};
use crate::gateways::class::Classes;
use crate::gateways::{GatewayWork, envoy_proxy, provisioned};
use crate::kinds::named_ref;
use crate::world::World;

/// The key of a ConfigMap that holds the spec of a GatewayParameters as YAML.
pub(crate) const SPEC_KEY: &str = "parameters.yaml";

/// What one reference to parameters leads to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Parameters {
    /// Settings of the HTTP edge, by key.
    edge: BTreeMap<Arc<str>, Arc<str>>,
    /// The spec of a GatewayParameters.
    spec: Value,
    /// Fields that mean nothing here.
    ignored: Vec<String>,
}

/// The parameters of a class; an error is a sentence for its status.
pub(crate) fn of_class(world: &World<'_>, class: &GatewayClass) -> Result<Parameters, String> {
    let Some(reference) = &class.spec.parameters_ref else { return Ok(Parameters::default()) };
    let Some(namespace) = &reference.namespace else {
        return Err(wrong_kind(&reference.group, &reference.kind).unwrap_or_else(|| {
            format!("spec.parametersRef to a {} needs a namespace", reference.kind)
        }));
    };
    let name = ObjectName::new(Arc::clone(namespace), Arc::clone(&reference.name));
    read(world, &reference.group, &reference.kind, &name)
}

fn wrong_kind(group: &str, kind: &str) -> Option<String> {
    let known = matches!(
        (group, kind),
        ("", "ConfigMap")
            | (PORTCULLIS_GROUP, "GatewayParameters")
            | (ENVOY_GATEWAY_GROUP, "EnvoyProxy")
    );
    let full = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
    (!known).then(|| {
        format!(
            "{full} cannot hold parameters here; refer to a GatewayParameters.{PORTCULLIS_GROUP}, \
             or to a ConfigMap with {SPEC_KEY} or the keys {}",
            EDGE_KEYS.join(", ")
        )
    })
}

fn read(
    world: &World<'_>,
    group: &str,
    kind: &str,
    name: &ObjectName,
) -> Result<Parameters, String> {
    if let Some(message) = wrong_kind(group, kind) {
        return Err(message);
    }
    let snapshot = world.snapshot;
    let found = if group == PORTCULLIS_GROUP {
        snapshot.gateway_parameters.get(name).map(|parameters| {
            let issues = world.issues(&named_ref(group, kind, name)).next();
            match issues {
                Some(issue) => Err(format!("{} {}", issue.path, issue.message)),
                None => Ok(Parameters { spec: json!(parameters.spec), ..Parameters::default() }),
            }
        })
    } else if group == ENVOY_GATEWAY_GROUP {
        snapshot.envoy_proxies.get(name).map(|parameters| {
            let spec = parameters.spec.as_ref().map_or(Value::Null, |spec| spec.0.clone());
            let (spec, ignored) = envoy_proxy::convert(&spec);
            Ok(Parameters { spec, ignored, ..Parameters::default() })
        })
    } else {
        snapshot.config_maps.get(name).map(|config_map| of_config_map(config_map))
    };
    let Some(parameters) = found else {
        if snapshot.open {
            return Ok(Parameters::default());
        }
        return Err(format!("{kind} {name} does not exist"));
    };
    let parameters = parameters.map_err(|message| format!("in {kind} {name}, {message}"))?;
    judge(&parameters.spec).map_err(|message| format!("in {kind} {name}, {message}"))?;
    Ok(parameters)
}

fn of_config_map(config_map: &api::ConfigMap) -> Result<Parameters, String> {
    let mut parameters = Parameters::default();
    let mut trial = Edge::default();
    for (key, value) in &config_map.data {
        if **key == *SPEC_KEY {
            parameters.spec = serde_saphyr::from_str(value)
                .map_err(|error| format!("{SPEC_KEY} is not YAML: {error}"))?;
            continue;
        }
        trial.set(key, value).map_err(|refused| refused.message)?;
        parameters.edge.insert(Arc::clone(key), Arc::clone(value));
    }
    match config_map.binary_data.keys().next() {
        Some(key) => Err(format!("{key} is not text")),
        None => Ok(parameters),
    }
}

/// What the API server would say, and what it cannot know.
fn judge(spec: &Value) -> Result<(), String> {
    if spec.is_null() {
        return Ok(());
    }
    let mut object = json!({
        "apiVersion": format!("{PORTCULLIS_GROUP}/v1alpha1"),
        "kind": "GatewayParameters",
        "metadata": {"name": "parameters", "namespace": "default"},
        "spec": spec,
    });
    let verdict = Validator::new().validate(&mut object);
    if let Some(violation) = verdict.errors.first() {
        return Err(violation.to_string());
    }
    provisioned::check(&typed(spec))
}

fn typed(spec: &Value) -> GatewayParametersSpec {
    if spec.is_null() {
        return GatewayParametersSpec::default();
    }
    decode::decode(spec).0
}

/// Lays `above` over `below`, field by field. A list is one value.
fn lay(below: &mut Value, above: &Value) {
    match (below, above) {
        (_, Value::Null) => {}
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                lay(below.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above.clone(),
    }
}

/// Lays all layers of settings over each other.
pub(crate) fn apply(world: &World<'_>, classes: &Classes<'_>, work: &mut GatewayWork<'_>) {
    let class = &work.gateway.spec.gateway_class_name;
    if classes.is_refused(class) {
        let message = format!("the parameters of GatewayClass {class} cannot be used");
        work.find(Code::GatewayParametersInvalid, "spec.gatewayClassName", message);
    }
    let mut spec = Value::Null;
    if let Some(parameters) = classes.parameters(class) {
        for (key, value) in &parameters.edge {
            // Refused keys made the class itself refused.
            let _understood = work.edge.set(key, value).is_ok();
        }
        spec = parameters.spec.clone();
    }
    let infrastructure = work.gateway.spec.infrastructure.as_ref();
    let reference =
        infrastructure.and_then(|infrastructure| infrastructure.parameters_ref.as_ref());
    if let Some(reference) = reference {
        let name = ObjectName::new(Arc::clone(&work.object.namespace), Arc::clone(&reference.name));
        match read(world, &reference.group, &reference.kind, &name) {
            Ok(parameters) => {
                for (key, value) in &parameters.edge {
                    let _understood = work.edge.set(key, value).is_ok();
                }
                lay(&mut spec, &parameters.spec);
                say_ignored(work, &reference.kind, &parameters.ignored);
            }
            Err(message) => {
                work.find(
                    Code::GatewayParametersInvalid,
                    "spec.infrastructure.parametersRef",
                    message,
                );
            }
        }
    }
    work.parameters = Arc::new(typed(&spec));
    annotations(work);
}

fn say_ignored(work: &mut GatewayWork<'_>, kind: &str, ignored: &[String]) {
    if !ignored.is_empty() {
        let message = format!("these fields of the {kind} have no effect: {}", ignored.join(", "));
        work.find(Code::ParametersPartlyServed, "spec.infrastructure.parametersRef", message);
    }
}

fn annotations(work: &mut GatewayWork<'_>) {
    for (name, value) in &work.gateway.metadata.annotations {
        let Some(key) = name.strip_prefix(ANNOTATION_PREFIX) else { continue };
        // Lint reads this one, on objects of any kind.
        if key == "lint-ignore" {
            continue;
        }
        if let Err(refused) = work.edge.set(key, value) {
            let field = format!("metadata.annotations[{name}]");
            work.find(Code::SettingInvalid, &field, refused.message);
            if let Some(finding) = work.findings.last_mut() {
                finding.hint = refused.hint;
                finding.effect = Some("the strictest setting is used".to_owned());
            }
        }
    }
}

/// Settings for listeners that the Gateway does not have are typing errors.
pub(crate) fn check_listener_names(work: &mut GatewayWork<'_>) {
    let names: Vec<&str> = work.gateway.spec.listeners.iter().map(|l| &*l.name).collect();
    let strangers: Vec<String> =
        work.edge.listeners().filter(|name| !names.contains(name)).map(str::to_owned).collect();
    for stranger in strangers {
        let hint = crate::hint::nearest(&stranger, names.iter().copied());
        let message =
            format!("a setting is for listener {stranger}, which the Gateway does not have");
        work.find(Code::SettingInvalid, "metadata.annotations", message);
        if let Some(finding) = work.findings.last_mut() {
            finding.hint = hint;
        }
    }
}
