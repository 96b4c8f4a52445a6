//! Routes: one entity for each route object, rules and matches in the user's order.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    ClusterId, FieldName, Filter, HostPattern, ListenerId, ObjectRef, Origin, Pattern, Redirect,
    SessionPersistence,
};

/// An HTTPRoute or GRPCRoute that at least one listener accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRoute {
    pub object: Arc<ObjectRef>,
    pub kind: RouteKind,
    /// Seconds since the epoch; `None` sorts after every known age, then namespace/name decides.
    pub created: Option<i64>,
    pub attachments: Vec<Attachment>,
    pub rules: Vec<Arc<Rule>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RouteKind {
    Grpc,
    Http,
}

/// A listener that accepted the route, and the route's hostnames that intersect the listener's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    pub listener: ListenerId,
    /// As written on the route, since precedence goes by the route's own hostname
    /// (GatewayRouteHostnameIntersectionPrecedence). `[None]` when the route names no host.
    pub hosts: Vec<Option<HostPattern>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `spec.rules[i]`.
    pub origin: Origin,
    /// Position in the route as the user wrote it, counted from 0.
    pub index: u32,
    pub name: Option<Arc<str>>,
    /// Alternatives; never empty (a rule without matches has one that matches all).
    pub matches: Vec<Match>,
    /// In the order they run. A redirect is the action, not a filter.
    pub filters: Vec<Filter>,
    pub action: Action,
    pub timeouts: Timeouts,
    pub retry: Option<Retry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Weighted choice. The sum of weights is above zero.
    Forward(Vec<Backend>),
    Redirect(Redirect),
    /// Always this answer, since the rule cannot be served as written.
    Fail(FailReason),
}

/// Why a share of traffic, or a rule, is answered by us with 500 (Gateway API, BackendRefs).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailReason {
    /// Backend reference that does not resolve: missing, refused, of an unknown kind.
    InvalidBackend,
    /// No backends at all, or all with weight 0.
    NoBackends,
    /// A filter or field of the rule that cannot be served; never skipped.
    UnsupportedRule,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// `spec.rules[i].backendRefs[j]`.
    pub origin: Origin,
    /// Share is `weight` over the sum of all, failing targets included. May be 0.
    pub weight: u32,
    pub target: Target,
    /// Run after the rule's own filters.
    pub filters: Vec<Filter>,
    pub persistence: Option<Arc<SessionPersistence>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Cluster(ClusterId),
    Fail(FailReason),
}

/// Conditions that must all hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// `spec.rules[i].matches[j]`.
    pub origin: Origin,
    pub path: PathMatch,
    /// Case-sensitive (RFC 9110 9.1).
    pub method: Option<Arc<str>>,
    pub headers: Vec<HeaderMatch>,
    pub query: Vec<QueryMatch>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    Exact(Arc<str>),
    /// By path segment, without trailing slash: `/` is the empty text.
    Prefix(Arc<str>),
    /// The whole path must match.
    Regex(Pattern),
    Call(CallMatch),
}

/// gRPC calls that no exact service selects. A call is a POST to `/service/method`.
///
/// Precedence of a GRPCRoute goes by the characters of the service, then those of the method:
/// with a service it ranks among regular expressions, without one after every service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallMatch {
    /// Characters of the service's expression; 0 takes every service.
    pub service_chars: u32,
    /// Characters of the method or its expression; 0 takes every method.
    pub method_chars: u32,
    /// The whole path must match.
    pub pattern: Pattern,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderMatch {
    pub name: FieldName,
    pub value: ValueMatch,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryMatch {
    /// Case-sensitive; compared with the decoded name.
    pub name: Arc<str>,
    pub value: ValueMatch,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueMatch {
    Exact(Arc<str>),
    /// Anywhere in the value unless the pattern is anchored.
    Regex(Pattern),
}

/// `None` is unlimited (Gateway API: `0s` disables).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// From the whole request head received to the last byte of the response.
    pub request: Option<Duration>,
    /// One attempt, from sending the request to the last byte of its response.
    pub backend_request: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Tries after the first; 0 turns off every retry, failover on a failed connect included.
    pub attempts: u32,
    pub codes: Vec<u16>,
    pub backoff: Option<Duration>,
}

/// A TLSRoute, TCPRoute or UDPRoute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct L4Route {
    pub object: Arc<ObjectRef>,
    pub created: Option<i64>,
    /// Hosts are SNI names; `[None]` for TCP and UDP.
    pub attachments: Vec<Attachment>,
    pub origin: Origin,
    pub backends: Vec<Backend>,
    /// The targets for listeners that pass TLS through, parallel to `backends`: TLS to backends is
    /// the client's there. `None` when they are the same.
    pub passthrough: Option<Vec<Target>>,
}

impl fmt::Display for PathMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => write!(f, "Exact {path}"),
            Self::Prefix(path) if path.is_empty() => f.write_str("PathPrefix /"),
            Self::Prefix(path) => write!(f, "PathPrefix {path}"),
            Self::Regex(pattern) | Self::Call(CallMatch { pattern, .. }) => {
                write!(f, "RegularExpression {pattern}")
            }
        }
    }
}
