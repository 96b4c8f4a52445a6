//! Reading YAML: places, recovery, bounds and the wording of problems.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may end by a panic")]

use proptest::prelude::*;
use serde_json::json;
use source::yaml::{self, Document, Reading, line_column};

const ROUTE: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: shop
  labels:
    app.kubernetes.io/name: shop
spec:
  rules:
  - matches:
    - path: {type: PathPrefix, value: /a}
    backendRefs:
    - name: cart
      port: 8080
    - name: \"other\"
";

fn one(text: &str) -> Document {
    let mut reading = yaml::read(text);
    assert_eq!(reading.problems, [], "{text}");
    assert_eq!(reading.documents.len(), 1, "{text}");
    reading.documents.remove(0)
}

fn problem(text: &str) -> yaml::Problem {
    let Reading { documents, mut problems } = yaml::read(text);
    assert_eq!(documents, [], "{text}");
    assert_eq!(problems.len(), 1, "{text}: {problems:?}");
    problems.remove(0)
}

fn value_text<'t>(document: &Document, text: &'t str, path: &str) -> &'t str {
    let found = document.spans.find(path);
    assert!(found.exact, "{path} was not found: {found:?}");
    &text[found.value]
}

#[test]
fn every_field_knows_where_its_value_stands() {
    let document = one(ROUTE);
    let text = |path| value_text(&document, ROUTE, path);
    assert_eq!(text("kind"), "HTTPRoute");
    assert_eq!(text("spec.rules[0].backendRefs[0].name"), "cart");
    assert_eq!(text("spec.rules[0].backendRefs[1].name"), "\"other\"");
    assert_eq!(text("spec.rules[0].matches[0].path"), "{type: PathPrefix, value: /a}");
    assert_eq!(text("spec.rules[0].matches[0].path.value"), "/a");
    assert_eq!(text("metadata.labels.app.kubernetes.io/name"), "shop");
    assert_eq!(text("metadata.labels[app.kubernetes.io/name]"), "shop");
    assert_eq!(text("spec.rules[0].backendRefs[0]"), "name: cart\n      port: 8080");
    assert!(text("spec").ends_with("name: \"other\""));
}

#[test]
fn a_field_that_is_missing_leads_to_its_nearest_parent() {
    let document = one(ROUTE);
    let found = document.spans.find("spec.rules[0].backendRefs[0].weight");
    assert!(!found.exact);
    assert_eq!(found.path, "spec.rules[0].backendRefs[0]");
    let found = document.spans.find("spec.rules[7].name");
    assert_eq!(found.path, "spec.rules");
    assert_eq!(&ROUTE[found.highlight(ROUTE)], "rules");
    let found = document.spans.find("status");
    assert_eq!((found.path.as_str(), found.key), ("", None));
}

#[test]
fn a_place_leads_back_to_its_field() {
    let document = one(ROUTE);
    let path = |needle| document.spans.path_at(ROUTE.find(needle).expect("the text is there"));
    assert_eq!(path("cart"), "spec.rules[0].backendRefs[0].name");
    assert_eq!(path("port"), "spec.rules[0].backendRefs[0].port");
    assert_eq!(path("PathPrefix"), "spec.rules[0].matches[0].path.type");
}

#[test]
fn documents_know_their_lines_and_their_ranges_in_the_whole_file() {
    let text = format!("# a comment\n---\n{ROUTE}---\n# nothing here\n---\n\n---\n{ROUTE}");
    let reading = yaml::read(&text);
    assert_eq!(reading.problems, []);
    let lines: Vec<_> = reading.documents.iter().map(|d| d.start_line).collect();
    assert_eq!(lines, [3, 22]);
    let found = reading.documents[1].spans.find("spec.rules[0].backendRefs[0].port");
    assert_eq!(&text[found.value.clone()], "8080");
    assert_eq!(line_column(&text, found.value.start), (34, 13));
}

#[test]
fn a_broken_document_does_not_hide_the_next() {
    let text = "a: [1, 2\n---\nb: 'open\n---\nc: {\n---\nd: 1\n  e: 2\n---\nf: 1\n";
    let reading = yaml::read(text);
    assert_eq!(reading.documents.len(), 1);
    assert_eq!(reading.documents[0].value, json!({"f": 1}));
    let lines: Vec<_> =
        reading.problems.iter().map(|p| line_column(text, p.span.start).0).collect();
    assert_eq!(reading.problems.len(), 4, "{:?}", reading.problems);
    assert!(lines.is_sorted());
}

