//! The sentences of the Gateway API on matches and their precedence, one test each.

use std::sync::Arc;

use crate::support::{MatchExt, RouteExt, exact, get, prefix, regex, route, table, taken};

#[test]
fn a_prefix_matches_by_path_element() {
    let table = table(vec![route("r", &["*"], vec![vec![prefix("/v2")]])]);
    for path in ["/v2", "/v2/", "/v2/x", "/v2/x/y"] {
        assert_eq!(taken(&table, &get(path)), "r/0/0", "{path}");
    }
    for path in ["/v2x", "/v2example", "/v", "/", "/V2", "/v2%2F"] {
        assert_eq!(taken(&table, &get(path)), "404", "{path}");
    }
}

#[test]
fn a_trailing_slash_of_a_prefix_is_ignored() {
    let table = table(vec![route("r", &["*"], vec![vec![prefix("/two/")]])]);
    assert_eq!(taken(&table, &get("/two")), "r/0/0");
    assert_eq!(taken(&table, &get("/two/")), "r/0/0");
}

#[test]
fn an_exact_path_distinguishes_a_trailing_slash_and_case() {
    let table = table(vec![route("r", &["*"], vec![vec![exact("/two")], vec![exact("/two/")]])]);
    assert_eq!(taken(&table, &get("/two")), "r/0/0");
    assert_eq!(taken(&table, &get("/two/")), "r/1/0");
    assert_eq!(taken(&table, &get("/Two")), "404");
}

#[test]
fn the_prefix_of_the_root_takes_every_path() {
    let table = table(vec![route("r", &["*"], vec![vec![prefix("/")]])]);
    for path in ["/", "/a", "/a/b/c", "/%2F"] {
        assert_eq!(taken(&table, &get(path)), "r/0/0", "{path}");
    }
}

#[test]
fn exact_precedes_the_longest_prefix_whatever_the_order_in_the_list() {
    let rules = vec![
        vec![prefix("/match")],
        vec![prefix("/match/prefix/one")],
        vec![exact("/match/prefix/one/any")],
        vec![prefix("/match/prefix")],
        vec![exact("/match")],
    ];
    let table = table(vec![route("r", &["*"], rules)]);
    assert_eq!(taken(&table, &get("/match")), "r/4/0");
    assert_eq!(taken(&table, &get("/match/")), "r/0/0");
    assert_eq!(taken(&table, &get("/match/prefix")), "r/3/0");
    assert_eq!(taken(&table, &get("/match/prefix/one")), "r/1/0");
    assert_eq!(taken(&table, &get("/match/prefix/one/any")), "r/2/0");
    assert_eq!(taken(&table, &get("/match/prefix/one/any/more")), "r/1/0");
}

#[test]
fn an_expression_stands_between_exact_and_prefix() {
    let rules = vec![vec![prefix("/a/b/c/d")], vec![regex("/a/.*")], vec![exact("/a/x")]];
    let table = table(vec![route("r", &["*"], rules)]);
    assert_eq!(taken(&table, &get("/a/b/c/d")), "r/1/0");
    assert_eq!(taken(&table, &get("/a/x")), "r/2/0");
}

#[test]
fn the_longer_expression_precedes() {
    let rules = vec![vec![regex("/.*")], vec![regex("/user/[0-9]+")], vec![regex("/user/.*")]];
    let table = table(vec![route("r", &["*"], rules)]);
    assert_eq!(taken(&table, &get("/user/7")), "r/1/0");
    assert_eq!(taken(&table, &get("/user/x")), "r/2/0");
    assert_eq!(taken(&table, &get("/other")), "r/0/0");
}

#[test]
fn an_expression_must_match_the_whole_path() {
    let table = table(vec![route("r", &["*"], vec![vec![regex("/a|/b")]])]);
    assert_eq!(taken(&table, &get("/b")), "r/0/0");
    assert_eq!(taken(&table, &get("/b/c")), "404");
    assert_eq!(taken(&table, &get("/x/a")), "404");
}

#[test]
fn many_expressions_keep_their_precedence_and_their_conditions() {
    let mut rules: Vec<_> =
        (0..40).map(|number| vec![regex(&format!("/shop/{number}/[a-z]+"))]).collect();
    rules.push(vec![regex("/shop/[0-9]+/[a-z]+/?").method("POST")]);
    rules.push(vec![regex("/shop/.*")]);
    let table = table(vec![route("r", &["*"], rules)]);
    assert_eq!(taken(&table, &get("/shop/7/x").method("POST")), "r/40/0");
    assert_eq!(taken(&table, &get("/shop/7/x")), "r/7/0");
    assert_eq!(taken(&table, &get("/shop/39/x")), "r/39/0");
    assert_eq!(taken(&table, &get("/shop/99/x")), "r/41/0");
    assert_eq!(taken(&table, &get("/market")), "404");
}

