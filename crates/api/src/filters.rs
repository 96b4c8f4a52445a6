//! Filters of HTTPRoute and GRPCRoute, at rules and at backend references alike.

use std::sync::Arc;

use crate::object_macro::object;
use crate::open_enum::open_enum;
use crate::reference::{BackendObjectReference, LocalObjectReference};
use crate::route::Fraction;

object! {
    /// A step of an HTTPRoute; `type` says which one of the members counts.
    pub struct HttpRouteFilter {
        r#type: FilterType = "type",
        request_header_modifier: Option<HeaderModifier> = "requestHeaderModifier",
        response_header_modifier: Option<HeaderModifier> = "responseHeaderModifier",
        request_mirror: Option<RequestMirrorFilter> = "requestMirror",
        request_redirect: Option<RequestRedirectFilter> = "requestRedirect",
        url_rewrite: Option<UrlRewriteFilter> = "urlRewrite",
        cors: Option<CorsFilter> = "cors",
        external_auth: Option<ExternalAuthFilter> = "externalAuth",
        extension_ref: Option<LocalObjectReference> = "extensionRef",
    }
}

object! {
    /// A step of a GRPCRoute; `type` says which one of the members counts.
    pub struct GrpcRouteFilter {
        r#type: FilterType = "type",
        request_header_modifier: Option<HeaderModifier> = "requestHeaderModifier",
        response_header_modifier: Option<HeaderModifier> = "responseHeaderModifier",
        request_mirror: Option<RequestMirrorFilter> = "requestMirror",
        extension_ref: Option<LocalObjectReference> = "extensionRef",
    }
}

/// The same filter with the members that only HTTPRoute has left absent.
impl From<&GrpcRouteFilter> for HttpRouteFilter {
    fn from(filter: &GrpcRouteFilter) -> Self {
        Self {
            r#type: filter.r#type.clone(),
            request_header_modifier: filter.request_header_modifier.clone(),
            response_header_modifier: filter.response_header_modifier.clone(),
            request_mirror: filter.request_mirror.clone(),
            extension_ref: filter.extension_ref.clone(),
            ..Self::default()
        }
    }
}

open_enum! {
    /// Which member of a filter is set. GRPCRoute knows only the header modifiers, RequestMirror
    /// and ExtensionRef.
    pub enum FilterType {
        RequestHeaderModifier = "RequestHeaderModifier",
        ResponseHeaderModifier = "ResponseHeaderModifier",
        RequestRedirect = "RequestRedirect",
        UrlRewrite = "URLRewrite",
        RequestMirror = "RequestMirror",
        Cors = "CORS",
        ExternalAuth = "ExternalAuth",
        ExtensionRef = "ExtensionRef",
    }
}

object! {
    /// Edits of header fields: set overwrites, add appends, remove removes.
    pub struct HeaderModifier {
        set: Vec<HttpHeader> = "set",
        add: Vec<HttpHeader> = "add",
        remove: Vec<Arc<str>> = "remove",
    }
}

object! {
    /// A header field.
    pub struct HttpHeader {
        name: Arc<str> = "name",
        value: Arc<str> = "value",
    }
}

object! {
    /// Answers with a redirect.
    pub struct RequestRedirectFilter {
        scheme: Option<Arc<str>> = "scheme",
        hostname: Option<Arc<str>> = "hostname",
        path: Option<PathModifier> = "path",
        port: Option<u16> = "port",
        status_code: Option<u16> = "statusCode",
    }
}

impl RequestRedirectFilter {
    /// The status code; 302 when absent.
    #[must_use]
    pub fn status_code(&self) -> u16 {
        self.status_code.unwrap_or(302)
    }
}

object! {
    /// Changes host or path on the way to the backend.
    pub struct UrlRewriteFilter {
        hostname: Option<Arc<str>> = "hostname",
        path: Option<PathModifier> = "path",
    }
}

object! {
    /// A new path, or a new prefix in place of the matched one.
    pub struct PathModifier {
        r#type: PathModifierType = "type",
        replace_full_path: Option<Arc<str>> = "replaceFullPath",
        replace_prefix_match: Option<Arc<str>> = "replacePrefixMatch",
    }
}

open_enum! {
    /// Which member of a path modifier is set.
    pub enum PathModifierType {
        ReplaceFullPath = "ReplaceFullPath",
        ReplacePrefixMatch = "ReplacePrefixMatch",
    }
}

object! {
    /// Sends a copy of the request to another backend and ignores its answer.
    pub struct RequestMirrorFilter {
        backend_ref: BackendObjectReference = "backendRef",
        /// 0 to 100; excludes `fraction`. Both absent: every request.
        percent: Option<u32> = "percent",
        fraction: Option<Fraction> = "fraction",
    }
}

object! {
    /// Cross-origin resource sharing (WHATWG Fetch).
    pub struct CorsFilter {
        allow_origins: Vec<Arc<str>> = "allowOrigins",
        allow_credentials: Option<bool> = "allowCredentials",
        allow_methods: Vec<Arc<str>> = "allowMethods",
        allow_headers: Vec<Arc<str>> = "allowHeaders",
        expose_headers: Vec<Arc<str>> = "exposeHeaders",
        /// Seconds.
        max_age: Option<u32> = "maxAge",
    }
}

impl CorsFilter {
    /// How long a preflight answer may be kept, in seconds; 5 when absent.
    #[must_use]
    pub fn max_age_seconds(&self) -> u32 {
        self.max_age.unwrap_or(5)
    }
}

object! {
    /// Asks another service whether the request may pass (experimental, GEP-1494).
    pub struct ExternalAuthFilter {
        protocol: ExternalAuthProtocol = "protocol",
        backend_ref: BackendObjectReference = "backendRef",
        grpc: Option<GrpcAuthConfig> = "grpc",
        http: Option<HttpAuthConfig> = "http",
        forward_body: Option<ForwardBodyConfig> = "forwardBody",
    }
}

open_enum! {
    /// How the authorisation service is spoken to.
    pub enum ExternalAuthProtocol {
        Grpc = "GRPC",
        Http = "HTTP",
    }
}

object! {
    /// Envoy's `ext_authz` over gRPC.
    pub struct GrpcAuthConfig {
        /// Request headers sent to the service; empty: all.
        allowed_request_headers: Vec<Arc<str>> = "allowedHeaders",
    }
}

object! {
    /// Authorisation by a plain HTTP request.
    pub struct HttpAuthConfig {
        /// Prefix of the path; the request's own path follows.
        path: Option<Arc<str>> = "path",
        /// Request headers sent to the service, beyond those that always are.
        allowed_request_headers: Vec<Arc<str>> = "allowedHeaders",
        /// Headers of the service's answer that go to the backend; empty: all.
        allowed_response_headers: Vec<Arc<str>> = "allowedResponseHeaders",
    }
}

object! {
    /// How much of the body the authorisation service sees.
    pub struct ForwardBodyConfig {
        /// Bytes.
        max_size: Option<u32> = "maxSize",
    }
}
