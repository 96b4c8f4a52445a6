//! What we read of our own certificates.

use std::time::{Duration, SystemTime};

use rustls_pki_types::CertificateDer;
use x509_parser::{
    extensions::{GeneralName, ParsedExtension},
    prelude::{FromDer, X509Certificate},
};

use super::{AuthorityError, GATEWAY_URI_PREFIX};
use crate::name::GatewayUid;

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) from: SystemTime,
    pub(crate) to: SystemTime,
}

impl Validity {
    /// Whether two thirds of the time are over.
    pub(crate) fn is_due(&self, now: SystemTime) -> bool {
        let whole = self.to.duration_since(self.from).unwrap_or_default();
        now.duration_since(self.from).is_ok_and(|age| age >= whole / 3 * 2)
    }
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, AuthorityError> {
    let (_, parsed) = X509Certificate::from_der(der).map_err(|_| AuthorityError::Certificate)?;
    Ok(parsed)
}

pub(crate) fn validity(der: &CertificateDer<'_>) -> Result<Validity, AuthorityError> {
    let parsed = parse(der)?;
    let time = |seconds: i64| {
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    };
    let validity = parsed.validity();
    Ok(Validity {
        from: time(validity.not_before.timestamp()),
        to: time(validity.not_after.timestamp()),
    })
}

/// The Gateway that a certificate speaks for: its one URI name of our form.
pub(crate) fn gateway(der: &CertificateDer<'_>) -> Result<GatewayUid, AuthorityError> {
    let parsed = parse(der)?;
    let names = parsed.extensions().iter().filter_map(|extension| {
        let parsed = extension.parsed_extension();
        let ParsedExtension::SubjectAlternativeName(names) = parsed else { return None };
        Some(&names.general_names)
    });
    let mut uids = names.flatten().filter_map(|name| {
        let GeneralName::URI(uri) = name else { return None };
        uri.strip_prefix(GATEWAY_URI_PREFIX)
    });
    match (uids.next(), uids.next()) {
        (Some(uid), None) => GatewayUid::new(uid).ok_or(AuthorityError::NoGateway),
        (Some(_) | None, _) => Err(AuthorityError::NoGateway),
    }
}

/// The subject key identifier (RFC 5280 4.2.1.2).
pub(crate) fn key_name(der: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let parsed = parse(der).ok()?;
    parsed.extensions().iter().find_map(|extension| {
        let parsed = extension.parsed_extension();
        let ParsedExtension::SubjectKeyIdentifier(name) = parsed else { return None };
        Some(name.0.to_vec())
    })
}

/// The authority key identifier (RFC 5280 4.2.1.1).
pub(crate) fn issuer_key_name(der: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let parsed = parse(der).ok()?;
    parsed.extensions().iter().find_map(|extension| {
        let parsed = extension.parsed_extension();
        let ParsedExtension::AuthorityKeyIdentifier(names) = parsed else { return None };
        names.key_identifier.as_ref().map(|name| name.0.to_vec())
    })
}
