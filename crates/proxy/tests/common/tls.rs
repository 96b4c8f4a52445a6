//! Certificates, authorities and TLS settings of a data plane under test.

use super::Config;
use ir::{
    Authorities, BackendProtocol, Certificate, CertificateId, Cluster, ClusterId, HostPattern,
    ObjectRef, Origin, PrivateKey, Protocol, TlsOptions, TlsTermination, TrustBundle,
    TrustBundleId, UpstreamTls,
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use std::sync::Arc;
use testkit::certs::Issued;

fn origin(kind: &str, name: &str) -> Origin {
    Origin::new(Arc::new(ObjectRef::new("", kind, "infra", name)), "")
}

impl Config {
    pub fn add_certificate(&mut self, id: &str, issued: &Issued, names: &[&str]) {
        let certificate = Certificate {
            id: CertificateId(id.into()),
            origin: origin("Secret", id),
            chain: issued.chain().iter().map(|der| Arc::from(der.as_ref())).collect(),
            key: Arc::new(PrivateKey::new(issued.key_der())),
            names: names.iter().map(|name| HostPattern::new(name)).collect(),
        };
        self.set.certificates.insert(certificate.id.clone(), Arc::new(certificate));
    }

    /// The certificates in `pem` as a bundle, named by what it holds.
    pub fn add_bundle(&mut self, pem: &str) -> TrustBundleId {
        let id = TrustBundleId(pem.into());
        let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
            .map(|der| Arc::from(der.unwrap().as_ref()))
            .collect();
        let origin = origin("ConfigMap", "authorities");
        let bundle = TrustBundle { id: id.clone(), origin, certificates };
        self.set.trust_bundles.insert(id.clone(), Arc::new(bundle));
        id
    }
}

/// HTTPS with these certificates.
pub fn https(ids: &[&str]) -> Protocol {
    let certificates = ids.iter().map(|id| CertificateId((*id).into())).collect();
    Protocol::Https(TlsTermination { certificates, ..TlsTermination::default() })
}

/// TLS terminated to a stream, with these certificates.
pub fn terminate(ids: &[&str]) -> Protocol {
    let certificates = ids.iter().map(|id| CertificateId((*id).into())).collect();
    Protocol::TlsTerminate(TlsTermination { certificates, ..TlsTermination::default() })
}

/// Believes these bundles for the server name.
pub fn tls_policy(server_name: &str, bundles: Vec<TrustBundleId>) -> UpstreamTls {
    UpstreamTls {
        origin: origin("BackendTLSPolicy", "policy"),
        server_name: server_name.into(),
        authorities: Authorities::Bundles(bundles),
        subject_alt_names: Vec::new(),
        client_certificate: None,
        options: TlsOptions::default(),
    }
}

/// The Service `shop/NAME`, port 80, behind TLS.
pub fn secured(name: &str, protocol: BackendProtocol, tls: UpstreamTls) -> ClusterId {
    let backend = Arc::new(ObjectRef::new("", "Service", "shop", name));
    let tls = Some(Arc::new(tls));
    ClusterId(Arc::new(Cluster { tls, ..Cluster::new(backend, 80, protocol) }))
}
