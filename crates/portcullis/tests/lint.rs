//! `portcullis lint` as its users see it: on a terminal, in CI, and on half a configuration.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod support;

use std::process::Command;

use serde_json::Value;
use support::binary;
use testkit::folder::Folder;

const GATEWAY: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata:
  name: portcullis
spec:
  controllerName: portcullis.dev/gateway-controller
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: web
spec:
  gatewayClassName: portcullis
  listeners:
    - name: http
      port: 80
      protocol: HTTP
";

const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: shop
spec:
  ports:
    - port: 80
";

/// Its backend names a port that the Service does not have.
const ROUTE: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: shop
spec:
  parentRefs:
    - name: web
  rules:
    - backendRefs:
        - name: shop
          port: 81
";

struct Linted {
    code: i32,
    out: String,
    err: String,
}

impl Linted {
    fn json(&self) -> Vec<Value> {
        let all: Value = serde_json::from_str(&self.out).expect("JSON");
        all["findings"].as_array().expect("a list of findings").clone()
    }

    /// `CODE SEVERITY OBJECT` of each finding, from JSON.
    fn list(&self) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.json()
            .iter()
            .map(|one| [text(&one["code"]), text(&one["severity"]), text(&one["object"])].join(" "))
            .collect()
    }
}

fn lint(folder: &Folder, arguments: &[&str]) -> Linted {
    let mut command = Command::new(binary());
    let output = command
        .current_dir(folder.path())
        .arg("lint")
        .args(arguments)
        .output()
        .expect("the binary runs");
    Linted {
        code: output.status.code().expect("an end of its own"),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// The same route for a host of its own, so that neither shadows the other.
fn other_host() -> String {
    ROUTE.replace("  rules:", "  hostnames: [other.example.com]\n  rules:")
}

fn shop() -> Folder {
    Folder::with(&[("gateway.yaml", GATEWAY), ("route.yaml", ROUTE), ("service.yaml", SERVICE)])
}

#[test]
fn a_finding_points_into_its_file_and_says_effect_and_help() {
    let found = lint(&shop(), &["gateway.yaml", "route.yaml", "service.yaml"]);
    let expected = "\
error[PC0204]: HTTPRoute default/shop spec.rules[0].backendRefs[0]: Service default/shop has no port 81
  --> route.yaml:10:11
   |
10 |         - name: shop
   |           ^^^^^^^^^^ this share answers 500
   |
   = help: its ports are 80

";
    assert_eq!(found.out, expected);
    assert_eq!(found.err, "1 error, 0 warnings, 0 notes\n");
    assert_eq!(found.code, 1);
}

#[test]
fn json_has_code_severity_object_field_place_and_hint() {
    let found = lint(&shop(), &["-o", "json", "."]);
    assert_eq!(found.code, 1);
    let all = found.json();
    assert_eq!(all.len(), 1, "{all:?}");
    let one = &all[0];
    assert_eq!(one["code"], "PC0204");
    assert_eq!(one["severity"], "error");
    assert_eq!(one["object"], "HTTPRoute default/shop");
    assert_eq!(one["field"], "spec.rules[0].backendRefs[0]");
    assert_eq!(one["hint"], "its ports are 80");
    assert_eq!(one["place"]["file"], "./route.yaml");
    assert_eq!((&one["place"]["line"], &one["place"]["column"]), (&10.into(), &11.into()));
}

#[test]
fn sarif_has_rules_results_and_regions() {
    let found = lint(&shop(), &["-o", "sarif", "route.yaml", "gateway.yaml", "service.yaml"]);
    assert_eq!(found.code, 1);
    let log: Value = serde_json::from_str(&found.out).expect("JSON");
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert_eq!(run["tool"]["driver"]["name"], "portcullis");
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let result = &run["results"][0];
    assert_eq!(result["ruleId"], "PC0204");
    assert_eq!(result["level"], "error");
    let index = result["ruleIndex"].as_u64().expect("an index");
    assert_eq!(rules[usize::try_from(index).expect("small")]["id"], "PC0204");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "route.yaml");
    assert_eq!(place["region"]["startLine"], 10);
}

#[test]
fn the_exit_code_is_0_without_errors_1_with_and_2_for_wrong_use() {
    let folder = shop();
    assert_eq!(lint(&folder, &["gateway.yaml"]).code, 0);
    assert_eq!(lint(&folder, &["."]).code, 1);
    assert_eq!(lint(&folder, &["nowhere.yaml"]).code, 1);
    assert_eq!(lint(&folder, &["--no-such-flag", "."]).code, 2);
    assert_eq!(lint(&folder, &[]).code, 2);
}

#[test]
fn a_reference_that_leaves_a_partial_repository_is_unknown_unless_complete() {
    let folder = Folder::with(&[("route.yaml", ROUTE)]);
    let open = lint(&folder, &["-o", "json", "."]);
    assert_eq!(open.list(), ["PC0209 note HTTPRoute default/shop"; 2]);
    assert_eq!(open.code, 0);
    let complete = lint(&folder, &["-o", "json", "--complete", "."]);
    assert_eq!(
        complete.list(),
        ["PC0210 warning HTTPRoute default/shop", "PC0203 error HTTPRoute default/shop"]
    );
    assert_eq!(complete.code, 1);
}

#[test]
fn with_supplies_objects_that_are_not_judged_themselves() {
    let bad = other_host().replace("name: shop", "name: other");
    let cluster = format!("{GATEWAY}---\n{SERVICE}---\n{bad}");
    let folder = Folder::with(&[("route.yaml", ROUTE), ("cluster.yaml", &cluster)]);
    let found = lint(&folder, &["-o", "json", "--with", "cluster.yaml", "route.yaml"]);
    assert_eq!(found.list(), ["PC0204 error HTTPRoute default/shop"]);
}

#[test]
fn a_nearly_right_name_is_suggested_in_partial_input_too() {
    let folder = Folder::with(&[
        ("gateway.yaml", GATEWAY),
        ("route.yaml", &ROUTE.replace("- name: web", "- name: wbe")),
        ("service.yaml", SERVICE),
    ]);
    for flags in [&["."][..], &["--complete", "."]] {
        let found = lint(&folder, flags);
        assert!(found.out.contains("= help: did you mean web?"), "{}", found.out);
    }
}

#[test]
fn a_misspelt_kind_is_an_error_with_the_nearest_kind() {
    let folder = shop();
    folder.write("route.yaml", &ROUTE.replace("kind: HTTPRoute", "kind: HttpRoutes"));
    let found = lint(&folder, &["route.yaml"]);
    let expected = "\
error[PC0108]: HttpRoutes default/shop kind: the group gateway.networking.k8s.io has no kind HttpRoutes
 --> route.yaml:2:7
  |
2 | kind: HttpRoutes
  |       ^^^^^^^^^^
  |
  = help: did you mean `apiVersion: gateway.networking.k8s.io/v1` and `kind: HTTPRoute`?

";
    assert_eq!(found.out, expected);
    assert_eq!(found.code, 1);
}

#[test]
fn a_kind_without_its_group_is_an_error_and_not_passed_over() {
    for version in ["v1", "gateway.networking.k8s.io"] {
        let folder = shop();
        let text = ROUTE
            .replace("apiVersion: gateway.networking.k8s.io/v1", &format!("apiVersion: {version}"));
        folder.write("route.yaml", &text);
        let found = lint(&folder, &["route.yaml"]);
        assert_eq!(found.code, 1, "{}", found.out);
        for part in [
            "the apiVersion names no group, and the core group has no HTTPRoute",
            "--> route.yaml:1:13",
            "did you mean `apiVersion: gateway.networking.k8s.io/v1` and `kind: HTTPRoute`?",
        ] {
            assert!(found.out.contains(part), "{part} in\n{}", found.out);
        }
    }
}

#[test]
fn a_broken_document_hides_neither_its_neighbours_nor_other_files() {
    let broken = format!("{SERVICE}---\nkind: Service\nmetadata: {{name: [x\n---\n{ROUTE}");
    let folder = Folder::with(&[("all.yaml", &broken), ("gateway.yaml", GATEWAY)]);
    let found = lint(&folder, &["-o", "json", "."]);
    assert_eq!(
        found.list(),
        ["PC0101 error File ./all.yaml", "PC0204 error HTTPRoute default/shop"]
    );
    let place = &found.json()[0]["place"];
    let line = place["line"].as_u64().expect("a line");
    assert!((9..=11).contains(&line), "{place}");
}

#[test]
fn an_object_defined_twice_shows_both_places() {
    let folder = Folder::with(&[("a.yaml", SERVICE), ("b.yaml", SERVICE)]);
    let found = lint(&folder, &["a.yaml", "b.yaml"]);
    assert!(found.out.starts_with("error[PC0107]: Service default/shop is defined before"));
    for part in ["--> b.yaml:1:1", "::: a.yaml:1:1", "the definition that counts"] {
        assert!(found.out.contains(part), "no {part} in\n{}", found.out);
    }
}

#[test]
fn variables_of_other_tools_are_found_in_good_and_in_refused_values() {
    let route = ROUTE.replace("port: 81", "port: 80").replace(
        "    - backendRefs",
        "    - filters:
        - type: RequestHeaderModifier
          requestHeaderModifier:
            set: [{name: x-region, value: \"${REGION}\"}]
      backendRefs",
    );
    let folder = shop();
    folder.write("route.yaml", &route);
    let found = lint(&folder, &["-o", "json", "."]);
    assert_eq!(found.list(), ["PC0803 warning HTTPRoute default/shop"]);
    assert!(found.out.contains("\\\"${REGION}\\\" looks like"), "{}", found.out);

    let refused = ROUTE.replace("  rules:", "  hostnames: [\"${DOMAIN}\"]\n  rules:");
    folder.write("route.yaml", &refused);
    let found = lint(&folder, &["."]);
    assert!(found.out.contains("error[PC0103]"), "{}", found.out);
    assert!(found.out.contains("looks like a variable of another tool"), "{}", found.out);
}

#[test]
fn fix_changes_the_bytes_of_the_version_and_nothing_else() {
    let text = "\
# kept: ünïcode, 'quotes' and   blanks\r
apiVersion:   \"gateway.networking.k8s.io/v1alpha2\"   # old\r
kind: GRPCRoute\r
metadata: {name: g}\r
spec: {parentRefs: [{name: web}]}\r
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: GRPCRoute
metadata: {name: h}
spec: {parentRefs: [{name: web}]}";
    let folder = Folder::with(&[("routes.yaml", text)]);
    assert!(lint(&folder, &["."]).out.contains("PC0109"));
    let fixed = lint(&folder, &["--fix", "."]);
    assert!(fixed.err.contains("fixed 2 findings"), "{}", fixed.err);
    assert!(!fixed.out.contains("PC0109"), "{}", fixed.out);
    assert_eq!(folder.read("routes.yaml"), text.replace("v1alpha2", "v1"));
    let again = lint(&folder, &["--fix", "."]);
    assert!(!again.err.contains("fixed"), "{}", again.err);
}

#[test]
fn a_baseline_accepts_what_is_there_and_only_that() {
    let folder = shop();
    let written = lint(&folder, &["--baseline", "accepted", "--write-baseline", "."]);
    assert_eq!((written.code, written.out.as_str()), (0, ""));
    assert!(written.err.contains("1 finding accepted in accepted"), "{}", written.err);
    let quiet = lint(&folder, &["--baseline", "accepted", "."]);
    assert_eq!((quiet.code, quiet.out.as_str()), (0, ""));

    folder.write("second.yaml", &other_host().replace("name: shop\nspec", "name: second\nspec"));
    let grown = lint(&folder, &["-o", "json", "--baseline", "accepted", "."]);
    assert_eq!(grown.list(), ["PC0204 error HTTPRoute default/second"]);
    assert_eq!(grown.code, 1);

    folder.remove("second.yaml");
    folder.write("route.yaml", &ROUTE.replace("port: 81", "port: 80"));
    let mended = lint(&folder, &["--baseline", "accepted", "."]);
    assert_eq!(mended.code, 0);
    assert!(mended.err.contains("no longer found, remove it from accepted: PC0204"));
    assert_eq!(lint(&folder, &["--baseline", "missing", "."]).code, 1);
}

#[test]
fn severities_come_from_the_configuration_file() {
    let folder = shop();
    folder.write("strict.toml", "[severity]\nPC0204 = \"warning\"\n");
    let found = lint(&folder, &["-o", "json", "--config", "strict.toml", "."]);
    assert_eq!(
        (found.code, found.list()),
        (0, vec!["PC0204 warning HTTPRoute default/shop".into()])
    );
    // Without --config the file of the current folder is read.
    folder.write("portcullis-lint.toml", "[severity]\nPC0204 = \"off\"\n");
    let found = lint(&folder, &["-o", "json", "."]);
    assert_eq!((found.code, found.list()), (0, vec![]));
    for wrong in ["PC0204 = \"loud\"", "PC9999 = \"off\""] {
        folder.write("strict.toml", &format!("[severity]\n{wrong}\n"));
        let refused = lint(&folder, &["--config", "strict.toml", "."]);
        assert_eq!(refused.code, 1);
        assert!(refused.err.contains("strict.toml"), "{}", refused.err);
    }
}

#[test]
fn a_suppression_in_the_file_needs_a_reason_and_something_to_suppress() {
    let folder = shop();
    let entry = "[[suppress]]\ncode = \"PC0204\"\nobject = \"HTTPRoute default/shop\"\n";
    folder.write("l.toml", entry);
    let refused = lint(&folder, &["--config", "l.toml", "."]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("gives no reason"), "{}", refused.err);

    folder.write("l.toml", &format!("{entry}reason = \"the port comes next week\"\n"));
    let found = lint(&folder, &["-o", "json", "--config", "l.toml", "."]);
    assert_eq!((found.code, found.list()), (0, vec![]));

    folder.write("route.yaml", &ROUTE.replace("port: 81", "port: 80"));
    let idle = lint(&folder, &["-o", "json", "--config", "l.toml", "."]);
    assert_eq!(idle.list(), ["PC0813 warning HTTPRoute default/shop"]);
}

#[test]
fn a_suppression_on_the_object_needs_a_reason() {
    let annotated = |value: &str| {
        let annotation =
            format!("  annotations:\n    portcullis.dev/lint-ignore: \"{value}\"\nspec");
        ROUTE.replacen("spec", &annotation, 1)
    };
    let folder = shop();
    folder.write("route.yaml", &annotated("PC0204: the port comes next week"));
    let found = lint(&folder, &["-o", "json", "."]);
    assert_eq!((found.code, found.list()), (0, vec![]));
    folder.write("route.yaml", &annotated("PC0204"));
    let found = lint(&folder, &["-o", "json", "."]);
    assert_eq!(
        found.list(),
        ["PC0812 error HTTPRoute default/shop", "PC0204 error HTTPRoute default/shop"]
    );
}

#[test]
fn lint_reads_standard_input() {
    use std::{io::Write, process::Stdio};
    let mut child = Command::new(binary())
        .args(["lint", "-o", "json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let text = format!("{GATEWAY}---\n{SERVICE}---\n{ROUTE}");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("PC0204"));
}
