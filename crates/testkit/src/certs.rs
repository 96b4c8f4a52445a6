//! Certificates for tests: ECDSA P-256, valid from 1975 to 4096, made anew in each test.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
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
        let key = KeyPair::generate().expect("a key");
        let params = params(names.first().copied().unwrap_or("nameless"), names);
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        Issued { cert_pem: cert.pem(), key_pem: key.serialize_pem() }
    }

    /// A client's TLS settings that trust this authority alone.
    #[must_use]
    pub fn client_config(&self) -> Arc<ClientConfig> {
        client_config(&self.cert_pem())
    }
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
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(cert.expect("a certificate in PEM")).expect("a usable certificate");
    }
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
