//! The output of translation.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    Certificate, CertificateId, Gateway, HttpRoute, L4Route, Listener, ListenerId, ObjectRef,
    TrustBundle, TrustBundleId,
};

/// Everything a data plane needs but endpoints; one entity for each object a user wrote, so that
/// an edit moves one small thing. Only what can serve is in it: a listener that was not accepted,
/// or a route that no listener accepted, is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IrSet {
    pub gateways: BTreeMap<Arc<ObjectRef>, Arc<Gateway>>,
    pub listeners: BTreeMap<ListenerId, Arc<Listener>>,
    pub http_routes: BTreeMap<Arc<ObjectRef>, Arc<HttpRoute>>,
    pub l4_routes: BTreeMap<Arc<ObjectRef>, Arc<L4Route>>,
    pub certificates: BTreeMap<CertificateId, Arc<Certificate>>,
    pub trust_bundles: BTreeMap<TrustBundleId, Arc<TrustBundle>>,
}