#[test]
fn a_named_method_precedes_headers() {
    let rules =
        vec![vec![prefix("/").header("a", "1").header("b", "1")], vec![prefix("/").method("GET")]];
    let table = table(vec![route("r", &["*"], rules)]);
    let request = get("/").with("a", "1").with("b", "1");
    assert_eq!(taken(&table, &request), "r/1/0");
    assert_eq!(taken(&table, &request.method("POST")), "r/0/0");
}

#[test]
fn methods_are_compared_with_case() {
    let table = table(vec![route("r", &["*"], vec![vec![prefix("/").method("GET")]])]);
    assert_eq!(taken(&table, &get("/").method("get")), "404");
}

#[test]
fn more_headers_precede_more_query_parameters() {
    let rules = vec![
        vec![prefix("/").query("a", "1").query("b", "1")],
        vec![prefix("/").header("a", "1")],
        vec![prefix("/").header("a", "1").header("b", "1")],
    ];
    let table = table(vec![route("r", &["*"], rules)]);
    assert_eq!(taken(&table, &get("/?a=1&b=1").with("a", "1").with("b", "1")), "r/2/0");
    assert_eq!(taken(&table, &get("/?a=1&b=1").with("a", "1")), "r/1/0");
    assert_eq!(taken(&table, &get("/?a=1&b=1")), "r/0/0");
}

#[test]
fn a_longer_prefix_precedes_any_number_of_headers() {
    let rules = vec![vec![prefix("/").header("version", "two")], vec![prefix("/v2")]];
    let table = table(vec![route("r", &["*"], rules)]);
    assert_eq!(taken(&table, &get("/v2/x").with("version", "two")), "r/1/0");
    assert_eq!(taken(&table, &get("/x").with("version", "two")), "r/0/0");
}

#[test]
fn conditions_of_one_match_must_all_hold_and_matches_are_alternatives() {
    let rules =
        vec![vec![prefix("/").header("a", "1").header("b", "2"), prefix("/").header("c", "3")]];
    let table = table(vec![route("r", &["*"], rules)]);
    assert_eq!(taken(&table, &get("/").with("a", "1")), "404");
    assert_eq!(taken(&table, &get("/").with("a", "1").with("b", "2")), "r/0/0");
    assert_eq!(taken(&table, &get("/").with("c", "3")), "r/0/1");
}

#[test]
fn header_names_ignore_case_and_values_do_not() {
    let table = table(vec![route("r", &["*"], vec![vec![prefix("/").header("Version", "Two")]])]);
    assert_eq!(taken(&table, &get("/").with("vErSiOn", "Two")), "r/0/0");
    assert_eq!(taken(&table, &get("/").with("Version", "two")), "404");
}

#[test]
fn a_repeated_header_is_matched_as_its_joined_value() {
    let rules = vec![vec![prefix("/").header("a", "1, 2")], vec![prefix("/").header("a", "1")]];
    let table = table(vec![route("r", &["*"], rules)]);
    assert_eq!(taken(&table, &get("/").with("a", "1").with("A", "2")), "r/0/0");
    assert_eq!(taken(&table, &get("/").with("a", "1, 2")), "r/0/0");
    assert_eq!(taken(&table, &get("/").with("a", "1")), "r/1/0");
}

#[test]
fn header_and_query_expressions_are_found_anywhere_in_the_value() {
    let rules =
        vec![vec![prefix("/").header_regex("a", "b+")], vec![prefix("/").query_regex("q", "^x$")]];
    let table = table(vec![route("r", &["*"], rules)]);
    assert_eq!(taken(&table, &get("/").with("a", "abbc")), "r/0/0");
    assert_eq!(taken(&table, &get("/?q=x")), "r/1/0");
    assert_eq!(taken(&table, &get("/?q=xx")), "404");
}

#[test]
fn an_expression_never_matches_a_value_that_is_not_utf_8() {
    let table = table(vec![route("r", &["*"], vec![vec![prefix("/").header_regex("a", ".*")]])]);
    let mut request = get("/").with("a", "x");
    assert_eq!(taken(&table, &request), "r/0/0");
    request.headers[0].1 = vec![0xff];
    assert_eq!(taken(&table, &request), "404");
}

