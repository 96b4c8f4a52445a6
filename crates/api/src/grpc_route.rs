//! GRPCRoute.

use std::sync::Arc;

use crate::filters::GrpcRouteFilter;
use crate::gateway::GatewayDefaultScope;
use crate::meta::ObjectMeta;
use crate::object_macro::object;
use crate::reference::{BackendRef, ParentReference};
use crate::route::{HeaderMatch, RouteStatus, SessionPersistence, StringMatchType};

object! {
    /// Routes gRPC calls by host, service, method and headers.
    pub struct GrpcRoute {
        metadata: ObjectMeta = "metadata",
        spec: GrpcRouteSpec = "spec",
        status: Option<RouteStatus> = "status",
    }
}

object! {
    /// What the author of a GRPCRoute asks for.
    pub struct GrpcRouteSpec {
        parent_refs: Vec<ParentReference> = "parentRefs",
        /// Experimental, GEP-3793.
        use_default_gateways: Option<GatewayDefaultScope> = "useDefaultGateways",
        hostnames: Vec<Arc<str>> = "hostnames",
        rules: Vec<GrpcRouteRule> = "rules",
    }
}

object! {
    /// Calls that match one of `matches` go through the filters to the backends.
    pub struct GrpcRouteRule {
        name: Option<Arc<str>> = "name",
        /// Empty: every call.
        matches: Vec<GrpcRouteMatch> = "matches",
        filters: Vec<GrpcRouteFilter> = "filters",
        backend_refs: Vec<GrpcBackendRef> = "backendRefs",
        /// Experimental, GEP-1619.
        session_persistence: Option<SessionPersistence> = "sessionPersistence",
    }
}

object! {
    /// Conditions on a call; all must hold.
    pub struct GrpcRouteMatch {
        method: Option<GrpcMethodMatch> = "method",
        headers: Vec<HeaderMatch> = "headers",
    }
}

object! {
    /// A condition on service and method; an absent or empty one matches all.
    pub struct GrpcMethodMatch {
        r#type: Option<StringMatchType> = "type",
        service: Option<Arc<str>> = "service",
        method: Option<Arc<str>> = "method",
    }
}

impl GrpcMethodMatch {
    /// The type; Exact when absent.
    #[must_use]
    pub fn r#type(&self) -> StringMatchType {
        self.r#type.clone().unwrap_or(StringMatchType::Exact)
    }

    /// The service; `None` also when it is empty.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        self.service.as_deref().filter(|service| !service.is_empty())
    }

    /// The method; `None` also when it is empty.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        self.method.as_deref().filter(|method| !method.is_empty())
    }
}

object! {
    /// A backend with filters of its own.
    pub struct GrpcBackendRef {
        ..backend: BackendRef,
        filters: Vec<GrpcRouteFilter> = "filters",
    }
}
