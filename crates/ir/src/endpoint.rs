//! Endpoints: addresses that change far more often than routes and travel on their own path.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use crate::ObjectRef;

/// Which endpoints: those of one port of one backend object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointsKey {
    pub backend: Arc<ObjectRef>,
    pub port: u16,
}

pub type EndpointMap = BTreeMap<EndpointsKey, Arc<EndpointSet>>;

/// Sorted by address, each address once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSet {
    pub endpoints: Vec<Arc<Endpoint>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub address: SocketAddr,
    /// Who holds the address (Pod UID, else slice and address): a reused address is another
    /// endpoint, and its pooled connections are not shared.
    pub identity: Arc<str>,
    pub zone: Option<Arc<str>>,
    /// Zones whose clients should use it (EndpointSlice hints); empty when there is no hint.
    pub for_zones: Vec<Arc<str>>,
    /// The same for nodes.
    pub for_nodes: Vec<Arc<str>>,
    pub state: EndpointState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EndpointState {
    Ready,
    /// Serving while terminating: used only when no endpoint is ready.
    Draining,
}
