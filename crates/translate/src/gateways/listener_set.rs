//! ListenerSets: who is admitted by which Gateway, and in which order they are merged (GEP-1713).

use std::collections::BTreeMap;

use api::{GATEWAY_GROUP, ListenerSet, ObjectName};

use crate::certificate::Store;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Target};
use crate::gateways::listener::{self, NamespaceRule, Owner};
use crate::gateways::{Certificates, GatewayWork, SetWork};
use crate::hint::nearest;
use crate::kinds::{GATEWAY, at, object_ref, seniority};
use crate::world::World;

/// Hands each set to its Gateway, oldest first.
pub(crate) fn attach<'a>(
    world: &World<'a>,
    works: &mut [GatewayWork<'a>],
    store: &mut Store,
    certificates: &mut Certificates,
    asides: &mut Vec<Diagnostic>,
) {
    let by_name: BTreeMap<ObjectName, usize> =
        works.iter().enumerate().map(|(index, work)| (work.name.clone(), index)).collect();
    let mut sets: Vec<_> = world.snapshot.listener_sets.iter().collect();
    sets.sort_by(|a, b| seniority(&a.1.metadata, a.0).cmp(&seniority(&b.1.metadata, b.0)));
    for (name, set) in sets {
        let parent = &set.spec.parent_ref;
        if (parent.group(), parent.kind()) != (GATEWAY_GROUP, GATEWAY) {
            continue;
        }
        let parent_name = parent.object_name(&name.namespace);
        let work = by_name.get(&parent_name).and_then(|index| works.get_mut(*index));
        let Some(work) = work else {
            asides.extend(missing_parent(world, name, &parent_name));
            continue;
        };
        let mut own = SetWork {
            name,
            set,
            object: object_ref::<ListenerSet>(name),
            findings: Vec::new(),
            listeners: Vec::new(),
        };
        if world.settings.capabilities.listener_sets && is_admitted(world, work, name) {
            own.listeners = listener::lower_all(
                world,
                work.gateway,
                Owner { object: &own.object, from_set: true },
                &set.spec.listeners,
                store,
                certificates,
            );
        } else {
            let message = format!(
                "Gateway {parent_name} does not admit ListenerSets of namespace {}; see its \
                 spec.allowedListeners",
                name.namespace
            );
            own.find(Code::ListenerSetNotAllowed, "spec.parentRef", message);
        }
        work.sets.push(own);
    }
}

fn missing_parent(world: &World<'_>, name: &ObjectName, parent: &ObjectName) -> Option<Diagnostic> {
    if world.snapshot.gateways.contains_key(parent) {
        // Of another controller.
        return None;
    }
    let origin = at(&object_ref::<ListenerSet>(name), "spec.parentRef");
    if world.snapshot.open {
        let message = format!("Gateway {parent} is not among the objects that were read");
        return Some(Diagnostic::new(Code::OutsideSnapshot, origin, Target::Nothing, message));
    }
    let neighbours =
        world.snapshot.gateways.keys().filter(|other| other.namespace == parent.namespace);
    let hint = nearest(&parent.name, neighbours.map(|other| &*other.name));
    let message = format!("Gateway {parent} does not exist");
    Some(Diagnostic::new(Code::ParentNotFound, origin, Target::Nothing, message).with_hint(hint))
}

/// By default no namespace is admitted.
fn is_admitted(world: &World<'_>, work: &GatewayWork<'_>, set: &ObjectName) -> bool {
    let spec = &work.gateway.spec;
    let selector = spec
        .allowed_listeners
        .as_ref()
        .and_then(|allowed| allowed.namespaces.as_ref())
        .and_then(|namespaces| namespaces.selector.as_ref());
    let rule =
        listener::rule(&spec.allowed_listeners_from(), selector).unwrap_or(NamespaceRule::Nothing);
    listener::admits(world, &rule, &work.object.namespace, &set.namespace)
}

/// What its listeners and its Gateway mean for a set as a whole.
pub(crate) fn judge(work: &mut GatewayWork<'_>) {
    let accepted = work.is_accepted();
    let gateway = work.name.clone();
    for set in work.sets.iter_mut().filter(|set| set.findings.is_empty()) {
        if !accepted {
            let message = format!("Gateway {gateway} is not accepted");
            set.find(Code::ListenerSetParentNotAccepted, "spec.parentRef", message);
            continue;
        }
        let bad: Vec<String> = set
            .listeners
            .iter()
            .filter(|listener| !listener.is_accepted())
            .map(|listener| listener.id.name.to_string())
            .collect();
        let unserved = set.listeners.iter().filter(|listener| !listener.can_serve()).count();
        if unserved == set.listeners.len() {
            let message = "no listener of the set is valid; see the conditions of each";
            set.find(Code::ListenerSetNoValidListener, "spec.listeners", message);
        } else if !bad.is_empty() {
            let message =
                format!("not valid: listener {}; see the conditions of each", bad.join(", "));
            set.find(Code::ListenerSetSomeInvalid, "spec.listeners", message);
        }
    }
}
