//! Which certificates a peer is believed: verifiers for both directions.
//!
//! Chains are built and signatures checked by webpki. Beyond that, a certificate that stands itself
//! among the authorities is believed as it is (many deployments name a server's self-signed
//! certificate as its own authority), and names are what the policy says.

use std::sync::Arc;

use ir::{SubjectAltName, TrustBundle};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Subjects of authorities that are named to a client; more would only bloat the handshake.
const HINTS_MOST: usize = 64;

/// Authorities in the form that webpki reads, and as they were written.
#[derive(Debug, Default)]
pub(crate) struct Authorities {
    anchors: Vec<TrustAnchor<'static>>,
    certificates: Vec<Vec<u8>>,
}

impl Authorities {
    /// Adds what can be read; a certificate that cannot is left out.
    pub(crate) fn add(&mut self, der: &[u8]) {
        let certificate = CertificateDer::from(der);
        match anchor_from_trusted_cert(&certificate) {
            Ok(anchor) => self.anchors.push(anchor.to_owned()),
            Err(error) => tracing::warn!(%error, "a certificate of an authority is not usable"),
        }
        self.certificates.push(der.to_vec());
    }

    pub(crate) fn add_bundle(&mut self, bundle: &TrustBundle) {
        bundle.certificates.iter().for_each(|der| self.add(der));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    fn subjects(&self) -> Vec<DistinguishedName> {
        let mut subjects: Vec<_> = self
            .anchors
            .iter()
            .map(|anchor| DistinguishedName::in_sequence(&anchor.subject))
            .collect();
        subjects.dedup_by(|a, b| a.as_ref() == b.as_ref());
        if subjects.len() > HINTS_MOST { Vec::new() } else { subjects }
    }

    /// Whether the chain leads to an authority. Names are not looked at.
    fn believe(
        &self,
        algorithms: &WebPkiSupportedAlgorithms,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        usage: KeyUsage,
    ) -> Result<(), Error> {
        if self.certificates.iter().any(|der| der[..] == **end_entity) {
            return in_time(end_entity, now);
        }
        let parsed = EndEntityCert::try_from(end_entity).map_err(refusal)?;
        parsed
            .verify_for_usage(algorithms.all, &self.anchors, intermediates, now, usage, None, None)
            .map(drop)
            .map_err(refusal)
    }
}

/// The lifetime of a certificate that needs no issuer.
fn in_time(der: &[u8], now: UnixTime) -> Result<(), Error> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return Err(CertificateError::BadEncoding.into());
    };
    let validity = certificate.validity();
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < validity.not_before.timestamp() {
        Err(CertificateError::NotValidYet.into())
    } else if now > validity.not_after.timestamp() {
        Err(CertificateError::Expired.into())
    } else {
        Ok(())
    }
}

/// The refusal in the words of the handshake, so that the alert to the peer fits.
fn refusal(error: webpki::Error) -> Error {
    let known = if let webpki::Error::UnknownIssuer = error {
        CertificateError::UnknownIssuer
    } else if let webpki::Error::CertNotValidForName(_) = error {
        CertificateError::NotValidForName
    } else if let webpki::Error::CertExpired { .. } = error {
        CertificateError::Expired
    } else if let webpki::Error::CertNotValidYet { .. } = error {
        CertificateError::NotValidYet
    } else if let webpki::Error::BadDer = error {
        CertificateError::BadEncoding
    } else {
        CertificateError::Other(OtherError(Arc::new(error)))
    };
    known.into()
}

/// What both verifiers say of the signatures in a handshake: those of `algorithms` hold.
macro_rules! signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, cert, dss, &self.algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, cert, dss, &self.algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.algorithms.supported_schemes()
        }
    };
}

/// Believes an endpoint's certificate as a cluster's policy says.
#[derive(Debug)]
pub(crate) struct EndpointVerifier {
    pub(crate) authorities: Authorities,
    pub(crate) algorithms: WebPkiSupportedAlgorithms,
    /// When empty, the name of the handshake counts.
    pub(crate) names: Vec<SubjectAltName>,
}

impl EndpointVerifier {
    fn check_names(
        &self,
        end_entity: &CertificateDer<'_>,
        server_name: &ServerName<'_>,
    ) -> Result<(), Error> {
        let parsed = EndEntityCert::try_from(end_entity).map_err(refusal)?;
        if self.names.is_empty() {
            return parsed.verify_is_valid_for_subject_name(server_name).map_err(refusal);
        }
        let fits = |name: &SubjectAltName| match name {
            SubjectAltName::Uri(uri) => parsed.valid_uri_names().any(|other| other == &**uri),
            SubjectAltName::Hostname(host) => has_host(&parsed, host),
        };
        if self.names.iter().any(fits) {
            Ok(())
        } else {
            Err(CertificateError::NotValidForName.into())
        }
    }
}

/// A wildcard asks for a certificate with the same wildcard, or for one label in its place
/// (RFC 6125 6.4.3).
fn has_host(certificate: &EndEntityCert<'_>, host: &str) -> bool {
    let Some(suffix) = host.strip_prefix('*') else {
        let name = ServerName::try_from(host);
        return name.is_ok_and(|name| certificate.verify_is_valid_for_subject_name(&name).is_ok());
    };
    certificate.valid_dns_names().any(|name| {
        let name = name.to_ascii_lowercase();
        name.strip_suffix(suffix).is_some_and(|label| !label.is_empty() && !label.contains('.'))
    })
}

impl ServerCertVerifier for EndpointVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let usage = KeyUsage::server_auth();
        self.authorities.believe(&self.algorithms, end_entity, intermediates, now, usage)?;
        self.check_names(end_entity, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    signatures!();
}

/// Asks clients for a certificate, as a listener's validation says.
#[derive(Debug)]
pub(crate) struct ClientVerifier {
    authorities: Authorities,
    algorithms: WebPkiSupportedAlgorithms,
    hints: Vec<DistinguishedName>,
    /// Whether a handshake fails without a valid certificate.
    mandatory: bool,
}

impl ClientVerifier {
    pub(crate) fn new(
        authorities: Authorities,
        algorithms: WebPkiSupportedAlgorithms,
        mandatory: bool,
    ) -> Self {
        // Where any certificate will do, a client must not keep its own back for want of a hint.
        let hints = if mandatory { authorities.subjects() } else { Vec::new() };
        Self { authorities, algorithms, hints, mandatory }
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let usage = KeyUsage::client_auth();
        let believed =
            self.authorities.believe(&self.algorithms, end_entity, intermediates, now, usage);
        match believed {
            Ok(()) => Ok(ClientCertVerified::assertion()),
            Err(error) if self.mandatory => Err(error),
            Err(_) => Ok(ClientCertVerified::assertion()),
        }
    }

    signatures!();
}
