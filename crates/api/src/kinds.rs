//! The table of kinds: names, versions, scope. Everything that names kinds to users reads it.

use crate::near;
use crate::reference::{ENVOY_GATEWAY_GROUP, GATEWAY_GROUP, GATEWAY_X_GROUP, PORTCULLIS_GROUP};

/// A kind that we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindInfo {
    /// The API group; empty for core.
    pub group: &'static str,
    /// The kind, as in `kind:`.
    pub kind: &'static str,
    /// The resource name in URLs and for kubectl.
    pub plural: &'static str,
    /// Short names for kubectl.
    pub short_names: &'static [&'static str],
    /// Every version users still have; the first is the one whose shape we read.
    pub versions: &'static [VersionInfo],
    /// Whether objects live in namespaces.
    pub scope: Scope,
    /// Where the kind comes from.
    pub channel: Channel,
    /// Group and kind that took this kind's place.
    pub replaced_by: Option<(&'static str, &'static str)>,
}

/// A version of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionInfo {
    /// The version, such as `v1beta1`.
    pub name: &'static str,
    /// Which CRDs of Gateway API 1.7 serve it. Kinds of Kubernetes itself count as standard.
    pub served: Served,
    /// Whether users should move to another version or kind.
    pub deprecated: bool,
}

impl VersionInfo {
    /// Whether the CRDs of Gateway API 1.7, of any channel, serve this version.
    #[must_use]
    pub fn served_by_1_7(&self) -> bool {
        match self.served {
            Served::Everywhere | Served::Experimental => true,
            Served::Never => false,
        }
    }
}

/// Which CRDs of Gateway API 1.7 serve a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// Those of both channels.
    Everywhere,
    /// Only those of the experimental channel.
    Experimental,
    /// None; the version is read from files alone.
    Never,
}

/// Whether objects of a kind live in namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One name per cluster.
    Cluster,
    /// One name per namespace.
    Namespaced,
}

/// Where a kind comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Kubernetes itself.
    Kubernetes,
    /// Both channels of the Gateway API.
    Standard,
    /// The experimental channel of the Gateway API only.
    Experimental,
    /// An earlier release of the Gateway API.
    Retired,
    /// Portcullis itself.
    Own,
    /// Another implementation; its CRDs are read where they are installed.
    Foreign,
}

const V1: VersionInfo = VersionInfo { name: "v1", served: Served::Everywhere, deprecated: false };
/// v1beta1 of the kinds for which 1.7 still serves it.
const V1BETA1: VersionInfo =
    VersionInfo { name: "v1beta1", served: Served::Everywhere, deprecated: false };
const X_V1ALPHA1: VersionInfo =
    VersionInfo { name: "v1alpha1", served: Served::Experimental, deprecated: false };

const OWN_V1ALPHA1: VersionInfo =
    VersionInfo { name: "v1alpha1", served: Served::Everywhere, deprecated: false };

const fn experimental(name: &'static str) -> VersionInfo {
    VersionInfo { name, served: Served::Experimental, deprecated: true }
}

const fn gone(name: &'static str) -> VersionInfo {
    VersionInfo { name, served: Served::Never, deprecated: true }
}

const KIND: KindInfo = KindInfo {
    group: GATEWAY_GROUP,
    kind: "",
    plural: "",
    short_names: &[],
    versions: &[V1],
    scope: Scope::Namespaced,
    channel: Channel::Standard,
    replaced_by: None,
};

const X_KIND: KindInfo = KindInfo {
    group: GATEWAY_X_GROUP,
    versions: &[X_V1ALPHA1],
    channel: Channel::Experimental,
    ..KIND
};

const CORE_KIND: KindInfo = KindInfo { group: "", channel: Channel::Kubernetes, ..KIND };

