//! The experimental kinds of group `gateway.networking.x-k8s.io`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::backend_tls_policy::{BackendTlsValidation, PolicyAncestorStatus, PolicyStatus};
use crate::condition::Condition;
use crate::filters::HttpHeader;
use crate::gateway_class::SupportedFeature;
use crate::meta::ObjectMeta;
use crate::object_macro::object;
use crate::open_enum::open_enum;
use crate::reference::{
    BackendObjectReference, LocalObjectReference, ParametersReference, SecretObjectReference,
};
use crate::route::{Fraction, SessionPersistence};

object! {
    /// A backend described by its consumer (GEP-4894).
    pub struct XBackend {
        metadata: ObjectMeta = "metadata",
        spec: XBackendSpec = "spec",
        status: Option<XBackendStatus> = "status",
    }
}

object! {
    /// What the author of an XBackend asks for.
    pub struct XBackendSpec {
        r#type: XBackendType = "type",
        port: XBackendPort = "port",
        external_hostname: Option<ExternalHostnameBackend> = "externalHostname",
        endpoint_selector: Option<EndpointSelectorBackend> = "endpointSelector",
        session_persistence: Option<SessionPersistence> = "sessionPersistence",
        /// Absent: what route or listener says.
        protocol: Option<BackendProtocol> = "protocol",
        tls: Option<XBackendTls> = "tls",
    }
}

impl XBackendSpec {
    /// The TLS mode; None when absent.
    #[must_use]
    pub fn tls_mode(&self) -> XBackendTlsMode {
        self.tls.as_ref().map_or(XBackendTlsMode::None, |tls| tls.mode.clone())
    }
}

open_enum! {
    /// Which member of an XBackend is set.
    pub enum XBackendType {
        ExternalHostname = "ExternalHostname",
        EndpointSelector = "EndpointSelector",
    }
}

object! {
    /// The port of every endpoint.
    pub struct XBackendPort {
        number: u16 = "number",
    }
}

object! {
    /// A name that is resolved by DNS.
    pub struct ExternalHostnameBackend {
        hostname: Arc<str> = "hostname",
    }
}

object! {
    /// Pods with these labels in the same namespace.
    pub struct EndpointSelectorBackend {
        match_labels: BTreeMap<Arc<str>, Arc<str>> = "matchLabels" always,
    }
}

open_enum! {
    /// What a backend speaks.
    pub enum BackendProtocol {
        Http = "HTTP",
        Http11 = "HTTP11",
        Http2 = "HTTP2",
        H2c = "H2C",
        Grpc = "GRPC",
        Mcp = "MCP",
        Tcp = "TCP",
        Wss = "WSS",
    }
}

object! {
    /// TLS towards an XBackend.
    pub struct XBackendTls {
        mode: XBackendTlsMode = "mode",
        client_certificate_ref: Option<SecretObjectReference> = "clientCertificateRef",
        validation: Option<BackendTlsValidation> = "validation",
    }
}

open_enum! {
    /// Who shows a certificate.
    pub enum XBackendTlsMode {
        None = "None",
        ServerOnly = "ServerOnly",
        ClientAndServer = "ClientAndServer",
    }
}

object! {
    /// What controllers report about an XBackend.
    pub struct XBackendStatus {
        ancestors: Vec<PolicyAncestorStatus> = "ancestors",
    }
}

object! {
    /// Retry budgets and session persistence per backend (GEP-3388); also the historical
    /// BackendLBPolicy.
    pub struct XBackendTrafficPolicy {
        metadata: ObjectMeta = "metadata",
        spec: XBackendTrafficPolicySpec = "spec",
        status: Option<PolicyStatus> = "status",
    }
}

object! {
    /// What the author of an XBackendTrafficPolicy asks for.
    pub struct XBackendTrafficPolicySpec {
        target_refs: Vec<LocalObjectReference> = "targetRefs" always,
        retry_constraint: Option<RetryConstraint> = "retryConstraint",
        session_persistence: Option<SessionPersistence> = "sessionPersistence",
    }
}

object! {
    /// How many of the requests to a backend may be retries.
    pub struct RetryConstraint {
        budget: Option<RetryBudget> = "budget",
        min_retry_rate: Option<RequestRate> = "minRetryRate",
    }
}

object! {
    /// A share of the requests within an interval.
    pub struct RetryBudget {
        percent: Option<u32> = "percent",
        /// A GEP-2257 duration.
        interval: Option<Arc<str>> = "interval",
    }
}

