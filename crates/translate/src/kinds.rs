//! Kinds by name, references to objects, and their ages.

use std::sync::Arc;

use api::{GATEWAY_GROUP, ObjectMeta, ObjectName, Resource};
use ir::{ObjectRef, Origin};

pub(crate) const GATEWAY: &str = "Gateway";
pub(crate) const LISTENER_SET: &str = "ListenerSet";

/// The kinds of routes, in the order of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum RouteType {
    Grpc,
    Http,
    Tcp,
    Tls,
    Udp,
}

impl RouteType {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "GRPCRoute",
            Self::Http => "HTTPRoute",
            Self::Tcp => "TCPRoute",
            Self::Tls => "TLSRoute",
            Self::Udp => "UDPRoute",
        }
    }

    pub(crate) fn from_name(kind: &str) -> Option<Self> {
        [Self::Grpc, Self::Http, Self::Tcp, Self::Tls, Self::Udp]
            .into_iter()
            .find(|route| route.as_str() == kind)
    }

    /// What happens to the share of a backend that cannot be reached.
    pub(crate) fn share_effect(self) -> &'static str {
        match self {
            Self::Grpc => "this share answers UNAVAILABLE",
            Self::Http => "this share answers 500",
            Self::Tcp | Self::Tls => "connections of this share are closed",
            Self::Udp => "datagrams of this share are dropped",
        }
    }
}

pub(crate) fn object_ref<T: Resource>(name: &ObjectName) -> Arc<ObjectRef> {
    named_ref(T::GROUP, T::KIND, name)
}

pub(crate) fn gateway_ref(name: &ObjectName) -> Arc<ObjectRef> {
    named_ref(GATEWAY_GROUP, GATEWAY, name)
}

pub(crate) fn service_ref(name: &ObjectName) -> Arc<ObjectRef> {
    named_ref("", "Service", name)
}

pub(crate) fn named_ref(group: &str, kind: &str, name: &ObjectName) -> Arc<ObjectRef> {
    Arc::new(ObjectRef {
        group: group.into(),
        kind: kind.into(),
        namespace: Arc::clone(&name.namespace),
        name: Arc::clone(&name.name),
    })
}

/// The origin of the object as a whole.
pub(crate) fn whole(object: &Arc<ObjectRef>) -> Origin {
    Origin::new(Arc::clone(object), "")
}

pub(crate) fn at(object: &Arc<ObjectRef>, field: &str) -> Origin {
    Origin::new(Arc::clone(object), field)
}

/// Sorts older objects first, those without an age last, then by namespace and name.
pub(crate) fn seniority<'a>(meta: &ObjectMeta, name: &'a ObjectName) -> (i64, &'a ObjectName) {
    (created(meta).unwrap_or(i64::MAX), name)
}

/// Seconds since the epoch.
pub(crate) fn created(meta: &ObjectMeta) -> Option<i64> {
    meta.creation_timestamp.as_ref().map(api::Timestamp::unix_seconds)
}
