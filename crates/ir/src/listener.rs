//! Gateways and their listeners: where traffic enters and how its edge is treated.

use std::{fmt, net::IpAddr, sync::Arc};

use ipnet::IpNet;

use crate::{CertificateId, Filter, HostPattern, ObjectRef, Origin, TlsTermination};

/// One Gateway and the listeners that are good enough to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    pub object: Arc<ObjectRef>,
    pub class: Arc<str>,
    /// Own listeners first, then those of ListenerSets, in merge order (GEP-1713).
    pub listeners: Vec<ListenerId>,
    /// Shown to backends that are reached by TLS and ask for a certificate, unless their own
    /// [`crate::UpstreamTls`] has another one.
    pub client_certificate: Option<CertificateId>,
}

/// A listener by the object that declares it (Gateway or ListenerSet) and its section name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId {
    pub owner: Arc<ObjectRef>,
    pub name: Arc<str>,
}

impl fmt::Display for ListenerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} listener {}", self.owner, self.name)
    }
}

/// An address to bind. `Any` is every address of the machine, IPv6 and IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BindAddress {
    Any,
    Ip(IpAddr),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub id: ListenerId,
    pub origin: Origin,
    /// The Gateway it serves for; differs from `id.owner` for a ListenerSet's listener.
    pub gateway: Arc<ObjectRef>,
    /// At least one.
    pub addresses: Vec<BindAddress>,
    /// What users and matches see: the port in the object.
    pub port: u16,
    /// What the data plane binds.
    pub bind_port: u16,
    pub protocol: Protocol,
    /// `None` takes every host.
    pub hostname: Option<HostPattern>,
    pub http: HttpSettings,
    pub connection: ConnectionSettings,
    /// Run on every request before a rule is looked for, in this order. They never change the
    /// host (GEP-5224).
    pub filters: Vec<Filter>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http,
    Https(TlsTermination),
    TlsPassthrough,
    TlsTerminate(TlsTermination),
    Tcp,
    Udp,
}

/// How a listener treats connections, before anything is read of what they carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// Connections from trusted peers begin with a PROXY protocol header (version 1 or 2), which
    /// names the client. See [`HttpSettings::trusted_peers`].
    pub proxy_protocol: bool,
    /// Connections at one time, for UDP flows; `None` leaves it to the data plane's own bound.
    pub connections_max: Option<u32>,
}

/// How the HTTP edge of a listener treats what it cannot verify.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpSettings {
    pub trusted_peers: TrustedPeers,
    pub escaped_slashes: EscapedSlashes,
    /// `true` keeps `//` in paths; the default merges it, for matching and forwarding alike.
    pub keep_empty_segments: bool,
}

/// Whose `X-Forwarded-*`, `Forwarded` and request id are believed.
///
/// With neither set, nobody's: the headers are replaced. A peer whose address is in `networks` is
/// trusted, and so are the addresses it lists from the right while they too are in `networks`.
/// `hops` trusts that many proxies in front, whatever their addresses are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedPeers {
    pub hops: u8,
    pub networks: Vec<IpNet>,
}

/// What to do with `%2f`, `%5c` and `\` in a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EscapedSlashes {
    /// Opaque octets: matched and forwarded as they are, never decoded.
    #[default]
    Keep,
    /// Answer 400.
    Reject,
}
