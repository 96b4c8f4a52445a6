//! All that lowering a route may read beside the route: a narrow view of its neighbours.
//!
//! A route must never see a whole Gateway or Service, or every edit there would touch thousands of
//! routes. What is absent is a value too, so that its appearance is a change.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use api::{BackendObjectReference, GATEWAY_GROUP, ObjectName, ParentReference};
use ir::{HostPattern, ListenerId, ObjectRef};

use crate::gateways::listener::{ListenerWork, NamespaceRule, Shape, admits};
use crate::gateways::{GatewayWork, Gateways};
use crate::hint::nearest;
use crate::kinds::{GATEWAY, LISTENER_SET, RouteType};
use crate::refs::{Resolution, resolve_backend};
use crate::routes::Lower;
use crate::snapshot::Issues;
use crate::world::World;

/// What a route sees of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListenerView {
    pub(crate) id: ListenerId,
    pub(crate) port: u16,
    pub(crate) hostname: Option<HostPattern>,
    pub(crate) supported: Vec<RouteType>,
    /// TLS goes through unopened.
    pub(crate) passes: bool,
    /// Whether traffic can arrive.
    pub(crate) serving: bool,
}

/// Listeners of a parent, each with whether it admits the namespace of the route.
pub(crate) type Listeners = Vec<(Arc<ListenerView>, bool)>;

/// What a route sees of one of its parents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ParentInput {
    /// Of another controller: not our business.
    NotOurs,
    /// A kind that is no parent here.
    OtherKind,
    Missing {
        hint: Option<String>,
    },
    /// It leads out of an open snapshot.
    Outside {
        hint: Option<String>,
    },
    /// With its listeners.
    Ours(Listeners),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RouteInputs {
    /// One for each entry of `spec.parentRefs`.
    pub(crate) parents: Vec<ParentInput>,
    /// Default Gateways, when the route uses them (GEP-3793), in the order of their names. Those
    /// that `spec.parentRefs` names as a whole are not repeated.
    pub(crate) defaults: Vec<(ParentReference, Listeners)>,
    /// Every distinct reference to a backend, in the order of the route.
    pub(crate) backends: Vec<(BackendObjectReference, Resolution)>,
    /// The same for services that filters ask by gRPC.
    pub(crate) callees: Vec<(BackendObjectReference, Resolution)>,
    pub(crate) issues: Issues,
    /// The regular expressions of the namespace take too much memory: those of this route are
    /// left out.
    pub(crate) over_budget: bool,
}

impl RouteInputs {
    pub(crate) fn resolution(&self, reference: &BackendObjectReference) -> Option<&Resolution> {
        find(&self.backends, reference)
    }

    /// What a reference to a service that is asked by gRPC means.
    pub(crate) fn callee(&self, reference: &BackendObjectReference) -> Option<&Resolution> {
        find(&self.callees, reference)
    }

    /// The backends that exist and may be used, each once.
    pub(crate) fn used_backends(&self) -> Vec<Arc<ObjectRef>> {
        let mut backends: Vec<Arc<ObjectRef>> = Vec::new();
        for (_, resolution) in self.backends.iter().chain(&self.callees) {
            let object: Option<&Arc<ObjectRef>> = match resolution {
                Resolution::Reached(reached) => Some(&reached.cluster.0.backend),
                Resolution::Refused(refusal) => refusal.backend.as_ref(),
                Resolution::Unknown(..) => None,
            };
            backends.extend(object.filter(|object| !backends.contains(object)).cloned());
        }
        backends
    }
}

fn find<'r>(
    list: &'r [(BackendObjectReference, Resolution)],
    reference: &BackendObjectReference,
) -> Option<&'r Resolution> {
    list.iter().find(|(own, _)| own == reference).map(|(_, resolution)| resolution)
}

struct Parent<'g> {
    /// Namespace of the object that holds the listeners.
    namespace: &'g str,
    listeners: Vec<(Arc<ListenerView>, &'g NamespaceRule)>,
}

/// Parents by kind and name, with their verdicts about namespaces.
pub(crate) struct Parents<'g> {
    by_name: BTreeMap<(&'static str, &'g ObjectName), Parent<'g>>,
    /// Default Gateways, in the order of their names.
    defaults: Vec<&'g ObjectName>,
    verdicts: RefCell<BTreeMap<(ListenerId, Arc<str>), bool>>,
}

