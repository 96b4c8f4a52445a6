//! References from one object to another. Accessors apply the documented default where a field is
//! absent, because objects may come without the API server's defaulting.

use std::sync::Arc;

use crate::meta::ObjectName;
use crate::object_macro::object;

/// The API group of the Gateway API.
pub const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";
/// The API group of the Gateway API's experimental kinds.
pub const GATEWAY_X_GROUP: &str = "gateway.networking.x-k8s.io";
/// The group of our own kinds.
pub const PORTCULLIS_GROUP: &str = "portcullis.dev";
/// The group of Envoy Gateway's kinds.
pub const ENVOY_GATEWAY_GROUP: &str = "gateway.envoyproxy.io";

/// Whether `group` is one of the Gateway API's.
#[must_use]
pub fn is_gateway_group(group: &str) -> bool {
    group == GATEWAY_GROUP || group == GATEWAY_X_GROUP
}

object! {
    /// The Gateway, ListenerSet or Service that a route attaches to.
    #[derive(PartialOrd, Ord, Hash)]
    pub struct ParentReference {
        group: Option<Arc<str>> = "group",
        kind: Option<Arc<str>> = "kind",
        namespace: Option<Arc<str>> = "namespace",
        name: Arc<str> = "name",
        section_name: Option<Arc<str>> = "sectionName",
        port: Option<u16> = "port",
    }
}

impl ParentReference {
    /// The group; the Gateway API's when absent.
    #[must_use]
    pub fn group(&self) -> &str {
        self.group.as_deref().unwrap_or(GATEWAY_GROUP)
    }

    /// The kind; `Gateway` when absent.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or("Gateway")
    }

    /// The namespace; `local`, that of the referring object, when absent.
    #[must_use]
    pub fn namespace<'a>(&'a self, local: &'a str) -> &'a str {
        self.namespace.as_deref().unwrap_or(local)
    }

    /// The referenced object, seen from namespace `local`.
    #[must_use]
    pub fn object_name(&self, local: &str) -> ObjectName {
        ObjectName { namespace: or_local(self.namespace.as_ref(), local), name: self.name.clone() }
    }
}

object! {
    /// The Gateway that a ListenerSet adds listeners to.
    #[derive(PartialOrd, Ord, Hash)]
    pub struct ParentGatewayReference {
        group: Option<Arc<str>> = "group",
        kind: Option<Arc<str>> = "kind",
        name: Arc<str> = "name",
        namespace: Option<Arc<str>> = "namespace",
    }
}

impl ParentGatewayReference {
    /// The group; the Gateway API's when absent.
    #[must_use]
    pub fn group(&self) -> &str {
        self.group.as_deref().unwrap_or(GATEWAY_GROUP)
    }

    /// The kind; `Gateway` when absent.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or("Gateway")
    }

    /// The referenced object, seen from namespace `local`.
    #[must_use]
    pub fn object_name(&self, local: &str) -> ObjectName {
        ObjectName { namespace: or_local(self.namespace.as_ref(), local), name: self.name.clone() }
    }
}

object! {
    /// A backend: a Service unless group and kind say otherwise.
    #[derive(PartialOrd, Ord, Hash)]
    pub struct BackendObjectReference {
        group: Option<Arc<str>> = "group",
        kind: Option<Arc<str>> = "kind",
        name: Arc<str> = "name",
        namespace: Option<Arc<str>> = "namespace",
        /// Required for a Service, forbidden for an XBackend.
        port: Option<u16> = "port",
    }
}

impl BackendObjectReference {
    /// The group; core (empty) when absent.
    #[must_use]
    pub fn group(&self) -> &str {
        self.group.as_deref().unwrap_or_default()
    }

    /// The kind; `Service` when absent.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or("Service")
    }

    /// The namespace; `local`, that of the referring object, when absent.
    #[must_use]
    pub fn namespace<'a>(&'a self, local: &'a str) -> &'a str {
        self.namespace.as_deref().unwrap_or(local)
    }

    /// The referenced object, seen from namespace `local`.
    #[must_use]
    pub fn object_name(&self, local: &str) -> ObjectName {
        ObjectName { namespace: or_local(self.namespace.as_ref(), local), name: self.name.clone() }
    }
}

object! {
    /// A backend and its share of the traffic.
    #[derive(PartialOrd, Ord, Hash)]
    pub struct BackendRef {
        ..object: BackendObjectReference,
        weight: Option<u32> = "weight",
    }
}

impl BackendRef {
    /// The share of this backend among the rule's backends; 1 when absent.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.weight.unwrap_or(1)
    }
}

object! {
    /// A Secret unless group and kind say otherwise.
    #[derive(PartialOrd, Ord, Hash)]
    pub struct SecretObjectReference {
        group: Option<Arc<str>> = "group",
        kind: Option<Arc<str>> = "kind",
        name: Arc<str> = "name",
        namespace: Option<Arc<str>> = "namespace",
    }
}

impl SecretObjectReference {
    /// The group; core (empty) when absent.
    #[must_use]
    pub fn group(&self) -> &str {
        self.group.as_deref().unwrap_or_default()
    }

    /// The kind; `Secret` when absent.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or("Secret")
    }

    /// The namespace; `local`, that of the referring object, when absent.
    #[must_use]
    pub fn namespace<'a>(&'a self, local: &'a str) -> &'a str {
        self.namespace.as_deref().unwrap_or(local)
    }

    /// The referenced object, seen from namespace `local`.
    #[must_use]
    pub fn object_name(&self, local: &str) -> ObjectName {
        ObjectName { namespace: or_local(self.namespace.as_ref(), local), name: self.name.clone() }
    }
}

object! {
    /// An object of any kind, in this or another namespace.
    #[derive(PartialOrd, Ord, Hash)]
    pub struct ObjectReference {
        group: Arc<str> = "group",
        kind: Arc<str> = "kind",
        name: Arc<str> = "name",
        namespace: Option<Arc<str>> = "namespace",
    }
}

impl ObjectReference {
    /// The referenced object, seen from namespace `local`.
    #[must_use]
    pub fn object_name(&self, local: &str) -> ObjectName {
        ObjectName { namespace: or_local(self.namespace.as_ref(), local), name: self.name.clone() }
    }
}

object! {
    /// An object of any kind in the same namespace; also `LocalPolicyTargetReference` and
    /// `LocalParametersReference`.
    #[derive(PartialOrd, Ord, Hash)]
    pub struct LocalObjectReference {
        group: Arc<str> = "group",
        kind: Arc<str> = "kind",
        name: Arc<str> = "name",
    }
}

object! {
    /// What a policy is about: an object in its namespace, or one section of it.
    #[derive(PartialOrd, Ord, Hash)]
    pub struct PolicyTargetReference {
        group: Arc<str> = "group",
        kind: Arc<str> = "kind",
        name: Arc<str> = "name",
        /// For a Service the port's name, for a Gateway the listener's.
        section_name: Option<Arc<str>> = "sectionName",
    }
}

object! {
    /// The implementation's own parameters of a class or mesh; no namespace for cluster scope.
    #[derive(PartialOrd, Ord, Hash)]
    pub struct ParametersReference {
        group: Arc<str> = "group",
        kind: Arc<str> = "kind",
        name: Arc<str> = "name",
        namespace: Option<Arc<str>> = "namespace",
    }
}

fn or_local(namespace: Option<&Arc<str>>, local: &str) -> Arc<str> {
    namespace.map_or_else(|| local.into(), Arc::clone)
}
