//! Gateway: spec and status. Its listeners are in [`crate::listener`].

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::condition::Condition;
use crate::labels::LabelSelector;
use crate::listener::{FromNamespaces, Listener, ListenerStatus};
use crate::meta::ObjectMeta;
use crate::object_macro::object;
use crate::open_enum::open_enum;
use crate::reference::{LocalObjectReference, ObjectReference, SecretObjectReference};

object! {
    /// An instance of traffic handling: addresses and listeners.
    pub struct Gateway {
        metadata: ObjectMeta = "metadata",
        spec: GatewaySpec = "spec",
        status: Option<GatewayStatus> = "status",
    }
}

object! {
    /// What the author of a Gateway asks for.
    pub struct GatewaySpec {
        gateway_class_name: Arc<str> = "gatewayClassName",
        listeners: Vec<Listener> = "listeners" always,
        addresses: Vec<GatewaySpecAddress> = "addresses",
        infrastructure: Option<GatewayInfrastructure> = "infrastructure",
        allowed_listeners: Option<AllowedListeners> = "allowedListeners",
        tls: Option<GatewayTlsConfig> = "tls",
        /// Experimental, GEP-3793.
        default_scope: Option<GatewayDefaultScope> = "defaultScope",
    }
}

impl GatewaySpec {
    /// Which namespaces may add listeners by ListenerSets; `None` when absent.
    #[must_use]
    pub fn allowed_listeners_from(&self) -> FromNamespaces {
        let namespaces = self.allowed_listeners.as_ref().and_then(|a| a.namespaces.as_ref());
        namespaces.and_then(|n| n.from.clone()).unwrap_or(FromNamespaces::None)
    }

    /// Frontend validation for the HTTPS listeners of `port`: the port's own entry, which replaces
    /// the default entirely even when it is empty, else the default.
    #[must_use]
    pub fn frontend_validation(&self, port: u16) -> Option<&FrontendTlsValidation> {
        let frontend = self.tls.as_ref()?.frontend.as_ref()?;
        let own = frontend.per_port.iter().find(|entry| entry.port == port);
        own.map_or(&frontend.default, |entry| &entry.tls).validation.as_ref()
    }
}

open_enum! {
    /// For which routes a Gateway is a default one.
    pub enum GatewayDefaultScope {
        All = "All",
        None = "None",
    }
}

object! {
    /// An address that is asked for.
    pub struct GatewaySpecAddress {
        r#type: Option<AddressType> = "type",
        /// Absent or empty: any address of the type.
        value: Option<Arc<str>> = "value",
        /// Experimental, GEP-5093: from where the address can be reached.
        routability: Option<AddressRoutability> = "routability",
    }
}

impl GatewaySpecAddress {
    /// The type; IPAddress when absent.
    #[must_use]
    pub fn r#type(&self) -> AddressType {
        self.r#type.clone().unwrap_or(AddressType::IpAddress)
    }

    /// The value; `None` also when it is empty.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref().filter(|value| !value.is_empty())
    }
}

object! {
    /// An address that a Gateway is bound to.
    pub struct GatewayStatusAddress {
        r#type: Option<AddressType> = "type",
        value: Arc<str> = "value",
        routability: Option<AddressRoutability> = "routability",
    }
}

open_enum! {
    /// What an address is; implementations add `domain/name` types.
    pub enum AddressType {
        IpAddress = "IPAddress",
        Hostname = "Hostname",
        /// Deprecated.
        NamedAddress = "NamedAddress",
    }
}

open_enum! {
    /// From where an address can be reached; empty is the implementation's default.
    pub enum AddressRoutability {
        Default = "",
        Cluster = "Cluster",
    }
}

object! {
    /// What generated resources carry, and the parameters of this one Gateway.
    pub struct GatewayInfrastructure {
        labels: BTreeMap<Arc<str>, Arc<str>> = "labels",
        annotations: BTreeMap<Arc<str>, Arc<str>> = "annotations",
        parameters_ref: Option<LocalObjectReference> = "parametersRef",
    }
}

object! {
    /// Who may add listeners by ListenerSets.
    pub struct AllowedListeners {
        namespaces: Option<ListenerNamespaces> = "namespaces",
    }
}

object! {
    /// The namespaces whose ListenerSets are admitted.
    pub struct ListenerNamespaces {
        from: Option<FromNamespaces> = "from",
        selector: Option<LabelSelector> = "selector",
    }
}

object! {
    /// TLS settings of the Gateway as a whole.
    pub struct GatewayTlsConfig {
        backend: Option<GatewayBackendTls> = "backend",
        frontend: Option<FrontendTlsConfig> = "frontend",
    }
}

object! {
    /// How the Gateway presents itself to backends that BackendTLSPolicies secure.
    pub struct GatewayBackendTls {
        client_certificate_ref: Option<SecretObjectReference> = "clientCertificateRef",
    }
}

object! {
    /// Validation of client certificates, for HTTPS listeners.
    pub struct FrontendTlsConfig {
        default: TlsConfig = "default" always,
        per_port: Vec<TlsPortConfig> = "perPort",
    }
}

object! {
    /// Validation for one port instead of the default.
    pub struct TlsPortConfig {
        port: u16 = "port",
        tls: TlsConfig = "tls" always,
    }
}

object! {
    /// Absent validation means that no client certificate is asked for.
    pub struct TlsConfig {
        validation: Option<FrontendTlsValidation> = "validation",
    }
}

object! {
    /// The authorities that client certificates are checked against.
    pub struct FrontendTlsValidation {
        ca_certificate_refs: Vec<ObjectReference> = "caCertificateRefs" always,
        mode: Option<FrontendValidationMode> = "mode",
    }
}

impl FrontendTlsValidation {
    /// The mode; AllowValidOnly when absent.
    #[must_use]
    pub fn mode(&self) -> FrontendValidationMode {
        self.mode.clone().unwrap_or(FrontendValidationMode::AllowValidOnly)
    }
}

open_enum! {
    /// What happens to a client without a valid certificate.
    pub enum FrontendValidationMode {
        AllowValidOnly = "AllowValidOnly",
        AllowInsecureFallback = "AllowInsecureFallback",
    }
}

object! {
    /// What the controller of a Gateway reports.
    pub struct GatewayStatus {
        addresses: Vec<GatewayStatusAddress> = "addresses",
        conditions: Vec<Condition> = "conditions",
        listeners: Vec<ListenerStatus> = "listeners",
        attached_listener_sets: Option<u32> = "attachedListenerSets",
    }
}
