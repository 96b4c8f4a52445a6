//! Certificates for tests: ECDSA P-256, valid from 1975 to 4096, made anew in each test.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use std::sync::Arc;

/// A certificate chain and its key in PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate (and nothing above it).
    pub cert_pem: String,
    /// The key in PKCS #8.
    pub key_pem: String,
}

impl Issued {
    /// The certificates in DER.
    #[must_use]
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.cert_pem.as_bytes())
            .map(|cert| cert.expect("a certificate in PEM"))
            .collect()
    }

    /// The key in DER.
    #[must_use]
    pub fn key_der(&self) -> Vec<u8> {
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes());
        key.expect("a key in PEM").secret_der().to_vec()
    }
}

/// An authority that issues server and client certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority with this common name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.extended_key_usages.clear();
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("a certificate") }
    }

    /// The authority's own certificate.
    #[must_use]
    pub fn cert_pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for these DNS names (wildcards and IP addresses too); the first is the common name.
    #[must_use]
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.issue_with(names, |_| {})
    }

    /// As [`Authority::issue`], with the usual settings edited.
    #[must_use]
    pub fn issue_with(&self, names: &[&str], edit: impl FnOnce(&mut CertificateParams)) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let mut params = params(names.first().copied().unwrap_or("nameless"), names);
        edit(&mut params);
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        Issued { cert_pem: cert.pem(), key_pem: key.serialize_pem() }
    }

    /// A client's TLS settings that trust this authority alone.
    #[must_use]
    pub fn client_config(&self) -> Arc<ClientConfig> {
        client_config(&self.cert_pem())
    }
}

/// A self-signed certificate for these names, with the usual settings edited.
#[must_use]
pub fn self_signed_with(names: &[&str], edit: impl FnOnce(&mut CertificateParams)) -> Issued {
    let key = KeyPair::generate().expect("a key");
    let mut params = params(names.first().copied().unwrap_or("nameless"), names);
    edit(&mut params);
    let cert = params.self_signed(&key).expect("a certificate");
    Issued { cert_pem: cert.pem(), key_pem: key.serialize_pem() }
}

/// A server's TLS settings with this certificate; `client_authorities` (PEM) makes a certificate of
/// theirs necessary.
#[must_use]
pub fn server_config(issued: &Issued, client_authorities: Option<&str>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("protocol versions");
    let builder = match client_authorities {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let roots = Arc::new(roots(pem));
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        }
    };
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).expect("a key in PEM");
    Arc::new(builder.with_single_cert(issued.chain(), key).expect("a usable certificate"))
}

/// The same settings with protocols to agree on (RFC 7301), the first one preferred.
#[must_use]
pub fn with_alpn(config: &ServerConfig, protocols: &[&str]) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// A client's TLS settings that trust the certificates in `pem` and show a certificate.
#[must_use]
pub fn client_config_showing(pem: &str, issued: &Issued) -> Arc<ClientConfig> {
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).expect("a key in PEM");
    let mut config = ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .expect("protocol versions")
    .with_root_certificates(roots(pem))
    .with_client_auth_cert(issued.chain(), key)
    .expect("a usable certificate");
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

/// The certificates in `pem` as authorities.
#[must_use]
pub fn roots(pem: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(cert.expect("a certificate in PEM")).expect("a usable certificate");
    }
    roots
}

/// A self-signed certificate for these names.
#[must_use]
pub fn self_signed(names: &[&str]) -> Issued {
    let key = KeyPair::generate().expect("a key");
    let params = params(names.first().copied().unwrap_or("nameless"), names);
    let cert = params.self_signed(&key).expect("a certificate");
    Issued { cert_pem: cert.pem(), key_pem: key.serialize_pem() }
}

/// A client's TLS settings that trust the certificates in `pem`; no resumption, so that each connection is a full handshake.
#[must_use]
pub fn client_config(pem: &str) -> Arc<ClientConfig> {
    let roots = roots(pem);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

fn params(common_name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("valid names");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}
