//! The meaning of filters.

use std::{borrow::Cow, sync::Arc};

use thiserror::Error;

use crate::{
    Cors, ExternalAuth, Filter, Fraction, HeaderModifier, HttpSettings, Match, Mirror, Overlay,
    PathMatch, PathModifier, Redirect, RequestView,
    cors::{self, default_port},
    path,
};

pub use crate::cors::CorsGrant;

/// How a request arrived.
#[derive(Clone, Copy, Debug)]
pub struct Edge<'a> {
    /// `http` or `https`, as the client used it.
    pub scheme: &'a str,
    /// As received, with its port.
    pub host: &'a str,
    /// The listener's port as its object says. When a trusted peer told another scheme than the
    /// listener's, the port that peer told, else the scheme's own (80 or 443).
    pub listener_port: u16,
}

/// What follows the request filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flow {
    Continue,
    /// A CORS preflight is answered here.
    Respond(LocalResponse),
}

/// An answer of ours, without a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalResponse {
    pub status: u16,
    pub fields: Vec<(Cow<'static, str>, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FilterError {
    /// Answer 400.
    #[error("rewritten path leaves the prefix that replaces it")]
    LeavesPrefix,
    /// Answer 400.
    #[error("request names no host to redirect to")]
    NoHost,
    /// Answer 500.
    #[error("prefix is replaced, but the match is not a path prefix")]
    NotPrefix,
}

impl FilterError {
    pub fn status(self) -> u16 {
        match self {
            Self::LeavesPrefix | Self::NoHost => 400,
            Self::NotPrefix => 500,
        }
    }
}

/// Runs the request side of filters in their order. A CORS preflight comes before all others.
pub fn apply_request_filters<V: RequestView>(
    filters: &[Filter],
    matched: &Match,
    view: &V,
    _edge: &Edge<'_>,
    overlay: &mut Overlay,
) -> Result<Flow, FilterError> {
    if let Some(response) = cors_filter(filters).and_then(|cors| cors::preflight(cors, view)) {
        return Ok(Flow::Respond(response));
    }
    for filter in filters {
        match filter {
            Filter::RequestHeaders(modifier) => modify(modifier, overlay),
            Filter::Rewrite(rewrite) => {
                if let Some(hostname) = &rewrite.hostname {
                    overlay.set_host(Arc::clone(hostname));
                }
                if let Some(modifier) = &rewrite.path {
                    overlay.set_path(modified_path(modifier, matched, view.path())?);
                }
            }
            Filter::Cors(_)
            | Filter::ExternalAuth(_)
            | Filter::Mirror(_)
            | Filter::ResponseHeaders(_) => {}
        }
    }
    Ok(Flow::Continue)
}

/// The CORS part of the response; `None` without a CORS filter. Call it with the request at hand.
pub fn cors_grant<V: RequestView>(filters: &[Filter], view: &V) -> Option<CorsGrant> {
    cors_filter(filters).map(|cors| CorsGrant::new(cors, view))
}

/// Runs the response side of filters: header modifiers, then CORS, whose fields replace those
/// that the backend sent.
pub fn apply_response_filters(filters: &[Filter], cors: Option<&CorsGrant>, overlay: &mut Overlay) {
    for filter in filters {
        match filter {
            Filter::ResponseHeaders(modifier) => modify(modifier, overlay),
            Filter::Cors(_)
            | Filter::ExternalAuth(_)
            | Filter::Mirror(_)
            | Filter::RequestHeaders(_)
            | Filter::Rewrite(_) => {}
        }
    }
    if let Some(grant) = cors {
        grant.apply(overlay);
    }
}

/// The answer of a redirect (Gateway API, `HTTPRequestRedirectFilter`).
///
/// The port is the filter's, else that of the filter's scheme, else the listener's; the usual port
/// of the scheme is left out. What the filter does not name stays as it was, the query always.
pub fn redirect<V: RequestView>(
    redirect: &Redirect,
    matched: &Match,
    view: &V,
    edge: &Edge<'_>,
) -> Result<LocalResponse, FilterError> {
    let scheme = redirect.scheme.as_deref().unwrap_or(edge.scheme);
    let host = redirect.hostname.as_deref().unwrap_or_else(|| view.host());
    if host.is_empty() {
        return Err(FilterError::NoHost);
    }
    let scheme_port = redirect.scheme.as_deref().and_then(default_port);
    let port = redirect.port.or(scheme_port).unwrap_or(edge.listener_port);
    let path = match &redirect.path {
        Some(modifier) => Cow::Owned(modified_path(modifier, matched, view.path())?),
        None => Cow::Borrowed(view.path()),
    };
    let mut location = format!("{scheme}://{host}");
    if default_port(scheme) != Some(port) {
        location.push_str(&format!(":{port}"));
    }
    location.push_str(&path);
    if let Some(query) = view.query() {
        location.push('?');
        location.push_str(query);
    }
    let fields = vec![(Cow::Borrowed("Location"), location)];
    Ok(LocalResponse { status: redirect.status, fields })
}

