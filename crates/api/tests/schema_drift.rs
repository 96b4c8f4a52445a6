//! Neither side gains or loses a field unnoticed: the Rust types and the CRDs' schemas.

use api::{
    BackendTlsPolicy, Gateway, GatewayClass, GatewayParameters, GrpcRoute, HttpRoute, ListenerSet,
    ReferenceGrant, TcpRoute, TlsRoute, UdpRoute, XBackend, XBackendTrafficPolicy, XMesh,
    XTelemetryPolicy,
    decode::Decode,
    resource::Resource,
    schema::{fields, kinds},
};
use std::collections::BTreeSet;

/// The fields that every kind has and every type reads in its own way.
fn is_envelope(path: &str) -> bool {
    ["apiVersion", "kind", "metadata"].contains(&path) || path.starts_with("metadata.")
}

fn compare<T: Resource + Decode>(differences: &mut Vec<String>) {
    let ours: BTreeSet<String> =
        T::shape().paths().into_iter().filter(|path| !is_envelope(path)).collect();
    let theirs: BTreeSet<String> = fields(T::GROUP, T::KIND, T::VERSION)
        .into_keys()
        .filter(|path| !is_envelope(path))
        .collect();
    assert!(!theirs.is_empty(), "{} {} has no schema", T::GROUP, T::KIND);
    for path in theirs.difference(&ours) {
        differences.push(format!("{}: the type does not read {path}", T::KIND));
    }
    for path in ours.difference(&theirs) {
        differences.push(format!("{}: the schema does not have {path}", T::KIND));
    }
}

#[test]
fn the_types_read_every_field_of_both_channels_and_no_other() {
    let mut differences = Vec::new();
    compare::<BackendTlsPolicy>(&mut differences);
    compare::<Gateway>(&mut differences);
    compare::<GatewayClass>(&mut differences);
    compare::<GatewayParameters>(&mut differences);
    compare::<GrpcRoute>(&mut differences);
    compare::<HttpRoute>(&mut differences);
    compare::<ListenerSet>(&mut differences);
    compare::<ReferenceGrant>(&mut differences);
    compare::<TcpRoute>(&mut differences);
    compare::<TlsRoute>(&mut differences);
    compare::<UdpRoute>(&mut differences);
    compare::<XBackend>(&mut differences);
    compare::<XBackendTrafficPolicy>(&mut differences);
    compare::<XMesh>(&mut differences);
    compare::<XTelemetryPolicy>(&mut differences);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_digest_is_of_a_known_kind_and_version() {
    for (group, kind, version) in kinds() {
        assert!(
            api::kinds::version(group, kind, version).is_some(),
            "{group}/{version} {kind} is not in the table of kinds"
        );
    }
}

#[test]
fn every_known_kind_and_version_is_judged() {
    use api::schema::{Coverage, Validator};
    for info in api::KINDS {
        for version in info.versions {
            let api_version = api::resource::api_version(info.group, version.name);
            let mut object = serde_json::json!({"apiVersion": api_version, "kind": info.kind});
            let verdict = Validator::new().validate(&mut object);
            assert_ne!(verdict.coverage, Coverage::Unknown, "{api_version} {}", info.kind);
        }
    }
}
