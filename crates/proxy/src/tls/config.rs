//! One TLS configuration per listener, kept while the listener's certificates stay.

use std::{collections::BTreeMap, sync::Arc};

use ir::{
    Certificate, CertificateId, ClientValidation, ClientValidationMode, ListenerId, ListenerTable,
    Protocol, Table, TlsTermination, TrustBundleId,
};
use rustls::{ServerConfig, crypto::CryptoProvider, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::tls::{
    provider::{narrowed, provider},
    resolver::Certificates,
    trust::{Authorities, ClientVerifier},
    upstream::{UpstreamConfigs, UpstreamTable},
};

/// Why TLS cannot be had for a listener or a cluster.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("certificate {0:?} is not in the table; send it with the listener")]
    Missing(CertificateId),
    #[error("trust bundle {0:?} is not in the table; send it with what names it")]
    NoBundle(TrustBundleId),
    #[error("no authority is usable; name one that holds a certificate")]
    NoAuthority,
    #[error("server name {0:?} is not a host name or an address; change the policy's hostname")]
    ServerName(Arc<str>),
    #[error("the private key of a certificate cannot be read; use PKCS#8, PKCS#1 or SEC1")]
    Key,
    #[error("tls settings are not usable: {0}")]
    Settings(#[from] rustls::Error),
}

/// The configurations of all listeners of one table, by listener index.
pub(crate) type TlsTable = Vec<Option<Arc<ServerConfig>>>;

/// What a listener's configuration follows from. Session tickets live with the configuration: none
/// resumes at another listener, nor where other certificates or another validation of clients hold.
#[derive(Clone, PartialEq)]
struct Settings {
    alpn: Vec<Vec<u8>>,
    termination: TlsTermination,
}

/// Makes configurations and keeps those whose listener and settings stay.
pub(crate) struct TlsConfigs {
    provider: Arc<CryptoProvider>,
    known: BTreeMap<ListenerId, (Settings, Arc<ServerConfig>)>,
    upstream: UpstreamConfigs,
}

impl TlsConfigs {
    pub(crate) fn new() -> Self {
        Self {
            provider: Arc::new(provider()),
            known: BTreeMap::new(),
            upstream: UpstreamConfigs::default(),
        }
    }

    /// The configurations that the clusters of `table` need.
    pub(crate) fn upstream(&mut self, table: &Table) -> UpstreamTable {
        self.upstream.update(&self.provider, table)
    }

    /// The configurations that the listeners of `table` need. A listener whose settings cannot be
    /// used has none: its handshakes are refused, and others are not touched.
    pub(crate) fn update(&mut self, table: &Table) -> TlsTable {
        let mut old = std::mem::take(&mut self.known);
        let mut next = TlsTable::with_capacity(table.listeners.len());
        for listener in &table.listeners {
            let config = termination_of(listener).and_then(|termination| {
                let id = listener.listener.id.clone();
                let protocol = &listener.listener.protocol;
                let settings = Settings { alpn: alpn(protocol), termination: termination.clone() };
                let config = match old.remove(&id) {
                    Some((same, config)) if same == settings => config,
                    Some(_) | None => match self.build(protocol, termination, table) {
                        Ok(config) => config,
                        Err(error) => {
                            tracing::error!(listener = %id, %error, "tls is not served");
                            return None;
                        }
                    },
                };
                self.known.insert(id, (settings, Arc::clone(&config)));
                Some(config)
            });
            next.push(config);
        }
        next
    }

    fn build(
        &self,
        protocol: &Protocol,
        termination: &TlsTermination,
        table: &Table,
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let choice = narrowed(&self.provider, &termination.options);
        let mut entries = Vec::with_capacity(termination.certificates.len());
        for id in &termination.certificates {
            let certificate =
                table.certificates.get(id).ok_or_else(|| TlsError::Missing(id.clone()))?;
            let key = load_key(&choice.provider, certificate)?;
            entries.push((certificate.names.clone(), Arc::new(key)));
        }
        let builder = ServerConfig::builder_with_provider(Arc::clone(&choice.provider))
            .with_protocol_versions(&choice.versions)?;
        let builder = match &termination.client_validation {
            None => builder.with_no_client_auth(),
            Some(validation) => {
                let verifier = client_verifier(&choice.provider, validation, table)?;
                builder.with_client_cert_verifier(Arc::new(verifier))
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(Certificates { entries }));
        config.ignore_client_order = true;
        config.alpn_protocols = alpn(protocol);
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
        config.send_tls13_tickets = 1;
        config.max_early_data_size = 0;
        Ok(Arc::new(config))
    }
}

fn client_verifier(
    provider: &CryptoProvider,
    validation: &ClientValidation,
    table: &Table,
) -> Result<ClientVerifier, TlsError> {
    let mut authorities = Authorities::default();
    for id in &validation.authorities {
        let bundle = table.trust_bundles.get(id).ok_or_else(|| TlsError::NoBundle(id.clone()))?;
        authorities.add_bundle(bundle);
    }
    let mandatory = match validation.mode {
        ClientValidationMode::AllowValidOnly if authorities.is_empty() => {
            return Err(TlsError::NoAuthority);
        }
        ClientValidationMode::AllowValidOnly => true,
        ClientValidationMode::AllowInsecureFallback => false,
    };
    let algorithms = provider.signature_verification_algorithms;
    Ok(ClientVerifier::new(authorities, algorithms, mandatory))
}

/// A certificate with its key, ready to sign.
pub(crate) fn load_key(
    provider: &CryptoProvider,
    certificate: &Certificate,
) -> Result<CertifiedKey, TlsError> {
    let chain =
        certificate.chain.iter().map(|der| CertificateDer::from(der.to_vec())).collect::<Vec<_>>();
    let key = PrivateKeyDer::try_from(certificate.key.der().to_vec()).map_err(|_| TlsError::Key)?;
    let key = provider.key_provider.load_private_key(key)?;
    Ok(CertifiedKey::new(chain, key))
}

fn termination_of(listener: &ListenerTable) -> Option<&TlsTermination> {
    match &listener.listener.protocol {
        Protocol::Https(tls) | Protocol::TlsTerminate(tls) => Some(tls),
        Protocol::Http | Protocol::TlsPassthrough | Protocol::Tcp | Protocol::Udp => None,
    }
}

/// What is agreed on after the handshake (RFC 7301). A listener that terminates for a stream of
/// bytes does not know what they are.
fn alpn(protocol: &Protocol) -> Vec<Vec<u8>> {
    match protocol {
        Protocol::Https(_) => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Protocol::TlsTerminate(_)
        | Protocol::Http
        | Protocol::TlsPassthrough
        | Protocol::Tcp
        | Protocol::Udp => Vec::new(),
    }
}
