//! TLS towards endpoints: one client configuration for each cluster that asks for it.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, OnceLock},
};

use ir::{Authorities as Asked, BackendProtocol, Table, UpstreamTls};
use rustls::{
    CertificateError, ClientConfig,
    client::Resumption,
    crypto::CryptoProvider,
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{
    tls::{
        config::{TlsError, load_key},
        provider::narrowed,
        trust::{Authorities, EndpointVerifier},
    },
    upstream::stream::UpstreamStream,
};

/// Sessions that one cluster's configuration remembers for resumption, over all its endpoints.
const SESSIONS: usize = 256;

/// How the endpoints of a cluster are reached.
#[derive(Clone, Default)]
pub(crate) enum Security {
    #[default]
    Plain,
    Tls(Arc<ClientTls>),
    /// TLS is asked for and cannot be had: every connection fails, none goes out in plaintext.
    Unusable,
}

/// A client's half of handshakes with one cluster.
pub(crate) struct ClientTls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl ClientTls {
    /// Shakes hands over `tcp`; `http1` offers no other protocol. The caller bounds the time.
    ///
    /// # Errors
    /// Those of the socket, and those of TLS as [`rustls::Error`] within.
    pub(crate) async fn connect(&self, tcp: TcpStream, http1: bool) -> io::Result<UpstreamStream> {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let stream = if http1 {
            let offered = alpn(BackendProtocol::Http1);
            connector.with_alpn(offered).connect(self.name.clone(), tcp).await?
        } else {
            connector.connect(self.name.clone(), tcp).await?
        };
        Ok(UpstreamStream::Tls(Box::new(stream)))
    }
}

/// A stable word for why a handshake failed, for the access log.
pub(crate) fn failure_label(error: &io::Error) -> &'static str {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())
    else {
        return "closed_in_handshake";
    };
    if let rustls::Error::InvalidCertificate(certificate) = error {
        if let CertificateError::NotValidForName = certificate {
            "certificate_name"
        } else if let CertificateError::UnknownIssuer = certificate {
            "certificate_authority"
        } else if let CertificateError::Expired | CertificateError::NotValidYet = certificate {
            "certificate_time"
        } else {
            "certificate"
        }
    } else if let rustls::Error::AlertReceived(_) = error {
        "alert_received"
    } else {
        "tls"
    }
}

/// By cluster index.
pub(crate) type UpstreamTable = Vec<Security>;

/// What a configuration follows from. Bundles and certificates are named by their contents.
type Key = (Arc<UpstreamTls>, BackendProtocol);

/// Makes client configurations, and keeps those whose cluster stays.
#[derive(Default)]
pub(crate) struct UpstreamConfigs {
    known: BTreeMap<Key, Arc<ClientTls>>,
    system: OnceLock<Vec<Vec<u8>>>,
}

impl UpstreamConfigs {
    /// The configurations that the clusters of `table` need.
    pub(crate) fn update(&mut self, base: &Arc<CryptoProvider>, table: &Table) -> UpstreamTable {
        let old = std::mem::take(&mut self.known);
        let mut next = UpstreamTable::with_capacity(table.clusters.len());
        for cluster in &table.clusters {
            let Some(tls) = &cluster.0.tls else {
                next.push(Security::Plain);
                continue;
            };
            let key = (Arc::clone(tls), cluster.0.protocol);
            let known = self.known.get(&key).or_else(|| old.get(&key)).cloned();
            let made = match known {
                Some(known) => Ok(known),
                None => self.build(base, tls, cluster.0.protocol, table).map(Arc::new),
            };
            next.push(match made {
                Ok(config) => {
                    self.known.insert(key, Arc::clone(&config));
                    Security::Tls(config)
                }
                Err(error) => {
                    tracing::error!(%cluster, %error, "a backend cannot be reached by tls");
                    Security::Unusable
                }
            });
        }
        next
    }

    fn build(
        &self,
        base: &Arc<CryptoProvider>,
        tls: &UpstreamTls,
        protocol: BackendProtocol,
        table: &Table,
    ) -> Result<ClientTls, TlsError> {
        let authorities = self.authorities(&tls.authorities, table)?;
        let choice = narrowed(base, &tls.options);
        let verifier = EndpointVerifier {
            authorities,
            algorithms: choice.provider.signature_verification_algorithms,
            names: tls.subject_alt_names.clone(),
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&choice.provider))
            .with_protocol_versions(&choice.versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &tls.client_certificate {
            None => builder.with_no_client_auth(),
            Some(id) => {
                let certificate =
                    table.certificates.get(id).ok_or_else(|| TlsError::Missing(id.clone()))?;
                let key: CertifiedKey = load_key(&choice.provider, certificate)?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
            }
        };
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        config.alpn_protocols = alpn(protocol);
        let name = ServerName::try_from(tls.server_name.to_string())
            .map_err(|_| TlsError::ServerName(Arc::clone(&tls.server_name)))?;
        Ok(ClientTls { config: Arc::new(config), name })
    }

    fn authorities(&self, asked: &Asked, table: &Table) -> Result<Authorities, TlsError> {
        let mut authorities = Authorities::default();
        match asked {
            Asked::System => {
                self.system.get_or_init(system).iter().for_each(|der| authorities.add(der));
            }
            Asked::Bundles(ids) => {
                for id in ids {
                    let bundle = table.trust_bundles.get(id);
                    authorities.add_bundle(bundle.ok_or_else(|| TlsError::NoBundle(id.clone()))?);
                }
            }
        }
        if authorities.is_empty() { Err(TlsError::NoAuthority) } else { Ok(authorities) }
    }
}

/// The machine's own authorities (`SSL_CERT_FILE`, `SSL_CERT_DIR`, or where the system keeps
/// them): an operator's additions and removals hold for backends, too, which a list compiled into
/// the binary would not allow.
fn system() -> Vec<Vec<u8>> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "authorities of the system cannot be read");
    }
    found.certs.iter().map(|certificate| certificate.to_vec()).collect()
}

/// What is offered to endpoints (RFC 7301). L4 traffic brings its own.
fn alpn(protocol: BackendProtocol) -> Vec<Vec<u8>> {
    match protocol {
        BackendProtocol::Http1 => vec![b"http/1.1".to_vec()],
        BackendProtocol::Negotiated => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        BackendProtocol::Http2 => vec![b"h2".to_vec()],
        BackendProtocol::Tcp | BackendProtocol::Udp => Vec::new(),
    }
}
