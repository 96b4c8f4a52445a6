//! The table of kinds.

use api::KINDS;
use api::kinds::{Channel, Scope, by_name, find, nearest};

#[test]
fn kinds_are_found_by_every_name_kubectl_takes() {
    for name in ["Gateway", "gateway", "gateways", "gtw", "gateways.gateway.networking.k8s.io"] {
        assert_eq!(by_name(name).map(|info| info.kind), Some("Gateway"), "{name}");
    }
    assert_eq!(by_name("svc").map(|info| info.kind), Some("Service"));
    assert_eq!(by_name("lset").map(|info| info.kind), Some("ListenerSet"));
    assert_eq!(by_name("gateways.example.com"), None);
    assert_eq!(by_name(""), None);
}

#[test]
fn misspelt_kinds_have_a_nearest_one() {
    for (written, meant) in [
        ("HttpRoute", "HTTPRoute"),
        ("HTPRoute", "HTTPRoute"),
        ("Gatway", "Gateway"),
        ("BackendTlsPolicies", "BackendTLSPolicy"),
        ("GatewayClasss", "GatewayClass"),
    ] {
        assert_eq!(nearest(written).map(|info| info.kind), Some(meant), "{written}");
    }
    assert_eq!(nearest("Deployment"), None);
    assert_eq!(nearest(""), None);
    assert_eq!(nearest(&"x".repeat(10_000)), None);
}

#[test]
fn every_kind_has_names_versions_and_a_living_successor() {
    for info in KINDS {
        assert_eq!(find(info.group, info.kind), Some(info));
        assert!(!info.plural.is_empty() && !info.versions.is_empty(), "{}", info.kind);
        assert_eq!(info.channel == Channel::Retired, info.replaced_by.is_some(), "{}", info.kind);
        if let Some((group, kind)) = info.replaced_by {
            assert!(find(group, kind).is_some_and(|next| next.channel != Channel::Retired));
        } else {
            let newest = info.versions[0];
            assert!(newest.served_by_1_7() && !newest.deprecated, "{}", info.kind);
        }
    }
    let cluster: Vec<_> =
        KINDS.iter().filter(|info| info.scope == Scope::Cluster).map(|info| info.kind).collect();
    assert_eq!(cluster, ["GatewayClass", "XMesh", "Namespace", "ClusterTrustBundle"]);
}
