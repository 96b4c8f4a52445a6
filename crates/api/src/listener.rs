//! Listeners, as Gateways and ListenerSets hold them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::condition::Condition;
use crate::filters::ExternalAuthFilter;
use crate::labels::LabelSelector;
use crate::object_macro::object;
use crate::open_enum::open_enum;
use crate::reference::{GATEWAY_GROUP, LocalObjectReference, SecretObjectReference};

object! {
    /// A port, a protocol and a hostname where traffic is accepted; also ListenerSet's
    /// `ListenerEntry`.
    pub struct Listener {
        name: Arc<str> = "name",
        hostname: Option<Arc<str>> = "hostname",
        port: u16 = "port",
        protocol: ProtocolType = "protocol",
        tls: Option<ListenerTlsConfig> = "tls",
        allowed_routes: Option<AllowedRoutes> = "allowedRoutes",
        /// Experimental, GEP-5224: filters that run before a route is chosen.
        filters: Option<ListenerFilters> = "filters",
    }
}

impl Listener {
    /// The hostname; `None`, which stands for all, also when it is empty.
    #[must_use]
    pub fn hostname(&self) -> Option<&str> {
        self.hostname.as_deref().filter(|hostname| !hostname.is_empty())
    }

    /// Which namespaces routes may come from; Same when absent.
    #[must_use]
    pub fn routes_from(&self) -> FromNamespaces {
        let namespaces = self.allowed_routes.as_ref().and_then(|a| a.namespaces.as_ref());
        namespaces.and_then(|n| n.from.clone()).unwrap_or(FromNamespaces::Same)
    }

    /// The selector of namespaces, for [`FromNamespaces::Selector`].
    #[must_use]
    pub fn routes_selector(&self) -> Option<&LabelSelector> {
        self.allowed_routes.as_ref()?.namespaces.as_ref()?.selector.as_ref()
    }

    /// The route kinds asked for; empty means all that fit the protocol.
    #[must_use]
    pub fn allowed_kinds(&self) -> &[RouteGroupKind] {
        self.allowed_routes.as_ref().map_or(&[], |allowed| &allowed.kinds)
    }
}

open_enum! {
    /// What is spoken on a listener; implementations add `domain/name` protocols.
    pub enum ProtocolType {
        Http = "HTTP",
        Https = "HTTPS",
        Tls = "TLS",
        Tcp = "TCP",
        Udp = "UDP",
    }
}

object! {
    /// TLS of one listener.
    pub struct ListenerTlsConfig {
        mode: Option<TlsMode> = "mode",
        certificate_refs: Vec<SecretObjectReference> = "certificateRefs",
        options: BTreeMap<Arc<str>, Arc<str>> = "options",
    }
}

impl ListenerTlsConfig {
    /// The mode; Terminate when absent.
    #[must_use]
    pub fn mode(&self) -> TlsMode {
        self.mode.clone().unwrap_or(TlsMode::Terminate)
    }
}

open_enum! {
    /// Who ends the TLS session.
    pub enum TlsMode {
        Terminate = "Terminate",
        Passthrough = "Passthrough",
    }
}

object! {
    /// Which routes may attach.
    pub struct AllowedRoutes {
        namespaces: Option<RouteNamespaces> = "namespaces",
        kinds: Vec<RouteGroupKind> = "kinds",
    }
}

object! {
    /// The namespaces whose routes may attach.
    pub struct RouteNamespaces {
        from: Option<FromNamespaces> = "from",
        selector: Option<LabelSelector> = "selector",
    }
}

open_enum! {
    /// A set of namespaces, relative to the object that says it.
    pub enum FromNamespaces {
        All = "All",
        Selector = "Selector",
        Same = "Same",
        None = "None",
    }
}

object! {
    /// A kind of route.
    #[derive(PartialOrd, Ord, Hash)]
    pub struct RouteGroupKind {
        group: Option<Arc<str>> = "group",
        kind: Arc<str> = "kind",
    }
}

impl RouteGroupKind {
    /// The group; the Gateway API's when absent.
    #[must_use]
    pub fn group(&self) -> &str {
        self.group.as_deref().unwrap_or(GATEWAY_GROUP)
    }
}

object! {
    /// Filters that run on a listener.
    pub struct ListenerFilters {
        /// On every HTTP request, in this order, before a route is chosen.
        requests: Vec<ListenerFilter> = "requests",
    }
}

object! {
    /// A filter that runs before a route is chosen.
    pub struct ListenerFilter {
        r#type: ListenerFilterType = "type",
        external_auth: Option<ExternalAuthFilter> = "externalAuth",
        extension_ref: Option<LocalObjectReference> = "extensionRef",
    }
}

open_enum! {
    /// Which member of a listener's filter is set.
    pub enum ListenerFilterType {
        ExternalAuth = "ExternalAuth",
        ExtensionRef = "ExtensionRef",
    }
}

object! {
    /// The state of one listener.
    pub struct ListenerStatus {
        name: Arc<str> = "name",
        /// What the spec allows and we implement; an empty list is written as such.
        supported_kinds: Vec<RouteGroupKind> = "supportedKinds" always,
        attached_routes: u32 = "attachedRoutes",
        conditions: Vec<Condition> = "conditions" always,
    }
}
