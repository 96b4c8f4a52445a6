//! What every kind has: group, version, kind and metadata.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::backend_tls_policy::BackendTlsPolicy;
use crate::core_kinds::{ClusterTrustBundle, ConfigMap, Namespace, Secret, Service};
use crate::decode::Decode;
use crate::discovery::{EndpointSlice, Endpoints};
use crate::gateway::{Gateway, GatewayDefaultScope};
use crate::gateway_class::GatewayClass;
use crate::gateway_parameters::{EnvoyProxy, GatewayParameters};
use crate::grpc_route::GrpcRoute;
use crate::http_route::HttpRoute;
use crate::l4_routes::{TcpRoute, TlsRoute, UdpRoute};
use crate::listener_set::ListenerSet;
use crate::meta::ObjectMeta;
use crate::reference::{
    ENVOY_GATEWAY_GROUP, GATEWAY_GROUP, GATEWAY_X_GROUP, PORTCULLIS_GROUP, ParentReference,
};
use crate::reference_grant::ReferenceGrant;
use crate::route::{Route, RouteStatus};
use crate::x_kinds::{XBackend, XBackendTrafficPolicy, XMesh, XTelemetryPolicy};

/// A kind that we know.
pub trait Resource: Decode + Serialize {
    /// The API group; empty for core.
    const GROUP: &'static str;
    /// The version whose shape the Rust type has.
    const VERSION: &'static str;
    /// The kind.
    const KIND: &'static str;

    /// The object's metadata.
    fn meta(&self) -> &ObjectMeta;
}

/// The `apiVersion` of a group and version: the version alone for the core group.
#[must_use]
pub fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// The whole object as Kubernetes JSON, `apiVersion` and `kind` first. Secrets come out redacted.
#[must_use]
pub fn to_value<T: Resource>(resource: &T) -> Value {
    let mut whole = Map::new();
    whole.insert("apiVersion".to_owned(), api_version(T::GROUP, T::VERSION).into());
    whole.insert("kind".to_owned(), T::KIND.into());
    // Our types have only string keys and infallible fields, so this always yields an object.
    if let Ok(Value::Object(fields)) = serde_json::to_value(resource) {
        whole.extend(fields);
    }
    Value::Object(whole)
}

macro_rules! resources {
    ($($type:ident = $group:expr, $version:literal, $kind:literal;)*) => {$(
        impl Resource for $type {
            const GROUP: &'static str = $group;
            const VERSION: &'static str = $version;
            const KIND: &'static str = $kind;

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }
        }
    )*};
}

resources! {
    GatewayClass = GATEWAY_GROUP, "v1", "GatewayClass";
    Gateway = GATEWAY_GROUP, "v1", "Gateway";
    HttpRoute = GATEWAY_GROUP, "v1", "HTTPRoute";
    GrpcRoute = GATEWAY_GROUP, "v1", "GRPCRoute";
    TlsRoute = GATEWAY_GROUP, "v1", "TLSRoute";
    TcpRoute = GATEWAY_GROUP, "v1", "TCPRoute";
    UdpRoute = GATEWAY_GROUP, "v1", "UDPRoute";
    ListenerSet = GATEWAY_GROUP, "v1", "ListenerSet";
    BackendTlsPolicy = GATEWAY_GROUP, "v1", "BackendTLSPolicy";
    ReferenceGrant = GATEWAY_GROUP, "v1", "ReferenceGrant";
    XBackend = GATEWAY_X_GROUP, "v1alpha1", "XBackend";
    XBackendTrafficPolicy = GATEWAY_X_GROUP, "v1alpha1", "XBackendTrafficPolicy";
    XMesh = GATEWAY_X_GROUP, "v1alpha1", "XMesh";
    XTelemetryPolicy = GATEWAY_X_GROUP, "v1alpha1", "XTelemetryPolicy";
    GatewayParameters = PORTCULLIS_GROUP, "v1alpha1", "GatewayParameters";
    EnvoyProxy = ENVOY_GATEWAY_GROUP, "v1alpha1", "EnvoyProxy";
    Namespace = "", "v1", "Namespace";
    Service = "", "v1", "Service";
    Secret = "", "v1", "Secret";
    ConfigMap = "", "v1", "ConfigMap";
    Endpoints = "", "v1", "Endpoints";
    EndpointSlice = "discovery.k8s.io", "v1", "EndpointSlice";
    ClusterTrustBundle = "certificates.k8s.io", "v1", "ClusterTrustBundle";
}

macro_rules! routes {
    ($($type:ident: |$route:ident| $hostnames:expr;)*) => {$(
        impl Route for $type {
            fn parent_refs(&self) -> &[ParentReference] {
                &self.spec.parent_refs
            }

            fn use_default_gateways(&self) -> Option<&GatewayDefaultScope> {
                self.spec.use_default_gateways.as_ref()
            }

            fn hostnames(&self) -> &[Arc<str>] {
                let $route = self;
                $hostnames
            }

            fn status(&self) -> Option<&RouteStatus> {
                self.status.as_ref()
            }
        }
    )*};
}

routes! {
    HttpRoute: |route| &route.spec.hostnames;
    GrpcRoute: |route| &route.spec.hostnames;
    TlsRoute: |route| &route.spec.hostnames;
    TcpRoute: |_route| &[];
    UdpRoute: |_route| &[];
}