#[test]
fn byte_order_marks_and_windows_line_ends_are_read() {
    let text = format!("\u{feff}{}", ROUTE.replace('\n', "\r\n"));
    let document = one(&text);
    assert_eq!(document.value, one(ROUTE).value);
    assert_eq!(value_text(&document, &text, "spec.rules[0].backendRefs[0].name"), "cart");
    let two = text.clone() + "---\r\nb: 1\r\n";
    assert_eq!(yaml::read(&two).documents.len(), 2);
}

#[test]
fn empty_documents_and_comments_alone_are_nothing() {
    for text in ["", "\n\n", "# only\n# comments\n", "---\n---\n", "---\n# x\n...\n", "~", "null\n"]
    {
        assert_eq!(yaml::read(text), Reading::default(), "{text:?}");
    }
}

#[test]
fn many_comment_lines_before_a_list_item_are_no_problem() {
    let text = format!("a:\n- 1\n{}- 2\n", "# licence\n".repeat(500));
    assert_eq!(one(&text).value, json!({"a": [1, 2]}));
}

#[test]
fn a_tab_as_indentation_is_named() {
    let found = problem("spec:\n\trules: []\n");
    assert!(found.message.contains("a tab stands where YAML wants spaces"), "{found:?}");
    assert_eq!(found.hint.as_deref(), Some("indent with spaces instead of tabs"));
}

#[test]
fn the_same_key_twice_is_a_problem_at_the_second() {
    let text = "spec:\n  port: 1\n  name: x\n  port: 2\n";
    let found = problem(text);
    assert_eq!(found.message, "the key `port` appears twice in one map");
    assert_eq!(line_column(text, found.span.start), (4, 3));
    problem("{\"a\": 1, \"a\": 1}");
    problem("true: 1\nyes: 2\n");
}

#[test]
fn json_is_read_with_places_too() {
    let text = "{\n\t\"kind\": \"Service\",\n\t\"spec\": {\"ports\":[{\"port\":80}, {\"port\": 1.0}]}\n}\n";
    let document = one(text);
    let ports = json!([{"port": 80}, {"port": 1}]);
    assert_eq!(document.value, json!({"kind": "Service", "spec": {"ports": ports}}));
    assert_eq!(value_text(&document, text, "spec.ports[1].port"), "1.0");
}

#[test]
fn anchors_aliases_and_merges_expand() {
    let text = "base: &b {a: 1, b: 2}\nall:\n- <<: *b\n  b: 3\n- *b\n- <<: [{a: 5}, *b]\n  c: 1\n";
    let document = one(text);
    let all = json!([{"a": 1, "b": 3}, {"a": 1, "b": 2}, {"a": 5, "b": 2, "c": 1}]);
    assert_eq!(document.value["all"], all);
    assert_eq!(value_text(&document, text, "all[0].b"), "3");
    assert_eq!(value_text(&document, text, "all[1]"), "*b");
    assert_eq!(value_text(&document, text, "all[1].b"), "2");
}

#[test]
fn a_merge_that_would_replace_a_written_key_is_refused() {
    let found = problem("base: &b {a: 1}\nuse:\n  a: 2\n  <<: *b\n");
    assert_eq!(found.message, "`<<` would replace the key `a` that is written above it");
    problem("a:\n  <<: 5\n");
    problem("a:\n  <<: [5]\n");
}

#[test]
fn aliases_that_multiply_are_stopped() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let item = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", [item.as_str(); 9].join(", "));
    }
    let found = problem(&text);
    assert_eq!(found.message, "the aliases of this document expand to too much text");
    let long = "y".repeat(100_000);
    problem(&format!("a: &a {long}\nb: [{}]\n", ["*a"; 100].join(", ")));
}

#[test]
fn an_alias_inside_its_own_node_or_of_nothing_is_a_problem() {
    let found = problem("a: &a\n  b: *a\n");
    assert_eq!(found.message, "an alias stands inside the node that it names");
    let found = problem("a: *nowhere\n");
    assert!(found.message.contains("names an anchor that is not defined"), "{found:?}");
    // Anchors end with their document.
    assert_eq!(yaml::read("a: &x 1\n---\nb: *x\n").problems.len(), 1);
}

