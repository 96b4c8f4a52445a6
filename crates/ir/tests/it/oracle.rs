//! The index against the specification, on random tables and requests.

use std::{cmp::Ordering, sync::Arc};

use ir::{
    Explanation, IrSet, Outcome, Revision, Table, Verdict, assemble, closest, dump_table, find,
};
use proptest::{collection::vec, prelude::ProptestConfig, prop_assert, prop_assert_eq, proptest};

use crate::{
    naive,
    random::{requests, sets},
    support::{Request, described, taken},
};

fn built(set: &IrSet, previous: Option<&Table>) -> Table {
    assemble(set, Revision { epoch: 1, sequence: 2 }, previous)
}

fn explained(table: &Table, request: &Request) -> (Explanation, String) {
    let mut explanation = Explanation::default();
    let port = table.ports.values().next().expect("a port");
    let outcome = described(&find(port, table, None, request, &mut explanation));
    (explanation, outcome)
}

/// A copy of the set that shares nothing with it.
fn copied(set: &IrSet) -> IrSet {
    let mut copy = IrSet::default();
    for (id, listener) in &set.listeners {
        copy.listeners.insert(id.clone(), Arc::new((**listener).clone()));
    }
    for (object, route) in &set.http_routes {
        copy.http_routes.insert(Arc::clone(object), Arc::new((**route).clone()));
    }
    copy
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_finds_what_the_specification_says(
        set in sets(),
        requests in vec(requests(), 1..8),
    ) {
        let table = built(&set, None);
        for request in &requests {
            prop_assert_eq!(taken(&table, request), naive::taken(&set, request), "{:?}", request);
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_explanation_names_the_same_winner_and_only_one(set in sets(), request in requests()) {
        let table = built(&set, None);
        let (explanation, outcome) = explained(&table, &request);
        let won: Vec<String> = explanation
            .considered
            .iter()
            .filter(|considered| considered.verdict == Verdict::Won)
            .map(|considered| {
                let entry = &considered.entry;
                let place = (&entry.route.object.name, entry.rule.index, considered.match_index);
                format!("{}/{}/{}", place.0, place.1, place.2)
            })
            .collect();
        prop_assert_eq!(outcome.clone(), taken(&table, &request));
        if won.is_empty() {
            prop_assert!(outcome.starts_with("404"));
        } else {
            prop_assert_eq!(won, vec![outcome]);
        }
    }

    #[test]
    fn the_explanation_considers_every_match_of_the_port(set in sets(), request in requests()) {
        let table = built(&set, None);
        let (explanation, _) = explained(&table, &request);
        let all: usize = set
            .listeners
            .keys()
            .map(|id| {
                let on = |route: &ir::HttpRoute| -> usize {
                    let attached = route.attachments.iter().filter(|one| one.listener == *id);
                    let hosts: usize = attached.map(|one| one.hosts.len()).sum();
                    hosts * route.rules.iter().map(|rule| rule.matches.len()).sum::<usize>()
                };
                set.http_routes.values().map(|route| on(route)).sum::<usize>()
            })
            .sum();
        prop_assert_eq!(explanation.considered.len(), all);
    }

    #[test]
    fn a_miss_has_a_closest_rule_where_the_hostname_has_rules(
        set in sets(),
        request in requests(),
    ) {
        let table = built(&set, None);
        let port = table.ports.values().next().expect("a port");
        let hint = closest(port, &table, None, &request);
        let missed = taken(&table, &request) == "404";
        prop_assert!(missed || hint.is_none());
    }

    #[test]
    fn a_table_built_on_another_equals_one_built_afresh(before in sets(), after in sets()) {
        let previous = built(&before, None);
        let fresh = dump_table(&built(&after, None));
        prop_assert_eq!(dump_table(&built(&after, Some(&previous))), fresh);
        let same = built(&copied(&before), Some(&previous));
        prop_assert_eq!(dump_table(&same), dump_table(&previous));
        for (old, new) in previous.rules.iter().zip(&same.rules) {
            prop_assert!(Arc::ptr_eq(old, new), "equal inputs are shared");
        }
        for (old, new) in previous.ports.values().zip(same.ports.values()) {
            prop_assert!(Arc::ptr_eq(old, new), "equal inputs are shared");
        }
    }

    #[test]
    fn a_table_built_on_another_finds_the_same(
        before in sets(),
        after in sets(),
        requests in vec(requests(), 1..4),
    ) {
        let mut mixed = after;
        let kept = before.http_routes.iter().take(2);
        mixed.http_routes.extend(kept.map(|(object, route)| (object.clone(), route.clone())));
        let table = built(&mixed, Some(&built(&before, None)));
        for request in &requests {
            prop_assert_eq!(taken(&table, request), naive::taken(&mixed, request));
        }
    }

    #[test]
    fn precedence_is_a_total_order(set in sets(), requests in vec(requests(), 3)) {
        // Whatever a request excludes, the order in which the rest is considered stays.
        let table = built(&set, None);
        let port = table.ports.values().next().expect("a port");
        let orders: Vec<Vec<(u32, usize)>> = requests
            .iter()
            .map(|request| {
                let request = Request { host: "a.com".to_owned(), ..request.clone() };
                let mut explanation = Explanation::default();
                let _outcome: Outcome<'_> =
                    find(port, &table, None, &request, &mut explanation);
                let place = |considered: &ir::Considered| {
                    (considered.entry.index.0, considered.match_index)
                };
                explanation.considered.iter().map(place).collect()
            })
            .collect();
        prop_assert!(orders.windows(2).all(|pair| pair[0].cmp(&pair[1]) == Ordering::Equal));
    }
}
