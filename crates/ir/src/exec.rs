//! The meaning of filters.

use std::borrow::Cow;

use thiserror::Error;

use crate::{Filter, Fraction, Match, Mirror, Overlay, Redirect, RequestView};

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

/// What a response must say about CORS; decided while the request is at hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorsGrant {
    fields: Vec<(&'static str, String)>,
}

/// Runs the request side of filters in their order. A CORS preflight comes before all others.
pub fn apply_request_filters<V: RequestView>(
    _filters: &[Filter],
    _matched: &Match,
    _view: &V,
    _edge: &Edge<'_>,
    _overlay: &mut Overlay,
) -> Result<Flow, FilterError> {
    Ok(Flow::Continue)
}

/// The CORS part of the response; `None` without a CORS filter. Call it with the request at hand.
pub fn cors_grant<V: RequestView>(_filters: &[Filter], _view: &V) -> Option<CorsGrant> {
    None
}

/// Runs the response side of filters: header modifiers, then CORS, whose fields replace those
/// that the backend sent.
pub fn apply_response_filters(
    _filters: &[Filter],
    _cors: Option<&CorsGrant>,
    _overlay: &mut Overlay,
) {
}

/// The answer of a redirect.
pub fn redirect<V: RequestView>(
    redirect: &Redirect,
    _matched: &Match,
    _view: &V,
    _edge: &Edge<'_>,
) -> Result<LocalResponse, FilterError> {
    Ok(LocalResponse { status: redirect.status, fields: Vec::new() })
}

/// The mirrors among filters, in order: the n-th belongs to the n-th of
/// [`crate::RuleEntry::mirrors`].
pub fn mirrors(filters: &[Filter]) -> impl Iterator<Item = &Mirror> {
    filters.iter().filter_map(|filter| match filter {
        Filter::Mirror(mirror) => Some(mirror),
        Filter::Cors(_)
        | Filter::RequestHeaders(_)
        | Filter::ResponseHeaders(_)
        | Filter::Rewrite(_) => None,
    })
}

impl Fraction {
    /// Whether a uniformly random number falls into the share.
    pub fn hit(self, random: u64) -> bool {
        let scaled = (u128::from(random) * u128::from(self.denominator)) >> 64;
        scaled < u128::from(self.numerator)
    }
}
