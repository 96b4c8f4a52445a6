//! The input: every object that has a meaning for translation, at one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::{
    BackendTlsPolicy, ClusterTrustBundle, ConfigMap, DecodeIssue, EnvoyProxy, Gateway,
    GatewayClass, GatewayParameters, GrpcRoute, HttpRoute, ListenerSet, Namespace, Object,
    ObjectName, ReferenceGrant, Resource, Secret, Service, TcpRoute, TlsRoute, UdpRoute, XBackend,
    XBackendTrafficPolicy, XMesh, XTelemetryPolicy,
};
use ir::ObjectRef;

/// Objects of one kind by namespace (empty for cluster scope) and name. Cloning a snapshot copies
/// pointers, not objects.
pub type ObjMap<T> = BTreeMap<ObjectName, Arc<T>>;

/// Decode issues of an object: what may not be served as if the field were absent.
pub type Issues = Arc<[DecodeIssue]>;

macro_rules! snapshot {
    ($($field:ident: $kind:ident,)*) => {
        /// All objects, one map for each kind.
        ///
        /// EndpointSlices are not among them: endpoints bypass translation (see
        /// [`crate::endpoints`]).
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Snapshot {
            $(pub $field: ObjMap<$kind>,)*
            /// Objects of kinds without a meaning here, so that a reference to one can be told from
            /// a reference to nothing.
            pub others: BTreeSet<ObjectRef>,
            /// Fields that could not be decoded, for objects that have such fields.
            pub issues: BTreeMap<ObjectRef, Issues>,
            /// References that lead out of the snapshot are unknown, not missing: only a part of
            /// the configuration was read.
            pub open: bool,
        }

        impl Snapshot {
            /// Adds or replaces an object. Endpoints and EndpointSlices are passed over.
            pub fn insert(&mut self, object: &Object, issues: &[DecodeIssue]) {
                let name = object.name();
                let reference = object_ref(object.group(), object.kind(), &name);
                if issues.is_empty() {
                    self.issues.remove(&reference);
                } else {
                    self.issues.insert(reference.clone(), issues.into());
                }
                match object {
                    $(Object::$kind(object) => {
                        self.$field.insert(name, Arc::clone(object));
                    })*
                    Object::Other(_) => {
                        self.others.insert(reference);
                    }
                    Object::Endpoints(_) | Object::EndpointSlice(_) => {}
                }
            }

            /// Takes an object out; nothing happens when it is not there.
            pub fn remove(&mut self, group: &str, kind: &str, name: &ObjectName) {
                let reference = object_ref(group, kind, name);
                self.issues.remove(&reference);
                $(if (group, kind) == ($kind::GROUP, $kind::KIND) {
                    self.$field.remove(name);
                    return;
                })*
                self.others.remove(&reference);
            }

            /// Whether an object of any kind is there.
            pub fn contains(&self, group: &str, kind: &str, name: &ObjectName) -> bool {
                $(if (group, kind) == ($kind::GROUP, $kind::KIND) {
                    return self.$field.contains_key(name);
                })*
                self.others.contains(&object_ref(group, kind, name))
            }

            /// Every object with a meaning here, by kind, namespace and name.
            pub fn objects(&self) -> Vec<Object> {
                let mut all = Vec::new();
                $(all.extend(self.$field.values().map(|object| Object::$kind(Arc::clone(object))));)*
                all
            }
        }
    };
}

snapshot! {
    gateway_classes: GatewayClass,
    gateways: Gateway,
    listener_sets: ListenerSet,
    http_routes: HttpRoute,
    grpc_routes: GrpcRoute,
    tls_routes: TlsRoute,
    tcp_routes: TcpRoute,
    udp_routes: UdpRoute,
    reference_grants: ReferenceGrant,
    backend_tls_policies: BackendTlsPolicy,
    x_backends: XBackend,
    x_backend_traffic_policies: XBackendTrafficPolicy,
    x_meshes: XMesh,
    x_telemetry_policies: XTelemetryPolicy,
    gateway_parameters: GatewayParameters,
    envoy_proxies: EnvoyProxy,
    namespaces: Namespace,
    services: Service,
    secrets: Secret,
    config_maps: ConfigMap,
    cluster_trust_bundles: ClusterTrustBundle,
}

impl Snapshot {
    /// Everything but the routes: all that lowering a route may depend on beside the route.
    pub(crate) fn without_routes(&self) -> Self {
        Self {
            gateway_classes: self.gateway_classes.clone(),
            gateways: self.gateways.clone(),
            listener_sets: self.listener_sets.clone(),
            http_routes: ObjMap::new(),
            grpc_routes: ObjMap::new(),
            tls_routes: ObjMap::new(),
            tcp_routes: ObjMap::new(),
            udp_routes: ObjMap::new(),
            reference_grants: self.reference_grants.clone(),
            backend_tls_policies: self.backend_tls_policies.clone(),
            x_backends: self.x_backends.clone(),
            x_backend_traffic_policies: self.x_backend_traffic_policies.clone(),
            x_meshes: self.x_meshes.clone(),
            x_telemetry_policies: self.x_telemetry_policies.clone(),
            gateway_parameters: self.gateway_parameters.clone(),
            envoy_proxies: self.envoy_proxies.clone(),
            namespaces: self.namespaces.clone(),
            services: self.services.clone(),
            secrets: self.secrets.clone(),
            config_maps: self.config_maps.clone(),
            cluster_trust_bundles: self.cluster_trust_bundles.clone(),
            others: self.others.clone(),
            issues: self.issues.clone(),
            open: self.open,
        }
    }
}

fn object_ref(group: &str, kind: &str, name: &ObjectName) -> ObjectRef {
    ObjectRef {
        group: group.into(),
        kind: kind.into(),
        namespace: Arc::clone(&name.namespace),
        name: Arc::clone(&name.name),
    }
}
