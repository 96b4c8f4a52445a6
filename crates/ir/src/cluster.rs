//! Clusters: a set of endpoints reached one way, shared by all rules that mean the same.

use std::{fmt, sync::Arc, time::Duration};

use crate::{EndpointsKey, ObjectRef, UpstreamTls};

/// Everything that tells one way of reaching a backend from another; this is its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cluster {
    /// The Service (or other backend object).
    pub backend: Arc<ObjectRef>,
    /// The port of the backend object, not of its endpoints.
    pub port: u16,
    pub protocol: BackendProtocol,
    /// `None` is plaintext.
    pub tls: Option<Arc<UpstreamTls>>,
    pub balance: Balance,
    /// The header that tells the endpoint who the client is.
    pub proxy_protocol: Option<ProxyProtocol>,
    pub outlier: Outlier,
    /// `None` leaves retries to each rule alone.
    pub retry_budget: Option<RetryBudget>,
    pub locality: Locality,
}

/// A cluster is identified by its whole key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterId(pub Arc<Cluster>);

/// Application protocol towards the endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BackendProtocol {
    Http1,
    /// Prior knowledge in plaintext; with TLS, ALPN offers nothing but `h2`.
    Http2,
    /// Only with TLS: ALPN offers `h2` and `http/1.1`, and the endpoint chooses.
    Negotiated,
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

/// Version of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProxyProtocol {
    V1,
    V2,
}

/// When an endpoint that fails again and again gets a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Outlier {
    /// Failed attempts in a row after which an endpoint is ejected; `None` turns it off.
    pub consecutive_failures: Option<u32>,
    /// How long an endpoint stays ejected.
    pub ejection: Duration,
    /// The share of endpoints that may be ejected at one time, in percent.
    pub max_percent: u8,
}

impl Default for Outlier {
    fn default() -> Self {
        Self { consecutive_failures: Some(5), ejection: Duration::from_secs(30), max_percent: 50 }
    }
}

/// How many of a cluster's requests may be retries (XBackendTrafficPolicy).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RetryBudget {
    /// Retries in percent of all requests of the interval.
    pub percent: u8,
    pub interval: Duration,
    /// So many retries in each `min_interval` are always allowed.
    pub min_retries: u32,
    pub min_interval: Duration,
}

/// Which endpoints are preferred (Service `trafficDistribution`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Locality {
    #[default]
    Any,
    /// Those for the data plane's own zone, as long as there are any.
    PreferZone,
    /// Those for its own node, else as [`Self::PreferZone`].
    PreferNode,
}

impl Cluster {
    /// A backend in plaintext with every setting at its default.
    pub fn new(backend: Arc<ObjectRef>, port: u16, protocol: BackendProtocol) -> Self {
        Self {
            backend,
            port,
            protocol,
            tls: None,
            balance: Balance::default(),
            proxy_protocol: None,
            outlier: Outlier::default(),
            retry_budget: None,
            locality: Locality::default(),
        }
    }
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
