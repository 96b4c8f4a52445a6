//! Certificates: entities of their own, so that renewal moves nothing else.

use std::{fmt, sync::Arc};

use crate::Origin;

/// Digest of chain and key, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CertificateId(pub Arc<str>);

/// A certificate chain with its private key; equal when the digest is equal.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub id: CertificateId,
    /// The Secret.
    pub origin: Origin,
    /// DER, leaf first.
    pub chain: Vec<Arc<[u8]>>,
    pub key: Arc<PrivateKey>,
    /// DNS names of the leaf, lower case.
    pub names: Vec<crate::HostPattern>,
}

/// DER of a private key (PKCS#8, PKCS#1 or SEC1). Never printed; overwritten when dropped.
pub struct PrivateKey(Vec<u8>);

impl PrivateKey {
    pub fn new(der: Vec<u8>) -> Self {
        Self(der)
    }

    pub fn der(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for PrivateKey {
    fn drop(&mut self) {
        self.0.fill(0);
        std::hint::black_box(&self.0);
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(redacted)")
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Certificate {}
