//! The authority of the demo, and the certificates that it issues.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use source::demo::DemoKeyPair;

/// The common name of the authority.
const NAME: &str = "portcullis demo";
/// The name in the certificate that clients may show.
const CLIENT: &str = "client.demo";

/// Made anew by each process, and believed by nobody who is not told to.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    client: DemoKeyPair,
}

impl Authority {
    /// The authority in `place`, made now if there is none.
    pub(super) fn once(place: &mut Option<Self>) -> Result<&Self> {
        let authority = match place.take() {
            Some(authority) => authority,
            None => Self::new().context("no authority for the demo can be made")?,
        };
        Ok(place.insert(authority))
    }

    fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, NAME);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let client = issue(&issuer, &[CLIENT.into()])?;
        Ok(Self { issuer, client })
    }

    /// The authority's own certificate.
    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for these names.
    pub(super) fn issue(&self, names: &[Arc<str>]) -> Result<DemoKeyPair> {
        issue(&self.issuer, names)
            .with_context(|| format!("no certificate for {} can be made", names.join(", ")))
    }

    /// What clients need, by file name.
    pub(super) fn files(&self) -> BTreeMap<&'static str, String> {
        let client = format!("{}{}", self.client.certificate, self.client.key);
        BTreeMap::from([("ca.pem", self.pem()), ("client.pem", client)])
    }

    /// The settings of a TLS server with these names, for HTTP/2 and HTTP/1.1.
    pub(super) fn server(&self, names: &[Arc<str>]) -> Result<Arc<ServerConfig>> {
        let pair = self.issue(names)?;
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(pair.certificate.as_bytes())
                .collect::<Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn issue(issuer: &CertifiedIssuer<'static, KeyPair>, names: &[Arc<str>]) -> Result<DemoKeyPair> {
    let key = KeyPair::generate()?;
    let texts: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(texts)?;
    if let Some(first) = names.first() {
        params.distinguished_name.push(DnType::CommonName, &**first);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, issuer)?;
    Ok(DemoKeyPair { certificate: certificate.pem(), key: key.serialize_pem() })
}
