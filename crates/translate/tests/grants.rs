//! One function permits references; here it is compared with the rule as the API states it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod common;

use api::{ReferenceGrant, ReferenceGrantFrom, ReferenceGrantTo};
use proptest::prelude::*;
use translate::Snapshot;
use translate::grants::{Reference, permitted};

type Triple = (&'static str, &'static str, &'static str);

const GROUPS: &[&str] = &["", "core", "gateway.networking.k8s.io"];
const KINDS: &[&str] = &["Service", "services", "Secret", "HTTPRoute", "Gateway", "ListenerSet"];
const NAMESPACES: &[&str] = &["a", "b", ""];
const NAMES: &[&str] = &["x", "y", ""];

fn triple(third: &'static [&'static str]) -> impl Strategy<Value = Triple> {
    (prop::sample::select(GROUPS), prop::sample::select(KINDS), prop::sample::select(third))
}

fn grant(namespace: &str, from: &[Triple], to: &[(Triple, bool)]) -> ReferenceGrant {
    let mut grant = ReferenceGrant::default();
    grant.metadata.name = "grant".into();
    grant.metadata.namespace = Some(namespace.into());
    grant.spec.from = from
        .iter()
        .map(|(group, kind, namespace)| ReferenceGrantFrom {
            group: (*group).into(),
            kind: (*kind).into(),
            namespace: (*namespace).into(),
        })
        .collect();
    grant.spec.to = to
        .iter()
        .map(|((group, kind, name), named)| ReferenceGrantTo {
            group: (*group).into(),
            kind: (*kind).into(),
            name: named.then(|| (*name).into()),
        })
        .collect();
    grant
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn a_grant_permits_exactly_what_its_entries_say(
        namespace in prop::sample::select(NAMESPACES),
        from in prop::collection::vec(triple(NAMESPACES), 0..4),
        to in prop::collection::vec((triple(NAMES), any::<bool>()), 0..4),
        referring in triple(NAMESPACES),
        target in triple(NAMES),
        target_namespace in prop::sample::select(NAMESPACES),
    ) {
        let mut snapshot = Snapshot::default();
        snapshot.insert(&grant(namespace, &from, &to).into(), &[]);
        let by_rule = referring.2 == target_namespace
            || (namespace == target_namespace
                && from.contains(&referring)
                && to.iter().any(|((group, kind, name), named)| {
                    (*group, *kind) == (target.0, target.1)
                        && (!named || name.is_empty() || *name == target.2)
                }));
        let answer = permitted(&snapshot, Reference {
            from_group: referring.0,
            from_kind: referring.1,
            from_namespace: referring.2,
            to_group: target.0,
            to_kind: target.1,
            to_namespace: target_namespace,
            to_name: target.2,
        });
        prop_assert_eq!(answer, by_rule);
    }
}

#[test]
fn no_grant_at_all_permits_only_the_own_namespace() {
    let ask = |to_namespace| {
        permitted(
            &Snapshot::default(),
            Reference {
                from_group: "gateway.networking.k8s.io",
                from_kind: "HTTPRoute",
                from_namespace: "a",
                to_group: "",
                to_kind: "Service",
                to_namespace,
                to_name: "x",
            },
        )
    };
    assert!(ask("a"));
    assert!(!ask("b"));
}
