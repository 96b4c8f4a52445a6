//! Why candidates lost.

use ir::{Explanation, Outcome, Predicate, Rank, Table, Verdict, closest, find};

use crate::support::{
    MatchExt, Request, RouteExt, exact, get, listener, prefix, regex, route, table, table_of,
};

fn verdicts(table: &Table, request: &Request) -> Vec<(String, Verdict)> {
    let mut explanation = Explanation::default();
    let port = table.ports.values().next().expect("a port");
    let _outcome: Outcome<'_> = find(port, table, None, request, &mut explanation);
    explanation
        .considered
        .into_iter()
        .map(|one| (one.entry.route.object.name.to_string(), one.verdict))
        .collect()
}

fn failed(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Won => "won",
        Verdict::Outranked(_) => "outranked",
        Verdict::Failed(Predicate::Listener) => "listener",
        Verdict::Failed(Predicate::Host { .. }) => "host",
        Verdict::Failed(Predicate::Path { .. }) => "path",
        Verdict::Failed(Predicate::Method { .. }) => "method",
        Verdict::Failed(Predicate::Header { .. }) => "header",
        Verdict::Failed(Predicate::Query { .. }) => "query",
    }
}

#[test]
fn the_first_condition_that_fails_is_named_in_a_fixed_order() {
    let full = |path: &str| exact(path).method("POST").header("a", "1").query("q", "1");
    let table = table(vec![
        route("host", &["other.com"], vec![vec![full("/no")]]),
        route("path", &["*"], vec![vec![full("/no")]]),
        route("method", &["*"], vec![vec![full("/")]]),
        route("header", &["*"], vec![vec![full("/").method("GET")]]),
        route("query", &["*"], vec![vec![exact("/").query("q", "1")]]),
        route("won", &["*"], vec![vec![prefix("/")]]),
    ]);
    let verdicts = verdicts(&table, &get("a.com/"));
    assert_eq!(verdicts.len(), 6);
    for (name, verdict) in verdicts {
        assert_eq!(failed(&verdict), name, "{verdict:?}");
    }
}

#[test]
fn a_failed_condition_says_what_was_wanted_and_what_came() {
    let table = table(vec![
        route("a", &["*"], vec![vec![prefix("/").header("x", "1")]]),
        route("b", &["*"], vec![vec![prefix("/").query("q", "1")]]),
    ]);
    let verdicts = verdicts(&table, &get("/?q=%32").with("X", "2"));
    let got: Vec<Option<String>> = verdicts
        .into_iter()
        .map(|(name, verdict)| match verdict {
            Verdict::Failed(Predicate::Header { got, .. } | Predicate::Query { got, .. }) => got,
            Verdict::Failed(_) | Verdict::Outranked(_) | Verdict::Won => panic!("{name}"),
        })
        .collect();
    assert_eq!(got, [Some("2".to_owned()), Some("2".to_owned())]);
}

#[test]
fn an_outranked_candidate_names_the_first_criterion_it_lost_by() {
    let all = || vec![vec![prefix("/").method("GET").header("a", "1").query("q", "1")]];
    let twice = vec![all().remove(0), vec![all().remove(0).remove(0), all().remove(0).remove(0)]];
    let routes = vec![
        route("m-won", &["a.com"], twice).created(5),
        route("host", &["*.com"], all()),
        route("plain", &["a.com"], vec![vec![prefix("/")]]).created(1),
        route("method", &["a.com"], vec![vec![prefix("/").header("a", "1").query("q", "1")]]),
        route("headers", &["a.com"], vec![vec![prefix("/").method("GET").query("q", "1")]]),
        route("query", &["a.com"], vec![vec![prefix("/").method("GET").header("a", "1")]]),
        route("age", &["a.com"], all()).created(6),
        route("n-name", &["a.com"], all()).created(5),
    ];
    let table = table(routes);
    let request = get("a.com/?q=1").with("a", "1");
    let ranks: Vec<(String, Option<Rank>)> = verdicts(&table, &request)
        .into_iter()
        .map(|(name, verdict)| match verdict {
            Verdict::Won => (name, None),
            Verdict::Outranked(rank) => (name, Some(rank)),
            Verdict::Failed(predicate) => panic!("{predicate:?}"),
        })
        .collect();
    let expected = [
        ("m-won", None),
        ("m-won", Some(Rank::Rule)),
        ("m-won", Some(Rank::Rule)),
        ("n-name", Some(Rank::Name)),
        ("age", Some(Rank::Age)),
        ("query", Some(Rank::Query)),
        ("headers", Some(Rank::Headers)),
        ("method", Some(Rank::Method)),
        ("plain", Some(Rank::Method)),
        ("host", Some(Rank::Host)),
    ];
    let expected = expected.map(|(name, rank)| (name.to_owned(), rank));
    assert_eq!(ranks, expected);
}

#[test]
fn paths_and_matches_of_one_rule_are_ranked_too() {
    let rules = vec![vec![exact("/a"), exact("/a"), regex("/a"), prefix("/a"), prefix("/")]];
    let verdicts = verdicts(&table(vec![route("r", &["*"], rules)]), &get("/a"));
    let verdicts: Vec<Verdict> = verdicts.into_iter().map(|(_, verdict)| verdict).collect();
    let expected = [
        Verdict::Won,
        Verdict::Outranked(Rank::Match),
        Verdict::Outranked(Rank::Path),
        Verdict::Outranked(Rank::Path),
        Verdict::Outranked(Rank::Path),
    ];
    assert_eq!(verdicts, expected);
}

#[test]
fn routes_of_other_listeners_are_named_last() {
    let listeners = vec![listener("http", "*", 80), listener("second", "a.com", 80)];
    let routes = vec![
        route("far", &["*"], vec![vec![prefix("/")]]),
        route("near", &["*"], vec![vec![prefix("/")]]).attached("second", &["*"]),
    ];
    let verdicts = verdicts(&table_of(listeners, routes), &get("a.com/"));
    let verdicts: Vec<(&str, &str)> =
        verdicts.iter().map(|(name, verdict)| (&**name, failed(verdict))).collect();
    assert_eq!(verdicts, [("near", "won"), ("far", "listener")]);
}

fn hint(table: &Table, request: &Request) -> Option<(String, &'static str)> {
    let port = table.ports.values().next().expect("a port");
    let closest = closest(port, table, None, request)?;
    let name = closest.entry.route.object.name.to_string();
    Some((name, failed(&Verdict::Failed(closest.predicate))))
}

#[test]
fn the_hint_on_a_miss_is_the_rule_that_came_furthest() {
    let table = table(vec![
        route("other", &["*"], vec![vec![prefix("/else")]]),
        route("method", &["a.com"], vec![vec![prefix("/a").method("POST")]]),
        route("header", &["a.com"], vec![vec![prefix("/a").header("x", "1")]]),
        route("path", &["a.com"], vec![vec![prefix("/about/us")]]),
        route("far", &["a.com"], vec![vec![prefix("/z")]]),
    ]);
    assert_eq!(hint(&table, &get("a.com/a")), Some(("header".to_owned(), "header")));
    assert_eq!(hint(&table, &get("a.com/about/me")), Some(("path".to_owned(), "path")));
    assert_eq!(hint(&table, &get("b.com/")), Some(("other".to_owned(), "path")));
    assert_eq!(hint(&table, &get("a.com/a").with("x", "1")), None, "no miss");
}
