//! TLSRoute, TCPRoute and UDPRoute.

use std::sync::Arc;

use crate::gateway::GatewayDefaultScope;
use crate::meta::ObjectMeta;
use crate::object_macro::object;
use crate::reference::{BackendRef, ParentReference};
use crate::route::RouteStatus;

object! {
    /// Routes TLS sessions by server name.
    pub struct TlsRoute {
        metadata: ObjectMeta = "metadata",
        spec: TlsRouteSpec = "spec",
        status: Option<RouteStatus> = "status",
    }
}

object! {
    /// What the author of a TLSRoute asks for.
    pub struct TlsRouteSpec {
        parent_refs: Vec<ParentReference> = "parentRefs",
        /// Experimental, GEP-3793.
        use_default_gateways: Option<GatewayDefaultScope> = "useDefaultGateways",
        /// Required since v1; may be empty in v1alpha2: every server name.
        hostnames: Vec<Arc<str>> = "hostnames",
        rules: Vec<L4RouteRule> = "rules",
    }
}

object! {
    /// Routes the TCP connections of a listener.
    pub struct TcpRoute {
        metadata: ObjectMeta = "metadata",
        spec: L4RouteSpec = "spec",
        status: Option<RouteStatus> = "status",
    }
}

object! {
    /// Routes the UDP flows of a listener.
    pub struct UdpRoute {
        metadata: ObjectMeta = "metadata",
        spec: L4RouteSpec = "spec",
        status: Option<RouteStatus> = "status",
    }
}

object! {
    /// What the author of a TCPRoute or UDPRoute asks for.
    pub struct L4RouteSpec {
        parent_refs: Vec<ParentReference> = "parentRefs",
        /// Experimental, GEP-3793.
        use_default_gateways: Option<GatewayDefaultScope> = "useDefaultGateways",
        rules: Vec<L4RouteRule> = "rules",
    }
}

object! {
    /// Where connections or flows go.
    pub struct L4RouteRule {
        name: Option<Arc<str>> = "name",
        backend_refs: Vec<BackendRef> = "backendRefs",
    }
}
