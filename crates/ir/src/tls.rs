//! TLS on both sides: what a listener asks of clients, and how a cluster's endpoints are reached.

use std::sync::Arc;

use crate::{CertificateId, Origin};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsTermination {
    /// The first is the default where none fits the SNI better.
    pub certificates: Vec<CertificateId>,
    /// Whether clients must show a certificate. A connection keeps what held at its handshake;
    /// a request on a connection whose value differs from the current table's is misdirected
    /// (421), or certificates that became necessary would miss old connections.
    pub client_validation: Option<Arc<ClientValidation>>,
    pub options: TlsOptions,
}

/// Validation of client certificates (GEP-91). Equal when the same certificates are accepted in
/// the same way: authorities are named by what they hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientValidation {
    /// Empty when none is usable: then no certificate is valid.
    pub authorities: Vec<TrustBundleId>,
    pub mode: ClientValidationMode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClientValidationMode {
    /// The handshake fails without a valid certificate.
    AllowValidOnly,
    /// A certificate is asked for; the handshake goes on without one, or with an invalid one.
    AllowInsecureFallback,
}

/// How the endpoints of a cluster are reached by TLS. Never a reason to fall back to plaintext.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamTls {
    /// The policy or backend that asks for it.
    pub origin: Origin,
    /// Sent as SNI. Lower case.
    pub server_name: Arc<str>,
    pub authorities: Authorities,
    /// The peer's certificate must have one of these; when empty, `server_name`.
    pub subject_alt_names: Vec<SubjectAltName>,
    /// Shown when the peer asks for one. In a set, only where the backend has one of its own: in the
    /// table, also that of the Gateway.
    pub client_certificate: Option<CertificateId>,
    pub options: TlsOptions,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Authorities {
    /// Those that the machine trusts.
    System,
    /// Any certificate of any bundle; nobody when empty.
    Bundles(Vec<TrustBundleId>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubjectAltName {
    /// Lower case; compared as RFC 6125 says.
    Hostname(Arc<str>),
    /// Compared byte by byte (SPIFFE).
    Uri(Arc<str>),
}

/// Digest of what a bundle holds, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrustBundleId(pub Arc<str>);

/// Certificates of authorities; equal when the digest is equal.
#[derive(Clone, Debug)]
pub struct TrustBundle {
    pub id: TrustBundleId,
    /// The first of the objects that hold it.
    pub origin: Origin,
    /// DER, at least one. Several may have the same subject and serial number: the one that
    /// verifies the signature counts.
    pub certificates: Vec<Arc<[u8]>>,
}

impl PartialEq for TrustBundle {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for TrustBundle {}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TlsOptions {
    pub min_version: Option<TlsVersion>,
    pub max_version: Option<TlsVersion>,
    /// In order of preference; empty is the data plane's own choice.
    pub cipher_suites: Vec<CipherSuite>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TlsVersion {
    Tls12,
    Tls13,
}

macro_rules! cipher_suites {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $version:ident;)*) => {
        /// The suites that may be chosen; others are not offered at all.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum CipherSuite {
            $($(#[$doc])* $name,)*
        }

        impl CipherSuite {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name in the registry of IANA.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// The one version that it belongs to.
            pub fn version(self) -> TlsVersion {
                match self {
                    $(Self::$name => TlsVersion::$version,)*
                }
            }
        }
    };
}

cipher_suites! {
    Aes256GcmSha384 = "TLS_AES_256_GCM_SHA384", Tls13;
    Aes128GcmSha256 = "TLS_AES_128_GCM_SHA256", Tls13;
    Chacha20Poly1305Sha256 = "TLS_CHACHA20_POLY1305_SHA256", Tls13;
    EcdheEcdsaAes256GcmSha384 = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", Tls12;
    EcdheEcdsaAes128GcmSha256 = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", Tls12;
    EcdheEcdsaChacha20Poly1305Sha256 = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", Tls12;
    EcdheRsaAes256GcmSha384 = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", Tls12;
    EcdheRsaAes128GcmSha256 = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Tls12;
    EcdheRsaChacha20Poly1305Sha256 = "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", Tls12;
}

impl CipherSuite {
    /// By the name in the registry of IANA.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|suite| suite.as_str() == name)
    }
}

impl TlsVersion {
    /// As configuration writes it: `1.2` or `1.3`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }

    pub fn named(text: &str) -> Option<Self> {
        [Self::Tls12, Self::Tls13].into_iter().find(|version| version.as_str() == text)
    }
}
