//! What all route kinds have in common.

use std::sync::Arc;

use crate::condition::Condition;
use crate::gateway::GatewayDefaultScope;
use crate::object_macro::object;
use crate::open_enum::open_enum;
use crate::reference::ParentReference;
use crate::resource::Resource;

/// A route of any kind.
pub trait Route: Resource {
    /// The parents the route asks to attach to.
    fn parent_refs(&self) -> &[ParentReference];

    /// Experimental: attach to default Gateways, too.
    fn use_default_gateways(&self) -> Option<&GatewayDefaultScope>;

    /// The hostnames as written; always empty for TCPRoute and UDPRoute.
    fn hostnames(&self) -> &[Arc<str>];

    /// The status as read.
    fn status(&self) -> Option<&RouteStatus>;
}

object! {
    /// What controllers report about a route.
    pub struct RouteStatus {
        parents: Vec<RouteParentStatus> = "parents" always,
    }
}

object! {
    /// The state of a route under one parent, by one controller.
    pub struct RouteParentStatus {
        parent_ref: ParentReference = "parentRef",
        controller_name: Arc<str> = "controllerName",
        conditions: Vec<Condition> = "conditions",
    }
}

object! {
    /// How a client keeps to one backend (experimental, GEP-1619).
    pub struct SessionPersistence {
        absolute_timeout: Option<Arc<str>> = "absoluteTimeout",
        r#type: Option<SessionPersistenceType> = "type",
        cookie: Option<CookieConfig> = "cookie",
        header: Option<HeaderConfig> = "header",
    }
}

impl SessionPersistence {
    /// The type; Cookie when absent.
    #[must_use]
    pub fn r#type(&self) -> SessionPersistenceType {
        self.r#type.clone().unwrap_or(SessionPersistenceType::Cookie)
    }
}

open_enum! {
    /// What carries the session's token.
    pub enum SessionPersistenceType {
        Cookie = "Cookie",
        Header = "Header",
    }
}

object! {
    /// The cookie that carries the session's token.
    pub struct CookieConfig {
        name: Option<Arc<str>> = "name",
        path: Option<Arc<str>> = "path",
        lifetime_type: Option<CookieLifetimeType> = "lifetimeType",
    }
}

impl CookieConfig {
    /// The path; `/` when absent.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path.as_deref().unwrap_or("/")
    }

    /// The lifetime; Session when absent.
    #[must_use]
    pub fn lifetime_type(&self) -> CookieLifetimeType {
        self.lifetime_type.clone().unwrap_or(CookieLifetimeType::Session)
    }
}

open_enum! {
    /// Whether the cookie ends with the client's session or with the absolute timeout.
    pub enum CookieLifetimeType {
        Session = "Session",
        Permanent = "Permanent",
    }
}

object! {
    /// The header that carries the session's token.
    pub struct HeaderConfig {
        name: Arc<str> = "name",
    }
}

object! {
    /// `numerator / denominator`.
    pub struct Fraction {
        numerator: u32 = "numerator",
        denominator: Option<u32> = "denominator",
    }
}

impl Fraction {
    /// The denominator; 100 when absent.
    #[must_use]
    pub fn denominator(&self) -> u32 {
        self.denominator.unwrap_or(100)
    }
}

open_enum! {
    /// How a header, a query parameter or a gRPC method is compared.
    pub enum StringMatchType {
        Exact = "Exact",
        RegularExpression = "RegularExpression",
    }
}

object! {
    /// A request header's required value.
    pub struct HeaderMatch {
        r#type: Option<StringMatchType> = "type",
        name: Arc<str> = "name",
        value: Arc<str> = "value",
    }
}

impl HeaderMatch {
    /// The type; Exact when absent.
    #[must_use]
    pub fn r#type(&self) -> StringMatchType {
        self.r#type.clone().unwrap_or(StringMatchType::Exact)
    }
}
