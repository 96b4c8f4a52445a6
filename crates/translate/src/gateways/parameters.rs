//! Parameters of classes and Gateways: a ConfigMap with our keys, and annotations of ours.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::{GatewayClass, ObjectName};

use crate::code::Code;
use crate::edge::{ANNOTATION_PREFIX, EDGE_KEYS, Edge};
use crate::gateways::GatewayWork;
use crate::gateways::class::Classes;
use crate::world::World;

type Parameters = BTreeMap<Arc<str>, Arc<str>>;

/// The parameters of a class; an error is a sentence for its status.
pub(crate) fn of_class(world: &World<'_>, class: &GatewayClass) -> Result<Parameters, String> {
    let Some(reference) = &class.spec.parameters_ref else { return Ok(Parameters::new()) };
    let Some(namespace) = &reference.namespace else {
        return Err(wrong_kind(&reference.group, &reference.kind)
            .unwrap_or_else(|| "spec.parametersRef to a ConfigMap needs a namespace".to_owned()));
    };
    let name = ObjectName::new(Arc::clone(namespace), Arc::clone(&reference.name));
    read(world, &reference.group, &reference.kind, &name)
}

fn wrong_kind(group: &str, kind: &str) -> Option<String> {
    let full = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
    (group, kind).ne(&("", "ConfigMap")).then(|| {
        format!(
            "{full} cannot hold parameters; refer to a ConfigMap with the keys {}",
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
    let Some(config_map) = world.snapshot.config_maps.get(name) else {
        if world.snapshot.open {
            return Ok(Parameters::new());
        }
        return Err(format!("ConfigMap {name} does not exist"));
    };
    let mut trial = Edge::default();
    for (key, value) in &config_map.data {
        trial
            .set(key, value)
            .map_err(|refused| format!("in ConfigMap {name}, {}", refused.message))?;
    }
    if let Some(key) = config_map.binary_data.keys().next() {
        return Err(format!("in ConfigMap {name}, {key} is not text"));
    }
    Ok(config_map.data.clone())
}

/// Lays all layers of settings over each other.
pub(crate) fn apply(world: &World<'_>, classes: &Classes<'_>, work: &mut GatewayWork<'_>) {
    let class = &work.gateway.spec.gateway_class_name;
    if classes.is_refused(class) {
        let message = format!("the parameters of GatewayClass {class} cannot be used");
        work.find(Code::GatewayParametersInvalid, "spec.gatewayClassName", message);
    }
    for (key, value) in classes.parameters(class) {
        // Refused keys made the class itself refused.
        let _understood = work.edge.set(key, value).is_ok();
    }
    let infrastructure = work.gateway.spec.infrastructure.as_ref();
    let reference =
        infrastructure.and_then(|infrastructure| infrastructure.parameters_ref.as_ref());
    if let Some(reference) = reference {
        let name = ObjectName::new(Arc::clone(&work.object.namespace), Arc::clone(&reference.name));
        match read(world, &reference.group, &reference.kind, &name) {
            Ok(parameters) => {
                for (key, value) in &parameters {
                    let _understood = work.edge.set(key, value).is_ok();
                }
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
