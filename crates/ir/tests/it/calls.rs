//! The sentences of the Gateway API on GRPCRoute matches and their precedence.

use ir::{CallMatch, Match, PathMatch, Pattern};

use crate::support::{MatchExt, RouteExt, exact, get, on, prefix, route, table, taken};

fn call(service: &str, method: &str) -> Match {
    let chars = |text: &str| u32::try_from(text.chars().count()).expect("a short text");
    let any = |text: &str| if text.is_empty() { "[^/]+" } else { text }.to_owned();
    let pattern = format!("/(?:{})/(?:{})", any(service), any(method));
    on(PathMatch::Call(CallMatch {
        service_chars: chars(service),
        method_chars: chars(method),
        pattern: Pattern::whole(&pattern).expect("a pattern"),
    }))
}

#[test]
fn a_method_of_any_service_ranks_below_every_service() {
    let rules = vec![vec![call("", "Login")], vec![prefix("/a.B")], vec![prefix("/")]];
    let table = table(vec![route("r", &["*"], rules)]);
    assert_eq!(taken(&table, &get("x/a.B/Login")), "r/1/0");
    assert_eq!(taken(&table, &get("x/a.C/Login")), "r/0/0");
    assert_eq!(taken(&table, &get("x/a.C/Logout")), "r/2/0");
    assert_eq!(taken(&table, &get("x/Login")), "r/2/0");
    assert_eq!(taken(&table, &get("x/a/b/Login")), "r/2/0");
}

#[test]
fn a_method_of_any_service_precedes_a_match_of_every_call_even_of_an_older_route() {
    let older = route("older", &["*"], vec![vec![prefix("/").header("x", "1")]]).created(1);
    let newer = route("newer", &["*"], vec![vec![call("", "Login")]]).created(2);
    let table = table(vec![older, newer]);
    assert_eq!(taken(&table, &get("x/a.B/Login").with("x", "1")), "newer/0/0");
    assert_eq!(taken(&table, &get("x/a.B/Other").with("x", "1")), "older/0/0");
}

#[test]
fn the_longer_service_precedes_the_longer_method() {
    let rules = vec![
        vec![call("a.[A-Z]", "Log(in|out)_of_everything|Login")],
        vec![call("a.[A-Za-z]", "L.*")],
        vec![exact("/a.B/Login")],
    ];
    let table = table(vec![route("r", &["*"], rules)]);
    assert_eq!(taken(&table, &get("x/a.B/Login")), "r/2/0");
    assert_eq!(taken(&table, &get("x/a.C/Login")), "r/1/0");
    assert_eq!(taken(&table, &get("x/a.C/Mail")), "404");
}

#[test]
fn the_longer_method_precedes_more_headers() {
    let rules = vec![
        vec![call("", "Log.*").header("x", "1").header("y", "1")],
        vec![call("", "Log.*").header("x", "1")],
        vec![call("", "Login.*")],
    ];
    let table = table(vec![route("r", &["*"], rules)]);
    let both = |path| get(path).with("x", "1").with("y", "1");
    assert_eq!(taken(&table, &both("x/a.B/Login")), "r/2/0");
    assert_eq!(taken(&table, &both("x/a.B/Logout")), "r/0/0");
    assert_eq!(taken(&table, &get("x/a.B/Logout").with("x", "1")), "r/1/0");
}
