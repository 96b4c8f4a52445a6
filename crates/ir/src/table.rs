//! The table: what workers read. Immutable, shared, built by [`assemble`](crate::assemble()).
//!
//! A [`Table`] has ports; a [`PortTable`] picks the listener for a host; a [`ListenerTable`] holds
//! the index that [`find`](crate::find()) walks; a [`RuleEntry`] is what a request ends at.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::{
    BindAddress, Certificate, CertificateId, ClusterId, HttpRoute, L4Route, Listener, ListenerId,
    ObjectRef, Protocol, Rule, TrustBundle, TrustBundleId,
    index::{HostIndex, RouteIndex},
};

/// Which configuration: epochs count leaders, sequences count what one of them issued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision {
    pub epoch: u64,
    pub sequence: u64,
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.sequence)
    }
}

/// Position in [`Table::listeners`] of one revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerIndex(pub u32);

/// Position in [`Table::rules`] of one revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleIndex(pub u32);

/// Position in [`Table::l4`] of one revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct L4Index(pub u32);

/// Position in [`Table::clusters`] of one revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterIndex(pub u32);

/// Everything one revision serves.
#[derive(Debug, Default)]
pub struct Table {
    pub revision: Revision,
    pub ports: BTreeMap<PortKey, Arc<PortTable>>,
    /// By [`ListenerIndex`], in the order of [`crate::ListenerId`].
    pub listeners: Vec<Arc<ListenerTable>>,
    /// By [`RuleIndex`]: one for each listener, route and rule, hence the unit of metrics. Those
    /// of one listener lie together, oldest route first.
    pub rules: Vec<Arc<RuleEntry>>,
    /// By [`L4Index`]: one for each listener and TLSRoute, TCPRoute or UDPRoute, hence the unit of
    /// metrics beside `rules`. Those of one listener lie together, oldest first.
    pub l4: Vec<Arc<L4Entry>>,
    /// By [`ClusterIndex`], in the order in which rules name them.
    pub clusters: Vec<ClusterId>,
    pub certificates: BTreeMap<CertificateId, Arc<Certificate>>,
    pub trust_bundles: BTreeMap<TrustBundleId, Arc<TrustBundle>>,
    /// What it was built from, in the order of [`ObjectRef`].
    pub(crate) routes: Vec<Arc<HttpRoute>>,
}

impl Table {
    pub fn listener(&self, index: ListenerIndex) -> Option<&Arc<ListenerTable>> {
        self.listeners.get(index.0 as usize)
    }

    /// Positions differ among revisions, ids do not.
    pub fn listener_by_id(&self, id: &ListenerId) -> Option<&Arc<ListenerTable>> {
        let position = self.listeners.binary_search_by(|table| table.listener.id.cmp(id)).ok()?;
        self.listeners.get(position)
    }

    pub fn rule(&self, index: RuleIndex) -> Option<&Arc<RuleEntry>> {
        self.rules.get(index.0 as usize)
    }

    pub fn l4(&self, index: L4Index) -> Option<&Arc<L4Entry>> {
        self.l4.get(index.0 as usize)
    }

    pub fn cluster(&self, index: ClusterIndex) -> Option<&ClusterId> {
        self.clusters.get(index.0 as usize)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    Tcp,
    Udp,
}

/// One socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortKey {
    pub address: BindAddress,
    /// The port that is bound ([`Listener::bind_port`]).
    pub port: u16,
    pub transport: Transport,
}

impl fmt::Display for PortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            BindAddress::Any => write!(f, "*:{}", self.port)?,
            BindAddress::Ip(address) => {
                write!(f, "{}", std::net::SocketAddr::new(address, self.port))?;
            }
        }
        match self.transport {
            Transport::Tcp => f.write_str("/tcp"),
            Transport::Udp => f.write_str("/udp"),
        }
    }
}

/// How a connection begins on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PortKind {
    Http,
    /// HTTPS, passthrough and terminated TLS; the SNI says which.
    Tls,
    Tcp,
    Udp,
}

impl PortKind {
    pub fn of(protocol: &Protocol) -> Self {
        match protocol {
            Protocol::Http => Self::Http,
            Protocol::Https(_) | Protocol::TlsPassthrough | Protocol::TlsTerminate(_) => Self::Tls,
            Protocol::Tcp => Self::Tcp,
            Protocol::Udp => Self::Udp,
        }
    }

    pub fn transport(self) -> Transport {
        match self {
            Self::Http | Self::Tls | Self::Tcp => Transport::Tcp,
            Self::Udp => Transport::Udp,
        }
    }
}

/// The listeners that share a socket.
#[derive(Debug)]
pub struct PortTable {
    pub key: PortKey,
    pub kind: PortKind,
    pub(crate) listeners: Vec<Arc<ListenerTable>>,
    /// Positions in `listeners`.
    pub(crate) hosts: HostIndex,
}

