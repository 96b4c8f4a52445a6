//! The contents of filters: header edits, paths, redirects, CORS. An error is a sentence.

use std::sync::Arc;

use api::{
    CorsFilter, HttpHeader, PathModifierType, RequestMirrorFilter, RequestRedirectFilter,
    UrlRewriteFilter,
};
use ir::{
    Cors, CorsOrigin, FieldName, FieldValue, Fraction, HeaderModifier, HostPattern, Origin,
    PathModifier, Redirect, Rewrite,
};

/// Fields that frame a message or belong to one connection: whoever edits them could make one
/// message look like two (RFC 9110 7.6.1, RFC 9112 6).
const FRAMING_FIELDS: &[&str] = &[
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

type Checked<T> = Result<T, String>;

pub(crate) fn headers(modifier: &api::HeaderModifier) -> Checked<HeaderModifier> {
    let mut lowered = HeaderModifier::default();
    for header in &modifier.set {
        lowered.set.push(pair(header)?);
    }
    for header in &modifier.add {
        lowered.add.push(pair(header)?);
    }
    for name in &modifier.remove {
        lowered.remove.push(editable(name)?);
    }
    let names = lowered.set.iter().chain(&lowered.add).map(|(name, _)| name).chain(&lowered.remove);
    let mut seen: Vec<&FieldName> = Vec::new();
    for name in names {
        if seen.contains(&name) {
            return Err(format!("header {name} is edited twice; name it in one place only"));
        }
        seen.push(name);
    }
    Ok(lowered)
}

fn pair(header: &HttpHeader) -> Checked<(FieldName, FieldValue)> {
    let name = editable(&header.name)?;
    let value = FieldValue::new(&header.value)
        .ok_or_else(|| format!("the value of header {name} holds a control character"))?;
    Ok((name, value))
}

fn editable(name: &str) -> Checked<FieldName> {
    let field =
        FieldName::new(name).ok_or_else(|| format!("\"{}\" is not a header name", shown(name)))?;
    if FRAMING_FIELDS.iter().any(|framing| field.matches(framing.as_bytes())) {
        return Err(format!("header {field} belongs to the connection and cannot be edited"));
    }
    Ok(field)
}

/// Shortened, and without what could break a line.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

/// A path that can stand in a request line or a Location as it is.
fn path_text(path: &str) -> Checked<Arc<str>> {
    let clean = path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
    if clean {
        Ok(path.into())
    } else {
        Err(format!("the path \"{}\" holds a character that must be escaped", shown(path)))
    }
}

/// `prefixed` says that each match of the rule is a PathPrefix.
fn path(modifier: &api::PathModifier, prefixed: bool) -> Checked<PathModifier> {
    match &modifier.r#type {
        PathModifierType::ReplaceFullPath => {
            let path = modifier.replace_full_path.as_deref().ok_or("replaceFullPath is missing")?;
            if !path.is_empty() && !path.starts_with('/') {
                return Err(format!("the path \"{}\" does not start with /", shown(path)));
            }
            path_text(path).map(PathModifier::ReplaceFull)
        }
        PathModifierType::ReplacePrefixMatch => {
            let path =
                modifier.replace_prefix_match.as_deref().ok_or("replacePrefixMatch is missing")?;
            if !prefixed {
                return Err(
                    "ReplacePrefixMatch needs every match of the rule to have a path of type \
                            PathPrefix"
                        .to_owned(),
                );
            }
            path_text(path).map(PathModifier::ReplacePrefix)
        }
        PathModifierType::Other(other) => {
            Err(format!("the path type \"{}\" is not known", shown(other)))
        }
    }
}

fn hostname(name: &str) -> Checked<Arc<str>> {
    api::hostname::check_precise(&name.to_ascii_lowercase()).map_err(|error| error.to_string())?;
    Ok(name.to_ascii_lowercase().into())
}