impl RetryBudget {
    /// The share of retries; 20 percent when absent.
    #[must_use]
    pub fn percent(&self) -> u32 {
        self.percent.unwrap_or(20)
    }

    /// The interval as a GEP-2257 duration; `10s` when absent.
    #[must_use]
    pub fn interval(&self) -> &str {
        self.interval.as_deref().unwrap_or("10s")
    }
}

object! {
    /// Requests per interval.
    pub struct RequestRate {
        count: Option<u32> = "count",
        /// A GEP-2257 duration.
        interval: Option<Arc<str>> = "interval",
    }
}

impl RequestRate {
    /// The number of requests; 10 when absent.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count.unwrap_or(10)
    }

    /// The interval as a GEP-2257 duration; `1s` when absent.
    #[must_use]
    pub fn interval(&self) -> &str {
        self.interval.as_deref().unwrap_or("1s")
    }
}

object! {
    /// A mesh and its controller (GEP-3949).
    pub struct XMesh {
        metadata: ObjectMeta = "metadata",
        spec: XMeshSpec = "spec",
        status: Option<XMeshStatus> = "status",
    }
}

object! {
    /// What the author of an XMesh asks for.
    pub struct XMeshSpec {
        controller_name: Arc<str> = "controllerName",
        parameters_ref: Option<ParametersReference> = "parametersRef",
        description: Option<Arc<str>> = "description",
    }
}

object! {
    /// What the controller of a mesh reports.
    pub struct XMeshStatus {
        conditions: Vec<Condition> = "conditions",
        /// Sorted by name.
        supported_features: Vec<SupportedFeature> = "supportedFeatures",
    }
}

object! {
    /// Tracing of a Gateway (GEP-4768).
    pub struct XTelemetryPolicy {
        metadata: ObjectMeta = "metadata",
        spec: XTelemetryPolicySpec = "spec",
        status: Option<PolicyStatus> = "status",
    }
}

object! {
    /// What the author of an XTelemetryPolicy asks for.
    pub struct XTelemetryPolicySpec {
        target_refs: Vec<LocalObjectReference> = "targetRefs" always,
        tracing: TracingConfig = "tracing",
    }
}

object! {
    /// Which spans are made, and where they are sent by OTLP.
    pub struct TracingConfig {
        mode: Option<TelemetryMode> = "mode",
        provider: Option<TracingProvider> = "provider",
        sampling_rate: Option<Fraction> = "samplingRate",
        parent_based_sampling: Option<ParentBasedSampling> = "parentBasedSampling",
        service_name: Option<Arc<str>> = "serviceName",
        span_name: Option<Arc<str>> = "spanName",
        attributes: Vec<SpanAttribute> = "attributes",
    }
}

impl TracingConfig {
    /// The mode; ImplementationDefault when absent.
    #[must_use]
    pub fn mode(&self) -> TelemetryMode {
        self.mode.clone().unwrap_or(TelemetryMode::ImplementationDefault)
    }
}

open_enum! {
    /// Whether a part of telemetry is on.
    pub enum TelemetryMode {
        Enabled = "Enabled",
        Disabled = "Disabled",
        ImplementationDefault = "ImplementationDefault",
    }
}

object! {
    /// The OTLP collector.
    pub struct TracingProvider {
        backend_ref: BackendObjectReference = "backendRef",
        headers: Vec<HttpHeader> = "headers",
    }
}

object! {
    /// Whether the sampling decision of the caller is followed.
    pub struct ParentBasedSampling {
        mode: Option<TelemetryMode> = "mode",
        sampling_rate: Option<Fraction> = "samplingRate",
    }
}

impl ParentBasedSampling {
    /// The mode; ImplementationDefault when absent.
    #[must_use]
    pub fn mode(&self) -> TelemetryMode {
        self.mode.clone().unwrap_or(TelemetryMode::ImplementationDefault)
    }
}

object! {
    /// An attribute that every span carries.
    pub struct SpanAttribute {
        name: Arc<str> = "name",
        source_type: AttributeSourceType = "sourceType",
        header_name: Option<Arc<str>> = "headerName",
        literal_value: Option<Arc<str>> = "literalValue",
        attribute_key: Option<Arc<str>> = "attributeKey",
    }
}

open_enum! {
    /// Which member of an attribute is set.
    pub enum AttributeSourceType {
        Header = "Header",
        Literal = "Literal",
        Attribute = "Attribute",
    }
}
