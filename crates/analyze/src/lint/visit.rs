//! Walks over the objects of a snapshot, with the path of each field.

use std::sync::Arc;

use api::{
    BackendObjectReference, GrpcRoute, HttpRoute, HttpRouteFilter, Listener, ObjectName, Resource,
};
use ir::{ObjectRef, Origin};
use translate::Snapshot;

pub(super) fn object_ref<T: Resource>(name: &ObjectName) -> Arc<ObjectRef> {
    Arc::new(ObjectRef {
        group: T::GROUP.into(),
        kind: T::KIND.into(),
        namespace: Arc::clone(&name.namespace),
        name: Arc::clone(&name.name),
    })
}

pub(super) fn at(object: &Arc<ObjectRef>, field: impl Into<Arc<str>>) -> Origin {
    Origin::new(Arc::clone(object), field)
}

/// Every filter of HTTPRoutes and GRPCRoutes, at rules and at backends.
pub(super) fn filters(
    snapshot: &Snapshot,
    mut visit: impl FnMut(&Arc<ObjectRef>, &str, &HttpRouteFilter),
) {
    for (name, route) in &snapshot.http_routes {
        let object = object_ref::<HttpRoute>(name);
        for (index, rule) in route.spec.rules.iter().enumerate() {
            let at = format!("spec.rules[{index}]");
            for (position, filter) in rule.filters.iter().enumerate() {
                visit(&object, &format!("{at}.filters[{position}]"), filter);
            }
            for (backend, reference) in rule.backend_refs.iter().enumerate() {
                for (position, filter) in reference.filters.iter().enumerate() {
                    let field = format!("{at}.backendRefs[{backend}].filters[{position}]");
                    visit(&object, &field, filter);
                }
            }
        }
    }
    for (name, route) in &snapshot.grpc_routes {
        let object = object_ref::<GrpcRoute>(name);
        for (index, rule) in route.spec.rules.iter().enumerate() {
            let at = format!("spec.rules[{index}]");
            for (position, filter) in rule.filters.iter().enumerate() {
                visit(&object, &format!("{at}.filters[{position}]"), &filter.into());
            }
            for (backend, reference) in rule.backend_refs.iter().enumerate() {
                for (position, filter) in reference.filters.iter().enumerate() {
                    let field = format!("{at}.backendRefs[{backend}].filters[{position}]");
                    visit(&object, &field, &filter.into());
                }
            }
        }
    }
}

/// Every backend reference of a rule, with its weight as written.
pub(super) fn backends(
    snapshot: &Snapshot,
    mut visit: impl FnMut(&Arc<ObjectRef>, &str, &BackendObjectReference, Option<u32>),
) {
    macro_rules! routes {
        ($($field:ident: $kind:ident => |$reference:ident| $backend:expr;)*) => {$(
            for (name, route) in &snapshot.$field {
                let object = object_ref::<api::$kind>(name);
                for (index, rule) in route.spec.rules.iter().enumerate() {
                    for (position, $reference) in rule.backend_refs.iter().enumerate() {
                        let backend = $backend;
                        let field = format!("spec.rules[{index}].backendRefs[{position}]");
                        visit(&object, &field, &backend.object, backend.weight);
                    }
                }
            }
        )*};
    }
    routes! {
        http_routes: HttpRoute => |reference| &reference.backend;
        grpc_routes: GrpcRoute => |reference| &reference.backend;
        tls_routes: TlsRoute => |reference| reference;
        tcp_routes: TcpRoute => |reference| reference;
        udp_routes: UdpRoute => |reference| reference;
    }
}

/// Every listener of Gateways and ListenerSets.
pub(super) fn listeners(
    snapshot: &Snapshot,
    mut visit: impl FnMut(&Arc<ObjectRef>, &str, &Listener),
) {
    for (name, gateway) in &snapshot.gateways {
        let object = object_ref::<api::Gateway>(name);
        for (index, listener) in gateway.spec.listeners.iter().enumerate() {
            visit(&object, &format!("spec.listeners[{index}]"), listener);
        }
    }
    for (name, set) in &snapshot.listener_sets {
        let object = object_ref::<api::ListenerSet>(name);
        for (index, listener) in set.spec.listeners.iter().enumerate() {
            visit(&object, &format!("spec.listeners[{index}]"), listener);
        }
    }
}