/// The path after a modifier; canonical, and inside the replacement of a prefix.
fn modified_path(
    modifier: &PathModifier,
    matched: &Match,
    path: &str,
) -> Result<String, FilterError> {
    match modifier {
        PathModifier::ReplaceFull(full) => replacement(full),
        PathModifier::ReplacePrefix(prefix) => {
            let PathMatch::Prefix(old) = &matched.path else { return Err(FilterError::NotPrefix) };
            let rest = path.strip_prefix(&**old).ok_or(FilterError::NotPrefix)?;
            let mut new = replacement(prefix)?;
            new.truncate(new.trim_end_matches('/').len());
            new.push_str(if rest.is_empty() && new.is_empty() { "/" } else { rest });
            match path::normalize(&new, &LENIENT) {
                Ok(canonical) if canonical == new => Ok(new),
                Ok(_) | Err(_) => Err(FilterError::LeavesPrefix),
            }
        }
    }
}

/// How replacements are examined. A join that this does not change stays below its prefix.
const LENIENT: HttpSettings = HttpSettings {
    trusted_peers: crate::TrustedPeers { hops: 0, networks: Vec::new() },
    escaped_slashes: crate::EscapedSlashes::Keep,
    keep_empty_segments: true,
};

/// A replacement as a canonical path that starts with a slash.
fn replacement(written: &str) -> Result<String, FilterError> {
    let mut absolute = path::canonical_value(written).into_owned();
    if !absolute.starts_with('/') {
        absolute.insert(0, '/');
    }
    match path::normalize(&absolute, &LENIENT) {
        Ok(canonical) => Ok(canonical.into_owned()),
        Err(_) => Err(FilterError::LeavesPrefix),
    }
}

fn modify(modifier: &HeaderModifier, overlay: &mut Overlay) {
    for (name, value) in &modifier.set {
        overlay.set(name, value);
    }
    for (name, value) in &modifier.add {
        overlay.add(name, value);
    }
    for name in &modifier.remove {
        overlay.remove(name);
    }
}

fn cors_filter(filters: &[Filter]) -> Option<&Cors> {
    filters.iter().find_map(|filter| match filter {
        Filter::Cors(cors) => Some(cors),
        Filter::ExternalAuth(_)
        | Filter::Mirror(_)
        | Filter::RequestHeaders(_)
        | Filter::ResponseHeaders(_)
        | Filter::Rewrite(_) => None,
    })
}

/// The mirrors among filters, in order: the n-th belongs to the n-th of
/// [`crate::RuleEntry::mirrors`].
pub fn mirrors(filters: &[Filter]) -> impl Iterator<Item = &Mirror> {
    filters.iter().filter_map(|filter| match filter {
        Filter::Mirror(mirror) => Some(mirror),
        Filter::Cors(_)
        | Filter::ExternalAuth(_)
        | Filter::RequestHeaders(_)
        | Filter::ResponseHeaders(_)
        | Filter::Rewrite(_) => None,
    })
}

/// The questions to other services among filters, in order: the n-th belongs to the n-th of
/// [`crate::RuleEntry::auths`].
pub fn auths(filters: &[Filter]) -> impl Iterator<Item = &ExternalAuth> {
    filters.iter().filter_map(|filter| match filter {
        Filter::ExternalAuth(auth) => Some(auth),
        Filter::Cors(_)
        | Filter::Mirror(_)
        | Filter::RequestHeaders(_)
        | Filter::ResponseHeaders(_)
        | Filter::Rewrite(_) => None,
    })
}

/// Whether filters answer the request themselves before any other service is asked: browsers send
/// preflights without credentials.
pub fn is_preflight<V: RequestView>(filters: &[Filter], view: &V) -> bool {
    cors_filter(filters).is_some_and(|cors| cors::preflight(cors, view).is_some())
}

impl Fraction {
    /// Whether a uniformly random number falls into the share.
    pub fn hit(self, random: u64) -> bool {
        let scaled = (u128::from(random) * u128::from(self.denominator)) >> 64;
        scaled < u128::from(self.numerator)
    }
}
