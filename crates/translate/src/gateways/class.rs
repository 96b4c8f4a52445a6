//! Which GatewayClasses are ours.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::{Gateway, GatewayClass, ObjectName};

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Target};
use crate::gateways::parameters::{self, Parameters};
use crate::hint::nearest;
use crate::kinds::{at, gateway_ref, object_ref};
use crate::status::{Status, StatusBody, Statuses, class_conditions};
use crate::support::features::supported_features;
use crate::world::World;

/// Classes by name.
pub(crate) struct Classes<'a> {
    ours: BTreeMap<&'a str, Class<'a>>,
    /// Served because the operator named it.
    chosen: Option<&'a str>,
}

struct Class<'a> {
    name: &'a ObjectName,
    class: &'a Arc<GatewayClass>,
    findings: Vec<Diagnostic>,
    parameters: Parameters,
}

impl<'a> Classes<'a> {
    pub(crate) fn new(world: &World<'a>) -> Self {
        let mut ours = BTreeMap::new();
        for (name, class) in &world.snapshot.gateway_classes {
            if *class.spec.controller_name != *world.settings.controller_name {
                continue;
            }
            let object = object_ref::<GatewayClass>(name);
            let mut findings = Vec::new();
            let parameters = match parameters::of_class(world, class) {
                Ok(parameters) => parameters,
                Err(message) => {
                    findings.push(Diagnostic::new(
                        Code::ClassParametersInvalid,
                        at(&object, "spec.parametersRef"),
                        Target::Class,
                        message,
                    ));
                    Parameters::default()
                }
            };
            ours.insert(&*name.name, Class { name, class, findings, parameters });
        }
        Self { ours, chosen: world.settings.class.as_deref() }
    }

    pub(crate) fn is_ours(&self, class: &str) -> bool {
        self.ours.contains_key(class) || self.chosen == Some(class)
    }

    /// Whether the class is one whose parameters cannot be used.
    pub(crate) fn is_refused(&self, class: &str) -> bool {
        self.ours.get(class).is_some_and(|class| !class.findings.is_empty())
    }

    pub(crate) fn parameters(&self, class: &str) -> Option<&Parameters> {
        self.ours.get(class).map(|class| &class.parameters)
    }

    /// The finding about a Gateway whose class is not ours.
    pub(crate) fn aside(
        &self,
        world: &World<'_>,
        name: &ObjectName,
        gateway: &Gateway,
    ) -> Option<Diagnostic> {
        let class = &gateway.spec.gateway_class_name;
        let origin = at(&gateway_ref(name), "spec.gatewayClassName");
        let known = world.snapshot.gateway_classes.get(&ObjectName::new("", Arc::clone(class)));
        let (code, message, hint) = match known {
            Some(other) => {
                let controller = &other.spec.controller_name;
                let message = format!(
                    "GatewayClass {class} belongs to {controller}; serve it with --class {class}"
                );
                (Code::NotOurClass, message, None)
            }
            None if world.snapshot.open => {
                let message =
                    format!("GatewayClass {class} is not among the objects that were read");
                (Code::OutsideSnapshot, message, None)
            }
            None => {
                let names = world.snapshot.gateway_classes.keys().map(|name| &*name.name);
                let message = format!("GatewayClass {class} does not exist");
                (Code::ClassNotFound, message, nearest(class, names))
            }
        };
        Some(Diagnostic::new(code, origin, Target::Nothing, message).with_hint(hint))
    }

    /// Findings and statuses of the classes themselves.
    pub(crate) fn finish(
        self,
        world: &World<'_>,
        findings: &mut Vec<Diagnostic>,
        statuses: &mut Statuses,
    ) {
        for class in self.ours.into_values() {
            let concerning: Vec<&Diagnostic> = class.findings.iter().collect();
            let status = Status {
                observed_generation: class.class.metadata.generation(),
                body: StatusBody::GatewayClass {
                    conditions: class_conditions(&concerning),
                    supported_features: supported_features(&world.settings.capabilities),
                },
            };
            statuses.insert(object_ref::<GatewayClass>(class.name), Arc::new(status));
            findings.extend(class.findings);
        }
    }
}
