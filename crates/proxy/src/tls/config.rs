//! One TLS configuration per listener, kept while the listener's certificates stay.

use std::{collections::BTreeMap, sync::Arc};

use ir::{Certificate, CertificateId, ListenerId, ListenerTable, Protocol, Table};
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, hash::HashAlgorithm},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::tls::resolver::Certificates;

/// Why a listener cannot terminate TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("certificate {0:?} is not in the table; send it with the listener")]
    Missing(CertificateId),
    #[error("the private key of a certificate cannot be read; use PKCS#8, PKCS#1 or SEC1")]
    Key,
    #[error("tls settings are not usable: {0}")]
    Settings(#[from] rustls::Error),
}

/// The configurations of all listeners of one table, by listener index.
pub(crate) type TlsTable = Vec<Option<Arc<ServerConfig>>>;

/// Makes configurations and remembers them by listener and certificates.
pub(crate) struct TlsConfigs {
    provider: Arc<CryptoProvider>,
    known: BTreeMap<(ListenerId, Vec<CertificateId>), Arc<ServerConfig>>,
}

impl TlsConfigs {
    pub(crate) fn new() -> Self {
        Self { provider: Arc::new(provider()), known: BTreeMap::new() }
    }

    /// The configurations that `table` needs. A listener whose certificates cannot be used has
    /// none: its handshakes are refused, and others are not touched.
    pub(crate) fn update(&mut self, table: &Table) -> TlsTable {
        let mut old = std::mem::take(&mut self.known);
        let mut next = TlsTable::with_capacity(table.listeners.len());
        for listener in &table.listeners {
            let config = certificates_of(listener).and_then(|ids| {
                let key = (listener.listener.id.clone(), ids.to_vec());
                let config = match old.remove(&key) {
                    Some(config) => config,
                    None => match self.build(ids, table) {
                        Ok(config) => config,
                        Err(error) => {
                            let listener = listener.listener.id.to_string();
                            tracing::error!(listener, %error, "tls is not served");
                            return None;
                        }
                    },
                };
                self.known.insert(key, Arc::clone(&config));
                Some(config)
            });
            next.push(config);
        }
        next
    }

    fn build(&self, ids: &[CertificateId], table: &Table) -> Result<Arc<ServerConfig>, TlsError> {
        let mut entries = Vec::with_capacity(ids.len());
        for id in ids {
            let certificate =
                table.certificates.get(id).ok_or_else(|| TlsError::Missing(id.clone()))?;
            entries.push((certificate.names.clone(), self.load(certificate)?));
        }
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Certificates { entries }));
        config.ignore_client_order = true;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Tickets belong to this listener and these certificates: none resumes elsewhere.
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
        config.send_tls13_tickets = 1;
        config.max_early_data_size = 0;
        Ok(Arc::new(config))
    }

    fn load(&self, certificate: &Certificate) -> Result<Arc<CertifiedKey>, TlsError> {
        let chain = certificate
            .chain
            .iter()
            .map(|der| CertificateDer::from(der.to_vec()))
            .collect::<Vec<_>>();
        let key =
            PrivateKeyDer::try_from(certificate.key.der().to_vec()).map_err(|_| TlsError::Key)?;
        let key = self.provider.key_provider.load_private_key(key)?;
        Ok(Arc::new(CertifiedKey::new(chain, key)))
    }
}

/// The usual algorithms, with AES-128 and SHA-256 before AES-256 and SHA-384. Both are beyond
/// reach (RFC 8446 makes the former mandatory), but CPUs have instructions for SHA-256 and seldom
/// for SHA-384, and a handshake hashes and derives dozens of times.
fn provider() -> CryptoProvider {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| {
        let hash = suite.tls13().map(|suite| suite.common.hash_provider.algorithm());
        (hash.is_none(), hash == Some(HashAlgorithm::SHA384))
    });
    provider
}

fn certificates_of(listener: &ListenerTable) -> Option<&[CertificateId]> {
    match &listener.listener.protocol {
        Protocol::Https(tls) | Protocol::TlsTerminate(tls) => Some(&tls.certificates),
        Protocol::Http | Protocol::TlsPassthrough | Protocol::Tcp | Protocol::Udp => None,
    }
}
