//! What a proxy proves its Gateway with.

use std::{collections::BTreeMap, time::SystemTime};

use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use super::{AuthorityError, CA_CERTIFICATE, CERTIFICATE, KEY, x509};
use crate::wire::{Decoder, Encoder, Wire, WireError};
use crate::{name::GatewayUid, secret::SecretBytes, wire::lists::form};

/// A client certificate with its key, and the authorities that a controller is believed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: SecretBytes,
    pub(crate) authorities: String,
}

form! { struct Identity { certificate, key, authorities } }

impl Identity {
    /// Reads `tls.crt`, `tls.key` and `ca.crt`, all in PEM: the data of a Secret, or the files of
    /// a folder.
    ///
    /// # Errors
    /// When one is missing, or the certificate does not name a Gateway.
    pub fn from_secret(data: &BTreeMap<String, Vec<u8>>) -> Result<Self, AuthorityError> {
        let bytes = |name: &'static str| data.get(name).ok_or(AuthorityError::Missing(name));
        let text = |name| {
            let text = std::str::from_utf8(bytes(name)?);
            text.map(str::to_owned).map_err(|_| AuthorityError::Pem(name))
        };
        let identity = Self {
            certificate: text(CERTIFICATE)?,
            key: SecretBytes::new(bytes(KEY)?.clone()),
            authorities: text(CA_CERTIFICATE)?,
        };
        identity.gateway()?;
        Ok(identity)
    }

    /// What [`Self::from_secret`] reads: the data of a Secret of type `kubernetes.io/tls`.
    pub fn to_secret(&self) -> BTreeMap<String, Vec<u8>> {
        BTreeMap::from([
            (CERTIFICATE.to_owned(), self.certificate.clone().into_bytes()),
            (KEY.to_owned(), self.key.as_bytes().to_vec()),
            (CA_CERTIFICATE.to_owned(), self.authorities.clone().into_bytes()),
        ])
    }

    /// The Gateway that the certificate names.
    ///
    /// # Errors
    /// When it names none.
    pub fn gateway(&self) -> Result<GatewayUid, AuthorityError> {
        x509::gateway(&self.leaf()?)
    }

    /// From when and until when the certificate is valid.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn validity(&self) -> Result<(SystemTime, SystemTime), AuthorityError> {
        let validity = x509::validity(&self.leaf()?)?;
        Ok((validity.from, validity.to))
    }

    fn leaf(&self) -> Result<CertificateDer<'static>, AuthorityError> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes())
            .map_err(|_| AuthorityError::Pem(CERTIFICATE))
    }
}
