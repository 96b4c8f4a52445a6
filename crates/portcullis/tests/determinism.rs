//! The same objects give the same bytes: in another process (every process seeds its hash tables
//! anew), and in whatever order the files come.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by a panic"
)]

mod support;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use source::{Contents, Store};
use support::{Server, binary, workspace};
use testkit::{folder::Folder, raw::get};
use translate::{Facts, Settings, finish, translate};

const FILES: usize = 40;

/// A Gateway with three listeners and 200 routes of five teams: hosts and paths that overlap,
/// all kinds of matches and filters, and references that lead nowhere.
fn documents() -> Vec<String> {
    let group = "apiVersion: gateway.networking.k8s.io/v1\n";
    let mut documents = vec![format!(
        "{group}kind: GatewayClass\nmetadata: {{name: portcullis}}\nspec: {{controllerName: portcullis.dev/gateway-controller}}\n"
    )];
    let open = "allowedRoutes: {namespaces: {from: All}}";
    documents.push(format!(
        "{group}kind: Gateway\nmetadata: {{name: web, namespace: infra}}\nspec:\n  gatewayClassName: portcullis\n  listeners:\n  - {{name: any, port: 8080, protocol: HTTP, {open}}}\n  - {{name: shop, port: 8080, protocol: HTTP, hostname: '*.shop.example', {open}}}\n  - {{name: other, port: 8081, protocol: HTTP, {open}}}\n"
    ));
    for number in 0..200_usize {
        let team = number % 5;
        let host =
            ["", "hostnames: [a.example, b.example]", "hostnames: ['*.example']"][number % 3];
        let path = [
            format!("{{type: PathPrefix, value: /p{}}}", number % 17),
            format!("{{type: Exact, value: /p{}/x}}", number % 13),
            format!("{{type: RegularExpression, value: '/p[0-9]{{{}}}'}}", number % 4 + 1),
        ][number % 3]
            .clone();
        let header = ["", ", headers: [{name: X-Team, value: blue}]"][number / 3 % 2];
        let backend = ["app", "app", "app", "missing"][number / 7 % 4];
        let filter = [
            "",
            "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-a, value: b}]}}], ",
            "filters: [{type: URLRewrite, urlRewrite: {hostname: inner.example}}], ",
        ][number / 5 % 3];
        documents.push(format!(
            "{group}kind: HTTPRoute\nmetadata: {{name: route-{number}, namespace: team-{team}}}\nspec:\n  parentRefs: [{{name: web, namespace: infra}}]\n  {host}\n  rules:\n  - {{matches: [{{path: {path}{header}}}], {filter}backendRefs: [{{name: {backend}, port: 80, weight: 3}}, {{name: app, namespace: team-0, port: 80}}]}}\n"
        ));
    }
    for team in 0..5 {
        documents.push(format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: app, namespace: team-{team}, annotations: {{portcullis.dev/endpoints: '127.0.0.1:900{team}'}}}}\nspec: {{ports: [{{port: 80}}]}}\n"
        ));
    }
    for team in [1, 3] {
        documents.push(format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: ReferenceGrant\nmetadata: {{name: from-{team}, namespace: team-0}}\nspec: {{from: [{{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: team-{team}}}], to: [{{group: '', kind: Service}}]}}\n"
        ));
    }
    documents
}

/// The documents in files whose order in the folder follows from `seed`; 0 keeps it.
fn generated(seed: usize) -> Folder {
    let documents = documents();
    let mut files = vec![String::new(); FILES];
    for number in 0..documents.len() {
        // 209 documents; 191 has no divisor in common with them, so that each comes once.
        let at = (number * if seed == 0 { 1 } else { 191 } + seed * 71) % documents.len();
        let file = &mut files[number * FILES / documents.len()];
        writeln!(file, "---\n{}", documents[at]).expect("text");
    }
    let files: Vec<(String, String)> = files
        .into_iter()
        .enumerate()
        .map(|(number, text)| (format!("{number:02}.yaml"), text))
        .collect();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Folder::with(&files)
}

/// What a command prints, without the times in it.
fn printed(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(binary());
    let output = command.current_dir(folder).args(arguments).output().expect("the binary runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(!text.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let lines = text.lines().filter(|line| !line.contains("\"lastTransitionTime\""));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

/// Statuses, explanations and findings of a folder.
fn all_outputs(folder: &Path) -> Vec<(String, String)> {
    let mut outputs = Vec::new();
    for command in ["status", "lint"] {
        outputs.push((command.to_owned(), printed(folder, &[command, "-o", "json", "."])));
    }
    for url in ["http://a.example:8080/p1/x", "http://x.shop.example:8080/none"] {
        let arguments = ["explain", "-o", "json", "--all", "-H", "x-team: blue", "-f", ".", url];
        outputs.push((url.to_owned(), printed(folder, &arguments)));
    }
    outputs
}

#[test]
fn two_processes_print_the_same_bytes_for_two_hundred_routes() {
    let folder = generated(0);
    let (first, second) = (all_outputs(folder.path()), all_outputs(folder.path()));
    for ((name, one), (_, other)) in first.iter().zip(&second) {
        assert!(one == other, "{name}\n{}", testkit::golden::diff(one, other));
    }
    let status = &first[0].1;
    for part in ["RefNotPermitted", "BackendNotFound", "route-199"] {
        assert!(status.contains(part), "the routes show {part}");
    }
}

