//! Protocol versions and cipher suites, as options narrow them.

use std::sync::Arc;

use ir::{CipherSuite, TlsOptions, TlsVersion};
use rustls::{
    CipherSuite as Suite, SupportedProtocolVersion,
    crypto::{CryptoProvider, hash::HashAlgorithm},
};

/// The usual algorithms, with AES-128 and SHA-256 before AES-256 and SHA-384. Both are beyond
/// reach (RFC 8446 makes the former mandatory), but CPUs have instructions for SHA-256 and seldom
/// for SHA-384, and a handshake hashes and derives dozens of times.
pub(crate) fn provider() -> CryptoProvider {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| {
        let hash = suite.tls13().map(|suite| suite.common.hash_provider.algorithm());
        (hash.is_none(), hash == Some(HashAlgorithm::SHA384))
    });
    provider
}

/// What a handshake may choose from.
pub(crate) struct Choice {
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) versions: Vec<&'static SupportedProtocolVersion>,
}

/// Narrows `base` to what the options allow. A version for which no suite is left is not offered,
/// so that nobody agrees on a version and then on nothing.
pub(crate) fn narrowed(base: &Arc<CryptoProvider>, options: &TlsOptions) -> Choice {
    let provider = if options.cipher_suites.is_empty() {
        Arc::clone(base)
    } else {
        let mut provider = CryptoProvider::clone(base);
        provider.cipher_suites = options
            .cipher_suites
            .iter()
            .filter_map(|wanted| {
                base.cipher_suites.iter().find(|suite| suite.suite() == suite_id(*wanted))
            })
            .copied()
            .collect();
        Arc::new(provider)
    };
    let versions = [
        (TlsVersion::Tls13, &rustls::version::TLS13),
        (TlsVersion::Tls12, &rustls::version::TLS12),
    ]
    .into_iter()
    .filter(|(version, supported)| {
        options.min_version.is_none_or(|least| *version >= least)
            && options.max_version.is_none_or(|most| *version <= most)
            && provider.cipher_suites.iter().any(|suite| suite.version() == *supported)
    })
    .map(|(_, supported)| supported)
    .collect();
    Choice { provider, versions }
}

fn suite_id(suite: CipherSuite) -> Suite {
    match suite {
        CipherSuite::Aes256GcmSha384 => Suite::TLS13_AES_256_GCM_SHA384,
        CipherSuite::Aes128GcmSha256 => Suite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::Chacha20Poly1305Sha256 => Suite::TLS13_CHACHA20_POLY1305_SHA256,
        CipherSuite::EcdheEcdsaAes256GcmSha384 => Suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::EcdheEcdsaAes128GcmSha256 => Suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::EcdheEcdsaChacha20Poly1305Sha256 => {
            Suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        }
        CipherSuite::EcdheRsaAes256GcmSha384 => Suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::EcdheRsaAes128GcmSha256 => Suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::EcdheRsaChacha20Poly1305Sha256 => {
            Suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_of_the_ir_is_one_of_the_provider() {
        let base = Arc::new(provider());
        for suite in CipherSuite::ALL {
            let options = TlsOptions { cipher_suites: vec![*suite], ..TlsOptions::default() };
            let choice = narrowed(&base, &options);
            assert_eq!(choice.provider.cipher_suites.len(), 1, "{}", suite.as_str());
            assert_eq!(choice.versions.len(), 1, "{}", suite.as_str());
        }
    }
}
