//! What the operator chose and what the data plane can do: the inputs beside the objects.

use std::{collections::BTreeMap, net::IpAddr};

use api::ObjectName;
use ipnet::IpNet;
use ir::BindAddress;

use crate::limits::NAMESPACE_PATTERNS_BYTES_MAX;

/// The controller name Portcullis answers to unless told otherwise.
pub const CONTROLLER_NAME: &str = "portcullis.dev/gateway-controller";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// GatewayClasses with this controller name are ours, and status entries carry it.
    pub controller_name: String,
    /// Serve this GatewayClass too, whatever its controller.
    pub class: Option<String>,
    pub placement: Placement,
    /// What Gateways without an address of their own may take, in this order.
    pub addresses: Vec<AddressPool>,
    /// Addresses that Gateways have now. They keep them while they can, so that a Gateway that
    /// comes or goes moves no other.
    pub held: BTreeMap<ObjectName, Vec<BindAddress>>,
    /// Added to each listener's port for binding only.
    pub port_offset: u16,
    pub backend_addresses: BackendAddresses,
    pub capabilities: Capabilities,
    /// What the regular expressions of the routes of one namespace may take in memory, in bytes.
    pub namespace_patterns_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            controller_name: CONTROLLER_NAME.to_owned(),
            class: None,
            placement: Placement::Shared,
            addresses: vec![AddressPool::Any],
            held: BTreeMap::new(),
            port_offset: 0,
            backend_addresses: BackendAddresses::Anywhere,
            capabilities: Capabilities::SERVED,
            namespace_patterns_bytes_max: NAMESPACE_PATTERNS_BYTES_MAX,
        }
    }
}

/// Where Gateways are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// All by one process, on addresses of its machine.
    Shared,
    /// Each by pods of its own, behind Services: see [`crate::plan`].
    Provisioned,
}

/// Addresses that may be given to Gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressPool {
    /// All addresses of the machine, as one.
    Any,
    Ip(IpAddr),
    /// Each address of the network, the network's own and the broadcast address of IPv4 left out.
    Network(IpNet),
}

/// Which addresses may be backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendAddresses {
    /// Any: whoever owns the folder owns the machine.
    Anywhere,
    /// Not loopback, link-local, unspecified or multicast: tenants write EndpointSlices.
    Restricted,
}

macro_rules! capabilities {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What the data plane can do. A thing that is off is refused in status, never ignored.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Capabilities {
            $($(#[$doc])* pub $name: bool,)*
        }

        impl Capabilities {
            /// Everything the types can express.
            pub const ALL: Self = Self { $($name: true,)* };
            pub const NONE: Self = Self { $($name: false,)* };
        }
    };
}

capabilities! {
    /// HTTPRoute on plain listeners.
    http,
    /// HTTPS listeners (TLS terminated, HTTP inside).
    https,
    tls_passthrough,
    tls_terminate,
    /// Passthrough and Terminate on one port.
    tls_mixed,
    tcp,
    udp,
    grpc,
    /// HTTP/2 from clients.
    http2,
    /// HTTP/2 with prior knowledge towards backends.
    h2c_backends,
    /// BackendTLSPolicy.
    backend_tls,
    /// `tls.backend` of a Gateway.
    backend_client_certificate,
    /// `tls.frontend` of a Gateway.
    frontend_client_certificates,
    /// Retries after the first attempt (`attempts` above 0).
    retries,
    session_persistence,
    external_auth,
    listener_filters,
    cluster_trust_bundles,
    cors,
    mirror,
    timeouts,
    websocket,
    /// A Host that belongs to another listener than the SNI answers 421.
    misdirected,
    /// A Gateway may ask for addresses.
    static_addresses,
    listener_sets,
    default_gateways,
    x_backends,
    /// Labels and annotations are copied to what is generated for a Gateway.
    infrastructure,
    /// A Gateway may say from where its addresses must be reachable.
    address_routability,
}

impl Capabilities {
    /// What the data plane of this build serves.
    pub const SERVED: Self = Self {
        http: true,
        https: true,
        tls_passthrough: true,
        tls_terminate: true,
        tls_mixed: true,
        tcp: true,
        udp: true,
        grpc: true,
        http2: true,
        h2c_backends: true,
        backend_tls: true,
        backend_client_certificate: true,
        frontend_client_certificates: true,
        cluster_trust_bundles: true,
        cors: true,
        mirror: true,
        timeouts: true,
        websocket: true,
        misdirected: true,
        retries: true,
        session_persistence: true,
        external_auth: true,
        listener_filters: true,
        static_addresses: true,
        listener_sets: true,
        default_gateways: true,
        x_backends: true,
        ..Self::NONE
    };
}
