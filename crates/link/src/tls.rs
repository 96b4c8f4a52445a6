//! TLS of the stream: version 1.3, both sides prove who they are, nothing is resumed.

use std::{sync::Arc, time::SystemTime};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::CryptoProvider,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use thiserror::Error;

use crate::{Authority, AuthorityError, Identity};

/// Names the framing; what the messages hold is compared in the greeting.
const ALPN: &[u8] = b"portcullis-link/1";

/// Why TLS cannot be set up.
#[derive(Debug, Error)]
pub enum TlsError {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error("a certificate or key of the link is not what it should be in pem")]
    Pem,
    #[error("certificates of the link are not usable: {0}")]
    Rustls(#[from] rustls::Error),
    #[error("authorities of the link are not usable: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

pub(crate) fn server(authority: &Authority, now: SystemTime) -> Result<ServerConfig, TlsError> {
    let (certificate, key) = authority.server(now)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots(authority.trusted().cloned())?),
        provider(),
    );
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier.build()?)
        .with_single_cert(chain(certificate.as_bytes())?, private_key(key.as_bytes())?)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A resumed session would not be held against the authorities of now.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

pub(crate) fn client(identity: &Identity) -> Result<ClientConfig, TlsError> {
    let roots = roots(chain(identity.authorities.as_bytes())?)?;
    let chain = chain(identity.certificate.as_bytes())?;
    let key = private_key(identity.key.as_bytes())?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn roots(
    certificates: impl IntoIterator<Item = CertificateDer<'static>>,
) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| TlsError::Pem)
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| TlsError::Pem)
}
