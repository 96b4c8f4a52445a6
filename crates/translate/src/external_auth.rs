//! Filter ExternalAuth (GEP-1494), of rules, backends and listeners (GEP-5224) alike.

use std::sync::Arc;

use api::{ExternalAuthFilter, ExternalAuthProtocol, FilterType, HttpRouteFilter};
use ir::{AuthProtocol, ExternalAuth, FieldName, HttpSettings, Origin, Target};

use crate::kinds::RouteType;
use crate::limits::AUTH_BODY_BYTES_MAX;

/// What a filter asks for, but for its target.
#[derive(Debug)]
pub(crate) struct Asked {
    protocol: AuthProtocol,
    allowed_headers: Vec<FieldName>,
    body_max: u32,
}

impl Asked {
    pub(crate) fn at(self, origin: Origin, target: Target) -> ExternalAuth {
        let Self { protocol, allowed_headers, body_max } = self;
        ExternalAuth { origin, target, protocol, allowed_headers, body_max }
    }
}

/// What the service must be able to speak: as the backends of such a route.
pub(crate) fn spoken(auth: &ExternalAuthFilter) -> RouteType {
    match auth.protocol {
        ExternalAuthProtocol::Grpc => RouteType::Grpc,
        ExternalAuthProtocol::Http | ExternalAuthProtocol::Other(_) => RouteType::Http,
    }
}

/// The services that filters ask, with what they must speak.
pub(crate) fn services(filters: &[HttpRouteFilter]) -> impl Iterator<Item = &ExternalAuthFilter> {
    filters
        .iter()
        .filter(|filter| filter.r#type == FilterType::ExternalAuth)
        .filter_map(|filter| filter.external_auth.as_ref())
}

/// Reads a filter.
///
/// # Errors
/// What is wrong with it, for a person.
pub(crate) fn read(auth: &ExternalAuthFilter) -> Result<Asked, String> {
    let body_max = auth.forward_body.as_ref().and_then(|body| body.max_size).unwrap_or(0);
    if body_max > AUTH_BODY_BYTES_MAX {
        return Err(format!(
            "forwardBody.maxSize {body_max} is above {AUTH_BODY_BYTES_MAX}; make it smaller"
        ));
    }
    match &auth.protocol {
        ExternalAuthProtocol::Grpc if auth.http.is_some() => {
            Err("http is for protocol HTTP; remove it, or set protocol to HTTP".to_owned())
        }
        ExternalAuthProtocol::Http if auth.grpc.is_some() => {
            Err("grpc is for protocol GRPC; remove it, or set protocol to GRPC".to_owned())
        }
        ExternalAuthProtocol::Grpc => {
            let allowed = auth.grpc.as_ref().map_or(&[][..], |grpc| &grpc.allowed_request_headers);
            let allowed_headers = names(allowed)?;
            Ok(Asked { protocol: AuthProtocol::Grpc, allowed_headers, body_max })
        }
        ExternalAuthProtocol::Http => {
            let http = auth.http.clone().unwrap_or_default();
            let protocol = AuthProtocol::Http {
                path_prefix: prefix(http.path.as_deref().unwrap_or_default())?,
                allowed_response_headers: names(&http.allowed_response_headers)?,
            };
            let allowed_headers = names(&http.allowed_request_headers)?;
            Ok(Asked { protocol, allowed_headers, body_max })
        }
        ExternalAuthProtocol::Other(other) => {
            let shown: String = other.chars().take(64).flat_map(char::escape_debug).collect();
            Err(format!("the protocol \"{shown}\" is not known; use HTTP or GRPC"))
        }
    }
}

fn names(written: &[Arc<str>]) -> Result<Vec<FieldName>, String> {
    written
        .iter()
        .map(|name| {
            let shown = || name.chars().take(64).flat_map(char::escape_debug).collect::<String>();
            FieldName::new(name)
                .ok_or_else(|| format!("\"{}\" is not the name of a header", shown()))
        })
        .collect()
}

/// A prefix in the form of the paths that follow it: with a slash before it and none behind it.
fn prefix(written: &str) -> Result<Arc<str>, String> {
    if written.is_empty() {
        return Ok("".into());
    }
    let absolute =
        if written.starts_with('/') { written.to_owned() } else { format!("/{written}") };
    match ir::path::normalize(&absolute, &HttpSettings::default()) {
        Ok(canonical) if !canonical.contains(['?', '#']) => {
            Ok(canonical.trim_end_matches('/').into())
        }
        Ok(_) | Err(_) => {
            let shown: String = written.chars().take(64).flat_map(char::escape_debug).collect();
            Err(format!("\"{shown}\" is not a path that can stand before others"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::prefix;

    #[test]
    fn a_prefix_stands_before_a_path_as_it_is() {
        for (written, wanted) in
            [("", ""), ("/", ""), ("auth", "/auth"), ("/auth/", "/auth"), ("/a/../b", "/b")]
        {
            assert_eq!(prefix(written).as_deref(), Ok(wanted), "{written}");
        }
        for refused in ["/../x", "/a?b", "/%zz"] {
            assert!(prefix(refused).is_err(), "{refused}");
        }
    }
}