/// Every kind that we read; kinds of the Gateway API first.
pub const KINDS: &[KindInfo] = &[
    KindInfo {
        kind: "GatewayClass",
        plural: "gatewayclasses",
        short_names: &["gc"],
        versions: &[V1, V1BETA1, gone("v1alpha2")],
        scope: Scope::Cluster,
        ..KIND
    },
    KindInfo {
        kind: "Gateway",
        plural: "gateways",
        short_names: &["gtw"],
        versions: &[V1, V1BETA1, gone("v1alpha2")],
        ..KIND
    },
    KindInfo {
        kind: "HTTPRoute",
        plural: "httproutes",
        versions: &[V1, V1BETA1, gone("v1alpha2")],
        ..KIND
    },
    KindInfo { kind: "GRPCRoute", plural: "grpcroutes", versions: &[V1, gone("v1alpha2")], ..KIND },
    KindInfo {
        kind: "TLSRoute",
        plural: "tlsroutes",
        versions: &[V1, experimental("v1alpha3"), experimental("v1alpha2")],
        ..KIND
    },
    KindInfo {
        kind: "TCPRoute",
        plural: "tcproutes",
        versions: &[V1, experimental("v1alpha2")],
        ..KIND
    },
    KindInfo {
        kind: "UDPRoute",
        plural: "udproutes",
        versions: &[V1, experimental("v1alpha2")],
        ..KIND
    },
    KindInfo { kind: "ListenerSet", plural: "listenersets", short_names: &["lset"], ..KIND },
    KindInfo {
        kind: "BackendTLSPolicy",
        plural: "backendtlspolicies",
        short_names: &["btlspolicy"],
        versions: &[V1, experimental("v1alpha3"), gone("v1alpha2")],
        ..KIND
    },
    KindInfo {
        kind: "ReferenceGrant",
        plural: "referencegrants",
        short_names: &["refgrant"],
        versions: &[V1, V1BETA1, gone("v1alpha2")],
        ..KIND
    },
    KindInfo { kind: "XBackend", plural: "xbackends", short_names: &["xbackend"], ..X_KIND },
    KindInfo {
        kind: "XBackendTrafficPolicy",
        plural: "xbackendtrafficpolicies",
        short_names: &["xbtrafficpolicy"],
        ..X_KIND
    },
    KindInfo {
        kind: "XMesh",
        plural: "xmeshes",
        short_names: &["mesh"],
        scope: Scope::Cluster,
        ..X_KIND
    },
    KindInfo {
        kind: "XTelemetryPolicy",
        plural: "xtelemetrypolicies",
        short_names: &["xtelemetrypolicy"],
        ..X_KIND
    },
    KindInfo {
        kind: "XListenerSet",
        plural: "xlistenersets",
        short_names: &["lset"],
        versions: &[gone("v1alpha1")],
        channel: Channel::Retired,
        replaced_by: Some((GATEWAY_GROUP, "ListenerSet")),
        ..X_KIND
    },
    KindInfo {
        kind: "BackendLBPolicy",
        plural: "backendlbpolicies",
        short_names: &["blbpolicy"],
        versions: &[gone("v1alpha2")],
        channel: Channel::Retired,
        replaced_by: Some((GATEWAY_X_GROUP, "XBackendTrafficPolicy")),
        ..KIND
    },
    KindInfo {
        kind: "ReferencePolicy",
        plural: "referencepolicies",
        short_names: &["refpol"],
        versions: &[gone("v1alpha2")],
        channel: Channel::Retired,
        replaced_by: Some((GATEWAY_GROUP, "ReferenceGrant")),
        ..KIND
    },
    KindInfo {
        group: PORTCULLIS_GROUP,
        kind: "GatewayParameters",
        plural: "gatewayparameters",
        short_names: &["gwparams"],
        versions: &[OWN_V1ALPHA1],
        channel: Channel::Own,
        ..KIND
    },
    KindInfo {
        group: ENVOY_GATEWAY_GROUP,
        kind: "EnvoyProxy",
        plural: "envoyproxies",
        short_names: &["eproxy"],
        versions: &[OWN_V1ALPHA1],
        channel: Channel::Foreign,
        ..KIND
    },
    KindInfo {
        kind: "Namespace",
        plural: "namespaces",
        short_names: &["ns"],
        scope: Scope::Cluster,
        ..CORE_KIND
    },
    KindInfo { kind: "Service", plural: "services", short_names: &["svc"], ..CORE_KIND },
    KindInfo { kind: "Secret", plural: "secrets", ..CORE_KIND },
    KindInfo { kind: "ConfigMap", plural: "configmaps", short_names: &["cm"], ..CORE_KIND },
    KindInfo { kind: "Endpoints", plural: "endpoints", short_names: &["ep"], ..CORE_KIND },
    KindInfo {
        group: "discovery.k8s.io",
        kind: "EndpointSlice",
        plural: "endpointslices",
        versions: &[V1, gone("v1beta1")],
        ..CORE_KIND
    },
    KindInfo {
        group: "certificates.k8s.io",
        kind: "ClusterTrustBundle",
        plural: "clustertrustbundles",
        versions: &[V1, V1BETA1, gone("v1alpha1")],
        scope: Scope::Cluster,
        ..CORE_KIND
    },
];

/// The kind with exactly this group and name.
#[must_use]
pub fn find(group: &str, kind: &str) -> Option<&'static KindInfo> {
    KINDS.iter().find(|info| info.group == group && info.kind == kind)
}

/// What is known about one version of a kind; `None` when it never existed.
#[must_use]
pub fn version(group: &str, kind: &str, version: &str) -> Option<&'static VersionInfo> {
    find(group, kind)?.versions.iter().find(|info| info.name == version)
}

/// The kind that a user means, as kubectl takes it: kind, plural, singular or short name, in any
/// case, with the group behind a dot if need be (`gateways.gateway.networking.k8s.io`).
#[must_use]
pub fn by_name(name: &str) -> Option<&'static KindInfo> {
    let name = name.to_ascii_lowercase();
    let (resource, group) = name.split_once('.').unwrap_or((&name, ""));
    KINDS.iter().find(|info| {
        (group.is_empty() || info.group == group)
            && (info.plural == resource
                || info.kind.eq_ignore_ascii_case(resource)
                || info.short_names.contains(&resource))
    })
}

/// The kind whose name is nearest to `kind`, for "did you mean"; `None` when nothing is near.
#[must_use]
pub fn nearest(kind: &str) -> Option<&'static KindInfo> {
    if let Some(info) = by_name(kind) {
        return Some(info);
    }
    let name = kind.to_ascii_lowercase();
    let distances = KINDS
        .iter()
        .filter_map(|info| Some((near::distance(&name, &info.kind.to_ascii_lowercase())?, info)));
    let (distance, info) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= 3 && distance * 3 <= name.chars().count()).then_some(info)
}