impl<'g> Parents<'g> {
    /// `known` holds the views of the last translation: equal ones are used again, so that
    /// comparing inputs is comparing pointers.
    pub(crate) fn new(
        gateways: &'g Gateways<'_>,
        known: &mut BTreeMap<ListenerId, Arc<ListenerView>>,
    ) -> Self {
        let mut by_name = BTreeMap::new();
        let mut used = BTreeMap::new();
        let mut view = |work: &ListenerWork<'_>| {
            let fresh = ListenerView {
                id: work.id.clone(),
                port: work.spec.port,
                hostname: work.hostname.clone(),
                supported: work.supported.clone(),
                passes: work.shape == Some(Shape::TlsPassthrough),
                serving: work.can_serve(),
            };
            let view = match known.get(&fresh.id) {
                Some(old) if **old == fresh => Arc::clone(old),
                Some(_) | None => Arc::new(fresh),
            };
            used.insert(view.id.clone(), Arc::clone(&view));
            view
        };
        for work in &gateways.works {
            let listeners = work.listeners.iter().map(|l| (view(l), &l.namespaces)).collect();
            let namespace = &*work.object.namespace;
            by_name.insert((GATEWAY, work.name), Parent { namespace, listeners });
            for set in &work.sets {
                let listeners = set.listeners.iter().map(|l| (view(l), &l.namespaces)).collect();
                let namespace = &*set.object.namespace;
                by_name.insert((LISTENER_SET, set.name), Parent { namespace, listeners });
            }
        }
        *known = used;
        let defaults = gateways.works.iter().filter(|work| work.is_default());
        let mut defaults: Vec<&ObjectName> = defaults.map(|work| work.name).collect();
        defaults.sort_unstable();
        Self { by_name, defaults, verdicts: RefCell::default() }
    }

    fn admits(
        &self,
        world: &World<'_>,
        parent: &Parent<'_>,
        listener: &ListenerView,
        rule: &NamespaceRule,
        namespace: &Arc<str>,
    ) -> bool {
        let key = (listener.id.clone(), Arc::clone(namespace));
        *self
            .verdicts
            .borrow_mut()
            .entry(key)
            .or_insert_with(|| admits(world, rule, parent.namespace, namespace))
    }

    /// Default Gateways with their listeners, but for those that `named` names as a whole.
    fn defaults(
        &self,
        world: &World<'_>,
        named: &[ParentReference],
        namespace: &Arc<str>,
    ) -> Vec<(ParentReference, Listeners)> {
        let others = self.defaults.iter().filter(|name| !names_whole(named, name, namespace));
        let listeners = |name: &&ObjectName| {
            let parent = self.by_name.get(&(GATEWAY, *name))?;
            Some((whole_gateway(name), self.listeners(world, parent, namespace)))
        };
        others.filter_map(listeners).collect()
    }

    fn listeners(&self, world: &World<'_>, parent: &Parent<'_>, namespace: &Arc<str>) -> Listeners {
        let views = parent.listeners.iter();
        views
            .map(|(view, rule)| {
                (Arc::clone(view), self.admits(world, parent, view, rule, namespace))
            })
            .collect()
    }

    fn input(
        &self,
        world: &World<'_>,
        reference: &ParentReference,
        route_namespace: &Arc<str>,
    ) -> ParentInput {
        let kind = match (reference.group(), reference.kind()) {
            (GATEWAY_GROUP, GATEWAY) => GATEWAY,
            (GATEWAY_GROUP, LISTENER_SET) => LISTENER_SET,
            _ => return ParentInput::OtherKind,
        };
        let name = reference.object_name(route_namespace);
        if let Some(parent) = self.by_name.get(&(kind, &name)) {
            return ParentInput::Ours(self.listeners(world, parent, route_namespace));
        }
        let snapshot = world.snapshot;
        let exists = match kind {
            GATEWAY => snapshot.gateways.contains_key(&name),
            _ => snapshot.listener_sets.contains_key(&name),
        };
        if exists {
            return ParentInput::NotOurs;
        }
        let near = |names: &mut dyn Iterator<Item = &ObjectName>| {
            let names = names.filter(|other| other.namespace == name.namespace);
            nearest(&name.name, names.map(|other| &*other.name))
        };
        let hint = match kind {
            GATEWAY => near(&mut snapshot.gateways.keys()),
            _ => near(&mut snapshot.listener_sets.keys()),
        };
        if snapshot.open { ParentInput::Outside { hint } } else { ParentInput::Missing { hint } }
    }
}

/// The reference to a Gateway as a whole, as a status shows it.
fn whole_gateway(name: &ObjectName) -> ParentReference {
    ParentReference {
        group: Some(GATEWAY_GROUP.into()),
        kind: Some(GATEWAY.into()),
        namespace: Some(Arc::clone(&name.namespace)),
        name: Arc::clone(&name.name),
        ..ParentReference::default()
    }
}

fn names_whole(references: &[ParentReference], gateway: &ObjectName, namespace: &Arc<str>) -> bool {
    references.iter().any(|reference| {
        (reference.group(), reference.kind()) == (GATEWAY_GROUP, GATEWAY)
            && reference.object_name(namespace) == *gateway
            && reference.section_name.is_none()
            && reference.port.is_none()
    })
}

pub(crate) fn uses_defaults<R: Lower>(route: &R) -> bool {
    route.use_default_gateways() == Some(&api::GatewayDefaultScope::All)
}

/// Collects the inputs of one route.
pub(crate) fn gather<R: Lower>(
    world: &World<'_>,
    parents: &Parents<'_>,
    object: &ObjectRef,
    route: &R,
) -> RouteInputs {
    let references = route.parent_refs().iter();
    let named =
        references.map(|reference| parents.input(world, reference, &object.namespace)).collect();
    let defaults = if uses_defaults(route) {
        parents.defaults(world, route.parent_refs(), &object.namespace)
    } else {
        Vec::new()
    };
    let mut backends: Vec<(BackendObjectReference, Resolution)> = Vec::new();
    route.visit_backends(&mut |reference| {
        if find(&backends, reference).is_none() {
            let resolution = resolve_backend(world, object, reference, R::TYPE);
            backends.push((reference.clone(), resolution));
        }
    });
    let mut callees: Vec<(BackendObjectReference, Resolution)> = Vec::new();
    route.visit_callees(&mut |reference| {
        if find(&callees, reference).is_none() {
            let resolution = resolve_backend(world, object, reference, RouteType::Grpc);
            callees.push((reference.clone(), resolution));
        }
    });
    let issues: Vec<_> = world.issues(object).cloned().collect();
    let issues = issues.into();
    RouteInputs { parents: named, defaults, backends, callees, issues, over_budget: false }
}

/// The Gateway of each listener that routes can attach to.
pub(crate) fn gateways_by_listener(
    works: &[GatewayWork<'_>],
) -> BTreeMap<ListenerId, Arc<ObjectRef>> {
    works
        .iter()
        .flat_map(|work| work.all_listeners().map(|l| (l.id.clone(), Arc::clone(&work.object))))
        .collect()
}
