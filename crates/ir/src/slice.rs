//! The part of a set that one Gateway's data plane needs: everything that its listeners lead to,
//! and nothing else, since what is not there cannot leak.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    Action, Attachment, Authorities, Backend, Certificate, CertificateId, ClientValidation,
    Cluster, EndpointMap, EndpointsKey, Filter, HttpRoute, IrSet, L4Route, Listener, ListenerId,
    ObjectRef, Protocol, Rule, Target, TlsTermination, TrustBundle, TrustBundleId, UpstreamTls,
};

impl IrSet {
    /// The Gateway with its listeners, the routes that are attached to them (and only those
    /// attachments), the certificates and trust bundles that either of them names. Entities that
    /// need no narrowing are shared with this set.
    pub fn for_gateway(&self, gateway: &ObjectRef) -> Self {
        let own = self.gateways.get_key_value(gateway);
        let listeners: BTreeMap<_, _> = self
            .listeners
            .iter()
            .filter(|(_, listener)| *listener.gateway == *gateway)
            .map(|(id, listener)| (id.clone(), Arc::clone(listener)))
            .collect();
        let http_routes = self.http_routes.iter().filter_map(|(object, route)| {
            let narrow = |attachments| HttpRoute { attachments, ..HttpRoute::clone(route) };
            let route = narrowed(route, &route.attachments, &listeners, narrow)?;
            Some((Arc::clone(object), route))
        });
        let l4_routes = self.l4_routes.iter().filter_map(|(object, route)| {
            let narrow = |attachments| L4Route { attachments, ..L4Route::clone(route) };
            let route = narrowed(route, &route.attachments, &listeners, narrow)?;
            Some((Arc::clone(object), route))
        });
        let mut slice = Self {
            gateways: own
                .map(|(object, own)| (Arc::clone(object), Arc::clone(own)))
                .into_iter()
                .collect(),
            http_routes: http_routes.collect(),
            l4_routes: l4_routes.collect(),
            listeners,
            certificates: BTreeMap::new(),
            trust_bundles: BTreeMap::new(),
        };
        let mut named =
            Named { set: self, certificates: BTreeMap::new(), bundles: BTreeMap::new() };
        let shown = slice.gateways.values().filter_map(|own| own.client_certificate.as_ref());
        shown.for_each(|id| named.certificate(id));
        slice.listeners.values().for_each(|listener| named.by_listener(listener));
        slice.for_each_cluster(|cluster| named.by_cluster(cluster));
        let Named { certificates, bundles, .. } = named;
        slice.certificates = certificates;
        slice.trust_bundles = bundles;
        slice
    }

    /// Which endpoints the clusters of this set have.
    pub fn endpoint_keys(&self) -> BTreeSet<EndpointsKey> {
        let mut keys = BTreeSet::new();
        self.for_each_cluster(|cluster| {
            let backend = Arc::clone(&cluster.backend);
            keys.insert(EndpointsKey { backend, port: cluster.port });
        });
        keys
    }

    /// The endpoints among `all` that the clusters of this set have.
    pub fn endpoints_of(&self, all: &EndpointMap) -> EndpointMap {
        let keys = self.endpoint_keys().into_iter();
        keys.filter_map(|key| Some((key.clone(), Arc::clone(all.get(&key)?)))).collect()
    }

    /// Each cluster as often as it is named.
    pub fn for_each_cluster(&self, mut each: impl FnMut(&Cluster)) {
        let Self {
            gateways: _,
            listeners,
            http_routes,
            l4_routes,
            certificates: _,
            trust_bundles: _,
        } = self;
        for listener in listeners.values() {
            filters(&listener.filters, &mut each);
        }
        for rule in http_routes.values().flat_map(|route| &route.rules) {
            let Rule { filters: of_rule, action, .. } = &**rule;
            filters(of_rule, &mut each);
            match action {
                Action::Forward(to) => backends(to, &mut each),
                Action::Redirect(_) | Action::Fail(_) => {}
            }
        }
        for route in l4_routes.values() {
            backends(&route.backends, &mut each);
            for to in route.passthrough.iter().flatten() {
                target(to, &mut each);
            }
        }
    }
}

/// `None` when no listener of the slice accepted the route.
fn narrowed<R>(
    route: &Arc<R>,
    attachments: &[Attachment],
    listeners: &BTreeMap<ListenerId, Arc<Listener>>,
    narrow: impl FnOnce(Vec<Attachment>) -> R,
) -> Option<Arc<R>> {
    let ours = |attachment: &&Attachment| listeners.contains_key(&attachment.listener);
    let count = attachments.iter().filter(ours).count();
    if count == attachments.len() {
        return (count > 0).then(|| Arc::clone(route));
    }
    let ours: Vec<_> = attachments.iter().filter(ours).cloned().collect();
    (count > 0).then(|| Arc::new(narrow(ours)))
}

fn backends(list: &[Backend], each: &mut impl FnMut(&Cluster)) {
    for Backend { origin: _, weight: _, target: to, filters: of_backend, persistence: _ } in list {
        target(to, each);
        filters(of_backend, each);
    }
}

fn filters(list: &[Filter], each: &mut impl FnMut(&Cluster)) {
    for filter in list {
        match filter {
            Filter::Mirror(mirror) => target(&mirror.target, each),
            Filter::ExternalAuth(auth) => target(&auth.target, each),
            Filter::Cors(_)
            | Filter::RequestHeaders(_)
            | Filter::ResponseHeaders(_)
            | Filter::Rewrite(_) => {}
        }
    }
}

fn target(target: &Target, each: &mut impl FnMut(&Cluster)) {
    match target {
        Target::Cluster(cluster) => each(&cluster.0),
        Target::Fail(_) => {}
    }
}

/// What is named by digest, taken from the whole set.
struct Named<'a> {
    set: &'a IrSet,
    certificates: BTreeMap<CertificateId, Arc<Certificate>>,
    bundles: BTreeMap<TrustBundleId, Arc<TrustBundle>>,
}

impl Named<'_> {
    fn by_listener(&mut self, listener: &Listener) {
        match &listener.protocol {
            Protocol::Https(tls) | Protocol::TlsTerminate(tls) => {
                let TlsTermination { certificates, client_validation, options: _ } = tls;
                certificates.iter().for_each(|id| self.certificate(id));
                if let Some(validation) = client_validation {
                    let ClientValidation { authorities, mode: _ } = &**validation;
                    authorities.iter().for_each(|id| self.bundle(id));
                }
            }
            Protocol::Http | Protocol::TlsPassthrough | Protocol::Tcp | Protocol::Udp => {}
        }
    }

    fn by_cluster(&mut self, cluster: &Cluster) {
        let Some(tls) = &cluster.tls else { return };
        let UpstreamTls { authorities, client_certificate, .. } = &**tls;
        match authorities {
            Authorities::Bundles(ids) => ids.iter().for_each(|id| self.bundle(id)),
            Authorities::System => {}
        }
        client_certificate.iter().for_each(|id| self.certificate(id));
    }

    fn certificate(&mut self, id: &CertificateId) {
        if let Some(certificate) = self.set.certificates.get(id) {
            self.certificates.insert(id.clone(), Arc::clone(certificate));
        }
    }

    fn bundle(&mut self, id: &TrustBundleId) {
        if let Some(bundle) = self.set.trust_bundles.get(id) {
            self.bundles.insert(id.clone(), Arc::clone(bundle));
        }
    }
}
