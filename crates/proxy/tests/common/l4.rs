//! TCP, TLS and UDP routes of a data plane under test.

use super::{Config, backend};
use ir::{
    Attachment, Backend, BackendProtocol, Cluster, ClusterId, FailReason, HostPattern, L4Route,
    ObjectRef, Origin, Target,
};
use std::sync::Arc;

/// Which kind of route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum L4Kind {
    Tcp,
    Tls,
    Udp,
}

impl L4Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCPRoute",
            Self::Tls => "TLSRoute",
            Self::Udp => "UDPRoute",
        }
    }

    fn protocol(self) -> BackendProtocol {
        match self {
            Self::Tcp | Self::Tls => BackendProtocol::Tcp,
            Self::Udp => BackendProtocol::Udp,
        }
    }
}

/// The Service `shop/NAME`, port 80, as bytes or datagrams.
pub fn tcp_cluster(name: &str, protocol: BackendProtocol) -> Cluster {
    Cluster::new(Arc::new(ObjectRef::new("", "Service", "shop", name)), 80, protocol)
}

impl Config {
    /// A route on one listener to Services with weights; `!` in place of a Service is a reference
    /// that does not resolve.
    pub fn l4_route(
        &mut self,
        kind: L4Kind,
        listener: &str,
        name: &str,
        hosts: &[&str],
        services: &[(&str, u32)],
    ) {
        let backends = services
            .iter()
            .map(|(service, weight)| {
                let target = if *service == "!" {
                    Target::Fail(FailReason::InvalidBackend)
                } else {
                    let cluster = tcp_cluster(service, kind.protocol());
                    Target::Cluster(ClusterId(Arc::new(cluster)))
                };
                Backend { target, ..backend("", *weight) }
            })
            .collect();
        self.l4_route_to(kind, listener, name, hosts, backends);
    }

    pub fn l4_route_to(
        &mut self,
        kind: L4Kind,
        listener: &str,
        name: &str,
        hosts: &[&str],
        backends: Vec<Backend>,
    ) {
        let object =
            Arc::new(ObjectRef::new("gateway.networking.k8s.io", kind.name(), "shop", name));
        let hosts = if hosts.is_empty() {
            vec![None]
        } else {
            hosts.iter().map(|host| Some(HostPattern::new(host))).collect()
        };
        let route = L4Route {
            object: Arc::clone(&object),
            created: None,
            attachments: vec![Attachment { listener: self.listener_id(listener), hosts }],
            passthrough: None,
            origin: Origin::new(Arc::clone(&object), "spec.rules[0]"),
            backends,
        };
        self.set.l4_routes.insert(object, Arc::new(route));
    }
}
