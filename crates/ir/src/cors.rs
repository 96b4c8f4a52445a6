//! Cross-origin requests (GEP-1767, Fetch standard section 3.2).
//!
//! An allowed origin is always echoed, also where the filter says `*`: the Gateway API permits it,
//! and it is right with and without credentials. A preflight of another origin is answered with
//! 403; an actual request of another origin reaches the backend, and its response carries no
//! CORS field, whatever the backend sent.

use std::{borrow::Cow, sync::Arc};

use crate::{Cors, CorsOrigin, Overlay, RequestView, exec::LocalResponse, field::is_token_byte};

const ALLOW_CREDENTIALS: &str = "Access-Control-Allow-Credentials";
const ALLOW_HEADERS: &str = "Access-Control-Allow-Headers";
const ALLOW_METHODS: &str = "Access-Control-Allow-Methods";
const ALLOW_ORIGIN: &str = "Access-Control-Allow-Origin";
const EXPOSE_HEADERS: &str = "Access-Control-Expose-Headers";
const MAX_AGE: &str = "Access-Control-Max-Age";

/// Fields that a response of ours or of a backend may carry only as the filter says.
const ANSWERS: [&str; 6] =
    [ALLOW_CREDENTIALS, ALLOW_HEADERS, ALLOW_METHODS, ALLOW_ORIGIN, EXPOSE_HEADERS, MAX_AGE];

/// What a response must say about CORS; decided while the request is at hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorsGrant {
    fields: Vec<(&'static str, String)>,
}

impl CorsGrant {
    pub(crate) fn new<V: RequestView>(cors: &Cors, view: &V) -> Self {
        Self {
            fields: allowed_origin(cors, view).map_or_else(varies, |origin| grant(cors, &origin)),
        }
    }

    pub(crate) fn apply(&self, overlay: &mut Overlay) {
        for name in ANSWERS {
            overlay.remove_own(name);
        }
        for (name, value) in &self.fields {
            overlay.add_own(name, value.clone());
        }
    }
}

/// The answer to a preflight; `None` when the request is none.
pub(crate) fn preflight<V: RequestView>(cors: &Cors, view: &V) -> Option<LocalResponse> {
    if view.method() != "OPTIONS" || view.header("origin").is_none() {
        return None;
    }
    let method = view.header("access-control-request-method")?;
    let Some(origin) = allowed_origin(cors, view) else {
        return Some(answer(403, varies()));
    };
    let asked_method = readable(&method).filter(|method| method.bytes().all(is_token_byte));
    let headers = view.header("access-control-request-headers");
    let asked_headers = headers.as_deref().and_then(readable);
    let credentials = cors.allow_credentials;
    let mut fields = grant(cors, &origin);
    if let Some(methods) = allowed(&cors.allow_methods, asked_method, credentials) {
        fields.push((ALLOW_METHODS, methods));
    }
    if let Some(headers) = allowed(&cors.allow_headers, asked_headers, credentials) {
        fields.push((ALLOW_HEADERS, headers));
    }
    fields.push((MAX_AGE, cors.max_age.to_string()));
    Some(answer(200, fields))
}

fn answer(status: u16, fields: Vec<(&'static str, String)>) -> LocalResponse {
    let fields = fields.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect();
    LocalResponse { status, fields }
}

/// Caches must tell apart what was answered to which origin.
fn varies() -> Vec<(&'static str, String)> {
    vec![("Vary", "Origin".to_owned())]
}

fn grant(cors: &Cors, origin: &str) -> Vec<(&'static str, String)> {
    let mut fields = varies();
    fields.push((ALLOW_ORIGIN, origin.to_owned()));
    if cors.allow_credentials {
        fields.push((ALLOW_CREDENTIALS, "true".to_owned()));
    }
    let exposed = cors.expose_headers.iter();
    let exposed: Vec<&str> = exposed
        .map(|name| &**name)
        .filter(|name| *name != "*" || !cors.allow_credentials)
        .collect();
    if !exposed.is_empty() {
        fields.push((EXPOSE_HEADERS, exposed.join(", ")));
    }
    fields
}

/// The list as written; for `*` what was asked for. With credentials `*` would be a mere name, so
/// that nothing is said where nothing was asked.
fn allowed(list: &[Arc<str>], asked: Option<&str>, credentials: bool) -> Option<String> {
    if list.iter().any(|item| &**item == "*") {
        return asked.map(str::to_owned).or_else(|| (!credentials).then(|| "*".to_owned()));
    }
    let list: Vec<&str> = list.iter().map(|item| &**item).collect();
    (!list.is_empty()).then(|| list.join(", "))
}

/// The origin of the request, as received, when the filter allows it.
fn allowed_origin<V: RequestView>(cors: &Cors, view: &V) -> Option<String> {
    let value = view.header("origin")?;
    // Two origins, or none, are not an origin (RFC 6454 7.1).
    let text = readable(&value).filter(|text| !text.is_empty() && !text.contains([',', ' ']))?;
    let origin = Origin::parse(&text.to_ascii_lowercase());
    let allows = |allowed: &CorsOrigin| match (allowed, &origin) {
        (CorsOrigin::Any, _) => true,
        (CorsOrigin::Origin { scheme, host, port }, Some(origin)) => {
            origin.scheme.eq_ignore_ascii_case(scheme)
                && host.as_ref().is_none_or(|host| host.matches(&origin.host))
                && port.or_else(|| default_port(scheme)) == origin.port
        }
        (CorsOrigin::Origin { .. }, None) => false,
    };
    cors.allow_origins.iter().any(allows).then(|| text.to_owned())
}

/// An origin that is not opaque.
struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let host = crate::host::normalize(authority).ok()?;
        let port = host.port.or_else(|| default_port(scheme));
        Some(Self { scheme: scheme.to_owned(), host: host.name.into_owned(), port })
    }
}

pub(crate) fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// A value that can be sent back: visible ASCII and blanks.
fn readable(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ').then_some(text)
}
