//! Clusters: a set of endpoints reached one way, shared by all rules that mean the same.

use std::{fmt, sync::Arc};

use crate::{EndpointsKey, ObjectRef};

/// Everything that tells one way of reaching a backend from another; this is its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cluster {
    /// The Service (or other backend object).
    pub backend: Arc<ObjectRef>,
    /// The port of the backend object, not of its endpoints.
    pub port: u16,
    pub protocol: BackendProtocol,
    pub balance: Balance,
}

/// A cluster is identified by its whole key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterId(pub Arc<Cluster>);

/// Application protocol towards the endpoints (Service `appProtocol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BackendProtocol {
    Http1,
    /// Prior knowledge, without TLS.
    H2c,
    Tcp,
    Udp,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Balance {
    /// The better of two random endpoints, by requests in flight.
    LeastRequest,
    #[default]
    RoundRobin,
}

impl ClusterId {
    pub fn endpoints_key(&self) -> EndpointsKey {
        EndpointsKey { backend: Arc::clone(&self.0.backend), port: self.0.port }
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.0.backend.namespace, self.0.backend.name, self.0.port)
    }
}
