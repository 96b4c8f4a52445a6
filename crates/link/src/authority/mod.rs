//! The certificate authority that makes controllers and proxies known to each other.
//!
//! The controller makes it once and keeps it in a Secret. It signs nothing but the certificates
//! of this stream. While an authority is replaced, two are trusted: identities are issued by the
//! new one, the server still shows a certificate of the old one, which every proxy trusts; when
//! each proxy has an identity that brings the new one, the old one is retired.

mod identity;
pub(crate) mod x509;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use thiserror::Error;

pub use identity::Identity;
use x509::Validity;

use crate::{name::GatewayUid, secret::SecretBytes};

/// The name a controller's certificate has, whatever address it is reached at: the authority
/// signs for nobody else.
pub(crate) const SERVER_NAME: &str = "controller.portcullis.internal";

/// A proxy's certificate has one URI name: this and the UID of its Gateway.
pub(crate) const GATEWAY_URI_PREFIX: &str = "portcullis:gateway:";

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const CA_CERTIFICATE: &str = "ca.crt";
const PREVIOUS_CERTIFICATE: &str = "previous.crt";
const PREVIOUS_KEY: &str = "previous.key";

/// How far clocks may be apart: certificates are valid from this long before they are made.
const CLOCK_SKEW: Duration = Duration::from_secs(300);

/// How long certificates are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    pub authority: Duration,
    /// Of identities and of the server's certificate. Replaced after two thirds.
    pub leaf: Duration,
}

impl Default for Lifetimes {
    /// Ten years and thirty days.
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self { authority: Duration::from_secs(3650 * DAY), leaf: Duration::from_secs(30 * DAY) }
    }
}