pub(crate) fn redirect(
    filter: &RequestRedirectFilter,
    origin: Origin,
    prefixed: bool,
) -> Checked<Redirect> {
    let scheme = filter.scheme.as_deref();
    if let Some(other) = scheme.filter(|scheme| !["http", "https"].contains(scheme)) {
        return Err(format!("the scheme \"{}\" is not http or https", shown(other)));
    }
    let status = filter.status_code();
    if ![301, 302, 303, 307, 308].contains(&status) {
        return Err(format!("status {status} is no redirect; use 301, 302, 303, 307 or 308"));
    }
    if filter.port == Some(0) {
        return Err("port 0 cannot be redirected to".to_owned());
    }
    Ok(Redirect {
        origin,
        scheme: scheme.map(Into::into),
        hostname: filter.hostname.as_deref().map(hostname).transpose()?,
        path: filter.path.as_ref().map(|modifier| path(modifier, prefixed)).transpose()?,
        port: filter.port,
        status,
    })
}

pub(crate) fn rewrite(
    filter: &UrlRewriteFilter,
    origin: Origin,
    prefixed: bool,
) -> Checked<Rewrite> {
    Ok(Rewrite {
        origin,
        hostname: filter.hostname.as_deref().map(hostname).transpose()?,
        path: filter.path.as_ref().map(|modifier| path(modifier, prefixed)).transpose()?,
    })
}

/// The share of requests that a mirror copies.
pub(crate) fn share(filter: &RequestMirrorFilter) -> Checked<Fraction> {
    match (filter.percent, &filter.fraction) {
        (Some(_), Some(_)) => Err("percent and fraction exclude each other".to_owned()),
        (Some(percent), None) if percent > 100 => Err(format!("percent {percent} is above 100")),
        (Some(percent), None) => Ok(Fraction { numerator: percent, denominator: 100 }),
        (None, Some(fraction)) => {
            let (numerator, denominator) = (fraction.numerator, fraction.denominator());
            if denominator == 0 || numerator > denominator {
                return Err(format!(
                    "the fraction {numerator}/{denominator} is not between 0 and 1"
                ));
            }
            Ok(Fraction { numerator, denominator })
        }
        (None, None) => Ok(Fraction { numerator: 100, denominator: 100 }),
    }
}

pub(crate) fn cors(filter: &CorsFilter, origin: Origin) -> Checked<Cors> {
    let tokens = |list: &[Arc<str>], what: &str| -> Checked<Vec<Arc<str>>> {
        match list.iter().find(|name| FieldName::new(name).is_none()) {
            Some(bad) => Err(format!("\"{}\" in {what} is not a name", shown(bad))),
            None => Ok(list.to_vec()),
        }
    };
    let origins: Checked<Vec<CorsOrigin>> =
        filter.allow_origins.iter().map(|text| cors_origin(text)).collect();
    Ok(Cors {
        origin,
        allow_origins: origins?,
        allow_credentials: filter.allow_credentials.unwrap_or_default(),
        allow_methods: tokens(&filter.allow_methods, "allowMethods")?,
        allow_headers: tokens(&filter.allow_headers, "allowHeaders")?,
        expose_headers: tokens(&filter.expose_headers, "exposeHeaders")?,
        max_age: filter.max_age_seconds(),
    })
}

/// `*`, or `scheme://host[:port]` where the host may be `*` or start with `*.`.
fn cors_origin(text: &str) -> Checked<CorsOrigin> {
    if text == "*" {
        return Ok(CorsOrigin::Any);
    }
    let bad = || format!("\"{}\" is not an origin; write scheme://host[:port]", shown(text));
    let (scheme, authority) = text.split_once("://").ok_or_else(bad)?;
    let scheme_clean = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse::<u16>().map_err(|_| bad())?)),
        None => (authority, None),
    };
    let host = host.to_ascii_lowercase();
    let is_ip = host.parse::<std::net::Ipv4Addr>().is_ok();
    let known = host == "*" || is_ip || api::hostname::check(&host).is_ok();
    if !scheme_clean || !known || port == Some(0) {
        return Err(bad());
    }
    Ok(CorsOrigin::Origin {
        scheme: scheme.to_ascii_lowercase().into(),
        host: (host != "*").then(|| HostPattern::new(&host)),
        port,
    })
}
