//! The embedded digests, and which of them judges an object.

use super::digest::{self, Additional, Channel, Digest, Node, Version};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{LazyLock, OnceLock},
};

macro_rules! embedded {
    ($($kind:literal in $group:literal from $file:literal,)*) => {
        /// Kind, group and digest of every kind of the Gateway API and of ours, as generated.
        const GENERATED: &[(&str, &str, &str)] =
            &[$(($kind, $group, include_str!(concat!("../../schema/", $file, ".json")))),*];
        static DIGESTS: [OnceLock<Option<Digest>>; GENERATED.len()] = [const { OnceLock::new() }; GENERATED.len()];
    };
}

embedded! {
    "BackendTLSPolicy" in "gateway.networking.k8s.io" from "gateway-api-1.7.0/backendtlspolicies",
    "GatewayClass" in "gateway.networking.k8s.io" from "gateway-api-1.7.0/gatewayclasses",
    "Gateway" in "gateway.networking.k8s.io" from "gateway-api-1.7.0/gateways",
    "GRPCRoute" in "gateway.networking.k8s.io" from "gateway-api-1.7.0/grpcroutes",
    "HTTPRoute" in "gateway.networking.k8s.io" from "gateway-api-1.7.0/httproutes",
    "ListenerSet" in "gateway.networking.k8s.io" from "gateway-api-1.7.0/listenersets",
    "ReferenceGrant" in "gateway.networking.k8s.io" from "gateway-api-1.7.0/referencegrants",
    "TCPRoute" in "gateway.networking.k8s.io" from "gateway-api-1.7.0/tcproutes",
    "TLSRoute" in "gateway.networking.k8s.io" from "gateway-api-1.7.0/tlsroutes",
    "UDPRoute" in "gateway.networking.k8s.io" from "gateway-api-1.7.0/udproutes",
    "XBackend" in "gateway.networking.x-k8s.io" from "gateway-api-1.7.0/xbackends",
    "XBackendTrafficPolicy" in "gateway.networking.x-k8s.io" from "gateway-api-1.7.0/xbackendtrafficpolicies",
    "XMesh" in "gateway.networking.x-k8s.io" from "gateway-api-1.7.0/xmeshes",
    "XTelemetryPolicy" in "gateway.networking.x-k8s.io" from "gateway-api-1.7.0/xtelemetrypolicies",
    "GatewayParameters" in "portcullis.dev" from "portcullis/gatewayparameters",
}

static CORE: LazyLock<Vec<Digest>> = LazyLock::new(|| {
    let read = digest::read_group(include_str!("../../schema/core.json"));
    debug_assert!(read.is_ok(), "core.json: {:?}", read.as_ref().err());
    read.unwrap_or_default()
});

/// Group, kind and version.
type Name = (&'static str, &'static str, &'static str);

/// Versions that the CRDs of 1.7 no longer list, and what judges them: a kind and version of the
/// same shape, or nothing where the shape was another.
const HISTORICAL: &[(Name, Option<Name>)] = {
    const GATEWAY: &str = "gateway.networking.k8s.io";
    const X: &str = "gateway.networking.x-k8s.io";
    &[
        ((GATEWAY, "GatewayClass", "v1alpha2"), Some((GATEWAY, "GatewayClass", "v1"))),
        ((GATEWAY, "Gateway", "v1alpha2"), Some((GATEWAY, "Gateway", "v1"))),
        ((GATEWAY, "HTTPRoute", "v1alpha2"), Some((GATEWAY, "HTTPRoute", "v1"))),
        ((GATEWAY, "GRPCRoute", "v1alpha2"), Some((GATEWAY, "GRPCRoute", "v1"))),
        ((GATEWAY, "ReferenceGrant", "v1alpha2"), Some((GATEWAY, "ReferenceGrant", "v1beta1"))),
        ((GATEWAY, "ReferencePolicy", "v1alpha2"), Some((GATEWAY, "ReferenceGrant", "v1beta1"))),
        // The port was optional.
        ((X, "XListenerSet", "v1alpha1"), None),
        // One target instead of a list, and its settings in another place.
        ((GATEWAY, "BackendTLSPolicy", "v1alpha2"), None),
        ((GATEWAY, "BackendLBPolicy", "v1alpha2"), None),
        // Judged by the API server of a cluster that has Envoy Gateway's CRDs.
        (("gateway.envoyproxy.io", "EnvoyProxy", "v1alpha1"), None),
        // Topology and conditions stood elsewhere.
        (("discovery.k8s.io", "EndpointSlice", "v1beta1"), None),
    ]
};

/// How well a version is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// The very schema of this kind and version.
    Exact {
        /// Whether an API server with the CRDs of the chosen channel offers this version.
        served: bool,
        /// The API server's warning about a deprecated version.
        deprecated: Option<String>,
    },
    /// A version that Gateway API 1.7 no longer has, judged by one of the same shape.
    Substitute {
        /// The version whose schema was used.
        version: String,
    },
    /// A kind that is known, in a version of another shape: only `metadata` was checked.
    Envelope,
    /// Not a kind that is known here: nothing was checked.
    Unknown,
}

/// Where the schema of an object was found.
pub(super) struct Found {
    pub(super) digest: &'static Digest,
    pub(super) version: &'static Version,
    pub(super) exact: bool,
}

/// What is known about a kind and version.
pub(super) enum Lookup {
    Found(Found),
    Envelope,
    Unknown,
}

