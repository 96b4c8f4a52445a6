//! Certificate authorities from ConfigMaps and ClusterTrustBundles.
//!
//! Dates are not judged here, and neither is whether a certificate may sign: a self-signed leaf is
//! an anchor that people use. Who may refer to what is for the caller to decide.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use api::{ClusterTrustBundle, ConfigMap, ObjectName, Resource as _};
use ir::{TrustBundle, TrustBundleId};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::certificate::digest;
use crate::kinds::{named_ref, whole};
use crate::limits::AUTHORITIES_MAX;
use crate::settings::Capabilities;
use crate::snapshot::Snapshot;

/// Why a reference gives no authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// The kind holds none.
    Kind(String),
    /// Missing, empty or not readable.
    Content(String),
}

impl Unusable {
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Kind(message) | Self::Content(message) => message,
        }
    }
}

/// Where authorities are kept, of the kinds that can hold them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    ConfigMap,
    ClusterTrustBundle,
}

impl Holder {
    pub(crate) fn of(
        (group, kind): (&str, &str),
        capabilities: Capabilities,
    ) -> Result<Self, Unusable> {
        let bundle = (ClusterTrustBundle::GROUP, ClusterTrustBundle::KIND);
        if (group, kind) == (ConfigMap::GROUP, ConfigMap::KIND) {
            Ok(Self::ConfigMap)
        } else if (group, kind) == bundle && capabilities.cluster_trust_bundles {
            Ok(Self::ClusterTrustBundle)
        } else {
            let able = if capabilities.cluster_trust_bundles {
                "a ConfigMap or a ClusterTrustBundle"
            } else {
                "a ConfigMap"
            };
            Err(Unusable::Kind(format!(
                "{kind} cannot hold a certificate authority; refer to {able}"
            )))
        }
    }
}

type Parsed = Result<Option<Arc<TrustBundle>>, Unusable>;

/// The bundles of one snapshot, each parsed once.
pub(crate) struct Trust<'a> {
    snapshot: &'a Snapshot,
    known: RefCell<BTreeMap<(Holder, ObjectName), Parsed>>,
}

impl<'a> Trust<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, known: RefCell::default() }
    }

    /// The authorities of an object; `Ok(None)` when it leads out of an open snapshot. A
    /// ClusterTrustBundle has no namespace.
    pub(crate) fn resolve(&self, holder: Holder, name: &ObjectName) -> Parsed {
        let name = match holder {
            Holder::ConfigMap => name.clone(),
            Holder::ClusterTrustBundle => ObjectName::new("", Arc::clone(&name.name)),
        };
        let key = (holder, name);
        if let Some(known) = self.known.borrow().get(&key) {
            return known.clone();
        }
        let parsed = self.parse(holder, &key.1);
        self.known.borrow_mut().insert(key, parsed.clone());
        parsed
    }

    fn parse(&self, holder: Holder, name: &ObjectName) -> Parsed {
        let (kind, group, pem) = match holder {
            Holder::ConfigMap => {
                let object = self.snapshot.config_maps.get(name);
                let pem = object.map(|map| map.value("ca.crt").map(<[u8]>::to_vec));
                (ConfigMap::KIND, ConfigMap::GROUP, pem)
            }
            Holder::ClusterTrustBundle => {
                let object = self.snapshot.cluster_trust_bundles.get(name);
                let pem = object.map(|bundle| Some(bundle.spec.trust_bundle.as_bytes().to_vec()));
                (ClusterTrustBundle::KIND, ClusterTrustBundle::GROUP, pem)
            }
        };
        let shown = match holder {
            Holder::ConfigMap => format!("{kind} {name}"),
            Holder::ClusterTrustBundle => format!("{kind} {}", name.name),
        };
        let place = match holder {
            Holder::ConfigMap => "under the key ca.crt",
            Holder::ClusterTrustBundle => "in spec.trustBundle",
        };
        let Some(pem) = pem else {
            return if self.snapshot.open {
                Ok(None)
            } else {
                Err(Unusable::Content(format!("{shown} does not exist")))
            };
        };
        let certificates = pem.as_deref().and_then(certificates).ok_or_else(|| {
            Unusable::Content(format!("{shown} has no readable certificate {place}"))
        })?;
        if certificates.len() > AUTHORITIES_MAX {
            let message = format!("{shown} has more than {AUTHORITIES_MAX} certificates {place}");
            return Err(Unusable::Content(message));
        }
        let id = TrustBundleId(digest(certificates.iter().map(AsRef::as_ref)));
        let origin = whole(&named_ref(group, kind, name));
        Ok(Some(Arc::new(TrustBundle { id, origin, certificates })))
    }

    /// Every bundle that was asked for.
    pub(crate) fn bundles(&self) -> BTreeMap<TrustBundleId, Arc<TrustBundle>> {
        let mut bundles = BTreeMap::new();
        for bundle in self.known.borrow().values().flatten().flatten() {
            bundles.entry(bundle.id.clone()).or_insert_with(|| Arc::clone(bundle));
        }
        bundles
    }
}

/// The certificates of PEM text; `None` when there is none, or one that cannot be read: half a
/// bundle is not what its owner wrote.
fn certificates(pem: &[u8]) -> Option<Vec<Arc<[u8]>>> {
    let mut all: Vec<Arc<[u8]>> = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem).take(AUTHORITIES_MAX + 1) {
        let der = certificate.ok()?;
        X509Certificate::from_der(&der).ok()?;
        all.push(Arc::from(der.as_ref()));
    }
    (!all.is_empty()).then_some(all)
}
