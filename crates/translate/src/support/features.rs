//! The feature names of the conformance suite that are truly served.

use crate::settings::Capabilities;

/// Feature names in ascending order (`status.supportedFeatures` of a GatewayClass).
pub fn supported_features(capabilities: &Capabilities) -> Vec<&'static str> {
    let mut features: Vec<&'static str> =
        TABLE.iter().filter(|(_, served)| served(capabilities)).map(|(name, _)| *name).collect();
    features.sort_unstable();
    features
}

type Served = fn(&Capabilities) -> bool;

/// Each feature and what it takes; the only place that claims one.
const TABLE: &[(&str, Served)] = &[
    ("BackendTLSPolicy", |c| c.backend_tls),
    ("BackendTLSPolicySANValidation", |c| c.backend_tls),
    ("ClusterTrustBundle", |c| c.cluster_trust_bundles),
    ("GRPCRoute", |c| c.grpc),
    ("GRPCRouteNamedRouteRule", |c| c.grpc),
    ("GRPCRouteRequestHeaderModifier", |c| c.grpc),
    ("Gateway", |_| true),
    ("GatewayAddressEmpty", |c| c.static_addresses),
    ("GatewayAddressRoutability", |c| c.address_routability),
    ("GatewayAddressRoutabilityCluster", |c| c.address_routability),
    ("GatewayBackendClientCertificate", |c| c.backend_client_certificate),
    ("GatewayFrontendClientCertificateValidation", |c| c.frontend_client_certificates),
    ("GatewayFrontendClientCertificateValidationInsecureFallback", |c| {
        c.frontend_client_certificates
    }),
    ("GatewayHTTPListenerIsolation", |c| c.http),
    // The test speaks HTTP/2.
    ("GatewayHTTPSListenerDetectMisdirectedRequests", |c| c.misdirected && c.http2),
    ("GatewayInfrastructure", |c| c.infrastructure),
    ("GatewayListenerFilters", |c| c.listener_filters),
    ("GatewayPort8080", |c| c.http),
    ("GatewayRouteHostnameIntersectionPrecedence", |c| c.http),
    ("GatewayStaticAddresses", |c| c.static_addresses),
    ("HTTPRoute", |c| c.http && c.https),
    ("HTTPRoute303RedirectStatusCode", |c| c.http),
    ("HTTPRoute307RedirectStatusCode", |c| c.http),
    ("HTTPRoute308RedirectStatusCode", |c| c.http),
    ("HTTPRouteBackendProtocolH2C", |c| c.h2c_backends),
    ("HTTPRouteBackendProtocolWebSocket", |c| c.websocket),
    ("HTTPRouteBackendRequestHeaderModification", |c| c.http),
    ("HTTPRouteBackendTimeout", |c| c.timeouts),
    ("HTTPRouteBackendURLRewrite", |c| c.http),
    ("HTTPRouteCORS", |c| c.cors),
    ("HTTPRouteDestinationPortMatching", |c| c.http),
    ("HTTPRouteHostRewrite", |c| c.http),
    ("HTTPRouteMethodMatching", |c| c.http),
    ("HTTPRouteNamedRouteRule", |c| c.http),
    ("HTTPRouteParentRefPort", |c| c.http),
    ("HTTPRoutePathRedirect", |c| c.http),
    ("HTTPRoutePathRewrite", |c| c.http),
    ("HTTPRoutePortRedirect", |c| c.http),
    ("HTTPRouteQueryParamMatching", |c| c.http),
    ("HTTPRouteRequestMirror", |c| c.mirror),
    ("HTTPRouteRequestMultipleMirrors", |c| c.mirror),
    ("HTTPRouteRequestPercentageMirror", |c| c.mirror),
    ("HTTPRouteRequestTimeout", |c| c.timeouts),
    ("HTTPRouteResponseHeaderModification", |c| c.http),
    ("HTTPRouteRetryCodes", |c| c.retries),
    ("HTTPRouteRetryConnectionError", |c| c.retries),
    ("HTTPRouteSchemeRedirect", |c| c.http),
    ("ListenerSet", |c| c.listener_sets),
    ("ReferenceGrant", |_| true),
    ("TCPRoute", |c| c.tcp),
    ("TLSRoute", |c| c.tls_passthrough),
    ("TLSRouteModeMixed", |c| c.tls_mixed),
    ("TLSRouteModeTerminate", |c| c.tls_terminate),
    ("UDPRoute", |c| c.udp),
];