/// Why there is no authority or certificate.
#[derive(Debug, Error)]
pub enum AuthorityError {
    #[error("a certificate of the link cannot be read; delete its Secret to have it made anew")]
    Certificate,
    #[error("a certificate of the link cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    #[error("{0} is missing; the link needs it")]
    Missing(&'static str),
    #[error("the certificate names no gateway; use the one that the controller made")]
    NoGateway,
    #[error("{0} is not what it should be in pem")]
    Pem(&'static str),
}

/// One key that signs.
struct Ca {
    certificate: String,
    der: CertificateDer<'static>,
    key: KeyPair,
    validity: Validity,
}

/// The authority of one installation. Cheap to clone.
#[derive(Clone)]
pub struct Authority {
    current: Arc<Ca>,
    previous: Option<Arc<Ca>>,
    lifetimes: Lifetimes,
}

impl Authority {
    /// A new authority.
    ///
    /// # Errors
    /// When the crypto library refuses.
    pub fn new(now: SystemTime, lifetimes: Lifetimes) -> Result<Self, AuthorityError> {
        let current = Arc::new(Ca::new(now, lifetimes.authority)?);
        Ok(Self { current, previous: None, lifetimes })
    }

    /// Reads what [`Self::to_secret`] wrote.
    ///
    /// # Errors
    /// When something is missing or cannot be read.
    pub fn from_secret(
        data: &BTreeMap<String, Vec<u8>>,
        lifetimes: Lifetimes,
    ) -> Result<Self, AuthorityError> {
        let current = Arc::new(Ca::read(data, CERTIFICATE, KEY)?);
        let previous = data
            .contains_key(PREVIOUS_CERTIFICATE)
            .then(|| Ca::read(data, PREVIOUS_CERTIFICATE, PREVIOUS_KEY).map(Arc::new))
            .transpose()?;
        Ok(Self { current, previous, lifetimes })
    }

    /// The data of the Secret to keep. Everything that reads it can be every Gateway's proxy.
    pub fn to_secret(&self) -> BTreeMap<String, Vec<u8>> {
        let mut data = BTreeMap::new();
        let mut put = |ca: &Ca, certificate: &str, key: &str| {
            data.insert(certificate.to_owned(), ca.certificate.clone().into_bytes());
            data.insert(key.to_owned(), ca.key.serialize_pem().into_bytes());
        };
        put(&self.current, CERTIFICATE, KEY);
        if let Some(previous) = &self.previous {
            put(previous, PREVIOUS_CERTIFICATE, PREVIOUS_KEY);
        }
        data
    }

    /// The authority as it should be now, when that differs: the next one joins when two thirds
    /// of the present one's time are over, and the one before leaves when the last identity that
    /// does not bring the present one has ended. Store it, then give it to the server.
    ///
    /// # Errors
    /// When the crypto library refuses.
    pub fn maintain(&self, now: SystemTime) -> Result<Option<Self>, AuthorityError> {
        if self.previous.is_some() {
            let overlap = self.lifetimes.leaf.saturating_add(CLOCK_SKEW.saturating_mul(2));
            let over = now.duration_since(self.current.validity.from);
            return Ok(over.is_ok_and(|age| age >= overlap).then(|| self.retire()));
        }
        self.current.validity.is_due(now).then(|| self.rotate(now)).transpose()
    }

    /// With a new key that signs; the present one stays trusted.
    ///
    /// # Errors
    /// When the crypto library refuses.
    pub fn rotate(&self, now: SystemTime) -> Result<Self, AuthorityError> {
        let current = Arc::new(Ca::new(now, self.lifetimes.authority)?);
        Ok(Self { current, previous: Some(Arc::clone(&self.current)), lifetimes: self.lifetimes })
    }

    /// Without the key that signed before.
    pub fn retire(&self) -> Self {
        Self { previous: None, ..self.clone() }
    }

    /// An identity for the proxies of a Gateway.
    ///
    /// # Errors
    /// When the crypto library refuses.
    pub fn issue(&self, gateway: &GatewayUid, now: SystemTime) -> Result<Identity, AuthorityError> {
        let uri = format!("{GATEWAY_URI_PREFIX}{gateway}");
        let mut params = self.leaf(now, "portcullis proxy");
        params.subject_alt_names.push(SanType::URI(uri.try_into()?));
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        let (certificate, key) = self.current.sign(&params)?;
        Ok(Identity { certificate, key, authorities: self.bundle() })
    }

    /// Whether an identity should be replaced by a new one: because of its age, because it does
    /// not bring the authorities of now, or because it is not one.
    pub fn is_due(&self, identity: &Identity, now: SystemTime) -> bool {
        identity.authorities != self.bundle()
            || identity
                .leaf_validity()
                .map_or(true, |validity| validity.is_due(now) || validity.to < now)
    }

    /// A certificate for the controller that every proxy trusts.
    pub(crate) fn server(&self, now: SystemTime) -> Result<(String, SecretBytes), AuthorityError> {
        let mut params = self.leaf(now, "portcullis controller");
        params.subject_alt_names.push(SanType::DnsName(SERVER_NAME.to_owned().try_into()?));
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        self.previous.as_ref().unwrap_or(&self.current).sign(&params)
    }

    /// Whether the key that signs now signed this certificate (by the name of the key).
    pub(crate) fn issued(&self, leaf: &CertificateDer<'_>) -> bool {
        let subject = x509::key_name(&self.current.der);
        subject.is_some() && subject == x509::issuer_key_name(leaf)
    }

    pub(crate) fn lifetimes(&self) -> Lifetimes {
        self.lifetimes
    }

    /// The certificates of all authorities that are trusted now.
    pub(crate) fn trusted(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.all().map(|ca| &ca.der)
    }

    fn bundle(&self) -> String {
        self.all().map(|ca| ca.certificate.as_str()).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Ca>> {
        std::iter::once(&self.current).chain(&self.previous)
    }

    fn leaf(&self, now: SystemTime, name: &str) -> CertificateParams {
        let mut params = params(now, self.lifetimes.leaf, name);
        params.use_authority_key_identifier_extension = true;
        params.key_usages.push(KeyUsagePurpose::DigitalSignature);
        params
    }
}

impl Identity {
    fn leaf_validity(&self) -> Result<Validity, AuthorityError> {
        let (from, to) = self.validity()?;
        Ok(Validity { from, to })
    }
}

impl Ca {
    fn new(now: SystemTime, lifetime: Duration) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate()?;
        let certificate = Self::params(now, lifetime).self_signed(&key)?;
        let der = certificate.der().clone();
        let validity = x509::validity(&der)?;
        Ok(Self { certificate: certificate.pem(), der, key, validity })
    }

    fn read(
        data: &BTreeMap<String, Vec<u8>>,
        certificate: &'static str,
        key: &'static str,
    ) -> Result<Self, AuthorityError> {
        let text = |name: &'static str| {
            let bytes = data.get(name).ok_or(AuthorityError::Missing(name))?;
            std::str::from_utf8(bytes).map_err(|_| AuthorityError::Pem(name))
        };
        let pem = text(certificate)?;
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| AuthorityError::Pem(certificate))?;
        let key = KeyPair::from_pem(text(key)?).map_err(|_| AuthorityError::Pem(key))?;
        let validity = x509::validity(&der)?;
        Ok(Self { certificate: pem.to_owned(), der, key, validity })
    }

    fn params(now: SystemTime, lifetime: Duration) -> CertificateParams {
        let mut params = params(now, lifetime, "portcullis link authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages.push(KeyUsagePurpose::KeyCertSign);
        params
    }

    /// The certificate and its key, both in PEM.
    fn sign(&self, params: &CertificateParams) -> Result<(String, SecretBytes), AuthorityError> {
        let key = KeyPair::generate()?;
        // An issuer is its name and its key, both of which are the same for every copy.
        let issuer = Self::params(SystemTime::UNIX_EPOCH, Duration::ZERO);
        let issuer = Issuer::from_params(&issuer, &self.key);
        let certificate = params.signed_by(&key, &issuer)?;
        Ok((certificate.pem(), SecretBytes::new(key.serialize_pem().into_bytes())))
    }
}

fn params(now: SystemTime, lifetime: Duration, name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = now.checked_sub(CLOCK_SKEW).unwrap_or(now).into();
    params.not_after = now.checked_add(lifetime).unwrap_or(now).into();
    params
}