#[test]
fn deep_nesting_is_stopped() {
    for text in [
        "[".repeat(10_000),
        "- ".repeat(10_000),
        "{a: ".repeat(10_000),
        (0..200).map(|n| format!("{}a:\n", " ".repeat(n))).collect(),
    ] {
        let found = problem(&text);
        assert!(found.message.contains("nested too deeply"), "{found:?}");
    }
    // Through aliases too.
    let mut text = "a0: &a0 [x]\n".to_owned();
    for level in 1..80 {
        text += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
    }
    assert!(problem(&text).message.contains("nested too deeply"));
}

#[test]
fn templates_are_recognised() {
    for text in [
        "name: {{ .Values.name }}\n",
        "{{- if .Values.on }}\nkind: Gateway\n{{- end }}\n",
        "metadata:\n  name: {{ include \"x\" . }}-route\n",
    ] {
        let reading = yaml::read(text);
        assert!(reading.problems.iter().any(|p| p.template), "{text}: {reading:?}");
        assert!(reading.documents.is_empty());
    }
}

#[test]
fn many_problems_in_one_document_are_counted_not_listed() {
    let text = "a: 1\n".repeat(100);
    let reading = yaml::read(&text);
    assert_eq!(reading.problems.len(), source::limits::MAX_PROBLEMS);
    let last = reading.problems.last().expect("there are problems");
    assert!(last.message.ends_with("(and 79 more problems in this document)"), "{last:?}");
}

#[test]
fn comments_are_found_with_their_places() {
    let text = "# top\na: 1 # right\n---\n  # in\nb: '# not one'\n";
    let found: Vec<_> = yaml::comments(text)
        .into_iter()
        .map(|c| (text[c.span].to_owned(), c.text, c.own_line))
        .collect();
    let expected = [("# top", "top", true), ("# right", "right", false), ("# in", "in", true)];
    let expected = expected.map(|(span, text, own)| (span.to_owned(), text.to_owned(), own));
    assert_eq!(found, expected);
}

#[test]
fn directives_stay_with_their_document() {
    let text = "%YAML 1.1\n%TAG !e! tag:example.com:\n---\na: !e!x 2\n---\nb: 1\n";
    let values: Vec<_> = yaml::read(text).documents.into_iter().map(|d| d.value).collect();
    assert_eq!(values, [json!({"a": "2"}), json!({"b": 1})]);
}

fn walk(value: &serde_json::Value, path: &str, visit: &mut impl FnMut(&str)) {
    visit(path);
    match value {
        serde_json::Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &format!("{path}[{index}]"), visit);
            }
        }
        serde_json::Value::Object(fields) => {
            for (key, item) in fields {
                walk(item, &format!("{path}[{key}]"), visit);
            }
        }
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => {}
    }
}

/// Text made of the pieces that YAML is made of, so that much of it parses.
fn yaml_like() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a",
        "b: ",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        ": ",
        "&x ",
        "*x",
        "<<: ",
        "'",
        "\"",
        "| ",
        ">",
        "---\n",
        "...\n",
        "#c\n",
        "!!int ",
        "? ",
        "é",
        "\t",
        "\r\n",
        "1",
        "~",
        "\\",
        "%YAML 1.2\n",
        "\u{feff}",
        "!",
        "@",
        "0x1",
        "\0",
        "\u{2028}",
    ]);
    prop::collection::vec(pieces, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn reading_never_fails_and_every_place_is_inside_the_text(text in yaml_like()) {
        let reading = yaml::read(&text);
        for problem in &reading.problems {
            prop_assert!(text.get(problem.span.clone()).is_some(), "{:?}", problem);
        }
        for document in &reading.documents {
            let mut lost = Vec::new();
            walk(&document.value, "", &mut |path| {
                let found = document.spans.find(path);
                let inside = text.get(found.value.clone()).is_some()
                    && found.key.is_none_or(|key| text.get(key).is_some());
                if !inside {
                    lost.push(path.to_owned());
                }
            });
            prop_assert!(lost.is_empty(), "{lost:?}");
            let _ = document.spans.path_at(text.len() / 2);
        }
        let _ = yaml::comments(&text);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = yaml::read(&text);
        let _ = yaml::comments(&text);
    }
}
