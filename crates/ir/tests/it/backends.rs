//! The choice of a backend by weight.

use std::sync::Arc;

use ir::{Action, FailReason, Filter, Fraction, Mirror, Table, Target};

use crate::support::{backend, cluster, object, origin, prefix, route, rule, table};

fn weighted(weights: &[u32]) -> Table {
    let mut built = rule(vec![prefix("/")]);
    let one = |(weight, number): (&u32, usize)| backend(&format!("b{number}"), *weight);
    built.action = Action::Forward(weights.iter().zip(0..).map(one).collect());
    let mut route = route("r", &["*"], vec![]);
    route.rules = vec![Arc::new(built)];
    table(vec![route])
}

#[test]
fn shares_follow_the_weights() {
    let table = weighted(&[1, 0, 3]);
    let mut counts = [0_u32; 3];
    for number in 0..4000_u64 {
        let picked = table.rules[0].pick(number * (u64::MAX / 4000)).expect("a backend");
        counts[picked] += 1;
    }
    assert!((998..=1002).contains(&counts[0]), "{counts:?}");
    assert_eq!(counts[1], 0);
    assert_eq!(table.rules[0].total_weight, 4);
}

#[test]
fn the_ends_of_the_range_pick_the_first_and_the_last() {
    let table = weighted(&[0, 5, 5, 0]);
    assert_eq!(table.rules[0].pick(0), Some(1));
    assert_eq!(table.rules[0].pick(u64::MAX), Some(2));
}

#[test]
fn huge_weights_do_not_overflow() {
    let table = weighted(&[1_000_000_000; 16]);
    assert_eq!(table.rules[0].pick(u64::MAX), Some(15));
}

#[test]
fn a_rule_without_backends_picks_none() {
    let mut built = rule(vec![prefix("/")]);
    built.action = Action::Fail(FailReason::NoBackends);
    let mut route = route("r", &["*"], vec![]);
    route.rules = vec![Arc::new(built)];
    assert_eq!(table(vec![route]).rules[0].pick(7), None);
}

#[test]
fn equal_clusters_are_one_and_failing_targets_have_none() {
    let mut built = rule(vec![prefix("/")]);
    let mirror = |target| {
        let origin = origin(&object("HTTPRoute", "r"), "spec.rules[0].filters[0]");
        Filter::Mirror(Mirror { origin, target, share: Fraction { numerator: 1, denominator: 1 } })
    };
    built.filters = vec![
        mirror(Target::Cluster(cluster("m"))),
        mirror(Target::Fail(FailReason::InvalidBackend)),
    ];
    let mut failing = backend("b", 1);
    failing.target = Target::Fail(FailReason::InvalidBackend);
    failing.filters = vec![mirror(Target::Cluster(cluster("b")))];
    built.action = Action::Forward(vec![backend("b", 1), failing]);
    let mut route = route("r", &["*"], vec![]);
    route.rules = vec![Arc::new(built.clone()), Arc::new(built)];
    let table = table(vec![route]);
    assert_eq!(table.clusters, [cluster("m"), cluster("b")]);
    let entry = &table.rules[1];
    let of = |index: Option<ir::ClusterIndex>| index.map(|index| index.0);
    assert_eq!(entry.mirrors.iter().map(|one| of(*one)).collect::<Vec<_>>(), [Some(0), None]);
    let clusters: Vec<Option<u32>> = entry.backends.iter().map(|one| of(one.cluster)).collect();
    assert_eq!(clusters, [Some(1), None]);
    assert_eq!(of(entry.backends[1].mirrors[0]), Some(1));
}