#[test]
fn two_processes_print_the_same_bytes_for_all_golden_inputs_at_once() {
    let folder = Folder::new();
    for topic in sorted(&workspace().join("crates/translate/tests/golden")) {
        for case in sorted(&topic) {
            let name =
                |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
            folder.write(&format!("{}-{}", name(&topic), name(&case)), &golden_input(&case));
        }
    }
    let (first, second) = (all_outputs(folder.path()), all_outputs(folder.path()));
    for ((name, one), (_, other)) in first.iter().zip(&second) {
        assert!(one == other, "{name}\n{}", testkit::golden::diff(one, other));
    }
}

/// Where a child of the next test writes its dump.
const DUMP_TO: &str = "PORTCULLIS_TEST_DUMP_TO";

#[test]
fn two_processes_translate_every_golden_input_alike() {
    if let Some(file) = std::env::var_os(DUMP_TO) {
        fs::write(file, dump_of_all()).expect("the dump");
        return;
    }
    let folder = Folder::new();
    let dumps = ["one", "two"].map(|name| {
        let file = folder.path().join(name);
        let output = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "two_processes_translate_every_golden_input_alike"])
            .env(DUMP_TO, &file)
            .output()
            .expect("the child runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        fs::read_to_string(file).expect("the dump")
    });
    assert!(dumps[0].len() > 100_000, "all inputs are in it");
    assert!(dumps[0] == dumps[1], "{}", testkit::golden::diff(&dumps[0], &dumps[1]));
}

/// IR, statuses and findings of every golden input, each with its fixtures.
fn dump_of_all() -> String {
    let mut text = String::new();
    for topic in sorted(&workspace().join("crates/translate/tests/golden")) {
        for case in sorted(&topic) {
            let mut files = vec![("case.yaml".to_owned(), golden_input(&case))];
            for name in fixtures(&files[0].1) {
                let path = format!("crates/translate/tests/fixtures/{name}.yaml");
                let fixture = fs::read_to_string(workspace().join(path)).expect("a fixture");
                files.push((format!("{name}.yaml"), fixture));
            }
            let mut store = Store::new(source::Settings::default());
            let files = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
            let load = store.load(Contents::from_texts(files));
            let translation = translate(&store.snapshot(), &Settings::default());
            let statuses = finish(&translation, &Facts::default());
            writeln!(text, "{}\n{:#?}", case.display(), load.issues).expect("text");
            writeln!(text, "{}\n{statuses:#?}", ir::dump(&translation.ir)).expect("text");
            writeln!(text, "{:#?}", translation.diagnostics).expect("text");
        }
    }
    text
}

fn golden_input(case: &Path) -> String {
    let text = fs::read_to_string(case).expect("a case");
    testkit::golden::split(&text).0.to_owned()
}

/// The fixtures that a golden input names in its line `# with:`.
fn fixtures(input: &str) -> Vec<String> {
    let line = input.lines().find_map(|line| line.strip_prefix("# with: "));
    line.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// JSON without the places in files, its findings in the order of their text.
fn placeless(text: &str) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|name, _| name != "place" && name != "file" && name != "line");
                fields.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut value: Value = serde_json::from_str(text).expect("JSON");
    strip(&mut value);
    if let Some(Value::Array(findings)) = value.get_mut("findings") {
        // Findings are listed in the order of the files.
        findings.sort_by_key(Value::to_string);
    }
    value
}

#[test]
fn the_order_of_files_and_documents_changes_nothing_but_places() {
    let outputs = all_outputs(generated(0).path());
    let shuffled = all_outputs(generated(1).path());
    for ((name, one), (_, other)) in outputs.iter().zip(&shuffled) {
        let (one, other) = (placeless(one), placeless(other));
        let text = |value: &Value| serde_json::to_string_pretty(value).expect("JSON");
        assert!(one == other, "{name}\n{}", testkit::golden::diff(&text(&one), &text(&other)));
    }
}

#[test]
fn two_servers_show_the_same_table_status_and_endpoints() {
    let (one, two) = (generated(0), generated(1));
    let start = |folder: &Folder| Server::start(&[folder.path().to_str().expect("a path")]);
    let servers = [start(&one), start(&two)];
    for path in ["/config", "/endpoints", "/status"] {
        let texts = [0, 1].map(|at| {
            let response = get(servers[at].admin, "localhost", path);
            assert_eq!(response.status, 200, "{path}");
            // Each server has an address of its own.
            let text = response.text().replace(&servers[at].address, "ADDRESS");
            let lines = text.lines().filter(|line| !line.contains("lastTransitionTime"));
            lines.collect::<Vec<_>>().join("\n")
        });
        assert!(texts[0] == texts[1], "{path}\n{}", testkit::golden::diff(&texts[0], &texts[1]));
        assert!(texts[0].contains("team-0") || path == "/status", "{path}: {}", texts[0]);
    }
}