pub(super) fn lookup(api_version: &str, kind: &str) -> Lookup {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    if let Some(found) = exact(group, kind, version, true) {
        return Lookup::Found(found);
    }
    match HISTORICAL.iter().find(|(name, _)| *name == (group, kind, version)) {
        Some((_, Some((group, kind, version)))) => match exact(group, kind, version, false) {
            Some(found) => Lookup::Found(found),
            None => Lookup::Envelope,
        },
        Some((_, None)) => Lookup::Envelope,
        None => Lookup::Unknown,
    }
}

fn exact(group: &str, kind: &str, version: &str, exact: bool) -> Option<Found> {
    let digest = digest(group, kind)?;
    let version = digest.versions.iter().find(|candidate| candidate.name == version)?;
    Some(Found { digest, version, exact })
}

fn digest(group: &str, kind: &str) -> Option<&'static Digest> {
    let position = GENERATED.iter().position(|(k, g, _)| *k == kind && *g == group);
    let Some(position) = position else {
        return CORE.iter().find(|digest| digest.group == group && digest.kind == kind);
    };
    let (_, _, text) = GENERATED.get(position)?;
    let slot = DIGESTS.get(position)?;
    slot.get_or_init(|| {
        let read = digest::read(text);
        debug_assert!(read.is_ok(), "digest of {kind}: {:?}", read.as_ref().err());
        read.ok()
    })
    .as_ref()
}

/// The schema of every object's `metadata`.
pub(super) fn metadata() -> Option<&'static Node> {
    let service = CORE.iter().find(|digest| digest.kind == "Service")?;
    let root = &service.versions.first()?.schema(Channel::Standard)?.root;
    root.properties.get("metadata").map(AsRef::as_ref)
}

fn all() -> impl Iterator<Item = &'static Digest> {
    GENERATED.iter().filter_map(|(kind, group, _)| digest(group, kind)).chain(CORE.iter())
}

/// Every kind and version with a digest: group, kind, version.
#[must_use]
pub fn kinds() -> Vec<(&'static str, &'static str, &'static str)> {
    all()
        .flat_map(|digest| {
            let name = |version: &'static Version| {
                (digest.group.as_str(), digest.kind.as_str(), version.name.as_str())
            };
            digest.versions.iter().map(name)
        })
        .collect()
}

/// One field of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldInfo {
    /// Whether the standard channel has it.
    pub standard: bool,
    /// Whether the experimental channel has it.
    pub experimental: bool,
    /// Whether it holds fields, or a list or map of such, that are listed too.
    pub is_parent: bool,
}

/// Every field of a kind by its path, such as `spec.rules[].matches[].path.type`; `{}` stands for
/// the keys of a map. `metadata` is one field. Empty for an unknown kind or version.
#[must_use]
pub fn fields(group: &str, kind: &str, version: &str) -> BTreeMap<String, FieldInfo> {
    let mut fields = BTreeMap::new();
    let Some(found) = exact(group, kind, version, true) else { return fields };
    for channel in [Channel::Standard, Channel::Experimental] {
        if let Some(schema) = found.version.schema(channel) {
            collect(&schema.root, "", channel, &mut fields);
        }
    }
    fields
}

fn collect(node: &Node, prefix: &str, channel: Channel, fields: &mut BTreeMap<String, FieldInfo>) {
    for (name, property) in &node.properties {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let (parent, prefix) =
            if path == "metadata" { (None, path.clone()) } else { holder(property, &path) };
        let entry = fields.entry(path).or_insert(FieldInfo {
            standard: false,
            experimental: false,
            is_parent: parent.is_some(),
        });
        match channel {
            Channel::Standard => entry.standard = true,
            Channel::Experimental => entry.experimental = true,
        }
        if let Some(parent) = parent {
            collect(parent, &prefix, channel, fields);
        }
    }
}

/// The object schema that a field holds directly, in a list or in a map, and the path to it.
fn holder<'a>(mut node: &'a Node, path: &str) -> (Option<&'a Node>, String) {
    let mut path = path.to_owned();
    loop {
        match (&node.items, &node.additional) {
            (Some(items), _) => {
                node = items;
                path.push_str("[]");
            }
            (None, Additional::Schema(schema)) => {
                node = schema;
                path.push_str("{}");
            }
            (None, Additional::Any | Additional::None) => {
                return ((!node.properties.is_empty()).then_some(node), path);
            }
        }
    }
}

/// One CEL rule, wherever it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleInfo {
    /// The expression.
    pub rule: String,
    /// What the API server says when it does not hold.
    pub message: String,
    /// Whether it compares with the object before a change.
    pub is_transition: bool,
}

/// The distinct rules of a channel, over all kinds and versions, with the kinds that have them.
#[must_use]
pub fn rules(channel: Channel) -> BTreeMap<RuleInfo, BTreeSet<&'static str>> {
    let mut rules: BTreeMap<RuleInfo, BTreeSet<&'static str>> = BTreeMap::new();
    for digest in all() {
        for version in &digest.versions {
            let Some(schema) = version.schema(channel) else { continue };
            each_rule(&schema.root, &mut |rule| {
                rules.entry(rule).or_default().insert(digest.kind.as_str());
            });
        }
    }
    rules
}

fn each_rule(node: &Node, visit: &mut impl FnMut(RuleInfo)) {
    for rule in &node.rules {
        visit(RuleInfo {
            rule: rule.rule.clone(),
            message: rule.message.clone(),
            is_transition: rule.is_transition(),
        });
    }
    for below in node.below().filter(|below| below.has_rules) {
        each_rule(below, visit);
    }
}
