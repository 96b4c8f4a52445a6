//! What travels as one piece.

use std::{fmt, sync::Arc};

use ir::{
    Certificate, CertificateId, EndpointMap, EndpointSet, EndpointsKey, Gateway, HttpRoute, IrSet,
    L4Route, Listener, ListenerId, ObjectRef, TrustBundle, TrustBundleId,
};

use super::{
    WireError,
    codec::{Decoder, Encoder, Wire},
    lists::form,
};

/// One entity of an [`IrSet`], or the endpoints of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entity {
    Gateway(Arc<Gateway>),
    Listener(Arc<Listener>),
    HttpRoute(Arc<HttpRoute>),
    L4Route(Arc<L4Route>),
    Certificate(Arc<Certificate>),
    TrustBundle(Arc<TrustBundle>),
    Endpoints(EndpointsKey, Arc<EndpointSet>),
}

/// What an entity replaces, and what is removed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntityKey {
    Gateway(Arc<ObjectRef>),
    Listener(ListenerId),
    HttpRoute(Arc<ObjectRef>),
    L4Route(Arc<ObjectRef>),
    Certificate(CertificateId),
    TrustBundle(TrustBundleId),
    Endpoints(EndpointsKey),
}

form! { enum Entity {
    0 => Gateway(gateway),
    1 => Listener(listener),
    2 => HttpRoute(route),
    3 => L4Route(route),
    4 => Certificate(certificate),
    5 => TrustBundle(bundle),
    6 => Endpoints(key, set),
} }

form! { enum EntityKey {
    0 => Gateway(object),
    1 => Listener(id),
    2 => HttpRoute(object),
    3 => L4Route(object),
    4 => Certificate(id),
    5 => TrustBundle(id),
    6 => Endpoints(key),
} }

impl Entity {
    pub fn key(&self) -> EntityKey {
        match self {
            Self::Gateway(gateway) => EntityKey::Gateway(Arc::clone(&gateway.object)),
            Self::Listener(listener) => EntityKey::Listener(listener.id.clone()),
            Self::HttpRoute(route) => EntityKey::HttpRoute(Arc::clone(&route.object)),
            Self::L4Route(route) => EntityKey::L4Route(Arc::clone(&route.object)),
            Self::Certificate(certificate) => EntityKey::Certificate(certificate.id.clone()),
            Self::TrustBundle(bundle) => EntityKey::TrustBundle(bundle.id.clone()),
            Self::Endpoints(key, _) => EntityKey::Endpoints(key.clone()),
        }
    }

    /// Everything of a configuration, in the order of the keys.
    pub fn all<'a>(
        ir: &'a IrSet,
        endpoints: &'a EndpointMap,
    ) -> impl Iterator<Item = Entity> + use<'a> {
        let IrSet { gateways, listeners, http_routes, l4_routes, certificates, trust_bundles } = ir;
        let endpoints = endpoints.iter();
        (gateways.values().map(|one| Self::Gateway(Arc::clone(one))))
            .chain(listeners.values().map(|one| Self::Listener(Arc::clone(one))))
            .chain(http_routes.values().map(|one| Self::HttpRoute(Arc::clone(one))))
            .chain(l4_routes.values().map(|one| Self::L4Route(Arc::clone(one))))
            .chain(certificates.values().map(|one| Self::Certificate(Arc::clone(one))))
            .chain(trust_bundles.values().map(|one| Self::TrustBundle(Arc::clone(one))))
            .chain(endpoints.map(|(key, set)| Self::Endpoints(key.clone(), Arc::clone(set))))
    }

    /// Puts the entity in the place of the one with its key.
    pub fn put_into(self, ir: &mut IrSet, endpoints: &mut EndpointMap) {
        match self {
            Self::Gateway(one) => drop(ir.gateways.insert(Arc::clone(&one.object), one)),
            Self::Listener(one) => drop(ir.listeners.insert(one.id.clone(), one)),
            Self::HttpRoute(one) => drop(ir.http_routes.insert(Arc::clone(&one.object), one)),
            Self::L4Route(one) => drop(ir.l4_routes.insert(Arc::clone(&one.object), one)),
            Self::Certificate(one) => drop(ir.certificates.insert(one.id.clone(), one)),
            Self::TrustBundle(one) => drop(ir.trust_bundles.insert(one.id.clone(), one)),
            Self::Endpoints(key, set) => drop(endpoints.insert(key, set)),
        }
    }
}

impl EntityKey {
    /// Whether it is of the part that moves without a revision.
    pub fn is_endpoints(&self) -> bool {
        matches!(self, Self::Endpoints(_))
    }

    /// The present entity with this key.
    pub fn find(&self, ir: &IrSet, endpoints: &EndpointMap) -> Option<Entity> {
        match self {
            Self::Gateway(key) => ir.gateways.get(key).cloned().map(Entity::Gateway),
            Self::Listener(key) => ir.listeners.get(key).cloned().map(Entity::Listener),
            Self::HttpRoute(key) => ir.http_routes.get(key).cloned().map(Entity::HttpRoute),
            Self::L4Route(key) => ir.l4_routes.get(key).cloned().map(Entity::L4Route),
            Self::Certificate(key) => ir.certificates.get(key).cloned().map(Entity::Certificate),
            Self::TrustBundle(key) => ir.trust_bundles.get(key).cloned().map(Entity::TrustBundle),
            Self::Endpoints(key) => {
                let set = endpoints.get(key).cloned();
                set.map(|set| Entity::Endpoints(key.clone(), set))
            }
        }
    }

    pub fn remove_from(&self, ir: &mut IrSet, endpoints: &mut EndpointMap) {
        match self {
            Self::Gateway(key) => drop(ir.gateways.remove(key)),
            Self::Listener(key) => drop(ir.listeners.remove(key)),
            Self::HttpRoute(key) => drop(ir.http_routes.remove(key)),
            Self::L4Route(key) => drop(ir.l4_routes.remove(key)),
            Self::Certificate(key) => drop(ir.certificates.remove(key)),
            Self::TrustBundle(key) => drop(ir.trust_bundles.remove(key)),
            Self::Endpoints(key) => drop(endpoints.remove(key)),
        }
    }
}

impl fmt::Display for EntityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway(object) | Self::HttpRoute(object) | Self::L4Route(object) => {
                write!(f, "{object}")
            }
            Self::Listener(id) => write!(f, "{id}"),
            Self::Certificate(CertificateId(id)) => write!(f, "certificate {id}"),
            Self::TrustBundle(TrustBundleId(id)) => write!(f, "trust bundle {id}"),
            Self::Endpoints(EndpointsKey { backend, port }) => {
                write!(f, "endpoints of {backend} port {port}")
            }
        }
    }
}