#[test]
fn query_names_have_case_and_the_first_value_counts() {
    let table = table(vec![route("r", &["*"], vec![vec![prefix("/").query("animal", "whale")]])]);
    assert_eq!(taken(&table, &get("/?animal=whale")), "r/0/0");
    assert_eq!(taken(&table, &get("/?animal=whale&animal=cat")), "r/0/0");
    assert_eq!(taken(&table, &get("/?animal=cat&animal=whale")), "404");
    assert_eq!(taken(&table, &get("/?Animal=whale")), "404");
    assert_eq!(taken(&table, &get("/")), "404");
}

#[test]
fn query_names_and_values_are_decoded() {
    let table = table(vec![route("r", &["*"], vec![vec![prefix("/").query("a b", "c d")]])]);
    for query in ["a+b=c+d", "a%20b=c%20d", "a%20%62=%63+d", "x&&a+b=c+d"] {
        assert_eq!(taken(&table, &get(&format!("/?{query}"))), "r/0/0", "{query}");
    }
    assert_eq!(taken(&table, &get("/?a%2520b=c+d")), "404", "decoded once");
    assert_eq!(taken(&table, &get("/?a%zzb=c+d")), "404", "no escape stands for itself");
}

#[test]
fn a_parameter_without_a_value_is_empty() {
    let table = table(vec![route("r", &["*"], vec![vec![prefix("/").query("debug", "")]])]);
    assert_eq!(taken(&table, &get("/?debug")), "r/0/0");
    assert_eq!(taken(&table, &get("/?debug=")), "r/0/0");
    assert_eq!(taken(&table, &get("/?debug=1")), "404");
}

#[test]
fn a_query_of_a_thousand_parameters_is_read_as_a_short_one() {
    let table = table(vec![route("r", &["*"], vec![vec![prefix("/").query("k 999", "v=1")]])]);
    let filler: Vec<String> = (0..999).map(|number| format!("k+{number}=v")).collect();
    let query = format!("/?{}&k%20999=v%3d1&k+999=other", filler.join("&"));
    assert_eq!(taken(&table, &get(&query)), "r/0/0");
}

#[test]
fn of_equal_matches_the_oldest_route_wins() {
    let routes = vec![
        route("a", &["*"], vec![vec![prefix("/")]]).created(20),
        route("b", &["*"], vec![vec![prefix("/")]]).created(10),
        route("c", &["*"], vec![vec![prefix("/")]]),
    ];
    assert_eq!(taken(&table(routes), &get("/")), "b/0/0");
}

#[test]
fn of_equal_ages_the_first_by_namespace_and_name_wins() {
    let mut other = route("a", &["*"], vec![vec![prefix("/")]]);
    let moved = ir::ObjectRef { namespace: "zoo".into(), ..(*other.object).clone() };
    other.object = Arc::new(moved);
    let routes = vec![other, route("b", &["*"], vec![vec![prefix("/")]])];
    assert_eq!(taken(&table(routes), &get("/")), "b/0/0");
}

#[test]
fn of_equal_matches_in_one_route_the_first_rule_wins() {
    let rules = vec![vec![prefix("/other"), prefix("/")], vec![prefix("/")]];
    assert_eq!(taken(&table(vec![route("r", &["*"], rules)]), &get("/")), "r/0/1");
}

#[test]
fn age_decides_only_after_every_property_of_the_match() {
    let routes = vec![
        route("old", &["*"], vec![vec![prefix("/a")]]).created(1),
        route("new", &["*"], vec![vec![prefix("/a").query("q", "1")]]).created(2),
    ];
    assert_eq!(taken(&table(routes), &get("/a?q=1")), "new/0/0");
}

#[test]
fn a_failing_condition_falls_back_to_the_next_shorter_path() {
    let rules = vec![
        vec![exact("/a/b").method("POST")],
        vec![regex("/a/[b]").method("POST")],
        vec![prefix("/a/b").method("POST")],
        vec![prefix("/a").header("x", "1")],
        vec![prefix("/")],
    ];
    let table = table(vec![route("r", &["*"], rules)]);
    assert_eq!(taken(&table, &get("/a/b")), "r/4/0");
    assert_eq!(taken(&table, &get("/a/b").with("x", "1")), "r/3/0");
    assert_eq!(taken(&table, &get("/a/b").method("POST")), "r/0/0");
}
