//! HTTPRoute.

use std::sync::Arc;

use crate::filters::HttpRouteFilter;
use crate::gateway::GatewayDefaultScope;
use crate::meta::ObjectMeta;
use crate::object_macro::object;
use crate::open_enum::open_enum;
use crate::reference::{BackendRef, ParentReference};
use crate::route::{HeaderMatch, RouteStatus, SessionPersistence, StringMatchType};

object! {
    /// Routes HTTP requests by host, path, method, headers and query.
    pub struct HttpRoute {
        metadata: ObjectMeta = "metadata",
        spec: HttpRouteSpec = "spec",
        status: Option<RouteStatus> = "status",
    }
}

object! {
    /// What the author of an HTTPRoute asks for.
    pub struct HttpRouteSpec {
        parent_refs: Vec<ParentReference> = "parentRefs",
        /// Experimental, GEP-3793.
        use_default_gateways: Option<GatewayDefaultScope> = "useDefaultGateways",
        hostnames: Vec<Arc<str>> = "hostnames",
        /// The API server's default is one rule with the path prefix `/`.
        rules: Vec<HttpRouteRule> = "rules",
    }
}

object! {
    /// Requests that match one of `matches` go through the filters to the backends.
    pub struct HttpRouteRule {
        name: Option<Arc<str>> = "name",
        /// Empty: every request (the API server's default is the path prefix `/`).
        matches: Vec<HttpRouteMatch> = "matches",
        filters: Vec<HttpRouteFilter> = "filters",
        backend_refs: Vec<HttpBackendRef> = "backendRefs",
        timeouts: Option<HttpRouteTimeouts> = "timeouts",
        retry: Option<HttpRouteRetry> = "retry",
        /// Experimental, GEP-1619.
        session_persistence: Option<SessionPersistence> = "sessionPersistence",
    }
}

object! {
    /// Conditions on a request; all must hold.
    pub struct HttpRouteMatch {
        path: Option<HttpPathMatch> = "path",
        headers: Vec<HeaderMatch> = "headers",
        query_params: Vec<QueryParamMatch> = "queryParams",
        /// An HTTP method in upper case.
        method: Option<Arc<str>> = "method",
    }
}

object! {
    /// A condition on the path.
    pub struct HttpPathMatch {
        r#type: Option<PathMatchType> = "type",
        value: Option<Arc<str>> = "value",
    }
}

impl HttpPathMatch {
    /// The type; PathPrefix when absent.
    #[must_use]
    pub fn r#type(&self) -> PathMatchType {
        self.r#type.clone().unwrap_or(PathMatchType::PathPrefix)
    }

    /// The value; `/` when absent.
    #[must_use]
    pub fn value(&self) -> &str {
        self.value.as_deref().unwrap_or("/")
    }
}

open_enum! {
    /// How a path is compared.
    pub enum PathMatchType {
        Exact = "Exact",
        PathPrefix = "PathPrefix",
        RegularExpression = "RegularExpression",
    }
}

object! {
    /// A query parameter's required value.
    pub struct QueryParamMatch {
        r#type: Option<StringMatchType> = "type",
        name: Arc<str> = "name",
        value: Arc<str> = "value",
    }
}

impl QueryParamMatch {
    /// The type; Exact when absent.
    #[must_use]
    pub fn r#type(&self) -> StringMatchType {
        self.r#type.clone().unwrap_or(StringMatchType::Exact)
    }
}

object! {
    /// A backend with filters of its own.
    pub struct HttpBackendRef {
        ..backend: BackendRef,
        filters: Vec<HttpRouteFilter> = "filters",
    }
}

object! {
    /// Time limits as GEP-2257 durations; zero turns a limit off.
    pub struct HttpRouteTimeouts {
        /// For the whole exchange with the client.
        request: Option<Arc<str>> = "request",
        /// For one attempt at a backend.
        backend_request: Option<Arc<str>> = "backendRequest",
    }
}

object! {
    /// When and how often a request is tried again.
    pub struct HttpRouteRetry {
        /// Response status codes that are tried again.
        codes: Vec<u16> = "codes",
        attempts: Option<u32> = "attempts",
        /// The least time between attempts, as a GEP-2257 duration.
        backoff: Option<Arc<str>> = "backoff",
    }
}

impl HttpRouteRetry {
    /// The number of tries after the first; 1 when absent.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts.unwrap_or(1)
    }
}
