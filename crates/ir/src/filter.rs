//! Filters: a closed set, each plain data.

use std::sync::Arc;

use crate::{FieldName, FieldValue, Origin, Target};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    Cors(Cors),
    ExternalAuth(ExternalAuth),
    Mirror(Mirror),
    RequestHeaders(HeaderModifier),
    ResponseHeaders(HeaderModifier),
    Rewrite(Rewrite),
}

/// Applied as set, then add, then remove; a name occurs in one of them only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderModifier {
    pub set: Vec<(FieldName, FieldValue)>,
    pub add: Vec<(FieldName, FieldValue)>,
    pub remove: Vec<FieldName>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    pub origin: Origin,
    /// `http` or `https`; `None` keeps the request's.
    pub scheme: Option<Arc<str>>,
    pub hostname: Option<Arc<str>>,
    pub path: Option<PathModifier>,
    pub port: Option<u16>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    pub origin: Origin,
    pub hostname: Option<Arc<str>>,
    pub path: Option<PathModifier>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathModifier {
    ReplaceFull(Arc<str>),
    /// Replaces what the rule's PathPrefix matched.
    ReplacePrefix(Arc<str>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    pub origin: Origin,
    pub target: Target,
    pub share: Fraction,
}

/// `numerator / denominator` of all requests; the denominator is above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fraction {
    pub numerator: u32,
    pub denominator: u32,
}

/// GEP-1767. Lists hold what the user wrote; `*` is the one entry `Any` or the name `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    pub origin: Origin,
    pub allow_origins: Vec<CorsOrigin>,
    pub allow_credentials: bool,
    pub allow_methods: Vec<Arc<str>>,
    pub allow_headers: Vec<Arc<str>>,
    pub expose_headers: Vec<Arc<str>>,
    /// Seconds.
    pub max_age: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsOrigin {
    /// `*`.
    Any,
    /// `scheme://host[:port]`; a leading `*` label in the host stands for one or more labels.
    /// `host` is lower case; `None` is `scheme://*`.
    Origin { scheme: Arc<str>, host: Option<crate::HostPattern>, port: Option<u16> },
}

/// GEP-1494: another service decides whether the request may pass. What keeps it from answering
/// refuses the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAuth {
    pub origin: Origin,
    pub target: Target,
    pub protocol: AuthProtocol,
    /// Request fields that the service sees, beyond those that [`AuthProtocol`] always shows.
    pub allowed_headers: Vec<FieldName>,
    /// Bytes of the request body that the service sees; 0 shows none. A longer body is refused:
    /// the service must never judge a part for the whole.
    pub body_max: u32,
}

/// How the service is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthProtocol {
    /// `envoy.service.auth.v3.Authorization/Check`. Without allowed headers it sees all of them.
    Grpc,
    /// The request itself without its body, by its method and path; 200 lets it pass.
    Http {
        /// Stands before the path of the request.
        path_prefix: Arc<str>,
        /// Fields of the answer that the request takes on; without any it takes all of them.
        allowed_response_headers: Vec<FieldName>,
    },
}
