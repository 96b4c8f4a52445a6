//! What explain and lint say is what the matcher does.

use std::borrow::Cow;

use analyze::{
    Request,
    explain::{Decision, Options},
    lint::shadow::{Placement, placements},
};
use ir::{Explanation, Outcome, PortTable, RequestView, Silent, Table, Verdict, find, path};
use proptest::prelude::*;

use crate::random;

/// The head as a data plane would read it.
struct Head<'a> {
    request: &'a Request,
    path: String,
}

impl<'a> Head<'a> {
    fn new(request: &'a Request, port: &PortTable) -> Self {
        let settings = port.listeners().next().map(|entry| entry.listener.http.clone());
        let (raw, _) = path::split_target(&request.path_and_query);
        let path = path::normalize(raw, &settings.unwrap_or_default()).unwrap().into_owned();
        Self { request, path }
    }
}

impl RequestView for Head<'_> {
    fn method(&self) -> &str {
        &self.request.method
    }
    fn host(&self) -> &str {
        &self.request.host
    }
    fn path(&self) -> &str {
        &self.path
    }
    fn query(&self) -> Option<&str> {
        path::split_target(&self.request.path_and_query).1
    }
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let lines = self.request.headers.iter().filter(|(line, _)| line.eq_ignore_ascii_case(name));
        let values: Vec<&str> = lines.map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| Cow::Owned(values.join(", ").into_bytes()))
    }
}

fn port(table: &Table) -> &PortTable {
    table.ports.values().next().expect("a port")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn explain_names_the_rule_that_the_matcher_finds(
        table in random::table(),
        request in random::request(),
    ) {
        let port = port(&table);
        let head = Head::new(&request, port);
        let outcome = find(port, &table, None, &head, &mut Silent);
        let explained = analyze::explain(&table, &request, &Options::default());
        prop_assert_eq!(explained.sections.len(), 1);
        match (&explained.sections[0].decision, outcome) {
            (Decision::Answered { taken, .. }, Outcome::Found(found)) => {
                prop_assert_eq!(taken.index, found.entry.index);
                prop_assert_eq!(taken.rule, found.entry.rule.index);
            }
            (Decision::Refused { answer, .. }, Outcome::NoRoute(_) | Outcome::NoListener) => {
                prop_assert_eq!(answer.status, 404);
            }
            (decision, outcome) => prop_assert!(false, "{decision:?} but {outcome:?}"),
        }
    }

    #[test]
    fn a_match_that_lint_calls_dead_never_wins(
        table in random::table(),
        requests in proptest::collection::vec(random::request(), 24),
    ) {
        let port = port(&table);
        let placed = placements(&table);
        for request in &requests {
            let head = Head::new(request, port);
            let mut explanation = Explanation::default();
            let _outcome = find(port, &table, None, &head, &mut explanation);
            let won = explanation.considered.iter().find(|one| one.verdict == Verdict::Won);
            let Some(won) = won else { continue };
            let placement = Placement {
                rule: won.entry.index,
                match_index: won.match_index,
                host: won.host.clone(),
            };
            let death = placed.get(&placement).expect("every match has a placement");
            prop_assert!(death.is_none(), "{placement:?} won, but {death:?}");
        }
    }
}