impl PortTable {
    /// The most specific listener for a host or an SNI name (lower case, no port, no trailing
    /// dot; empty when there is none): exact name, then the longest wildcard, then no hostname.
    pub fn listener_for(&self, host: &str) -> Option<&Arc<ListenerTable>> {
        self.hosts.best(host).and_then(|position| self.listeners.get(position as usize))
    }

    /// In the order of their ids.
    pub fn listeners(&self) -> impl Iterator<Item = &Arc<ListenerTable>> {
        self.listeners.iter()
    }
}

/// A listener with the index over its routes.
#[derive(Debug)]
pub struct ListenerTable {
    pub index: ListenerIndex,
    pub listener: Arc<Listener>,
    /// Rule numbers in `routes` count from here.
    pub(crate) first_rule: u32,
    pub(crate) routes: Arc<RouteIndex>,
    /// Oldest first.
    pub(crate) l4: Vec<Arc<L4Entry>>,
    /// Positions in `l4`; of routes with one hostname, the oldest's.
    pub(crate) l4_hosts: HostIndex,
    /// As [`RuleEntry::auths`], for the filters of the listener.
    pub auths: Vec<Option<ClusterIndex>>,
}

impl ListenerTable {
    /// The route that takes a connection or flow. On a TLS listener the longest hostname that
    /// takes the SNI wins, as written on the route, then the older route; elsewhere the oldest
    /// route, and `sni` is `None`.
    pub fn l4_for(&self, sni: Option<&str>) -> Option<&Arc<L4Entry>> {
        let position = self.l4_hosts.best(sni.unwrap_or_default())?;
        self.l4.get(position as usize)
    }

    /// All routes of the listener for [`Self::l4_for`], oldest first.
    pub fn l4(&self) -> impl Iterator<Item = &Arc<L4Entry>> {
        self.l4.iter()
    }
}

/// A rule as one listener serves it.
#[derive(Debug, PartialEq, Eq)]
pub struct RuleEntry {
    pub index: RuleIndex,
    pub listener: ListenerIndex,
    pub route: Arc<HttpRoute>,
    pub rule: Arc<Rule>,
    /// Parallel to [`crate::Action::Forward`]; empty for other actions.
    pub backends: Vec<BackendEntry>,
    /// Sum of the weights; above zero when there are backends.
    pub total_weight: u64,
    /// For each [`crate::Filter::Mirror`] of the rule, in order. `None` cannot be served.
    pub mirrors: Vec<Option<ClusterIndex>>,
    /// For each [`crate::Filter::ExternalAuth`] of the rule, in order. `None` refuses requests.
    pub auths: Vec<Option<ClusterIndex>>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct BackendEntry {
    /// This weight and those before it: the share ends here, exclusively.
    pub weight_end: u64,
    /// `None` fails its share with 500.
    pub cluster: Option<ClusterIndex>,
    /// As [`RuleEntry::mirrors`], for the filters of this backend.
    pub mirrors: Vec<Option<ClusterIndex>>,
    /// As [`RuleEntry::auths`], for the filters of this backend.
    pub auths: Vec<Option<ClusterIndex>>,
}

/// A TLSRoute, TCPRoute or UDPRoute as one listener serves it.
#[derive(Debug, PartialEq, Eq)]
pub struct L4Entry {
    pub index: L4Index,
    pub listener: ListenerIndex,
    pub route: Arc<L4Route>,
    /// Parallel to [`L4Route::backends`]. A connection that ends at one without a cluster is
    /// closed, a datagram dropped.
    pub backends: Vec<BackendEntry>,
    /// Sum of the weights; 0 when nothing can be picked.
    pub total_weight: u64,
}

impl L4Entry {
    /// As [`RuleEntry::pick`]; `None` when no backend has a weight.
    pub fn pick(&self, random: u64) -> Option<usize> {
        pick(&self.backends, self.total_weight, random)
    }

    pub fn object(&self) -> &Arc<ObjectRef> {
        &self.route.object
    }
}

fn pick(backends: &[BackendEntry], total_weight: u64, random: u64) -> Option<usize> {
    let product = u128::from(random) * u128::from(total_weight);
    let point = u64::try_from(product >> 64).ok()?;
    let position = backends.partition_point(|backend| backend.weight_end <= point);
    (position < backends.len()).then_some(position)
}

impl RuleEntry {
    /// The position in `backends` that a uniformly random number selects by weight.
    pub fn pick(&self, random: u64) -> Option<usize> {
        pick(&self.backends, self.total_weight, random)
    }

    pub fn object(&self) -> &Arc<ObjectRef> {
        &self.route.object
    }
}
